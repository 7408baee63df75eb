//! Sorted runs of one storage's rows, and their merge into chunks of a transaction's own rows.
//!
//! The keys are cut into parts of about a chunk; each part is merged by itself, so that several threads do it
//! side by side, and only a few parts are in memory at a time.
//!
//! # Invariants
//!
//! 1. Keys ascend in a run, over all its blocks; a key may be there twice.
//! 2. Every key is in exactly one part. So two rows of one key meet in its merge, which ends with one of them.

use super::bulk::{Body, NewChunk};
use bytes::Bytes;
use shardforge_common::mutation::{Mutation, varint_len};
use shardforge_common::{Error, Result};
use std::ops::Range;
use std::sync::Arc;

/// A row, key and value, whose key another row has.
pub(crate) type Twice = (Bytes, Bytes);

/// Rows that follow one another, as the log has them.
pub(super) struct Block {
    pub(super) first: Bytes,
    pub(super) body: Body,
}

/// Rows in key order.
pub(crate) struct SortedRun {
    pub(super) blocks: Vec<Block>,
}

/// Rows of one storage in several runs.
#[derive(Clone)]
pub(crate) struct Sorted {
    runs: Arc<Vec<SortedRun>>,
    part_bytes: usize,
}

/// A walk over a run, at a row.
struct Cursor<'a> {
    run: &'a SortedRun,
    /// The block after the one at hand.
    next: usize,
    body: Bytes,
    row: Range<usize>,
    key: Range<usize>,
}

impl<'a> Cursor<'a> {
    /// At the first row of a run at or above a key; `None` without one.
    fn at(run: &'a SortedRun, from: Option<&[u8]>) -> Result<Option<Self>> {
        let block = match from {
            // Rows of the key itself may end the block before the one that begins with it.
            Some(from) => run.blocks.partition_point(|block| block.first < from).saturating_sub(1),
            None => 0,
        };
        let mut cursor = Self { run, next: block, body: Bytes::new(), row: 0..0, key: 0..0 };
        loop {
            if !cursor.advance()? {
                return Ok(None);
            }
            if from.is_none_or(|from| cursor.key() >= from) {
                return Ok(Some(cursor));
            }
        }
    }

    fn key(&self) -> &[u8] {
        &self.body[self.key.clone()]
    }

    fn row(&self) -> &[u8] {
        &self.body[self.row.clone()]
    }

    /// On to the next row; false at the end.
    fn advance(&mut self) -> Result<bool> {
        let mut at = self.row.end;
        while at == self.body.len() {
            let Some(block) = self.run.blocks.get(self.next) else { return Ok(false) };
            self.body = block.body.bytes()?;
            self.next += 1;
            at = 0;
        }
        let mut rest = &self.body[at..];
        let Mutation::Insert { key, .. } = Mutation::decode(&mut rest)? else {
            return Err(Error::internal("a sorted run holds something else than new rows"));
        };
        let key_at = at + 1 + varint_len(key.len() as u64);
        self.key = key_at..key_at + key.len();
        self.row = at..self.body.len() - rest.len();
        Ok(true)
    }

    fn twice(&self) -> Result<Twice> {
        match Mutation::decode(&mut self.row())? {
            Mutation::Insert { key, value } => {
                Ok((Bytes::copy_from_slice(key), Bytes::copy_from_slice(value)))
            }
            _ => Err(Error::internal("a sorted run holds something else than new rows")),
        }
    }
}

impl Sorted {
    /// Runs whose rows are to be merged into chunks of about so many bytes.
    pub(crate) fn new(runs: Vec<SortedRun>, part_bytes: usize) -> Self {
        let runs = runs.into_iter().filter(|run| !run.blocks.is_empty()).collect();
        Self { runs: Arc::new(runs), part_bytes }
    }

    /// The keys that part it: part `n` begins at the `n`th, the first below all of them.
    pub(crate) fn cuts(&self) -> Vec<Bytes> {
        let blocks = self.runs.iter().flat_map(|run| &run.blocks);
        let mut blocks: Vec<(&Bytes, usize)> = blocks.map(|block| (&block.first, block.body.len())).collect();
        blocks.sort_unstable();
        let mut cuts: Vec<Bytes> = Vec::new();
        let mut bytes = 0;
        for (first, len) in blocks {
            if bytes > 0 && bytes + len > self.part_bytes && cuts.last().is_none_or(|cut| cut < first) {
                cuts.push(first.clone());
                bytes = 0;
            }
            bytes += len;
        }
        cuts
    }

    /// The rows of `[from, to)` in key order, or one whose key another has.
    pub(crate) fn merge(
        &self,
        from: Option<&[u8]>,
        to: Option<&[u8]>,
    ) -> Result<std::result::Result<Vec<NewChunk>, Twice>> {
        let within = |cursor: &Cursor<'_>| to.is_none_or(|to| cursor.key() < to);
        let mut chunks = Vec::new();
        let mut chunk = NewChunk::default();
        // By descending keys: the least is taken from the end.
        let mut heads = Vec::new();
        for run in self.runs.iter() {
            heads.extend(Cursor::at(run, from)?.filter(within));
        }
        heads.sort_unstable_by(|a, b| b.key().cmp(a.key()));
        while let Some(mut head) = heads.pop() {
            loop {
                if chunk.last() == head.key() && !chunk.is_empty() {
                    return Ok(Err(head.twice()?));
                }
                if !chunk.is_empty() && chunk.len() + head.row().len() > self.part_bytes {
                    let next = NewChunk::with_capacity(chunk.len());
                    chunks.push(std::mem::replace(&mut chunk, next));
                }
                chunk.push(head.key(), head.row());
                if !head.advance()? || !within(&head) {
                    break;
                }
                if heads.last().is_some_and(|other| head.key() > other.key()) {
                    let at = heads.partition_point(|other| other.key() > head.key());
                    heads.insert(at, head);
                    break;
                }
            }
        }
        if !chunk.is_empty() {
            chunks.push(chunk);
        }
        Ok(Ok(chunks))
    }
}
