//! An opened branch: what all its transactions in this compute share.

use super::commit::InFlight;
use super::lease::{self, Lease};
use super::locks::LockTable;
use super::pressure::Pressure;
use super::{IsolationLevel, Txn, TxnOptions};
use parking_lot::Mutex;
use shardforge_cache::{BranchCache, CacheConfig};
use shardforge_common::clock::Clock;
use shardforge_common::disk::Disk;
use shardforge_common::key::{storage_prefix, storage_range};
use shardforge_common::mutation::{Mutation, MutationList};
use shardforge_common::wal::{Record, RecordKind};
use shardforge_common::{
    BranchRef, ComputeId, Error, ErrorKind, Lsn, Result, SlotRange, StorageId, TxnId, random, task,
};
use shardforge_proto::page::PageService;
use shardforge_proto::wal::{FeedBatch, FeedRequest, FeedSink, FeedSubscription, WalService};
use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;
use tokio::sync::oneshot;

/// How long a call waits for a leader.
const LEADER_PATIENCE: Duration = Duration::from_secs(15);
/// How often the background looks at what pageservers have ingested, at least.
const BACKGROUND_TICK: Duration = Duration::from_millis(500);
/// How often it does while memory is above its limit.
const PRESSED_TICK: Duration = Duration::from_millis(20);

/// Limits of a branch in this compute.
#[derive(Debug, Clone)]
pub struct BranchConfig {
    /// Bytes of cached pages.
    pub cache_bytes: usize,
    /// Bytes of recent writes beyond which they are folded into pages.
    pub recent_bytes: usize,
    /// Target size of a page made by folding.
    pub page_bytes: usize,
    /// Bytes of a transaction's own rows beyond which they go to disk.
    pub spill_bytes: usize,
    /// Where they go: a folder that nobody else uses. What an earlier process left in this branch's
    /// part of it is removed when the branch is opened.
    pub spill_dir: PathBuf,
    /// Target size of a fragment of a large transaction.
    pub fragment_bytes: usize,
    /// The branch's shards.
    pub shards: Vec<SlotRange>,
    /// Whether the safekeeper that is asked lives in this process (S2).
    pub in_process: bool,
    /// Where folding and the like run; `None` is the runtime of whoever opens the branch.
    pub background: Option<tokio::runtime::Handle>,
}

impl Default for BranchConfig {
    fn default() -> Self {
        Self {
            cache_bytes: 256 << 20,
            recent_bytes: 64 << 20,
            page_bytes: 16 << 10,
            spill_bytes: 32 << 20,
            spill_dir: std::env::temp_dir().join(format!("shardforge-spill-{}", std::process::id())),
            fragment_bytes: 1 << 20,
            shards: vec![SlotRange::ALL],
            in_process: false,
            background: None,
        }
    }
}

/// What a lock on a row takes, in bytes, about: its key, its entry, and its place among those of its owner.
const LOCK_BYTES: usize = 256;
/// Locks of one transaction that are entered one by one, however little memory there is.
const LEAST_LOCKS: usize = 1024;

/// A branch with its feed, cache and locks.
pub struct Branch {
    pub(crate) id: BranchRef,
    /// This hold on the branch, as the log's leader knows it.
    pub(crate) me: ComputeId,
    pub(crate) lease: Lease,
    /// The newest commit that a client here was told of: the feed may not have brought it yet.
    pub(crate) answered: AtomicU64,
    pub(crate) config: BranchConfig,
    pub(crate) wal: Arc<dyn WalService>,
    pub(crate) cache: Arc<BranchCache>,
    pub(crate) locks: Arc<LockTable>,
    pub(crate) disk: Arc<dyn Disk>,
    /// Commits of this compute that are under way: the feed tells them when they are applied.
    pub(crate) in_flight: Mutex<HashMap<TxnId, InFlight, ahash::RandomState>>,
    pub(crate) in_flight_count: AtomicUsize,
    pub(crate) pressure: Pressure,
    subscription: Mutex<Option<Box<dyn FeedSubscription>>>,
    next_spill: AtomicU64,
    watch: OnceLock<Arc<dyn FeedWatch>>,
}

/// Someone who keeps something made of rows with low storage ids, and must hear when they are written.
pub trait FeedWatch: Send + Sync {
    /// The storage ids whose writes matter now; `None` while none does.
    fn storages(&self) -> Option<RangeInclusive<StorageId>>;
    /// A write in one of them (or a removal of a range of keys), before any statement sees it.
    fn written(&self, mutation: &Mutation<'_>, lsn: Lsn);
    /// Part of the feed was missed.
    fn lost(&self);
}

impl Branch {
    /// Subscribes to the branch's feed, from what its pageservers can serve.
    pub async fn open(
        id: BranchRef,
        config: BranchConfig,
        wal: Arc<dyn WalService>,
        pages: Arc<dyn PageService>,
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Branch>> {
        let status = wal.branch_status(id).await?;
        // What pageservers lack comes down the feed, so that no first read waits for them.
        let floor = status.ingested.min(status.committed).max(status.first_available.prev());
        let limits = CacheConfig::sized(config.cache_bytes, config.recent_bytes, config.page_bytes);
        // As many take half of what a transaction's rows may; it has never more than twice as many.
        let locks = LockTable::new((config.spill_bytes / 2 / LOCK_BYTES).max(LEAST_LOCKS));
        let branch = Arc::new(Branch {
            id,
            me: ComputeId::from_bytes(random::thread().bytes16()),
            lease: Lease::new(clock),
            answered: AtomicU64::new(0),
            cache: BranchCache::new(id, limits, pages, &config.shards, floor),
            config,
            wal,
            locks,
            disk,
            in_flight: Mutex::default(),
            in_flight_count: AtomicUsize::new(0),
            pressure: Pressure::default(),
            subscription: Mutex::new(None),
            next_spill: AtomicU64::new(0),
            watch: OnceLock::new(),
        });
        branch.clean_spills()?;
        branch.subscribe(floor.next())?;
        let lease = lease::keep(Arc::downgrade(&branch));
        let chores = background(Arc::downgrade(&branch), branch.cache.clone());
        match &branch.config.background {
            Some(runtime) => {
                task::spawn_on(runtime, "branch lease", lease);
                task::spawn_on(runtime, "branch background", chores);
            }
            None => {
                task::spawn("branch lease", lease);
                task::spawn("branch background", chores);
            }
        }
        Ok(branch)
    }

    /// Which branch.
    pub fn id(&self) -> BranchRef {
        self.id
    }

    /// The memory of the branch, for status and metrics.
    pub fn cache(&self) -> &Arc<BranchCache> {
        &self.cache
    }

    /// Tells `watch` of writes from now on. A branch has one.
    pub fn watch(&self, watch: Arc<dyn FeedWatch>) {
        let first = self.watch.set(watch).is_ok();
        debug_assert!(first, "a branch is watched once");
    }

    /// Begins a transaction. See [`Txn::begin`].
    pub fn begin(self: &Arc<Self>, isolation: IsolationLevel) -> Txn {
        Txn::begin(self, TxnOptions { isolation, ..TxnOptions::default() })
    }

    /// The newest committed LSN, which is applied here, when it is known without asking: under the
    /// sole-writer lease (S2).
    pub fn leased_snapshot(&self) -> Option<Lsn> {
        let lsn = self.lease.snapshot(|| self.cache.applied())?;
        (lsn.0 >= self.answered.load(Ordering::SeqCst)).then_some(lsn)
    }

    /// The newest committed LSN, known by the lease (S2) or confirmed by the log's leader (S1), and applied
    /// here.
    pub async fn snapshot(&self) -> Result<Lsn> {
        if let Some(lsn) = self.leased_snapshot() {
            return Ok(lsn);
        }
        self.confirmed_snapshot().await
    }

    /// The newest committed LSN, confirmed by the log's leader (S1), and applied here.
    pub(crate) async fn confirmed_snapshot(&self) -> Result<Lsn> {
        let mut waited = Duration::ZERO;
        loop {
            let (answer, answered) = oneshot::channel();
            self.wal.snapshot(self.id, self.me, Box::new(move |lsn| drop(answer.send(lsn))));
            let refusal = match answered.await {
                Ok(Ok(lsn)) => {
                    self.cache.wait_applied(lsn).await?;
                    return Ok(lsn);
                }
                Ok(Err(error)) => error,
                Err(_) => Error::retry("the log's leader went away"),
            };
            if refusal.kind() != ErrorKind::Retry || waited > LEADER_PATIENCE {
                return Err(refusal);
            }
            waited += backoff(waited).await;
        }
    }

    /// The last commit at or before a moment, microseconds since 1970, applied here.
    pub async fn lsn_at(&self, time_micros: i64) -> Result<Lsn> {
        let mut waited = Duration::ZERO;
        loop {
            match self.wal.lsn_at(self.id, time_micros).await {
                Err(error) if error.kind() == ErrorKind::Retry && waited <= LEADER_PATIENCE => {
                    waited += backoff(waited).await;
                }
                Err(error) => return Err(error),
                Ok(lsn) => {
                    self.cache.wait_applied(lsn).await?;
                    return Ok(lsn);
                }
            }
        }
    }

    /// Everything up to here has been applied.
    pub fn applied(&self) -> Lsn {
        self.cache.applied()
    }

    /// Waits until a commit has come down the feed.
    pub async fn wait_applied(&self, lsn: Lsn) -> Result<()> {
        self.cache.wait_applied(lsn).await
    }

    /// Ends the feed. Whoever waits for it gets an error.
    pub fn close(&self) {
        lease::give_back(self);
        self.lease.wake();
        self.cache.close(Error::unavailable("the branch is closed here"));
        *self.subscription.lock() = None;
    }

    fn spill_dir(&self) -> PathBuf {
        self.config.spill_dir.join(self.id.branch.to_string())
    }

    /// A path for a transaction's own rows.
    pub(crate) fn new_spill(&self) -> Result<PathBuf> {
        let dir = self.spill_dir();
        let failed =
            |error| Error::unavailable(format!("making the folder {}", dir.display())).with_source(error);
        self.disk.create_dir_all(&dir).map_err(failed)?;
        Ok(dir.join(self.next_spill.fetch_add(1, Ordering::Relaxed).to_string()))
    }

    fn clean_spills(&self) -> Result<()> {
        let dir = self.spill_dir();
        let Ok(names) = self.disk.read_dir(&dir) else { return Ok(()) };
        for (name, _) in names.iter().filter(|(_, is_dir)| !is_dir) {
            let path = dir.join(name);
            self.disk
                .remove_file(&path)
                .map_err(|e| Error::unavailable(format!("removing {}", path.display())).with_source(e))?;
        }
        Ok(())
    }

    fn subscribe(self: &Arc<Self>, from: Lsn) -> Result<()> {
        // The old subscription ends before the new one begins: one thread at a time delivers.
        *self.subscription.lock() = None;
        let request = FeedRequest {
            branch: self.id,
            from,
            slots: SlotRange::ALL,
            credit_bytes: self.cache.credit_window(),
        };
        let sink = Arc::new(BranchFeed(Arc::downgrade(self)));
        let subscription = self.wal.subscribe(request, sink)?;
        *self.subscription.lock() = Some(subscription);
        Ok(())
    }

    async fn resubscribe(self: &Arc<Self>, ended: &Error) -> Result<()> {
        let from = self.cache.restart_feed();
        // Where the archive had to be asked first, it is the feed that says so.
        let subscribed = match ended.kind() {
            ErrorKind::NotFound => Err(ended.clone()),
            _ => self.subscribe(from),
        };
        match subscribed {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                // The log has moved on without us: what we hold is of the past.
                let status = self.wal.branch_status(self.id).await?;
                let floor = status.ingested.min(status.committed).max(status.first_available.prev());
                tracing::warn!(branch = %self.id, %from, %floor, "the feed is lost: starting empty");
                if let Some(watch) = self.watch.get() {
                    watch.lost();
                }
                self.cache.reset(floor);
                self.subscribe(floor.next())
            }
            other => other,
        }
    }

    /// A batch of the feed: foreign writes doom local transactions, then the cache takes it, then the
    /// transactions whose commits it brings let go of their locks.
    fn deliver(&self, batch: &FeedBatch) {
        let applied = self.cache.applied();
        let new = |lsn: Lsn| lsn > applied;
        if !self.locks.is_unused() {
            for record in batch.records.iter().filter(|record| new(record.header.lsn)) {
                let data = matches!(record.header.kind, RecordKind::Commit | RecordKind::Fragment);
                if data && !self.in_flight.lock().contains_key(&record.header.txn) {
                    let list = MutationList::from_bytes(record.body.clone());
                    for mutation in list.iter().map_while(Result::ok) {
                        self.locks.doom(&mutation, record.header.lsn);
                    }
                }
            }
        }
        self.tell_watch(batch, applied);
        self.cache.apply(batch);
        if self.in_flight_count.load(Ordering::Acquire) == 0 {
            return;
        }
        let applied = self.cache.applied();
        let mut done = Vec::new();
        {
            let mut in_flight = self.in_flight.lock();
            for record in &batch.records {
                let header = &record.header;
                if header.last
                    && header.lsn <= applied
                    && header.kind == RecordKind::Commit
                    && let Some(commit) = in_flight.remove(&header.txn)
                {
                    commit.applied(header.lsn, header.time_micros);
                    done.push(commit);
                }
            }
            self.in_flight_count.store(in_flight.len(), Ordering::Release);
        }
        // Their locks go here, outside of the lock above.
        drop(done);
    }
}

impl Branch {
    /// Tells the watch what a batch writes of its storage ids. A record's mutations are in the order of their
    /// keys, ranges first, so a record of users' rows costs a look at its first key.
    fn tell_watch(&self, batch: &FeedBatch, applied: Lsn) {
        let Some(watch) = self.watch.get() else { return };
        let Some(storages) = watch.storages() else { return };
        let start = storage_prefix(*storages.start());
        let end = storage_range(*storages.end()).1;
        let of_data = |kind| matches!(kind, RecordKind::Commit | RecordKind::Fragment);
        let new = |record: &&Record| record.header.lsn > applied && of_data(record.header.kind);
        for record in batch.records.iter().filter(new) {
            let list = MutationList::from_bytes(record.body.clone());
            for mutation in list.iter().map_while(Result::ok) {
                let touched = match &mutation {
                    Mutation::DeleteRange { start: from, end: to } => *from < &end[..] && *to > &start[..],
                    // Keys are in order after the ranges: nothing of interest follows.
                    other if other.key() >= &end[..] => break,
                    other => other.key() >= &start[..],
                };
                if touched {
                    watch.written(&mutation, record.header.lsn);
                }
            }
        }
    }
}

impl Drop for Branch {
    fn drop(&mut self) {
        self.close();
    }
}

/// What the log holds of the branch: not the branch itself, which holds the subscription.
struct BranchFeed(Weak<Branch>);

impl FeedSink for BranchFeed {
    fn deliver(&self, batch: &Arc<FeedBatch>) {
        if let Some(branch) = self.0.upgrade() {
            branch.deliver(batch);
        }
    }

    fn end(&self, reason: Error) {
        if let Some(branch) = self.0.upgrade() {
            branch.cache.end(reason);
        }
    }
}

/// Waits a while that grows with what was waited before.
pub(crate) async fn backoff(waited: Duration) -> Duration {
    let pause = (waited / 2).clamp(Duration::from_millis(2), Duration::from_millis(500));
    task::sleep(pause).await;
    pause
}

/// Folds, gives credit, and keeps the feed alive, until the branch is dropped.
async fn background(branch: Weak<Branch>, cache: Arc<BranchCache>) {
    let mut failing = Duration::ZERO;
    let mut tick = BACKGROUND_TICK;
    loop {
        task::timeout(tick, cache.wait_work()).await;
        let Some(branch) = branch.upgrade().filter(|_| !cache.is_closed()) else { return };
        tick = BACKGROUND_TICK;
        if let Some(reason) = cache.feed_ended() {
            tracing::info!(branch = %branch.id, %reason, "subscribing to the feed again");
            match branch.resubscribe(&reason).await {
                // A feed that ends as soon as it begins is not asked for without a pause.
                Ok(()) => failing = backoff(Duration::ZERO).await,
                Err(error) => {
                    tracing::warn!(branch = %branch.id, %error, "no feed");
                    failing += backoff(failing).await;
                    tick = PRESSED_TICK;
                    continue;
                }
            }
        }
        let pressed = cache.recent_bytes() > branch.config.recent_bytes || cache.has_many_range_deletes();
        if pressed || cache.has_range_floors() {
            match branch.wal.branch_status(branch.id).await {
                Ok(status) => match cache.fold_target(status.ingested) {
                    Some(floor) => {
                        let mut fold = cache.begin_fold(floor);
                        while !cache.fold_step(&mut fold) {
                            tokio::task::yield_now().await;
                        }
                        branch.pressure.eased();
                    }
                    // Pageservers are behind, or someone reads an old snapshot.
                    None if pressed => tick = PRESSED_TICK,
                    None => {}
                },
                Err(error) => tracing::debug!(branch = %branch.id, %error, "no branch status"),
            }
        }
        let credit = cache.take_credit();
        if credit > 0
            && let Some(subscription) = &*branch.subscription.lock()
        {
            subscription.grant(credit);
        }
    }
}
