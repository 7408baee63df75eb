//! A WAL group in memory: one process, no Raft, but the feed's rules: slot filter, credit, marks,
//! and trimming by reports.

use async_trait::async_trait;
use parking_lot::Mutex;
use shardforge_common::key::slot_of;
use shardforge_common::mutation::{Mutation, MutationList, MutationListBuilder};
use shardforge_common::wal::{Record, RecordHeader, RecordKind};
use shardforge_common::{BranchRef, ComputeId, Error, Lsn, Result, SlotRange, TxnId};
use shardforge_proto::wal::*;
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

/// The group.
#[derive(Default)]
pub(crate) struct FakeWal {
    me: Weak<FakeWal>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The records of each LSN that is still here.
    records: BTreeMap<u64, Vec<Record>>,
    last: u64,
    trimmed: u64,
    reports: BTreeMap<SlotRange, IngestReport>,
    feeds: Vec<Feed>,
    next_feed: u64,
    /// Feeds break after so many more kilobytes of records.
    break_after: Option<usize>,
}

struct Feed {
    id: u64,
    sink: Arc<dyn FeedSink>,
    branch: BranchRef,
    slots: SlotRange,
    next: u64,
    credit: i64,
}

impl FakeWal {
    pub(crate) fn new() -> Arc<FakeWal> {
        Arc::new_cyclic(|me| FakeWal { me: me.clone(), state: Mutex::default() })
    }

    /// Commits mutation lists, each a record of one LSN.
    pub(crate) fn commit(&self, branch: BranchRef, parts: Vec<MutationList>) -> Lsn {
        let mut state = self.state.lock();
        state.last += 1;
        let lsn = Lsn(state.last);
        let count = parts.len();
        let record = |(number, list): (usize, MutationList)| Record {
            header: RecordHeader {
                kind: if number + 1 == count { RecordKind::Commit } else { RecordKind::Fragment },
                last: number + 1 == count,
                branch: branch.branch,
                lsn,
                prev_lsn: lsn.prev(),
                time_micros: lsn.0 as i64,
                txn: TxnId::from_bytes([0; 16]),
                fragment: number as u32,
                attempt: 0,
            },
            body: list.as_bytes().clone(),
        };
        let records = parts.into_iter().enumerate().map(record).collect();
        state.records.insert(lsn.0, records);
        state.pump();
        lsn
    }

    /// Drops what is uploaded for all slots; returns up to where.
    pub(crate) fn trim(&self) -> Lsn {
        let mut state = self.state.lock();
        let uploaded = state.reports.values().map(|report| report.uploaded.0).min().unwrap_or(0);
        state.records.retain(|lsn, _| *lsn > uploaded);
        state.trimmed = state.trimmed.max(uploaded);
        Lsn(state.trimmed)
    }

    pub(crate) fn report_of(&self, slots: SlotRange) -> Option<IngestReport> {
        self.state.lock().reports.get(&slots).cloned()
    }

    pub(crate) fn last(&self) -> Lsn {
        Lsn(self.state.lock().last)
    }

    /// Ends every feed after so many more kilobytes, wherever that is.
    pub(crate) fn break_feeds_after(&self, kilobytes: usize) {
        self.state.lock().break_after = Some(kilobytes << 10);
    }

    /// Ends every feed, as a change of leadership does.
    pub(crate) fn break_feeds(&self) {
        for feed in std::mem::take(&mut self.state.lock().feeds) {
            feed.sink.end(Error::retry("the leader changed"));
        }
    }
}

/// The part of a list that slots see.
fn filtered(body: &bytes::Bytes, slots: SlotRange) -> MutationList {
    let list = MutationList::from_bytes(body.clone());
    if slots == SlotRange::ALL {
        return list;
    }
    let mut kept = MutationListBuilder::new();
    for mutation in list.iter() {
        let mutation = mutation.unwrap();
        let here = matches!(mutation, Mutation::DeleteRange { .. })
            || slots.contains(slot_of(mutation.key()).unwrap());
        if here {
            kept.push(mutation);
        }
    }
    kept.finish()
}

impl State {
    fn pump(&mut self) {
        let mut broken = false;
        for feed in &mut self.feeds {
            while feed.next <= self.last && feed.credit > 0 && !broken {
                // A record at a time, so that commits of several span batches.
                let records = &self.records[&feed.next];
                for (number, record) in records.iter().enumerate() {
                    if let Some(left) = &mut self.break_after {
                        *left = left.saturating_sub(record.body.len());
                        broken = *left == 0;
                    }
                    if broken {
                        break;
                    }
                    let list = filtered(&record.body, feed.slots);
                    feed.credit -= list.as_bytes().len() as i64;
                    let end = number + 1 == records.len();
                    let mut kept = Vec::new();
                    if !list.is_empty() {
                        kept.push(Record { header: record.header, body: list.as_bytes().clone() });
                    }
                    feed.sink.deliver(&Arc::new(FeedBatch {
                        branch: feed.branch.branch,
                        records: kept,
                        complete_through: Lsn(if end { feed.next } else { feed.next - 1 }),
                    }));
                }
                feed.next += u64::from(!broken);
            }
        }
        if broken {
            self.break_after = None;
            for feed in std::mem::take(&mut self.feeds) {
                feed.sink.end(Error::retry("the leader changed"));
            }
        }
    }
}

struct Subscription {
    wal: Weak<FakeWal>,
    id: u64,
}

impl FeedSubscription for Subscription {
    fn grant(&self, credit_bytes: u64) {
        let Some(wal) = self.wal.upgrade() else { return };
        let mut state = wal.state.lock();
        if let Some(feed) = state.feeds.iter_mut().find(|feed| feed.id == self.id) {
            feed.credit += credit_bytes as i64;
        }
        state.pump();
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(wal) = self.wal.upgrade() {
            wal.state.lock().feeds.retain(|feed| feed.id != self.id);
        }
    }
}

#[async_trait]
impl WalService for FakeWal {
    fn snapshot(&self, _: BranchRef, _: ComputeId, done: Completion<Result<Lsn>>) {
        done(Ok(self.last()));
    }

    fn lease(&self, _: LeaseRequest, _: Completion<Result<Option<LeaseGrant>>>) {
        unreachable!("a pageserver does not commit")
    }

    fn give_back(&self, _: BranchRef, _: ComputeId) {
        unreachable!("a pageserver does not commit")
    }

    fn submit(&self, _: CommitRequest, _: Completion<CommitOutcome>) {
        unreachable!("a pageserver does not commit")
    }

    fn stage(&self, _: FragmentRequest, _: Completion<CommitOutcome>) {
        unreachable!("a pageserver does not commit")
    }

    fn abandon(&self, _: BranchRef, _: TxnId) {}

    async fn outcome(&self, _: BranchRef, _: TxnId, _: Lsn) -> Result<TxnStatus> {
        unreachable!("a pageserver does not commit")
    }

    fn subscribe(&self, request: FeedRequest, sink: Arc<dyn FeedSink>) -> Result<Box<dyn FeedSubscription>> {
        let mut state = self.state.lock();
        if request.from.0 <= state.trimmed {
            return Err(Error::not_found(format!("LSN {} was trimmed", request.from)));
        }
        let id = state.next_feed;
        state.next_feed += 1;
        state.feeds.push(Feed {
            id,
            sink,
            branch: request.branch,
            slots: request.slots,
            next: request.from.0,
            credit: request.credit_bytes as i64,
        });
        state.pump();
        Ok(Box::new(Subscription { wal: self.me.clone(), id }))
    }

    fn report_ingest(&self, report: IngestReport) {
        let mut state = self.state.lock();
        assert!(report.uploaded <= report.ingested, "{report:?}");
        if let Some(before) = state.reports.get(&report.slots)
            && before.generation <= report.generation
        {
            assert!(before.uploaded <= report.uploaded, "uploaded goes back: {before:?} {report:?}");
        }
        state.reports.insert(report.slots, report);
    }

    async fn create_branch(&self, _: BranchRef) -> Result<()> {
        Ok(())
    }

    async fn branch_status(&self, _: BranchRef) -> Result<BranchStatus> {
        unreachable!("a pageserver does not ask")
    }

    async fn lsn_at(&self, _: BranchRef, _: i64) -> Result<Lsn> {
        Err(Error::invalid("a pageserver does not ask for a moment"))
    }

    async fn group_status(&self) -> Result<GroupStatus> {
        unreachable!("a pageserver does not ask")
    }
}
