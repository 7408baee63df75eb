//! Garbage collection: which layers no read can need any more, and their removal.
//!
//! # What is guaranteed (I9)
//!
//! 1. A layer goes only when no LSN at or above the horizon, and no pin, needs it.
//! 2. First a manifest that does not name it counts, then readers that hold it end, then its object is
//!    deleted.
//!
//! Horizon and pins come from outside, in one piece (H1): this module never moves them.

use crate::layer::{Layer, LayerKind, LayerMeta};
use crate::shard::Shard;
use shardforge_common::{Lsn, Result};
use std::sync::Arc;

/// The layers that no read needs, of those a manifest names: the decision, without the deed.
///
/// A read at r needs a delta of `(after, through]` when `after < r`, unless images at LSNs from
/// `through` to r cover all its keys; and an image at y when `y <= r`, unless images above y and up to r do.
/// Of all reads at or above the horizon, the one nearest to it is the hardest to satisfy.
pub(crate) fn unneeded<'a>(layers: &[&'a LayerMeta], horizon: Lsn, pins: &[Lsn]) -> Vec<&'a LayerMeta> {
    let covered = |of: &LayerMeta, from: Lsn, to: Lsn| {
        let mut images: Vec<&&LayerMeta> = layers
            .iter()
            .filter(|l| {
                l.kind == LayerKind::Image && l.name != of.name && from <= l.through && l.through <= to
            })
            .collect();
        images.sort_by(|a, b| a.lo.cmp(&b.lo));
        let mut upto = Some(of.lo.clone());
        for image in images {
            match &upto {
                Some(reached) if image.lo <= *reached => {
                    upto = match (&image.hi, reached) {
                        (Some(hi), reached) => Some(hi.max(reached).clone()),
                        (None, _) => None,
                    };
                }
                _ => break,
            }
        }
        match (upto, &of.hi) {
            (None, _) => true,
            (Some(reached), Some(hi)) => reached >= *hi,
            (Some(_), None) => false,
        }
    };
    let needed_at = |layer: &LayerMeta, r: Lsn| match layer.kind {
        LayerKind::Delta => layer.after < r && !covered(layer, layer.through, r),
        LayerKind::Image => layer.through <= r && !covered(layer, layer.through.next(), r),
    };
    let unneeded = |layer: &&&'a LayerMeta| {
        // The lowest LSN at or above the horizon at which the layer says anything.
        let first = match layer.kind {
            LayerKind::Delta => layer.after.next(),
            LayerKind::Image => layer.through,
        };
        !needed_at(layer, horizon.max(first)) && !pins.iter().any(|pin| needed_at(layer, *pin))
    };
    layers.iter().filter(unneeded).copied().collect()
}

/// Unlinks what nobody needs; says whether there was anything.
pub(crate) async fn collect(shard: &Shard) -> Result<bool> {
    let (horizon, pins) = {
        let keeper = shard.keeper.lock().await;
        (keeper.manifest().horizon, keeper.manifest().pins.clone())
    };
    if horizon == Lsn::ZERO {
        return Ok(false);
    }
    let view = shard.view();
    let metas: Vec<&LayerMeta> = view.layers.layers().iter().map(|layer| &layer.meta).collect();
    let names: Vec<_> = unneeded(&metas, horizon, &pins).iter().map(|meta| &meta.name).collect();
    let gone: Vec<Arc<Layer>> =
        view.layers.layers().iter().filter(|layer| names.contains(&&layer.meta.name)).cloned().collect();
    if gone.is_empty() {
        return Ok(false);
    }
    shard.publish_swap(Vec::new(), &gone).await?;
    Ok(true)
}

/// Deletes the objects of unlinked layers that no reader holds.
pub(crate) async fn delete_unlinked(shard: &Shard) -> Result<()> {
    let free: Vec<Arc<Layer>> = {
        let mut unlinked = shard.unlinked.lock();
        // One count is the list's own. A view that a reader took earlier has another.
        let (free, held) = unlinked.drain(..).partition(|layer| Arc::strong_count(layer) == 1);
        *unlinked = held;
        free
    };
    for (number, layer) in free.iter().enumerate() {
        if let Err(error) = shard.store.delete(&layer.path).await {
            shard.unlinked.lock().extend(free[number..].iter().cloned());
            return Err(error);
        }
        shard.reader.local().remove(layer).await;
        shard.metrics.layers_deleted.increment(1);
    }
    Ok(())
}
