//! An in-memory log with a certifier, and a model of a pageserver over its history. For tests only:
//! nothing here is durable, and nothing is fast.

mod history;
mod log;
mod pages;

pub use history::History;
pub use log::MemoryWal;
pub use pages::ModelPages;

use crate::{BranchCache, CacheConfig};
use shardforge_common::{BranchRef, Lsn, SlotRange, random};
use std::sync::Arc;

/// A branch for tests.
pub fn test_branch() -> BranchRef {
    BranchRef { tenant: random::tenant_id(), branch: random::branch_id() }
}

/// A log and a pageserver of it, on a new branch.
pub fn test_services(seed: u64) -> (BranchRef, Arc<MemoryWal>, Arc<ModelPages>) {
    let branch = test_branch();
    let wal = MemoryWal::new(branch);
    let pages = ModelPages::new(wal.clone(), seed);
    (branch, wal, pages)
}

/// An empty cache over a pageserver, from LSN 0.
pub fn test_cache(branch: BranchRef, config: CacheConfig, pages: Arc<ModelPages>) -> Arc<BranchCache> {
    BranchCache::new(branch, config, pages, &[SlotRange::ALL], Lsn::ZERO)
}
