//! Rows as readers get them: shared bytes, and a reusable buffer of them.

use bytes::Bytes;
use shardforge_common::Lsn;

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
