//! The pure core of the sequencer: requests in, one batch and answers out.

use super::leases;
use super::pending::{PendingSet, Waiter};
use super::requests::{LeaseDone, full};
use super::{Answer, Request};
use crate::certifier::{Certifier, Verdict, WriteSet};
use crate::group::{Batch, BranchState, Effect, GroupState, OpenBody, Outcome};
use crate::lease::Leases;
use bytes::Bytes;
use shardforge_common::key::{MAX_KEY_LEN, slot_of};
use shardforge_common::mutation::MutationList;
use shardforge_common::wal::{HEADER_LEN, MAX_BODY_LEN, RecordHeader, RecordKind};
use shardforge_common::{BranchId, BranchRef, Error, Lsn, Result, TenantId, TxnId};
use shardforge_proto::wal::{CommitOutcome, CommitRequest, Completion, FragmentRequest, TxnStatus};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

/// The bounds of a core.
#[derive(Debug, Clone, Copy)]
pub struct CoreConfig {
    /// The memory of all branches' conflict windows together, in bytes.
    pub window_bytes: usize,
    /// A batch takes no further request beyond this size, in bytes.
    pub max_batch_bytes: usize,
}

/// The end of one branch's log as the leader sees it: pending records included.
pub(super) struct Tail {
    pub(super) tenant: TenantId,
    pub(super) certifier: Certifier,
    pub(super) time_micros: i64,
    /// The last commit applied: what is above it is pending.
    pub(super) applied: Lsn,
    pending: PendingSet,
    pub(super) staged: BTreeMap<TxnId, StagedTail>,
    /// Those who were promised the lease as soon as its record is applied.
    pub(super) leasing: Vec<LeaseDone>,
}

pub(super) struct StagedTail {
    pub(super) fragments: u32,
    pub(super) heard_at: Duration,
    /// Whether rows are among what is staged: ranges come before them.
    pub(super) has_rows: bool,
}

impl Tail {
    pub(super) fn new(branch: &BranchState, certifier: Certifier) -> Self {
        Self {
            tenant: branch.tenant,
            certifier,
            time_micros: branch.time_micros,
            applied: branch.committed,
            pending: PendingSet::default(),
            staged: BTreeMap::new(),
            leasing: Vec::new(),
        }
    }
}

/// The moment of a run: wall clock in microseconds, and time since boot.
pub(super) type Now = (i64, Duration);

/// What a run sees of the world.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The moment: wall clock in microseconds, and time since boot.
    pub now: (i64, Duration),
    /// The applied state.
    pub state: &'a GroupState,
    /// Who has which branch to itself.
    pub leases: &'a Leases,
    /// Whether a batch of so many bytes finds room in the log.
    pub room: &'a dyn Fn(u64) -> Result<()>,
}

/// The batch that a run builds.
#[derive(Default)]
pub(super) struct Draft {
    records: Vec<(RecordHeader, Bytes)>,
    bytes: usize,
    /// What was proposed before and may not have come to the log yet.
    ahead_bytes: usize,
}

impl Draft {
    /// Whether one more record finds room.
    pub(super) fn room(&self, context: &Context<'_>, body_len: usize) -> Result<()> {
        (context.room)((self.ahead_bytes + self.bytes + HEADER_LEN + body_len) as u64)
    }

    pub(super) fn push(&mut self, header: RecordHeader, body: Bytes) {
        self.bytes += HEADER_LEN + body.len();
        self.records.push((header, body));
    }
}

/// Certifies, numbers, and remembers who waits, in one term.
pub struct SequencerCore {
    term: u64,
    config: CoreConfig,
    pub(super) tails: HashMap<BranchId, Tail, ahash::RandomState>,
    opening: HashMap<BranchId, Vec<Completion<Result<()>>>, ahash::RandomState>,
    /// Commits in the windows of all branches, oldest first.
    pub(super) window_order: VecDeque<(BranchId, Lsn)>,
    pub(super) window_bytes: usize,
    in_flight: usize,
    in_flight_bytes: usize,
}

impl SequencerCore {
    /// A core for a term, without branches; see [`super::Rebuild`].
    pub(super) fn new(term: u64, config: CoreConfig) -> Self {
        Self {
            term,
            config,
            tails: HashMap::default(),
            opening: HashMap::default(),
            window_order: VecDeque::new(),
            window_bytes: 0,
            in_flight: 0,
            in_flight_bytes: 0,
        }
    }

    /// The term in which it certifies.
    pub fn term(&self) -> u64 {
        self.term
    }

    /// Batches built and not yet applied.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Takes requests until there are none or the batch is full.
    pub fn run(
        &mut self,
        context: &Context<'_>,
        requests: &mut VecDeque<Request>,
        answers: &mut Vec<Answer>,
    ) -> Option<Batch> {
        let mut draft = Draft { ahead_bytes: self.in_flight_bytes, ..Draft::default() };
        while draft.bytes < self.config.max_batch_bytes {
            let Some(request) = requests.pop_front() else { break };
            match request {
                Request::Commit(request, done) => {
                    let lease = context.leases.of(request.branch.branch);
                    let admitted = lease.lock().admit(request.sender, context.now.1);
                    match admitted {
                        Ok(()) => self.commit(context, request, done, &mut draft, answers),
                        Err(left) => answers.push(Answer::Commit(done, leases::refusal(left))),
                    }
                }
                Request::Stage(request, done) => self.stage(context, request, done, &mut draft, answers),
                Request::Abandon { branch, txn } => self.abandon(context, branch, txn, &mut draft),
                Request::Outcome { branch, txn, base, done } => {
                    self.outcome(context, (branch, txn, base), done, &mut draft, answers);
                }
                Request::Lease { branch, holder, within, done } => {
                    self.lease(context, (branch, holder, within), done, &mut draft, answers);
                }
                Request::GiveBack { branch, holder } => self.give_back(context, branch, holder, &mut draft),
                Request::LsnAt { branch, time_micros, done } => {
                    let lsn = self.lsn_at(context.now, context.state, branch, time_micros);
                    answers.push(Answer::LsnAt(done, lsn));
                }
                Request::Open { branch, done } => self.open(context, branch, done, &mut draft, answers),
            }
        }
        self.shrink_windows();
        if draft.records.is_empty() {
            return None;
        }
        self.in_flight += 1;
        self.in_flight_bytes += draft.bytes;
        metrics::counter!("shardforge_safekeeper_batches_total").increment(1);
        Some(Batch::build(self.term, &draft.records))
    }

    /// The last commit at a moment that is not in the future. From here on every commit is later (H2), so the
    /// answer stays right; while one that may be earlier is under way, it is asked again.
    fn lsn_at(&mut self, now: Now, state: &GroupState, branch: BranchRef, time_micros: i64) -> Result<Lsn> {
        let tail = self.tail(branch).map_err(Error::invalid)?;
        if time_micros > now.0.max(tail.time_micros) {
            return Err(Error::invalid("the moment is in the future"));
        }
        let known = &state.branches[&branch.branch];
        tail.time_micros = tail.time_micros.max(time_micros.saturating_add(1));
        if known.time_micros <= time_micros && tail.certifier.last() != known.committed {
            return Err(Error::retry("commits are under way"));
        }
        let point = known.times.at(time_micros)?;
        let (lsn, _) = point.ok_or_else(|| Error::not_found("the moment is before the branch's history"))?;
        Ok(lsn)
    }

    pub(super) fn tail(&mut self, branch: BranchRef) -> Result<&mut Tail, String> {
        match self.tails.get_mut(&branch.branch) {
            Some(tail) if tail.tenant == branch.tenant => Ok(tail),
            // The same words for another tenant's branch: it is none of the asker's business (I10).
            _ => Err(format!("branch {branch} is not in this WAL group")),
        }
    }

    fn commit(
        &mut self,
        context: &Context<'_>,
        request: CommitRequest,
        done: Completion<CommitOutcome>,
        draft: &mut Draft,
        answers: &mut Vec<Answer>,
    ) {
        let tail = match self.tail(request.branch) {
            Ok(tail) => tail,
            Err(reason) => return answers.push(Answer::Commit(done, CommitOutcome::Invalid { reason })),
        };
        let waiter = Waiter::Committer { done, negative: None };
        let Err(Waiter::Committer { done, .. }) = tail.pending.join(request.txn, waiter) else { return };
        let outcomes = &context.state.branches[&request.branch.branch].outcomes;
        let decided = match outcomes.get(request.txn) {
            Some(Outcome::Committed { lsn, time_micros }) => {
                Some(CommitOutcome::Committed { lsn, time_micros })
            }
            Some(Outcome::Aborted) => Some(CommitOutcome::Aborted),
            None if request.base < outcomes.floor() => Some(CommitOutcome::Unknown),
            None => tail.invalid(&request).map(|reason| CommitOutcome::Invalid { reason }),
        };
        if let Some(outcome) = decided {
            return answers.push(Answer::Commit(done, outcome));
        }
        // Before it is certified: that counts its writes as pending. A negative verdict may need a record as well.
        if let Err(no_room) = draft.room(context, request.mutations.as_bytes().len()) {
            return answers.push(Answer::Commit(done, full(&no_room)));
        }
        let writes = match readable(&request.mutations, &[]) {
            Ok(writes) => writes,
            Err(e) => {
                let reason = format!("the mutations cannot be read: {e}");
                return answers.push(Answer::Commit(done, CommitOutcome::Invalid { reason }));
            }
        };
        if !writes.ranges.is_empty() && tail.staged.get(&request.txn).is_some_and(|staged| staged.has_rows) {
            return answers.push(Answer::Commit(done, late_range()));
        }
        let mut header = RecordHeader {
            kind: RecordKind::Commit,
            last: true,
            branch: request.branch.branch,
            lsn: Lsn::ZERO,
            prev_lsn: Lsn::ZERO,
            time_micros: tail.tick(context.now),
            txn: request.txn,
            fragment: request.fragments,
            attempt: request.attempt,
        };
        let negative = match tail.certifier.certify(request.txn, &request.checks, &writes) {
            Verdict::Clear => {
                header.prev_lsn = tail.certifier.last();
                let before = tail.certifier.window_bytes();
                header.lsn = tail.certifier.commit(request.txn, &writes);
                let grown = tail.certifier.window_bytes() - before;
                tail.staged.remove(&request.txn);
                tail.pending.begin(request.txn, Some(Waiter::Committer { done, negative: None }));
                draft.push(header, request.mutations.as_bytes().clone());
                self.window_bytes += grown;
                self.window_order.push_back((header.branch, header.lsn));
                return;
            }
            // Not final: the sender refreshes and asks again under the same id (C5).
            Verdict::TooOld { floor } => {
                return answers.push(Answer::Commit(done, CommitOutcome::TooOld { floor }));
            }
            Verdict::Conflict { key, written_at } => {
                metrics::counter!("shardforge_safekeeper_conflicts_total").increment(1);
                let written_at = if written_at > tail.applied { Lsn::MAX } else { written_at };
                CommitOutcome::Conflict { key, written_at }
            }
        };
        if request.attempt == 0 {
            return answers.push(Answer::Commit(done, negative));
        }
        // An earlier attempt may still be on its way: after this record it cannot commit (C1).
        tail.forget_staged(request.txn);
        header.kind = RecordKind::Abort;
        header.fragment = 0;
        tail.pending.begin(request.txn, Some(Waiter::Committer { done, negative: Some(negative) }));
        draft.push(header, Bytes::new());
    }

    fn stage(
        &mut self,
        context: &Context<'_>,
        request: FragmentRequest,
        done: Completion<CommitOutcome>,
        draft: &mut Draft,
        answers: &mut Vec<Answer>,
    ) {
        let tail = match self.tail(request.branch) {
            Ok(tail) => tail,
            Err(reason) => return answers.push(Answer::Commit(done, CommitOutcome::Invalid { reason })),
        };
        let (txn, fragment) = (request.txn, request.fragment);
        if tail.pending.has_fragment(txn, fragment) {
            return tail.pending.begin_fragment(txn, fragment, done);
        }
        let staged = tail.staged.get(&txn).map_or(0, |staged| staged.fragments);
        let decided = match context.state.branches[&request.branch.branch].outcomes.get(txn) {
            Some(Outcome::Aborted) => Some(CommitOutcome::Aborted),
            Some(Outcome::Committed { .. }) => {
                Some(CommitOutcome::Invalid { reason: format!("transaction {txn} has committed") })
            }
            None if tail.pending.has(txn) => {
                Some(CommitOutcome::Invalid { reason: format!("transaction {txn} is being decided") })
            }
            None if fragment < staged => Some(STAGED),
            None if fragment > staged => {
                let reason = format!("fragment {fragment} of transaction {txn}, but {staged} are staged");
                Some(CommitOutcome::Invalid { reason })
            }
            None => too_long(request.mutations.as_bytes()).map(|reason| CommitOutcome::Invalid { reason }),
        };
        if let Some(outcome) = decided {
            return answers.push(Answer::Commit(done, outcome));
        }
        if let Err(no_room) = draft.room(context, request.mutations.as_bytes().len()) {
            return answers.push(Answer::Commit(done, full(&no_room)));
        }
        let writes = match readable(&request.mutations, &request.fresh) {
            Ok(writes) => writes,
            Err(e) => {
                let reason = format!("the mutations cannot be read: {e}");
                return answers.push(Answer::Commit(done, CommitOutcome::Invalid { reason }));
            }
        };
        let has_rows = tail.staged.get(&txn).is_some_and(|staged| staged.has_rows);
        if has_rows && !writes.ranges.is_empty() {
            return answers.push(Answer::Commit(done, late_range()));
        }
        let has_rows = has_rows || writes.has_rows;
        match tail.certifier.certify(txn, &request.checks, &writes) {
            Verdict::Clear => {}
            Verdict::TooOld { floor } => {
                return answers.push(Answer::Commit(done, CommitOutcome::TooOld { floor }));
            }
            Verdict::Conflict { key, written_at } => {
                metrics::counter!("shardforge_safekeeper_conflicts_total").increment(1);
                let written_at = if written_at > tail.applied { Lsn::MAX } else { written_at };
                return answers.push(Answer::Commit(done, CommitOutcome::Conflict { key, written_at }));
            }
        }
        tail.certifier.stage(txn, &writes);
        tail.staged.insert(txn, StagedTail { fragments: fragment + 1, heard_at: context.now.1, has_rows });
        tail.pending.begin_fragment(txn, fragment, done);
        let header = RecordHeader {
            kind: RecordKind::Fragment,
            last: false,
            branch: request.branch.branch,
            lsn: Lsn::ZERO,
            prev_lsn: Lsn::ZERO,
            time_micros: tail.tick(context.now),
            txn,
            fragment,
            attempt: 0,
        };
        draft.push(header, request.mutations.as_bytes().clone());
    }

    fn abandon(&mut self, context: &Context<'_>, branch: BranchRef, txn: TxnId, draft: &mut Draft) {
        let Ok(tail) = self.tail(branch) else { return };
        // A commit in flight decides; and of what was never staged there is nothing to drop.
        if tail.pending.has(txn) || !tail.staged.contains_key(&txn) {
            return;
        }
        if draft.room(context, 0).is_err() {
            // Due at once for whoever looks for those of which nothing is heard any more.
            if let Some(staged) = tail.staged.get_mut(&txn) {
                staged.heard_at = Duration::ZERO;
            }
            return;
        }
        tail.abort(context.now, branch.branch, txn, None, draft);
    }

    fn outcome(
        &mut self,
        context: &Context<'_>,
        (branch, txn, base): (BranchRef, TxnId, Lsn),
        done: Completion<Result<TxnStatus>>,
        draft: &mut Draft,
        answers: &mut Vec<Answer>,
    ) {
        let tail = match self.tail(branch) {
            Ok(tail) => tail,
            Err(reason) => return answers.push(Answer::Status(done, Err(Error::not_found(reason)))),
        };
        let Err(Waiter::Asker(done)) = tail.pending.join(txn, Waiter::Asker(done)) else { return };
        let outcomes = &context.state.branches[&branch.branch].outcomes;
        let decided = match outcomes.get(txn) {
            Some(Outcome::Committed { lsn, .. }) => Some(TxnStatus::Committed(lsn)),
            Some(Outcome::Aborted) => Some(TxnStatus::Aborted),
            None if base < outcomes.floor() => Some(TxnStatus::LookInLog),
            None => None,
        };
        match (decided, draft.room(context, 0)) {
            (Some(status), _) => answers.push(Answer::Status(done, Ok(status))),
            (None, Ok(())) => tail.abort(context.now, branch.branch, txn, Some(Waiter::Asker(done)), draft),
            // Undecided it stays until the answer can be made true.
            (None, Err(no_room)) => answers.push(Answer::Status(done, Err(no_room))),
        }
    }

    fn open(
        &mut self,
        context: &Context<'_>,
        branch: BranchRef,
        done: Completion<Result<()>>,
        draft: &mut Draft,
        answers: &mut Vec<Answer>,
    ) {
        if let Some(tail) = self.tails.get(&branch.branch) {
            let same = tail.tenant == branch.tenant;
            let other = || Error::invalid(format!("branch id {} is taken", branch.branch));
            return answers.push(Answer::Open(done, if same { Ok(()) } else { Err(other()) }));
        }
        if let Some(waiters) = self.opening.get_mut(&branch.branch) {
            return waiters.push(done);
        }
        let now = context.now;
        let body = OpenBody { tenant: branch.tenant, lsn: Lsn::ZERO, time_micros: now.0 }.encode();
        if let Err(no_room) = draft.room(context, body.len()) {
            return answers.push(Answer::Open(done, Err(no_room)));
        }
        self.opening.insert(branch.branch, vec![done]);
        let header = RecordHeader {
            kind: RecordKind::Open,
            last: true,
            branch: branch.branch,
            lsn: Lsn::ZERO,
            prev_lsn: Lsn::ZERO,
            time_micros: now.0,
            txn: TxnId::from_bytes([0; 16]),
            fragment: 0,
            attempt: 0,
        };
        draft.push(header, body);
    }

    /// Answers those who waited for a batch's records. `state` has the batch applied.
    pub fn on_applied(
        &mut self,
        batch: &Batch,
        effects: &[Effect],
        state: &GroupState,
        answers: &mut Vec<Answer>,
    ) {
        if batch.term == self.term {
            self.in_flight = self.in_flight.saturating_sub(1);
            self.in_flight_bytes = self.in_flight_bytes.saturating_sub(batch.bytes.len());
        }
        for effect in effects {
            match effect {
                Effect::Committed { branch, txn, lsn, time_micros, .. } => {
                    let Some(tail) = self.tails.get_mut(branch) else { continue };
                    tail.applied = *lsn;
                    let outcome = Outcome::Committed { lsn: *lsn, time_micros: *time_micros };
                    tail.pending.resolve(*txn, outcome, answers);
                }
                Effect::Aborted { branch, txn, outcome } => {
                    let Some(tail) = self.tails.get_mut(branch) else { continue };
                    tail.pending.resolve(*txn, *outcome, answers);
                }
                Effect::Staged { branch, txn, fragment } => {
                    let Some(tail) = self.tails.get_mut(branch) else { continue };
                    tail.pending.resolve_fragment(*txn, *fragment, &STAGED, answers);
                }
                Effect::Leased { branch } => {
                    let Some(tail) = self.tails.get_mut(branch) else { continue };
                    leases::resolve(tail, state.branches[branch].lease, answers);
                }
                Effect::Opened { branch } => {
                    let opened = &state.branches[branch];
                    self.tails
                        .entry(*branch)
                        .or_insert_with(|| Tail::new(opened, Certifier::new(opened.committed)));
                    let waiters = self.opening.remove(branch).unwrap_or_default();
                    answers.extend(waiters.into_iter().map(|done| Answer::Open(done, Ok(()))));
                }
            }
        }
    }

    /// Tells everyone who waits to ask again; the core is not used after it.
    pub fn abandon_all(&mut self, reason: &str, answers: &mut Vec<Answer>) {
        for tail in self.tails.values_mut() {
            tail.pending.abandon(reason, answers);
            let leasing = tail.leasing.drain(..);
            answers.extend(leasing.map(|done| Answer::Lease(done, Err(Error::retry(reason)))));
        }
        let opening = self.opening.drain().flat_map(|(_, waiters)| waiters);
        answers.extend(opening.map(|done| Answer::Open(done, Err(Error::retry(reason)))));
    }

    /// Staged transactions of which nothing was heard since the given moment, and not being decided.
    pub fn staged_before(&self, heard_at: Duration) -> Vec<(BranchRef, TxnId)> {
        let tails =
            self.tails.iter().map(|(id, tail)| (BranchRef { tenant: tail.tenant, branch: *id }, tail));
        tails
            .flat_map(|(branch, tail)| {
                let old = tail
                    .staged
                    .iter()
                    .filter(move |(txn, staged)| staged.heard_at < heard_at && !tail.pending.has(**txn));
                old.map(move |(txn, _)| (branch, *txn))
            })
            .collect()
    }

    /// Forgets the oldest commits of all windows until they fit, but none that is still pending.
    pub(super) fn shrink_windows(&mut self) {
        while self.window_bytes > self.config.window_bytes {
            let Some((branch, lsn)) = self.window_order.front() else { break };
            let tail = self.tails.get_mut(branch).expect("a commit's branch has a tail");
            if *lsn > tail.applied {
                break;
            }
            let before = tail.certifier.window_bytes();
            tail.certifier.evict_oldest();
            self.window_bytes -= before - tail.certifier.window_bytes();
            self.window_order.pop_front();
        }
    }
}

/// The answer to a fragment that is in the log.
const STAGED: CommitOutcome = CommitOutcome::Committed { lsn: Lsn::ZERO, time_micros: 0 };

/// The writes of a list that everyone after us can read as well: keys have slots, and are not too long.
fn readable<'m>(mutations: &'m MutationList, fresh: &'m [(Bytes, Bytes)]) -> Result<WriteSet<'m>> {
    WriteSet::verified(mutations, fresh, |key| {
        if key.len() > MAX_KEY_LEN {
            return Err(Error::invalid(format!("a key of {} bytes; at most {MAX_KEY_LEN}", key.len())));
        }
        slot_of(key).map(|_| ())
    })
}

/// Whoever takes a large commit in parts could not tell what such a range deletes of the parts before it.
fn late_range() -> CommitOutcome {
    CommitOutcome::Invalid {
        reason: "a large transaction deletes a range after rows; ranges come first".into(),
    }
}

fn too_long(body: &Bytes) -> Option<String> {
    (body.len() > MAX_BODY_LEN)
        .then(|| format!("{} bytes of mutations; at most {MAX_BODY_LEN}, stage the rest", body.len()))
}

impl Tail {
    /// The time of the next record: never before the last one's (H2).
    pub(super) fn tick(&mut self, now: Now) -> i64 {
        self.time_micros = self.time_micros.max(now.0);
        self.time_micros
    }

    fn invalid(&self, request: &CommitRequest) -> Option<String> {
        let staged = self.staged.get(&request.txn).map_or(0, |staged| staged.fragments);
        if staged != request.fragments {
            return Some(format!("a commit of {} fragments, but {staged} are staged", request.fragments));
        }
        too_long(request.mutations.as_bytes())
    }

    fn forget_staged(&mut self, txn: TxnId) {
        if self.staged.remove(&txn).is_some() {
            self.certifier.unstage(txn);
        }
    }

    fn abort(&mut self, now: Now, branch: BranchId, txn: TxnId, waiter: Option<Waiter>, draft: &mut Draft) {
        self.forget_staged(txn);
        self.pending.begin(txn, waiter);
        let header = RecordHeader {
            kind: RecordKind::Abort,
            last: true,
            branch,
            lsn: Lsn::ZERO,
            prev_lsn: Lsn::ZERO,
            time_micros: self.tick(now),
            txn,
            fragment: 0,
            attempt: 0,
        };
        draft.push(header, Bytes::new());
    }
}
