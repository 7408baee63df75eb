//! Rows that come in no order and are to be written in key order: sorted in pieces, which go to disk when
//! memory is short. What comes out is merged by [`super::sorted`].
//!
//! Indexes and moved tables are built through it: rows in key order cost a transaction's buffer, the log and
//! everyone behind it least. A sorter is one thread's; several of them, one for each, sort one storage.

use super::bulk::{Body, SpillFile};
use super::sorted::{Block, SortedRun};
use super::transaction::row_fits;
use super::{Branch, TxnError};
use bytes::Bytes;
use shardforge_common::Result;
use shardforge_common::key::STORAGE_ID_LEN;
use shardforge_common::mutation::{put_varint, tag};
use std::sync::Arc;

/// Target size of a run's block, in bytes.
const BLOCK_BYTES: usize = 16 << 10;

/// A row's place in its piece. The leading bytes of the key behind the storage id decide most comparisons.
struct Place {
    prefix: u64,
    /// Where the row begins, its key, and how long they are.
    at: u32,
    key_at: u32,
    key_len: u32,
    len: u32,
}

/// Rows that fit in memory, each as the log has it: an Insert.
#[derive(Default)]
struct Piece {
    bytes: Vec<u8>,
    places: Vec<Place>,
}

impl Piece {
    fn len_bytes(&self) -> usize {
        self.bytes.len() + self.places.len() * size_of::<Place>()
    }

    fn push(&mut self, key: &[u8], value: &[u8]) {
        let at = self.bytes.len();
        self.bytes.push(tag::INSERT);
        put_varint(&mut self.bytes, key.len() as u64);
        let key_at = self.bytes.len();
        self.bytes.extend_from_slice(key);
        put_varint(&mut self.bytes, value.len() as u64);
        self.bytes.extend_from_slice(value);
        let mut prefix = [0; 8];
        let lead = key.get(STORAGE_ID_LEN..).unwrap_or(&[]);
        let len = lead.len().min(8);
        prefix[..len].copy_from_slice(&lead[..len]);
        self.places.push(Place {
            prefix: u64::from_be_bytes(prefix),
            at: at as u32,
            key_at: key_at as u32,
            key_len: key.len() as u32,
            len: (self.bytes.len() - at) as u32,
        });
    }

    fn key(&self, place: &Place) -> &[u8] {
        &self.bytes[place.key_at as usize..][..place.key_len as usize]
    }

    fn sort(&mut self) {
        let mut places = std::mem::take(&mut self.places);
        let by_key =
            |a: &Place, b: &Place| a.prefix.cmp(&b.prefix).then_with(|| self.key(a).cmp(self.key(b)));
        // Rows often come in order, or nearly so.
        if !places.is_sorted_by(|a, b| by_key(a, b).is_le()) {
            places.sort_unstable_by(by_key);
        }
        self.places = places;
    }

    /// The rows in key order, in blocks: the first key of each, and its bytes.
    fn blocks(&mut self, mut block: impl FnMut(Bytes, Vec<u8>) -> Result<()>) -> Result<()> {
        self.sort();
        let mut first = None;
        let mut body = Vec::new();
        for place in &self.places {
            let row = &self.bytes[place.at as usize..][..place.len as usize];
            if body.len() + row.len() > BLOCK_BYTES
                && let Some(first) = first.take()
            {
                block(first, std::mem::take(&mut body))?;
            }
            if first.is_none() {
                first = Some(Bytes::copy_from_slice(self.key(place)));
                body.reserve(BLOCK_BYTES.max(row.len()));
            }
            body.extend_from_slice(row);
        }
        first.map_or(Ok(()), |first| block(first, body))
    }
}

/// Takes rows in any order.
pub(crate) struct Sorter {
    branch: Arc<Branch>,
    /// A piece of this size is sorted and goes to disk, in bytes.
    limit: usize,
    piece: Piece,
    runs: Vec<SortedRun>,
    spilled: Option<(Arc<SpillFile>, u64)>,
}

impl Sorter {
    /// One of several that may together hold what a transaction may in memory.
    pub(crate) fn new(branch: Arc<Branch>, several: usize) -> Self {
        let limit = branch.config.spill_bytes.min(u32::MAX as usize / 2) / several.max(1);
        Self { branch, limit, piece: Piece::default(), runs: Vec::new(), spilled: None }
    }

    /// Takes a row. May sort and write to disk.
    pub(crate) fn push(&mut self, key: &[u8], value: &[u8]) -> std::result::Result<(), TxnError> {
        row_fits(key, value.len())?;
        self.piece.push(key, value);
        if self.piece.len_bytes() > self.limit {
            self.spill()?;
        }
        Ok(())
    }

    fn spill(&mut self) -> Result<()> {
        let (file, mut offset) = match self.spilled.take() {
            Some(spilled) => spilled,
            None => (SpillFile::create(&self.branch.disk, self.branch.new_spill()?)?, 0),
        };
        let mut blocks = Vec::new();
        self.piece.blocks(|first, body| {
            blocks.push(Block { first, body: file.write(&body, offset)? });
            offset += body.len() as u64;
            Ok(())
        })?;
        self.runs.push(SortedRun { blocks });
        self.piece.bytes.clear();
        self.piece.places.clear();
        self.spilled = Some((file, offset));
        Ok(())
    }

    /// Everything, in runs.
    pub(crate) fn finish(mut self) -> Result<Vec<SortedRun>> {
        let mut blocks = Vec::new();
        self.piece.blocks(|first, body| {
            blocks.push(Block { first, body: Body::Memory(body.into()) });
            Ok(())
        })?;
        self.runs.push(SortedRun { blocks });
        Ok(self.runs)
    }
}
