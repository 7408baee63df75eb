//! What a client is told beside the answer to its statement.

use shardforge_types::SqlState;
use std::fmt;

/// A notice. Most have SQLSTATE 00000, as in PostgreSQL; what would have been an error without IF NOT EXISTS
/// has the error's.
#[derive(Clone, PartialEq, Eq)]
pub struct Notice {
    /// Five characters that programs act on.
    pub sqlstate: SqlState,
    /// The text.
    pub message: String,
}

impl Notice {
    /// A notice with a state of its own.
    pub fn new(sqlstate: SqlState, message: impl Into<String>) -> Self {
        Self { sqlstate, message: message.into() }
    }
}

impl From<String> for Notice {
    fn from(message: String) -> Self {
        Self::new(SqlState::SUCCESSFUL_COMPLETION, message)
    }
}

impl fmt::Debug for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.sqlstate != SqlState::SUCCESSFUL_COMPLETION {
            write!(f, "{}: ", self.sqlstate)?;
        }
        write!(f, "{:?}", self.message)
    }
}
