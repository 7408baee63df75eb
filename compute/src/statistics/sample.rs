//! Looking at a table: how many rows and pages it has, and what some rows hold, taken evenly from all of it.
//!
//! Threads side by side read the table once. Each counts, and copies rows that lie a fixed number apart, so that
//! neighbours are rarely both among them. How far apart is known only at the end: whenever a thread has too many,
//! every other one goes and the distance doubles. Only what is left is decoded.

use super::{ColumnStatistics, TableStatistics};
use crate::report::{BlockReader, BlockSource, RowBlock};
use crate::row_exec::{Stop, TableCodec};
use crate::session::{StopFlag, StopOnDrop, TableBlocks, threads};
use crate::txn::{RangeRead, TxnReader, Visibility};
use crate::{SqlError, SqlResult};
use bytes::Bytes;
use shardforge_common::key::storage_range;
use shardforge_common::task;
use shardforge_types::key::{KeyOrder, encode_key_column, is_key_type};
use shardforge_types::{Datum, PgType, Text};
use std::sync::Arc;
use std::time::Duration;

/// Rows that are looked at, at most: PostgreSQL's 300 for each of its default statistics target of 100. Where there
/// are more rows, at least half as many.
const SAMPLE_ROWS: usize = 30_000;
/// Rows of a block, about.
const BLOCK_ROWS: usize = 1024;

/// Pages that background work reads before it rests.
const PAGES: u64 = 16;
/// How long it rests: PostgreSQL's `autovacuum_vacuum_cost_delay`.
const REST: Duration = Duration::from_millis(2);

/// How fast a table is read.
pub(crate) struct Pace {
    rests: bool,
    /// Pages read since it rested.
    pages: u64,
}

impl Pace {
    /// As fast as it goes, beside others on the same thread.
    pub(crate) fn unhurried() -> Self {
        Self { rests: false, pages: 0 }
    }

    /// With rests, for those whom nobody waits for.
    pub(crate) fn background() -> Self {
        Self { rests: true, pages: 0 }
    }

    async fn read(&mut self, block: &RowBlock) {
        self.pages += block.pages();
        if self.rests && self.pages >= PAGES {
            self.pages = 0;
            task::sleep(REST).await;
        } else {
            // Other connections share this thread.
            tokio::task::consume_budget().await;
        }
    }
}

/// How many rows a table has, as far as it has no more than `most` or little more.
pub(crate) async fn count_up_to(reader: &TxnReader, codec: &Arc<TableCodec>, most: u64) -> SqlResult<u64> {
    let mut reader = table_of(reader, codec, 1).reader(0);
    let (mut rows, mut block, mut pace) = (0, RowBlock::new(), Pace::background());
    while rows < most {
        reader.next(BLOCK_ROWS, &mut block).await?;
        if block.is_empty() {
            break;
        }
        rows += block.len() as u64;
        pace.read(&block).await;
    }
    Ok(rows)
}

/// All rows of a table, for so many readers.
fn table_of(reader: &TxnReader, codec: &Arc<TableCodec>, readers: usize) -> TableBlocks {
    let (start, end) = storage_range(codec.table().storage);
    let read = RangeRead::forward(start, end, Visibility::Statement);
    TableBlocks::new(codec.clone(), read, reader.another(), readers)
}

/// Looks at a table as a reader sees it.
pub(crate) async fn analyze(
    reader: &TxnReader,
    codec: &Arc<TableCodec>,
    pace: Pace,
) -> SqlResult<TableStatistics> {
    let threads = if pace.rests { 1 } else { threads() };
    let blocks = table_of(reader, codec, threads);
    let stop = StopOnDrop::default();
    let looker = |number| Looker {
        reader: blocks.reader(number),
        stop: stop.flag(),
        seen: Seen::new(SAMPLE_ROWS / 2 / threads),
    };
    let mut all: Vec<Seen> = Vec::with_capacity(threads);
    if threads == 1 {
        all.push(looker(0).run(pace).await?);
    } else {
        let runtime = tokio::runtime::Handle::current();
        let lookers = (0..threads).map(|number| {
            let (looker, runtime) = (looker(number), runtime.clone());
            task::spawn_blocking("analyze", move || runtime.block_on(looker.run(Pace::unhurried())))
        });
        let lookers: Vec<_> = lookers.collect();
        for looker in lookers {
            all.push(looker.await.map_err(|_| SqlError::internal("a thread that looks at a table ended"))??);
        }
    }
    let rows: u64 = all.iter().map(|seen| seen.rows).sum();
    let pages: u64 = all.iter().map(|seen| seen.pages).sum();
    let columns: Vec<usize> = codec.table().visible_columns().map(|(position, _)| position).collect();
    let distance = all.iter().map(|seen| seen.distance).max().unwrap_or(1);
    let mut sample: Vec<Vec<Datum>> = Vec::new();
    for seen in &mut all {
        seen.thin(distance);
        for (key, value) in &seen.taken {
            let mut row = Vec::with_capacity(columns.len());
            // Only their lengths would be of use; values that lie elsewhere are not fetched for that.
            let mut elsewhere = |_: &[u8], _, _| Ok(Datum::Text(Text::from("")));
            codec.decode(key, value, &columns, &mut row, &mut elsewhere).map_err(|stop| match stop {
                Stop::Error(error) => error,
                _ => SqlError::internal("a row was decoded and asked for another"),
            })?;
            sample.push(row);
        }
        // Other connections share this thread.
        tokio::task::consume_budget().await;
    }
    let mut known = vec![None; codec.table().columns.len()];
    for (at, position) in columns.into_iter().enumerate() {
        let ty = codec.table().columns[position].ty;
        known[position] = column(sample.iter().map(|row| &row[at]), ty, rows as f64);
    }
    Ok(TableStatistics { rows: rows as f64, pages, columns: known, ..TableStatistics::default() })
}

/// What one thread has seen of a table.
struct Seen {
    rows: u64,
    pages: u64,
    /// Of its rows, every one whose number is a multiple of this was taken.
    distance: u64,
    /// Keys and values, copied: a page is not to be kept for the sake of a row.
    taken: Vec<(Vec<u8>, Bytes)>,
    /// So many rows are enough; twice as many are too many.
    enough: usize,
}

impl Seen {
    fn new(enough: usize) -> Self {
        Self { rows: 0, pages: 0, distance: 1, taken: Vec::new(), enough }
    }

    fn block(&mut self, block: &RowBlock) {
        self.pages += block.pages();
        let (before, distance) = (self.rows, self.distance);
        self.rows += block.len() as u64;
        block.for_each(
            |number| (before + number as u64).is_multiple_of(distance),
            |prefix, suffix, value| {
                self.taken.push(([prefix, suffix].concat(), Bytes::copy_from_slice(value)));
            },
        );
        while self.taken.len() >= 2 * self.enough {
            self.thin(2 * self.distance);
        }
    }

    /// Takes rows at a longer distance; distances are powers of two.
    fn thin(&mut self, distance: u64) {
        let mut left = 0;
        let every = distance / self.distance;
        self.taken.retain(|_| {
            left += 1;
            (left - 1) % every == 0
        });
        self.distance = distance;
    }
}

/// One of the threads.
struct Looker {
    reader: Box<dyn BlockReader>,
    stop: StopFlag,
    seen: Seen,
}

impl Looker {
    async fn run(mut self, mut pace: Pace) -> SqlResult<Seen> {
        let mut block = RowBlock::new();
        loop {
            self.reader.next(BLOCK_ROWS, &mut block).await?;
            if block.is_empty() {
                return Ok(self.seen);
            }
            if self.stop.is_set() {
                return Err(SqlError::internal("the statement was given up"));
            }
            self.seen.block(&block);
            pace.read(&block).await;
        }
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
    use crate::txn::{RowBatch, RowBytes};
    use shardforge_common::Lsn;

    #[test]
    fn a_sample_gets_no_larger_than_twice_what_is_enough_and_stays_even() {
        for rows in [0u64, 5, 19, 20, 21, 1000] {
            let mut seen = Seen::new(10);
            let mut number = 0;
            while number < rows {
                let mut batch = RowBatch::new();
                for _ in 0..7.min(rows - number) {
                    let row = RowBytes { value: Bytes::copy_from_slice(&number.to_be_bytes()), lsn: Lsn(1) };
                    batch.push(&number.to_be_bytes(), &[], row);
                    number += 1;
                }
                let mut block = RowBlock::new();
                block.take_rows(&mut batch);
                seen.block(&block);
            }
            assert_eq!(seen.rows, rows);
            assert!(seen.taken.len() < 20 && (rows < 20 || seen.taken.len() >= 10), "{rows}");
            let expected: Vec<_> = (0..rows).step_by(seen.distance as usize).collect();
            let taken = seen.taken.iter().map(|(_, v)| u64::from_be_bytes(v[..].try_into().unwrap()));
            assert_eq!(taken.collect::<Vec<_>>(), expected);
            let (distance, taken) = (seen.distance, seen.taken.len());
            seen.thin(4 * distance);
            assert_eq!(seen.taken.len(), taken.div_ceil(4));
        }
    }

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
