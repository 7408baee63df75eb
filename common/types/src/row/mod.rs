//! Rows: values side by side, each reached without decoding the others.
//!
//! Columns have permanent numbers, from 0 in the order in which they were added; a dropped one keeps
//! its number. Which column is of which type, and which are left to the key, is the [`RowLayout`],
//! which is made once from the catalog; so a row names no types. A row may have fewer columns than
//! the layout: those added since it was written are [`Cell::Missing`], and the reader puts their
//! defaults. Rows carry no checksum: they live in pages and log records, which do.
//!
//! ```text
//! narrow, up to 255 columns and version 65535        wide
//! offset size                                        offset size
//!      0    1  0x10 + flags                               0    1  0x10 + flags
//!      1    1  column count n                             1    1  0
//!      2    2  schema version                             2    2  column count n
//!                                                         4    4  schema version
//! then:
//!   (n+7)/8    null bitmap, if flag 1: bit k % 8 of byte k / 8 is set when column k is null
//!   sum        fixed part: the fixed columns by number, zeros where null
//!   2 or 4 * v where each of the v variable columns ends, counted from the start of the variable part;
//!              4 bytes when wide
//!   ...        variable part: each value is a tag and a body; a null is nothing at all
//!
//! flags = 1 there is a null bitmap    2 wide (also when the variable part exceeds 64 KiB)
//! tag   = 0 plain: the value's body
//!         1 compressed: length of the body (4)  LZ4 block
//!         2 external: see [`ExternalValue`]
//! ```
//!
//! All integers are little endian. Fixed columns: `boolean` and `"char"` 1 byte, `smallint` 2,
//! `integer`, `date`, `real`, `oid` 4, `bigint`, `double precision`, `time`, `timestamp`,
//! `timestamptz` 8, `interval` 16 (microseconds, days, months), `uuid` 16. The bodies of the others
//! are drawn in [`body`].
//!
//! # Invariants
//!
//! 1. A value comes back exactly as it was written: display scale, sign of zero and parts of an interval included.
//! 2. Any bytes give a value or [`shardforge_common::ErrorKind::Corrupt`].
//! 3. No row is longer than [`MAX_ROW_LEN`] unless its writer asked for no limit: [`big`] says which values leave it.

pub mod big;
pub mod body;
mod layout;
mod view;
mod writer;

#[cfg(test)]
mod tests;

pub use big::{BigValue, ExternalValue};
pub use layout::{ColumnStorage, RowLayout};
pub use view::{Cell, RawCell, RowView, StoredBytes, ValueRef};
pub use writer::{RowInput, RowWriter};

/// The version of a table's columns that a row was written under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct SchemaVersion(pub u32);

/// No row of a table is longer, in bytes: with its key, and the keys that bound a page, it always
/// fits one.
pub const MAX_ROW_LEN: usize = 30 * 1024;
/// Bodies above this are compressed, in bytes.
pub const COMPRESS_ABOVE: usize = 2 * 1024;
/// Bodies above this, compressed or not, are stored outside the row, in bytes.
pub const EXTERNAL_ABOVE: usize = 8 * 1024;
/// The longest body there may be, in bytes.
pub const MAX_VALUE_LEN: usize = 1 << 30;

const FORMAT: u8 = 0x10;
const FORMAT_MASK: u8 = 0xf0;
const FLAG_NULLS: u8 = 1;
const FLAG_WIDE: u8 = 2;
const NARROW_HEADER_LEN: usize = 4;
const WIDE_HEADER_LEN: usize = 8;

const TAG_PLAIN: u8 = 0;
const TAG_COMPRESSED: u8 = 1;
const TAG_EXTERNAL: u8 = 2;
