//! The store's disk loses power at any moment, and the log has been trimmed as far as reports allow:
//! together they still hold every commit (I5).

use crate::fake_wal::FakeWal;
use crate::model::{BRANCH, Model, commit, start};
use bytes::Bytes;
use shardforge_common::disk::{PowerLossDisk, SyncKind};
use shardforge_common::random::Random;
use shardforge_common::{Generation, Lsn, SlotRange};
use shardforge_pageserver::Config;
use shardforge_proto::page::{PageService, ScanRequest};
use shardforge_store::{LocalFolder, ObjectStore};
use std::path::Path;
use std::sync::Arc;

/// One life, a loss of power after so many operations, and a look at what is left.
async fn lose_power(seed: u64, operations: u64, skip: Option<SyncKind>) -> Result<(), String> {
    let config =
        Config { memtable_bytes: 8 << 10, idle_flush_millis: 5, read_wait_millis: 2_000, ..Config::small() };
    let (wal, random) = (FakeWal::new(), Random::from_seed(seed));
    let mut model = Model::default();
    let disk = PowerLossDisk::new(seed);
    disk.skip_syncs(skip.map(|kind| Box::new(move |asked: SyncKind, _: &Path| asked == kind) as _));
    let open = |disk: &PowerLossDisk| -> Arc<dyn ObjectStore> {
        Arc::new(LocalFolder::open(Arc::new(disk.clone()), "/store").unwrap())
    };
    let server = start(&config, &wal, &open(&disk), "/nowhere".into(), &random);
    server.attach(BRANCH, SlotRange::ALL, Generation(1)).await.map_err(|e| e.to_string())?;
    disk.cut_power_after(operations);
    for number in 0..60 {
        commit(&random, &mut model, &wal);
        if number % 3 == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            wal.trim();
        }
    }
    wal.trim();
    server.shutdown().await;
    disk.crash();
    disk.skip_syncs(None);

    let server = start(&config, &wal, &open(&disk), "/nowhere".into(), &random);
    server.attach(BRANCH, SlotRange::ALL, Generation(2)).await.map_err(|e| e.to_string())?;
    let read = async {
        let at = wal.last();
        let mut start = Bytes::copy_from_slice(&[0; 8]);
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
            let pages = server.scan(scan).await.map_err(|e| e.to_string())?;
            for page in &pages {
                let rows: Vec<(Vec<u8>, Lsn, Vec<u8>)> = (0..page.len())
                    .map(|i| (page.key(i), page.row(i).lsn, page.row(i).value.to_vec()))
                    .collect();
                if rows != model.rows(page.lo(), page.hi(), at) {
                    return Err(format!("wrong rows in {:?}..{:?}", page.lo(), page.hi()));
                }
            }
            match pages.last().and_then(|page| page.hi()) {
                Some(hi) => start = Bytes::copy_from_slice(hi),
                None => return Ok(()),
            }
        }
    };
    let found = read.await;
    server.shutdown().await;
    found
}

/// How many moments are tried.
const MOMENTS: u64 = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn layers_and_what_is_left_of_the_log_hold_every_commit_after_a_loss_of_power() {
    for seed in 0..MOMENTS {
        lose_power(seed, 10 + 11 * seed, None).await.unwrap_or_else(|e| panic!("seed {seed}: {e}"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_left_out_sync_is_noticed() {
    for kind in [SyncKind::File, SyncKind::Dir] {
        let mut noticed = false;
        for seed in 0..MOMENTS {
            if noticed {
                break;
            }
            // The WAL's own complaint, that reports went back, is a panic.
            let life = tokio::spawn(lose_power(seed, 50 + 11 * seed, Some(kind))).await;
            noticed = !matches!(life, Ok(Ok(())));
        }
        assert!(noticed, "leaving out {kind:?} syncs goes unnoticed");
    }
}
