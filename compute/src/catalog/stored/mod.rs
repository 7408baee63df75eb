//! The rows that the catalog is made of, as they lie in a branch.
//!
//! Each table here has a fixed storage id and the ordinary codecs of keys and rows. Those of a database
//! are led by its OID, so one database's catalog is one slot of each. What PostgreSQL shows as
//! `pg_class`, `pg_attribute`, ... are views of these rows ([`super::system`]); what is part of
//! PostgreSQL itself (its functions, types, operators) is part of this program, and not stored.
//!
//! ```text
//! storage id  table              key                          value
//!          1  format             -                            version
//!          2  counter            name                         next number to be reserved
//!          3  version            database                     who changed the schema last, and a nonce
//!          4  database           oid                          name, owner, ...
//!          5  database_name      name                         oid
//!          6  role               oid                          name, attributes, SCRAM verifier
//!          7  role_name          name                         oid
//!          8  namespace          database, oid                name, owner, acl
//!          9  namespace_name     database, name               oid
//!         10  relation           database, oid                tables, indexes, sequences; storage, version
//!         11  relation_name      database, namespace, name    oid
//!         12  column             database, relation, number   name, type, default, missing value
//!         13  constraint         database, oid                name, kind, columns, expression
//!         14  index              database, oid                table, columns, order
//!         15  type               database, oid                row types and arrays of them
//!         16  type_name          database, namespace, name    oid
//!         17  description        database, class, object, n   the comment
//!         18  sequence           database, oid                range, step, owner
//!         19  position           database, sequence           how far it has been reserved
//!         30  table_statistic    database, relation           rows, pages
//!         31  column_statistic   database, relation, number   nulls, width, distinct values, ends
//! ```
//!
//! The `_name` tables are unique indexes: two transactions that make the same name insert the same key,
//! and one of them loses at the certifier.
//!
//! # Invariants
//!
//! 1. Storage ids up to [`LAST_RESERVED`] are the catalog's, and [`super::ids`] never gives one out.
//! 2. A row and its `_name` entry are written and removed together.
//! 3. Fields are only ever added at a value's end; a row without them reads them as null.

mod codec;
mod rows;

pub use codec::{Stored, StoredRow};
pub(crate) use codec::{key_of, prefix_range};
pub use rows::*;

use shardforge_common::StorageId;

/// The last storage id that is kept for the catalog.
pub const LAST_RESERVED: StorageId = StorageId(4095);

#[cfg(test)]
mod tests;
