//! The corners of the rules, one by one; each with many seeds, for the LSNs of pages are random.

use crate::cache::FEW_PAGES;
use crate::testing::{MemoryWal, ModelPages, test_cache, test_services};
use crate::{BranchCache, CacheConfig, Lookup, PageRun, Range, RangeStep, ReadView, RowBatch};
use shardforge_common::mutation::{Mutation, MutationListBuilder};
use shardforge_common::{Lsn, SlotRange, StorageId, key, random, task};
use shardforge_proto::wal::{FeedRequest, FeedSubscription, WalService};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub(super) struct World {
    pub(super) wal: Arc<MemoryWal>,
    pub(super) pages: Arc<ModelPages>,
    pub(super) cache: Arc<BranchCache>,
    _feed: Box<dyn FeedSubscription>,
}

pub(super) fn world(seed: u64, page_cache_bytes: usize) -> World {
    let mut config = CacheConfig::sized(page_cache_bytes, 1 << 20, 512);
    config.held_bytes = 64 << 10;
    world_with(seed, config)
}

pub(super) fn world_with(seed: u64, config: CacheConfig) -> World {
    let (branch, wal, pages) = test_services(seed);
    let cache = test_cache(branch, config, pages.clone());
    let request = FeedRequest { branch, from: Lsn(1), slots: SlotRange::ALL, credit_bytes: 1 << 20 };
    let feed = wal.subscribe(request, cache.clone()).unwrap();
    World { wal, pages, cache, _feed: feed }
}

pub(super) fn key_of(n: u8) -> Vec<u8> {
    let mut key = key::storage_prefix(StorageId(1)).to_vec();
    key.extend([key::marker::FIXED_ASC + 1, n]);
    key
}

pub(super) fn put(world: &World, rows: &[(u8, u8)]) -> Lsn {
    let mut list = MutationListBuilder::new();
    for (n, value) in rows {
        list.push(Mutation::Put { key: &key_of(*n), value: &[*value] });
    }
    world.wal.write(list.finish())
}

fn wipe(world: &World, from: u8, to: u8) -> Lsn {
    let mut list = MutationListBuilder::new();
    list.push(Mutation::DeleteRange { start: &key_of(from), end: &key_of(to) });
    world.wal.write(list.finish())
}

pub(super) async fn get(view: &mut ReadView, n: u8) -> Option<u8> {
    loop {
        match view.get(&key_of(n)) {
            Lookup::Found(row) => return Some(row.value[0]),
            Lookup::Absent => return None,
            Lookup::Need(need) => view.fetch(&need).await.unwrap(),
        }
    }
}

pub(super) async fn scan(cache: &Arc<BranchCache>, snapshot: Lsn, reverse: bool) -> Vec<(u8, u8)> {
    let mut view = cache.view(snapshot);
    let (mut start, mut end) = (key_of(0), key_of(255));
    let (mut rows, mut batch) = (Vec::new(), RowBatch::new());
    loop {
        batch.clear();
        let step = view.range(Range { start: &start, end: &end, reverse, limit: 0 }, &mut batch);
        rows.extend(batch.iter().map(|(key, row)| (key[9], row.value[0])));
        match step {
            RangeStep::Done => break,
            RangeStep::More(next) if reverse => end = next.to_vec(),
            RangeStep::More(next) => start = next.to_vec(),
            RangeStep::Need(need) => view.fetch(&need).await.unwrap(),
        }
    }
    if reverse {
        rows.reverse();
    }
    rows
}

/// Every row of storage 1 in steps of [`ReadView::scan`], and how many came as runs.
async fn scan_pages(cache: &Arc<BranchCache>, snapshot: Lsn) -> (Vec<(Vec<u8>, Vec<u8>)>, usize) {
    let mut view = cache.view(snapshot);
    let (mut start, end) = (key_of(0), key_of(255));
    let (mut rows, mut batch, mut run, mut in_runs) = (Vec::new(), RowBatch::new(), None, 0);
    loop {
        batch.clear();
        match view.scan(Range { start: &start, end: &end, reverse: false, limit: 0 }, &mut batch, &mut run) {
            RangeStep::Need(need) => {
                view.fetch(&need).await.unwrap();
                continue;
            }
            step => {
                in_runs += run.as_ref().map_or(0, PageRun::len);
                rows.extend(run.iter().flat_map(PageRun::iter).map(|row| (row.key(), row.value.to_vec())));
                rows.extend(batch.iter().map(|(key, row)| (key.to_vec(), row.value.to_vec())));
                match step {
                    RangeStep::More(next) => start = next.to_vec(),
                    _ => return (rows, in_runs),
                }
            }
        }
    }
}

#[tokio::test]
async fn recent_writes_lie_among_the_rows_of_their_page() {
    let world = world(5, 1 << 20);
    world.pages.set_rows_per_page(100);
    put(&world, &[(1, 1), (2, 1), (4, 1), (6, 1), (8, 1)]);
    // A page of that commit, and then rows before, between and after its own, and of other prefixes.
    world.cache.fold(Lsn(1));
    scan(&world.cache, Lsn(1), false).await;
    let mut list = MutationListBuilder::new();
    for n in [0, 3, 4, 9] {
        list.push(Mutation::Put { key: &key_of(n), value: &[2] });
    }
    let longer = [&key_of(4)[..], b"longer"].concat();
    list.push(Mutation::Put { key: &longer, value: &[2] });
    list.push(Mutation::Delete { key: &key_of(1) });
    list.push(Mutation::Delete { key: &key_of(5) });
    list.push(Mutation::Delete { key: &key_of(8) });
    list.push(Mutation::Touch { key: &key_of(6) });
    list.push(Mutation::Touch { key: &key_of(7) });
    world.wal.write(list.finish());
    put(&world, &[(4, 3)]);
    let row = |(n, value): &(u8, u8)| (key_of(*n), vec![*value]);
    let rows = |rows: &[(u8, u8)]| rows.iter().map(row).collect::<Vec<_>>();
    for (snapshot, four) in [(2, 2), (3, 3)] {
        let mut expected = rows(&[(0, 2), (2, 1), (3, 2), (4, four), (6, 1), (9, 2)]);
        expected.insert(4, (longer.clone(), vec![2]));
        let (got, in_runs) = scan_pages(&world.cache, Lsn(snapshot)).await;
        assert_eq!((got, in_runs), (expected, 7), "at {snapshot}");
    }
    let before = rows(&[(1, 1), (2, 1), (4, 1), (6, 1), (8, 1)]);
    assert_eq!(scan_pages(&world.cache, Lsn(1)).await, (before, 5));
    // Where a range is deleted, rows come one by one.
    wipe(&world, 3, 7);
    assert_eq!(scan_pages(&world.cache, Lsn(4)).await, (rows(&[(0, 2), (2, 1), (9, 2)]), 0));
}

#[tokio::test]
async fn more_recent_writes_than_one_step_looks_at_come_in_several() {
    let world = world(6, 1 << 20);
    world.pages.set_rows_per_page(100);
    put(&world, &[(1, 1), (2, 1), (3, 1)]);
    world.cache.fold(Lsn(1));
    scan(&world.cache, Lsn(1), false).await;
    let mut list = MutationListBuilder::new();
    let between = |n: u16| [&key_of(2)[..], &n.to_be_bytes()].concat();
    for n in 0..5000 {
        let key = between(n);
        list.push(match n % 3 {
            0 => Mutation::Delete { key: &key },
            _ => Mutation::Put { key: &key, value: &[2] },
        });
    }
    world.wal.write(list.finish());
    let mut expected = vec![(key_of(1), vec![1]), (key_of(2), vec![1])];
    expected.extend((0..5000).filter(|n| n % 3 != 0).map(|n| (between(n), vec![2])));
    expected.push((key_of(3), vec![1]));
    let rows = expected.len();
    assert_eq!(scan_pages(&world.cache, Lsn(2)).await, (expected, rows));
}

#[tokio::test]
async fn a_page_that_a_reader_holds_is_not_used_below_the_floor() {
    for seed in 0..40 {
        let world = world(seed, 0);
        world.pages.set_rows_per_page(100);
        put(&world, &[(1, 1), (2, 1)]);
        put(&world, &[(1, 2)]);
        let mut view = world.cache.view(Lsn(2));
        assert_eq!(get(&mut view, 3).await, None, "the page that covers 3 may cover 1");
        world.cache.fold(Lsn(2));
        assert_eq!(get(&mut view, 1).await, Some(2), "seed {seed}");
    }
}

#[tokio::test]
async fn a_page_that_the_floor_has_passed_on_its_way_does_not_enter() {
    for seed in 0..40 {
        let world = world(seed, 1 << 20);
        world.pages.set_rows_per_page(100);
        put(&world, &[(1, 1), (2, 1)]);
        put(&world, &[(1, 2)]);
        let cache = world.cache.clone();
        world.pages.on_answer(move || cache.fold(Lsn(2)));
        let mut view = world.cache.view(Lsn(2));
        assert_eq!(get(&mut view, 3).await, None);
        assert_eq!(get(&mut world.cache.view(Lsn(2)), 1).await, Some(2), "seed {seed}");
        assert_eq!(scan(&world.cache, Lsn(2), false).await, [(1, 2), (2, 1)]);
    }
}

async fn check_all(world: &World, snapshot: Lsn, expected: &[(u8, u8)]) {
    for reverse in [false, true] {
        assert_eq!(scan(&world.cache, snapshot, reverse).await, expected, "at {snapshot}");
    }
    let (rows, _) = scan_pages(&world.cache, snapshot).await;
    let rows: Vec<_> = rows.iter().map(|(key, value)| (key[9], value[0])).collect();
    assert_eq!(rows, expected, "by pages at {snapshot}");
    let mut view = world.cache.view(snapshot);
    for n in 0..10 {
        let row = expected.iter().find(|(key, _)| *key == n).map(|(_, value)| *value);
        assert_eq!(get(&mut view, n).await, row, "key {n} at {snapshot}");
    }
}

#[tokio::test]
async fn reads_are_right_between_any_two_steps_of_a_fold() {
    for seed in 0..20 {
        let world = world(seed, 1 << 20);
        put(&world, &[(1, 1), (2, 1), (3, 1), (9, 1)]);
        scan(&world.cache, Lsn(1), false).await;
        wipe(&world, 1, 6);
        put(&world, &[(2, 3), (4, 3), (7, 3)]);
        put(&world, &[(4, 4)]);
        // Up to 3 first: the newest version of 4 stays above the floor, over a range delete and a
        // page that is already folded.
        for floor in [3, 4] {
            let mut fold = world.cache.begin_fold(Lsn(floor));
            loop {
                check_all(&world, Lsn(4), &[(2, 3), (4, 4), (7, 3), (9, 1)]).await;
                if floor == 3 {
                    check_all(&world, Lsn(3), &[(2, 3), (4, 3), (7, 3), (9, 1)]).await;
                }
                world.cache.validate();
                if world.cache.fold_step(&mut fold) {
                    break;
                }
            }
            check_all(&world, Lsn(4), &[(2, 3), (4, 4), (7, 3), (9, 1)]).await;
        }
        assert_eq!(world.cache.recent_bytes(), 0);
    }
}

#[tokio::test]
async fn a_range_delete_between_snapshot_and_page_hides_nothing() {
    for seed in 0..40 {
        let world = world(seed, 1 << 20);
        put(&world, &[(1, 1), (2, 1), (3, 1)]);
        world.cache.fold(Lsn(1));
        wipe(&world, 1, 3);
        assert_eq!(scan(&world.cache, Lsn(2), false).await, [(3, 1)]);
        for reverse in [false, true] {
            let before = scan(&world.cache, Lsn(1), reverse).await;
            assert_eq!(before, [(1, 1), (2, 1), (3, 1)], "seed {seed}, reverse {reverse}");
        }
        assert_eq!(get(&mut world.cache.view(Lsn(1)), 1).await, Some(1));
    }
}

#[tokio::test]
async fn equal_requests_share_an_answer() {
    let world = world(1, 1 << 20);
    put(&world, &[(1, 1)]);
    world.cache.fold(Lsn(1));
    let reads = (0..20).map(|_| {
        let cache = world.cache.clone();
        async move { get(&mut cache.view(Lsn(1)), 1).await }
    });
    let rows = futures::future::join_all(reads).await;
    assert!(rows.iter().all(|row| *row == Some(1)));
    assert_eq!(world.pages.requests(), 1);
}

#[tokio::test]
async fn memory_at_its_limit_folds_above_pins_and_readers_go_around() {
    let (branch, wal, pages) = test_services(3);
    let mut config = CacheConfig::sized(1 << 20, 1000, 512);
    config.recent_bytes_hard = 4000;
    let cache = test_cache(branch, config, pages);
    let request = FeedRequest { branch, from: Lsn(1), slots: SlotRange::ALL, credit_bytes: 1 << 20 };
    let feed = wal.subscribe(request, cache.clone()).unwrap();
    let world = World { wal, pages: ModelPages::new(MemoryWal::new(branch), 0), cache, _feed: feed };
    put(&world, &[(1, 0)]);
    let mut old = world.cache.view(Lsn(1));
    for value in 1..10 {
        put(&world, &[(1, value), (2, value)]);
    }
    let applied = world.cache.applied();
    assert_eq!(world.cache.fold_target(applied), Some(Lsn(1)), "not above the pinned snapshot");
    for value in 10..60 {
        put(&world, &[(1, value), (2, value)]);
    }
    let applied = world.cache.applied();
    assert_eq!(world.cache.fold_target(Lsn::ZERO), Some(applied));
    world.cache.fold(applied);
    assert_eq!(world.cache.recent_bytes(), 0);
    assert_eq!(get(&mut old, 1).await, Some(0));
    assert_eq!(get(&mut old, 2).await, None);
}

#[tokio::test]
async fn new_rows_of_a_large_commit_are_left_to_pages_where_little_is_cached() {
    let (branch, wal, pages) = test_services(7);
    let mut config = CacheConfig::sized(1 << 20, 1 << 20, 512);
    config.new_rows_bytes = 1;
    let cache = test_cache(branch, config, pages.clone());
    let request = FeedRequest { branch, from: Lsn(1), slots: SlotRange::ALL, credit_bytes: 1 << 20 };
    let feed = wal.subscribe(request, cache.clone()).unwrap();
    let world = World { wal, pages, cache, _feed: feed };
    world.pages.set_rows_per_page(1);
    let old: Vec<(u8, u8)> = (1..30).step_by(2).map(|n| (n, 1)).collect();
    put(&world, &old);
    // No page of the time before the rows, which would be one page.
    world.cache.fold(Lsn(1));
    for n in 1..30 {
        get(&mut world.cache.view(Lsn(1)), n).await;
    }
    assert!(world.cache.cached_pages().0 > 2 * FEW_PAGES);
    let inserts = |rows: &[u8]| {
        let mut list = MutationListBuilder::new();
        rows.iter().for_each(|n| list.push(Mutation::Insert { key: &key_of(*n), value: &[2] }));
        list.finish()
    };
    // Between cached rows; above all that is cached but a page; not only new ones.
    let mut update = MutationListBuilder::new();
    update.push(Mutation::Insert { key: &key_of(50), value: &[2] });
    update.push(Mutation::Put { key: &key_of(51), value: &[2] });
    world.wal.write_large(random::txn_id(), vec![inserts(&[2, 28]), inserts(&[40, 41, 42]), update.finish()]);
    let floors = [2, 28, 29, 40, 42, 43, 50, 51].map(|n| world.cache.floor_of(&key_of(n)).0);
    assert_eq!(floors, [1, 1, 1, 2, 2, 1, 1, 1]);
    check_all(&world, Lsn(1), &old).await;
    let mut new = [&old[..], &[2, 28, 40, 41, 42, 50, 51].map(|n| (n, 2))].concat();
    new.sort_unstable();
    check_all(&world, Lsn(2), &new).await;
    put(&world, &[(41, 3)]);
    assert_eq!(get(&mut world.cache.view(Lsn(3)), 41).await, Some(3));
}

#[tokio::test]
async fn a_commit_too_large_for_memory_raises_the_floor_of_its_keys_alone() {
    for seed in 0..20 {
        let (branch, wal, pages) = test_services(seed);
        let mut config = CacheConfig::sized(1 << 20, 1 << 20, 512);
        config.large_commit_bytes = 0;
        let cache = test_cache(branch, config, pages.clone());
        let request = FeedRequest { branch, from: Lsn(1), slots: SlotRange::ALL, credit_bytes: 1 << 20 };
        let feed = wal.subscribe(request, cache.clone()).unwrap();
        let world = World { wal, pages, cache, _feed: feed };
        world.pages.set_rows_per_page(1);
        put(&world, &[(1, 1), (3, 1), (5, 1), (7, 1)]);
        scan(&world.cache, Lsn(1), false).await;
        let mut old = world.cache.view(Lsn(1));
        let list = |rows: &[u8]| {
            let mut list = MutationListBuilder::new();
            rows.iter().for_each(|n| list.push(Mutation::Put { key: &key_of(*n), value: &[2] }));
            list.finish()
        };
        world.wal.write_large(random::txn_id(), vec![list(&[3]), list(&[4, 5]), list(&[])]);
        assert_eq!(world.cache.applied(), Lsn(2));
        assert_eq!(world.cache.floor(), Lsn(0));
        let floors = [2, 3, 5, 6].map(|n| world.cache.floor_of(&key_of(n)).0);
        assert_eq!(floors, [0, 2, 2, 0]);
        // Before it and after it, everyone sees what was there; other keys are still in memory.
        let requests = world.pages.requests();
        assert_eq!(get(&mut world.cache.view(Lsn(2)), 7).await, Some(1));
        assert_eq!(world.pages.requests(), requests, "seed {seed}: the page of another key was dropped");
        check_all(&world, Lsn(2), &[(1, 1), (3, 2), (4, 2), (5, 2), (7, 1)]).await;
        for (n, value) in [(3, Some(1)), (4, None), (5, Some(1)), (7, Some(1))] {
            assert_eq!(get(&mut old, n).await, value, "seed {seed}: key {n} before the large commit");
        }
        check_all(&world, Lsn(1), &[(1, 1), (3, 1), (5, 1), (7, 1)]).await;
        // Recent writes go on above it, and the ranges end when the floor of all keys reaches them.
        put(&world, &[(4, 3)]);
        check_all(&world, Lsn(3), &[(1, 1), (3, 2), (4, 3), (5, 2), (7, 1)]).await;
        check_all(&world, Lsn(2), &[(1, 1), (3, 2), (4, 2), (5, 2), (7, 1)]).await;
        assert_eq!(world.cache.fold_target(Lsn(1)), None, "pageservers are not there yet");
        drop(old);
        assert_eq!(world.cache.fold_target(Lsn(3)), Some(Lsn(3)));
        world.cache.fold(Lsn(3));
        assert!(!world.cache.has_range_floors());
        check_all(&world, Lsn(3), &[(1, 1), (3, 2), (4, 3), (5, 2), (7, 1)]).await;
    }
}

#[tokio::test]
async fn a_feed_that_leaves_out_a_commit_is_refused() {
    let (branch, wal, pages) = test_services(3);
    let cache = test_cache(branch, CacheConfig::default(), pages);
    let mut list = MutationListBuilder::new();
    list.push(Mutation::Put { key: &key_of(1), value: b"1" });
    let list = list.finish();
    wal.write(list.clone());
    wal.write(list);
    let request = FeedRequest { branch, from: Lsn(2), slots: SlotRange::ALL, credit_bytes: 1 << 20 };
    let _feed = wal.subscribe(request, cache.clone()).unwrap();
    assert!(cache.feed_ended().is_some());
    assert_eq!(cache.applied(), Lsn::ZERO);
}

/// Each commit writes the same value under all keys, so a reader that sees two values has seen two
/// states.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_read_sees_one_state_while_all_goes_on_at_once() {
    let world = Arc::new(world(11, 3000));
    put(&world, &[(0, 0), (50, 0), (100, 0), (150, 0)]);
    let done = Arc::new(AtomicBool::new(false));
    let mut tasks = Vec::new();
    for reader in 0..3 {
        let (world, done) = (world.clone(), done.clone());
        tasks.push(task::spawn("reads", async move {
            let mut reads = 0;
            while !done.load(Ordering::Relaxed) || reads < 20 {
                let snapshot = world.cache.applied();
                let rows = if reader == 2 {
                    let (rows, _) = scan_pages(&world.cache, snapshot).await;
                    rows.iter().map(|(key, value)| (key[9], value[0])).collect()
                } else {
                    scan(&world.cache, snapshot, reader == 1).await
                };
                let first = rows[0].1;
                assert!(rows.len() == 4 && rows.iter().all(|(_, value)| *value == first), "{rows:?}");
                let mut view = world.cache.view(snapshot);
                for n in [0, 50, 100, 150] {
                    assert_eq!(get(&mut view, n).await, Some(first), "key {n} at {snapshot}");
                }
                reads += 1;
                task::sleep(std::time::Duration::ZERO).await;
            }
        }));
    }
    let (folding, finished) = (world.clone(), done.clone());
    tasks.push(task::spawn("folds", async move {
        while !finished.load(Ordering::Relaxed) {
            let mut fold = folding.cache.begin_fold(Lsn(folding.cache.applied().0.saturating_sub(2)));
            while !folding.cache.fold_step(&mut fold) {
                tokio::task::yield_now().await;
            }
            task::sleep(std::time::Duration::from_micros(200)).await;
        }
    }));
    for value in 0..300u32 {
        let value = value as u8;
        put(&world, &[(0, value), (50, value), (100, value), (150, value)]);
        tokio::task::yield_now().await;
    }
    done.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.unwrap();
    }
}
