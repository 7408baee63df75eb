//! What a pageserver refuses, what it survives, and what it tells the WAL service.

use crate::fake_wal::FakeWal;
use crate::model::{BRANCH, Model, World, commit, key, start};
use bytes::Bytes;
use metrics::{Counter, CounterFn, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use shardforge_common::key::storage_prefix;
use shardforge_common::mutation::{Mutation, MutationList, MutationListBuilder};
use shardforge_common::random::Random;
use shardforge_common::{ErrorKind, Generation, Lsn, SlotRange, StorageId};
use shardforge_pageserver::Config;
use shardforge_proto::page::{Direction, PageRequest, PageService, ScanRequest};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

fn put(key: &[u8], value: &[u8]) -> MutationList {
    let mut list = MutationListBuilder::new();
    list.push(Mutation::Put { key, value });
    list.finish()
}

fn request(key: &[u8], at: Lsn) -> PageRequest {
    PageRequest {
        branch: BRANCH,
        slots: SlotRange::ALL,
        key: Bytes::copy_from_slice(key),
        direction: Direction::Forward,
        floor: at,
        snapshot: at,
    }
}

/// Never flushes by itself.
fn lazy() -> Config {
    Config {
        memtable_bytes: u64::MAX,
        idle_flush_millis: 3_600_000,
        read_wait_millis: 100,
        ..Config::small()
    }
}

fn busy() -> Config {
    Config { idle_flush_millis: 10, ..Config::small() }
}

async fn filled(config: Config, commits: usize) -> (World, Model) {
    let (world, random, mut model) = (World::new(config, 1).await, Random::from_seed(2), Model::default());
    for _ in 0..commits {
        commit(&random, &mut model, &world.wal);
    }
    world.settle().await;
    (world, model)
}

#[tokio::test]
async fn a_table_without_rows_is_one_page_over_all_its_keys() {
    let world = World::new(lazy(), 1).await;
    world.wal.commit(BRANCH, vec![put(b"\0\0\0\0\0\0\0\x01k", b"v")]);
    let id = storage_prefix(StorageId(7));
    let page = world.get(&[&id[..], b"\x20abc"].concat(), Direction::Forward, Lsn(1), Lsn(1)).await;
    assert!(page.is_empty());
    assert_eq!((page.lo(), page.hi()), (&id[..], Some(&storage_prefix(StorageId(8))[..])));
    // From above, the bound excluded, it is the same page.
    let above = world.get(&storage_prefix(StorageId(8)), Direction::Backward, Lsn(1), Lsn(1)).await;
    assert_eq!(above.lo(), &id[..]);
}

#[tokio::test]
async fn a_scan_passes_over_empty_storage_ids_together() {
    let world = World::new(lazy(), 1).await;
    for id in [3, u64::MAX - 5] {
        world.wal.commit(BRANCH, vec![put(&[&storage_prefix(StorageId(id))[..], b"\x01"].concat(), b"v")]);
    }
    let pages = world.scan_all(&storage_prefix(StorageId(0)), None, Lsn(2)).await;
    assert_eq!(pages.iter().map(|page| page.len()).sum::<usize>(), 2);
    assert!(pages.len() < 10, "{} pages", pages.len());
    assert_eq!(pages.last().unwrap().hi(), None);
}

#[tokio::test]
async fn the_answers_lsn_lies_between_floor_and_snapshot_and_never_inside_a_commit() {
    let world = World::new(lazy(), 1).await;
    let k = b"\0\0\0\0\0\0\0\x01k";
    for n in 0..5u8 {
        world.wal.commit(BRANCH, vec![put(k, &[n]), put(b"\0\0\0\0\0\0\0\x01l", &[n]), put(k, &[n, n])]);
    }
    assert_eq!(world.get(k, Direction::Forward, Lsn(5), Lsn(9)).await.lsn(), Lsn(5), "what is ingested");
    let page = world.get(k, Direction::Forward, Lsn(1), Lsn(3)).await;
    assert_eq!(page.lsn(), Lsn(3), "no later than the snapshot");
    assert_eq!(page.get(k).unwrap().value, [2, 2], "all of a commit's messages");
    let behind = world.server.get_page(request(k, Lsn(6))).await.unwrap_err();
    assert_eq!(behind.kind(), ErrorKind::Unavailable, "it waited, in vain");
    let crossed = PageRequest { floor: Lsn(4), snapshot: Lsn(3), ..request(k, Lsn(3)) };
    assert_eq!(world.server.get_page(crossed).await.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(world.server.get_page(request(b"abc", Lsn(3))).await.unwrap_err().kind(), ErrorKind::Invalid);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_ahead_of_ingest_is_answered_when_ingest_arrives() {
    let world = World::new(Config { read_wait_millis: 10_000, ..lazy() }, 1).await;
    let k = b"\0\0\0\0\0\0\0\x01k";
    let server = Arc::clone(&world.server);
    let waiting = tokio::spawn(async move { server.get_page(request(k, Lsn(2))).await });
    world.wal.commit(BRANCH, vec![put(k, b"1")]);
    world.wal.commit(BRANCH, vec![put(k, b"2")]);
    assert_eq!(waiting.await.unwrap().unwrap().get(k).unwrap().value, b"2");
}

#[tokio::test]
async fn a_wrong_shard_map_is_refused() {
    let world = World::new(lazy(), 1).await;
    let half = SlotRange { first: 0, last: 0x7fff };
    let wrong = PageRequest { slots: half, ..request(b"\0\0\0\0\0\0\0\x01k", Lsn(0)) };
    assert_eq!(world.server.get_page(wrong).await.unwrap_err().kind(), ErrorKind::Fenced);
    world.server.detach(BRANCH, SlotRange::ALL).await;
    let gone = world.server.get_page(request(b"\0\0\0\0\0\0\0\x01k", Lsn(0))).await;
    assert_eq!(gone.unwrap_err().kind(), ErrorKind::Fenced);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shards_hold_the_keys_of_their_slots_alone() {
    let mut world = World::new(busy(), 1).await;
    world.server.shutdown().await;
    world.wal = FakeWal::new();
    let folder = world.folder.path().join("cache2");
    let server = start(&world.config, &world.wal, &world.store, folder, &world.random);
    let halves = [SlotRange { first: 0, last: 0x7fff }, SlotRange { first: 0x8000, last: 0xffff }];
    for half in halves {
        server.attach(BRANCH, half, Generation(1)).await.unwrap();
    }
    let (random, mut model) = (Random::from_seed(3), Model::default());
    for _ in 0..100 {
        commit(&random, &mut model, &world.wal);
    }
    let at = world.wal.last();
    let mut rows = Vec::new();
    for half in halves {
        let mut start = Bytes::copy_from_slice(&storage_prefix(StorageId(0)));
        loop {
            let scan = ScanRequest {
                branch: BRANCH,
                slots: half,
                start: start.clone(),
                end: None,
                floor: at,
                snapshot: at,
                max_bytes: 1 << 20,
            };
            let pages = server.scan(scan).await.unwrap();
            for page in &pages {
                assert_eq!(page.slots(), half);
                for index in 0..page.len() {
                    let key = page.key(index);
                    assert!(half.contains(shardforge_common::key::slot_of(&key).unwrap()));
                    if key >= start {
                        rows.push((key, page.row(index).lsn, page.row(index).value.to_vec()));
                    }
                }
            }
            match pages.last().unwrap().hi() {
                Some(hi) => start = Bytes::copy_from_slice(hi),
                None => break,
            }
        }
    }
    rows.sort();
    assert_eq!(rows, model.rows(&[], None, at));
    server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_owner_fences_the_older_which_neither_publishes_nor_deletes() {
    let (world, mut model) = filled(busy(), 50).await;
    let newer = start(&world.config, &world.wal, &world.store, world.folder.path().join("b"), &world.random);
    newer.attach(BRANCH, SlotRange::ALL, Generation(2)).await.unwrap();
    let random = Random::from_seed(5);
    for _ in 0..100 {
        commit(&random, &mut model, &world.wal);
    }
    let at = world.wal.last();
    // The older one stops as soon as it tries to publish.
    let mut refused = false;
    for _ in 0..400 {
        match world.server.get_page(request(&key(&random), Lsn(1))).await {
            Err(error) if error.kind() == ErrorKind::Fenced => {
                refused = true;
                break;
            }
            _ => tokio::time::sleep(std::time::Duration::from_millis(5)).await,
        }
    }
    assert!(refused);
    assert_eq!(
        world.server.attach(BRANCH, SlotRange::ALL, Generation(1)).await.unwrap_err().kind(),
        ErrorKind::Fenced
    );
    for _ in 0..50 {
        let page = newer.get_page(request(&key(&random), at)).await.unwrap();
        model.check(&page);
    }
    newer.shutdown().await;
    world.server.shutdown().await;
}

#[tokio::test]
async fn a_merge_is_refused_clearly_and_what_came_before_is_served() {
    let world = World::new(lazy(), 1).await;
    let k = b"\0\0\0\0\0\0\0\x01k";
    world.wal.commit(BRANCH, vec![put(k, b"1")]);
    let mut list = MutationListBuilder::new();
    list.push(Mutation::Merge { key: k, operator: 1, operand: b"x" });
    world.wal.commit(BRANCH, vec![list.finish()]);
    assert_eq!(world.get(k, Direction::Forward, Lsn(1), Lsn(2)).await.lsn(), Lsn(1));
    let error = world.server.get_page(request(k, Lsn(2))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.message().contains("Merge") && error.message().contains("LSN 2"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_shard_moves_its_uploaded_lsn_on() {
    let world = World::new(busy(), 1).await;
    // Commits without any mutation of this shard still hold the log.
    for _ in 0..3 {
        world.wal.commit(BRANCH, vec![MutationListBuilder::new().finish()]);
    }
    world.settle().await;
    assert_eq!(world.wal.trim(), Lsn(3));
    assert_eq!(world.server.shards().await.unwrap()[0].layers, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_store_is_down_the_feed_is_held_back_and_memory_is_bounded() {
    let world = World::new(Config { ingest_credit_bytes: 32 << 10, ..Config::small() }, 1).await;
    // A file where the folder of layers belongs: no put succeeds.
    let layers = world
        .folder
        .path()
        .join(format!("store/tenants/{}/branches/{}/shards/0000-ffff/layers", BRANCH.tenant, BRANCH.branch));
    std::fs::write(&layers, b"in the way").unwrap();
    let value = vec![7; 4000];
    for n in 0..500u64 {
        world.wal.commit(
            BRANCH,
            vec![put(&[&storage_prefix(StorageId(1))[..], &n.to_be_bytes()].concat(), &value)],
        );
    }
    let mut last = 0;
    loop {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        let status = world.server.shards().await.unwrap().remove(0);
        if status.memtable_bytes == last {
            break;
        }
        last = status.memtable_bytes;
        assert!(last < 500 << 10, "{last} bytes in memory");
    }
    assert!(last > 64 << 10, "it ingested {last} bytes");
    // The store comes back, and everything goes on.
    std::fs::remove_file(&layers).unwrap();
    let at = world.wal.last();
    let page = loop {
        match world.server.get_page(request(&storage_prefix(StorageId(1)), at)).await {
            Ok(page) => break page,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unavailable),
        }
    };
    assert!(!page.is_empty());
    world.settle().await;
    world.server.shutdown().await;
}

/// A commit of so many rows of a table, each of about a kilobyte, in fragments of ten; in order, or not.
fn large(rows: u64, value: u8, sorted: bool) -> Vec<MutationList> {
    let numbers: Vec<u64> = (0..rows).map(|n| if sorted { n } else { n * 11 % rows }).collect();
    let list = |numbers: &[u64]| {
        let mut list = MutationListBuilder::new();
        for n in numbers {
            list.push(Mutation::Put { key: &row_key(*n), value: &[value; 1000] });
        }
        list.finish()
    };
    numbers.chunks(10).map(list).collect()
}

fn row_key(n: u64) -> Vec<u8> {
    [&storage_prefix(StorageId(1))[..], &[0x14], &n.to_be_bytes()].concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_larger_than_memory_is_written_in_parts_and_named_at_once() {
    for sorted in [true, false] {
        let mut world = World::new(Config { idle_flush_millis: 3_600_000, ..Config::small() }, 1).await;
        let mut model = Model::default();
        let mut commit = |world: &World, lists: Vec<MutationList>| {
            let lsn = world.wal.last().next();
            lists.iter().for_each(|list| model.apply(lsn, list));
            assert_eq!(world.wal.commit(BRANCH, lists), lsn);
        };
        // Something before it in the same memtable; and, where its parts overlap, a range that it deletes.
        commit(&world, large(3, 1, true));
        let mut lists = large(1000, 2, sorted);
        if !sorted {
            let mut wipe = MutationListBuilder::new();
            wipe.push(Mutation::DeleteRange { start: &row_key(0), end: &row_key(1 << 40) });
            lists.insert(0, wipe.finish());
        }
        commit(&world, lists);
        commit(&world, large(1, 3, true));
        // All of the large commit is there, and little of it in memory.
        let first = world.get(&row_key(0), Direction::Forward, Lsn(3), Lsn(3)).await;
        model.check(&first);
        while world.server.shards().await.unwrap().remove(0).memtable_bytes > 100 << 10 {
            tokio::task::yield_now().await;
        }
        for lsn in 1..=3 {
            for page in world.scan_all(&storage_prefix(StorageId(1)), None, Lsn(lsn)).await {
                model.check(&page);
            }
        }
        // What was not named is ingested again; what was is read from layers.
        world.restart().await;
        world.wal.trim();
        for page in world.scan_all(&storage_prefix(StorageId(1)), None, Lsn(3)).await {
            model.check(&page);
        }
        world.server.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_feed_that_breaks_within_a_large_commit_begins_it_again() {
    let world = World::new(Config { ingest_credit_bytes: 256 << 10, ..Config::small() }, 1).await;
    let mut model = Model::default();
    for (sorted, value) in [(true, 1), (false, 2)] {
        let (lists, lsn) = (large(700, value, sorted), world.wal.last().next());
        lists.iter().for_each(|list| model.apply(lsn, list));
        world.wal.break_feeds_after(400);
        world.wal.commit(BRANCH, lists);
    }
    world.settle().await;
    for lsn in 1..=2 {
        for page in world.scan_all(&storage_prefix(StorageId(1)), None, Lsn(lsn)).await {
            model.check(&page);
        }
    }
    world.server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_below_the_horizon_are_refused_pins_stay_and_layers_go() {
    let (world, model) = filled(Config { level_0_bytes: 64 << 10, ..busy() }, 300).await;
    let before = world.server.shards().await.unwrap()[0].layer_bytes;
    world.server.set_horizon(BRANCH, SlotRange::ALL, Lsn(290), vec![Lsn(120)]).await.unwrap();
    for at in [120, 290, 300] {
        world.scan_all(&0u64.to_be_bytes(), None, Lsn(at)).await.iter().for_each(|page| model.check(page));
    }
    for at in [119, 121, 289] {
        let refused = world.server.get_page(request(&[1; 9], Lsn(at))).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::NotFound, "LSN {at}");
    }
    // Without the pin, more goes; and the objects go too.
    world.server.set_horizon(BRANCH, SlotRange::ALL, Lsn(295), vec![]).await.unwrap();
    let objects = || files_below(&world.folder.path().join("store"), "layers");
    // Compaction goes on meanwhile, so both are looked at together until they agree.
    let mut seen = (u64::MAX, 0, 0);
    for _ in 0..3000 {
        let status = world.server.shards().await.unwrap().remove(0);
        seen = (status.layer_bytes, objects().len() as u64, status.layers);
        if seen.0 < before && seen.1 == seen.2 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert!(seen.0 < before, "{} of {before} bytes are left", seen.0);
    assert_eq!(seen.1, seen.2, "what is unlinked is deleted");
    world.scan_all(&0u64.to_be_bytes(), None, Lsn(300)).await.iter().for_each(|page| model.check(page));
    world.server.shutdown().await;
}

fn files_below(folder: &Path, parent: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_below(&path, parent));
        } else if path.parent().unwrap().file_name().unwrap() == parent {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Restarts and reads everything; an error if any read fails.
async fn restart_and_read(world: &mut World, model: &Model) -> shardforge_common::Result<()> {
    world.server.shutdown().await;
    world.generation += 1;
    let cache = world.folder.path().join("cache");
    world.server = start(&world.config, &world.wal, &world.store, cache, &world.random);
    world.server.attach(BRANCH, SlotRange::ALL, Generation(world.generation)).await?;
    let at = world.wal.last();
    let mut start = Bytes::copy_from_slice(&storage_prefix(StorageId(0)));
    loop {
        let scan = ScanRequest {
            branch: BRANCH,
            slots: SlotRange::ALL,
            start,
            end: None,
            floor: at,
            snapshot: at,
            max_bytes: 1 << 20,
        };
        let pages = world.server.scan(scan).await?;
        pages.iter().for_each(|page| model.check(page));
        match pages.last().and_then(|page| page.hi()) {
            Some(hi) => start = Bytes::copy_from_slice(hi),
            None => return Ok(()),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flipped_byte_in_the_store_is_an_error_that_names_the_object() {
    let (mut world, model) = filled(busy(), 60).await;
    world.wal.trim();
    restart_and_read(&mut world, &model).await.unwrap();
    let random = Random::from_seed(9);
    let mut seen = 0;
    for round in 0..40 {
        // Compaction replaces files while we look: take what there is now.
        world.server.shutdown().await;
        let layers = files_below(&world.folder.path().join("store"), "layers");
        let manifests = files_below(&world.folder.path().join("store"), "manifests");
        let victim = if round % 4 == 0 {
            manifests.last().unwrap().clone()
        } else {
            layers[random.range(0..layers.len() as u64) as usize].clone()
        };
        let healthy = std::fs::read(&victim).unwrap();
        let mut bad = healthy.clone();
        let at = random.range(0..bad.len() as u64) as usize;
        bad[at] ^= 1 << random.range(0..8);
        std::fs::write(&victim, bad).unwrap();
        // A byte that no read of the newest state looks at goes unnoticed; a wrong row never comes.
        if let Err(error) = restart_and_read(&mut world, &model).await {
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
            let name = victim.file_name().unwrap().to_str().unwrap();
            assert!(error.to_string().contains(name), "{error} does not name {name}");
            seen += 1;
        } else {
            assert!(round % 4 != 0, "a damaged manifest was taken");
        }
        std::fs::write(&victim, healthy).unwrap();
    }
    // All ten manifests, and layers among the thirty as far as the newest state is read from them, which
    // depends on how far compaction came.
    assert!(seen >= 12, "only {seen} of 40 were noticed");
    restart_and_read(&mut world, &model).await.unwrap();
    world.server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_or_deleted_local_copy_is_read_again_from_the_store() {
    let config = Config { local_cache_bytes: 64 << 20, cache_bytes: 0, ..busy() };
    let (mut world, model) = filled(config, 60).await;
    let cache = world.folder.path().join("cache");
    let copies = || files_below(&cache, "cache");
    assert!(!copies().is_empty(), "layers are kept as they are written");
    let random = Random::from_seed(11);
    for round in 0..10 {
        for copy in copies() {
            let mut bytes = std::fs::read(&copy).unwrap();
            let at = random.range(0..bytes.len() as u64) as usize;
            bytes[at] ^= 0x20;
            match round % 3 {
                0 => std::fs::write(&copy, &bytes).unwrap(),
                1 => std::fs::write(&copy, &bytes[..at]).unwrap(),
                _ => std::fs::remove_file(&copy).unwrap(),
            }
        }
        restart_and_read(&mut world, &model).await.unwrap();
    }
    std::fs::remove_dir_all(&cache).unwrap();
    world.wal.trim();
    restart_and_read(&mut world, &model).await.unwrap();
    world.server.shutdown().await;
}

// ---- a recorder, to see what is counted ----

#[derive(Default, Clone)]
struct Counters(Arc<Mutex<HashMap<String, Arc<Count>>>>);

#[derive(Default)]
struct Count(AtomicU64);

impl CounterFn for Count {
    fn increment(&self, value: u64) {
        self.0.fetch_add(value, Ordering::Relaxed);
    }
    fn absolute(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }
}

impl Counters {
    fn of(&self, name: &str) -> u64 {
        let name = format!("shardforge_pageserver_{name}_total");
        self.0.lock().unwrap().get(&name).map_or(0, |count| count.0.load(Ordering::Relaxed))
    }
}

impl Recorder for Counters {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let mut all = self.0.lock().unwrap();
        Counter::from_arc(Arc::clone(all.entry(key.name().to_string()).or_default()))
    }
    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }
    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_metric_proves_that_layers_were_read() {
    let counters = Counters::default();
    let (mut world, model) = filled(busy(), 60).await;
    world.wal.trim();
    world.server.shutdown().await;
    std::fs::remove_dir_all(world.folder.path().join("cache")).ok();
    let folder = world.folder.path().join("cache");
    world.server = metrics::with_local_recorder(&counters, || {
        start(&world.config, &world.wal, &world.store, folder, &world.random)
    });
    world.server.attach(BRANCH, SlotRange::ALL, Generation(2)).await.unwrap();
    assert_eq!(counters.of("layer_blocks_read"), 0);
    let at = world.wal.last();
    world.scan_all(&0u64.to_be_bytes(), None, at).await.iter().for_each(|page| model.check(page));
    assert!(counters.of("layers_opened") > 0);
    assert!(counters.of("layer_blocks_read") > 0);
    assert!(counters.of("pages_served") > 0);
    let (read, hits) = (counters.of("layer_blocks_read"), counters.of("block_cache_hits"));
    world.scan_all(&0u64.to_be_bytes(), None, at).await;
    assert!(counters.of("block_cache_hits") > hits, "{read} blocks were read, none was found in memory");
    world.server.shutdown().await;
}
