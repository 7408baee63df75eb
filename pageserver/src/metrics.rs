//! What a pageserver counts. Handles are made once: counting is an atomic addition.

use metrics::{Counter, Gauge, counter, gauge};

/// The counters, each under its Prometheus name.
pub(crate) struct Metrics {
    /// Indexes of layers read: a proof that layers were.
    pub(crate) layers_opened: Counter,
    /// Blocks of layers read and unpacked.
    pub(crate) blocks_read: Counter,
    /// Blocks found in memory.
    pub(crate) cache_hits: Counter,
    /// Reads of the object store.
    pub(crate) store_reads: Counter,
    /// Local copies found damaged.
    pub(crate) local_damage: Counter,
    /// Pages given out.
    pub(crate) pages_served: Counter,
    /// Memtables written as layers.
    pub(crate) flushes: Counter,
    /// Layers uploaded.
    pub(crate) uploads: Counter,
    /// Bytes of layers uploaded.
    pub(crate) uploaded_bytes: Counter,
    /// Body bytes ingested.
    pub(crate) ingested_bytes: Counter,
    /// Layers deleted.
    pub(crate) layers_deleted: Counter,
    /// Batches received and not yet ingested.
    pub(crate) ingest_lag: Gauge,
}

impl Metrics {
    pub(crate) fn new() -> Metrics {
        Metrics {
            layers_opened: counter!("shardforge_pageserver_layers_opened_total"),
            blocks_read: counter!("shardforge_pageserver_layer_blocks_read_total"),
            cache_hits: counter!("shardforge_pageserver_block_cache_hits_total"),
            store_reads: counter!("shardforge_pageserver_store_reads_total"),
            local_damage: counter!("shardforge_pageserver_local_copies_damaged_total"),
            pages_served: counter!("shardforge_pageserver_pages_served_total"),
            flushes: counter!("shardforge_pageserver_flushes_total"),
            uploads: counter!("shardforge_pageserver_layers_uploaded_total"),
            uploaded_bytes: counter!("shardforge_pageserver_layer_bytes_uploaded_total"),
            ingested_bytes: counter!("shardforge_pageserver_ingested_bytes_total"),
            layers_deleted: counter!("shardforge_pageserver_layers_deleted_total"),
            ingest_lag: gauge!("shardforge_pageserver_ingest_batches_waiting"),
        }
    }
}
