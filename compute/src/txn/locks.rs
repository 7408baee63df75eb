//! Row locks inside one compute.

use bytes::Bytes;

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
