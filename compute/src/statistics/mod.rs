//! What is known of tables' contents without reading them: about how many rows, how many different values,
//! between which ends. Planners choose by it; no result depends on it.
//!
//! ANALYZE ([`crate::ddl`]) looks at a table (`sample`) and keeps what it found as rows of the catalog, which
//! [`crate::catalog::DatabaseCatalog::statistics`] gives to everyone.

mod sample;

pub(crate) use sample::analyze;

use shardforge_types::Datum;

/// A table as it was when it was last analyzed.
#[derive(Debug, Clone, PartialEq)]
pub struct TableStatistics {
    /// Rows, about.
    pub rows: f64,
    /// Pages, about.
    pub pages: u64,
    /// By position in [`crate::catalog::TableDef::columns`]; `None` where nothing is known.
    pub columns: Vec<Option<ColumnStatistics>>,
}

/// One column's values.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnStatistics {
    /// Part of the rows in which it is null, from 0 to 1.
    pub null_fraction: f64,
    /// Average bytes of a value.
    pub width: u32,
    /// Different values, about.
    pub distinct: f64,
    /// Least value seen; null when none was.
    pub min: Datum,
    /// Greatest value seen; null when none was.
    pub max: Datum,
}
