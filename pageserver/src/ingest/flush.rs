//! Writes frozen memtables as level-0 layers: layer, upload, manifest, report, in that order.
//!
//! A commit larger than a memtable is written in parts: their layers are uploaded as they come, and named in
//! the manifest all at once, when the last of it is there (L4). What a crash leaves of them is swept.

use crate::compaction::join;
use crate::layer::file::{LayerFile, LayerWriter};
use crate::layer::{Layer, LayerKind, LayerMeta};
use crate::room::Put;
use crate::shard::{Frozen, Shard, Share};
use bytes::Bytes;
use shardforge_common::{Error, ErrorKind, Result, task};
use std::sync::Arc;
use std::time::Duration;

/// Waits between attempts to reach the store: doubled up to the second one.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Writes what is frozen, oldest first, until the shard stops.
pub(crate) async fn run(shard: Arc<Shard>) {
    let mut pause = FIRST_PAUSE;
    loop {
        let Some(frozen) = shard.oldest_frozen() else {
            if shard.stopping() {
                return;
            }
            shard.frozen().await;
            continue;
        };
        match flush(&shard, &frozen).await {
            Ok(()) => {
                shard.found_room(Put::Flush);
                pause = FIRST_PAUSE;
            }
            Err(error) if error.kind() == ErrorKind::Fenced => {
                tracing::warn!(shard = %shard.place, %error, "a newer owner has the shard");
                shard.stop_with(error);
                return;
            }
            Err(error) => {
                tracing::warn!(shard = %shard.place, %error, "a memtable could not be written; trying again");
                shard.no_room(Put::Flush, &error);
                if shard.stopping() {
                    return;
                }
                shard.pause(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

async fn flush(shard: &Shard, frozen: &Frozen) -> Result<()> {
    let memtable = Arc::clone(&frozen.memtable);
    let layer = match memtable.key_range() {
        // Nothing of this shard was written: only the LSN moves on (L4).
        None => None,
        Some((lo, hi)) => {
            let (block_bytes, salt) = (shard.config.page_bytes, shard.random.bytes16());
            let file = task::spawn_blocking("write a layer", move || {
                let mut writer = LayerWriter::new(LayerKind::Delta, block_bytes, salt);
                memtable.for_each(|key, lsn, value| writer.push(key, lsn, value));
                memtable.tombstones().into_iter().for_each(|tombstone| writer.push_tombstone(tombstone));
                writer.finish()
            });
            let file = file.await.map_err(|e| Error::internal("writing a layer died").with_source(e))?;
            let meta = LayerMeta {
                name: shard.new_layer_name(),
                kind: LayerKind::Delta,
                level: 0,
                lo,
                hi: Some(hi),
                after: frozen.after,
                through: frozen.through,
                size_bytes: file.bytes.len() as u64,
                index_offset: file.index_offset,
                versions: file.versions,
            };
            Some(upload(shard, meta, file).await?)
        }
    };
    shard.metrics.flushes.increment(1);
    match frozen.share {
        Share::Whole => shard.publish_flush(frozen, layer.into_iter().collect(), Vec::new()).await?,
        Share::Part => {
            shard.add_part(frozen, layer);
            return Ok(());
        }
        Share::Rest => {
            let mut parts: Vec<_> = shard.view().parts.clone();
            parts.extend(layer);
            // The newest first.
            parts.reverse();
            let mut sorted = parts.clone();
            sorted.sort_by(|a, b| a.meta.lo.cmp(&b.meta.lo));
            let disjoint =
                |pair: &[Arc<Layer>]| pair[0].meta.hi.as_ref().is_some_and(|hi| *hi <= pair[1].meta.lo);
            if sorted.windows(2).all(disjoint) {
                shard.publish_flush(frozen, sorted, Vec::new()).await?;
            } else {
                // Its records did not come in key order. The layers of a run are disjoint in keys.
                let joined = join(shard, &parts, frozen.after, frozen.through).await?;
                shard.publish_flush(frozen, joined, parts).await?;
            }
        }
    }
    shard.report();
    Ok(())
}

/// Puts a layer into the store; durable when it returns.
pub(crate) async fn upload(shard: &Shard, meta: LayerMeta, file: LayerFile) -> Result<Arc<Layer>> {
    let layer = Arc::new(Layer::new(meta, &shard.layers_folder()));
    // The name is ours alone: a layer that exists under it is this one, of an answer that was lost.
    shard.store.put_if_absent(&layer.path, Bytes::clone(&file.bytes)).await?;
    shard.metrics.uploads.increment(1);
    shard.metrics.uploaded_bytes.increment(layer.meta.size_bytes);
    shard.reader.know_index(&layer, Arc::new(file.index));
    shard.reader.local().put(&layer, file.bytes).await;
    Ok(layer)
}
