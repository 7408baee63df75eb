//! What is known of tables' contents without reading them: about how many rows, how many different values,
//! between which ends. Planners choose by it; no result depends on it.
//!
//! 1. ANALYZE ([`crate::ddl`]) looks at a table (`sample`) and keeps what it found as rows of the catalog, which
//!    [`crate::catalog::DatabaseCatalog::statistics`] gives to everyone.
//! 2. The feed counts what is written to each table ([`shardforge_cache::Written`]). [`TableActivity`] puts the two
//!    together: how many rows there are by now, and how much has changed since the last look.
//! 3. The background ([`autovacuum`]) looks again at tables of which enough has changed.

mod activity;
pub mod autovacuum;
mod sample;

pub use activity::{Activity, TableActivity};
pub use autovacuum::AutovacuumConfig;
pub(crate) use sample::{Pace, analyze};

use shardforge_types::Datum;

/// A table as it was when it was last analyzed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TableStatistics {
    /// Rows, about.
    pub rows: f64,
    /// Pages, about.
    pub pages: u64,
    /// By position in [`crate::catalog::TableDef::columns`]; `None` where nothing is known.
    pub columns: Vec<Option<ColumnStatistics>>,
    /// The looks that were asked for.
    pub by_hand: Looks,
    /// Those of the background.
    pub automatic: Looks,
}

impl TableStatistics {
    /// When it was last analyzed, in microseconds since 1970: what tells one look from another.
    pub(crate) fn looked_at(&self) -> Option<i64> {
        self.by_hand.last.max(self.automatic.last)
    }
}

/// How often something was looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Looks {
    /// When for the last time, in microseconds since 1970.
    pub last: Option<i64>,
    /// How many times.
    pub times: i64,
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
