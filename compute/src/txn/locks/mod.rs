//! Row locks inside one compute, on keys, absent ones and entries of unique indexes included.
//!
//! # What is guaranteed
//!
//! Writers of the same key in one compute wait for one another in the order they came; whoever would
//! wait for itself is told so at once (40P01). A lock is held until its holder's commit has been
//! applied here, or it ended without effect: so whoever gets it reads what the holder wrote.
//!
//! # What it does not do
//!
//! Computes do not see one another's locks: across them the certifier decides. The same holds for some of the rows
//! of a transaction that has very many locks, so that its memory has a limit: see [`core`].
//!
//! # How a wait goes
//!
//! 1. [`LockOwner::lock`] asks the pure [`core::LockCore`]; queued, the operation stops with a
//!    [`LockNeed`].
//! 2. [`LockOwner::wait`] waits until a release grants it; dropped, it leaves the queue.
//! 3. The operation is called again, and finds the lock held.

mod core;
#[cfg(test)]
mod tests;

use self::core::{Answer, LockCore, OwnerId};
use super::{TxnError, TxnErrorKind};
use bytes::Bytes;
use parking_lot::Mutex;
use shardforge_common::mutation::{Aspects, Mutation};
use shardforge_common::{Lsn, task};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use tokio::sync::Notify;

/// The strengths of PostgreSQL's row locks, the weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LockMode {
    /// FOR KEY SHARE: the row's key stays; foreign-key checks take it.
    KeyShare,
    /// FOR SHARE: the row stays as it is.
    Share,
    /// FOR NO KEY UPDATE: an update that leaves the key alone.
    NoKeyUpdate,
    /// FOR UPDATE: a delete, an insert, an update of the key.
    Update,
}

/// What to do when another transaction holds the lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LockWait {
    /// Queue, for as long as it takes.
    #[default]
    Forever,
    /// Queue, at most this long (`lock_timeout`).
    Timeout(std::time::Duration),
    /// NOWAIT: fail with 55P03.
    NoWait,
    /// SKIP LOCKED: answer [`LockGrant::Skipped`].
    Skip,
}

/// How a lock was got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockGrant {
    /// At once.
    Granted,
    /// This transaction held it, or a stronger one, before; or made the storage itself.
    Held,
    /// Not at all: SKIP LOCKED, and another transaction holds it.
    Skipped,
}

/// A lock that a transaction is queued for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockNeed {
    /// The key.
    pub key: Bytes,
    /// The strength.
    pub mode: LockMode,
    /// How long to wait.
    pub wait: LockWait,
}

/// The locks of a branch.
pub(crate) struct LockTable {
    core: Mutex<LockCore>,
    owners: Mutex<HashMap<OwnerId, Weak<LockOwner>, ahash::RandomState>>,
    next: AtomicU64,
}

impl LockTable {
    /// A table in which one transaction has about so many locks on single rows, at most twice as many.
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            core: Mutex::new(LockCore::new(limit)),
            owners: Mutex::default(),
            next: AtomicU64::new(1),
        })
    }

    /// A transaction that may lock.
    pub(crate) fn owner(self: &Arc<Self>) -> Arc<LockOwner> {
        Arc::new(LockOwner {
            table: self.clone(),
            id: OwnerId(self.next.fetch_add(1, Ordering::Relaxed)),
            used: AtomicBool::new(false),
            granted: Notify::new(),
            doomed: Mutex::new(None),
        })
    }

    /// Whether no key is locked.
    pub(crate) fn is_unused(&self) -> bool {
        self.core.lock().is_empty()
    }

    /// The handle may be the last: it must not be dropped under the lock, which its drop takes too.
    fn find(&self, id: OwnerId) -> Option<Arc<LockOwner>> {
        self.owners.lock().get(&id)?.upgrade()
    }

    fn wake(&self, granted: &[OwnerId]) {
        if granted.is_empty() {
            return;
        }
        for owner in granted.iter().filter_map(|id| self.find(*id)) {
            owner.granted.notify_one();
        }
    }

    /// A commit of another compute came down the feed: whoever holds what it wrote can no longer
    /// commit, and is told at once rather than at the end (C7).
    pub(crate) fn doom(&self, mutation: &Mutation<'_>, lsn: Lsn) {
        let core = self.core.lock();
        if core.is_empty() {
            return;
        }
        let hit = |mode: LockMode| {
            let asks = if mode == LockMode::KeyShare { Aspects::EXISTENCE } else { Aspects::ALL };
            asks.intersects(mutation.aspects())
        };
        let mut doomed: Vec<(OwnerId, Bytes)> = Vec::new();
        if let Mutation::DeleteRange { start, end } = mutation {
            for (key, holders) in core.held_keys().filter(|(key, _)| *start <= &key[..] && &key[..] < *end) {
                doomed
                    .extend(holders.iter().filter(|(_, mode)| hit(*mode)).map(|(id, _)| (*id, key.clone())));
            }
        } else {
            let key = mutation.key();
            let holders = core.holders(key).filter(|(_, mode)| hit(*mode));
            doomed.extend(holders.map(|(id, _)| (id, Bytes::copy_from_slice(key))));
        }
        drop(core);
        for (id, key) in doomed {
            if let Some(owner) = self.find(id) {
                *owner.doomed.lock() = Some((key, lsn));
            }
        }
    }
}

/// One transaction's locks. They are released when the last handle to them is dropped: the
/// transaction's, and while its commit is under way, the feed's.
pub(crate) struct LockOwner {
    table: Arc<LockTable>,
    id: OwnerId,
    used: AtomicBool,
    granted: Notify,
    doomed: Mutex<Option<(Bytes, Lsn)>>,
}

impl LockOwner {
    /// Asks for a row's key. `Ok(None)` means: queued.
    pub(crate) fn lock(
        self: &Arc<Self>,
        key: &[u8],
        mode: LockMode,
        wait: LockWait,
    ) -> Result<Option<LockGrant>, TxnError> {
        self.ask(key, wait, |core, may_wait| core.acquire(self.id, key, mode, may_wait))
    }

    /// The same for a key under which there is no row yet.
    pub(crate) fn lock_new(
        self: &Arc<Self>,
        key: &[u8],
        wait: LockWait,
    ) -> Result<Option<LockGrant>, TxnError> {
        self.ask(key, wait, |core, may_wait| core.acquire_new(self.id, key, may_wait))
    }

    /// The same for a table, whose lock is entered however many there are.
    pub(crate) fn lock_table(
        self: &Arc<Self>,
        key: &[u8],
        mode: LockMode,
        wait: LockWait,
    ) -> Result<Option<LockGrant>, TxnError> {
        self.ask(key, wait, |core, may_wait| core.acquire_single(self.id, key, mode, may_wait))
    }

    fn ask(
        self: &Arc<Self>,
        key: &[u8],
        wait: LockWait,
        ask: impl FnOnce(&mut LockCore, bool) -> Answer,
    ) -> Result<Option<LockGrant>, TxnError> {
        if !self.used.swap(true, Ordering::Relaxed) {
            self.table.owners.lock().insert(self.id, Arc::downgrade(self));
        }
        let may_wait = !matches!(wait, LockWait::NoWait | LockWait::Skip);
        let answer = ask(&mut self.table.core.lock(), may_wait);
        match answer {
            Answer::Granted | Answer::Omitted => Ok(Some(LockGrant::Granted)),
            Answer::Held => Ok(Some(LockGrant::Held)),
            Answer::Queued => Ok(None),
            Answer::WouldWait if wait == LockWait::Skip => Ok(Some(LockGrant::Skipped)),
            Answer::WouldWait => {
                let message = "could not obtain lock on row";
                Err(TxnError::new(TxnErrorKind::LockNotAvailable, message)
                    .with_key(Bytes::copy_from_slice(key)))
            }
            Answer::Deadlock => Err(TxnError::new(TxnErrorKind::Deadlock, "deadlock detected")
                .with_key(Bytes::copy_from_slice(key))),
        }
    }

    /// Waits until a queued lock is granted. Dropped before that, it leaves the queue.
    pub(crate) async fn wait(&self, need: &LockNeed) -> Result<(), TxnError> {
        struct Leave<'a>(&'a LockOwner);
        impl Drop for Leave<'_> {
            fn drop(&mut self) {
                metrics::gauge!("shardforge_lock_waiters").decrement(1.0);
                let granted = self.0.table.core.lock().cancel(self.0.id);
                self.0.table.wake(&granted);
            }
        }
        metrics::gauge!("shardforge_lock_waiters").increment(1.0);
        let leave = Leave(self);
        let granted = async {
            while self.table.core.lock().is_waiting(self.id) {
                self.granted.notified().await;
            }
        };
        let got = match need.wait {
            LockWait::Timeout(limit) => task::timeout(limit, granted).await.is_some(),
            _ => {
                granted.await;
                true
            }
        };
        if got {
            return Ok(());
        }
        drop(leave);
        let message = "canceling statement due to lock timeout";
        Err(TxnError::new(TxnErrorKind::LockNotAvailable, message).with_key(need.key.clone()))
    }

    /// Whether it has never asked for a key.
    pub(crate) fn is_unused(&self) -> bool {
        !self.used.load(Ordering::Relaxed)
    }

    /// A mark for [`LockOwner::release_from`].
    pub(crate) fn mark(&self) -> usize {
        if self.used.load(Ordering::Relaxed) { self.table.core.lock().held(self.id) } else { 0 }
    }

    /// Gives up the locks taken since a mark, and what was doomed only for them.
    pub(crate) fn release_from(&self, mark: usize) {
        if self.used.load(Ordering::Relaxed) {
            let mut core = self.table.core.lock();
            let granted = core.release_from(self.id, mark);
            let mut doomed = self.doomed.lock();
            if doomed.as_ref().is_some_and(|(key, _)| !core.holds(self.id, key)) {
                *doomed = None;
            }
            drop((doomed, core));
            self.table.wake(&granted);
        }
    }

    /// The conflict that another compute's commit has made certain.
    pub(crate) fn check_doomed(&self) -> Result<(), TxnError> {
        match &*self.doomed.lock() {
            Some((key, lsn)) => Err(TxnError::conflict(key.clone(), Some(*lsn))),
            None => Ok(()),
        }
    }
}

impl Drop for LockOwner {
    fn drop(&mut self) {
        if *self.used.get_mut() {
            self.table.owners.lock().remove(&self.id);
            let granted = self.table.core.lock().release(self.id);
            self.table.wake(&granted);
        }
    }
}
