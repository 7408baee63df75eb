//! Drops log entries that nobody needs (L1).

use super::{ArchiveIndex, Reports};
use crate::group::GroupState;
use crate::housekeeping::Chore;
use crate::log::Log;
use crate::raft::Member;
use async_trait::async_trait;
use parking_lot::{Mutex, RwLock};
use shardforge_common::disk::{Disk, OpenMode};
use shardforge_common::{BranchRef, GroupId, Lsn, Result};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// A snapshot that takes longer is given up for this round.
const SNAPSHOT_WITHIN: Duration = Duration::from_secs(60);
/// A snapshot and what others write meanwhile take less, in bytes.
const SNAPSHOT_ROOM: usize = 1 << 20;

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

/// The chore of every member: snapshot, then purge.
pub struct Trim {
    pub(crate) index: Arc<ArchiveIndex>,
    pub(crate) reports: Arc<Mutex<Reports>>,
    pub(crate) state: Arc<RwLock<GroupState>>,
    pub(crate) member: Arc<Member>,
    pub(crate) log: Log,
    pub(crate) group: GroupId,
    /// It is worth while from so many entries on.
    pub(crate) min_entries: u64,
    pub(crate) disk: Arc<dyn Disk>,
    /// The safekeeper's folder.
    pub(crate) dir: PathBuf,
}

impl Trim {
    /// Whether a snapshot finds room on the disk. One that fails to be written ends the group's member, so a
    /// full disk is found out beforehand, and trimming waits until there is room again.
    fn has_room(&self) -> bool {
        let probe = self.dir.join("room.probe");
        // One may be left of a process that was killed.
        let _ = self.disk.remove_file(&probe);
        let written = self.disk.open(&probe, OpenMode::CreateNew).and_then(|file| {
            file.write_all_at(&vec![1; SNAPSHOT_ROOM], 0)?;
            file.sync_data()
        });
        let _ = self.disk.remove_file(&probe);
        if let Err(error) = &written {
            tracing::warn!(%error, "the log is not trimmed: no room for a snapshot");
        }
        written.is_ok()
    }
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
        if point < purged + self.min_entries.max(1) {
            return Ok(());
        }
        if self.member.status().snapshot_index.is_none_or(|covered| covered < point) {
            if !self.has_room() {
                return Ok(());
            }
            self.member.snapshot(SNAPSHOT_WITHIN).await?;
        }
        self.member.purge(point).await
    }
}
