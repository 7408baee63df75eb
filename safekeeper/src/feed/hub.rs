//! Who subscribes to what, and the way from the applying thread to live subscribers.

use super::filter::filter_record;
use super::subscriber::{Mode, Subscriber, Subscription};
use parking_lot::{Condvar, Mutex};
use shardforge_common::wal::Record;
use shardforge_common::{BranchId, Error, Lsn, Result, SlotRange};
use shardforge_proto::wal::{FeedBatch, FeedRequest, FeedSink};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// The commits of one branch in a batch that was applied.
pub struct Publication {
    /// The branch.
    pub branch: BranchId,
    /// The commit records in order; without those of large transactions, see `large`.
    pub records: Vec<Record>,
    /// The first LSN.
    pub first: Lsn,
    /// The last LSN.
    pub last: Lsn,
    /// Whether a large transaction is among them: it comes from the log, by catching up.
    pub large: bool,
}

struct BranchFeed {
    /// Everything up to here was published.
    published: Lsn,
    subscribers: Vec<Arc<Subscriber>>,
}

/// All feeds of a group.
#[derive(Default)]
pub struct Hub {
    branches: Mutex<HashMap<BranchId, Arc<Mutex<BranchFeed>>>>,
    queue: Mutex<Queue>,
    work: Condvar,
}

#[derive(Default)]
struct Queue {
    behind: VecDeque<Arc<Subscriber>>,
    closed: bool,
}

impl Hub {
    /// Delivers to live subscribers, on the caller's thread. Those that cannot take it fall behind.
    pub fn publish(self: &Arc<Self>, publication: Publication) {
        let feed = self.branches.lock().get(&publication.branch).cloned();
        let Some(feed) = feed else { return };
        let mut feed = feed.lock();
        // The branch was subscribed to after the state had taken this batch.
        if publication.last <= feed.published {
            return;
        }
        feed.published = publication.last;
        feed.subscribers.retain(|subscriber| !subscriber.has_ended());
        let mut batches: Vec<(SlotRange, Arc<FeedBatch>)> = Vec::new();
        for subscriber in &feed.subscribers {
            {
                let mut progress = subscriber.progress.lock();
                if progress.mode != Mode::Live {
                    continue;
                }
                if publication.large || !subscriber.has_credit() || progress.next != publication.first {
                    progress.mode = Mode::Behind;
                    progress.cursor = None;
                    drop(progress);
                    self.enqueue_if_behind(subscriber);
                    continue;
                }
            }
            let known =
                batches.iter().find(|(slots, _)| *slots == subscriber.slots).map(|(_, batch)| batch.clone());
            let batch = match known.map_or_else(|| make_batch(&publication, subscriber.slots), Ok) {
                Ok(batch) => batch,
                Err(e) => {
                    subscriber.end(e);
                    continue;
                }
            };
            if !batches.iter().any(|(slots, _)| *slots == subscriber.slots) {
                batches.push((subscriber.slots, batch.clone()));
            }
            subscriber.progress.lock().next = publication.last.next();
            subscriber.deliver(&batch);
        }
    }

    /// Adds a subscriber. `committed` is the branch's last applied commit, or an earlier one.
    pub fn subscribe(
        self: &Arc<Self>,
        request: &FeedRequest,
        committed: Lsn,
        sink: Arc<dyn FeedSink>,
    ) -> Subscription {
        let feed = self
            .branches
            .lock()
            .entry(request.branch.branch)
            .or_insert_with(|| {
                Arc::new(Mutex::new(BranchFeed { published: committed, subscribers: Vec::new() }))
            })
            .clone();
        let mut feed = feed.lock();
        let live = request.from == feed.published.next();
        let mode = if live { Mode::Live } else { Mode::Behind };
        let subscriber = Arc::new(Subscriber::new(request, mode, sink));
        feed.subscribers.push(subscriber.clone());
        drop(feed);
        self.enqueue_if_behind(&subscriber);
        Subscription { subscriber, hub: self.clone() }
    }

    /// Puts a subscriber that is behind and has credit to the catch-up thread.
    pub(super) fn enqueue_if_behind(&self, subscriber: &Arc<Subscriber>) {
        {
            let mut progress = subscriber.progress.lock();
            if progress.mode == Mode::Live || progress.queued || !subscriber.has_credit() {
                return;
            }
            progress.queued = true;
        }
        self.queue.lock().behind.push_back(subscriber.clone());
        self.work.notify_one();
    }

    /// Makes a subscriber live if nothing lies between it and what was published last.
    pub(super) fn go_live(&self, subscriber: &Subscriber) -> bool {
        let feed = self.branches.lock().get(&subscriber.branch.branch).cloned();
        let Some(feed) = feed else { return false };
        let feed = feed.lock();
        let mut progress = subscriber.progress.lock();
        if progress.next == feed.published.next() {
            progress.mode = Mode::Live;
            progress.queued = false;
            return true;
        }
        false
    }

    /// Waits for a subscriber to work on; `None` when the hub was closed.
    pub(super) fn next_behind(&self) -> Option<Arc<Subscriber>> {
        let mut queue = self.queue.lock();
        loop {
            if queue.closed {
                return None;
            }
            if let Some(subscriber) = queue.behind.pop_front() {
                return Some(subscriber);
            }
            self.work.wait(&mut queue);
        }
    }

    #[cfg(test)]
    pub(super) fn try_next_behind(&self) -> Option<Arc<Subscriber>> {
        self.queue.lock().behind.pop_front()
    }

    /// Puts a subscriber at the end of the queue again.
    pub(super) fn requeue(&self, subscriber: Arc<Subscriber>) {
        self.queue.lock().behind.push_back(subscriber);
        self.work.notify_one();
    }

    /// The state was replaced by a snapshot: what was published jumps, and everyone is behind.
    pub fn reset(&self, committed: impl Fn(BranchId) -> Option<Lsn>) {
        let feeds: Vec<_> = self.branches.lock().iter().map(|(id, feed)| (*id, feed.clone())).collect();
        for (branch, feed) in feeds {
            let mut feed = feed.lock();
            feed.published = committed(branch).unwrap_or(feed.published);
            for subscriber in &feed.subscribers {
                let mut progress = subscriber.progress.lock();
                progress.mode = Mode::Behind;
                progress.cursor = None;
                drop(progress);
                self.enqueue_if_behind(subscriber);
            }
        }
    }

    /// Ends all feeds, and the catch-up thread.
    pub fn close(&self, reason: &Error) {
        {
            let mut queue = self.queue.lock();
            queue.closed = true;
            queue.behind.clear();
        }
        self.work.notify_all();
        let feeds: Vec<_> = self.branches.lock().drain().map(|(_, feed)| feed).collect();
        for feed in feeds {
            let subscribers = std::mem::take(&mut feed.lock().subscribers);
            subscribers.iter().for_each(|subscriber| subscriber.end(reason.clone()));
        }
    }

    /// How many commits the slowest subscriber is behind what was published.
    pub fn lag(&self) -> u64 {
        let feeds: Vec<_> = self.branches.lock().values().cloned().collect();
        let lag = |feed: &Arc<Mutex<BranchFeed>>| {
            let feed = feed.lock();
            let next = |subscriber: &Arc<Subscriber>| subscriber.progress.lock().next.0;
            let slowest =
                feed.subscribers.iter().filter(|subscriber| !subscriber.has_ended()).map(next).min();
            slowest.map_or(0, |next| feed.published.next().0.saturating_sub(next))
        };
        feeds.iter().map(lag).max().unwrap_or(0)
    }
}

fn make_batch(publication: &Publication, slots: SlotRange) -> Result<Arc<FeedBatch>> {
    let mut records = Vec::with_capacity(publication.records.len());
    for record in &publication.records {
        records.extend(filter_record(record, slots)?);
    }
    Ok(Arc::new(FeedBatch { branch: publication.branch, records, complete_through: publication.last }))
}
