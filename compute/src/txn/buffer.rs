//! A transaction's own writes, before the log knows of them.
//!
//! Each write gets the next *order*, a number that never comes again. A read sees the writes below
//! some order: those before the running statement, or all. Undoing to a savepoint takes out
//! everything from an order on. Pure, but for the runs that it is given to read from.
//!
//! # Invariants
//!
//! 1. The entries of a key increase in order; what is in memory is newer than what is in runs.
//! 2. An entry at or above the *barrier* (the later of statement start and last savepoint) is replaced
//!    by the next write of its key: nobody can return to it.
//! 3. `discarded` holds the orders that were undone after they had gone to a run: disjoint, ascending.
//!
//! New rows in key order, of which nobody else can know, are kept apart: see [`super::bulk`].

use super::Visibility;
use super::bulk::{Chunk, Lanes, NewChunk, rows_of};
use super::key_filter::KeyHash;
use super::spill::{Run, RunWriter};
use bytes::Bytes;
use shardforge_common::disk::Disk;
use shardforge_common::mutation::{Mutation, put_varint, take, take_prefixed, take_varint};
use shardforge_common::{Lsn, Result, StorageId, key};
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry as MapEntry;
use std::ops::Bound;
use std::path::PathBuf;
use std::sync::Arc;

/// What an entry costs beside its bytes.
const ENTRY_OVERHEAD: usize = 96;

/// The place of a write in its transaction.
pub(crate) type Order = u64;

/// What is known of a key before the transaction's first write of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Prior {
    Absent,
    Present,
    Unknown,
}

/// What a write leaves behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    Value(Bytes),
    Gone,
    /// Locked, data unchanged.
    Touched,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) order: Order,
    pub(crate) prior: Prior,
    pub(crate) state: State,
    /// The LSN since which nobody else may have written the key; `None`: not checked.
    pub(crate) check: Option<Lsn>,
}

pub(crate) type Entries = SmallVec<[Entry; 1]>;

/// What own writes say of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Own {
    /// Nothing.
    Silent,
    Value(Bytes),
    Gone,
}

#[derive(Debug, Clone)]
pub(crate) struct RangeWrite {
    pub(crate) order: Order,
    pub(crate) start: Bytes,
    pub(crate) end: Bytes,
    pub(crate) check: Option<Lsn>,
}

/// A key's final mutation and check.
pub(crate) struct Final {
    pub(crate) key: Bytes,
    pub(crate) prior: Prior,
    pub(crate) state: State,
    pub(crate) check: Option<Lsn>,
}

impl Final {
    /// The mutation, unless nothing is left to do.
    pub(crate) fn mutation(&self) -> Option<Mutation<'_>> {
        let key = &self.key[..];
        match (&self.state, self.prior) {
            (State::Value(value), Prior::Absent) => Some(Mutation::Insert { key, value }),
            (State::Value(value), Prior::Present) => Some(Mutation::Update { key, value }),
            (State::Value(value), Prior::Unknown) => Some(Mutation::Put { key, value }),
            (State::Gone, Prior::Absent) => None,
            (State::Gone, _) => Some(Mutation::Delete { key }),
            (State::Touched, _) => Some(Mutation::Touch { key }),
        }
    }
}

/// Keys that own writes say something of; and when there may be more, the key at which to go on.
pub(crate) type OwnRange = (Vec<(Bytes, Own)>, Option<Bytes>);

/// The writes of one transaction.
#[derive(Default)]
pub(crate) struct WriteBuffer {
    map: BTreeMap<Bytes, Entries>,
    log: Vec<(Order, Bytes)>,
    ranges: Vec<RangeWrite>,
    runs: Vec<Run>,
    discarded: Vec<(Order, Order)>,
    created: Vec<(Order, StorageId)>,
    bulk: Lanes,
    next: Order,
    statement: Order,
    /// What reads of the running command see; at or above `statement`.
    command: Order,
    barrier: Order,
    bytes: usize,
    data: bool,
}

impl WriteBuffer {
    pub(crate) fn is_empty(&self) -> bool {
        self.map.is_empty() && self.ranges.is_empty() && self.runs.is_empty() && self.bulk.is_empty()
    }

    /// Whether it has ever held more than row locks.
    pub(crate) fn has_data(&self) -> bool {
        self.data && !self.is_empty()
    }

    /// As new, when nothing was ever written; else false, and nothing is changed.
    pub(crate) fn forget_reads(&mut self) -> bool {
        let untouched = self.is_empty() && self.log.is_empty() && self.created.is_empty() && !self.data;
        if untouched {
            let bulk = std::mem::take(&mut self.bulk);
            *self = Self { bulk, ..Self::default() };
        }
        untouched
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes + self.bulk.bytes()
    }

    /// Bulk rows come in chunks of about this size, in bytes.
    pub(crate) fn set_chunk_bytes(&mut self, bytes: usize) {
        self.bulk.set_chunk_bytes(bytes);
    }

    /// The order of the next write: a point to return to.
    pub(crate) fn mark(&self) -> Order {
        self.next
    }

    /// A point that will be returned to: nothing before it is replaced from now on.
    pub(crate) fn savepoint(&mut self) -> Order {
        // An order of its own parts what came before from what comes after, checks included.
        self.bulk.close_all();
        self.next += 1;
        self.barrier = self.next;
        self.next
    }

    /// What was written so far is seen by what follows.
    pub(crate) fn begin_statement(&mut self) {
        self.next += 1;
        self.statement = self.next;
        self.next_command();
    }

    /// The same within a statement, whose beginning stays where it was.
    pub(crate) fn next_command(&mut self) {
        self.bulk.close_all();
        self.command = self.next;
        self.barrier = self.next;
    }

    /// The order at which the running statement began.
    pub(crate) fn statement(&self) -> Order {
        self.statement
    }

    /// The order below which a read sees.
    pub(crate) fn visible(&self, visibility: Visibility) -> Order {
        match visibility {
            Visibility::Statement => self.command,
            Visibility::Now => self.next,
        }
    }

    pub(crate) fn mark_created(&mut self, storage: StorageId) {
        self.created.push((self.next, storage));
        self.bulk.created(storage);
        self.next += 1;
    }

    /// Whether a key is known to exist nowhere: it lies in a storage of the transaction's own making, above
    /// everything that it wrote there.
    pub(crate) fn is_unwritten(&self, key: &[u8]) -> bool {
        !self.created.is_empty() && self.bulk.is_unwritten(key)
    }

    /// A new row of which nobody else can know: `fresh` says that nobody ever wrote its key; else that must
    /// follow from [`WriteBuffer::is_unwritten`]. False, and nothing is written, when it does not come in
    /// key order.
    pub(crate) fn append(&mut self, key: &[u8], value: &[u8], fresh: bool) -> bool {
        let appended = self.bulk.append(&mut self.next, key, value, fresh);
        self.data |= appended;
        appended
    }

    /// New rows that were put in order aside; see [`Lanes::append_chunk`].
    pub(crate) fn append_chunk(&mut self, chunk: NewChunk) -> std::result::Result<(), NewChunk> {
        let appended = self.bulk.append_chunk(&mut self.next, chunk);
        self.data |= appended.is_ok();
        appended
    }

    /// The keys appended next are no neighbours of those before.
    pub(crate) fn break_chunk(&mut self, storage: StorageId) {
        self.bulk.break_chunk(storage);
    }

    pub(crate) fn created(&self) -> impl Iterator<Item = StorageId> + '_ {
        self.created.iter().map(|(_, storage)| *storage)
    }

    /// Whether a key lies in a storage that this transaction made.
    pub(crate) fn is_created(&self, at: &[u8]) -> bool {
        !self.created.is_empty()
            && key::storage_id_of(at).is_ok_and(|id| self.created.iter().any(|(_, made)| *made == id))
    }

    /// Whether a whole range lies in one.
    pub(crate) fn is_created_range(&self, start: &[u8], end: &[u8]) -> bool {
        !self.created.is_empty()
            && key::storage_id_of(start)
                .is_ok_and(|id| self.is_created(start) && end <= &key::storage_range(id).1[..])
    }

    /// A write of a key. The check of its first write stands.
    pub(crate) fn write(&mut self, key: Bytes, prior: Prior, state: State, check: Option<Lsn>) {
        let order = self.next;
        self.next += 1;
        self.data |= state != State::Touched;
        self.bulk.note(&key);
        let cost = |state: &State| ENTRY_OVERHEAD + if let State::Value(v) = state { v.len() } else { 0 };
        match self.map.entry(key) {
            MapEntry::Vacant(vacant) => {
                self.bytes += cost(&state) + 2 * vacant.key().len();
                self.log.push((order, vacant.key().clone()));
                vacant.insert(SmallVec::from_iter([Entry { order, prior, state, check }]));
            }
            MapEntry::Occupied(mut occupied) => {
                let last = occupied.get_mut().last_mut().expect("a key has an entry");
                if state == State::Touched && last.state != State::Touched {
                    last.check = last.check.or(check);
                    return;
                }
                if last.order >= self.barrier && !self.ranges.iter().any(|range| range.order > last.order) {
                    self.bytes = (self.bytes + cost(&state)).saturating_sub(cost(&last.state));
                    // What was known before the first write stands, unless that only locked.
                    if last.state == State::Touched {
                        last.prior = prior;
                    }
                    last.state = state;
                    last.check = last.check.or(check);
                } else {
                    self.bytes += cost(&state);
                    self.log.push((order, occupied.key().clone()));
                    occupied.get_mut().push(Entry { order, prior, state, check });
                }
            }
        }
    }

    pub(crate) fn delete_range(&mut self, start: Bytes, end: Bytes, check: Option<Lsn>) {
        // Bulk rows before it and after it have orders below and above its own.
        self.bulk.close_all();
        let order = self.next;
        self.next += 1;
        self.data = true;
        self.bytes += ENTRY_OVERHEAD + start.len() + end.len();
        self.ranges.push(RangeWrite { order, start, end, check });
    }

    /// Undoes every write from an order on.
    pub(crate) fn undo_to(&mut self, mark: Order) {
        while let Some((_, key)) = self.log.pop_if(|(order, _)| *order >= mark) {
            if let Some(entries) = self.map.get_mut(&key) {
                if let Some(entry) = entries.pop()
                    && let State::Value(value) = entry.state
                {
                    self.bytes = self.bytes.saturating_sub(value.len());
                }
                self.bytes = self.bytes.saturating_sub(ENTRY_OVERHEAD);
                if entries.is_empty() {
                    self.bytes = self.bytes.saturating_sub(2 * key.len());
                    self.map.remove(&key);
                }
            }
        }
        self.ranges.retain(|range| range.order < mark);
        self.created.retain(|(order, _)| *order < mark);
        self.bulk.undo_to(mark);
        self.bulk.keep_created(|storage| self.created.iter().any(|(_, made)| *made == storage));
        if mark < self.next && !self.runs.is_empty() {
            while self.discarded.pop_if(|(from, _)| *from >= mark).is_some() {}
            self.discarded.push((mark, self.next));
        }
        self.barrier = self.next;
    }

    fn is_live(&self, order: Order) -> bool {
        let after = self.discarded.partition_point(|(from, _)| *from <= order);
        after.checked_sub(1).is_none_or(|last| order >= self.discarded[last].1)
    }

    /// What own writes below an order say of a key.
    pub(crate) fn get(&self, key: &[u8], before: Order) -> Result<Own> {
        let mut newest = self.map.get(key).and_then(|entries| Self::seen(entries, before).cloned());
        if newest.is_none() && !self.runs.is_empty() {
            let hash = KeyHash::of(key);
            for run in self.runs.iter().rev().filter(|run| run.has_before(before)) {
                let entries = run.get(key, hash)?.map(|entries| self.live(entries));
                newest = entries.and_then(|entries| Self::seen(&entries, before).cloned());
                if newest.is_some() {
                    break;
                }
            }
        }
        if newest.is_none() {
            newest = self.bulk.get(key, ..before)?;
        }
        Ok(self.judge(key, newest.as_ref(), before))
    }

    /// Whether a key was written at or after an order.
    pub(crate) fn is_written_since(&self, key: &[u8], since: Order) -> Result<bool> {
        let written = |entries: &Entries| {
            entries.iter().any(|entry| entry.order >= since && entry.state != State::Touched)
        };
        if self.map.get(key).is_some_and(written) {
            return Ok(true);
        }
        if !self.runs.is_empty() {
            let hash = KeyHash::of(key);
            for run in self.runs.iter().filter(|run| run.has_since(since)) {
                if run.get(key, hash)?.is_some_and(|entries| written(&self.live(entries))) {
                    return Ok(true);
                }
            }
        }
        Ok(self.bulk.get(key, since..)?.is_some())
    }

    fn live(&self, mut entries: Entries) -> Entries {
        if !self.discarded.is_empty() {
            entries.retain(|entry| self.is_live(entry.order));
        }
        entries
    }

    fn seen(entries: &Entries, before: Order) -> Option<&Entry> {
        entries.iter().rev().find(|entry| entry.order < before && entry.state != State::Touched)
    }

    fn judge(&self, key: &[u8], newest: Option<&Entry>, before: Order) -> Own {
        let since = newest.map(|entry| entry.order);
        if self.wiped(key, since, before) {
            return Own::Gone;
        }
        match newest.map(|entry| &entry.state) {
            Some(State::Value(value)) => Own::Value(value.clone()),
            Some(_) => Own::Gone,
            None => Own::Silent,
        }
    }

    /// Whether an own range delete covers a key, after an order.
    pub(crate) fn wiped(&self, key: &[u8], since: Option<Order>, before: Order) -> bool {
        self.ranges.iter().any(|range| {
            range.order < before
                && since.is_none_or(|since| range.order > since)
                && range.start <= key
                && key < range.end
        })
    }

    /// Whether own writes below an order might say anything of a range.
    pub(crate) fn touches(&self, start: &[u8], end: &[u8], before: Order) -> bool {
        let spilled = |run: &Run| run.has_before(before) && run.touches(start, Some(end));
        self.map.range::<[u8], _>((Bound::Included(start), Bound::Excluded(end))).next().is_some()
            || self.ranges.iter().any(|range| range.order < before && range.start < end && start < range.end)
            || self.runs.iter().any(spilled)
            || self.bulk.touches(start, end, before)
    }

    /// What own writes below an order say of the keys of `[start, end)`, in reading order; and when more than
    /// `limit` keys were written there, the one at which to go on. Keys of which they say nothing count
    /// too: a step never walks over more.
    pub(crate) fn range(
        &self,
        (start, end): (&[u8], &[u8]),
        reverse: bool,
        before: Order,
        limit: usize,
    ) -> Result<OwnRange> {
        let mut out = Vec::new();
        let bulk = self.bulk.chunks(start, Some(end), before)?;
        for (walked, item) in self.merged(start, Some(end), reverse, before, bulk).enumerate() {
            let (key, entries) = item?;
            if walked == limit {
                return Ok((out, Some(key)));
            }
            let own = self.judge(&key, Self::seen(&entries, before), before);
            if own != Own::Silent {
                out.push((key, own));
            }
        }
        Ok((out, None))
    }

    /// Keys with all their live entries, memory, runs and these bulk rows together. Of runs those that have
    /// something below an order: the rest was written later, all of it.
    fn merged<'a>(
        &'a self,
        start: &[u8],
        end: Option<&[u8]>,
        reverse: bool,
        before: Order,
        bulk: Vec<Chunk>,
    ) -> Merged<'a> {
        let bounds =
            (Bound::Included(start), end.map_or(Bound::Unbounded, |end| Bound::Excluded(end.max(start))));
        let memory = self.map.range::<[u8], _>(bounds).map(|(k, e)| Ok((k.clone(), e.clone())));
        let memory: Source<'a> = if reverse { Box::new(memory.rev()) } else { Box::new(memory) };
        // Oldest first, so that the entries of a key are joined in order.
        let mut sources: Vec<Source<'a>> = Vec::new();
        if !bulk.is_empty() {
            sources.push(rows_of(bulk, start, end, reverse));
        }
        let runs = self.runs.iter().filter(|run| run.has_before(before) && run.touches(start, end));
        sources.extend(runs.map(|run| Box::new(run.range(start, end, reverse)) as Source<'a>));
        sources.push(memory);
        Merged { buffer: self, heads: sources.iter_mut().map(Iterator::next).collect(), sources, reverse }
    }

    /// The range deletes, which come first in the log.
    pub(crate) fn range_writes(&self) -> &[RangeWrite] {
        &self.ranges
    }

    /// The bulk rows in key order, whole chunks of them: those that nothing else was written in between
    /// of, and those whose rows must be looked at one by one.
    pub(crate) fn bulk_chunks(&self) -> Result<(Vec<Chunk>, Vec<Chunk>)> {
        let chunks = self.bulk.chunks(&[], None, Order::MAX)?;
        Ok(chunks.into_iter().partition(|chunk| {
            let (first, last) = (&chunk.first[..], &chunk.last[..]);
            let span = (Bound::Included(first), Bound::Included(last));
            self.map.range::<[u8], _>(span).next().is_none()
                && !self.runs.iter().any(|run| run.overlaps(first, last))
                && !self.ranges.iter().any(|range| range.start <= last && first < &range.end[..])
        }))
    }

    /// Every key's final state, in key order; those that a later range delete took have none. Of bulk rows
    /// those of these chunks.
    pub(crate) fn finals(&self, bulk: Vec<Chunk>) -> impl Iterator<Item = Result<Final>> + '_ {
        self.merged(&[], None, false, Order::MAX, bulk).filter_map(|item| {
            let (key, entries) = match item {
                Ok(item) => item,
                Err(error) => return Some(Err(error)),
            };
            let first = entries.first()?;
            let check = entries.iter().filter_map(|entry| entry.check).min();
            // A later touch changes nothing.
            let last = entries.iter().rev().find(|e| e.state != State::Touched).unwrap_or(first);
            let first_data = entries.iter().find(|e| e.state != State::Touched).unwrap_or(first);
            let covered =
                |after: Option<Order>| last.state != State::Touched && self.wiped(&key, after, Order::MAX);
            let (prior, state) = if covered(Some(last.order)) {
                // The range delete does it; the check stays.
                (Prior::Absent, State::Gone)
            } else if covered(None) {
                (Prior::Unknown, last.state.clone())
            } else {
                (first_data.prior, last.state.clone())
            };
            Some(Ok(Final { key, prior, state, check }))
        })
    }

    /// Moves what is in memory to disk.
    pub(crate) fn spill(&mut self, disk: &Arc<dyn Disk>, path: impl Fn() -> Result<PathBuf>) -> Result<()> {
        if self.bulk.bytes() > self.bytes {
            // The smaller part stays: it is seldom worth a run.
            return self.bulk.spill(disk, path);
        }
        let mut writer = RunWriter::create(disk.clone(), path()?)?;
        for (key, entries) in &self.map {
            writer.push(key, entries)?;
        }
        self.runs.push(writer.finish()?);
        self.map.clear();
        self.log.clear();
        self.bytes = 0;
        Ok(())
    }
}

type Source<'a> = Box<dyn Iterator<Item = Result<(Bytes, Entries)>> + Send + 'a>;

struct Merged<'a> {
    buffer: &'a WriteBuffer,
    sources: Vec<Source<'a>>,
    heads: Vec<Option<Result<(Bytes, Entries)>>>,
    reverse: bool,
}

impl Iterator for Merged<'_> {
    type Item = Result<(Bytes, Entries)>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(failed) = self.heads.iter_mut().find(|head| matches!(head, Some(Err(_)))) {
                return failed.take();
            }
            let keys = self.heads.iter().flatten().filter_map(|head| head.as_ref().ok()).map(|(key, _)| key);
            #[cfg(test)]
            super::tests::work::add(super::tests::work::Work::Key);
            let key = if self.reverse { keys.max() } else { keys.min() }?.clone();
            let mut joined = Entries::new();
            for (head, source) in self.heads.iter_mut().zip(&mut self.sources) {
                if matches!(head, Some(Ok((at, _))) if *at == key)
                    && let Some(Ok((_, entries))) = std::mem::replace(head, source.next())
                {
                    joined.extend(self.buffer.live(entries));
                }
            }
            if !joined.is_empty() {
                return Some(Ok((key, joined)));
            }
        }
    }
}

/// Appends a key's entries in the form of a run: see [`super::spill`].
pub(crate) fn encode_entries(key: &[u8], entries: &Entries, out: &mut Vec<u8>) {
    put_varint(out, key.len() as u64);
    out.extend_from_slice(key);
    put_varint(out, entries.len() as u64);
    for entry in entries {
        put_varint(out, entry.order);
        out.push(entry.prior as u8);
        put_varint(out, entry.check.map_or(0, |lsn| lsn.0 + 1));
        match &entry.state {
            State::Gone => out.push(0),
            State::Touched => out.push(1),
            State::Value(value) => {
                out.push(2);
                put_varint(out, value.len() as u64);
                out.extend_from_slice(value);
            }
        }
    }
}

/// Reads what [`encode_entries`] wrote, from the head of `bytes`; values share `block`.
pub(crate) fn decode_entries(block: &Bytes, bytes: &mut &[u8]) -> Result<(Bytes, Entries)> {
    let key = block.slice_ref(take_prefixed(bytes)?);
    let mut entries = Entries::new();
    for _ in 0..take_varint(bytes)? {
        let order = take_varint(bytes)?;
        let prior = match take(bytes, 1)?[0] {
            0 => Prior::Absent,
            1 => Prior::Present,
            _ => Prior::Unknown,
        };
        let check = take_varint(bytes)?.checked_sub(1).map(Lsn);
        let state = match take(bytes, 1)?[0] {
            0 => State::Gone,
            1 => State::Touched,
            _ => State::Value(block.slice_ref(take_prefixed(bytes)?)),
        };
        entries.push(Entry { order, prior, state, check });
    }
    Ok((key, entries))
}
