//! Merging the pages of an interval with the recent writes in it: rule R2 for a range, once the pages are
//! found. [`crate::read`] finds them, and holds the lock of recent writes meanwhile.
//!
//! Rows come in one of two ways. [`Merge::run`] copies them one by one, in either direction and from any number
//! of shards. [`Merge::lay_over`] leaves the rows of a single page where they lie and puts recent rows between
//! them: a scan that throws most rows away judges them there.

use crate::batch::{PageRun, RowBatch, RowBytes};
use crate::pages::CachedPage;
use crate::recent::{Recent, RecentWrites, Versions};
use bytes::Bytes;
use shardforge_common::mutation::Aspects;
use shardforge_common::page::{Page, PageRow};
use shardforge_common::{Lsn, SlotRange, key};
use smallvec::SmallVec;
use std::cmp::Ordering;
use std::sync::Arc;

/// Rows of one step of a range read that are copied, at most.
pub(crate) const STEP_ROWS: usize = 1024;
/// Keys of recent writes that one step looks at, at most: so long it holds their lock.
const STEP_RECENT: usize = 2048;

pub(crate) fn found(page: &Page, row: PageRow<'_>) -> RowBytes {
    RowBytes { value: page.share(row.value), lsn: row.lsn }
}

/// Why a merge stopped.
pub(crate) enum Stop {
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

pub(crate) struct Merge<'a> {
    shards: &'a [SlotRange],
    cursors: SmallVec<[Cursor<'a>; 1]>,
    /// Recent writes, when they hold anything in the interval.
    recent: Option<&'a RecentWrites>,
    snapshot: Lsn,
    reverse: bool,
    limit: usize,
}

impl<'a> Merge<'a> {
    /// Of an interval that all the pages have, in steps of at most `limit` rows. `recent` is `None` where
    /// recent writes say nothing of it.
    pub(crate) fn new(
        shards: &'a [SlotRange],
        pages: &'a [Arc<CachedPage>],
        recent: Option<&'a RecentWrites>,
        snapshot: Lsn,
        (lo, hi): (&[u8], &[u8]),
        (reverse, limit): (bool, usize),
    ) -> Self {
        let cursors = pages.iter().map(|page| Cursor::new(&page.page, lo, hi, reverse)).collect();
        Self { shards, cursors, recent, snapshot, reverse, limit }
    }

    /// Whether recent writes are rows and single deletions only, which [`Merge::lay_over`] wants.
    pub(crate) fn lies_over(&self) -> bool {
        self.recent.is_none_or(|recent| recent.range_deletes().is_empty())
    }

    /// The only page's rows where they lie, forward, with recent writes in their places among them: no row
    /// is copied, nor looked at beyond its key. However many rows there are, they come in one step.
    pub(crate) fn lay_over(&self, page: &Arc<CachedPage>, lo: &[u8], hi: &[u8]) -> (PageRun, Stop) {
        debug_assert!(!self.reverse && self.cursors.len() == 1);
        let Cursor { page: rows, from: mut at, to: end, .. } = self.cursors[0];
        let Some(recent) = self.recent else { return (PageRun::new(page.clone(), at..end), Stop::End) };
        let mut run = PageRun::merged(page.clone(), at..end);
        for (looked, (key, versions)) in recent.iter(lo, Some(hi)).enumerate() {
            let here = rows.lower_bound_from(at, key);
            run.push_rows(at..here);
            at = here;
            if looked == STEP_RECENT {
                return (run, Stop::Full(key.clone()));
            }
            let in_page = at < end && rows.is_key(at, key);
            match self.judge(recent, key, versions) {
                Judgement::Value(row) => run.push_recent(key.clone(), row.value),
                Judgement::Page if in_page => run.push_rows(at..at + 1),
                Judgement::Page | Judgement::Gone => {}
                Judgement::Exact(slots) => return (run, Stop::Exact(slots, key.clone())),
            }
            at += usize::from(in_page);
        }
        run.push_rows(at..end);
        (run, Stop::End)
    }

    /// As many rows as a step may have, copied one by one into `out`.
    pub(crate) fn run(&mut self, lo: &[u8], hi: &[u8], out: &mut RowBatch) -> Stop {
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
