//! What a committed entry does on this member: state, feed, answers, in this order.

use crate::feed::{Hub, Publication};
use crate::group::{Applied, Batch, Effect, GroupState, decode_state, encode_state};
use crate::raft::Machine;
use crate::sequencer::Sequencer;
use bytes::Bytes;
use parking_lot::RwLock;
use shardforge_common::{BranchId, Result};
use std::sync::Arc;

/// The group's machine: replicated state, and who hears of its changes.
pub(crate) struct GroupMachine {
    pub(crate) state: Arc<RwLock<GroupState>>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) sequencer: Arc<Sequencer>,
}

impl Machine for GroupMachine {
    fn apply(&self, index: u64, term: u64, batch: &Batch) {
        let applied = self.state.write().apply(index, term, batch);
        match &applied {
            Applied::Done(effects) => {
                for publication in publications(batch, effects) {
                    self.hub.publish(publication);
                }
            }
            Applied::Refused(reason) => {
                tracing::warn!(index, term, "a batch did not follow on and changes nothing: {reason}");
            }
        }
        self.sequencer.on_applied(batch, &applied);
    }

    fn pass(&self, index: u64, term: u64) {
        self.state.write().advance(index, term);
    }

    fn snapshot(&self) -> Bytes {
        encode_state(&self.state.read()).freeze()
    }

    fn restore(&self, snapshot: &[u8]) -> Result<()> {
        *self.state.write() = decode_state(snapshot)?;
        let state = self.state.clone();
        self.hub.reset(|branch| state.read().branches.get(&branch).map(|branch| branch.committed));
        Ok(())
    }
}

/// The commits of a batch, branch by branch.
fn publications(batch: &Batch, effects: &[Effect]) -> Vec<Publication> {
    let mut out: Vec<Publication> = Vec::new();
    let mut commits = 0u64;
    for effect in effects {
        let Effect::Committed { branch, lsn, nth, fragments, .. } = effect else { continue };
        commits += 1;
        let branch: BranchId = *branch;
        let at = out.iter().position(|known| known.branch == branch).unwrap_or_else(|| {
            let (records, large) = (Vec::new(), false);
            out.push(Publication { branch, records, first: *lsn, last: *lsn, large });
            out.len() - 1
        });
        let publication = &mut out[at];
        publication.last = *lsn;
        publication.large |= !fragments.is_empty();
        publication.records.push(batch.records[*nth as usize].clone());
    }
    metrics::counter!("shardforge_safekeeper_commits_total").increment(commits);
    out
}
