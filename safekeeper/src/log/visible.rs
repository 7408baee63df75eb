//! What callers see: the index of every entry, and recent entries themselves. It runs ahead of the
//! disk by the operations that wait.
//!
//! An entry that can be read has a slot of twelve bytes. A group's newest entries are also cached,
//! always a run that ends with the last one; the oldest cached ones of all groups go first, but
//! none before it is on disk.
//!
//! # Invariants
//!
//! 1. `slots[i]` is the entry `first + i`; `cached` holds the last `cached.len()` of them.
//! 2. A slot that is not on disk has its entry cached.
//! 3. `cached_bytes` is the sum over all cached entries.

use super::LogEntry;
use super::format::{RawRecord, RecordKind};
use super::state::{State, follows};
use bytes::Bytes;
use shardforge_common::{Error, GroupId, Result};
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

/// Where an entry is: in a segment, or still waiting under a number of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot {
    /// The epoch; 0 while the entry waits.
    pub(crate) segment: u32,
    pub(crate) offset: u32,
    pub(crate) len: u32,
}

impl Slot {
    /// A place on disk.
    pub(crate) fn on_disk(epoch: u64, offset: u64, len: u32) -> Result<Slot, &'static str> {
        let segment = u32::try_from(epoch).map_err(|_| "an epoch above 32 bits")?;
        let offset = u32::try_from(offset).map_err(|_| "an offset above 4 GiB")?;
        Ok(Slot { segment, offset, len })
    }

    fn waiting(number: u64) -> Slot {
        Slot { segment: 0, offset: (number >> 32) as u32, len: number as u32 }
    }

    fn waits(self) -> bool {
        self.segment == 0
    }
}

#[derive(Debug, Default)]
struct Group {
    vote: Option<Bytes>,
    committed: Option<Bytes>,
    purged: Option<(u64, Bytes)>,
    first: u64,
    slots: VecDeque<Slot>,
    cached: VecDeque<LogEntry>,
    last_head: Bytes,
}

impl Group {
    fn end(&self) -> u64 {
        self.first + self.slots.len() as u64
    }

    fn last(&self) -> Option<u64> {
        (!self.slots.is_empty()).then(|| self.end() - 1)
    }

    fn cached_first(&self) -> u64 {
        self.end() - self.cached.len() as u64
    }

    fn purged_index(&self) -> Option<u64> {
        self.purged.as_ref().map(|(index, _)| *index)
    }

    fn push(&mut self, index: u64, slot: Slot) {
        if self.slots.is_empty() {
            self.first = index;
        }
        self.slots.push_back(slot);
    }
}

/// One part of a read's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    /// The entry, from memory.
    Cached(LogEntry),
    /// Where it is.
    OnDisk(u64, Slot),
}

/// The index and the cache.
#[derive(Debug, Default)]
pub(crate) struct Visible {
    groups: BTreeMap<GroupId, Group>,
    /// Cached entries in the order they came. Truncated ones stay in it, and are passed over.
    order: VecDeque<(GroupId, u64)>,
    cached_bytes: u64,
    cache_limit: u64,
    next_number: u64,
    sweep_at: usize,
}

fn weight(entry: &LogEntry) -> u64 {
    (entry.head.len() + entry.payload.len() + std::mem::size_of::<LogEntry>()) as u64
}

impl Visible {
    /// Nothing yet.
    pub(crate) fn new(cache_limit: u64) -> Self {
        Self { cache_limit, sweep_at: 1024, ..Self::default() }
    }

    // ---- recovery

    /// Takes the groups of the first checkpoint. Their entries so far are in files that are gone.
    pub(crate) fn restore(&mut self, state: &State) {
        for (&id, from) in &state.groups {
            let group = self.groups.entry(id).or_default();
            group.vote.clone_from(&from.vote);
            group.committed.clone_from(&from.committed);
            group.purged.clone_from(&from.purged);
        }
    }

    /// Takes a record that `State` has accepted.
    pub(crate) fn replay(&mut self, record: &RawRecord<'_>, slot: Slot) {
        let payload = || Bytes::copy_from_slice(record.payload);
        match record.kind {
            RecordKind::Entry => self.groups.entry(record.group).or_default().push(record.index, slot),
            RecordKind::Vote => self.set_vote(record.group, payload()),
            RecordKind::Committed => self.set_committed(record.group, payload()),
            RecordKind::Truncate => self.remove_from(record.group, record.index),
            RecordKind::Purge => {
                self.purge_to(record.group, record.index, payload());
            }
            RecordKind::Freed | RecordKind::Checkpoint | RecordKind::Group | RecordKind::End => {}
        }
    }

    // ---- what callers change

    /// Takes entries that wait to be written; gives the number of the first, from which they count up.
    pub(crate) fn append(&mut self, id: GroupId, entries: &[LogEntry]) -> Result<u64> {
        let group = self.groups.entry(id).or_default();
        let mut last = group.last();
        for entry in entries {
            if !follows(last, group.purged_index(), entry.index) {
                let before = last.or(group.purged_index()).unwrap_or_default();
                return Err(Error::invalid(format!(
                    "entry {} of group {id} does not follow on {before}",
                    entry.index
                )));
            }
            if entry.head.len() > usize::from(u16::MAX) || entry.payload.len() > (1 << 30) {
                return Err(Error::invalid(format!("entry {} of group {id} is too large", entry.index)));
            }
            last = Some(entry.index);
        }
        let number = self.next_number;
        self.next_number += entries.len() as u64;
        for (i, entry) in entries.iter().enumerate() {
            group.push(entry.index, Slot::waiting(number + i as u64));
            group.cached.push_back(entry.clone());
            self.cached_bytes += weight(entry);
            self.order.push_back((id, entry.index));
        }
        if let Some(entry) = entries.last() {
            group.last_head = entry.head.clone();
        }
        Ok(number)
    }

    pub(crate) fn set_vote(&mut self, id: GroupId, vote: Bytes) {
        self.groups.entry(id).or_default().vote = Some(vote);
    }

    pub(crate) fn set_committed(&mut self, id: GroupId, committed: Bytes) {
        self.groups.entry(id).or_default().committed = Some(committed);
    }

    /// Removes entries from the end. The head of the new last one is the caller's to set, when
    /// [`Visible::last_needs_head`] says so.
    pub(crate) fn remove_from(&mut self, id: GroupId, index: u64) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        while group.last().is_some_and(|last| last >= index) {
            group.slots.pop_back();
            if let Some(entry) = group.cached.pop_back() {
                self.cached_bytes -= weight(&entry);
            }
        }
        match group.cached.back() {
            Some(entry) => group.last_head = entry.head.clone(),
            None => group.last_head = Bytes::new(),
        }
    }

    /// The last entry of a group, when it is not cached: its head must be read.
    pub(crate) fn last_needs_head(&self, id: GroupId) -> Option<(u64, Slot)> {
        let group = self.groups.get(&id)?;
        let slot = *group.slots.back()?;
        group.cached.is_empty().then(|| (group.end() - 1, slot))
    }

    /// The head of the last entry, when it is still this one.
    pub(crate) fn set_last_head(&mut self, id: GroupId, index: u64, head: Bytes) {
        if let Some(group) = self.groups.get_mut(&id)
            && group.last() == Some(index)
        {
            group.last_head = head;
        }
    }

    /// Removes entries from the front; false when it was purged that far before.
    pub(crate) fn purge_to(&mut self, id: GroupId, index: u64, marker: Bytes) -> bool {
        let group = self.groups.entry(id).or_default();
        if group.purged_index().is_some_and(|purged| purged >= index) {
            return false;
        }
        while group.first <= index && group.slots.pop_front().is_some() {
            if group.cached.len() > group.slots.len()
                && let Some(entry) = group.cached.pop_front()
            {
                self.cached_bytes -= weight(&entry);
            }
            group.first += 1;
        }
        group.purged = Some((index, marker));
        true
    }

    // ---- what the writer reports

    /// An entry that waited under this number is on disk; it may be gone meanwhile.
    pub(crate) fn written(&mut self, id: GroupId, index: u64, number: u64, slot: Slot) {
        let Some(group) = self.groups.get_mut(&id) else { return };
        let at = index.checked_sub(group.first).and_then(|at| usize::try_from(at).ok());
        if let Some(known) = at.and_then(|at| group.slots.get_mut(at))
            && *known == Slot::waiting(number)
        {
            *known = slot;
        }
    }

    /// Forgets the oldest cached entries, down to the limit, as far as they are on disk.
    pub(crate) fn evict(&mut self) {
        while self.cached_bytes > self.cache_limit {
            let Some(&(id, index)) = self.order.front() else { return };
            if let Some(group) = self.groups.get_mut(&id)
                && !group.cached.is_empty()
                && group.cached_first() == index
            {
                if group.slots[group.slots.len() - group.cached.len()].waits() {
                    return;
                }
                if let Some(entry) = group.cached.pop_front() {
                    self.cached_bytes -= weight(&entry);
                }
            }
            self.order.pop_front();
        }
        // What was truncated or purged leaves its place in the order behind.
        if self.order.len() >= self.sweep_at {
            let groups = &self.groups;
            self.order.retain(|(id, index)| {
                groups.get(id).is_some_and(|group| group.cached_first() <= *index && *index < group.end())
            });
            self.sweep_at = 1024 + 2 * self.order.len();
        }
    }

    // ---- what callers read

    pub(crate) fn vote(&self, id: GroupId) -> Option<Bytes> {
        self.groups.get(&id)?.vote.clone()
    }

    pub(crate) fn committed(&self, id: GroupId) -> Option<Bytes> {
        self.groups.get(&id)?.committed.clone()
    }

    pub(crate) fn purged(&self, id: GroupId) -> Option<(u64, Bytes)> {
        self.groups.get(&id)?.purged.clone()
    }

    /// The oldest segment that any group needs once this one is past `index`; `None` when entries that wait are
    /// the oldest.
    pub(crate) fn first_segment_after(&self, id: GroupId, index: u64) -> Option<u64> {
        let firsts = self.groups.iter().filter_map(|(known, group)| {
            let passed = if *known == id { (index + 1).saturating_sub(group.first) } else { 0 };
            group.slots.get(usize::try_from(passed).unwrap_or(usize::MAX))
        });
        firsts.filter(|slot| !slot.waits()).map(|slot| u64::from(slot.segment)).min()
    }

    pub(crate) fn last(&self, id: GroupId) -> Option<(u64, Bytes)> {
        let group = self.groups.get(&id)?;
        Some((group.last()?, group.last_head.clone()))
    }

    pub(crate) fn groups(&self) -> Vec<GroupId> {
        self.groups.keys().copied().collect()
    }

    /// Where the entries of a range are: as many as exist and fit, at least one if any exists.
    pub(crate) fn find(&self, id: GroupId, range: Range<u64>, max_bytes: usize) -> Result<Vec<Found>> {
        let Some(group) = self.groups.get(&id) else { return Ok(Vec::new()) };
        if range.is_empty() {
            return Ok(Vec::new());
        }
        if let Some(purged) = group.purged_index()
            && range.start <= purged
        {
            return Err(Error::not_found(format!(
                "entry {} of group {id} is gone: purged up to {purged}",
                range.start
            )));
        }
        let mut found = Vec::new();
        let mut bytes = 0;
        for index in range.start.max(group.first)..range.end.min(group.end()) {
            let at = (index - group.first) as usize;
            let slot = group.slots[at];
            let uncached = group.slots.len() - group.cached.len();
            let part = match at.checked_sub(uncached) {
                Some(at) => Found::Cached(group.cached[at].clone()),
                None => Found::OnDisk(index, slot),
            };
            bytes += match &part {
                Found::Cached(entry) => entry.head.len() + entry.payload.len(),
                Found::OnDisk(..) => slot.len as usize,
            };
            if bytes > max_bytes && !found.is_empty() {
                break;
            }
            found.push(part);
        }
        Ok(found)
    }

    /// Groups, entries, and bytes cached.
    pub(crate) fn counts(&self) -> (u64, u64, u64) {
        let entries: usize = self.groups.values().map(|group| group.slots.len()).sum();
        (self.groups.len() as u64, entries as u64, self.cached_bytes)
    }

    /// Panics unless the invariants at the head of this file hold.
    pub(crate) fn validate(&self) {
        let mut bytes = 0;
        for (id, group) in &self.groups {
            assert!(group.cached.len() <= group.slots.len(), "group {id}: more cached than there are");
            for (i, entry) in group.cached.iter().enumerate() {
                assert_eq!(entry.index, group.cached_first() + i as u64, "group {id}: cache out of step");
            }
            let uncached = group.slots.len() - group.cached.len();
            assert!(
                group.slots.iter().take(uncached).all(|slot| !slot.waits()),
                "group {id}: lost a waiting"
            );
            bytes += group.cached.iter().map(weight).sum::<u64>();
        }
        assert_eq!(bytes, self.cached_bytes, "cached bytes");
    }
}
