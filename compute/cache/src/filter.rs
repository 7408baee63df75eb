//! Answers "recent writes hold nothing for this key" without a lock: a table of counters indexed by
//! a hash of the key. Zero is certain, anything else means: look.
//!
//! A key is added before the commit that brings it is published as applied, and taken away after the
//! page that now holds its effect is in place; so whoever may read at an LSN sees zero only when the
//! pages tell everything.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};

const BLOCKS: usize = 256;
const BLOCK_LEN: usize = 4096;

/// Counters of keys by hash. A counter that reaches 255 stays there.
pub(crate) struct KeyFilter {
    // Made when first touched: an idle branch costs a few kilobytes, a busy one a megabyte.
    blocks: Box<[OnceLock<Box<[AtomicU8]>>]>,
}

impl KeyFilter {
    pub(crate) fn new() -> Self {
        Self { blocks: (0..BLOCKS).map(|_| OnceLock::new()).collect() }
    }

    fn hash(key: &[u8]) -> (usize, usize) {
        let hash = xxhash_rust::xxh3::xxh3_64(key) as usize;
        (hash % BLOCKS, (hash / BLOCKS) % BLOCK_LEN)
    }

    /// Whether a key may be there.
    pub(crate) fn may_hold(&self, key: &[u8]) -> bool {
        let (block, at) = Self::hash(key);
        self.blocks[block].get().is_some_and(|block| block[at].load(Ordering::Acquire) != 0)
    }

    pub(crate) fn add(&self, key: &[u8]) {
        let (block, at) = Self::hash(key);
        let block = self.blocks[block].get_or_init(|| (0..BLOCK_LEN).map(|_| AtomicU8::new(0)).collect());
        // Writers hold the lock of recent writes, so a load and a store are enough.
        let count = block[at].load(Ordering::Relaxed);
        block[at].store(count.saturating_add(1), Ordering::Release);
    }

    pub(crate) fn remove(&self, key: &[u8]) {
        let (block, at) = Self::hash(key);
        if let Some(block) = self.blocks[block].get() {
            let count = block[at].load(Ordering::Relaxed);
            if count != u8::MAX && count != 0 {
                block[at].store(count - 1, Ordering::Release);
            }
        }
    }

    /// Forgets every key.
    pub(crate) fn clear(&self) {
        for counter in self.blocks.iter().filter_map(OnceLock::get).flatten() {
            counter.store(0, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_was_added_is_never_denied() {
        let filter = KeyFilter::new();
        let keys: Vec<_> = (0..5000u32).map(u32::to_be_bytes).collect();
        keys.iter().for_each(|key| filter.add(key));
        keys.iter().step_by(2).for_each(|key| filter.remove(key));
        assert!(keys.iter().skip(1).step_by(2).all(|key| filter.may_hold(key)));
        keys.iter().skip(1).step_by(2).for_each(|key| filter.remove(key));
        assert!(!keys.iter().any(|key| filter.may_hold(key)));
    }

    #[test]
    fn a_full_counter_never_reaches_zero_again() {
        let filter = KeyFilter::new();
        (0..300).for_each(|_| filter.add(b"key"));
        (0..300).for_each(|_| filter.remove(b"key"));
        assert!(filter.may_hold(b"key"));
    }
}
