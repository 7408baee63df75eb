//! The service of a pageserver: pages of its shards, as of an LSN.

use async_trait::async_trait;
use bytes::Bytes;
use shardforge_common::page::Page;
use shardforge_common::{BranchRef, Lsn, Result, SlotRange};

/// Which end of an interval a page is wanted from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The page that covers the key.
    Forward,
    /// The page that covers the keys just below the key: for descending scans, where the key is an
    /// excluded upper bound.
    Backward,
}

/// Asks for the page of one key (R1).
#[derive(Debug, Clone)]
pub struct PageRequest {
    /// Where.
    pub branch: BranchRef,
    /// The shard, as the sender's map has it. A wrong map is refused with `Fenced`, never answered
    /// wrongly (I7).
    pub slots: SlotRange,
    /// The key.
    pub key: Bytes,
    /// Which side of the key.
    pub direction: Direction,
    /// The lowest LSN that the answer may have.
    pub floor: Lsn,
    /// The highest LSN that the answer may have.
    pub snapshot: Lsn,
}

/// Asks for consecutive pages of a range, without displacing what is cached.
#[derive(Debug, Clone)]
pub struct ScanRequest {
    /// Where.
    pub branch: BranchRef,
    /// The shard.
    pub slots: SlotRange,
    /// First key.
    pub start: Bytes,
    /// First key beyond the range; `None` is above every key.
    pub end: Option<Bytes>,
    /// The lowest LSN that the answer may have.
    pub floor: Lsn,
    /// The highest LSN that the answer may have.
    pub snapshot: Lsn,
    /// Stop after about so many bytes; the next request starts at the last page's `hi`.
    pub max_bytes: u64,
}

/// How a shard fares, for `status` and metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardStatus {
    /// Where.
    pub branch: BranchRef,
    /// The shard.
    pub slots: SlotRange,
    /// Everything up to here can be served.
    pub ingested: Lsn,
    /// Everything up to here is in layers that the latest manifest names.
    pub uploaded: Lsn,
    /// Number of the latest manifest.
    pub manifest: u64,
    /// Number of layers in it.
    pub layers: u64,
    /// Their size, in bytes.
    pub layer_bytes: u64,
    /// Size of the memtables, in bytes.
    pub memtable_bytes: u64,
}

/// A pageserver, as computes and the control plane see it.
#[async_trait]
pub trait PageService: Send + Sync {
    /// The page that covers a key, at an LSN p with `floor <= p <= snapshot`. Waits while the shard
    /// has not ingested up to `floor`, and fails with `Unavailable` when that takes too long. Fails
    /// with `NotFound` when `snapshot` is below the history that is kept.
    async fn get_page(&self, request: PageRequest) -> Result<Page>;

    /// Consecutive pages from `start`, all at one LSN p with `floor <= p <= snapshot`, at least one.
    /// The last page's `hi` tells where to go on; `None` there means that the shard has no more.
    async fn scan(&self, request: ScanRequest) -> Result<Vec<Page>>;

    /// The shards served here.
    async fn shards(&self) -> Result<Vec<ShardStatus>>;
}
