//! How an execution pauses or ends early.

use crate::SqlError;
use crate::sequence::SequenceNeed;
use crate::txn::{Interrupt, Need};
use shardforge_types::ValueError;

/// Why an execution did not go on.
#[derive(Debug)]
pub enum Stop {
    /// Wait for this ([`crate::txn::Txn::satisfy`]), then call the execution again: it goes on where it was.
    Need(Need),
    /// It has run for a while: let others run, then call the execution again.
    Yield,
    /// Do this ([`crate::sequence::SessionSequences::satisfy`]), then call the execution again.
    Sequence(SequenceNeed),
    /// Call [`crate::txn::Txn::restart_statement`] and [`super::Execution::restart`], forget the rows that
    /// came, and run the statement again.
    RestartStatement,
    /// The query reads more than was expected when it was planned: the report engine is to run it from the
    /// start. Only queries say this, before their first row, never writes or those that lock.
    TooLarge,
    /// It failed.
    Error(SqlError),
}

/// A step's result.
pub type Step<T> = Result<T, Stop>;

impl From<SqlError> for Stop {
    fn from(error: SqlError) -> Self {
        match error.fields().sequence {
            Some(need) => Stop::Sequence(need),
            None => Stop::Error(error),
        }
    }
}

impl From<ValueError> for Stop {
    fn from(error: ValueError) -> Self {
        Stop::Error(error.into())
    }
}

impl From<shardforge_common::Error> for Stop {
    fn from(error: shardforge_common::Error) -> Self {
        Stop::Error(error.into())
    }
}

impl From<Interrupt> for Stop {
    fn from(interrupt: Interrupt) -> Self {
        match interrupt {
            Interrupt::Need(need) => Stop::Need(need),
            Interrupt::RestartStatement => Stop::RestartStatement,
            Interrupt::Error(error) => Stop::Error((*error).into()),
        }
    }
}
