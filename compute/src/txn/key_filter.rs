//! Says of most keys that they are not among a set, so that nobody looks for them there.
//!
//! A Bloom filter of one 64-bit word for each few keys: a key sets and asks for [`BITS`] bits of one word. About
//! one absent key in a hundred is taken for a present one.

/// Memory for each key, in bits.
const BITS_PER_KEY: usize = 12;
/// Bits that a key sets.
const BITS: u32 = 5;

/// One state for all: whoever writes keys that collide makes only their own transaction slow.
const HASHER: ahash::RandomState = ahash::RandomState::with_seeds(1, 2, 3, 4);

/// A key's hash.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeyHash(u64);

impl KeyHash {
    pub(crate) fn of(key: &[u8]) -> Self {
        Self(HASHER.hash_one(key))
    }

    fn word(self, words: usize) -> usize {
        // The upper half chooses the word, evenly, the lower half the bits in it.
        (((self.0 >> 32) * words as u64) >> 32) as usize
    }

    fn mask(self) -> u64 {
        (0..BITS).fold(0, |mask, bit| mask | 1 << ((self.0 >> (6 * bit)) & 63))
    }
}

/// A set of keys, nearly.
#[derive(Debug)]
pub(crate) struct KeyFilter {
    words: Box<[u64]>,
}

impl KeyFilter {
    pub(crate) fn new(keys: &[KeyHash]) -> Self {
        let mut words = vec![0; (keys.len() * BITS_PER_KEY).div_ceil(64).max(1)].into_boxed_slice();
        for key in keys {
            words[key.word(words.len())] |= key.mask();
        }
        Self { words }
    }

    /// False only for a key that is not in the set.
    pub(crate) fn may_have(&self, key: KeyHash) -> bool {
        let mask = key.mask();
        self.words[key.word(self.words.len())] & mask == mask
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_the_set_are_found_and_few_others() {
        let hash = |n: u32| KeyHash::of(&n.to_be_bytes());
        let keys: Vec<_> = (0..10_000).map(hash).collect();
        let filter = KeyFilter::new(&keys);
        assert!(keys.iter().all(|key| filter.may_have(*key)));
        let taken_for_present = (10_000..110_000).filter(|n| filter.may_have(hash(*n))).count();
        assert!(taken_for_present < 5_000, "{taken_for_present} of 100000");
        assert!(!KeyFilter::new(&[]).may_have(keys[0]));
    }
}
