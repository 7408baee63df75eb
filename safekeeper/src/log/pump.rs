//! The shell that writes: takes all that waits, writes it as one batch, syncs, and calls the completions.
//!
//! Whoever calls [`LogPump::step`] does the work: a thread or a task (`drive`), or a
//! simulation. There is no timer before a batch: the next one forms while this one is synced.
//!
//! # A full disk
//!
//! The next segment's space is reserved before it is needed. When that fails, appends are refused at the
//! handle as soon as the current segment is full up to a reserve, and votes, truncations and purges
//! go on in the reserve. Only when more appends were already waiting than there is room for, they
//! stall until space is found; what other groups want goes past them, and within a group nothing
//! does but a purge, which is what gives space back.
//!
//! # A failed write or sync
//!
//! Nothing is known of what reached the disk, so the log stops (L3) and the process should end. The
//! next start writes the last batch it finds once more before it syncs, because after a failed
//! sync the operating system may show bytes that the disk never got.

use super::files::{Folder, SPARES_KEPT, Spare};
use super::format::{
    FRAME_HEADER_LEN, FrameBuilder, RECORD_HEADER_LEN, RawRecord, RecordKind, SEGMENT_HEADER_LEN, Seed,
    SegmentHeader,
};
use super::handle::{Done, LogConfig};
use super::shared::{
    ASKED_TO, Change, Inner, OPERATION_OVERHEAD, Operation, ReadFile, Shared, stopped_error,
};
use super::state::State;
use super::visible::Slot;
use bytes::Bytes;
use parking_lot::MutexGuard;
use shardforge_common::disk::DiskFile;
use shardforge_common::{Error, GroupId, Result, random};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// What every batch may need beyond its operations: its header, a freed record, and an end mark after it.
const BATCH_OVERHEAD: u64 = (2 * (FRAME_HEADER_LEN + RECORD_HEADER_LEN) + RECORD_HEADER_LEN) as u64;

/// The segment that is being written.
pub(crate) struct Current {
    pub(crate) epoch: u64,
    pub(crate) seed: Seed,
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) len: u64,
    /// Where the next frame goes. Everything before is synced: one batch is in flight at a time.
    pub(crate) offset: u64,
}

impl Current {
    fn is_fresh(&self) -> bool {
        self.offset == SEGMENT_HEADER_LEN as u64
    }
}

/// Does the log's work for whoever calls it: the log's own thread, or a simulation.
pub struct LogPump {
    pub(crate) shared: Arc<Shared>,
    pub(crate) folder: Folder,
    pub(crate) config: LogConfig,
    /// What the log says once the batch being written is durable.
    pub(crate) state: State,
    pub(crate) current: Current,
    /// Lengths of the segment files.
    pub(crate) lens: BTreeMap<u64, u64>,
    /// The last frame is an end mark, or there is none: damage to it could not be taken for a torn tail.
    pub(crate) at_rest: bool,
}

/// What the next step is to do.
enum Plan {
    Nothing,
    Write(Vec<Operation>, BTreeMap<GroupId, Bytes>),
    /// The first operation does not fit: begin a segment with room for this many bytes. It is the
    /// last resort when appends are passed over already.
    Rotate {
        needed: u64,
        last_resort: bool,
    },
}

impl LogPump {
    /// Writes one batch of what waits, and whatever must happen around it. False when there was nothing that
    /// could be done.
    pub fn step(&mut self) -> bool {
        if self.shared.inner.lock().stopped.is_some() {
            return false;
        }
        self.shared.inner.lock().stalled = false; // space may have been found
        loop {
            let plan = self.plan(&mut self.shared.inner.lock());
            match plan {
                Plan::Nothing => return false,
                Plan::Write(operations, committed) => {
                    self.write(operations, committed);
                    return true;
                }
                Plan::Rotate { needed, last_resort } => match self.rotate(needed) {
                    Ok(true) => {}
                    Ok(false) if !last_resort => self.shared.inner.lock().stalled = true,
                    Ok(false) => {
                        let full = self.shared.inner.lock().full.clone().unwrap_or_default();
                        self.shared.stop(&format!("no space is left even for votes: {full}"));
                        return false;
                    }
                    Err(error) => {
                        self.shared.stop(&error.to_string());
                        return false;
                    }
                },
            }
        }
    }

    /// Space kept for votes and purges while no other segment can be had, in bytes.
    fn reserve(&self) -> u64 {
        (self.config.segment_bytes / 16).min(1 << 20)
    }

    fn plan(&self, inner: &mut Inner) -> Plan {
        let used = self.current.offset
            + BATCH_OVERHEAD
            + if self.current.is_fresh() { self.state.checkpoint_len() as u64 } else { 0 };
        let for_any = self.current.len.saturating_sub(used);
        let reserve = if inner.spares.is_empty() { self.reserve() } else { 0 };
        let for_appends = for_any.saturating_sub(reserve);
        let (mut taken, mut kept, mut bytes) = (Vec::new(), VecDeque::new(), 0);
        let mut blocked = BTreeSet::new();
        while let Some(operation) = inner.queue.pop_front() {
            if inner.stalled {
                let passes = !operation.is_append()
                    && (!blocked.contains(&operation.group) || self.purges_durable_entries(&operation));
                if !passes {
                    blocked.insert(operation.group);
                    kept.push_back(operation);
                    continue;
                }
            }
            let len = operation.len_bytes();
            let limit = if operation.is_append() { for_appends } else { for_any };
            if bytes + len > limit || (bytes > 0 && bytes + len > self.config.batch_bytes) {
                let stalled = inner.stalled;
                kept.push_back(operation);
                if taken.is_empty() {
                    kept.append(&mut inner.queue);
                    inner.queue = kept;
                    return Plan::Rotate { needed: len, last_resort: stalled };
                }
                break;
            }
            bytes += len;
            taken.push(operation);
        }
        kept.append(&mut inner.queue);
        inner.queue = kept;
        if taken.is_empty() {
            return Plan::Nothing;
        }
        let mut committed = BTreeMap::new();
        if inner.queue.is_empty() {
            let len: usize = inner.committed.values().map(|c| RECORD_HEADER_LEN + c.len() + 8).sum();
            if bytes + len as u64 <= for_appends {
                committed = std::mem::take(&mut inner.committed);
            }
        }
        Plan::Write(taken, committed)
    }

    fn purges_durable_entries(&self, operation: &Operation) -> bool {
        let last = self.state.groups.get(&operation.group).and_then(|group| group.last);
        matches!(operation.change, Change::Purge(index, _) if last.is_some_and(|last| index <= last))
    }

    /// Begins the next segment; false when there is no space for one. An error stops the log.
    fn rotate(&mut self, needed: u64) -> Result<bool> {
        let least = SEGMENT_HEADER_LEN as u64
            + self.state.checkpoint_len() as u64
            + needed
            + BATCH_OVERHEAD
            + self.reserve();
        // Rounded, so that one large entry after another does not make files of odd sizes.
        let least = if least <= self.config.segment_bytes {
            self.config.segment_bytes
        } else {
            least.next_multiple_of(self.config.segment_bytes)
        };
        let Some(spare) = self.take_spare(least) else { return Ok(false) };
        let header = SegmentHeader {
            epoch: self.current.epoch + 1,
            previous_end: self.current.offset,
            freed: self.state.freed,
            len: spare.len,
            salt: random::thread().bytes16(),
        };
        let file = self.folder.activate(&spare, &header)?;
        self.current = Current {
            epoch: header.epoch,
            seed: header.seed(),
            file: file.clone(),
            len: spare.len,
            offset: SEGMENT_HEADER_LEN as u64,
        };
        self.lens.insert(header.epoch, spare.len);
        self.at_rest = true;
        let name = self.folder.segment_path(header.epoch).display().to_string().into();
        let mut inner = self.shared.inner.lock();
        inner.files.insert(header.epoch, ReadFile { file, seed: header.seed(), name });
        inner.disk_bytes = self.lens.values().sum();
        inner.want_spare = inner.spares.is_empty();
        drop(inner);
        self.shared.spare.notify_all();
        Ok(true)
    }

    /// A spare of at least this length, made now if need be; `None` when there is no space.
    fn take_spare(&mut self, least: u64) -> Option<Spare> {
        let mut inner = self.shared.inner.lock();
        loop {
            if let Some(at) = inner.spares.iter().position(|spare| spare.len >= least) {
                return Some(inner.spares.swap_remove(at));
            }
            if !inner.preparing {
                break;
            }
            self.shared.spare.wait(&mut inner);
        }
        prepare_spare(&self.shared, inner, &self.folder, least);
        let mut inner = self.shared.inner.lock();
        let at = inner.spares.iter().position(|spare| spare.len >= least)?;
        Some(inner.spares.swap_remove(at))
    }

    fn begin_frame(&self, capacity: usize) -> FrameBuilder {
        let current = &self.current;
        let mut frame = FrameBuilder::new(current.seed, current.epoch, current.offset, capacity);
        if current.is_fresh() {
            self.state.push_checkpoint(&mut frame);
        }
        frame
    }

    fn push(&mut self, frame: &mut FrameBuilder, record: &RawRecord<'_>) -> Result<Slot> {
        self.state.apply(record, self.current.epoch).map_err(Error::internal)?;
        let (offset, len) = frame.push(record);
        Slot::on_disk(self.current.epoch, offset, len).map_err(Error::internal)
    }

    /// Writes a batch and tells everyone.
    fn write(&mut self, operations: Vec<Operation>, committed: BTreeMap<GroupId, Bytes>) {
        let charged: u64 = operations.iter().map(|o| o.len_bytes() + OPERATION_OVERHEAD).sum();
        let freed_before = self.state.freed;
        let result = self.write_batch(&operations, &committed);
        let dones: Vec<Done> = operations.into_iter().filter_map(|operation| operation.done).collect();
        match result {
            Ok(written) => {
                let mut inner = self.shared.inner.lock();
                for (group, index, number, slot) in written {
                    inner.visible.written(group, index, number, slot);
                }
                inner.visible.evict();
                inner.waiting_bytes = inner.waiting_bytes.saturating_sub(charged);
                self.note_room(&mut inner);
                drop(inner);
                for done in dones {
                    done(Ok(()));
                }
                self.free(freed_before);
            }
            Err(error) => {
                let why = error.to_string();
                // The flag first, so that a completion that looks sees it.
                tracing::error!("the log stops: {why}");
                self.shared.inner.lock().stopped = Some(why.clone());
                for done in dones {
                    done(Err(stopped_error(&why)));
                }
                self.shared.stop(&why);
            }
        }
    }

    pub(crate) fn note_room(&self, inner: &mut Inner) {
        inner.room = self.current.len.saturating_sub(self.current.offset + BATCH_OVERHEAD + self.reserve());
    }

    #[allow(clippy::type_complexity, reason = "read in one place")]
    fn write_batch(
        &mut self,
        operations: &[Operation],
        committed: &BTreeMap<GroupId, Bytes>,
    ) -> Result<Vec<(GroupId, u64, u64, Slot)>> {
        let capacity: u64 = operations.iter().map(Operation::len_bytes).sum();
        let mut frame = self.begin_frame(capacity as usize + 1024);
        let mut written = Vec::new();
        let mut purged = false;
        for Operation { group, change, .. } in operations {
            let bare = |kind, index| RawRecord::bare(kind, *group, index);
            match change {
                Change::Append(entries, number) => {
                    for (i, entry) in entries.iter().enumerate() {
                        let record = RawRecord {
                            head: &entry.head,
                            payload: &entry.payload,
                            ..bare(RecordKind::Entry, entry.index)
                        };
                        let slot = self.push(&mut frame, &record)?;
                        written.push((*group, entry.index, number + i as u64, slot));
                    }
                }
                Change::Vote(vote) => {
                    let record = RawRecord { payload: vote, ..bare(RecordKind::Vote, 0) };
                    self.push(&mut frame, &record)?;
                }
                Change::Truncate(index) => {
                    self.push(&mut frame, &bare(RecordKind::Truncate, *index))?;
                }
                Change::Purge(index, marker) => {
                    let record = RawRecord { payload: marker, ..bare(RecordKind::Purge, *index) };
                    self.push(&mut frame, &record)?;
                    purged = true;
                }
            }
        }
        self.push_committed(&mut frame, committed)?;
        let freed = self.state.first_needed(self.current.epoch) - 1;
        if purged && freed > self.state.freed {
            // In the same batch as the purge: durable before any file goes (`free`).
            self.push(&mut frame, &RawRecord::bare(RecordKind::Freed, GroupId(0), freed))?;
        }
        self.put(frame)?;
        self.at_rest = false;
        Ok(written)
    }

    fn push_committed(&mut self, frame: &mut FrameBuilder, marks: &BTreeMap<GroupId, Bytes>) -> Result<()> {
        for (&group, mark) in marks {
            let record = RawRecord { payload: mark, ..RawRecord::bare(RecordKind::Committed, group, 0) };
            self.push(frame, &record)?;
        }
        Ok(())
    }

    /// One write, one sync.
    fn put(&mut self, frame: FrameBuilder) -> Result<()> {
        #[cfg(debug_assertions)]
        self.state.validate();
        let bytes = frame.finish(self.current.offset);
        let current = &mut self.current;
        if current.offset + bytes.len() as u64 > current.len {
            return Err(Error::internal("a batch that does not fit its segment"));
        }
        let path = self.folder.segment_path(current.epoch);
        let failed = |e| super::files::io_error("write and sync", &path, e);
        current.file.append_durably(&bytes, current.offset).map_err(failed)?;
        current.offset += bytes.len() as u64;
        let mut inner = self.shared.inner.lock();
        inner.counters.batches += 1;
        inner.counters.written_bytes += bytes.len() as u64;
        Ok(())
    }

    /// Gives up the segments freed since `before`: one becomes a spare, the others go. A failure leaves a
    /// file that the next start removes.
    fn free(&mut self, before: u64) {
        if self.state.freed == before {
            return;
        }
        for epoch in before + 1..=self.state.freed {
            let Some(len) = self.lens.remove(&epoch) else { continue };
            let number = {
                let mut inner = self.shared.inner.lock();
                inner.files.remove(&epoch);
                let number = inner.next_spare;
                let recycle = inner.spares.len() < SPARES_KEPT && len == self.config.segment_bytes;
                inner.next_spare += u64::from(recycle);
                recycle.then_some(number)
            };
            let result = match number {
                None => self.folder.remove_segment(epoch),
                Some(number) => self.folder.recycle(epoch, number, len).map(|spare| {
                    let mut inner = self.shared.inner.lock();
                    inner.spares.push(spare);
                    inner.full = None;
                    inner.want_spare = false;
                }),
            };
            if let Err(error) = result {
                tracing::warn!("{error}");
            }
        }
        self.shared.inner.lock().disk_bytes = self.lens.values().sum();
        self.shared.spare.notify_all();
    }

    /// Marks the end of the log, if it is not marked yet and nothing waits: from now on a bad last batch
    /// is known to be damage. Committed marks that wait go with it.
    pub fn mark_end(&mut self) {
        let committed = {
            let mut inner = self.shared.inner.lock();
            let idle = inner.queue.is_empty() && inner.stopped.is_none();
            if !idle || (self.at_rest && inner.committed.is_empty()) {
                return;
            }
            std::mem::take(&mut inner.committed)
        };
        let records: usize = committed.values().map(|c| RECORD_HEADER_LEN + c.len() + 8).sum();
        let checkpoint = if self.current.is_fresh() { self.state.checkpoint_len() } else { 0 };
        let need = (FRAME_HEADER_LEN + RECORD_HEADER_LEN + records + checkpoint) as u64;
        if self.current.offset + need > self.current.len {
            // No room before the next batch begins a segment; then the marks go with it.
            let mut inner = self.shared.inner.lock();
            for (group, mark) in committed {
                inner.committed.entry(group).or_insert(mark);
            }
            return;
        }
        let mut frame = self.begin_frame(records);
        let result = self.push_committed(&mut frame, &committed).and_then(|()| {
            frame.push(&RawRecord::bare(RecordKind::End, GroupId(0), 0));
            self.put(frame)
        });
        match result {
            Ok(()) => {
                self.at_rest = true;
                let shared = self.shared.clone();
                self.note_room(&mut shared.inner.lock());
            }
            Err(error) => self.shared.stop(&error.to_string()),
        }
    }

    /// Makes a spare if one is wanted. With a thread, a second thread does this.
    pub fn prepare_spare(&mut self) {
        let inner = self.shared.inner.lock();
        if inner.want_spare && !inner.preparing && inner.stopped.is_none() {
            prepare_spare(&self.shared, inner, &self.folder, self.config.segment_bytes);
        }
    }

    /// Writes all that waits, and marks the end.
    pub fn finish(&mut self) {
        while self.step() {}
        self.mark_end();
        self.shared.stop(ASKED_TO);
    }
}

/// Makes a spare of this length; the guard's lock is given up meanwhile.
pub(crate) fn prepare_spare(shared: &Shared, mut inner: MutexGuard<'_, Inner>, folder: &Folder, len: u64) {
    inner.preparing = true;
    inner.want_spare = false;
    let number = inner.next_spare;
    inner.next_spare += 1;
    drop(inner);
    let made = folder.make_spare(number, len);
    let mut inner = shared.inner.lock();
    inner.preparing = false;
    match made {
        Ok(spare) => {
            inner.spares.push(spare);
            inner.full = None;
        }
        Err(error) => {
            let error = error.to_string();
            if inner.full.is_none() {
                tracing::warn!("appends to the log will be refused: {error}");
            }
            inner.full = Some(error);
        }
    }
    drop(inner);
    shared.spare.notify_all();
    shared.bell.ring();
}
