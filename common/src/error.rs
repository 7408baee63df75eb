//! The few kinds of error that parts give one another, named for what the caller should do.
//!
//! The kind is mapped once to an SQLSTATE (compute), once to a gRPC status (proto) and once to an
//! HTTP status (control plane). The message carries the particulars; a cause stays in `source`.

use std::fmt;
use std::io::ErrorKind as ErrorOfIo;

/// What the caller of a failed operation should do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// Ask again, perhaps elsewhere: nothing has happened.
    Retry,
    /// Another transaction stands in the way: start over at a newer snapshot.
    Conflict,
    /// A newer owner exists: stop, and give up what was held.
    Fenced,
    /// The request can never succeed as it stands.
    Invalid,
    /// What was asked for does not exist, or is no longer kept.
    NotFound,
    /// Bytes failed their checksum or their format: the message names file and offset.
    Corrupt,
    /// A resource is missing for now (disk full, store unreachable): wait, then ask again.
    Unavailable,
    /// A defect of ours.
    Internal,
}

/// An error with a kind that says what to do, a message that says what happened, and a cause.
#[derive(Debug, Clone)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<std::sync::Arc<dyn std::error::Error + Send + Sync>>,
}

/// A result with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident => $kind:ident;)*) => {
        $($(#[$doc])* pub fn $name(message: impl Into<String>) -> Self { Self::new(ErrorKind::$kind, message) })*
    };
}

impl Error {
    /// An error of a kind, with a message for a person.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    constructors! {
        /// Nothing has happened; ask again.
        retry => Retry;
        /// Another transaction stands in the way.
        conflict => Conflict;
        /// A newer owner exists.
        fenced => Fenced;
        /// The request can never succeed.
        invalid => Invalid;
        /// It does not exist, or is no longer kept.
        not_found => NotFound;
        /// Bytes failed a check; name file and offset.
        corrupt => Corrupt;
        /// A resource is missing for now.
        unavailable => Unavailable;
        /// A defect of ours.
        internal => Internal;
    }

    /// The same error, with its cause.
    #[must_use]
    pub fn with_source(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(std::sync::Arc::new(source));
        self
    }

    /// The same error, its message preceded by what was being done.
    #[must_use]
    pub fn context(mut self, doing: impl fmt::Display) -> Self {
        self.message = format!("{doing}: {}", self.message);
        self
    }

    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The message alone, without the cause.
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// Whether a full disk is behind an error.
pub fn is_disk_full(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source()).any(|error| {
        let io = error.downcast_ref::<std::io::Error>();
        io.is_some_and(|io| matches!(io.kind(), ErrorOfIo::StorageFull | ErrorOfIo::QuotaExceeded))
    })
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(source) = &self.source {
            write!(f, ": {source}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
