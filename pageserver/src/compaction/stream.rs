//! A walk over every version of some layers within an interval, in layer order: keys ascending,
//! LSNs descending. Reads a stretch of blocks of each layer at a time, past the block cache.

use crate::blocks::LayerReader;
use crate::layer::Layer;
use crate::layer::block::Block;
use crate::layer::file::Index;
use bytes::Bytes;
use shardforge_common::{Lsn, Result};
use std::collections::VecDeque;
use std::sync::Arc;

/// A stretch of blocks read at once is about so long, in bytes.
const STRETCH_BYTES: u64 = 512 * 1024;

/// A version, as a walk gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) key: Bytes,
    pub(crate) lsn: Lsn,
    pub(crate) value: Option<Bytes>,
}

struct Input {
    layer: Arc<Layer>,
    index: Arc<Index>,
    next_block: usize,
    blocks: VecDeque<Block>,
    /// The versions of the block being walked, last one first.
    entries: Vec<Entry>,
}

/// The walk.
pub(crate) struct Stream<'a> {
    reader: &'a LayerReader,
    inputs: Vec<Input>,
    lo: Bytes,
    hi: Option<Bytes>,
}

impl<'a> Stream<'a> {
    /// A walk over layers, of which indexes are at hand.
    pub(crate) fn new(
        reader: &'a LayerReader,
        layers: Vec<(Arc<Layer>, Arc<Index>)>,
        lo: Bytes,
        hi: Option<Bytes>,
    ) -> Stream<'a> {
        let input = |(layer, index): (Arc<Layer>, Arc<Index>)| {
            let next_block = index.block_of(&lo, Lsn::MAX).unwrap_or(0);
            Input { layer, index, next_block, blocks: VecDeque::new(), entries: Vec::new() }
        };
        let inputs = layers.into_iter().map(input).collect();
        Stream { reader, inputs, lo, hi }
    }

    /// The next version; `None` at the end. Of two with the same key and LSN only one is given.
    pub(crate) async fn next(&mut self) -> Result<Option<Entry>> {
        let mut best: Option<usize> = None;
        for number in 0..self.inputs.len() {
            self.fill(number).await?;
            let Some(entry) = self.inputs[number].entries.last() else { continue };
            let better = match best.and_then(|best| self.inputs[best].entries.last()) {
                None => true,
                Some(other) => (&entry.key, other.lsn) < (&other.key, entry.lsn),
            };
            if better {
                best = Some(number);
            }
        }
        let Some(best) = best else { return Ok(None) };
        let entry = self.inputs[best].entries.pop().expect("the best input has an entry");
        for input in &mut self.inputs {
            if input.entries.last().is_some_and(|same| same.key == entry.key && same.lsn == entry.lsn) {
                input.entries.pop();
            }
        }
        Ok(Some(entry))
    }

    /// Makes the next version of an input available, if it has one.
    async fn fill(&mut self, number: usize) -> Result<()> {
        let input = &mut self.inputs[number];
        while input.entries.is_empty() {
            let Some(block) = input.blocks.pop_front() else {
                let from = input.next_block;
                let mut to = from;
                let mut bytes = 0;
                while let Some(entry) = input.index.blocks.get(to)
                    && bytes < STRETCH_BYTES
                    && self.hi.as_ref().is_none_or(|hi| entry.first_key < *hi)
                {
                    bytes += u64::from(entry.frame_bytes);
                    to += 1;
                }
                if from == to {
                    return Ok(());
                }
                input.blocks = self.reader.stretch(&input.layer, &input.index, from..to).await?.into();
                input.next_block = to;
                continue;
            };
            for group in (0..block.len()).rev() {
                let key = block.key(group);
                if key < &self.lo[..] || self.hi.as_ref().is_some_and(|hi| key >= &hi[..]) {
                    continue;
                }
                let key = block.share(key);
                let from = input.entries.len();
                for (lsn, value) in block.versions(group) {
                    let value = value.map(|value| block.share(value));
                    input.entries.push(Entry { key: key.clone(), lsn, value });
                }
                input.entries[from..].reverse();
            }
        }
        Ok(())
    }
}
