//! The newest writes of every key, as far back as memory reaches.
//!
//! Writes are kept twice: by key, for checks (an ordered map serves keys and ranges alike), and by
//! LSN, so that the oldest commit can be forgotten. The floor is the LSN of the last one forgotten.
//!
//! A commit of a staged transaction keeps the marks with which it was pending (hashes, or ranges
//! beyond a size) instead of its keys: it may be wider than all of the window.

use super::{StagedMarks, WriteSet};
use bytes::Bytes;
use shardforge_common::Lsn;
use shardforge_common::mutation::Aspects;
use shardforge_proto::wal::Check;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

/// What an entry costs beside its key's bytes: two references, LSNs, the tree's share. In bytes.
const ENTRY_BYTES: usize = 96;

/// The LSN of the newest write to each aspect of a key; zero for none.
#[derive(Debug, Clone, Copy, Default)]
struct Newest {
    existence: Lsn,
    content: Lsn,
    touch: Lsn,
}

impl Newest {
    fn record(&mut self, aspects: Aspects, lsn: Lsn) {
        if aspects.intersects(Aspects::EXISTENCE) {
            self.existence = lsn;
        }
        if aspects.intersects(Aspects::CONTENT) {
            self.content = lsn;
        }
        if aspects.intersects(Aspects::TOUCH) {
            self.touch = lsn;
        }
    }

    fn of(&self, aspects: Aspects) -> Lsn {
        let pick = |aspect, lsn| if aspects.intersects(aspect) { lsn } else { Lsn::ZERO };
        pick(Aspects::EXISTENCE, self.existence)
            .max(pick(Aspects::CONTENT, self.content))
            .max(pick(Aspects::TOUCH, self.touch))
    }
}

/// One commit's writes, by which it is forgotten, and by which a wide range is checked.
#[derive(Debug)]
struct Commit {
    lsn: Lsn,
    keys: Vec<(Arc<[u8]>, Aspects)>,
    ranges: Vec<(Bytes, Bytes)>,
    large: Option<Box<StagedMarks>>,
    bytes: usize,
    /// Keys of this and all earlier commits, since the window began.
    keys_so_far: u64,
}

/// Writes above a floor; see the module.
#[derive(Debug)]
pub struct ConflictWindow {
    floor: Lsn,
    newest: BTreeMap<Arc<[u8]>, Newest>,
    commits: VecDeque<Commit>,
    /// LSNs of commits in the window that have ranges or marks, ascending: few.
    wide: VecDeque<Lsn>,
    keys_so_far: u64,
    bytes: usize,
}

impl ConflictWindow {
    /// An empty window above `floor`.
    pub fn new(floor: Lsn) -> Self {
        Self {
            floor,
            newest: BTreeMap::new(),
            commits: VecDeque::new(),
            wide: VecDeque::new(),
            keys_so_far: 0,
            bytes: 0,
        }
    }

    /// Writes at or below it are forgotten.
    pub fn floor(&self) -> Lsn {
        self.floor
    }

    /// About what the window takes of memory, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes the writes of the commit at `lsn`, the next one after the last.
    pub fn insert(&mut self, lsn: Lsn, writes: &WriteSet<'_>) {
        let mut bytes = ENTRY_BYTES;
        let mut keys = Vec::with_capacity(writes.keys.len());
        for &(key, aspects) in &writes.keys {
            bytes += ENTRY_BYTES + key.len();
            let key: Arc<[u8]> = match self.newest.get_key_value(key) {
                Some((known, _)) => known.clone(),
                None => key.into(),
            };
            self.newest.entry(key.clone()).or_default().record(aspects, lsn);
            keys.push((key, aspects));
        }
        let mut ranges = Vec::with_capacity(writes.ranges.len());
        for &(start, end) in &writes.ranges {
            bytes += ENTRY_BYTES + start.len() + end.len();
            ranges.push((Bytes::copy_from_slice(start), Bytes::copy_from_slice(end)));
        }
        self.keys_so_far += keys.len() as u64;
        self.bytes += bytes;
        if let Some(commit) = self.commits.back_mut().filter(|commit| commit.lsn == lsn) {
            // The marks of a large transaction are in already: these are the writes of its own record.
            commit.keys.append(&mut keys);
            commit.ranges.append(&mut ranges);
            commit.bytes += bytes;
            commit.keys_so_far = self.keys_so_far;
            return;
        }
        debug_assert!(self.commits.back().map_or(self.floor, |commit| commit.lsn) < lsn);
        if !ranges.is_empty() {
            self.wide.push_back(lsn);
        }
        let keys_so_far = self.keys_so_far;
        self.commits.push_back(Commit { lsn, keys, ranges, large: None, bytes, keys_so_far });
    }

    /// Takes the marks of a large transaction that commits at `lsn`, before its own record's writes.
    pub fn insert_large(&mut self, lsn: Lsn, marks: StagedMarks) {
        let bytes = ENTRY_BYTES + marks.bytes();
        self.bytes += bytes;
        self.wide.push_back(lsn);
        let (keys, ranges) = (Vec::new(), Vec::new());
        let keys_so_far = self.keys_so_far;
        self.commits.push_back(Commit {
            lsn,
            keys,
            ranges,
            large: Some(Box::new(marks)),
            bytes,
            keys_so_far,
        });
    }

    /// The first write found to what the check names, above the LSN at which it was read.
    pub fn first_conflict(&self, check: &Check) -> Option<(Bytes, Lsn)> {
        match check {
            Check::Key { key, aspects, read_at } => {
                if let Some(newest) = self.newest.get(&key[..]) {
                    let written_at = newest.of(*aspects);
                    if written_at > *read_at {
                        return Some((key.clone(), written_at));
                    }
                }
            }
            Check::Range { start, end, aspects, read_at } => {
                if start >= end {
                    return None;
                }
                if let Some(hit) = self.first_in_range(start, end, *aspects, *read_at) {
                    return Some(hit);
                }
            }
        }
        self.first_wide_conflict(check)
    }

    /// Looks through the keys in the range, or, when there are more of those than writes since the
    /// range was read, through those writes.
    fn first_in_range(
        &self,
        start: &Bytes,
        end: &Bytes,
        aspects: Aspects,
        read_at: Lsn,
    ) -> Option<(Bytes, Lsn)> {
        let since = self.first_above(read_at);
        let before = match since.checked_sub(1) {
            Some(index) => self.commits[index].keys_so_far,
            None => self.commits.front().map_or(0, |first| first.keys_so_far - first.keys.len() as u64),
        };
        let mut budget = self.keys_so_far.saturating_sub(before);
        let bounds = (Bound::Included(&start[..]), Bound::Excluded(&end[..]));
        for (key, newest) in self.newest.range::<[u8], _>(bounds) {
            if budget == 0 {
                return self.commits.range(since..).find_map(|commit| {
                    let hit = commit.keys.iter().find(|(key, written)| {
                        start[..] <= key[..] && key[..] < end[..] && written.intersects(aspects)
                    });
                    hit.map(|(key, _)| (Bytes::copy_from_slice(key), commit.lsn))
                });
            }
            budget -= 1;
            let written_at = newest.of(aspects);
            if written_at > read_at {
                return Some((Bytes::copy_from_slice(key), written_at));
            }
        }
        None
    }

    fn first_wide_conflict(&self, check: &Check) -> Option<(Bytes, Lsn)> {
        let (Check::Key { read_at, .. } | Check::Range { read_at, .. }) = check;
        for lsn in self.wide.iter().rev().take_while(|lsn| *lsn > read_at) {
            let commit = &self.commits[self.first_above(lsn.prev())];
            let range_hit = commit.ranges.iter().find_map(|(start, end)| match check {
                Check::Key { key, aspects, .. } => {
                    (start <= key && key < end && aspects.intersects(Aspects::READ)).then(|| key.clone())
                }
                Check::Range { start: from, end: to, aspects, .. } => {
                    (start < to && from < end && aspects.intersects(Aspects::READ)).then(|| from.clone())
                }
            });
            let hit = range_hit.or_else(|| commit.large.as_ref().and_then(|marks| marks.hit_by_check(check)));
            if let Some(key) = hit {
                return Some((key, *lsn));
            }
        }
        None
    }

    /// The index in `commits` of the first one above `lsn`. LSNs in the window are dense.
    fn first_above(&self, lsn: Lsn) -> usize {
        match self.commits.front() {
            Some(first) => (lsn.next().0.saturating_sub(first.lsn.0) as usize).min(self.commits.len()),
            None => 0,
        }
    }

    /// Forgets the oldest commit, which raises the floor to its LSN.
    pub fn evict_oldest(&mut self) -> bool {
        let Some(commit) = self.commits.pop_front() else {
            return false;
        };
        self.floor = commit.lsn;
        self.bytes -= commit.bytes;
        if self.wide.front() == Some(&commit.lsn) {
            self.wide.pop_front();
        }
        for (key, _) in &commit.keys {
            // A key written again since stays: its newest write is above the floor.
            if self.newest.get(key).is_some_and(|newest| newest.of(Aspects::ALL) <= self.floor) {
                self.newest.remove(key);
            }
        }
        true
    }

    /// Asserts the window's invariants.
    pub fn validate(&self, last: Lsn) {
        let mut expected = self.floor;
        for commit in &self.commits {
            expected = expected.next();
            assert_eq!(commit.lsn, expected, "the window holds every LSN above its floor");
        }
        assert_eq!(expected, last, "the window reaches to the last LSN");
        let newest = self.newest.values().all(|newest| newest.of(Aspects::ALL) > self.floor);
        assert!(newest, "no key is kept for a write at or below the floor");
        assert_eq!(self.bytes, self.commits.iter().map(|commit| commit.bytes).sum::<usize>());
    }
}
