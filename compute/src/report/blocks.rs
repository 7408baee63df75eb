//! Stored rows as they lie, for an engine that decodes columns by itself: many rows at a time, on many
//! threads, without a value in between.

use crate::SqlResult;
use crate::row_exec::TableCodec;
use crate::txn::RowBatch;
use async_trait::async_trait;
use bytes::Bytes;
use shardforge_cache::PageRun;
use shardforge_types::Datum;
use std::sync::Arc;

/// A table for readers side by side. Every row goes to exactly one of them, the same each time.
pub trait BlockSource: Send + Sync {
    /// How the rows are laid out.
    fn codec(&self) -> &Arc<TableCodec>;

    /// One of the readers, by its number.
    fn reader(&self, number: usize) -> Box<dyn BlockReader>;
}

/// One of the readers of a [`BlockSource`].
#[async_trait]
pub trait BlockReader: Send {
    /// The next rows, in key order within a block: about so many. An empty block is the end.
    async fn next(&mut self, about: usize, block: &mut RowBlock) -> SqlResult<()>;

    /// Columns of one row by the ordinary way: for values that lie outside of it.
    async fn decode(&mut self, key: &[u8], value: &Bytes, columns: &[usize]) -> SqlResult<Vec<Datum>>;
}

/// Rows of a table, in pages and beside them. Cleared and filled again, it allocates little.
#[derive(Debug, Default)]
pub struct RowBlock {
    runs: Vec<PageRun>,
    /// Rows that come after the runs.
    rows: RowBatch,
    len: usize,
}

impl RowBlock {
    /// No rows.
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many pages begin in it, about.
    pub(crate) fn pages(&self) -> u64 {
        let begun = self.runs.iter().filter(|run| run.begins_page()).count();
        begun as u64 + u64::from(!self.rows.is_empty())
    }

    /// Every row that is wanted, by its number: its key in two parts, and its value. Others are not looked at.
    pub fn for_each<'a>(
        &'a self,
        wanted: impl Fn(usize) -> bool,
        mut f: impl FnMut(&'a [u8], &'a [u8], &'a [u8]),
    ) {
        let mut first = 0;
        for run in &self.runs {
            for number in (0..run.len()).filter(|number| wanted(first + number)) {
                let row = run.row(number);
                f(row.prefix, row.suffix, row.value);
            }
            first += run.len();
        }
        for (number, (key, row)) in self.rows.iter().enumerate() {
            if wanted(first + number) {
                f(key, &[], &row.value);
            }
        }
    }

    /// Every row as shared bytes: its key and its value.
    pub fn to_shared(&self) -> Vec<(Vec<u8>, Bytes)> {
        let mut out = Vec::with_capacity(self.len);
        for run in &self.runs {
            out.extend((0..run.len()).map(|number| (run.row(number).key(), run.value(number))));
        }
        out.extend(self.rows.iter().map(|(key, row)| (key.to_vec(), row.value.clone())));
        out
    }

    pub(crate) fn clear(&mut self) {
        self.runs.clear();
        self.rows.clear();
        self.len = 0;
    }

    pub(crate) fn push_run(&mut self, run: PageRun) {
        debug_assert!(self.rows.is_empty(), "the rows beside pages come last");
        self.len += run.len();
        self.runs.push(run);
    }

    /// Takes the rows of a step that did not come as a run; nothing may be added after.
    pub(crate) fn take_rows(&mut self, rows: &mut RowBatch) {
        self.len += rows.len();
        std::mem::swap(&mut self.rows, rows);
        rows.clear();
    }
}
