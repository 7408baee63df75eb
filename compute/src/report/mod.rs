//! The seam behind which reports run: queries that are not points or short ranges. The compute
//! knows no DataFusion; the program that links both hands an engine in.

mod blocks;

pub use blocks::{BlockReader, BlockSource, RowBlock};

use crate::SqlResult;
use crate::catalog::TableDef;
use crate::sql::bound::Query;
use crate::statistics::TableStatistics;
use async_trait::async_trait;
use shardforge_types::Datum;
use std::sync::Arc;

/// Rows in batches: each row has the query's output columns.
pub type Rows = Vec<Vec<Datum>>;

/// Reads tables for an engine, all at one snapshot and through one transaction's own writes.
#[async_trait]
pub trait TableSource: Send + Sync {
    /// Starts to read a table. `bounds` are predicates that the source may use to read less, never
    /// must: the engine filters again.
    async fn scan(&self, scan: ScanSpec) -> SqlResult<Box<dyn RowStream>>;

    /// The rows of a stored table as they lie, for so many readers side by side; `None` when only
    /// [`TableSource::scan`] reads the table. It reads nothing yet.
    fn blocks(&self, scan: &ScanSpec, readers: usize) -> SqlResult<Option<Arc<dyn BlockSource>>> {
        let _ = (scan, readers);
        Ok(None)
    }

    /// What is known of a table's contents.
    fn statistics(&self, table: &TableDef) -> Option<Arc<TableStatistics>> {
        let _ = table;
        None
    }
}

/// What an engine wants of a table.
#[derive(Debug, Clone)]
pub struct ScanSpec {
    /// The table.
    pub table: Arc<TableDef>,
    /// Positions of the wanted columns in [`TableDef::columns`], in the order wanted.
    pub columns: Vec<usize>,
    /// Comparisons of columns with constants that all hold for the wanted rows.
    pub bounds: Vec<ColumnBound>,
    /// No more than so many rows are needed.
    pub limit: Option<usize>,
    /// Read as of this LSN instead of the snapshot.
    pub as_of: Option<shardforge_common::Lsn>,
}

/// `column op value`.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnBound {
    /// Position in [`TableDef::columns`].
    pub column: usize,
    /// How they compare.
    pub op: BoundOp,
    /// Of the column's type, not null.
    pub value: Datum,
}

/// How a column compares with a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // the names say it
pub enum BoundOp {
    Lt,
    Le,
    Eq,
    Ge,
    Gt,
}

impl BoundOp {
    /// The comparison that says the same with its sides exchanged.
    pub fn exchanged(self) -> BoundOp {
        match self {
            BoundOp::Lt => BoundOp::Gt,
            BoundOp::Le => BoundOp::Ge,
            BoundOp::Eq => BoundOp::Eq,
            BoundOp::Ge => BoundOp::Le,
            BoundOp::Gt => BoundOp::Lt,
        }
    }
}

/// Rows as they come.
#[async_trait]
pub trait RowStream: Send + Sync {
    /// The next rows; an empty batch is the end.
    async fn next(&mut self) -> SqlResult<Rows>;
}

/// What a report needs beside its tree.
#[derive(Clone)]
pub struct ReportContext {
    /// Values of `$1`, `$2`, ...
    pub params: Arc<[Datum]>,
    /// The tables.
    pub tables: Arc<dyn TableSource>,
    /// What functions may ask of the session: its time, zone, user, settings.
    pub session: Arc<crate::functions::EvalContext>,
}

/// Runs whole queries.
#[async_trait]
pub trait ReportEngine: Send + Sync {
    /// Starts a query. Dropping the stream cancels it.
    async fn run(&self, query: Arc<Query>, context: ReportContext) -> SqlResult<Box<dyn RowStream>>;

    /// The plan, a line each, for EXPLAIN.
    async fn explain(&self, query: Arc<Query>, context: ReportContext) -> SqlResult<Vec<String>>;
}
