//! COPY's forms: lines of fields, or binary rows, read as they arrive and written as rows come.
//!
//! [`reader::Reader`] takes bytes in pieces of any size and gives whole rows; a field is a slice of
//! the line, or of a buffer that is reused when it had escapes. [`writer`] is the reverse. Neither
//! knows types: a field is text or null, and the caller reads it with the type's input function.
//!
//! [`binary`] has both directions of the third form.
//!
//! The forms are those of the page "COPY" of PostgreSQL 15's manual.

pub mod binary;
pub mod reader;
pub mod writer;
