//! Numbers the commits of a group: the leader's side of a commit, from request to proposal.
//!
//! The sequencer is a mutex around a pure [`SequencerCore`], not a task: whichever committer finds it
//! free runs it, for everyone who waits. A run takes all requests, certifies them one after another,
//! gives LSNs and times, and proposes **one** Raft entry. A few entries are in flight at once; while
//! they are, requests gather, and the thread that applies an entry runs the sequencer again. There is
//! no timer and no lingering: a lone commit goes at once, and under load batches grow by themselves.
//!
//! # Invariants
//!
//! 1. A batch is proposed only under the term in which it was certified, and by the order in which it
//!    was numbered (L2).
//! 2. When one proposal fails, the whole core dies: its certifier counted writes that never happened.
//!    Everyone who waited is told to ask again, and a new core is made only when nothing proposed
//!    before can still be applied.
//! 3. A transaction id is looked up before anything else about it is decided: among the pending ones,
//!    then among the outcomes (C1). So a request sent again waits for the first, and has its answer.
//! 4. A final negative answer to a second attempt, and to the question what became of an id, is an
//!    abort record in the log before it is told (C1).
//! 5. While the disk is full nothing is proposed: commits are refused, the lease is only renewed, which takes no
//!    record, and what became of an undecided id stays open. A batch that found its segment full nevertheless
//!    waits in the log, and those behind it are refused as well.
//!
//! # Life of a request
//!
//! 1. [`Sequencer::enqueue`] puts it into the inbox and tries to run.
//! 2. [`SequencerCore::run`] decides, and builds a [`Batch`].
//! 3. The [`Proposer`] takes the batch to Raft.
//! 4. When it has been applied, [`Sequencer::on_applied`] answers all who waited for its records.

mod core;
mod leases;
mod pending;
mod rebuild;
mod requests;

pub use self::core::{Context, CoreConfig, SequencerCore};
pub(crate) use leases::held_elsewhere;
pub use rebuild::Rebuild;
pub(crate) use requests::LeaseDone;
pub use requests::{Answer, Request};

use crate::group::{Applied, Batch, GroupState};
use crate::lease::Leases;
use parking_lot::{Mutex, RwLock};
use shardforge_common::Result;
use shardforge_common::clock::Clock;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Notify;

/// Takes batches to the log.
pub trait Proposer: Send + Sync {
    /// Proposes a batch under its term. Must not block, and must keep the order of calls. A batch that
    /// does not make it into the log under that term is reported to [`Sequencer::stand_down`].
    fn propose(&self, batch: Batch);

    /// Whether a batch of so many bytes finds room. One that is proposed without waits in the log until there
    /// is, and everything behind it. An error of kind `Unavailable` says what was tried.
    fn room(&self, bytes: u64) -> Result<()>;
}

enum Role {
    /// Not the leader, or not yet ready to be: requests are refused with this reason.
    Idle(String),
    Leading(Box<SequencerCore>),
}

/// The shell: inbox, lock, answers.
pub struct Sequencer {
    inbox: Mutex<VecDeque<Request>>,
    role: Mutex<Role>,
    state: Arc<RwLock<GroupState>>,
    clock: Arc<dyn Clock>,
    leases: Arc<Leases>,
    proposer: OnceLock<Arc<dyn Proposer>>,
    /// How many entries may be in flight.
    depth: usize,
    /// The term that is led, 0 for none: to be asked without the lock.
    leading: AtomicU64,
    /// Rung when a batch was refused, and the core died of it.
    refused: Notify,
}

impl Sequencer {
    /// A sequencer that leads nothing yet.
    pub fn new(
        state: Arc<RwLock<GroupState>>,
        clock: Arc<dyn Clock>,
        leases: Arc<Leases>,
        depth: usize,
    ) -> Self {
        let role = Mutex::new(Role::Idle("the group has no leader yet".into()));
        let depth = depth.max(1);
        let leading = AtomicU64::new(0);
        Self {
            inbox: Mutex::default(),
            role,
            state,
            clock,
            leases,
            proposer: OnceLock::new(),
            depth,
            leading,
            refused: Notify::new(),
        }
    }

    /// Says where batches go; once, before the first leadership.
    pub fn connect(&self, proposer: Arc<dyn Proposer>) {
        if self.proposer.set(proposer).is_err() {
            tracing::error!("a sequencer was connected twice; the first proposer stays");
        }
    }

    /// Takes a request; its completion is called exactly once.
    pub fn enqueue(&self, request: Request) {
        self.inbox.lock().push_back(request);
        self.pump();
    }

    /// Runs the core if it is free and something waits. Whoever holds the lock, for whatever purpose, calls
    /// this after giving it back, so a request put in meanwhile is not left behind.
    fn pump(&self) {
        loop {
            let Some(mut role) = self.role.try_lock() else { return };
            let mut answers = Vec::new();
            let mut full = false;
            match &mut *role {
                Role::Idle(reason) => {
                    let waiting = std::mem::take(&mut *self.inbox.lock());
                    answers.extend(waiting.into_iter().map(|request| request.refuse(reason)));
                }
                Role::Leading(core) => loop {
                    let proposer = self.proposer.get().expect("connected before the first leadership");
                    full = core.in_flight() >= self.depth;
                    let mut waiting = std::mem::take(&mut *self.inbox.lock());
                    if full
                        && !waiting.is_empty()
                        && let Err(no_room) = proposer.room(0)
                    {
                        answers.extend(waiting.drain(..).map(|request| request.refuse_full(&no_room)));
                    }
                    if full || waiting.is_empty() {
                        self.put_back(waiting);
                        break;
                    }
                    let now = (self.clock.wall_micros(), self.clock.boottime());
                    let room = |bytes| proposer.room(bytes);
                    let batch = {
                        let state = self.state.read();
                        let context = Context { now, state: &state, leases: &self.leases, room: &room };
                        core.run(&context, &mut waiting, &mut answers)
                    };
                    self.put_back(waiting);
                    if let Some(batch) = batch {
                        proposer.propose(batch);
                    }
                },
            }
            drop(role);
            answers.into_iter().for_each(Answer::call);
            if full || self.inbox.lock().is_empty() {
                return;
            }
        }
    }

    fn put_back(&self, waiting: VecDeque<Request>) {
        if !waiting.is_empty() {
            let mut inbox = self.inbox.lock();
            for request in waiting.into_iter().rev() {
                inbox.push_front(request);
            }
        }
    }

    /// Begins to lead with a core that was rebuilt from the log.
    pub fn lead(&self, core: SequencerCore) {
        {
            let mut role = self.role.lock();
            self.leases.begin(&self.state.read(), self.clock.boottime());
            self.leading.store(core.term(), Ordering::Release);
            *role = Role::Leading(Box::new(core));
        }
        self.pump();
    }

    /// The term that is led now: leadership was confirmed in it, and everything before it is applied.
    pub fn leading_term(&self) -> Option<u64> {
        Some(self.leading.load(Ordering::Acquire)).filter(|term| *term != 0)
    }

    /// Whether nobody waits for an answer, as far as can be told at once.
    pub fn is_idle(&self) -> bool {
        let in_flight = match self.role.try_lock().as_deref() {
            Some(Role::Leading(core)) => core.in_flight() > 0,
            Some(Role::Idle(_)) => false,
            None => return false,
        };
        let waiting = !self.inbox.lock().is_empty();
        if waiting {
            // Whoever came while the lock was held for looking went away without a run.
            self.pump();
        }
        !in_flight && !waiting
    }

    /// Waits until the sequencer has stopped leading of itself, because a batch was refused.
    pub async fn stood_down(&self) {
        self.refused.notified().await;
    }

    /// Stops leading, if the term is still `term` (or whatever it is, with `None`): everyone who waits
    /// is told to ask again.
    pub fn stand_down(&self, term: Option<u64>, reason: &str) {
        let mut answers = Vec::new();
        {
            let mut role = self.role.lock();
            match &mut *role {
                Role::Leading(core) if term.is_none_or(|term| term == core.term()) => {
                    core.abandon_all(reason, &mut answers);
                    self.leading.store(0, Ordering::Release);
                    *role = Role::Idle(reason.to_string());
                }
                Role::Leading(_) => {}
                Role::Idle(old) => *old = reason.to_string(),
            }
        }
        answers.into_iter().for_each(Answer::call);
        self.pump();
    }

    /// Tells of a batch that was applied, after the replicated state has taken it and the feed has
    /// delivered it. Answers those who waited for its records, and runs what gathered meanwhile.
    pub fn on_applied(&self, batch: &Batch, applied: &Applied) {
        let mut answers = Vec::new();
        {
            let mut role = self.role.lock();
            if let Role::Leading(core) = &mut *role {
                match applied {
                    Applied::Done(effects) => {
                        core.on_applied(batch, effects, &self.state.read(), &mut answers)
                    }
                    Applied::Refused(reason) if batch.term == core.term() => {
                        core.abandon_all(reason, &mut answers);
                        self.leading.store(0, Ordering::Release);
                        self.refused.notify_one();
                        *role = Role::Idle(format!("a batch did not follow on: {reason}"));
                    }
                    Applied::Refused(_) => {}
                }
            }
        }
        // The next batch first: it takes its way to the disk while the answers go out.
        self.pump();
        answers.into_iter().for_each(Answer::call);
    }

    /// Aborts staged transactions of which nothing was heard for so long (C6).
    pub fn expire_staged(&self, lease: std::time::Duration) {
        let now = self.clock.boottime();
        let expired = match &*self.role.lock() {
            Role::Leading(core) => core.staged_before(now.saturating_sub(lease)),
            Role::Idle(_) => Vec::new(),
        };
        for (branch, txn) in expired {
            tracing::info!(%branch, %txn, "a staged transaction was not heard of for its lease: aborting it");
            self.enqueue(Request::Abandon { branch, txn });
        }
        // Whoever came while the lock was held for looking went away without a run; and whoever waits behind a
        // batch for which the disk has no room hears of it now.
        self.pump();
    }
}

#[cfg(test)]
mod full_tests;
#[cfg(test)]
mod lease_tests;
#[cfg(test)]
mod tests;
