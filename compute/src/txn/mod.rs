//! Transactions over one branch.

mod branch;
mod error;
mod locks;
mod need;
mod transaction;

pub use branch::{Branch, BranchConfig};
pub use error::{TxnError, TxnErrorKind};
pub use locks::{LockGrant, LockMode, LockNeed, LockWait};
pub use need::{Interrupt, Need};
pub use shardforge_cache::{PageNeed, RowBatch, RowBytes};
pub use transaction::{
    Checked, Committed, IsolationLevel, RangeNext, RangeRead, Savepoint, Txn, TxnOptions, Visibility,
};
