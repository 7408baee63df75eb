//! One shard of one branch: what it has ingested, its view of memtables and layers, and its manifest.
//!
//! # Invariants
//!
//! 1. `uploaded <= ingested`, and both only grow.
//! 2. The view holds every version up to `ingested`: in exactly one memtable or one run of layers.
//! 3. A reader takes `ingested` first and the view after it, so that the view is at least as new.
//!
//! Three tasks serve a shard: ingest, flush and compaction. They meet in this struct; the manifest's
//! lock is held over a publish, the others for a moment.

use crate::blocks::LayerReader;
use crate::compaction::picker::is_behind;
use crate::config::Config;
use crate::ingest::memtable::Memtable;
use crate::layer::{Layer, LayerName};
use crate::layer_map::LayerMap;
use crate::manifest::keeper::ManifestKeeper;
use crate::metrics::Metrics;
use crate::read::{Shape, View};
use crate::room::{Put, StoreRoom};
use parking_lot::{Mutex, RwLock};
use shardforge_common::clock::Clock;
use shardforge_common::random::Random;
use shardforge_common::{BranchRef, Error, Generation, Lsn, Result, SlotRange, task};
use shardforge_proto::page::ShardStatus;
use shardforge_proto::wal::{IngestReport, WalService};
use shardforge_store::{ObjectPath, ObjectStore, paths};
use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// With more level-0 layers than this that compaction has still to merge, ingest is slowed, before reads are harmed further.
const MOST_LEVEL_0_RUNS: usize = 32;

/// Which shard, and as whose owner.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) branch: BranchRef,
    pub(crate) slots: SlotRange,
    pub(crate) generation: Generation,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} (generation {})", self.branch, self.slots, self.generation)
    }
}

/// What a shard is made with.
#[derive(Clone)]
pub(crate) struct Services {
    pub(crate) config: Arc<Config>,
    pub(crate) wal: Arc<dyn WalService>,
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) reader: Arc<LayerReader>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Random,
    pub(crate) metrics: Arc<Metrics>,
}

/// A memtable that takes no more writes.
#[derive(Clone)]
pub(crate) struct Frozen {
    pub(crate) memtable: Arc<Memtable>,
    /// It holds what was committed above this,
    pub(crate) after: Lsn,
    /// up to here.
    pub(crate) through: Lsn,
    pub(crate) share: Share,
}

/// What a frozen memtable is of the commits in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Share {
    /// All of them.
    Whole,
    /// A part of one commit, of which more is to come. Its layer is named in no manifest yet.
    Part,
    /// What is left of that commit: its layers are named now, all at once (L4).
    Rest,
}

#[derive(Debug, Clone, Copy)]
struct OpenCommit {
    /// What was ingested before it.
    after: Lsn,
    lsn: Lsn,
    /// Whether its parts hold rows, not deleted ranges alone.
    has_rows: bool,
}

/// How far the manifest is.
#[derive(Debug, Clone)]
pub(crate) struct Published {
    pub(crate) number: u64,
    pub(crate) uploaded: Lsn,
    pub(crate) horizon: Lsn,
    pub(crate) pins: Vec<Lsn>,
}

impl Published {
    fn of(keeper: &ManifestKeeper) -> Published {
        let manifest = keeper.manifest();
        Published {
            number: keeper.number(),
            uploaded: manifest.uploaded,
            horizon: manifest.horizon,
            pins: manifest.pins.clone(),
        }
    }
}

/// A shard that is attached here.
pub(crate) struct Shard {
    pub(crate) place: Place,
    services: Services,
    view: RwLock<Arc<View>>,
    ingested: watch::Sender<Lsn>,
    frozen: Mutex<VecDeque<Frozen>>,
    /// The commit of which parts were frozen while it is still coming.
    open_commit: Mutex<Option<OpenCommit>>,
    froze: Notify,
    flushed: Notify,
    published: Mutex<Published>,
    reporting: Mutex<()>,
    room: StoreRoom,
    pub(crate) keeper: tokio::sync::Mutex<ManifestKeeper>,
    /// Layers that the manifest no longer names, until no reader holds them.
    pub(crate) unlinked: Mutex<Vec<Arc<Layer>>>,
    compact: Notify,
    /// Rung by a read that waits for ingest.
    hurry: Notify,
    waiting_reads: AtomicUsize,
    /// Set once: the reason why the shard no longer works, or no reason when it was asked to stop.
    stopped: watch::Sender<Option<Option<Error>>>,
}

impl std::ops::Deref for Shard {
    type Target = Services;
    fn deref(&self) -> &Services {
        &self.services
    }
}

impl Shard {
    /// Becomes the shard's owner, and knows what its manifest names.
    pub(crate) async fn attach(place: Place, services: Services) -> Result<Shard> {
        let keeper = ManifestKeeper::attach(
            Arc::clone(&services.store),
            place.branch,
            place.slots,
            place.generation,
            services.random.clone(),
        )
        .await?;
        let manifest = keeper.manifest();
        let folder = paths::layers(place.branch, place.slots);
        let layers = manifest.layers.iter().map(|meta| Arc::new(Layer::new(meta.clone(), &folder))).collect();
        let view = View {
            memtables: vec![Arc::new(Memtable::new(services.config.page_bytes))],
            layers: Arc::new(LayerMap::new(layers)),
            parts: Vec::new(),
        };
        let published = Published::of(&keeper);
        Ok(Shard {
            place,
            services,
            view: RwLock::new(Arc::new(view)),
            ingested: watch::Sender::new(published.uploaded),
            frozen: Mutex::default(),
            open_commit: Mutex::default(),
            froze: Notify::new(),
            flushed: Notify::new(),
            published: Mutex::new(published),
            reporting: Mutex::default(),
            room: StoreRoom::default(),
            keeper: tokio::sync::Mutex::new(keeper),
            unlinked: Mutex::default(),
            compact: Notify::new(),
            hurry: Notify::new(),
            waiting_reads: AtomicUsize::new(0),
            stopped: watch::Sender::new(None),
        })
    }

    // ---- reading ----

    /// Everything up to here can be served.
    pub(crate) fn ingested(&self) -> Lsn {
        *self.ingested.borrow()
    }

    /// What readers see now.
    pub(crate) fn view(&self) -> Arc<View> {
        Arc::clone(&self.view.read())
    }

    /// The sizes that shape pages.
    pub(crate) fn shape(&self) -> Shape {
        Shape { slots: self.place.slots, page_bytes: self.config.page_bytes }
    }

    /// The LSN at which a request for `[floor, snapshot]` is answered (R1), once there is one, and
    /// the view in which it can be read.
    pub(crate) async fn open_read(&self, floor: Lsn, snapshot: Lsn) -> Result<(Lsn, Arc<View>)> {
        if floor > snapshot {
            return Err(Error::invalid(format!("a read at [{floor}, {snapshot}]")));
        }
        let at = self.wait_for(floor).await?.min(snapshot);
        // The view before the horizon: layers go from the view only after the horizon has moved.
        let view = self.view();
        let published = self.published.lock();
        if at < published.horizon && !published.pins.contains(&at) {
            return Err(Error::not_found(format!(
                "LSN {at} of {} is below its history, which begins at {}",
                self.place, published.horizon
            )));
        }
        drop(published);
        Ok((at, view))
    }

    /// The ingested LSN, once it is at or above `floor`.
    async fn wait_for(&self, floor: Lsn) -> Result<Lsn> {
        let now = self.ingested();
        if now >= floor {
            return Ok(now);
        }
        let mut ingested = self.ingested.subscribe();
        let _waiting = Waiting::new(self);
        let mut stopped = self.stopped.subscribe();
        let wait = async {
            tokio::select! {
                biased;
                reached = ingested.wait_for(|ingested| *ingested >= floor) => reached.ok().map(|lsn| *lsn),
                _ = stopped.wait_for(Option::is_some) => None,
            }
        };
        match task::timeout(Duration::from_millis(self.config.read_wait_millis), wait).await {
            Some(Some(ingested)) => Ok(ingested),
            Some(None) => Err(self.stop_reason()),
            None => Err(Error::unavailable(format!(
                "{} has ingested up to {}, and LSN {floor} is wanted",
                self.place,
                self.ingested()
            ))),
        }
    }

    /// Returns when a read waits for what is not ingested yet.
    pub(crate) async fn hurried(&self) {
        self.hurry.notified().await;
    }

    /// Whether no read waits for what is not ingested yet.
    pub(crate) fn nobody_waits(&self) -> bool {
        self.waiting_reads.load(Ordering::Relaxed) == 0
    }

    // ---- ingest ----

    /// The memtable that takes writes.
    pub(crate) fn active(&self) -> Arc<Memtable> {
        Arc::clone(self.view.read().memtables.last().expect("a view always has an active memtable"))
    }

    /// Its size, in bytes.
    pub(crate) fn active_bytes(&self) -> usize {
        self.active().size_bytes()
    }

    /// Everything up to here is in memtables and layers: reads may see it.
    pub(crate) fn advance(&self, ingested: Lsn) {
        self.ingested.send_if_modified(|own| {
            let moved = ingested > *own;
            *own = ingested.max(*own);
            moved
        });
    }

    /// Starts a new memtable, and queues the old one for flush. Must not be called inside a commit.
    pub(crate) fn freeze(&self) {
        let through = self.ingested();
        let mut frozen = self.frozen.lock();
        let after = frozen.back().map_or_else(|| self.published().uploaded, |last| last.through);
        if through <= after {
            return;
        }
        let mut view = self.view.write();
        let mut next = View::clone(&view);
        let memtable = self.active_of(&view);
        next.memtables.push(Arc::new(Memtable::new(self.config.page_bytes)));
        *view = Arc::new(next);
        frozen.push_back(Frozen { memtable, after, through, share: Share::Whole });
        self.froze.notify_one();
    }

    /// Queues for flush what has come of the commit `lsn`, of which more is to come; what was committed before
    /// it goes by itself.
    pub(crate) fn freeze_part(&self, lsn: Lsn) {
        let ingested = self.ingested();
        let mut frozen = self.frozen.lock();
        let after = frozen.back().map_or_else(|| self.published().uploaded, |last| last.through);
        let mut view = self.view.write();
        let mut next = View::clone(&view);
        let mut part = self.active_of(&view);
        if ingested > after {
            let whole = std::mem::replace(&mut part, Arc::new(self.active_of(&view).split_off(lsn)));
            frozen.push_back(Frozen { memtable: whole, after, through: ingested, share: Share::Whole });
            next.memtables.push(Arc::clone(&part));
        }
        let has_rows = part.has_rows();
        next.memtables.push(Arc::new(Memtable::new(self.config.page_bytes)));
        *view = Arc::new(next);
        frozen.push_back(Frozen { memtable: part, after: ingested, through: lsn, share: Share::Part });
        let mut open = self.open_commit.lock();
        let has_rows = has_rows || open.is_some_and(|open| open.has_rows);
        *open = Some(OpenCommit { after: ingested, lsn, has_rows });
        self.froze.notify_one();
    }

    /// The commit of which parts were frozen while more of it is to come.
    pub(crate) fn open_commit(&self) -> Option<Lsn> {
        self.open_commit.lock().map(|open| open.lsn)
    }

    /// Whether there are rows in such parts.
    pub(crate) fn has_rows_in_parts(&self) -> bool {
        self.open_commit.lock().is_some_and(|open| open.has_rows)
    }

    /// Queues what is left of the commit that came in parts, now that all of it is here and nothing after it.
    pub(crate) fn freeze_rest(&self) {
        let Some(OpenCommit { after, lsn: through, .. }) = self.open_commit.lock().take() else { return };
        let mut frozen = self.frozen.lock();
        let mut view = self.view.write();
        let mut next = View::clone(&view);
        let memtable = self.active_of(&view);
        next.memtables.push(Arc::new(Memtable::new(self.config.page_bytes)));
        *view = Arc::new(next);
        frozen.push_back(Frozen { memtable, after, through, share: Share::Rest });
        self.froze.notify_one();
    }

    /// The feed has ended within a commit, and will send it again: forgets the parts of it.
    pub(crate) fn forget_parts(&self) {
        let Some(OpenCommit { lsn, .. }) = self.open_commit.lock().take() else { return };
        let mut frozen = self.frozen.lock();
        let mut view = self.view.write();
        let mut next = View::clone(&view);
        // The active memtable holds nothing but of this commit.
        next.memtables.pop();
        let is_part = |frozen: &Frozen| frozen.share == Share::Part && frozen.through == lsn;
        next.memtables.retain(|m| !frozen.iter().any(|f| is_part(f) && Arc::ptr_eq(&f.memtable, m)));
        next.memtables.push(Arc::new(Memtable::new(self.config.page_bytes)));
        frozen.retain(|frozen| !is_part(frozen));
        let parts = std::mem::take(&mut next.parts);
        *view = Arc::new(next);
        self.unlinked.lock().extend(parts);
        self.flushed.notify_one();
    }

    fn active_of(&self, view: &View) -> Arc<Memtable> {
        Arc::clone(view.memtables.last().expect("a view always has an active memtable"))
    }

    /// How many memtables wait to be written.
    pub(crate) fn waiting_memtables(&self) -> usize {
        self.frozen.lock().len()
    }

    // ---- flush ----

    /// The memtable to write next.
    pub(crate) fn oldest_frozen(&self) -> Option<Frozen> {
        self.frozen.lock().front().cloned()
    }

    /// Returns when a memtable was frozen or the shard stops.
    pub(crate) async fn frozen(&self) {
        tokio::select! {
            biased;
            () = self.froze.notified() => {}
            () = self.ended() => {}
        }
    }

    /// Returns when a memtable was written.
    pub(crate) async fn flushed(&self) {
        self.flushed.notified().await;
    }

    /// Lets readers use a part's layer instead of its memtable. No manifest names it before the rest of its
    /// commit is there.
    pub(crate) fn add_part(&self, frozen: &Frozen, layer: Option<Arc<Layer>>) {
        let mut queue = self.frozen.lock();
        if !queue.front().is_some_and(|front| Arc::ptr_eq(&front.memtable, &frozen.memtable)) {
            // It was forgotten meanwhile.
            self.unlinked.lock().extend(layer);
            return;
        }
        let mut view = self.view.write();
        let mut next = View::clone(&view);
        next.memtables.retain(|memtable| !Arc::ptr_eq(memtable, &frozen.memtable));
        next.parts.extend(layer);
        *view = Arc::new(next);
        queue.pop_front();
        drop(view);
        self.flushed.notify_one();
    }

    /// Names the layers of a flushed memtable in the manifest; readers then use them instead. `replaced` are
    /// parts that were joined into others.
    pub(crate) async fn publish_flush(
        &self,
        frozen: &Frozen,
        layers: Vec<Arc<Layer>>,
        replaced: Vec<Arc<Layer>>,
    ) -> Result<()> {
        let mut keeper = self.keeper.lock().await;
        keeper
            .edit(
                |error| self.give_up(error),
                |manifest| {
                    for layer in &layers {
                        if manifest.layers.iter().all(|known| known.name != layer.meta.name) {
                            manifest.layers.push(layer.meta.clone());
                        }
                    }
                    manifest.uploaded = manifest.uploaded.max(frozen.through);
                },
            )
            .await?;
        self.found_room(Put::Manifest);
        self.note_published(&keeper);
        let layers = self.layers_with(layers, &[]);
        {
            let mut queue = self.frozen.lock();
            let mut view = self.view.write();
            let mut next = View::clone(&view);
            next.memtables.retain(|memtable| !Arc::ptr_eq(memtable, &frozen.memtable));
            next.layers = layers;
            if frozen.share == Share::Rest {
                next.parts.retain(|part| part.meta.through != frozen.through);
            }
            *view = Arc::new(next);
            queue.pop_front();
        }
        drop(keeper);
        self.unlinked.lock().extend(replaced);
        self.flushed.notify_one();
        self.compact.notify_one();
        Ok(())
    }

    /// Whether a manifest that was not published is given up.
    fn give_up(&self, error: &Error) -> bool {
        self.no_room(Put::Manifest, error);
        self.stopping()
    }

    /// A put failed: when it was for lack of room, the log's leader hears of it.
    pub(crate) fn no_room(&self, put: Put, error: &Error) {
        if self.room.failed(put, error) {
            self.report();
        }
    }

    /// A put succeeded.
    pub(crate) fn found_room(&self, put: Put) {
        if self.room.succeeded(put) {
            self.report();
        }
    }

    /// Swaps layers in manifest and view: what compaction and garbage collection do.
    pub(crate) async fn publish_swap(&self, added: Vec<Arc<Layer>>, removed: &[Arc<Layer>]) -> Result<()> {
        let mut keeper = self.keeper.lock().await;
        let gone: HashSet<&LayerName> = removed.iter().map(|layer| &layer.meta.name).collect();
        keeper
            .edit(
                |error| self.give_up(error),
                |manifest| {
                    manifest.layers.retain(|layer| !gone.contains(&layer.name));
                    for layer in &added {
                        if manifest.layers.iter().all(|known| known.name != layer.meta.name) {
                            manifest.layers.push(layer.meta.clone());
                        }
                    }
                },
            )
            .await?;
        self.found_room(Put::Manifest);
        self.note_published(&keeper);
        let layers = self.layers_with(added, removed);
        {
            let mut view = self.view.write();
            *view = Arc::new(View { layers, ..View::clone(&view) });
        }
        drop(keeper);
        self.unlinked.lock().extend(removed.iter().cloned());
        self.flushed.notify_one();
        Ok(())
    }

    /// The layer map with a change, built while readers go on. Only whoever holds the keeper's lock
    /// changes layers, so it is the next one.
    fn layers_with(&self, added: Vec<Arc<Layer>>, removed: &[Arc<Layer>]) -> Arc<LayerMap> {
        let old = Arc::clone(&self.view.read().layers);
        if added.is_empty() && removed.is_empty() {
            return old;
        }
        let kept = old.layers().iter().filter(|layer| !removed.iter().any(|gone| Arc::ptr_eq(gone, layer)));
        Arc::new(LayerMap::new(kept.cloned().chain(added).collect()))
    }

    /// Returns when a layer was added since the last call, or the shard stops.
    pub(crate) async fn compaction_wanted(&self) {
        tokio::select! {
            biased;
            () = self.compact.notified() => {}
            () = self.ended() => {}
        }
    }

    /// Sets what must stay readable: nothing below `horizon` but the pins. It never goes back, and
    /// never passes what is uploaded.
    pub(crate) async fn set_horizon(&self, horizon: Lsn, pins: Vec<Lsn>) -> Result<()> {
        let mut keeper = self.keeper.lock().await;
        keeper
            .edit(
                |error| self.give_up(error),
                |manifest| {
                    manifest.horizon = manifest.horizon.max(horizon.min(manifest.uploaded));
                    manifest.pins.clone_from(&pins);
                },
            )
            .await?;
        self.found_room(Put::Manifest);
        self.note_published(&keeper);
        self.compact.notify_one();
        Ok(())
    }

    /// Whether reads open so many level-0 layers that the feed is to wait for compaction.
    pub(crate) fn too_deep(&self) -> bool {
        is_behind(&self.view().layers, MOST_LEVEL_0_RUNS)
    }

    fn note_published(&self, keeper: &ManifestKeeper) {
        *self.published.lock() = Published::of(keeper);
    }

    /// How far the manifest is.
    pub(crate) fn published(&self) -> Published {
        self.published.lock().clone()
    }

    /// Tells the WAL service how far the shard is: what allows the log to be trimmed (I5).
    pub(crate) fn report(&self) {
        // Ingest and flush report at the same time, and what one says must not go back behind the other.
        let _in_turn = self.reporting.lock();
        let published = self.published();
        self.wal.report_ingest(IngestReport {
            branch: self.place.branch,
            slots: self.place.slots,
            generation: self.place.generation,
            manifest: published.number,
            uploaded: published.uploaded,
            ingested: self.ingested(),
            full: self.room.full(),
        });
    }

    /// Where the shard's layers lie.
    pub(crate) fn layers_folder(&self) -> ObjectPath {
        paths::layers(self.place.branch, self.place.slots)
    }

    /// A name that no layer has.
    pub(crate) fn new_layer_name(&self) -> LayerName {
        let millis = u64::try_from(self.clock.wall_micros() / 1000).unwrap_or(0);
        LayerName::new(&self.random.ulid(millis), self.place.generation)
    }

    // ---- the end ----

    /// Whether the tasks are to end.
    pub(crate) fn stopping(&self) -> bool {
        self.stopped.borrow().is_some()
    }

    /// Ends the tasks; nothing is wrong.
    pub(crate) fn stop(&self) {
        self.stopped.send_if_modified(|stopped| stopped.is_none() && stopped.replace(None).is_none());
    }

    /// Ends the tasks: the shard cannot go on.
    pub(crate) fn stop_with(&self, reason: Error) {
        self.stopped.send_if_modified(|stopped| stopped.is_none() && stopped.replace(Some(reason)).is_none());
    }

    /// Returns when the tasks are to end.
    pub(crate) async fn ended(&self) {
        // The sender lives in `self`, so this can only end by the condition.
        let _ = self.stopped.subscribe().wait_for(Option::is_some).await;
    }

    /// Waits, but not beyond the shard's end.
    pub(crate) async fn pause(&self, duration: Duration) {
        let _ = task::timeout(duration, self.ended()).await;
    }

    /// Why the shard does not answer.
    pub(crate) fn stop_reason(&self) -> Error {
        match &*self.stopped.borrow() {
            Some(Some(reason)) => reason.clone(),
            _ => Error::unavailable(format!("{} is being closed", self.place)),
        }
    }

    /// Fails when the shard was fenced: whoever asks must look for the new owner.
    pub(crate) fn check_open(&self) -> Result<()> {
        match &*self.stopped.borrow() {
            Some(Some(reason)) if reason.kind() == shardforge_common::ErrorKind::Fenced => {
                Err(reason.clone())
            }
            _ => Ok(()),
        }
    }

    /// How the shard fares.
    pub(crate) fn status(&self) -> ShardStatus {
        let (view, published) = (self.view(), self.published());
        ShardStatus {
            branch: self.place.branch,
            slots: self.place.slots,
            ingested: self.ingested(),
            uploaded: published.uploaded,
            manifest: published.number,
            layers: view.layers.layers().len() as u64,
            layer_bytes: view.layers.layers().iter().map(|layer| layer.meta.size_bytes).sum(),
            memtable_bytes: view.memtables.iter().map(|memtable| memtable.size_bytes() as u64).sum(),
        }
    }
}

/// A read that waits for ingest.
struct Waiting<'a>(&'a Shard);

impl<'a> Waiting<'a> {
    fn new(shard: &'a Shard) -> Self {
        shard.waiting_reads.fetch_add(1, Ordering::Relaxed);
        shard.hurry.notify_one();
        Self(shard)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting_reads.fetch_sub(1, Ordering::Relaxed);
    }
}
