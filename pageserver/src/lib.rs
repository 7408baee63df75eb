//! The pageserver: turns the log into sharded, versioned pages in an object store.
//!
//! It follows the WAL feed of each shard that is attached to it, keeps what is new in memory,
//! writes it as immutable *layers*, and answers for the rows of any key interval at any LSN of the
//! history. Its local disk holds nothing that cannot be fetched again (I8).
//!
//! # The life of a commit here
//!
//! 1. `ingest::queue` takes the batch from the feed; `ingest` puts its mutations into the memtable.
//! 2. `ingest::flush` writes a full memtable as a level-0 layer, and uploads it.
//! 3. `manifest::keeper` publishes a manifest that names the layer; then the WAL service may trim.
//! 4. `compaction` merges layers, and makes images of key ranges.
//!
//! # The life of a page read
//!
//! 1. [`PageServer`] finds the shard, waits until it has ingested the floor, and picks the LSN.
//! 2. `read::tile` picks the page's interval and its sources; `read::merge` walks them; `read::page`
//!    cuts the page.
//! 3. `blocks` fetches what is not in memory: from the local copy, or from the object store.
//!
//! # What it does not know
//!
//! SQL, tables, transactions: it sees keys, values and LSNs. Which pageserver has which shard is
//! the control plane's business; generations alone keep two owners apart (I7).

mod blocks;
mod compaction;
mod config;
mod gc;
mod ingest;
mod layer;
mod layer_map;
mod manifest;
mod metrics;
mod read;
mod room;
#[cfg(test)]
mod scripts;
mod server;
mod shard;

pub use config::Config;
pub use server::{PageServer, Parts};
