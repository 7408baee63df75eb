//! Runs: a large transaction's own rows on disk, sorted by key, in a temporary file.
//!
//! ```text
//! run    = block*
//! block  = CRC-32C of the rest (4, little endian)  entries*
//! entries = key len (varint)  key  count (varint)  entry*
//! entry  = order (varint)  prior (1)  check LSN + 1, or 0 (varint)  state (1)  [ value len (varint)  value ]
//! ```
//!
//! The file is read by nobody but the process that wrote it, so it is never synced, and it is removed
//! when the run is dropped. The index of first and last keys is in memory, and so is a filter of all keys: in a transaction of
//! many runs, whoever asks for a key that none of them has would read a block of each.

use super::buffer::{Entries, Order, decode_entries, encode_entries};
use super::key_filter::{KeyFilter, KeyHash};
use bytes::Bytes;
use parking_lot::Mutex;
use shardforge_common::disk::{Disk, DiskFile, OpenMode};
use shardforge_common::{Error, Result};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Target size of a block, in bytes.
const BLOCK_BYTES: usize = 32 << 10;

struct Block {
    first_key: Bytes,
    last_key: Bytes,
    offset: u64,
    len: usize,
}

type Rows = Arc<Vec<(Bytes, Entries)>>;

/// A sorted run on disk.
pub(crate) struct Run {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    blocks: Vec<Block>,
    keys: KeyFilter,
    /// The least order of its entries, and the greatest.
    orders: (Order, Order),
    // Reads come near one another: the last block, decoded.
    last: Mutex<Option<(usize, Rows)>>,
}

fn failed(path: &Path, doing: &str, error: std::io::Error) -> Error {
    Error::unavailable(format!("{doing} {}", path.display())).with_source(error)
}

impl Run {
    /// The entries of a key, which has this hash.
    pub(crate) fn get(&self, key: &[u8], hash: KeyHash) -> Result<Option<Entries>> {
        if !self.keys.may_have(hash) {
            return Ok(None);
        }
        let at = self.blocks.partition_point(|block| block.last_key < key);
        if self.blocks.get(at).is_none_or(|block| block.first_key > key) {
            return Ok(None);
        }
        let rows = self.block(at)?;
        let found = rows.binary_search_by(|(row, _)| row[..].cmp(key)).ok();
        Ok(found.map(|index| rows[index].1.clone()))
    }

    /// Whether any of its entries has an order below this one.
    pub(crate) fn has_before(&self, order: Order) -> bool {
        self.orders.0 < order
    }

    /// Whether any of its entries has this order or a greater one.
    pub(crate) fn has_since(&self, order: Order) -> bool {
        self.orders.1 >= order
    }

    /// The blocks that may have keys of `[start, end)`.
    fn blocks_within(&self, start: &[u8], end: Option<&[u8]>) -> Range<usize> {
        let from = self.blocks.partition_point(|block| block.last_key < start);
        let to = end.map_or(self.blocks.len(), |end| self.blocks.partition_point(|b| b.first_key < end));
        from..to.max(from)
    }

    /// Whether a key of it may lie in `[start, end)`.
    pub(crate) fn touches(&self, start: &[u8], end: Option<&[u8]>) -> bool {
        !self.blocks_within(start, end).is_empty()
    }

    /// Whether a key of it may lie between these, both included.
    pub(crate) fn overlaps(&self, first: &[u8], last: &[u8]) -> bool {
        let from = self.blocks.partition_point(|block| block.last_key < first);
        self.blocks.get(from).is_some_and(|block| block.first_key <= last)
    }

    /// The keys in `[start, end)`. Blocks that have none of them are not read.
    pub(crate) fn range<'a>(
        &'a self,
        start: &[u8],
        end: Option<&[u8]>,
        reverse: bool,
    ) -> impl Iterator<Item = Result<(Bytes, Entries)>> + use<'a> {
        let mut blocks = self.blocks_within(start, end);
        let (start, end) = (start.to_vec(), end.map(<[u8]>::to_vec));
        let mut rows: Rows = Arc::default();
        let mut left = 0..0;
        std::iter::from_fn(move || {
            loop {
                if let Some(index) = if reverse { left.next_back() } else { left.next() } {
                    return Some(Ok(rows[index].clone()));
                }
                let at = if reverse { blocks.next_back() } else { blocks.next() }?;
                match self.block(at) {
                    Ok(block) => {
                        let from = block.partition_point(|(key, _)| key[..] < start[..]);
                        let to = end
                            .as_ref()
                            .map_or(block.len(), |end| block.partition_point(|(key, _)| key[..] < end[..]));
                        left = from..to.max(from);
                        rows = block;
                    }
                    Err(error) => {
                        blocks = 0..0;
                        return Some(Err(error));
                    }
                }
            }
        })
    }

    fn block(&self, at: usize) -> Result<Rows> {
        if let Some((held, rows)) = &*self.last.lock()
            && *held == at
        {
            return Ok(rows.clone());
        }
        let block = &self.blocks[at];
        let mut bytes = vec![0; block.len];
        self.file
            .read_exact_at(&mut bytes, block.offset)
            .map_err(|error| failed(&self.path, "reading a transaction's own rows from", error))?;
        let bytes = Bytes::from(bytes);
        let (crc, body) = bytes.split_first_chunk::<4>().expect("a block is written with its checksum");
        if crc32c::crc32c(body) != u32::from_le_bytes(*crc) {
            return Err(Error::corrupt(format!(
                "{} at offset {}: checksum mismatch in a transaction's own rows",
                self.path.display(),
                block.offset
            )));
        }
        let mut rest = body;
        #[cfg(test)]
        super::tests::work::add(super::tests::work::Work::Block);
        let mut rows = Vec::new();
        while !rest.is_empty() {
            rows.push(decode_entries(&bytes, &mut rest)?);
        }
        let rows: Rows = Arc::new(rows);
        *self.last.lock() = Some((at, rows.clone()));
        Ok(rows)
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if let Err(error) = self.disk.remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "a transaction's own rows stay on disk");
        }
    }
}

/// Writes a run, key by key, in order.
pub(crate) struct RunWriter {
    run: Run,
    keys: Vec<KeyHash>,
    block: Vec<u8>,
    first_key: Bytes,
    last_key: Bytes,
    offset: u64,
}

impl RunWriter {
    pub(crate) fn create(disk: Arc<dyn Disk>, path: PathBuf) -> Result<Self> {
        let file = disk
            .open(&path, OpenMode::CreateNew)
            .map_err(|error| failed(&path, "making a file for a transaction's own rows,", error))?;
        let run = Run {
            disk,
            path,
            file,
            blocks: Vec::new(),
            keys: KeyFilter::new(&[]),
            orders: (Order::MAX, 0),
            last: Mutex::default(),
        };
        let (first_key, last_key) = (Bytes::new(), Bytes::new());
        Ok(Self { run, keys: Vec::new(), block: vec![0; 4], first_key, last_key, offset: 0 })
    }

    pub(crate) fn push(&mut self, key: &Bytes, entries: &Entries) -> Result<()> {
        if self.block.len() == 4 {
            self.first_key = Bytes::copy_from_slice(key);
        }
        encode_entries(key, entries, &mut self.block);
        self.keys.push(KeyHash::of(key));
        self.last_key = key.clone();
        for entry in entries {
            let (least, greatest) = &mut self.run.orders;
            (*least, *greatest) = ((*least).min(entry.order), (*greatest).max(entry.order));
        }
        if self.block.len() >= BLOCK_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        let crc = crc32c::crc32c(&self.block[4..]);
        self.block[..4].copy_from_slice(&crc.to_le_bytes());
        self.run
            .file
            .write_all_at(&self.block, self.offset)
            .map_err(|error| failed(&self.run.path, "writing a transaction's own rows to", error))?;
        let first_key = std::mem::take(&mut self.first_key);
        // Of its own, as the first: what it would share is a key of the tree with all that it shares.
        let last_key = Bytes::copy_from_slice(&self.last_key);
        self.run.blocks.push(Block { first_key, last_key, offset: self.offset, len: self.block.len() });
        self.offset += self.block.len() as u64;
        self.block.truncate(4);
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Result<Run> {
        if self.block.len() > 4 {
            self.flush()?;
        }
        self.run.keys = KeyFilter::new(&self.keys);
        Ok(self.run)
    }
}
