//! A group of one: commits, restarts, and what the feed shows of them.

mod harness;

use harness::*;
use shardforge_common::disk::RealDisk;
use shardforge_common::{Lsn, SlotRange};
use shardforge_proto::wal::{CommitOutcome, WalService};
use std::sync::Arc;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_survive_a_restart_and_the_feed_shows_all_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(RealDisk);
    let keeper = start(disk.clone(), config(dir.path())).await;
    keeper.create_branch(branch()).await.unwrap();
    keeper.create_branch(branch()).await.unwrap();
    let live = Arc::new(Collector::default());
    let _subscription = live.subscribe(&*keeper, Lsn(1), SlotRange::ALL, u64::MAX).unwrap();
    for number in 1..=50 {
        let outcome = submit(&*keeper, commit_request(number, Lsn::ZERO, put([number], b"v"))).await;
        assert_eq!(lsn_of(&outcome), Lsn(number));
        assert_eq!(live.complete_through(), Lsn(number), "the feed had it before the answer came");
        assert_eq!(snapshot(&*keeper).await.unwrap(), Lsn(number));
    }
    assert_dense(&live.wait_for(Lsn(50)), 1, 50);
    keeper.shutdown().await;

    let keeper = start(disk, config(dir.path())).await;
    assert_eq!(snapshot(&*keeper).await.unwrap(), Lsn(50));
    let again = Arc::new(Collector::default());
    let _subscription = again.subscribe(&*keeper, Lsn(11), SlotRange::ALL, u64::MAX).unwrap();
    // The certifier knows of the commits before the restart.
    let mut stale = commit_request(60, Lsn(50), put([7], b"w"));
    stale.checks = vec![check(7, Lsn(6))];
    let outcome = submit(&*keeper, stale).await;
    assert_eq!(outcome, CommitOutcome::Conflict { key: key(7), written_at: Lsn(7) });
    let outcome = submit(&*keeper, commit_request(61, Lsn(50), put([7], b"w"))).await;
    assert_eq!(lsn_of(&outcome), Lsn(51));
    assert_dense(&again.wait_for(Lsn(51)), 11, 51);
    keeper.shutdown().await;
}
