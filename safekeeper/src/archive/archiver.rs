//! Copies the oldest part of an overgrown log to the object store.

use super::{ArchiveIndex, Reports, encode_segment};
use crate::feed::{ReadFrom, Source};
use crate::group::GroupState;
use crate::history::History;
use crate::housekeeping::Chore;
use async_trait::async_trait;
use parking_lot::{Mutex, RwLock};
use shardforge_common::wal::Record;
use shardforge_common::{BranchRef, Error, Lsn, Result, random, task};
use shardforge_store::paths;
use std::sync::Arc;

/// No segment is larger, in bytes: it is put whole, from memory. A transaction beyond it is not
/// archived; the log keeps it until layers hold it.
const MAX_SEGMENT_BYTES: usize = 256 << 20;

/// The chore of a leader: archives while the log is over its limit, and deletes what layers hold.
pub struct Archiver {
    pub(crate) index: Arc<ArchiveIndex>,
    pub(crate) reports: Arc<Mutex<Reports>>,
    pub(crate) state: Arc<RwLock<GroupState>>,
    pub(crate) history: Arc<History>,
    pub(crate) leads: Box<dyn Fn() -> bool + Send + Sync>,
    pub(crate) above_bytes: u64,
    pub(crate) segment_bytes: usize,
}

#[async_trait]
impl Chore for Archiver {
    fn name(&self) -> &'static str {
        "archive"
    }

    async fn round(&self) -> Result<()> {
        if !(self.leads)() {
            return Ok(());
        }
        let branches: Vec<BranchRef> = {
            let state = self.state.read();
            let named = state.branches.iter();
            named.map(|(id, branch)| BranchRef { tenant: branch.tenant, branch: *id }).collect()
        };
        let over = self.history.log.stats().disk_bytes > self.above_bytes;
        for branch in branches {
            let uploaded = self.reports.lock().uploaded(branch);
            for segment in self.index.covered(branch, uploaded) {
                // Forgotten first: a reader must not be sent to what is going.
                self.index.remove(branch, segment);
                self.index.store().delete(&paths::wal_segment(branch, segment.0, segment.1)).await?;
            }
            if over {
                self.archive(branch, uploaded).await.map_err(|e| e.context(format!("branch {branch}")))?;
            }
        }
        Ok(())
    }
}

impl Archiver {
    /// Archives what holds up the older half of the log.
    async fn archive(&self, branch: BranchRef, uploaded: Lsn) -> Result<()> {
        if !self.index.is_listed(branch) {
            self.index.list(branch).await?;
        }
        loop {
            let safe = self.index.safe_through(branch, uploaded);
            let (needed, applied, committed, first_available) = {
                let state = self.state.read();
                let Some(known) = state.branches.get(&branch.branch) else { return Ok(()) };
                let needed = known.first_needed_index(safe);
                (needed, state.applied_index, known.committed, known.first_available())
            };
            let purged = self.history.log.purged(self.history.group).map_or(0, |(index, _)| index);
            let in_the_way = needed.is_some_and(|needed| needed <= purged + (applied - purged).div_ceil(2));
            // What the log no longer has was covered once: after a restart, by reports yet to come again.
            if !in_the_way || safe >= committed || safe.next() < first_available {
                return Ok(());
            }
            let (history, first, limit) = (self.history.clone(), safe.next(), self.segment_bytes);
            let read = task::spawn_blocking("read-for-archive", move || {
                collect(&history, branch, first, committed, limit)
            });
            let read = read.await.map_err(|e| Error::internal("reading the log panicked").with_source(e))?;
            let Some((records, last)) = read? else { return Ok(()) };
            let bytes = encode_segment(branch, first, last, &records, random::thread().bytes16());
            metrics::counter!("shardforge_safekeeper_archived_bytes_total").increment(bytes.len() as u64);
            // One that exists holds the same LSNs, and so the same records.
            self.index.store().put_if_absent(&paths::wal_segment(branch, first, last), bytes).await?;
            self.index.add(branch, first, last);
        }
    }
}

/// The records from `first` on, about `limit` bytes of them and whole LSNs; `None` when the first of
/// them is larger than a segment may be.
fn collect(
    history: &History,
    branch: BranchRef,
    first: Lsn,
    committed: Lsn,
    limit: usize,
) -> Result<Option<(Vec<Record>, Lsn)>> {
    let mut records: Vec<Record> = Vec::new();
    let mut whole = (0, first.prev());
    let mut from = ReadFrom { branch, next: first, fragments_done: 0, cursor: None };
    let mut bytes = 0;
    // In the middle of a large transaction it goes on: an LSN is archived whole or not at all.
    while from.next <= committed && (bytes < limit || (from.fragments_done > 0 && bytes < MAX_SEGMENT_BYTES))
    {
        let chunk = history.read(from, limit.max(1))?;
        bytes += chunk.records.iter().map(|record| record.body.len()).sum::<usize>();
        records.extend(chunk.records);
        let (next, fragments_done) = (chunk.complete_through.next(), chunk.fragments_done);
        // The chunk's marks stand before the fragments that it ends with.
        let unfinished = records.iter().rev().take_while(|record| record.header.lsn == next).count();
        whole = (records.len() - unfinished, chunk.complete_through);
        from = ReadFrom { branch, next, fragments_done, cursor: chunk.cursor };
    }
    records.truncate(whole.0);
    Ok((whole.1 >= first).then_some((records, whole.1)))
}
