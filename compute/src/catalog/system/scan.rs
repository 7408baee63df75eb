//! Which rows each table of the system has: the one list of them.

use super::builtin_rows::builtin_rows;
use super::{
    relations, sequence_views, session_views, shared, standard_views, statistic_views, system_views,
};
use crate::catalog::database::INFORMATION_SCHEMA;
use crate::catalog::{DatabaseCatalog, TableDef};
use crate::functions::EvalContext;
use crate::report::{RowStream, Rows};
use crate::{SqlError, SqlResult};
use async_trait::async_trait;
use shardforge_types::Datum;

/// The rows of a system table or view, with the values of some columns, given by their positions. 0A000
/// for one that is not built.
pub fn scan(
    table: &TableDef,
    catalog: &DatabaseCatalog,
    context: &EvalContext,
    columns: &[usize],
) -> SqlResult<Rows> {
    let mut out = Vec::new();
    if has_builtin_rows(&table.name) && table.schema != INFORMATION_SCHEMA {
        out.extend(builtin_rows(&table.name).iter().map(|row| pick(row, columns)));
    }
    let own = if table.schema == INFORMATION_SCHEMA {
        information_schema(table, catalog, context)
    } else {
        pg_catalog(table, catalog, context)
    };
    let own = own.ok_or_else(|| SqlError::not_supported(format!("{}.{}", table.schema_name, table.name)))?;
    out.extend(own.iter().map(|row| pick(row, columns)));
    Ok(out)
}

/// The rows of a scan, in batches: what a [`crate::report::TableSource`] answers for a system table.
pub struct SystemRows(std::vec::IntoIter<Vec<Datum>>);

/// Rows in a batch.
const BATCH: usize = 1024;

impl SystemRows {
    /// Rows that [`scan`] gave.
    pub fn new(rows: Rows) -> Self {
        Self(rows.into_iter())
    }
}

#[async_trait]
impl RowStream for SystemRows {
    async fn next(&mut self) -> SqlResult<Rows> {
        Ok(self.0.by_ref().take(BATCH).collect())
    }
}

fn pick(row: &[Datum], columns: &[usize]) -> Vec<Datum> {
    columns.iter().map(|column| row.get(*column).cloned().unwrap_or(Datum::Null)).collect()
}

/// Whether the built-in rows of a catalog are all rows of ours. Roles and schemas are mixed: of the
/// server they were taken from, some are stored in our branches.
fn has_builtin_rows(catalog: &str) -> bool {
    !matches!(catalog, "pg_authid" | "pg_namespace")
}

/// The rows that are not built in; `None` for a table that is not built.
fn pg_catalog(table: &TableDef, catalog: &DatabaseCatalog, context: &EvalContext) -> Option<Vec<Vec<Datum>>> {
    Some(match table.name.as_str() {
        "pg_class" => relations::pg_class(table, catalog),
        "pg_attribute" => relations::pg_attribute(table, catalog),
        "pg_attrdef" => relations::pg_attrdef(table, catalog),
        "pg_sequence" => relations::pg_sequence(table, catalog),
        "pg_sequences" => sequence_views::pg_sequences(catalog),
        "pg_index" => relations::pg_index(table, catalog),
        "pg_constraint" => relations::pg_constraint(table, catalog),
        "pg_type" => relations::pg_type(table, catalog),
        "pg_namespace" => {
            let stored = catalog.namespaces().map(|row| Datum::Oid(row.oid)).collect::<Vec<_>>();
            let is_stored = |row: &Vec<Datum>| matches!(row[0], Datum::Oid(oid) if stored.iter().any(|s| matches!(s, Datum::Oid(s) if *s == oid)));
            // `public` is a row of the branch: it can be dropped.
            let is_public = |row: &Vec<Datum>| row[1].as_str() == Some("public");
            let mut rows: Vec<_> = builtin_rows("pg_namespace")
                .iter()
                .filter(|row| !is_stored(row) && !is_public(row))
                .cloned()
                .collect();
            rows.extend(relations::pg_namespace(table, catalog));
            rows
        }
        "pg_description" => relations::pg_description(table, catalog),
        "pg_depend" => relations::pg_depend(table, catalog),
        "pg_database" => shared::pg_database(table, catalog),
        "pg_authid" => {
            let mut rows = shared::pg_authid(table, catalog);
            rows.extend(shared::predefined_roles().cloned());
            rows
        }
        "pg_auth_members" => shared::pg_auth_members(table),
        "pg_shdescription" => shared::pg_shdescription(table, catalog),
        "pg_roles" => shared::pg_roles(table, catalog),
        "pg_shadow" => shared::pg_shadow(table, catalog, false),
        "pg_user" => shared::pg_shadow(table, catalog, true),
        "pg_group" => shared::pg_group(table, catalog),
        "pg_tables" => system_views::pg_tables(table, catalog),
        "pg_views" => system_views::pg_views(table, catalog),
        "pg_indexes" => system_views::pg_indexes(table, catalog),
        "pg_settings" => session_views::pg_settings(table, context),
        "pg_stat_activity" => session_views::pg_stat_activity(table, catalog, context),
        "pg_stats" => statistic_views::pg_stats(table, catalog),
        "pg_stat_all_tables" | "pg_stat_sys_tables" | "pg_stat_user_tables" => {
            statistic_views::pg_stat_tables(table, catalog, context)
        }
        // All their rows are PostgreSQL's own.
        "pg_aggregate" | "pg_am" | "pg_amop" | "pg_amproc" | "pg_cast" | "pg_collation" | "pg_language"
        | "pg_opclass" | "pg_operator" | "pg_opfamily" | "pg_proc" | "pg_range" | "pg_tablespace" => {
            Vec::new()
        }
        // What they list, we do not have.
        "pg_db_role_setting"
        | "pg_default_acl"
        | "pg_enum"
        | "pg_event_trigger"
        | "pg_extension"
        | "pg_foreign_data_wrapper"
        | "pg_foreign_server"
        | "pg_foreign_table"
        | "pg_inherits"
        | "pg_init_privs"
        | "pg_largeobject"
        | "pg_largeobject_metadata"
        | "pg_parameter_acl"
        | "pg_partitioned_table"
        | "pg_policy"
        | "pg_publication"
        | "pg_publication_namespace"
        | "pg_publication_rel"
        | "pg_replication_origin"
        | "pg_rewrite"
        | "pg_seclabel"
        | "pg_shdepend"
        | "pg_shseclabel"
        | "pg_statistic"
        | "pg_statistic_ext"
        | "pg_statistic_ext_data"
        | "pg_subscription"
        | "pg_subscription_rel"
        | "pg_transform"
        | "pg_trigger"
        | "pg_user_mapping"
        | "pg_available_extensions"
        | "pg_available_extension_versions"
        | "pg_matviews"
        | "pg_policies"
        | "pg_prepared_xacts"
        | "pg_publication_tables"
        | "pg_replication_slots"
        | "pg_rules"
        | "pg_seclabels"
        | "pg_stat_replication"
        | "pg_stat_subscription"
        | "pg_stat_wal_receiver"
        | "pg_stats_ext"
        | "pg_user_mappings" => Vec::new(),
        _ => return None,
    })
}

fn information_schema(
    table: &TableDef,
    catalog: &DatabaseCatalog,
    context: &EvalContext,
) -> Option<Vec<Vec<Datum>>> {
    Some(match table.name.as_str() {
        "information_schema_catalog_name" => standard_views::catalog_name(table, catalog),
        "schemata" => standard_views::schemata(table, catalog),
        "tables" => standard_views::tables(table, catalog),
        "views" => standard_views::views(table, catalog),
        "columns" => standard_views::columns(table, catalog, context),
        "sequences" => sequence_views::sequences(table, catalog),
        "table_constraints" => standard_views::table_constraints(table, catalog),
        "key_column_usage" => standard_views::key_column_usage(table, catalog),
        "constraint_column_usage" => standard_views::constraint_column_usage(table, catalog),
        "check_constraints" => standard_views::check_constraints(table, catalog),
        // What they list, we do not have.
        "referential_constraints"
        | "triggers"
        | "foreign_tables"
        | "foreign_servers"
        | "user_defined_types" => Vec::new(),
        _ => return None,
    })
}
