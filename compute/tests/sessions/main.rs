//! Sessions over real connections, on a compute whose log and pages are in memory: what is kept between
//! statements never outlives what it was made of, and no connection holds up another.

#![allow(clippy::unwrap_used)] // a test fails by it

mod server;

use server::{TestServer, execute, message, parse, shown};
use std::io::{ErrorKind, Write};

const PORTAL_TYPE_CHANGED: &str = "0A000: cached plan must not change result type";

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_ends_with_the_schema_it_was_made_for() {
    let server = TestServer::start(2).await;
    let (mut ann, mut bob) = (server.connect().await, server.connect().await);
    ann.query("create table p (k int primary key, v int); insert into p values (1, 10)");
    let select = "select v from p where k = 1";
    for _ in 0..3 {
        assert_eq!(ann.query(select), ["10", "SELECT 1"]);
    }
    ann.ask(&[parse("s", "select v from p where k = $1"), message(b'S', b"")].concat());
    assert_eq!(shown(&ann.ask(&execute("s", &["1"]))), ["10", "SELECT 1"]);

    bob.query("drop table p; create table p (v text, k int primary key); insert into p values ('ten', 1)");
    assert_eq!(ann.query(select), ["ten", "SELECT 1"]);
    assert_eq!(shown(&ann.ask(&execute("s", &["1"]))), [PORTAL_TYPE_CHANGED]);

    bob.query("drop table p");
    assert_eq!(ann.query(select), ["42P01: relation \"p\" does not exist at 15"]);
    // A change that is rolled back, and a transaction that sees its own.
    bob.query("create table p (k int primary key, v int); insert into p values (1, 1)");
    assert_eq!(ann.query(select), ["1", "SELECT 1"]);
    ann.query(
        "begin; drop table p; create table p (k int primary key, v bool); insert into p values (1, true)",
    );
    assert_eq!(ann.query(select), ["t", "SELECT 1"]);
    assert_eq!(bob.query("select 1"), ["1", "SELECT 1"]);
    ann.query("rollback");
    assert_eq!(ann.query(select), ["1", "SELECT 1"]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_snapshot_keeps_its_schema() {
    let server = TestServer::start(2).await;
    let (mut ann, mut bob) = (server.connect().await, server.connect().await);
    ann.query("create table p (k int primary key, v int); insert into p values (1, 10)");
    ann.query("create table q (k int primary key)");
    let select = "select v from p where k = 1";
    ann.query(select);
    ann.query("begin isolation level repeatable read");
    assert_eq!(ann.query(select), ["10", "SELECT 1"]);
    bob.query("drop table q");
    assert_eq!(ann.query(select), ["10", "SELECT 1"], "as of the transaction's snapshot");
    ann.query("commit");
    assert_eq!(ann.query(select), ["10", "SELECT 1"]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_ends_with_the_settings_it_was_made_under() {
    let server = TestServer::start(1).await;
    let mut client = server.connect().await;
    client.query("create schema a; create schema b");
    client.query("create table a.p (k int primary key, v text); insert into a.p values (1, 'in a')");
    client.query("create table b.p (k int primary key, v text); insert into b.p values (1, 'in b')");
    client.query("create table days (d date primary key, v text)");
    client.query("insert into days values ('2020-01-02', 'January'), ('2020-02-01', 'February')");
    client.ask(&[parse("p", "select v from p where k = $1"), message(b'S', b"")].concat());
    let by_name = "select v from p where k = 1";
    let by_day = "select v from days where d = '01/02/2020'";
    client.query("set search_path = a, public");
    assert_eq!(client.query(by_name), ["in a", "SELECT 1"]);
    assert_eq!(client.query(by_day), ["January", "SELECT 1"]);
    client.query("set search_path = b, public");
    assert_eq!(client.query(by_name), ["in b", "SELECT 1"]);
    client.query("set datestyle = 'ISO, DMY'");
    assert_eq!(client.query(by_day), ["February", "SELECT 1"]);
    client.query("begin; set local search_path = a, public");
    assert_eq!(client.query(by_name), ["in a", "SELECT 1"]);
    client.query("rollback");
    assert_eq!(client.query(by_name), ["in b", "SELECT 1"]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_past_has_plans_of_its_own() {
    let server = TestServer::start(2).await;
    let (mut ann, mut bob) = (server.connect().await, server.connect().await);
    ann.query("create table p (k int primary key, v int); insert into p values (1, 10)");
    let lsn = ann.query("select shardforge_current_lsn()")[0].clone();
    bob.query("alter table p add column w text");
    bob.query("update p set v = 11, w = 'new' where k = 1");
    let select = "select * from p where k = 1";
    let past = format!("select * from p where k = 1 as of lsn {lsn}");
    ann.ask(&[parse("s", "select v from p where k = $1"), message(b'S', b"")].concat());
    // The same texts by turns: none takes the other's plan, and no snapshot stays with either.
    for _ in 0..2 {
        assert_eq!(ann.query(select), ["1|11|new", "SELECT 1"]);
        assert_eq!(shown(&ann.ask(&execute("s", &["1"]))), ["11", "SELECT 1"]);
        assert_eq!(ann.query(&past), ["1|10", "SELECT 1"]);
        ann.query(&format!("begin as of lsn {lsn}"));
        assert_eq!(ann.query(select), ["1|10", "SELECT 1"]);
        assert_eq!(shown(&ann.ask(&execute("s", &["1"]))), ["10", "SELECT 1"]);
        assert_eq!(
            ann.query("update p set v = 0 where k = 1"),
            ["25006: cannot execute UPDATE in a read-only transaction"]
        );
        ann.query("rollback");
    }
    assert_eq!(ann.query("update p set v = 12 where k = 1"), ["UPDATE 1"]);
    assert_eq!(bob.query(select), ["1|12|new", "SELECT 1"]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_leaves_nothing_to_the_next() {
    let server = TestServer::start(1).await;
    let (mut ann, mut bob) = (server.connect().await, server.connect().await);
    ann.query("create table p (k int primary key, v int); insert into p values (1, 10), (2, 20)");
    let (one, two) = ("select v from p where k = 1", "select v from p where k = 2");
    // A level and what was read under it, a snapshot, modes, an error, a savepoint.
    ann.query("begin isolation level serializable read only");
    assert_eq!(ann.query(one), ["10", "SELECT 1"]);
    assert_eq!(ann.query("show transaction_isolation"), ["serializable", "SHOW"]);
    ann.query("commit");
    bob.query("update p set v = 11 where k = 1");
    assert_eq!(ann.query("show transaction_isolation"), ["read committed", "SHOW"]);
    assert_eq!(ann.query(one), ["11", "SELECT 1"]);
    assert_eq!(ann.query("update p set v = 21 where k = 2"), ["UPDATE 1"]);
    ann.query("begin isolation level repeatable read");
    assert_eq!(ann.query(two), ["21", "SELECT 1"]);
    ann.query("rollback");
    bob.query("update p set v = 22 where k = 2");
    assert_eq!(ann.query(two), ["22", "SELECT 1"]);
    ann.query("begin; savepoint s; select v / 0 from p where k = 1");
    ann.query("rollback to s; release s");
    assert_eq!(ann.query("commit"), ["COMMIT"]);
    // Read under SERIALIZABLE in one transaction, written by another after it: no conflict for the next one.
    ann.query("begin isolation level serializable");
    assert_eq!(ann.query(one), ["11", "SELECT 1"]);
    ann.query("commit");
    bob.query("update p set v = 12 where k = 1");
    ann.query("begin isolation level serializable");
    assert_eq!(ann.query("update p set v = v + 1 where k = 2"), ["UPDATE 1"]);
    assert_eq!(ann.query("commit"), ["COMMIT"]);
    assert_eq!(bob.query(two), ["23", "SELECT 1"]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_fails_shows_none_of_its_rows() {
    let server = TestServer::start(1).await;
    let mut client = server.connect().await;
    client.query("create table p (k int primary key, v int); insert into p values (1, 1), (2, 0)");
    for _ in 0..2 {
        let failed = client.query("update p set v = 10 / v where k > 0 returning k");
        assert_eq!(failed, ["22012: division by zero"]);
    }
    assert_eq!(client.query("update p set v = 10 / v where k = 1 returning k, v"), ["1|10", "UPDATE 1"]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn literals_of_other_classes_are_other_plans() {
    let server = TestServer::start(1).await;
    let mut client = server.connect().await;
    client.query("create table p (k int primary key, v int, s varchar(3)); insert into p values (1, 0, 'a')");
    // Twice each: made, and found.
    for _ in 0..2 {
        let cases = [
            ("update p set v = 7 / 2 where k = 1 returning v", "3"),
            ("update p set v = 7 / 2.0 where k = 1 returning v", "4"),
            ("update p set v = '7' / 2 where k = 1 returning v", "3"),
            ("update p set v = 9 / 2 where k = 1 returning v", "4"),
            ("update p set v = 10000000000 / 2 where k = 1 returning v", "22003: integer out of range"),
            ("update p set v = 10000000000 / 10000000000 where k = 1 returning v", "1"),
            ("update p set v = -2147483648 where k = 1 returning v", "-2147483648"),
            ("update p set v = 1 / 0 where k = 1 returning v", "22012: division by zero"),
            ("update p set s = 'abc' where k = 1 returning s", "abc"),
            (
                "update p set s = 'abcd' where k = 1 returning s",
                "22001: value too long for type character varying(3)",
            ),
            (
                "update p set s = 'it''s' where k = 1 returning v",
                "22001: value too long for type character varying(3)",
            ),
            (
                "select v from p where k = 'one'",
                "22P02: invalid input syntax for type integer: \"one\" at 27",
            ),
            ("select v from p where k = 2147483648", "SELECT 0"),
        ];
        for (sql, expected) in cases {
            assert_eq!(client.query(sql)[0], expected, "{sql}");
        }
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_come_together_are_answered_in_order() {
    let server = TestServer::start(1).await;
    let mut client = server.connect().await;
    client.query("create table p (k int primary key, v int); insert into p values (1, 10), (2, 20)");
    client.ask(&[parse("s", "select v from p where k = $1"), message(b'S', b"")].concat());
    // A hundred batches before the first answer is read, an error in each fifth.
    let mut batches = Vec::new();
    for number in 0..100 {
        let key = if number % 5 == 4 { "x".to_owned() } else { (number % 2 + 1).to_string() };
        batches.extend(execute("s", &[&key]));
    }
    client.stream.write_all(&batches).unwrap();
    for number in 0..100 {
        let expected = match number {
            n if n % 5 == 4 => "22P02: invalid input syntax for type integer: \"x\"".to_owned(),
            n => ((n % 2 + 1) * 10).to_string(),
        };
        assert_eq!(shown(&client.ask(b""))[0], expected, "batch {number}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_statement_lets_other_connections_of_its_thread_run() {
    let server = TestServer::start(1).await;
    let (mut busy, mut other) = (server.connect().await, server.connect().await);
    busy.query("create table big (k int primary key, v int)");
    let inserted = busy.query("insert into big select g, g from generate_series(1, 20000) g");
    assert_eq!(inserted, ["INSERT 0 20000"]);
    other.query("create table p (k int primary key, v int); insert into p values (1, 10)");
    // The test's own thread may be held up for so long that the statement ends first, but not each time.
    let mut before = false;
    for _ in 0..10 {
        busy.stream.write_all(&message(b'Q', b"update big set v = v + 1\0")).unwrap();
        assert_eq!(other.query("select v from p where k = 1"), ["10", "SELECT 1"]);
        busy.stream.set_nonblocking(true).unwrap();
        before |= busy.stream.peek(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
        busy.stream.set_nonblocking(false).unwrap();
        assert_eq!(shown(&busy.ask(b"")), ["UPDATE 20000"]);
        if before {
            break;
        }
    }
    assert!(before, "the other waited for the whole statement");
    server.stop().await;
}
