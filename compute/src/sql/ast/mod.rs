//! The syntax tree: what a statement says, nothing looked up. Places in the text are byte offsets.

mod expr;
mod query;
mod statement;

pub(crate) use expr::*;
pub(crate) use query::*;
pub(crate) use statement::*;

/// A byte offset in the text.
pub(crate) type Loc = u32;

/// A name with the place it stands at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ident {
    /// The name, in lower case unless it was quoted.
    pub name: String,
    /// Where.
    pub loc: Loc,
}

/// A name that may be qualified: `name`, `schema.name`, `database.schema.name`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ObjectName {
    /// The parts, the outermost first; at least one.
    pub parts: Vec<String>,
    /// Where it begins.
    pub loc: Loc,
}

impl ObjectName {
    /// The last part.
    pub(crate) fn name(&self) -> &str {
        self.parts.last().map_or("", String::as_str)
    }

    /// The schema, when there is one.
    pub(crate) fn schema(&self) -> Option<&str> {
        self.parts.len().checked_sub(2).map(|place| self.parts[place].as_str())
    }

    /// As it is written in messages.
    pub(crate) fn display(&self) -> String {
        self.parts.join(".")
    }
}

/// A part of the text, in bytes.
pub(crate) type Span = std::ops::Range<u32>;
