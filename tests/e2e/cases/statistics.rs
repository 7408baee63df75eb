//! What is known of tables without anyone's ANALYZE, and that nobody pays for it.

use crate::Case;
use crate::server::{Server, eventually};
use crate::wire::Wire;

pub const CASES: &[Case] = &[
    Case { name: "a_join_chooses_its_sides_right_after_a_load", tools: &[], run: sides },
    Case { name: "changed_tables_are_analyzed_in_the_background", tools: &[], run: background },
    Case { name: "a_load_before_a_crash_is_analyzed_after_it", tools: &[], run: after_a_crash },
    Case { name: "no_transaction_fails_for_an_automatic_analyze", tools: &[], run: undisturbed },
];

const OFF: (&str, &str) = ("SHARDFORGE_AUTOVACUUM_ENABLED", "false");
const OFTEN: (&str, &str) = ("SHARDFORGE_AUTOVACUUM_NAPTIME_MS", "20");

/// The rows of an answer that must not be an error.
fn rows(wire: &mut Wire, text: &str) -> Vec<String> {
    let answers = wire.query(text);
    assert!(!answers.iter().any(|answer| answer.starts_with("E:")), "{text}: {answers:?}");
    answers.iter().filter_map(|answer| answer.strip_prefix("D:").map(str::to_owned)).collect()
}

/// The side that a hash join of two tables makes its table of: it stands first.
fn built(wire: &mut Wire, join: &str) -> String {
    let plan = rows(wire, &format!("explain select count(*) from {join}"));
    assert!(plan.iter().any(|line| line.contains("HashJoinExec")), "{plan:#?}");
    let first = plan.iter().find_map(|line| line.split("TableScan: public.").nth(1));
    let first = first.unwrap_or_else(|| panic!("no scan in {plan:#?}"));
    first.split(' ').next().unwrap().to_owned()
}

fn sides() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start_with(&dir.path().join("data"), &[OFF]);
    let mut wire = Wire::connect(server.sql_port);
    rows(&mut wire, "create table a (x int, y int)");
    rows(&mut wire, "create table b (x int, y int)");
    rows(&mut wire, "insert into a select g, g from generate_series(1, 20000) g");
    rows(&mut wire, "insert into b select g, g from generate_series(1, 3000) g");
    for join in ["a join b on a.x = b.x", "b join a on a.x = b.x"] {
        assert_eq!(built(&mut wire, join), "b", "{join}");
    }
    // The other one is the larger by now, after an ANALYZE that knew nothing of that too.
    rows(&mut wire, "analyze b");
    rows(&mut wire, "insert into b select g, g from generate_series(3001, 60000) g");
    for join in ["a join b on a.x = b.x", "b join a on a.x = b.x"] {
        assert_eq!(built(&mut wire, join), "a", "{join}");
    }
    rows(&mut wire, "delete from b where x > 3000");
    assert_eq!(built(&mut wire, "a join b on a.x = b.x"), "b");
    assert_eq!(
        rows(
            &mut wire,
            "select relname, n_live_tup, n_mod_since_analyze, last_analyze is null, analyze_count,
                    last_autoanalyze is null, autoanalyze_count
             from pg_stat_user_tables order by 1"
        ),
        ["a|20000|20000|t|0|t|0", "b|3000|114000|f|1|t|0"]
    );
    rows(&mut wire, "truncate b");
    let of_b = "select n_live_tup from pg_stat_user_tables where relname = 'b'";
    assert_eq!(rows(&mut wire, of_b), ["0"]);
    rows(&mut wire, "begin; insert into b values (1, 1); rollback");
    assert_eq!(rows(&mut wire, of_b), ["0"]);
    assert_eq!(rows(&mut wire, "show autovacuum"), ["off"]);
    let refused = wire.query("set autovacuum = on");
    assert!(refused.iter().any(|answer| answer.contains("55P02")), "{refused:?}");
    server.stop();
}

fn automatic(wire: &mut Wire, table: &str) -> i64 {
    let count = format!("select autoanalyze_count from pg_stat_user_tables where relname = '{table}'");
    rows(wire, &count)[0].parse().unwrap()
}

fn background() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start_with(&dir.path().join("data"), &[OFTEN]);
    let mut wire = Wire::connect(server.sql_port);
    assert_eq!(rows(&mut wire, "show autovacuum_naptime"), ["20ms"]);
    rows(&mut wire, "create table t (id int primary key, v text)");
    rows(&mut wire, "create table few (id int)");
    rows(&mut wire, "insert into few select generate_series(1, 50)");
    rows(&mut wire, "insert into t select g, 'v' || g % 7 from generate_series(1, 1000) g");
    eventually("the table has been analyzed", || automatic(&mut wire, "t") == 1);
    let known = "select attname, null_frac, n_distinct from pg_stats where tablename = 't' order by 1";
    assert_eq!(rows(&mut wire, known), ["id|0|-1", "v|0|7"]);
    let size = "select reltuples from pg_class where relname = 't'";
    assert_eq!(rows(&mut wire, size), ["1000"]);
    // 150 changes are not enough of 1000 rows, one more is.
    rows(&mut wire, "update t set v = null where id <= 150");
    rows(&mut wire, "insert into few select generate_series(51, 60)");
    eventually("the other table has been analyzed", || automatic(&mut wire, "few") == 1);
    assert_eq!(automatic(&mut wire, "t"), 1);
    rows(&mut wire, "delete from t where id = 1000");
    eventually("the table has been analyzed again", || automatic(&mut wire, "t") == 2);
    assert_eq!(rows(&mut wire, size), ["999"]);
    let changed = "select n_live_tup, n_mod_since_analyze, analyze_count from pg_stat_user_tables
                   where relname = 't'";
    assert_eq!(rows(&mut wire, changed), ["999|0|0"]);
    server.stop();
}

fn after_a_crash() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("data");
    let server = Server::start_with(&folder, &[OFF]);
    let mut wire = Wire::connect(server.sql_port);
    rows(&mut wire, "create table t (id int)");
    rows(&mut wire, "create table few (id int)");
    rows(&mut wire, "insert into t select generate_series(1, 5000)");
    rows(&mut wire, "insert into few select generate_series(1, 7)");
    server.kill();
    // Whose rows nobody counted is not said to be empty.
    let server = Server::start_with(&folder, &[OFF]);
    let mut wire = Wire::connect(server.sql_port);
    let size = "select relname, n_live_tup from pg_stat_user_tables order by 1";
    assert_eq!(rows(&mut wire, size), ["few|~", "t|~"]);
    server.kill();
    let server = Server::start_with(&folder, &[OFTEN]);
    let mut wire = Wire::connect(server.sql_port);
    eventually("the table has been analyzed", || automatic(&mut wire, "t") == 1);
    assert_eq!(rows(&mut wire, size), ["few|7", "t|5000"]);
    assert_eq!(automatic(&mut wire, "few"), 0);
    server.kill();
    // What was found is kept.
    let server = Server::start_with(&folder, &[OFF]);
    let mut wire = Wire::connect(server.sql_port);
    assert_eq!(rows(&mut wire, size), ["few|~", "t|5000"]);
    server.stop();
}

fn undisturbed() {
    let dir = tempfile::tempdir().unwrap();
    let settings = [
        ("SHARDFORGE_AUTOVACUUM_NAPTIME_MS", "1"),
        ("SHARDFORGE_AUTOVACUUM_ANALYZE_THRESHOLD", "0"),
        ("SHARDFORGE_AUTOVACUUM_ANALYZE_SCALE_FACTOR", "0"),
    ];
    let server = Server::start_with(&dir.path().join("data"), &settings);
    let mut wire = Wire::connect(server.sql_port);
    let mut other = Wire::connect(server.sql_port);
    rows(&mut wire, "create table t (id int primary key, v int)");
    rows(&mut wire, "create table busy (id int)");
    rows(&mut wire, "insert into t select g, 0 from generate_series(1, 100) g");
    for level in ["read committed", "repeatable read", "serializable"] {
        rows(&mut wire, &format!("begin isolation level {level}"));
        rows(&mut wire, "select count(*) from t where v = 0");
        rows(&mut wire, "update t set v = v + 1 where id = 1");
        let before = automatic(&mut other, "busy");
        rows(&mut other, "insert into busy values (1)");
        eventually("another table was analyzed", || automatic(&mut other, "busy") > before);
        rows(&mut wire, "select count(*) from t where v = 0");
        rows(&mut wire, "insert into t select max(id) + 1 from t");
        rows(&mut wire, "commit");
    }
    // Tables that come, are filled, changed and go while they are looked at.
    for _ in 0..30 {
        rows(&mut wire, "create table s (id int)");
        rows(&mut wire, "insert into s select generate_series(1, 300)");
        rows(&mut wire, "analyze s");
        rows(&mut wire, "alter table s add column v int default 1");
        rows(&mut wire, "update s set v = 2 where id < 10");
        rows(&mut wire, "truncate s");
        rows(&mut wire, "insert into s select 1, 1");
        rows(&mut wire, "drop table s");
    }
    // Nothing is kept of tables that are gone.
    rows(&mut wire, "create table s (id int)");
    let left = "select count(*) from pg_stats where tablename = 's'";
    assert_eq!(rows(&mut wire, left), ["0"]);
    server.stop();
}
