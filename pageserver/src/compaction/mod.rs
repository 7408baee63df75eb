//! Compaction. Nothing is compacted yet.

use crate::shard::Shard;
use std::sync::Arc;

/// Compacts a shard until it stops.
pub(crate) async fn run(shard: Arc<Shard>) {
    if let Err(error) = shard.keeper.lock().await.sweep().await {
        tracing::debug!(shard = %shard.place, %error, "orphans stay for now");
    }
    shard.ended().await;
}
