//! The views of `pg_catalog` over tables and indexes.

use super::rows::RowBuilder;
use super::shared::role_name;
use super::{definitions, system_tables};
use crate::catalog::builtin;
use crate::catalog::database::{DatabaseCatalog, PG_CATALOG};
use crate::catalog::{TableDef, TableKind, bootstrap, deparse};
use crate::functions::text_io::quote_ident;
use shardforge_types::{Datum, Oid};
use std::collections::HashSet;
use std::sync::LazyLock;

/// A table or view, the system's or a user's, as the views tell of it.
pub(super) struct Listed {
    pub(super) table: std::sync::Arc<TableDef>,
    pub(super) owner: Oid,
}

/// Every table and view, the system's first.
pub(super) fn listed(catalog: &DatabaseCatalog) -> Vec<Listed> {
    let mut system: Vec<_> = system_tables().cloned().collect();
    system.sort_by_key(|table| table.oid);
    let owner = |oid| catalog.relation(oid).map_or(bootstrap::SUPERUSER, |relation| relation.owner);
    let all = system.into_iter().chain(catalog.tables().cloned());
    all.map(|table| Listed { owner: owner(table.oid), table }).collect()
}

pub(super) fn pg_tables(table: &TableDef, catalog: &DatabaseCatalog) -> Vec<Vec<Datum>> {
    let system_indexed: HashSet<Oid> = super::builtin_rows::builtin_rows("pg_index")
        .iter()
        .filter_map(|row| if let Datum::Oid(oid) = row[1] { Some(oid) } else { None })
        .collect();
    let row = |listed: &Listed| {
        let of = &listed.table;
        RowBuilder::new(table)
            .col("schemaname", &of.schema_name)
            .col("tablename", &of.name)
            .col("tableowner", role_name(catalog, listed.owner))
            .col("tablespace", tablespace(of.oid))
            .col(
                "hasindexes",
                catalog.indexes_of(of.oid).next().is_some() || system_indexed.contains(&of.oid),
            )
            .col("hasrules", false)
            .col("hastriggers", false)
            .col("rowsecurity", false)
            .finish()
    };
    listed(catalog).iter().filter(|listed| listed.table.kind != TableKind::Virtual).map(row).collect()
}

/// The tablespace of a relation that is not in its database's own: what all databases share.
fn tablespace(relation: Oid) -> Option<&'static str> {
    /// `pg_tablespace.oid` of `pg_global`.
    const GLOBAL: Oid = Oid(1664);
    static SHARED: LazyLock<HashSet<Oid>> = LazyLock::new(|| {
        let place = builtin::rows("pg_class").and_then(|catalog| catalog.column("reltablespace"));
        let place = place.expect("the files have the columns of PostgreSQL 15");
        let shared = super::builtin_rows::builtin_rows("pg_class")
            .iter()
            .filter(|row| matches!(row[place], Datum::Oid(GLOBAL)));
        shared.filter_map(|row| if let Datum::Oid(oid) = row[0] { Some(oid) } else { None }).collect()
    });
    SHARED.contains(&relation).then_some("pg_global")
}

pub(super) fn pg_views(table: &TableDef, catalog: &DatabaseCatalog) -> Vec<Vec<Datum>> {
    let row = |listed: &Listed| {
        RowBuilder::new(table)
            .col("schemaname", &listed.table.schema_name)
            .col("viewname", &listed.table.name)
            .col("viewowner", role_name(catalog, listed.owner))
            // The system's views are computed by the program: there is no text of them.
            .col("definition", ())
            .finish()
    };
    listed(catalog).iter().filter(|listed| listed.table.kind == TableKind::Virtual).map(row).collect()
}

pub(super) fn pg_indexes(table: &TableDef, catalog: &DatabaseCatalog) -> Vec<Vec<Datum>> {
    let mut rows = Vec::new();
    let mut push = |oid: Oid, schema: &str, of: &str, name: &str, definition: String| {
        let row = RowBuilder::new(table)
            .col("schemaname", schema)
            .col("tablename", of)
            .col("indexname", name)
            .col("tablespace", tablespace(oid))
            .col("indexdef", definition);
        rows.push(row.finish());
    };
    for row in super::builtin_rows::builtin_rows("pg_index") {
        let (Datum::Oid(index), Datum::Oid(of)) = (&row[0], &row[1]) else { continue };
        let (Some((_, name)), Some((_, of_name))) =
            (definitions::relation_name(*index), definitions::relation_name(*of))
        else {
            continue;
        };
        if let Some(definition) = system_index_definition(*index) {
            push(*index, "pg_catalog", of_name, name, definition);
        }
    }
    for index in catalog.indexes() {
        let (Some(relation), Some(of)) = (catalog.relation(index.oid), catalog.relation(index.table)) else {
            continue;
        };
        let schema = catalog.namespace_name(of.namespace).unwrap_or_default();
        let definition = deparse::index_definition(catalog, index.oid).unwrap_or_default();
        push(index.oid, schema, &of.name, &relation.name, definition);
    }
    rows
}

/// `CREATE INDEX` for an index of a system catalog.
pub fn system_index_definition(oid: Oid) -> Option<String> {
    let catalog = builtin::rows("pg_index")?;
    let [unique_at, keys_at] = [catalog.column("indisunique")?, catalog.column("indkey")?];
    let row = super::builtin_rows::builtin_rows("pg_index")
        .iter()
        .find(|row| matches!(row[0], Datum::Oid(index) if index == oid))?;
    let Datum::Oid(of) = row[1] else { return None };
    let table = definitions::table(of)?;
    let Datum::Array(keys) = &row[keys_at] else { return None };
    let columns = keys.values.iter().filter_map(Datum::as_i64).filter_map(|number| {
        let column = table.columns.get(usize::try_from(number - 1).ok()?)?;
        Some(quote_ident(&column.name))
    });
    let unique = if row[unique_at].as_bool() == Some(true) { "UNIQUE " } else { "" };
    let (namespace, name) = definitions::relation_name(oid)?;
    let schema = if namespace == PG_CATALOG { "pg_catalog" } else { "information_schema" };
    Some(format!(
        "CREATE {unique}INDEX {} ON {schema}.{} USING btree ({})",
        quote_ident(name),
        quote_ident(&table.name),
        columns.collect::<Vec<_>>().join(", ")
    ))
}
