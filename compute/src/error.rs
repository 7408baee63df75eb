//! The error a client sees: an SQLSTATE with PostgreSQL's fields.

use crate::sequence::SequenceNeed;
use crate::txn::{TxnError, TxnErrorKind};
use shardforge_common::{Error, ErrorKind, is_disk_full};
use shardforge_types::{SqlState, ValueError};
use std::fmt;

/// A result with [`SqlError`].
pub type SqlResult<T> = Result<T, SqlError>;

/// An error as the wire reports it. Boxed inside: results stay small on the fast path.
#[derive(Debug, Clone)]
pub struct SqlError(Box<Fields>);

/// What an error says, field by field.
#[derive(Debug, Clone)]
pub struct Fields {
    /// Five characters that programs act on.
    pub sqlstate: SqlState,
    /// The primary message: lower case, no full stop.
    pub message: String,
    /// More of what happened, as a sentence.
    pub detail: Option<String>,
    /// What to do about it, as a sentence.
    pub hint: Option<String>,
    /// Where in the data or the work it happened.
    pub context: Option<String>,
    /// Where in the query text, in characters from 1.
    pub position: Option<u32>,
    /// The schema of the object it is about.
    pub schema: Option<String>,
    /// The table it is about.
    pub table: Option<String>,
    /// The column it is about.
    pub column: Option<String>,
    /// The constraint it is about.
    pub constraint: Option<String>,
    /// Not an error yet: what is to be done before the evaluation that it ended is repeated.
    pub(crate) sequence: Option<SequenceNeed>,
}

impl SqlError {
    /// An error with a state and a message.
    pub fn new(sqlstate: SqlState, message: impl Into<String>) -> Self {
        Self(Box::new(Fields {
            sqlstate,
            message: message.into(),
            detail: None,
            hint: None,
            context: None,
            position: None,
            schema: None,
            table: None,
            column: None,
            constraint: None,
            sequence: None,
        }))
    }

    /// 40001: another transaction has changed what this one works on, and it cannot take a newer snapshot.
    pub(crate) fn concurrent_update() -> Self {
        Self::new(SqlState::T_R_SERIALIZATION_FAILURE, "could not serialize access due to concurrent update")
    }

    /// 0A000: a statement or feature that is not built, by its name.
    pub fn not_supported(what: impl fmt::Display) -> Self {
        Self::new(SqlState::FEATURE_NOT_SUPPORTED, format!("{what} is not supported"))
    }

    /// XX000: a defect of ours.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(SqlState::INTERNAL_ERROR, message)
    }

    /// An evaluation needs something of a sequence first. Where nobody can do it, this is an error.
    pub(crate) fn needs_sequence(need: SequenceNeed) -> Self {
        let mut error = Self::not_supported("a function over sequences here");
        error.0.sequence = Some(need);
        error
    }

    /// The error's fields.
    pub fn fields(&self) -> &Fields {
        &self.0
    }

    /// The error's fields, to be added to.
    pub fn fields_mut(&mut self) -> &mut Fields {
        &mut self.0
    }

    /// The state programs act on.
    pub fn sqlstate(&self) -> SqlState {
        self.0.sqlstate
    }

    /// With a detail line.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// With a hint line.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// With a position in the query text, in characters from 1, unless it has one.
    #[must_use]
    pub fn at(mut self, position: Option<u32>) -> Self {
        self.0.position = self.0.position.or(position);
        self
    }
}

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.sqlstate, self.0.message)
    }
}

impl std::error::Error for SqlError {}

impl From<ValueError> for SqlError {
    fn from(error: ValueError) -> Self {
        let mut out = SqlError::new(error.sqlstate, error.message);
        out.0.detail = error.detail.map(String::from);
        out.0.hint = error.hint.map(String::from);
        out
    }
}

impl From<Error> for SqlError {
    fn from(error: Error) -> Self {
        let state = match error.kind() {
            _ if is_disk_full(&error) => SqlState::DISK_FULL,
            ErrorKind::Retry | ErrorKind::Conflict => SqlState::T_R_SERIALIZATION_FAILURE,
            ErrorKind::Fenced | ErrorKind::Unavailable => SqlState::CANNOT_CONNECT_NOW,
            ErrorKind::Invalid => SqlState::FEATURE_NOT_SUPPORTED,
            ErrorKind::NotFound => SqlState::UNDEFINED_OBJECT,
            ErrorKind::Corrupt => SqlState::DATA_CORRUPTED,
            ErrorKind::Internal => SqlState::INTERNAL_ERROR,
        };
        SqlError::new(state, error.to_string())
    }
}

impl From<TxnError> for SqlError {
    fn from(error: TxnError) -> Self {
        let state = match error.kind() {
            TxnErrorKind::Serialization => SqlState::T_R_SERIALIZATION_FAILURE,
            TxnErrorKind::Deadlock => SqlState::T_R_DEADLOCK_DETECTED,
            TxnErrorKind::LockNotAvailable => SqlState::LOCK_NOT_AVAILABLE,
            TxnErrorKind::Cancelled => SqlState::QUERY_CANCELED,
            TxnErrorKind::ReadOnly => SqlState::READ_ONLY_SQL_TRANSACTION,
            TxnErrorKind::TooLarge => SqlState::PROGRAM_LIMIT_EXCEEDED,
            TxnErrorKind::OutcomeUnknown => SqlState::T_R_STATEMENT_COMPLETION_UNKNOWN,
            TxnErrorKind::Other(_) if is_disk_full(&error) => SqlState::DISK_FULL,
            TxnErrorKind::Other(kind) => return Error::new(kind, error.message()).into(),
        };
        SqlError::new(state, error.message())
    }
}
