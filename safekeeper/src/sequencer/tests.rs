//! The shell with a log that a test applies by hand: nothing here needs Raft, or Tokio.

use super::*;
use crate::group::{OpenBody, Process};
use bytes::Bytes;
use shardforge_common::clock::ManualClock;
use shardforge_common::mutation::{Aspects, Mutation, MutationList, MutationListBuilder};
use shardforge_common::{BranchId, BranchRef, ComputeId, Error, Lsn, NodeId, Result, TenantId, TxnId};
use shardforge_proto::wal::{Check, CommitOutcome, CommitRequest, FragmentRequest, LeaseGrant};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

pub(super) fn branch() -> BranchRef {
    BranchRef { tenant: TenantId::from_bytes([1; 16]), branch: BranchId::from_bytes([2; 16]) }
}

fn txn(number: u8) -> TxnId {
    TxnId::from_bytes([number; 16])
}

pub(super) fn compute(number: u8) -> ComputeId {
    ComputeId::from_bytes([number; 16])
}

pub(super) fn put(key: u8) -> MutationList {
    let mut list = MutationListBuilder::new();
    list.push(Mutation::Put { key: &[0, 0, 0, 0, 0, 0, 0, 1, 0x11, key], value: b"v" });
    list.finish()
}

fn check(key: u8, read_at: u64) -> Check {
    let key = Bytes::copy_from_slice(&[0, 0, 0, 0, 0, 0, 0, 1, 0x11, key]);
    Check::Key { key, aspects: Aspects::ALL, read_at: Lsn(read_at) }
}

/// Keeps what is proposed until the test applies it. Without room it says so.
#[derive(Default)]
pub(super) struct HeldLog(pub(super) Mutex<VecDeque<Batch>>, pub(super) AtomicBool);

impl Proposer for HeldLog {
    fn propose(&self, batch: Batch) {
        self.0.lock().push_back(batch);
    }

    fn room(&self, _: u64) -> Result<()> {
        if self.1.load(Ordering::Relaxed) { Err(Error::unavailable("the disk is full")) } else { Ok(()) }
    }
}

pub(super) struct Bench {
    pub(super) sequencer: Sequencer,
    pub(super) state: Arc<RwLock<GroupState>>,
    pub(super) clock: ManualClock,
    pub(super) log: Arc<HeldLog>,
    answers: Arc<Mutex<Vec<(u8, CommitOutcome)>>>,
    next_index: u64,
}

pub(super) type LeaseAnswer = Result<Option<LeaseGrant>>;

pub(super) const LEASE: Duration = Duration::from_secs(2);
pub(super) const CONFIG: CoreConfig = CoreConfig { window_bytes: 1 << 20, max_batch_bytes: 1 << 20 };

impl Bench {
    pub(super) fn new(depth: usize) -> Self {
        let state = Arc::new(RwLock::new(GroupState::default()));
        let clock = ManualClock::new(1_000);
        let process = Process { node: NodeId(1), incarnation: [1; 16] };
        let leases = Arc::new(Leases::new(Some(LEASE), process));
        let sequencer = Sequencer::new(state.clone(), Arc::new(clock.clone()), leases, depth);
        let log = Arc::new(HeldLog::default());
        sequencer.connect(log.clone());
        let mut bench = Bench { sequencer, state, clock, log, answers: Arc::default(), next_index: 1 };
        bench.lead(1, CONFIG);
        bench.sequencer.enqueue(Request::Open { branch: branch(), done: Box::new(|opened| opened.unwrap()) });
        bench.apply_all();
        bench
    }

    pub(super) fn lead(&self, term: u64, config: CoreConfig) {
        let state = self.state.read().clone();
        let core =
            Rebuild::new(term, config).finish(&state, self.clock.boottime(), |_, _| Ok(put(9))).unwrap();
        self.sequencer.lead(core);
    }

    fn submit(&self, number: u8, attempt: u32, checks: Vec<Check>, mutations: MutationList) {
        self.submit_from(compute(0), number, attempt, checks, mutations);
    }

    pub(super) fn submit_from(
        &self,
        sender: ComputeId,
        number: u8,
        attempt: u32,
        checks: Vec<Check>,
        mutations: MutationList,
    ) {
        let answers = self.answers.clone();
        let base = Lsn::ZERO;
        let request = CommitRequest {
            branch: branch(),
            sender,
            txn: txn(number),
            attempt,
            base,
            checks,
            mutations,
            fragments: 0,
        };
        let done = Box::new(move |outcome| answers.lock().push((number, outcome)));
        self.sequencer.enqueue(Request::Commit(request, done));
    }

    /// A compute asks for the lease; what it hears is there once its record is applied.
    pub(super) fn lease(&self, holder: ComputeId) -> Arc<Mutex<Option<LeaseAnswer>>> {
        let answer = Arc::<Mutex<Option<LeaseAnswer>>>::default();
        let given = answer.clone();
        let done = Box::new(move |grant| *given.lock() = Some(grant));
        self.sequencer.enqueue(Request::Lease { branch: branch(), holder, within: None, done });
        answer
    }

    /// Applies the oldest batch that was proposed, as of a term; gives the number of its records.
    pub(super) fn apply(&mut self) -> Option<usize> {
        let batch = self.log.0.lock().pop_front()?;
        let applied = self.state.write().apply(self.next_index, batch.term, &batch);
        self.next_index += 1;
        self.sequencer.on_applied(&batch, &applied);
        Some(batch.records.len())
    }

    pub(super) fn apply_all(&mut self) {
        while self.apply().is_some() {}
    }

    pub(super) fn answers(&self) -> Vec<(u8, CommitOutcome)> {
        std::mem::take(&mut *self.answers.lock())
    }

    pub(super) fn committed(&self) -> Vec<(u8, u64)> {
        let lsn = |outcome| match outcome {
            CommitOutcome::Committed { lsn, .. } => lsn.0,
            other => panic!("{other:?}"),
        };
        self.answers().into_iter().map(|(number, outcome)| (number, lsn(outcome))).collect()
    }
}

#[test]
fn requests_gather_while_entries_are_in_flight_and_go_as_one() {
    let mut bench = Bench::new(1);
    for number in 1..=5 {
        bench.submit(number, 0, vec![], put(number));
    }
    assert!(bench.answers().is_empty(), "nothing is answered before it is applied");
    assert_eq!(bench.apply(), Some(1), "the first went at once");
    assert_eq!(bench.committed(), [(1, 1)]);
    assert_eq!(bench.apply(), Some(4), "the others as one entry");
    assert_eq!(bench.committed(), [(2, 2), (3, 3), (4, 4), (5, 5)]);
}

#[test]
fn a_resend_waits_for_the_pending_one_and_has_its_answer() {
    let mut bench = Bench::new(2);
    bench.submit(1, 0, vec![], put(1));
    bench.submit(1, 1, vec![], put(1));
    assert_eq!(bench.apply(), Some(1));
    assert_eq!(bench.committed(), [(1, 1), (1, 1)]);
    bench.submit(1, 2, vec![], put(1));
    assert_eq!(bench.committed(), [(1, 1)], "later, from the outcome table, without the log");
    assert_eq!(bench.apply(), None);
}

#[test]
fn pending_writes_conflict_and_the_first_no_is_not_logged_but_the_second_is() {
    let mut bench = Bench::new(2);
    bench.submit(1, 0, vec![check(7, 0)], put(7));
    bench.submit(2, 0, vec![check(7, 0)], put(7));
    let pending = matches!(bench.answers()[..], [(2, CommitOutcome::Conflict { written_at: Lsn::MAX, .. })]);
    assert!(pending, "it is told at once, since nothing has happened");
    bench.submit(2, 1, vec![check(7, 0)], put(7));
    assert!(bench.answers().is_empty(), "this one first goes to the log");
    bench.apply_all();
    let answers = bench.answers();
    assert!(matches!(answers[0], (1, CommitOutcome::Committed { .. })));
    assert!(
        matches!(answers[1], (2, CommitOutcome::Conflict { .. })),
        "its own verdict, not only \"aborted\""
    );
    bench.submit(2, 0, vec![], put(7));
    assert_eq!(bench.answers(), [(2, CommitOutcome::Aborted)], "the first attempt, arriving late");
}

#[test]
fn when_a_proposal_fails_everyone_asks_again_and_late_batches_do_nothing() {
    let mut bench = Bench::new(3);
    bench.submit(1, 0, vec![], put(1));
    bench.submit(2, 0, vec![], put(2));
    let lost = bench.log.0.lock().pop_front().unwrap();
    bench.sequencer.stand_down(Some(1), "lease expired");
    bench.submit(3, 0, vec![], put(3));
    let answers = bench.answers();
    assert_eq!(answers.len(), 3);
    assert!(answers.iter().all(|(_, outcome)| matches!(outcome, CommitOutcome::Retry { .. })), "{answers:?}");
    assert_eq!(bench.sequencer.leading_term(), None);
    // The second batch was in flight behind the lost one: it is in the log, and does not follow on.
    assert_eq!(bench.apply(), Some(1));
    assert_eq!(bench.state.read().branches[&branch().branch].committed, Lsn::ZERO);
    drop(lost);
    bench.lead(2, CONFIG);
    bench.submit(2, 1, vec![], put(2));
    bench.apply_all();
    assert_eq!(bench.committed(), [(2, 1)]);
}

#[test]
fn a_batch_that_is_refused_ends_the_core() {
    let mut bench = Bench::new(1);
    bench.submit(1, 0, vec![], put(1));
    // Someone else's batch comes between: that cannot be, and is survived.
    let open = OpenBody { tenant: branch().tenant, lsn: Lsn::ZERO, time_micros: 0 };
    bench.state.write().branches.insert(branch().branch, {
        let mut state = crate::group::BranchState::new(&open);
        state.committed = Lsn(5);
        state
    });
    bench.apply_all();
    assert!(matches!(bench.answers()[..], [(1, CommitOutcome::Retry { .. })]));
    assert_eq!(bench.sequencer.leading_term(), None);
}

#[test]
fn commit_times_never_go_back() {
    let mut bench = Bench::new(1);
    let mut times = Vec::new();
    for (number, wall) in [(1, 5_000), (2, 1_000), (3, 7_000)] {
        bench.clock.set_wall_micros(wall);
        bench.submit(number, 0, vec![], put(number));
        bench.apply_all();
        match bench.answers().remove(0).1 {
            CommitOutcome::Committed { time_micros, .. } => times.push(time_micros),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(times, [5_000, 5_000, 7_000]);
}

#[test]
fn a_small_window_forgets_what_is_applied_and_keeps_what_is_pending() {
    let mut bench = Bench::new(8);
    bench.sequencer.stand_down(None, "smaller");
    bench.lead(2, CoreConfig { window_bytes: 1, ..CONFIG });
    bench.submit(1, 0, vec![], put(1));
    bench.submit(2, 0, vec![check(1, 0)], put(2));
    assert!(matches!(bench.answers()[..], [(2, CommitOutcome::Conflict { .. })]), "1 is pending: it counts");
    bench.apply_all();
    bench.submit(3, 0, vec![], put(3));
    bench.answers();
    bench.submit(4, 0, vec![check(9, 0)], put(4));
    assert_eq!(bench.answers(), [(4, CommitOutcome::TooOld { floor: Lsn(1) })]);
    bench.submit(5, 0, vec![check(9, 1)], put(5));
    bench.apply_all();
    assert_eq!(bench.committed(), [(3, 2), (5, 3)]);
}

#[test]
fn a_staged_transaction_that_is_not_heard_of_is_aborted() {
    let mut bench = Bench::new(2);
    let stage = |bench: &Bench, fragment| {
        let answers = bench.answers.clone();
        let request = FragmentRequest {
            branch: branch(),
            txn: txn(1),
            fragment,
            checks: vec![],
            fresh: vec![],
            mutations: put(1),
        };
        let done = Box::new(move |outcome| answers.lock().push((1, outcome)));
        bench.sequencer.enqueue(Request::Stage(request, done));
        fragment
    };
    stage(&bench, 0);
    bench.clock.advance(Duration::from_secs(50));
    stage(&bench, 1);
    bench.apply_all();
    bench.clock.advance(Duration::from_secs(50));
    bench.sequencer.expire_staged(Duration::from_secs(60));
    assert_eq!(bench.apply(), None, "heard of 50 seconds ago");
    bench.clock.advance(Duration::from_secs(50));
    bench.sequencer.expire_staged(Duration::from_secs(60));
    assert_eq!(bench.apply(), Some(1));
    bench.answers();
    stage(&bench, 2);
    assert_eq!(bench.answers(), [(1, CommitOutcome::Aborted)]);
    // Its keys are free again.
    bench.submit(2, 0, vec![], put(1));
    bench.apply_all();
    assert_eq!(bench.committed(), [(2, 1)]);
}

#[test]
fn what_can_never_be_taken_is_said_to_be_invalid() {
    let mut bench = Bench::new(1);
    let mut requests = vec![put(1), MutationList::from_bytes(vec![99, 0].into())];
    requests.push(MutationList::from_bytes(vec![7; shardforge_common::wal::MAX_BODY_LEN + 1].into()));
    let mut list = MutationListBuilder::new();
    list.push(Mutation::Put { key: b"short", value: b"" });
    requests.push(list.finish());
    let mut list = MutationListBuilder::new();
    list.push(Mutation::Put { key: &[0; 9000], value: b"" });
    requests.push(list.finish());
    for (number, mutations) in (1..).zip(requests) {
        bench.submit(number, 0, vec![], mutations);
    }
    bench.apply_all();
    let invalid = |(number, outcome): &(u8, CommitOutcome)| {
        matches!(outcome, CommitOutcome::Invalid { .. }).then_some(*number)
    };
    assert_eq!(bench.answers().iter().filter_map(invalid).collect::<Vec<_>>(), [2, 3, 4, 5]);
    let other = BranchRef { tenant: TenantId::from_bytes([5; 16]), ..branch() };
    let answers = bench.answers.clone();
    let request = CommitRequest {
        branch: other,
        sender: compute(0),
        txn: txn(9),
        attempt: 0,
        base: Lsn::ZERO,
        checks: vec![],
        mutations: put(1),
        fragments: 0,
    };
    let done = Box::new(move |outcome| answers.lock().push((9, outcome)));
    bench.sequencer.enqueue(Request::Commit(request, done));
    assert!(matches!(bench.answers()[..], [(9, CommitOutcome::Invalid { .. })]), "another tenant's branch");
}
