//! `pg_catalog` and `information_schema`: what their tables are, and their rows.
//!
//! The shapes are PostgreSQL 15's own: they are made of the built-in rows of `pg_class` and
//! `pg_attribute`, which are rows of these catalogs as well. A catalog's rows are those that PostgreSQL has
//! from birth ([`super::builtin`]), then those that are made of the branch's stored rows.
//!
//! A scan is a function of a [`super::DatabaseCatalog`] that is in memory: it reads no pages and waits for
//! nothing. `AS OF` scans take the catalog of that LSN.
//!
//! # Invariants
//!
//! 1. A catalog that is not built here is not empty but refused, with 0A000 and its name, unless it holds
//!    only what we do not have (triggers, policies, publications): then it is truly empty.
//! 2. Each row has a value for each column of the definition, in its form.

mod builtin_rows;
mod definitions;
mod relations;
mod rows;
mod scan;
mod sequence_views;
mod session_views;
mod shared;
mod standard_views;
mod statistic_views;
mod system_views;

pub(crate) use builtin_rows::{builtin_rows, predefined_role_by_name, predefined_role_name};
pub use definitions::{relation_by_name, relation_name, system_tables, table};
pub use scan::{SystemRows, scan};
pub(crate) use sequence_views::pg_sequences_row;
pub use system_views::system_index_definition as index_definition;

#[cfg(test)]
pub(crate) mod tests;
