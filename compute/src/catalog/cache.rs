//! Catalogs in memory, by the version of the schema they were made at.
//!
//! Each schema change of a database writes its version row with a value that no other change has. So
//! a catalog is valid for exactly the snapshots that read the same version, whichever LSN they stand at, an
//! `AS OF` of last week included; and whether a plan is still valid is one comparison.
//!
//! ANALYZE writes the version row too, so that plans are made anew, but as a new value of a row that was there,
//! while schema changes put it whether it was there or not. A SERIALIZABLE transaction has checked at COMMIT that
//! the row was not put ([`Txn::relies_on_existence`]): what tables are said to hold is nothing to it.
//!
//! A transaction that changed the schema reads its own version row. Its catalogs are kept too, but only
//! it sees them: what it commits may stand on top of changes that it did not see, of other tables.
//!
//! # Invariants
//!
//! 1. Entries without a viewer were made of committed rows alone.
//! 2. An entry with a viewer serves that transaction at that snapshot only.

use super::access;
use super::database::{DatabaseCatalog, Rows};
use super::stored::{RelationRow, Stored, StoredRow, VersionRow, key_of, prefix_range};
use crate::txn::{Interrupt, LockWait, TableLock, Txn, Visibility};
use crate::{SqlError, SqlResult};
use bytes::Bytes;
use parking_lot::Mutex;
use shardforge_common::mutation::Aspects;
use shardforge_common::{Lsn, TxnId};
use shardforge_types::{Oid, SqlState};
use std::sync::Arc;

/// How many catalogs are kept: the newest of some databases, and what is read in their past.
const KEPT: usize = 64;

/// The transaction, and its snapshot, that an entry of uncommitted rows is for.
type Viewer = Option<(TxnId, Lsn)>;

struct Entry {
    viewer: Viewer,
    catalog: Arc<DatabaseCatalog>,
}

/// The catalogs of one branch on one compute.
#[derive(Default)]
pub struct CatalogCache {
    /// The most recently used last.
    entries: Mutex<Vec<Entry>>,
}

impl CatalogCache {
    /// An empty cache.
    pub fn new() -> Self {
        Self::default()
    }

    /// The version of a database's schema as the running statement sees it: what plans compare.
    pub fn version(txn: &mut Txn, database: Oid) -> Result<VersionRow, Interrupt> {
        let key = key_of::<VersionRow>(&[database.to_datum()]);
        let row = txn.peek(&key, Visibility::Now)?;
        txn.relies_on_existence(&key);
        match row {
            Some(row) => Ok(VersionRow::decode(&key, &row.value)?),
            None => {
                Err(shardforge_common::Error::not_found(format!("database {database} does not exist")).into())
            }
        }
    }

    /// What the keys of all schema versions begin with: whoever watches them hears of every schema change.
    pub fn versions() -> Bytes {
        prefix_range::<VersionRow>(&[]).0
    }

    /// Whether the running statement sees exactly this catalog, and so plans that were made with it: one
    /// read of a key and one comparison, without an allocation. A transaction that changed the schema
    /// itself is told no, and asks [`CatalogCache::load`].
    pub fn is_current(txn: &mut Txn, catalog: &DatabaseCatalog) -> Result<bool, Interrupt> {
        let (key, value) = catalog.version_bytes();
        let row = txn.peek(key, Visibility::Now)?;
        txn.relies_on_existence(key);
        Ok(row.is_some_and(|row| row.value == value) && txn.id() != catalog.version().txn)
    }

    /// The catalog that the running statement sees, when it is in memory; nothing is awaited.
    pub fn cached(&self, txn: &mut Txn, database: Oid) -> Result<Option<Arc<DatabaseCatalog>>, Interrupt> {
        let version = Self::version(txn, database)?;
        Ok(self.find(&version, viewer(txn, &version)))
    }

    /// The catalog that the running statement sees.
    pub async fn load(&self, txn: &mut Txn, database: Oid) -> SqlResult<Arc<DatabaseCatalog>> {
        let version = access::complete(txn, |txn| Self::version(txn, database)).await.map_err(|error| {
            if error.sqlstate() == SqlState::UNDEFINED_OBJECT {
                SqlError::new(SqlState::INVALID_CATALOG_NAME, error.fields().message.clone())
            } else {
                error
            }
        })?;
        let viewer = viewer(txn, &version);
        if let Some(catalog) = self.find(&version, viewer) {
            return Ok(catalog);
        }
        let rows = read_rows(txn, database).await?;
        let catalog = Arc::new(DatabaseCatalog::assemble(version, rows)?);
        self.keep(Entry { viewer, catalog: catalog.clone() });
        Ok(catalog)
    }

    fn find(&self, version: &VersionRow, viewer: Viewer) -> Option<Arc<DatabaseCatalog>> {
        let mut entries = self.entries.lock();
        let at =
            entries.iter().rposition(|entry| entry.viewer == viewer && entry.catalog.version() == version)?;
        if at + 1 < entries.len() {
            let entry = entries.remove(at);
            entries.push(entry);
        }
        entries.last().map(|entry| entry.catalog.clone())
    }

    fn keep(&self, entry: Entry) {
        let mut entries = self.entries.lock();
        // A transaction has one catalog at a time.
        if let Some((txn, _)) = entry.viewer {
            entries.retain(|other| other.viewer.is_none_or(|(other, _)| other != txn));
        }
        entries.push(entry);
        if entries.len() > KEPT {
            entries.remove(0);
        }
    }
}

/// Asks, at every level, that a table's definition is still this one when the transaction commits (C2).
/// Whoever writes or locks rows of a table, or depends on its schema otherwise, calls it.
pub fn check_table_version(txn: &mut Txn, database: Oid, table: Oid) {
    txn.check_key(key_of::<RelationRow>(&[database.to_datum(), table.to_datum()]), Aspects::READ);
}

/// The same for whoever is about to write rows: changes of the table wait until the transaction has ended,
/// and one that is under way is waited for.
pub fn write_table(txn: &mut Txn, database: Oid, table: Oid, wait: LockWait) -> Result<(), Interrupt> {
    let key = key_of::<RelationRow>(&[database.to_datum(), table.to_datum()]);
    txn.lock_table(&key, TableLock::Write, wait)?;
    txn.check_key(key, Aspects::READ);
    Ok(())
}

/// Locks a table whose definition is about to change: its writers have ended when this returns, and new ones
/// wait. The snapshot is the newest then, where the level allows.
pub async fn change_table(txn: &mut Txn, database: Oid, table: Oid, wait: LockWait) -> SqlResult<()> {
    let key = key_of::<RelationRow>(&[database.to_datum(), table.to_datum()]);
    access::complete(txn, |txn| txn.lock_table(&key, TableLock::Change, wait)).await?;
    Ok(txn.refresh_snapshot().await?)
}

fn viewer(txn: &Txn, version: &VersionRow) -> Viewer {
    (txn.id() == version.txn).then(|| (txn.id(), txn.snapshot()))
}

/// The rows of a database's catalog. What a SERIALIZABLE transaction has to have checked of them is that the
/// version, which it read first, is not another one.
async fn read_rows(txn: &mut Txn, database: Oid) -> SqlResult<Rows> {
    let own = [database.to_datum()];
    Ok(Rows {
        databases: access::peek_all(txn, &[]).await?,
        roles: access::peek_all(txn, &[]).await?,
        namespaces: access::peek_all(txn, &own).await?,
        relations: access::peek_all(txn, &own).await?,
        columns: access::peek_all(txn, &own).await?,
        constraints: access::peek_all(txn, &own).await?,
        indexes: access::peek_all(txn, &own).await?,
        types: access::peek_all(txn, &own).await?,
        sequences: access::peek_all(txn, &own).await?,
        descriptions: access::peek_all(txn, &own).await?,
        shared_descriptions: access::peek_all(txn, &[Oid::INVALID.to_datum()]).await?,
        table_statistics: access::peek_all(txn, &own).await?,
        column_statistics: access::peek_all(txn, &own).await?,
    })
}
