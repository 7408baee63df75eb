//! The sink of a feed: batches wait here for the ingest task. Its length is bounded by credit.

use parking_lot::Mutex;
use shardforge_common::Error;
use shardforge_proto::wal::{FeedBatch, FeedSink};
use std::sync::Arc;
use tokio::sync::Notify;

/// So many bytes of bodies do not wait for the end of a rest.
const MUCH: u64 = 256 << 10;

/// Batches between the thread that applies the log and the ingest task.
#[derive(Default)]
pub(crate) struct FeedQueue {
    state: Mutex<State>,
    arrived: Notify,
}

#[derive(Default)]
struct State {
    batches: Vec<Arc<FeedBatch>>,
    bytes: u64,
    /// The ingest task looks again by itself in a moment.
    resting: bool,
    ended: Option<Error>,
}

impl FeedQueue {
    /// Takes what is there, and the reason of the feed's end, if it has ended.
    pub(crate) fn take(&self) -> (Vec<Arc<FeedBatch>>, Option<Error>) {
        let mut state = self.state.lock();
        state.bytes = 0;
        (std::mem::take(&mut state.batches), state.ended.clone())
    }

    /// The ingest task will look again by itself in a moment, or not: while it rests, a batch wakes it only
    /// when much has come. A wake-up for each commit costs more than what there is to do.
    pub(crate) fn set_resting(&self, resting: bool) {
        self.state.lock().resting = resting;
    }

    /// Returns when something has arrived since the last [`FeedQueue::take`].
    pub(crate) async fn arrived(&self) {
        self.arrived.notified().await;
    }
}

impl FeedSink for FeedQueue {
    fn deliver(&self, batch: &Arc<FeedBatch>) {
        let wake = {
            let mut state = self.state.lock();
            state.bytes += super::body_bytes(batch);
            state.batches.push(Arc::clone(batch));
            !state.resting || state.bytes >= MUCH
        };
        if wake {
            self.arrived.notify_one();
        }
    }

    fn end(&self, reason: Error) {
        self.state.lock().ended = Some(reason);
        self.arrived.notify_one();
    }
}
