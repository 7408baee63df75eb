//! The service of a WAL group: snapshots, commits, the feed, and what allows the log to be trimmed.

use async_trait::async_trait;
use bytes::Bytes;
use shardforge_common::mutation::{Aspects, MutationList};
use shardforge_common::wal::Record;
use shardforge_common::{BranchId, BranchRef, ComputeId, Generation, Lsn, NodeId, Result, SlotRange, TxnId};
use std::sync::Arc;
use std::time::Duration;

/// What is called once with the answer. In one process the thread that applies the batch calls it;
/// it must be short and must not block.
pub type Completion<T> = Box<dyn FnOnce(T) + Send>;

/// What a transaction asks to have checked: that nothing it names was written after it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// One key.
    Key {
        /// The key.
        key: Bytes,
        /// Which aspects of it matter (C2).
        aspects: Aspects,
        /// The LSN at which it was read.
        read_at: Lsn,
    },
    /// Every key in `[start, end)`, absent ones included.
    Range {
        /// First key.
        start: Bytes,
        /// First key beyond the range.
        end: Bytes,
        /// Which aspects of them matter.
        aspects: Aspects,
        /// The LSN at which the range was read.
        read_at: Lsn,
    },
}

/// A transaction that wants to commit.
#[derive(Debug, Clone)]
pub struct CommitRequest {
    /// Where.
    pub branch: BranchRef,
    /// Who sends it (S2).
    pub sender: ComputeId,
    /// The transaction, the same over all its attempts (C1).
    pub txn: TxnId,
    /// 0 for the first attempt, raised by one with each resend.
    pub attempt: u32,
    /// The sender's applied LSN at the first attempt.
    pub base: Lsn,
    /// What must not have been written since it was read.
    pub checks: Vec<Check>,
    /// The mutations, or for a staged transaction those after its last fragment.
    pub mutations: MutationList,
    /// How many fragments were staged before; 0 for an ordinary transaction.
    pub fragments: u32,
}

/// A part of a transaction too large for one record, certified when it is staged (C6).
#[derive(Debug, Clone)]
pub struct FragmentRequest {
    /// Where.
    pub branch: BranchRef,
    /// The transaction.
    pub txn: TxnId,
    /// Number of this fragment, from 0, without gaps.
    pub fragment: u32,
    /// Checks of the rows written in this fragment.
    pub checks: Vec<Check>,
    /// Ranges `[start, end)` in which nobody but this transaction can have written, or can write before it
    /// has ended: storage that it made, or row ids that it was given. Its writes there are nobody's
    /// conflict; who reads there conflicts with the range as a whole.
    pub fresh: Vec<(Bytes, Bytes)>,
    /// The mutations.
    pub mutations: MutationList,
}

/// How a commit request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommitOutcome {
    /// It took effect at this LSN, durably.
    Committed {
        /// Its LSN.
        lsn: Lsn,
        /// Its commit time, microseconds since 1970.
        time_micros: i64,
    },
    /// Something it asked to have checked was written since. It did not take effect.
    Conflict {
        /// The key (or the start of the range) that was written.
        key: Bytes,
        /// The LSN of the write; [`Lsn::MAX`] when it is pending.
        written_at: Lsn,
    },
    /// A check is below the certifier's floor: refresh it and ask again (C5).
    TooOld {
        /// The floor: checks at or above it can be certified.
        floor: Lsn,
    },
    /// The id was aborted by an earlier question about it; it can never commit.
    Aborted,
    /// The leader cannot tell whether the id committed; look in the log from the request's base (C1).
    Unknown,
    /// No verdict: leadership changed, perhaps while the request was in flight, or the group cannot take
    /// it now. It may have taken effect all the same: ask again under the same id, with the next attempt
    /// number, or ask for its outcome; never start over under a new id (C1).
    Retry {
        /// Why, for a person.
        reason: String,
    },
    /// The leader's disk is full: this attempt was not looked at. When it was the first, nothing of the
    /// transaction ever takes effect; after an earlier one it says as little as `Retry`.
    Full {
        /// Why, for a person.
        reason: String,
    },
    /// The request can never be taken as it stands (too large, unknown branch).
    Invalid {
        /// Why, for a person.
        reason: String,
    },
}

/// What became of a transaction id (C1). Asking makes an undecided id abort.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TxnStatus {
    /// It committed at this LSN.
    Committed(Lsn),
    /// It did not, and cannot.
    Aborted,
    /// The outcome table no longer reaches back to its base: look in the log.
    LookInLog,
}

/// Committed records in LSN order, shared by all who receive them.
#[derive(Debug, Clone)]
pub struct FeedBatch {
    /// The branch.
    pub branch: BranchId,
    /// The records with an effect (commit, fragment in the place of its commit, message), in order.
    /// A large transaction is delivered whole: its fragments carry the LSN of its commit, and only
    /// the last record of an LSN has `header.last`. A feed filtered by slots leaves out mutations of
    /// other slots, and records that have nothing left.
    pub records: Vec<Record>,
    /// Everything up to here has been delivered, this batch included (L4).
    pub complete_through: Lsn,
}

/// What a subscriber gives to receive a feed.
pub trait FeedSink: Send + Sync {
    /// Takes the next batch. Called in order, by one thread at a time, possibly the one that applies
    /// the log: it must not block. Batches are delivered only while credit is left.
    fn deliver(&self, batch: &Arc<FeedBatch>);

    /// The feed has ended: the branch moved or was deleted, or the subscriber fell behind the
    /// archive. Subscribe again, elsewhere if the error says so.
    fn end(&self, reason: shardforge_common::Error);
}

/// What a subscriber asks for.
#[derive(Debug, Clone, Copy)]
pub struct FeedRequest {
    /// Where.
    pub branch: BranchRef,
    /// The first LSN wanted; everything before it the subscriber has.
    pub from: Lsn,
    /// Only mutations of these slots.
    pub slots: SlotRange,
    /// How many body bytes may be sent before more credit is granted.
    pub credit_bytes: u64,
}

/// A running subscription; dropping it ends the feed.
pub trait FeedSubscription: Send + Sync {
    /// Allows that many more body bytes to be delivered.
    fn grant(&self, credit_bytes: u64);
}

/// What a pageserver says of one shard on one branch; it allows the log to be trimmed (I5, L1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IngestReport {
    /// Where.
    pub branch: BranchRef,
    /// The shard.
    pub slots: SlotRange,
    /// The generation under which the manifest was published.
    pub generation: Generation,
    /// The manifest's number.
    pub manifest: u64,
    /// Every mutation up to here, for these slots, is in layers that the manifest names.
    pub uploaded: Lsn,
    /// Every mutation up to here has been ingested and can be served.
    pub ingested: Lsn,
    /// Set while the object store has no room for the shard's layers, with what was tried. What is committed
    /// meanwhile could soon be read nowhere, so commits are refused.
    pub full: Option<String>,
}

/// Where a branch stands in its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BranchStatus {
    /// The last committed LSN.
    pub committed: Lsn,
    /// Commit time of the last commit, microseconds since 1970.
    pub time_micros: i64,
    /// Everything up to here is in the object store, for every slot.
    pub uploaded: Lsn,
    /// Everything up to here has been ingested by every shard: what a compute may fold up to.
    pub ingested: Lsn,
    /// The lowest LSN that this group's log can still deliver.
    pub first_available: Lsn,
}

/// A compute asks for the sole-writer lease of a branch, or for more time under it (S2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseRequest {
    /// Where.
    pub branch: BranchRef,
    /// Who asks.
    pub holder: ComputeId,
    /// Whether the holder lives in the process of the safekeeper that is asked, and so dies with it. Every
    /// transport over a network clears it.
    pub in_process: bool,
}

/// A lease that was given, or prolonged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseGrant {
    /// Everything that others committed is at or below this: the holder uses the lease once it has
    /// applied it.
    pub lsn: Lsn,
    /// The lease lasts so long **from the moment at which the holder sent its request**, by a clock that
    /// runs through suspend.
    pub duration: Duration,
}

/// Health of a WAL group's member, for `status` and metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupStatus {
    /// The member that answers.
    pub node: NodeId,
    /// The leader it knows of.
    pub leader: Option<NodeId>,
    /// The current term.
    pub term: u64,
    /// Index of the last durable log entry.
    pub durable_index: u64,
    /// Index of the last applied log entry.
    pub applied_index: u64,
    /// Log bytes on disk.
    pub log_bytes: u64,
    /// Number of log segments on disk.
    pub log_segments: u64,
    /// Set when the member has ended for good, with the reason.
    pub stopped: Option<String>,
    /// Set while writes are refused because the disk is full, with what was tried. It passes by itself
    /// when there is room again.
    pub full: Option<String>,
}

/// A WAL group of safekeepers, as computes, pageservers and the control plane see it.
#[async_trait]
pub trait WalService: Send + Sync {
    /// The newest committed LSN, confirmed with a quorum by a round begun after this call (S1). `Retry`
    /// while another compute than the sender holds the branch's lease (S2).
    fn snapshot(&self, branch: BranchRef, sender: ComputeId, done: Completion<Result<Lsn>>);

    /// Asks for the sole-writer lease, or for more of it (S2). While it lasts, nobody else gets a snapshot
    /// or a commit, so the holder knows the newest LSN without asking. `None`: not now, since another
    /// compute is at work on the branch, or because leases are turned off; a holder that hears it stops
    /// using the lease and gives it back.
    fn lease(&self, request: LeaseRequest, done: Completion<Result<Option<LeaseGrant>>>);

    /// Gives the lease back. The holder has stopped using it before this call.
    fn give_back(&self, branch: BranchRef, holder: ComputeId);

    /// Asks for a commit. `done` is called after the commit is durable at a quorum, and after every
    /// in-process feed subscriber that is up to date and has credit was given the record. One that is
    /// behind gets it later; so does everyone when the transaction was staged, since it comes from the
    /// log: wait until its LSN is applied before relying on it.
    fn submit(&self, request: CommitRequest, done: Completion<CommitOutcome>);

    /// Stages a part of a large transaction. Answers `Committed` with `Lsn::ZERO` once it is durable.
    fn stage(&self, request: FragmentRequest, done: Completion<CommitOutcome>);

    /// Drops a staged transaction's fragments.
    fn abandon(&self, branch: BranchRef, txn: TxnId);

    /// What became of a transaction id whose answer was lost.
    async fn outcome(&self, branch: BranchRef, txn: TxnId, base: Lsn) -> Result<TxnStatus>;

    /// Starts a feed. Fails with `NotFound` when neither the log nor the archive holds `from`; where the
    /// archive must be asked first, the feed ends with `NotFound` instead. Must not be called from
    /// within a [`FeedSink`].
    fn subscribe(&self, request: FeedRequest, sink: Arc<dyn FeedSink>) -> Result<Box<dyn FeedSubscription>>;

    /// Takes a pageserver's report. Each member of a group trims its own log by what it was told, so every
    /// member is told.
    fn report_ingest(&self, report: IngestReport);

    /// Creates a branch whose history begins at `Lsn::ZERO`. Creating it again is not an error.
    async fn create_branch(&self, branch: BranchRef) -> Result<()>;

    /// Where a branch stands.
    async fn branch_status(&self, branch: BranchRef) -> Result<BranchStatus>;

    /// The last commit at or before a moment, microseconds since 1970; no later commit gets a time up to it
    /// (H2). `Invalid` for a moment in the future, `NotFound` for one before the branch's history.
    async fn lsn_at(&self, branch: BranchRef, time_micros: i64) -> Result<Lsn>;

    /// How this member fares.
    async fn group_status(&self) -> Result<GroupStatus>;
}
