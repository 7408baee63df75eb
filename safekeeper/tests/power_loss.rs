//! The power goes at random moments under load: what was acknowledged is there afterwards (I1), once
//! (I4), in one order (I2); with archiving and trimming going on all the while.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod harness;

use harness::*;
use shardforge_common::clock::SystemClock;
use shardforge_common::disk::{PowerLossDisk, SyncKind};
use shardforge_common::random::Random;
use shardforge_common::{Lsn, SlotRange, TxnId, task};
use shardforge_proto::wal::{CommitOutcome, WalService};
use shardforge_safekeeper::{Safekeeper, SafekeeperConfig};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const WRITERS: u64 = 6;

fn settings(random: &Random) -> SafekeeperConfig {
    let mut config = config(Path::new("/wal"));
    config.log.segment_bytes = 16 << 10;
    config.log.cache_bytes = 8 << 10;
    config.trim_interval = Duration::from_millis(2);
    config.archive_above_bytes = if random.u64().is_multiple_of(2) { 1 } else { u64::MAX };
    config.archive_segment_bytes = 4 << 10;
    config.pipeline_depth = 1 + (random.u64() % 4) as usize;
    config
}

/// Commits until the power is gone; gives what was acknowledged, and the requests whose end is open.
async fn load(keeper: &Arc<Safekeeper>, next: &Arc<AtomicU64>) -> (BTreeMap<TxnId, Lsn>, Vec<u64>) {
    let writers = (0..WRITERS).map(|_| {
        let (keeper, next) = (keeper.clone(), next.clone());
        task::spawn("writer", async move {
            let mut acknowledged = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                // Some go to the disk on the writer's own thread.
                task::set_alone(number.is_multiple_of(2));
                match submit(&*keeper, commit_request(number, Lsn::ZERO, put([number], &[5; 300]))).await {
                    CommitOutcome::Committed { lsn, .. } => acknowledged.push((txn(number), lsn)),
                    // A disk without power looks full until the log has noticed that it is gone.
                    CommitOutcome::Retry { .. } | CommitOutcome::Full { .. } => {
                        return (acknowledged, number);
                    }
                    other => panic!("commit {number}: {other:?}"),
                }
            }
        })
    });
    let mut all = BTreeMap::new();
    let mut open = Vec::new();
    for writer in writers.collect::<Vec<_>>() {
        let (acknowledged, undecided) = writer.await.unwrap();
        all.extend(acknowledged);
        open.push(undecided);
    }
    (all, open)
}

/// Several crashes on one disk; the first thing found wrong, if any.
async fn history_holds(seed: u64, skip_log_syncs: bool) -> Result<(), String> {
    let random = Random::from_seed(seed);
    let disk = PowerLossDisk::new(seed);
    let next = Arc::new(AtomicU64::new(1));
    let mut acknowledged: BTreeMap<TxnId, Lsn> = BTreeMap::new();
    let mut open: Vec<u64> = Vec::new();
    if skip_log_syncs {
        let in_log = |path: &Path| path.starts_with("/wal/log");
        disk.skip_syncs(Some(Box::new(move |kind, path| kind == SyncKind::File && in_log(path))));
    }
    for _ in 0..4 {
        let config = settings(&random);
        let store = shardforge_store::LocalFolder::open(Arc::new(disk.clone()), "/objects")
            .map_err(|e| e.to_string())?;
        let started =
            Safekeeper::start(config, Arc::new(disk.clone()), Arc::new(store), Arc::new(SystemClock)).await;
        let keeper = started.map_err(|e| format!("it does not start: {e}"))?;
        keeper.create_branch(branch()).await.map_err(|e| e.to_string())?;

        // What was asked before and not answered is asked again.
        for number in open.drain(..) {
            let mut again = commit_request(number, Lsn::ZERO, put([number], &[5; 300]));
            again.attempt = 1;
            match submit(&*keeper, again).await {
                CommitOutcome::Committed { lsn, .. } => drop(acknowledged.insert(txn(number), lsn)),
                other => return Err(format!("commit {number}, again: {other:?}")),
            }
        }
        let committed = snapshot(&*keeper).await.map_err(|e| e.to_string())?;
        let feed = Arc::new(Collector::default());
        let subscription = feed.subscribe(&*keeper, Lsn(1), SlotRange::ALL, u64::MAX);
        let subscription = subscription.map_err(|e| format!("the past is gone: {e}"))?;
        let records = feed.wait_for(committed);
        drop(subscription);
        let in_log: BTreeMap<TxnId, Lsn> = records.iter().map(|r| (r.header.txn, r.header.lsn)).collect();
        if in_log.len() != records.len() {
            return Err("a transaction is in the log twice".into());
        }
        if let Some((txn, lsn)) = acknowledged.iter().find(|(txn, lsn)| in_log.get(txn) != Some(lsn)) {
            return Err(format!("{txn} was acknowledged at {lsn} and is at {:?}", in_log.get(txn)));
        }

        disk.cut_power_after(random.range(20..600));
        let (now, undecided) = load(&keeper, &next).await;
        acknowledged.extend(now);
        open = undecided;
        keeper.shutdown().await;
        disk.crash();
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_commits_survive_power_loss() {
    for seed in 0..12 {
        history_holds(seed, false).await.unwrap_or_else(|wrong| panic!("seed {seed}: {wrong}"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_build_that_does_not_sync_its_log_is_found_out() {
    let mut found = 0;
    for seed in 100..108 {
        found += u64::from(history_holds(seed, true).await.is_err());
    }
    assert!(found > 0, "eight histories without a sync, and nothing was lost");
}
