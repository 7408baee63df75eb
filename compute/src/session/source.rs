//! Tables for the report engine: read at the statement's snapshot and with the writes of earlier
//! statements of its transaction.
//!
//! Each scan has a reader of its own, made when the statement began: scans run beside one another and
//! beside later statements of the session, and a portal that is read bit by bit keeps seeing what it
//! saw at first.

use super::blocks::TableBlocks;
use crate::catalog::stored::{PositionRow, Stored, StoredRow, prefix_range};
use crate::catalog::{DatabaseCatalog, PG_CATALOG, TableDef, TableKind, system};
use crate::functions::EvalContext;
use crate::report::{BlockSource, BoundOp, ColumnBound, RowStream, Rows, ScanSpec, TableSource};
use crate::row_exec::storage::read_external;
use crate::row_exec::{Stop, TableCodec};
use crate::sequence::{self, SequenceBlocks};
use crate::statistics::{TableActivity, TableStatistics};
use crate::txn::{RangeNext, RangeRead, RowBatch, TxnReader, Visibility};
use crate::{SqlError, SqlResult};
use async_trait::async_trait;
use bytes::Bytes;
use shardforge_common::key::{prefix_end, storage_prefix, storage_range};
use shardforge_types::key::encode_key_column;
use shardforge_types::{Datum, Oid};
use std::collections::HashMap;
use std::sync::Arc;

/// The tables of one statement.
pub(super) struct StatementTables {
    pub(super) reader: TxnReader,
    pub(super) catalog: Arc<DatabaseCatalog>,
    pub(super) context: Arc<EvalContext>,
    pub(super) sequences: Arc<SequenceBlocks>,
    pub(super) activity: Arc<TableActivity>,
}

#[async_trait]
impl TableSource for StatementTables {
    async fn scan(&self, spec: ScanSpec) -> SqlResult<Box<dyn RowStream>> {
        if spec.as_of.is_some() {
            return Err(SqlError::not_supported("AS OF inside a statement"));
        }
        match spec.table.kind {
            TableKind::Table => {
                let codec = Arc::new(TableCodec::new(spec.table.clone()));
                let read = key_range(&codec, &spec.bounds)?;
                Ok(Box::new(TableScan {
                    reader: self.reader.another(),
                    codec,
                    columns: spec.columns,
                    read,
                    batch: RowBatch::default(),
                    left: spec.limit,
                    done: false,
                }))
            }
            TableKind::Sequence => {
                let rows = self.positions(Some(spec.table.oid)).await?.into_values();
                let pick = |row: Vec<Datum>| spec.columns.iter().map(|column| row[*column].clone()).collect();
                Ok(Box::new(system::SystemRows::new(rows.map(pick).collect())))
            }
            TableKind::Virtual if spec.table.name == "pg_sequences" && spec.table.schema == PG_CATALOG => {
                let positions = self.positions(None).await?;
                let rows = sequence::pg_sequences(&self.catalog, &positions, &spec.columns);
                Ok(Box::new(system::SystemRows::new(rows)))
            }
            TableKind::Catalog | TableKind::Virtual => {
                let rows = system::scan(&spec.table, &self.catalog, &self.context, &spec.columns)?;
                Ok(Box::new(system::SystemRows::new(rows)))
            }
        }
    }

    fn statistics(&self, table: &TableDef) -> Option<Arc<TableStatistics>> {
        self.activity.statistics(table, self.catalog.statistics(table.oid))
    }

    fn blocks(&self, spec: &ScanSpec, readers: usize) -> SqlResult<Option<Arc<dyn BlockSource>>> {
        if spec.table.kind != TableKind::Table || spec.as_of.is_some() {
            return Ok(None);
        }
        let codec = Arc::new(TableCodec::new(spec.table.clone()));
        let read = key_range(&codec, &spec.bounds)?;
        Ok(Some(Arc::new(TableBlocks::new(codec, read, self.reader.another(), readers))))
    }
}

impl StatementTables {
    /// The rows of one sequence, or of all of the database: their positions at the snapshot, made exact by the
    /// blocks that this compute holds.
    async fn positions(&self, sequence: Option<Oid>) -> SqlResult<HashMap<Oid, Vec<Datum>>> {
        let mut reader = self.reader.another();
        let database = self.catalog.database().to_datum();
        let prefix: Vec<Datum> =
            std::iter::once(database).chain(sequence.map(|oid| oid.to_datum())).collect();
        let (start, end) = prefix_range::<PositionRow>(&prefix);
        let mut read = RangeRead::forward(start, end, Visibility::Now);
        let mut batch = RowBatch::default();
        let mut out = HashMap::new();
        loop {
            let next = match reader.range(&mut read, &mut batch) {
                Ok(next) => next,
                Err(interrupt) => {
                    wait(&mut reader, interrupt.into()).await?;
                    continue;
                }
            };
            for (key, row) in batch.iter() {
                let row = PositionRow::decode(key, &row.value)?;
                out.insert(row.sequence, sequence::sequence_row(&row, &self.sequences));
            }
            if next == RangeNext::Done {
                return Ok(out);
            }
        }
    }
}

/// A table read in key order.
struct TableScan {
    reader: TxnReader,
    codec: Arc<TableCodec>,
    columns: Vec<usize>,
    read: RangeRead,
    batch: RowBatch,
    /// How many rows are still wanted.
    left: Option<usize>,
    done: bool,
}

#[async_trait]
impl RowStream for TableScan {
    async fn next(&mut self) -> SqlResult<Rows> {
        let mut rows = Rows::new();
        while rows.is_empty() && !self.done {
            match self.reader.range(&mut self.read, &mut self.batch) {
                Ok(next) => self.done = next == RangeNext::Done,
                Err(interrupt) => {
                    wait(&mut self.reader, interrupt.into()).await?;
                    continue;
                }
            }
            for index in 0..self.batch.len() {
                if self.left == Some(rows.len()) {
                    self.done = true;
                    break;
                }
                let (key, value) = (self.batch.key(index), &self.batch.row(index).value);
                rows.push(decode(&mut self.reader, &self.codec, key, value, &self.columns).await?);
            }
        }
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(rows.len());
            self.done |= *left == 0;
        }
        Ok(rows)
    }
}

/// Decodes a row; its big values are fetched as far as they are wanted.
pub(super) async fn decode(
    reader: &mut TxnReader,
    codec: &TableCodec,
    key: &[u8],
    value: &Bytes,
    columns: &[usize],
) -> SqlResult<Vec<Datum>> {
    let mut row = Vec::with_capacity(columns.len());
    loop {
        let mut external =
            |row: &[u8], place, ty| read_external(|key| reader.get(key), codec, row, place, ty);
        match codec.decode(key, value, columns, &mut row, &mut external) {
            Ok(()) => return Ok(row),
            Err(stop) => wait(reader, stop).await?,
        }
    }
}

/// Waits for what an operation lacked, or gives its error.
pub(super) async fn wait(reader: &mut TxnReader, stop: Stop) -> SqlResult<()> {
    match stop {
        Stop::Need(need) => Ok(reader.satisfy(need).await?),
        Stop::Yield => Ok(()),
        Stop::RestartStatement => Err(SqlError::concurrent_update()),
        Stop::TooLarge => Err(SqlError::internal("a report was given up")),
        Stop::Error(error) => Err(error),
        Stop::Sequence(need) => Err(SqlError::needs_sequence(need)),
    }
}

/// The keys that can hold rows within the bounds: equalities on leading key columns, then a range on
/// the next one. Bounds on other columns are left to the engine.
fn key_range(codec: &TableCodec, bounds: &[ColumnBound]) -> SqlResult<RangeRead> {
    let table = codec.table();
    let (start, end) = storage_range(table.storage);
    let mut read = RangeRead::forward(start, end, Visibility::Statement);
    let mut prefix = storage_prefix(table.storage).to_vec();
    for part in codec.key() {
        let of_column =
            |op: BoundOp| bounds.iter().find(|bound| bound.column == part.column && bound.op == op);
        let encode = |bound: &ColumnBound| -> SqlResult<Vec<u8>> {
            let mut key = prefix.clone();
            encode_key_column(&mut key, &bound.value, part.ty, part.order)?;
            Ok(key)
        };
        if let Some(equal) = of_column(BoundOp::Eq) {
            prefix = encode(equal)?;
            continue;
        }
        // Ends are widened to whole values: the engine filters the border again.
        let mut low = of_column(BoundOp::Ge).or_else(|| of_column(BoundOp::Gt));
        let mut high = of_column(BoundOp::Le).or_else(|| of_column(BoundOp::Lt));
        if part.order.desc {
            std::mem::swap(&mut low, &mut high);
        }
        narrow(&mut read, &prefix);
        if let Some(low) = low {
            read.start = encode(low)?.into();
        }
        if let Some(high) = high {
            read.end = prefix_end(&encode(high)?).map_or_else(|| read.end.clone(), Bytes::from);
        }
        return Ok(read);
    }
    narrow(&mut read, &prefix);
    Ok(read)
}

/// Only keys that begin with a prefix.
fn narrow(read: &mut RangeRead, prefix: &[u8]) {
    read.start = Bytes::copy_from_slice(prefix);
    if let Some(end) = prefix_end(prefix) {
        read.end = end.into();
    }
}
