//! Folding: recent writes at or below a new floor go into the cached pages they fall on, and out of
//! memory. In small steps, each of which holds a lock for microseconds.
//!
//! 1. The floor rises: from here on no older page enters, and readers below it go around.
//! 2. Pages under range deletes are made anew, then the pages under all other keys, in key order.
//! 3. After each page its folded versions leave recent writes; at the end the range deletes do.
//!
//! A key that falls on no cached page only leaves: pageservers have it (the floor never rises above
//! what they have ingested, except at the memory limit, where requests wait for them: R4).

use crate::cache::BranchCache;
use crate::pages::{CachedPage, ShardPages};
use crate::recent::{Change, Place, RangeDelete, Recent};
use bytes::Bytes;
use shardforge_common::page::{Page, PageBuilder};
use shardforge_common::{Lsn, key};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Keys looked at, or taken out, under one hold of the lock.
const STEP_KEYS: usize = 256;
/// Bytes folded into one page in one step; beyond that it is cut in two.
const STEP_BYTES: usize = 512 << 10;
/// Range deletes are looked at by every read: so many, and they are folded.
const RANGE_DELETES: usize = 32;

/// A fold under way.
pub struct Fold {
    floor: Lsn,
    wiped: Vec<(usize, Arc<CachedPage>)>,
    cursor: Option<Bytes>,
    ranges: Vec<RangeDelete>,
}

/// What recent writes say of a key, for the page it falls on.
type Folded = (Bytes, Recent);

impl BranchCache {
    /// Whether a fold should run, and how far: `ingested` is what every shard has ingested.
    pub fn fold_target(&self, ingested: Lsn) -> Option<Lsn> {
        let bytes = self.recent_bytes();
        let applied = self.applied();
        let pressed = bytes > self.config.recent_bytes || self.has_many_range_deletes();
        if !pressed && !self.has_range_floors() {
            return None;
        }
        let hard = self.config.recent_bytes_hard;
        let target = if bytes >= hard {
            applied
        } else if bytes >= hard - hard / 4 {
            applied.min(ingested)
        } else {
            applied.min(ingested).min(self.pins.lowest())
        };
        if !pressed && target < self.range_floors.lowest() {
            // It would end none of them.
            return None;
        }
        (target > self.floor()).then_some(target)
    }

    /// Whether a fold is wanted for the sake of range deletes alone.
    pub fn has_many_range_deletes(&self) -> bool {
        self.range_deletes.load(Ordering::Relaxed) > RANGE_DELETES
    }

    /// Raises the floor and begins to fold up to it.
    pub fn begin_fold(&self, floor: Lsn) -> Fold {
        let floor = floor.min(self.applied());
        self.raise_floor(floor);
        let ranges: Vec<_> = self
            .recent
            .read()
            .range_deletes()
            .iter()
            .filter(|range| range.at.lsn <= floor)
            .cloned()
            .collect();
        let mut wiped = Vec::new();
        if !ranges.is_empty() {
            for (shard, pages) in self.pages.read().iter().enumerate() {
                let under = pages.iter().filter(|page| {
                    let over = |range: &RangeDelete| {
                        range.at.lsn > page.lsn() && range.overlaps(page.page.lo(), page.page.hi())
                    };
                    ranges.iter().any(over)
                });
                wiped.extend(under.map(|page| (shard, page.clone())));
            }
        }
        metrics::counter!("shardforge_cache_folds_total").increment(1);
        Fold { floor, wiped, cursor: Some(Bytes::new()), ranges }
    }

    /// Folds to the end. In the background call [`BranchCache::fold_step`] instead, and yield.
    pub fn fold(&self, floor: Lsn) {
        let mut fold = self.begin_fold(floor);
        while !self.fold_step(&mut fold) {}
    }

    /// The next step; true when the fold is finished.
    pub fn fold_step(&self, fold: &mut Fold) -> bool {
        if let Some((shard, page)) = fold.wiped.pop() {
            self.fold_page(fold, shard, &page);
            return false;
        }
        if let Some(cursor) = fold.cursor.take() {
            fold.cursor = self.fold_keys(fold, &cursor);
            return false;
        }
        if !fold.ranges.is_empty() {
            let mut recent = self.recent.write();
            recent.remove_ranges_through(fold.floor);
            self.range_deletes.store(recent.range_deletes().len(), Ordering::Release);
        }
        true
    }

    /// Folds the first keys from a cursor on, and says where to go on.
    fn fold_keys(&self, fold: &Fold, cursor: &[u8]) -> Option<Bytes> {
        let mut loose = Vec::new();
        let mut target = None;
        let mut next = None;
        {
            let recent = self.recent.read();
            let pages = self.pages.read();
            for (looked, (key, versions)) in recent.iter(cursor, None).enumerate() {
                if looked == STEP_KEYS {
                    next = Some(key.clone());
                    break;
                }
                if versions[0].at.lsn > fold.floor {
                    continue;
                }
                let Some(shard) = shard_of(&pages, key) else { continue };
                match pages[shard].covering(key) {
                    None => loose.push(key.clone()),
                    Some(page) => {
                        next = Some(key.clone());
                        target = Some((shard, page.clone()));
                        break;
                    }
                }
            }
        }
        self.take_out(&loose, fold.floor);
        if let Some((shard, page)) = target {
            self.fold_page(fold, shard, &page);
        }
        next
    }

    fn take_out(&self, keys: &[Bytes], floor: Lsn) {
        for keys in keys.chunks(STEP_KEYS) {
            let mut recent = self.recent.write();
            for key in keys {
                recent.remove_through(key, floor, &self.filter);
            }
        }
    }

    fn fold_page(&self, fold: &Fold, shard: usize, page: &Arc<CachedPage>) {
        let (folded, cut) = self.collect(fold, shard, &page.page);
        if page.lsn() < fold.floor {
            let new =
                remake(&page.page, &folded, &fold.ranges, fold.floor, cut.as_deref(), self.config.page_bytes);
            let mut pages = self.pages.write();
            let share = self.config.page_cache_bytes / pages.len().max(1);
            // A page that left meanwhile needs nothing: whoever fetches it again asks above the floor.
            if pages[shard].replace(page, new) {
                pages[shard].evict_to(share);
            }
        }
        let keys: Vec<Bytes> = folded.into_iter().map(|(key, _)| key).collect();
        self.take_out(&keys, fold.floor);
    }

    /// The keys of a page that have versions at or below the floor; when they are too many for one
    /// step, also the key at which the page is to be cut.
    fn collect(&self, fold: &Fold, shard: usize, page: &Page) -> (Vec<Folded>, Option<Bytes>) {
        let recent = self.recent.read();
        let shards = &self.shards;
        let mut folded: Vec<Folded> = Vec::new();
        let mut bytes = 0;
        for (key, versions) in recent.iter(page.lo(), page.hi()) {
            if versions[0].at.lsn > fold.floor {
                continue;
            }
            if shards.len() > 1 && !key::slot_of(key).is_ok_and(|slot| shards[shard].contains(slot)) {
                continue;
            }
            if bytes > STEP_BYTES {
                return (folded, Some(key.clone()));
            }
            let newest = recent.newest_in(key, versions, fold.floor);
            bytes += key.len()
                + versions
                    .iter()
                    .map(|v| if let Change::Value(v) = &v.change { v.len() } else { 8 })
                    .sum::<usize>();
            folded.push((key.clone(), newest));
        }
        (folded, None)
    }
}

fn shard_of(pages: &[ShardPages], key: &[u8]) -> Option<usize> {
    if pages.len() == 1 {
        return Some(0);
    }
    let slot = key::slot_of(key).ok()?;
    pages.iter().position(|shard| shard.slots().contains(slot))
}

/// A page's rows at the floor, in as many pages as they need. What lies at or beyond the cut stays at
/// the page's own LSN.
fn remake(
    page: &Page,
    folded: &[Folded],
    ranges: &[RangeDelete],
    floor: Lsn,
    cut: Option<&[u8]>,
    page_bytes: usize,
) -> Vec<Arc<CachedPage>> {
    let mut out =
        Output { pages: Vec::new(), builder: PageBuilder::new(), lo: page.lo().to_vec(), page, page_bytes };
    let rows_end = cut.map_or(page.len(), |cut| page.lower_bound(cut));
    let wiped = |key: &[u8], above: Place| {
        ranges.iter().any(|range| range.at > above && range.at.lsn <= floor && range.covers(key))
    };
    let base = Place::last_of(page.lsn());
    let mut folded = folded.iter().peekable();
    for index in 0..rows_end {
        let key = page.key(index);
        while let Some((new_key, recent)) = folded.next_if(|(new_key, _)| new_key[..] < key[..]) {
            out.add(new_key, recent, base, floor);
        }
        match folded.next_if(|(new_key, _)| new_key[..] == key[..]) {
            Some((_, recent)) if changed_after(recent, base) => out.add(&key, recent, base, floor),
            _ if wiped(&key, base) => {}
            _ => {
                let row = page.row(index);
                out.push(&key, row.lsn, page.share(row.value), floor);
            }
        }
    }
    for (key, recent) in folded {
        out.add(key, recent, base, floor);
    }
    match cut {
        None => out.finish(page.hi(), floor),
        Some(cut) => {
            out.finish(Some(cut), floor);
            out.lo = cut.to_vec();
            for index in rows_end..page.len() {
                let row = page.row(index);
                out.push(&page.key(index), row.lsn, page.share(row.value), page.lsn());
            }
            out.finish(page.hi(), page.lsn());
        }
    }
    out.pages
}

/// Whether recent writes say of a key what its page does not know yet.
fn changed_after(recent: &Recent, base: Place) -> bool {
    match recent {
        Recent::Silent => false,
        Recent::Row(at, _) | Recent::Gone(at) | Recent::Wiped(at) => *at > base,
    }
}

struct Output<'a> {
    pages: Vec<Arc<CachedPage>>,
    builder: PageBuilder,
    lo: Vec<u8>,
    page: &'a Page,
    page_bytes: usize,
}

impl Output<'_> {
    fn add(&mut self, key: &[u8], recent: &Recent, base: Place, lsn: Lsn) {
        if let Recent::Row(at, value) = recent
            && *at > base
        {
            self.push(key, at.lsn, value.clone(), lsn);
        }
    }

    fn push(&mut self, key: &[u8], row_lsn: Lsn, value: Bytes, lsn: Lsn) {
        let size = self.builder.size_estimate() + key.len() + value.len();
        if !self.builder.is_empty() && size > self.page_bytes {
            self.finish(Some(key), lsn);
            self.lo = key.to_vec();
        }
        self.builder.push(key, row_lsn, value);
    }

    fn finish(&mut self, hi: Option<&[u8]>, lsn: Lsn) {
        let builder = std::mem::take(&mut self.builder);
        self.pages.push(CachedPage::new(builder.finish(self.page.slots(), &self.lo, hi, lsn)));
    }
}
