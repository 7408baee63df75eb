//! What can be set of a pageserver.

use serde::{Deserialize, Serialize};

/// Settings of a pageserver; the defaults suit a server, [`Config::small`] suits tests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// A memtable of this size is written as a layer, in bytes.
    pub memtable_bytes: u64,
    /// A shard that has had no flush for so long writes what it has, in milliseconds.
    pub idle_flush_millis: u64,
    /// Pages and blocks are about so large, in bytes. At most 24 KiB.
    pub page_bytes: usize,
    /// Memory for blocks and indexes of layers, in bytes.
    pub cache_bytes: u64,
    /// Local disk for whole layers, in bytes. 0 keeps none, which is right when the object store is a
    /// folder of the same machine.
    pub local_cache_bytes: u64,
    /// Memtables that may wait to be written before the feed is held back.
    pub waiting_memtables: usize,
    /// How many bytes the feed may send ahead of ingest.
    pub ingest_credit_bytes: u64,
    /// A read waits no longer than this for ingest, in milliseconds.
    pub read_wait_millis: u64,
    /// Compaction writes layers of about this size, in bytes.
    pub layer_bytes: u64,
    /// Level-0 deltas are merged when there are so many bytes of them; each further level holds
    /// [`Config::level_ratio`] times as much.
    pub level_0_bytes: u64,
    /// See [`Config::level_0_bytes`].
    pub level_ratio: u64,
    /// An image is made of a key range when the deltas above the last one come to this percentage of
    /// its size.
    pub image_delta_percent: u64,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            memtable_bytes: 64 << 20,
            idle_flush_millis: 60_000,
            page_bytes: 16 << 10,
            cache_bytes: 256 << 20,
            local_cache_bytes: 0,
            waiting_memtables: 2,
            ingest_credit_bytes: 16 << 20,
            read_wait_millis: 10_000,
            layer_bytes: 64 << 20,
            level_0_bytes: 256 << 20,
            level_ratio: 8,
            image_delta_percent: 50,
        }
    }
}

impl Config {
    /// Everything tiny, so that a short test crosses flush, compaction and eviction.
    pub fn small() -> Config {
        Config {
            memtable_bytes: 64 << 10,
            idle_flush_millis: 200,
            page_bytes: 1 << 10,
            cache_bytes: 1 << 20,
            ingest_credit_bytes: 256 << 10,
            layer_bytes: 64 << 10,
            level_0_bytes: 256 << 10,
            level_ratio: 4,
            ..Config::default()
        }
    }
}
