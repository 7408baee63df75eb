//! Transactions over one branch: what a statement reads and writes, and how it becomes a commit.
//!
//! # What is guaranteed
//!
//! A transaction reads one state of the branch, that of its snapshot (under READ COMMITTED each
//! statement's), with its own writes over it. It commits only if what it asked to have checked is as
//! it read it (I3), exactly once (I4), and shows its commit only as of its place in the log (I2).
//!
//! # How data flows
//!
//! 1. [`Txn::begin_statement`] takes a snapshot LSN from the log's leader and waits until the feed
//!    has applied it here.
//! 2. Executors call [`Txn::get`] and [`Txn::range`]: own writes over recent writes over pages. All
//!    are synchronous; what is missing comes back as an [`Interrupt`], and [`Txn::satisfy`] waits for it.
//! 3. [`Txn::lock_row`] queues behind other writers of this compute; [`Txn::insert`] and its kin fill
//!    the buffer, which goes to disk when it is large.
//! 4. [`Txn::commit`] encodes the buffer once, stages what is too large for one record, and submits
//!    it with the checks. Locks go when the feed has brought the commit.
//!
//! Reports read through [`TxnReader`]s, as many as they like, beside the transaction.
//!
//! # What it does not do
//!
//! It knows keys and values, no tables: uniqueness, foreign keys and index entries are the
//! executor's, who asks for the checks. It never retries: [`TxnError::is_conflict`] says when a
//! session may (C7).

mod branch;
mod buffer;
mod bulk;
mod checks;
mod commit;
mod error;
mod key_filter;
mod lease;
mod locks;
mod need;
mod pressure;
mod reader;
mod refresh;
mod sorted;
mod sorter;
mod spill;
mod stage;
#[cfg(test)]
mod tests;
mod transaction;

pub use branch::{Branch, BranchConfig, FeedWatch};
pub(crate) use bulk::NewChunk;
pub use error::{TxnError, TxnErrorKind};
pub use locks::{LockGrant, LockMode, LockNeed, LockWait};
pub use need::{Interrupt, Need};
pub use reader::{RangeNext, RangeRead, TxnReader, Visibility};
pub use shardforge_cache::{PageNeed, PageRun, RowBatch, RowBytes};
pub(crate) use sorted::{Sorted, SortedRun, Twice};
pub(crate) use sorter::Sorter;
pub use transaction::{Checked, Committed, IdleTxn, IsolationLevel, Savepoint, TableLock, Txn, TxnOptions};
