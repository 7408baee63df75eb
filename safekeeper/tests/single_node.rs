//! A group of one: commits, restarts, and what the feed shows of them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod harness;

use harness::*;
use shardforge_common::disk::{Disk, FaultyDisk, RealDisk};
use shardforge_common::mutation::MutationList;
use shardforge_common::wal::RecordKind;
use shardforge_common::{ComputeId, ErrorKind, Generation, Lsn, SlotRange, task};
use shardforge_proto::wal::{
    CommitOutcome, CommitRequest, FragmentRequest, IngestReport, LeaseGrant, LeaseRequest, TxnStatus,
    WalService,
};
use shardforge_safekeeper::SafekeeperConfig;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

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

#[tokio::test]
async fn a_lone_caller_has_its_answer_when_it_comes_back_and_the_commit_is_durable() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(RealDisk);
    let keeper = start(disk.clone(), config(dir.path())).await;
    keeper.create_branch(branch()).await.unwrap();
    let live = Arc::new(Collector::default());
    let _subscription = live.subscribe(&*keeper, Lsn(1), SlotRange::ALL, u64::MAX).unwrap();
    let mut at_once = 0;
    for number in 1..=100 {
        // Beside those who are not alone: every third.
        task::set_alone(number % 3 != 0);
        let (sender, mut answer) = tokio::sync::oneshot::channel();
        let request = commit_request(number, Lsn::ZERO, put([number], b"v"));
        keeper.submit(request, Box::new(move |outcome| sender.send(outcome).unwrap()));
        let outcome = match answer.try_recv() {
            Ok(outcome) => {
                at_once += 1;
                outcome
            }
            Err(_) => answer.await.unwrap(),
        };
        assert_eq!(lsn_of(&outcome), Lsn(number));
        assert_eq!(live.complete_through(), Lsn(number));
    }
    task::set_alone(false);
    // A machine whose disk is slow now does without after the first few.
    assert!(at_once > 0, "none was carried by its caller");
    keeper.shutdown().await;
    let keeper = start(disk, config(dir.path())).await;
    assert_eq!(snapshot(&*keeper).await.unwrap(), Lsn(100));
    keeper.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_sent_again_takes_effect_once() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(RealDisk);
    let keeper = start(disk.clone(), config(dir.path())).await;
    keeper.create_branch(branch()).await.unwrap();
    let request = commit_request(1, Lsn::ZERO, put([1], b"v"));
    let mut again = request.clone();
    again.attempt = 1;
    // The second may come while the first is pending, or after it.
    let (first, second) = tokio::join!(submit(&*keeper, request.clone()), submit(&*keeper, again.clone()));
    assert_eq!((lsn_of(&first), lsn_of(&second)), (Lsn(1), Lsn(1)));
    assert_eq!(submit(&*keeper, again.clone()).await, first);

    // The final no to a second attempt is in the log: the id can never commit.
    let mut loser = commit_request(2, Lsn(0), put([1], b"w"));
    loser.checks = vec![check(1, Lsn::ZERO)];
    let conflict = CommitOutcome::Conflict { key: key(1), written_at: Lsn(1) };
    assert_eq!(submit(&*keeper, loser.clone()).await, conflict);
    loser.attempt = 1;
    assert_eq!(submit(&*keeper, loser.clone()).await, conflict);
    loser.checks.clear();
    assert_eq!(submit(&*keeper, loser.clone()).await, CommitOutcome::Aborted);
    // So is the answer to what became of one that was never seen.
    assert_eq!(keeper.outcome(branch(), txn(3), Lsn(1)).await.unwrap(), TxnStatus::Aborted);
    assert_eq!(keeper.outcome(branch(), txn(1), Lsn(0)).await.unwrap(), TxnStatus::Committed(Lsn(1)));
    keeper.shutdown().await;

    let keeper = start(disk, config(dir.path())).await;
    assert_eq!(submit(&*keeper, again).await, first);
    assert_eq!(submit(&*keeper, loser).await, CommitOutcome::Aborted);
    let late = submit(&*keeper, commit_request(3, Lsn(1), put([3], b"late"))).await;
    assert_eq!(late, CommitOutcome::Aborted);
    assert_eq!(keeper.outcome(branch(), txn(1), Lsn(0)).await.unwrap(), TxnStatus::Committed(Lsn(1)));
    assert_eq!(snapshot(&*keeper).await.unwrap(), Lsn(1));
    keeper.shutdown().await;
}

fn fragment(number: u64, fragment: u32, mutations: MutationList) -> FragmentRequest {
    FragmentRequest { branch: branch(), txn: txn(number), fragment, checks: vec![], fresh: vec![], mutations }
}

const STAGED: CommitOutcome = CommitOutcome::Committed { lsn: Lsn::ZERO, time_micros: 0 };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_transaction_comes_whole_in_order_and_at_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(RealDisk);
    let keeper = start(disk.clone(), config(dir.path())).await;
    keeper.create_branch(branch()).await.unwrap();
    let live = Arc::new(Collector::default());
    let subscription = live.subscribe(&*keeper, Lsn(1), SlotRange::ALL, 1).unwrap();
    let value = vec![7u8; 1000];
    for number in 0..40 {
        let part = put(number * 100..number * 100 + 100, &value);
        assert_eq!(stage(&*keeper, fragment(1, number as u32, part.clone())).await, STAGED);
        assert_eq!(stage(&*keeper, fragment(1, number as u32, part)).await, STAGED, "sent again");
        // Others commit in between, but not to what is staged.
        let other =
            submit(&*keeper, commit_request(1000 + number, Lsn::ZERO, put([1_000_000 + number], b"x"))).await;
        assert_eq!(lsn_of(&other), Lsn(number + 1));
    }
    let blocked = submit(&*keeper, commit_request(2, Lsn::ZERO, put([1234], b"x"))).await;
    assert_eq!(blocked, CommitOutcome::Conflict { key: key(1234), written_at: Lsn::MAX });
    assert_eq!(stage(&*keeper, fragment(3, 0, put([9_999_999], b"given up"))).await, STAGED);
    keeper.abandon(branch(), txn(3));
    assert_eq!(keeper.outcome(branch(), txn(3), Lsn(1)).await.unwrap(), TxnStatus::Aborted);
    keeper.shutdown().await;

    // Staged fragments and their marks are there after a restart.
    drop(subscription);
    let keeper = start(disk.clone(), config(dir.path())).await;
    let blocked = submit(&*keeper, commit_request(4, Lsn(40), put([1234], b"x"))).await;
    assert_eq!(blocked, CommitOutcome::Conflict { key: key(1234), written_at: Lsn::MAX });
    let live = Arc::new(Collector::default());
    let subscription = live.subscribe(&*keeper, Lsn(31), SlotRange::ALL, 1).unwrap();
    let mut commit = commit_request(1, Lsn(40), put([5_000_000], b"last"));
    commit.fragments = 40;
    assert_eq!(lsn_of(&submit(&*keeper, commit).await), Lsn(41));
    assert_eq!(lsn_of(&submit(&*keeper, commit_request(5, Lsn(41), put([1234], b"x"))).await), Lsn(42));
    // What was written at 41 conflicts with a reader of 40, by its marks.
    let mut stale = commit_request(6, Lsn(42), put([1], b"x"));
    stale.checks = vec![check(77, Lsn(40))];
    assert_eq!(submit(&*keeper, stale).await, CommitOutcome::Conflict { key: key(77), written_at: Lsn(41) });
    // Credit comes in small portions; order and marks hold all the same.
    for _ in 0..100 {
        subscription.grant(50_000);
        tokio::task::yield_now().await;
    }
    subscription.grant(u64::MAX);
    let records = live.wait_for(Lsn(42));
    assert_dense(&records, 31, 42);
    let large: Vec<_> = records.iter().filter(|record| record.header.lsn == Lsn(41)).collect();
    assert_eq!(large.len(), 41);
    let parts: Vec<u32> = large[..40].iter().map(|record| record.header.fragment).collect();
    assert_eq!(parts, (0..40).collect::<Vec<_>>());
    assert!(
        large[..40].iter().all(|record| !record.header.last && record.header.kind == RecordKind::Fragment)
    );
    assert_eq!(large[7].body, *put(700..800, &value).as_bytes());
    keeper.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shard_gets_its_slots_and_marks_for_everything() {
    let dir = tempfile::tempdir().unwrap();
    let keeper = start(Arc::new(RealDisk), config(dir.path())).await;
    keeper.create_branch(branch()).await.unwrap();
    let halves = [SlotRange { first: 0, last: 0x7fff }, SlotRange { first: 0x8000, last: 0xffff }];
    let sinks = halves.map(|slots| {
        let sink = Arc::new(Collector::default());
        let subscription = sink.subscribe(&*keeper, Lsn(1), slots, u64::MAX).unwrap();
        (sink, subscription, slots)
    });
    for number in 1..=20 {
        submit(&*keeper, commit_request(number, Lsn::ZERO, put(number * 10..number * 10 + 10, b"v"))).await;
    }
    let late = Arc::new(Collector::default());
    let _subscription = late.subscribe(&*keeper, Lsn(1), halves[0], u64::MAX).unwrap();
    let mut keys = 0;
    for (sink, _subscription, slots) in &sinks {
        for record in sink.wait_for(Lsn(20)) {
            let list = MutationList::from_bytes(record.body.clone());
            for mutation in list.iter() {
                assert!(slots.contains(shardforge_common::key::slot_of(mutation.unwrap().key()).unwrap()));
                keys += 1;
            }
        }
    }
    assert_eq!(keys, 200);
    assert_eq!(late.wait_for(Lsn(20)), sinks[0].0.wait_for(Lsn(20)), "caught up or live, it is the same");
    keeper.shutdown().await;
}

/// Waits for housekeeping to bring something about.
async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    for _ in 0..2000 {
        if condition().await {
            return;
        }
        shardforge_common::task::sleep(Duration::from_millis(5)).await;
    }
    panic!("never happened: {what}");
}

fn trimming(dir: &std::path::Path) -> SafekeeperConfig {
    let mut config = config(dir);
    config.trim_interval = Duration::from_millis(5);
    config.log.segment_bytes = 64 << 10;
    config
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_overgrown_log_is_archived_trimmed_and_still_read_from_its_start() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Arc::new(RealDisk);
    let mut settings = trimming(dir.path());
    settings.archive_above_bytes = 1;
    settings.archive_segment_bytes = 100_000;
    let keeper = start(disk.clone(), settings.clone()).await;
    keeper.create_branch(branch()).await.unwrap();
    let value = vec![3u8; 2000];
    let mut lsn = 0;
    let mut last = Lsn::ZERO;
    for round in 0..4 {
        for number in 0..10 {
            assert_eq!(stage(&*keeper, fragment(round, number, put(0..20, &value))).await, STAGED);
        }
        for number in 0..100 {
            lsn += 1;
            let request =
                commit_request(10_000 + lsn, last, put([1_000_000 + round * 1000 + number], &value));
            last = lsn_of(&submit(&*keeper, request).await);
        }
        let mut commit = commit_request(round, last, put([2_000_000], b"end"));
        commit.fragments = 10;
        lsn += 1;
        last = lsn_of(&submit(&*keeper, commit).await);
    }
    eventually("the log is trimmed", async || {
        keeper.branch_status(branch()).await.unwrap().first_available > Lsn(200)
    })
    .await;
    let from_archive = Arc::new(Collector::default());
    let _subscription = from_archive.subscribe(&*keeper, Lsn(1), SlotRange::ALL, u64::MAX).unwrap();
    let records = from_archive.wait_for(last);
    assert_dense(&records, 1, last.0);
    assert_eq!(records.len() as u64, last.0 + 40, "fragments included");
    keeper.shutdown().await;

    let keeper = start(disk, settings).await;
    assert_eq!(snapshot(&*keeper).await.unwrap(), last);
    let after_restart = Arc::new(Collector::default());
    let _subscription = after_restart.subscribe(&*keeper, Lsn(1), SlotRange::ALL, u64::MAX).unwrap();
    assert_eq!(after_restart.wait_for(last), records);
    let outcome = submit(&*keeper, commit_request(10_001, Lsn::ZERO, put([1], b"again"))).await;
    assert_eq!(lsn_of(&outcome), Lsn(1), "the outcome table is in the snapshot");
    keeper.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_is_trimmed_behind_what_all_shards_report_and_not_before() {
    let dir = tempfile::tempdir().unwrap();
    let keeper = start(Arc::new(RealDisk), trimming(dir.path())).await;
    keeper.create_branch(branch()).await.unwrap();
    let mut last = Lsn::ZERO;
    for number in 0..300 {
        last = lsn_of(&submit(&*keeper, commit_request(number, last, put([number], &[9; 1500]))).await);
    }
    let report = |slots, uploaded, manifest| IngestReport {
        branch: branch(),
        slots,
        generation: Generation(1),
        manifest,
        uploaded: Lsn(uploaded),
        ingested: Lsn(uploaded + 5),
        full: None,
    };
    let halves = [SlotRange { first: 0, last: 0x7fff }, SlotRange { first: 0x8000, last: 0xffff }];
    let bytes_before = keeper.group_status().await.unwrap().log_bytes;
    keeper.report_ingest(report(halves[0], 250, 7));
    // Half of the slots have not spoken.
    shardforge_common::task::sleep(Duration::from_millis(100)).await;
    let status = keeper.branch_status(branch()).await.unwrap();
    assert_eq!((status.uploaded, status.first_available), (Lsn::ZERO, Lsn(1)));

    keeper.report_ingest(report(halves[1], 200, 3));
    eventually("the log is trimmed", async || {
        keeper.branch_status(branch()).await.unwrap().first_available > Lsn(100)
    })
    .await;
    let status = keeper.branch_status(branch()).await.unwrap();
    assert_eq!((status.uploaded, status.ingested), (Lsn(200), Lsn(205)));
    assert!(status.first_available <= Lsn(201), "what no layer holds is kept");
    let from = Arc::new(Collector::default());
    let _subscription = from.subscribe(&*keeper, Lsn(201), SlotRange::ALL, u64::MAX).unwrap();
    assert_dense(&from.wait_for(last), 201, 300);
    eventually("segments are freed", async || keeper.group_status().await.unwrap().log_bytes < bytes_before)
        .await;
    keeper.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_writes_and_takes_them_again_when_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::new(Arc::new(RealDisk));
    let keeper = start(Arc::new(disk.clone()), config(dir.path())).await;
    keeper.create_branch(branch()).await.unwrap();
    disk.limit_space(1 << 20);
    let (next, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    // Several at once, so that some are between the question for room and the log when it fills: those
    // wait, the others are refused.
    let writers = (0..4).map(|_| {
        let (keeper, next, stop) = (keeper.clone(), next.clone(), stop.clone());
        task::spawn("writer", async move {
            while !stop.load(Ordering::Relaxed) {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let mut request = commit_request(number, Lsn::ZERO, put([number], &[1; 20_000]));
                while let CommitOutcome::Full { reason } = submit(&*keeper, request.clone()).await {
                    assert!(reason.contains("full") || reason.contains("space"), "{reason}");
                    request.attempt += 1;
                    shardforge_common::task::sleep(Duration::from_millis(5)).await;
                }
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    eventually("status says that the disk is full", async || {
        keeper.group_status().await.unwrap().full.is_some()
    })
    .await;
    // What is left of the segment is used up first; then one that asks for room is refused at once.
    let probe = AtomicU64::new(1_000_000);
    eventually("a write is refused", async || {
        let number = probe.fetch_add(1, Ordering::Relaxed);
        let request = commit_request(number, Lsn::ZERO, put([1], &[1; 20_000]));
        let outcome = shardforge_common::task::timeout(Duration::from_millis(50), submit(&*keeper, request));
        matches!(outcome.await, Some(CommitOutcome::Full { reason }) if reason.contains("full") || reason.contains("space"))
    })
    .await;
    let before = snapshot(&*keeper).await.unwrap();
    assert!(before > Lsn(10), "reads go on, and so does the feed");
    let feed = Arc::new(Collector::default());
    let _subscription = feed.subscribe(&*keeper, Lsn(1), SlotRange::ALL, u64::MAX).unwrap();
    feed.wait_for(before);

    disk.unlimit_space();
    feed.wait_for(Lsn(before.0 + 20));
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    let last = snapshot(&*keeper).await.unwrap();
    let records = feed.wait_for(last);
    assert_dense(&records, 1, last.0);
    let once: BTreeSet<_> = records.iter().map(|record| record.header.txn).collect();
    assert_eq!(once.len(), records.len(), "each took effect once");
    assert_eq!(keeper.group_status().await.unwrap().stopped, None);
    keeper.shutdown().await;
}

/// The report of one shard for all slots.
fn report(uploaded: u64, full: Option<&str>) -> IngestReport {
    IngestReport {
        branch: branch(),
        slots: SlotRange::ALL,
        generation: Generation(1),
        manifest: uploaded,
        uploaded: Lsn(uploaded),
        ingested: Lsn(uploaded),
        full: full.map(String::from),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_that_finds_no_room_waits_and_the_next_one_has_its_room_already() {
    let dir = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::new(Arc::new(RealDisk));
    let keeper = start(Arc::new(disk.clone()), trimming(dir.path())).await;
    keeper.create_branch(branch()).await.unwrap();
    let mut last = Lsn::ZERO;
    let mut number = 0;
    let mut fill = async || {
        for _ in 0..200 {
            number += 1;
            last = lsn_of(&submit(&*keeper, commit_request(number, last, put([number], &[9; 1500]))).await);
        }
        last
    };
    let trimmed_to = async || keeper.branch_status(branch()).await.unwrap().first_available;
    let first = fill().await;
    // Not even the room for a name.
    disk.limit_space(0);
    keeper.report_ingest(report(first.0, None));
    // Many rounds of trimming.
    shardforge_common::task::sleep(Duration::from_millis(200)).await;
    assert_eq!(trimmed_to().await, Lsn(1), "nothing goes without a snapshot");
    assert_eq!(keeper.group_status().await.unwrap().stopped, None);
    assert_eq!(snapshot(&*keeper).await.unwrap(), first);
    disk.unlimit_space();
    eventually("the log is trimmed", async || trimmed_to().await > Lsn(100)).await;
    let second = fill().await;
    let before = trimmed_to().await;
    disk.limit_space(0);
    keeper.report_ingest(report(second.0, None));
    eventually("the log is trimmed on a full disk", async || trimmed_to().await > before.max(first)).await;
    disk.unlimit_space();
    keeper.shutdown().await;

    let keeper = start(Arc::new(disk), trimming(dir.path())).await;
    assert_eq!(snapshot(&*keeper).await.unwrap(), second);
    keeper.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_object_store_is_full_commits_are_refused_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let keeper = start(Arc::new(RealDisk), config(dir.path())).await;
    keeper.create_branch(branch()).await.unwrap();
    let first = submit(&*keeper, commit_request(1, Lsn::ZERO, put([1], b"v"))).await;
    assert_eq!(lsn_of(&first), Lsn(1));
    keeper.report_ingest(report(0, Some("no space left on device")));
    for _ in 0..2 {
        match submit(&*keeper, commit_request(2, Lsn(1), put([2], b"v"))).await {
            CommitOutcome::Full { reason } => assert!(reason.contains("no space left on device"), "{reason}"),
            other => panic!("{other:?}"),
        }
    }
    assert!(matches!(stage(&*keeper, fragment(3, 0, put([3], b"v"))).await, CommitOutcome::Full { .. }));
    assert!(keeper.group_status().await.unwrap().full.unwrap().contains("object store"));
    assert_eq!(snapshot(&*keeper).await.unwrap(), Lsn(1));
    assert!(lease(&*keeper, compute(0), true).await.unwrap().is_some());
    keeper.report_ingest(report(1, None));
    assert_eq!(keeper.group_status().await.unwrap().full, None);
    let again = submit(&*keeper, commit_request(2, Lsn(1), put([2], b"v"))).await;
    assert_eq!(lsn_of(&again), Lsn(2));
    keeper.shutdown().await;
}

async fn lease(
    service: &dyn WalService,
    holder: ComputeId,
    in_process: bool,
) -> shardforge_common::Result<Option<LeaseGrant>> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let request = LeaseRequest { branch: branch(), holder, in_process };
    service.lease(request, Box::new(move |grant| drop(sender.send(grant))));
    receiver.await.expect("every request is answered")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_outlives_a_restart_unless_its_holder_lived_in_the_process() {
    for in_process in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let mut config = config(dir.path());
        // Longer than the test takes: what is refused is refused, however slow the machine is.
        config.lease = Some(Duration::from_secs(3600));
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let keeper = start(disk.clone(), config.clone()).await;
        keeper.create_branch(branch()).await.unwrap();
        let (a, b) = (compute(1), compute(2));
        let grant = lease(&*keeper, a, in_process).await.unwrap().unwrap();
        assert_eq!((grant.lsn, Some(grant.duration)), (Lsn::ZERO, config.lease));
        let request = CommitRequest { sender: a, ..commit_request(1, Lsn::ZERO, put([1], b"v")) };
        assert_eq!(lsn_of(&submit(&*keeper, request).await), Lsn(1));
        assert_eq!(snapshot_for(&*keeper, a).await.unwrap(), Lsn(1));
        assert_eq!(snapshot_for(&*keeper, b).await.unwrap_err().kind(), ErrorKind::Retry);
        keeper.shutdown().await;

        let keeper = start(disk.clone(), config.clone()).await;
        let after = snapshot_for(&*keeper, b).await;
        assert_eq!(after.is_ok(), in_process, "in process: {in_process}");
        assert!(lease(&*keeper, a, in_process).await.unwrap().is_none(), "another compute is at work");
        keeper.give_back(branch(), a);
        let request = CommitRequest { sender: b, ..commit_request(2, Lsn(1), put([2], b"v")) };
        assert_eq!(lsn_of(&submit(&*keeper, request).await), Lsn(2));
        keeper.shutdown().await;

        let keeper = start(disk, config).await;
        assert_eq!(snapshot_for(&*keeper, b).await.unwrap(), Lsn(2), "it was given back");
        keeper.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn leases_can_be_turned_off() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path());
    config.lease = None;
    let keeper = start(Arc::new(RealDisk), config).await;
    keeper.create_branch(branch()).await.unwrap();
    assert!(lease(&*keeper, compute(1), true).await.unwrap().is_none());
    assert_eq!(snapshot_for(&*keeper, compute(2)).await.unwrap(), Lsn::ZERO);
    keeper.shutdown().await;
}
