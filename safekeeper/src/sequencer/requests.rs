//! What the sequencer is asked, and how it answers.

use crate::group::Process;
use shardforge_common::{BranchRef, ComputeId, Error, Lsn, Result, TxnId};
use shardforge_proto::wal::{
    CommitOutcome, CommitRequest, Completion, FragmentRequest, LeaseGrant, TxnStatus,
};

/// Takes the answer to a wish for the lease.
pub(crate) type LeaseDone = Completion<Result<Option<LeaseGrant>>>;

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
    /// What was the last commit at a moment, microseconds since 1970?
    LsnAt {
        /// Where.
        branch: BranchRef,
        /// The moment.
        time_micros: i64,
        /// Takes the answer.
        done: Completion<Result<Lsn>>,
    },
    /// A branch is to be created.
    Open {
        /// Which.
        branch: BranchRef,
        /// Takes the answer.
        done: Completion<Result<()>>,
    },
    /// A compute wants the sole-writer lease, or more of it.
    Lease {
        /// Where.
        branch: BranchRef,
        /// Who.
        holder: ComputeId,
        /// The process of ours that it lives in.
        within: Option<Process>,
        /// Takes the answer.
        done: LeaseDone,
    },
    /// A compute gives it back.
    GiveBack {
        /// Where.
        branch: BranchRef,
        /// Who.
        holder: ComputeId,
    },
}

impl Request {
    /// The answer of one who cannot decide now.
    pub fn refuse(self, reason: &str) -> Answer {
        let retry = || CommitOutcome::Retry { reason: reason.to_string() };
        match self {
            Request::Commit(_, done) | Request::Stage(_, done) => Answer::Commit(done, retry()),
            Request::Abandon { .. } | Request::GiveBack { .. } => Answer::None,
            Request::Lease { done, .. } => Answer::Lease(done, Err(Error::retry(reason))),
            Request::Outcome { done, .. } => Answer::Status(done, Err(Error::retry(reason))),
            Request::LsnAt { done, .. } => Answer::LsnAt(done, Err(Error::retry(reason))),
            Request::Open { done, .. } => Answer::Open(done, Err(Error::retry(reason))),
        }
    }

    /// The answer of one who has no room to write a decision. Nothing of the request has happened.
    pub fn refuse_full(self, no_room: &Error) -> Answer {
        match self {
            Request::Commit(_, done) | Request::Stage(_, done) => Answer::Commit(done, full(no_room)),
            Request::Outcome { done, .. } => Answer::Status(done, Err(no_room.clone())),
            Request::Open { done, .. } => Answer::Open(done, Err(no_room.clone())),
            other => other.refuse("the log waits for room on its disk"),
        }
    }
}

/// What a commit or fragment is told that finds no room.
pub(super) fn full(no_room: &Error) -> CommitOutcome {
    CommitOutcome::Full { reason: no_room.to_string() }
}

/// An answer on its way: called after all locks were given back.
pub enum Answer {
    /// To a commit, or a fragment.
    Commit(Completion<CommitOutcome>, CommitOutcome),
    /// To a question about a transaction.
    Status(Completion<Result<TxnStatus>>, Result<TxnStatus>),
    /// To a question about a moment.
    LsnAt(Completion<Result<Lsn>>, Result<Lsn>),
    /// To the wish for a branch.
    Open(Completion<Result<()>>, Result<()>),
    /// To a wish for the lease.
    Lease(LeaseDone, Result<Option<LeaseGrant>>),
    /// Nobody asked.
    None,
}

impl Answer {
    /// Gives the answer.
    pub fn call(self) {
        match self {
            Answer::Commit(done, outcome) => done(outcome),
            Answer::Status(done, status) => done(status),
            Answer::LsnAt(done, result) => done(result),
            Answer::Open(done, result) => done(result),
            Answer::Lease(done, result) => done(result),
            Answer::None => {}
        }
    }
}
