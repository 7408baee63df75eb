//! What the files say, and which of them are still needed: a pure function of the records in order.
//!
//! The writer keeps one of these as of the batch being written, recovery rebuilds it, and every checkpoint
//! is compared with it. It knows no entry's content and little of its place: for each group the
//! runs of entries by segment, which is what freeing needs.
//!
//! # Invariants
//!
//! 1. A group's entries are `purged + 1 ..= last`, without a gap.
//! 2. `runs` covers exactly those, in order; no segment comes twice, and segments increase.
//! 3. `freed` is below every segment that a run names, and never goes back.

use super::format::{FrameBuilder, RawRecord, RecordKind};
use bytes::Bytes;
use shardforge_common::GroupId;
use std::collections::{BTreeMap, VecDeque};

/// The state that the log holds, as of some record.
#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    pub(crate) groups: BTreeMap<GroupId, GroupState>,
    /// Segments up to this epoch are not needed.
    pub(crate) freed: u64,
}

/// What the log holds of a group.
#[derive(Debug, Clone, Default)]
pub(crate) struct GroupState {
    pub(crate) vote: Option<Bytes>,
    pub(crate) committed: Option<Bytes>,
    pub(crate) purged: Option<(u64, Bytes)>,
    pub(crate) last: Option<u64>,
    pub(crate) runs: VecDeque<Run>,
}

/// Entries from `first` on lie in this segment, up to the next run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) segment: u64,
    pub(crate) first: u64,
}

/// The index that the next entry must have: that after the last one, or after the purged one; any,
/// in a group that has neither. The greatest number is nobody's, so that there is always a next one.
pub(crate) fn follows(last: Option<u64>, purged: Option<u64>, index: u64) -> bool {
    index != u64::MAX && last.or(purged).is_none_or(|before| index == before.saturating_add(1))
}

impl GroupState {
    fn purged_index(&self) -> Option<u64> {
        self.purged.as_ref().map(|(index, _)| *index)
    }

    fn first(&self) -> Option<u64> {
        self.runs.front().map(|run| run.first)
    }

    /// Whether two say the same, as far as checkpoints can tell.
    fn agrees(&self, other: &GroupState) -> bool {
        self.vote == other.vote
            && self.committed == other.committed
            && self.purged == other.purged
            && self.last == other.last
            && self.first() == other.first()
    }

    fn truncate_from(&mut self, index: u64) {
        if self.last.is_some_and(|last| last >= index) {
            while self.runs.back().is_some_and(|run| run.first >= index) {
                self.runs.pop_back();
            }
            self.last = if self.runs.is_empty() { None } else { Some(index - 1) };
        }
    }

    fn purge_to(&mut self, index: u64, marker: Bytes) {
        if self.purged_index().is_some_and(|purged| purged >= index) {
            return;
        }
        if self.last.is_none_or(|last| last <= index) {
            self.runs.clear();
            self.last = None;
        } else {
            while self.runs.get(1).is_some_and(|next| next.first <= index + 1) {
                self.runs.pop_front();
            }
            if let Some(run) = self.runs.front_mut() {
                run.first = run.first.max(index + 1);
            }
        }
        self.purged = Some((index, marker));
    }
}

impl State {
    /// Takes a record that stands in a segment. An error means that the log contradicts itself.
    pub(crate) fn apply(&mut self, record: &RawRecord<'_>, segment: u64) -> Result<(), String> {
        match record.kind {
            RecordKind::Freed => {
                self.freed = self.freed.max(record.index);
                return Ok(());
            }
            RecordKind::End => return Ok(()),
            RecordKind::Checkpoint | RecordKind::Group => return Err("a checkpoint out of place".into()),
            _ => {}
        }
        let group = self.groups.entry(record.group).or_default();
        match record.kind {
            RecordKind::Entry => {
                if !follows(group.last, group.purged_index(), record.index) {
                    return Err(format!(
                        "entry {} of group {} does not follow on {:?}",
                        record.index,
                        record.group,
                        group.last.or(group.purged_index())
                    ));
                }
                group.last = Some(record.index);
                if group.runs.back().is_none_or(|run| run.segment != segment) {
                    group.runs.push_back(Run { segment, first: record.index });
                }
            }
            RecordKind::Vote => group.vote = Some(Bytes::copy_from_slice(record.payload)),
            RecordKind::Committed => group.committed = Some(Bytes::copy_from_slice(record.payload)),
            RecordKind::Truncate => group.truncate_from(record.index),
            RecordKind::Purge => group.purge_to(record.index, Bytes::copy_from_slice(record.payload)),
            _ => unreachable!("handled above"),
        }
        Ok(())
    }

    /// The oldest segment that is needed, when `current` is being written. Its checkpoint carries
    /// everything but entries.
    pub(crate) fn first_needed(&self, current: u64) -> u64 {
        let runs = self.groups.values().filter_map(|group| group.runs.front());
        runs.map(|run| run.segment).min().unwrap_or(current).min(current)
    }

    /// About how long a checkpoint is, in bytes; never too little.
    pub(crate) fn checkpoint_len(&self) -> usize {
        let of = |bytes: usize| super::format::record_len(0, bytes);
        let group = |group: &GroupState| {
            of(8)
                + group.vote.as_ref().map_or(0, |vote| of(vote.len()))
                + group.committed.as_ref().map_or(0, |committed| of(committed.len()))
                + group.purged.as_ref().map_or(0, |(_, marker)| of(marker.len()))
        };
        of(0) + self.groups.values().map(group).sum::<usize>()
    }

    /// Writes a checkpoint.
    pub(crate) fn push_checkpoint(&self, frame: &mut FrameBuilder) {
        let firsts: Vec<Vec<u8>> = self
            .groups
            .values()
            .map(|group| group.first().map_or(Vec::new(), |first| first.to_le_bytes().to_vec()))
            .collect();
        let mut firsts = firsts.iter();
        let mut records = Vec::new();
        for (&id, group) in &self.groups {
            let head = firsts.next().expect("one for each group");
            let index = group.last.unwrap_or_default();
            records.push(RawRecord { head, ..RawRecord::bare(RecordKind::Group, id, index) });
            if let Some(vote) = &group.vote {
                records.push(RawRecord { payload: vote, ..RawRecord::bare(RecordKind::Vote, id, 0) });
            }
            if let Some(committed) = &group.committed {
                records
                    .push(RawRecord { payload: committed, ..RawRecord::bare(RecordKind::Committed, id, 0) });
            }
            if let Some((index, marker)) = &group.purged {
                records.push(RawRecord { payload: marker, ..RawRecord::bare(RecordKind::Purge, id, *index) });
            }
        }
        frame.push(&RawRecord::bare(RecordKind::Checkpoint, GroupId(0), records.len() as u64));
        for record in &records {
            frame.push(record);
        }
    }

    /// Takes the checkpoint at the head of a segment's first frame, and gives the number of records it
    /// has. The first one read is believed; later ones must say what the records before them said.
    pub(crate) fn take_checkpoint<'a>(
        &mut self,
        records: impl Iterator<Item = &'a RawRecord<'a>>,
        first_read: bool,
    ) -> Result<usize, String> {
        let mut records = records.peekable();
        let count = match records.next() {
            Some(record) if record.kind == RecordKind::Checkpoint => record.index as usize,
            _ => return Err("a segment that does not start with a checkpoint".into()),
        };
        let mut said = State { freed: self.freed, ..State::default() };
        let mut taken = 0;
        for record in records.take(count) {
            taken += 1;
            if record.kind == RecordKind::Group {
                let mut group = GroupState::default();
                if let Some(first) = record.head.first_chunk() {
                    // Where the entries lie is not said: in segment 0, as far as we know, until they
                    // are truncated or purged, or we know better already.
                    group.last = Some(record.index);
                    group.runs.push_back(Run { segment: 0, first: u64::from_le_bytes(*first) });
                } else if !record.head.is_empty() {
                    return Err("a checkpoint that cannot be read".into());
                }
                said.groups.insert(record.group, group);
                continue;
            }
            let group = said.groups.get_mut(&record.group).ok_or("a checkpoint out of order")?;
            let payload = Bytes::copy_from_slice(record.payload);
            match record.kind {
                RecordKind::Vote => group.vote = Some(payload),
                RecordKind::Committed => group.committed = Some(payload),
                RecordKind::Purge => group.purged = Some((record.index, payload)),
                _ => return Err("a checkpoint that cannot be read".into()),
            }
        }
        if taken != count {
            return Err("a checkpoint that is cut short".into());
        }
        if first_read {
            *self = said;
        } else {
            let same = self.groups.len() == said.groups.len()
                && self.groups.iter().all(|(id, group)| said.groups.get(id).is_some_and(|o| o.agrees(group)));
            if !same {
                return Err("a checkpoint that contradicts the records before it".into());
            }
        }
        Ok(count + 1)
    }

    /// Fails when entries lie in a segment that is gone.
    pub(crate) fn check_complete(&self) -> Result<(), String> {
        for (id, group) in &self.groups {
            if group.runs.front().is_some_and(|run| run.segment <= self.freed) {
                return Err(format!(
                    "entries of group {id} from {:?} on are in a segment that was freed",
                    group.first()
                ));
            }
        }
        Ok(())
    }

    /// Panics unless the invariants at the head of this file hold.
    #[cfg(any(test, debug_assertions))]
    pub(crate) fn validate(&self) {
        for (id, group) in &self.groups {
            assert_eq!(group.last.is_some(), !group.runs.is_empty(), "group {id}: runs without entries");
            let mut before: Option<Run> = None;
            for run in &group.runs {
                if let Some(before) = before {
                    assert!(before.segment < run.segment && before.first < run.first, "group {id}: runs");
                }
                before = Some(*run);
            }
            if let (Some(first), Some(last)) = (group.first(), group.last) {
                assert!(first <= last, "group {id}: first {first} above last {last}");
                if let Some(purged) = group.purged_index() {
                    assert_eq!(first, purged + 1, "group {id}: a gap after the purged index");
                }
            }
        }
    }
}
