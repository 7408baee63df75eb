//! Asking pageservers.

use crate::cache::BranchCache;
use crate::held::Held;
use crate::need::PageNeed;
use crate::pages::CachedPage;
use shardforge_common::page::Page;
use shardforge_common::{Error, ErrorKind, Lsn, Result, task};
use shardforge_proto::page::{Direction, PageRequest, ScanRequest};
use std::time::Duration;

/// A range read that has fetched so many pages one by one streams from then on.
const PAGES_BEFORE_STREAM: u32 = 3;
/// How often a request that nothing came of is sent again.
const RETRIES: u32 = 6;

/// Where a page may enter.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Room {
    /// Also in the place of others.
    Any,
    /// Only where nothing is displaced.
    Free,
}

impl BranchCache {
    /// Fetches a page. One that anyone may read enters the cache; one for this reader alone, and one
    /// of a long scan, goes to what the reader holds.
    pub(crate) async fn fetch(&self, need: &PageNeed, held: &mut Held) -> Result<()> {
        if let Some(end) = need.scan_end.as_ref().filter(|_| need.direction == Direction::Forward) {
            let run = held.count_scan_fetch();
            if run > PAGES_BEFORE_STREAM {
                let max_bytes = self.config.scan_bytes.min((32 << 10) << (run - PAGES_BEFORE_STREAM).min(16));
                let (floor, exact) = self.bounds(need, self.floor_in(&need.key, Some(end)));
                let request = ScanRequest {
                    branch: self.branch,
                    slots: need.slots,
                    start: need.key.clone(),
                    end: Some(end.clone()),
                    floor,
                    snapshot: need.snapshot,
                    max_bytes,
                };
                let pages = retried(|| self.service.scan(request.clone())).await?;
                return self.take_scan(need, floor, exact, pages, held);
            }
        } else {
            held.reset_run();
        }
        if need.exact || need.snapshot < self.floor_of(&need.key) {
            return self.fetch_one(need, held).await;
        }
        let turn = self.inflight.turn(need).await;
        if turn.waited && self.is_cached(need) {
            return Ok(());
        }
        self.fetch_one(need, held).await
    }

    /// The lowest LSN that an answer may have now, and whether only the snapshot itself will do. `least` is
    /// the floor of what it is known to cover.
    fn bounds(&self, need: &PageNeed, least: Lsn) -> (Lsn, bool) {
        let floor = self.floor().max(least);
        let exact = need.exact || need.snapshot < floor;
        (if exact { need.snapshot } else { floor }, exact)
    }

    async fn fetch_one(&self, need: &PageNeed, held: &mut Held) -> Result<()> {
        let mut least = self.floor_of(&need.key);
        loop {
            let (floor, exact) = self.bounds(need, least);
            let request = PageRequest {
                branch: self.branch,
                slots: need.slots,
                key: need.key.clone(),
                direction: need.direction,
                floor,
                snapshot: need.snapshot,
            };
            metrics::counter!("shardforge_cache_page_requests_total").increment(1);
            let page = retried(|| self.service.get_page(request.clone())).await?;
            self.verify(need, floor, &page)?;
            let covers = match need.direction {
                Direction::Forward => page.covers(&need.key),
                Direction::Backward => {
                    page.lo() < &need.key[..] && page.hi().is_none_or(|hi| &need.key[..] <= hi)
                }
            };
            if !covers {
                return Err(Error::internal("a pageserver answered with the page of another key"));
            }
            if exact {
                held.insert(page, self.config.held_bytes);
                return Ok(());
            }
            if self.enter(&page, Room::Any) {
                // Also for its reader: in a cache that is too small for all who read now, the page
                // might be gone before its reader comes back for it.
                held.insert(page, self.config.held_bytes);
                return Ok(());
            }
            // R3: the floor rose above the page while it was on its way, or that of a part of it is higher.
            if page.lsn() == need.snapshot {
                held.insert(page, self.config.held_bytes);
                return Ok(());
            }
            least = self.floor_in(page.lo(), page.hi());
        }
    }

    fn take_scan(
        &self,
        need: &PageNeed,
        floor: Lsn,
        exact: bool,
        pages: Vec<Page>,
        held: &mut Held,
    ) -> Result<()> {
        let mut next = need.key.clone();
        if pages.is_empty() {
            return Err(Error::internal("a pageserver answered a scan without a page"));
        }
        let count = pages.len();
        for (index, page) in pages.into_iter().enumerate() {
            self.verify(need, floor, &page)?;
            if !page.covers(&next) {
                return Err(Error::internal("a pageserver left a gap between the pages of a scan"));
            }
            match page.hi() {
                Some(hi) => next = page.as_bytes().slice_ref(hi),
                None if index + 1 < count => {
                    return Err(Error::internal("a pageserver sent a page after the last"));
                }
                None => {}
            }
            if !exact {
                // What is cached is not displaced: only free room is taken.
                self.enter(&page, Room::Free);
            }
            held.insert(page, self.config.held_bytes.max(2 * self.config.scan_bytes as usize));
        }
        Ok(())
    }

    fn verify(&self, need: &PageNeed, floor: Lsn, page: &Page) -> Result<()> {
        if page.lsn() < floor || page.lsn() > need.snapshot {
            return Err(Error::internal(format!(
                "a pageserver answered at LSN {}, and {floor} to {} was asked for",
                page.lsn(),
                need.snapshot
            )));
        }
        if page.slots() != need.slots {
            return Err(Error::fenced(format!("a page of shard {} for one of {}", page.slots(), need.slots)));
        }
        Ok(())
    }

    fn is_cached(&self, need: &PageNeed) -> bool {
        let pages = self.pages.read();
        pages.iter().filter(|shard| shard.slots() == need.slots).any(|shard| match need.direction {
            Direction::Forward => shard.covering(&need.key).is_some(),
            Direction::Backward => shard.covering_below(&need.key).is_some(),
        })
    }

    /// R3: puts a page into the cache unless the floor is above it, or there is no room of that kind. Answers
    /// whether the floor was not above it.
    fn enter(&self, page: &Page, room: Room) -> bool {
        let mut pages = self.pages.write();
        if self.floor_in(page.lo(), page.hi()) > page.lsn() {
            return false;
        }
        let share = self.config.page_cache_bytes / pages.len().max(1);
        if let Some(shard) = pages.iter_mut().find(|shard| shard.slots() == page.slots()) {
            let page = CachedPage::new(page.clone());
            if room == Room::Any || shard.bytes() + page.cost() <= share {
                shard.insert(page);
                shard.evict_to(share);
            }
        }
        true
    }
}

/// Asks again while the answer is that nothing has happened.
async fn retried<T, F: Future<Output = Result<T>>>(ask: impl Fn() -> F) -> Result<T> {
    let mut attempt = 0;
    loop {
        match ask().await {
            Err(error) if error.kind() == ErrorKind::Retry && attempt < RETRIES => {
                task::sleep(Duration::from_millis(5 << attempt)).await;
                attempt += 1;
            }
            other => return other,
        }
    }
}
