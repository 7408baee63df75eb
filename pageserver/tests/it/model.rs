//! Random commits and reads against a map of every version: over flushes, compactions, restarts,
//! trimmed logs and deleted caches, each page holds exactly what the map says.

use crate::fake_wal::FakeWal;
use bytes::Bytes;
use shardforge_common::clock::SystemClock;
use shardforge_common::disk::RealDisk;
use shardforge_common::mutation::{Mutation, MutationList, MutationListBuilder};
use shardforge_common::page::Page;
use shardforge_common::random::Random;
use shardforge_common::{BranchId, BranchRef, Generation, Lsn, SlotRange, TenantId};
use shardforge_pageserver::{Config, PageServer, Parts};
use shardforge_proto::page::{Direction, PageRequest, PageService, ScanRequest};
use shardforge_store::{LocalFolder, ObjectStore};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

pub(crate) const BRANCH: BranchRef = BranchRef { tenant: TenantId(uuid_of(1)), branch: BranchId(uuid_of(2)) };

const fn uuid_of(byte: u8) -> uuid::Uuid {
    uuid::Uuid::from_bytes([byte; 16])
}

/// Versions of a key, oldest first.
type Versions = Vec<(Lsn, Option<Vec<u8>>)>;

/// Every version of every key.
#[derive(Default)]
pub(crate) struct Model(BTreeMap<Vec<u8>, Versions>);

impl Model {
    pub(crate) fn apply(&mut self, lsn: Lsn, list: &MutationList) {
        for mutation in list.iter() {
            match mutation.unwrap() {
                Mutation::Insert { key, value }
                | Mutation::Update { key, value }
                | Mutation::Put { key, value } => {
                    self.set(key, lsn, Some(value.to_vec()));
                }
                Mutation::Delete { key } => self.set(key, lsn, None),
                Mutation::DeleteRange { start, end } => {
                    let keys: Vec<_> =
                        self.0.range(start.to_vec()..end.to_vec()).map(|(k, _)| k.clone()).collect();
                    keys.iter().for_each(|key| self.set(key, lsn, None));
                }
                Mutation::Touch { .. } | Mutation::Merge { .. } => {}
            }
        }
    }

    fn set(&mut self, key: &[u8], lsn: Lsn, value: Option<Vec<u8>>) {
        self.0.entry(key.to_vec()).or_default().push((lsn, value));
    }

    /// The rows of an interval at an LSN.
    pub(crate) fn rows(&self, lo: &[u8], hi: Option<&[u8]>, at: Lsn) -> Vec<(Vec<u8>, Lsn, Vec<u8>)> {
        let row = |(key, versions): (&Vec<u8>, &Versions)| {
            let (lsn, value) = versions.iter().rev().find(|(lsn, _)| *lsn <= at)?;
            Some((key.clone(), *lsn, value.clone()?))
        };
        let inside = |key: &[u8]| hi.is_none_or(|hi| key < hi);
        self.0.range(lo.to_vec()..).take_while(|(key, _)| inside(key)).filter_map(row).collect()
    }

    pub(crate) fn check(&self, page: &Page) {
        let expected = self.rows(page.lo(), page.hi(), page.lsn());
        let got: Vec<_> =
            (0..page.len()).map(|i| (page.key(i), page.row(i).lsn, page.row(i).value.to_vec())).collect();
        assert_eq!(got.len(), expected.len(), "at LSN {}, {:?}..{:?}", page.lsn(), page.lo(), page.hi());
        assert_eq!(got, expected, "at LSN {}, {:?}..{:?}", page.lsn(), page.lo(), page.hi());
    }
}

/// A pageserver over a temporary folder, which can be restarted.
pub(crate) struct World {
    pub(crate) wal: Arc<FakeWal>,
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) server: Arc<PageServer>,
    pub(crate) config: Config,
    pub(crate) generation: u64,
    pub(crate) random: Random,
}

impl World {
    pub(crate) async fn new(config: Config, seed: u64) -> World {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn ObjectStore> =
            Arc::new(LocalFolder::open(Arc::new(RealDisk), folder.path().join("store")).unwrap());
        let (wal, random) = (FakeWal::new(), Random::from_seed(seed));
        let server = start(&config, &wal, &store, folder.path().join("cache"), &random);
        server.attach(BRANCH, SlotRange::ALL, Generation(1)).await.unwrap();
        World { wal, store, folder, server, config, generation: 1, random }
    }

    pub(crate) async fn restart(&mut self) {
        self.server.shutdown().await;
        self.generation += 1;
        self.server =
            start(&self.config, &self.wal, &self.store, self.folder.path().join("cache"), &self.random);
        self.server.attach(BRANCH, SlotRange::ALL, Generation(self.generation)).await.unwrap();
    }

    pub(crate) async fn get(&self, key: &[u8], direction: Direction, floor: Lsn, snapshot: Lsn) -> Page {
        let key = Bytes::copy_from_slice(key);
        let request = PageRequest { branch: BRANCH, slots: SlotRange::ALL, key, direction, floor, snapshot };
        let page = self.server.get_page(request).await.unwrap();
        assert!(floor <= page.lsn() && page.lsn() <= snapshot);
        page
    }

    /// Every page from `start` on at exactly one LSN.
    pub(crate) async fn scan_all(&self, start: &[u8], end: Option<&[u8]>, at: Lsn) -> Vec<Page> {
        let mut pages: Vec<Page> = Vec::new();
        let mut start = Bytes::copy_from_slice(start);
        loop {
            let request = ScanRequest {
                branch: BRANCH,
                slots: SlotRange::ALL,
                start: start.clone(),
                end: end.map(Bytes::copy_from_slice),
                floor: at,
                snapshot: at,
                max_bytes: 4 << 10,
            };
            for (number, page) in self.server.scan(request).await.unwrap().into_iter().enumerate() {
                assert_eq!(page.lsn(), at);
                match pages.last().and_then(|last| last.hi()) {
                    Some(hi) if number > 0 => assert_eq!(hi, page.lo(), "pages of a scan touch"),
                    // Compaction may have moved the borders since the last call.
                    Some(hi) => assert!(page.covers(hi)),
                    None => assert!(page.covers(&start)),
                }
                pages.push(page);
            }
            match pages.last().and_then(|page| page.hi()) {
                Some(hi) if end.is_none_or(|end| hi < end) => start = Bytes::copy_from_slice(hi),
                _ => return pages,
            }
        }
    }

    /// Returns when everything committed is uploaded.
    pub(crate) async fn settle(&self) {
        for _ in 0..2000 {
            let uploaded = self.wal.report_of(SlotRange::ALL).map_or(Lsn::ZERO, |report| report.uploaded);
            if uploaded >= self.wal.last() {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        panic!("not uploaded: {:?} of {}", self.wal.report_of(SlotRange::ALL), self.wal.last());
    }
}

pub(crate) fn start(
    config: &Config,
    wal: &Arc<FakeWal>,
    store: &Arc<dyn ObjectStore>,
    folder: PathBuf,
    random: &Random,
) -> Arc<PageServer> {
    let parts = Parts {
        wal: Arc::clone(wal) as _,
        store: Arc::clone(store),
        disk: Arc::new(RealDisk),
        folder,
        clock: Arc::new(SystemClock),
        random: random.clone(),
        ingest: tokio::runtime::Handle::current(),
        background: tokio::runtime::Handle::current(),
    };
    PageServer::start(config.clone(), parts).unwrap()
}

/// A key of one of three storage ids; few enough that keys meet often.
pub(crate) fn key(random: &Random) -> Vec<u8> {
    let mut key = (1 + random.range(0..3)).to_be_bytes().to_vec();
    key.push(0x14);
    key.extend_from_slice(&random.range(0..2000).to_be_bytes());
    key
}

pub(crate) fn commit(random: &Random, model: &mut Model, wal: &FakeWal) -> Lsn {
    let lsn = wal.last().next();
    let parts = 1 + random.range(0..10) / 9;
    let mut lists = Vec::new();
    for _ in 0..parts {
        let mut list = MutationListBuilder::new();
        for _ in 0..1 + random.range(0..40) {
            let value = vec![random.u64() as u8; random.range(0..300) as usize];
            // Some keys are written again and again.
            let hot = [&7u64.to_be_bytes()[..], &[[0x01, 0x10][random.range(0..2) as usize]]].concat();
            let key = if random.range(0..6) == 0 { hot } else { key(random) };
            match random.range(0..100) {
                0..30 => list.push(Mutation::Insert { key: &key, value: &value }),
                30..60 => list.push(Mutation::Update { key: &key, value: &value }),
                60..80 => list.push(Mutation::Put { key: &key, value: &value }),
                80..95 => list.push(Mutation::Delete { key: &key }),
                95..98 => list.push(Mutation::Touch { key: &key }),
                // Ranges of a commit in several records come before its rows.
                _ if !lists.is_empty() => {}
                _ => {
                    let mut end = self::key(random);
                    let mut start = key;
                    if end < start {
                        std::mem::swap(&mut start, &mut end);
                    }
                    // Mostly narrow, so that something stays.
                    if random.range(0..10) > 0 {
                        end = start.clone();
                        end.push(0xff);
                    }
                    list.push(Mutation::DeleteRange { start: &start, end: &end });
                }
            }
        }
        lists.push(list.finish());
    }
    lists.iter().for_each(|list| model.apply(lsn, list));
    assert_eq!(wal.commit(BRANCH, lists), lsn);
    lsn
}

async fn run(seed: u64, config: Config, steps: usize) {
    let mut world = World::new(config, seed).await;
    let random = Random::from_seed(seed ^ 0x5eed);
    let mut model = Model::default();
    for _ in 0..steps {
        match random.range(0..100) {
            0..55 => {
                commit(&random, &mut model, &world.wal);
            }
            55..90 => {
                let snapshot = Lsn(random.range(0..world.wal.last().0 + 1));
                let floor = Lsn(random.range(0..snapshot.0 + 1));
                let key = key(&random);
                let page = world.get(&key, Direction::Forward, floor, snapshot).await;
                assert!(page.covers(&key));
                model.check(&page);
                let page = world.get(&key, Direction::Backward, floor, snapshot).await;
                assert!(page.lo() < &key[..] && page.hi().is_none_or(|hi| &key[..] <= hi));
                model.check(&page);
            }
            90..95 => {
                let at = Lsn(random.range(0..world.wal.last().0 + 1));
                let pages = world.scan_all(&0u64.to_be_bytes(), None, at).await;
                assert_eq!(pages[0].lo(), 0u64.to_be_bytes());
                assert_eq!(pages.last().unwrap().hi(), None);
                pages.iter().for_each(|page| model.check(page));
            }
            95..97 => world.restart().await,
            97..98 => {
                world.wal.break_feeds();
            }
            98..99 => {
                let _ = std::fs::remove_dir_all(world.folder.path().join("cache"));
            }
            _ => {
                world.settle().await;
                world.wal.trim();
            }
        }
    }
    world.settle().await;
    world.wal.trim();
    world.restart().await;
    let at = world.wal.last();
    // Whichever key of a page is asked for, the page is the same one, while the layers are the same.
    for attempt in 0.. {
        let before = world.server.shards().await.unwrap()[0].manifest;
        let pages = world.scan_all(&0u64.to_be_bytes(), None, at).await;
        pages.iter().for_each(|page| model.check(page));
        let mut same = true;
        for page in pages.iter().filter(|page| !page.is_empty()) {
            for index in [0, page.len() - 1] {
                let again = world.get(&page.key(index), Direction::Forward, at, at).await;
                same &= (again.lo(), again.hi()) == (page.lo(), page.hi());
            }
        }
        if world.server.shards().await.unwrap()[0].manifest == before {
            assert!(same, "pages do not tile");
            break;
        }
        assert!(attempt < 50, "compaction never rests");
    }
    world.server.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_hold_what_the_model_says() {
    for seed in seeds(0, 5) {
        let config = Config { idle_flush_millis: 20, ..Config::small() };
        run(seed, config, 400).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_hold_what_the_model_says_with_a_local_cache_and_hardly_any_memory() {
    for seed in seeds(100, 3) {
        let config = Config {
            idle_flush_millis: 20,
            memtable_bytes: 16 << 10,
            page_bytes: 300,
            cache_bytes: 20 << 10,
            local_cache_bytes: 200 << 10,
            ..Config::small()
        };
        run(seed, config, 300).await;
    }
}

/// The seeds of a run: a fixed few, or those from `SEED` on.
fn seeds(first: u64, count: u64) -> std::ops::Range<u64> {
    let first = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(first);
    first..first + count
}
