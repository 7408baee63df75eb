//! A compute as a process has it: the branches that are open here, and what all sessions share.

use crate::catalog::{CatalogCache, IdAllocator, bootstrap, roles};
use crate::report::ReportEngine;
use crate::row_exec::RowIds;
use crate::sequence::SequenceBlocks;
use crate::statistics::{AutovacuumConfig, TableActivity, autovacuum};
use crate::txn::{Branch, BranchConfig};
use crate::{SqlError, SqlResult};
use shardforge_common::clock::Clock;
use shardforge_common::disk::Disk;
use shardforge_common::random::Random;
use shardforge_common::{BranchId, ErrorKind, task};
use shardforge_proto::control::ControlService;
use shardforge_proto::page::PageService;
use shardforge_proto::wal::WalService;
use shardforge_types::SqlState;
use std::collections::HashMap;
use std::sync::Arc;

/// What a compute is made of.
pub struct ComputeParts {
    /// Finds branches.
    pub control: Arc<dyn ControlService>,
    /// The WAL group of every branch, so far one.
    pub wal: Arc<dyn WalService>,
    /// The pageserver of every shard, so far one.
    pub pages: Arc<dyn PageService>,
    /// Where transactions spill to.
    pub disk: Arc<dyn Disk>,
    /// Tells the time to `now()`.
    pub clock: Arc<dyn Clock>,
    /// Makes ids and `random()`.
    pub random: Random,
    /// Runs what the row executor does not.
    pub reports: Arc<dyn ReportEngine>,
    /// Limits of each branch.
    pub branch: BranchConfig,
    /// When tables are analyzed without being asked for.
    pub autovacuum: AutovacuumConfig,
    /// The password that `postgres` is given; empty leaves it as it is.
    pub password: String,
}

/// A branch with what SQL keeps beside it.
pub struct OpenBranch {
    /// Reads and commits.
    pub branch: Arc<Branch>,
    /// Decoded catalogs.
    pub catalogs: CatalogCache,
    /// OIDs and storage ids.
    pub ids: IdAllocator,
    /// Blocks of sequences' numbers.
    pub sequences: Arc<SequenceBlocks>,
    /// What happens to the tables.
    pub activity: Arc<TableActivity>,
    row_ids: tokio::sync::OnceCell<Arc<RowIds>>,
}

impl OpenBranch {
    /// Hidden row ids, reserved when the first table without a primary key is inserted into.
    pub async fn row_ids(&self) -> SqlResult<Arc<RowIds>> {
        let reserve = async || Ok::<_, SqlError>(Arc::new(RowIds::new(self.ids.row_ids().await?)));
        self.row_ids.get_or_try_init(reserve).await.cloned()
    }
}

/// A compute.
pub struct Compute {
    parts: ComputeParts,
    open: tokio::sync::Mutex<HashMap<BranchId, Arc<OpenBranch>>>,
}

impl Compute {
    /// A compute with no branch open.
    pub fn new(parts: ComputeParts) -> Arc<Self> {
        Arc::new(Self { parts, open: tokio::sync::Mutex::default() })
    }

    /// What it is made of.
    pub fn parts(&self) -> &ComputeParts {
        &self.parts
    }

    /// The branch of a name, opened and, when it is new, given its catalog.
    pub async fn open_branch(&self, name: Option<&str>) -> SqlResult<Arc<OpenBranch>> {
        let info = self.parts.control.resolve(None, name).await.map_err(|error| match error.kind() {
            ErrorKind::NotFound => SqlError::new(SqlState::INVALID_CATALOG_NAME, error.message()),
            _ => SqlError::from(error),
        })?;
        let mut open = self.open.lock().await;
        if let Some(branch) = open.get(&info.id.branch) {
            return Ok(branch.clone());
        }
        let (wal, pages) = (self.parts.wal.clone(), self.parts.pages.clone());
        let shards = info.shards.iter().map(|shard| shard.slots).collect();
        let config = BranchConfig { shards, ..self.parts.branch.clone() };
        let (disk, clock) = (self.parts.disk.clone(), self.parts.clock.clone());
        let branch = Branch::open(info.id, config, wal, pages, disk, clock).await?;
        bootstrap::ensure(&branch).await?;
        if !self.parts.password.is_empty() {
            roles::ensure_password(&branch, &self.parts.password, &self.parts.random).await?;
        }
        branch.cache().watch(CatalogCache::versions());
        let ids = IdAllocator::new(branch.clone());
        let (opened_at, first_new) = (self.parts.clock.wall_micros(), ids.next_storage().await?);
        let activity = Arc::new(TableActivity::new(branch.cache().clone(), opened_at, first_new));
        let opened = Arc::new(OpenBranch {
            ids,
            sequences: Arc::new(SequenceBlocks::new(branch.clone(), self.parts.clock.clone())),
            branch,
            catalogs: CatalogCache::new(),
            activity,
            row_ids: tokio::sync::OnceCell::new(),
        });
        self.start_autovacuum(&opened);
        open.insert(info.id.branch, opened.clone());
        Ok(opened)
    }

    fn start_autovacuum(&self, opened: &Arc<OpenBranch>) {
        let config = self.parts.autovacuum;
        if !config.enabled {
            return;
        }
        let work = autovacuum::run(Arc::downgrade(opened), config, self.parts.clock.clone());
        match &self.parts.branch.background {
            Some(runtime) => drop(task::spawn_on(runtime, "autovacuum", work)),
            None => drop(task::spawn("autovacuum", work)),
        }
    }
}
