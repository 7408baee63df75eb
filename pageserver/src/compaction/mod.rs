//! Compaction: keeps the number of layers that a read opens small, and the bytes written for it too.
//!
//! # What is guaranteed
//!
//! 1. Compaction never changes what any read answers: a job's output holds every version of its
//!    input (merge), or is added beside it (image). History is the garbage collector's business.
//! 2. New layers are uploaded first, then one edit of the manifest swaps them for the old ones; an
//!    old layer's object is deleted after that, when no reader holds it.
//! 3. A job streams: it holds a few blocks of each input and one layer of output.
//!
//! # How it goes
//!
//! [`picker::pick`] looks at sizes and LSNs alone and names a job, or none; [`jobs`] does it. A job that
//! fails leaves layers that nothing names, which it deletes, or the next owner sweeps.
//!
//! Not done here: jobs that go on where a restart cut them off. They are small: an image is made of
//! one key range at a time.

mod jobs;
pub(crate) mod picker;
mod stream;

use crate::gc;
use crate::room::Put;
use crate::shard::Shard;
pub(crate) use jobs::join;
use picker::Limits;
use shardforge_common::{ErrorKind, Result, task};
use std::sync::Arc;
use std::time::Duration;

/// Waits between attempts after a failure.
const RETRY: Duration = Duration::from_secs(1);
/// An idle shard is looked at this often.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// Compacts a shard until it stops.
pub(crate) async fn run(shard: Arc<Shard>) {
    if let Err(error) = sweep(&shard).await {
        tracing::warn!(shard = %shard.place, %error, "orphans stay for now");
    }
    while !shard.stopping() {
        // What a job that is cut off leaves is swept by the next owner.
        let worked = tokio::select! {
            biased;
            () = shard.ended() => return,
            worked = step(&shard) => worked,
        };
        match worked {
            Ok(true) => shard.found_room(Put::Compaction),
            // Readers may still hold what could not be deleted at once.
            Ok(false) => {
                shard.found_room(Put::Compaction);
                let _ = task::timeout(LOOK_AGAIN, shard.compaction_wanted()).await;
            }
            Err(error) if error.kind() == ErrorKind::Fenced => {
                shard.stop_with(error);
                return;
            }
            Err(error) => {
                tracing::warn!(shard = %shard.place, %error, "a compaction job failed; trying again");
                // Only then does ingest wait for it.
                if shard.too_deep() {
                    shard.no_room(Put::Compaction, &error);
                }
                shard.pause(RETRY).await;
            }
        }
    }
}

async fn sweep(shard: &Shard) -> Result<()> {
    let swept = shard.keeper.lock().await.sweep().await?;
    shard.metrics.layers_deleted.increment(swept as u64);
    Ok(())
}

/// Does the most pressing job; says whether there was one.
async fn step(shard: &Shard) -> Result<bool> {
    gc::delete_unlinked(shard).await?;
    if gc::collect(shard).await? {
        return Ok(true);
    }
    let layers = Arc::clone(&shard.view().layers);
    let Some(job) = picker::pick(&layers, &Limits::of(&shard.config)) else { return Ok(false) };
    tracing::debug!(shard = %shard.place, %job, "compacting");
    jobs::run(shard, &layers, &job).await?;
    drop(layers);
    gc::delete_unlinked(shard).await?;
    Ok(true)
}
