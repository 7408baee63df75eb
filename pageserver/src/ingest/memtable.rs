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
//! 5. Sorted runs ([`super::sorted_run`]) are disjoint, and hold no key that `rows` has at the same LSN.
//!
//! Ingest takes the lock for a batch of mutations, a reader for one page's rows. Values are slices
//! of the bytes that the feed delivered: nothing is copied.

use super::sorted_run::SortedRun;
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

/// A record that is so many pages long may be kept as a run.
const RUN_PAGES: usize = 2;

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
    /// In key order.
    runs: Vec<SortedRun>,
    tombstones: Vec<Tombstone>,
    /// The least key of each interval, with about how many bytes of rows it holds. The interval
    /// before the first border has the empty key.
    borders: BTreeMap<Bytes, usize>,
    bytes: usize,
    /// The newest LSN with a point mutation here, for invariant 3.
    last_point: Lsn,
    /// The newest LSN with a run here.
    newest_run: Lsn,
}

impl Memtable {
    /// An empty memtable whose borders suit pages of about `page_bytes`.
    pub(crate) fn new(page_bytes: usize) -> Self {
        let inner = Inner { borders: BTreeMap::from([(Bytes::new(), 0)]), ..Inner::default() };
        Self { inner: RwLock::new(inner), page_bytes }
    }

    /// Adds the mutations of one record, all of the same LSN. LSNs never descend from call to call.
    pub(crate) fn apply(&self, list: &MutationList, lsn: Lsn) -> Result<()> {
        if list.as_bytes().len() >= RUN_PAGES * self.page_bytes
            && let Some(run) = SortedRun::of(list, lsn, self.page_bytes)?
        {
            let mut inner = self.inner.write();
            return match inner.add_run(run) {
                Ok(()) => Ok(()),
                Err(run) => inner.add_rows(&run.list(), lsn, self.page_bytes),
            };
        }
        self.inner.write().add_rows(list, lsn, self.page_bytes)
    }

    /// Takes out what is of an LSN, the newest one here, into a memtable of its own. Nobody reads at that LSN
    /// yet.
    pub(crate) fn split_off(&self, lsn: Lsn) -> Memtable {
        let other = Memtable::new(self.page_bytes);
        let mut taken = other.inner.write();
        let mut inner = self.inner.write();
        let (runs, kept): (Vec<_>, Vec<_>) =
            std::mem::take(&mut inner.runs).into_iter().partition(|run| run.lsn() == lsn);
        inner.runs = kept;
        for run in runs {
            inner.bytes = inner.bytes.saturating_sub(run.size_bytes());
            taken.newest_run = lsn;
            taken.bytes += run.size_bytes();
            taken.runs.push(run);
        }
        let mut freed = 0;
        inner.rows.retain(|key, versions| {
            if versions.last().is_some_and(|(written, _)| *written == lsn)
                && let Some((_, value)) = versions.pop()
            {
                freed += value.as_ref().map_or(0, Bytes::len) + size_of::<(Lsn, Option<Bytes>)>();
                taken.set(key, lsn, value, || key.clone(), self.page_bytes);
            }
            if versions.is_empty() {
                freed += key.len() + ROW_OVERHEAD - size_of::<(Lsn, Option<Bytes>)>();
            }
            !versions.is_empty()
        });
        inner.tombstones.retain(|tombstone| {
            if tombstone.lsn == lsn {
                freed += tombstone.start.len() + tombstone.end.len() + ROW_OVERHEAD;
                taken.bytes += tombstone.start.len() + tombstone.end.len() + ROW_OVERHEAD;
                taken.tombstones.push(tombstone.clone());
            }
            tombstone.lsn != lsn
        });
        taken.last_point = inner.last_point;
        inner.bytes = inner.bytes.saturating_sub(freed);
        drop(taken);
        other
    }

    /// Whether it holds more than tombstones.
    pub(crate) fn has_rows(&self) -> bool {
        let inner = self.inner.read();
        !inner.rows.is_empty() || !inner.runs.is_empty()
    }

    /// Memory held, in bytes, about.
    pub(crate) fn size_bytes(&self) -> usize {
        self.inner.read().bytes
    }

    /// Appends, for each key in `[lo, hi)`, its newest version at or below `at`.
    pub(crate) fn rows_at(&self, lo: &[u8], hi: Option<&[u8]>, at: Lsn, out: &mut Vec<MemRow>) {
        let inner = self.inner.read();
        let mut runs = inner.rows_of_runs(lo, hi, at).peekable();
        let range = (Bound::Included(lo), hi.map_or(Bound::Unbounded, Bound::Excluded));
        for (key, versions) in inner.rows.range::<[u8], _>(range) {
            while let Some(row) = runs.next_if(|row| row.key < *key) {
                out.push(row);
            }
            let other = runs.next_if(|row| row.key == *key);
            let own = versions.iter().rev().find(|(lsn, _)| *lsn <= at);
            match (own, other) {
                (Some((lsn, value)), other) if other.as_ref().is_none_or(|other| other.lsn < *lsn) => {
                    out.push(MemRow { key: key.clone(), lsn: *lsn, value: value.clone() });
                }
                (_, other) => out.extend(other),
            }
        }
        out.extend(runs);
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
        let inner = self.inner.read();
        let mut runs = inner.rows_of_runs(&[], None, Lsn::MAX).peekable();
        for (key, versions) in &inner.rows {
            while let Some(row) = runs.next_if(|row| row.key < *key) {
                visit(&row.key, row.lsn, row.value);
            }
            let mut other = runs.next_if(|row| row.key == *key);
            for (lsn, value) in versions.iter().rev() {
                if let Some(row) = other.take_if(|row| row.lsn > *lsn) {
                    visit(key, row.lsn, row.value);
                }
                visit(key, *lsn, value.clone());
            }
            if let Some(row) = other {
                visit(key, row.lsn, row.value);
            }
        }
        runs.for_each(|row| visit(&row.key, row.lsn, row.value));
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
        let runs = inner.runs.iter().map(|run| (run.first().clone(), after(run.last())));
        rows.into_iter().chain(runs).chain(tombstones).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    }
}

impl Inner {
    fn add_rows(&mut self, list: &MutationList, lsn: Lsn, page_bytes: usize) -> Result<()> {
        for mutation in list.iter() {
            let mutation = mutation?;
            // What comes of a run's own LSN may be about a key of it.
            if self.newest_run == lsn && self.meets_run(&mutation) {
                self.open_runs(lsn, page_bytes)?;
            }
            match mutation {
                Mutation::Insert { key, value }
                | Mutation::Update { key, value }
                | Mutation::Put { key, value } => {
                    self.set(key, lsn, Some(list.share(value)), || list.share(key), page_bytes);
                }
                Mutation::Delete { key } => {
                    self.set(key, lsn, None, || list.share(key), page_bytes);
                }
                Mutation::DeleteRange { start, end } => {
                    if start < end {
                        self.delete_range(Tombstone { start: list.share(start), end: list.share(end), lsn });
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

    fn meets_run(&self, mutation: &Mutation<'_>) -> bool {
        let key = mutation.key();
        let next = self.runs.partition_point(|run| &run.last()[..] < key);
        self.runs.get(next).is_some_and(|run| match mutation {
            Mutation::DeleteRange { end, .. } => &run.first()[..] < *end,
            _ => &run.first()[..] <= key,
        })
    }

    /// Takes a run, or gives it back when its rows must be added one by one.
    fn add_run(&mut self, run: SortedRun) -> Result<(), SortedRun> {
        let (first, last) = (run.first().clone(), run.last().clone());
        let place = self.runs.partition_point(|known| *known.last() < first);
        let span = (Bound::Included(&first[..]), Bound::Included(&last[..]));
        let meets_run = self.runs.get(place).is_some_and(|next| *next.first() <= last);
        let same_lsn = |versions: &Versions| versions.last().is_some_and(|(lsn, _)| *lsn >= run.lsn());
        let meets_row = self.last_point == run.lsn()
            && self.rows.range::<[u8], _>(span).any(|(_, versions)| same_lsn(versions));
        if meets_run || meets_row {
            return Err(run);
        }
        (self.last_point, self.newest_run) = (run.lsn(), run.lsn());
        self.bytes += run.size_bytes();
        self.runs.insert(place, run);
        Ok(())
    }

    /// Makes single rows of the runs of an LSN.
    fn open_runs(&mut self, lsn: Lsn, page_bytes: usize) -> Result<()> {
        let runs = std::mem::take(&mut self.runs).into_iter();
        let (opened, kept): (Vec<_>, Vec<_>) = runs.partition(|run| run.lsn() == lsn);
        (self.runs, self.newest_run) = (kept, Lsn::ZERO);
        for run in opened {
            self.bytes = self.bytes.saturating_sub(run.size_bytes());
            self.add_rows(&run.list(), lsn, page_bytes)?;
        }
        Ok(())
    }

    /// The rows of all runs in `[lo, hi)` at or below `at`, in key order.
    fn rows_of_runs<'a>(
        &'a self,
        lo: &'a [u8],
        hi: Option<&'a [u8]>,
        at: Lsn,
    ) -> impl Iterator<Item = MemRow> + use<'a> {
        let from = self.runs.partition_point(|run| &run.last()[..] < lo);
        let runs = self.runs[from..].iter().take_while(move |run| run.overlaps(lo, hi));
        runs.filter(move |run| run.lsn() <= at).flat_map(move |run| {
            let mut rows = run.rows_near(lo);
            std::iter::from_fn(move || rows.next_in(lo, hi))
        })
    }

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
        let mut below = inner.borders.range::<[u8], _>(below).next_back().map(|(key, _)| key.clone());
        let mut above = inner.borders.range::<[u8], _>(above).next().map(|(key, _)| key.clone());
        // Of the runs only those around the key can have a nearer one; a run may have none at all.
        let next = inner.runs.partition_point(|run| &run.last()[..] < key);
        let nearest_below = inner.runs[..(next + 1).min(inner.runs.len())].iter().rev().find_map(|run| {
            let count = run.borders_up_to(key, including);
            count.checked_sub(1).and_then(|last| run.border(last))
        });
        let nearest_above =
            inner.runs[next..].iter().find_map(|run| run.border(run.borders_up_to(key, including)));
        if let Some(border) = nearest_below.filter(|border| below.as_ref().is_none_or(|b| b < *border)) {
            below = Some(border.clone());
        }
        if let Some(border) = nearest_above.filter(|border| above.as_ref().is_none_or(|a| *border < a)) {
            above = Some(border.clone());
        }
        (below, above)
    }

    fn inside(&self, lo: &[u8], hi: Option<&[u8]>) -> usize {
        let range = (Bound::Excluded(lo), hi.map_or(Bound::Unbounded, Bound::Excluded));
        if hi.is_some_and(|hi| hi <= lo) {
            return 0;
        }
        let inner = self.inner.read();
        let from = inner.runs.partition_point(|run| &run.last()[..] < lo);
        let runs = inner.runs[from..].iter().take_while(|run| run.overlaps(lo, hi));
        let of_runs = runs.flat_map(|run| {
            let first = run.borders_up_to(lo, true);
            (first..).map_while(|number| run.border(number)).take_while(|b| hi.is_none_or(|hi| &b[..] < hi))
        });
        // The same key may be a border of both: it counts once.
        let mut borders: Vec<&Bytes> = of_runs.take(2).collect();
        borders.extend(inner.borders.range::<[u8], _>(range).take(2).map(|(key, _)| key));
        borders.sort();
        borders.dedup();
        borders.len().min(2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use shardforge_common::mutation::MutationListBuilder;

    fn key(number: u16) -> Vec<u8> {
        number.to_be_bytes().to_vec()
    }

    /// A commit: the numbers of its keys, in order or not, and what becomes of each.
    fn any_commit() -> impl Strategy<Value = (Vec<(u16, u8)>, bool)> {
        (proptest::collection::vec((0u16..60, 0u8..8), 1..40), any::<bool>())
    }

    fn list(rows: &[(u16, u8)]) -> MutationList {
        let mut out = MutationListBuilder::new();
        for (number, what) in rows {
            let (key, value) = (key(*number), [*what; 5]);
            match what {
                0 => out.push(Mutation::Delete { key: &key }),
                1 => out.push(Mutation::DeleteRange { start: &key, end: &self::key(number + 3) }),
                2 => out.push(Mutation::Update { key: &key, value: &value }),
                _ => out.push(Mutation::Insert { key: &key, value: &value }),
            }
        }
        out.finish()
    }

    proptest! {
        #[test]
        fn runs_are_read_as_single_rows_are(commits in proptest::collection::vec(any_commit(), 1..8)) {
            // With pages of 16 bytes a few rows in order are a run; with these large ones none are.
            let (with_runs, without) = (Memtable::new(16), Memtable::new(1 << 20));
            let mut lsn = 0;
            for (mut rows, sorted) in commits {
                lsn += 1;
                if sorted {
                    rows.retain(|(_, what)| *what != 1);
                    rows.sort();
                    rows.dedup_by_key(|(number, _)| *number);
                }
                // In two records, as a large transaction comes.
                for part in rows.chunks(rows.len().div_ceil(2).max(1)) {
                    with_runs.apply(&list(part), Lsn(lsn)).unwrap();
                    without.apply(&list(part), Lsn(lsn)).unwrap();
                }
            }
            let all = |memtable: &Memtable| {
                let mut all = Vec::new();
                memtable.for_each(|key, lsn, value| all.push((key.to_vec(), lsn, value)));
                all
            };
            prop_assert_eq!(all(&with_runs), all(&without));
            prop_assert_eq!(with_runs.tombstones(), without.tombstones());
            prop_assert_eq!(with_runs.key_range(), without.key_range());
            for (lo, hi, at) in [(0, None, lsn), (7, Some(33), lsn), (7, Some(33), lsn / 2), (20, None, 1)] {
                let hi = hi.map(key);
                let rows = |memtable: &Memtable| {
                    let mut rows = Vec::new();
                    memtable.rows_at(&key(lo), hi.as_deref(), Lsn(at), &mut rows);
                    rows
                };
                prop_assert_eq!(rows(&with_runs), rows(&without));
            }
            for number in 0..60 {
                for including in [false, true] {
                    let at = key(number);
                    let (below, above) = with_runs.around(&at, including);
                    let below_fits = |b: &Bytes| if including { b[..] <= at[..] } else { b[..] < at[..] };
                    let above_fits = |a: &Bytes| if including { a[..] > at[..] } else { a[..] >= at[..] };
                    prop_assert!(below.iter().all(below_fits) && above.iter().all(above_fits));
                    // Nothing lies between neighbours.
                    if let (Some(below), Some(above)) = (&below, &above) {
                        prop_assert_eq!(with_runs.inside(below, Some(above)), 0);
                    }
                }
            }
        }
    }

    #[test]
    fn a_large_record_in_order_is_kept_as_it_came() {
        let memtable = Memtable::new(64);
        let rows: Vec<(u16, u8)> = (0..100).map(|number| (number, 7)).collect();
        memtable.apply(&list(&rows), Lsn(1)).unwrap();
        let inner = memtable.inner.read();
        assert_eq!((inner.runs.len(), inner.rows.len()), (1, 0));
        drop(inner);
        // Pages over it are as small as wanted.
        assert_eq!(memtable.inside(&key(0), None), 2);
        let (below, above) = memtable.around(&key(50), true);
        let mut page = Vec::new();
        memtable.rows_at(&below.unwrap(), above.as_deref(), Lsn(1), &mut page);
        assert!(page.len() <= 4, "{} rows in a page of 64 bytes", page.len());
    }
}
