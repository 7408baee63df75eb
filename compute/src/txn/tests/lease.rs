//! The sole-writer lease, as its holder uses it (S2), with a clock that stands until it is moved.

use super::{key_of, small};
use crate::txn::Branch;
use shardforge_cache::testing::{MemoryWal, test_services};
use shardforge_common::clock::ManualClock;
use shardforge_common::disk::RealDisk;
use shardforge_common::mutation::{Mutation, MutationListBuilder};
use shardforge_common::{Lsn, task};
use std::sync::Arc;
use std::time::Duration;

/// Short, so that renewals come soon; when it has run out, the clock of the test says.
const LEASE: Duration = Duration::from_millis(40);

struct Alone {
    wal: Arc<MemoryWal>,
    branch: Arc<Branch>,
    clock: ManualClock,
    _spill: tempfile::TempDir,
}

impl Alone {
    async fn new(lease: Option<Duration>) -> Alone {
        let (id, wal, pages) = test_services(7);
        wal.set_lease(lease);
        let (spill, clock) = (tempfile::tempdir().unwrap(), ManualClock::new(0));
        let (config, disk) = (small(spill.path(), "a"), Arc::new(RealDisk));
        let branch = Branch::open(id, config, wal.clone(), pages, disk, Arc::new(clock.clone())).await;
        Alone { wal, branch: branch.unwrap(), clock, _spill: spill }
    }

    fn write(&self) -> Lsn {
        let mut list = MutationListBuilder::new();
        list.push(Mutation::Put { key: &key_of("k"), value: b"v" });
        self.wal.write(list.finish())
    }

    /// Waits until the lease says what the newest LSN is.
    async fn leased(&self) -> Lsn {
        loop {
            if let Some(lsn) = self.branch.leased_snapshot() {
                return lsn;
            }
            task::sleep(Duration::from_millis(1)).await;
        }
    }

    fn snapshots_asked_for(&self) -> u64 {
        self.wal.lease_calls().0
    }
}

#[tokio::test]
async fn under_the_lease_nobody_is_asked_for_the_newest_lsn() {
    let alone = Alone::new(Some(LEASE)).await;
    alone.leased().await;
    let asked = alone.snapshots_asked_for();
    for _ in 0..10 {
        let lsn = alone.write();
        assert_eq!(alone.branch.snapshot().await.unwrap(), lsn);
    }
    assert_eq!(alone.snapshots_asked_for(), asked);
}

#[tokio::test]
async fn when_its_time_has_run_out_the_leader_is_asked_until_it_is_renewed() {
    let alone = Alone::new(Some(LEASE)).await;
    alone.leased().await;
    // The process was frozen, say: no task of it ran meanwhile.
    alone.clock.advance(LEASE);
    assert_eq!(alone.branch.leased_snapshot(), None);
    let asked = alone.snapshots_asked_for();
    alone.branch.snapshot().await.unwrap();
    assert_eq!(alone.snapshots_asked_for(), asked + 1);
    assert_eq!(alone.leased().await, alone.wal.committed());
}

#[tokio::test]
async fn a_refused_renewal_gives_it_back_at_once() {
    let alone = Alone::new(Some(LEASE)).await;
    alone.leased().await;
    alone.wal.set_lease(None);
    while alone.wal.lease_calls().2 == 0 {
        alone.branch.leased_snapshot();
        task::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(alone.branch.leased_snapshot(), None, "though by the clock it has not run out");
    alone.wal.set_lease(Some(LEASE));
    alone.leased().await;
    alone.branch.close();
    assert_eq!(alone.wal.lease_calls().2, 2, "given back at the end");
    assert_eq!(alone.branch.leased_snapshot(), None);
}

#[tokio::test]
async fn without_snapshots_nothing_is_asked_for() {
    let alone = Alone::new(None).await;
    for snapshots in 0..3 {
        task::sleep(LEASE * 5).await;
        let requests = alone.wal.lease_calls().1;
        assert!(requests <= 1 + snapshots, "{requests} requests for {snapshots} snapshots");
        alone.branch.leased_snapshot();
    }
}

#[tokio::test]
async fn it_is_used_only_when_what_others_committed_is_applied() {
    let alone = Alone::new(None).await;
    alone.wal.pause_feed(true);
    let lsn = alone.write();
    alone.wal.set_lease(Some(LEASE));
    let requests = alone.wal.lease_calls().1;
    while alone.wal.lease_calls().1 == requests {
        assert_eq!(alone.branch.leased_snapshot(), None);
        task::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(alone.branch.leased_snapshot(), None, "granted, and not yet applied");
    alone.wal.pause_feed(false);
    assert_eq!(alone.leased().await, lsn);
}
