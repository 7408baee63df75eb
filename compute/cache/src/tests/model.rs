//! Random feeds, fetches, folds and evictions, and reads at random snapshots: each must see exactly
//! what the history says.

use crate::testing::{MemoryWal, test_cache, test_services};
use crate::{BranchCache, CacheConfig, Lookup, Range, RangeStep, ReadView, RowBatch};
use proptest::prelude::*;
use shardforge_common::mutation::{Mutation, MutationListBuilder};
use shardforge_common::{Lsn, StorageId, key, random};
use shardforge_proto::wal::{FeedRequest, WalService};
use std::sync::Arc;

#[derive(Debug, Clone)]
enum Op {
    /// A commit: for each entry a key, and a value or a deletion.
    Commit(Vec<(u8, Option<u8>)>),
    DeleteRange(u8, u8),
    /// A commit in several records, into a new storage or not; the first may delete a range.
    Large {
        rows: Vec<(u8, Option<u8>)>,
        sorted: bool,
        wipe: Option<(u8, u8)>,
        create: bool,
    },
    /// A commit that makes a storage and fills it.
    Create(Vec<u8>),
    Get(u8, u8),
    Scan {
        from: u8,
        to: u8,
        back: u8,
        reverse: bool,
        limit: u8,
    },
    /// Two scans of old snapshots with folds between their steps.
    Fold(u8),
    ScanWhileFolding {
        back: u8,
        way: Way,
    },
}

#[derive(Debug, Clone, Copy)]
enum Way {
    Forward,
    Reverse,
    /// The rows of a page where they lie.
    Pages,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        6 => prop::collection::vec((0..40u8, prop::option::weighted(0.6, any::<u8>())), 1..6).prop_map(Op::Commit),
        1 => (0..40u8, 1..15u8).prop_map(|(from, len)| Op::DeleteRange(from, from + len)),
        1 => (
            prop::collection::vec((0..40u8, prop::option::weighted(0.8, any::<u8>())), 1..20),
            any::<bool>(),
            prop::option::of((0..40u8, 1..15u8).prop_map(|(from, len)| (from, from + len))),
            any::<bool>(),
        )
            .prop_map(|(rows, sorted, wipe, create)| Op::Large { rows, sorted, wipe, create }),
        1 => prop::collection::vec(any::<u8>(), 0..20).prop_map(Op::Create),
        6 => (0..42u8, 0..8u8).prop_map(|(key, back)| Op::Get(key, back)),
        4 => (0..42u8, 0..42u8, 0..8u8, any::<bool>(), 0..4u8)
            .prop_map(|(from, to, back, reverse, limit)| Op::Scan { from, to, back, reverse, limit }),
        2 => (0..4u8).prop_map(Op::Fold),
        2 => (0..6u8, prop_oneof![Just(Way::Forward), Just(Way::Reverse), Just(Way::Pages)])
            .prop_map(|(back, way)| Op::ScanWhileFolding { back, way }),
    ];
    prop::collection::vec(op, 1..60)
}

fn key_of(storage: u64, n: u8) -> Vec<u8> {
    let mut key = key::storage_prefix(StorageId(storage)).to_vec();
    key.extend([key::marker::FIXED_ASC + 1, n]);
    key
}

struct Harness {
    wal: Arc<MemoryWal>,
    cache: Arc<BranchCache>,
    storages: u64,
}

impl Harness {
    async fn get(&self, view: &mut ReadView, key: &[u8]) -> Option<(Lsn, Vec<u8>)> {
        for _ in 0..100 {
            match view.get(key) {
                Lookup::Found(row) => return Some((row.lsn, row.value.to_vec())),
                Lookup::Absent => return None,
                Lookup::Need(need) => view.fetch(&need).await.unwrap(),
            }
        }
        panic!("a point read makes no progress");
    }

    /// As [`Harness::scan`], forward, with the rows of a page where they lie. A run does not say LSNs.
    async fn scan_pages(
        &self,
        snapshot: Lsn,
        (mut start, end): (Vec<u8>, Vec<u8>),
        mut between: impl FnMut(),
    ) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut view = self.cache.view(snapshot);
        let mut batch = RowBatch::new();
        let mut out = Vec::new();
        let mut run = None;
        for _ in 0..10_000 {
            let range = Range { start: &start, end: &end, reverse: false, limit: 0 };
            let step = view.scan(range, &mut batch, &mut run);
            assert!(run.is_none() || batch.is_empty(), "rows come one way or the other");
            if !matches!(step, RangeStep::Need(_)) {
                for (number, row) in run.iter().flat_map(|run| run.iter().enumerate()) {
                    let run = run.as_ref().unwrap();
                    let mut key = b"another".to_vec();
                    assert_eq!(run.copy_key(number, &mut key), row.value);
                    assert_eq!((&key, &run.value(number)[..]), (&row.key(), row.value));
                    out.push((key, row.value.to_vec()));
                }
                out.extend(batch.iter().map(|(key, row)| (key.to_vec(), row.value.to_vec())));
                batch.clear();
            }
            match step {
                RangeStep::Done => return out,
                RangeStep::More(next) => start = next.to_vec(),
                RangeStep::Need(need) => view.fetch(&need).await.unwrap(),
            }
            between();
        }
        panic!("a scan of pages makes no progress");
    }

    async fn scan(
        &self,
        snapshot: Lsn,
        (start, end): (Vec<u8>, Vec<u8>),
        reverse: bool,
        limit: usize,
        mut between: impl FnMut(),
    ) -> Vec<(Vec<u8>, Lsn, Vec<u8>)> {
        let mut view = self.cache.view(snapshot);
        let (mut start, mut end) = (start, end);
        let mut batch = RowBatch::new();
        for _ in 0..10_000 {
            let range = Range { start: &start, end: &end, reverse, limit };
            match view.range(range, &mut batch) {
                RangeStep::Done => {
                    return batch
                        .iter()
                        .map(|(key, row)| (key.to_vec(), row.lsn, row.value.to_vec()))
                        .collect();
                }
                RangeStep::More(next) if reverse => end = next.to_vec(),
                RangeStep::More(next) => start = next.to_vec(),
                RangeStep::Need(need) => view.fetch(&need).await.unwrap(),
            }
            between();
        }
        panic!("a scan makes no progress");
    }

    fn expected(
        &self,
        snapshot: Lsn,
        start: &[u8],
        end: &[u8],
        reverse: bool,
    ) -> Vec<(Vec<u8>, Lsn, Vec<u8>)> {
        let history = self.wal.history();
        let mut rows: Vec<_> = history
            .range(start, Some(end), snapshot)
            .map(|(key, lsn, value)| (key.to_vec(), lsn, value.to_vec()))
            .collect();
        if reverse {
            rows.reverse();
        }
        rows
    }

    async fn run(&mut self, op: Op) {
        let back = |by: u8| Lsn(self.cache.applied().0.saturating_sub(u64::from(by)));
        match op {
            Op::Commit(entries) => {
                let mut list = MutationListBuilder::new();
                for (n, value) in entries {
                    let storage = 1 + u64::from(n) % self.storages;
                    let key = key_of(storage, n);
                    match value {
                        Some(value) if value % 7 == 0 => list.push(Mutation::Touch { key: &key }),
                        Some(value) => list.push(Mutation::Put { key: &key, value: &[value; 9] }),
                        None => list.push(Mutation::Delete { key: &key }),
                    }
                }
                self.wal.write(list.finish());
            }
            Op::DeleteRange(from, to) => {
                let mut list = MutationListBuilder::new();
                let (start, end) = (key_of(1, from), key_of(1, to));
                list.push(Mutation::DeleteRange { start: &start, end: &end });
                list.push(Mutation::Put { key: &key_of(1, from + 1), value: b"after the wipe" });
                self.wal.write(list.finish());
            }
            Op::Large { mut rows, sorted, wipe, create } => {
                let txn = random::txn_id();
                if create {
                    self.storages += 1;
                    self.cache.expect_created(txn, vec![StorageId(self.storages)]);
                }
                if sorted {
                    rows.sort_by_key(|(n, _)| *n);
                    rows.dedup_by_key(|(n, _)| *n);
                }
                let storage = if create { self.storages } else { 1 };
                let mut bodies = Vec::new();
                let mut list = MutationListBuilder::new();
                if let Some((from, to)) = wipe {
                    list.push(Mutation::DeleteRange { start: &key_of(1, from), end: &key_of(1, to) });
                }
                for part in rows.chunks(3) {
                    for (n, value) in part {
                        match value {
                            Some(value) => {
                                list.push(Mutation::Put { key: &key_of(storage, *n), value: &[*value; 9] });
                            }
                            None => list.push(Mutation::Delete { key: &key_of(storage, *n) }),
                        }
                    }
                    bodies.push(std::mem::take(&mut list).finish());
                }
                self.wal.write_large(txn, bodies);
            }
            Op::Create(rows) => {
                self.storages += 1;
                let mut list = MutationListBuilder::new();
                for n in rows {
                    list.push(Mutation::Put { key: &key_of(self.storages, n), value: &[n; 30] });
                }
                let txn = random::txn_id();
                self.cache.expect_created(txn, vec![StorageId(self.storages)]);
                let request = shardforge_proto::wal::CommitRequest {
                    branch: self.wal.branch(),
                    sender: shardforge_common::ComputeId::from_bytes([0; 16]),
                    txn,
                    attempt: 0,
                    base: self.cache.applied(),
                    checks: Vec::new(),
                    mutations: list.finish(),
                    fragments: 0,
                };
                self.wal.submit(request, Box::new(|_| {}));
            }
            Op::Get(n, by) => {
                let snapshot = back(by);
                let mut view = self.cache.view(snapshot);
                for storage in 1..=self.storages {
                    let key = key_of(storage, n);
                    let expected = self.wal.history().get(&key, snapshot).map(|(lsn, v)| (lsn, v.to_vec()));
                    assert_eq!(
                        self.get(&mut view, &key).await,
                        expected,
                        "key {n} of {storage} at {snapshot}"
                    );
                }
            }
            Op::Scan { from, to, back: by, reverse, limit } => {
                let snapshot = back(by);
                let (start, end) = (key_of(1, from), key_of(self.storages, to));
                let expected = self.expected(snapshot, &start, &end, reverse);
                let got =
                    self.scan(snapshot, (start.clone(), end.clone()), reverse, limit.into(), || {}).await;
                assert_eq!(got, expected, "scan at {snapshot}, reverse {reverse}");
                if !reverse {
                    let expected: Vec<_> = expected.into_iter().map(|(key, _, value)| (key, value)).collect();
                    let got = self.scan_pages(snapshot, (start, end), || {}).await;
                    assert_eq!(got, expected, "scan of pages at {snapshot}");
                }
            }
            Op::Fold(by) => self.cache.fold(back(by)),
            Op::ScanWhileFolding { back: by, way } => {
                let snapshot = back(by);
                let reverse = matches!(way, Way::Reverse);
                let (start, end) = (key_of(1, 0), key_of(self.storages, 255));
                let expected = self.expected(snapshot, &start, &end, reverse);
                let cache = self.cache.clone();
                let mut fold = None;
                let mut steps = 0u64;
                let between = || {
                    steps += 1;
                    let fold = fold.get_or_insert_with(|| cache.begin_fold(Lsn(snapshot.0 + steps % 3)));
                    cache.fold_step(fold);
                };
                let (got, expected) = if matches!(way, Way::Pages) {
                    // What a run does not say is as expected.
                    let got = self.scan_pages(snapshot, (start, end), between).await;
                    let lsns = expected.iter().map(|(_, lsn, _)| *lsn).chain(std::iter::repeat(Lsn::ZERO));
                    (
                        got.into_iter().zip(lsns).map(|((key, value), lsn)| (key, lsn, value)).collect(),
                        expected,
                    )
                } else {
                    (self.scan(snapshot, (start, end), reverse, 3, between).await, expected)
                };
                // A fold that was begun is finished before the next begins: one task folds.
                if let Some(mut fold) = fold {
                    while !self.cache.fold_step(&mut fold) {}
                }
                assert_eq!(got, expected, "scan at {snapshot} during a fold, {way:?}");
            }
        }
        self.cache.validate();
    }
}

fn run(ops: Vec<Op>, seed: u64, config: CacheConfig) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let (branch, wal, pages) = test_services(seed);
        let cache = test_cache(branch, config, pages);
        let feed = FeedRequest {
            branch,
            from: Lsn(1),
            slots: shardforge_common::SlotRange::ALL,
            credit_bytes: 1 << 20,
        };
        let _feed = wal.subscribe(feed, cache.clone()).unwrap();
        let mut harness = Harness { wal, cache, storages: 2 };
        for op in ops {
            harness.run(op).await;
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn reads_see_what_history_says(ops in ops(), seed in any::<u64>()) {
        let mut config = CacheConfig::sized(1 << 20, 1 << 16, 512);
        // Of a large commit the first record or two fit.
        config.large_commit_bytes = 120;
        config.new_rows_bytes = 60;
        run(ops, seed, config);
    }

    #[test]
    fn so_they_do_when_almost_nothing_fits(ops in ops(), seed in any::<u64>()) {
        let mut config = CacheConfig::sized(1500, 1 << 16, 200);
        config.held_bytes = 300;
        config.scan_bytes = 400;
        config.large_commit_bytes = 0;
        run(ops, seed, config);
    }
}
