//! Decides, for each transaction of one branch, whether it may commit.
//!
//! A transaction read some keys and ranges, each at an LSN, and wants to write others. It may, unless
//! another transaction wrote something that it asked to have checked, after it read it (I3).
//!
//! The certifier is a pure function of its window and the request: no clock, no I/O, no Tokio. Only a
//! group's leader runs it, before proposing, so the log holds committed transactions alone. It dies
//! with the leadership under which it was built (L2): a write that entered the window is therefore
//! never taken back, because a batch that fails ends the leadership's certifier with it.
//!
//! # Invariants
//!
//! 1. LSNs handed out are dense and strictly increase.
//! 2. The window holds each write with an LSN above its floor, pending ones included.
//! 3. A check at an LSN below the floor is `TooOld`: we can no longer see what it missed.
//! 4. A staged transaction's writes are pending from the moment they are staged until it commits,
//!    aborts or its lease ends (C6). They stand in everybody's way but its own.
//!
//! # Life of a request
//!
//! 1. [`Certifier::certify`] refuses checks below the floor.
//! 2. [`ConflictWindow::first_conflict`] looks for a later write to anything that was read, and
//!    [`StagedMarks`] for a pending one.
//! 3. Without one, [`Certifier::commit`] puts the writes into the window at the next [`Lsn`]; the
//!    requests after it in the same batch see them (C4).
//!
//! # What it does not do
//!
//! It knows nothing of transaction ids that were resent (the sequencer's work), of terms, or of what
//! is durable; and it never looks at values.

mod conflict_window;
mod staged;
mod writes;

pub use conflict_window::ConflictWindow;
pub use staged::StagedMarks;
pub use writes::WriteSet;

use bytes::Bytes;
use shardforge_common::{Lsn, TxnId};
use shardforge_proto::wal::Check;
use std::collections::BTreeMap;

/// Whether a transaction may commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing it asked to have checked was written since.
    Clear,
    /// Something was.
    Conflict {
        /// The key (or the start of the range) that was written.
        key: Bytes,
        /// The LSN of the write; [`Lsn::MAX`] for a staged one.
        written_at: Lsn,
    },
    /// A check is below the floor.
    TooOld {
        /// Checks at or above it can be certified.
        floor: Lsn,
    },
}

/// The certifier of one branch.
#[derive(Debug)]
pub struct Certifier {
    last: Lsn,
    window: ConflictWindow,
    staged: BTreeMap<TxnId, StagedMarks>,
}

impl Certifier {
    /// A certifier that knows of no write above `floor`, because there is none.
    pub fn new(floor: Lsn) -> Self {
        Self { last: floor, window: ConflictWindow::new(floor), staged: BTreeMap::new() }
    }

    /// The last LSN given, pending ones included.
    pub fn last(&self) -> Lsn {
        self.last
    }

    /// The lowest LSN at which a check can be certified.
    pub fn floor(&self) -> Lsn {
        self.window.floor()
    }

    /// What the window takes of memory, in bytes. Marks of staged transactions are outside it (C6).
    pub fn window_bytes(&self) -> usize {
        self.window.bytes()
    }

    /// Whether a transaction with these checks and writes may commit now. `txn` is looked past when
    /// its own staged marks stand in the way. Changes nothing.
    pub fn certify(&self, txn: TxnId, checks: &[Check], writes: &WriteSet) -> Verdict {
        for check in checks {
            let read_at = match check {
                Check::Key { read_at, .. } | Check::Range { read_at, .. } => *read_at,
            };
            if read_at < self.window.floor() {
                return Verdict::TooOld { floor: self.window.floor() };
            }
        }
        for check in checks {
            if let Some((key, written_at)) = self.window.first_conflict(check) {
                return Verdict::Conflict { key, written_at };
            }
        }
        for (owner, marks) in &self.staged {
            if *owner == txn {
                continue;
            }
            let hit = checks
                .iter()
                .find_map(|check| marks.hit_by_check(check))
                .or_else(|| marks.hit_by_writes(writes));
            if let Some(key) = hit {
                return Verdict::Conflict { key, written_at: Lsn::MAX };
            }
        }
        Verdict::Clear
    }

    /// Gives the next LSN to a transaction that was found [`Verdict::Clear`], its staged writes
    /// included, and puts what it writes into the window.
    pub fn commit(&mut self, txn: TxnId, writes: &WriteSet) -> Lsn {
        self.last = self.last.next();
        if let Some(marks) = self.staged.remove(&txn) {
            self.window.insert_large(self.last, marks);
        }
        self.window.insert(self.last, writes);
        self.last
    }

    /// Takes over a commit that the log already numbered, while a new leader rebuilds. It must follow
    /// on the last one.
    pub fn replay_commit(&mut self, txn: TxnId, lsn: Lsn, writes: &WriteSet) {
        debug_assert_eq!(lsn, self.last.next(), "a log is replayed without gaps");
        let given = self.commit(txn, writes);
        debug_assert_eq!(given, lsn);
    }

    /// Counts a fragment's writes as pending from now on (C6).
    pub fn stage(&mut self, txn: TxnId, writes: &WriteSet) {
        self.staged.entry(txn).or_default().add(writes);
    }

    /// Drops a staged transaction's marks: it was aborted, or its lease ended.
    pub fn unstage(&mut self, txn: TxnId) {
        self.staged.remove(&txn);
    }

    /// Forgets the oldest commit of the window, which raises the floor to it. False when the window
    /// is empty.
    pub fn evict_oldest(&mut self) -> bool {
        self.window.evict_oldest()
    }

    /// Asserts the invariants; for tests and debug builds.
    pub fn validate(&self) {
        assert!(self.window.floor() <= self.last, "the floor is never above the last LSN");
        self.window.validate(self.last);
    }
}

#[cfg(test)]
mod tests;
