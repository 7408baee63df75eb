//! COMMIT: from a buffer of writes to a place in the log, exactly once (I4, C1, C5, C6).
//!
//! 1. The final mutations are taken from the buffer in key order, in bodies of at most 1 MiB.
//! 2. All but the last are staged as fragments ([`super::stage`]).
//! 3. While pageservers are too far behind, it waits ([`super::pressure`]).
//! 4. The last body is submitted with the remaining checks. The feed is told to look for the id.
//! 5. *Retry* and lost answers send the same id again; *too old* is refreshed first; *unknown* is
//!    answered by the feed itself, which has brought every record since before the first attempt.

use super::branch::{Branch, backoff};
use super::buffer::WriteBuffer;
use super::locks::LockOwner;
use super::transaction::Committed;
use super::{TxnError, TxnErrorKind, refresh, stage};
use parking_lot::Mutex;
use shardforge_common::mutation::MutationList;
use shardforge_common::{Error, Lsn, StorageId, TxnId, task};
use shardforge_proto::wal::{Check, CommitOutcome, CommitRequest, TxnStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::oneshot;

/// How long a commit is sent again and again before its client hears that the outcome is unknown.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// How long a commit waits for one answer before it asks what became of it.
const ANSWER_PATIENCE: Duration = Duration::from_secs(10);

/// A commit under way, as the feed knows it.
pub(crate) struct InFlight {
    shared: Arc<Shared>,
    /// Held until the commit is applied here.
    _locks: Arc<LockOwner>,
}

#[derive(Default)]
struct Shared {
    /// The LSN at which the feed brought it; 0 before.
    applied_at: AtomicU64,
    time_micros: Mutex<i64>,
    progress: Mutex<Progress>,
}

#[derive(Default)]
struct Progress {
    /// Answers that are still to come.
    outstanding: u32,
    /// Its session has gone.
    abandoned: bool,
}

impl InFlight {
    pub(crate) fn applied(&self, lsn: Lsn, time_micros: i64) {
        *self.shared.time_micros.lock() = time_micros;
        self.shared.applied_at.store(lsn.0, Ordering::Release);
    }
}

impl Branch {
    fn forget_in_flight(&self, txn: TxnId) {
        let removed = {
            let mut in_flight = self.in_flight.lock();
            let removed = in_flight.remove(&txn);
            self.in_flight_count.store(in_flight.len(), Ordering::Release);
            removed
        };
        drop(removed);
        self.cache.forget_created(txn);
    }
}

/// Registers a commit with the feed; forgets it again when it ends without effect, also when its
/// session goes away in the middle.
struct Registration {
    branch: Arc<Branch>,
    txn: TxnId,
    shared: Arc<Shared>,
    /// The outcome is known: the feed takes care of the rest.
    committed: bool,
}

impl Registration {
    fn new(branch: Arc<Branch>, txn: TxnId, locks: Arc<LockOwner>, created: Vec<StorageId>) -> Self {
        let shared = Arc::<Shared>::default();
        {
            let mut in_flight = branch.in_flight.lock();
            in_flight.insert(txn, InFlight { shared: shared.clone(), _locks: locks });
            branch.in_flight_count.store(in_flight.len(), Ordering::Release);
        }
        if !created.is_empty() {
            branch.cache.expect_created(txn, created);
        }
        Self { branch, txn, shared, committed: false }
    }

    fn applied(&self) -> Option<Committed> {
        let lsn = Lsn(self.shared.applied_at.load(Ordering::Acquire));
        (lsn > Lsn::ZERO).then(|| Committed { lsn, time_micros: Some(*self.shared.time_micros.lock()) })
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut progress = self.shared.progress.lock();
        progress.abandoned = true;
        if !self.committed && progress.outstanding == 0 {
            drop(progress);
            self.branch.forget_in_flight(self.txn);
        }
    }
}

/// What the log calls with its answer; dropped without a call, the answer is lost.
struct Answer {
    branch: Arc<Branch>,
    txn: TxnId,
    shared: Arc<Shared>,
    to: Option<oneshot::Sender<CommitOutcome>>,
    committed: bool,
}

impl Answer {
    fn give(mut self, outcome: CommitOutcome) {
        self.committed = matches!(outcome, CommitOutcome::Committed { .. });
        if let Some(to) = self.to.take() {
            // Nobody listens any more when the session has gone.
            let _ = to.send(outcome);
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        let mut progress = self.shared.progress.lock();
        progress.outstanding -= 1;
        let forget = progress.abandoned && progress.outstanding == 0 && !self.committed;
        drop(progress);
        if forget {
            self.branch.forget_in_flight(self.txn);
        }
    }
}

/// Everything that a commit needs.
pub(crate) struct CommitPlan<'a> {
    pub(crate) branch: &'a Arc<Branch>,
    pub(crate) txn: TxnId,
    pub(crate) locks: Arc<LockOwner>,
    pub(crate) buffer: &'a WriteBuffer,
    /// Checks beside those of the written rows.
    pub(crate) checks: Vec<Check>,
}

/// Commits; `None` when there was nothing to commit after all.
pub(crate) async fn commit(plan: CommitPlan<'_>) -> Result<Option<Committed>, TxnError> {
    let Some((last, mut staging)) = stage::stage(&plan).await? else { return Ok(None) };
    let mut checks = last.checks;
    checks.extend(plan.checks.iter().cloned());
    let created: Vec<_> = plan.buffer.created().collect();
    let bytes = last.mutations.len_bytes();
    let _admitted = plan.branch.pressure.admit(plan.branch, bytes, staging.fragments() > 0).await?;
    let mut registration = Registration::new(plan.branch.clone(), plan.txn, plan.locks.clone(), created);
    let committed =
        submit(&plan, &registration, checks, last.mutations.finish(), staging.fragments()).await?;
    registration.committed = true;
    staging.done();
    Ok(Some(committed))
}

pub(super) async fn task_timeout(answered: oneshot::Receiver<CommitOutcome>) -> Option<CommitOutcome> {
    task::timeout(ANSWER_PATIENCE, answered).await.and_then(Result::ok)
}

/// A refusal that is final.
pub(super) fn refused(outcome: CommitOutcome) -> TxnError {
    match outcome {
        CommitOutcome::Conflict { key, written_at } => {
            TxnError::conflict(key, (written_at < Lsn::MAX).then_some(written_at))
        }
        CommitOutcome::Aborted => TxnError::new(
            TxnErrorKind::Serialization,
            "the transaction was aborted while its commit was unanswered",
        ),
        CommitOutcome::TooOld { floor } => TxnError::new(
            TxnErrorKind::Serialization,
            format!("the transaction read below LSN {floor}, which the log no longer certifies"),
        ),
        CommitOutcome::Retry { reason } => shardforge_common::Error::unavailable(reason).into(),
        CommitOutcome::Full { reason } => shardforge_common::Error::unavailable(reason)
            .with_source(std::io::Error::from(std::io::ErrorKind::StorageFull))
            .into(),
        CommitOutcome::Invalid { reason } => shardforge_common::Error::invalid(reason).into(),
        CommitOutcome::Unknown | CommitOutcome::Committed { .. } => {
            TxnError::new(TxnErrorKind::OutcomeUnknown, "the outcome of the commit is unknown")
        }
    }
}

async fn submit(
    plan: &CommitPlan<'_>,
    registration: &Registration,
    mut checks: Vec<Check>,
    mutations: MutationList,
    fragments: u32,
) -> Result<Committed, TxnError> {
    let branch = plan.branch;
    let base = branch.cache.applied();
    let mut waited = Duration::ZERO;
    let mut attempt = 0;
    loop {
        let request = CommitRequest {
            branch: branch.id,
            sender: branch.me,
            txn: plan.txn,
            attempt,
            base,
            checks: checks.clone(),
            mutations: mutations.clone(),
            fragments,
        };
        let outcome = send(branch, registration, request).await;
        // The feed may know what an answer does not say.
        if let Some(committed) = registration.applied() {
            return Ok(committed);
        }
        match outcome {
            Some(CommitOutcome::Committed { lsn, time_micros }) => {
                branch.answered.fetch_max(lsn.0, Ordering::SeqCst);
                return Ok(Committed { lsn, time_micros: Some(time_micros) });
            }
            Some(CommitOutcome::TooOld { floor }) if waited < PATIENCE => {
                refresh::refresh(branch, &mut checks, floor).await?;
                waited += backoff(waited).await;
            }
            // Nobody has seen this transaction yet, so the refusal is certain.
            Some(refusal @ CommitOutcome::Full { .. }) if attempt == 0 => return Err(refused(refusal)),
            Some(CommitOutcome::Retry { .. } | CommitOutcome::Full { .. }) if waited < PATIENCE => {
                waited += backoff(waited).await;
            }
            None
            | Some(CommitOutcome::Retry { .. } | CommitOutcome::Full { .. } | CommitOutcome::Unknown) => {
                // The question aborts an id that is undecided, so its answer is final (C1).
                return ask(plan, registration, base).await;
            }
            Some(refusal) => return Err(refused(refusal)),
        }
        attempt += 1;
    }
}

/// Sends one attempt. `None`: its answer is lost.
async fn send(
    branch: &Arc<Branch>,
    registration: &Registration,
    request: CommitRequest,
) -> Option<CommitOutcome> {
    let (to, answered) = oneshot::channel();
    registration.shared.progress.lock().outstanding += 1;
    let answer = Answer {
        branch: branch.clone(),
        txn: request.txn,
        shared: registration.shared.clone(),
        to: Some(to),
        committed: false,
    };
    branch.wal.submit(request, Box::new(move |outcome| answer.give(outcome)));
    task_timeout(answered).await
}

/// Asks what became of an id, until there is an answer or patience is over: then the outcome is unknown, and what
/// was asked for may still come (C1).
async fn ask(plan: &CommitPlan<'_>, registration: &Registration, base: Lsn) -> Result<Committed, TxnError> {
    let branch = plan.branch;
    let mut waited = Duration::ZERO;
    loop {
        let asked = branch.wal.outcome(branch.id, plan.txn, base);
        let status = match task::timeout(ANSWER_PATIENCE, asked).await {
            // Every record since before the first attempt comes through our own feed, and after
            // a confirmed snapshot no earlier leader's proposal can still appear.
            Some(Ok(TxnStatus::LookInLog)) => branch.confirmed_snapshot().await.map(|_| TxnStatus::LookInLog),
            Some(status) => status,
            None => {
                waited += ANSWER_PATIENCE;
                Err(Error::retry("the log's leader does not answer"))
            }
        };
        if let Some(committed) = registration.applied() {
            return Ok(committed);
        }
        match status {
            Ok(TxnStatus::Committed(lsn)) => {
                // As with the answer to a commit, the feed may not have brought it yet.
                branch.answered.fetch_max(lsn.0, Ordering::SeqCst);
                return Ok(Committed { lsn, time_micros: None });
            }
            Ok(TxnStatus::Aborted | TxnStatus::LookInLog) => return Err(refused(CommitOutcome::Aborted)),
            Err(error) if waited > PATIENCE => {
                let mut unknown = refused(CommitOutcome::Unknown);
                unknown.set_cause(error);
                return Err(unknown);
            }
            Err(_) => waited += backoff(waited).await,
        }
    }
}
