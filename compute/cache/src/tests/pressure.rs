//! A cache that is smaller than what is read: what stays, what is fetched ahead, and how much a reader keeps.

use super::cases::{World, get, key_of, put, scan, world, world_with};
use crate::{CacheConfig, Lookup, Range, RangeStep, RowBatch};
use shardforge_common::{ErrorKind, Lsn, SlotRange};
use std::sync::atomic::{AtomicBool, Ordering};

/// Rows enough for many times the cache, a few on each page.
fn fill(world: &World) -> Lsn {
    let rows: Vec<(u8, u8)> = (0..250).map(|n| (n, n)).collect();
    let lsn = put(world, &rows);
    // The rows are in pages only.
    world.cache.fold(lsn);
    lsn
}

/// Whether a point read finds its page in the cache.
async fn is_hot(world: &World, snapshot: Lsn, n: u8) -> bool {
    let before = world.pages.requests();
    assert_eq!(get(&mut world.cache.view(snapshot), n).await, Some(n));
    world.pages.requests() == before
}

/// How many of these keys have their page in the cache.
fn cached(world: &World, keys: &[u8]) -> usize {
    let pages = world.cache.pages.read();
    let covered = |n: &&u8| pages[0].iter().any(|page| page.page.covers(&key_of(**n)));
    keys.iter().filter(covered).count()
}

/// What the design asks of scans: one of everything displaces no more than the pages that it fetched before it
/// was known for a scan, however much it reads.
#[tokio::test]
async fn a_large_scan_does_not_displace_what_is_read_often() {
    for seed in 0..20 {
        let world = world(seed, 12 << 10);
        world.pages.align();
        world.pages.set_rows_per_page(1);
        let snapshot = fill(&world);
        let hot: Vec<u8> = (0..15).map(|n| n * 16 + 5).collect();
        for round in 0..5 {
            for n in &hot {
                is_hot(&world, snapshot, *n).await;
            }
            assert_eq!(cached(&world, &hot), hot.len(), "seed {seed}: they do not even fit");
            let before = world.pages.requests();
            assert_eq!(scan(&world.cache, snapshot, false).await.len(), 250);
            assert!(world.pages.requests() > before, "seed {seed}: all rows fit");
            let left = cached(&world, &hot);
            assert!(left + 3 >= hot.len(), "seed {seed}: scan {round} left {left} of {}", hot.len());
        }
    }
}

/// The cache does fill up by scans as long as there is room, so that a table that fits is read once.
#[tokio::test]
async fn a_scan_of_what_fits_is_served_from_memory_the_second_time() {
    for seed in 0..20 {
        let world = world(seed, 1 << 20);
        world.pages.align();
        let snapshot = fill(&world);
        scan(&world.cache, snapshot, false).await;
        let before = world.pages.requests();
        assert_eq!(scan(&world.cache, snapshot, false).await.len(), 250);
        assert_eq!(world.pages.requests(), before, "seed {seed}");
    }
}

/// A long scan asks for several pages at a time, and for more the longer it goes on.
#[tokio::test]
async fn a_long_scan_fetches_ahead() {
    let (mut by_scan, mut by_key) = (0, 0);
    for seed in 0..20 {
        let world = world(seed, 0);
        let snapshot = fill(&world);
        let before = world.pages.requests();
        assert_eq!(scan(&world.cache, snapshot, false).await.len(), 250);
        by_scan += world.pages.requests() - before;
        // Who reads key by key, with as many reads between, is not taken for a scan.
        let before = world.pages.requests();
        let mut view = world.cache.view(snapshot);
        for n in (0..250).step_by(10) {
            get(&mut view, n).await;
        }
        by_key += world.pages.requests() - before;
    }
    assert!(by_scan * 3 < by_key, "{by_scan} requests for all rows, {by_key} for a tenth of them");
}

/// What a reader keeps of the pages that it streamed has a limit, whatever it reads.
#[tokio::test]
async fn pages_fetched_ahead_stay_within_their_limit() {
    for seed in 0..10 {
        let mut config = CacheConfig::sized(0, 1 << 20, 512);
        (config.held_bytes, config.scan_bytes) = (1000, 1000);
        let limit = 2000;
        let world = world_with(seed, config);
        let snapshot = fill(&world);
        let mut view = world.cache.view(snapshot);
        let mut most = 0;
        let (mut start, end, mut batch) = (key_of(0), key_of(255), RowBatch::new());
        loop {
            batch.clear();
            match view.range(Range { start: &start, end: &end, reverse: false, limit: 0 }, &mut batch) {
                RangeStep::Done => break,
                RangeStep::More(next) => start = next.to_vec(),
                RangeStep::Need(need) => view.fetch(&need).await.unwrap(),
            }
            most = most.max(view.held_bytes());
        }
        assert!(most <= limit, "seed {seed}: {most} bytes");
        assert!(most > limit / 2, "seed {seed}: {most} bytes is no prefetch");
        world.cache.validate();
    }
}

/// A request that fails takes nothing with it: the scan goes on where it was.
#[tokio::test]
async fn a_scan_goes_on_where_its_pages_did_not_come() {
    for seed in 0..10 {
        let mut config = CacheConfig::sized(0, 1 << 20, 512);
        (config.held_bytes, config.scan_bytes) = (1000, 1000);
        let world = world_with(seed, config);
        let snapshot = fill(&world);
        let mut view = world.cache.view(snapshot);
        let (mut start, end, mut batch) = (key_of(0), key_of(255), RowBatch::new());
        let (mut rows, mut failures) = (0, 0);
        loop {
            batch.clear();
            let step = view.range(Range { start: &start, end: &end, reverse: false, limit: 0 }, &mut batch);
            rows += batch.len();
            match step {
                RangeStep::Done => break,
                RangeStep::More(next) => start = next.to_vec(),
                RangeStep::Need(need) => {
                    let held = view.held_bytes();
                    world.pages.set_failing(true);
                    view.fetch(&need).await.unwrap_err();
                    assert_eq!(view.held_bytes(), held, "seed {seed}");
                    world.pages.set_failing(false);
                    view.fetch(&need).await.unwrap();
                    failures += 1;
                }
            }
        }
        assert_eq!(rows, 250, "seed {seed}");
        assert!(failures > 4, "seed {seed}: {failures} requests are no long scan");
        world.cache.validate();
    }
}

/// The shard of a page was split, or moved under other borders, while it was asked for: what a page lacks must not
/// pass for absent rows. What was cached before stays right, as history below its LSN does.
#[tokio::test]
async fn a_page_of_another_shard_is_refused_and_what_is_cached_serves_on() {
    for seed in 0..10 {
        let world = world(seed, 1 << 20);
        world.pages.align();
        let snapshot = fill(&world);
        assert!(!is_hot(&world, snapshot, 5).await);
        world.pages.answer_as(Some(SlotRange { first: 0, last: u16::MAX / 2 }));
        assert!(is_hot(&world, snapshot, 5).await, "seed {seed}");
        let mut view = world.cache.view(snapshot);
        let Lookup::Need(need) = view.get(&key_of(200)) else { panic!("seed {seed}: it is not cached") };
        let waits = view.fetch(&need).await.unwrap_err();
        assert_eq!(waits.kind(), ErrorKind::Fenced, "seed {seed}");
        assert_eq!(cached(&world, &[200]), 0, "seed {seed}");
        // The pages that a scan is sent are looked at one by one as well.
        let mut scan = world.cache.view(snapshot);
        let (start, end) = (key_of(190), key_of(255));
        for _ in 0..6 {
            let range = Range { start: &start, end: &end, reverse: false, limit: 0 };
            let RangeStep::Need(need) = scan.range(range, &mut RowBatch::new()) else {
                panic!("seed {seed}: it is not cached")
            };
            assert_eq!(scan.fetch(&need).await.unwrap_err().kind(), ErrorKind::Fenced, "seed {seed}");
        }
        world.pages.answer_as(None);
        assert_eq!(get(&mut view, 200).await, Some(200), "seed {seed}");
        world.cache.validate();
    }
}

/// Tells others to stop, also when its owner fails.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Point reads, scans and writes from several threads, with a cache for a small part of the rows.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn limits_hold_while_many_read_and_write() {
    let mut config = CacheConfig::sized(8 << 10, 4 << 10, 512);
    (config.held_bytes, config.scan_bytes) = (4 << 10, 4 << 10);
    let (pages, hard) = (config.page_cache_bytes, config.recent_bytes_hard);
    let world = world_with(1, config);
    world.pages.set_rows_per_page(2);
    fill(&world);
    let done = AtomicBool::new(false);
    let within = || {
        let cached: usize = world.cache.pages.read().iter().map(|shard| shard.bytes()).sum();
        assert!(cached <= pages, "{cached} bytes of pages");
        // One commit may be taken beyond the limit, before the floor rises.
        let recent = world.cache.recent_bytes();
        assert!(recent <= hard + 1024, "{recent} bytes of recent writes");
    };
    let write = async || {
        let _done = Done(&done);
        for round in 0..2000u32 {
            put(&world, &[((round * 7 % 250) as u8, (round % 200) as u8)]);
            within();
            let applied = world.cache.applied();
            if let Some(floor) = world.cache.fold_target(applied) {
                world.cache.fold(floor);
            }
            within();
            tokio::task::yield_now().await;
        }
    };
    let read_rows = async || {
        while !done.load(Ordering::Relaxed) {
            for n in (0..250).step_by(3) {
                assert!(get(&mut world.cache.view(world.cache.applied()), n).await.is_some());
                within();
            }
        }
    };
    let read_all = async || {
        while !done.load(Ordering::Relaxed) {
            assert_eq!(scan(&world.cache, world.cache.applied(), false).await.len(), 250);
            within();
        }
    };
    let runtime = tokio::runtime::Handle::current();
    std::thread::scope(|threads| {
        threads.spawn(|| runtime.block_on(read_rows()));
        threads.spawn(|| runtime.block_on(read_all()));
        tokio::task::block_in_place(|| runtime.block_on(write()));
    });
    world.cache.validate();
}
