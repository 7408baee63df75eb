//! A reader of a branch at one snapshot.

use crate::batch::{PageRun, RowBatch, RowBytes};
use crate::cache::BranchCache;
use crate::held::Held;
use crate::need::PageNeed;
use crate::pins::Pin;
use bytes::Bytes;
use shardforge_common::{Lsn, Result};
use std::sync::Arc;

/// How a point read ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// The row.
    Found(RowBytes),
    /// There is no such row.
    Absent,
    /// Fetch this page, then ask again.
    Need(PageNeed),
}

/// How a step of a range read ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RangeStep {
    /// The range is finished.
    Done,
    /// Go on with this as the start; reading backward, as the end.
    More(Bytes),
    /// Fetch this page, then ask again.
    Need(PageNeed),
}

/// A range to read: `[start, end)`.
#[derive(Debug, Clone, Copy)]
pub struct Range<'a> {
    /// First key.
    pub start: &'a [u8],
    /// First key beyond the range.
    pub end: &'a [u8],
    /// From the end down to the start.
    pub reverse: bool,
    /// At most so many rows in a step.
    pub limit: usize,
}

/// A reader at one snapshot, with the pages that it holds for itself. Its snapshot is pinned.
pub struct ReadView {
    cache: Arc<BranchCache>,
    snapshot: Lsn,
    held: Held,
    pin: Pin,
}

impl ReadView {
    pub(crate) fn new(cache: Arc<BranchCache>, snapshot: Lsn) -> Self {
        let pin = cache.pins.take();
        pin.set(snapshot);
        Self { cache, snapshot, held: Held::default(), pin }
    }

    /// What it reads of.
    pub fn cache(&self) -> &Arc<BranchCache> {
        &self.cache
    }

    /// The LSN it reads at.
    pub fn snapshot(&self) -> Lsn {
        self.snapshot
    }

    /// Reads at another LSN from now on.
    pub fn set_snapshot(&mut self, snapshot: Lsn) {
        if snapshot != self.snapshot {
            self.held.clear();
            self.snapshot = snapshot;
        }
        self.pin.set(snapshot);
    }

    /// Pins nothing until the next [`ReadView::set_snapshot`].
    pub fn unpin(&mut self) {
        self.held.clear();
        self.pin.clear();
    }

    /// The row under a key (R2).
    pub fn get(&mut self, key: &[u8]) -> Lookup {
        self.cache.lookup(key, self.snapshot, &self.held)
    }

    /// The next rows of a range, about a page of them, appended to `out` (R2).
    pub fn range(&mut self, range: Range<'_>, out: &mut RowBatch) -> RangeStep {
        self.cache.range_step(range, self.snapshot, &self.held, out, None)
    }

    /// The next rows of a range, read forward. Where one page has them, the answer is the page itself in `run`,
    /// with the recent writes in it, and nothing is appended to `out`; else `run` is `None`.
    pub fn scan(&mut self, range: Range<'_>, out: &mut RowBatch, run: &mut Option<PageRun>) -> RangeStep {
        *run = None;
        self.cache.range_step(range, self.snapshot, &self.held, out, Some(run))
    }

    /// Fetches a page that a read lacked, so that the read may be asked again.
    pub async fn fetch(&mut self, need: &PageNeed) -> Result<()> {
        self.cache.fetch(need, &mut self.held).await?;
        // R3: a running scan keeps the floor at or below its pages.
        self.pin.set(self.snapshot.min(self.held.lowest()));
        Ok(())
    }

    /// Bytes of the pages that it holds for itself.
    #[cfg(test)]
    pub(crate) fn held_bytes(&self) -> usize {
        self.held.bytes()
    }
}
