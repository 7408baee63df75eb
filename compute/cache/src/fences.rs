//! An ordered map from lower bounds to pages, made for finding the last bound at or below a key.
//!
//! Bounds lie in leaves of at most [`LEAF_LEN`] entries. Of each bound the first sixteen bytes stand as a number
//! in an array beside the others of its leaf, and the first number of each leaf in one array over all: a search
//! is two binary searches over plain numbers, and looks at a page only when those bytes are equal. They hold the
//! storage id and the seven bytes after it, which tell most keys apart.
//!
//! # Invariants
//!
//! 1. Bounds strictly increase, within a leaf and from leaf to leaf.
//! 2. No leaf is empty; `firsts[i]` is the first head of `leaves[i]`.

use bytes::Bytes;
use std::cmp::Ordering;

/// A leaf that would grow beyond this is cut in two.
const LEAF_LEN: usize = 128;
/// Bytes of a bound that are compared as a number.
const HEAD_LEN: usize = 16;

/// The first bytes of a key as a number that orders as they do; shorter keys are filled with zeros.
fn head(key: &[u8]) -> u128 {
    let mut bytes = [0; HEAD_LEN];
    let len = key.len().min(HEAD_LEN);
    bytes[..len].copy_from_slice(&key[..len]);
    u128::from_be_bytes(bytes)
}

struct Leaf<T> {
    heads: Vec<u128>,
    entries: Vec<(Bytes, T)>,
}

/// The map.
pub(crate) struct Fences<T> {
    firsts: Vec<u128>,
    leaves: Vec<Leaf<T>>,
    len: usize,
}

impl<T> Default for Fences<T> {
    fn default() -> Self {
        Self { firsts: Vec::new(), leaves: Vec::new(), len: 0 }
    }
}

/// How many of ascending items, each a head and (through `bound`) a whole bound, lie below a key; those equal to
/// it count when `with_equal`.
fn count_below<'a>(heads: &[u128], key: &[u8], with_equal: bool, bound: impl Fn(usize) -> &'a [u8]) -> usize {
    let wanted = head(key);
    let mut from = heads.partition_point(|head| *head < wanted);
    // Equal heads are few: whole keys decide.
    while from < heads.len() && heads[from] == wanted {
        match bound(from).cmp(key) {
            Ordering::Less => {}
            Ordering::Equal if with_equal => {}
            _ => break,
        }
        from += 1;
    }
    from
}

impl<T> Fences<T> {
    /// Number of entries.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Leaf and place of the last bound below a key, or at it when `with_equal`.
    fn last_below(&self, key: &[u8], with_equal: bool) -> Option<(usize, usize)> {
        let first_of = |leaf: usize| &self.leaves[leaf].entries[0].0[..];
        let leaf = count_below(&self.firsts, key, with_equal, first_of).checked_sub(1)?;
        let in_leaf = &self.leaves[leaf];
        let at = count_below(&in_leaf.heads, key, with_equal, |at| &in_leaf.entries[at].0);
        Some((leaf, at.checked_sub(1)?))
    }

    /// The value of the last bound at or below a key.
    pub(crate) fn at_or_below(&self, key: &[u8]) -> Option<&T> {
        self.last_below(key, true).map(|(leaf, at)| &self.leaves[leaf].entries[at].1)
    }

    /// The value of the last bound below a key.
    pub(crate) fn below(&self, key: &[u8]) -> Option<&T> {
        self.last_below(key, false).map(|(leaf, at)| &self.leaves[leaf].entries[at].1)
    }

    /// The entry after a place.
    fn next(&self, place: Option<(usize, usize)>) -> Option<&(Bytes, T)> {
        match place {
            None => self.leaves.first().map(|leaf| &leaf.entries[0]),
            Some((leaf, at)) => {
                let next_leaf = || self.leaves.get(leaf + 1).map(|leaf| &leaf.entries[0]);
                self.leaves[leaf].entries.get(at + 1).or_else(next_leaf)
            }
        }
    }

    /// The first entry whose bound is at or above a key.
    pub(crate) fn first_from(&self, key: &[u8]) -> Option<&(Bytes, T)> {
        self.next(self.last_below(key, false))
    }

    /// The first entry whose bound is above a key.
    pub(crate) fn first_above(&self, key: &[u8]) -> Option<&(Bytes, T)> {
        self.next(self.last_below(key, true))
    }

    /// The value of exactly this bound.
    pub(crate) fn get(&self, bound: &[u8]) -> Option<&T> {
        let (leaf, at) = self.last_below(bound, true)?;
        let (found, value) = &self.leaves[leaf].entries[at];
        (found[..] == *bound).then_some(value)
    }

    /// Puts a value under a bound; gives back what was there.
    pub(crate) fn insert(&mut self, bound: Bytes, value: T) -> Option<T> {
        let (leaf, at) = match self.last_below(&bound, true) {
            Some((leaf, at)) if self.leaves[leaf].entries[at].0 == bound => {
                return Some(std::mem::replace(&mut self.leaves[leaf].entries[at].1, value));
            }
            Some((leaf, at)) => (leaf, at + 1),
            None => {
                if self.leaves.is_empty() {
                    self.firsts.push(0);
                    self.leaves.push(Leaf { heads: Vec::new(), entries: Vec::new() });
                }
                (0, 0)
            }
        };
        self.len += 1;
        let into = &mut self.leaves[leaf];
        into.heads.insert(at, head(&bound));
        into.entries.insert(at, (bound, value));
        self.firsts[leaf] = into.heads[0];
        if into.entries.len() > LEAF_LEN {
            let middle = LEAF_LEN / 2;
            let upper = Leaf { heads: into.heads.split_off(middle), entries: into.entries.split_off(middle) };
            self.firsts.insert(leaf + 1, upper.heads[0]);
            self.leaves.insert(leaf + 1, upper);
        }
        None
    }

    /// Takes out the value under a bound.
    pub(crate) fn remove(&mut self, bound: &[u8]) -> Option<T> {
        let (leaf, at) = self.last_below(bound, true)?;
        let from = &mut self.leaves[leaf];
        if from.entries[at].0[..] != *bound {
            return None;
        }
        self.len -= 1;
        from.heads.remove(at);
        let (_, value) = from.entries.remove(at);
        match from.heads.first() {
            Some(first) => self.firsts[leaf] = *first,
            None => {
                self.leaves.remove(leaf);
                self.firsts.remove(leaf);
            }
        }
        Some(value)
    }

    /// Takes out all.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The values in order of their bounds.
    pub(crate) fn values(&self) -> impl Iterator<Item = &T> {
        self.leaves.iter().flat_map(|leaf| leaf.entries.iter().map(|(_, value)| value))
    }

    /// Panics unless the invariants hold.
    #[cfg(test)]
    pub(crate) fn validate(&self) {
        let bounds: Vec<_> =
            self.leaves.iter().flat_map(|leaf| leaf.entries.iter().map(|(bound, _)| bound)).collect();
        assert!(bounds.windows(2).all(|pair| pair[0] < pair[1]), "bounds are out of order");
        assert_eq!(bounds.len(), self.len);
        for (first, leaf) in self.firsts.iter().zip(&self.leaves) {
            assert_eq!(*first, leaf.heads[0]);
            assert!(leaf.entries.iter().map(|(bound, _)| head(bound)).eq(leaf.heads.iter().copied()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::ops::Bound;

    /// Keys that share their first bytes, that are prefixes of one another, and that end in zeros.
    fn key() -> impl Strategy<Value = Vec<u8>> {
        (0..3usize, proptest::collection::vec(0..3u8, 0..4), 0..40u8).prop_map(|(shared, tail, last)| {
            let mut key = vec![7; shared * 8];
            key.extend(tail);
            key.push(last);
            key
        })
    }

    proptest! {
        #[test]
        fn it_answers_as_an_ordered_map_does(
            steps in proptest::collection::vec((any::<bool>(), key()), 1..600),
            probes in proptest::collection::vec(key(), 20),
        ) {
            let (mut fences, mut model) = (Fences::default(), BTreeMap::new());
            for (number, (insert, key)) in steps.into_iter().enumerate() {
                if insert {
                    let before = fences.insert(Bytes::from(key.clone()), number);
                    prop_assert_eq!(before, model.insert(key, number));
                } else {
                    prop_assert_eq!(fences.remove(&key), model.remove(&key));
                }
            }
            fences.validate();
            prop_assert!(fences.values().eq(model.values()));
            for key in &probes {
                let below = |to| model.range::<[u8], _>((Bound::Unbounded, to)).next_back().map(|(_, v)| v);
                let above = |from| model.range::<[u8], _>((from, Bound::Unbounded)).next().map(|(_, v)| v);
                let key = &key[..];
                prop_assert_eq!(fences.get(key), model.get(key));
                prop_assert_eq!(fences.at_or_below(key), below(Bound::Included(key)));
                prop_assert_eq!(fences.below(key), below(Bound::Excluded(key)));
                prop_assert_eq!(fences.first_from(key).map(|(_, v)| v), above(Bound::Included(key)));
                prop_assert_eq!(fences.first_above(key).map(|(_, v)| v), above(Bound::Excluded(key)));
            }
        }
    }

    #[test]
    fn leaves_are_cut_and_go() {
        let mut fences = Fences::default();
        let key = |n: u32| Bytes::copy_from_slice(&n.to_be_bytes());
        for n in (0..5000).chain(5000..10_000).rev() {
            fences.insert(key(n), n);
        }
        fences.validate();
        assert_eq!((fences.len(), fences.at_or_below(&key(4321))), (10_000, Some(&4321)));
        for n in 0..10_000 {
            assert_eq!(fences.remove(&key(n)), Some(n));
        }
        assert!(fences.is_empty() && fences.at_or_below(&key(1)).is_none());
        fences.validate();
    }
}
