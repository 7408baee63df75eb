//! What scripts cannot say.

use super::{World, key_in, key_of};
use crate::txn::*;
use bytes::Bytes;
use shardforge_common::disk::{Disk, RealDisk};
use shardforge_common::mutation::Aspects;
use shardforge_common::{ErrorKind, Lsn, StorageId, key};
use std::sync::Arc;

/// Runs an operation until it no longer lacks anything.
pub(super) async fn drive<T>(
    txn: &mut Txn,
    mut op: impl FnMut(&mut Txn) -> Result<T, Interrupt>,
) -> Result<T, TxnError> {
    loop {
        match op(txn) {
            Ok(value) => return Ok(value),
            Err(Interrupt::Need(need)) => txn.satisfy(need).await?,
            Err(Interrupt::RestartStatement) => txn.restart_statement().await?,
            Err(Interrupt::Error(error)) => return Err(*error),
        }
    }
}

pub(super) async fn rows(txn: &mut Txn, storage: u64, reverse: bool) -> Vec<(Bytes, Bytes)> {
    let (start, end) = key::storage_range(StorageId(storage));
    let visibility = Visibility::Statement;
    let mut read = RangeRead { start: start.into(), end: end.into(), reverse, limit: 0, visibility };
    let (mut all, mut batch) = (Vec::new(), RowBatch::new());
    loop {
        let next = drive(txn, |txn| txn.range(&mut read, &mut batch)).await.unwrap();
        all.extend(batch.iter().map(|(key, row)| (Bytes::copy_from_slice(key), row.value.clone())));
        if next == RangeNext::Done {
            return all;
        }
    }
}

fn row(n: usize) -> (Bytes, Bytes) {
    (key_in(5, &format!("{n:06}")), Bytes::from(format!("value {n} {}", "x".repeat(50))))
}

#[tokio::test]
async fn a_large_transaction_spills_and_is_staged_and_read_back() {
    let world = World::new().await;
    let mut txn = world.a.begin(IsolationLevel::ReadCommitted);
    txn.begin_statement().await.unwrap();
    // Not in key order, so that runs overlap.
    let numbers: Vec<usize> = (0..2000).map(|i| i * 7 % 2000).collect();
    for n in &numbers {
        let (key, value) = row(*n);
        txn.insert(key, value, Checked::Yes).unwrap();
    }
    txn.begin_statement().await.unwrap();
    for n in (0..2000).step_by(3) {
        txn.update(row(n).0, Bytes::from_static(b"second"), Checked::Yes).unwrap();
    }
    let savepoint = txn.savepoint();
    for n in (0..2000).step_by(2) {
        txn.delete(row(n).0, Checked::Yes).unwrap();
    }
    txn.rollback_to(savepoint);
    txn.begin_statement().await.unwrap();
    let dir = world.a.config.spill_dir.join(world.id.branch.to_string());
    let files = || RealDisk.read_dir(&dir).unwrap().len();
    let spilled = files();
    assert!(spilled > 3, "{spilled} runs");
    let expected: Vec<_> = (0..2000)
        .map(|n| if n % 3 == 0 { (row(n).0, Bytes::from_static(b"second")) } else { row(n) })
        .collect();
    assert_eq!(rows(&mut txn, 5, false).await, expected);
    let mut backward = rows(&mut txn, 5, true).await;
    backward.reverse();
    assert_eq!(backward, expected);
    let seen = drive(&mut txn, |txn| txn.get(&row(999).0, Visibility::Statement)).await.unwrap();
    assert_eq!(seen.unwrap().value, b"second"[..]);

    let committed = txn.commit().await.unwrap();
    let (_, stages) = world.wal.calls();
    assert!(stages > 10, "{stages} fragments");
    assert_eq!(committed.lsn, Lsn(1), "it is one commit");
    assert_eq!(files(), 0, "runs are removed");
    for branch in [&world.a, &world.b] {
        let mut reader = branch.begin(IsolationLevel::ReadCommitted);
        reader.begin_statement().await.unwrap();
        assert_eq!(rows(&mut reader, 5, false).await, expected);
    }
}

#[tokio::test]
async fn bulk_rows_are_staged_as_they_are_and_nobody_else_can_conflict_with_them() {
    let world = World::new().await;
    let mut txn = world.a.begin(IsolationLevel::ReadCommitted);
    txn.begin_statement().await.unwrap();
    let storage = StorageId(5);
    for n in 0..1000 {
        let (key, value) = row(n);
        if n == 500 {
            txn.end_appending(storage);
        }
        assert!(txn.append(&key, &value, true).unwrap());
    }
    assert!(!txn.append(&row(10).0, b"", true).unwrap(), "out of order");
    txn.begin_statement().await.unwrap();
    txn.update(row(700).0, Bytes::from_static(b"second"), Checked::No).unwrap();
    txn.begin_statement().await.unwrap();
    let expected: Vec<_> = (0..1000)
        .map(|n| if n == 700 { (row(n).0, Bytes::from_static(b"second")) } else { row(n) })
        .collect();
    assert_eq!(rows(&mut txn, 5, false).await, expected);
    // The leader refuses one fragment in the middle of those under way: they are all sent again.
    world.wal.refuse_stages(3);
    // Below the certifier's floor: nothing is asked of it.
    world.wal.set_floor(Lsn(1000));
    txn.commit().await.unwrap();
    world.wal.set_floor(Lsn::ZERO);
    for branch in [&world.a, &world.b] {
        let mut reader = branch.begin(IsolationLevel::ReadCommitted);
        reader.begin_statement().await.unwrap();
        assert_eq!(rows(&mut reader, 5, false).await, expected);
    }
}

#[tokio::test]
async fn a_large_transaction_that_conflicts_leaves_nothing_behind() {
    let world = World::new().await;
    let mut txn = world.a.begin(IsolationLevel::ReadCommitted);
    txn.begin_statement().await.unwrap();
    for n in 0..500 {
        let (key, value) = row(n);
        txn.insert(key, value, Checked::Yes).unwrap();
    }
    let mut other = world.b.begin(IsolationLevel::ReadCommitted);
    other.begin_statement().await.unwrap();
    other.insert(row(400).0, Bytes::from_static(b"mine"), Checked::Yes).unwrap();
    other.commit().await.unwrap();
    let error = txn.commit().await.unwrap_err();
    assert!(error.is_conflict());
    assert_eq!(error.key(), Some(&row(400).0));
    // Its fragments are gone: their keys are free.
    let mut again = world.a.begin(IsolationLevel::ReadCommitted);
    again.begin_statement().await.unwrap();
    again.insert(row(0).0, Bytes::from_static(b"mine"), Checked::Yes).unwrap();
    again.commit().await.unwrap();
}

#[tokio::test]
async fn who_has_very_many_locks_has_the_table_or_is_told_at_commit() {
    let world = World::new().await;
    let mut setup = world.a.begin(IsolationLevel::ReadCommitted);
    setup.begin_statement().await.unwrap();
    for n in 0..5000 {
        setup.insert(row(n).0, Bytes::from_static(b"old"), Checked::Yes).unwrap();
    }
    setup.commit().await.unwrap();
    let update = |txn: &mut Txn, n: usize, wait: LockWait| -> Result<(), Interrupt> {
        txn.lock_row(&row(n).0, LockMode::NoKeyUpdate, wait)?;
        txn.update(row(n).0, Bytes::from_static(b"new"), Checked::Yes)
    };
    for others in [false, true] {
        let mut small = world.a.begin(IsolationLevel::ReadCommitted);
        small.begin_statement().await.unwrap();
        if others {
            update(&mut small, 4999, LockWait::NoWait).unwrap();
        }
        let mut large = world.a.begin(IsolationLevel::ReadCommitted);
        large.begin_statement().await.unwrap();
        for n in 0..4000 {
            drive(&mut large, |txn| update(txn, n, LockWait::Forever)).await.unwrap();
        }
        // The first rows are locked whatever comes after them.
        update(&mut small, 0, LockWait::NoWait).unwrap_err();
        // A table that is locked as a whole keeps others out of every row; with somebody else there, the last
        // rows are theirs who commit first.
        let last = update(&mut small, 3999, LockWait::NoWait);
        assert_eq!(last.is_ok(), others);
        if others {
            small.commit().await.unwrap();
            assert!(large.commit().await.unwrap_err().is_conflict());
        } else {
            let Err(Interrupt::Need(need)) = update(&mut small, 3999, LockWait::Forever) else {
                panic!("it waits")
            };
            large.commit().await.unwrap();
            small.satisfy(need).await.unwrap();
            let seen = update(&mut small, 3999, LockWait::Forever);
            assert!(matches!(seen, Err(Interrupt::RestartStatement)), "it reads what was written");
        }
    }
}

#[tokio::test]
async fn writes_into_an_own_new_storage_need_no_checks_and_no_pages() {
    let world = World::new().await;
    let mut txn = world.a.begin(IsolationLevel::Serializable);
    txn.begin_statement().await.unwrap();
    txn.mark_storage_created(StorageId(9));
    for n in 0..300 {
        let key = key_in(9, &format!("{n:04}"));
        assert_eq!(txn.lock_row(&key, LockMode::Update, LockWait::Forever).unwrap(), LockGrant::Held);
        assert_eq!(txn.get(&key, Visibility::Now).unwrap(), None);
        txn.insert(key, Bytes::from_static(b"row"), Checked::Yes).unwrap();
    }
    txn.begin_statement().await.unwrap();
    assert_eq!(rows(&mut txn, 9, false).await.len(), 300);
    // Even below the certifier's floor: nothing is asked of it.
    world.wal.set_floor(Lsn(1000));
    txn.commit().await.unwrap();
    let mut reader = world.a.begin(IsolationLevel::ReadCommitted);
    reader.begin_statement().await.unwrap();
    assert_eq!(rows(&mut reader, 9, true).await.len(), 300);
    world.a.cache().fold(world.a.applied());
    assert_eq!(rows(&mut reader, 9, false).await.len(), 300);
    assert_eq!(world.pages.requests(), 0, "a new table is an empty page");
}

#[tokio::test]
async fn a_scan_does_not_meet_what_its_statement_writes() {
    let world = World::new().await;
    let mut txn = world.a.begin(IsolationLevel::ReadCommitted);
    txn.begin_statement().await.unwrap();
    for n in 0..10 {
        txn.insert(row(n).0, Bytes::from_static(b"1"), Checked::Yes).unwrap();
    }
    txn.begin_statement().await.unwrap();
    let (start, end) = key::storage_range(StorageId(5));
    let visibility = Visibility::Statement;
    let mut read = RangeRead { start: start.into(), end: end.into(), reverse: false, limit: 1, visibility };
    let (mut met, mut batch) = (0, RowBatch::new());
    loop {
        let next = drive(&mut txn, |txn| txn.range(&mut read, &mut batch)).await.unwrap();
        for _ in 0..batch.len() {
            // Each row is moved to a higher key: without the rule this never ends.
            txn.insert(row(100 + met).0, Bytes::from_static(b"2"), Checked::Yes).unwrap();
            met += 1;
        }
        if next == RangeNext::Done {
            break;
        }
    }
    assert_eq!(met, 10);
    assert_eq!(txn.get(&row(105).0, Visibility::Now).unwrap().unwrap().lsn, Lsn::MAX);
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_and_takes_effect_once() {
    let world = World::new().await;
    world.wal.lose_answers(1);
    let mut txn = world.a.begin(IsolationLevel::ReadCommitted);
    txn.begin_statement().await.unwrap();
    txn.insert(key_of("k"), Bytes::from_static(b"1"), Checked::Yes).unwrap();
    assert_eq!(txn.commit().await.unwrap().lsn, Lsn(1));
    assert_eq!(world.wal.committed(), Lsn(1));
}

#[tokio::test]
async fn a_refused_commit_is_sent_again_under_its_id() {
    let world = World::new().await;
    world.wal.refuse(3);
    let mut txn = world.a.begin(IsolationLevel::ReadCommitted);
    txn.begin_statement().await.unwrap();
    txn.insert(key_of("k"), Bytes::from_static(b"1"), Checked::Yes).unwrap();
    assert_eq!(txn.commit().await.unwrap().lsn, Lsn(1));
    assert_eq!(world.wal.calls().0, 4);
}

#[tokio::test]
async fn locks_are_held_until_the_commit_is_applied_here() {
    let world = World::new().await;
    world.wal.pause_feed(true);
    let mut first = world.a.begin(IsolationLevel::ReadCommitted);
    first.begin_statement().await.unwrap();
    first.lock_row(&key_of("k"), LockMode::Update, LockWait::Forever).unwrap();
    first.insert(key_of("k"), Bytes::from_static(b"1"), Checked::Yes).unwrap();
    let mut second = world.a.begin(IsolationLevel::ReadCommitted);
    second.begin_statement().await.unwrap();
    first.commit().await.unwrap();
    let lock = |txn: &mut Txn| txn.lock_row(&key_of("k"), LockMode::Update, LockWait::NoWait);
    assert!(matches!(lock(&mut second), Err(Interrupt::Error(_))), "the commit is not applied yet");
    world.wal.pause_feed(false);
    assert!(matches!(lock(&mut second), Err(Interrupt::RestartStatement)));
    second.restart_statement().await.unwrap();
    assert_eq!(lock(&mut second).unwrap(), LockGrant::Held);
    assert!(drive(&mut second, |txn| txn.get(&key_of("k"), Visibility::Statement)).await.unwrap().is_some());
}

#[tokio::test]
async fn a_cancelled_wait_leaves_the_queue() {
    let world = World::new().await;
    let k = key_of("k");
    let mut holder = world.a.begin(IsolationLevel::ReadCommitted);
    let mut gives_up = world.a.begin(IsolationLevel::ReadCommitted);
    let mut waits = world.a.begin(IsolationLevel::ReadCommitted);
    for txn in [&mut holder, &mut gives_up, &mut waits] {
        txn.begin_statement().await.unwrap();
    }
    holder.lock_row(&k, LockMode::Share, LockWait::Forever).unwrap();
    let Err(Interrupt::Need(need)) = gives_up.lock_row(&k, LockMode::Update, LockWait::Forever) else {
        panic!("it waits")
    };
    let Err(Interrupt::Need(wanted)) = waits.lock_row(&k, LockMode::Share, LockWait::Forever) else {
        panic!("it queues behind the writer")
    };
    let waiting = async { waits.satisfy(wanted).await };
    let giving_up = async {
        let limit = std::time::Duration::from_millis(10);
        assert!(shardforge_common::task::timeout(limit, gives_up.satisfy(need)).await.is_none());
    };
    let (waited, ()) = tokio::join!(waiting, giving_up);
    waited.unwrap();
    assert_eq!(waits.lock_row(&k, LockMode::Share, LockWait::Forever).unwrap(), LockGrant::Held);
}

#[tokio::test]
async fn a_lock_timeout_is_an_error() {
    let world = World::new().await;
    let k = key_of("k");
    let mut holder = world.a.begin(IsolationLevel::ReadCommitted);
    let mut waits = world.a.begin(IsolationLevel::ReadCommitted);
    holder.begin_statement().await.unwrap();
    waits.begin_statement().await.unwrap();
    holder.lock_row(&k, LockMode::Update, LockWait::Forever).unwrap();
    let wait = LockWait::Timeout(std::time::Duration::from_millis(5));
    let Err(Interrupt::Need(need)) = waits.lock_row(&k, LockMode::Update, wait) else { panic!("it waits") };
    assert_eq!(waits.satisfy(need).await.unwrap_err().kind(), TxnErrorKind::LockNotAvailable);
}

#[tokio::test]
async fn the_past_is_read_around_the_cache() {
    let world = World::new().await;
    for n in 0..5u8 {
        let mut txn = world.a.begin(IsolationLevel::ReadCommitted);
        txn.begin_statement().await.unwrap();
        txn.put(key_of("k"), Bytes::from(vec![n]), Checked::No).unwrap();
        txn.commit().await.unwrap();
    }
    world.a.cache().fold(world.a.applied());
    let options = TxnOptions { as_of: Some(Lsn(2)), ..TxnOptions::default() };
    let mut past = Txn::begin(&world.a, options);
    past.begin_statement().await.unwrap();
    let row = drive(&mut past, |txn| txn.get(&key_of("k"), Visibility::Statement)).await.unwrap().unwrap();
    assert_eq!((row.lsn, &row.value[..]), (Lsn(2), &[1][..]));
    assert!(matches!(past.put(key_of("k"), Bytes::new(), Checked::No), Err(Interrupt::Error(_))));
    let mut future = Txn::begin(&world.a, TxnOptions { as_of: Some(Lsn(99)), ..TxnOptions::default() });
    assert_eq!(future.begin_statement().await.unwrap_err().kind(), TxnErrorKind::Other(ErrorKind::Invalid));
}

#[tokio::test]
async fn a_table_that_may_have_changed_below_the_floor_is_not_locked() {
    let world = World::new().await;
    let write = async |key: &str| {
        let mut txn = world.a.begin(IsolationLevel::ReadCommitted);
        txn.begin_statement().await.unwrap();
        txn.put(key_of(key), Bytes::from_static(b"new"), Checked::No).unwrap();
        txn.commit().await.unwrap();
        world.a.cache().fold(world.a.applied());
    };
    let table = key_of("table");
    let lock = |txn: &mut Txn| txn.lock_table(&table, TableLock::Write, LockWait::Forever);
    let mut writer = world.a.begin(IsolationLevel::ReadCommitted);
    writer.begin_statement().await.unwrap();
    write("table").await;
    // Nothing recent says so any more, and the statement's plan is of the table as it was.
    let refused = lock(&mut writer).unwrap_err();
    assert!(matches!(refused, Interrupt::Error(e) if e.kind() == TxnErrorKind::Serialization));
    writer.begin_statement().await.unwrap();
    lock(&mut writer).unwrap();
    writer.check_key(table.clone(), Aspects::READ);
    // Who has it locked since it was looked at need not be told again.
    write("elsewhere").await;
    lock(&mut writer).unwrap();
}

#[tokio::test]
async fn a_broken_feed_is_subscribed_to_again() {
    let world = World::new().await;
    world.wal.break_feeds();
    let mut txn = world.b.begin(IsolationLevel::ReadCommitted);
    txn.begin_statement().await.unwrap();
    txn.insert(key_of("k"), Bytes::from_static(b"1"), Checked::Yes).unwrap();
    let lsn = txn.commit().await.unwrap().lsn;
    world.a.wait_applied(lsn).await.unwrap();
    world.b.wait_applied(lsn).await.unwrap();
}

#[tokio::test]
async fn a_feed_that_the_log_can_no_longer_continue_starts_empty() {
    let world = World::new().await;
    let mut txn = world.b.begin(IsolationLevel::ReadCommitted);
    txn.begin_statement().await.unwrap();
    txn.insert(key_of("k"), Bytes::from_static(b"1"), Checked::Yes).unwrap();
    let lsn = txn.commit().await.unwrap().lsn;
    world.wal.end_feeds(&shardforge_common::Error::not_found("trimmed on purpose"));
    while world.a.cache().floor() < lsn {
        shardforge_common::task::sleep(std::time::Duration::from_millis(1)).await;
    }
    let mut txn = world.a.begin(IsolationLevel::ReadCommitted);
    txn.begin_statement().await.unwrap();
    let row = drive(&mut txn, |txn| txn.get(&key_of("k"), Visibility::Statement)).await.unwrap();
    assert_eq!(row.unwrap().value, b"1"[..]);
}

#[tokio::test]
async fn a_reader_keeps_what_it_saw_when_its_transaction_goes_on() {
    let world = World::new().await;
    let mut txn = world.a.begin(IsolationLevel::ReadCommitted);
    txn.begin_statement().await.unwrap();
    txn.insert(row(1).0, Bytes::from_static(b"1"), Checked::Yes).unwrap();
    txn.begin_statement().await.unwrap();
    let mut reader = txn.reader();
    txn.insert(row(2).0, Bytes::from_static(b"2"), Checked::Yes).unwrap();
    txn.update(row(1).0, Bytes::from_static(b"3"), Checked::Yes).unwrap();
    let read = shardforge_common::task::spawn_thread("reads beside", move || {
        let get = |reader: &mut TxnReader, n| loop {
            match reader.get(&row(n).0) {
                Ok(found) => return found.map(|row| row.value),
                Err(Interrupt::Need(need)) => futures::executor::block_on(reader.satisfy(need)).unwrap(),
                Err(other) => panic!("{other:?}"),
            }
        };
        (get(&mut reader, 1), get(&mut reader, 2))
    });
    assert_eq!(read.unwrap().join().unwrap(), (Some(Bytes::from_static(b"1")), None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn counters_add_up_under_load_on_two_computes() {
    let world = Arc::new(World::new().await);
    let mut setup = world.a.begin(IsolationLevel::ReadCommitted);
    setup.begin_statement().await.unwrap();
    for n in 0..5 {
        setup.insert(row(n).0, Bytes::from_static(b"0"), Checked::Yes).unwrap();
    }
    setup.commit().await.unwrap();
    let tasks: Vec<_> = (0..8)
        .map(|worker| {
            let world = world.clone();
            shardforge_common::task::spawn("adds", async move {
                let branch = if worker % 4 == 0 { &world.b } else { &world.a };
                let mut retries = 0;
                for round in 0..25 {
                    loop {
                        let mut txn = branch.begin(IsolationLevel::ReadCommitted);
                        let (one, two) = ((worker + round) % 5, (worker * round + 1) % 5);
                        let added = async {
                            txn.begin_statement().await?;
                            add(&mut txn, one).await?;
                            txn.begin_statement().await?;
                            add(&mut txn, two).await?;
                            txn.commit().await
                        };
                        match added.await {
                            Ok(_) => break,
                            Err(error) if error.is_conflict() => retries += 1,
                            Err(error) => panic!("{error}"),
                        }
                    }
                }
                retries
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let mut check = world.a.begin(IsolationLevel::ReadCommitted);
    check.begin_statement().await.unwrap();
    let sum: u64 = rows(&mut check, 5, false)
        .await
        .iter()
        .map(|(_, value)| std::str::from_utf8(value).unwrap().parse::<u64>().unwrap())
        .sum();
    assert_eq!(sum, 8 * 25 * 2);
}

async fn add(txn: &mut Txn, n: usize) -> Result<(), TxnError> {
    drive(txn, |txn| {
        let key = row(n).0;
        txn.lock_row(&key, LockMode::NoKeyUpdate, LockWait::Forever)?;
        let old = txn.get(&key, Visibility::Statement)?.expect("it is there");
        let value: u64 = std::str::from_utf8(&old.value).unwrap().parse().unwrap();
        txn.update(key, (value + 1).to_string().into(), Checked::Yes)
    })
    .await
}
