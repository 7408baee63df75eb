//! The memtable: everything ingested that is not yet in an uploaded layer.
//!
//! # Invariants
//!
//! 1. A key's versions ascend by LSN.
//! 2. Of one LSN a key has one version: the last that the commit made of it.
//! 3. A tombstone hides versions below its own LSN; a version of the same LSN was written after it.
//! 4. Between two neighbouring borders lie about `page_bytes` of rows, as long as they have that many
//!    keys: page intervals over a memtable are as small as over layers.
//!
//! Ingest takes the lock for a batch of mutations, a reader for one page's rows. Values are slices
//! of the bytes that the feed delivered: nothing is copied.

use crate::layer::Tombstone;
use crate::read::{Borders, MemRow};
use bytes::Bytes;
use parking_lot::RwLock;
use shardforge_common::mutation::{Mutation, MutationList};
use shardforge_common::{Error, Lsn, Result};
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::ops::Bound;

/// What a row costs besides its bytes, about.
const ROW_OVERHEAD: usize = 96;

type Versions = SmallVec<[(Lsn, Option<Bytes>); 1]>;

/// An ordered map of keys and versions, with the borders of pages over it.
#[derive(Debug)]
pub(crate) struct Memtable {
    inner: RwLock<Inner>,
    page_bytes: usize,
}

#[derive(Debug, Default)]
struct Inner {
    rows: BTreeMap<Bytes, Versions>,
    tombstones: Vec<Tombstone>,
    /// The least key of each interval, with about how many bytes of rows it holds. The interval
    /// before the first border has the empty key.
    borders: BTreeMap<Bytes, usize>,
    bytes: usize,
    /// The newest LSN with a point mutation here, for invariant 3.
    last_point: Lsn,
}

impl Memtable {
    /// An empty memtable whose borders suit pages of about `page_bytes`.
    pub(crate) fn new(page_bytes: usize) -> Self {
        let inner = Inner { borders: BTreeMap::from([(Bytes::new(), 0)]), ..Inner::default() };
        Self { inner: RwLock::new(inner), page_bytes }
    }

    /// Adds the mutations of one record, all of the same LSN. LSNs never descend from call to call.
    pub(crate) fn apply(&self, list: &MutationList, lsn: Lsn) -> Result<()> {
        let mut inner = self.inner.write();
        for mutation in list.iter() {
            match mutation? {
                Mutation::Insert { key, value }
                | Mutation::Update { key, value }
                | Mutation::Put { key, value } => {
                    inner.set(key, lsn, Some(list.share(value)), || list.share(key), self.page_bytes);
                }
                Mutation::Delete { key } => {
                    inner.set(key, lsn, None, || list.share(key), self.page_bytes);
                }
                Mutation::DeleteRange { start, end } => {
                    if start < end {
                        inner.delete_range(Tombstone { start: list.share(start), end: list.share(end), lsn });
                    }
                }
                // A write for the certifier only (C2).
                Mutation::Touch { .. } => {}
                Mutation::Merge { operator, .. } => {
                    return Err(Error::invalid(format!(
                        "LSN {lsn} holds a Merge (operator {operator}), which this version does not support"
                    )));
                }
            }
        }
        Ok(())
    }

    /// Memory held, in bytes, about.
    pub(crate) fn size_bytes(&self) -> usize {
        self.inner.read().bytes
    }

    /// Appends, for each key in `[lo, hi)`, its newest version at or below `at`.
    pub(crate) fn rows_at(&self, lo: &[u8], hi: Option<&[u8]>, at: Lsn, out: &mut Vec<MemRow>) {
        let range = (Bound::Included(lo), hi.map_or(Bound::Unbounded, Bound::Excluded));
        for (key, versions) in self.inner.read().rows.range::<[u8], _>(range) {
            if let Some((lsn, value)) = versions.iter().rev().find(|(lsn, _)| *lsn <= at) {
                out.push(MemRow { key: key.clone(), lsn: *lsn, value: value.clone() });
            }
        }
    }

    /// The tombstones that meet `[lo, hi)`, at or below `at`.
    pub(crate) fn tombstones_at(&self, lo: &[u8], hi: Option<&[u8]>, at: Lsn, out: &mut Vec<Tombstone>) {
        let inner = self.inner.read();
        let meets = |t: &&Tombstone| t.lsn <= at && lo < &t.end[..] && hi.is_none_or(|hi| &t.start[..] < hi);
        out.extend(inner.tombstones.iter().filter(meets).cloned());
    }

    /// Walks everything in layer order: keys ascending, LSNs descending. Holds the lock meanwhile,
    /// so it is for memtables that take no more writes.
    pub(crate) fn for_each(&self, mut visit: impl FnMut(&[u8], Lsn, Option<Bytes>)) {
        for (key, versions) in &self.inner.read().rows {
            for (lsn, value) in versions.iter().rev() {
                visit(key, *lsn, value.clone());
            }
        }
    }

    /// Every tombstone.
    pub(crate) fn tombstones(&self) -> Vec<Tombstone> {
        self.inner.read().tombstones.clone()
    }

    /// The least and the greatest key of rows and tombstones; the latter excluded when it is a
    /// tombstone's end.
    pub(crate) fn key_range(&self) -> Option<(Bytes, Bytes)> {
        let inner = self.inner.read();
        let after = |key: &Bytes| {
            let mut after = Vec::with_capacity(key.len() + 1);
            after.extend_from_slice(key);
            after.push(0);
            Bytes::from(after)
        };
        let rows = inner.rows.first_key_value().zip(inner.rows.last_key_value());
        let rows = rows.map(|((first, _), (last, _))| (first.clone(), after(last)));
        let tombstones = inner.tombstones.iter().map(|t| (t.start.clone(), t.end.clone()));
        rows.into_iter().chain(tombstones).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    }
}

impl Inner {
    fn set(
        &mut self,
        key: &[u8],
        lsn: Lsn,
        value: Option<Bytes>,
        share_key: impl FnOnce() -> Bytes,
        page_bytes: usize,
    ) {
        self.last_point = lsn;
        let added = value.as_ref().map_or(0, Bytes::len);
        self.bytes += added;
        if let Some(versions) = self.rows.get_mut(key) {
            match versions.last_mut() {
                Some((last, old)) if *last >= lsn => *old = value,
                _ => {
                    versions.push((lsn, value));
                    self.bytes += size_of::<(Lsn, Option<Bytes>)>();
                }
            }
            return;
        }
        self.bytes += key.len() + ROW_OVERHEAD;
        let key = share_key();
        self.rows.insert(key.clone(), smallvec::smallvec![(lsn, value)]);
        self.weigh(&key, key.len() + added + 16, page_bytes);
    }

    /// Counts a new row to its interval, and splits that when it has become too large (invariant 4).
    fn weigh(&mut self, key: &Bytes, row_bytes: usize, page_bytes: usize) {
        let (start, weight) =
            self.borders.range_mut::<Bytes, _>(..=key).next_back().expect("the empty key is a border");
        *weight += row_bytes;
        if *weight <= page_bytes {
            return;
        }
        let (start, weight) = (start.clone(), *weight);
        let end = self.borders.range::<[u8], _>((Bound::Excluded(&start[..]), Bound::Unbounded)).next();
        let end = end.map(|(end, _)| end.clone());
        let range = (Bound::Included(&start[..]), end.as_deref().map_or(Bound::Unbounded, Bound::Excluded));
        let mut rows = self.rows.range::<[u8], _>(range);
        // Rows that arrive in order fill their pages; others split theirs in the middle.
        if end.is_none() && rows.next_back().is_some_and(|(last, _)| last == key) {
            if *key > start {
                self.borders.insert(start, weight - row_bytes);
                self.borders.insert(key.clone(), row_bytes);
            }
            return;
        }
        let mut left = 0;
        for (row, versions) in self.rows.range::<[u8], _>(range) {
            if left >= weight / 2 && *row > start {
                let row = row.clone();
                self.borders.insert(start, left);
                self.borders.insert(row, weight.saturating_sub(left));
                return;
            }
            left += row.len() + versions.last().and_then(|(_, v)| v.as_ref()).map_or(0, Bytes::len) + 16;
        }
    }

    fn delete_range(&mut self, tombstone: Tombstone) {
        // What the same commit wrote there before is deleted too, but the tombstone's LSN does not
        // say so (invariant 3).
        if self.last_point == tombstone.lsn {
            let range = (Bound::Included(&tombstone.start[..]), Bound::Excluded(&tombstone.end[..]));
            for (_, versions) in self.rows.range_mut::<[u8], _>(range) {
                if let Some((lsn, value)) = versions.last_mut()
                    && *lsn == tombstone.lsn
                {
                    *value = None;
                }
            }
        }
        self.bytes += tombstone.start.len() + tombstone.end.len() + ROW_OVERHEAD;
        self.tombstones.push(tombstone);
    }
}

impl Borders for Memtable {
    fn around(&self, key: &[u8], including: bool) -> (Option<Bytes>, Option<Bytes>) {
        let inner = self.inner.read();
        let (below, above) = if including {
            ((Bound::Unbounded, Bound::Included(key)), (Bound::Excluded(key), Bound::Unbounded))
        } else {
            ((Bound::Unbounded, Bound::Excluded(key)), (Bound::Included(key), Bound::Unbounded))
        };
        let below = inner.borders.range::<[u8], _>(below).next_back().map(|(key, _)| key.clone());
        let above = inner.borders.range::<[u8], _>(above).next().map(|(key, _)| key.clone());
        (below, above)
    }

    fn inside(&self, lo: &[u8], hi: Option<&[u8]>) -> usize {
        let range = (Bound::Excluded(lo), hi.map_or(Bound::Unbounded, Bound::Excluded));
        if hi.is_some_and(|hi| hi <= lo) {
            return 0;
        }
        self.inner.read().borders.range::<[u8], _>(range).take(2).count()
    }
}
