//! What a transaction asks the certifier to check, beside the rows that it writes.

use super::buffer::Order;
use bytes::Bytes;
use shardforge_common::Lsn;
use shardforge_common::mutation::Aspects;
use shardforge_proto::wal::Check;
use std::collections::BTreeSet;

/// Checks that were asked for one by one (uniqueness, foreign keys, schema versions), in order, so
/// that undoing to a savepoint takes the later ones back.
#[derive(Default)]
pub(crate) struct ExplicitChecks(Vec<(Order, Check)>);

impl ExplicitChecks {
    pub(crate) fn push(&mut self, order: Order, check: Check) {
        // A statement asks the same of every row that it writes: its table's schema version, say.
        if !self.0.iter().rev().take(4).any(|(_, last)| *last == check) {
            self.0.push((order, check));
        }
    }

    /// Whether a key is among them.
    pub(crate) fn has_key(&self, wanted: &[u8]) -> bool {
        self.0.iter().any(|(_, check)| matches!(check, Check::Key { key, .. } if key == wanted))
    }

    pub(crate) fn undo_to(&mut self, mark: Order) {
        while self.0.pop_if(|(order, _)| *order >= mark).is_some() {}
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Check> {
        self.0.iter().map(|(_, check)| check)
    }
}

/// What a SERIALIZABLE transaction has read. Undone savepoints do not shrink it: what was read there
/// may have decided what was done after.
#[derive(Default)]
pub(crate) struct ReadSet {
    keys: BTreeSet<Bytes>,
    /// Keys of which only that they are there was read.
    existing: BTreeSet<Bytes>,
    ranges: Vec<(Bytes, Bytes)>,
}

impl ReadSet {
    pub(crate) fn key(&mut self, key: &[u8]) {
        if !self.keys.contains(key) {
            self.keys.insert(Bytes::copy_from_slice(key));
        }
    }

    pub(crate) fn existence(&mut self, key: &[u8]) {
        if !self.existing.contains(key) {
            self.existing.insert(Bytes::copy_from_slice(key));
        }
    }

    /// Whether a key was read, by itself or in a range.
    pub(crate) fn has(&self, key: &[u8]) -> bool {
        self.keys.contains(key) || self.ranges.iter().any(|(start, end)| &start[..] <= key && key < &end[..])
    }

    pub(crate) fn clear(&mut self) {
        self.keys.clear();
        self.existing.clear();
        self.ranges.clear();
    }

    /// A step of a range read; steps that follow one another become one range.
    pub(crate) fn range(&mut self, start: Bytes, end: Bytes) {
        if start >= end {
            return;
        }
        match self.ranges.last_mut() {
            Some((from, to)) if start <= *to && *from <= end => {
                if start < *from {
                    *from = start;
                }
                if end > *to {
                    *to = end;
                }
            }
            _ => self.ranges.push((start, end)),
        }
    }

    pub(crate) fn checks(&self, read_at: Lsn) -> Vec<Check> {
        let mut ranges = self.ranges.clone();
        ranges.sort();
        let mut joined: Vec<(Bytes, Bytes)> = Vec::new();
        for (start, end) in ranges {
            match joined.last_mut() {
                Some((_, to)) if start <= *to => {
                    if end > *to {
                        *to = end;
                    }
                }
                _ => joined.push((start, end)),
            }
        }
        let covered = |key: &Bytes| {
            let after = joined.partition_point(|(start, _)| start <= key);
            after > 0 && *key < joined[after - 1].1
        };
        let aspects = Aspects::READ;
        let keys = self.keys.iter().filter(|key| !covered(key));
        let keys = keys.map(|key| Check::Key { key: key.clone(), aspects, read_at });
        let mut checks: Vec<_> = keys.collect();
        let existing = self.existing.iter().filter(|key| !covered(key));
        checks.extend(existing.map(|key| Check::Key {
            key: key.clone(),
            aspects: Aspects::EXISTENCE,
            read_at,
        }));
        checks.extend(joined.into_iter().map(|(start, end)| Check::Range { start, end, aspects, read_at }));
        checks
    }
}
