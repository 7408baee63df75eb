//! Brings subscribers that are behind up to what was published, from the log and from the archive.

use super::filter::filter_record;
use super::hub::Hub;
use super::subscriber::Subscriber;
use shardforge_common::wal::{Record, RecordHeader, RecordKind};
use shardforge_common::{BranchRef, Error, Lsn, Result};
use shardforge_proto::wal::FeedBatch;
use std::sync::Arc;

/// A chunk of work on one subscriber reads about so much, in bytes.
const CHUNK_BYTES: usize = 1 << 20;

/// A part of a branch's history, in order.
#[derive(Debug, Default)]
pub struct Chunk {
    /// Records with their LSNs, fragments in the place of their commit.
    pub records: Vec<Record>,
    /// Everything up to here is in it, or came before.
    pub complete_through: Lsn,
    /// How many fragments of the LSN after `complete_through` it ends with, counted from the first.
    pub fragments_done: usize,
    /// Where to go on in the log.
    pub cursor: Option<u64>,
}

/// Where a subscriber wants to go on.
#[derive(Debug, Clone, Copy)]
pub struct ReadFrom {
    /// The branch.
    pub branch: BranchRef,
    /// The first LSN not yet delivered in full.
    pub next: Lsn,
    /// How many of its fragments were.
    pub fragments_done: usize,
    /// The log index at which to go on reading.
    pub cursor: Option<u64>,
}

/// Where committed records are read from.
pub trait Source: Send + Sync {
    /// The last commit that was applied.
    fn committed(&self, branch: BranchRef) -> Result<Lsn>;

    /// The next records, about `max_bytes` of them; at least one fragment, or one LSN. Called only when
    /// `from.next` is committed. `NotFound` when it is no longer kept anywhere.
    fn read(&self, from: ReadFrom, max_bytes: usize) -> Result<Chunk>;
}

/// The work of the catch-up thread.
pub struct CatchUp {
    hub: Arc<Hub>,
    source: Arc<dyn Source>,
}

impl CatchUp {
    /// Catch-up from a source.
    pub fn new(hub: Arc<Hub>, source: Arc<dyn Source>) -> Self {
        Self { hub, source }
    }

    /// Works until the hub is closed.
    pub fn run(&self) {
        while let Some(subscriber) = self.hub.next_behind() {
            self.step(subscriber);
        }
    }

    /// A chunk of work, if there is any: for whoever drives it without a thread.
    #[cfg(test)]
    pub(super) fn try_step(&self) -> bool {
        let next = self.hub.try_next_behind();
        next.map(|subscriber| self.step(subscriber)).is_some()
    }

    /// A chunk of work on a subscriber that was taken off the queue.
    fn step(&self, subscriber: Arc<Subscriber>) {
        if subscriber.has_ended() {
            return;
        }
        match self.advance(&subscriber) {
            Ok(true) => self.hub.requeue(subscriber),
            Ok(false) => {}
            // The log was trimmed, or an archived object is not to be had: the subscriber asks again.
            Err(e) => subscriber.end(e.context(format!("the feed of branch {}", subscriber.branch))),
        }
    }

    /// Delivers a chunk. False when there is no more to do for now.
    fn advance(&self, subscriber: &Arc<Subscriber>) -> Result<bool> {
        if !subscriber.has_credit() {
            subscriber.progress.lock().queued = false;
            // Credit that was granted in between found it queued.
            self.hub.enqueue_if_behind(subscriber);
            return Ok(false);
        }
        let from = {
            let progress = subscriber.progress.lock();
            ReadFrom {
                branch: subscriber.branch,
                next: progress.next,
                fragments_done: progress.fragments_done,
                cursor: progress.cursor,
            }
        };
        if from.next > self.source.committed(subscriber.branch)? {
            return Ok(!self.hub.go_live(subscriber));
        }
        let chunk = self.source.read(from, CHUNK_BYTES)?;
        let mut records = Vec::with_capacity(chunk.records.len());
        for record in &chunk.records {
            records.extend(filter_record(record, subscriber.slots)?);
        }
        let (branch, complete_through) = (subscriber.branch.branch, chunk.complete_through);
        {
            let mut progress = subscriber.progress.lock();
            progress.next = complete_through.next();
            progress.fragments_done = chunk.fragments_done;
            progress.cursor = chunk.cursor;
        }
        subscriber.deliver(&Arc::new(FeedBatch { branch, records, complete_through }));
        Ok(true)
    }
}

/// A fragment as the feed delivers it: at the LSN of its commit record.
pub fn placed_fragment(fragment: &Record, commit: &RecordHeader) -> Result<Record> {
    let same = fragment.header.branch == commit.branch && fragment.header.txn == commit.txn;
    if fragment.header.kind != RecordKind::Fragment || !same {
        return Err(Error::corrupt(format!("LSN {}: its fragments are not where they were", commit.lsn)));
    }
    let header = RecordHeader {
        lsn: commit.lsn,
        prev_lsn: commit.prev_lsn,
        time_micros: commit.time_micros,
        last: false,
        ..fragment.header
    };
    Ok(Record { header, body: fragment.body.clone() })
}
