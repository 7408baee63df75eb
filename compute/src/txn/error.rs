//! How a transaction's operations stop: for good ([`TxnError`]), or until something is there
//! ([`super::Need`]).

use bytes::Bytes;
use shardforge_common::{Error, ErrorKind, Lsn};
use std::fmt;

/// What went wrong, as far as the SQL layer must tell cases apart; it maps each to an SQLSTATE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TxnErrorKind {
    /// 40001: another transaction wrote what this one read or wrote.
    Serialization,
    /// 40P01: transactions wait for one another, and this one was chosen to end.
    Deadlock,
    /// 55P03: NOWAIT, or `lock_timeout`.
    LockNotAvailable,
    /// 57014: the statement was cancelled while it waited.
    Cancelled,
    /// 25006: a write in a read-only transaction.
    ReadOnly,
    /// 54000: a key or a row that is too large.
    TooLarge,
    /// 40003: the connection to the log was lost during COMMIT, and the outcome is not known.
    OutcomeUnknown,
    /// Whatever a part below reported; see [`TxnError::cause`].
    Other(ErrorKind),
}

/// Why a transaction, or an operation of it, failed.
#[derive(Debug, Clone)]
pub struct TxnError(Box<Particulars>);

// Boxed: results that are almost always fine stay small.
#[derive(Debug, Clone)]
struct Particulars {
    kind: TxnErrorKind,
    message: String,
    key: Option<Bytes>,
    written_at: Option<Lsn>,
    cause: Option<Error>,
}

impl TxnError {
    /// An error of a kind, with a message for a person.
    pub fn new(kind: TxnErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Particulars {
            kind,
            message: message.into(),
            key: None,
            written_at: None,
            cause: None,
        }))
    }

    /// 40001 on a key (or the start of a range), which was written at an LSN.
    pub fn conflict(key: Bytes, written_at: Option<Lsn>) -> Self {
        let mut error =
            Self::new(TxnErrorKind::Serialization, "could not serialize access due to concurrent update");
        error.0.key = Some(key);
        error.0.written_at = written_at;
        error
    }

    /// The same error, about a key.
    #[must_use]
    pub fn with_key(mut self, key: Bytes) -> Self {
        self.0.key = Some(key);
        self
    }

    pub(crate) fn set_cause(&mut self, cause: Error) {
        self.0.cause = Some(cause);
    }

    /// What went wrong.
    pub fn kind(&self) -> TxnErrorKind {
        self.0.kind
    }

    /// The message for a person.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The key it is about, so that the SQL layer can name the table and its columns.
    pub fn key(&self) -> Option<&Bytes> {
        self.0.key.as_ref()
    }

    /// When the key was written by the other transaction, where that is known.
    pub fn written_at(&self) -> Option<Lsn> {
        self.0.written_at
    }

    /// The error of the part below.
    pub fn cause(&self) -> Option<&Error> {
        self.0.cause.as_ref()
    }

    /// Whether starting over at a newer snapshot may succeed: what a single-statement transaction
    /// is retried on (C7). Deadlocks included.
    pub fn is_conflict(&self) -> bool {
        matches!(self.0.kind, TxnErrorKind::Serialization | TxnErrorKind::Deadlock)
    }
}

impl From<Error> for TxnError {
    fn from(error: Error) -> Self {
        let kind = match error.kind() {
            ErrorKind::Conflict => TxnErrorKind::Serialization,
            other => TxnErrorKind::Other(other),
        };
        let mut own = Self::new(kind, error.message());
        own.0.cause = Some(error);
        own
    }
}

impl fmt::Display for TxnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for TxnError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.cause.as_ref().map(|cause| cause as _)
    }
}
