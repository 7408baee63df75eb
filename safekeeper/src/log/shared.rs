//! What the handle and the pump share, under one lock that is never held during I/O.

use super::LogEntry;
use super::drive::Bell;
use super::files::Spare;
use super::format::{Seed, record_len};
use super::handle::Done;
use super::visible::Visible;
use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use shardforge_common::disk::DiskFile;
use shardforge_common::{Error, GroupId};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// What an operation is charged beyond its records when the disk is full: it may get a batch of its own.
pub(crate) const OPERATION_OVERHEAD: u64 = 256;

/// An operation that waits to be written.
pub(crate) struct Operation {
    pub(crate) group: GroupId,
    pub(crate) change: Change,
    pub(crate) done: Option<Done>,
}

/// What an operation changes.
pub(crate) enum Change {
    /// Entries, and the number under which the first of them waits.
    Append(Vec<LogEntry>, u64),
    Vote(Bytes),
    Truncate(u64),
    Purge(u64, Bytes),
}

impl Operation {
    /// The bytes of its records.
    pub(crate) fn len_bytes(&self) -> u64 {
        let bytes = match &self.change {
            Change::Append(entries, _) => {
                entries.iter().map(|e| record_len(e.head.len(), e.payload.len())).sum()
            }
            Change::Vote(bytes) | Change::Purge(_, bytes) => record_len(0, bytes.len()),
            Change::Truncate(_) => record_len(0, 0),
        };
        bytes as u64
    }

    pub(crate) fn is_append(&self) -> bool {
        matches!(self.change, Change::Append(..))
    }
}

/// A segment open for reading.
#[derive(Clone)]
pub(crate) struct ReadFile {
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) seed: Seed,
    pub(crate) name: Arc<str>,
}

/// Counters of the pump's work.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counters {
    pub(crate) batches: u64,
    pub(crate) written_bytes: u64,
    pub(crate) disk_reads: u64,
}

pub(crate) struct Inner {
    pub(crate) visible: Visible,
    pub(crate) queue: VecDeque<Operation>,
    /// Bytes of operations queued or being written, overhead included.
    pub(crate) waiting_bytes: u64,
    /// Committed marks that wait for a batch that empties the queue.
    pub(crate) committed: BTreeMap<GroupId, Bytes>,
    pub(crate) files: BTreeMap<u64, ReadFile>,
    pub(crate) disk_bytes: u64,
    pub(crate) counters: Counters,

    pub(crate) spares: Vec<Spare>,
    pub(crate) next_spare: u64,
    /// A spare is wanted; whoever prepares it says so with `preparing`.
    pub(crate) want_spare: bool,
    pub(crate) preparing: bool,
    /// The thread that prepares spares pauses after a failure, and is not woken by who finds no room.
    pub(crate) spare_rests: bool,
    /// Why the last attempt at a spare failed.
    pub(crate) full: Option<String>,
    /// Appends stand in the queue for which there is no room.
    pub(crate) stalled: bool,
    /// What appends may still take of the current segment.
    pub(crate) room: u64,

    /// The pump sleeps without a timeout.
    pub(crate) deep_sleep: bool,
    pub(crate) stopping: bool,
    /// Why the log has stopped.
    pub(crate) stopped: Option<String>,
}

pub(crate) struct Shared {
    pub(crate) inner: Mutex<Inner>,
    /// Wakes the pump.
    pub(crate) bell: Bell,
    /// Wakes whoever prepares spares, and the pump when it waits for one.
    pub(crate) spare: Condvar,
}

/// Why a log stopped when nothing was wrong.
pub(crate) const ASKED_TO: &str = "it was asked to";

pub(crate) fn stopped_error(why: &str) -> Error {
    Error::unavailable(format!("the log has stopped: {why}"))
}

impl Shared {
    /// Stops the log for good: nothing later succeeds. Calls every waiting completion.
    pub(crate) fn stop(&self, why: &str) {
        let (waiting, why) = {
            let mut inner = self.inner.lock();
            if inner.stopped.is_none() && why != ASKED_TO {
                tracing::error!("the log stops: {why}");
            }
            let why = inner.stopped.get_or_insert_with(|| why.to_string()).clone();
            inner.waiting_bytes = 0;
            (std::mem::take(&mut inner.queue), why)
        };
        self.bell.ring();
        self.spare.notify_all();
        for operation in waiting {
            if let Some(done) = operation.done {
                done(Err(stopped_error(&why)));
            }
        }
    }
}
