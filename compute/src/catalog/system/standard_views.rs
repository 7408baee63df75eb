//! The views of `information_schema`.

use super::rows::{RowBuilder, yes_or_no};
use super::shared::role_name;
use super::system_views::{Listed, listed};
use crate::catalog::builtin;
use crate::catalog::database::DatabaseCatalog;
use crate::catalog::stored::ConstraintRow;
use crate::catalog::{ColumnDef, TableDef, TableKind, bootstrap, deparse};
use crate::functions::text_io::quote_ident;
use crate::functions::{EvalContext, shown_default};
use crate::sequence::SequenceRules;
use shardforge_types::oid::{format_type, type_name};
use shardforge_types::{Datum, Oid, PgType, oids};

pub(super) fn catalog_name(table: &TableDef, catalog: &DatabaseCatalog) -> Vec<Vec<Datum>> {
    vec![RowBuilder::new(table).col("catalog_name", catalog.name()).finish()]
}

pub(super) fn schemata(table: &TableDef, catalog: &DatabaseCatalog) -> Vec<Vec<Datum>> {
    let builtin = [("pg_catalog", bootstrap::SUPERUSER), ("information_schema", bootstrap::SUPERUSER)];
    let stored = catalog.namespaces().map(|row| (row.name.as_str(), row.owner));
    let row = |(name, owner): (&str, Oid)| {
        RowBuilder::new(table)
            .col("catalog_name", catalog.name())
            .col("schema_name", name)
            .col("schema_owner", role_name(catalog, owner))
            .nulls(&[
                "default_character_set_catalog",
                "default_character_set_schema",
                "default_character_set_name",
                "sql_path",
            ])
            .finish()
    };
    builtin.into_iter().chain(stored).map(row).collect()
}

pub(super) fn tables(table: &TableDef, catalog: &DatabaseCatalog) -> Vec<Vec<Datum>> {
    let row = |listed: &Listed| {
        let is_view = listed.table.kind == TableKind::Virtual;
        RowBuilder::new(table)
            .col("table_catalog", catalog.name())
            .col("table_schema", &listed.table.schema_name)
            .col("table_name", &listed.table.name)
            .col("table_type", if is_view { "VIEW" } else { "BASE TABLE" })
            .nulls(&[
                "self_referencing_column_name",
                "reference_generation",
                "user_defined_type_catalog",
                "user_defined_type_schema",
                "user_defined_type_name",
            ])
            .col("is_insertable_into", yes_or_no(listed.table.kind == TableKind::Table))
            .col("is_typed", "NO")
            .col("commit_action", ())
            .finish()
    };
    listed(catalog).iter().map(row).collect()
}

pub(super) fn views(table: &TableDef, catalog: &DatabaseCatalog) -> Vec<Vec<Datum>> {
    let row = |listed: &Listed| {
        RowBuilder::new(table)
            .col("table_catalog", catalog.name())
            .col("table_schema", &listed.table.schema_name)
            .col("table_name", &listed.table.name)
            .col("view_definition", ())
            .col("check_option", "NONE")
            .col("is_updatable", "NO")
            .col("is_insertable_into", "NO")
            .col("is_trigger_updatable", "NO")
            .col("is_trigger_deletable", "NO")
            .col("is_trigger_insertable_into", "NO")
            .finish()
    };
    listed(catalog).iter().filter(|listed| listed.table.kind == TableKind::Virtual).map(row).collect()
}

pub(super) fn columns(table: &TableDef, catalog: &DatabaseCatalog, context: &EvalContext) -> Vec<Vec<Datum>> {
    let listed = listed(catalog);
    let all = listed
        .iter()
        .flat_map(|listed| listed.table.visible_columns().map(move |(_, column)| (listed, column)));
    all.map(|(listed, column)| column_row(table, catalog, context, &listed.table, column)).collect()
}

fn column_row(
    table: &TableDef,
    catalog: &DatabaseCatalog,
    context: &EvalContext,
    of: &TableDef,
    column: &ColumnDef,
) -> Vec<Datum> {
    let ty = column.ty;
    let default = column.default.as_deref().map(|default| shown_default(default, context));
    let sequence = column.identity.and_then(|identity| catalog.sequence(identity.sequence));
    let of_sequence = |value: fn(&SequenceRules) -> i64| sequence.map(|s| value(&s.rules).to_string());
    let generation = column.identity.map(|identity| if identity.always { "ALWAYS" } else { "BY DEFAULT" });
    let (precision, radix, scale) = numeric_shape(ty);
    let is_array = builtin::type_by_oid(ty.oid).is_some_and(|entry| entry.is_array);
    let (type_schema, type_name) = type_identity(catalog, ty.oid);
    RowBuilder::new(table)
        .col("table_catalog", catalog.name())
        .col("table_schema", &of.schema_name)
        .col("table_name", &of.name)
        .col("column_name", &column.name)
        .col("ordinal_position", i32::from(column.attnum))
        .col("column_default", default)
        .col("is_nullable", yes_or_no(!column.not_null))
        .col("data_type", if is_array { "ARRAY".to_owned() } else { data_type(catalog, ty.oid) })
        .col("character_maximum_length", character_length(ty))
        .col("character_octet_length", octet_length(ty))
        .col("numeric_precision", precision)
        .col("numeric_precision_radix", radix)
        .col("numeric_scale", scale)
        .col("datetime_precision", datetime_precision(ty))
        .nulls(&[
            "interval_type",
            "interval_precision",
            "character_set_catalog",
            "character_set_schema",
            "character_set_name",
            "collation_catalog",
            "collation_schema",
            "collation_name",
            "domain_catalog",
            "domain_schema",
            "domain_name",
        ])
        .col("udt_catalog", catalog.name())
        .col("udt_schema", type_schema)
        .col("udt_name", type_name)
        .nulls(&["scope_catalog", "scope_schema", "scope_name", "maximum_cardinality"])
        .col("dtd_identifier", column.attnum.to_string())
        .col("is_self_referencing", "NO")
        .col("is_identity", yes_or_no(column.identity.is_some()))
        .col("identity_generation", generation)
        .col("identity_start", of_sequence(|rules| rules.start))
        .col("identity_increment", of_sequence(|rules| rules.increment))
        .col("identity_maximum", of_sequence(|rules| rules.max))
        .col("identity_minimum", of_sequence(|rules| rules.min))
        .col("identity_cycle", yes_or_no(sequence.is_some_and(|sequence| sequence.rules.cycle)))
        .col("is_generated", "NEVER")
        .col("generation_expression", ())
        .col("is_updatable", yes_or_no(of.kind == TableKind::Table))
        .finish()
}

fn data_type(catalog: &DatabaseCatalog, ty: Oid) -> String {
    if catalog.type_row(ty).is_some() { "USER-DEFINED".to_owned() } else { format_type(ty, -1) }
}

/// The schema of a type and its name in `pg_type`.
fn type_identity(catalog: &DatabaseCatalog, ty: Oid) -> (String, String) {
    if let Some(row) = catalog.type_row(ty) {
        return (catalog.namespace_name(row.namespace).unwrap_or_default().to_owned(), row.name.clone());
    }
    let name = builtin::type_by_oid(ty).map_or_else(|| type_name(ty), |entry| entry.name.to_owned());
    ("pg_catalog".to_owned(), name)
}

fn character_length(ty: PgType) -> Option<i32> {
    matches!(ty.oid, oids::VARCHAR | oids::BPCHAR).then(|| ty.char_len()).flatten()
}

/// Bytes that a column's strings may take: four to a character, or a gigabyte.
fn octet_length(ty: PgType) -> Option<i32> {
    const UNLIMITED: i32 = 1 << 30;
    matches!(ty.oid, oids::TEXT | oids::VARCHAR | oids::BPCHAR)
        .then(|| character_length(ty).map_or(UNLIMITED, |len| len.saturating_mul(4)))
}

fn numeric_shape(ty: PgType) -> (Option<i32>, Option<i32>, Option<i32>) {
    match ty.oid {
        oids::INT2 => (Some(16), Some(2), Some(0)),
        oids::INT4 => (Some(32), Some(2), Some(0)),
        oids::INT8 => (Some(64), Some(2), Some(0)),
        oids::FLOAT4 => (Some(24), Some(2), None),
        oids::FLOAT8 => (Some(53), Some(2), None),
        oids::NUMERIC => {
            let shape = ty.numeric_precision_scale();
            (shape.map(|(precision, _)| precision), Some(10), shape.map(|(_, scale)| scale))
        }
        _ => (None, None, None),
    }
}

fn datetime_precision(ty: PgType) -> Option<i32> {
    match ty.oid {
        oids::DATE => Some(0),
        oids::TIME | oids::TIMETZ | oids::TIMESTAMP | oids::TIMESTAMPTZ | oids::INTERVAL if ty.typmod < 0 => {
            Some(6)
        }
        oids::TIME | oids::TIMETZ | oids::TIMESTAMP | oids::TIMESTAMPTZ => Some(ty.typmod),
        oids::INTERVAL => Some(if ty.typmod & 0xffff == 0xffff { 6 } else { ty.typmod & 0xffff }),
        _ => None,
    }
}

pub(super) fn table_constraints(table: &TableDef, catalog: &DatabaseCatalog) -> Vec<Vec<Datum>> {
    let row = |schema: &str, name: String, of: &str, kind: &str, nulls_distinct: Option<&str>| {
        RowBuilder::new(table)
            .col("constraint_catalog", catalog.name())
            .col("constraint_schema", schema)
            .col("constraint_name", name)
            .col("table_catalog", catalog.name())
            .col("table_schema", schema)
            .col("table_name", of)
            .col("constraint_type", kind)
            .col("is_deferrable", "NO")
            .col("initially_deferred", "NO")
            .col("enforced", "YES")
            .col("nulls_distinct", nulls_distinct)
            .finish()
    };
    let mut rows = Vec::new();
    for constraint in catalog.constraints() {
        let Some((schema, of)) = table_of(catalog, constraint) else { continue };
        let (kind, nulls) = match constraint.kind {
            b'p' => ("PRIMARY KEY", None),
            b'u' => ("UNIQUE", Some("YES")),
            _ => ("CHECK", None),
        };
        rows.push(row(schema, constraint.name.clone(), of, kind, nulls));
    }
    // The standard counts NOT NULL as a CHECK with a name of its own.
    for (of, column) in not_null_columns(catalog) {
        rows.push(row(&of.schema_name, not_null_name(of, column), &of.name, "CHECK", None));
    }
    rows
}

fn not_null_columns(catalog: &DatabaseCatalog) -> impl Iterator<Item = (&TableDef, &ColumnDef)> {
    catalog.tables().flat_map(|table| {
        let columns = table.visible_columns().filter(|(_, column)| column.not_null);
        columns.map(move |(_, column)| (table.as_ref(), column))
    })
}

fn not_null_name(table: &TableDef, column: &ColumnDef) -> String {
    format!("{}_{}_{}_not_null", table.schema, table.oid, column.attnum)
}

fn table_of<'a>(catalog: &'a DatabaseCatalog, constraint: &ConstraintRow) -> Option<(&'a str, &'a str)> {
    let table = catalog.relation(constraint.relation)?;
    Some((catalog.namespace_name(table.namespace)?, &table.name))
}

/// Each column of each constraint of some kinds, with its place from 1.
fn constrained_columns<'a>(
    catalog: &'a DatabaseCatalog,
    kinds: &'a [u8],
) -> impl Iterator<Item = (&'a ConstraintRow, &'a str, &'a str, &'a str, i32)> {
    let constraints = catalog.constraints().filter(|constraint| kinds.contains(&constraint.kind));
    constraints.flat_map(move |constraint| {
        let columns = constraint.columns.iter().flatten().zip(1..);
        columns.filter_map(move |(number, place)| {
            let (schema, table) = table_of(catalog, constraint)?;
            let column =
                catalog.columns(constraint.relation).iter().find(|column| column.number == *number)?;
            Some((constraint, schema, table, column.name.as_str(), place))
        })
    })
}

pub(super) fn key_column_usage(table: &TableDef, catalog: &DatabaseCatalog) -> Vec<Vec<Datum>> {
    constrained_columns(catalog, b"pu")
        .map(|(constraint, schema, of, column, place)| {
            RowBuilder::new(table)
                .col("constraint_catalog", catalog.name())
                .col("constraint_schema", schema)
                .col("constraint_name", &constraint.name)
                .col("table_catalog", catalog.name())
                .col("table_schema", schema)
                .col("table_name", of)
                .col("column_name", column)
                .col("ordinal_position", place)
                .col("position_in_unique_constraint", ())
                .finish()
        })
        .collect()
}

pub(super) fn constraint_column_usage(table: &TableDef, catalog: &DatabaseCatalog) -> Vec<Vec<Datum>> {
    constrained_columns(catalog, b"puc")
        .map(|(constraint, schema, of, column, _)| {
            RowBuilder::new(table)
                .col("table_catalog", catalog.name())
                .col("table_schema", schema)
                .col("table_name", of)
                .col("column_name", column)
                .col("constraint_catalog", catalog.name())
                .col("constraint_schema", schema)
                .col("constraint_name", &constraint.name)
                .finish()
        })
        .collect()
}

pub(super) fn check_constraints(table: &TableDef, catalog: &DatabaseCatalog) -> Vec<Vec<Datum>> {
    let row = |schema: &str, name: String, clause: String| {
        RowBuilder::new(table)
            .col("constraint_catalog", catalog.name())
            .col("constraint_schema", schema)
            .col("constraint_name", name)
            .col("check_clause", clause)
            .finish()
    };
    let mut rows = Vec::new();
    for constraint in catalog.constraints().filter(|constraint| constraint.kind == b'c') {
        let Some((schema, _)) = table_of(catalog, constraint) else { continue };
        let definition = deparse::constraint_definition(catalog, constraint);
        let clause =
            definition.trim_start_matches("CHECK (").strip_suffix(')').unwrap_or_default().to_owned();
        rows.push(row(schema, constraint.name.clone(), clause));
    }
    for (of, column) in not_null_columns(catalog) {
        let clause = format!("{} IS NOT NULL", quote_ident(&column.name));
        rows.push(row(&of.schema_name, not_null_name(of, column), clause));
    }
    rows
}
