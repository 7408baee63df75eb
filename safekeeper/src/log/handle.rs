//! The handle through which groups use the log.

use super::drive::keep_spare;
use super::files::Spare;
use super::pump::LogPump;
use super::shared::{ASKED_TO, Change, Inner, OPERATION_OVERHEAD, Operation, Shared, stopped_error};
use super::visible::Found;
use super::{open, read};
use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};
use shardforge_common::disk::Disk;
use shardforge_common::task::spawn_thread;
use shardforge_common::{Error, GroupId, Result};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// Called once, when what was asked for is durable or has failed. Runs on the log's thread: it must
/// be short, and must not wait for the log.
pub type Done = Box<dyn FnOnce(Result<()>) + Send>;

/// How a log is kept.
#[derive(Debug, Clone)]
pub struct LogConfig {
    /// Size of a segment file, in bytes. An entry that is larger gets a larger segment.
    pub segment_bytes: u64,
    /// Recent entries are kept in memory up to this many bytes, headers included.
    pub cache_bytes: u64,
    /// A batch takes no further operation once it has this many bytes.
    pub batch_bytes: u64,
    /// After this long without work, or at most twice as long, the end of the log is marked (L3).
    pub idle_mark_after: Duration,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            cache_bytes: 64 << 20,
            batch_bytes: 8 << 20,
            idle_mark_after: Duration::from_millis(200),
        }
    }
}

/// One entry of a group's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// Its place in the group's log.
    pub index: u64,
    /// A few bytes for the caller: the Raft log id, say. At most 65,535.
    pub head: Bytes,
    /// The content, shared and not copied while it is cached.
    pub payload: Bytes,
}

/// What the log is doing, for metrics and status.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogStats {
    /// Segment files in use.
    pub segments: u64,
    /// Bytes of those files, preallocated space included.
    pub disk_bytes: u64,
    /// The oldest segment's number.
    pub first_epoch: u64,
    /// The newest segment's number.
    pub last_epoch: u64,
    /// Groups with any state.
    pub groups: u64,
    /// Entries that can be read.
    pub entries: u64,
    /// Bytes of entries kept in memory.
    pub cached_bytes: u64,
    /// Operations that wait to be written.
    pub waiting: u64,
    /// Batches written since the log was opened: each is one write and one sync.
    pub batches: u64,
    /// Bytes written in them.
    pub written_bytes: u64,
    /// Reads that had to go to the disk.
    pub disk_reads: u64,
    /// Why appends are refused, while the disk is full.
    pub full: Option<String>,
}

/// The log; clones are the same one. When the last one is dropped, the log stops as by
/// [`Log::stop`].
#[derive(Clone)]
pub struct Log(Arc<Handle>);

struct Handle {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Handle {
    fn stop(&self) {
        self.shared.inner.lock().stopping = true;
        self.shared.bell.ring();
        self.shared.spare.notify_all();
        let threads = std::mem::take(&mut *self.threads.lock());
        for thread in threads {
            // A completion may drop the last handle, on the log's own thread.
            if thread.thread().id() != std::thread::current().id() && thread.join().is_err() {
                self.shared.stop("its thread panicked");
            }
        }
    }
}

impl Log {
    /// Opens the log in a folder, making it when there is none, and starts its thread. Fails with
    /// `Corrupt`, naming file and offset, when the log is damaged.
    pub fn open(disk: Arc<dyn Disk>, dir: &Path, config: LogConfig) -> Result<Log> {
        let (log, pump) = Self::open_for_task(disk, dir, config)?;
        let writer = spawn_thread("log", move || pump.run());
        log.0.threads.lock().push(writer.map_err(no_thread)?);
        Ok(log)
    }

    /// The same, to be driven as a task by whoever appends: see [`LogPump::drive`]. Only spares are
    /// prepared on a thread.
    pub(crate) fn open_for_task(
        disk: Arc<dyn Disk>,
        dir: &Path,
        config: LogConfig,
    ) -> Result<(Log, LogPump)> {
        let (log, pump) = Self::open_without_thread(disk, dir, config)?;
        let (shared, folder, len) = (pump.shared.clone(), pump.folder.clone(), pump.config.segment_bytes);
        let keeper = spawn_thread("log-spare", move || keep_spare(&shared, &folder, len));
        log.0.threads.lock().push(keeper.map_err(no_thread)?);
        Ok((log, pump))
    }

    /// The same without a thread: nothing becomes durable but by [`LogPump::step`].
    pub fn open_without_thread(disk: Arc<dyn Disk>, dir: &Path, config: LogConfig) -> Result<(Log, LogPump)> {
        let pump = open::open(disk, dir, config)?;
        let log = Log(Arc::new(Handle { shared: pump.shared.clone(), threads: Mutex::default() }));
        let groups = log.0.shared.inner.lock().visible.groups();
        for group in groups {
            log.load_last_head(group)?;
        }
        Ok((log, pump))
    }

    /// Appends entries, which follow on without a gap. They can be read when this returns; `done` is
    /// called when they are durable. While the disk is full it is called at once with
    /// `Unavailable`, and nothing has changed: ask [`Log::check_room`] before handing entries to Raft.
    pub fn append(&self, group: GroupId, entries: Vec<LogEntry>, done: Done) {
        self.append_if(group, entries, true, done);
    }

    /// Appends entries that Raft has accepted already and that cannot be refused any more: while the
    /// disk is full they wait, as those do that were waiting when it filled.
    pub fn append_accepted(&self, group: GroupId, entries: Vec<LogEntry>, done: Done) {
        self.append_if(group, entries, false, done);
    }

    fn append_if(&self, group: GroupId, entries: Vec<LogEntry>, needs_room: bool, done: Done) {
        let result = {
            let mut inner = self.0.shared.inner.lock();
            let mut operation = Operation { group, change: Change::Append(entries, 0), done: None };
            let taken = ready(&inner).and_then(|()| match needs_room {
                true => self.room(&mut inner, operation.len_bytes()),
                false => Ok(()),
            });
            let taken = taken.and_then(|()| match &mut operation.change {
                Change::Append(entries, number) => {
                    inner.visible.append(group, entries).map(|first| *number = first)
                }
                _ => Ok(()),
            });
            match taken {
                Ok(()) => {
                    operation.done = Some(done);
                    self.push(inner, operation);
                    return;
                }
                Err(error) => Err(error),
            }
        };
        done(result);
    }

    /// Whether an append of this many bytes would be taken now: `Unavailable` while the disk is full.
    pub fn check_room(&self, bytes: u64) -> Result<()> {
        let mut inner = self.0.shared.inner.lock();
        ready(&inner)?;
        self.room(&mut inner, bytes)
    }

    /// Saves a group's vote, in order with its appends.
    pub fn save_vote(&self, group: GroupId, vote: Bytes, done: Done) {
        let mut inner = self.0.shared.inner.lock();
        match ready(&inner) {
            Ok(()) => {
                inner.visible.set_vote(group, vote.clone());
                self.push(inner, Operation { group, change: Change::Vote(vote), done: Some(done) });
            }
            Err(error) => {
                drop(inner);
                done(Err(error));
            }
        }
    }

    /// The vote last saved.
    pub fn vote(&self, group: GroupId) -> Option<Bytes> {
        self.0.shared.inner.lock().visible.vote(group)
    }

    /// Saves what a group knows to be committed: durable with the next batch, or when idle. Never
    /// durable before the entries appended before it.
    pub fn save_committed(&self, group: GroupId, committed: Bytes) {
        let mut inner = self.0.shared.inner.lock();
        inner.visible.set_committed(group, committed.clone());
        inner.committed.insert(group, committed);
        if inner.deep_sleep {
            self.0.shared.bell.ring();
        }
    }

    /// What was last saved as committed.
    pub fn committed(&self, group: GroupId) -> Option<Bytes> {
        self.0.shared.inner.lock().visible.committed(group)
    }

    /// Removes the entry at `index` and all after it.
    pub fn truncate_from(&self, group: GroupId, index: u64, done: Done) {
        let mut inner = self.0.shared.inner.lock();
        let purged = inner.visible.purged(group).is_some_and(|(purged, _)| index <= purged);
        let result = ready(&inner).and_then(|()| match purged {
            true => Err(Error::invalid(format!("entry {index} of group {group} is already purged"))),
            false => Ok(()),
        });
        if let Err(error) = result {
            drop(inner);
            done(Err(error));
            return;
        }
        inner.visible.remove_from(group, index);
        self.push(inner, Operation { group, change: Change::Truncate(index), done: Some(done) });
        if let Err(error) = self.load_last_head(group) {
            self.0.shared.stop(&error.to_string());
        }
    }

    /// Removes the entries up to and including `index`, which may lie beyond the last one (a snapshot
    /// was installed): the next entry is `index + 1`. Files are freed when every group is past them.
    pub fn purge_to(&self, group: GroupId, index: u64, marker: Bytes) {
        let mut inner = self.0.shared.inner.lock();
        if ready(&inner).is_ok() && inner.visible.purge_to(group, index, marker.clone()) {
            self.push(inner, Operation { group, change: Change::Purge(index, marker), done: None });
        }
    }

    /// How many segments [`Log::purge_to`] would give up at `index`: all that lie before the oldest one that
    /// is needed then.
    pub fn segments_freed_at(&self, group: GroupId, index: u64) -> u64 {
        let inner = self.0.shared.inner.lock();
        let current = inner.files.keys().next_back().copied().unwrap_or_default();
        let needed = inner.visible.first_segment_after(group, index).unwrap_or(current);
        inner.files.range(..needed).count() as u64
    }

    /// The index purged to, and its marker.
    pub fn purged(&self, group: GroupId) -> Option<(u64, Bytes)> {
        self.0.shared.inner.lock().visible.purged(group)
    }

    /// The last entry's index and head; `None` when the group has no entries.
    pub fn last(&self, group: GroupId) -> Option<(u64, Bytes)> {
        self.0.shared.inner.lock().visible.last(group)
    }

    /// The entries of a range, as many as exist and as fit in `max_bytes`, but at least one if any
    /// exists. `NotFound` when the range starts at or below the purged index.
    pub fn read(&self, group: GroupId, range: Range<u64>, max_bytes: usize) -> Result<Vec<LogEntry>> {
        loop {
            let (found, files) = {
                let inner = self.0.shared.inner.lock();
                let found = inner.visible.find(group, range.clone(), max_bytes)?;
                let files = read::files_of(&found, &inner.files);
                (found, files)
            };
            let on_disk = found.iter().filter(|part| matches!(part, Found::OnDisk(..))).count() as u64;
            let result = read::entries(group, &found, &files);
            let mut inner = self.0.shared.inner.lock();
            inner.counters.disk_reads += on_disk;
            match result {
                Ok(entries) => return Ok(entries),
                // The entries may have been purged and their file used again while we read it.
                Err(error) => match inner.visible.find(group, range.clone(), max_bytes) {
                    Ok(again) if again == found => return Err(error),
                    Ok(_) => {}
                    Err(gone) => return Err(gone),
                },
            }
        }
    }

    /// The groups of which the log holds anything.
    pub fn groups(&self) -> Vec<GroupId> {
        self.0.shared.inner.lock().visible.groups()
    }

    /// What the log is doing.
    pub fn stats(&self) -> LogStats {
        let inner = self.0.shared.inner.lock();
        let (groups, entries, cached_bytes) = inner.visible.counts();
        LogStats {
            segments: inner.files.len() as u64,
            disk_bytes: inner.disk_bytes + inner.spares.iter().map(|spare| spare.len).sum::<u64>(),
            first_epoch: inner.files.keys().next().copied().unwrap_or_default(),
            last_epoch: inner.files.keys().next_back().copied().unwrap_or_default(),
            groups,
            entries,
            cached_bytes,
            waiting: inner.queue.len() as u64,
            batches: inner.counters.batches,
            written_bytes: inner.counters.written_bytes,
            disk_reads: inner.counters.disk_reads,
            full: inner.full.clone(),
        }
    }

    /// Writes what waits, marks the end, and stops. Later operations fail. Without a thread, whoever
    /// has the pump does the writing ([`LogPump::finish`]). Not to be called by a completion.
    pub fn stop(&self) -> Result<()> {
        self.0.stop();
        match self.stopped() {
            Some(why) if why != ASKED_TO => Err(stopped_error(&why)),
            _ => Ok(()),
        }
    }

    /// Why the log has stopped, if it has.
    pub fn stopped(&self) -> Option<String> {
        self.0.shared.inner.lock().stopped.clone()
    }

    /// Panics unless index and cache agree; for tests.
    pub fn validate(&self) {
        self.0.shared.inner.lock().visible.validate();
    }

    fn push(&self, mut inner: MutexGuard<'_, Inner>, operation: Operation) {
        inner.waiting_bytes += operation.len_bytes() + OPERATION_OVERHEAD;
        inner.queue.push_back(operation);
        drop(inner);
        self.0.shared.bell.ring();
    }

    fn room(&self, inner: &mut Inner, bytes: u64) -> Result<()> {
        let Some(full) = &inner.full else { return Ok(()) };
        let needed = inner.waiting_bytes + bytes + OPERATION_OVERHEAD;
        // An eighth is more than a segment's header, checkpoint and reserve.
        let fits = |spare: &Spare| needed <= spare.len - spare.len / 8;
        if !inner.stalled && (needed <= inner.room || inner.spares.iter().any(fits)) {
            return Ok(());
        }
        let error = Error::unavailable(format!("the disk is full, the log takes no more entries: {full}"))
            .with_source(std::io::Error::from(std::io::ErrorKind::StorageFull));
        inner.want_spare = true;
        if !inner.spare_rests {
            self.0.shared.spare.notify_all();
        }
        Err(error)
    }

    /// Reads the head of a group's last entry, when it is not in memory.
    fn load_last_head(&self, group: GroupId) -> Result<()> {
        let Some((index, _)) = self.0.shared.inner.lock().visible.last_needs_head(group) else {
            return Ok(());
        };
        if let Some(entry) = self.read(group, index..index + 1, 0)?.pop() {
            self.0.shared.inner.lock().visible.set_last_head(group, index, entry.head);
        }
        Ok(())
    }
}

/// Fails when the log takes nothing any more.
fn ready(inner: &Inner) -> Result<()> {
    match &inner.stopped {
        Some(why) => Err(stopped_error(why)),
        None if inner.stopping => Err(stopped_error(ASKED_TO)),
        None => Ok(()),
    }
}

fn no_thread(error: std::io::Error) -> Error {
    Error::unavailable("cannot start the log's threads").with_source(error)
}
