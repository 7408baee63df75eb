//! A lone commit is carried to the disk by the thread that asks for it.
//!
//! A commit that nobody shares its sync with spends as long on the way to the group's thread and back, on two
//! cores to be woken, as in all the work between. A caller whose event loop serves nobody else
//! ([`task::is_alone`]) has to wait for its answer anyway, so it takes the group's [`Turn`](crate::raft::Turn):
//! certifying, writing, syncing, applying and answering are then calls of one thread.
//!
//! What is left when the answer is there (openraft's own accounts) waits until the caller's loop has sent it on.
//! When somebody else's commit came meanwhile, the group's thread is woken for it at once. And where the disk
//! takes long, a wake-up more does not matter, while the caller's loop would be held up: then it is left alone.

use crate::raft::Executor;
use crate::sequencer::Sequencer;
use shardforge_common::clock::Clock;
use shardforge_common::task;
use shardforge_proto::wal::{CommitOutcome, Completion};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// A thread is held only while commits take less than this, on average.
const HELD_AT_MOST: Duration = Duration::from_micros(500);
/// A lone commit wakes about twenty tasks; with this many polls something else has come.
const POLLS: usize = 256;

/// Lends callers' threads to the group.
pub(crate) struct LoneCommits {
    executor: Executor,
    /// How long such commits take: a moving average of the last few, in nanoseconds.
    nanos: AtomicU64,
}

impl LoneCommits {
    pub(crate) fn new(executor: Executor) -> Self {
        Self { executor, nanos: AtomicU64::new(0) }
    }

    /// Submits by `submit`, on this thread if it is alone.
    pub(crate) fn carry(
        &self,
        sequencer: &Sequencer,
        clock: &dyn Clock,
        done: Completion<CommitOutcome>,
        submit: impl FnOnce(Completion<CommitOutcome>),
    ) {
        let nanos = self.nanos.load(Ordering::Relaxed);
        if !task::is_alone() {
            return submit(done);
        }
        if u128::from(nanos) > HELD_AT_MOST.as_nanos() {
            // Less with each, so that it is tried again some time.
            self.nanos.store(nanos - nanos / 16, Ordering::Relaxed);
            return submit(done);
        }
        let Some(turn) = self.executor.try_turn() else { return submit(done) };
        let began = clock.boottime();
        let answered = Arc::new(AtomicBool::new(false));
        let mark = answered.clone();
        submit(Box::new(move |outcome| {
            done(outcome);
            mark.store(true, Ordering::Release);
        }));
        turn.run(POLLS, || answered.load(Ordering::Acquire));
        let took = u64::try_from((clock.boottime().saturating_sub(began)).as_nanos()).unwrap_or(u64::MAX);
        self.nanos.store(nanos - nanos / 8 + took / 8, Ordering::Relaxed);
        if sequencer.is_idle() && turn.leave() {
            let executor = self.executor.clone();
            drop(task::spawn("wal-rest", async move { executor.run_rest() }));
        }
    }
}
