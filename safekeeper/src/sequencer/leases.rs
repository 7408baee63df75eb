//! The sole-writer lease on its way through the log (S2); see [`crate::lease`].

use super::Answer;
use super::core::{Context, Draft, Now, SequencerCore, Tail};
use super::requests::LeaseDone;
use crate::group::{LeaseBody, LeaseState, Process};
use crate::lease::Wish;
use shardforge_common::wal::{RecordHeader, RecordKind};
use shardforge_common::{BranchId, BranchRef, ComputeId, Error, Lsn, TxnId};
use shardforge_proto::wal::{CommitOutcome, LeaseGrant};
use std::time::Duration;

/// What a commit is told while another compute has the lease.
pub(super) fn refusal(left: Duration) -> CommitOutcome {
    CommitOutcome::Retry { reason: held_elsewhere(left).to_string() }
}

/// What a compute is told while another one has the lease.
pub(crate) fn held_elsewhere(left: Duration) -> Error {
    Error::retry(format!(
        "another compute has the branch's lease, for {} ms more unless it gives it back",
        left.as_millis()
    ))
}

impl SequencerCore {
    pub(super) fn lease(
        &mut self,
        context: &Context<'_>,
        (branch, holder, within): (BranchRef, ComputeId, Option<Process>),
        done: LeaseDone,
        draft: &mut Draft,
        answers: &mut Vec<Answer>,
    ) {
        let tail = match self.tail(branch) {
            Ok(tail) => tail,
            Err(reason) => return answers.push(Answer::Lease(done, Err(Error::not_found(reason)))),
        };
        let Some(duration) = context.leases.duration() else {
            return answers.push(Answer::Lease(done, Ok(None)));
        };
        let wish = {
            let lease = context.leases.of(branch.branch);
            let mut lease = lease.lock();
            // Without room for the record nobody gets it anew, and snapshots are confirmed one by one (S1). A
            // renewal needs none.
            match draft.room(context, LeaseBody::LEN) {
                Err(_) if !lease.is_held_by(holder) => lease.pass_by(holder, context.now.1),
                _ => lease.wish(holder, duration, context.now.1),
            }
        };
        match wish {
            Wish::Refused => answers.push(Answer::Lease(done, Ok(None))),
            // Its record is still on the way.
            Wish::Renewed if !tail.leasing.is_empty() => tail.leasing.push(done),
            Wish::Renewed => {
                let grant = LeaseGrant { lsn: tail.applied, duration };
                answers.push(Answer::Lease(done, Ok(Some(grant))));
            }
            Wish::Grant => {
                tail.leasing.push(done);
                let body = LeaseBody::Granted(LeaseState { holder, duration, within });
                push(context.now, branch.branch, tail, body, draft);
            }
        }
    }

    pub(super) fn give_back(
        &mut self,
        context: &Context<'_>,
        branch: BranchRef,
        holder: ComputeId,
        draft: &mut Draft,
    ) {
        let Ok(tail) = self.tail(branch) else { return };
        let given_back = context.leases.of(branch.branch).lock().give_back(holder);
        // Without the record a later leader waits for a lease that nobody uses.
        if given_back && draft.room(context, LeaseBody::LEN).is_ok() {
            push(context.now, branch.branch, tail, LeaseBody::GivenBack(holder), draft);
        }
    }
}

fn push(now: Now, branch: BranchId, tail: &mut Tail, body: LeaseBody, draft: &mut Draft) {
    let header = RecordHeader {
        kind: RecordKind::Lease,
        last: true,
        branch,
        lsn: Lsn::ZERO,
        prev_lsn: Lsn::ZERO,
        time_micros: tail.tick(now),
        txn: TxnId::from_bytes([0; 16]),
        fragment: 0,
        attempt: 0,
    };
    draft.push(header, body.encode());
}

/// A lease record was applied: those who waited for theirs hear of it.
pub(super) fn resolve(tail: &mut Tail, lease: Option<LeaseState>, answers: &mut Vec<Answer>) {
    let grant = lease.map(|lease| LeaseGrant { lsn: tail.applied, duration: lease.duration });
    answers.extend(tail.leasing.drain(..).map(|done| Answer::Lease(done, Ok(grant))));
}
