//! ANALYZE by itself, as PostgreSQL's autovacuum daemon runs it: in the background, of tables of which enough has
//! changed since they were last looked at. There is nothing to vacuum here, but the settings are PostgreSQL's.
//!
//! # How it keeps out of the way
//!
//! 1. It runs on the background's threads, which have a low priority, and rests between pages.
//! 2. It takes no locks. It reads in one transaction and writes what it found in another, short one.
//! 3. What it writes is checked by nobody else: rows of the catalog's statistics, and the version of the schema in a
//!    way that is no change of the schema ([`crate::catalog::CatalogCache`]). It is itself that fails, when the table
//!    was changed meanwhile.
//!
//! Each compute runs one for each branch. Two that look at the same table at a time both find the truth, and the
//! later one's stays.

use super::{TableStatistics, sample};
use crate::SqlResult;
use crate::catalog::stored::DatabaseRow;
use crate::catalog::{TableDef, TableKind, access, check_table_version};
use crate::ddl::{Look, keep_statistics};
use crate::node::OpenBranch;
use crate::row_exec::TableCodec;
use crate::txn::{Txn, TxnOptions};
use shardforge_common::clock::Clock;
use shardforge_common::task;
use shardforge_types::Oid;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// PostgreSQL's settings of the same names, with its defaults.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AutovacuumConfig {
    /// `autovacuum`.
    pub enabled: bool,
    /// `autovacuum_naptime`.
    pub naptime: Duration,
    /// `autovacuum_analyze_threshold`, in rows.
    pub analyze_threshold: u64,
    /// `autovacuum_analyze_scale_factor`: a part of the table's rows.
    pub analyze_scale_factor: f64,
}

impl Default for AutovacuumConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            naptime: Duration::from_secs(60),
            analyze_threshold: 50,
            analyze_scale_factor: 0.1,
        }
    }
}

impl AutovacuumConfig {
    /// Whether a table of so many rows is to be looked at again after so many have been written.
    fn is_due(&self, known: Option<&TableStatistics>, modified: u64) -> bool {
        let rows = known.map_or(0.0, |known| known.rows);
        modified as f64 > self.analyze_threshold as f64 + self.analyze_scale_factor * rows
    }
}

/// Looks after the tables of a branch, until it is dropped or closed.
pub(crate) async fn run(branch: Weak<OpenBranch>, config: AutovacuumConfig, clock: Arc<dyn Clock>) {
    let mut seen = None;
    loop {
        {
            let Some(branch) = branch.upgrade().filter(|branch| !branch.branch.cache().is_closed()) else {
                return;
            };
            let steps = branch.activity.steps();
            if seen != Some(steps) {
                match round(&branch, &config, &*clock).await {
                    Ok(()) => seen = Some(steps),
                    Err(error) => tracing::debug!(%error, "autovacuum has to try again"),
                }
            }
        }
        task::sleep(config.naptime).await;
    }
}

/// Looks at all that are due.
async fn round(branch: &OpenBranch, config: &AutovacuumConfig, clock: &dyn Clock) -> SqlResult<()> {
    let mut due: Vec<(Oid, Arc<TableDef>)> = Vec::new();
    {
        let mut txn = Txn::begin(&branch.branch, TxnOptions::default());
        txn.begin_statement().await?;
        let mut storages = Vec::new();
        for database in access::peek_all::<DatabaseRow>(&mut txn, &[]).await? {
            let catalog = branch.catalogs.load(&mut txn, database.oid).await?;
            for table in catalog.tables().filter(|table| table.kind == TableKind::Table) {
                storages.push(table.storage);
                let known = catalog.statistics(table.oid).map(|known| &**known);
                let is_due = match branch.activity.of(table, known) {
                    Some(activity) => config.is_due(known, activity.modified),
                    None => is_filled(branch, &txn, table, config).await?,
                };
                if is_due {
                    due.push((database.oid, table.clone()));
                }
            }
        }
        storages.sort_unstable();
        branch.activity.keep_marks(|storage| storages.binary_search(&storage).is_ok());
    }
    for (database, table) in due {
        match look_at(branch, database, &table, clock).await {
            Ok(()) => tracing::debug!(table = table.name, "analyzed automatically"),
            Err(error) => tracing::debug!(table = table.name, %error, "not analyzed"),
        }
    }
    Ok(())
}

/// Whether a table of which nothing is known, because it is older than this process and was never analyzed, has
/// so many rows that a table that had grown to them would be due. Smaller ones are known from now on.
async fn is_filled(
    branch: &OpenBranch,
    txn: &Txn,
    table: &Arc<TableDef>,
    config: &AutovacuumConfig,
) -> SqlResult<bool> {
    let written = branch.activity.written(table);
    let codec = Arc::new(TableCodec::new(table.clone()));
    let rows = sample::count_up_to(&txn.reader(), &codec, config.analyze_threshold + 1).await?;
    let filled = config.is_due(None, rows);
    if !filled {
        branch.activity.looked(table, None, rows as f64, written);
    }
    Ok(filled)
}

/// Looks at one table, and keeps what is found if the table is still the same.
async fn look_at(
    branch: &OpenBranch,
    database: Oid,
    table: &Arc<TableDef>,
    clock: &dyn Clock,
) -> SqlResult<()> {
    let written = branch.activity.written(table);
    let known = {
        let mut txn = Txn::begin(&branch.branch, TxnOptions::default());
        txn.begin_statement().await?;
        let codec = Arc::new(TableCodec::new(table.clone()));
        sample::analyze(&txn.reader(), &codec, sample::Pace::background()).await?
    };
    let mut txn = Txn::begin(&branch.branch, TxnOptions::default());
    txn.begin_statement().await?;
    let catalog = branch.catalogs.load(&mut txn, database).await?;
    if catalog.table(table.oid).is_none_or(|now| now.schema_version != table.schema_version) {
        return Ok(());
    }
    check_table_version(&mut txn, database, table.oid);
    let look = Look { at: clock.wall_micros(), automatic: true };
    keep_statistics(&mut txn, &catalog, table, &known, look).await?;
    txn.commit().await?;
    branch.activity.looked(table, Some(look.at), known.rows, written);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_due_when_more_than_threshold_and_part_have_changed() {
        let config = AutovacuumConfig::default();
        assert!(!config.is_due(None, 50));
        assert!(config.is_due(None, 51));
        let known = TableStatistics { rows: 1000.0, ..TableStatistics::default() };
        assert!(!config.is_due(Some(&known), 150));
        assert!(config.is_due(Some(&known), 151));
    }
}
