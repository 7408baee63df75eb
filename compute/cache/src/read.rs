//! Reading: rule R2, for a key and for a range.
//!
//! # Why a reader and a fold never miss each other
//!
//! A fold puts the new page in place first and takes the folded versions out of recent writes after
//! that. A point read looks into recent writes first and at the page after that: a version that it
//! no longer finds is in the page that it then sees. A range read holds the lock of recent writes in
//! shared mode while it merges, so nothing is taken out meanwhile; when recent writes hold nothing in
//! the interval, it lets go of the lock before it decodes a row.
//!
//! A floor that passes the snapshot is found at the end: the floor rises before a fold begins, so a
//! reader that still finds it at or below its snapshot has missed nothing.

use crate::batch::{PageRun, RowBatch, RowBytes};
use crate::cache::BranchCache;
use crate::held::Held;
use crate::merge::{Merge, STEP_ROWS, Stop, found};
use crate::need::PageNeed;
use crate::pages::CachedPage;
use crate::recent::Recent;
use crate::view::{Lookup, Range, RangeStep};
use bytes::Bytes;
use shardforge_common::mutation::Aspects;
use shardforge_common::page::Page;
use shardforge_common::{Lsn, SlotRange, key};
use shardforge_proto::page::Direction;
use smallvec::SmallVec;
use std::sync::Arc;

fn in_page(page: &Page, key: &[u8]) -> Lookup {
    page.get(key).map_or(Lookup::Absent, |row| Lookup::Found(found(page, row)))
}

impl BranchCache {
    /// The shard that a key belongs to.
    fn slots_of(&self, key: &[u8]) -> Option<SlotRange> {
        match &*self.shards {
            [one] => Some(*one),
            // A key that is too short to have a slot was never written.
            shards => {
                key::slot_of(key).ok().and_then(|slot| shards.iter().copied().find(|s| s.contains(slot)))
            }
        }
    }

    pub(crate) fn lookup(&self, key: &[u8], snapshot: Lsn, held: &Held) -> Lookup {
        let Some(slots) = self.slots_of(key) else { return Lookup::Absent };
        let own = if held.is_empty() { None } else { held.covering(slots, key) };
        if let Some(own) = own
            && own.lsn() == snapshot
        {
            return in_page(&own.page, key);
        }
        let need = |exact| {
            Lookup::Need(PageNeed {
                slots,
                key: Bytes::copy_from_slice(key),
                direction: Direction::Forward,
                snapshot,
                exact,
                scan_end: None,
            })
        };
        if snapshot < self.floor_of(key) {
            return need(true);
        }
        let recent =
            if self.may_be_recent(key) { self.recent.read().newest(key, snapshot) } else { Recent::Silent };
        let wiped = match recent {
            Recent::Row(at, value) => return Lookup::Found(RowBytes { value, lsn: at.lsn }),
            Recent::Gone(_) => return Lookup::Absent,
            Recent::Wiped(at) => Some(at.lsn),
            Recent::Silent => None,
        };
        let cached = self.cached(slots, key);
        let mut exact = false;
        for (page, is_held) in
            cached.iter().map(|page| (page, false)).chain(own.iter().map(|page| (*page, true)))
        {
            let answer = if page.lsn() > snapshot {
                if self.written(key, snapshot, page.lsn(), Aspects::READ).is_some() {
                    exact = true;
                    continue;
                }
                in_page(&page.page, key)
            } else if wiped.is_some_and(|wiped| wiped > page.lsn()) {
                Lookup::Absent
            } else {
                in_page(&page.page, key)
            };
            let floor = self.floor_of(key);
            if floor > snapshot {
                return need(true);
            }
            if !is_held || floor <= page.lsn() {
                return answer;
            }
        }
        let floor = self.floor_of(key);
        if floor <= snapshot && wiped.is_some_and(|wiped| wiped > floor) {
            return Lookup::Absent;
        }
        need(exact || floor > snapshot)
    }

    fn cached(&self, slots: SlotRange, key: &[u8]) -> Option<Arc<CachedPage>> {
        let pages = self.pages.read();
        pages.iter().find(|shard| shard.slots() == slots)?.covering(key).cloned()
    }

    fn cached_below(&self, slots: SlotRange, key: &[u8]) -> Option<Arc<CachedPage>> {
        let pages = self.pages.read();
        pages.iter().find(|shard| shard.slots() == slots)?.covering_below(key).cloned()
    }

    /// A page to read a range at a position from: of the reader's own when it is safe, else cached. Without
    /// one, whether it must be fetched at exactly the snapshot.
    fn page_at(
        &self,
        slots: SlotRange,
        position: &[u8],
        reverse: bool,
        snapshot: Lsn,
        held: &Held,
    ) -> Result<Arc<CachedPage>, bool> {
        let own = match (held.is_empty(), reverse) {
            (true, _) => None,
            (false, false) => held.covering(slots, position),
            (false, true) => held.covering_below(slots, position),
        };
        let floor_over = |page: &CachedPage| self.floor_in(page.page.lo(), page.page.hi());
        if let Some(own) = own
            && (own.lsn() == snapshot || (floor_over(own) <= own.lsn() && own.lsn() < snapshot))
        {
            return Ok(own.clone());
        }
        if self.floor() > snapshot {
            return Err(true);
        }
        let cached = if reverse { self.cached_below(slots, position) } else { self.cached(slots, position) };
        match cached.or_else(|| own.filter(|own| floor_over(own) <= own.lsn()).cloned()) {
            // Recent writes do not know what became of it between the snapshot and its own LSN.
            Some(page) if floor_over(&page) > snapshot => Err(true),
            Some(page) => Ok(page),
            None => Err(false),
        }
    }

    pub(crate) fn range_step(
        &self,
        range: Range<'_>,
        snapshot: Lsn,
        held: &Held,
        out: &mut RowBatch,
        run: Option<&mut Option<PageRun>>,
    ) -> RangeStep {
        if range.start >= range.end {
            return RangeStep::Done;
        }
        let position = if range.reverse { range.end } else { range.start };
        let need = |slots, key: &[u8], exact| {
            RangeStep::Need(PageNeed {
                slots,
                key: Bytes::copy_from_slice(key),
                direction: if range.reverse { Direction::Backward } else { Direction::Forward },
                snapshot,
                exact,
                scan_end: Some(Bytes::copy_from_slice(if range.reverse { range.start } else { range.end })),
            })
        };
        let recent = self.recent.read();
        let mut pages: SmallVec<[Arc<CachedPage>; 1]> = SmallVec::new();
        for slots in &self.shards {
            match self.page_at(*slots, position, range.reverse, snapshot, held) {
                Ok(page) => pages.push(page),
                Err(exact) => return need(*slots, position, exact),
            }
        }
        let mut lo = range.start;
        let mut hi = range.end;
        for page in &pages {
            if range.reverse {
                lo = lo.max(page.page.lo());
            } else if let Some(page_hi) = page.page.hi() {
                hi = hi.min(page_hi);
            }
        }
        // Pages at exactly the snapshot need no recent writes, and no floor.
        let exact = pages.iter().all(|page| page.lsn() == snapshot);
        if !exact && self.floor_in(lo, Some(hi)) > snapshot {
            return need(self.shards[0], position, true);
        }
        let silent = exact
            || (recent.iter(lo, Some(hi)).next().is_none()
                && !recent.range_deletes().iter().any(|range| range.overlaps(lo, Some(hi))));
        let recent = (!silent).then_some(recent);
        let limit = if range.limit == 0 { STEP_ROWS } else { range.limit.min(STEP_ROWS) };
        let mut merge =
            Merge::new(&self.shards, &pages, recent.as_deref(), snapshot, (lo, hi), (range.reverse, limit));
        let stop = match (run, &pages[..]) {
            (Some(run), [page]) if !range.reverse && merge.lies_over() => {
                let (rows, stop) = merge.lay_over(page, lo, hi);
                *run = Some(rows);
                stop
            }
            _ => merge.run(lo, hi, out),
        };
        match stop {
            Stop::End if range.reverse && lo <= range.start => RangeStep::Done,
            Stop::End if !range.reverse && hi >= range.end => RangeStep::Done,
            Stop::End => RangeStep::More(Bytes::copy_from_slice(if range.reverse { lo } else { hi })),
            Stop::Full(next) => RangeStep::More(next),
            // R2 asks for the page at exactly the snapshot; first comes what lies before the key.
            Stop::Exact(slots, at) if &at[..] == position => need(slots, position, true),
            Stop::Exact(_, at) => RangeStep::More(at),
        }
    }
}
