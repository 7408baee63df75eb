//! A log in memory, with a certifier and one feed to each subscriber.

use super::History;
use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use shardforge_common::mutation::{Aspects, MutationList};
use shardforge_common::wal::{MAX_BODY_LEN, Record, RecordHeader, RecordKind};
use shardforge_common::{BranchRef, ComputeId, Error, GroupId, Lsn, NodeId, Result, TxnId};
use shardforge_proto::wal::{
    BranchStatus, Check, CommitOutcome, CommitRequest, Completion, FeedBatch, FeedRequest, FeedSink,
    FeedSubscription, FragmentRequest, GroupStatus, IngestReport, LeaseGrant, LeaseRequest, TxnStatus,
    WalService,
};
use std::cmp::Ordering as Compared;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

const STAGED: CommitOutcome = CommitOutcome::Committed { lsn: Lsn::ZERO, time_micros: 0 };

/// A WAL group in memory that serves one branch.
pub struct MemoryWal {
    branch: BranchRef,
    history: RwLock<History>,
    state: Mutex<State>,
    ingested: AtomicU64,
}

#[derive(Default)]
struct State {
    last: Lsn,
    records: Vec<Record>,
    outcomes: HashMap<TxnId, Option<Lsn>>,
    staged: HashMap<TxnId, Vec<MutationList>>,
    sinks: Vec<(Arc<AtomicBool>, Arc<dyn FeedSink>)>,
    /// Batches that paused subscribers have not been given.
    held_back: Option<VecDeque<Arc<FeedBatch>>>,
    floor: Lsn,
    lose_answers: u32,
    refuse: u32,
    refuse_stages: u32,
    submits: u64,
    stages: u64,
    /// What whoever asks is given. Nobody is kept out for it: a test has one compute, or wants none.
    lease: Option<Duration>,
    snapshots: u64,
    lease_requests: u64,
    given_back: u64,
}

impl MemoryWal {
    /// An empty log.
    pub fn new(branch: BranchRef) -> Arc<Self> {
        Arc::new(Self {
            branch,
            history: RwLock::default(),
            state: Mutex::default(),
            ingested: AtomicU64::new(u64::MAX),
        })
    }

    /// The branch it serves.
    pub fn branch(&self) -> BranchRef {
        self.branch
    }

    /// The last committed LSN.
    pub fn committed(&self) -> Lsn {
        self.state.lock().last
    }

    /// Looks at every version.
    pub fn history(&self) -> parking_lot::RwLockReadGuard<'_, History> {
        self.history.read()
    }

    /// Checks below this LSN are *too old*.
    pub fn set_floor(&self, floor: Lsn) {
        self.state.lock().floor = floor;
    }

    /// Pageservers have ingested no further than this.
    pub fn set_ingested(&self, lsn: Lsn) {
        self.ingested.store(lsn.0, Ordering::Relaxed);
    }

    /// How far pageservers have ingested.
    pub fn ingested(&self) -> Lsn {
        Lsn(self.ingested.load(Ordering::Relaxed)).min(self.committed())
    }

    /// The next commits take effect, and their answers are lost.
    pub fn lose_answers(&self, count: u32) {
        self.state.lock().lose_answers = count;
    }

    /// The next commits are answered with *retry*.
    pub fn refuse(&self, count: u32) {
        self.state.lock().refuse = count;
    }

    /// From now on whoever asks gets a lease of this length, or none does.
    pub fn set_lease(&self, lease: Option<Duration>) {
        self.state.lock().lease = lease;
    }

    /// How often `snapshot`, `lease` and `give_back` were called.
    pub fn lease_calls(&self) -> (u64, u64, u64) {
        let state = self.state.lock();
        (state.snapshots, state.lease_requests, state.given_back)
    }

    /// The next fragments are answered with *retry*, but for the very next one.
    pub fn refuse_stages(&self, count: u32) {
        self.state.lock().refuse_stages = count + 1;
    }

    /// How often `submit` and `stage` were called.
    pub fn calls(&self) -> (u64, u64) {
        let state = self.state.lock();
        (state.submits, state.stages)
    }

    /// Holds the feed back, or delivers what was held back.
    pub fn pause_feed(&self, pause: bool) {
        let mut state = self.state.lock();
        if pause {
            state.held_back.get_or_insert_default();
        } else if let Some(batches) = state.held_back.take() {
            batches.iter().for_each(|batch| state.deliver(batch));
        }
    }

    /// Ends every feed, as a leader that goes away does.
    pub fn break_feeds(&self) {
        self.end_feeds(&Error::retry("the feed was broken on purpose"));
    }

    /// Ends every feed for a reason.
    pub fn end_feeds(&self, reason: &Error) {
        let sinks = std::mem::take(&mut self.state.lock().sinks);
        sinks.iter().for_each(|(_, sink)| sink.end(reason.clone()));
    }

    /// Commits without checks.
    pub fn write(&self, mutations: MutationList) -> Lsn {
        let mut state = self.state.lock();
        self.append(&mut state, shardforge_common::random::txn_id(), 0, vec![mutations])
    }

    /// Commits a large transaction without checks: all but the last of these are its fragments.
    pub fn write_large(&self, txn: TxnId, bodies: Vec<MutationList>) -> Lsn {
        let mut state = self.state.lock();
        self.append(&mut state, txn, 0, bodies)
    }

    fn append(&self, state: &mut State, txn: TxnId, attempt: u32, bodies: Vec<MutationList>) -> Lsn {
        let prev_lsn = state.last;
        let lsn = prev_lsn.next();
        let mut number = 0;
        let count = bodies.len();
        let mut records = Vec::new();
        for (index, list) in bodies.iter().enumerate() {
            let last = index + 1 == count;
            for mutation in list.iter() {
                self.history.write().add(lsn, mutation);
                number += 1;
            }
            records.push(Record {
                header: RecordHeader {
                    kind: if last { RecordKind::Commit } else { RecordKind::Fragment },
                    last,
                    branch: self.branch.branch,
                    lsn,
                    prev_lsn,
                    time_micros: lsn.0 as i64,
                    txn,
                    fragment: if last { count as u32 - 1 } else { index as u32 },
                    attempt,
                },
                body: list.as_bytes().clone(),
            });
        }
        let _ = number;
        state.last = lsn;
        state.outcomes.insert(txn, Some(lsn));
        state.records.extend(records.iter().cloned());
        // A large transaction comes in several batches.
        for chunk in records.chunks(2) {
            let complete = chunk.last().is_some_and(|record| record.header.last);
            let complete_through = if complete { lsn } else { prev_lsn };
            let batch = FeedBatch { branch: self.branch.branch, records: chunk.to_vec(), complete_through };
            state.deliver(&Arc::new(batch));
        }
        lsn
    }

    fn certify(&self, state: &State, checks: &[Check]) -> Option<CommitOutcome> {
        let history = self.history.read();
        for check in checks {
            let (read_at, conflict) = match check {
                Check::Key { key, aspects, read_at } => {
                    (*read_at, history.written(key, *read_at, *aspects).map(|lsn| (key.clone(), lsn)))
                }
                Check::Range { start, end, aspects, read_at } => {
                    (*read_at, history.written_in(start, end, *read_at, *aspects))
                }
            };
            if read_at < state.floor {
                return Some(CommitOutcome::TooOld { floor: state.floor });
            }
            if let Some((key, written_at)) = conflict {
                return Some(CommitOutcome::Conflict { key, written_at });
            }
            if let Some(key) = Self::pending(state, check) {
                return Some(CommitOutcome::Conflict { key, written_at: Lsn::MAX });
            }
        }
        None
    }

    /// Keys of staged fragments count as written.
    fn pending(state: &State, check: &Check) -> Option<Bytes> {
        let (start, end, aspects) = match check {
            Check::Key { key, aspects, .. } => (key.clone(), [&key[..], &[0]].concat(), *aspects),
            Check::Range { start, end, aspects, .. } => (start.clone(), end.to_vec(), *aspects),
        };
        state.staged.values().flatten().flat_map(MutationList::iter).find_map(|mutation| {
            let mutation = mutation.expect("tests encode what they mean");
            let key = mutation.key();
            let hit = start[..] <= *key && *key < end[..] && mutation.aspects().intersects(aspects);
            hit.then(|| Bytes::copy_from_slice(key))
        })
    }
}

impl State {
    fn deliver(&mut self, batch: &Arc<FeedBatch>) {
        if let Some(held_back) = &mut self.held_back {
            held_back.push_back(batch.clone());
            return;
        }
        self.sinks.retain(|(alive, _)| alive.load(Ordering::Relaxed));
        self.sinks.iter().for_each(|(_, sink)| sink.deliver(batch));
    }
}

struct Subscription(Arc<AtomicBool>);

impl FeedSubscription for Subscription {
    fn grant(&self, _: u64) {}
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

#[async_trait]
impl WalService for MemoryWal {
    fn snapshot(&self, _: BranchRef, _: ComputeId, done: Completion<Result<Lsn>>) {
        let lsn = {
            let mut state = self.state.lock();
            state.snapshots += 1;
            state.last
        };
        done(Ok(lsn));
    }

    fn lease(&self, _: LeaseRequest, done: Completion<Result<Option<LeaseGrant>>>) {
        let grant = {
            let mut state = self.state.lock();
            state.lease_requests += 1;
            state.lease.map(|duration| LeaseGrant { lsn: state.last, duration })
        };
        done(Ok(grant));
    }

    fn give_back(&self, _: BranchRef, _: ComputeId) {
        self.state.lock().given_back += 1;
    }

    fn submit(&self, request: CommitRequest, done: Completion<CommitOutcome>) {
        let outcome = {
            let mut state = self.state.lock();
            state.submits += 1;
            if state.refuse > 0 {
                state.refuse -= 1;
                CommitOutcome::Retry { reason: "refused on purpose".into() }
            } else if request.mutations.as_bytes().len() > MAX_BODY_LEN {
                CommitOutcome::Invalid { reason: "the body is too large".into() }
            } else {
                match state.outcomes.get(&request.txn) {
                    Some(Some(lsn)) => CommitOutcome::Committed { lsn: *lsn, time_micros: lsn.0 as i64 },
                    Some(None) => CommitOutcome::Aborted,
                    None => {
                        let mut bodies = state.staged.remove(&request.txn).unwrap_or_default();
                        assert_eq!(bodies.len(), request.fragments as usize, "fragments are missing");
                        match self.certify(&state, &request.checks) {
                            Some(refusal) => {
                                if !bodies.is_empty() {
                                    state.staged.insert(request.txn, bodies);
                                }
                                refusal
                            }
                            None => {
                                bodies.push(request.mutations);
                                let lsn = self.append(&mut state, request.txn, request.attempt, bodies);
                                if state.lose_answers > 0 {
                                    state.lose_answers -= 1;
                                    return;
                                }
                                CommitOutcome::Committed { lsn, time_micros: lsn.0 as i64 }
                            }
                        }
                    }
                }
            }
        };
        done(outcome);
    }

    fn stage(&self, request: FragmentRequest, done: Completion<CommitOutcome>) {
        let outcome = {
            let mut state = self.state.lock();
            state.stages += 1;
            let refused = state.refuse_stages;
            state.refuse_stages = refused.saturating_sub(1);
            if refused > 0 && state.staged.contains_key(&request.txn) {
                CommitOutcome::Retry { reason: "refused on purpose".into() }
            } else if request.mutations.as_bytes().len() > MAX_BODY_LEN {
                CommitOutcome::Invalid { reason: "the fragment is too large".into() }
            } else {
                let own = state.staged.remove(&request.txn).unwrap_or_default();
                let refusal = self.certify(&state, &request.checks);
                let staged = state.staged.entry(request.txn).or_insert(own);
                match (refusal, staged.len().cmp(&(request.fragment as usize))) {
                    (_, Compared::Greater) => STAGED,
                    (Some(refusal), _) => refusal,
                    (None, Compared::Less) => {
                        let reason =
                            format!("fragment {}, but {} are staged", request.fragment, staged.len());
                        CommitOutcome::Invalid { reason }
                    }
                    (None, Compared::Equal) => {
                        staged.push(request.mutations);
                        STAGED
                    }
                }
            }
        };
        done(outcome);
    }

    fn abandon(&self, _: BranchRef, txn: TxnId) {
        self.state.lock().staged.remove(&txn);
    }

    async fn outcome(&self, _: BranchRef, txn: TxnId, _: Lsn) -> Result<TxnStatus> {
        let mut state = self.state.lock();
        Ok(match state.outcomes.entry(txn).or_insert(None) {
            Some(lsn) => TxnStatus::Committed(*lsn),
            None => TxnStatus::Aborted,
        })
    }

    fn subscribe(&self, request: FeedRequest, sink: Arc<dyn FeedSink>) -> Result<Box<dyn FeedSubscription>> {
        let mut state = self.state.lock();
        let records: Vec<_> =
            state.records.iter().filter(|r| r.header.lsn >= request.from).cloned().collect();
        let complete_through = state.last;
        sink.deliver(&Arc::new(FeedBatch { branch: self.branch.branch, records, complete_through }));
        let alive = Arc::new(AtomicBool::new(true));
        state.sinks.push((alive.clone(), sink));
        Ok(Box::new(Subscription(alive)))
    }

    fn report_ingest(&self, report: IngestReport) {
        self.set_ingested(report.ingested);
    }

    async fn create_branch(&self, _: BranchRef) -> Result<()> {
        Ok(())
    }

    async fn branch_status(&self, _: BranchRef) -> Result<BranchStatus> {
        let committed = self.committed();
        let ingested = self.ingested();
        Ok(BranchStatus {
            committed,
            time_micros: committed.0 as i64,
            uploaded: Lsn::ZERO,
            ingested,
            first_available: Lsn(1),
        })
    }

    // A commit's time is its LSN here.
    async fn lsn_at(&self, _: BranchRef, time_micros: i64) -> Result<Lsn> {
        let lsn = Lsn(u64::try_from(time_micros).map_err(|_| Error::not_found("before the history"))?);
        if lsn > self.committed() {
            return Err(Error::invalid("the moment is in the future"));
        }
        Ok(lsn)
    }

    async fn group_status(&self) -> Result<GroupStatus> {
        let _ = (GroupId(0), Aspects::NONE);
        Ok(GroupStatus {
            node: NodeId(1),
            leader: Some(NodeId(1)),
            term: 1,
            durable_index: 0,
            applied_index: 0,
            log_bytes: 0,
            log_segments: 0,
            stopped: None,
            full: None,
        })
    }
}
