//! One who receives a feed.

use super::hub::Hub;
use parking_lot::Mutex;
use shardforge_common::wal::Record;
use shardforge_common::{BranchRef, Error, Lsn, SlotRange};
use shardforge_proto::wal::{FeedBatch, FeedRequest, FeedSink, FeedSubscription};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// The applying thread delivers.
    Live,
    /// The catch-up thread delivers, whenever there is credit.
    Behind,
}

/// Where a subscriber stands.
#[derive(Debug)]
pub(super) struct Progress {
    pub(super) mode: Mode,
    /// The first LSN not yet delivered in full.
    pub(super) next: Lsn,
    /// How many fragments of `next` were delivered, when it is a large transaction.
    pub(super) fragments_done: usize,
    /// The log index at which to go on reading for `next`.
    pub(super) cursor: Option<u64>,
    /// Whether it stands in the catch-up queue, or is being worked on.
    pub(super) queued: bool,
}

pub(super) struct Subscriber {
    pub(super) branch: BranchRef,
    pub(super) slots: SlotRange,
    sink: Arc<dyn FeedSink>,
    credit: AtomicI64,
    ended: AtomicBool,
    pub(super) progress: Mutex<Progress>,
}

impl Subscriber {
    pub(super) fn new(request: &FeedRequest, mode: Mode, sink: Arc<dyn FeedSink>) -> Self {
        let progress = Progress { mode, next: request.from, fragments_done: 0, cursor: None, queued: false };
        Self {
            branch: request.branch,
            slots: request.slots,
            sink,
            credit: AtomicI64::new(as_credit(request.credit_bytes)),
            ended: AtomicBool::new(false),
            progress: Mutex::new(progress),
        }
    }

    pub(super) fn has_credit(&self) -> bool {
        self.credit.load(Ordering::Acquire) > 0
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Delivers, and takes the bytes off the credit. No lock that the sink could need is held.
    pub(super) fn deliver(&self, batch: &Arc<FeedBatch>) {
        let bytes: usize = batch.records.iter().map(|record: &Record| record.body.len()).sum();
        self.credit.fetch_sub(as_credit(bytes as u64), Ordering::AcqRel);
        self.sink.deliver(batch);
    }

    /// Ends the feed for a reason, once.
    pub(super) fn end(&self, reason: Error) {
        if !self.ended.swap(true, Ordering::AcqRel) {
            self.sink.end(reason);
        }
    }
}

/// Credit is counted signed, since the last batch may overdraw it.
fn as_credit(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX / 4).min(i64::MAX / 4)
}

/// The subscriber's handle.
pub struct Subscription {
    pub(super) subscriber: Arc<Subscriber>,
    pub(super) hub: Arc<Hub>,
}

impl FeedSubscription for Subscription {
    fn grant(&self, credit_bytes: u64) {
        let granted = self.subscriber.credit.fetch_update(Ordering::AcqRel, Ordering::Acquire, |credit| {
            Some(credit.saturating_add(as_credit(credit_bytes)).min(i64::MAX / 4))
        });
        debug_assert!(granted.is_ok(), "the update always gives a value");
        self.hub.enqueue_if_behind(&self.subscriber);
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.subscriber.ended.store(true, Ordering::Release);
    }
}
