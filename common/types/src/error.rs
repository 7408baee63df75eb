//! The error that values give: what a client will read, under the SQLSTATE that PostgreSQL would use.

use crate::SqlState;
use std::borrow::Cow;
use std::fmt;

/// A refusal, in the words and under the code of PostgreSQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueError {
    /// The code.
    pub sqlstate: SqlState,
    /// The primary message.
    pub message: Cow<'static, str>,
    /// More about what happened.
    pub detail: Option<Box<str>>,
    /// What to do about it.
    pub hint: Option<Box<str>>,
}

impl ValueError {
    /// An error with a code and a primary message.
    pub fn new(sqlstate: SqlState, message: impl Into<Cow<'static, str>>) -> Self {
        Self { sqlstate, message: message.into(), detail: None, hint: None }
    }

    /// The same error with a detail line.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<Box<str>>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// The same error with a hint.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<Box<str>>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// 22P02: the text is no value of the type.
    pub fn invalid_syntax(type_name: &str, input: &str) -> Self {
        Self::new(
            SqlState::INVALID_TEXT_REPRESENTATION,
            format!("invalid input syntax for type {type_name}: \"{input}\""),
        )
    }

    /// 22003, naming the value.
    pub fn out_of_range(type_name: &str, input: &str) -> Self {
        Self::new(
            SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
            format!("value \"{input}\" is out of range for type {type_name}"),
        )
    }

    /// 22003, naming only the type: `integer out of range`.
    pub fn type_out_of_range(type_name: &str) -> Self {
        Self::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("{type_name} out of range"))
    }

    /// 22012.
    pub fn division_by_zero() -> Self {
        Self::new(SqlState::DIVISION_BY_ZERO, "division by zero")
    }

    /// 22P03: bytes in the wire's binary form that are no value of the type.
    pub fn bad_binary(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(SqlState::INVALID_BINARY_REPRESENTATION, message)
    }

    /// 08P01: a message that ends too early.
    pub fn insufficient_data() -> Self {
        Self::new(SqlState::PROTOCOL_VIOLATION, "insufficient data left in message")
    }

    /// 0A000.
    pub fn not_supported(what: impl Into<Cow<'static, str>>) -> Self {
        Self::new(SqlState::FEATURE_NOT_SUPPORTED, what)
    }

    /// XX000: a caller of ours went wrong.
    pub fn internal(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(SqlState::INTERNAL_ERROR, message)
    }
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ValueError {}
