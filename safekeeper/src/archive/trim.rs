//! Drops log entries that nobody needs (L1): as soon as a segment goes by it.
//!
//! A purge needs a snapshot that covers it. One covers everything applied when it was made, so it serves for all
//! segments that were there at that time. A snapshot holds recent outcomes and commit times, and can be longer than a
//! small segment: then a few of them have to go for it ([`worthwhile`]), unless the disk is full.

use super::{ArchiveIndex, Reports};
use crate::group::GroupState;
use crate::housekeeping::Chore;
use crate::log::Log;
use crate::raft::Member;
use async_trait::async_trait;
use parking_lot::{Mutex, RwLock};
use shardforge_common::{BranchRef, GroupId, Lsn, Result};
use std::sync::Arc;
use std::time::Duration;

/// A snapshot that takes longer is given up for this round.
const SNAPSHOT_WITHIN: Duration = Duration::from_secs(60);
/// A snapshot is written for at least so many times its own length in segments.
const SNAPSHOT_SHARE: u64 = 4;

/// The last log index that can go, of the applied ones: each branch's commits up to `safe` of it are
/// elsewhere. Pure.
pub(crate) fn trim_point(state: &GroupState, safe: impl Fn(BranchRef) -> Lsn) -> u64 {
    let needed = state.branches.iter().filter_map(|(id, branch)| {
        branch.first_needed_index(safe(BranchRef { tenant: branch.tenant, branch: *id }))
    });
    match needed.min() {
        Some(first) => first.saturating_sub(1).min(state.applied_index),
        None => state.applied_index,
    }
}

/// Whether a purge that gives up so many bytes of segments is worth a snapshot, if it needs one: the last one's
/// length tells the next one's.
fn worthwhile(freed_bytes: u64, snapshot_bytes: Option<u64>, full: bool) -> bool {
    freed_bytes > 0 && (full || snapshot_bytes.is_none_or(|len| freed_bytes >= SNAPSHOT_SHARE * len))
}

/// The chore of every member: snapshot, then purge.
pub struct Trim {
    pub(crate) index: Arc<ArchiveIndex>,
    pub(crate) reports: Arc<Mutex<Reports>>,
    pub(crate) state: Arc<RwLock<GroupState>>,
    pub(crate) member: Arc<Member>,
    pub(crate) log: Log,
    pub(crate) group: GroupId,
    /// Size of a log segment.
    pub(crate) segment_bytes: u64,
}

#[async_trait]
impl Chore for Trim {
    fn name(&self) -> &'static str {
        "trim"
    }

    async fn round(&self) -> Result<()> {
        let purged = self.log.purged(self.group).map_or(0, |(index, _)| index);
        // What an earlier round asked for has happened meanwhile.
        self.state.write().forget_below(purged);
        let point = {
            let state = self.state.read();
            let reports = self.reports.lock();
            trim_point(&state, |branch| self.index.safe_through(branch, reports.uploaded(branch)))
        };
        metrics::gauge!("shardforge_safekeeper_log_trimmed_index").set(purged as f64);
        metrics::gauge!("shardforge_safekeeper_trim_lag_entries").set(point.saturating_sub(purged) as f64);
        if point <= purged {
            return Ok(());
        }
        let freed_bytes = self.log.segments_freed_at(self.group, point) * self.segment_bytes;
        let covered = self.member.status().snapshot_index.is_some_and(|covered| covered >= point);
        let snapshot_bytes = if covered { None } else { self.member.snapshot_bytes() };
        if !worthwhile(freed_bytes, snapshot_bytes, self.log.stats().full.is_some()) {
            return Ok(());
        }
        if !covered {
            self.member.snapshot(SNAPSHOT_WITHIN).await?;
            metrics::counter!("shardforge_safekeeper_snapshots_total").increment(1);
        }
        self.member.purge(point).await
    }
}
