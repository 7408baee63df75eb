//! A group of three over a network that loses, delays and partitions, on disks that lose power.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod harness;

use futures::future::BoxFuture;
use harness::*;
use parking_lot::Mutex;
use shardforge_common::clock::{Clock, SystemClock};
use shardforge_common::disk::PowerLossDisk;
use shardforge_common::random::Random;
use shardforge_common::{ComputeId, Error, Lsn, NodeId, Result, SlotRange, task};
use shardforge_proto::wal::{CommitOutcome, CommitRequest, LeaseRequest, WalService};
use shardforge_safekeeper::raft::{PeerRequest, PeerResponse, Transport};
use shardforge_safekeeper::{Safekeeper, SafekeeperConfig};
use shardforge_store::LocalFolder;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Longer than an election takes: a new leader is there while a former holder still reads.
const LEASE: Duration = Duration::from_millis(600);

/// The network: who is there, and which ways are cut.
struct Net {
    members: Mutex<BTreeMap<NodeId, Arc<Safekeeper>>>,
    cut: Mutex<BTreeSet<(NodeId, NodeId)>>,
    random: Random,
}

struct Port(NodeId, Arc<Net>);

impl Transport for Port {
    fn call(&self, to: NodeId, request: PeerRequest) -> BoxFuture<'static, Result<PeerResponse>> {
        let (from, net) = (self.0, self.1.clone());
        Box::pin(async move {
            net.pass(from, to).await?;
            let member = net.members.lock().get(&to).cloned();
            let response =
                member.ok_or_else(|| Error::unavailable("it is down"))?.handle_peer(request).await?;
            // The answer can be lost as well: then the other has done what was asked.
            net.pass(to, from).await?;
            Ok(response)
        })
    }
}

impl Net {
    async fn pass(&self, from: NodeId, to: NodeId) -> Result<()> {
        if self.random.range(0..20) == 0 {
            task::sleep(Duration::from_millis(self.random.range(0..15))).await;
        }
        if self.cut.lock().contains(&(from, to)) || self.random.range(0..200) == 0 {
            task::sleep(Duration::from_millis(20)).await;
            return Err(Error::unavailable("lost on the way"));
        }
        Ok(())
    }

    fn isolate(&self, node: NodeId) {
        let others = (1..=3).map(NodeId).filter(|other| *other != node);
        self.cut.lock().extend(others.flat_map(|other| [(node, other), (other, node)]));
    }

    fn heal(&self) {
        self.cut.lock().clear();
    }
}

struct Cluster {
    net: Arc<Net>,
    disks: BTreeMap<NodeId, PowerLossDisk>,
    objects: PowerLossDisk,
}

impl Cluster {
    async fn new(seed: u64) -> Self {
        let random = Random::from_seed(seed);
        let disks = (1..=3).map(|node| (NodeId(node), PowerLossDisk::new(seed * 10 + node))).collect();
        let net = Net { members: Mutex::default(), cut: Mutex::default(), random };
        let cluster = Cluster { net: Arc::new(net), disks, objects: PowerLossDisk::new(seed) };
        for node in 1..=3 {
            cluster.start(NodeId(node)).await;
        }
        cluster
    }

    async fn start(&self, node: NodeId) {
        let mut config: SafekeeperConfig = config(Path::new("/wal"));
        config.node = node;
        config.members = (1..=3).map(|node| (NodeId(node), format!("node-{node}"))).collect();
        config.heartbeat = Duration::from_millis(20);
        config.election_timeout = Duration::from_millis(150);
        config.trim_interval = Duration::from_millis(10);
        config.log.segment_bytes = 16 << 10;
        config.lease = Some(LEASE);
        config.archive_above_bytes = 1;
        config.archive_segment_bytes = 8 << 10;
        let store = LocalFolder::open(Arc::new(self.objects.clone()), "/objects").unwrap();
        let port = Arc::new(Port(node, self.net.clone()));
        let disk = Arc::new(self.disks[&node].clone());
        let started = Safekeeper::start_member(config, disk, Arc::new(store), Arc::new(SystemClock), port);
        let keeper = started.await.unwrap();
        self.net.members.lock().insert(node, keeper);
    }

    async fn crash(&self, node: NodeId) {
        let keeper = self.net.members.lock().remove(&node).unwrap();
        let disk = &self.disks[&node];
        disk.cut_power_after(self.net.random.range(0..30));
        task::sleep(Duration::from_millis(10)).await;
        keeper.shutdown().await;
        disk.crash();
    }

    fn members(&self) -> Vec<Arc<Safekeeper>> {
        self.net.members.lock().values().cloned().collect()
    }

    /// Asks one member after another until there is a verdict; as a compute does, with the same id.
    async fn commit(net: &Net, number: u64, stop: &AtomicBool) -> Option<Lsn> {
        let mut request = commit_request(number, Lsn::ZERO, put([number], &[1; 200]));
        while !stop.load(Ordering::Relaxed) {
            let members: Vec<_> = net.members.lock().values().cloned().collect();
            for keeper in members {
                let answer =
                    task::timeout(Duration::from_millis(300), submit(&*keeper, request.clone())).await;
                match answer {
                    Some(CommitOutcome::Committed { lsn, .. }) => return Some(lsn),
                    Some(CommitOutcome::Retry { .. }) | None => request.attempt += 1,
                    Some(other) => panic!("commit {number}: {other:?}"),
                }
            }
            task::sleep(Duration::from_millis(10)).await;
        }
        None
    }

    async fn create_branch(&self) {
        loop {
            for keeper in self.members() {
                if keeper.create_branch(branch()).await.is_ok() {
                    return;
                }
            }
            task::sleep(Duration::from_millis(10)).await;
        }
    }

    fn leader(&self) -> Option<NodeId> {
        let members = self.members();
        members.iter().find(|keeper| keeper.is_leading()).map(|keeper| keeper.node())
    }
}

async fn run(seed: u64) {
    let cluster = Cluster::new(seed).await;
    cluster.create_branch().await;
    let (stop, next) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(1)));
    let writers: Vec<_> = (0..4)
        .map(|_| {
            let (net, stop, next) = (cluster.net.clone(), stop.clone(), next.clone());
            task::spawn("writer", async move {
                let mut acknowledged = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if let Some(lsn) = Cluster::commit(&net, number, &stop).await {
                        acknowledged.push((txn(number), lsn));
                    }
                }
                acknowledged
            })
        })
        .collect();
    for _ in 0..4 {
        task::sleep(Duration::from_millis(150)).await;
        let victim = cluster.leader().unwrap_or(NodeId(1 + cluster.net.random.range(0..3)));
        if cluster.net.random.range(0..2) == 0 {
            cluster.net.isolate(victim);
            task::sleep(Duration::from_millis(500)).await;
            cluster.net.heal();
        } else {
            cluster.crash(victim).await;
            task::sleep(Duration::from_millis(400)).await;
            cluster.start(victim).await;
        }
    }
    // Everything is healed: progress is demanded.
    let before = next.load(Ordering::Relaxed);
    let progress = async {
        while next.load(Ordering::Relaxed) < before + 20 {
            task::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(
        task::timeout(Duration::from_secs(20), progress).await.is_some(),
        "seed {seed}: no progress once healed"
    );
    stop.store(true, Ordering::Relaxed);
    let mut acknowledged = BTreeMap::new();
    for writer in writers {
        acknowledged.extend(writer.await.unwrap());
    }
    let last = *acknowledged.values().max().unwrap();
    let mut histories = Vec::new();
    for keeper in cluster.members() {
        let reached = async {
            while keeper.branch_status(branch()).await.is_ok_and(|status| status.committed < last) {
                task::sleep(Duration::from_millis(10)).await;
            }
        };
        assert!(
            task::timeout(Duration::from_secs(20), reached).await.is_some(),
            "seed {seed}: a member lags behind"
        );
        let feed = Arc::new(Collector::default());
        let _subscription = feed.subscribe(&*keeper, Lsn(1), SlotRange::ALL, u64::MAX).unwrap();
        let mut records = feed.wait_for(last);
        records.retain(|record| record.header.lsn <= last);
        histories.push(records);
    }
    assert!(histories.windows(2).all(|pair| pair[0] == pair[1]), "seed {seed}: members disagree");
    assert_dense(&histories[0], 1, last.0);
    let placed: BTreeMap<_, _> = histories[0].iter().map(|r| (r.header.txn, r.header.lsn)).collect();
    assert_eq!(placed.len(), histories[0].len(), "seed {seed}: a transaction committed twice");
    for (txn, lsn) in &acknowledged {
        assert_eq!(placed.get(txn), Some(lsn), "seed {seed}: {txn} was acknowledged at {lsn}");
    }
    for keeper in cluster.members() {
        keeper.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_and_crashes_lose_nothing_and_repeat_nothing() {
    for seed in 1..=2 {
        run(seed).await;
    }
}

/// A compute by the rules of `compute/src/txn/lease.rs`.
struct Compute {
    id: ComputeId,
    net: Arc<Net>,
    /// The newest commit that it knows of.
    applied: Lsn,
    until: Option<Duration>,
    next: u64,
}

/// What any client was shown, and how.
#[derive(Default)]
struct Shown {
    newest: AtomicU64,
    leased_reads: AtomicU64,
    commits: [AtomicU64; 2],
}

impl Compute {
    fn new(number: u8, net: &Arc<Net>) -> Self {
        let next = u64::from(number) * 1_000_000;
        Self { id: compute(number), net: net.clone(), applied: Lsn::ZERO, until: None, next }
    }

    fn members(&self) -> Vec<Arc<Safekeeper>> {
        self.net.members.lock().values().cloned().collect()
    }

    async fn ask_for_the_lease(&mut self) {
        for member in self.members() {
            let sent = SystemClock.boottime();
            let (answer, answered) = tokio::sync::oneshot::channel();
            let request = LeaseRequest { branch: branch(), holder: self.id, in_process: false };
            member.lease(request, Box::new(move |grant| drop(answer.send(grant))));
            match task::timeout(Duration::from_millis(100), answered).await {
                Some(Ok(Ok(Some(grant)))) => {
                    self.applied = self.applied.max(grant.lsn);
                    self.until = Some(sent + grant.duration);
                }
                Some(Ok(Ok(None))) if self.until.take().is_some() => member.give_back(branch(), self.id),
                _ => {}
            }
        }
    }

    async fn commit(&mut self, shown: &Shown, who: usize) {
        self.next += 1;
        let request = commit_request(self.next, Lsn::ZERO, put([self.next], b"v"));
        let request = CommitRequest { sender: self.id, ..request };
        for member in self.members() {
            let answer = submit(&*member, request.clone());
            if let Some(CommitOutcome::Committed { lsn, .. }) =
                task::timeout(Duration::from_millis(100), answer).await
            {
                self.applied = self.applied.max(lsn);
                shown.newest.fetch_max(lsn.0, Ordering::SeqCst);
                shown.commits[who].fetch_add(1, Ordering::Relaxed);
                return;
            }
        }
    }

    async fn read(&mut self, shown: &Shown) {
        // The statement arrives: from here on it must see what anyone was shown.
        let before = Lsn(shown.newest.load(Ordering::SeqCst));
        let lsn = if self.until.is_some_and(|until| SystemClock.boottime() < until) {
            shown.leased_reads.fetch_add(1, Ordering::Relaxed);
            self.applied
        } else {
            let mut confirmed = None;
            for member in self.members() {
                let answer = snapshot_for(&*member, self.id);
                if let Some(Ok(lsn)) = task::timeout(Duration::from_millis(100), answer).await {
                    confirmed = Some(lsn);
                    break;
                }
            }
            let Some(lsn) = confirmed else { return };
            self.applied = self.applied.max(lsn);
            lsn
        };
        assert!(lsn >= before, "{lsn} is read after {before} was shown");
        shown.newest.fetch_max(lsn.0, Ordering::SeqCst);
    }
}

/// Whoever held the lease under a leader that was cut off reads on, until its time is over; nobody else commits
/// before that, whoever leads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_former_holder_never_reads_the_past_across_partitions() {
    let cluster = Cluster::new(7).await;
    cluster.create_branch().await;
    let shown = Arc::new(Shown::default());
    let (stop, other_works) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let works = |who: usize, mut compute: Compute, always: bool| {
        let (shown, stop, other_works) = (shown.clone(), stop.clone(), other_works.clone());
        task::spawn("compute", async move {
            let mut round = 0u64;
            while !stop.load(Ordering::Relaxed) {
                if always || other_works.load(Ordering::Relaxed) {
                    round += 1;
                    match round % 16 {
                        0 if always => compute.ask_for_the_lease().await,
                        8 => compute.commit(&shown, who).await,
                        _ => compute.read(&shown).await,
                    }
                }
                task::sleep(Duration::from_millis(2)).await;
            }
        })
    };
    let computes =
        [works(0, Compute::new(1, &cluster.net), true), works(1, Compute::new(2, &cluster.net), false)];
    let more = async |of: &AtomicU64, by: u64, what: &str| {
        let enough = of.load(Ordering::Relaxed) + by;
        let reached = async {
            while of.load(Ordering::Relaxed) < enough {
                task::sleep(Duration::from_millis(5)).await;
            }
        };
        assert!(task::timeout(Duration::from_secs(30), reached).await.is_some(), "never: {what}");
    };
    for round in 0..4 {
        // The other has been away for long enough.
        more(&shown.leased_reads, 20, "reads under the lease").await;
        let leader = cluster.leader().unwrap_or(NodeId(1));
        if round % 2 == 0 {
            cluster.net.isolate(leader);
        } else {
            cluster.crash(leader).await;
        }
        other_works.store(true, Ordering::Relaxed);
        more(&shown.commits[1], 3, "commits of the other compute under a new leader").await;
        other_works.store(false, Ordering::Relaxed);
        if round % 2 == 0 {
            cluster.net.heal();
        } else {
            cluster.start(leader).await;
        }
    }
    stop.store(true, Ordering::Relaxed);
    for compute in computes {
        compute.await.unwrap();
    }
    for keeper in cluster.members() {
        keeper.shutdown().await;
    }
}
