//! The sink of a feed: batches wait here for the ingest task. Its length is bounded by credit.

use parking_lot::Mutex;
use shardforge_common::Error;
use shardforge_proto::wal::{FeedBatch, FeedSink};
use std::sync::Arc;
use tokio::sync::Notify;

/// Batches between the thread that applies the log and the ingest task.
#[derive(Default)]
pub(crate) struct FeedQueue {
    state: Mutex<State>,
    arrived: Notify,
}

#[derive(Default)]
struct State {
    batches: Vec<Arc<FeedBatch>>,
    ended: Option<Error>,
}

impl FeedQueue {
    /// Takes what is there, and the reason of the feed's end, if it has ended.
    pub(crate) fn take(&self) -> (Vec<Arc<FeedBatch>>, Option<Error>) {
        let mut state = self.state.lock();
        (std::mem::take(&mut state.batches), state.ended.clone())
    }

    /// Returns when something has arrived since the last [`FeedQueue::take`].
    pub(crate) async fn arrived(&self) {
        self.arrived.notified().await;
    }
}

impl FeedSink for FeedQueue {
    fn deliver(&self, batch: &Arc<FeedBatch>) {
        self.state.lock().batches.push(Arc::clone(batch));
        self.arrived.notify_one();
    }

    fn end(&self, reason: Error) {
        self.state.lock().ended = Some(reason);
        self.arrived.notify_one();
    }
}
