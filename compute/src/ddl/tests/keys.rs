//! ALTER TABLE ADD PRIMARY KEY, and other actions that read a table whole.

use super::*;
use crate::row_exec::storage::{fetch_external, new_chunks};
use crate::row_exec::{Stop, TableCodec};
use shardforge_common::key::storage_range;
use shardforge_common::random;
use shardforge_types::Datum;
use shardforge_types::row::{BigValue, RowWriter};

/// `t (a integer, b text)` without a primary key, `b` unique.
pub(super) fn keyless() -> Ddl {
    let Ddl::CreateTable(table) = create("t") else { unreachable!() };
    let unique = vec![NewUnique { name: None, columns: vec![1], nulls_not_distinct: false }];
    Ddl::CreateTable(CreateTable { primary_key: None, unique, ..table })
}

pub(super) fn row(a: i32, b: &str) -> Vec<Datum> {
    vec![Datum::Int4(a), Datum::text(b)]
}

/// Writes rows as the executor does, under row ids from 1.
pub(super) async fn insert(session: &mut Session<'_>, rows: impl IntoIterator<Item = Vec<Datum>>) {
    let table = session.table("t").await.unwrap();
    let codec = TableCodec::new(table);
    let mut writer = RowWriter::new();
    for (id, row) in rows.into_iter().enumerate() {
        let mut key = Vec::new();
        codec.encode_key(&row, id as i64 + 1, &mut key).unwrap();
        let mut writes = Vec::new();
        let mut store =
            |big: BigValue<'_>| Ok(new_chunks(&codec, &key, big, &random::thread(), &mut writes).unwrap());
        let value = writer.write_datums(codec.layout(), codec.version(), &row, &mut store).unwrap();
        let value = Bytes::copy_from_slice(value);
        writes.push((Bytes::copy_from_slice(&key), value));
        for index in codec.indexes() {
            let entry = index.entry(&row, &key).unwrap();
            writes.push((entry.key, entry.value));
        }
        for (key, value) in writes {
            let write = |txn: &mut Txn| txn.insert(key.clone(), value.clone(), Checked::Yes);
            access::complete(&mut session.txn, write).await.unwrap();
        }
    }
}

/// All rows, in key order.
pub(super) async fn rows(session: &mut Session<'_>) -> Vec<Vec<Datum>> {
    let codec = TableCodec::new(session.table("t").await.unwrap());
    let (start, end) = storage_range(codec.table().storage);
    let mut stored = Vec::new();
    access::each(&mut session.txn, start.into(), end.into(), |key, value| {
        stored.push((key.to_vec(), Bytes::copy_from_slice(value)));
        Ok(())
    })
    .await
    .unwrap();
    let columns: Vec<usize> = codec.table().visible_columns().map(|(position, _)| position).collect();
    let mut rows = Vec::new();
    for (key, value) in stored {
        let mut row = Vec::new();
        loop {
            let txn = &mut session.txn;
            let mut external =
                |key: &[u8], place, ty| fetch_external(txn, &codec, key, place, ty, Visibility::Now);
            match codec.decode(&key, &value, &columns, &mut row, &mut external) {
                Ok(()) => break,
                Err(Stop::Need(need)) => session.txn.satisfy(need).await.unwrap(),
                Err(other) => panic!("{other:?}"),
            }
        }
        rows.push(row);
    }
    rows
}

pub(super) fn shown(rows: &[Vec<Datum>]) -> Vec<String> {
    let text = |value: &Datum| match value {
        Datum::Int4(value) => value.to_string(),
        Datum::Text(text) if text.len() > 20 => format!("{} x {}", &text[..1], text.len()),
        Datum::Text(text) => text.to_string(),
        _ => "null".to_owned(),
    };
    rows.iter().map(|row| row.iter().map(text).collect::<Vec<_>>().join(" ")).collect()
}

pub(super) async fn alter(compute: &Compute, action: AlterTableAction) -> SqlResult<()> {
    let table = compute.table("t").await.unwrap();
    compute.run(Ddl::AlterTable { table, actions: vec![action] }).await.map(|_| ())
}

fn add_key(columns: &[usize]) -> AlterTableAction {
    AlterTableAction::AddPrimaryKey { name: "t_pkey".to_owned(), columns: columns.to_vec() }
}

#[tokio::test]
async fn rows_move_under_the_new_key_with_their_big_values_and_entries() {
    let world = World::new();
    let (a, b) = (world.compute("a").await, world.compute("b").await);
    let Ddl::CreateTable(table) = keyless() else { unreachable!() };
    let columns = [table.columns, vec![column("c", PgType::TEXT)]].concat();
    a.run(Ddl::CreateTable(CreateTable { columns, ..table })).await.unwrap();
    let row = |a, b: &str, c: &str| vec![Datum::Int4(a), Datum::text(b), Datum::text(c)];
    let mut session = a.begin().await;
    // Not to be compressed below the limit: noise.
    let noise: String =
        (0..40_000).map(|n| char::from(b'a' + (random::u64() >> (n % 7)) as u8 % 26)).collect();
    insert(&mut session, [row(3, "three", ""), row(1, "one", &noise), row(2, "two", "x")]).await;
    session.commit().await.unwrap();
    let old = a.table("t").await.unwrap();
    alter(&a, add_key(&[0])).await.unwrap();

    let mut session = b.begin().await;
    let new = session.table("t").await.unwrap();
    assert_eq!(new.primary_key.as_ref().unwrap().name, "t_pkey");
    assert!(new.columns[0].not_null && new.schema_version == old.schema_version + 1);
    let moved = rows(&mut session).await;
    assert_eq!(
        shown(&moved),
        [format!("1 one {} x 40000", &noise[..1]), "2 two x".to_owned(), "3 three ".to_owned()]
    );
    assert_eq!(moved[0][2].as_str(), Some(noise.as_str()));
    // The entries of the unique index name the new keys, and nothing is left of the old storage.
    let codec = TableCodec::new(new.clone());
    let entry = codec.indexes()[0].entry(&row(2, "two", "x"), b"").unwrap();
    let found = access::complete(&mut session.txn, |txn| txn.get(&entry.key, Visibility::Now)).await.unwrap();
    let mut key = Vec::new();
    codec.encode_key(&row(2, "two", "x"), 0, &mut key).unwrap();
    assert_eq!(found.unwrap().value, key[8..]);
    for storage in [old.storage, old.value_storage, old.indexes[0].storage] {
        let (start, end) = storage_range(storage);
        access::each(&mut session.txn, start.into(), end.into(), |key, _| panic!("{key:?} is left"))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn duplicates_and_nulls_are_refused() {
    let world = World::new();
    let a = world.compute("a").await;
    a.run(keyless()).await.unwrap();
    let mut session = a.begin().await;
    insert(&mut session, [row(2, "x"), row(1, "y"), row(2, "z"), vec![Datum::Int4(4), Datum::Null]]).await;
    session.commit().await.unwrap();
    let twice = alter(&a, add_key(&[0])).await.unwrap_err();
    assert_eq!(twice.sqlstate(), SqlState::UNIQUE_VIOLATION);
    assert_eq!(twice.fields().message, "could not create unique index \"t_pkey\"");
    assert_eq!(twice.fields().detail.as_deref(), Some("Key (a)=(2) is duplicated."));
    let null = alter(&a, add_key(&[1])).await.unwrap_err();
    assert_eq!(null.fields().message, "column \"b\" of relation \"t\" contains null values");
    assert_eq!(
        state(alter(&a, AlterTableAction::SetNotNull { column: 1, not_null: true }).await),
        SqlState::NOT_NULL_VIOLATION
    );
    alter(&a, AlterTableAction::SetNotNull { column: 0, not_null: true }).await.unwrap();
    // Nothing of what failed is left.
    let mut session = a.begin().await;
    assert!(session.table("t").await.unwrap().primary_key.is_none());
    assert_eq!(rows(&mut session).await.len(), 4);
}

#[tokio::test]
async fn a_row_that_is_written_meanwhile_stops_the_change() {
    let world = World::new();
    let (a, b) = (world.compute("a").await, world.compute("b").await);
    a.run(keyless()).await.unwrap();
    let mut session = a.begin().await;
    let table = session.table("t").await.unwrap();
    session.run(Ddl::AlterTable { table, actions: vec![add_key(&[0])] }).await.unwrap();
    let mut writer = b.begin().await;
    insert(&mut writer, [row(1, "x")]).await;
    writer.commit().await.unwrap();
    assert_eq!(state(session.commit().await), SqlState::T_R_SERIALIZATION_FAILURE);
    alter(&b, add_key(&[0])).await.unwrap();
    assert_eq!(shown(&rows(&mut a.begin().await).await), ["1 x"]);
}

#[tokio::test]
async fn a_table_larger_than_memory_gets_its_key() {
    let world = World::new();
    let a = world.compute("a").await;
    a.run(keyless()).await.unwrap();
    const COUNT: i32 = 5_000;
    let mut session = a.begin().await;
    // From the last to the first, so that each key is looked for among those before it.
    insert(&mut session, (0..COUNT).rev().map(|n| row(n, &format!("value {n}")))).await;
    session.commit().await.unwrap();
    alter(&a, add_key(&[0])).await.unwrap();
    let rows = rows(&mut a.begin().await).await;
    assert_eq!(rows.len(), COUNT as usize);
    assert!(rows.iter().zip(0..).all(|(row, n)| matches!(row[0], Datum::Int4(a) if a == n)));
}

#[tokio::test]
async fn a_second_primary_key_is_refused() {
    let world = World::new();
    let a = world.compute("a").await;
    a.run(create("t")).await.unwrap();
    let error = alter(&a, add_key(&[1])).await.unwrap_err();
    assert_eq!(error.sqlstate(), SqlState::INVALID_TABLE_DEFINITION);
    assert_eq!(error.fields().message, "multiple primary keys for table \"t\" are not allowed");
}

#[tokio::test]
async fn a_not_null_column_needs_an_empty_table() {
    let world = World::new();
    let a = world.compute("a").await;
    a.run(keyless()).await.unwrap();
    let add =
        |name: &str| AlterTableAction::AddColumn(NewColumn { not_null: true, ..column(name, PgType::INT4) });
    alter(&a, add("c")).await.unwrap();
    let mut session = a.begin().await;
    insert(&mut session, [vec![Datum::Int4(1), Datum::text("x"), Datum::Int4(2)]]).await;
    session.commit().await.unwrap();
    assert_eq!(state(alter(&a, add("d")).await), SqlState::NOT_NULL_VIOLATION);
    alter(&a, AlterTableAction::AddColumn(column("d", PgType::INT4))).await.unwrap();
    assert_eq!(shown(&rows(&mut a.begin().await).await), ["1 x 2 null"]);
}
