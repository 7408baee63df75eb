//! What reads over own writes cost: keys walked over and blocks read from runs, counted.

use super::cases::{drive, rows};
use super::{World, key_in};
use crate::txn::*;
use bytes::Bytes;
use shardforge_common::{StorageId, key};
use std::cell::Cell;

/// What is counted.
#[derive(Clone, Copy)]
pub(crate) enum Work {
    /// A key of own writes that a read came by, seen or not.
    Key,
    /// A block of a run that was read and decoded.
    Block,
}

thread_local! {
    // A test runs on one thread, with all that it reads.
    static DONE: [Cell<usize>; 2] = const { [Cell::new(0), Cell::new(0)] };
}

pub(crate) fn add(work: Work) {
    DONE.with(|done| done[work as usize].set(done[work as usize].get() + 1));
}

/// Keys and blocks since the last call.
fn taken() -> (usize, usize) {
    DONE.with(|done| (done[0].take(), done[1].take()))
}

const ROWS: usize = 3000;
/// About what one block of a run holds of them; a run of the small transactions here is one block or two.
const ROWS_OF_BLOCK: usize = 100;

/// The rows of a table are apart, so that new ones go between them.
fn name(n: usize) -> String {
    format!("{n:06}")
}

fn row(n: usize) -> (Bytes, Bytes) {
    (key_in(5, &name(n)), Bytes::from(format!("value {n} {}", "x".repeat(50))))
}

/// A table of rows 0, 10, 20 and so on, which everyone sees, and a transaction over it.
async fn begin(spill_bytes: usize) -> (World, Txn) {
    let world = World::with_spill_bytes(spill_bytes).await;
    let mut txn = world.a.begin(IsolationLevel::ReadCommitted);
    txn.begin_statement().await.unwrap();
    for n in 0..ROWS {
        let (key, value) = row(10 * n);
        txn.insert(key, value, Checked::No).unwrap();
    }
    txn.commit().await.unwrap();
    let mut txn = world.a.begin(IsolationLevel::ReadCommitted);
    txn.begin_statement().await.unwrap();
    (world, txn)
}

/// A statement that scans the table and writes something for each row that it sees: how many it saw.
async fn for_each_row(txn: &mut Txn, reverse: bool, mut write: impl FnMut(&mut Txn, &[u8], usize)) -> usize {
    let (start, end) = key::storage_range(StorageId(5));
    let visibility = Visibility::Statement;
    let mut read = RangeRead { start: start.into(), end: end.into(), reverse, limit: 0, visibility };
    let (mut seen, mut batch) = (0, RowBatch::new());
    loop {
        let next = drive(txn, |txn| txn.range(&mut read, &mut batch)).await.unwrap();
        for (key, _) in batch.iter() {
            write(txn, key, seen);
            seen += 1;
        }
        if next == RangeNext::Done {
            return seen;
        }
    }
}

/// In memory, and with some dozen runs.
const LIMITS: [usize; 2] = [64 << 20, 16 << 10];

#[tokio::test]
async fn a_statement_that_reads_the_table_that_it_fills_comes_by_each_new_row_once() {
    for spill_bytes in LIMITS {
        for (reverse, beyond) in [(false, false), (false, true), (true, false), (true, true)] {
            let (_world, mut txn) = begin(spill_bytes).await;
            taken();
            // Between the rows that are read, or after all of them.
            let place = |n: usize| if beyond { 10 * ROWS + n } else { 10 * (n * 7 % ROWS) + 1 };
            let seen = for_each_row(&mut txn, reverse, |txn, _, n| {
                let (key, value) = row(place(n));
                txn.insert(key, value, Checked::No).unwrap();
            });
            assert_eq!(seen.await, ROWS, "a statement does not see what it writes");
            let (keys, blocks) = taken();
            let which = format!("spill {spill_bytes}, reverse {reverse}, beyond {beyond}");
            assert!(keys <= 4 * ROWS, "{which}: {keys} keys");
            // Runs of this statement alone are not read, and every run is.
            assert_eq!(blocks, 0, "{which}");

            txn.begin_statement().await.unwrap();
            assert_eq!(rows(&mut txn, 5, reverse).await.len(), 2 * ROWS);
            let (keys, blocks) = taken();
            assert!(keys <= 4 * ROWS, "{which}, read again: {keys} keys");
            let at_once = if beyond { 1 } else { 2 * ROWS / ROWS_OF_BLOCK };
            assert!(blocks <= 4 * at_once * ROWS / ROWS_OF_BLOCK, "{which}, read again: {blocks} blocks");
        }
    }
}

#[tokio::test]
async fn rows_written_twice_in_one_transaction_are_read_once_by_each_statement() {
    for spill_bytes in LIMITS {
        let (_world, mut txn) = begin(spill_bytes).await;
        for statement in ["first update", "second update", "delete"] {
            taken();
            let seen = for_each_row(&mut txn, false, |txn, key, n| {
                let key = Bytes::copy_from_slice(key);
                match statement {
                    "delete" => txn.delete(key, Checked::No).unwrap(),
                    _ => txn.update(key, row(10 * n).1, Checked::No).unwrap(),
                }
            });
            assert_eq!(seen.await, ROWS, "{statement}");
            let (keys, blocks) = taken();
            assert!(keys <= 4 * ROWS, "spill {spill_bytes}, {statement}: {keys} keys");
            assert!(blocks <= 8 * ROWS / ROWS_OF_BLOCK, "spill {spill_bytes}, {statement}: {blocks} blocks");
            txn.begin_statement().await.unwrap();
        }
        assert_eq!(rows(&mut txn, 5, false).await, []);
    }
}

#[tokio::test]
async fn a_small_range_of_bulk_rows_costs_a_small_walk() {
    let (_world, mut txn) = begin(LIMITS[0]).await;
    for n in 0..ROWS {
        let (key, value) = row(10 * ROWS + n);
        assert!(txn.append(&key, &value, true).unwrap());
    }
    taken();
    let mut batch = RowBatch::new();
    for n in 10 * ROWS..11 * ROWS {
        for reverse in [false, true] {
            let (start, end) = (row(n).0, row(n + 1).0);
            let mut read = RangeRead { start, end, reverse, limit: 0, visibility: Visibility::Now };
            drive(&mut txn, |txn| txn.range(&mut read, &mut batch)).await.unwrap();
            let found: Vec<_> =
                batch.iter().map(|(key, row)| (Bytes::copy_from_slice(key), row.value.clone())).collect();
            assert_eq!(found, [row(n)]);
        }
    }
    let (keys, _) = taken();
    assert!(keys <= 4 * 2 * ROWS, "{keys} keys");
}
