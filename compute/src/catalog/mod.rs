//! The catalog: what databases, schemas, tables, columns and types there are. Its content is rows in the
//! branch, so that schema changes are transactions, and branches and time travel cover the schema too.
//!
//! # How it is laid
//!
//! 1. [`stored`] are the rows as they lie in the branch; [`bootstrap`] writes the first of them, [`ids`]
//!    numbers what they describe, and `crate::ddl` changes them.
//! 2. [`CatalogCache::load`] reads them at a transaction's snapshot and makes a [`DatabaseCatalog`], which is
//!    kept by the version of the schema: most statements find it in memory by reading one key.
//! 3. [`SessionCatalog`] adds a search path: the binder and the functions over OIDs ask it.
//! 4. [`system`] shows all of it as `pg_catalog` and `information_schema`, after what PostgreSQL has from
//!    birth ([`builtin`]).
//!
//! # Invariants
//!
//! 1. A [`DatabaseCatalog`] is exactly what the rows at its snapshot say; it never changes.
//! 2. Whoever writes a table's rows asks at COMMIT that its definition is still the one that was used
//!    ([`check_table_version`]); a schema change writes what is checked. Within one compute each waits for
//!    the other ([`write_table`], [`change_table`]).
//! 3. No OID and no storage id is ever given out twice in a branch.

pub(crate) mod access;
pub mod bootstrap;
pub mod builtin;
mod cache;
mod database;
mod def;
pub mod deparse;
pub mod ids;
mod names;
mod object_access;
pub mod roles;
mod session;
pub mod stored;
pub mod system;

pub use cache::{CatalogCache, change_table, check_table_version, write_table};
pub use database::{DatabaseCatalog, INFORMATION_SCHEMA, PG_CATALOG, PUBLIC, Rows};
pub use def::{
    CheckDef, ColumnDef, IdentityDef, IndexDef, IndexKey, SequenceDef, SequenceOwner, TableDef, TableKind,
};
pub use ids::IdAllocator;
pub use names::{MAX_NAME_LEN, index_columns_part, made_up_name};
pub use session::SessionCatalog;
