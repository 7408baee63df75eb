//! Who waits for what of a branch's records that are proposed and not yet applied.

use super::Answer;
use crate::group::Outcome;
use shardforge_common::{Error, Result, TxnId};
use shardforge_proto::wal::{CommitOutcome, Completion, TxnStatus};
use std::collections::HashMap;

/// One who waits for a transaction's record.
pub(super) enum Waiter {
    /// Sent a commit request. `negative` is what an abort record means to it, when that was its own
    /// verdict.
    Committer { done: Completion<CommitOutcome>, negative: Option<CommitOutcome> },
    /// Asked what became of it.
    Asker(Completion<Result<TxnStatus>>),
}

impl Waiter {
    fn answer(self, outcome: Outcome) -> Answer {
        match (self, outcome) {
            (Waiter::Committer { done, .. }, Outcome::Committed { lsn, time_micros }) => {
                Answer::Commit(done, CommitOutcome::Committed { lsn, time_micros })
            }
            (Waiter::Committer { done, negative }, Outcome::Aborted) => {
                Answer::Commit(done, negative.unwrap_or(CommitOutcome::Aborted))
            }
            (Waiter::Asker(done), Outcome::Committed { lsn, .. }) => {
                Answer::Status(done, Ok(TxnStatus::Committed(lsn)))
            }
            (Waiter::Asker(done), Outcome::Aborted) => Answer::Status(done, Ok(TxnStatus::Aborted)),
        }
    }

    fn refuse(self, reason: &str) -> Answer {
        match self {
            Waiter::Committer { done, .. } => {
                Answer::Commit(done, CommitOutcome::Retry { reason: reason.to_string() })
            }
            Waiter::Asker(done) => Answer::Status(done, Err(Error::retry(reason))),
        }
    }
}

/// Commit and abort records in flight, by transaction, and fragments, by number.
#[derive(Default)]
pub(super) struct PendingSet {
    txns: HashMap<TxnId, Vec<Waiter>, ahash::RandomState>,
    fragments: HashMap<(TxnId, u32), Vec<Completion<CommitOutcome>>, ahash::RandomState>,
}

impl PendingSet {
    /// Joins those who wait for this transaction's record; gives the waiter back when none is pending.
    pub(super) fn join(&mut self, txn: TxnId, waiter: Waiter) -> Result<(), Waiter> {
        match self.txns.get_mut(&txn) {
            Some(waiters) => {
                waiters.push(waiter);
                Ok(())
            }
            None => Err(waiter),
        }
    }

    /// Whether the transaction's commit or abort record is in flight.
    pub(super) fn has(&self, txn: TxnId) -> bool {
        self.txns.contains_key(&txn)
    }

    /// A commit or abort record goes out.
    pub(super) fn begin(&mut self, txn: TxnId, waiter: Option<Waiter>) {
        self.txns.entry(txn).or_default().extend(waiter);
    }

    /// A fragment goes out, or is waited for once more.
    pub(super) fn begin_fragment(&mut self, txn: TxnId, fragment: u32, done: Completion<CommitOutcome>) {
        self.fragments.entry((txn, fragment)).or_default().push(done);
    }

    /// Whether this fragment is in flight.
    pub(super) fn has_fragment(&self, txn: TxnId, fragment: u32) -> bool {
        self.fragments.contains_key(&(txn, fragment))
    }

    /// A commit or abort record was applied.
    pub(super) fn resolve(&mut self, txn: TxnId, outcome: Outcome, answers: &mut Vec<Answer>) {
        let waiters = self.txns.remove(&txn).unwrap_or_default();
        answers.extend(waiters.into_iter().map(|waiter| waiter.answer(outcome)));
    }

    /// A fragment was applied.
    pub(super) fn resolve_fragment(
        &mut self,
        txn: TxnId,
        fragment: u32,
        outcome: &CommitOutcome,
        answers: &mut Vec<Answer>,
    ) {
        let waiters = self.fragments.remove(&(txn, fragment)).unwrap_or_default();
        answers.extend(waiters.into_iter().map(|done| Answer::Commit(done, outcome.clone())));
    }

    /// The leadership ended with all of it.
    pub(super) fn abandon(&mut self, reason: &str, answers: &mut Vec<Answer>) {
        answers
            .extend(self.txns.drain().flat_map(|(_, waiters)| waiters).map(|waiter| waiter.refuse(reason)));
        let retry = CommitOutcome::Retry { reason: reason.to_string() };
        let fragments = self.fragments.drain().flat_map(|(_, waiters)| waiters);
        answers.extend(fragments.map(|done| Answer::Commit(done, retry.clone())));
    }
}
