//! What the tests of a whole safekeeper share.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use shardforge_common::clock::SystemClock;
use shardforge_common::disk::Disk;
use shardforge_common::mutation::{Aspects, Mutation, MutationList, MutationListBuilder};
use shardforge_common::wal::Record;
use shardforge_common::{
    BranchId, BranchRef, ComputeId, Error, GroupId, Lsn, NodeId, SlotRange, TenantId, TxnId,
};
use shardforge_proto::wal::{
    Check, CommitOutcome, CommitRequest, FeedBatch, FeedRequest, FeedSink, FeedSubscription, FragmentRequest,
    WalService,
};
use shardforge_safekeeper::{Safekeeper, SafekeeperConfig};
use shardforge_store::{LocalFolder, ObjectStore};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub fn branch() -> BranchRef {
    BranchRef { tenant: TenantId::from_bytes([1; 16]), branch: BranchId::from_bytes([2; 16]) }
}

pub fn txn(number: u64) -> TxnId {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    TxnId::from_bytes(bytes)
}

pub fn key(number: u64) -> Bytes {
    // Storage id 1, one int8 column.
    let mut key = 1u64.to_be_bytes().to_vec();
    key.push(0x14);
    key.extend_from_slice(&number.to_be_bytes());
    key.into()
}

pub fn put(keys: impl IntoIterator<Item = u64>, value: &[u8]) -> MutationList {
    let mut list = MutationListBuilder::new();
    for number in keys {
        list.push(Mutation::Put { key: &key(number), value });
    }
    list.finish()
}

pub fn commit_request(number: u64, base: Lsn, mutations: MutationList) -> CommitRequest {
    CommitRequest {
        branch: branch(),
        sender: compute(0),
        txn: txn(number),
        attempt: 0,
        base,
        checks: vec![],
        mutations,
        fragments: 0,
    }
}

pub fn check(number: u64, read_at: Lsn) -> Check {
    Check::Key { key: key(number), aspects: Aspects::ALL, read_at }
}

/// The nth compute.
pub fn compute(number: u8) -> ComputeId {
    ComputeId::from_bytes([number; 16])
}

pub async fn submit(service: &dyn WalService, request: CommitRequest) -> CommitOutcome {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    service.submit(request, Box::new(move |outcome| drop(sender.send(outcome))));
    receiver.await.expect("every request is answered")
}

pub async fn stage(service: &dyn WalService, request: FragmentRequest) -> CommitOutcome {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    service.stage(request, Box::new(move |outcome| drop(sender.send(outcome))));
    receiver.await.expect("every request is answered")
}

pub async fn snapshot(service: &dyn WalService) -> shardforge_common::Result<Lsn> {
    snapshot_for(service, compute(0)).await
}

pub async fn snapshot_for(service: &dyn WalService, sender: ComputeId) -> shardforge_common::Result<Lsn> {
    let (sender_of_answer, receiver) = tokio::sync::oneshot::channel();
    service.snapshot(branch(), sender, Box::new(move |lsn| drop(sender_of_answer.send(lsn))));
    receiver.await.expect("every request is answered")
}

pub fn lsn_of(outcome: &CommitOutcome) -> Lsn {
    match outcome {
        CommitOutcome::Committed { lsn, .. } => *lsn,
        other => panic!("not committed: {other:?}"),
    }
}

pub fn config(dir: &Path) -> SafekeeperConfig {
    let mut config = SafekeeperConfig::single(NodeId(1), GroupId(1), dir.to_path_buf());
    config.log.segment_bytes = 256 << 10;
    config.log.cache_bytes = 256 << 10;
    config
}

pub async fn start(disk: Arc<dyn Disk>, config: SafekeeperConfig) -> Arc<Safekeeper> {
    let store = store(disk.clone(), &config.dir);
    Safekeeper::start(config, disk, store, Arc::new(SystemClock)).await.unwrap()
}

pub fn store(disk: Arc<dyn Disk>, dir: &Path) -> Arc<dyn ObjectStore> {
    Arc::new(LocalFolder::open(disk, dir.join("objects")).unwrap())
}

/// A sink that keeps everything and checks the order as it comes (I2, L4).
#[derive(Default)]
pub struct Collector {
    got: Mutex<Collected>,
    more: Condvar,
}

#[derive(Default)]
pub struct Collected {
    pub records: Vec<Record>,
    pub complete_through: Lsn,
    pub ended: Option<Error>,
}

impl FeedSink for Collector {
    fn deliver(&self, batch: &Arc<FeedBatch>) {
        let mut got = self.got.lock();
        assert!(batch.complete_through >= got.complete_through, "marks do not go back");
        for record in &batch.records {
            let after = got.records.last().map_or(Lsn::ZERO, |last| last.header.lsn);
            assert!(record.header.lsn >= after && record.header.lsn > got.complete_through, "in order, once");
            got.records.push(record.clone());
        }
        if let Some(last) = got.records.last() {
            let through = batch.complete_through;
            assert!(
                last.header.lsn <= through || !last.header.last,
                "a mark covers what was delivered whole"
            );
        }
        got.complete_through = batch.complete_through;
        self.more.notify_all();
    }

    fn end(&self, reason: Error) {
        self.got.lock().ended = Some(reason);
        self.more.notify_all();
    }
}

impl Collector {
    pub fn subscribe(
        self: &Arc<Self>,
        service: &dyn WalService,
        from: Lsn,
        slots: SlotRange,
        credit_bytes: u64,
    ) -> shardforge_common::Result<Box<dyn FeedSubscription>> {
        self.got.lock().complete_through = from.prev();
        service.subscribe(FeedRequest { branch: branch(), from, slots, credit_bytes }, self.clone())
    }

    /// Waits until everything up to `lsn` was delivered, and gives what was.
    pub fn wait_for(&self, lsn: Lsn) -> Vec<Record> {
        let mut got = self.got.lock();
        while got.complete_through < lsn {
            if let Some(error) = &got.ended {
                panic!("the feed ended at {}: {error}", got.complete_through);
            }
            let timed_out = self.more.wait_for(&mut got, Duration::from_secs(20)).timed_out();
            assert!(!timed_out, "the feed stands at {}, {lsn} is wanted", got.complete_through);
        }
        got.records.clone()
    }

    pub fn complete_through(&self) -> Lsn {
        self.got.lock().complete_through
    }
}

/// Asserts that the commit LSNs are `from..=to` without gaps.
pub fn assert_dense(records: &[Record], from: u64, to: u64) {
    let lsns: Vec<u64> = records.iter().filter(|r| r.header.last).map(|r| r.header.lsn.0).collect();
    assert_eq!(lsns, (from..=to).collect::<Vec<_>>());
}
