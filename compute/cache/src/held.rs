//! Pages that one reader holds for itself: those at exactly its snapshot, and those that a long scan
//! streams past the cache. Never folded, so one at LSN p serves only while `floor <= p`, or at p.

use crate::pages::{CachedPage, ShardPages};
use shardforge_common::page::Page;
use shardforge_common::{Lsn, SlotRange};
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::sync::Arc;

#[derive(Default)]
pub(crate) struct Held {
    shards: SmallVec<[ShardPages; 1]>,
    // The order of arrival: the oldest goes first.
    order: VecDeque<Arc<CachedPage>>,
    bytes: usize,
    run: u32,
}

impl Held {
    pub(crate) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    fn shard(&self, slots: SlotRange) -> Option<&ShardPages> {
        self.shards.iter().find(|shard| shard.slots() == slots)
    }

    pub(crate) fn covering(&self, slots: SlotRange, key: &[u8]) -> Option<&Arc<CachedPage>> {
        self.shard(slots)?.covering(key)
    }

    pub(crate) fn covering_below(&self, slots: SlotRange, key: &[u8]) -> Option<&Arc<CachedPage>> {
        self.shard(slots)?.covering_below(key)
    }

    pub(crate) fn insert(&mut self, page: Page, limit: usize) {
        let slots = page.slots();
        if self.shard(slots).is_none() {
            self.shards.push(ShardPages::new(slots));
        }
        let page = CachedPage::new(page);
        self.bytes += page.page.as_bytes().len();
        self.order.push_back(page.clone());
        let shard = self.shards.iter_mut().find(|shard| shard.slots() == slots).expect("just made");
        shard.insert(page);
        // The newest page stays whatever its size: its reader is about to come back for it.
        while self.bytes > limit && self.order.len() > 1 {
            let Some(oldest) = self.order.pop_front() else { break };
            self.bytes -= oldest.page.as_bytes().len();
            for shard in &mut self.shards {
                shard.replace(&oldest, Vec::new());
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The lowest LSN of a held page; the floor should stay below it (R3).
    pub(crate) fn lowest(&self) -> Lsn {
        self.order.iter().map(|page| page.lsn()).min().unwrap_or(Lsn::MAX)
    }

    /// Counts the range fetches of this reader that followed one another; a long run streams.
    pub(crate) fn count_scan_fetch(&mut self) -> u32 {
        self.run += 1;
        self.run
    }

    pub(crate) fn reset_run(&mut self) {
        self.run = 0;
    }

    pub(crate) fn clear(&mut self) {
        if !self.order.is_empty() {
            self.shards.iter_mut().for_each(ShardPages::clear);
            self.order.clear();
            self.bytes = 0;
        }
        self.run = 0;
    }
}
