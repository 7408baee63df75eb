//! Window functions over the default frame: all rows of the partition up to the last peer of the current one.
//!
//! The input is sorted by the partition's keys, then by the window's order.

use super::memory::row_bytes;
use super::{Held, Needs, Operator, Run, evaluate_all};
use crate::error::to_datafusion;
use crate::values::{column_to_datums, to_array};
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::concat_batches;
use arrow::record_batch::RecordBatch;
use arrow::row::{RowConverter, Rows as KeyRows, SortField};
use datafusion::error::Result;
use datafusion::physical_plan::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::StreamExt;
use shardforge_compute::functions::{AggregateCallInfo, AggregateFunction};
use shardforge_compute::{SqlError, SqlResult};
use shardforge_types::{Datum, PgType, SqlState};
use std::ops::Range;
use std::sync::Arc;

/// A window function, or an aggregate as one.
#[derive(Debug, Clone, Copy)]
pub(crate) enum WindowFunction {
    RowNumber,
    Rank,
    DenseRank,
    PercentRank,
    CumeDist,
    Ntile,
    Lag,
    Lead,
    FirstValue,
    LastValue,
    NthValue,
    Aggregate(&'static AggregateFunction),
}

/// One call, by the places of its expressions among the operator's.
#[derive(Debug)]
pub(crate) struct WindowColumn {
    pub(crate) function: WindowFunction,
    pub(crate) args: Range<usize>,
    pub(crate) arg_types: Vec<PgType>,
    pub(crate) filter: Option<usize>,
    pub(crate) ty: PgType,
}

impl WindowFunction {
    /// The function with a `pg_proc` OID.
    pub(crate) fn of(oid: shardforge_types::Oid) -> Option<Self> {
        Some(match oid.0 {
            3100 => Self::RowNumber,
            3101 => Self::Rank,
            3102 => Self::DenseRank,
            3103 => Self::PercentRank,
            3104 => Self::CumeDist,
            3105 => Self::Ntile,
            3106..=3108 => Self::Lag,
            3109..=3111 => Self::Lead,
            3112 => Self::FirstValue,
            3113 => Self::LastValue,
            3114 => Self::NthValue,
            _ => Self::Aggregate(shardforge_compute::functions::aggregate(oid)?),
        })
    }
}

/// The operator. Its expressions: the partition's keys, the order's, in forms that Arrow compares rightly;
/// then what the calls use.
#[derive(Debug)]
pub(crate) struct WindowOp {
    pub(crate) partition_keys: usize,
    pub(crate) order_keys: usize,
    pub(crate) columns: Vec<WindowColumn>,
}

impl Operator for WindowOp {
    fn name(&self) -> &'static str {
        "Window"
    }

    fn needs(&self) -> Needs {
        Needs::Single
    }

    fn appends(&self) -> bool {
        true
    }

    fn lets_filters_through(&self) -> bool {
        // A row that is filtered away afterwards still counts.
        false
    }

    fn run(self: Arc<Self>, mut run: Run) -> Result<SendableRecordBatchStream> {
        let schema = run.inputs_schema();
        let mut fields = Vec::new();
        for key in &run.exprs[..self.partition_keys + self.order_keys] {
            fields.push(SortField::new(key.data_type(&schema)?));
        }
        let (partition, order) =
            (fields[..self.partition_keys].to_vec(), fields[self.partition_keys..].to_vec());
        let (partition, order) = (RowConverter::new(partition)?, RowConverter::new(order)?);
        let mut input = run.inputs.swap_remove(0);
        let held = Held::new("Window", &run.context);
        let (exprs, out, context) = (run.exprs, run.schema.clone(), run.schema.clone());
        let stream = async move {
            let mut batches = Vec::new();
            while let Some(batch) = input.next().await.transpose()? {
                held.grow(2 * batch.get_array_memory_size())?;
                batches.push(batch);
            }
            let batch = concat_batches(&schema, &batches)?;
            drop(batches);
            let arrays = evaluate_all(&exprs, &batch)?;
            let keys = |converter: &RowConverter, range: Range<usize>| -> Result<Option<KeyRows>> {
                if range.is_empty() { Ok(None) } else { Ok(Some(converter.convert_columns(&arrays[range])?)) }
            };
            let partitions = keys(&partition, 0..self.partition_keys)?;
            let orders = keys(&order, self.partition_keys..self.partition_keys + self.order_keys)?;
            let parts = runs(&partitions, 0..batch.num_rows());
            let mut columns = batch.columns().to_vec();
            for column in &self.columns {
                let values = column.values(&arrays, &parts, &orders).map_err(to_datafusion)?;
                held.grow(row_bytes(&values))?;
                columns.push(to_array(column.ty, values.iter()).map_err(to_datafusion)?);
            }
            Ok(RecordBatch::try_new(out, columns)?)
        };
        Ok(Box::pin(RecordBatchStreamAdapter::new(context, futures::stream::once(stream))))
    }
}

/// Cuts a range where the keys change.
fn runs(keys: &Option<KeyRows>, range: Range<usize>) -> Vec<Range<usize>> {
    let mut out = Vec::new();
    let mut start = range.start;
    for at in range.clone() {
        let same = match keys {
            Some(keys) => keys.row(at) == keys.row(start),
            None => true,
        };
        if !same {
            out.push(start..at);
            start = at;
        }
    }
    if start < range.end {
        out.push(start..range.end);
    }
    out
}

impl WindowColumn {
    fn values(
        &self,
        arrays: &[ArrayRef],
        parts: &[Range<usize>],
        orders: &Option<KeyRows>,
    ) -> SqlResult<Vec<Datum>> {
        let args = self
            .args
            .clone()
            .zip(&self.arg_types)
            .map(|(arg, ty)| column_to_datums(*ty, &arrays[arg]))
            .collect::<SqlResult<Vec<_>>>()?;
        let passes = |row: usize| match self.filter {
            Some(filter) => {
                let filter = arrays[filter].as_boolean();
                filter.is_valid(row) && filter.value(row)
            }
            None => true,
        };
        let mut out = Vec::new();
        for part in parts {
            let peers = runs(orders, part.clone());
            match self.function {
                WindowFunction::Aggregate(function) => {
                    self.aggregate(function, &args, &passes, &peers, part.start, &mut out)?;
                }
                function => {
                    for (group, peers) in peers.iter().enumerate() {
                        for row in peers.clone() {
                            let place = Place { row, part, peers, group };
                            out.push(self.value(function, &args, &place)?);
                        }
                    }
                }
            }
        }
        Ok(out)
    }

    /// The aggregate over the partition up to each group of peers. An accumulator gives its value once, so
    /// each group of peers has one of its own.
    fn aggregate(
        &self,
        function: &'static AggregateFunction,
        args: &[Vec<Datum>],
        passes: &dyn Fn(usize) -> bool,
        peers: &[Range<usize>],
        start: usize,
        out: &mut Vec<Datum>,
    ) -> SqlResult<()> {
        let info = AggregateCallInfo { arg_types: self.arg_types.clone(), result: self.ty };
        for peers in peers {
            let mut accumulator = (function.make)(&info);
            let mut row_args = Vec::new();
            for row in (start..peers.end).filter(|row| passes(*row)) {
                row_args.clear();
                row_args.extend(args.iter().map(|column| column[row].clone()));
                accumulator.add(&row_args)?;
            }
            let value = accumulator.finish()?;
            out.extend(peers.clone().map(|_| value.clone()));
        }
        Ok(())
    }

    fn value(&self, function: WindowFunction, args: &[Vec<Datum>], at: &Place<'_>) -> SqlResult<Datum> {
        let (row, part, peers) = (at.row, at.part, at.peers);
        let int = |value: usize| Datum::Int8(value as i64);
        let arg = |n: usize| args.get(n).map_or(&Datum::Null, |column| &column[row]);
        let of = |row: usize| args.first().map_or(Datum::Null, |column| column[row].clone());
        Ok(match function {
            WindowFunction::RowNumber => int(row - part.start + 1),
            WindowFunction::Rank => int(peers.start - part.start + 1),
            WindowFunction::DenseRank => int(at.group + 1),
            WindowFunction::PercentRank => Datum::Float8(if part.len() > 1 {
                (peers.start - part.start) as f64 / (part.len() - 1) as f64
            } else {
                0.0
            }),
            WindowFunction::CumeDist => Datum::Float8((peers.end - part.start) as f64 / part.len() as f64),
            WindowFunction::Ntile => {
                // The number of buckets is that of the partition's first row.
                let buckets = args.first().map_or(&Datum::Null, |column| &column[part.start]);
                let Some(buckets) = buckets.as_i64() else { return Ok(Datum::Null) };
                let Some(buckets) = usize::try_from(buckets).ok().filter(|n| *n > 0) else {
                    return Err(SqlError::new(
                        SqlState::INVALID_ARGUMENT_FOR_NTILE,
                        "argument of ntile must be greater than zero",
                    ));
                };
                let (size, larger) = (part.len() / buckets, part.len() % buckets);
                let place = row - part.start;
                let bucket = if place < larger * (size + 1) {
                    place / (size + 1)
                } else {
                    larger + (place - larger * (size + 1)) / size.max(1)
                };
                Datum::Int4(bucket as i32 + 1)
            }
            WindowFunction::Lag | WindowFunction::Lead => {
                let offset = if args.len() > 1 {
                    let Some(offset) = arg(1).as_i64() else { return Ok(Datum::Null) };
                    offset
                } else {
                    1
                };
                let offset = if matches!(function, WindowFunction::Lag) { -offset } else { offset };
                let target = i64::try_from(row).unwrap_or(i64::MAX).checked_add(offset);
                match target.and_then(|target| usize::try_from(target).ok()) {
                    Some(target) if part.contains(&target) => of(target),
                    _ => arg(2).clone(),
                }
            }
            WindowFunction::FirstValue => of(part.start),
            WindowFunction::LastValue => of(peers.end - 1),
            WindowFunction::NthValue => {
                let Some(n) = arg(1).as_i64() else { return Ok(Datum::Null) };
                let Some(n) = usize::try_from(n).ok().filter(|n| *n > 0) else {
                    return Err(SqlError::new(
                        SqlState::INVALID_ARGUMENT_FOR_NTH_VALUE,
                        "argument of nth_value must be greater than zero",
                    ));
                };
                let target = part.start + n - 1;
                if target < peers.end { of(target) } else { Datum::Null }
            }
            WindowFunction::Aggregate(_) => {
                return Err(SqlError::internal("an aggregate was asked for the value of one row"));
            }
        })
    }
}

/// Where a row stands.
struct Place<'a> {
    row: usize,
    part: &'a Range<usize>,
    /// The rows that are equal to it in the window's order.
    peers: &'a Range<usize>,
    /// Which group of peers of its partition, from 0.
    group: usize,
}
