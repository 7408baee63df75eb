//! The local folder keeps the promises of an object store, over a loss of power too.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use bytes::Bytes;
use shardforge_common::ErrorKind;
use shardforge_common::disk::{Disk, PowerLossDisk, RealDisk, SyncKind};
use shardforge_store::{LocalFolder, ObjectPath, ObjectStore, PutOutcome};
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn path(text: &str) -> ObjectPath {
    ObjectPath::new(text).unwrap()
}

fn open(disk: &PowerLossDisk) -> LocalFolder {
    LocalFolder::open(Arc::new(disk.clone()), "/store").unwrap()
}

#[tokio::test]
async fn objects_come_back_as_they_were_put() {
    let folder = tempfile::tempdir().unwrap();
    let store = LocalFolder::open(Arc::new(RealDisk), folder.path().join("a/b")).unwrap();
    assert_eq!(store.put_if_absent(&path("x/y/1"), Bytes::from("one")).await.unwrap(), PutOutcome::Created);
    assert_eq!(store.put_if_absent(&path("x/y/1"), Bytes::from("uno")).await.unwrap(), PutOutcome::Exists);
    store.put(&path("x/2"), Bytes::from("two")).await.unwrap();
    store.put(&path("x/2"), Bytes::from("deux")).await.unwrap();
    store.put(&path("xy/3"), Bytes::new()).await.unwrap();
    assert_eq!(store.get(&path("x/y/1")).await.unwrap(), "one");
    assert_eq!(store.get_range(&path("x/2"), 1..3).await.unwrap(), "eu");
    assert_eq!(store.get_range(&path("x/2"), 1..9).await.unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(store.get(&path("x/none")).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(store.head(&path("x/2")).await.unwrap().unwrap().size_bytes, 4);
    assert_eq!(store.head(&path("x/none")).await.unwrap(), None);
    let list = |folder: &str| {
        let folder = path(folder);
        let store = &store;
        async move {
            let list = store.list(&folder).await.unwrap();
            list.into_iter().map(|m| (m.path.to_string(), m.size_bytes)).collect::<Vec<_>>()
        }
    };
    assert_eq!(list("x").await, [("x/2".to_string(), 4), ("x/y/1".to_string(), 3)]);
    assert_eq!(list("nowhere").await, []);
    store.delete(&path("x/2")).await.unwrap();
    store.delete(&path("x/2")).await.unwrap();
    assert_eq!(list("x").await, [("x/y/1".to_string(), 3)]);
}

#[tokio::test]
async fn of_many_creators_one_wins() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(LocalFolder::open(Arc::new(RealDisk), folder.path()).unwrap());
    for round in 0..20 {
        let at = path(&format!("races/{round}"));
        let puts = (0..8u8).map(|id| {
            let (store, at) = (Arc::clone(&store), at.clone());
            async move { store.put_if_absent(&at, Bytes::from(vec![id; 100])).await.unwrap() }
        });
        let outcomes = futures::future::join_all(puts).await;
        let winners: Vec<_> = (0..8u8).filter(|id| outcomes[*id as usize] == PutOutcome::Created).collect();
        assert_eq!(winners.len(), 1);
        assert_eq!(store.get(&at).await.unwrap(), vec![winners[0]; 100]);
    }
}

/// Puts objects until the power goes; afterwards those answered for are whole, the others whole or absent.
async fn put_until_power_fails(seed: u64, operations: u64, skip: Option<SyncKind>) -> Result<(), String> {
    let disk = PowerLossDisk::new(seed);
    disk.skip_syncs(skip.map(|kind| {
        Box::new(move |asked: SyncKind, path: &Path| asked == kind && path != Path::new("/store/.tmp")) as _
    }));
    let body = |n: u64| Bytes::from(vec![n as u8 + 1; 300 + 700 * n as usize]);
    let mut answered = Vec::new();
    {
        let store = open(&disk);
        disk.cut_power_after(operations);
        for n in 0..12 {
            // Every other object replaces nothing; folders are new as well as known.
            let at = path(&format!("f{}/{n}", n % 3));
            let put = if n % 2 == 0 {
                store.put_if_absent(&at, body(n)).await.map(drop)
            } else {
                store.put(&at, body(n)).await
            };
            match put {
                Ok(()) => answered.push(n),
                Err(_) => break,
            }
        }
    }
    disk.crash();
    disk.skip_syncs(None);
    let store = open(&disk);
    for n in 0..12 {
        match store.get(&path(&format!("f{}/{n}", n % 3))).await {
            Ok(bytes) if bytes == body(n) => {}
            Ok(bytes) => return Err(format!("object {n} has {} bytes, torn", bytes.len())),
            Err(_) if answered.contains(&n) => {
                return Err(format!("object {n} was answered for, and is gone"));
            }
            Err(_) => {}
        }
    }
    let left = disk.read_dir(&PathBuf::from("/store/.tmp")).unwrap();
    if left.is_empty() { Ok(()) } else { Err(format!("temporaries are left: {left:?}")) }
}

#[tokio::test]
async fn what_was_answered_for_survives_power_loss_and_nothing_is_torn() {
    for seed in 0..150 {
        put_until_power_fails(seed, 3 + seed, None).await.unwrap_or_else(|e| panic!("seed {seed}: {e}"));
    }
}

#[tokio::test]
async fn the_power_loss_test_notices_a_left_out_sync() {
    for kind in [SyncKind::File, SyncKind::Dir] {
        let mut found = false;
        for seed in 0..150 {
            found |= put_until_power_fails(seed, 3 + seed, Some(kind)).await.is_err();
        }
        assert!(found, "leaving out {kind:?} syncs goes unnoticed");
    }
}
