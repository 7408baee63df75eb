//! What a transaction too large for one record has written so far: marks that stand for its keys.
//!
//! Up to [`MAX_HASHES`] keys are marked by a hash each; beyond, only by the ranges from the least to
//! the greatest key of each storage id in each fragment. Either may stop a transaction that does not
//! really conflict; neither lets one through that does (C6).
//!
//! Ranges in which nobody else can write (*fresh*) are marked as they are. They stand in the way of those
//! who read there (a table read as a whole), and of no writer.

use super::WriteSet;
use bytes::Bytes;
use shardforge_common::mutation::Aspects;
use shardforge_proto::wal::Check;
use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

/// Beyond so many keys of one transaction, ranges stand for them: 16 MiB of hashes.
const MAX_HASHES: usize = 1 << 20;
/// About what one hash costs, in bytes.
const HASH_BYTES: usize = 18;
/// About what a fresh range costs beside its keys, in bytes.
const RANGE_BYTES: usize = 96;
/// Bytes of a key that name its storage id.
const STORAGE_ID_LEN: usize = 8;

/// A range of keys, with what is written in it.
#[derive(Debug)]
struct RangeMark {
    start: Bytes,
    /// Included for a span of keys, excluded for a deleted range.
    end: Bytes,
    end_included: bool,
    aspects: Aspects,
}

impl RangeMark {
    fn covers(&self, key: &[u8]) -> bool {
        &self.start[..] <= key && (key < &self.end[..] || (self.end_included && key == &self.end[..]))
    }

    fn overlaps(&self, start: &[u8], end: &[u8]) -> bool {
        &self.start[..] < end && (start < &self.end[..] || (self.end_included && start == &self.end[..]))
    }
}

/// The pending writes of one staged transaction.
#[derive(Debug, Default)]
pub struct StagedMarks {
    /// `None` once there were too many keys.
    hashes: Option<HashMap<u64, Aspects, ahash::RandomState>>,
    started: bool,
    /// The span of keys of each storage id in each fragment.
    spans: Vec<RangeMark>,
    deleted: Vec<RangeMark>,
    /// Fresh ranges, disjoint: the end (excluded) of each by its start.
    fresh: BTreeMap<Bytes, Bytes>,
    range_bytes: usize,
}

fn hash(key: &[u8]) -> u64 {
    // Fixed keys: the certifier is a pure function of its inputs, and replays alike.
    ahash::RandomState::with_seeds(0x53, 0x46, 0x57, 0x41).hash_one(key)
}

impl StagedMarks {
    /// Adds a fragment's writes.
    pub fn add(&mut self, writes: &WriteSet<'_>) {
        if !self.started {
            self.started = true;
            self.hashes = Some(HashMap::default());
        }
        // By storage id: the least key, the greatest, and what is written between.
        type Span<'k> = (&'k [u8], &'k [u8], Aspects);
        let mut spans: BTreeMap<&[u8], Span<'_>> = BTreeMap::new();
        for &(key, aspects) in &writes.keys {
            if let Some(hashes) = &mut self.hashes {
                let mark = hashes.entry(hash(key)).or_insert(Aspects::NONE);
                *mark = mark.union(aspects);
            }
            let storage = &key[..key.len().min(STORAGE_ID_LEN)];
            let span = spans.entry(storage).or_insert((key, key, Aspects::NONE));
            *span = (span.0.min(key), span.1.max(key), span.2.union(aspects));
        }
        if self.hashes.as_ref().is_some_and(|hashes| hashes.len() > MAX_HASHES) {
            self.hashes = None;
        }
        for (start, end, aspects) in spans.into_values() {
            let mark = self.mark(start, end, true, aspects);
            self.spans.push(mark);
        }
        for &(start, end) in &writes.ranges {
            let mark = self.mark(start, end, false, Aspects::READ);
            self.deleted.push(mark);
        }
        for (start, end) in writes.fresh {
            self.add_fresh(start, end);
        }
    }

    /// Joins a range with those that it meets.
    fn add_fresh(&mut self, start: &Bytes, end: &Bytes) {
        if start >= end {
            return;
        }
        let (mut start, mut end) = (start.clone(), end.clone());
        while let Some((known, until)) = self.fresh.range::<Bytes, _>(..=&end).next_back()
            && *until >= start
        {
            let known = known.clone();
            let until = self.fresh.remove(&known).expect("just found");
            self.range_bytes -= RANGE_BYTES + known.len() + until.len();
            start = start.min(known);
            end = end.max(until);
        }
        self.range_bytes += RANGE_BYTES + start.len() + end.len();
        self.fresh.insert(start, end);
    }

    /// Whether `[start, end)` meets a fresh range; `end` is included when it is the start.
    fn hits_fresh(&self, start: &[u8], end: Option<&[u8]>) -> bool {
        let upper = end.map_or(Bound::Included(start), Bound::Excluded);
        let last = self.fresh.range::<[u8], _>((Bound::Unbounded, upper)).next_back();
        last.is_some_and(|(_, until)| &until[..] > start)
    }

    fn mark(&mut self, start: &[u8], end: &[u8], end_included: bool, aspects: Aspects) -> RangeMark {
        self.range_bytes += size_of::<RangeMark>() + start.len() + end.len();
        RangeMark {
            start: Bytes::copy_from_slice(start),
            end: Bytes::copy_from_slice(end),
            end_included,
            aspects,
        }
    }

    /// About what the marks take of memory, in bytes.
    pub fn bytes(&self) -> usize {
        self.range_bytes + self.hashes.as_ref().map_or(0, |hashes| hashes.len() * HASH_BYTES)
    }

    fn hits_key(&self, key: &[u8], aspects: Aspects) -> bool {
        let marked = match &self.hashes {
            Some(hashes) => hashes.get(&hash(key)).is_some_and(|mark| mark.intersects(aspects)),
            None => self.spans.iter().any(|span| span.aspects.intersects(aspects) && span.covers(key)),
        };
        marked || self.deleted.iter().any(|range| range.aspects.intersects(aspects) && range.covers(key))
    }

    fn hits_range(&self, start: &[u8], end: &[u8], aspects: Aspects) -> bool {
        let hit = |mark: &RangeMark| mark.aspects.intersects(aspects) && mark.overlaps(start, end);
        start < end && (self.spans.iter().any(hit) || self.deleted.iter().any(hit))
    }

    /// What of the check is written here: its key, or the start of its range.
    pub fn hit_by_check(&self, check: &Check) -> Option<Bytes> {
        match check {
            Check::Key { key, aspects, .. } => {
                let fresh = aspects.intersects(Aspects::READ) && self.hits_fresh(key, None);
                (fresh || self.hits_key(key, *aspects)).then(|| key.clone())
            }
            Check::Range { start, end, aspects, .. } => {
                let fresh =
                    aspects.intersects(Aspects::READ) && start < end && self.hits_fresh(start, Some(end));
                (fresh || self.hits_range(start, end, *aspects)).then(|| start.clone())
            }
        }
    }

    /// The first of these writes that writes what is written here. A write is in the way whatever its
    /// aspects: this transaction's checks of its rows were certified when they were staged.
    pub fn hit_by_writes(&self, writes: &WriteSet<'_>) -> Option<Bytes> {
        let key = writes.keys.iter().map(|(key, _)| *key).find(|key| self.hits_key(key, Aspects::ALL));
        let range = || {
            let ranges = writes.ranges.iter().find(|(start, end)| self.hits_range(start, end, Aspects::ALL));
            ranges.map(|(start, _)| *start)
        };
        key.or_else(range).map(Bytes::copy_from_slice)
    }
}
