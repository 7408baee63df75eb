//! What scripts cannot say.

use super::world::{Outcome, World};
use crate::row_exec::Execution;
use shardforge_types::Datum;

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

async fn run(world: &mut World, sql: &str) -> (Vec<String>, u64) {
    match world.run("", sql, &mut |_| panic!("no report")).await {
        Ok(Outcome::Rows(lines, count)) => (lines, count),
        Ok(Outcome::Waits) => panic!("{sql}: waits"),
        Err(error) => panic!("{sql}: {error}"),
    }
}

#[test]
fn executions_move_between_threads() {
    fn send<T: Send>() {}
    send::<Execution>();
}

#[test]
fn an_update_from_another_table_writes_each_row_once() {
    block_on(async {
        let mut world = World::new().await;
        run(&mut world, "create table t (a int primary key, b int)").await;
        run(&mut world, "create table u (a int primary key, c int)").await;
        run(&mut world, "insert into t values (1, 10), (2, 20), (3, 30)").await;
        let mut width = 0;
        let mut feed = |query: &crate::sql::bound::Query| {
            width = query.output.len();
            // Key, new value, and the column of `u` that RETURNING names; row 1 twice, row 9 is not there.
            let row = |values: [i32; 3]| values.map(Datum::Int4).to_vec();
            vec![row([1, 11, 7]), row([1, 99, 8]), row([3, 33, 9]), row([9, 0, 0])]
        };
        let sql = "update t set b = u.c from u where u.a = t.a returning t.a, t.b, u.c";
        let Ok(Outcome::Rows(lines, count)) = world.run("", sql, &mut feed).await else {
            panic!("it failed")
        };
        assert_eq!((lines, count, width), (vec!["1 | 11 | 7".to_owned(), "3 | 33 | 9".to_owned()], 2, 3));
        let (lines, _) = run(&mut world, "select b from t where a in (1, 2, 3)").await;
        assert_eq!(lines, ["11", "20", "33"]);
    });
}

#[test]
fn a_delete_with_a_subquery_is_fed_by_row_id() {
    block_on(async {
        let mut world = World::new().await;
        run(&mut world, "create table t (a int)").await;
        run(&mut world, "insert into t values (1), (2), (3)").await;
        let mut feed = |query: &crate::sql::bound::Query| {
            assert_eq!(query.output[0].name, "row id");
            // The first block starts at 1.
            vec![vec![Datum::Int8(2)]]
        };
        let sql = "delete from t where a = (select 2) returning a";
        let Ok(Outcome::Rows(lines, 1)) = world.run("", sql, &mut feed).await else { panic!("it failed") };
        assert_eq!(lines, ["2"]);
    });
}

async fn refused(world: &mut World, sql: &str) -> (String, String) {
    match world.run("", sql, &mut |_| panic!("no report")).await {
        Err(error) => (error.sqlstate().as_str().to_owned(), error.fields().message.clone()),
        Ok(_) => panic!("{sql}: was taken"),
    }
}

fn list(count: usize, item: impl Fn(usize) -> String) -> String {
    (1..=count).map(item).collect::<Vec<_>>().join(", ")
}

/// Text that does not compress, of a length.
fn noise(seed: usize, len: usize) -> String {
    let mut state = seed as u64 + 1;
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        char::from(b'!' + ((state >> 33) % 90) as u8)
    };
    (0..len).map(|_| next()).filter(|c| *c != '\'').collect()
}

#[test]
fn the_widest_table_holds_rows_and_a_row_that_cannot_fit_its_page_is_refused() {
    block_on(async {
        let mut world = World::new().await;
        run(
            &mut world,
            &format!("create table wide ({}, primary key (c1))", list(1600, |n| format!("c{n} int8"))),
        )
        .await;
        run(&mut world, &format!("insert into wide values ({})", list(1600, |n| n.to_string()))).await;
        let (lines, _) = run(&mut world, "select c1, c800, c1600 from wide where c1 = 1").await;
        assert_eq!(lines, ["1 | 800 | 1600"]);
        run(&mut world, "update wide set c800 = null, c1600 = -1 where c1 = 1").await;
        let (lines, _) = run(&mut world, "select c1, c800, c1600 from wide where c1 = 1").await;
        assert_eq!(lines, ["1 | null | -1"]);

        // Short values stay in the row, and all of them together are too long for it.
        let columns = list(1599, |n| format!("c{n} text"));
        run(&mut world, &format!("create table words (id int primary key, {columns})")).await;
        let words =
            |len| format!("insert into words values (1, {})", list(1599, |n| format!("'{}'", noise(n, len))));
        let (state, message) = refused(&mut world, &words(40)).await;
        assert_eq!(state, "54000");
        assert!(message.starts_with("row is too big"), "{message}");
        run(&mut world, &words(8)).await;
        let (lines, _) = run(&mut world, "select c1599 from words where id = 1").await;
        assert_eq!(lines, [noise(1599, 8)]);
    });
}

#[test]
fn long_values_leave_the_row_until_it_fits_and_stay_when_others_change() {
    block_on(async {
        let mut world = World::new().await;
        let columns = list(60, |n| format!("c{n} text"));
        run(&mut world, &format!("create table t (id int primary key, {columns})")).await;
        // Each is short enough for a row, all are not.
        let values = list(60, |n| format!("'{}'", noise(n, 6000)));
        run(&mut world, &format!("insert into t values (1, {values})")).await;
        run(&mut world, "update t set c7 = 'short', id = 1 where id = 1").await;
        for n in [1, 30, 60] {
            let (lines, _) = run(&mut world, &format!("select c{n} from t where id = 1")).await;
            assert_eq!(lines, [noise(n, 6000)]);
        }
        run(&mut world, "update t set id = 2 where id = 1").await;
        let (lines, _) = run(&mut world, "select c7, c60 from t where id = 2").await;
        assert_eq!(lines, [format!("short | {}", noise(60, 6000))]);
    });
}

#[test]
fn keys_above_eight_kilobytes_are_refused_in_tables_and_indexes() {
    block_on(async {
        let mut world = World::new().await;
        run(&mut world, "create table t (k text primary key, v text, unique (v))").await;
        let (key, other) = (noise(1, 9000), noise(2, 9000));
        for (row, index) in [((&key[..], "v"), "t_pkey"), (("k", &other[..]), "t_v_key")] {
            let sql = format!("insert into t values ('{}', '{}')", row.0, row.1);
            let (state, message) = refused(&mut world, &sql).await;
            assert_eq!(state, "54000");
            assert!(message.starts_with("index row size ") && message.contains(index), "{message}");
        }
    });
}
