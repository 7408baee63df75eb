//! PostgreSQL's values, without SQL: what a value is, how it is written as text and on the wire, how
//! two of them compare, and the bytes they become in keys and rows.
//!
//! This crate is a pure core. It must not know SQL syntax, catalogs, Arrow, Tokio or the network; a
//! type is known to it only as a [`PgType`], an oid with a type modifier. What it says is what
//! PostgreSQL 15 says: the same text, the same rounding, the same SQLSTATE and message.
//!
//! # The life of a value
//!
//! 1. It arrives as text ([`text::input`]) or in the wire's binary form ([`binary::input`]) and is a [`Datum`].
//! 2. A column's type modifier is applied by [`typmod::coerce`]: `numeric(10,2)` rounds, `varchar(5)` refuses.
//! 3. Key columns become order-preserving bytes ([`key::encode_key_column`]), the row a [`row::RowWriter`]'s bytes.
//! 4. A reader reaches column k of the row through a [`row::RowView`] without decoding the others.
//! 5. It leaves through [`text::output`] or [`binary::output`].
//!
//! # Invariants
//!
//! 1. The byte order of an encoded key column is the order of [`compare::compare`].
//! 2. Equal values under [`compare::compare`] have equal [`compare::hash`]es and equal key bytes.
//! 3. A row gives back exactly the value that was written, display scale and sign of zero included.
//! 4. Bytes and text from outside give a value or an error, never a panic.

pub mod array;
pub mod binary;
pub mod compare;
pub mod datetime;
pub mod datum;
pub mod error;
pub mod interval;
pub mod key;
pub mod numeric;
pub mod oid;
pub mod row;
pub mod settings;
pub mod sqlstate;
pub mod text;
pub mod text_value;
pub mod typmod;

pub use array::{ArrayDim, ArrayValue};
pub use datum::{Datum, RecordField};
pub use error::ValueError;
pub use interval::Interval;
pub use numeric::Numeric;
pub use oid::{Oid, PgType, oids};
pub use settings::Settings;
pub use sqlstate::SqlState;
pub use text_value::Text;
