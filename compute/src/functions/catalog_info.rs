//! Functions over the catalog: names, definitions and comments of objects, as psql's `\d` asks for them.

use super::args::body;
use super::call::{Call, ScalarFunction, stable, volatile};
use super::catalog_access::{ConstraintKind, ObjectClass};
use super::text_io::{find_object, quote_ident, relation_text, type_text};
use crate::catalog::{IndexDef, TableDef};
use crate::{SqlError, SqlResult};
use shardforge_types::{Datum, Oid, PgType, SqlState, oids};

fn format_type(args: &[Datum], call: &Call<'_>) -> SqlResult<Datum> {
    let [Datum::Oid(oid), typmod] = args else { return Ok(Datum::Null) };
    let typmod = match typmod {
        Datum::Int4(typmod) => *typmod,
        _ => {
            // Without a modifier a type is named as SQL's grammar does: `character`, not `bpchar`.
            return Ok(match *oid {
                oids::BPCHAR => Datum::text("character"),
                oid => Datum::text(type_text(PgType::new(oid), call.context)),
            });
        }
    };
    Ok(Datum::text(type_text(PgType::with_typmod(*oid, typmod), call.context)))
}

fn relation_is_visible(call: &Call<'_>, oid: Oid) -> Option<bool> {
    let catalog = call.context.catalog.as_ref()?;
    let relation = catalog.relation(oid)?;
    Some(catalog.find_relation(None, &relation.name) == Some(oid))
}

fn is_visible(call: &Call<'_>, class: ObjectClass, oid: Oid) -> Option<bool> {
    let catalog = call.context.catalog.as_ref()?;
    let (_, name) = catalog.object_name(class, oid)?;
    Some(catalog.find_objects(class, None, &name).contains(&oid))
}

fn user_by_id(call: &Call<'_>, oid: Oid) -> String {
    let name = call.context.catalog.as_ref().and_then(|catalog| catalog.object_name(ObjectClass::Role, oid));
    name.map_or_else(|| format!("unknown (OID={oid})"), |(_, name)| name)
}

fn index_columns(table: &TableDef, index: &IndexDef) -> Vec<String> {
    let column = |key: &crate::catalog::IndexKey| {
        let name = table.columns.get(key.column).map_or("?", |column| &column.name);
        let order = match (key.desc, key.nulls_first) {
            (false, false) => "",
            (false, true) => " NULLS FIRST",
            (true, true) => " DESC",
            (true, false) => " DESC NULLS LAST",
        };
        format!("{}{order}", quote_ident(name))
    };
    index.keys.iter().map(column).collect()
}

/// `CREATE INDEX` for an index, or with a column number the column alone.
fn index_definition(call: &Call<'_>, oid: Oid, column: i32, pretty: bool) -> Option<String> {
    let catalog = call.context.catalog.as_ref()?;
    let (table, at) = catalog.index(oid)?;
    let index = match at {
        None => table.primary_key.as_ref()?,
        Some(at) => table.indexes.get(at)?,
    };
    if column != 0 {
        let key = index.keys.get(usize::try_from(column).ok()?.checked_sub(1)?)?;
        return Some(quote_ident(&table.columns.get(key.column)?.name));
    }
    let visible = pretty && catalog.find_relation(None, &table.name) == Some(table.oid);
    let schema = if visible { String::new() } else { format!("{}.", quote_ident(&table.schema_name)) };
    Some(format!(
        "CREATE {}INDEX {} ON {schema}{} USING btree ({})",
        if index.unique { "UNIQUE " } else { "" },
        quote_ident(&index.name),
        quote_ident(&table.name),
        index_columns(&table, index).join(", ")
    ))
}

fn constraint_definition(call: &Call<'_>, oid: Oid) -> Option<String> {
    let constraint = call.context.catalog.as_ref()?.constraint(oid)?;
    let list = |names: &[String]| names.iter().map(|name| quote_ident(name)).collect::<Vec<_>>().join(", ");
    let columns = list(&constraint.columns);
    Some(match constraint.kind {
        ConstraintKind::PrimaryKey => format!("PRIMARY KEY ({columns})"),
        ConstraintKind::Unique => format!("UNIQUE ({columns})"),
        ConstraintKind::Check => {
            let text = constraint.expression.unwrap_or_default();
            let wrapped = text.starts_with('(') && text.ends_with(')');
            if wrapped { format!("CHECK ({text})") } else { format!("CHECK (({text}))") }
        }
        ConstraintKind::ForeignKey => {
            let (table, referenced) = constraint.references.unwrap_or_default();
            format!("FOREIGN KEY ({columns}) REFERENCES {table}({})", list(&referenced))
        }
    })
}

/// The catalog table of a name, as comments are stored by its OID.
fn catalog_table(call: &Call<'_>, name: &str) -> Option<Oid> {
    call.context.catalog.as_ref()?.find_relation(Some("pg_catalog"), name)
}

fn comment(call: &Call<'_>, object: Oid, catalog_name: &str, column: i32) -> Option<String> {
    let table = catalog_table(call, catalog_name)?;
    call.context.catalog.as_ref()?.comment(table, object, column)
}

fn relation_size(call: &Call<'_>, oid: Oid) -> Option<i64> {
    call.context.catalog.as_ref()?.relation_size(oid)
}

fn indexes_size(call: &Call<'_>, oid: Oid) -> Option<i64> {
    let catalog = call.context.catalog.as_ref()?;
    let table = catalog.table(oid)?;
    Some(table.indexes.iter().filter_map(|index| catalog.relation_size(index.oid)).sum())
}

fn to_reg(call: &Call<'_>, text: &str, ty: Oid) -> SqlResult<Option<Oid>> {
    find_object(text, ty, call.context, false)
}

fn serial_sequence(call: &Call<'_>, table: &str, column: &str) -> SqlResult<Option<String>> {
    let Some(oid) = find_object(table, oids::REGCLASS, call.context, true)? else { return Ok(None) };
    let table = call.context.catalog.as_ref().and_then(|catalog| catalog.table(oid));
    match table {
        Some(table) if table.column(column).is_none() => {
            let message = format!("column \"{column}\" of relation \"{}\" does not exist", table.name);
            Err(SqlError::new(SqlState::UNDEFINED_COLUMN, message))
        }
        // No column owns a sequence yet.
        _ => Ok(None),
    }
}

fn view_definition(call: &Call<'_>, oid: Oid) -> SqlResult<Option<String>> {
    match relation_text(oid, call.context) {
        Some(name) => Err(SqlError::not_supported(format!("the definition of view {name}"))),
        None => Ok(None),
    }
}

/// The functions of this file.
pub(super) const FUNCTIONS: &[ScalarFunction] = &[
    stable(1081, "format_type", format_type).non_strict(),
    stable(2079, "pg_table_is_visible", body!(call |oid: Oid| relation_is_visible(call, oid))),
    stable(2080, "pg_type_is_visible", body!(call |oid: Oid| is_visible(call, ObjectClass::Type, oid))),
    stable(2081, "pg_function_is_visible", body!(call |oid: Oid| is_visible(call, ObjectClass::Function, oid))),
    stable(2082, "pg_operator_is_visible", body!(call |oid: Oid| is_visible(call, ObjectClass::Operator, oid))),
    stable(2083, "pg_opclass_is_visible", body!(call |oid: Oid| is_visible(call, ObjectClass::OperatorClass, oid))),
    stable(3829, "pg_opfamily_is_visible", body!(call |oid: Oid| is_visible(call, ObjectClass::OperatorFamily, oid))),
    stable(2093, "pg_conversion_is_visible", body!(call |oid: Oid| is_visible(call, ObjectClass::Conversion, oid))),
    stable(3815, "pg_collation_is_visible", body!(call |oid: Oid| is_visible(call, ObjectClass::Collation, oid))),
    stable(1642, "pg_get_userbyid", body!(call |oid: Oid| user_by_id(call, oid))),
    stable(1716, "pg_get_expr", body!(|text: &str, _relation: Oid| text)),
    stable(2509, "pg_get_expr", body!(|text: &str, _relation: Oid, _pretty: bool| text)),
    stable(1643, "pg_get_indexdef", body!(call |oid: Oid| index_definition(call, oid, 0, false))),
    stable(
        2507,
        "pg_get_indexdef",
        body!(call |oid: Oid, column: i32, pretty: bool| index_definition(call, oid, column, pretty)),
    ),
    stable(1387, "pg_get_constraintdef", body!(call |oid: Oid| constraint_definition(call, oid))),
    stable(2508, "pg_get_constraintdef", body!(call |oid: Oid, _pretty: bool| constraint_definition(call, oid))),
    stable(1641, "pg_get_viewdef", body!(call |oid: Oid| view_definition(call, oid)?)),
    stable(2506, "pg_get_viewdef", body!(call |oid: Oid, _pretty: bool| view_definition(call, oid)?)),
    // There are no rules, triggers, partitions, statistics objects or publications: no OID names one.
    stable(1573, "pg_get_ruledef", body!(|_oid: Oid| None::<String>)),
    stable(2504, "pg_get_ruledef", body!(|_oid: Oid, _pretty: bool| None::<String>)),
    stable(1662, "pg_get_triggerdef", body!(|_oid: Oid| None::<String>)),
    stable(2730, "pg_get_triggerdef", body!(|_oid: Oid, _pretty: bool| None::<String>)),
    stable(3352, "pg_get_partkeydef", body!(|_oid: Oid| None::<String>)),
    stable(3408, "pg_get_partition_constraintdef", body!(|_oid: Oid| None::<String>)),
    stable(3415, "pg_get_statisticsobjdef", body!(|_oid: Oid| None::<String>)),
    stable(6174, "pg_get_statisticsobjdef_columns", body!(|_oid: Oid| None::<String>)),
    stable(3403, "pg_statistics_obj_is_visible", body!(|_oid: Oid| None::<bool>)),
    stable(6121, "pg_relation_is_publishable", body!(call |oid: Oid| {
        call.context.catalog.as_ref().and_then(|catalog| catalog.table(oid)).is_some()
    })),
    stable(6120, "pg_get_replica_identity_index", body!(call |oid: Oid| {
        let table = call.context.catalog.as_ref().and_then(|catalog| catalog.table(oid));
        table.and_then(|table| table.primary_key.as_ref().map(|index| index.oid))
    })),
    stable(1665, "pg_get_serial_sequence", body!(call |table: &str, column: &str| serial_sequence(call, table, column)?)),
    stable(1215, "obj_description", body!(call |oid: Oid, catalog: &str| comment(call, oid, catalog, 0))),
    stable(1993, "shobj_description", body!(call |oid: Oid, catalog: &str| comment(call, oid, catalog, 0))),
    stable(1216, "col_description", body!(call |oid: Oid, column: i32| comment(call, oid, "pg_class", column))),
    stable(1348, "obj_description", body!(call |oid: Oid| comment(call, oid, "pg_class", 0))),
    volatile(2325, "pg_relation_size", body!(call |oid: Oid| relation_size(call, oid))),
    volatile(2332, "pg_relation_size", body!(call |oid: Oid, _fork: &str| relation_size(call, oid))),
    volatile(2997, "pg_table_size", body!(call |oid: Oid| relation_size(call, oid))),
    volatile(2998, "pg_indexes_size", body!(call |oid: Oid| indexes_size(call, oid))),
    volatile(2286, "pg_total_relation_size", body!(call |oid: Oid| {
        relation_size(call, oid).map(|size| size + indexes_size(call, oid).unwrap_or(0))
    })),
    stable(2999, "pg_relation_filenode", body!(call |oid: Oid| {
        call.context.catalog.as_ref().and_then(|catalog| catalog.table(oid)).map(|table| table.oid)
    })),
    stable(3495, "to_regclass", body!(call |name: &str| to_reg(call, name, oids::REGCLASS)?)),
    stable(3493, "to_regtype", body!(call |name: &str| to_reg(call, name, oids::REGTYPE)?)),
    stable(3494, "to_regproc", body!(call |name: &str| to_reg(call, name, oids::REGPROC)?)),
    stable(4086, "to_regnamespace", body!(call |name: &str| to_reg(call, name, oids::REGNAMESPACE)?)),
    stable(4093, "to_regrole", body!(call |name: &str| to_reg(call, name, oids::REGROLE)?)),
    stable(2162, "pg_get_function_arguments", body!(call |oid: Oid| function_arguments(call, oid))),
    stable(2232, "pg_get_function_identity_arguments", body!(call |oid: Oid| function_arguments(call, oid))),
    stable(2165, "pg_get_function_result", body!(call |oid: Oid| {
        crate::catalog::builtin::proc(oid).map(|entry| {
            let set = if entry.returns_set { "SETOF " } else { "" };
            format!("{set}{}", type_text(PgType::new(entry.result), call.context))
        })
    })),
];

fn function_arguments(call: &Call<'_>, oid: Oid) -> Option<String> {
    let entry = crate::catalog::builtin::proc(oid)?;
    let names = entry.arg_names.as_deref().unwrap_or(&[]);
    let args = entry.args.iter().enumerate().map(|(n, ty)| {
        let name = names.get(n).filter(|name| !name.is_empty());
        let ty = type_text(PgType::new(*ty), call.context);
        name.map_or_else(|| ty.clone(), |name| format!("{} {ty}", quote_ident(name)))
    });
    Some(args.collect::<Vec<_>>().join(", "))
}
