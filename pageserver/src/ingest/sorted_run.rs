//! A sorted run: the part of a large transaction that came in one record, kept as it came.
//!
//! The records of a large transaction hold their rows in key order. Such a record is searched where it lies:
//! to ingest it costs a walk over its mutations, and no tree. Marks lead to the rows of a page.

use crate::read::MemRow;
use bytes::Bytes;
use shardforge_common::mutation::{Mutation, MutationList};
use shardforge_common::{Lsn, Result};

/// What a mark costs, in bytes, beside the run's own.
const MARK_BYTES: usize = 40;

#[derive(Debug, Clone)]
struct Mark {
    key: Bytes,
    offset: usize,
}

/// Rows of one LSN, in key order, each key once.
#[derive(Debug)]
pub(crate) struct SortedRun {
    lsn: Lsn,
    body: Bytes,
    /// The first row of each page's worth of them.
    marks: Vec<Mark>,
    last: Bytes,
}

impl SortedRun {
    /// The run that a list is; `None` when its keys do not ascend, or not all of it are rows.
    pub(crate) fn of(list: &MutationList, lsn: Lsn, page_bytes: usize) -> Result<Option<SortedRun>> {
        let body = list.as_bytes();
        let mut marks: Vec<Mark> = Vec::new();
        let mut rest: &[u8] = body;
        let mut last: &[u8] = &[];
        let mut weight = 0;
        while !rest.is_empty() {
            let offset = body.len() - rest.len();
            let mutation = Mutation::decode(&mut rest)?;
            let Some((key, value)) = row_of(&mutation) else { return Ok(None) };
            if !marks.is_empty() && key <= last {
                return Ok(None);
            }
            let row_bytes = key.len() + value.map_or(0, <[u8]>::len) + 16;
            if marks.is_empty() || weight + row_bytes > page_bytes {
                marks.push(Mark { key: list.share(key), offset });
                weight = 0;
            }
            weight += row_bytes;
            last = key;
        }
        if marks.is_empty() {
            return Ok(None);
        }
        let last = list.share(last);
        Ok(Some(SortedRun { lsn, body: body.clone(), marks, last }))
    }

    pub(crate) fn lsn(&self) -> Lsn {
        self.lsn
    }

    pub(crate) fn first(&self) -> &Bytes {
        &self.marks[0].key
    }

    pub(crate) fn last(&self) -> &Bytes {
        &self.last
    }

    /// Memory held, in bytes.
    pub(crate) fn size_bytes(&self) -> usize {
        self.body.len() + self.marks.len() * MARK_BYTES
    }

    /// Whether it meets `[lo, hi)`.
    pub(crate) fn overlaps(&self, lo: &[u8], hi: Option<&[u8]>) -> bool {
        &self.last[..] >= lo && hi.is_none_or(|hi| &self.first()[..] < hi)
    }

    /// Its mutations, from the last mark at or below a key on.
    pub(crate) fn rows_near(&self, key: &[u8]) -> Rows<'_> {
        let after = self.marks.partition_point(|mark| &mark.key[..] <= key);
        let offset = self.marks[after.saturating_sub(1)].offset;
        Rows { run: self, rest: &self.body[offset..] }
    }

    /// All its mutations as they came.
    pub(crate) fn list(&self) -> MutationList {
        MutationList::from_bytes(self.body.clone())
    }

    /// The number of borders at or below a key; below it, when not `including`. Borders are the keys at which
    /// pages over it would end: not its first, below which it has nothing.
    pub(crate) fn borders_up_to(&self, key: &[u8], including: bool) -> usize {
        let borders = &self.marks[1..];
        if including {
            borders.partition_point(|mark| &mark.key[..] <= key)
        } else {
            borders.partition_point(|mark| &mark.key[..] < key)
        }
    }

    /// The border of a number.
    pub(crate) fn border(&self, number: usize) -> Option<&Bytes> {
        self.marks.get(1 + number).map(|mark| &mark.key)
    }
}

/// Key and value of a mutation of one row.
fn row_of<'a>(mutation: &Mutation<'a>) -> Option<(&'a [u8], Option<&'a [u8]>)> {
    match *mutation {
        Mutation::Insert { key, value } | Mutation::Update { key, value } | Mutation::Put { key, value } => {
            Some((key, Some(value)))
        }
        Mutation::Delete { key } => Some((key, None)),
        Mutation::DeleteRange { .. } | Mutation::Touch { .. } | Mutation::Merge { .. } => None,
    }
}

/// A walk over a run.
pub(crate) struct Rows<'a> {
    run: &'a SortedRun,
    rest: &'a [u8],
}

impl Rows<'_> {
    /// The next row at or above `lo`; `None` at the end of `[lo, hi)`.
    pub(crate) fn next_in(&mut self, lo: &[u8], hi: Option<&[u8]>) -> Option<MemRow> {
        while !self.rest.is_empty() {
            let mutation = Mutation::decode(&mut self.rest).expect("a run was walked when it was made");
            let (key, value) = row_of(&mutation).expect("a run holds rows alone");
            if key < lo {
                continue;
            }
            if hi.is_some_and(|hi| key >= hi) {
                self.rest = &[];
                return None;
            }
            let share = |slice: &[u8]| self.run.body.slice_ref(slice);
            return Some(MemRow { key: share(key), lsn: self.run.lsn, value: value.map(share) });
        }
        None
    }
}
