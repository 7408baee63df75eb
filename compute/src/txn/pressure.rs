//! Holds back commits while pageservers are too far behind.
//!
//! Until pageservers have ingested a commit, this compute holds what it wrote. Beyond its limit it gives that up, and then
//! reads wait for pageservers (R4). So that it does not come to that when pageservers are slow, or their
//! object store is full, commits wait here shortly before the limit. A store that is full refuses them at once, as the
//! log does (53100): reads go on, and writes are refused.
//!
//! When nothing at all is ingested for a while, for another reason, commits go on and reads wait: a log that works is
//! not stopped by a pageserver that does not.

use super::TxnError;
use super::branch::Branch;
use super::commit::refused;
use shardforge_common::task;
use shardforge_proto::wal::CommitOutcome;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

/// Between two looks at what pageservers have ingested.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// A commit waits so long for pageservers that ingest nothing.
const PATIENCE: Duration = Duration::from_secs(10);

/// What commits under way will add to recent writes.
#[derive(Debug, Default)]
pub(crate) struct Pressure {
    reserved_bytes: AtomicUsize,
    eased: Notify,
}

/// Room for a commit, until it ends.
pub(crate) struct Admitted<'a> {
    pressure: &'a Pressure,
    bytes: usize,
}

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        self.pressure.reserved_bytes.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

impl Pressure {
    /// Recent writes were folded.
    pub(crate) fn eased(&self) {
        self.eased.notify_waiters();
    }

    /// Gives what was reserved before, too.
    fn reserve(&self, bytes: usize) -> (usize, Admitted<'_>) {
        let before = self.reserved_bytes.fetch_add(bytes, Ordering::AcqRel);
        (before, Admitted { pressure: self, bytes })
    }

    /// Waits until recent writes have room for a commit of so many bytes.
    pub(crate) async fn admit(
        &self,
        branch: &Branch,
        bytes: usize,
        staged: bool,
    ) -> Result<Admitted<'_>, TxnError> {
        let bytes = branch.cache.bytes_taken_of(bytes, staged);
        let (mut waited, mut ingested) = (Duration::ZERO, None);
        loop {
            let (reserved, admitted) = self.reserve(bytes);
            if branch.cache.has_room_for(reserved, bytes) || waited > PATIENCE {
                return Ok(admitted);
            }
            drop(admitted);
            let status = branch.wal.branch_status(branch.id).await?;
            if status.ingested >= status.committed {
                // Pageservers have everything: it is for this compute to make room.
                return Ok(self.reserve(bytes).1);
            }
            if ingested.replace(status.ingested) != Some(status.ingested) {
                waited = Duration::ZERO;
            }
            if let Some(reason) = branch.wal.group_status().await?.full {
                return Err(refused(CommitOutcome::Full { reason }));
            }
            task::timeout(LOOK_AGAIN, self.eased.notified()).await;
            waited += LOOK_AGAIN;
        }
    }
}
