//! Views of what is known of tables' contents, and of what happens to them. What is not counted here is NULL.

use super::rows::RowBuilder;
use super::system_views::listed;
use crate::catalog::database::{DatabaseCatalog, INFORMATION_SCHEMA, PG_CATALOG};
use crate::catalog::{TableDef, TableKind};
use crate::functions::EvalContext;
use crate::statistics::Looks;
use shardforge_types::Datum;

/// Microseconds from 1970 to 2000, where PostgreSQL's times begin.
const EPOCH_MICROS: i64 = 946_684_800_000_000;
/// Beyond this part of the rows, PostgreSQL tells different values as a part of the rows, negative.
const MANY: f64 = 0.1;

/// What ANALYZE found of columns.
pub(super) fn pg_stats(table: &TableDef, catalog: &DatabaseCatalog) -> Vec<Vec<Datum>> {
    let mut rows = Vec::new();
    for of in catalog.tables() {
        let Some(known) = catalog.statistics(of.oid) else { continue };
        for (position, def) in of.visible_columns() {
            let Some(column) = known.columns.get(position).and_then(Option::as_ref) else { continue };
            let there = known.rows.max(1.0);
            let distinct = column.distinct;
            let distinct = if distinct > MANY * there { -(distinct / there).min(1.0) } else { distinct };
            let row = RowBuilder::new(table)
                .col("schemaname", &of.schema_name)
                .col("tablename", &of.name)
                .col("attname", &def.name)
                .col("inherited", false)
                .col("null_frac", column.null_fraction as f32)
                .col("avg_width", i32::try_from(column.width).unwrap_or(i32::MAX))
                .col("n_distinct", distinct as f32)
                .nulls(&["most_common_vals", "most_common_freqs", "histogram_bounds", "correlation"])
                .nulls(&["most_common_elems", "most_common_elem_freqs", "elem_count_histogram"]);
            rows.push(row.finish());
        }
    }
    rows
}

/// `pg_stat_all_tables` and the two that are parts of it.
pub(super) fn pg_stat_tables(
    table: &TableDef,
    catalog: &DatabaseCatalog,
    context: &EvalContext,
) -> Vec<Vec<Datum>> {
    let is_system = |of: &TableDef| of.schema == PG_CATALOG || of.schema == INFORMATION_SCHEMA;
    let wanted = |of: &TableDef| match table.name.as_str() {
        "pg_stat_sys_tables" => is_system(of),
        "pg_stat_user_tables" => !is_system(of),
        _ => true,
    };
    let row = |of: &TableDef| {
        let now = context.catalog.as_ref().and_then(|catalog| catalog.table_activity(of));
        let now = now.filter(|_| of.kind == TableKind::Table);
        let known = catalog.statistics(of.oid);
        let by_hand = known.map_or(Looks::default(), |known| known.by_hand);
        let automatic = known.map_or(Looks::default(), |known| known.automatic);
        let time = |looks: &Looks| looks.last.map(|at| Datum::TimestampTz(at - EPOCH_MICROS));
        RowBuilder::new(table)
            .col("relid", of.oid)
            .col("schemaname", &of.schema_name)
            .col("relname", &of.name)
            .nulls(&["seq_scan", "seq_tup_read", "idx_scan", "idx_tup_fetch"])
            .nulls(&["n_tup_ins", "n_tup_upd", "n_tup_del", "n_tup_hot_upd"])
            .col("n_live_tup", now.map(|now| now.rows as i64))
            .nulls(&["n_dead_tup"])
            .col("n_mod_since_analyze", now.map(|now| now.modified as i64))
            .nulls(&["n_ins_since_vacuum", "last_vacuum", "last_autovacuum"])
            .col("last_analyze", time(&by_hand))
            .col("last_autoanalyze", time(&automatic))
            .nulls(&["vacuum_count", "autovacuum_count"])
            .col("analyze_count", by_hand.times)
            .col("autoanalyze_count", automatic.times)
            .finish()
    };
    let all = listed(catalog);
    let tables = all.iter().map(|listed| &*listed.table);
    tables.filter(|of| of.kind != TableKind::Virtual && wanted(of)).map(row).collect()
}
