//! New storages filled with rows that are made of a table's rows: the entries of indexes, or the table under
//! another key.
//!
//! 1. Threads side by side read parts of the table, each page where it lies, make rows of its rows
//!    ([`MakeRows`]), and sort what they made, through disk when there is much of it ([`Sorter`]).
//! 2. What came of a storage is merged, a part on each thread, and becomes the transaction's own rows in key
//!    order ([`Sorted`]): without checks, locks or pages. Two equal keys meet there.
//!
//! When the statement ends early, by an error or a cancel request, its threads stop at the next block.

use crate::catalog::TableDef;
use crate::report::{BlockReader, BlockSource, RowBlock};
use crate::row_exec::TableCodec;
use crate::session::{StopFlag, StopOnDrop, TableBlocks, threads};
use crate::txn::{Interrupt, NewChunk, RangeRead, Sorted, Sorter, Twice, Txn};
use crate::{SqlError, SqlResult};
use bytes::Bytes;
use shardforge_common::task;
use shardforge_types::Datum;
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::task::JoinHandle;

/// Rows of a block, about.
const BLOCK_ROWS: usize = 1024;

/// Makes rows of new storages out of a table's rows. Each thread has its own.
pub(super) trait MakeRows: Send {
    /// Makes the rows of one row, given as wide as its table, and its key. There is a sorter for each storage.
    fn make(&mut self, row: &[Datum], key: &[u8], out: &mut [Sorter]) -> SqlResult<()>;
}

/// What to read, and into how many storages to write.
pub(super) struct Fill {
    pub(super) codec: Arc<TableCodec>,
    pub(super) read: RangeRead,
    /// The columns that the rows are made of.
    pub(super) columns: Vec<usize>,
    pub(super) storages: usize,
}

fn ended<E>(_: E) -> SqlError {
    SqlError::internal("a thread that fills a storage ended")
}

/// Reads the table, and gives what was made of it, for each storage.
pub(super) async fn sort_rows<M: MakeRows + 'static>(
    fill: Fill,
    maker: impl Fn() -> M,
    txn: &Txn,
) -> SqlResult<Vec<Sorted>> {
    let threads = threads();
    let stop = StopOnDrop::default();
    let branch = txn.branch();
    let Fill { codec, read, columns, storages } = fill;
    let blocks = TableBlocks::new(codec.clone(), read, txn.reader_now(), threads);
    let runtime = tokio::runtime::Handle::current();
    let workers = (0..threads).map(|number| {
        let worker = Worker {
            reader: blocks.reader(number),
            places: columns.iter().map(|column| (*column, *column)).collect(),
            columns: columns.clone(),
            row: vec![Datum::Null; codec.table().columns.len()],
            sorters: (0..storages).map(|_| Sorter::new(branch.clone(), storages)).collect(),
            stop: stop.flag(),
            codec: codec.clone(),
            maker: maker(),
        };
        let runtime = runtime.clone();
        task::spawn_blocking("fill-storage", move || runtime.block_on(worker.run()))
    });
    let workers: Vec<_> = workers.collect();
    let mut runs: Vec<_> = (0..storages).map(|_| Vec::new()).collect();
    for worker in workers {
        for (all, own) in runs.iter_mut().zip(worker.await.map_err(ended)??) {
            all.extend(own);
        }
    }
    let part_bytes = branch.config.fragment_bytes;
    Ok(runs.into_iter().map(|runs| Sorted::new(runs, part_bytes)).collect())
}

/// Writes a storage's rows, or answers one of them whose key another has.
pub(super) async fn write_sorted(sorted: Sorted, txn: &mut Txn) -> SqlResult<Result<(), Twice>> {
    let cuts = sorted.cuts();
    let mut froms = std::iter::once(None).chain(cuts.iter().cloned().map(Some));
    let mut tos = cuts.iter().cloned().map(Some).chain(std::iter::once(None));
    type Part = JoinHandle<shardforge_common::Result<Result<Vec<NewChunk>, Twice>>>;
    let mut under_way: VecDeque<Part> = VecDeque::new();
    let most = 2 * threads();
    loop {
        while under_way.len() < most
            && let (Some(from), Some(to)) = (froms.next(), tos.next())
        {
            let sorted = sorted.clone();
            let merge = move || sorted.merge(from.as_deref(), to.as_deref());
            under_way.push_back(task::spawn_blocking("fill-storage", merge));
        }
        let Some(part) = under_way.pop_front() else { return Ok(Ok(())) };
        let chunks = match part.await.map_err(ended)?? {
            Ok(chunks) => chunks,
            Err(twice) => return Ok(Err(twice)),
        };
        for chunk in chunks {
            txn.append_sorted(chunk).map_err(|interrupt| match interrupt {
                Interrupt::Error(error) => SqlError::from(*error),
                _ => SqlError::internal("a row of the transaction's own storage had to wait"),
            })?;
        }
    }
}

/// One of the threads that read.
struct Worker<M> {
    reader: Box<dyn BlockReader>,
    codec: Arc<TableCodec>,
    columns: Vec<usize>,
    places: Vec<(usize, usize)>,
    maker: M,
    row: Vec<Datum>,
    sorters: Vec<Sorter>,
    stop: StopFlag,
}

impl<M: MakeRows> Worker<M> {
    async fn run(mut self) -> SqlResult<Vec<Vec<crate::txn::SortedRun>>> {
        let mut block = RowBlock::new();
        let mut key = Vec::new();
        loop {
            self.reader.next(BLOCK_ROWS, &mut block).await?;
            if block.is_empty() {
                break;
            }
            if self.stop.is_set() {
                return Err(ended(()));
            }
            let mut result = Ok(());
            // Rows with values that lie elsewhere, which must be waited for.
            let mut aside = Vec::new();
            block.for_each(
                |_| true,
                |prefix, suffix, value| {
                    if result.is_ok() {
                        key.clear();
                        key.extend_from_slice(prefix);
                        key.extend_from_slice(suffix);
                        match self.take(&key, value) {
                            Ok(true) => {}
                            Ok(false) => aside.push((key.clone(), Bytes::copy_from_slice(value))),
                            Err(error) => result = Err(error),
                        }
                    }
                },
            );
            result?;
            for (key, value) in aside {
                let values = self.reader.decode(&key, &value, &self.columns).await?;
                for (column, value) in self.columns.iter().zip(values) {
                    self.row[*column] = value;
                }
                self.maker.make(&self.row, &key, &mut self.sorters)?;
            }
        }
        let runs = self.sorters.into_iter().map(|sorter| Ok(sorter.finish()?));
        runs.collect()
    }

    /// Makes the rows of a row that holds all its values; false for another.
    fn take(&mut self, key: &[u8], value: &[u8]) -> SqlResult<bool> {
        if !decode_here(&self.codec, key, value, &self.places, &mut self.row)? {
            return Ok(false);
        }
        self.maker.make(&self.row, key, &mut self.sorters)?;
        Ok(true)
    }
}

/// Decodes columns to their places when all of them lie in the row and its key; false otherwise.
pub(super) fn decode_here(
    codec: &TableCodec,
    key: &[u8],
    value: &[u8],
    places: &[(usize, usize)],
    row: &mut [Datum],
) -> SqlResult<bool> {
    let mut here = true;
    let mut external = |_: &[u8], _, _| {
        here = false;
        Ok(Datum::Null)
    };
    let decoded = codec.decode_to(key, value, None, places, row, &mut external);
    decoded.map_err(|stop| match stop {
        crate::row_exec::Stop::Error(error) => error,
        _ => SqlError::internal("a row's decoding had to wait"),
    })?;
    Ok(here)
}

/// The columns of a table that are not dropped, by position.
pub(super) fn visible(table: &TableDef) -> Vec<usize> {
    table.visible_columns().map(|(position, _)| position).collect()
}
