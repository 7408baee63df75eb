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
    /// Inputs whose keys have not been reached: the one with the least key last. A run may have very many
    /// layers, one after another: of those only one is in memory.
    waiting: Vec<usize>,
    /// Inputs that have been, and are not at their end; in the order of `inputs`.
    active: Vec<usize>,
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
        let inputs: Vec<Input> = layers.into_iter().map(input).collect();
        let mut waiting: Vec<usize> = (0..inputs.len()).collect();
        waiting.sort_by(|a, b| inputs[*b].layer.meta.lo.cmp(&inputs[*a].layer.meta.lo));
        Stream { reader, inputs, waiting, active: Vec::new(), lo, hi }
    }

    /// The next version; `None` at the end. Of two with the same key and LSN only the first input's is given.
    pub(crate) async fn next(&mut self) -> Result<Option<Entry>> {
        loop {
            let mut best: Option<usize> = None;
            let mut at_end = false;
            for place in 0..self.active.len() {
                let number = self.active[place];
                self.fill(number).await?;
                let Some(entry) = self.inputs[number].entries.last() else {
                    at_end = true;
                    continue;
                };
                let better = match best.and_then(|best| self.inputs[best].entries.last()) {
                    None => true,
                    Some(other) => (&entry.key, other.lsn) < (&other.key, entry.lsn),
                };
                if better {
                    best = Some(number);
                }
            }
            if at_end {
                let inputs = &self.inputs;
                self.active.retain(|number| !inputs[*number].entries.is_empty());
            }
            // Inputs that may have a key at or before it join first.
            let reached = self.waiting.last().is_some_and(|next| {
                let first = best.and_then(|best| self.inputs[best].entries.last());
                first.is_none_or(|first| self.inputs[*next].layer.meta.lo <= first.key)
            });
            if reached {
                let next = self.waiting.pop().expect("there is a last one");
                let place = self.active.partition_point(|number| *number < next);
                self.active.insert(place, next);
                continue;
            }
            let Some(best) = best else { return Ok(None) };
            let entry = self.inputs[best].entries.pop().expect("the best input has an entry");
            for number in &self.active {
                let entries = &mut self.inputs[*number].entries;
                if entries.last().is_some_and(|same| same.key == entry.key && same.lsn == entry.lsn) {
                    entries.pop();
                }
            }
            return Ok(Some(entry));
        }
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
