//! Looking at a table: how many rows and pages it has, and what some rows hold, taken evenly from all of it.
//!
//! Counting reads every page and decodes none; the rows are taken in a second pass, a fixed number of rows
//! apart, so that rows that lie beside each other are rarely both in it.

use super::{ColumnStatistics, TableStatistics};
use crate::row_exec::{Stop, TableCodec};
use crate::txn::{Interrupt, RangeNext, RangeRead, RowBatch, TxnReader, Visibility};
use crate::{SqlError, SqlResult};
use bytes::Bytes;
use shardforge_common::key::storage_range;
use shardforge_common::task;
use shardforge_types::key::{KeyOrder, encode_key_column, is_key_type};
use shardforge_types::{Datum, PgType, Text};
use std::ops::ControlFlow;
use std::time::Duration;

/// Rows that are looked at: PostgreSQL's 300 for each of its default statistics target of 100.
const SAMPLE_ROWS: u64 = 30_000;

/// Steps that background work makes before it rests.
const STEPS: u32 = 16;
/// How long it rests: PostgreSQL's `autovacuum_vacuum_cost_delay`.
const REST: Duration = Duration::from_millis(2);

/// How fast a table is read.
pub(crate) struct Pace {
    rests: bool,
    steps: u32,
}

impl Pace {
    /// As fast as it goes, beside others on the same thread.
    pub(crate) fn unhurried() -> Self {
        Self { rests: false, steps: 0 }
    }

    /// With rests, for those whom nobody waits for.
    pub(crate) fn background() -> Self {
        Self { rests: true, steps: 0 }
    }

    async fn step(&mut self) {
        self.steps += 1;
        if self.rests && self.steps.is_multiple_of(STEPS) {
            task::sleep(REST).await;
        } else {
            // Other connections share this thread.
            tokio::task::consume_budget().await;
        }
    }
}

/// How many rows a table has, as far as it has no more than `most` or little more.
pub(crate) async fn count_up_to(reader: &mut TxnReader, codec: &TableCodec, most: u64) -> SqlResult<u64> {
    let mut rows = 0;
    pass(reader, codec, &mut Pace::background(), |_, len| {
        rows += len as u64;
        Ok(if rows >= most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })
    .await?;
    Ok(rows)
}

/// Looks at a table as a reader sees it.
pub(crate) async fn analyze(
    reader: &mut TxnReader,
    codec: &TableCodec,
    mut pace: Pace,
) -> SqlResult<TableStatistics> {
    let (mut rows, mut pages) = (0u64, 0u64);
    pass(reader, codec, &mut pace, |_, len| {
        rows += len as u64;
        pages += 1;
        Ok(ControlFlow::Continue(()))
    })
    .await?;
    let stride = rows.div_ceil(SAMPLE_ROWS).max(1);
    let columns: Vec<usize> = codec.table().visible_columns().map(|(position, _)| position).collect();
    let mut sample: Vec<Vec<Datum>> = Vec::new();
    let mut seen = 0u64;
    pass(reader, codec, &mut pace, |step, len| {
        let first = seen.next_multiple_of(stride) - seen;
        seen += len as u64;
        for at in (first..len as u64).step_by(stride as usize) {
            let (key, value) = step(at as usize);
            let mut row = Vec::with_capacity(columns.len());
            // Only their lengths would be of use; values that lie elsewhere are not fetched for that.
            let mut elsewhere = |_: &[u8], _, _| Ok(Datum::Text(Text::from("")));
            codec.decode(&key, &value, &columns, &mut row, &mut elsewhere).map_err(|stop| match stop {
                Stop::Error(error) => error,
                _ => SqlError::internal("a row was decoded and asked for another"),
            })?;
            sample.push(row);
        }
        Ok(ControlFlow::Continue(()))
    })
    .await?;
    let mut known = vec![None; codec.table().columns.len()];
    for (at, position) in columns.into_iter().enumerate() {
        let ty = codec.table().columns[position].ty;
        known[position] = column(sample.iter().map(|row| &row[at]), ty, rows as f64);
    }
    Ok(TableStatistics { rows: rows as f64, pages, columns: known, ..TableStatistics::default() })
}

/// A row of a step, by its number: key and value.
type RowOf<'a> = dyn Fn(usize) -> (Vec<u8>, Bytes) + 'a;

/// Every step of a whole table, until the visitor has seen enough: how many rows it has, and each row on demand.
async fn pass(
    reader: &mut TxnReader,
    codec: &TableCodec,
    pace: &mut Pace,
    mut visit: impl FnMut(&RowOf<'_>, usize) -> SqlResult<ControlFlow<()>>,
) -> SqlResult<()> {
    let (start, end) = storage_range(codec.table().storage);
    let mut read = RangeRead::forward(start, end, Visibility::Statement);
    let mut batch = RowBatch::new();
    loop {
        let mut run = None;
        let next = match reader.scan(&mut read, &mut batch, &mut run) {
            Ok(next) => next,
            Err(Interrupt::Need(need)) => {
                reader.satisfy(need).await?;
                continue;
            }
            Err(Interrupt::Error(error)) => return Err((*error).into()),
            Err(Interrupt::RestartStatement) => return Err(SqlError::concurrent_update()),
        };
        let flow = match &run {
            Some(run) => {
                let row = |at: usize| (run.row(at).key(), run.value(at));
                visit(&row, run.len())?
            }
            None => {
                let row = |at: usize| (batch.key(at).to_vec(), batch.row(at).value.clone());
                visit(&row, batch.len())?
            }
        };
        if next == RangeNext::Done || flow.is_break() {
            return Ok(());
        }
        pace.step().await;
    }
}

/// What a sample says of a column of a table of so many rows.
fn column<'a>(
    values: impl ExactSizeIterator<Item = &'a Datum>,
    ty: PgType,
    rows: f64,
) -> Option<ColumnStatistics> {
    let taken = values.len();
    if taken == 0 || !is_key_type(ty) {
        return None;
    }
    let mut keyed: Vec<(Vec<u8>, &Datum)> = Vec::with_capacity(taken);
    for value in values.filter(|value| !value.is_null()) {
        let mut key = Vec::new();
        encode_key_column(&mut key, value, ty, KeyOrder::ASC).ok()?;
        keyed.push((key, value));
    }
    keyed.sort_by(|(a, _), (b, _)| a.cmp(b));
    let there = keyed.len();
    let null_fraction = 1.0 - there as f64 / taken as f64;
    let width = keyed.iter().map(|(key, _)| key.len()).sum::<usize>() / there.max(1);
    let (mut different, mut once) = (0usize, 0usize);
    for group in keyed.chunk_by(|(a, _), (b, _)| a == b) {
        different += 1;
        once += usize::from(group.len() == 1);
    }
    let distinct = estimated_distinct(there, different, once, rows * (1.0 - null_fraction));
    let end = |at: Option<&(Vec<u8>, &Datum)>| at.map_or(Datum::Null, |(_, value)| (*value).clone());
    let (min, max) = (end(keyed.first()), end(keyed.last()));
    Some(ColumnStatistics { null_fraction, width: width as u32, distinct, min, max })
}

/// How many different values there are among all, when a sample of so many has so many different ones, of
/// which so many came once: the estimator of Haas and Stokes that PostgreSQL uses too.
fn estimated_distinct(sample: usize, different: usize, once: usize, all: f64) -> f64 {
    let (n, d, f1) = (sample as f64, different as f64, once as f64);
    if sample == 0 || all <= n || once == 0 {
        return d;
    }
    if once == different {
        return all;
    }
    (n * d / (n - f1 + f1 * n / all)).clamp(d, all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distinct_values_are_estimated_from_those_that_came_once() {
        // The whole table was seen.
        assert_eq!(estimated_distinct(100, 40, 10, 100.0), 40.0);
        // Every value came once: a key.
        assert_eq!(estimated_distinct(100, 100, 100, 1e6), 1e6);
        // No value came once: there are no more than these.
        assert_eq!(estimated_distinct(30_000, 7, 0, 6e6), 7.0);
        // Four of each in the table, nearly all of which came once.
        let guess = estimated_distinct(30_000, 29_800, 29_600, 6e6);
        assert!((1e6..6e6).contains(&guess), "{guess}");
    }

    #[test]
    fn a_column_has_ends_nulls_and_values() {
        let values: Vec<Datum> = [3, 1, 2, 2].map(Datum::Int4).into_iter().chain([Datum::Null]).collect();
        let known = column(values.iter(), PgType::INT4, 5.0).unwrap();
        assert_eq!((known.min, known.max), (Datum::Int4(1), Datum::Int4(3)));
        assert_eq!(known.distinct, 3.0);
        assert!((known.null_fraction - 0.2).abs() < 1e-9);
        assert!(column([].iter(), PgType::INT4, 0.0).is_none());
    }
}
