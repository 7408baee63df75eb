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
