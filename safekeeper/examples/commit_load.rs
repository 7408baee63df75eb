//! Commits as fast as it can, into a folder: `commit_load [committers] [seconds] [depth] [own] [alone]`, with so many
//! entries in flight; `own` (1) gives the log a thread of its own; `alone` (1) lends it the committers' threads. Prints commits a second, latencies, how
//! many commits shared a sync, and CPU time for each commit.

#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a tool that measures, and prints")]
#![allow(clippy::unwrap_used, reason = "a tool that may fail by panicking")]

use shardforge_common::clock::SystemClock;
use shardforge_common::disk::RealDisk;
use shardforge_common::mutation::{Mutation, MutationListBuilder};
use shardforge_common::{BranchId, BranchRef, ComputeId, GroupId, Lsn, NodeId, TenantId, random, task};
use shardforge_proto::wal::{CommitOutcome, CommitRequest, WalService};
use shardforge_safekeeper::{Safekeeper, SafekeeperConfig};
use std::sync::Arc;
use std::time::{Duration, Instant};

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let mut args = std::env::args().skip(1).map(|arg| arg.parse::<u64>().unwrap());
    let (committers, seconds) = (args.next().unwrap_or(1), args.next().unwrap_or(3));
    let depth = args.next().unwrap_or(2) as usize;
    let own_log_thread = args.next() == Some(1);
    let alone = args.next() == Some(1);
    let dir = std::env::temp_dir().join(format!("commit-load-{}", std::process::id()));
    let disk = Arc::new(RealDisk);
    let store = Arc::new(shardforge_store::LocalFolder::open(disk.clone(), dir.join("objects")).unwrap());
    let mut config = SafekeeperConfig::single(NodeId(1), GroupId(1), dir.clone());
    config.pipeline_depth = depth;
    config.own_log_thread = own_log_thread;
    let keeper = Safekeeper::start(config, disk, store, Arc::new(SystemClock)).await.unwrap();
    let branch = BranchRef { tenant: TenantId::from_bytes([1; 16]), branch: BranchId::from_bytes([1; 16]) };
    keeper.create_branch(branch).await.unwrap();
    let cpu = cpu_micros();
    let until = Instant::now() + Duration::from_secs(seconds);
    let tasks = (0..committers).map(|committer| {
        let keeper = keeper.clone();
        task::spawn("committer", async move {
            let mut latencies = Vec::new();
            while Instant::now() < until {
                let mut list = MutationListBuilder::new();
                for part in 0..3u64 {
                    let number = committer * 1_000_000_000 + latencies.len() as u64 * 3 + part;
                    let key = [&1u64.to_be_bytes()[..], &[0x14], &number.to_be_bytes()].concat();
                    list.push(Mutation::Put { key: &key, value: &[7; 60] });
                }
                let request = CommitRequest {
                    branch,
                    sender: ComputeId::from_bytes([1; 16]),
                    txn: random::txn_id(),
                    attempt: 0,
                    base: Lsn(u64::MAX / 2),
                    checks: vec![],
                    mutations: list.finish(),
                    fragments: 0,
                };
                let (sender, receiver) = tokio::sync::oneshot::channel();
                task::set_alone(alone);
                let begin = Instant::now();
                keeper.submit(request, Box::new(move |outcome| drop(sender.send(outcome))));
                assert!(matches!(receiver.await.unwrap(), CommitOutcome::Committed { .. }));
                latencies.push(begin.elapsed());
            }
            latencies
        })
    });
    let mut latencies = Vec::new();
    for task in tasks.collect::<Vec<_>>() {
        latencies.extend(task.await.unwrap());
    }
    let cpu = cpu_micros() - cpu;
    latencies.sort();
    let batches = keeper.log_stats().batches.max(1);
    println!(
        "{committers} committers, depth {depth}: {} commits/s, median {:?}, p99 {:?}, {:.1} commits a sync, \
         CPU {} us a commit",
        latencies.len() as u64 / seconds,
        latencies[latencies.len() / 2],
        latencies[latencies.len() * 99 / 100],
        latencies.len() as f64 / batches as f64,
        cpu / latencies.len() as u64
    );
    keeper.shutdown().await;
    std::fs::remove_dir_all(dir).unwrap();
}

/// User and system time of this process so far, by the kernel's clock of 100 ticks a second.
fn cpu_micros() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    (fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()) * 10_000
}
