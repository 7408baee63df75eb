//! Floors of key ranges, above the floor of all keys (R4).
//!
//! A commit that is too large for recent writes raises the floor of what it wrote to its own LSN: there
//! recent writes know nothing at or below it, cached pages from before it are gone, and page requests
//! wait for pageservers. Elsewhere nothing changes. A range is forgotten when the floor of all keys has
//! reached it.

use bytes::Bytes;
use parking_lot::RwLock;
use shardforge_common::Lsn;
use std::sync::atomic::{AtomicUsize, Ordering};

/// More ranges than this are joined: there are as many as storages of large commits not long ago.
const MOST: usize = 64;

#[derive(Debug, Clone)]
pub(crate) struct Span {
    pub(crate) lo: Bytes,
    /// Excluded.
    pub(crate) hi: Bytes,
}

impl Span {
    fn overlaps(&self, lo: &[u8], hi: Option<&[u8]>) -> bool {
        lo < &self.hi[..] && hi.is_none_or(|hi| &self.lo[..] < hi)
    }
}

#[derive(Default)]
pub(crate) struct RangeFloors {
    // Nearly always zero, and then nobody takes the lock.
    count: AtomicUsize,
    ranges: RwLock<Vec<(Span, Lsn)>>,
}

impl RangeFloors {
    pub(crate) fn is_empty(&self) -> bool {
        self.count.load(Ordering::Acquire) == 0
    }

    /// The floor that was raised for a key alone; zero for none.
    pub(crate) fn of_key(&self, key: &[u8]) -> Lsn {
        if self.is_empty() {
            return Lsn::ZERO;
        }
        let ranges = self.ranges.read();
        let over = ranges.iter().filter(|(span, _)| span.lo <= key && key < &span.hi[..]);
        over.map(|(_, lsn)| *lsn).max().unwrap_or(Lsn::ZERO)
    }

    /// The highest floor of any key of `[lo, hi)`; zero for none.
    pub(crate) fn highest_in(&self, lo: &[u8], hi: Option<&[u8]>) -> Lsn {
        if self.is_empty() {
            return Lsn::ZERO;
        }
        let ranges = self.ranges.read();
        let over = ranges.iter().filter(|(span, _)| span.overlaps(lo, hi));
        over.map(|(_, lsn)| *lsn).max().unwrap_or(Lsn::ZERO)
    }

    /// The lowest of them; zero for none.
    pub(crate) fn lowest(&self) -> Lsn {
        self.ranges.read().iter().map(|(_, lsn)| *lsn).min().unwrap_or(Lsn::ZERO)
    }

    /// Raises the floor of a range.
    pub(crate) fn raise(&self, span: Span, lsn: Lsn) {
        let mut ranges = self.ranges.write();
        // What it covers is below it: LSNs only rise.
        ranges.retain(|(known, _)| known.lo < span.lo || known.hi > span.hi);
        ranges.push((span, lsn));
        if ranges.len() > MOST {
            // The two lowest become one that covers both: more is fetched again, nothing is missed.
            ranges.sort_by_key(|(_, lsn)| *lsn);
            let (first, _) = ranges.remove(0);
            let (second, _) = &mut ranges[0];
            second.lo = second.lo.clone().min(first.lo);
            second.hi = second.hi.clone().max(first.hi);
        }
        self.count.store(ranges.len(), Ordering::Release);
    }

    /// Forgets the ranges that the floor of all keys has reached.
    pub(crate) fn forget_through(&self, floor: Lsn) {
        if self.is_empty() {
            return;
        }
        let mut ranges = self.ranges.write();
        ranges.retain(|(_, lsn)| *lsn > floor);
        self.count.store(ranges.len(), Ordering::Release);
    }
}

/// What a large commit has written so far beyond what recent writes took of it: for each storage id the
/// least key and the one above the greatest.
#[derive(Default)]
pub(crate) struct Beyond {
    spans: Vec<Span>,
}

/// Bytes of a key that name its storage id.
const STORAGE_ID_LEN: usize = 8;

impl Beyond {
    pub(crate) fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    pub(crate) fn take(&mut self) -> Vec<Span> {
        std::mem::take(&mut self.spans)
    }

    pub(crate) fn clear(&mut self) {
        self.spans.clear();
    }

    /// Adds keys from `first` to `last`, both included, of one storage id.
    pub(crate) fn add_keys(&mut self, first: &[u8], last: &[u8]) {
        let mut hi = Vec::with_capacity(last.len() + 1);
        hi.extend_from_slice(last);
        hi.push(0);
        self.add(first, &hi);
    }

    /// Adds `[lo, hi)`.
    pub(crate) fn add(&mut self, lo: &[u8], hi: &[u8]) {
        let storage = |key: &[u8]| key.get(..STORAGE_ID_LEN).map(<[u8]>::to_vec);
        match self.spans.iter_mut().rev().find(|span| storage(&span.lo) == storage(lo)) {
            Some(span) => {
                if lo < &span.lo[..] {
                    span.lo = Bytes::copy_from_slice(lo);
                }
                if hi > &span.hi[..] {
                    span.hi = Bytes::copy_from_slice(hi);
                }
            }
            None => self.spans.push(Span { lo: Bytes::copy_from_slice(lo), hi: Bytes::copy_from_slice(hi) }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(lo: &str, hi: &str) -> Span {
        Span { lo: lo.to_owned().into(), hi: hi.to_owned().into() }
    }

    #[test]
    fn the_highest_floor_over_a_key_counts_until_the_floor_of_all_reaches_it() {
        let floors = RangeFloors::default();
        floors.raise(span("b", "f"), Lsn(5));
        floors.raise(span("d", "h"), Lsn(7));
        let of = |key: &str| floors.of_key(key.as_bytes()).0;
        assert_eq!([of("a"), of("b"), of("d"), of("f"), of("h")], [0, 5, 7, 7, 0]);
        assert_eq!(floors.highest_in(b"a", Some(b"b")), Lsn::ZERO);
        assert_eq!(floors.highest_in(b"a", Some(b"c")), Lsn(5));
        assert_eq!(floors.highest_in(b"a", None), Lsn(7));
        floors.forget_through(Lsn(5));
        assert_eq!([of("b"), of("d")], [0, 7]);
        floors.forget_through(Lsn(7));
        assert!(floors.is_empty());
    }

    #[test]
    fn many_ranges_are_joined_and_none_is_forgotten() {
        let floors = RangeFloors::default();
        let keys: Vec<Vec<u8>> = (0..2 * MOST as u16).map(|n| (2 * n).to_be_bytes().to_vec()).collect();
        for (number, key) in keys.iter().enumerate() {
            let hi = [&key[..], &[0]].concat();
            floors.raise(Span { lo: key.clone().into(), hi: hi.into() }, Lsn(number as u64 + 1));
        }
        assert!(floors.ranges.read().len() <= MOST);
        for (number, key) in keys.iter().enumerate() {
            assert!(floors.of_key(key) >= Lsn(number as u64 + 1));
        }
    }
}
