//! Schema changes on two computes over one log: each test is named for what it shows.

mod cases;
mod indexes;
mod keys;

use super::{DdlContext, DdlOutcome, execute};
use crate::SqlResult;
use crate::catalog::bootstrap::{self, POSTGRES, SUPERUSER};
use crate::catalog::stored::LAST_RESERVED;
use crate::catalog::{CatalogCache, IdAllocator, SessionCatalog, TableDef, access};
use crate::functions::EvalContext;
use crate::sequence::SequenceBlocks;
use crate::sql::CatalogLookup;
use crate::sql::bound::{AlterTableAction, CreateTable, Ddl, NewColumn, NewUnique};
use crate::statistics::TableActivity;
use crate::txn::{Branch, BranchConfig, Checked, IsolationLevel, Txn, Visibility};
use bytes::Bytes;
use shardforge_cache::testing::{MemoryWal, ModelPages, test_services};
use shardforge_common::clock::{ManualClock, SystemClock};
use shardforge_common::disk::RealDisk;
use shardforge_common::{BranchRef, StorageId};
use shardforge_types::{Oid, PgType, SqlState};
use std::sync::Arc;

/// Two computes over one log and one pageserver.
struct World {
    id: BranchRef,
    wal: Arc<MemoryWal>,
    pages: Arc<ModelPages>,
    spill: tempfile::TempDir,
}

/// One compute's view of the branch.
struct Compute {
    branch: Arc<Branch>,
    cache: CatalogCache,
    ids: IdAllocator,
    activity: TableActivity,
    sequences: SequenceBlocks,
}

/// A transaction with the catalog its statement sees.
struct Session<'a> {
    compute: &'a Compute,
    txn: Txn,
    database: Oid,
}

impl World {
    fn new() -> World {
        let (id, wal, pages) = test_services(7);
        World { id, wal, pages, spill: tempfile::tempdir().unwrap() }
    }

    /// A compute that starts, or starts again.
    async fn compute(&self, name: &str) -> Compute {
        let config = BranchConfig {
            cache_bytes: 1 << 20,
            recent_bytes: 64 << 10,
            page_bytes: 1 << 10,
            spill_bytes: 64 << 10,
            spill_dir: self.spill.path().join(name),
            ..BranchConfig::default()
        };
        let branch = Branch::open(
            self.id,
            config,
            self.wal.clone(),
            self.pages.clone(),
            Arc::new(RealDisk),
            Arc::new(SystemClock),
        );
        let branch = branch.await.unwrap();
        bootstrap::ensure(&branch).await.unwrap();
        let sequences = SequenceBlocks::new(branch.clone(), Arc::new(ManualClock::new(0)));
        let activity = TableActivity::new(branch.cache().clone(), 0, LAST_RESERVED);
        let ids = IdAllocator::new(branch.clone());
        Compute { ids, branch, cache: CatalogCache::new(), activity, sequences }
    }
}

impl Compute {
    async fn begin(&self) -> Session<'_> {
        self.begin_in(POSTGRES).await
    }

    async fn begin_in(&self, database: Oid) -> Session<'_> {
        let mut txn = self.branch.begin(IsolationLevel::ReadCommitted);
        txn.begin_statement().await.unwrap();
        Session { compute: self, txn, database }
    }

    /// A transaction of one schema change.
    async fn run(&self, ddl: Ddl) -> SqlResult<DdlOutcome> {
        let mut session = self.begin().await;
        let outcome = session.run(ddl).await?;
        session.commit().await?;
        Ok(outcome)
    }

    async fn table(&self, name: &str) -> Option<Arc<TableDef>> {
        self.begin().await.table(name).await
    }
}

impl Session<'_> {
    async fn catalog(&mut self) -> SessionCatalog {
        let catalog = self.compute.cache.load(&mut self.txn, self.database).await.unwrap();
        SessionCatalog::new(catalog, &["$user", "public"], "postgres")
    }

    async fn table(&mut self, name: &str) -> Option<Arc<TableDef>> {
        self.catalog().await.table(None, name).unwrap()
    }

    async fn run(&mut self, ddl: Ddl) -> SqlResult<DdlOutcome> {
        let catalog = self.catalog().await;
        let context = DdlContext {
            cache: &self.compute.cache,
            activity: &self.compute.activity,
            ids: &self.compute.ids,
            catalog: &catalog,
            eval: &EvalContext::detached(0),
            sequences: &self.compute.sequences,
            owner: SUPERUSER,
            lock_wait: crate::txn::LockWait::Forever,
            in_transaction_block: false,
        };
        execute(&ddl, &mut self.txn, context).await
    }

    async fn commit(self) -> SqlResult<()> {
        Ok(self.txn.commit().await.map(|_| ())?)
    }
}

fn column(name: &str, ty: PgType) -> NewColumn {
    NewColumn { name: name.to_owned(), ty, not_null: false, default: None, sequence: None }
}

/// `name (a integer primary key, b text)` in `public`.
fn create(name: &str) -> Ddl {
    Ddl::CreateTable(CreateTable {
        schema: crate::catalog::PUBLIC,
        name: name.to_owned(),
        columns: vec![column("a", PgType::INT4), column("b", PgType::TEXT)],
        primary_key: Some((format!("{name}_pkey"), vec![0])),
        unique: Vec::new(),
        checks: Vec::new(),
        notices: Vec::new(),
    })
}

fn drop(table: &Arc<TableDef>) -> Ddl {
    Ddl::DropTable { tables: vec![table.clone()], missing: Vec::new(), cascade: false }
}

fn state<T: std::fmt::Debug>(result: SqlResult<T>) -> SqlState {
    result.expect_err("it was to fail").sqlstate()
}
