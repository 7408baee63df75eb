//! Rows as readers get them: shared bytes, and a reusable buffer of them.

use crate::pages::CachedPage;
use bytes::Bytes;
use shardforge_common::Lsn;
use std::ops::Range;
use std::sync::Arc;

/// A row's value, sharing the bytes of the page or the record it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowBytes {
    /// The value.
    pub value: Bytes,
    /// The commit that wrote it; [`Lsn::MAX`] for a row of one's own uncommitted transaction.
    pub lsn: Lsn,
}

/// Rows of a range read, in the order they were read. Cleared and filled again, it allocates nothing.
#[derive(Debug, Default)]
pub struct RowBatch {
    keys: Vec<u8>,
    rows: Vec<(usize, usize, RowBytes)>,
}

impl RowBatch {
    /// No rows.
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The key of a row.
    pub fn key(&self, index: usize) -> &[u8] {
        let (start, end, _) = self.rows[index];
        &self.keys[start..end]
    }

    /// The value of a row.
    pub fn row(&self, index: usize) -> &RowBytes {
        &self.rows[index].2
    }

    /// Keys and values, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&[u8], &RowBytes)> {
        self.rows.iter().map(|(start, end, row)| (&self.keys[*start..*end], row))
    }

    /// Forgets the rows and keeps the memory.
    pub fn clear(&mut self) {
        self.keys.clear();
        self.rows.clear();
    }

    /// Appends a row whose key comes in two parts.
    pub fn push(&mut self, prefix: &[u8], suffix: &[u8], row: RowBytes) {
        let start = self.keys.len();
        self.keys.extend_from_slice(prefix);
        self.keys.extend_from_slice(suffix);
        self.rows.push((start, self.keys.len(), row));
    }

    /// Keeps the first `len` rows.
    pub fn truncate(&mut self, len: usize) {
        if len < self.rows.len() {
            self.keys.truncate(self.rows[len].0);
            self.rows.truncate(len);
        }
    }
}

/// Rows that lie in one page, one after the other: a scan reads them there, without a copy.
#[derive(Debug, Clone)]
pub struct PageRun {
    page: Arc<CachedPage>,
    rows: Range<usize>,
}

impl PageRun {
    pub(crate) fn new(page: Arc<CachedPage>, rows: Range<usize>) -> Self {
        Self { page, rows }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// What every key begins with.
    pub fn prefix(&self) -> &[u8] {
        self.page.page.prefix()
    }

    /// The rest of each key, and the value.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> {
        self.rows.clone().map(|index| {
            let row = self.page.page.row(index);
            (row.key_suffix, row.value)
        })
    }

    /// One row, by its number in the run, as [`PageRun::iter`] gives it.
    #[inline]
    pub fn row(&self, number: usize) -> (&[u8], &[u8]) {
        let row = self.page.page.row(self.rows.start + number);
        (row.key_suffix, row.value)
    }

    /// Copies the key of a row of this run, by its number, and gives its value.
    pub fn copy_key(&self, number: usize, key: &mut Vec<u8>) -> &[u8] {
        let (suffix, value) = self.row(number);
        key.clear();
        key.extend_from_slice(self.prefix());
        key.extend_from_slice(suffix);
        value
    }

    /// The shared bytes of a value of this run.
    pub fn share(&self, value: &[u8]) -> Bytes {
        self.page.page.share(value)
    }
}
