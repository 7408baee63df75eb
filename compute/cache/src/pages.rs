//! The page index of one shard: immutable pages, ordered by key, disjoint (R5). A pure structure; its
//! lock is the business of [`crate::BranchCache`].
//!
//! A page at LSN p is right for readers because recent writes hold what happened in its interval after
//! p, or because nothing happened there between p and the floor (R3).

use crate::fences::Fences;
use bytes::Bytes;
use shardforge_common::page::Page;
use shardforge_common::{Lsn, SlotRange};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What a page costs beside its bytes.
const PAGE_OVERHEAD: usize = 256;

#[derive(Debug)]
pub(crate) struct CachedPage {
    pub(crate) page: Page,
    // Set by readers, cleared by the clock hand: a page goes when it was not read for a whole round.
    used: AtomicBool,
}

impl CachedPage {
    pub(crate) fn new(page: Page) -> Arc<Self> {
        Arc::new(Self { page, used: AtomicBool::new(true) })
    }

    pub(crate) fn lsn(&self) -> Lsn {
        self.page.lsn()
    }

    /// What it takes of the cache, in bytes.
    pub(crate) fn cost(&self) -> usize {
        self.page.as_bytes().len() + PAGE_OVERHEAD
    }

    fn mark_used(&self) {
        // A store only when needed keeps the cache line shared among readers.
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
    }
}

pub(crate) struct ShardPages {
    slots: SlotRange,
    map: Fences<Arc<CachedPage>>,
    bytes: usize,
    hand: Bytes,
}

impl ShardPages {
    pub(crate) fn new(slots: SlotRange) -> Self {
        Self { slots, map: Fences::default(), bytes: 0, hand: Bytes::new() }
    }

    pub(crate) fn slots(&self) -> SlotRange {
        self.slots
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn len(&self) -> usize {
        self.map.len()
    }

    /// The page that covers a key.
    pub(crate) fn covering(&self, key: &[u8]) -> Option<&Arc<CachedPage>> {
        let page = self.map.at_or_below(key)?;
        let covers = page.page.hi().is_none_or(|hi| key < hi);
        covers.then(|| {
            page.mark_used();
            page
        })
    }

    /// The page that covers the keys just below a key.
    pub(crate) fn covering_below(&self, key: &[u8]) -> Option<&Arc<CachedPage>> {
        let page = self.map.below(key)?;
        let covers = page.page.hi().is_none_or(|hi| key <= hi);
        covers.then(|| {
            page.mark_used();
            page
        })
    }

    /// The first page that begins at or above a key.
    pub(crate) fn first_from(&self, key: &[u8]) -> Option<&Arc<CachedPage>> {
        self.map.first_from(key).map(|(_, page)| page)
    }

    /// Adds a page; those that it overlaps go.
    pub(crate) fn insert(&mut self, page: Arc<CachedPage>) {
        self.remove_overlapping(page.page.lo(), page.page.hi());
        self.bytes += page.cost();
        let lo = page.page.as_bytes().slice_ref(page.page.lo());
        self.map.insert(lo, page);
    }

    /// Whether `[lo, hi)` meets a cached page.
    pub(crate) fn overlaps(&self, lo: &[u8], hi: Option<&[u8]>) -> bool {
        self.covering(lo).is_some()
            || self.first_from(lo).is_some_and(|page| hi.is_none_or(|hi| page.page.lo() < hi))
    }

    /// How many pages meet the keys from `first` to `last`; not counted beyond `most`.
    pub(crate) fn count_within(&self, first: &[u8], last: &[u8], most: usize) -> usize {
        let mut count = 0;
        let mut next = self.covering(first).or_else(|| self.first_from(first));
        while let Some(page) = next.filter(|page| page.page.lo() <= last)
            && count < most
        {
            count += 1;
            next = page.page.hi().and_then(|hi| self.first_from(hi));
        }
        count
    }

    /// Puts new pages in the place of an old one, unless it has left meanwhile.
    pub(crate) fn replace(&mut self, old: &Arc<CachedPage>, new: Vec<Arc<CachedPage>>) -> bool {
        if !self.map.get(old.page.lo()).is_some_and(|found| Arc::ptr_eq(found, old)) {
            return false;
        }
        self.remove(old.page.lo());
        for page in new {
            self.insert(page);
        }
        true
    }

    fn remove(&mut self, lo: &[u8]) {
        if let Some(page) = self.map.remove(lo) {
            self.bytes -= page.cost();
        }
    }

    /// Lets the pages go that meet `[lo, hi)`.
    pub(crate) fn remove_overlapping(&mut self, lo: &[u8], hi: Option<&[u8]>) {
        while let Some(page) = self
            .covering(lo)
            .or_else(|| self.first_from(lo).filter(|page| hi.is_none_or(|hi| page.page.lo() < hi)))
        {
            let lo = page.page.as_bytes().slice_ref(page.page.lo());
            self.remove(&lo);
        }
    }

    /// Lets pages go until no more than `limit` bytes are left, those not read lately first.
    pub(crate) fn evict_to(&mut self, limit: usize) {
        while self.bytes > limit && !self.map.is_empty() {
            let next = self.map.first_above(&self.hand).or_else(|| self.map.first_from(&[]));
            let Some((lo, page)) = next else { return };
            self.hand = lo.clone();
            if !page.used.swap(false, Ordering::Relaxed) {
                let lo = self.hand.clone();
                self.remove(&lo);
            }
        }
    }

    pub(crate) fn clear(&mut self) {
        self.map.clear();
        self.bytes = 0;
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<CachedPage>> {
        self.map.values()
    }

    /// Panics unless pages are disjoint and the bytes add up.
    #[cfg(test)]
    pub(crate) fn validate(&self) {
        let pages: Vec<_> = self.map.values().collect();
        for pair in pages.windows(2) {
            assert!(pair[0].page.hi().is_some_and(|hi| hi <= pair[1].page.lo()), "cached pages overlap");
        }
        assert_eq!(self.bytes, pages.iter().map(|page| page.cost()).sum::<usize>());
    }
}
