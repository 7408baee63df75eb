//! What the sequencer is asked, and how it answers.

use shardforge_common::{BranchRef, Error, Lsn, Result, TxnId};
use shardforge_proto::wal::{CommitOutcome, CommitRequest, Completion, FragmentRequest, TxnStatus};

/// A request with the completion that takes its answer.
pub enum Request {
    /// A transaction wants to commit.
    Commit(CommitRequest, Completion<CommitOutcome>),
    /// A part of a large one wants to be staged.
    Stage(FragmentRequest, Completion<CommitOutcome>),
    /// A staged transaction is given up.
    Abandon {
        /// Where.
        branch: BranchRef,
        /// Which.
        txn: TxnId,
    },
    /// What became of a transaction?
    Outcome {
        /// Where.
        branch: BranchRef,
        /// Which.
        txn: TxnId,
        /// The applied LSN of its sender at its first attempt.
        base: Lsn,
        /// Takes the answer.
        done: Completion<Result<TxnStatus>>,
    },
    /// A branch is to be created.
    Open {
        /// Which.
        branch: BranchRef,
        /// Takes the answer.
        done: Completion<Result<()>>,
    },
}

impl Request {
    /// The answer of one who cannot decide now.
    pub fn refuse(self, reason: &str) -> Answer {
        let retry = || CommitOutcome::Retry { reason: reason.to_string() };
        match self {
            Request::Commit(_, done) | Request::Stage(_, done) => Answer::Commit(done, retry()),
            Request::Abandon { .. } => Answer::None,
            Request::Outcome { done, .. } => Answer::Status(done, Err(Error::retry(reason))),
            Request::Open { done, .. } => Answer::Open(done, Err(Error::retry(reason))),
        }
    }
}

/// An answer on its way: called after all locks were given back.
pub enum Answer {
    /// To a commit, or a fragment.
    Commit(Completion<CommitOutcome>, CommitOutcome),
    /// To a question about a transaction.
    Status(Completion<Result<TxnStatus>>, Result<TxnStatus>),
    /// To the wish for a branch.
    Open(Completion<Result<()>>, Result<()>),
    /// Nobody asked.
    None,
}

impl Answer {
    /// Gives the answer.
    pub fn call(self) {
        match self {
            Answer::Commit(done, outcome) => done(outcome),
            Answer::Status(done, status) => done(status),
            Answer::Open(done, result) => done(result),
            Answer::None => {}
        }
    }
}
