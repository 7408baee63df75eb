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
use crate::need::PageNeed;
use crate::pages::CachedPage;
use crate::recent::{Recent, RecentWrites, Versions};
use crate::view::{Lookup, Range, RangeStep};
use bytes::Bytes;
use shardforge_common::mutation::Aspects;
use shardforge_common::page::{Page, PageRow};
use shardforge_common::{Lsn, SlotRange, key};
use shardforge_proto::page::Direction;
use smallvec::SmallVec;
use std::cmp::Ordering;
use std::sync::Arc;

/// Rows of one step of a range read, at most.
const STEP_ROWS: usize = 1024;
/// Keys of recent writes that one step looks at, at most: so long it holds their lock.
const STEP_RECENT: usize = 2048;

fn found(page: &Page, row: PageRow<'_>) -> RowBytes {
    RowBytes { value: page.share(row.value), lsn: row.lsn }
}

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
        if let (Some(run), [page], None, false) = (run, &pages[..], &recent, range.reverse) {
            let from = page.page.lower_bound(lo);
            let to = page.page.lower_bound(hi).max(from);
            let next = (hi < range.end).then(|| Bytes::copy_from_slice(hi));
            *run = Some(PageRun::new(page.clone(), from..to));
            return next.map_or(RangeStep::Done, RangeStep::More);
        }
        let mut merge = Merge {
            shards: &self.shards,
            cursors: pages.iter().map(|page| Cursor::new(&page.page, lo, hi, range.reverse)).collect(),
            recent: recent.as_deref(),
            snapshot,
            reverse: range.reverse,
            limit: match range.limit {
                0 => STEP_ROWS,
                limit => limit.min(STEP_ROWS),
            },
        };
        match merge.run(lo, hi, out) {
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

/// Why a merge stopped.
enum Stop {
    /// The interval is finished.
    End,
    /// Enough rows; go on from here.
    Full(Bytes),
    /// The rows before this position are out; there, this shard's page must be at the snapshot.
    Exact(SlotRange, Bytes),
}

/// The rows of one page within an interval, in reading order.
struct Cursor<'a> {
    page: &'a Page,
    from: usize,
    to: usize,
    reverse: bool,
}

impl<'a> Cursor<'a> {
    fn new(page: &'a Page, lo: &[u8], hi: &[u8], reverse: bool) -> Self {
        let from = page.lower_bound(lo);
        Self { page, from, to: page.lower_bound(hi).max(from), reverse }
    }

    fn peek(&self) -> Option<PageRow<'a>> {
        (self.from < self.to).then(|| self.page.row(if self.reverse { self.to - 1 } else { self.from }))
    }

    fn advance(&mut self) {
        if self.reverse { self.to -= 1 } else { self.from += 1 }
    }

    /// How the current row's key compares with a key.
    fn compare(&self, row: &PageRow<'_>, key: &[u8]) -> Ordering {
        let prefix = self.page.prefix();
        match key.split_at_checked(prefix.len()) {
            Some((head, tail)) => prefix.cmp(head).then_with(|| row.key_suffix.cmp(tail)),
            None => prefix.cmp(key).then(Ordering::Greater),
        }
    }
}

struct Merge<'a> {
    shards: &'a [SlotRange],
    cursors: SmallVec<[Cursor<'a>; 1]>,
    /// Recent writes, when they hold anything in the interval.
    recent: Option<&'a RecentWrites>,
    snapshot: Lsn,
    reverse: bool,
    limit: usize,
}

impl<'a> Merge<'a> {
    fn run(&mut self, lo: &[u8], hi: &[u8], out: &mut RowBatch) -> Stop {
        let Some(recent) = self.recent else { return self.pages_only(out) };
        for (index, cursor) in self.cursors.iter().enumerate() {
            // A range delete between snapshot and page: what it took is in neither.
            let taken = recent.range_deletes().iter().any(|range| {
                range.at.lsn > self.snapshot
                    && range.at.lsn <= cursor.page.lsn()
                    && range.overlaps(lo, Some(hi))
            });
            if taken {
                return Stop::Exact(
                    self.shards[index],
                    Bytes::copy_from_slice(if self.reverse { hi } else { lo }),
                );
            }
        }
        let mut keys = recent.iter(lo, Some(hi));
        let mut next_key = || if self.reverse { keys.next_back() } else { keys.next() };
        let mut ahead = next_key();
        let (mut rows, mut looked) = (0, 0);
        loop {
            let current = self.first_cursor();
            let order = match (&current, &ahead) {
                (None, None) => return Stop::End,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some((index, row)), Some((key, _))) => {
                    let order = self.cursors[*index].compare(row, key);
                    if self.reverse { order.reverse() } else { order }
                }
            };
            if rows == self.limit || looked == STEP_RECENT {
                // The rest begins at the key that comes next, whichever it is.
                let mut next = match (order, &current, &ahead) {
                    (Ordering::Less, Some((index, row)), _) => {
                        [self.cursors[*index].page.prefix(), row.key_suffix].concat()
                    }
                    (_, _, Some((key, _))) => key.to_vec(),
                    _ => unreachable!("without a key ahead there is a row"),
                };
                if self.reverse {
                    next.push(0);
                }
                return Stop::Full(next.into());
            }
            if order == Ordering::Less {
                let (index, row) = current.expect("it came first");
                let cursor = &mut self.cursors[index];
                let (prefix, page) = (cursor.page.prefix(), cursor.page);
                let wiped = !recent.range_deletes().is_empty()
                    && recent
                        .wiped(
                            &[prefix, row.key_suffix].concat(),
                            crate::recent::Place::last_of(page.lsn()),
                            self.snapshot,
                        )
                        .is_some();
                if !wiped {
                    out.push(prefix, row.key_suffix, found(page, row));
                    rows += 1;
                }
                cursor.advance();
                continue;
            }
            let (key, versions) = ahead.expect("it came first, or both are the same key");
            let row = if order == Ordering::Equal { current } else { None };
            match self.judge(recent, key, versions) {
                Judgement::Value(value) => {
                    out.push(key, &[], value);
                    rows += 1;
                }
                Judgement::Gone => {}
                Judgement::Page => {
                    if let Some((index, row)) = row {
                        let page = self.cursors[index].page;
                        out.push(page.prefix(), row.key_suffix, found(page, row));
                        rows += 1;
                    }
                }
                Judgement::Exact(slots) => {
                    let mut at = key.to_vec();
                    if self.reverse {
                        at.push(0);
                    }
                    return Stop::Exact(slots, at.into());
                }
            }
            if let Some((index, _)) = row {
                self.cursors[index].advance();
            }
            looked += 1;
            ahead = next_key();
        }
    }

    /// The interval without any recent write.
    fn pages_only(&mut self, out: &mut RowBatch) -> Stop {
        let mut rows = 0;
        while let Some((index, row)) = self.first_cursor() {
            let cursor = &mut self.cursors[index];
            if rows == self.limit {
                let mut next = [cursor.page.prefix(), row.key_suffix].concat();
                if self.reverse {
                    next.push(0);
                }
                return Stop::Full(next.into());
            }
            out.push(cursor.page.prefix(), row.key_suffix, found(cursor.page, row));
            rows += 1;
            cursor.advance();
        }
        Stop::End
    }

    /// The shard whose next row comes first, with that row.
    fn first_cursor(&self) -> Option<(usize, PageRow<'a>)> {
        if let [only] = &self.cursors[..] {
            return only.peek().map(|row| (0, row));
        }
        let mut best: Option<(usize, PageRow<'a>, Vec<u8>)> = None;
        for (index, cursor) in self.cursors.iter().enumerate() {
            let Some(row) = cursor.peek() else { continue };
            let first = best
                .as_ref()
                .is_none_or(|(_, _, key)| (cursor.compare(&row, key) == Ordering::Less) != self.reverse);
            if first {
                best = Some((index, row, [cursor.page.prefix(), row.key_suffix].concat()));
            }
        }
        best.map(|(index, row, _)| (index, row))
    }

    /// R2 for a key that recent writes hold.
    fn judge(&self, recent: &RecentWrites, key: &[u8], versions: &Versions) -> Judgement {
        let index = match self.shards {
            [_] => 0,
            shards => match key::slot_of(key) {
                Ok(slot) => shards.iter().position(|shard| shard.contains(slot)).unwrap_or(0),
                Err(_) => 0,
            },
        };
        let page_lsn = self.cursors[index].page.lsn();
        if page_lsn == self.snapshot {
            return Judgement::Page;
        }
        match recent.newest_in(key, versions, self.snapshot) {
            Recent::Row(at, value) => Judgement::Value(RowBytes { value, lsn: at.lsn }),
            Recent::Gone(_) => Judgement::Gone,
            Recent::Wiped(at) if at.lsn > page_lsn => Judgement::Gone,
            Recent::Wiped(_) | Recent::Silent => {
                let hidden = page_lsn > self.snapshot
                    && RecentWrites::written_of(versions, self.snapshot, page_lsn, Aspects::READ).is_some();
                if hidden { Judgement::Exact(self.shards[index]) } else { Judgement::Page }
            }
        }
    }
}

enum Judgement {
    Value(RowBytes),
    Gone,
    /// Whatever the page says.
    Page,
    Exact(SlotRange),
}
