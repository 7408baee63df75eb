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

/// Rows that lie in one page, and the recent writes among them, in key order: a scan reads them there, without
/// a copy.
#[derive(Debug, Clone)]
pub struct PageRun {
    page: Arc<CachedPage>,
    /// Whether it has what the page has from its beginning on.
    begins: bool,
    rows: Rows,
}

#[derive(Debug, Clone)]
enum Rows {
    /// Of the page, one after the other.
    Page(Range<usize>),
    /// Of the page and of recent writes, whose places are counted from [`FIRST_RECENT`].
    Merged { places: Vec<u32>, recent: Vec<(Bytes, Bytes)> },
}

/// No page has so many rows.
const FIRST_RECENT: u32 = 1 << 31;

/// A row of a [`PageRun`]. Its key comes in two parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunRow<'a> {
    /// What its key begins with.
    pub prefix: &'a [u8],
    /// The rest of its key.
    pub suffix: &'a [u8],
    /// Its value.
    pub value: &'a [u8],
}

impl RunRow<'_> {
    /// The whole key.
    pub fn key(&self) -> Vec<u8> {
        [self.prefix, self.suffix].concat()
    }
}

impl PageRun {
    pub(crate) fn new(page: Arc<CachedPage>, rows: Range<usize>) -> Self {
        let begins = rows.start == 0 && (rows.end > 0 || page.page.is_empty());
        Self { page, begins, rows: Rows::Page(rows) }
    }

    /// Without rows, for these of the page and those of recent writes among them.
    pub(crate) fn merged(page: Arc<CachedPage>, rows: Range<usize>) -> Self {
        let places = Vec::with_capacity(rows.len());
        Self { rows: Rows::Merged { places, recent: Vec::new() }, ..Self::new(page, rows) }
    }

    /// Appends rows of the page.
    pub(crate) fn push_rows(&mut self, rows: Range<usize>) {
        match &mut self.rows {
            Rows::Page(_) => debug_assert!(rows.is_empty(), "this run takes no rows"),
            // A page is 64 KiB: its rows are counted in far fewer bits.
            Rows::Merged { places, .. } => places.extend(rows.start as u32..rows.end as u32),
        }
    }

    /// Appends a row of recent writes.
    pub(crate) fn push_recent(&mut self, key: Bytes, value: Bytes) {
        match &mut self.rows {
            Rows::Page(_) => debug_assert!(false, "this run takes no rows"),
            Rows::Merged { places, recent } => {
                places.push(FIRST_RECENT + recent.len() as u32);
                recent.push((key, value));
            }
        }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        match &self.rows {
            Rows::Page(rows) => rows.len(),
            Rows::Merged { places, .. } => places.len(),
        }
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether it begins where its page does: of the runs of a whole table, so many as it has pages.
    pub fn begins_page(&self) -> bool {
        self.begins
    }

    /// The rows in key order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = RunRow<'_>> {
        (0..self.len()).map(|number| self.row(number))
    }

    /// One row, by its number in the run.
    #[inline]
    pub fn row(&self, number: usize) -> RunRow<'_> {
        match self.place(number) {
            Place::Page(index) => {
                let row = self.page.page.row(index);
                RunRow { prefix: self.page.page.prefix(), suffix: row.key_suffix, value: row.value }
            }
            Place::Recent((key, value)) => RunRow { prefix: &[], suffix: key, value },
        }
    }

    /// Copies the key of a row of this run, by its number, and gives its value.
    pub fn copy_key(&self, number: usize, key: &mut Vec<u8>) -> &[u8] {
        let row = self.row(number);
        key.clear();
        key.extend_from_slice(row.prefix);
        key.extend_from_slice(row.suffix);
        row.value
    }

    /// The shared bytes of a row's value, by its number in the run.
    pub fn value(&self, number: usize) -> Bytes {
        match self.place(number) {
            Place::Page(index) => self.page.page.share(self.page.page.row(index).value),
            Place::Recent((_, value)) => value.clone(),
        }
    }

    #[inline]
    fn place(&self, number: usize) -> Place<'_> {
        match &self.rows {
            Rows::Page(rows) => Place::Page(rows.start + number),
            Rows::Merged { places, recent } => match places[number].checked_sub(FIRST_RECENT) {
                None => Place::Page(places[number] as usize),
                Some(at) => Place::Recent(&recent[at as usize]),
            },
        }
    }
}

/// Where a row of a run lies.
enum Place<'a> {
    Page(usize),
    Recent(&'a (Bytes, Bytes)),
}
