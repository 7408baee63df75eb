//! CREATE INDEX over a table that has rows.

use super::keys::{alter, insert, keyless, row};
use super::*;
use crate::catalog::{IndexKey, write_table};
use crate::row_exec::TableCodec;
use crate::sql::bound::CreateIndex;
use crate::txn::LockWait;
use shardforge_common::key::storage_range;
use shardforge_common::task;
use shardforge_types::Datum;
use std::future::Future as _;
use std::path::Path;
use std::time::Duration;

async fn create_index(compute: &Compute, column: usize, unique: bool) -> SqlResult<DdlOutcome> {
    let table = compute.table("t").await.unwrap();
    compute.run(Ddl::CreateIndex(definition(table, column, unique))).await
}

fn definition(table: Arc<TableDef>, column: usize, unique: bool) -> CreateIndex {
    CreateIndex {
        table,
        name: None,
        unique,
        nulls_not_distinct: false,
        keys: vec![IndexKey { column, desc: false, nulls_first: false }],
        if_not_exists: false,
        concurrently: false,
        notices: Vec::new(),
    }
}

/// The keys and values under the last index of `t`.
async fn entries(session: &mut Session<'_>) -> Vec<(Vec<u8>, Vec<u8>)> {
    let table = session.table("t").await.unwrap();
    let (start, end) = storage_range(table.indexes.last().unwrap().storage);
    let mut entries = Vec::new();
    access::each(&mut session.txn, start.into(), end.into(), |key, value| {
        entries.push((key.to_vec(), value.to_vec()));
        Ok(())
    })
    .await
    .unwrap();
    entries
}

/// Rows whose first column is spread over the range, so that no piece is sorted by itself.
fn spread(count: i32) -> impl Iterator<Item = Vec<Datum>> {
    (0..count).map(move |n| row((n * 7919) % count, &format!("value {n}")))
}

#[tokio::test]
async fn a_table_larger_than_memory_is_indexed() {
    const COUNT: i32 = 5_003;
    let world = World::new();
    let (a, b) = (world.compute("a").await, world.compute("b").await);
    a.run(keyless()).await.unwrap();
    let mut session = a.begin().await;
    insert(&mut session, spread(COUNT)).await;
    session.commit().await.unwrap();
    for unique in [false, true] {
        create_index(&a, 0, unique).await.unwrap();
        let mut session = b.begin().await;
        let codec = TableCodec::new(session.table("t").await.unwrap());
        let expected = spread(COUNT).zip(1..).map(|(row, id)| {
            let mut key = Vec::new();
            codec.encode_key(&row, id, &mut key).unwrap();
            let entry = codec.indexes().last().unwrap().entry(&row, &key).unwrap();
            (entry.key.to_vec(), entry.value.to_vec())
        });
        let mut expected: Vec<_> = expected.collect();
        expected.sort();
        assert_eq!(entries(&mut session).await, expected, "unique: {unique}");
    }
}

#[tokio::test]
async fn equal_keys_are_found_wherever_they_lie() {
    const COUNT: i32 = 5_003;
    let world = World::new();
    let a = world.compute("a").await;
    // Close to one another, and in different pieces.
    for twin in [1, COUNT - 1] {
        a.run(keyless()).await.unwrap();
        let mut session = a.begin().await;
        let with_twin = spread(COUNT).enumerate().map(|(n, row)| match n as i32 == twin {
            true => vec![Datum::Int4(0), row[1].clone()],
            false => row,
        });
        insert(&mut session, with_twin).await;
        session.commit().await.unwrap();
        let error = create_index(&a, 0, true).await.unwrap_err();
        assert_eq!(error.sqlstate(), SqlState::UNIQUE_VIOLATION);
        assert_eq!(error.fields().message, "could not create unique index \"t_a_idx\"");
        assert_eq!(error.fields().detail.as_deref(), Some("Key (a)=(0) is duplicated."));
        let table = a.table("t").await.unwrap();
        assert_eq!(table.indexes.len(), 1, "nothing of what failed is left");
        a.run(drop(&table)).await.unwrap();
    }
}

/// Waits until no file of own rows is left.
#[allow(clippy::disallowed_methods)] // the folder as anyone sees it
async fn no_files(world: &World) {
    let entries = |path: &Path| std::fs::read_dir(path).map_or(Vec::new(), Iterator::collect);
    let files = || {
        let branches = entries(&world.spill.path().join("a")).into_iter().flatten();
        branches.map(|branch| entries(&branch.path()).len()).sum::<usize>()
    };
    while files() > 0 {
        task::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_build_that_ends_early_leaves_no_file() {
    let world = World::new();
    let a = world.compute("a").await;
    a.run(keyless()).await.unwrap();
    let mut session = a.begin().await;
    insert(&mut session, spread(5_003).map(|row| vec![Datum::Int4(1), row[1].clone()])).await;
    session.commit().await.unwrap();
    no_files(&world).await;
    assert_eq!(state(create_index(&a, 0, true).await.map(|_| ())), SqlState::UNIQUE_VIOLATION);
    no_files(&world).await;
    // Given up wherever it is, as when its session is told to cancel it.
    for polls in [1, 3, 20, 200] {
        let mut session = a.begin().await;
        let table = session.table("t").await.unwrap();
        let mut build = Box::pin(session.run(Ddl::CreateIndex(definition(table, 0, false))));
        for _ in 0..polls {
            let done = std::future::poll_fn(|context| {
                let done = build.as_mut().poll(context).is_ready();
                std::task::Poll::Ready(done)
            });
            if done.await {
                break;
            }
            tokio::task::yield_now().await;
        }
        std::mem::drop(build);
        std::mem::drop(session);
        no_files(&world).await;
    }
    create_index(&a, 0, false).await.unwrap();
    assert_eq!(entries(&mut a.begin().await).await.len(), 5_003);
}

#[tokio::test]
async fn a_writer_of_another_compute_stops_the_build_or_is_stopped() {
    let world = World::new();
    let (a, b) = (world.compute("a").await, world.compute("b").await);
    a.run(keyless()).await.unwrap();
    let mut builder = a.begin().await;
    let table = builder.table("t").await.unwrap();
    builder.run(Ddl::CreateIndex(definition(table.clone(), 0, false))).await.unwrap();
    let mut writer = b.begin().await;
    write_table(&mut writer.txn, POSTGRES, table.oid, LockWait::Forever).unwrap();
    insert(&mut writer, [row(1, "x")]).await;
    writer.commit().await.unwrap();
    assert_eq!(state(builder.commit().await), SqlState::T_R_SERIALIZATION_FAILURE);

    let mut writer = b.begin().await;
    write_table(&mut writer.txn, POSTGRES, table.oid, LockWait::Forever).unwrap();
    insert(&mut writer, [row(2, "y")]).await;
    create_index(&a, 0, false).await.unwrap();
    assert_eq!(state(writer.commit().await), SqlState::T_R_SERIALIZATION_FAILURE);
    assert_eq!(entries(&mut a.begin().await).await.len(), 1);
}

#[tokio::test]
async fn a_build_waits_for_the_writers_of_its_compute_and_sees_their_rows() {
    let world = World::new();
    let a = world.compute("a").await;
    a.run(keyless()).await.unwrap();
    let mut writer = a.begin().await;
    let table = writer.table("t").await.unwrap();
    write_table(&mut writer.txn, POSTGRES, table.oid, LockWait::Forever).unwrap();
    insert(&mut writer, [row(1, "x")]).await;
    let build = create_index(&a, 0, false);
    let commit = async {
        // The build is asked first, and finds the table locked.
        tokio::task::yield_now().await;
        writer.commit().await.unwrap();
    };
    let (built, ()) = tokio::join!(build, commit);
    built.unwrap();
    assert_eq!(entries(&mut a.begin().await).await.len(), 1);
}

#[tokio::test]
async fn dropping_and_adding_keys_leaves_one_entry_for_each_row() {
    let world = World::new();
    let a = world.compute("a").await;
    a.run(keyless()).await.unwrap();
    let mut session = a.begin().await;
    insert(&mut session, spread(100)).await;
    session.commit().await.unwrap();
    create_index(&a, 0, false).await.unwrap();
    let name = "t_pkey".to_owned();
    alter(&a, AlterTableAction::AddPrimaryKey { name: name.clone(), columns: vec![0] }).await.unwrap();
    assert_eq!(entries(&mut a.begin().await).await.len(), 100);
    alter(&a, AlterTableAction::DropConstraint { name, if_exists: false }).await.unwrap();
    let table = a.table("t").await.unwrap();
    assert!(table.primary_key.is_none() && table.columns[0].not_null);
    let of_rows = entries(&mut a.begin().await).await;
    assert_eq!(of_rows.len(), 100);
    alter(&a, AlterTableAction::DropColumn { column: 0 }).await.unwrap();
    assert_eq!(a.table("t").await.unwrap().indexes.len(), 1);
}
