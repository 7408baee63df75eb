//! A cursor over a layer: for each key of an interval its newest version at or below an LSN.
//!
//! The cursor jumps over versions that it does not want with the help of the index: a key that was
//! written ten thousand times costs one search, not ten thousand steps.

use super::{MemRow, Outcome, Part, Want};
use crate::blocks::Pins;
use crate::layer::Layer;
use crate::layer::block::Block;
use crate::layer::file::Index;
use bytes::Bytes;
use shardforge_common::{Lsn, Result};
use std::sync::Arc;

/// Where a cursor stands in its layer.
pub(crate) struct LayerCursor {
    layer: Arc<Layer>,
    index: Arc<Index>,
    at: Lsn,
    hi: Option<Bytes>,
    block_number: usize,
    block: Option<Arc<Block>>,
    group: usize,
    /// Where to go on in a block that is opened next.
    resume: Bytes,
    /// The last key given out of the block before.
    given: Option<Bytes>,
}

impl LayerCursor {
    /// A cursor before the first key of `[lo, hi)`.
    pub(crate) fn new(
        layer: Arc<Layer>,
        index: Arc<Index>,
        lo: &[u8],
        hi: Option<&[u8]>,
        at: Lsn,
    ) -> LayerCursor {
        let block_number = index.block_of(lo, at).unwrap_or(0);
        LayerCursor {
            layer,
            index,
            at,
            hi: hi.map(Bytes::copy_from_slice),
            block_number,
            block: None,
            group: 0,
            resume: Bytes::copy_from_slice(lo),
            given: None,
        }
    }

    /// The next key's version; `None` at the interval's end.
    pub(crate) fn next(&mut self, pins: &mut Pins<'_>) -> Result<Outcome<Option<MemRow>>> {
        let beyond = |key: &[u8], hi: &Option<Bytes>| hi.as_ref().is_some_and(|hi| key >= &hi[..]);
        loop {
            let block = match &self.block {
                Some(block) => block,
                None => {
                    let entry = self.index.blocks.get(self.block_number);
                    if entry.is_none_or(|entry| beyond(&entry.first_key, &self.hi)) {
                        return Ok(Outcome::Done(None));
                    }
                    let Some(block) = pins.block(&self.layer, self.block_number as u32) else {
                        let part = Part::Block(self.block_number as u32);
                        return Ok(Outcome::Need(vec![Want { layer: Arc::clone(&self.layer), part }]));
                    };
                    self.group = block.lower_bound(&self.resume);
                    self.block.insert(block)
                }
            };
            if self.group >= block.len() {
                self.block = None;
                // The blocks that only go on with the last key hold nothing new.
                let after = self.given.as_ref().and_then(|key| self.index.block_of(key, Lsn::ZERO));
                self.block_number = (self.block_number + 1).max(after.unwrap_or(0));
                if let Some(given) = &self.given {
                    self.resume = given.clone();
                }
                continue;
            }
            let key = block.key(self.group);
            if beyond(key, &self.hi) {
                return Ok(Outcome::Done(None));
            }
            if self.given.as_ref().is_some_and(|given| given == key) {
                self.group += 1;
                continue;
            }
            if let Some((lsn, value)) = block.versions(self.group).find(|(lsn, _)| *lsn <= self.at) {
                let row = MemRow { key: block.share(key), lsn, value: value.map(|value| block.share(value)) };
                self.group += 1;
                if self.group == block.len() {
                    // Only the next block can have more of it.
                    self.given = Some(row.key.clone());
                }
                return Ok(Outcome::Done(Some(row)));
            }
            let next = self.index.blocks.get(self.block_number + 1);
            if self.group + 1 == block.len() && next.is_some_and(|next| next.first_key == key) {
                // Older versions of this key are further on.
                let key = block.share(key);
                let holding = self.index.block_of(&key, self.at).unwrap_or(0);
                self.block_number = holding.max(self.block_number + 1);
                self.block = None;
                self.resume = key;
            } else {
                self.group += 1;
            }
        }
    }

    /// The blocks that a walk over the interval opens, as a range of numbers.
    pub(crate) fn span(index: &Index, lo: &[u8], hi: Option<&[u8]>, at: Lsn) -> std::ops::Range<usize> {
        let first = index.block_of(lo, at).unwrap_or(0);
        let end = match hi {
            Some(hi) => index.blocks.partition_point(|block| &block.first_key[..] < hi),
            None => index.blocks.len(),
        };
        first..end.max(first)
    }
}
