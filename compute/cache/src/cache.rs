//! The parts of a branch's memory, and how the feed fills it.

use crate::activity::{Activity, Tally, Written};
use crate::config::CacheConfig;
use crate::filter::KeyFilter;
use crate::floors::{Beyond, RangeFloors, Span};
use crate::inflight::Inflight;
use crate::pages::{CachedPage, ShardPages};
use crate::pins::{Pin, Pins};
use crate::recent::{Place, RecentWrites};
use crate::view::ReadView;
use crate::watch::Watched;
use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use shardforge_common::mutation::{Aspects, Mutation, MutationList};
use shardforge_common::page::PageBuilder;
use shardforge_common::wal::{Record, RecordKind};
use shardforge_common::{BranchRef, Error, Lsn, Result, SlotRange, StorageId, TxnId, key};
use shardforge_proto::page::PageService;
use shardforge_proto::wal::{FeedBatch, FeedSink};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use tokio::sync::Notify;

/// Mutations added under one hold of the lock of recent writes: readers wait no longer than that.
const ADD_BATCH: usize = 128;
/// Where no more pages than these are cached, new rows may leave them.
pub(crate) const FEW_PAGES: usize = 2;

/// A compute's memory of one branch.
pub struct BranchCache {
    pub(crate) branch: BranchRef,
    pub(crate) config: CacheConfig,
    pub(crate) service: Arc<dyn PageService>,
    // Lock order: feed, recent, pages.
    feed: Mutex<Feed>,
    pub(crate) recent: RwLock<RecentWrites>,
    /// The shards' slots, in the order of `pages`: they stay what they are while the branch is open.
    pub(crate) shards: Box<[SlotRange]>,
    pub(crate) pages: RwLock<Vec<ShardPages>>,
    pub(crate) filter: KeyFilter,
    pub(crate) range_deletes: AtomicUsize,
    floor: AtomicU64,
    pub(crate) range_floors: RangeFloors,
    applied: AtomicU64,
    applied_changed: Notify,
    work: Notify,
    pub(crate) pins: Arc<Pins>,
    pub(crate) inflight: Inflight,
    created: Mutex<HashMap<TxnId, Vec<StorageId>>>,
    created_expected: AtomicUsize,
    watched: Watched,
    activity: Activity,
}

/// Where the feed stands.
struct Feed {
    /// The last LSN that came whole.
    last: Lsn,
    /// The LSN that is coming, and the number of its next mutation.
    coming: Place,
    /// Body bytes of it that recent writes have taken, and what it wrote beyond.
    coming_bytes: usize,
    beyond: Beyond,
    /// Body bytes taken since credit was last given back.
    taken: u64,
    /// Why no more is taken until [`BranchCache::restart_feed`].
    ended: Option<Error>,
    /// Why nothing will ever come again.
    closed: Option<Error>,
}

impl Feed {
    /// What comes next is of this LSN.
    fn begin(&mut self, lsn: Lsn) {
        self.coming = Place { lsn, number: 0 };
        self.coming_bytes = 0;
        self.beyond.clear();
    }

    /// Notes where a part of a large commit wrote, and leaves what it wrote to the pages.
    fn pass_over(&mut self, list: &MutationList, watched: &Watched, mut tally: Tally<'_>) -> Result<()> {
        // Keys of one storage id follow one another: of these only the ends are needed.
        let mut run: Option<(&[u8], &[u8])> = None;
        for mutation in list.iter() {
            let mutation = mutation?;
            watched.see(&mutation, self.coming.lsn);
            tally.see(&mutation);
            match mutation {
                Mutation::DeleteRange { start, end } if start < end => self.beyond.add(start, end),
                Mutation::DeleteRange { .. } => {}
                Mutation::Merge { operator, .. } => {
                    return Err(Error::invalid(format!("unknown merge operator {operator}")));
                }
                other => {
                    let key = other.key();
                    run = Some(match run {
                        Some((first, last)) if first.get(..8) == key.get(..8) => {
                            (first.min(key), last.max(key))
                        }
                        Some((first, last)) => {
                            self.beyond.add_keys(first, last);
                            (key, key)
                        }
                        None => (key, key),
                    });
                }
            }
            self.coming.number += 1;
        }
        if let Some((first, last)) = run {
            self.beyond.add_keys(first, last);
        }
        Ok(())
    }
}

impl BranchCache {
    /// An empty memory that knows nothing below `floor`. The feed is to begin above it.
    pub fn new(
        branch: BranchRef,
        config: CacheConfig,
        service: Arc<dyn PageService>,
        shards: &[SlotRange],
        floor: Lsn,
    ) -> Arc<Self> {
        Arc::new(Self {
            branch,
            config,
            service,
            feed: Mutex::new(Feed {
                last: floor,
                coming: Place { lsn: floor, number: 0 },
                coming_bytes: 0,
                beyond: Beyond::default(),
                taken: 0,
                ended: None,
                closed: None,
            }),
            recent: RwLock::default(),
            shards: shards.into(),
            pages: RwLock::new(shards.iter().map(|slots| ShardPages::new(*slots)).collect()),
            filter: KeyFilter::new(),
            range_deletes: AtomicUsize::new(0),
            floor: AtomicU64::new(floor.0),
            range_floors: RangeFloors::default(),
            applied: AtomicU64::new(floor.0),
            applied_changed: Notify::new(),
            work: Notify::new(),
            pins: Arc::default(),
            inflight: Inflight::default(),
            created: Mutex::default(),
            created_expected: AtomicUsize::new(0),
            watched: Watched::default(),
            activity: Activity::default(),
        })
    }

    /// The branch.
    pub fn branch(&self) -> BranchRef {
        self.branch
    }

    /// A reader at a snapshot. Nothing is read before the feed has applied the snapshot: see
    /// [`BranchCache::wait_applied`].
    pub fn view(self: &Arc<Self>, snapshot: Lsn) -> ReadView {
        ReadView::new(self.clone(), snapshot)
    }

    /// Keeps the floor at or below an LSN, while memory permits.
    pub fn pin(&self, lsn: Lsn) -> Pin {
        let pin = self.pins.take();
        pin.set(lsn);
        pin
    }

    /// Recent writes hold everything above this LSN; a snapshot below it is read around the cache.
    pub fn floor(&self) -> Lsn {
        Lsn(self.floor.load(Ordering::Acquire))
    }

    /// The same for one key: a large commit raises the floor of what it wrote (R4).
    pub fn floor_of(&self, key: &[u8]) -> Lsn {
        self.floor().max(self.range_floors.of_key(key))
    }

    /// The highest floor of any key in `[lo, hi)`.
    pub fn floor_in(&self, lo: &[u8], hi: Option<&[u8]>) -> Lsn {
        self.floor().max(self.range_floors.highest_in(lo, hi))
    }

    /// Whether ranges have a floor of their own: folding everything ends that.
    pub fn has_range_floors(&self) -> bool {
        !self.range_floors.is_empty()
    }

    /// Everything up to here has been applied.
    pub fn applied(&self) -> Lsn {
        Lsn(self.applied.load(Ordering::Acquire))
    }

    /// Waits until everything up to an LSN has been applied. Fails when the branch is closed.
    pub async fn wait_applied(&self, lsn: Lsn) -> Result<()> {
        while self.applied() < lsn {
            let mut changed = std::pin::pin!(self.applied_changed.notified());
            changed.as_mut().enable();
            if self.applied() >= lsn {
                break;
            }
            if let Some(error) = &self.feed.lock().closed {
                return Err(error.clone());
            }
            changed.await;
        }
        Ok(())
    }

    /// Bytes of recent writes.
    pub fn recent_bytes(&self) -> usize {
        self.recent.read().bytes()
    }

    /// Whether recent writes have room for a commit of so many bytes beside what is reserved for others, so that
    /// the floor need not rise above what pageservers have ingested (R4). Any commit fits into little.
    pub fn has_room_for(&self, reserved: usize, bytes: usize) -> bool {
        let (held, hard) = (self.recent_bytes(), self.config.recent_bytes_hard);
        held + reserved + bytes <= hard - hard / 8 || (held <= self.config.recent_bytes && reserved == 0)
    }

    /// About how much recent writes take of a commit whose last body has so many bytes.
    pub fn bytes_taken_of(&self, body_bytes: usize, staged: bool) -> usize {
        let all = body_bytes + body_bytes / 2;
        if staged { self.config.large_commit_bytes } else { all }
    }

    /// Bytes and number of cached pages.
    pub fn cached_pages(&self) -> (usize, usize) {
        let pages = self.pages.read();
        (pages.iter().map(ShardPages::bytes).sum(), pages.iter().map(ShardPages::len).sum())
    }

    /// The LSN of a write of such an aspect of a key, above one LSN and at or below another that has
    /// been applied. Only what lies above the floor is known: `None` below it proves nothing.
    pub fn written(&self, key: &[u8], after: Lsn, through: Lsn, aspects: Aspects) -> Option<Lsn> {
        if !self.may_be_recent(key) {
            return None;
        }
        self.recent.read().written(key, after, through, aspects)
    }

    /// The same for every key in `[start, end)`, with the key that was written.
    pub fn written_in(
        &self,
        start: &[u8],
        end: &[u8],
        after: Lsn,
        through: Lsn,
        aspects: Aspects,
    ) -> Option<(Bytes, Lsn)> {
        self.recent.read().written_in(start, end, after, through, aspects)
    }

    pub(crate) fn may_be_recent(&self, key: &[u8]) -> bool {
        self.filter.may_hold(key) || self.range_deletes.load(Ordering::Acquire) != 0
    }

    /// This compute's transaction makes these storages: when its commit comes down the feed, each is
    /// one empty page (R5). Call it before the commit is submitted.
    pub fn expect_created(&self, txn: TxnId, storages: Vec<StorageId>) {
        let mut created = self.created.lock();
        created.insert(txn, storages);
        self.created_expected.store(created.len(), Ordering::Release);
    }

    /// The transaction will not commit after all.
    pub fn forget_created(&self, txn: TxnId) {
        let mut created = self.created.lock();
        created.remove(&txn);
        self.created_expected.store(created.len(), Ordering::Release);
    }

    /// Applies a batch of the feed. What a reader may see is published last.
    pub fn apply(&self, batch: &FeedBatch) {
        let mut feed = self.feed.lock();
        if feed.ended.is_some() || feed.closed.is_some() {
            return;
        }
        for record in &batch.records {
            feed.taken += record.body.len() as u64;
            if let Err(error) = self.apply_record(&mut feed, record) {
                tracing::error!(branch = %self.branch, lsn = %record.header.lsn, %error, "the feed is damaged");
                feed.ended = Some(error);
                self.work.notify_one();
                return;
            }
        }
        feed.last = feed.last.max(batch.complete_through);
        let over = self.recent.read().bytes() > self.config.recent_bytes;
        let half_taken = feed.taken * 2 >= self.credit_window();
        self.applied.fetch_max(batch.complete_through.0, Ordering::AcqRel);
        if feed.coming.lsn <= feed.last {
            self.activity.applied();
        }
        drop(feed);
        self.applied_changed.notify_waiters();
        if over || half_taken {
            self.work.notify_one();
        }
    }

    fn apply_record(&self, feed: &mut Feed, record: &Record) -> Result<()> {
        let header = &record.header;
        if header.lsn <= feed.last {
            return Ok(());
        }
        if header.prev_lsn > feed.last {
            return Err(Error::internal(format!(
                "the feed left out commits: LSN {} follows {}, and {} was the last",
                header.lsn, header.prev_lsn, feed.last
            )));
        }
        if feed.coming.lsn != header.lsn {
            feed.begin(header.lsn);
        }
        if matches!(header.kind, RecordKind::Commit | RecordKind::Fragment) {
            let list = MutationList::from_bytes(record.body.clone());
            let large = header.kind == RecordKind::Fragment || header.fragment > 0;
            let beyond = feed.coming_bytes + record.body.len() > self.config.large_commit_bytes;
            if large && (beyond || self.are_new_rows(&list)?) {
                feed.pass_over(&list, &self.watched, self.activity.tally())?;
            } else {
                feed.coming_bytes += record.body.len();
                self.add_all(&list, &mut feed.coming)?;
            }
        }
        if header.last {
            feed.last = header.lsn;
            if !feed.beyond.is_empty() {
                self.raise_floor_of(feed.beyond.take(), header.lsn);
            }
            if self.created_expected.load(Ordering::Acquire) != 0 {
                self.add_created(header.txn, header.lsn);
            }
        }
        Ok(())
    }

    /// Whether a list is a long run of new rows in a place of which hardly anything is cached: a table that is
    /// being filled. Its rows in recent writes would be folded into pages soon, and be of little use until then;
    /// pageservers make those pages at less cost. Where much is cached it must not go for a few rows between.
    fn are_new_rows(&self, list: &MutationList) -> Result<bool> {
        if list.as_bytes().len() < self.config.new_rows_bytes {
            return Ok(false);
        }
        let mut ends: Option<(&[u8], &[u8])> = None;
        for mutation in list.iter() {
            let Mutation::Insert { key, .. } = mutation? else { return Ok(false) };
            ends = Some((ends.map_or(key, |(first, _)| first), key));
        }
        let Some((first, last)) = ends else { return Ok(false) };
        let pages = self.pages.read();
        Ok(pages.iter().all(|shard| shard.count_within(first, last, FEW_PAGES + 1) <= FEW_PAGES))
    }

    fn add_all(&self, list: &MutationList, at: &mut Place) -> Result<()> {
        let mut mutations = list.iter().peekable();
        let mut tally = self.activity.tally();
        while mutations.peek().is_some() {
            let mut recent = self.recent.write();
            for mutation in mutations.by_ref().take(ADD_BATCH) {
                let mutation = mutation?;
                self.watched.see(&mutation, at.lsn);
                tally.see(&mutation);
                recent.add(*at, mutation, |slice| list.share(slice), &self.filter)?;
                at.number += 1;
            }
            self.range_deletes.store(recent.range_deletes().len(), Ordering::Release);
        }
        Ok(())
    }

    /// R4: raises the floor of what a commit wrote to its LSN, before that is published as applied.
    fn raise_floor_of(&self, spans: Vec<Span>, lsn: Lsn) {
        for span in spans {
            {
                // Under the lock that pages enter by, as for the floor of all keys.
                let mut pages = self.pages.write();
                self.range_floors.raise(span.clone(), lsn);
                pages.iter_mut().for_each(|shard| shard.remove_overlapping(&span.lo, Some(&span.hi)));
            }
            metrics::counter!("shardforge_cache_range_floors_total").increment(1);
            // Readers below the new floor go around; those above it must not find what is older.
            let mut from = span.lo.clone();
            loop {
                let mut recent = self.recent.write();
                let keys: Vec<Bytes> =
                    recent.iter(&from, Some(&span.hi)).take(ADD_BATCH).map(|(key, _)| key.clone()).collect();
                let Some(last) = keys.last() else { break };
                from = [&last[..], &[0]].concat().into();
                for key in &keys {
                    recent.remove_through(key, lsn, &self.filter);
                }
            }
        }
    }

    /// R5: before its commit, a new storage is one page without rows.
    fn add_created(&self, txn: TxnId, lsn: Lsn) {
        let Some(storages) = self.created.lock().get(&txn).cloned() else { return };
        self.forget_created(txn);
        let mut pages = self.pages.write();
        if self.floor() > lsn.prev() {
            return;
        }
        for storage in storages {
            let (lo, hi) = key::storage_range(storage);
            if self.range_floors.highest_in(&lo, Some(&hi)) > lsn.prev() {
                continue;
            }
            for shard in pages.iter_mut() {
                if !shard.overlaps(&lo, Some(&hi)) {
                    let page = PageBuilder::new().finish(shard.slots(), &lo, Some(&hi), lsn.prev());
                    shard.insert(CachedPage::new(page));
                }
            }
        }
    }

    /// Raises the floor. From now on no page below it enters, and a reader below it goes around.
    pub(crate) fn raise_floor(&self, floor: Lsn) {
        // Under the lock that pages enter by, so that each of them was compared with some floor that
        // every later reader of the floor sees.
        let _pages = self.pages.write();
        self.floor.fetch_max(floor.0, Ordering::AcqRel);
        self.range_floors.forget_through(floor);
    }

    /// How many body bytes the feed may have under way.
    pub fn credit_window(&self) -> u64 {
        (self.config.recent_bytes_hard as u64).max(8 << 20)
    }

    /// Body bytes for which credit can be given back: all that were taken, unless memory is full. An
    /// LSN that has begun to come is always let through: nothing of it can be folded before its end.
    pub fn take_credit(&self) -> u64 {
        let full = self.recent_bytes() >= self.config.recent_bytes_hard;
        let mut feed = self.feed.lock();
        if full && feed.coming.lsn <= feed.last { 0 } else { std::mem::take(&mut feed.taken) }
    }

    /// From now on, [`BranchCache::watched`] tells of writes under keys that begin like this. To be called
    /// once, before anyone asks.
    pub fn watch(&self, prefix: bytes::Bytes) {
        let feed = self.feed.lock();
        if self.watched.prefix.set(prefix).is_ok() {
            self.watched.rise(feed.coming.lsn.max(feed.last));
        }
    }

    /// No key that is watched was written by a commit above this LSN and at or below one that has been
    /// applied. It rises before a commit is published as applied.
    pub fn watched(&self) -> Lsn {
        Lsn(self.watched.last.load(Ordering::Acquire))
    }

    /// Rows that were written to a storage since the branch was opened here, or since
    /// [`BranchCache::count_anew`].
    pub fn written_to(&self, storage: StorageId) -> Written {
        self.activity.written(storage)
    }

    /// A number that stays as long as nothing is written at all.
    pub fn write_steps(&self) -> u64 {
        self.activity.steps()
    }

    /// What was written so far is no longer counted.
    pub fn count_anew(&self) {
        self.activity.clear();
    }

    /// Waits until there is something to do in the background: fold, give credit, or subscribe again.
    pub async fn wait_work(&self) {
        self.work.notified().await;
    }

    /// Why the feed has ended, if it has.
    pub fn feed_ended(&self) -> Option<Error> {
        self.feed.lock().ended.clone()
    }

    /// Before subscribing again: the first LSN to ask for. What came of a later LSN is kept, and
    /// recognised when it comes again.
    pub fn restart_feed(&self) -> Lsn {
        let mut feed = self.feed.lock();
        feed.last = self.applied();
        let last = feed.last;
        feed.begin(last);
        feed.taken = 0;
        feed.ended = None;
        feed.last.next()
    }

    /// Forgets everything: the log no longer holds what comes after the applied LSN. From now on
    /// nothing below `floor` is known.
    pub fn reset(&self, floor: Lsn) {
        let mut feed = self.feed.lock();
        feed.last = floor;
        feed.begin(floor);
        // What came between was not seen.
        self.watched.rise(floor);
        self.raise_floor(floor);
        let mut recent = self.recent.write();
        let mut pages = self.pages.write();
        pages.iter_mut().for_each(ShardPages::clear);
        recent.clear(&self.filter);
        self.range_deletes.store(0, Ordering::Release);
        self.applied.fetch_max(floor.0, Ordering::AcqRel);
        self.applied_changed.notify_waiters();
    }

    /// Nothing will come any more; whoever waits gets the error.
    pub fn close(&self, error: Error) {
        self.feed.lock().closed = Some(error);
        self.applied_changed.notify_waiters();
        self.work.notify_one();
    }

    /// Whether [`BranchCache::close`] was called.
    pub fn is_closed(&self) -> bool {
        self.feed.lock().closed.is_some()
    }

    /// Panics unless the structures are sound.
    #[cfg(test)]
    pub(crate) fn validate(&self) {
        self.recent.read().validate(&self.filter);
        self.pages.read().iter().for_each(ShardPages::validate);
        assert!(self.floor() <= self.applied());
        for shard in &*self.pages.read() {
            for page in shard.iter() {
                let floor = self.range_floors.highest_in(page.page.lo(), page.page.hi());
                assert!(floor <= page.lsn(), "a cached page lies below the floor of its range");
            }
        }
    }
}

impl FeedSink for BranchCache {
    fn deliver(&self, batch: &Arc<FeedBatch>) {
        self.apply(batch);
    }

    fn end(&self, reason: Error) {
        let mut feed = self.feed.lock();
        feed.ended = Some(reason);
        drop(feed);
        self.work.notify_one();
    }
}
