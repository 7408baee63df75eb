//! Ingest: from the WAL feed into memtables, and from memtables into level-0 layers.
//!
//! # What is guaranteed
//!
//! 1. `uploaded <= frozen <= ingested`, and each only grows. None lies inside a commit (L4).
//! 2. A layer is named in a manifest only after it is durable, and the WAL service hears of an
//!    uploaded LSN only after the manifest that says so counted (I5, P2).
//! 3. Memory is bounded: the feed gets credit for what was ingested, but none while too many
//!    memtables wait to be written. A commit larger than a memtable is frozen in parts ([`flush`]).
//!
//! # The life of a batch
//!
//! 1. [`queue::FeedQueue`] takes it from the thread that applies the log: a push, and a wake-up when the
//!    task has nothing to do. While commits come, the task looks every few milliseconds, or when much has come,
//!    or when a read waits.
//! 2. [`run`] puts its mutations into the active memtable, moves the ingested LSN, which wakes
//!    waiting reads, and grants credit.
//! 3. At `memtable_bytes`, or after a while idle, the memtable is frozen; [`flush::run`] writes it as a
//!    layer, uploads that, publishes the manifest, and reports.

pub(crate) mod flush;
pub(crate) mod memtable;
pub(crate) mod queue;
pub(crate) mod sorted_run;

use crate::shard::Shard;
use queue::FeedQueue;
use shardforge_common::mutation::{Mutation, MutationList};
use shardforge_common::wal::RecordKind;
use shardforge_common::{Error, ErrorKind, Lsn, Result, task};
use shardforge_proto::wal::{FeedBatch, FeedRequest, FeedSink, FeedSubscription};
use std::sync::Arc;
use std::time::Duration;

/// How long a failed subscription waits before the next attempt.
const RETRY: Duration = Duration::from_millis(200);
/// Between two looks at the queue while commits come and no read waits for them.
const REST: Duration = Duration::from_millis(10);

/// Keeps a shard subscribed until it stops.
pub(crate) async fn run(shard: Arc<Shard>) {
    while !shard.stopping() {
        let queue = Arc::new(FeedQueue::default());
        let request = FeedRequest {
            branch: shard.place.branch,
            from: shard.ingested().next(),
            slots: shard.place.slots,
            credit_bytes: shard.config.ingest_credit_bytes,
        };
        let ended = match shard.wal.subscribe(request, Arc::clone(&queue) as Arc<dyn FeedSink>) {
            Ok(subscription) => follow(&shard, &queue, &*subscription).await,
            Err(error) => Err(error),
        };
        match ended {
            Ok(()) => return,
            Err(error)
                if matches!(error.kind(), ErrorKind::Invalid | ErrorKind::Corrupt | ErrorKind::Fenced) =>
            {
                tracing::error!(shard = %shard.place, %error, "ingest has stopped");
                shard.stop_with(error);
                return;
            }
            Err(error) => tracing::warn!(shard = %shard.place, %error, "the feed ended; subscribing again"),
        }
        shard.forget_parts();
        shard.pause(RETRY).await;
    }
}

/// Ingests one subscription's batches. `Ok` when the shard stops.
async fn follow(shard: &Shard, queue: &FeedQueue, feed: &dyn FeedSubscription) -> Result<()> {
    let idle = Duration::from_millis(shard.config.idle_flush_millis.max(1));
    let mut frozen_at = shard.clock.boottime();
    // Credit that is due, held back while memtables wait.
    let mut owed = 0u64;
    let mut inside_a_commit = false;
    // What came of the commit that is coming.
    let mut coming_bytes = 0;
    loop {
        if shard.stopping() {
            return Ok(());
        }
        let (batches, ended) = queue.take();
        shard.metrics.ingest_lag.set(batches.len() as f64);
        let quiet = batches.is_empty();
        for batch in batches {
            owed += body_bytes(&batch);
            let coming = ingest(shard, &batch)?;
            coming_bytes = if coming.is_some() { coming_bytes + body_bytes(&batch) } else { 0 };
            if shard.active_bytes() as u64 >= shard.config.memtable_bytes {
                match coming {
                    None => shard.freeze(),
                    Some(lsn) if coming_bytes >= shard.config.memtable_bytes / 2 => shard.freeze_part(lsn),
                    // It will soon be whole.
                    Some(_) => {}
                }
                frozen_at = shard.clock.boottime();
            }
            inside_a_commit = coming.is_some();
        }
        let room = shard.waiting_memtables() <= shard.config.waiting_memtables && !shard.too_deep();
        let soon_whole = inside_a_commit && coming_bytes < shard.config.memtable_bytes / 2;
        if owed > 0 && (room || soon_whole) {
            feed.grant(owed);
            owed = 0;
        }
        if !quiet {
            shard.report();
            if !inside_a_commit && shard.nobody_waits() {
                queue.set_resting(true);
                let _ = task::timeout(REST, async {
                    tokio::select! {
                        biased;
                        () = queue.arrived() => {}
                        () = shard.hurried() => {}
                        () = shard.ended() => {}
                    }
                })
                .await;
                queue.set_resting(false);
            }
            continue;
        }
        if let Some(reason) = ended {
            return Err(reason);
        }
        if shard.clock.boottime().saturating_sub(frozen_at) >= idle {
            if !inside_a_commit {
                shard.freeze();
            }
            frozen_at = shard.clock.boottime();
        }
        // Woken by a batch, by a flush that made room, and by the shard's end.
        let _ = task::timeout(idle, async {
            tokio::select! {
                biased;
                () = queue.arrived() => {}
                () = shard.flushed() => {}
                () = shard.ended() => {}
            }
        })
        .await;
    }
}

fn body_bytes(batch: &FeedBatch) -> u64 {
    batch.records.iter().map(|record| record.body.len() as u64).sum()
}

/// Applies one batch; gives the commit inside of which it ends, if it does.
fn ingest(shard: &Shard, batch: &FeedBatch) -> Result<Option<Lsn>> {
    let mut active = shard.active();
    let ingested = shard.ingested();
    let mut last = Lsn::ZERO;
    for record in &batch.records {
        let lsn = record.header.lsn;
        // A new subscription may send again what an old one did.
        if lsn <= ingested {
            continue;
        }
        // Of a filtered feed the last record of a commit may have been left out.
        if end_of_parts(shard, lsn.prev()) {
            active = shard.active();
        }
        last = lsn;
        if matches!(record.header.kind, RecordKind::Commit | RecordKind::Fragment) {
            shard.metrics.ingested_bytes.increment(record.body.len() as u64);
            let list = MutationList::from_bytes(record.body.clone());
            if shard.has_rows_in_parts() {
                refuse_late_ranges(&list)?;
            }
            active
                .apply(&list, lsn)
                .map_err(|e| e.context(format!("ingesting LSN {lsn} of {}", shard.place)))?;
        }
        if record.header.last && end_of_parts(shard, lsn) {
            active = shard.active();
        }
    }
    end_of_parts(shard, batch.complete_through);
    shard.advance(batch.complete_through);
    Ok((last > batch.complete_through).then_some(last))
}

/// When a commit that came in parts is whole, as everything up to `through` is: it can be read from memtables
/// and parts, and its layers can be named.
fn end_of_parts(shard: &Shard, through: Lsn) -> bool {
    let Some(open) = shard.open_commit().filter(|open| *open <= through) else { return false };
    shard.advance(open);
    shard.freeze_rest();
    true
}

/// The log takes deleted ranges of a large commit before its rows only: in parts that are written already,
/// a range could no longer be told from one below them.
fn refuse_late_ranges(list: &MutationList) -> Result<()> {
    for mutation in list.iter() {
        if matches!(mutation?, Mutation::DeleteRange { .. }) {
            return Err(Error::invalid("a range is deleted after rows of the same large commit"));
        }
    }
    Ok(())
}
