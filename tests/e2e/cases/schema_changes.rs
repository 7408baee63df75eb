//! Indexes that come, go and are built anew beside those who write, under limits so small that nothing recent says
//! any more what a writer waited for: an index and its table must say the same.

use crate::Case;
use crate::server::Server;
use crate::wire::Wire;
use std::sync::atomic::{AtomicBool, Ordering};

pub const CASES: &[Case] =
    &[Case { name: "indexes_agree_with_their_table_after_schema_changes", tools: &[], run: agree }];

/// Recent writes are a quarter of the cache: a few rounds of the writers, or one build, and they are folded away.
const LIMITS: &[(&str, &str)] =
    &[("SHARDFORGE_COMPUTE_CACHE_BYTES", "256KiB"), ("SHARDFORGE_COMPUTE_TRANSACTION_BYTES", "64KiB")];

const WRITERS: u64 = 4;
/// How often each index is built anew.
const CHANGES: usize = 30;
/// The rows that all writers want.
const HOT: u64 = 40;

/// What a busy table may answer, which leaves the table as it was: not unique, in conflict, a deadlock.
const REFUSED: &[&str] = &["E:23505", "E:40001", "E:40P01"];

/// Sends statements of which each may be refused.
fn try_query(wire: &mut Wire, text: &str) -> bool {
    let answers = wire.query(text);
    let error = answers.iter().find(|answer| answer.starts_with("E:"));
    assert!(
        error.is_none_or(|e| REFUSED.iter().any(|refused| e.starts_with(refused))),
        "{text}: {answers:?}"
    );
    assert_ne!(answers.last().unwrap(), "EOF", "{text}");
    error.is_none()
}

/// The rows of an answer that must not be an error.
fn rows(wire: &mut Wire, text: &str) -> Vec<String> {
    let answers = wire.query(text);
    assert!(
        !answers.iter().any(|answer| answer.starts_with("E:")),
        "{text}: {answers:?}, {:?}",
        wire.messages
    );
    answers.iter().filter_map(|answer| answer.strip_prefix("D:").map(str::to_owned)).collect()
}

/// A column of a row, a number.
fn field(row: &str, column: usize) -> i64 {
    row.split('|').nth(column).unwrap().parse().unwrap()
}

fn expect_index(wire: &mut Wire, query: &str, index: &str) {
    let plan = rows(wire, &format!("explain {query}"));
    assert!(
        plan.iter().any(|line| line.contains(&format!("Index Scan using {index}"))),
        "{query}: {plan:#?}"
    );
}

fn write(port: u16, writer: u64, done: &AtomicBool) {
    let mut wire = Wire::connect(port);
    let mut round = 0;
    while !done.load(Ordering::Relaxed) {
        round += 1;
        let hot = round * 7 % HOT;
        let code = 1000 + round * WRITERS + writer;
        try_query(
            &mut wire,
            &format!(
                "insert into t values ({hot}, {code}, 1) on conflict (id) do update set code = excluded.code, place = t.place + 1"
            ),
        );
        // All writers want the same codes.
        let shared = 100_000 + round * 5;
        let id = 1000 + round * 100 + writer * 1_000_000;
        try_query(
            &mut wire,
            &format!(
                "insert into t select {id} + n, {shared} + n, n from generate_series(0, 4) n on conflict do nothing"
            ),
        );
        if try_query(&mut wire, "begin") {
            let _ = try_query(
                &mut wire,
                &format!("update t set place = place + 1, code = {code} + 500000 where id = {hot}"),
            ) && try_query(
                &mut wire,
                &format!("insert into t values ({id} + 50, {shared} + 1000000, 0)"),
            );
            // Rolls back what was refused.
            try_query(&mut wire, "commit");
        }
        if round % 4 == 0 {
            try_query(&mut wire, &format!("delete from t where id between {id} - 300 and {id} - 250"));
        }
    }
}

fn agree() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start_with(&dir.path().join("data"), LIMITS);
    let mut wire = Wire::connect(server.sql_port);
    rows(&mut wire, "create table t (id int primary key, code int, place int)");
    rows(&mut wire, "insert into t select n, n, n from generate_series(0, 999) n");
    rows(&mut wire, "create unique index t_code on t (code)");
    rows(&mut wire, "create index t_place on t (place)");
    let done = AtomicBool::new(false);
    let mut changed = 0;
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let done = &done;
            scope.spawn(move || write(server.sql_port, writer, done));
        }
        for _ in 0..CHANGES {
            for change in [
                "reindex index t_code",
                "drop index if exists t_place",
                "create index if not exists t_place on t (place)",
            ] {
                changed += usize::from(try_query(&mut wire, change));
            }
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(changed > CHANGES, "{changed} changes of the schema came through");
    // One that was refused last.
    rows(&mut wire, "create index if not exists t_place on t (place)");

    rows(&mut wire, "set shardforge.executor = row");
    let scanned = rows(&mut wire, "select id, code, place from t");
    assert!(scanned.len() > 1000);
    let mut codes: Vec<i64> = scanned.iter().map(|row| field(row, 1)).collect();
    codes.sort_unstable();
    let twice: Vec<_> = codes.windows(2).filter(|pair| pair[0] == pair[1]).collect();
    assert!(twice.is_empty(), "unique codes that come twice: {twice:?}");
    // What each index has, in its order, and what it finds: no less than the table and no more.
    let mut by_index = Vec::new();
    let mut last = -1;
    loop {
        let read = format!("select id, code, place from t where code > {last} order by code limit 50");
        expect_index(&mut wire, &read, "t_code");
        let some = rows(&mut wire, &read);
        let Some(row) = some.last() else { break };
        last = field(row, 1);
        by_index.extend(some);
    }
    let by = |column| {
        let mut sorted = scanned.clone();
        sorted.sort_by_key(|row| (field(row, column), field(row, 0)));
        sorted
    };
    assert_eq!(by_index, by(1), "in the order of t_code");
    for (index, column, name) in [("t_code", 1, "code"), ("t_place", 2, "place")] {
        let look_up = |value: i64| format!("select id, code, place from t where {name} = {value};");
        expect_index(&mut wire, &look_up(7), index);
        let by_table = by(column);
        let mut values: Vec<i64> = by_table.iter().map(|row| field(row, column)).collect();
        if column == 2 {
            // Those of no row too, which rows had before.
            values.extend(0..=values.last().unwrap() + 10);
            values.sort_unstable();
        }
        values.dedup();
        let mut found = Vec::new();
        for some in values.chunks(100) {
            found.extend(rows(&mut wire, &some.iter().map(|value| look_up(*value)).collect::<String>()));
        }
        found.sort_by_key(|row| (field(row, column), field(row, 0)));
        assert_eq!(found, by_table, "looked up through {index}");
    }
    server.stop();
}
