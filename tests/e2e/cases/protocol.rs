//! The wire protocol, message by message: what each is answered with, and in which order. Expected
//! answers are PostgreSQL 15's: `E2E_WIRE_PORT` runs these cases against a server of one's own, to see.
//! One thing differs on purpose: a COPY that waits for its client can be cancelled here.

use crate::Case;
use crate::server::{Server, eventually};
use crate::tools::Tool;
use crate::wire::{INT2, INT4, Say, TEXT, Wire};
use std::io::{Read, Write};
use std::time::Duration;

pub const CASES: &[Case] = &[
    Case { name: "notices_have_the_sqlstates_of_postgresql_15", tools: &[], run: notices },
    Case { name: "extended_protocol_answers_in_order", tools: &[], run: extended },
    Case { name: "an_error_skips_to_sync", tools: &[], run: skips_to_sync },
    Case { name: "status_bytes_follow_the_transaction", tools: &[], run: status_bytes },
    Case { name: "a_portal_with_a_row_limit_goes_on_where_it_stopped", tools: &[], run: portals },
    Case { name: "portals_and_statements_end_when_they_should", tools: &[], run: lifetimes },
    Case { name: "pipelined_statements_before_one_sync_are_one_transaction", tools: &[], run: pipeline },
    Case { name: "a_client_that_stops_reading_costs_no_memory_and_nobody_else", tools: &[], run: unread },
    Case { name: "copy_works_in_both_protocols", tools: &[], run: copy },
    Case { name: "a_simple_query_may_have_a_copy_in_its_middle", tools: &[], run: copy_in_the_middle },
    Case { name: "settings_tell_the_client_and_end_with_their_transaction", tools: &[], run: settings },
    Case { name: "prepare_execute_deallocate_discard", tools: &[], run: prepare },
    Case { name: "a_cancel_request_ends_what_waits_and_nothing_else", tools: &[], run: cancel },
    Case { name: "statement_timeout_ends_what_waits", tools: &[], run: timeouts },
    Case { name: "broken_bytes_end_one_connection_only", tools: &[], run: broken_bytes },
    Case { name: "mistakes_within_a_message_are_answered", tools: &[], run: mistakes },
    Case { name: "many_connections_and_one_too_many", tools: &[], run: connections },
    Case { name: "a_password_is_proved_where_loopback_is_not_trusted", tools: &[Tool::Psql], run: passwords },
    Case { name: "a_missing_database_is_3d000", tools: &[], run: missing_database },
    Case { name: "a_prepared_statement_follows_the_schema", tools: &[], run: schema_changes },
    Case { name: "a_rolled_back_schema_change_leaves_plans_as_they_were", tools: &[], run: schema_rollback },
];

/// Runs a test on a server's port.
pub fn with_port(test: impl FnOnce(u16)) {
    if let Ok(port) = std::env::var("E2E_WIRE_PORT") {
        return test(port.parse().unwrap());
    }
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data"));
    test(server.sql_port);
    server.stop();
}

/// A connection with a table `w (id int primary key, v text)` of the rows 1 to 9.
fn with_table(port: u16) -> Wire {
    let mut wire = Wire::connect(port);
    wire.query("drop table if exists w");
    let made = wire.query("create table w (id int primary key, v text)");
    assert_eq!(made, ["C:CREATE TABLE", "Z:I"]);
    let rows: Vec<_> = (1..10).map(|id| format!("({id}, 'v{id}')")).collect();
    let filled = wire.query(&format!("insert into w values {}", rows.join(", ")));
    assert_eq!(filled, ["C:INSERT 0 9", "Z:I"]);
    wire
}

fn say() -> Say {
    Say::default()
}

const BY_ID: &str = "select id, v from w where id = $1";
const RANGE: &str = "select id from w where id between $1 and $2 order by id";

fn extended() {
    with_port(|port| {
        let mut wire = with_table(port);
        let described = wire.ask(say().parse("named", BY_ID, &[]).describe('S', "named").sync());
        assert_eq!(described, ["1", "t:23", "T:id/23,v/25", "Z:I"]);
        let ran = wire.ask(say().bind("", "named", &["3"]).describe('P', "").execute("", 0).sync());
        assert_eq!(ran, ["2", "T:id/23,v/25", "D:3|v3", "C:SELECT 1", "Z:I"]);
        let binary = say().bind_with("p", "named", &[1], &[Some(&7i32.to_be_bytes())], &[1, 0]);
        let ran = wire.ask(binary.describe('P', "p").execute("p", 0).close('P', "p").sync());
        assert_eq!(ran, ["2", "T:id/23b,v/25", "D:\\x00000007|v7", "C:SELECT 1", "3", "Z:I"]);
        // A type that the client gives, and one that it leaves open.
        let typed = wire.ask(say().parse("", BY_ID, &[INT2]).describe('S', "").sync());
        assert_eq!(typed, ["1", "t:21", "T:id/23,v/25", "Z:I"]);
        let open = "insert into w values ($1, $2) returning id";
        let typed = wire.ask(say().parse("", open, &[0, TEXT]).describe('S', "").sync());
        assert_eq!(typed, ["1", "t:23,25", "T:id/23", "Z:I"]);
        let null = say().bind_with("", "", &[], &[Some(b"20"), None], &[]).execute("", 0).sync();
        assert_eq!(wire.ask(null), ["2", "D:20", "C:INSERT 0 1", "Z:I"]);
        // No rows, no columns, no text.
        let none = wire.ask(say().run("delete from w where id = $1", &["99"]).sync());
        assert_eq!(none, ["1", "2", "n", "C:DELETE 0", "Z:I"]);
        assert_eq!(wire.ask(say().run("", &[]).sync()), ["1", "2", "n", "I", "Z:I"]);
        // Flush sends what there is; Close of what does not exist is no error.
        wire.send(say().parse("", BY_ID, &[]).flush());
        assert_eq!(wire.answer(), "1");
        assert_eq!(wire.ask(say().close('S', "nothing").close('P', "nothing").sync()), ["3", "3", "Z:I"]);
        // Executed twice, with a name, in two batches.
        let twice = say().bind("", "named", &["1"]).execute("", 0).bind("", "named", &["2"]).execute("", 0);
        let twice = wire.ask(twice.sync());
        assert_eq!(twice, ["2", "D:1|v1", "C:SELECT 1", "2", "D:2|v2", "C:SELECT 1", "Z:I"]);
        let closed = wire.ask(say().close('S', "named").bind("", "named", &["1"]).sync());
        assert_eq!(closed, ["3", "E:26000", "Z:I"]);
    });
}

fn skips_to_sync() {
    with_port(|port| {
        let mut wire = with_table(port);
        let parse =
            wire.ask(say().parse("", "selec", &[]).bind("", "", &[]).execute("", 0).query("x").sync());
        assert_eq!(parse, ["E:42601", "Z:I"]);
        let bind = wire.ask(say().parse("", BY_ID, &[]).bind("", "", &["x"]).execute("", 0).sync());
        assert_eq!(bind, ["1", "E:22P02", "Z:I"]);
        let count = wire.ask(say().parse("", BY_ID, &[]).bind("", "", &[]).execute("", 0).sync());
        assert_eq!(count, ["1", "E:08P01", "Z:I"]);
        let run =
            say().run("insert into w values ($1, 'x')", &["1"]).run("delete from w where id = $1", &["2"]);
        assert_eq!(wire.ask(run.sync()), ["1", "2", "n", "E:23505", "Z:I"]);
        assert_eq!(wire.query("select v from w where id = 2")[1], "D:v2", "what follows an error is not run");
        for (text, state) in [("nosuch", "26000"), ("", "26000")] {
            let mut fresh = Wire::connect(port);
            assert_eq!(
                fresh.ask(say().bind("", text, &[]).sync()),
                [format!("E:{state}"), "Z:I".to_string()]
            );
            assert_eq!(
                fresh.ask(say().describe('S', text).sync()),
                [format!("E:{state}"), "Z:I".to_string()]
            );
            assert_eq!(fresh.ask(say().execute(text, 0).sync()), ["E:34000", "Z:I"]);
        }
        let twice = say().parse("a", BY_ID, &[]).parse("a", BY_ID, &[]).sync();
        assert_eq!(wire.ask(twice), ["1", "E:42P05", "Z:I"]);
        let two = wire.ask(say().parse("", "select 1; select 2", &[]).sync());
        assert_eq!(two, ["E:42601", "Z:I"]);
        // A failed Parse of the unnamed statement leaves none.
        wire.ask(say().parse("", BY_ID, &[]).sync());
        assert_eq!(wire.ask(say().parse("", "selec", &[]).sync()), ["E:42601", "Z:I"]);
        assert_eq!(wire.ask(say().bind("", "", &["1"]).sync()), ["E:26000", "Z:I"]);
        // Without Sync nothing more is answered.
        wire.send(say().parse("", "selec", &[]).parse("", BY_ID, &[]).flush());
        assert_eq!(wire.answer(), "E:42601");
        assert_eq!(wire.ask(say().run(BY_ID, &["1"]).sync()), ["Z:I"]);
    });
}

fn status_bytes() {
    with_port(|port| {
        let mut wire = with_table(port);
        assert_eq!(wire.query("begin"), ["C:BEGIN", "Z:T"]);
        assert_eq!(wire.query("insert into w values (10, 'x')"), ["C:INSERT 0 1", "Z:T"]);
        assert_eq!(wire.query("insert into w values (10, 'x')"), ["E:23505", "Z:E"]);
        for refused in ["select 1", "insert into w values (11, 'x')", "begin", "savepoint s", "show timezone"]
        {
            assert_eq!(wire.query(refused), ["E:25P02", "Z:E"], "{refused}");
        }
        assert_eq!(wire.ask(say().parse("", BY_ID, &[]).sync()), ["E:25P02", "Z:E"]);
        let end = wire.ask(say().run("commit", &[]).sync());
        assert_eq!(end, ["1", "2", "n", "C:ROLLBACK", "Z:I"]);
        assert_eq!(wire.query("select id from w where id = 10"), ["T:id/23", "C:SELECT 0", "Z:I"]);
        let block = say().run("begin", &[]).run("delete from w where id = $1", &["1"]).sync();
        assert_eq!(wire.ask(block), ["1", "2", "n", "C:BEGIN", "1", "2", "n", "C:DELETE 1", "Z:T"]);
        assert_eq!(wire.ask(say().run("rollback", &[]).sync()), ["1", "2", "n", "C:ROLLBACK", "Z:I"]);
        assert_eq!(wire.query("select id from w where id = 1")[1], "D:1");
        // Warnings for ends without a beginning, and the other way round.
        assert_eq!(wire.query("commit"), ["N:25P01", "C:COMMIT", "Z:I"]);
        assert_eq!(wire.query("rollback"), ["N:25P01", "C:ROLLBACK", "Z:I"]);
        assert_eq!(wire.query("begin; begin"), ["C:BEGIN", "N:25001", "C:BEGIN", "Z:T"]);
        assert_eq!(wire.query("savepoint s; select 1/0"), ["C:SAVEPOINT", "E:22012", "Z:E"]);
        assert_eq!(wire.query("rollback to s"), ["C:ROLLBACK", "Z:T"]);
        assert_eq!(wire.query("release s; commit"), ["C:RELEASE", "C:COMMIT", "Z:I"]);
        assert_eq!(wire.query("commit and chain"), ["E:25P01", "Z:I"]);
        assert_eq!(wire.query("begin; commit and chain"), ["C:BEGIN", "C:COMMIT", "Z:T"]);
        assert_eq!(wire.query("rollback"), ["C:ROLLBACK", "Z:I"]);
        assert_eq!(wire.query(""), ["I", "Z:I"]);
        assert_eq!(wire.query("  ; -- nothing\n ;"), ["I", "Z:I"]);
        assert_eq!(wire.query("savepoint s"), ["E:25P01", "Z:I"]);
        assert_eq!(
            wire.query("begin read only; insert into w values (50, '')"),
            ["C:BEGIN", "E:25006", "Z:E"]
        );
        assert_eq!(wire.query("rollback"), ["C:ROLLBACK", "Z:I"]);
        let mixed =
            wire.query("insert into w values (30, ''); begin; insert into w values (31, ''); rollback");
        assert_eq!(mixed.last().unwrap(), "Z:I");
        assert_eq!(wire.query("select id from w where id = 30"), ["T:id/23", "C:SELECT 0", "Z:I"]);
    });
}

fn portals() {
    with_port(|port| {
        let mut wire = with_table(port);
        let start = say().run("begin", &[]).parse("r", RANGE, &[]).bind("a", "r", &["1", "5"]);
        wire.ask(start.bind("b", "r", &["7", "9"]).sync());
        assert_eq!(wire.ask(say().execute("a", 2).sync()), ["D:1", "D:2", "s", "Z:T"]);
        assert_eq!(wire.ask(say().execute("b", 1).sync()), ["D:7", "s", "Z:T"]);
        assert_eq!(wire.ask(say().execute("a", 2).sync()), ["D:3", "D:4", "s", "Z:T"]);
        assert_eq!(wire.ask(say().execute("b", 2).sync()), ["D:8", "D:9", "s", "Z:T"]);
        // Neither what others nor what this transaction writes meanwhile is seen by a portal at work.
        Wire::connect(port).query("delete from w where id = 9");
        assert_eq!(wire.query("update w set v = 'new' where id = 5"), ["C:UPDATE 1", "Z:T"]);
        assert_eq!(wire.ask(say().execute("b", 0).sync()), ["C:SELECT 0", "Z:T"]);
        assert_eq!(wire.ask(say().execute("a", 0).sync()), ["D:5", "C:SELECT 1", "Z:T"]);
        assert_eq!(wire.ask(say().execute("a", 0).sync()), ["C:SELECT 0", "Z:T"]);
        assert_eq!(wire.ask(say().bind("a", "r", &["1", "1"]).sync()), ["E:42P03", "Z:E"]);
        wire.query("rollback");
        // A write's RETURNING is done whole at once, and handed out in parts.
        let returning =
            say().parse("", "insert into w values (21, ''), (22, ''), (23, '') returning id", &[]);
        let first = wire.ask(say().run("begin", &[]).sync());
        assert_eq!(first.last().unwrap(), "Z:T");
        let part = wire.ask(returning.bind("i", "", &[]).execute("i", 2).sync());
        assert_eq!(part, ["1", "2", "D:21", "D:22", "s", "Z:T"]);
        assert_eq!(wire.query("select id from w where id = 23")[1], "D:23");
        assert_eq!(wire.ask(say().execute("i", 5).sync()), ["D:23", "C:INSERT 0 1", "Z:T"]);
        wire.query("commit");
        // EXECUTE of SQL through a portal with a limit.
        wire.query("prepare e (int, int) as select id from w where id between $1 and $2 order by id");
        let limited = say().run("begin", &[]).parse("", "execute e (1, 3)", &[]).bind("x", "", &[]);
        let limited = wire.ask(limited.execute("x", 2).execute("x", 2).sync());
        assert_eq!(limited[4..], ["1", "2", "D:1", "D:2", "s", "D:3", "C:SELECT 1", "Z:T"]);
        wire.query("rollback");
    });
}

fn lifetimes() {
    with_port(|port| {
        let mut wire = with_table(port);
        wire.ask(say().parse("s", RANGE, &[]).sync());
        // A portal ends with its transaction, so its name is free again.
        for _ in 0..2 {
            let run = wire.ask(say().bind("p", "s", &["1", "1"]).execute("p", 0).sync());
            assert_eq!(run, ["2", "D:1", "C:SELECT 1", "Z:I"]);
        }
        assert_eq!(wire.ask(say().execute("p", 0).sync()), ["E:34000", "Z:I"]);
        wire.ask(say().bind("p", "s", &["1", "3"]).execute("p", 1).sync());
        assert_eq!(wire.ask(say().execute("p", 1).sync()), ["E:34000", "Z:I"]);
        for _ in 0..2 {
            let show = say().parse("", "show timezone", &[]).bind("q", "", &[]).execute("q", 0).sync();
            assert_eq!(wire.ask(show).last().unwrap(), "Z:I");
        }
        // Within one batch, and within a block, it lives.
        let batch = say().bind("p", "s", &["1", "2"]).execute("p", 1).execute("p", 1).execute("p", 1).sync();
        assert_eq!(wire.ask(batch), ["2", "D:1", "s", "D:2", "s", "C:SELECT 0", "Z:I"]);
        wire.query("begin");
        wire.ask(say().bind("p", "s", &["1", "2"]).sync());
        assert_eq!(wire.ask(say().execute("p", 0).sync()), ["D:1", "D:2", "C:SELECT 2", "Z:T"]);
        assert_eq!(wire.query("commit"), ["C:COMMIT", "Z:I"]);
        assert_eq!(wire.ask(say().execute("p", 0).sync()), ["E:34000", "Z:I"]);
        // COMMIT through a named portal, twice.
        for _ in 0..2 {
            wire.query("begin");
            let commit = say().parse("", "commit", &[]).bind("c", "", &[]).execute("c", 0).sync();
            assert_eq!(wire.ask(commit), ["1", "2", "C:COMMIT", "Z:I"]);
        }
        // What returns no rows runs once.
        let delete = say().parse("", "delete from w where id = 1", &[]).bind("d", "", &[]);
        let twice = wire.ask(delete.execute("d", 0).execute("d", 0).sync());
        assert_eq!(twice, ["1", "2", "C:DELETE 1", "E:55000", "Z:I"]);
        // The simple query ends the unnamed statement and portal, and no other.
        wire.ask(say().parse("", RANGE, &[]).sync());
        wire.query("select 1");
        assert_eq!(wire.ask(say().bind("", "", &["1", "1"]).sync()), ["E:26000", "Z:I"]);
        assert_eq!(wire.ask(say().bind("", "s", &["2", "2"]).execute("", 0).sync())[1], "D:2");
        // A portal of before the failure is not run after it.
        wire.query("begin");
        wire.ask(
            say().bind("late", "s", &["2", "2"]).parse("", "show timezone", &[]).bind("show", "", &[]).sync(),
        );
        assert_eq!(wire.query("select 1/0"), ["E:22012", "Z:E"]);
        assert_eq!(wire.ask(say().execute("late", 0).sync()), ["E:25P02", "Z:E"]);
        assert_eq!(wire.ask(say().execute("show", 0).sync()), ["E:25P02", "Z:E"]);
        wire.query("rollback");
    });
}

fn pipeline() {
    with_port(|port| {
        let mut wire = with_table(port);
        let insert = "insert into w values ($1, 'p')";
        let both = say().run(insert, &["41"]).run(insert, &["42"]).sync();
        assert_eq!(wire.ask(both).iter().filter(|line| *line == "C:INSERT 0 1").count(), 2);
        let failed = wire.ask(say().run(insert, &["43"]).run(insert, &["42"]).run(insert, &["44"]).sync());
        assert_eq!(failed, ["1", "2", "n", "C:INSERT 0 1", "1", "2", "n", "E:23505", "Z:I"]);
        let there = wire.ask(say().run(RANGE, &["40", "50"]).sync());
        assert_eq!(there, ["1", "2", "T:id/23", "D:41", "D:42", "C:SELECT 2", "Z:I"]);
        // Two batches in one packet are two transactions.
        wire.send(say().run(insert, &["45"]).sync().run(insert, &["45"]).sync().run(insert, &["46"]).sync());
        let ends: Vec<_> = (0..3).map(|_| wire.until_ready().iter().rev().nth(1).unwrap().clone()).collect();
        assert_eq!(ends, ["C:INSERT 0 1", "E:23505", "C:INSERT 0 1"]);
        // A hundred simple queries in one packet.
        let many = (0..100).fold(say(), |say, _| say.query("select v from w where id = 5"));
        wire.send(many);
        for _ in 0..100 {
            assert_eq!(wire.until_ready(), ["T:v/25", "D:v5", "C:SELECT 1", "Z:I"]);
        }
    });
}

/// A result of 60 MB, by each executor, of which the client reads the beginning for a long while.
fn unread() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data"));
    let mut other = Wire::connect(server.sql_port);
    other.query("create table wide (id int primary key, v text)");
    for first in (1..60_000).step_by(10_000) {
        let last = first + 9999;
        let rows = format!("generate_series({first}, {last}) g");
        let done = other.query(&format!("insert into wide select g, repeat('x', 1000) from {rows}"));
        assert_eq!(done, ["C:INSERT 0 10000", "Z:I"]);
    }
    // What a whole read leaves in caches is there before anything is compared.
    assert_eq!(other.query("select id, v from wide").len(), 60_003);
    for sql in ["select id, v from wide", "select id, v from wide where id between 1 and 60000"] {
        let mut lazy = Wire::connect(server.sql_port);
        let before = server.resident_kib();
        lazy.send(say().query(sql));
        assert_eq!(lazy.answer(), "T:id/23,v/25");
        for _ in 0..200 {
            assert_eq!(other.query("select id from wide where id = 7")[1], "D:7");
        }
        let grown = server.resident_kib().saturating_sub(before);
        assert!(grown < 30 << 10, "{sql}: {grown} KiB are held for a client that does not read");
        let rest = lazy.until_ready();
        assert_eq!(rest.len(), 60_002, "{sql}");
        assert_eq!(rest[60_000], "C:SELECT 60000");
    }
    server.stop();
}

fn copy() {
    with_port(|port| {
        let mut wire = with_table(port);
        wire.send(say().query("copy w from stdin"));
        assert_eq!(wire.answer(), "G:2");
        let sent = say().copy_data("61\ta\n62\t").copy_data("b\n63\t\\N\n").copy_done();
        assert_eq!(wire.ask(sent), ["C:COPY 3", "Z:I"]);
        assert_eq!(wire.query("select v from w where id = 62")[1], "D:b");
        // Through the extended protocol, as libpq sends it: Sync before the data and after it.
        let start = say().parse("", "copy w (id) from stdin (format csv)", &[]).bind("", "", &[]);
        wire.send(start.describe('P', "").execute("", 0).sync());
        let answers: Vec<_> = (0..4).map(|_| wire.answer()).collect();
        assert_eq!(answers, ["1", "2", "n", "G:1"]);
        assert_eq!(wire.ask(say().copy_data("64\n65\n").copy_done().sync()), ["C:COPY 2", "Z:I"]);
        // Given up, wrong in the middle, wrong type of message.
        wire.send(say().query("copy w from stdin"));
        assert_eq!(
            wire.ask(say().copy_data("66\tx\n").copy_fail("changed my mind")),
            ["G:2", "E:57014", "Z:I"]
        );
        wire.send(say().query("copy w from stdin"));
        let wrong = say().copy_data("67\tx\n68\n").copy_data("69\tx\n").copy_done();
        assert_eq!(wire.ask(wrong), ["G:2", "E:22P04", "Z:I"]);
        assert_eq!(
            wire.ask(say().query("copy w from stdin").copy_data("x\ty\n").copy_done()),
            ["G:2", "E:22P02", "Z:I"]
        );
        assert_eq!(
            wire.ask(say().query("copy w from stdin").copy_data("1\ty\n").copy_done()),
            ["G:2", "E:23505", "Z:I"]
        );
        assert_eq!(wire.query("copy nosuch from stdin"), ["E:42P01", "Z:I"]);
        let failing = say().parse("", "copy w from stdin", &[]).bind("", "", &[]).execute("", 0).sync();
        wire.send(failing.copy_data("bad\n").copy_done().sync());
        assert_eq!(wire.until_ready(), ["1", "2", "G:2", "E:22P02", "Z:I"]);
        assert_eq!(
            wire.query("select id from w where id between 66 and 69"),
            ["T:id/23", "C:SELECT 0", "Z:I"]
        );
        // In a block, and undone with it.
        wire.query("begin");
        let sent = wire.ask(say().query("copy w from stdin").copy_data("70\tx\n").copy_done());
        assert_eq!(sent, ["G:2", "C:COPY 1", "Z:T"]);
        wire.query("rollback");
        assert_eq!(wire.query("select id from w where id = 70"), ["T:id/23", "C:SELECT 0", "Z:I"]);
        // Left-over data outside a COPY is ignored.
        wire.send(say().copy_data("1\n").copy_done());
        assert_eq!(wire.query("select v from w where id = 1"), ["T:v/25", "D:v1", "C:SELECT 1", "Z:I"]);
        // No data at all; the end mark of old; data after it is ignored.
        assert_eq!(wire.ask(say().query("copy w from stdin").copy_done()), ["G:2", "C:COPY 0", "Z:I"]);
        let mark = say().query("copy w from stdin").copy_data("71\tx\n\\.\nrubbish\n").copy_done();
        assert_eq!(wire.ask(mark), ["G:2", "C:COPY 1", "Z:I"]);
    });
}

fn copy_in_the_middle() {
    with_port(|port| {
        let mut wire = with_table(port);
        let text =
            "insert into w values (80, 'before'); copy w from stdin; insert into w values (82, 'after')";
        let done = wire.ask(say().query(text).copy_data("81\tmiddle\n").copy_done());
        assert_eq!(done, ["C:INSERT 0 1", "G:2", "C:COPY 1", "C:INSERT 0 1", "Z:I"]);
        let text = "insert into w values (83, ''); copy w from stdin; insert into w values (80, 'again')";
        let failed = wire.ask(say().query(text).copy_data("84\t\n").copy_done());
        assert_eq!(failed, ["C:INSERT 0 1", "G:2", "C:COPY 1", "E:23505", "Z:I"]);
        let there = wire.query("select id from w where id between 80 and 89 order by id");
        assert_eq!(there, ["T:id/23", "D:80", "D:81", "D:82", "C:SELECT 3", "Z:I"]);
        let several = wire.query(
            "select v from w where id = 1; update w set v = 'u' where id = 1; select v from w where id = 1",
        );
        let wanted = ["T:v/25", "D:v1", "C:SELECT 1", "C:UPDATE 1", "T:v/25", "D:u", "C:SELECT 1", "Z:I"];
        assert_eq!(several, wanted);
        assert_eq!(
            wire.query("select 1; selec 2"),
            ["E:42601", "Z:I"],
            "a text is read whole before any of it runs"
        );
    });
}

fn settings() {
    with_port(|port| {
        let mut wire = Wire::connect(port);
        for name in [
            "server_version",
            "client_encoding",
            "DateStyle",
            "TimeZone",
            "integer_datetimes",
            "standard_conforming_strings",
        ] {
            assert!(
                wire.start.iter().any(|line| line.starts_with(&format!("S:{name}="))),
                "{:?}",
                wire.start
            );
        }
        assert_eq!(wire.query("set timezone to 'Europe/Paris'"), ["C:SET", "S:TimeZone=Europe/Paris", "Z:I"]);
        assert_eq!(wire.query("show timezone"), ["T:TimeZone/25", "D:Europe/Paris", "C:SHOW", "Z:I"]);
        let undone = wire.query("begin; set timezone to 'Asia/Tokyo'; rollback");
        assert_eq!(undone.last().unwrap(), "Z:I");
        assert_eq!(wire.query("show timezone")[1], "D:Europe/Paris");
        wire.query("begin");
        assert_eq!(
            wire.query("set local timezone to 'Asia/Tokyo'"),
            ["C:SET", "S:TimeZone=Asia/Tokyo", "Z:T"]
        );
        assert_eq!(wire.query("select '2024-01-01 12:00+00'::timestamptz")[1], "D:2024-01-01 21:00:00+09");
        assert_eq!(wire.query("commit"), ["C:COMMIT", "S:TimeZone=Europe/Paris", "Z:I"]);
        assert_eq!(wire.query("select '2024-01-01 12:00+00'::timestamptz")[1], "D:2024-01-01 13:00:00+01");
        assert_eq!(wire.query("set local timezone to 'UTC'"), ["N:25P01", "C:SET", "Z:I"]);
        assert_eq!(wire.query("set nosuch to 1"), ["E:42704", "Z:I"]);
        assert_eq!(wire.query("show nosuch"), ["E:42704", "Z:I"]);
        assert_eq!(
            wire.query("set my.own to 'x'; show my.own").iter().filter(|line| *line == "D:x").count(),
            1
        );
        let failed = wire.query("set application_name to 'failed'; select 1/0");
        assert!(failed.contains(&"E:22012".to_string()), "{failed:?}");
        assert_eq!(wire.query("show application_name")[1], "D:", "a SET of a failed query is undone");
        let extended = wire.ask(say().run("set application_name to 'wire'", &[]).sync());
        assert_eq!(extended, ["1", "2", "n", "C:SET", "S:application_name=wire", "Z:I"]);
        assert_eq!(
            wire.ask(say().run("show application_name", &[]).sync())[2..4],
            ["T:application_name/25", "D:wire"]
        );
        assert_eq!(wire.query("reset application_name"), ["C:RESET", "S:application_name=", "Z:I"]);
        wire.query("set statement_timeout to '3s'");
        assert_eq!(wire.query("show statement_timeout")[1], "D:3s");
        wire.query("reset all");
        assert_eq!(wire.query("show statement_timeout")[1], "D:0");
        assert_eq!(wire.query("set transaction isolation level serializable")[0], "N:25P01");
        assert_eq!(
            wire.query("begin isolation level repeatable read; show transaction_isolation")[2],
            "D:repeatable read"
        );
        wire.query("rollback");
    });
}

fn prepare() {
    with_port(|port| {
        let mut wire = with_table(port);
        assert_eq!(wire.query("prepare one (int) as select v from w where id = $1"), ["C:PREPARE", "Z:I"]);
        assert_eq!(wire.query("execute one (4)"), ["T:v/25", "D:v4", "C:SELECT 1", "Z:I"]);
        assert_eq!(wire.query("execute one ('5')"), ["T:v/25", "D:v5", "C:SELECT 1", "Z:I"]);
        assert_eq!(wire.query("execute one (2 + 4)")[1], "D:v6");
        assert_eq!(wire.query("execute one"), ["E:42601", "Z:I"]);
        assert_eq!(wire.query("execute two (1)"), ["E:26000", "Z:I"]);
        assert_eq!(wire.query("prepare one as select 1"), ["E:42P05", "Z:I"]);
        assert_eq!(wire.query("prepare ins as insert into w values ($1, $2)"), ["C:PREPARE", "Z:I"]);
        assert_eq!(wire.query("execute ins (90, 'prepared')"), ["C:INSERT 0 1", "Z:I"]);
        // Statements of PREPARE and of Parse share their names.
        let bound = wire.ask(say().bind("", "one", &["4"]).execute("", 0).sync());
        assert_eq!(bound, ["2", "D:v4", "C:SELECT 1", "Z:I"]);
        wire.ask(say().parse("parsed", BY_ID, &[INT4]).sync());
        assert_eq!(wire.query("execute parsed (1)")[1], "D:1|v1");
        assert_eq!(wire.query("deallocate one"), ["C:DEALLOCATE", "Z:I"]);
        assert_eq!(wire.query("deallocate one"), ["E:26000", "Z:I"]);
        assert_eq!(wire.query("execute one (1)"), ["E:26000", "Z:I"]);
        assert_eq!(wire.query("deallocate all"), ["C:DEALLOCATE ALL", "Z:I"]);
        assert_eq!(wire.ask(say().bind("", "parsed", &["1"]).sync()), ["E:26000", "Z:I"]);
        wire.query("prepare gone as select 1; set application_name to 'x'");
        assert_eq!(wire.query("discard all"), ["C:DISCARD ALL", "S:application_name=", "Z:I"]);
        assert_eq!(wire.query("execute gone"), ["E:26000", "Z:I"]);
        assert_eq!(wire.query("begin; discard all"), ["C:BEGIN", "E:25001", "Z:E"]);
        assert_eq!(wire.query("rollback")[0], "C:ROLLBACK");
        // A prepared statement outlives the transaction that made it, even one that rolled back.
        wire.query("begin; prepare kept as select v from w where id = 2; rollback");
        assert_eq!(wire.query("execute kept")[1], "D:v2");
        assert_eq!(wire.query("select $1"), ["E:42P02", "Z:I"]);
    });
}

fn cancel() {
    with_port(|port| {
        let (mut holder, mut waiter) = (with_table(port), Wire::connect(port));
        holder.query("begin; update w set v = 'held' where id = 1");
        waiter.send(say().query("update w set v = 'waited' where id = 1"));
        std::thread::sleep(Duration::from_millis(200));
        // A wrong secret is ignored.
        let mut wrong = Wire::connect(port);
        wrong.key = (waiter.key.0, waiter.key.1 ^ 1);
        wrong.cancel(port);
        std::thread::sleep(Duration::from_millis(200));
        waiter.cancel(port);
        assert_eq!(waiter.until_ready(), ["E:57014", "Z:I"]);
        // In a block it fails the block; a COPY that waits for its client can be cancelled too.
        waiter.query("begin");
        waiter.send(say().run("update w set v = 'waited' where id = $1", &["1"]).sync());
        std::thread::sleep(Duration::from_millis(200));
        waiter.cancel(port);
        assert_eq!(waiter.until_ready(), ["1", "2", "n", "E:57014", "Z:E"]);
        waiter.query("rollback");
        waiter.send(say().query("copy w from stdin").copy_data("100\tx\n"));
        assert_eq!(waiter.answer(), "G:2");
        std::thread::sleep(Duration::from_millis(200));
        waiter.cancel(port);
        assert_eq!(waiter.until_ready(), ["E:57014", "Z:I"]);
        // One that comes when nothing runs does nothing to the next statement.
        waiter.cancel(port);
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(waiter.query("select v from w where id = 2"), ["T:v/25", "D:v2", "C:SELECT 1", "Z:I"]);
        // The row is not locked by what was cancelled.
        assert_eq!(holder.query("commit"), ["C:COMMIT", "Z:I"]);
        assert_eq!(waiter.query("update w set v = 'free' where id = 1"), ["C:UPDATE 1", "Z:I"]);
    });
}

fn timeouts() {
    with_port(|port| {
        let (mut holder, mut waiter) = (with_table(port), Wire::connect(port));
        holder.query("begin; update w set v = 'held' where id = 1");
        waiter.query("set statement_timeout to 150");
        assert_eq!(waiter.query("update w set v = 'waited' where id = 1"), ["E:57014", "Z:I"]);
        let extended = waiter.ask(say().run("update w set v = 'waited' where id = $1", &["1"]).sync());
        assert_eq!(extended, ["1", "2", "n", "E:57014", "Z:I"]);
        waiter.query("reset statement_timeout; set lock_timeout to '150ms'");
        assert_eq!(waiter.query("update w set v = 'waited' where id = 1"), ["E:55P03", "Z:I"]);
        waiter.query("set statement_timeout to 300");
        waiter.send(say().query("copy w from stdin").copy_data("101\tx\n"));
        assert_eq!(waiter.answer(), "G:2");
        assert_eq!(waiter.until_ready(), ["E:57014", "Z:I"], "a COPY that waits for its client");
        holder.query("rollback");
        waiter.query("set statement_timeout to 150");
        for executor in ["auto", "row", "report"] {
            waiter.query(&format!("set shardforge.executor to {executor}"));
            let counted = waiter.query("select count(*) from generate_series(1, 1000000000000)");
            assert_eq!(counted.last().unwrap(), "Z:I");
            assert!(counted.contains(&"E:57014".to_string()), "{executor}: what reads nothing: {counted:?}");
        }
        waiter.query("reset statement_timeout; set idle_in_transaction_session_timeout to 200; begin");
        assert_eq!(waiter.until_ready(), ["E:25P03", "EOF"]);
    });
}

fn broken_bytes() {
    with_port(|port| {
        let mut witness = with_table(port);
        let gone = |bytes: &[u8]| {
            let mut stream = Wire::socket(port);
            stream.write_all(bytes).unwrap();
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let mut rest = Vec::new();
            // An answer, or a close, or a reset: the connection ends.
            let _ = stream.read_to_end(&mut rest);
            rest
        };
        // Before the start.
        gone(b"");
        gone(b"\0");
        gone(b"\0\0\0\x04");
        gone(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        gone(&[0xff; 64]);
        gone(&[0, 0, 0, 8, 0, 3, 0, 0]);
        gone(b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0");
        let old = gone(&[0, 0, 0, 9, 0, 2, 0, 0, 0]);
        assert_eq!(old.first(), Some(&b'E'), "a protocol of old is refused with an error");
        assert_eq!(gone(&[0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f]), b"N", "no TLS");
        // After it: an unknown message, lengths that cannot be, a message that never ends.
        for bytes in
            [&b"\x01\0\0\0\x04"[..], b"Q\0\0\0\0", b"Q\xff\xff\xff\xff", b"Q\x7f\xff\xff\xff", b"P\x80\0\0\0"]
        {
            let mut wire = Wire::connect(port);
            wire.raw(bytes);
            let answers = wire.until_ready();
            assert_eq!(answers.last().unwrap(), "EOF", "{bytes:?}");
            assert!(answers.len() == 1 || answers[0] == "E:08P01", "{bytes:?}: {answers:?}");
        }
        let whole = say().run("insert into w values (200, $1)", &["x"]).sync();
        let mut random = 88_172_645_463_325_252u64;
        for round in 0..200usize {
            let mut wire = Wire::connect(port);
            let mut bytes = whole.bytes().to_vec();
            if round < 100 {
                bytes.truncate(round * bytes.len() / 100);
            } else {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                let at = random as usize % bytes.len();
                bytes[at] ^= 1 << (random >> 32 & 7);
            }
            wire.raw(&bytes);
            wire.raw(b"X\0\0\0\x04");
            let _ = wire.stream_end();
        }
        assert_eq!(witness.query("select v from w where id = 1"), ["T:v/25", "D:v1", "C:SELECT 1", "Z:I"]);
        assert_eq!(Wire::connect(port).query("select v from w where id = 2")[1], "D:v2");
    });
}

fn mistakes() {
    with_port(|port| {
        let mut wire = with_table(port);
        // Text that is not UTF-8.
        assert_eq!(wire.ask(say().message(b'Q', b"select '\xff'\0")), ["E:22021", "Z:I"]);
        assert_eq!(wire.ask(say().message(b'P', b"\0select '\xff'\0\0\0").sync()), ["E:22021", "Z:I"]);
        let bind = say().parse("", "insert into w values (201, $1)", &[]).bind_with(
            "",
            "",
            &[],
            &[Some(b"\xff")],
            &[],
        );
        assert_eq!(wire.ask(bind.execute("", 0).sync()), ["1", "E:22021", "Z:I"]);
        // Messages cut short, too long, and with impossible counts.
        for (tag, body) in [
            (b'P', &b"\0select 1"[..]),
            (b'P', b"\0select 1\0\0\x05"),
            (b'B', b"\0\0\0\x01"),
            (b'B', b"\0\0\0\0\0\x01\0\0\0\x09x\0\0"),
            (b'B', b"\0\0\0\0\0\x01\xff\xff\xff\xf0\0\0"),
            (b'D', b"X\0"),
            (b'E', b"\0\0"),
            (b'C', b""),
        ] {
            assert_eq!(
                wire.ask(say().message(tag, body).sync()),
                ["E:08P01", "Z:I"],
                "{} {body:?}",
                tag as char
            );
        }
        assert_eq!(wire.ask(say().message(b'Q', b"select 1")), ["E:08P01", "Z:I"]);
        // Formats that do not exist, or are too many.
        let parse = || say().parse("", BY_ID, &[]);
        let format = parse().bind_with("", "", &[2], &[Some(b"1")], &[]).sync();
        assert_eq!(wire.ask(format), ["1", "E:22023", "Z:I"]);
        let many = parse().bind_with("", "", &[0, 0], &[Some(b"1")], &[]).sync();
        assert_eq!(wire.ask(many), ["1", "E:08P01", "Z:I"]);
        let results = parse().bind("", "", &["1"]).message(b'S', b"");
        assert_eq!(wire.ask(results), ["1", "2", "Z:I"]);
        let results = parse().bind_with("", "", &[], &[Some(b"1")], &[0, 0, 0]).sync();
        assert_eq!(wire.ask(results), ["1", "E:08P01", "Z:I"]);
        let short = parse().bind_with("", "", &[1], &[Some(b"\0\0\x01")], &[]).sync();
        let short = wire.ask(short);
        assert!(short[1] == "E:22P03" || short[1] == "E:08P01", "{short:?}");
        // In a block such an error fails the block.
        wire.query("begin");
        assert_eq!(wire.ask(say().message(b'Q', b"select '\xff'\0")), ["E:22021", "Z:E"]);
        assert_eq!(wire.query("rollback"), ["C:ROLLBACK", "Z:I"]);
        assert_eq!(wire.query("select v from w where id = 1")[1], "D:v1");
    });
}

fn connections() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start_with(&dir.path().join("data"), &[("SHARDFORGE_SQL_MAX_CONNECTIONS", "100")]);
    let port = server.sql_port;
    drop(with_table(port));
    eventually("the first connection has ended", || server.metric("shardforge_sql_connections") == 0.0);
    let mut open: Vec<_> = (0..100).map(|_| Wire::connect(port)).collect();
    let refused = Wire::try_connect(port, "postgres").start;
    assert_eq!(refused, ["E:53300", "EOF"]);
    // All at once: each adds one to the same row.
    wire_counter(&mut open[0]);
    for wire in &mut open {
        wire.send(say().query("update counter set n = n + 1 where id = 1"));
    }
    for wire in &mut open {
        assert_eq!(wire.until_ready(), ["C:UPDATE 1", "Z:I"]);
    }
    assert_eq!(open[99].query("select n from counter where id = 1")[1], "D:100");
    // A place that is given back can be taken again.
    open.truncate(50);
    eventually("places are free again", || server.metric("shardforge_sql_connections") < 100.0);
    Wire::connect(port);
    server.stop();
}

fn wire_counter(wire: &mut Wire) {
    wire.query("create table counter (id int primary key, n int)");
    wire.query("insert into counter values (1, 0)");
}

fn missing_database() {
    with_port(|port| {
        assert_eq!(Wire::try_connect(port, "nosuch").start.iter().rev().nth(1).unwrap(), "E:3D000");
        let mut wire = Wire::connect(port);
        wire.query("drop database if exists other");
        assert_eq!(wire.query("create database other"), ["C:CREATE DATABASE", "Z:I"]);
        assert_eq!(wire.query("begin; create database another"), ["C:BEGIN", "E:25001", "Z:E"]);
        wire.query("rollback");
        let mut other = Wire::try_connect(port, "other");
        assert_eq!(other.query("select v from w where id = 1"), ["E:42P01", "Z:I"]);
    });
}

fn schema_changes() {
    with_port(|port| {
        let (mut wire, mut ddl) = (with_table(port), Wire::connect(port));
        wire.ask(say().parse("star", "select * from w where id = $1", &[]).sync());
        wire.ask(say().parse("v", "select v from w where id = $1", &[]).sync());
        wire.ask(say().parse("ins", "insert into w (id, v) values ($1, $2)", &[]).sync());
        wire.ask(say().parse("by_v", "select id from w where id = $1 and v = $2", &[]).sync());
        let ask = |wire: &mut Wire, name: &str, params: &[&str]| {
            wire.ask(say().bind("", name, params).execute("", 0).sync())
        };
        assert_eq!(ask(&mut wire, "star", &["1"])[1], "D:1|v1");
        assert_eq!(ddl.query("alter table w add column n int not null default 7"), ["C:ALTER TABLE", "Z:I"]);
        let changed = ask(&mut wire, "star", &["1"]);
        assert!(changed.contains(&"E:0A000".to_string()), "the result would have another shape: {changed:?}");
        assert_eq!(changed.last().unwrap(), "Z:I");
        assert_eq!(ask(&mut wire, "v", &["1"])[1], "D:v1");
        assert_eq!(ask(&mut wire, "ins", &["300", "new"]), ["2", "C:INSERT 0 1", "Z:I"]);
        assert_eq!(wire.query("select n from w where id = 300")[1], "D:7", "the new default is filled in");
        // A column that goes takes the statements that name it along.
        assert_eq!(ddl.query("alter table w drop column v"), ["C:ALTER TABLE", "Z:I"]);
        assert!(ask(&mut wire, "v", &["1"]).contains(&"E:42703".to_string()));
        assert!(ask(&mut wire, "by_v", &["1", "x"]).contains(&"E:42703".to_string()));
        ddl.query("alter table w add column v int");
        let changed = ask(&mut wire, "v", &["1"]);
        assert!(changed.contains(&"E:0A000".to_string()), "{changed:?}");
        // The parameter stays what it was when the statement was prepared.
        let changed = ask(&mut wire, "by_v", &["1", "x"]);
        assert!(changed.contains(&"E:42883".to_string()), "{changed:?}");
        ddl.query("drop table w");
        assert!(ask(&mut wire, "star", &["1"]).contains(&"E:42P01".to_string()));
        ddl.query("create table w (id int primary key, v text); insert into w values (1, 'again')");
        assert_eq!(ask(&mut wire, "star", &["1"])[1], "D:1|again");
        // PREPARE and EXECUTE likewise.
        wire.query("prepare sql as select * from w where id = 1");
        ddl.query("alter table w add column more int");
        assert_eq!(wire.query("execute sql"), ["E:0A000", "Z:I"]);
        // A table that is dropped and made again under a running block.
        wire.query("begin; update w set v = 'mine' where id = 1");
        wire.query("rollback");
    });
}

fn schema_rollback() {
    with_port(|port| {
        let mut wire = with_table(port);
        wire.ask(say().parse("star", "select * from w where id = $1", &[]).sync());
        wire.query("begin");
        assert_eq!(wire.query("alter table w add column n int default 7"), ["C:ALTER TABLE", "Z:T"]);
        assert_eq!(wire.query("select * from w where id = 1")[1], "D:1|v1|7");
        assert_eq!(wire.query("insert into w values (400, 'x', 8)"), ["C:INSERT 0 1", "Z:T"]);
        assert_eq!(
            wire.query("create table side (id int primary key); insert into side values (1)").last().unwrap(),
            "Z:T"
        );
        // Others see nothing of it.
        let mut other = Wire::connect(port);
        assert_eq!(other.query("select id from side where id = 1"), ["E:42P01", "Z:I"]);
        assert_eq!(wire.query("rollback"), ["C:ROLLBACK", "Z:I"]);
        let ran = wire.ask(say().bind("", "star", &["1"]).execute("", 0).sync());
        assert_eq!(ran, ["2", "D:1|v1", "C:SELECT 1", "Z:I"]);
        assert_eq!(wire.query("select id from side where id = 1"), ["E:42P01", "Z:I"]);
        assert_eq!(wire.query("select * from w where id = 400"), ["T:id/23,v/25", "C:SELECT 0", "Z:I"]);
        // To a savepoint.
        wire.query("begin; savepoint s; create table side (id int primary key)");
        assert_eq!(
            wire.query("rollback to s; insert into side values (1)"),
            ["C:ROLLBACK", "E:42P01", "Z:E"]
        );
        wire.query("rollback");
        // Dropped and brought back.
        wire.query("begin; drop table w");
        assert_eq!(wire.query("select id from w where id = 1"), ["E:42P01", "Z:E"]);
        wire.query("rollback");
        assert_eq!(wire.query("select v from w where id = 1")[1], "D:v1");
        wire.query("begin; truncate w");
        assert_eq!(wire.query("select id from w where id = 1"), ["T:id/23", "C:SELECT 0", "Z:T"]);
        wire.query("rollback");
        assert_eq!(wire.query("select v from w where id = 1")[1], "D:v1");
    });
}

fn passwords() {
    let dir = tempfile::tempdir().unwrap();
    let settings =
        [("SHARDFORGE_SQL_TRUST_LOOPBACK", "false"), ("SHARDFORGE_SQL_PASSWORD", "pa\u{df}wort 1")];
    let server = Server::start_with(&dir.path().join("data"), &settings);
    let ask = |user: &str, password: Option<&str>| {
        let mut psql = server.psql("postgres");
        psql.args(["-w", "-U", user, "-qAt", "-c", "select current_user"]);
        if let Some(password) = password {
            psql.env("PGPASSWORD", password);
        }
        let output = psql.output().unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.success(), said)
    };
    assert_eq!(ask("postgres", Some("pa\u{df}wort 1")), (true, "postgres\n".to_owned()));
    for (user, password, says) in [
        ("postgres", Some("passwort 1"), "password authentication failed for user \"postgres\""),
        ("postgres", None, "no password supplied"),
        // Whether a role exists is not told.
        ("nobody", Some("x"), "password authentication failed for user \"nobody\""),
    ] {
        let (success, said) = ask(user, password);
        assert!(!success && said.contains(says), "{user} {password:?}: {said}");
    }
    server.stop();
}

/// The SQLSTATEs that PostgreSQL 15 showed for each statement.
fn notices() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data"));
    let mut wire = Wire::connect(server.sql_port);
    for made in ["create table t (a int)", "create schema s", "create sequence q", "create index i on t (a)"]
    {
        wire.query(made);
    }
    let cases: [(&str, &[&str]); 16] = [
        ("create table if not exists t (a int)", &["N:42P07"]),
        ("create table if not exists t as select 1", &["N:42P07"]),
        ("create schema if not exists s", &["N:42P06"]),
        ("create sequence if not exists q", &["N:42P07"]),
        ("create index if not exists i on t (a)", &["N:42P07"]),
        ("alter sequence if exists qq increment 2", &["N:00000"]),
        ("alter table t add column if not exists a int, add column if not exists b int", &["N:42701"]),
        (
            "alter table t add column if not exists a int, add column if not exists b int",
            &["N:42701", "N:42701"],
        ),
        ("alter table t drop column if exists zz", &["N:00000"]),
        ("alter table t drop constraint if exists zz", &["N:00000"]),
        ("alter table if exists nn add column a int", &["N:00000"]),
        ("alter index if exists nn rename to mm", &["N:00000"]),
        ("drop table if exists nn, mm", &["N:00000", "N:00000"]),
        ("drop schema if exists nn", &["N:00000"]),
        ("drop index if exists nn", &["N:00000"]),
        ("drop role if exists nn", &["N:00000"]),
    ];
    for (text, told) in cases {
        let answers = wire.query(text);
        assert!(!answers.iter().any(|answer| answer.starts_with("E:")), "{text}: {answers:?}");
        let notices: Vec<_> = answers.iter().filter(|answer| answer.starts_with("N:")).collect();
        assert_eq!(notices, told, "{text}");
    }
    server.stop();
}
