//! A pageserver that answers from a log's history, at any LSN it may, with pages of any borders.

use super::MemoryWal;
use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use shardforge_common::page::{Page, PageBuilder};
use shardforge_common::random::Random;
use shardforge_common::{Error, Lsn, Result, SlotRange, key};
use shardforge_proto::page::{Direction, PageRequest, PageService, ScanRequest, ShardStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// A model of a pageserver.
pub struct ModelPages {
    wal: Arc<MemoryWal>,
    random: Random,
    requests: AtomicU64,
    rows: AtomicU64,
    on_answer: Mutex<Option<Hook>>,
    aligned: AtomicBool,
    failing: AtomicBool,
    answers_as: Mutex<Option<SlotRange>>,
}

type Hook = Box<dyn FnMut() + Send>;

impl ModelPages {
    /// Over a log; the seed decides LSNs and borders.
    pub fn new(wal: Arc<MemoryWal>, seed: u64) -> Arc<Self> {
        Arc::new(Self {
            wal,
            random: Random::from_seed(seed),
            requests: AtomicU64::new(0),
            rows: AtomicU64::new(4),
            on_answer: Mutex::new(None),
            aligned: AtomicBool::new(false),
            failing: AtomicBool::new(false),
            answers_as: Mutex::new(None),
        })
    }

    /// About how many rows a page has.
    pub fn set_rows_per_page(&self, rows: u64) {
        self.rows.store(rows, Ordering::Relaxed);
    }

    /// From now on borders are where they were for whoever asked before, as long as no rows come or go.
    pub fn align(&self) {
        self.aligned.store(true, Ordering::Relaxed);
    }

    /// Whether requests are refused from now on.
    pub fn set_failing(&self, failing: bool) {
        self.failing.store(failing, Ordering::Relaxed);
    }

    /// From now on pages are those of a shard with these slots, whichever was asked for.
    pub fn answer_as(&self, slots: Option<SlotRange>) {
        *self.answers_as.lock() = slots;
    }

    /// Calls this while an answer is on its way.
    pub fn on_answer(&self, hook: impl FnMut() + Send + 'static) {
        *self.on_answer.lock() = Some(Box::new(hook));
    }

    /// How many requests came.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    async fn pick_lsn(&self, floor: Lsn, snapshot: Lsn) -> Result<Lsn> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        assert!(floor <= snapshot, "a request for LSNs {floor} to {snapshot}");
        if self.failing.load(Ordering::Relaxed) {
            return Err(Error::unavailable("the pageserver is away"));
        }
        for _ in 0..200 {
            let most = snapshot.min(self.wal.ingested());
            if floor <= most {
                return Ok(Lsn(self.random.range(floor.0..most.0 + 1)));
            }
            shardforge_common::task::sleep(std::time::Duration::from_millis(1)).await;
        }
        Err(Error::unavailable(format!("LSN {floor} has not been ingested")))
    }

    /// The page of some rows around a key, or just below it.
    fn page_around(&self, slots: SlotRange, at: &[u8], direction: Direction, lsn: Lsn) -> Page {
        let slots = self.answers_as.lock().unwrap_or(slots);
        let history = self.wal.history();
        let rows = self.rows.load(Ordering::Relaxed);
        let own =
            |key: &[u8]| slots == SlotRange::ALL || key::slot_of(key).is_ok_and(|slot| slots.contains(slot));
        let inclusive = direction == Direction::Forward;
        if self.aligned.load(Ordering::Relaxed) {
            let keys: Vec<&Bytes> =
                history.range(&[], None, lsn).map(|(key, _, _)| key).filter(|key| own(key)).collect();
            let before = keys.partition_point(|key| if inclusive { &key[..] <= at } else { &key[..] < at });
            let first = before.saturating_sub(1) / rows as usize * rows as usize;
            let lo: &[u8] = if first == 0 { &[] } else { keys[first] };
            let hi = keys.get(first + rows as usize).map(|key| &key[..]);
            let mut builder = PageBuilder::new();
            for (key, row_lsn, value) in history.range(lo, hi, lsn).filter(|(key, _, _)| own(key)) {
                builder.push(key, row_lsn, value);
            }
            return builder.finish(slots, lo, hi, lsn);
        }
        // Some rows below; the page begins at the last of them, or below all keys.
        let mut end = at.to_vec();
        if inclusive {
            end.push(0);
        }
        let below = self.random.range(0..rows) as usize;
        let lo = history
            .range(&[], Some(&end), lsn)
            .rev()
            .filter(|(key, _, _)| own(key))
            .nth(below)
            .map_or_else(Vec::new, |(key, _, _)| key.to_vec());
        let above = 1 + self.random.range(0..rows) as usize;
        let hi = history
            .range(at, None, lsn)
            .filter(|(key, _, _)| own(key) && (!inclusive || &key[..] > at))
            .nth(above - 1)
            .map(|(key, _, _)| key.to_vec());
        let mut builder = PageBuilder::new();
        for (key, row_lsn, value) in history.range(&lo, hi.as_deref(), lsn).filter(|(key, _, _)| own(key)) {
            builder.push(key, row_lsn, value);
        }
        builder.finish(slots, &lo, hi.as_deref(), lsn)
    }
}

#[async_trait]
impl PageService for ModelPages {
    async fn get_page(&self, request: PageRequest) -> Result<Page> {
        let lsn = self.pick_lsn(request.floor, request.snapshot).await?;
        tokio::task::yield_now().await;
        let page = self.page_around(request.slots, &request.key, request.direction, lsn);
        if let Some(hook) = &mut *self.on_answer.lock() {
            hook();
        }
        Ok(page)
    }

    async fn scan(&self, request: ScanRequest) -> Result<Vec<Page>> {
        let lsn = self.pick_lsn(request.floor, request.snapshot).await?;
        let mut pages = Vec::new();
        let mut at = request.start.to_vec();
        let mut bytes = 0;
        loop {
            let page = self.page_around(request.slots, &at, Direction::Forward, lsn);
            // Consecutive pages do not overlap.
            let page = if pages.is_empty() { page } else { cut_below(&page, &at) };
            bytes += page.as_bytes().len() as u64;
            let hi = page.hi().map(<[u8]>::to_vec);
            pages.push(page);
            match hi {
                Some(hi)
                    if bytes < request.max_bytes
                        && request.end.as_ref().is_none_or(|end| hi[..] < end[..]) =>
                {
                    at = hi;
                }
                _ => return Ok(pages),
            }
        }
    }

    async fn shards(&self) -> Result<Vec<ShardStatus>> {
        Ok(Vec::new())
    }
}

fn cut_below(page: &Page, lo: &[u8]) -> Page {
    let mut builder = PageBuilder::new();
    for index in page.lower_bound(lo)..page.len() {
        let row = page.row(index);
        builder.push(&page.key(index), row.lsn, page.share(row.value));
    }
    builder.finish(page.slots(), lo, page.hi(), page.lsn())
}
