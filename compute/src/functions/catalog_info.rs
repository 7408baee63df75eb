//! Functions over the catalog's OIDs: names, definitions written back as SQL, comments, visibility, sizes.
//!
//! An OID of nothing gives what PostgreSQL gives: null, mostly.

use super::args::body;
use super::call::{Call, ScalarFunction, Volatility, stable, strict, volatile};
use super::text_io::{find_object, quote_ident, split_name, type_text};
use super::{CatalogAccess, ConstraintInfo, ConstraintKind, ObjectClass};
use crate::catalog::{IndexDef, TableDef};
use crate::{SqlError, SqlResult};
use shardforge_types::{Datum, Oid, PgType, oids};
use std::sync::Arc;

/// `pg_encoding` of UTF8, the only one.
const UTF8: i32 = 6;
/// OIDs of the catalogs that comments name by their objects' class.
const CLASSES: &[(&str, u32)] = &[
    ("pg_class", 1259),
    ("pg_namespace", 2615),
    ("pg_database", 1262),
    ("pg_type", 1247),
    ("pg_proc", 1255),
    ("pg_constraint", 2606),
    ("pg_operator", 2617),
    ("pg_authid", 1260),
    ("pg_tablespace", 1213),
];

fn catalog<'a>(call: &Call<'a>) -> SqlResult<&'a Arc<dyn CatalogAccess>> {
    let catalog = call.context.catalog.as_ref();
    catalog.ok_or_else(|| SqlError::internal("a function asked for the catalog outside a session"))
}

/// Whether a name without a schema finds this object; null when there is none.
fn is_visible(oid: Oid, class: ObjectClass, call: &Call<'_>) -> SqlResult<Option<bool>> {
    let catalog = catalog(call)?;
    if class == ObjectClass::Relation {
        let found = catalog.relation(oid);
        return Ok(found.map(|relation| catalog.find_relation(None, &relation.name) == Some(oid)));
    }
    let Some((schema, name)) = catalog.object_name(class, oid) else { return Ok(None) };
    let Some(schema) = schema.and_then(|schema| catalog.object_name(ObjectClass::Schema, schema)) else {
        return Ok(Some(true));
    };
    let path = &call.context.session.search_path;
    let on_path = schema.1 == "pg_catalog" || path.contains(&schema.1);
    // Functions and operators are told apart by their arguments: another of the name hides none of them.
    let overloaded = matches!(class, ObjectClass::Function | ObjectClass::Operator);
    Ok(Some(on_path && (overloaded || catalog.find_objects(class, None, &name).first() == Some(&oid))))
}

fn user_name(oid: Oid, call: &Call<'_>) -> SqlResult<String> {
    let name = catalog(call)?.object_name(ObjectClass::Role, oid);
    Ok(name.map_or_else(|| format!("unknown (OID={oid})"), |(_, name)| name))
}

fn format_type(args: &[Datum], call: &Call<'_>) -> SqlResult<Datum> {
    let [ty, typmod] = args else { return Err(super::args::wrong_arguments(args)) };
    let Datum::Oid(oid) = ty else { return Ok(Datum::Null) };
    if *oid == Oid::INVALID {
        return Ok(Datum::text("-"));
    }
    let typmod = match typmod {
        Datum::Int4(typmod) => *typmod,
        // Without a modifier, not even an absent one, SQL's word is meant.
        _ if *oid == oids::BPCHAR => return Ok(Datum::text("character")),
        _ => -1,
    };
    Ok(Datum::text(type_text(PgType::with_typmod(*oid, typmod), call.context)))
}

fn key_list(table: &TableDef, index: &IndexDef) -> String {
    let keys = index.keys.iter().map(|key| {
        let name = quote_ident(&table.columns[key.column].name);
        let order = match (key.desc, key.nulls_first) {
            (false, false) => "",
            (false, true) => " NULLS FIRST",
            (true, true) => " DESC",
            (true, false) => " DESC NULLS LAST",
        };
        format!("{name}{order}")
    });
    keys.collect::<Vec<_>>().join(", ")
}

/// `CREATE INDEX`, or with `column` that column's name alone.
fn index_definition(oid: Oid, column: i32, pretty: bool, call: &Call<'_>) -> SqlResult<Option<String>> {
    let catalog = catalog(call)?;
    let Some((table, place)) = catalog.index(oid) else {
        return Ok(if column == 0 { crate::catalog::system::index_definition(oid) } else { None });
    };
    let Some(index) = place.map_or(table.primary_key.as_ref(), |place| table.indexes.get(place)) else {
        return Ok(None);
    };
    if column > 0 {
        let key = usize::try_from(column - 1).ok().and_then(|place| index.keys.get(place));
        return Ok(Some(key.map_or_else(String::new, |key| quote_ident(&table.columns[key.column].name))));
    }
    let visible = pretty && catalog.find_relation(None, &table.name) == Some(table.oid);
    let schema = if visible { String::new() } else { format!("{}.", quote_ident(&table.schema_name)) };
    Ok(Some(format!(
        "CREATE {}INDEX {} ON {schema}{} USING btree ({}){}",
        if index.unique { "UNIQUE " } else { "" },
        quote_ident(&index.name),
        quote_ident(&table.name),
        key_list(&table, index),
        if index.nulls_not_distinct { " NULLS NOT DISTINCT" } else { "" }
    )))
}

/// A constraint as CREATE TABLE has it.
fn constraint_definition(oid: Oid, pretty: bool, call: &Call<'_>) -> SqlResult<Option<String>> {
    let Some(constraint) = catalog(call)?.constraint(oid) else { return Ok(None) };
    let columns =
        |columns: &[String]| columns.iter().map(|name| quote_ident(name)).collect::<Vec<_>>().join(", ");
    let ConstraintInfo { kind, columns: own, expression, references } = &constraint;
    Ok(Some(match kind {
        ConstraintKind::PrimaryKey => format!("PRIMARY KEY ({})", columns(own)),
        ConstraintKind::Unique => format!("UNIQUE ({})", columns(own)),
        ConstraintKind::UniqueNullsNotDistinct => format!("UNIQUE NULLS NOT DISTINCT ({})", columns(own)),
        ConstraintKind::Check => {
            let text = expression.as_deref().unwrap_or_default().trim();
            if pretty { format!("CHECK ({text})") } else { format!("CHECK (({text}))") }
        }
        ConstraintKind::ForeignKey => {
            let (table, other) = references.as_ref().map_or(("", &[][..]), |(table, other)| (table, other));
            format!("FOREIGN KEY ({}) REFERENCES {table}({})", columns(own), columns(other))
        }
    }))
}

fn comment(object: Oid, class: &str, call: &Call<'_>) -> SqlResult<Option<String>> {
    let class = CLASSES.iter().find(|(name, _)| *name == class).map(|(_, oid)| Oid(*oid));
    let catalog = catalog(call)?;
    Ok(class.and_then(|class| catalog.comment(class, object, 0)))
}

fn size(oid: Oid, call: &Call<'_>) -> SqlResult<Option<i64>> {
    let catalog = catalog(call)?;
    Ok(catalog.relation(oid).map(|_| catalog.relation_size(oid).unwrap_or(0)))
}

/// What a database takes is not measured: null, for one that exists.
fn database_size(name: &str, call: &Call<'_>) -> SqlResult<Option<i64>> {
    if catalog(call)?.find_objects(ObjectClass::Database, None, name).is_empty() {
        let message = format!("database \"{name}\" does not exist");
        return Err(SqlError::new(shardforge_types::SqlState::INVALID_CATALOG_NAME, message));
    }
    Ok(None)
}

/// The type of a function's argument as SQL writes it.
fn type_names(types: &[Oid], call: &Call<'_>) -> Vec<String> {
    types.iter().map(|ty| type_text(PgType::new(*ty), call.context)).collect()
}

fn function_arguments(oid: Oid, call: &Call<'_>) -> Option<String> {
    let entry = crate::catalog::builtin::proc(oid)?;
    let mut out = Vec::new();
    let name = |place: usize| {
        let name = entry.arg_names.as_ref().and_then(|names| names.get(place)).copied().unwrap_or_default();
        if name.is_empty() { String::new() } else { format!("{} ", quote_ident(name)) }
    };
    match &entry.all_args {
        Some(all) => {
            for (place, (ty, mode)) in all.iter().enumerate() {
                let mode = match mode {
                    b'o' => "OUT ",
                    b'b' => "INOUT ",
                    b'v' => "VARIADIC ",
                    b't' => continue,
                    _ => "",
                };
                out.push(format!("{mode}{}{}", name(place), type_text(PgType::new(*ty), call.context)));
            }
        }
        None => {
            for (place, ty) in type_names(&entry.args, call).into_iter().enumerate() {
                let variadic = entry.variadic != Oid::INVALID && place + 1 == entry.args.len();
                out.push(format!("{}{}{ty}", if variadic { "VARIADIC " } else { "" }, name(place)));
            }
        }
    }
    Some(out.join(", "))
}

fn function_result(oid: Oid, call: &Call<'_>) -> Option<String> {
    let entry = crate::catalog::builtin::proc(oid)?;
    if entry.kind == b'p' {
        return None;
    }
    let ty = type_text(PgType::new(entry.result), call.context);
    Some(if entry.returns_set { format!("SETOF {ty}") } else { ty })
}

/// `to_regclass` and its kin: null for a name that is none.
fn to_reg(name: &str, ty: Oid, call: &Call<'_>) -> SqlResult<Option<Datum>> {
    // They take names alone, never numbers.
    if name.trim().parse::<u32>().is_ok() || name.trim() == "-" {
        return Ok(None);
    }
    Ok(find_object(name, ty, call.context, false)?.map(Datum::Oid))
}

/// A view's text: the system's views have none, and users' views are not built.
fn view_definition(name: &str, call: &Call<'_>) -> SqlResult<Option<String>> {
    split_name(name)?;
    find_object(name, oids::REGCLASS, call.context, true)?;
    Ok(None)
}

const fn stable_any(oid: u32, name: &'static str, body: super::call::ScalarBody) -> ScalarFunction {
    strict(oid, name, body).with(Volatility::Stable).non_strict()
}

/// The functions of this file.
pub(super) const FUNCTIONS: &[ScalarFunction] = &[
    stable_any(1081, "format_type", format_type),
    stable(1642, "pg_get_userbyid", body!(call |role: Oid| user_name(role, call))),
    stable(2079, "pg_table_is_visible", body!(call |oid: Oid| is_visible(oid, ObjectClass::Relation, call))),
    stable(2080, "pg_type_is_visible", body!(call |oid: Oid| is_visible(oid, ObjectClass::Type, call))),
    stable(
        2081,
        "pg_function_is_visible",
        body!(call |oid: Oid| is_visible(oid, ObjectClass::Function, call)),
    ),
    stable(
        2082,
        "pg_operator_is_visible",
        body!(call |oid: Oid| is_visible(oid, ObjectClass::Operator, call)),
    ),
    stable(
        2083,
        "pg_opclass_is_visible",
        body!(call |oid: Oid| is_visible(oid, ObjectClass::OperatorClass, call)),
    ),
    stable(
        2093,
        "pg_conversion_is_visible",
        body!(call |oid: Oid| is_visible(oid, ObjectClass::Conversion, call)),
    ),
    stable(
        3815,
        "pg_collation_is_visible",
        body!(call |oid: Oid| is_visible(oid, ObjectClass::Collation, call)),
    ),
    stable(
        3829,
        "pg_opfamily_is_visible",
        body!(call |oid: Oid| is_visible(oid, ObjectClass::OperatorFamily, call)),
    ),
    // Kinds of objects of which there are none.
    stable(3403, "pg_statistics_obj_is_visible", body!(|_object: Oid| None::<bool>)),
    stable(3756, "pg_ts_parser_is_visible", body!(|_object: Oid| None::<bool>)),
    stable(3757, "pg_ts_dict_is_visible", body!(|_object: Oid| None::<bool>)),
    stable(3758, "pg_ts_config_is_visible", body!(|_object: Oid| None::<bool>)),
    stable(3768, "pg_ts_template_is_visible", body!(|_object: Oid| None::<bool>)),
    stable(6197, "pg_get_function_sqlbody", body!(|_function: Oid| None::<String>)),
    stable(1643, "pg_get_indexdef", body!(call |oid: Oid| index_definition(oid, 0, false, call))),
    stable(
        2507,
        "pg_get_indexdef",
        body!(call |oid: Oid, column: i32, pretty: bool| index_definition(oid, column, pretty, call)),
    ),
    stable(1387, "pg_get_constraintdef", body!(call |oid: Oid| constraint_definition(oid, false, call))),
    stable(
        2508,
        "pg_get_constraintdef",
        body!(call |oid: Oid, pretty: bool| constraint_definition(oid, pretty, call)),
    ),
    // Expressions are kept as their source text.
    stable(
        1716,
        "pg_get_expr",
        body!(call |text: &str, _relation: Oid| super::shown_default(text, call.context)),
    ),
    stable(
        2509,
        "pg_get_expr",
        body!(call |text: &str, _relation: Oid, _pretty: bool| super::shown_default(text, call.context)),
    ),
    stable(1640, "pg_get_viewdef", body!(call |name: &str| view_definition(name, call))),
    stable(1641, "pg_get_viewdef", body!(|_view: Oid| None::<String>)),
    stable(2505, "pg_get_viewdef", body!(call |name: &str, _pretty: bool| view_definition(name, call))),
    stable(2506, "pg_get_viewdef", body!(|_view: Oid, _pretty: bool| None::<String>)),
    stable(3159, "pg_get_viewdef", body!(|_view: Oid, _wrap: i32| None::<String>)),
    // No rules, triggers, partitions, extended statistics.
    stable(1573, "pg_get_ruledef", body!(|_rule: Oid| None::<String>)),
    stable(2504, "pg_get_ruledef", body!(|_rule: Oid, _pretty: bool| None::<String>)),
    stable(1662, "pg_get_triggerdef", body!(|_trigger: Oid| None::<String>)),
    stable(2730, "pg_get_triggerdef", body!(|_trigger: Oid, _pretty: bool| None::<String>)),
    stable(3352, "pg_get_partkeydef", body!(|_table: Oid| None::<String>)),
    stable(3408, "pg_get_partition_constraintdef", body!(|_table: Oid| None::<String>)),
    stable(6174, "pg_get_statisticsobjdef_columns", body!(|_statistics: Oid| None::<String>)),
    stable(2162, "pg_get_function_arguments", body!(call |oid: Oid| function_arguments(oid, call))),
    stable(2232, "pg_get_function_identity_arguments", body!(call |oid: Oid| function_arguments(oid, call))),
    stable(2165, "pg_get_function_result", body!(call |oid: Oid| function_result(oid, call))),
    stable(1215, "obj_description", body!(call |oid: Oid, class: &str| comment(oid, class, call))),
    stable(1348, "obj_description", body!(call |oid: Oid| comment(oid, "pg_class", call))),
    stable(1993, "shobj_description", body!(call |oid: Oid, class: &str| comment(oid, class, call))),
    stable(
        1216,
        "col_description",
        body!(call |oid: Oid, column: i32| catalog(call).map(|catalog| catalog.comment(Oid(1259), oid, column))),
    ),
    stable(1597, "pg_encoding_to_char", body!(|encoding: i32| if encoding == UTF8 { "UTF8" } else { "" })),
    stable(
        1264,
        "pg_char_to_encoding",
        body!(|name: &str| if matches!(&*name.to_ascii_lowercase(), "utf8" | "utf-8" | "unicode") {
            UTF8
        } else {
            -1
        }),
    ),
    stable(
        6121,
        "pg_relation_is_publishable",
        body!(call |oid: Oid| catalog(call).map(|catalog| catalog.relation(oid).map(|relation| relation.oid.0 >= 16384))),
    ),
    volatile(2325, "pg_relation_size", body!(call |oid: Oid| size(oid, call))),
    volatile(2332, "pg_relation_size", body!(call |oid: Oid, _fork: &str| size(oid, call))),
    volatile(2997, "pg_table_size", body!(call |oid: Oid| size(oid, call))),
    volatile(2286, "pg_total_relation_size", body!(call |oid: Oid| size(oid, call))),
    // What a database takes is not measured: unknown, for one that exists.
    volatile(2168, "pg_database_size", body!(call |name: &str| database_size(name, call))),
    volatile(2324, "pg_database_size", body!(|_database: Oid| None::<i64>)),
    stable(2999, "pg_relation_filenode", body!(|oid: Oid| oid)),
    stable(3495, "to_regclass", body!(call |name: &str| to_reg(name, oids::REGCLASS, call))),
    stable(3493, "to_regtype", body!(call |name: &str| to_reg(name, oids::REGTYPE, call))),
    stable(4086, "to_regnamespace", body!(call |name: &str| to_reg(name, oids::REGNAMESPACE, call))),
    stable(4093, "to_regrole", body!(call |name: &str| to_reg(name, oids::REGROLE, call))),
    stable(3494, "to_regproc", body!(call |name: &str| to_reg(name, oids::REGPROC, call))),
    stable(3778, "pg_tablespace_location", body!(|_tablespace: Oid| "")),
    volatile(3810, "pg_is_in_recovery", body!(|| false)),
    // No temporary tables.
    stable(2854, "pg_my_temp_schema", body!(|| Oid::INVALID)),
    stable(2855, "pg_is_other_temp_schema", body!(|_schema: Oid| false)),
    stable(3298, "row_security_active", body!(|_table: Oid| false)),
];

#[cfg(test)]
mod tests {
    use crate::catalog::SessionCatalog;
    use crate::catalog::system::tests::sample;
    use crate::functions::{Call, EvalContext, scalar};
    use shardforge_types::{Datum, Oid, PgType};
    use std::sync::Arc;

    fn call(oid: u32, args: &[Datum]) -> Datum {
        let catalog = SessionCatalog::new(Arc::new(sample()), &["$user", "public"], "postgres");
        let mut context = EvalContext::detached(0);
        context.catalog = Some(Arc::new(catalog));
        let call = Call { context: &context, arg_types: &[], result: PgType::TEXT };
        scalar(Oid(oid)).unwrap().call(args, &call).unwrap()
    }

    fn text(oid: u32, args: &[Datum]) -> Option<String> {
        call(oid, args).as_str().map(str::to_owned)
    }

    #[test]
    fn definitions_as_psql_asks_for_them() {
        let of = |oid: u32| Datum::Oid(Oid(oid));
        let pretty = Datum::Bool(true);
        let index = |oid, column| text(2507, &[of(oid), Datum::Int4(column), pretty.clone()]);
        assert_eq!(index(20003, 0).as_deref(), Some("CREATE UNIQUE INDEX t_pkey ON t USING btree (a)"));
        assert_eq!(index(20003, 1).as_deref(), Some("a"));
        assert_eq!(
            text(1643, &[of(20005)]).as_deref(),
            Some("CREATE UNIQUE INDEX t_d_key ON public.t USING btree (d)")
        );
        assert_eq!(index(1, 0), None);
        let constraint = |oid| text(2508, &[of(oid), pretty.clone()]);
        assert_eq!(constraint(20004).as_deref(), Some("PRIMARY KEY (a)"));
        assert_eq!(constraint(20006).as_deref(), Some("UNIQUE (d)"));
        assert_eq!(constraint(20007).as_deref(), Some("CHECK (c > 0)"));
        assert_eq!(text(1387, &[of(20007)]).as_deref(), Some("CHECK ((c > 0))"));
    }

    #[test]
    fn names_of_types_and_roles() {
        let of = |oid: u32, typmod: Datum| text(1081, &[Datum::Oid(Oid(oid)), typmod]);
        assert_eq!(of(1043, Datum::Int4(14)).as_deref(), Some("character varying(10)"));
        assert_eq!(of(23, Datum::Null).as_deref(), Some("integer"));
        assert_eq!(of(20001, Datum::Null).as_deref(), Some("t[]"));
        assert_eq!(text(1642, &[Datum::Oid(Oid(10))]).as_deref(), Some("postgres"));
        assert_eq!(text(1642, &[Datum::Oid(Oid(6171))]).as_deref(), Some("pg_database_owner"));
        assert_eq!(text(1642, &[Datum::Oid(Oid(7))]).as_deref(), Some("unknown (OID=7)"));
    }

    #[test]
    fn visibility_and_comments() {
        let visible = |function, oid: u32| call(function, &[Datum::Oid(Oid(oid))]).as_bool();
        assert_eq!(visible(2079, 20000), Some(true));
        assert_eq!(visible(2079, 1259), Some(true));
        assert_eq!(visible(2079, 1), None);
        assert_eq!(visible(2080, 23), Some(true));
        let comment = [Datum::Oid(Oid(5)), Datum::text("pg_database")];
        assert_eq!(text(1993, &comment).as_deref(), Some("default administrative connection database"));
        assert!(matches!(call(3495, &[Datum::text("public.t")]), Datum::Oid(Oid(20000))));
        assert!(call(3495, &[Datum::text("nothing")]).is_null());
    }
}
