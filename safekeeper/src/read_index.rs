//! Confirms leadership for snapshots: calls that wait at the same time share one round (S1).

use crate::raft::Member;
use parking_lot::Mutex;
use shardforge_common::{Error, Result, task};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::runtime::Handle;

type Waiter = Box<dyn FnOnce(Result<()>) + Send>;

#[derive(Default)]
struct Rounds {
    running: bool,
    waiting: Vec<Waiter>,
}

/// The rounds of one member.
#[derive(Clone)]
pub(crate) struct ReadIndex {
    member: Arc<Member>,
    runtime: Handle,
    single_voter: Arc<AtomicBool>,
    rounds: Arc<Mutex<Rounds>>,
}

impl ReadIndex {
    pub(crate) fn new(member: Arc<Member>, runtime: Handle, single_voter: Arc<AtomicBool>) -> Self {
        Self { member, runtime, single_voter, rounds: Arc::default() }
    }

    /// Whether a leader needs nobody to confirm it: it is the only voter.
    pub(crate) fn confirms_itself(&self) -> bool {
        self.single_voter.load(Ordering::Acquire)
    }

    /// Calls `done` after a round that began after this call, with everything committed before it
    /// applied.
    pub(crate) fn confirm(&self, done: Waiter) {
        let mut rounds = self.rounds.lock();
        rounds.waiting.push(done);
        if !rounds.running {
            rounds.running = true;
            drop(rounds);
            let own = self.clone();
            // One task for a run of rounds, not for each call.
            drop(task::spawn_on(&self.runtime, "read-index", async move { own.run().await }));
        }
    }

    async fn run(&self) {
        loop {
            let waiting = {
                let mut rounds = self.rounds.lock();
                if rounds.waiting.is_empty() {
                    rounds.running = false;
                    return;
                }
                std::mem::take(&mut rounds.waiting)
            };
            let confirmed: Result<(), Error> = self.member.confirm_leadership().await;
            waiting.into_iter().for_each(|done| done(confirmed.clone()));
        }
    }
}
