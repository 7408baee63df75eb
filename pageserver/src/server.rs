//! The pageserver itself: attaches shards, and answers for them.

use crate::blocks::local_cache::LocalCache;
use crate::blocks::{LayerReader, Pins};
use crate::config::Config;
use crate::metrics::Metrics;
use crate::read::tile::Target;
use crate::read::{Outcome, page, ready};
use crate::shard::{Place, Services, Shard};
use crate::{compaction, ingest};
use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::RwLock;
use shardforge_common::clock::Clock;
use shardforge_common::disk::Disk;
use shardforge_common::page::{MAX_PAGE_LEN, Page};
use shardforge_common::random::Random;
use shardforge_common::{BranchRef, Error, Generation, Lsn, Result, SlotRange, task};
use shardforge_proto::page::{Direction, PageRequest, PageService, ScanRequest, ShardStatus};
use shardforge_proto::wal::WalService;
use shardforge_store::ObjectStore;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::runtime::Handle;

/// A scan reads so far ahead in each layer, in bytes.
const SCAN_AHEAD_BYTES: u64 = 256 * 1024;

/// What a pageserver works with.
#[derive(Clone)]
pub struct Parts {
    /// Where commits come from.
    pub wal: Arc<dyn WalService>,
    /// Where layers and manifests go.
    pub store: Arc<dyn ObjectStore>,
    /// The disk of the local cache.
    pub disk: Arc<dyn Disk>,
    /// The folder of the local cache; everything in it may be deleted at any time.
    pub folder: PathBuf,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Names of layers, nonces.
    pub random: Random,
    /// The runtime of ingest and flush: reads wait for the one, and it for the other.
    pub ingest: Handle,
    /// The runtime of compaction, for which nobody waits: one of low priority, where there are several.
    pub background: Handle,
}

/// A pageserver: serves pages of the shards that are attached to it.
pub struct PageServer {
    services: Services,
    ingest: Handle,
    background: Handle,
    shards: RwLock<HashMap<(BranchRef, SlotRange), Attached>>,
}

struct Attached {
    shard: Arc<Shard>,
    tasks: Vec<task::JoinHandle<()>>,
}

impl PageServer {
    /// Starts without any shard. Metrics go to the recorder that is installed now.
    pub fn start(config: Config, parts: Parts) -> Result<Arc<PageServer>> {
        if config.page_bytes == 0 || config.page_bytes > MAX_PAGE_LEN / 2 - 8 * 1024 {
            return Err(Error::invalid(format!(
                "page_bytes = {}: 1 to 24576 is possible",
                config.page_bytes
            )));
        }
        let metrics = Arc::new(Metrics::new());
        let local = match config.local_cache_bytes {
            0 => LocalCache::none(),
            limit => LocalCache::open(parts.disk, parts.folder.clone(), limit).map_err(|e| {
                Error::unavailable(format!("cannot open the layer cache {}", parts.folder.display()))
                    .with_source(e)
            })?,
        };
        let reader =
            LayerReader::new(Arc::clone(&parts.store), local, config.cache_bytes, Arc::clone(&metrics));
        let services = Services {
            config: Arc::new(config),
            wal: parts.wal,
            store: parts.store,
            reader: Arc::new(reader),
            clock: parts.clock,
            random: parts.random,
            metrics,
        };
        let (ingest, background) = (parts.ingest, parts.background);
        Ok(Arc::new(PageServer { services, ingest, background, shards: RwLock::default() }))
    }

    /// Becomes the owner of a shard: publishes its manifest under this generation, then follows the
    /// feed from what the manifest says is uploaded. Pages can be asked for when this returns.
    ///
    /// The generation must be above every one that the shard had before, over restarts of the
    /// process too; otherwise `Fenced`. Attaching again under the same generation does nothing.
    pub async fn attach(&self, branch: BranchRef, slots: SlotRange, generation: Generation) -> Result<()> {
        let earlier = self.shards.read().get(&(branch, slots)).map(|attached| Arc::clone(&attached.shard));
        if let Some(earlier) = earlier {
            if earlier.place.generation == generation && !earlier.stopping() {
                return Ok(());
            }
            if earlier.place.generation >= generation {
                return Err(Error::fenced(format!("{} is attached here", earlier.place)));
            }
            self.detach(branch, slots).await;
        }
        let place = Place { branch, slots, generation };
        let shard = Arc::new(Shard::attach(place, self.services.clone()).await?);
        shard.report();
        let tasks = vec![
            task::spawn_on(&self.ingest, "ingest", ingest::run(Arc::clone(&shard))),
            task::spawn_on(&self.ingest, "flush", ingest::flush::run(Arc::clone(&shard))),
            task::spawn_on(&self.background, "compaction", compaction::run(Arc::clone(&shard))),
        ];
        tracing::info!(shard = %place, uploaded = %shard.published().uploaded, "attached");
        self.shards.write().insert((branch, slots), Attached { shard, tasks });
        Ok(())
    }

    /// Gives a shard up: it is no longer served here. What is not uploaded stays in the log.
    pub async fn detach(&self, branch: BranchRef, slots: SlotRange) {
        let attached = self.shards.write().remove(&(branch, slots));
        if let Some(attached) = attached {
            attached.shard.stop();
            for task in attached.tasks {
                // A panic was logged where it happened.
                let _ = task.await;
            }
        }
    }

    /// Sets what of a shard's history must stay readable, from one record of the parent's group (H1):
    /// every LSN at or above `horizon`, and the pins. What only older reads need is collected.
    pub async fn set_horizon(
        &self,
        branch: BranchRef,
        slots: SlotRange,
        horizon: Lsn,
        pins: Vec<Lsn>,
    ) -> Result<()> {
        self.shard(branch, slots)?.set_horizon(horizon, pins).await
    }

    /// Gives every shard up, and returns when their tasks have ended.
    pub async fn shutdown(&self) {
        let places: Vec<(BranchRef, SlotRange)> = self.shards.read().keys().copied().collect();
        for shard in self.shards.read().values() {
            shard.shard.stop();
        }
        for (branch, slots) in places {
            self.detach(branch, slots).await;
        }
    }

    fn shard(&self, branch: BranchRef, slots: SlotRange) -> Result<Arc<Shard>> {
        let shards = self.shards.read();
        let Some(attached) = shards.get(&(branch, slots)) else {
            return Err(Error::fenced(format!("slots {slots} of {branch} are not served here")));
        };
        attached.shard.check_open()?;
        Ok(Arc::clone(&attached.shard))
    }
}

#[async_trait]
impl PageService for PageServer {
    async fn get_page(&self, request: PageRequest) -> Result<Page> {
        let shard = self.shard(request.branch, request.slots)?;
        let (at, view) = shard.open_read(request.floor, request.snapshot).await?;
        let including = request.direction == Direction::Forward;
        let target = Target { key: &request.key, including, at };
        let page = shard.reader.run(|pins| page::build(&view, target, shard.shape(), pins)).await?;
        shard.metrics.pages_served.increment(1);
        Ok(page)
    }

    async fn scan(&self, request: ScanRequest) -> Result<Vec<Page>> {
        let shard = self.shard(request.branch, request.slots)?;
        let (at, view) = shard.open_read(request.floor, request.snapshot).await?;
        let (mut pages, mut bytes, mut start) = (Vec::<Page>::new(), 0, request.start);
        let step = |pins: &mut Pins<'_>| {
            loop {
                let target = Target { key: &start, including: true, at };
                let mut page = ready!(page::build(&view, target, shard.shape(), pins)?);
                // Beyond the first storage id, the empty ones are passed over together.
                if page.is_empty()
                    && !pages.is_empty()
                    && let Some(gap) = ready!(page::gap(&view, target, shard.shape(), pins)?)
                {
                    page = gap;
                }
                bytes += page.as_bytes().len() as u64;
                let next = page.hi().map(Bytes::copy_from_slice);
                pages.push(page);
                let more = |next: &Bytes| request.end.as_ref().is_none_or(|end| next < end);
                match next {
                    Some(next) if bytes < request.max_bytes && more(&next) => start = next,
                    _ => return Ok(Outcome::Done(())),
                }
            }
        };
        shard.reader.run_ahead(SCAN_AHEAD_BYTES.min(request.max_bytes), step).await?;
        shard.metrics.pages_served.increment(pages.len() as u64);
        Ok(pages)
    }

    async fn shards(&self) -> Result<Vec<ShardStatus>> {
        let mut all: Vec<ShardStatus> =
            self.shards.read().values().map(|attached| attached.shard.status()).collect();
        all.sort_by_key(|status| (status.branch, status.slots));
        Ok(all)
    }
}
