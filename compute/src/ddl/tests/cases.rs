use super::*;
use crate::Notice;
use crate::catalog::system;
use crate::catalog::{PG_CATALOG, check_table_version};
use crate::sql::bound::BoundStatement;
use crate::sql::{BindContext, parse};
use shardforge_common::key::{storage_prefix, storage_range};
use shardforge_types::Datum;
use std::collections::BTreeSet;

#[tokio::test]
async fn a_table_is_found_by_others_once_it_is_committed() {
    let world = World::new();
    let (a, b) = (world.compute("a").await, world.compute("b").await);
    let mut session = a.begin().await;
    session.run(create("t")).await.unwrap();
    let own = session.table("t").await.unwrap();
    assert_eq!(own.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert!(own.columns[0].not_null && own.primary_key.as_ref().unwrap().name == "t_pkey");
    assert!(b.table("t").await.is_none());
    session.commit().await.unwrap();
    assert_eq!(b.table("t").await.unwrap(), own);
    assert_eq!(a.table("t").await.unwrap(), own);
    // The same version of the schema is the same catalog, in memory.
    let (first, second) = (a.begin().await.catalog().await, a.begin().await.catalog().await);
    assert!(Arc::ptr_eq(first.database_catalog(), second.database_catalog()));
    // And it is known to be current until the schema changes.
    let mut session = b.begin().await;
    let catalog = session.catalog().await;
    assert!(CatalogCache::is_current(&mut session.txn, catalog.database_catalog()).unwrap());
    session.run(create("u")).await.unwrap();
    assert!(!CatalogCache::is_current(&mut session.txn, catalog.database_catalog()).unwrap());
    let own = session.catalog().await;
    assert!(!CatalogCache::is_current(&mut session.txn, own.database_catalog()).unwrap());
}

#[tokio::test]
async fn a_rollback_leaves_nothing_but_used_up_ids() {
    let world = World::new();
    let a = world.compute("a").await;
    let mut session = a.begin().await;
    session.run(create("t")).await.unwrap();
    let first = session.table("t").await.unwrap();
    session.txn.rollback();
    assert!(a.table("t").await.is_none());
    a.run(create("t")).await.unwrap();
    let second = a.table("t").await.unwrap();
    assert!(second.oid != first.oid && second.storage != first.storage);
}

#[tokio::test]
async fn of_two_computes_that_create_a_table_one_fails() {
    let world = World::new();
    let (a, b) = (world.compute("a").await, world.compute("b").await);
    let (mut first, mut second) = (a.begin().await, b.begin().await);
    first.run(create("t")).await.unwrap();
    second.run(create("t")).await.unwrap();
    first.commit().await.unwrap();
    assert_eq!(state(second.commit().await), SqlState::T_R_SERIALIZATION_FAILURE);
    // Tried again, the statement says what it would have said.
    assert_eq!(state(b.run(create("t")).await), SqlState::DUPLICATE_TABLE);
}

#[tokio::test]
async fn schema_changes_of_different_tables_do_not_conflict() {
    let world = World::new();
    let (a, b) = (world.compute("a").await, world.compute("b").await);
    let (mut first, mut second) = (a.begin().await, b.begin().await);
    first.run(create("t")).await.unwrap();
    second.run(create("u")).await.unwrap();
    // The second one's own catalog is kept too, and does not know `t`.
    assert!(second.table("t").await.is_none());
    first.commit().await.unwrap();
    second.commit().await.unwrap();
    for compute in [&a, &b] {
        assert!(compute.table("t").await.is_some() && compute.table("u").await.is_some());
    }
}

#[tokio::test]
async fn ids_are_never_used_again_and_never_twice() {
    let world = World::new();
    let mut seen = BTreeSet::new();
    for start in 0..3 {
        let (a, b) = (world.compute("a").await, world.compute("b").await);
        for _ in 0..3 {
            for compute in [&a, &b] {
                assert!(seen.insert(compute.ids.oid().await.unwrap()), "start {start}");
            }
        }
    }
    assert!(seen.iter().all(|oid| oid.0 >= 16384));
    let a = world.compute("a").await;
    // More than a block.
    let mut storage = BTreeSet::new();
    for _ in 0..600 {
        assert!(storage.insert(a.ids.storage().await.unwrap()));
    }
    assert!(storage.first().unwrap().0 > crate::catalog::stored::LAST_RESERVED.0);
}

#[tokio::test]
async fn computes_that_bootstrap_at_once_make_one_catalog() {
    let world = World::new();
    let (a, b) = tokio::join!(world.compute("a"), world.compute("b"));
    let names = |catalog: SessionCatalog| {
        let databases = catalog.database_catalog().databases().iter().map(|row| row.name.clone());
        databases.collect::<Vec<_>>()
    };
    assert_eq!(names(a.begin().await.catalog().await), ["template1", "template0", "postgres"]);
    assert_eq!(names(b.begin().await.catalog().await), ["template1", "template0", "postgres"]);
}

#[tokio::test]
async fn a_writer_of_a_table_that_was_altered_meanwhile_fails() {
    let world = World::new();
    let (a, b) = (world.compute("a").await, world.compute("b").await);
    a.run(create("t")).await.unwrap();
    let mut writer = b.begin().await;
    let table = writer.table("t").await.unwrap();
    check_table_version(&mut writer.txn, POSTGRES, table.oid);
    insert_row(&mut writer, &table, b"1").await;
    let rename = AlterTableAction::Rename { name: "u".to_owned() };
    a.run(Ddl::AlterTable { table: table.clone(), actions: vec![rename] }).await.unwrap();
    assert_eq!(state(writer.commit().await), SqlState::T_R_SERIALIZATION_FAILURE);
    let renamed = b.table("u").await.unwrap();
    assert!(b.table("t").await.is_none());
    assert_eq!((renamed.oid, renamed.schema_version), (table.oid, table.schema_version + 1));
}

async fn insert_row(session: &mut Session<'_>, table: &TableDef, row: &[u8]) {
    let key = Bytes::from([&storage_prefix(table.storage)[..], b"\x20", row, &[0, 1]].concat());
    access::complete(&mut session.txn, |txn| txn.insert(key.clone(), Bytes::from_static(b"x"), Checked::Yes))
        .await
        .unwrap();
}

async fn count_rows(session: &mut Session<'_>, storage: StorageId) -> usize {
    let (start, end) = storage_range(storage);
    let mut count = 0;
    access::each(&mut session.txn, start.into(), end.into(), |_, _| {
        count += 1;
        Ok(())
    })
    .await
    .unwrap();
    count
}

#[tokio::test]
async fn drop_removes_rows_names_and_types() {
    let world = World::new();
    let a = world.compute("a").await;
    let before = a.begin().await.catalog().await;
    a.run(create("t")).await.unwrap();
    let mut session = a.begin().await;
    let table = session.table("t").await.unwrap();
    insert_row(&mut session, &table, b"1").await;
    session.commit().await.unwrap();
    a.run(drop(&table)).await.unwrap();
    let mut session = a.begin().await;
    assert_eq!(count_rows(&mut session, table.storage).await, 0);
    let after = session.catalog().await;
    let left = |catalog: &SessionCatalog| {
        let catalog = catalog.database_catalog();
        (
            catalog.relations().count(),
            catalog.types().count(),
            catalog.constraints().count(),
            catalog.indexes().count(),
        )
    };
    assert_eq!(left(&after), left(&before));
    assert!(after.database_catalog().columns(table.oid).is_empty());
    a.run(create("t")).await.unwrap();
}

#[tokio::test]
async fn truncate_moves_to_new_storage() {
    let world = World::new();
    let (a, b) = (world.compute("a").await, world.compute("b").await);
    a.run(create("t")).await.unwrap();
    let mut session = a.begin().await;
    let old = session.table("t").await.unwrap();
    insert_row(&mut session, &old, b"1").await;
    session.commit().await.unwrap();
    let truncate = Ddl::Truncate { tables: vec![old.clone()], restart_identity: false, cascade: false };
    a.run(truncate).await.unwrap();
    let mut session = b.begin().await;
    let new = session.table("t").await.unwrap();
    assert_eq!((new.oid, new.schema_version), (old.oid, old.schema_version + 1));
    assert!(new.storage != old.storage && new.value_storage != old.value_storage);
    assert_eq!(count_rows(&mut session, old.storage).await + count_rows(&mut session, new.storage).await, 0);
}

#[tokio::test]
async fn a_schema_that_is_dropped_meanwhile_takes_no_table() {
    let world = World::new();
    let (a, b) = (world.compute("a").await, world.compute("b").await);
    let schema = |name: &str| Ddl::CreateSchema { name: name.to_owned(), if_not_exists: false };
    let drop = |cascade| Ddl::DropSchema { names: vec!["s".to_owned()], if_exists: false, cascade };
    a.run(schema("s")).await.unwrap();
    let oid = a.begin().await.catalog().await.schema("s").unwrap().unwrap();
    let Ddl::CreateTable(table) = create("t") else { unreachable!() };
    let in_s = Ddl::CreateTable(CreateTable { schema: oid, ..table });
    // First the drop, then the table: the table's transaction fails.
    let mut session = b.begin().await;
    session.run(in_s.clone()).await.unwrap();
    a.run(drop(false)).await.unwrap();
    assert_eq!(state(session.commit().await), SqlState::T_R_SERIALIZATION_FAILURE);
    // First the table, then the drop: the drop's transaction fails.
    a.run(schema("s")).await.unwrap();
    let oid = a.begin().await.catalog().await.schema("s").unwrap().unwrap();
    let Ddl::CreateTable(table) = create("t") else { unreachable!() };
    let mut session = b.begin().await;
    session.run(drop(false)).await.unwrap();
    a.run(Ddl::CreateTable(CreateTable { schema: oid, ..table })).await.unwrap();
    assert_eq!(state(session.commit().await), SqlState::T_R_SERIALIZATION_FAILURE);
    assert_eq!(state(b.run(drop(false)).await), SqlState::DEPENDENT_OBJECTS_STILL_EXIST);
    assert_eq!(
        b.run(drop(true)).await.unwrap().notices,
        [Notice::from("drop cascades to table s.t".to_owned())]
    );
    assert_eq!(state(b.run(drop(true)).await), SqlState::INVALID_SCHEMA_NAME);
    assert_eq!(state(b.run(schema("pg_s")).await), SqlState::RESERVED_NAME);
    assert_eq!(state(b.run(schema("public")).await), SqlState::DUPLICATE_SCHEMA);
}

#[tokio::test]
async fn databases_are_apart() {
    let world = World::new();
    let (a, b) = (world.compute("a").await, world.compute("b").await);
    let database = |name: &str| Ddl::CreateDatabase { name: name.to_owned() };
    // Known to a session of another database whose catalog is in memory.
    assert_eq!(b.begin().await.catalog().await.database_catalog().databases().len(), 3);
    a.run(database("app")).await.unwrap();
    a.run(create("t")).await.unwrap();
    let all = b.begin().await.catalog().await.database_catalog().databases().to_vec();
    let app = all.iter().find(|row| row.name == "app").unwrap().oid;
    let mut session = b.begin_in(app).await;
    assert!(session.table("t").await.is_none());
    assert_eq!(session.catalog().await.creation_schema().unwrap().1, "public");
    session.run(create("t")).await.unwrap();
    session.commit().await.unwrap();
    assert_ne!(b.begin_in(app).await.table("t").await.unwrap().oid, b.table("t").await.unwrap().oid);

    assert_eq!(state(a.run(database("app")).await), SqlState::DUPLICATE_DATABASE);
    let drop = |name: &str, if_exists| Ddl::DropDatabase { name: name.to_owned(), if_exists };
    assert_eq!(state(a.run(drop("postgres", false)).await), SqlState::OBJECT_IN_USE);
    assert_eq!(state(a.run(drop("template1", false)).await), SqlState::WRONG_OBJECT_TYPE);
    a.run(drop("app", false)).await.unwrap();
    assert_eq!(state(a.run(drop("app", false)).await), SqlState::INVALID_CATALOG_NAME);
    assert_eq!(a.run(drop("app", true)).await.unwrap().notices.len(), 1);
    let mut session = b.begin_in(app).await;
    assert_eq!(state(b.cache.load(&mut session.txn, app).await), SqlState::INVALID_CATALOG_NAME);
}

#[tokio::test]
async fn create_database_is_not_for_transaction_blocks() {
    let world = World::new();
    let a = world.compute("a").await;
    let mut session = a.begin().await;
    let catalog = session.catalog().await;
    let eval = EvalContext::detached(0);
    let context = DdlContext {
        cache: &a.cache,
        ids: &a.ids,
        activity: &a.activity,
        catalog: &catalog,
        eval: &eval,
        sequences: &a.sequences,
        owner: SUPERUSER,
        lock_wait: crate::txn::LockWait::Forever,
        in_transaction_block: true,
    };
    let create = Ddl::CreateDatabase { name: "app".to_owned() };
    assert_eq!(state(execute(&create, &mut session.txn, context).await), SqlState::ACTIVE_SQL_TRANSACTION);
}

#[tokio::test]
async fn a_made_up_constraint_name_avoids_those_that_are_taken() {
    let world = World::new();
    let a = world.compute("a").await;
    let Ddl::CreateTable(table) = create("t_pkey") else { unreachable!() };
    a.run(Ddl::CreateTable(CreateTable { primary_key: None, ..table })).await.unwrap();
    a.run(create("t")).await.unwrap();
    assert_eq!(a.table("t").await.unwrap().primary_key.as_ref().unwrap().name, "t_pkey1");
    let Ddl::CreateTable(table) = create("u") else { unreachable!() };
    let given = CreateTable { primary_key: Some(("t".to_owned(), vec![0])), ..table };
    assert_eq!(state(a.run(Ddl::CreateTable(given)).await), SqlState::DUPLICATE_TABLE);
}

#[tokio::test]
async fn altering_columns_keeps_their_numbers() {
    let world = World::new();
    let a = world.compute("a").await;
    a.run(create("t")).await.unwrap();
    let alter = async |actions: Vec<AlterTableAction>| {
        let table = a.table("t").await.unwrap();
        a.run(Ddl::AlterTable { table, actions }).await
    };
    alter(vec![
        AlterTableAction::AddColumn(column("c", PgType::INT8)),
        AlterTableAction::DropColumn { column: 1 },
        AlterTableAction::RenameColumn { column: 2, name: "b".to_owned() },
        AlterTableAction::SetDefault { column: 2, default: Some("7".to_owned()) },
    ])
    .await
    .unwrap();
    let table = a.table("t").await.unwrap();
    let shown: Vec<_> =
        table.columns.iter().map(|column| (column.attnum, column.name.as_str(), column.dropped)).collect();
    assert_eq!(shown, [(1, "a", false), (2, "b", true), (3, "b", false)]);
    assert_eq!((table.column("b"), table.columns[2].default.as_deref()), (Some(2), Some("7")));
    assert_eq!(table.schema_version, 5);
    let again = AlterTableAction::AddColumn(column("b", PgType::INT4));
    assert_eq!(state(alter(vec![again]).await), SqlState::DUPLICATE_COLUMN);
    let key = AlterTableAction::SetNotNull { column: 0, not_null: false };
    assert_eq!(state(alter(vec![key]).await), SqlState::INVALID_TABLE_DEFINITION);
    // A failed action leaves nothing of those before it, once its transaction is rolled back.
    assert_eq!(a.table("t").await.unwrap().schema_version, 5);
}

#[tokio::test]
async fn the_past_has_the_catalog_of_its_time() {
    let world = World::new();
    let a = world.compute("a").await;
    a.run(create("t")).await.unwrap();
    let before = a.begin().await.txn.snapshot();
    a.run(drop(&a.table("t").await.unwrap())).await.unwrap();
    let options = crate::txn::TxnOptions { as_of: Some(before), ..Default::default() };
    let mut txn = Txn::begin(&a.branch, options);
    txn.begin_statement().await.unwrap();
    let catalog = a.cache.load(&mut txn, POSTGRES).await.unwrap();
    assert!(catalog.table_by_name(crate::catalog::PUBLIC, "t").is_some());
    assert!(a.table("t").await.is_none());
}

#[tokio::test]
async fn system_tables_are_found_by_name() {
    let world = World::new();
    let a = world.compute("a").await;
    let catalog = a.begin().await.catalog().await;
    assert_eq!(catalog.table(None, "pg_class").unwrap().unwrap().oid, Oid(1259));
    assert!(catalog.table(Some("information_schema"), "columns").unwrap().is_some());
    assert!(catalog.table(Some("public"), "pg_class").unwrap().is_none());
    assert_eq!(catalog.role("postgres").unwrap(), Some(SUPERUSER));
    assert_eq!(catalog.role("pg_monitor").unwrap(), Some(Oid(3373)));
    let pg_namespace = system::relation_by_name(PG_CATALOG, "pg_namespace").and_then(system::table).unwrap();
    let rows =
        system::scan(pg_namespace, catalog.database_catalog(), &EvalContext::detached(0), &[1]).unwrap();
    let names: BTreeSet<_> = rows.iter().filter_map(|row| row[0].as_str().map(str::to_owned)).collect();
    assert_eq!(names.into_iter().collect::<Vec<_>>(), ["information_schema", "pg_catalog", "public"]);
}

#[tokio::test]
async fn a_role_has_a_verifier_and_no_password() {
    use crate::catalog::roles;
    use crate::pgwire::scram::Verifier;
    use crate::sql::bound::RoleOptions;
    let world = World::new();
    let (a, b) = (world.compute("a").await, world.compute("b").await);
    let ann = RoleOptions {
        name: "ann".to_owned(),
        login: Some(true),
        password: Some(Some("secret".to_owned())),
        ..RoleOptions::default()
    };
    a.run(Ddl::CreateRole(ann.clone())).await.unwrap();
    assert_eq!(state(a.run(Ddl::CreateRole(ann.clone())).await), SqlState::DUPLICATE_OBJECT);
    let mut session = b.begin().await;
    let verifier = roles::verifier(&mut session.txn, "ann").await.unwrap().unwrap();
    assert!(!verifier.contains("secret") && Verifier::from_text(&verifier).unwrap().matches("secret"));
    assert!(roles::verifier(&mut session.txn, "bob").await.unwrap().is_none());
    assert!(session.catalog().await.role("ann").unwrap().is_some());
    let no_login = RoleOptions { name: "ann".to_owned(), login: Some(false), ..RoleOptions::default() };
    a.run(Ddl::AlterRole(no_login)).await.unwrap();
    let mut session = b.begin().await;
    assert!(roles::verifier(&mut session.txn, "ann").await.unwrap().is_none());
    let drop = |name: &str| Ddl::DropRole { names: vec![name.to_owned()], if_exists: false };
    assert_eq!(state(b.run(drop("postgres")).await), SqlState::OBJECT_IN_USE);
    assert_eq!(state(b.run(drop("pg_monitor")).await), SqlState::UNDEFINED_OBJECT);
    b.run(drop("ann")).await.unwrap();
    assert!(a.begin().await.catalog().await.role("ann").unwrap().is_none());
}

/// Parses, binds and carries out a schema change.
async fn sql(compute: &Compute, text: &str) -> SqlResult<DdlOutcome> {
    let mut session = compute.begin().await;
    let catalog = session.catalog().await;
    let eval = EvalContext::detached(0);
    let bind = BindContext { catalog: &catalog, settings: eval.settings(), param_types: &[] };
    let statement = parse(text)?.pop().unwrap();
    let BoundStatement::Ddl(ddl) = crate::sql::bind(&statement, &bind)?.statement else { panic!("{text}") };
    let outcome = session.run(ddl).await?;
    session.commit().await?;
    Ok(outcome)
}

#[tokio::test]
async fn from_text_to_definition() {
    let world = World::new();
    let a = world.compute("a").await;
    sql(&a, "create table t (a int primary key, b varchar(10) not null default 'x', c numeric(10,2) check (c > 0), d text unique, check (a < c))").await.unwrap();
    let table = a.table("t").await.unwrap();
    let checks: Vec<_> =
        table.checks.iter().map(|check| (check.name.as_str(), check.expression.as_str())).collect();
    assert_eq!(checks, [("t_c_check", "c > 0"), ("t_check", "a < c")]);
    assert_eq!(table.indexes[0].name, "t_d_key");
    let catalog = a.begin().await.catalog().await;
    let columns: Vec<_> = catalog
        .database_catalog()
        .constraints_of(table.oid)
        .map(|row| (row.name.clone(), row.columns.clone().unwrap()))
        .collect();
    assert!(
        columns.contains(&("t_check".to_owned(), vec![1, 3]))
            && columns.contains(&("t_c_check".to_owned(), vec![3]))
    );
    // A default is evaluated once for the rows that are there.
    sql(&a, "alter table t add column e int default 1 + 2, add column f text default upper('x')")
        .await
        .unwrap();
    let table = a.table("t").await.unwrap();
    assert!(matches!(table.columns[4].missing, Datum::Int4(3)));
    assert_eq!(table.columns[5].missing.as_str(), Some("X"));
    assert_eq!(
        state(sql(&a, "alter table t add column g float8 default random()").await),
        SqlState::FEATURE_NOT_SUPPORTED
    );
    sql(&a, "alter table t drop column c").await.unwrap();
    assert!(a.table("t").await.unwrap().checks.is_empty());
    sql(&a, "create table u as select 1 as x, 'y' as y").await.unwrap();
    let u = a.table("u").await.unwrap();
    assert_eq!(u.columns.iter().map(|column| column.ty.to_string()).collect::<Vec<_>>(), ["integer", "text"]);
    assert_eq!(state(sql(&a, "create table t (a int)").await), SqlState::DUPLICATE_TABLE);
    let skipped = sql(&a, "create table if not exists t (a int)").await.unwrap().notices;
    assert_eq!(skipped, [Notice::new(SqlState::DUPLICATE_TABLE, "relation \"t\" already exists, skipping")]);
    sql(&a, "drop table t, u").await.unwrap();
    assert_eq!(
        sql(&a, "drop table if exists t").await.unwrap().notices,
        [Notice::from("table \"t\" does not exist, skipping".to_owned())]
    );
}
