//! Gets parts of layers into memory: from the block cache, the local copy, or the object store.
//!
//! # What is guaranteed
//!
//! 1. Nothing unverified leaves here: an index or a block has passed its checksums.
//! 2. A damaged local copy is dropped and read again from the store (I11); a damaged object is an
//!    error that names object and offset.
//! 3. What a read has seen stays pinned until it ends, however small the caches are: so each
//!    round of fetching brings it forward.

pub(crate) mod local_cache;

use crate::layer::Layer;
use crate::layer::block::{Block, open_frame};
use crate::layer::file::{BlockEntry, Index};
use crate::metrics::Metrics;
use crate::read::{Outcome, Part, Want};
use bytes::Bytes;
use local_cache::LocalCache;
use moka::sync::Cache;
use shardforge_common::{Error, ErrorKind, Result};
use shardforge_store::ObjectStore;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// Reads layers for all shards of a pageserver.
pub(crate) struct LayerReader {
    store: Arc<dyn ObjectStore>,
    local: LocalCache,
    blocks: Cache<(u64, u32), Arc<Block>, ahash::RandomState>,
    indexes: Cache<u64, Arc<Index>, ahash::RandomState>,
    metrics: Arc<Metrics>,
}

impl LayerReader {
    /// A reader whose caches hold about `cache_bytes` in memory.
    pub(crate) fn new(
        store: Arc<dyn ObjectStore>,
        local: LocalCache,
        cache_bytes: u64,
        metrics: Arc<Metrics>,
    ) -> LayerReader {
        let weight = |bytes: usize| u32::try_from(bytes + 128).unwrap_or(u32::MAX);
        let blocks = Cache::builder()
            .max_capacity(cache_bytes - cache_bytes / 4)
            .weigher(move |_, block: &Arc<Block>| weight(block.size_bytes()))
            .build_with_hasher(ahash::RandomState::new());
        let indexes = Cache::builder()
            .max_capacity(cache_bytes / 4)
            .weigher(move |_, index: &Arc<Index>| weight(index.size_bytes()))
            .build_with_hasher(ahash::RandomState::new());
        LayerReader { store, local, blocks, indexes, metrics }
    }

    /// Whole layers on local disk.
    pub(crate) fn local(&self) -> &LocalCache {
        &self.local
    }

    /// The index of a layer that was just written, so that its first read need not fetch it.
    pub(crate) fn know_index(&self, layer: &Layer, index: Arc<Index>) {
        self.indexes.insert(layer.cache_id, index);
    }

    /// Runs a step of a read until nothing is missing.
    pub(crate) async fn run<T>(&self, step: impl FnMut(&mut Pins<'_>) -> Result<Outcome<T>>) -> Result<T> {
        self.run_ahead(0, step).await
    }

    /// The same for a read that goes on from block to block: each missing block is fetched together
    /// with the next ones, up to so many bytes, in one request to the store.
    pub(crate) async fn run_ahead<T>(
        &self,
        ahead_bytes: u64,
        mut step: impl FnMut(&mut Pins<'_>) -> Result<Outcome<T>>,
    ) -> Result<T> {
        let mut pins = Pins { reader: self, indexes: Vec::new(), blocks: HashMap::default() };
        loop {
            let mut wants = match step(&mut pins)? {
                Outcome::Done(value) => return Ok(value),
                Outcome::Need(wants) => wants,
            };
            if ahead_bytes > 0 {
                // A layer's first missing block brings the others that are wanted of it.
                let mut seen = Vec::new();
                wants.retain(|want| {
                    let first = !seen.contains(&want.layer.cache_id);
                    seen.push(want.layer.cache_id);
                    first
                });
            }
            let fetches = wants.iter().map(|want| self.fetch(want, ahead_bytes, &pins));
            for (want, fetched) in wants.iter().zip(futures::future::join_all(fetches).await) {
                match fetched? {
                    Fetched::Index(index) => pins.indexes.push((want.layer.cache_id, index)),
                    Fetched::Blocks(first, blocks) => {
                        let places = (first..).map(|number| (want.layer.cache_id, number));
                        pins.blocks.extend(places.zip(blocks));
                    }
                }
            }
        }
    }

    async fn fetch(&self, want: &Want, ahead_bytes: u64, pins: &Pins<'_>) -> Result<Fetched> {
        let layer = &want.layer;
        match want.part {
            Part::Index => {
                let range = layer.meta.index_offset..layer.meta.size_bytes;
                let index = Arc::new(
                    self.read(layer, range, |bytes| Index::parse(&bytes, layer.meta.index_offset)).await?,
                );
                self.metrics.layers_opened.increment(1);
                self.indexes.insert(layer.cache_id, Arc::clone(&index));
                Ok(Fetched::Index(index))
            }
            Part::Block(first) => {
                let index =
                    pins.pinned_index(layer).ok_or_else(|| Error::internal("a block before its index"))?;
                let mut end = first as usize;
                let mut bytes = 0;
                while let Some(entry) = index.blocks.get(end)
                    && (end == first as usize || bytes < ahead_bytes)
                {
                    bytes += u64::from(entry.frame_bytes);
                    end += 1;
                }
                let blocks = self.stretch(layer, &index, first as usize..end).await?;
                let blocks: Vec<Arc<Block>> = blocks.into_iter().map(Arc::new).collect();
                if blocks.is_empty() {
                    return Err(Error::internal(format!("{} has no block {first}", layer.path)));
                }
                for (number, block) in (first..).zip(&blocks) {
                    self.blocks.insert((layer.cache_id, number), Arc::clone(block));
                }
                Ok(Fetched::Blocks(first, blocks))
            }
        }
    }

    /// Reads and verifies a part of a layer, from the local copy if there is a healthy one.
    async fn read<T>(
        &self,
        layer: &Layer,
        range: Range<u64>,
        parse: impl Fn(Bytes) -> Result<T>,
    ) -> Result<T> {
        if let Some(bytes) = self.local.read(layer, range.clone()).await {
            match parse(bytes) {
                Ok(part) => return Ok(part),
                Err(error) => {
                    tracing::warn!(layer = %layer.path, %error, "a local copy is damaged; it is dropped");
                    self.metrics.local_damage.increment(1);
                    self.local.remove(layer).await;
                }
            }
        }
        let bytes = self.store.get_range(&layer.path, range).await.map_err(|e| match e.kind() {
            // A layer that a manifest names is there, or data is lost.
            ErrorKind::NotFound => Error::corrupt(format!("{} is missing", layer.path)).with_source(e),
            _ => e,
        })?;
        self.metrics.store_reads.increment(1);
        let part = parse(bytes).map_err(|e| e.context(&layer.path))?;
        self.local.wish_for(layer, &self.store);
        Ok(part)
    }

    /// Neighbouring blocks, in one read, past the block cache.
    pub(crate) async fn stretch(
        &self,
        layer: &Layer,
        index: &Index,
        numbers: Range<usize>,
    ) -> Result<Vec<Block>> {
        let entries = &index.blocks[numbers];
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else { return Ok(Vec::new()) };
        let range = first.offset..last.offset + u64::from(last.frame_bytes);
        let parse = |bytes: Bytes| -> Result<Vec<Block>> {
            let block = |entry: &BlockEntry| {
                let at = (entry.offset - first.offset) as usize;
                block_of(entry, &bytes.slice(at..at + entry.frame_bytes as usize))
            };
            entries.iter().map(block).collect()
        };
        let blocks = self.read(layer, range, parse).await?;
        self.metrics.blocks_read.increment(blocks.len() as u64);
        Ok(blocks)
    }
}

/// Verifies and unpacks a block.
fn block_of(entry: &BlockEntry, frame: &Bytes) -> Result<Block> {
    Block::parse(open_frame(frame, entry.offset, Some(entry.crc))?)
        .map_err(|e| e.context(format!("the block at offset {}", entry.offset)))
}

enum Fetched {
    Index(Arc<Index>),
    /// Neighbours, the first with this number.
    Blocks(u32, Vec<Arc<Block>>),
}

/// What one read has seen; kept until it ends.
pub(crate) struct Pins<'a> {
    reader: &'a LayerReader,
    indexes: Vec<(u64, Arc<Index>)>,
    blocks: HashMap<(u64, u32), Arc<Block>, ahash::RandomState>,
}

impl Pins<'_> {
    /// A layer's index, if it is in memory.
    pub(crate) fn index(&mut self, layer: &Layer) -> Option<Arc<Index>> {
        if let Some(index) = self.pinned_index(layer) {
            return Some(index);
        }
        let index = self.reader.indexes.get(&layer.cache_id)?;
        self.indexes.push((layer.cache_id, Arc::clone(&index)));
        Some(index)
    }

    fn pinned_index(&self, layer: &Layer) -> Option<Arc<Index>> {
        self.indexes.iter().find(|(id, _)| *id == layer.cache_id).map(|(_, index)| Arc::clone(index))
    }

    /// A block, if it is in memory.
    pub(crate) fn block(&mut self, layer: &Layer, number: u32) -> Option<Arc<Block>> {
        let place = (layer.cache_id, number);
        if let Some(block) = self.blocks.get(&place) {
            return Some(Arc::clone(block));
        }
        let block = self.reader.blocks.get(&place)?;
        self.reader.metrics.cache_hits.increment(1);
        self.blocks.insert(place, Arc::clone(&block));
        Some(block)
    }
}
