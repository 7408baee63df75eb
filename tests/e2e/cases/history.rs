//! Sequences and AS OF over the whole system: what a restart, a kill -9 and a trimmed log leave.

use crate::Case;
use crate::server::Server;
use crate::tools::Tool;
use crate::wire::Wire;
use std::collections::BTreeSet;
use std::sync::Mutex;

pub const CASES: &[Case] = &[
    Case { name: "sequence_numbers_stay_unique_over_kill_9", tools: &[], run: killed_sequence },
    Case { name: "the_past_is_read_by_lsn_and_by_time_after_a_restart", tools: &[Tool::Psql], run: past },
];

/// Takes numbers until the server goes away.
fn take(port: u16, into: &Mutex<Vec<i64>>, at_most: usize) {
    let mut wire = Wire::connect(port);
    for _ in 0..at_most {
        let answers = wire.query("insert into t default values returning id");
        let row = answers.iter().find_map(|line| line.strip_prefix("D:"));
        match row {
            Some(row) => into.lock().unwrap().push(row.parse().unwrap()),
            None => return,
        }
    }
}

fn killed_sequence() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("data");
    let server = Server::start(&folder);
    server.sql("create table t (id serial primary key)");
    let taken = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| take(server.sql_port, &taken, usize::MAX));
        }
        crate::server::eventually("some hundred numbers", || taken.lock().unwrap().len() > 300);
        server.signal_kill();
    });
    server.kill();
    let server = Server::start(&folder);
    take(server.sql_port, &taken, 100);
    let taken = taken.into_inner().unwrap();
    let unique: BTreeSet<i64> = taken.iter().copied().collect();
    assert_eq!(unique.len(), taken.len(), "a number was given out twice");
    assert_eq!(server.sql("select count(*) = count(distinct id) from t"), "t");
    let rows: usize = server.sql("select count(*) from t").parse().unwrap();
    assert!(rows >= taken.len(), "{rows} rows, {} answers", taken.len());
    server.stop();
}

fn past() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("data");
    let server = Server::start(&folder);
    server.sql("create table t (id int primary key, a text)");
    server.sql("insert into t values (1, 'first')");
    let points = "select shardforge_current_lsn(), clock_timestamp()";
    let point = |server: &Server| {
        let row = server.sql(points);
        let (lsn, time) = row.split_once('|').unwrap();
        (lsn.to_owned(), time.to_owned())
    };
    let first = point(&server);
    server.sql("insert into t values (2, 'second')");
    server.sql("update t set a = 'changed' where id = 1");
    let second = point(&server);
    server.sql("alter table t add column b int default 7");
    server.sql("alter table t rename to renamed");
    let third = point(&server);
    server.sql("drop table renamed");
    // So much that the log of all this is trimmed.
    server.sql("create table filler (id serial primary key, a text)");
    for _ in 0..8 {
        server.sql("insert into filler (a) select repeat(md5(g::text), 30) from generate_series(1, 1500) g");
    }
    let check = |server: &Server| {
        for (lsn, time) in [&first, &second, &third].map(|(lsn, time)| (lsn, time)) {
            let by_lsn = format!("as of lsn {lsn}");
            let by_time = format!("as of timestamp '{time}'");
            for as_of in [by_lsn, by_time] {
                let (expected, query) = if lsn == &first.0 {
                    ("1|first", format!("select * from t order by id {as_of}"))
                } else if lsn == &second.0 {
                    ("1|changed\n2|second", format!("select * from t order by id {as_of}"))
                } else {
                    ("1|changed|7\n2|second|7", format!("select * from renamed order by id {as_of}"))
                };
                assert_eq!(server.sql(&query), expected, "{query}");
            }
        }
        assert!(server.sql_error("select * from t").contains("42P01"));
        let (lsn, time) = &first;
        assert!(server.sql_error(&format!("select * from renamed as of lsn {lsn}")).contains("42P01"));
        let block = format!("begin as of lsn {lsn}; select a from t; select count(*) from t; commit");
        assert_eq!(server.sql(&block), "first\n1");
        let set = format!("begin; set transaction as of timestamp '{time}'; select count(*) from t; commit");
        assert_eq!(server.sql(&set), "1");
        let write = format!("begin as of lsn {lsn}; insert into t values (9, 'no')");
        assert!(server.sql_error(&write).contains("25006"));
        assert!(server.sql_error("select 1 as of lsn 1000000000").contains("22023"));
        assert!(server.sql_error("select 1 as of timestamp now() + interval '1 hour'").contains("22023"));
        assert!(server.sql_error("select 1 as of timestamp '1999-01-01'").contains("22023"));
        assert!(server.sql_error("begin; select 1; set transaction as of lsn 1").contains("25001"));
        assert_eq!(server.sql("select 1 as of"), "1", "an alias is an alias");
    };
    check(&server);
    server.stop();
    let server = Server::start(&folder);
    check(&server);
    server.stop();
}
