//! One transaction: a snapshot, a buffer of writes, the checks it will ask for, its locks.
//!
//! Every method that is not `async` answers from memory, or stops with an [`Interrupt`] that says
//! what is missing: the caller waits with [`Txn::satisfy`] and calls again. Nothing is awaited on
//! a cache hit.

use super::locks::{LockGrant, LockMode, LockWait};
use super::need::{Interrupt, Need};
use super::{Branch, RowBatch, RowBytes, TxnError};
use bytes::Bytes;
use shardforge_common::mutation::Aspects;
use shardforge_common::{Lsn, StorageId, TxnId};
use std::sync::Arc;

/// How much a transaction notices of others (section 5 of the design).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum IsolationLevel {
    /// A snapshot for each statement; written rows are checked.
    #[default]
    ReadCommitted,
    /// One snapshot; written rows are checked.
    RepeatableRead,
    /// One snapshot; everything read is checked, ranges included.
    Serializable,
}

/// How a transaction begins.
#[derive(Debug, Clone, Copy, Default)]
pub struct TxnOptions {
    /// Its isolation level.
    pub isolation: IsolationLevel,
    /// Whether it refuses to write.
    pub read_only: bool,
    /// Reads the branch as it was at this LSN; implies `read_only`.
    pub as_of: Option<Lsn>,
}

/// Whether a written row is checked against other writers at COMMIT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checked {
    /// The row: nobody else may have written or locked it since it was read (C2).
    Yes,
    /// An entry of a non-unique index, whose row is checked (C3).
    No,
}

/// Which of its own writes a read sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visibility {
    /// Those of earlier statements: what WHERE and SET see.
    Statement,
    /// Those of the running statement too: what uniqueness and foreign-key checks see.
    Now,
}

/// A range to read: `[start, end)`.
#[derive(Debug, Clone)]
pub struct RangeRead {
    /// First key.
    pub start: Bytes,
    /// First key beyond the range.
    pub end: Bytes,
    /// From the end down to the start.
    pub reverse: bool,
    /// At most so many rows in a step; 0 is as many as a page gives.
    pub limit: usize,
    /// Which own writes it sees.
    pub visibility: Visibility,
}

/// How a step of a range read ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RangeNext {
    /// The range is finished.
    Done,
    /// There is more: `start` (reading backward, `end`) of the [`RangeRead`] was moved up to it.
    More,
}

/// A point to which a transaction's writes can be undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Savepoint {
    command: u32,
    locks: usize,
    checks: usize,
}

/// A transaction that took effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// Its place in the log; for a transaction that wrote nothing, its snapshot.
    pub lsn: Lsn,
    /// Its commit time in microseconds since 1970; `None` when it wrote nothing.
    pub time_micros: Option<i64>,
}

/// A transaction. Dropping it rolls it back.
pub struct Txn {
    branch: Arc<Branch>,
}

#[allow(unused_variables, reason = "bodies land next")]
impl Txn {
    /// Begins. It has no snapshot before [`Txn::begin_statement`].
    pub fn begin(branch: &Arc<Branch>, options: TxnOptions) -> Txn {
        Txn { branch: branch.clone() }
    }

    /// Its id, in the log as well.
    pub fn id(&self) -> TxnId {
        todo!("lands next")
    }

    /// The branch it is on.
    pub fn branch(&self) -> &Arc<Branch> {
        &self.branch
    }

    /// Its isolation level.
    pub fn isolation(&self) -> IsolationLevel {
        todo!("lands next")
    }

    /// The LSN that the running statement reads at.
    pub fn snapshot(&self) -> Lsn {
        todo!("lands next")
    }

    /// Whether it has anything to commit.
    pub fn has_writes(&self) -> bool {
        todo!("lands next")
    }

    /// Begins the next statement: it sees what earlier ones wrote and, under READ COMMITTED, takes
    /// a new snapshot.
    pub async fn begin_statement(&mut self) -> Result<(), TxnError> {
        todo!("lands next")
    }

    /// After [`Interrupt::RestartStatement`]: undoes the running statement's writes, keeps its
    /// locks, and takes the newest snapshot (C7).
    pub async fn restart_statement(&mut self) -> Result<(), TxnError> {
        todo!("lands next")
    }

    /// Within a statement: what follows sees what was written so far.
    pub fn next_command(&mut self) {
        todo!("lands next")
    }

    /// The row under a key.
    pub fn get(&mut self, key: &[u8], visibility: Visibility) -> Result<Option<RowBytes>, Interrupt> {
        todo!("lands next")
    }

    /// The next rows of a range, about a page of them; `out` is cleared first. A step may have no
    /// rows and still say [`RangeNext::More`].
    pub fn range(&mut self, read: &mut RangeRead, out: &mut RowBatch) -> Result<RangeNext, Interrupt> {
        todo!("lands next")
    }

    /// A row under a key that the transaction has seen to be absent.
    pub fn insert(&mut self, key: Bytes, value: Bytes, checked: Checked) -> Result<(), Interrupt> {
        todo!("lands next")
    }

    /// A new value under a key that the transaction has seen.
    pub fn update(&mut self, key: Bytes, value: Bytes, checked: Checked) -> Result<(), Interrupt> {
        todo!("lands next")
    }

    /// A value under a key that may or may not exist.
    pub fn put(&mut self, key: Bytes, value: Bytes, checked: Checked) -> Result<(), Interrupt> {
        todo!("lands next")
    }

    /// Removes a key, whether or not it exists.
    pub fn delete(&mut self, key: Bytes, checked: Checked) -> Result<(), Interrupt> {
        todo!("lands next")
    }

    /// Removes every key in `[start, end)`.
    pub fn delete_range(&mut self, start: Bytes, end: Bytes, checked: Checked) -> Result<(), Interrupt> {
        todo!("lands next")
    }

    /// A row lock for the certifier: FOR UPDATE and FOR NO KEY UPDATE (C2). Data stays as it is.
    pub fn touch(&mut self, key: Bytes) -> Result<(), Interrupt> {
        todo!("lands next")
    }

    /// Locks a key, absent or not, against other transactions of this compute, until the commit is
    /// applied here. Call it before reading the row that is to be written; it says when that row was
    /// written after the snapshot: [`Interrupt::RestartStatement`] under READ COMMITTED, else 40001.
    pub fn lock_row(&mut self, key: &[u8], mode: LockMode, wait: LockWait) -> Result<LockGrant, Interrupt> {
        todo!("lands next")
    }

    /// Asks, at every level, that no such aspect of the key is written between the snapshot and the
    /// commit: uniqueness (`EXISTENCE`), foreign keys (`EXISTENCE`), FOR SHARE (`ALL`), a table's
    /// schema version (`CONTENT`).
    pub fn check_key(&mut self, key: Bytes, aspects: Aspects) {
        todo!("lands next")
    }

    /// The same for every key in `[start, end)`, absent ones included.
    pub fn check_range(&mut self, start: Bytes, end: Bytes, aspects: Aspects) {
        todo!("lands next")
    }

    /// This transaction made the storage: nobody else can see it, so writes into it need neither
    /// checks nor locks, reads of it see own writes alone, and once committed it is an empty page
    /// under them (R5).
    pub fn mark_storage_created(&mut self, storage: StorageId) {
        todo!("lands next")
    }

    /// A point to return to.
    pub fn savepoint(&mut self) -> Savepoint {
        todo!("lands next")
    }

    /// Undoes writes and locks since the savepoint; the savepoint stays.
    pub fn rollback_to(&mut self, savepoint: Savepoint) {
        todo!("lands next")
    }

    /// Waits for what an operation lacked. Dropping the future is a clean cancellation.
    pub async fn satisfy(&mut self, need: Need) -> Result<(), TxnError> {
        todo!("lands next")
    }

    /// Commits. Without writes this asks nobody.
    pub async fn commit(self) -> Result<Committed, TxnError> {
        todo!("lands next")
    }

    /// Ends it without effect.
    pub fn rollback(self) {}
}
