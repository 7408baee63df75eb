//! An opened branch: what all its transactions in this compute share.

use shardforge_common::disk::Disk;
use shardforge_common::{BranchRef, Lsn, Result};
use shardforge_proto::page::PageService;
use shardforge_proto::wal::WalService;
use std::path::PathBuf;
use std::sync::Arc;

/// Limits of a branch in this compute.
#[derive(Debug, Clone)]
pub struct BranchConfig {
    /// Bytes of cached pages.
    pub cache_bytes: usize,
    /// Bytes of recent writes beyond which they are folded into pages.
    pub recent_bytes: usize,
    /// Target size of a page made by folding.
    pub page_bytes: usize,
    /// Bytes of a transaction's own rows beyond which they go to disk.
    pub spill_bytes: usize,
    /// Where they go.
    pub spill_dir: PathBuf,
}

impl Default for BranchConfig {
    fn default() -> Self {
        Self {
            cache_bytes: 256 << 20,
            recent_bytes: 64 << 20,
            page_bytes: 16 << 10,
            spill_bytes: 32 << 20,
            spill_dir: std::env::temp_dir(),
        }
    }
}

/// A branch with its feed, cache and locks.
pub struct Branch {
    id: BranchRef,
}

impl Branch {
    /// Subscribes to the branch's feed, from what its pageservers can serve.
    pub async fn open(
        id: BranchRef,
        config: BranchConfig,
        wal: Arc<dyn WalService>,
        pages: Arc<dyn PageService>,
        disk: Arc<dyn Disk>,
    ) -> Result<Arc<Branch>> {
        let _ = (config, wal, pages, disk);
        Ok(Arc::new(Branch { id }))
    }

    /// Which branch.
    pub fn id(&self) -> BranchRef {
        self.id
    }

    /// The newest committed LSN, confirmed by the log's leader (S1), and applied here.
    pub async fn snapshot(&self) -> Result<Lsn> {
        todo!("lands next")
    }

    /// Everything up to here has been applied.
    pub fn applied(&self) -> Lsn {
        todo!("lands next")
    }

    /// Waits until a commit has come down the feed.
    pub async fn wait_applied(&self, lsn: Lsn) -> Result<()> {
        let _ = lsn;
        todo!("lands next")
    }
}
