//! What every PostgreSQL 15 has from birth: types, functions, operators, casts and the shape of the
//! system catalogs, as rows.
//!
//! The rows come from a real server (`generate.sh`), whole, and are parts of the program. They are read in
//! two ways: [`rows()`] gives them as text, column by column, to whoever serves `pg_catalog`; the other
//! functions look into tables made of them for the binder and the executors. Both are made once, when
//! first asked for.
//!
//! # Invariants
//!
//! 1. The files are well formed: tests read all of each, so reading them later cannot fail.
//! 2. Nothing here changes; what users create is in the branch.

mod casts;
mod operators;
mod procs;
mod rows;
mod types;

pub use casts::{CastContext, CastEntry, CastMethod, cast, casts_from, is_binary_coercible};
pub use operators::{OperatorEntry, Ordering, operator, operator_by_oid, operator_of, operators, ordering};
pub use procs::{AggregateEntry, ProcEntry, aggregate, proc, procs_by_name};
pub use rows::{CatalogRows, catalogs, rows};
pub use types::{TypeEntry, base_type, domain_base, type_by_name, type_by_oid, types};
