//! Subscribers that come, go, starve and catch up, in any order.

use super::*;
use bytes::Bytes;
use parking_lot::Mutex;
use proptest::prelude::*;
use shardforge_common::wal::{Record, RecordHeader, RecordKind};
use shardforge_common::{BranchId, BranchRef, Error, Lsn, Result, SlotRange, TenantId, TxnId};
use shardforge_proto::wal::{FeedBatch, FeedRequest, FeedSink, FeedSubscription};
use std::sync::Arc;

fn branch() -> BranchRef {
    BranchRef { tenant: TenantId::from_bytes([1; 16]), branch: BranchId::from_bytes([2; 16]) }
}

fn record(lsn: u64, kind: RecordKind, fragment: u32) -> Record {
    let header = RecordHeader {
        kind,
        last: kind == RecordKind::Commit,
        branch: branch().branch,
        lsn: Lsn(lsn),
        prev_lsn: Lsn(lsn - 1),
        time_micros: 0,
        txn: TxnId::from_bytes([0; 16]),
        fragment,
        attempt: 0,
    };
    Record { header, body: Bytes::from_static(&[4, 8, 0, 0, 0, 0, 0, 0, 0, 1]) }
}

/// Committed history: for each LSN how many fragments it has.
#[derive(Default)]
struct Past(Mutex<Vec<u32>>);

impl Source for Past {
    fn committed(&self, _: BranchRef) -> Result<Lsn> {
        Ok(Lsn(self.0.lock().len() as u64))
    }

    fn read(&self, from: ReadFrom, _: usize) -> Result<Chunk> {
        let fragments = self.0.lock()[from.next.0 as usize - 1];
        let mut chunk = Chunk { complete_through: from.next.prev(), ..Chunk::default() };
        if (from.fragments_done as u32) < fragments {
            chunk.records.push(record(from.next.0, RecordKind::Fragment, from.fragments_done as u32));
            chunk.fragments_done = from.fragments_done + 1;
        } else {
            chunk.records.push(record(from.next.0, RecordKind::Commit, fragments));
            chunk.complete_through = from.next;
        }
        Ok(chunk)
    }
}

#[derive(Default)]
struct Sink(Mutex<(Vec<Seen>, Lsn)>);

/// LSN, fragment, last.
type Seen = (u64, u32, bool);

impl FeedSink for Sink {
    fn deliver(&self, batch: &Arc<FeedBatch>) {
        let mut got = self.0.lock();
        assert!(batch.complete_through >= got.1, "marks do not go back");
        for record in &batch.records {
            assert!(record.header.lsn > got.1, "nothing comes twice");
            got.0.push((record.header.lsn.0, record.header.fragment, record.header.last));
        }
        got.1 = batch.complete_through;
    }

    fn end(&self, reason: Error) {
        panic!("the feed ended: {reason}");
    }
}

#[derive(Debug, Clone)]
enum Step {
    /// Commits, each with so many fragments, applied as one batch.
    Publish(Vec<u32>),
    Subscribe(u64, u64),
    Grant(usize, u64),
    CatchUp,
}

fn any_step() -> impl Strategy<Value = Step> {
    let fragments = prop_oneof![6 => Just(0u32), 1 => 1u32..4];
    prop_oneof![
        3 => proptest::collection::vec(fragments, 1..4).prop_map(Step::Publish),
        1 => (1u64..20, 0u64..40).prop_map(|(from, credit)| Step::Subscribe(from, credit)),
        2 => (0usize..4, 0u64..60).prop_map(|(who, credit)| Step::Grant(who, credit)),
        3 => Just(Step::CatchUp),
    ]
}

/// Commits, as the machine does: the state has them before they are published.
fn publish(hub: &Arc<Hub>, past: &Past, fragments: &[u32]) {
    let first = past.0.lock().len() as u64 + 1;
    past.0.lock().extend(fragments);
    let last = first + fragments.len() as u64 - 1;
    hub.publish(Publication {
        branch: branch().branch,
        records: (first..=last).map(|lsn| record(lsn, RecordKind::Commit, 0)).collect(),
        first: Lsn(first),
        last: Lsn(last),
        large: fragments.iter().any(|fragments| *fragments > 0),
    });
}

proptest! {
    #[test]
    fn every_subscriber_gets_every_record_once_in_order(steps in proptest::collection::vec(any_step(), 1..60)) {
        let (hub, past) = (Arc::new(Hub::default()), Arc::new(Past::default()));
        let catch_up = CatchUp::new(hub.clone(), past.clone());
        let mut subscribers: Vec<(u64, Arc<Sink>, Subscription)> = Vec::new();
        for step in steps {
            match step {
                Step::Publish(fragments) => publish(&hub, &past, &fragments),
                Step::Subscribe(from, credit_bytes) => {
                    let committed = past.committed(branch()).unwrap();
                    let from = from.min(committed.0 + 1);
                    let sink = Arc::new(Sink::default());
                    sink.0.lock().1 = Lsn(from - 1);
                    let request = FeedRequest { branch: branch(), from: Lsn(from), slots: SlotRange::ALL, credit_bytes };
                    let subscription = hub.subscribe(&request, committed, sink.clone());
                    subscribers.push((from, sink, subscription));
                }
                Step::Grant(who, credit) => {
                    if let Some((_, _, subscription)) = subscribers.get(who) {
                        subscription.grant(credit);
                    }
                }
                Step::CatchUp => {
                    catch_up.try_step();
                }
            }
        }
        // With credit for everything, everything arrives; and then it is live.
        for (_, _, subscription) in &subscribers {
            subscription.grant(u64::MAX);
        }
        while catch_up.try_step() {}
        publish(&hub, &past, &[0]);
        let history = past.0.lock().clone();
        for (from, sink, _) in &subscribers {
            let wanted = (*from..=history.len() as u64).flat_map(|lsn| {
                let fragments = history[lsn as usize - 1];
                (0..fragments).map(move |fragment| (lsn, fragment, false)).chain([(lsn, fragments, true)])
            });
            let got = sink.0.lock();
            prop_assert_eq!(&got.0, &wanted.collect::<Vec<_>>());
            prop_assert_eq!(got.1, Lsn(history.len() as u64));
        }
        prop_assert_eq!(hub.lag(), 0);
    }
}

#[test]
fn without_credit_nothing_comes() {
    let (hub, past) = (Arc::new(Hub::default()), Arc::new(Past::default()));
    let sink = Arc::new(Sink::default());
    let request = FeedRequest { branch: branch(), from: Lsn(1), slots: SlotRange::ALL, credit_bytes: 10 };
    let subscription = hub.subscribe(&request, Lsn::ZERO, sink.clone());
    publish(&hub, &past, &[0]);
    publish(&hub, &past, &[0]);
    let catch_up = CatchUp::new(hub.clone(), past);
    while catch_up.try_step() {}
    assert_eq!(sink.0.lock().1, Lsn(1), "ten bytes were one record");
    assert_eq!(hub.lag(), 1);
    subscription.grant(1);
    while catch_up.try_step() {}
    assert_eq!(sink.0.lock().1, Lsn(2));
    drop(subscription);
    hub.close(&Error::unavailable("closing"));
}
