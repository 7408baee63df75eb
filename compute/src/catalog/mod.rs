//! The catalog: what tables, columns and types there are. Its content is rows in the branch, so that
//! schema changes are transactions, and branches and time travel cover the schema too.

pub mod builtin;
mod def;

pub use def::{CheckDef, ColumnDef, IndexDef, IndexKey, TableDef, TableKind};
