//! SQL through psql, where what is tested crosses parts: transactions, locks, COPY, the catalog.

use crate::Case;
use crate::server::{Server, expect_success};
use crate::tools::Tool;
use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

pub const CASES: &[Case] = &[
    Case { name: "a_first_minute_with_psql", tools: &[Tool::Psql], run: first_minute },
    Case { name: "an_aborted_block_refuses_until_its_end", tools: &[Tool::Psql], run: aborted_block },
    Case {
        name: "statements_of_one_query_are_one_transaction",
        tools: &[Tool::Psql],
        run: implicit_transaction,
    },
    Case { name: "a_waiting_update_sees_the_row_as_it_was_left", tools: &[Tool::Psql], run: waiting_update },
    Case { name: "a_deadlock_ends_with_40p01", tools: &[Tool::Psql], run: deadlock },
    Case { name: "copy_in_and_out_are_inverse", tools: &[Tool::Psql], run: copy },
    Case {
        name: "a_transaction_larger_than_memory_commits_whole",
        tools: &[Tool::Psql],
        run: large_transaction,
    },
    Case { name: "what_is_not_built_says_so", tools: &[Tool::Psql], run: not_built },
];

fn with_server(test: impl FnOnce(&Server)) {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data"));
    test(&server);
    server.stop();
}

fn first_minute() {
    with_server(|server| {
        server.sql(
            "create table account (id int primary key, owner text not null, balance numeric(12,2) default 0)",
        );
        let rows = server.sql("insert into account values (1, 'Ada', 100), (2, 'Grace', 50.5) returning *");
        assert_eq!(rows, "1|Ada|100.00\n2|Grace|50.50");
        server.sql("begin; update account set balance = balance - 10 where id = 1; update account set balance = balance + 10 where id = 2; commit");
        assert_eq!(server.sql("select owner, balance from account order by id"), "Ada|90.00\nGrace|60.50");
        assert!(server.sql_error("insert into account values (1, 'Eve')").contains("23505"));
        assert!(server.sql_error("insert into account values (3, null)").contains("23502"));
        let described =
            expect_success("\\d", server.psql("postgres").args(["-c", "\\d account"]).output().unwrap());
        for part in ["numeric(12,2)", "not null", "account_pkey", "PRIMARY KEY, btree (id)"] {
            assert!(described.contains(part), "{described}");
        }
        let tables = expect_success("\\dt", server.psql("postgres").args(["-c", "\\dt"]).output().unwrap());
        assert!(tables.contains("public") && tables.contains("account"), "{tables}");
        let list = expect_success("\\l", server.psql("postgres").args(["-c", "\\l"]).output().unwrap());
        assert!(list.contains("template1") && list.contains("UTF8"), "{list}");
    });
}

fn aborted_block() {
    with_server(|server| {
        server.sql("create table t (id int primary key)");
        let mut child = server
            .psql("postgres")
            .args(["-qAt", "-v", "ON_ERROR_STOP=0", "-v", "VERBOSITY=verbose"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let script = "begin;\ninsert into t values (1);\nselect 1/0;\nselect 1;\ncommit;\n\
                      begin;\ninsert into t values (2);\nsavepoint s;\nselect 1/0;\nrollback to s;\ninsert into t values (3);\ncommit;\n\
                      select id from t order by id;\n";
        child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "2\n3");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!((errors.matches("22012").count(), errors.matches("25P02").count()), (2, 1), "{errors}");
    });
}

fn implicit_transaction() {
    with_server(|server| {
        server.sql("create table t (id int primary key)");
        server.sql_error("insert into t values (1); select 1/0; insert into t values (2)");
        assert_eq!(server.sql("select count(*) from t"), "0");
    });
}

/// A psql whose statements are given one by one.
struct Talk {
    child: std::process::Child,
}

impl Talk {
    fn new(server: &Server) -> Self {
        let child = server
            .psql("postgres")
            .args(["-qAt", "-v", "ON_ERROR_STOP=0", "-v", "VERBOSITY=verbose"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Talk { child }
    }

    fn say(&mut self, text: &str) {
        self.child.stdin.as_mut().unwrap().write_all(format!("{text}\n").as_bytes()).unwrap();
    }

    fn end(mut self) -> (String, String) {
        drop(self.child.stdin.take());
        let output = self.child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap().trim().to_string();
        (text(output.stdout), text(output.stderr))
    }
}

fn waiting_update() {
    with_server(|server| {
        server.sql(
            "create table t (id int primary key, n int); insert into t values (1, 10), (2, 20), (3, 30)",
        );
        let (mut first, mut second) = (Talk::new(server), Talk::new(server));
        first.say("begin; update t set n = n + 1 where id = 1; delete from t where id = 2; update t set n = 99 where id = 3;");
        std::thread::sleep(Duration::from_millis(500));
        second.say("update t set n = n * 2 where id = 1 returning n;");
        second.say("update t set n = n * 2 where id = 2 returning n;");
        second.say("update t set n = n * 2 where n = 30 returning n;");
        std::thread::sleep(Duration::from_millis(500));
        first.say("commit;");
        let (out, errors) = first.end();
        assert_eq!((out.as_str(), errors.as_str()), ("", ""));
        let (out, errors) = second.end();
        assert_eq!(
            (out.as_str(), errors.as_str()),
            ("22", ""),
            "the second sees 11, no row 2, and no n = 30"
        );
        assert_eq!(server.sql("select id, n from t order by id"), "1|22\n3|99");
    });
}

fn deadlock() {
    with_server(|server| {
        server.sql("create table t (id int primary key, n int); insert into t values (1, 0), (2, 0)");
        let (mut first, mut second) = (Talk::new(server), Talk::new(server));
        first.say("begin; update t set n = 1 where id = 1;");
        second.say("begin; update t set n = 2 where id = 2;");
        std::thread::sleep(Duration::from_millis(500));
        first.say("update t set n = 1 where id = 2;");
        std::thread::sleep(Duration::from_millis(300));
        second.say("update t set n = 2 where id = 1;");
        std::thread::sleep(Duration::from_millis(500));
        first.say("commit;");
        second.say("commit;");
        let errors = [first.end().1, second.end().1].join("\n");
        assert_eq!(errors.matches("40P01").count(), 1, "{errors}");
        let rows = server.sql("select n from t order by id");
        assert!(rows == "1\n1" || rows == "2\n2", "{rows}");
    });
}

fn copy() {
    with_server(|server| {
        server.sql("create table t (id int primary key, v text, n numeric, d date)");
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rows.csv");
        let mut csv = String::from("id,v,n,d\n");
        for id in 0..3000 {
            csv.push_str(&format!(
                "{id},\"a \"\"{id}\"\",\nb\",{}.{:02},{}\n",
                id,
                id % 100,
                if id % 3 == 0 { "" } else { "2024-02-29" }
            ));
        }
        std::fs::write(&path, &csv).unwrap();
        let command = |direction: &str, path: &std::path::Path| {
            format!("\\copy t {direction} '{}' with (format csv, header)", path.display())
        };
        let run = |text: &str| {
            expect_success(text, server.psql("postgres").args(["-qAt", "-c", text]).output().unwrap())
        };
        run(&command("from", &path));
        assert_eq!(server.sql("select count(*), count(d) from t"), "3000|2000");
        let back = dir.path().join("back.csv");
        run(&format!(
            "\\copy (select * from t order by id) to '{}' with (format csv, header)",
            back.display()
        ));
        assert_eq!(std::fs::read_to_string(back).unwrap(), csv);
        // A bad row takes the whole COPY with it.
        std::fs::write(&path, "9001,x,1,2024-01-01\n9002,x,1,never\n").unwrap();
        let output = server
            .psql("postgres")
            .args(["-c", &format!("\\copy t from '{}' csv", path.display())])
            .output()
            .unwrap();
        assert!(!output.status.success());
        assert_eq!(server.sql("select count(*) from t where id > 9000"), "0");
    });
}

fn large_transaction() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("data");
    let server = Server::start(&folder);
    server.sql("create table big (id int primary key, v text)");
    // Far more than the 256 KiB of a transaction's memory, and several fragments of 1 MiB.
    server.sql(
        "begin; insert into big select g, repeat(md5(g::text), 5) from generate_series(1, 30000) g; \
                update big set v = 'x' where id <= 100; delete from big where id > 29000; commit",
    );
    let expected = "29000|420514500|100";
    let sum = "select count(*), sum(id), count(*) filter (where v = 'x') from big";
    assert_eq!(server.sql(sum), expected);
    server.kill();
    let server = Server::start(&folder);
    assert_eq!(server.sql(sum), expected);
    server.sql("begin; insert into big select g, 'y' from generate_series(100001, 120000) g; rollback");
    assert_eq!(server.sql(sum), expected);
    server.stop();
}

fn not_built() {
    with_server(|server| {
        for text in [
            "create view v as select 1",
            "create function f() returns int language sql as 'select 1'",
            "listen x",
            "create trigger t after insert on x execute function f()",
        ] {
            let error = server.sql_error(text);
            assert!(error.contains("0A000"), "{text}: {error}");
        }
        assert!(server.sql_error("selec 1").contains("42601"));
        assert!(server.sql_error("select * from nowhere").contains("42P01"));
    });
}
