//! The handle through which groups use the log.

use bytes::Bytes;
use shardforge_common::disk::Disk;
use shardforge_common::{Error, GroupId, Result};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
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
    /// After this long without work, the end of the log is marked (L3).
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

/// The log; clones are the same one.
#[derive(Clone)]
pub struct Log {}

/// Does the log's work for whoever calls it: the log's own thread, or a simulation.
pub struct LogPump {}

#[allow(unused_variables)]
impl Log {
    /// Opens the log in a folder, making it when there is none, and starts its thread. Fails with
    /// `Corrupt`, naming file and offset, when the log is damaged.
    pub fn open(disk: Arc<dyn Disk>, dir: &Path, config: LogConfig) -> Result<Log> {
        Err(Error::internal("not yet"))
    }

    /// The same without a thread: nothing becomes durable but by [`LogPump::step`].
    pub fn open_without_thread(disk: Arc<dyn Disk>, dir: &Path, config: LogConfig) -> Result<(Log, LogPump)> {
        Err(Error::internal("not yet"))
    }

    /// Appends entries, which follow on without a gap. They can be read when this returns; `done` is
    /// called when they are durable. While the disk is full it is called at once with
    /// `Unavailable`, and nothing has changed: ask [`Log::check_room`] before handing entries to Raft.
    pub fn append(&self, group: GroupId, entries: Vec<LogEntry>, done: Done) {
        done(Err(Error::internal("not yet")));
    }

    /// Whether an append of this many bytes would be taken now: `Unavailable` while the disk is full.
    pub fn check_room(&self, bytes: u64) -> Result<()> {
        Err(Error::internal("not yet"))
    }

    /// Saves a group's vote, in order with its appends.
    pub fn save_vote(&self, group: GroupId, vote: Bytes, done: Done) {
        done(Err(Error::internal("not yet")));
    }

    /// The vote last saved.
    pub fn vote(&self, group: GroupId) -> Option<Bytes> {
        None
    }

    /// Saves what a group knows to be committed: durable with the next batch, or when idle. Never
    /// durable before the entries appended before it.
    pub fn save_committed(&self, group: GroupId, committed: Bytes) {}

    /// What was last saved as committed.
    pub fn committed(&self, group: GroupId) -> Option<Bytes> {
        None
    }

    /// Removes the entry at `index` and all after it.
    pub fn truncate_from(&self, group: GroupId, index: u64, done: Done) {
        done(Err(Error::internal("not yet")));
    }

    /// Removes the entries up to and including `index`, which may lie beyond the last one (a snapshot
    /// was installed): the next entry is `index + 1`. Files are freed when every group is past them.
    pub fn purge_to(&self, group: GroupId, index: u64, marker: Bytes) {}

    /// The index purged to, and its marker.
    pub fn purged(&self, group: GroupId) -> Option<(u64, Bytes)> {
        None
    }

    /// The last entry's index and head; `None` when the group has no entries.
    pub fn last(&self, group: GroupId) -> Option<(u64, Bytes)> {
        None
    }

    /// The entries of a range, as many as exist and as fit in `max_bytes`, but at least one if any
    /// exists. `NotFound` when the range starts at or below the purged index.
    pub fn read(&self, group: GroupId, range: Range<u64>, max_bytes: usize) -> Result<Vec<LogEntry>> {
        Err(Error::internal("not yet"))
    }

    /// What the log is doing.
    pub fn stats(&self) -> LogStats {
        LogStats::default()
    }

    /// Writes what waits, marks the end, and stops. Later operations fail.
    pub fn stop(&self) -> Result<()> {
        Err(Error::internal("not yet"))
    }

    /// Why the log has stopped, if it has.
    pub fn stopped(&self) -> Option<String> {
        None
    }
}
