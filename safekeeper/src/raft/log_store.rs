//! openraft's log storage, over the safekeeper's log.

use super::entry_format::{
    decode_log_id, decode_raft_entry, decode_vote, encode_entry, encode_log_id, encode_vote, term_of,
};
use super::type_config::{Committed, Entry, LogId, TypeConfig, Vote};
use crate::log::Log;
use bytes::Bytes;
use openraft::storage::{IOFlushed, LogState, RaftLogStorage};
use openraft::{OptionalSend, RaftLogReader};
use parking_lot::Mutex;
use shardforge_common::{Error, GroupId, Result};
use std::collections::VecDeque;
use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

/// A read for a peer takes about so much at once, in bytes.
const READ_BYTES: usize = 4 << 20;

/// One group's part of the log. Clones are the same one.
#[derive(Clone)]
pub struct LogStore {
    log: Log,
    group: GroupId,
    /// Entries appended and not yet applied, as they came: neither applying nor sending them has to
    /// decode them again.
    recent: Arc<Mutex<VecDeque<Entry>>>,
}

fn io_error(error: Error) -> io::Error {
    io::Error::other(error)
}

impl LogStore {
    /// The part of a group.
    pub fn new(log: Log, group: GroupId) -> Self {
        Self { log, group, recent: Arc::default() }
    }

    /// The safekeeper's log.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// The group.
    pub fn group(&self) -> GroupId {
        self.group
    }

    /// Drops the decoded form of entries up to `index`: they were applied.
    pub(super) fn applied(&self, index: u64) {
        let mut recent = self.recent.lock();
        while recent.front().is_some_and(|entry| entry.log_id.index <= index) {
            recent.pop_front();
        }
    }

    /// The entries in the range, decoded; stops after `max_bytes`, but gives at least one.
    fn entries(&self, mut start: u64, end: u64, max_bytes: usize) -> Result<Vec<Entry>> {
        let mut out = Vec::new();
        let mut bytes = 0;
        while start < end && bytes < max_bytes {
            let recent_first = {
                let recent = self.recent.lock();
                let first = recent.front().map(|entry| entry.log_id.index);
                if let Some(first) = first.filter(|first| *first <= start) {
                    let known = recent.iter().skip((start - first) as usize).take((end - start) as usize);
                    out.extend(known.cloned());
                    return Ok(out);
                }
                first
            };
            let until = recent_first.map_or(end, |first| first.min(end));
            let read = self.log.read(self.group, start..until, (max_bytes - bytes).min(READ_BYTES))?;
            if read.is_empty() {
                break;
            }
            for entry in &read {
                bytes += entry.head.len() + entry.payload.len();
                out.push(decode_raft_entry(entry)?);
            }
            start += read.len() as u64;
        }
        Ok(out)
    }

    async fn wait(&self, begin: impl FnOnce(crate::log::Done)) -> Result<(), io::Error> {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        begin(Box::new(move |result| {
            // Nobody waits any more only when Raft was shut down.
            let _ = sender.send(result);
        }));
        match receiver.await {
            Ok(result) => result.map_err(io_error),
            Err(_) => Err(io::Error::other("the log stopped before it answered")),
        }
    }

    fn purged(&self) -> Result<Option<LogId>, io::Error> {
        let purged = self.log.purged(self.group);
        purged.map(|(_, marker)| decode_log_id(&marker)).transpose().map_err(io_error)
    }
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry>, io::Error> {
        let (mut start, end) = bounds(&range);
        if let Some((purged, _)) = self.log.purged(self.group) {
            start = start.max(purged + 1);
        }
        self.entries(start, end, usize::MAX).map_err(io_error)
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, io::Error> {
        self.log.vote(self.group).map(|bytes| decode_vote(&bytes)).transpose().map_err(io_error)
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> Result<Vec<Entry>, io::Error> {
        self.entries(start, end, READ_BYTES).map_err(io_error)
    }
}

fn bounds(range: &impl RangeBounds<u64>) -> (u64, u64) {
    let start = match range.start_bound() {
        Bound::Included(start) => *start,
        Bound::Excluded(start) => start + 1,
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(end) => end.saturating_add(1),
        Bound::Excluded(end) => *end,
        Bound::Unbounded => u64::MAX,
    };
    (start, end)
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = LogStore;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, io::Error> {
        let last_purged_log_id = self.purged()?;
        let last = self.log.last(self.group).map(|(index, head)| {
            let term = term_of(&head).map_err(io_error)?;
            Ok::<_, io::Error>(LogId { leader_id: Committed::new(term), index })
        });
        let last_log_id = last.transpose()?.or(last_purged_log_id);
        Ok(LogState { last_purged_log_id, last_log_id })
    }

    async fn get_log_reader(&mut self) -> Self::LogReader {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), io::Error> {
        let bytes = encode_vote(vote);
        self.wait(|done| self.log.save_vote(self.group, bytes, done)).await
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), io::Error> {
        let bytes = committed.map_or_else(Bytes::new, |id| encode_log_id(&id));
        self.log.save_committed(self.group, bytes);
        Ok(())
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, io::Error> {
        let saved = self.log.committed(self.group).filter(|bytes| !bytes.is_empty());
        saved.map(|bytes| decode_log_id(&bytes)).transpose().map_err(io_error)
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut stored = Vec::new();
        {
            let mut recent = self.recent.lock();
            for entry in entries {
                stored.push(encode_entry(&entry));
                recent.push_back(entry);
            }
        }
        let done = Box::new(move |result: Result<()>| callback.io_completed(result.map_err(io_error)));
        // Whether there is room was asked before they were proposed; now a refusal would end the member.
        self.log.append_accepted(self.group, stored, done);
        Ok(())
    }

    async fn truncate_after(&mut self, last_log_id: Option<LogId>) -> Result<(), io::Error> {
        let first_removed = last_log_id.map_or(0, |id| id.index + 1);
        self.recent.lock().retain(|entry| entry.log_id.index < first_removed);
        self.wait(|done| self.log.truncate_from(self.group, first_removed, done)).await
    }

    async fn purge(&mut self, log_id: LogId) -> Result<(), io::Error> {
        self.applied(log_id.index);
        self.log.purge_to(self.group, log_id.index, encode_log_id(&log_id));
        Ok(())
    }
}
