//! Cuts the rows of an interval into pages.
//!
//! The borders of blocks keep an interval near `page_bytes`, but each layer may add a block's worth of
//! rows. Where they come to more than twice `page_bytes`, the interval is cut from its lower end, a
//! page whenever the next row would not fit. A row larger than that is a page by itself.

use super::merge::Merge;
use super::tile::{self, Target};
use super::{MemRow, Outcome, Shape, View, ready};
use crate::blocks::Pins;
use bytes::Bytes;
use shardforge_common::key::{STORAGE_ID_LEN, storage_id_of, storage_prefix};
use shardforge_common::page::{MAX_PAGE_LEN, Page, PageBuilder};
use shardforge_common::{Error, Result};

/// What a row costs in a page besides key and value, at most.
const ROW_OVERHEAD: usize = 24;

/// The page of the target.
pub(crate) fn build(
    view: &View,
    target: Target<'_>,
    shape: Shape,
    pins: &mut Pins<'_>,
) -> Result<Outcome<Page>> {
    let bounds = tile::storage_bounds(target.key, target.including)?;
    let tile = ready!(tile::find(view, target, bounds, pins)?);
    let mut merge = ready!(Merge::new(&tile, target.at, pins)?);
    let most = (2 * shape.page_bytes).min(MAX_PAGE_LEN - 2 * shardforge_common::key::MAX_KEY_LEN);
    let mut rows = PageBuilder::new();
    let mut lo = tile.lo.clone();
    let mut hi = tile.hi.clone();
    while let Some(MemRow { key, lsn, value }) = ready!(merge.next(pins)?) {
        let value = value.ok_or_else(|| Error::internal("a merge gave out a deleted row"))?;
        let row_bytes = key.len() + value.len() + ROW_OVERHEAD;
        if !rows.is_empty() && rows.size_estimate() + row_bytes > most {
            let before = if target.including { target.key < &key[..] } else { target.key <= &key[..] };
            if before {
                hi = Some(key);
                break;
            }
            rows = PageBuilder::new();
            lo = key.clone();
        }
        rows.push(&key, lsn, value);
    }
    Ok(Outcome::Done(rows.finish(shape.slots, &lo, hi.as_deref(), target.at)))
}

/// For a scan that goes on beyond a storage id: an empty page from `start` (the least key of a
/// storage id) to the next storage id that may have rows. `None` when this one has some.
///
/// A scan of a whole shard would otherwise visit each of 2^64 storage ids.
pub(crate) fn gap(
    view: &View,
    target: Target<'_>,
    shape: Shape,
    pins: &mut Pins<'_>,
) -> Result<Outcome<Option<Page>>> {
    let bounds = (Bytes::copy_from_slice(target.key), None);
    let tile = ready!(tile::find(view, target, bounds, pins)?);
    let mut merge = ready!(Merge::new(&tile, target.at, pins)?);
    let hi = match ready!(merge.next(pins)?) {
        None => tile.hi.clone(),
        Some(row) => Some(Bytes::copy_from_slice(&storage_prefix(storage_id_of(&row.key)?))),
    };
    // Only whole storage ids are skipped.
    let hi = match hi {
        Some(hi) if hi.len() > STORAGE_ID_LEN => Some(hi.slice(..STORAGE_ID_LEN)),
        hi => hi,
    };
    if hi.as_ref().is_some_and(|hi| &hi[..] <= target.key) {
        return Ok(Outcome::Done(None));
    }
    let page = PageBuilder::new().finish(shape.slots, target.key, hi.as_deref(), target.at);
    Ok(Outcome::Done(Some(page)))
}
