//! How a table's row becomes keys and values, and back. Everything else of the row executor sees datums.
//!
//! ```text
//! row          key    storage id of the table (8)   key column*            the primary key's columns
//!                     storage id of the table (8)   row id                 without one: a bigint column
//!              value  the row (`shardforge_types::row`), without the columns that the key gives back
//!
//! unique entry key    storage id of the index (8)   key column*
//!              value  the row's key without its storage id
//! with a null  key    storage id of the index (8)   key column*   the row's key without its storage id
//!              value  empty
//! other entry  key    storage id of the index (8)   key column*   the row's key without its storage id
//!              value  empty
//!
//! big value    key    value storage id (8)   the row's leading key column   id (uuid)   chunk (integer)
//!              value  the chunk
//! ```
//!
//! A **row id** is hidden, unique in the branch, and never used again: [`RowIds`] says how.
//!
//! # Invariants
//!
//! 1. For each row there is exactly one entry in each index.
//! 2. The chunks of a big value exist exactly as long as a row names them.

mod big_values;
mod codec;
mod index;
mod row_ids;

pub(super) use big_values::delete_chunks;
pub(crate) use big_values::{fetch_external, new_chunks, read_external};
pub use codec::{FetchExternal, KeyColumn, ROW_ID, TableCodec};
pub use index::{EntryParts, IndexCodec};
pub use row_ids::RowIds;
