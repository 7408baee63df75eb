//! The sole-writer lease, as its holder uses it (S2): while it lasts, the newest LSN is what is applied here.
//!
//! # What is guaranteed
//!
//! [`Lease::snapshot`] answers only when nobody else can have committed, or shown a commit, up to some
//! moment after the statement arrived. The end of the lease is counted from the *sending* of the request that
//! gave it, by a clock that runs through suspend.
//!
//! # How it is kept
//!
//! A task asks for it when the branch is opened, and renews it a few times in its duration while snapshots
//! are taken; a renewal is a word with the log's leader and no record in the log. On a branch at rest
//! nothing is asked for, and the lease runs out. When the leader refuses, since another compute is at
//! work, it is given back at once, and snapshots are confirmed by the leader (S1), until it may be had again.

use super::branch::Branch;
use shardforge_common::clock::Clock;
use shardforge_common::{Lsn, Result, task};
use shardforge_proto::wal::{LeaseGrant, LeaseRequest};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::{Notify, oneshot};

/// A lease that is refused, or not answered, is asked for again after this, if snapshots are taken.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(500);
/// A lease is renewed so many times in its duration.
const RENEWALS: u32 = 4;

/// What a branch knows of its lease.
pub(crate) struct Lease {
    clock: Arc<dyn Clock>,
    /// Until when it holds, in microseconds since boot; 0 when there is none.
    until_micros: AtomicU64,
    /// A snapshot was wanted since the keeper last looked.
    wanted: AtomicBool,
    ask: Arc<Notify>,
}

impl Lease {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let (until_micros, wanted) = (AtomicU64::new(0), AtomicBool::new(false));
        Self { clock, until_micros, wanted, ask: Arc::default() }
    }

    /// The newest LSN of the branch, or `None` when only the log's leader knows it.
    ///
    /// The order matters. The end of the lease is read first and once more at last: so it was not given back
    /// before the LSN was read. The clock is read after the LSN: so a process that is frozen in between
    /// finds that its time has run out.
    pub(crate) fn snapshot(&self, applied: impl FnOnce() -> Lsn) -> Option<Lsn> {
        let until = self.until_micros.load(Ordering::SeqCst);
        if !self.wanted.load(Ordering::Relaxed) {
            self.wanted.store(true, Ordering::Relaxed);
            self.ask.notify_one();
        }
        if until == 0 {
            return None;
        }
        let lsn = applied();
        let in_time = micros(self.clock.boottime()) < until;
        (in_time && self.until_micros.load(Ordering::SeqCst) == until).then_some(lsn)
    }

    /// Lets the keeper see that its branch is gone.
    pub(crate) fn wake(&self) {
        self.ask.notify_one();
    }

    fn end(&self) -> bool {
        self.until_micros.swap(0, Ordering::SeqCst) != 0
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Asks for the lease, once. `None`: it was refused. Gives its duration.
async fn ask(branch: &Branch) -> Result<Option<Duration>> {
    let lease = &branch.lease;
    let sent = lease.clock.boottime();
    let (answer, answered) = oneshot::channel();
    let request = LeaseRequest { branch: branch.id, holder: branch.me, in_process: branch.config.in_process };
    branch.wal.lease(request, Box::new(move |grant| drop(answer.send(grant))));
    let gone = || shardforge_common::Error::retry("the log's leader went away");
    let answer = task::timeout(ASK_AGAIN_AFTER, answered).await.and_then(Result::ok).ok_or_else(gone)?;
    let Some(LeaseGrant { lsn, duration }) = answer? else { return Ok(None) };
    branch.cache.wait_applied(lsn).await?;
    lease.until_micros.store(micros(sent + duration), Ordering::SeqCst);
    Ok(Some(duration))
}

/// Gives the lease back: first it is used no more.
pub(crate) fn give_back(branch: &Branch) {
    if branch.lease.end() {
        branch.wal.give_back(branch.id, branch.me);
    }
}

/// Keeps the lease of a branch, until the branch is dropped or closed.
pub(crate) async fn keep(branch: Weak<Branch>) {
    loop {
        let pause = {
            let Some(branch) = branch.upgrade().filter(|branch| !branch.cache.is_closed()) else { return };
            branch.lease.wanted.store(false, Ordering::Relaxed);
            match ask(&branch).await {
                Ok(Some(duration)) => duration / RENEWALS,
                Ok(None) => {
                    give_back(&branch);
                    ASK_AGAIN_AFTER
                }
                // What it has lasts as long as it lasts.
                Err(error) => {
                    tracing::debug!(branch = %branch.id, %error, "the lease was not answered");
                    ASK_AGAIN_AFTER
                }
            }
        };
        task::sleep(pause).await;
        loop {
            let wait = {
                let Some(branch) = branch.upgrade().filter(|branch| !branch.cache.is_closed()) else {
                    return;
                };
                if branch.lease.wanted.load(Ordering::Relaxed) {
                    break;
                }
                branch.lease.ask.clone()
            };
            wait.notified().await;
        }
    }
}
