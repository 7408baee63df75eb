//! Committed records of the past: from the log, and before its first entry from the archive.

use crate::archive::ArchiveReader;
use crate::feed::{Chunk, ReadFrom, Source, placed_fragment};
use crate::group::{Batch, GroupState, RecordAt};
use crate::log::{Log, LogEntry};
use crate::raft::{EntryBody, decode_entry};
use parking_lot::{Mutex, RwLock};
use shardforge_common::wal::{Record, RecordKind};
use shardforge_common::{BranchRef, Error, GroupId, Lsn, Result};
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

/// Batches that hold fragments and were read last: an entry has several, and more than one subscriber wants
/// them.
const KEPT_BATCHES: usize = 2;

/// One group's history.
pub(crate) struct History {
    pub(crate) state: Arc<RwLock<GroupState>>,
    pub(crate) log: Log,
    pub(crate) group: GroupId,
    pub(crate) archive: ArchiveReader,
    kept: Mutex<VecDeque<(u64, Batch)>>,
}

/// What of the state a read needs: taken at once, so that it fits together.
struct View {
    committed: Lsn,
    start_index: Option<u64>,
    applied_index: u64,
    refused: BTreeSet<u64>,
}

impl History {
    pub(crate) fn new(
        state: Arc<RwLock<GroupState>>,
        log: Log,
        group: GroupId,
        archive: ArchiveReader,
    ) -> Self {
        Self { state, log, group, archive, kept: Mutex::default() }
    }

    fn view(&self, from: &ReadFrom) -> Result<View> {
        let state = self.state.read();
        let branch = find(&state, from.branch)?;
        let in_log = from.next >= branch.first_available();
        let start_index = from.cursor.or_else(|| branch.index_at_or_before(from.next)).filter(|_| in_log);
        Ok(View {
            committed: branch.committed,
            start_index,
            applied_index: state.applied_index,
            refused: state.refused.clone(),
        })
    }

    fn places(&self, branch: BranchRef, lsn: Lsn) -> Result<Vec<RecordAt>> {
        let state = self.state.read();
        let places = find(&state, branch)?.large.get(&lsn).cloned();
        places.ok_or_else(|| Error::not_found(format!("the fragments of LSN {lsn} are no longer in the log")))
    }

    /// The record at a place.
    pub(crate) fn record(&self, at: RecordAt) -> Result<Record> {
        let known = self.kept.lock().iter().find(|(index, _)| *index == at.index).map(|(_, b)| b.clone());
        let batch = match known {
            Some(batch) => Some(batch),
            None => {
                let entries = self.log.read(self.group, at.index..at.index + 1, 1)?;
                let batch = entries.first().map(batch_of).transpose()?.flatten();
                if let Some(batch) = &batch {
                    // Only applied entries are asked for: what an index holds does not change.
                    let mut kept = self.kept.lock();
                    kept.truncate(KEPT_BATCHES - 1);
                    kept.push_front((at.index, batch.clone()));
                }
                batch
            }
        };
        let record = batch.and_then(|batch| batch.records.get(at.nth as usize).cloned());
        record.ok_or_else(|| Error::corrupt(format!("log entry {} has no record {}", at.index, at.nth)))
    }

    fn read_log(&self, from: ReadFrom, view: &View, start: u64, max_bytes: usize) -> Result<Chunk> {
        let mut chunk = Chunk { complete_through: from.next.prev(), ..Chunk::default() };
        let (mut index, mut bytes) = (start, 0);
        while index <= view.applied_index {
            let entries = self.log.read(self.group, index..view.applied_index + 1, max_bytes)?;
            if entries.is_empty() {
                break;
            }
            for entry in entries {
                index = entry.index + 1;
                chunk.cursor = Some(entry.index);
                let Some(batch) = batch_of(&entry)?.filter(|_| !view.refused.contains(&entry.index)) else {
                    continue;
                };
                for record in &*batch.records {
                    let header = &record.header;
                    let ours = header.kind == RecordKind::Commit && header.branch == from.branch.branch;
                    if !ours || header.lsn <= chunk.complete_through {
                        continue;
                    }
                    if header.lsn != chunk.complete_through.next() {
                        let expected = chunk.complete_through.next();
                        return Err(Error::corrupt(format!(
                            "log entry {}: LSN {} where {expected} should be",
                            entry.index, header.lsn
                        )));
                    }
                    if header.fragment > 0 {
                        if chunk.records.is_empty() {
                            self.read_large(&from, record, max_bytes, &mut chunk)?;
                        }
                        return Ok(chunk);
                    }
                    bytes += record.body.len();
                    chunk.records.push(record.clone());
                    chunk.complete_through = header.lsn;
                }
                if bytes >= max_bytes || chunk.complete_through >= view.committed {
                    return Ok(chunk);
                }
            }
        }
        if chunk.records.is_empty() {
            return Err(Error::not_found(format!("LSN {} is no longer in the log", from.next)));
        }
        Ok(chunk)
    }

    /// Goes on with a large transaction: some of its fragments, and with the last of them its commit.
    fn read_large(
        &self,
        from: &ReadFrom,
        commit: &Record,
        max_bytes: usize,
        chunk: &mut Chunk,
    ) -> Result<()> {
        let places = self.places(from.branch, commit.header.lsn)?;
        let done = if from.next == commit.header.lsn { from.fragments_done } else { 0 };
        let mut bytes = 0;
        chunk.fragments_done = done;
        for at in places.iter().skip(done) {
            if bytes >= max_bytes {
                return Ok(());
            }
            let fragment = placed_fragment(&self.record(*at)?, &commit.header)?;
            bytes += fragment.body.len();
            chunk.records.push(fragment);
            chunk.fragments_done += 1;
        }
        self.kept.lock().clear();
        chunk.records.push(commit.clone());
        chunk.complete_through = commit.header.lsn;
        chunk.fragments_done = 0;
        Ok(())
    }
}

impl Source for History {
    fn committed(&self, branch: BranchRef) -> Result<Lsn> {
        Ok(find(&self.state.read(), branch)?.committed)
    }

    fn read(&self, from: ReadFrom, max_bytes: usize) -> Result<Chunk> {
        let view = self.view(&from)?;
        let from_log = match view.start_index {
            Some(start) => self.read_log(from, &view, start, max_bytes),
            None => Err(Error::not_found(format!("LSN {} is no longer in the log", from.next))),
        };
        match from_log {
            Err(e) if e.kind() == shardforge_common::ErrorKind::NotFound => {
                self.archive.read(from, max_bytes)?.ok_or(e)
            }
            other => other,
        }
    }
}

/// A branch of this tenant, or `NotFound` in words that say nothing of other tenants (I10).
pub(crate) fn find(state: &GroupState, branch: BranchRef) -> Result<&crate::group::BranchState> {
    let known = state.branches.get(&branch.branch).filter(|known| known.tenant == branch.tenant);
    known.ok_or_else(|| Error::not_found(format!("branch {branch} is not in this WAL group")))
}

/// The batch of a log entry, if it carries one.
pub(crate) fn batch_of(entry: &LogEntry) -> Result<Option<Batch>> {
    Ok(match decode_entry(entry)?.1 {
        EntryBody::Batch(batch) => Some(batch),
        EntryBody::Other => None,
    })
}
