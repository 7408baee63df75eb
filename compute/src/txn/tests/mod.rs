//! Transactions on two computes over one log: scripts named for what they show, and cases for what
//! a script cannot say.

mod bulk;
mod cases;
mod histories;
mod lease;
mod script;
pub(super) mod work;

use super::{Branch, BranchConfig};
use bytes::Bytes;
use shardforge_cache::testing::{MemoryWal, ModelPages, test_services};
use shardforge_common::clock::SystemClock;
use shardforge_common::disk::RealDisk;
use shardforge_common::{BranchRef, StorageId, key};
use std::sync::Arc;

/// Two computes over one log and one pageserver.
struct World {
    id: BranchRef,
    wal: Arc<MemoryWal>,
    pages: Arc<ModelPages>,
    a: Arc<Branch>,
    b: Arc<Branch>,
    _spill: tempfile::TempDir,
}

fn small(spill_dir: &std::path::Path, name: &str) -> BranchConfig {
    BranchConfig {
        cache_bytes: 1 << 20,
        recent_bytes: 64 << 10,
        page_bytes: 1 << 10,
        spill_bytes: 16 << 10,
        spill_dir: spill_dir.join(name),
        fragment_bytes: 4 << 10,
        ..BranchConfig::default()
    }
}

impl World {
    async fn new() -> World {
        Self::with_spill_bytes(16 << 10).await
    }

    /// Transactions keep so much of their own writes in memory.
    async fn with_spill_bytes(spill_bytes: usize) -> World {
        let (id, wal, pages) = test_services(7);
        let spill = tempfile::tempdir().unwrap();
        let open = |name: &str| {
            Branch::open(
                id,
                BranchConfig { spill_bytes, ..small(spill.path(), name) },
                wal.clone(),
                pages.clone(),
                Arc::new(RealDisk),
                Arc::new(SystemClock),
            )
        };
        let (a, b) = (open("a").await.unwrap(), open("b").await.unwrap());
        World { id, wal, pages, a, b, _spill: spill }
    }
}

/// A key of a table with one text column.
fn key_in(storage: u64, name: &str) -> Bytes {
    let mut key = key::storage_prefix(StorageId(storage)).to_vec();
    key.push(key::marker::VARIABLE_ASC);
    key.extend_from_slice(name.as_bytes());
    key.extend_from_slice(&[0, 1]);
    key.into()
}

fn key_of(name: &str) -> Bytes {
    key_in(1, name)
}

fn name_of(key: &[u8]) -> String {
    String::from_utf8_lossy(&key[9..key.len().saturating_sub(2).max(9)]).into_owned()
}
