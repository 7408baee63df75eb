//! Leadership, from the moment Raft gives it to the moment the sequencer may use it, and back.

use crate::group::GroupState;
use crate::history::{History, batch_of};
use crate::log::{Log, LogEntry};
use crate::raft::{Member, RoleChange, decode_entry};
use crate::sequencer::{CoreConfig, Proposer, Rebuild, Sequencer, SequencerCore};
use parking_lot::RwLock;
use shardforge_common::clock::Clock;
use shardforge_common::mutation::MutationList;
use shardforge_common::{Result, task};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

/// Between two attempts to confirm a new leadership.
const CONFIRM_AGAIN_AFTER: Duration = Duration::from_millis(5);
/// A new leader reads the log backwards in steps of so many entries.
const REBUILD_STEP: u64 = 64;

/// Watches the member's role, and gives the sequencer a core when it leads.
pub(crate) struct Supervisor {
    pub(crate) member: Arc<Member>,
    pub(crate) sequencer: Arc<Sequencer>,
    pub(crate) history: Arc<History>,
    pub(crate) state: Arc<RwLock<GroupState>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) core: CoreConfig,
    /// Set while this member is the only voter: it may then confirm itself (S1).
    pub(crate) single_voter: Arc<AtomicBool>,
    /// Proposals that did not make it.
    pub(crate) lost: UnboundedReceiver<Lost>,
}

impl Supervisor {
    /// Runs until the member stops.
    pub(crate) async fn run(mut self) {
        loop {
            let role = self.member.role();
            match role {
                RoleChange::Leading(term) if self.sequencer.leading_term() != Some(term) => {
                    self.sequencer.stand_down(None, "this member was elected, and is not ready yet");
                    if let Err(e) = self.establish(term).await {
                        tracing::error!(term, "cannot lead: {e}");
                        task::sleep(CONFIRM_AGAIN_AFTER).await;
                        continue;
                    }
                }
                RoleChange::Leading(_) => {}
                RoleChange::Stopped => {
                    self.sequencer.stand_down(None, "the safekeeper has stopped");
                    return;
                }
                RoleChange::Following(leader) => {
                    let reason = match leader {
                        Some(leader) => format!("the leader is safekeeper {leader}"),
                        None => "the group has no leader now".to_string(),
                    };
                    self.sequencer.stand_down(None, &reason);
                }
            }
            let changed = self.member.role_changed(role);
            tokio::select! {
                biased;
                alive = changed => if !alive {
                    self.sequencer.stand_down(None, "the safekeeper is stopping");
                    return;
                },
                lost = self.lost.recv() => if let Some((term, reason)) = lost {
                    self.sequencer.stand_down(Some(term), &reason);
                },
                () = self.sequencer.stood_down() => {}
            }
        }
    }

    /// Makes the leadership of a term usable: a quorum has confirmed it, every entry in the log is
    /// applied, and the certifier is rebuilt from them (L2).
    async fn establish(&self, term: u64) -> Result<()> {
        while self.member.role() == RoleChange::Leading(term) {
            let confirmed = self.member.confirm_leadership().await.is_ok();
            // Entries of earlier terms, and those that a dead core of this term had in flight: nothing
            // new is proposed now, so the end of the log stands still.
            let last = self.history.log.last(self.history.group).map_or(0, |(index, _)| index);
            if confirmed && self.state.read().applied_index >= last {
                let core = self.rebuild(term).await?;
                if self.member.role() == RoleChange::Leading(term) {
                    self.single_voter.store(self.member.status().single_voter, Ordering::Release);
                    self.sequencer.lead(core);
                    tracing::info!(term, "leading");
                }
                return Ok(());
            }
            task::sleep(CONFIRM_AGAIN_AFTER).await;
        }
        Ok(())
    }

    async fn rebuild(&self, term: u64) -> Result<SequencerCore> {
        let (history, state, config) = (self.history.clone(), self.state.clone(), self.core);
        let now = self.clock.boottime();
        let work = move || {
            let state = state.read().clone();
            let mut rebuild = Rebuild::new(term, config);
            for entry in &recent_entries(&history, &state, config.window_bytes)? {
                if let Some(batch) = batch_of(entry)?.filter(|_| !state.refused.contains(&entry.index)) {
                    rebuild.batch(decode_entry(entry)?.0, &batch)?;
                }
            }
            rebuild.finish(&state, now, |_, at| Ok(MutationList::from_bytes(history.record(at)?.body)))
        };
        let built = task::spawn_blocking("rebuild-certifier", work).await;
        built.map_err(|e| shardforge_common::Error::internal("the rebuild panicked").with_source(e))?
    }
}

/// The last entries of the log, about `max_bytes` of them, in order.
fn recent_entries(history: &History, state: &GroupState, max_bytes: usize) -> Result<Vec<LogEntry>> {
    let first = history.log.purged(history.group).map_or(0, |(index, _)| index + 1);
    let mut start = state.applied_index + 1;
    let mut parts: Vec<Vec<LogEntry>> = Vec::new();
    let mut bytes = 0;
    while start > first && bytes < max_bytes {
        let from = start.saturating_sub(REBUILD_STEP).max(first);
        let part = history.log.read(history.group, from..start, usize::MAX)?;
        if part.is_empty() {
            break;
        }
        bytes += part.iter().map(|entry| entry.payload.len()).sum::<usize>();
        start = from;
        parts.push(part);
    }
    Ok(parts.into_iter().rev().flatten().collect())
}

/// A proposal of this term did not make it, for this reason.
pub(crate) type Lost = (u64, String);

/// Takes batches to the member, and failures to the supervisor: not straight back, since they may be
/// told to a thread that holds the sequencer's lock.
pub(crate) struct MemberProposer {
    pub(crate) member: Arc<Member>,
    pub(crate) log: Log,
    pub(crate) lost: UnboundedSender<Lost>,
}

impl Proposer for MemberProposer {
    fn propose(&self, batch: crate::group::Batch) {
        let (lost, term) = (self.lost.clone(), batch.term);
        self.member.propose(batch, move |reason| {
            // Without a supervisor the safekeeper is stopping, and everyone was refused already.
            let _ = lost.send((term, reason));
        });
    }

    fn room(&self, bytes: u64) -> Result<()> {
        match self.log.check_room(bytes) {
            // That it has stopped is the member's to say, and ends its leadership.
            Err(_) if self.log.stopped().is_some() => Ok(()),
            answer => answer,
        }
    }
}
