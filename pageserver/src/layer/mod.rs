//! Layers: immutable files of blocks in the object store.
//!
//! A *delta* layer holds every version that commits of an LSN range wrote in a key range, and the
//! tombstones of range deletions; an *image* layer holds the newest version, as of one LSN, of every
//! key that exists in its range. Both are the same file format: an image is a layer whose keys have
//! one version each.
//!
//! # What is guaranteed
//!
//! 1. A layer never changes: its name is new, and it is put once, if absent.
//! 2. Versions lie in one order, keys ascending, LSNs descending, over all blocks.
//! 3. No byte is used unverified (I11): file header, each block and the index have checksums; a
//!    block's is also in the index, so that another file's block is not taken for it.
//! 4. A read opens the index (kept in memory) and then only the blocks that it needs.
//!
//! Which layers exist is the manifest's business; which a read needs, the layer map's.

pub(crate) mod block;
pub(crate) mod file;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use shardforge_common::{Error, Generation, Lsn, Result};
use shardforge_store::ObjectPath;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a layer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum LayerKind {
    /// All rows of a key range at one LSN.
    Image,
    /// The versions of a key range that an LSN range wrote.
    Delta,
}

impl LayerKind {
    pub(crate) fn to_byte(self) -> u8 {
        match self {
            LayerKind::Image => 1,
            LayerKind::Delta => 2,
        }
    }

    pub(crate) fn from_byte(byte: u8) -> Result<Self> {
        match byte {
            1 => Ok(LayerKind::Image),
            2 => Ok(LayerKind::Delta),
            other => Err(Error::corrupt(format!("unknown kind of layer {other}"))),
        }
    }
}

impl fmt::Display for LayerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LayerKind::Image => "image",
            LayerKind::Delta => "delta",
        })
    }
}

/// A deletion of `[start, end)`: hides every version below its LSN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tombstone {
    pub(crate) start: Bytes,
    pub(crate) end: Bytes,
    pub(crate) lsn: Lsn,
}

impl Tombstone {
    /// The LSN below which the key's versions are hidden at `at`, if this says anything about it.
    pub(crate) fn hides(&self, key: &[u8], at: Lsn) -> bool {
        self.lsn <= at && self.start <= key && key < self.end
    }

    /// The part within `[lo, hi)`, if any.
    pub(crate) fn clip(&self, lo: &[u8], hi: Option<&[u8]>) -> Option<Tombstone> {
        let start = if &self.start[..] < lo { Bytes::copy_from_slice(lo) } else { self.start.clone() };
        let end = match hi {
            Some(hi) if hi < &self.end[..] => Bytes::copy_from_slice(hi),
            _ => self.end.clone(),
        };
        (start < end).then_some(Tombstone { start, end, lsn: self.lsn })
    }
}

/// A layer's name in its shard's folder: a ULID and the generation that wrote it (P4).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct LayerName(String);

impl LayerName {
    /// The name of a new layer.
    pub(crate) fn new(ulid: &str, generation: Generation) -> Self {
        Self(format!("{ulid}-{:020}", generation.0))
    }

    /// Takes an object's name.
    pub(crate) fn parse(name: &str) -> Result<Self> {
        let number = name.split_once('-').map(|(_, generation)| generation.parse::<u64>());
        match number {
            Some(Ok(_)) if ObjectPath::new(name).is_ok() && !name.contains('/') => Ok(Self(name.to_string())),
            _ => Err(Error::corrupt(format!("\"{name}\" is not the name of a layer"))),
        }
    }

    /// The generation that wrote the layer.
    pub(crate) fn generation(&self) -> Generation {
        let number = self.0.split_once('-').and_then(|(_, generation)| generation.parse().ok());
        Generation(number.expect("names were parsed when they were made"))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LayerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the manifest knows of a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LayerMeta {
    pub(crate) name: LayerName,
    pub(crate) kind: LayerKind,
    /// 0 for what ingest wrote; compaction merges level n into level n + 1. Images have none: 0.
    pub(crate) level: u8,
    /// The least key that it may hold.
    pub(crate) lo: Bytes,
    /// The least key above all that it may hold; `None` is above every key.
    pub(crate) hi: Option<Bytes>,
    /// Deltas: the LSN before the first that it covers. Images: the LSN before theirs.
    pub(crate) after: Lsn,
    /// Deltas: the last LSN that it covers. Images: theirs.
    pub(crate) through: Lsn,
    /// Length of the file, in bytes.
    pub(crate) size_bytes: u64,
    /// Where its index begins.
    pub(crate) index_offset: u64,
    /// Number of versions.
    pub(crate) versions: u64,
}

impl LayerMeta {
    /// Whether its keys and `[lo, hi)` meet.
    pub(crate) fn overlaps(&self, lo: &[u8], hi: Option<&[u8]>) -> bool {
        hi.is_none_or(|hi| &self.lo[..] < hi) && self.hi.as_ref().is_none_or(|own| lo < &own[..])
    }
}

/// A layer that readers hold: its description, and the number by which caches know it.
#[derive(Debug)]
pub(crate) struct Layer {
    pub(crate) meta: LayerMeta,
    /// Where it lies in the object store.
    pub(crate) path: ObjectPath,
    /// Unique in this process: a cached block is found by it and its place.
    pub(crate) cache_id: u64,
}

impl Layer {
    /// A layer in a shard's folder of layers.
    pub(crate) fn new(meta: LayerMeta, folder: &ObjectPath) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let path = folder.join(meta.name.as_str()).expect("a layer's name is a segment");
        Self { meta, path, cache_id: NEXT.fetch_add(1, Ordering::Relaxed) }
    }
}
