//! Page reads: the rows of a key interval at an LSN, merged from memtables and layers.
//!
//! # What is guaranteed
//!
//! 1. A page at LSN p holds exactly the effects of the commits up to p for its interval (I6).
//! 2. p lies within the request's `[floor, snapshot]`, and is never inside a commit (R1, L4).
//! 3. For one view of layers and memtables, pages at one p tile the key space: two keys are in one
//!    page or their pages are disjoint, whichever is asked for first.
//! 4. No page crosses a storage id: a table without rows is one page over all its keys.
//!
//! # The life of a page read
//!
//! 1. [`tile::find`] picks the interval: the image block around the key, narrowed by the blocks of
//!    deltas and the borders of memtables. So a read opens one block of the image, and of each
//!    delta seldom more than two.
//! 2. [`merge::Merge`] walks those blocks and the memtables' rows, newest version first.
//! 3. [`page::build`] cuts what comes out into pages, and gives back the one that covers the key.
//!
//! All of this is synchronous over what is in memory. What is not there is named as a [`Want`]; the
//! shell ([`crate::blocks`]) fetches it and asks again: no lock and no half-done work is held while
//! it waits.
//!
//! Not done here: waiting for ingest (the shard's), and reading through a branch point.

pub(crate) mod cursor;
pub(crate) mod merge;
pub(crate) mod page;
pub(crate) mod tile;

use crate::ingest::memtable::Memtable;
use crate::layer::Layer;
use crate::layer_map::LayerMap;
use bytes::Bytes;
use shardforge_common::{Lsn, SlotRange};
use std::sync::Arc;

/// One version of a key, as sources give it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MemRow {
    pub(crate) key: Bytes,
    pub(crate) lsn: Lsn,
    /// `None` when the key was deleted.
    pub(crate) value: Option<Bytes>,
}

/// Keys at which a source would like pages to end.
pub(crate) trait Borders {
    /// The nearest borders around a key: at or below it and above it; or, when not `including`,
    /// below it and at or above it.
    fn around(&self, key: &[u8], including: bool) -> (Option<Bytes>, Option<Bytes>);

    /// How many borders lie strictly between `lo` and `hi`; two stands for two or more.
    fn inside(&self, lo: &[u8], hi: Option<&[u8]>) -> usize;
}

/// What a read needs and does not find in memory.
#[derive(Debug, Clone)]
pub(crate) struct Want {
    pub(crate) layer: Arc<Layer>,
    pub(crate) part: Part,
}

/// A part of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Part {
    /// Its index.
    Index,
    /// The block of this number.
    Block(u32),
}

/// What a shard's readers see: immutable, replaced whole.
#[derive(Debug, Clone)]
pub(crate) struct View {
    /// Oldest first; the last one takes writes.
    pub(crate) memtables: Vec<Arc<Memtable>>,
    pub(crate) layers: Arc<LayerMap>,
    /// Parts of a commit larger than a memtable that were written and are not yet named in the manifest.
    pub(crate) parts: Vec<Arc<Layer>>,
}

/// The sizes that shape pages.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) slots: SlotRange,
    pub(crate) page_bytes: usize,
}

/// Whether something could be done with what is in memory.
#[derive(Debug)]
pub(crate) enum Outcome<T> {
    Done(T),
    /// Fetch these, and ask again.
    Need(Vec<Want>),
}

/// Unwraps an [`Outcome`], or returns the wants from the function.
macro_rules! ready {
    ($outcome:expr) => {
        match $outcome {
            $crate::read::Outcome::Done(value) => value,
            $crate::read::Outcome::Need(wants) => return Ok($crate::read::Outcome::Need(wants)),
        }
    };
}
pub(crate) use ready;
