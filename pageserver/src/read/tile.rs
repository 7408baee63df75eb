//! Which interval a page covers, and which sources it is made of.
//!
//! The interval starts as the segment between image borders, clipped to the key's storage id. Then
//! each source narrows it in turn: the image to the block that holds the key, deltas (oldest first)
//! and memtables only when they have *two or more* borders within it. With one border inside, a source
//! costs one block more; narrowing at each would cut pages into ever smaller pieces as layers pile up.
//!
//! Each step cuts the interval at keys that do not depend on which key of it was asked for: so the
//! intervals tile the key space.

use super::{Borders, Outcome, Part, View, Want};
use crate::blocks::Pins;
use crate::ingest::memtable::Memtable;
use crate::layer::Layer;
use crate::layer::file::Index;
use bytes::Bytes;
use shardforge_common::key::{STORAGE_ID_LEN, storage_id_of, storage_prefix};
use shardforge_common::{Error, Lsn, Result, StorageId};
use std::sync::Arc;

/// Which page is wanted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target<'a> {
    /// The key.
    pub(crate) key: &'a [u8],
    /// Whether the page covers the key, or the keys just below it.
    pub(crate) including: bool,
    /// At which LSN.
    pub(crate) at: Lsn,
}

/// An interval, and everything that may hold rows of it.
pub(crate) struct Tile<'a> {
    pub(crate) lo: Bytes,
    pub(crate) hi: Option<Bytes>,
    /// The image, then deltas, oldest first.
    pub(crate) layers: Vec<(Arc<Layer>, Arc<Index>)>,
    /// Oldest first.
    pub(crate) memtables: &'a [Arc<Memtable>],
}

impl Tile<'_> {
    /// Lets a source cut the interval around the target, when it has more than `slack` borders inside.
    fn narrow(&mut self, target: Target<'_>, borders: &impl Borders, slack: usize) {
        if borders.inside(&self.lo, self.hi.as_deref()) > slack {
            let (below, above) = borders.around(target.key, target.including);
            self.clip(below, above);
        }
    }

    fn clip(&mut self, lo: Option<Bytes>, hi: Option<Bytes>) {
        if let Some(lo) = lo
            && lo > self.lo
        {
            self.lo = lo;
        }
        if let Some(hi) = hi
            && self.hi.as_ref().is_none_or(|own| hi < *own)
        {
            self.hi = Some(hi);
        }
    }
}

/// The first block's first key is no border: nothing of the layer lies below it, and a page that
/// ends there would be an empty sliver before every table.
impl Borders for Index {
    fn around(&self, key: &[u8], including: bool) -> (Option<Bytes>, Option<Bytes>) {
        let borders = self.blocks.get(1..).unwrap_or_default();
        let above = if including {
            borders.partition_point(|block| &block.first_key[..] <= key)
        } else {
            borders.partition_point(|block| &block.first_key[..] < key)
        };
        let border = |number: usize| borders.get(number).map(|block| block.first_key.clone());
        (above.checked_sub(1).and_then(border), border(above))
    }

    fn inside(&self, lo: &[u8], hi: Option<&[u8]>) -> usize {
        let borders = self.blocks.get(1..).unwrap_or_default();
        let mut inside = 0;
        let mut last = lo;
        let from = borders.partition_point(|block| &block.first_key[..] <= lo);
        // A key with many blocks is one border.
        for block in &borders[from..] {
            if hi.is_some_and(|hi| &block.first_key[..] >= hi) || inside == 2 {
                break;
            }
            if &block.first_key[..] != last {
                inside += 1;
                last = &block.first_key;
            }
        }
        inside
    }
}

/// The keys of the target's storage id, as `[lo, hi)`.
pub(crate) fn storage_bounds(key: &[u8], including: bool) -> Result<(Bytes, Option<Bytes>)> {
    if key.len() < STORAGE_ID_LEN {
        return Err(Error::invalid(format!("a key of {} bytes has no storage id", key.len())));
    }
    let mut id = storage_id_of(key)?;
    if !including && key == storage_prefix(id) {
        id = match id.0.checked_sub(1) {
            Some(below) => StorageId(below),
            None => return Err(Error::invalid("there are no keys below the least one")),
        };
    }
    let hi = id.0.checked_add(1).map(|next| Bytes::copy_from_slice(&storage_prefix(StorageId(next))));
    Ok((Bytes::copy_from_slice(&storage_prefix(id)), hi))
}

/// Finds the interval of the target's page. `bounds` clip it: those of its storage id, mostly.
pub(crate) fn find<'a>(
    view: &'a View,
    target: Target<'_>,
    bounds: (Bytes, Option<Bytes>),
    pins: &mut Pins<'_>,
) -> Result<Outcome<Tile<'a>>> {
    let segment = view.layers.segment(target.key, target.including, target.at);
    let mut tile = Tile {
        lo: segment.lo.clone(),
        hi: segment.hi.cloned(),
        layers: Vec::new(),
        memtables: &view.memtables,
    };
    tile.clip(Some(bounds.0), bounds.1);
    let above = segment.image.map_or(Lsn::ZERO, |image| image.meta.through);
    let mut layers: Vec<&Arc<Layer>> = segment.image.into_iter().collect();
    for run in view.layers.runs_between(above, target.at) {
        // A run's layers share their borders, so these cut like image borders do.
        if run.layers.len() > 1 {
            let after = |layer: &&Arc<Layer>| {
                if target.including {
                    &layer.meta.lo[..] <= target.key
                } else {
                    &layer.meta.lo[..] < target.key
                }
            };
            let next = run.layers.partition_point(|layer| after(&layer));
            let own = next.checked_sub(1).map(|number| run.layers[number].meta.lo.clone());
            tile.clip(own, run.layers.get(next).map(|layer| layer.meta.lo.clone()));
        }
        layers.extend(run.overlapping(tile.lo.clone(), tile.hi.clone()));
    }
    // Newer than every run, and of one LSN: their order among one another does not matter.
    let parts = view.parts.iter().filter(|part| part.meta.after < target.at);
    layers.extend(parts.filter(|part| part.meta.overlaps(&tile.lo, tile.hi.as_deref())));
    let mut wants = Vec::new();
    for layer in layers {
        match pins.index(layer) {
            Some(index) => tile.layers.push((Arc::clone(layer), index)),
            None => wants.push(Want { layer: Arc::clone(layer), part: Part::Index }),
        }
    }
    if !wants.is_empty() {
        return Ok(Outcome::Need(wants));
    }
    for number in 0..tile.layers.len() {
        let slack = usize::from(number > 0 || segment.image.is_none());
        let index = Arc::clone(&tile.layers[number].1);
        tile.narrow(target, &*index, slack);
    }
    for memtable in tile.memtables {
        tile.narrow(target, &**memtable, 1);
    }
    let (lo, hi) = (tile.lo.clone(), tile.hi.clone());
    tile.layers.retain(|(layer, _)| layer.meta.overlaps(&lo, hi.as_deref()));
    Ok(Outcome::Done(tile))
}
