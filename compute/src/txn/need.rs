//! A suspended operation is a value: synchronous code meets something that is not there, says what,
//! and is called again once its caller has waited for it.

use super::locks::LockNeed;
use super::{TxnError, TxnErrorKind};
use shardforge_cache::PageNeed;
use shardforge_common::Lsn;

/// What an operation waits for; [`super::Txn::satisfy`] waits for it.
#[derive(Debug, Clone)]
pub enum Need {
    /// A page that is not in memory.
    Page(Box<PageNeed>),
    /// A row lock that another transaction holds.
    Lock(LockNeed),
    /// A commit that has not come down the feed yet.
    Applied(Lsn),
}

/// Why an operation did not finish.
#[derive(Debug, Clone)]
pub enum Interrupt {
    /// Wait for this, then call again.
    Need(Need),
    /// A row that the statement wants was written after its snapshot (READ COMMITTED): call
    /// [`super::Txn::restart_statement`], then run the whole statement again. Its locks are kept.
    RestartStatement,
    /// It failed.
    Error(Box<TxnError>),
}

impl Interrupt {
    /// An error of a kind, with a message for a person.
    pub fn error(kind: TxnErrorKind, message: impl Into<String>) -> Self {
        TxnError::new(kind, message).into()
    }
}

impl From<TxnError> for Interrupt {
    fn from(error: TxnError) -> Self {
        Interrupt::Error(Box::new(error))
    }
}

impl From<shardforge_common::Error> for Interrupt {
    fn from(error: shardforge_common::Error) -> Self {
        Interrupt::Error(Box::new(error.into()))
    }
}

impl From<Need> for Interrupt {
    fn from(need: Need) -> Self {
        Interrupt::Need(need)
    }
}
