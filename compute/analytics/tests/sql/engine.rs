//! What the engine promises beside rows: limits, errors, plans, threads.

use crate::world::World;
use shardforge_analytics::{DataFusionEngine, EngineConfig};
use shardforge_compute::report::ReportEngine;
use shardforge_types::{Datum, SqlState};
use std::sync::Arc;

const CONFIG: EngineConfig = EngineConfig { threads: 2, memory_bytes: 64 << 20, spill_dir: None };

fn world() -> World {
    World::new(CONFIG, include_str!("data/tables.sql"))
}

#[test]
fn an_engine_can_be_dropped_inside_another_runtime() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        drop(DataFusionEngine::start(CONFIG).unwrap());
    });
}

#[test]
fn a_query_beyond_the_memory_limit_is_53200_with_a_hint() {
    let world = World::new(EngineConfig { threads: 1, memory_bytes: 1 << 20, spill_dir: None }, "");
    for query in [
        "select g from generate_series(1, 200000) g order by g desc",
        "select count(distinct g::numeric) from generate_series(1, 200000) g",
        "select array_agg(g) from generate_series(1, 200000) g group by g",
    ] {
        let error = world.rows(query, &[]).unwrap_err();
        assert_eq!(error.sqlstate(), SqlState::OUT_OF_MEMORY, "{query}: {error}");
        assert!(error.fields().hint.is_some());
    }
}

#[test]
fn parameters_are_constants() {
    let world = world();
    let rows =
        world.rows("select a + $1 from t where b = $2 order by 1", &[Datum::Int4(100), Datum::Int4(10)]);
    let rows: Vec<String> = rows.unwrap().iter().map(|row| format!("{row:?}")).collect();
    assert_eq!(rows, ["[Int4(101)]", "[Int4(103)]", "[Int4(107)]"]);
}

#[test]
fn comparisons_with_constants_reach_the_source() {
    let world = world();
    for (query, expected) in [
        ("select c from t where a > 2 and a <= 5", "t [a Gt Int4(2), a Le Int4(5)]"),
        ("select c from t where d = 1", "t [d Eq Numeric("),
        ("select c from t where 'x' < c and b <> 3", "t [c Gt Text("),
        ("select n from v where k = 5000000000", "v [k Eq Int8(5000000000)]"),
        ("select c from (select a + 0 as a1, c, a from t) s where a = 1", "t [a Eq Int4(1)]"),
    ] {
        world.scans.lock().unwrap().clear();
        world.rows(query, &[]).unwrap();
        let scans = world.scans.lock().unwrap().clone();
        assert!(scans[0].starts_with(expected), "{query}: {scans:?}");
    }
}

#[test]
fn a_subquery_without_outer_columns_runs_once_and_one_with_them_once_for_each_value() {
    let world = world();
    let scans_of = |query: &str, table: &str| {
        world.scans.lock().unwrap().clear();
        world.rows(query, &[]).unwrap();
        world.scans.lock().unwrap().iter().filter(|scan| scan.starts_with(table)).count()
    };
    assert_eq!(scans_of("select a, (select max(x) from u) from t", "u"), 1);
    assert_eq!(scans_of("select a, b in (select y from u) or c = 'x' from t", "u"), 1);
    // b is 10, 20, 30 and null.
    assert_eq!(scans_of("select (select count(*) from u where y > t.b * 2) from t", "u"), 4);
    // As joins, once.
    assert_eq!(scans_of("select a from t where exists (select 1 from u where x = t.a)", "u"), 1);
    assert_eq!(scans_of("select a, (select count(*) from u where x = t.a) from t", "u"), 1);
    // Once for the join, once for whether there is a row, once for whether there is a null.
    assert_eq!(scans_of("select a from t where a not in (select y from u where y is not null)", "u"), 3);
}

#[test]
fn explain_shows_an_indented_plan() {
    let plan = world().explain("select b, count(*) from t where a > 1 group by b order by b").unwrap();
    assert!(plan.iter().any(|line| line.trim_start().starts_with("TableScan: public.t [")), "{plan:#?}");
    assert!(plan.len() > 2 && plan[1].starts_with("  "), "{plan:#?}");
}

#[test]
fn dropping_a_stream_ends_an_endless_query() {
    let world = world();
    let query = world
        .query("with recursive r(n) as (select 1 union all select n + 1 from r) select n from r")
        .unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut stream = world.engine.run(Arc::new(query), world.context(&[])).await.unwrap();
        assert!(!stream.next().await.unwrap().is_empty());
        drop(stream);
    });
}
