//! Ends that nobody asked for, while several clients move money between accounts: kill -9, SIGTERM in
//! the middle of everything, a disk that fills up. Whatever happens, what was answered is there, and no
//! money is lost or made.

use crate::Case;
use crate::server::{Server, eventually, program};
use crate::tools::Tool;
use crate::wire::{Say, Wire};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

pub const CASES: &[Case] = &[
    Case { name: "kill_9_neither_loses_nor_makes_money", tools: &[], run: killed_bank },
    Case {
        name: "kill_9_during_an_index_build_leaves_it_whole_or_absent",
        tools: &[],
        run: killed_index_build,
    },
    Case { name: "a_clean_stop_under_load_keeps_what_was_answered", tools: &[], run: stopped_bank },
    Case { name: "sigterm_during_a_copy_undoes_it", tools: &[], run: stopped_copy },
    Case { name: "a_full_disk_refuses_writes_until_there_is_room", tools: &[Tool::Mount], run: full_disk },
];

const ACCOUNTS: u64 = 20;
const START_BALANCE: i64 = 100;

/// What the clients know: how many transfers were asked for, and those that were answered.
#[derive(Default)]
struct Book {
    next: AtomicU64,
    answered: Mutex<BTreeMap<u64, (u64, u64, i64)>>,
}

fn open_bank(port: u16) {
    let mut wire = Wire::connect(port);
    wire.query("create table account (id int primary key, balance bigint not null)");
    wire.query("create table transfer (id bigint primary key, source int, target int, amount bigint)");
    for id in 1..=ACCOUNTS {
        wire.query(&format!("insert into account values ({id}, {START_BALANCE})"));
    }
}

/// Moves money until the server goes away or `stop` is set. Conflicts and deadlocks are tried again.
fn move_money(port: u16, book: &Book, stop: &AtomicBool) {
    let mut wire = Wire::connect(port);
    while !stop.load(Ordering::Relaxed) {
        let id = book.next.fetch_add(1, Ordering::Relaxed);
        // Any walk through the accounts does, as long as clients meet.
        let (source, target) = (id * 7 % ACCOUNTS + 1, id * 13 / 3 % ACCOUNTS + 1);
        let amount = (id % 17) as i64;
        if source == target {
            continue;
        }
        let text = [
            "begin".to_string(),
            format!("update account set balance = balance - {amount} where id = {source}"),
            format!("update account set balance = balance + {amount} where id = {target}"),
            format!("insert into transfer values ({id}, {source}, {target}, {amount})"),
            "commit".to_string(),
        ];
        let committed = text.iter().all(|text| {
            let answers = wire.query(text);
            !answers.iter().any(|answer| answer.starts_with("E:") || answer == "EOF")
        });
        if committed {
            book.answered.lock().unwrap().insert(id, (source, target, amount));
        } else if wire.query("rollback").last().is_some_and(|last| last == "EOF") {
            return;
        }
    }
}

/// The rows of an answer, split.
fn rows(answers: &[String]) -> Vec<Vec<i64>> {
    let lines = answers.iter().filter_map(|line| line.strip_prefix("D:"));
    lines.map(|line| line.split('|').map(|value| value.parse().unwrap()).collect()).collect()
}

fn audit(port: u16, book: &Book) {
    let mut wire = Wire::connect(port);
    let transfers = rows(&wire.query("select id, source, target, amount from transfer"));
    let mut balances: BTreeMap<i64, i64> = (1..=ACCOUNTS as i64).map(|id| (id, START_BALANCE)).collect();
    for row in &transfers {
        *balances.get_mut(&row[1]).unwrap() -= row[3];
        *balances.get_mut(&row[2]).unwrap() += row[3];
    }
    let found: BTreeMap<i64, i64> = rows(&wire.query("select id, balance from account"))
        .into_iter()
        .map(|row| (row[0], row[1]))
        .collect();
    assert_eq!(found, balances, "the balances are what the transfers make them");
    let there: BTreeMap<u64, _> =
        transfers.iter().map(|row| (row[0] as u64, (row[1] as u64, row[2] as u64, row[3]))).collect();
    for (id, transfer) in &*book.answered.lock().unwrap() {
        assert_eq!(there.get(id), Some(transfer), "transfer {id} was answered");
    }
}

fn killed_bank() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("data");
    let mut server = Server::start(&folder);
    open_bank(server.sql_port);
    let book = Book::default();
    for round in 0..5u64 {
        let stop = AtomicBool::new(false);
        let port = server.sql_port;
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| move_money(port, &book, &stop));
            }
            // Different moments of the log, the memtable and the upload.
            std::thread::sleep(Duration::from_millis(300 + 217 * round));
            server.signal_kill();
        });
        server.kill();
        server = Server::start(&folder);
        audit(server.sql_port, &book);
    }
    let answered = book.answered.lock().unwrap().len();
    assert!(answered > 50, "only {answered} transfers were answered: there was no load");
    server.stop();
}

fn stopped_bank() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("data");
    let server = Server::start(&folder);
    open_bank(server.sql_port);
    let (book, stop, port) = (Book::default(), AtomicBool::new(false), server.sql_port);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| move_money(port, &book, &stop));
        }
        // One that waits for a lock, one idle in a block, one idle.
        let (mut holder, mut waiter, mut idle) =
            (Wire::connect(port), Wire::connect(port), Wire::connect(port));
        holder.query("create table held (id int primary key); insert into held values (1)");
        holder.query("begin; delete from held where id = 1");
        waiter.send(Say::default().query("delete from held where id = 1"));
        std::thread::sleep(Duration::from_millis(800));
        server.stop();
        assert_eq!(holder.until_ready(), ["E:57P01", "EOF"]);
        assert_eq!(idle.until_ready(), ["E:57P01", "EOF"]);
        // What held the lock is gone, so it had its turn, and then it was told to go.
        assert_eq!(waiter.until_ready(), ["C:DELETE 1", "Z:I"]);
        assert_eq!(waiter.until_ready(), ["E:57P01", "EOF"]);
    });
    assert!(book.answered.lock().unwrap().len() > 10);
    let server = Server::start(&folder);
    audit(server.sql_port, &book);
    assert_eq!(Wire::connect(server.sql_port).query("select id from held")[1], "C:SELECT 0");
    server.stop();
}

fn stopped_copy() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("data");
    let server = Server::start(&folder);
    let mut wire = Wire::connect(server.sql_port);
    wire.query("create table t (id int primary key, v text)");
    let filler = "x".repeat(200);
    let lines = |first: u64| (first..first + 500).map(|id| format!("{id}\t{filler}\n")).collect::<String>();
    // Whole, and more than a transaction keeps in memory.
    wire.send(Say::default().query("copy t from stdin"));
    for first in (0..5000).step_by(500) {
        wire.send(Say::default().copy_data(&lines(first)));
    }
    assert_eq!(wire.ask(Say::default().copy_done()), ["G:2", "C:COPY 5000", "Z:I"]);
    // Under way, and its client goes on sending.
    wire.send(Say::default().query("copy t from stdin"));
    let stopping = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for first in (10_000..2_000_000).step_by(500) {
                if stopping.load(Ordering::Relaxed) {
                    break;
                }
                wire.send(Say::default().copy_data(&lines(first)));
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        std::thread::sleep(Duration::from_millis(500));
        server.stop();
        stopping.store(true, Ordering::Relaxed);
    });
    let server = Server::start(&folder);
    let count = Wire::connect(server.sql_port).query("select count(*), max(id) from t");
    assert_eq!(count[1], "D:5000|4999");
    server.stop();
}

/// A file system of its own, taken away at the end.
pub struct Mounted<'a>(&'a Path);

impl Mounted<'_> {
    pub fn new<'a>(path: &'a Path, options: &str) -> Mounted<'a> {
        std::fs::create_dir_all(path).unwrap();
        let status = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(path).status();
        assert!(status.unwrap().success());
        Mounted(path)
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        // Lazily: a server of a failed test may still be ending.
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

fn full_disk() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("data");
    let _disk = Mounted::new(&folder, "size=48m");
    let ballast = folder.join("ballast");
    std::fs::write(&ballast, vec![1u8; 24 << 20]).unwrap();
    let mut server = Server::start(&folder);
    let mut wire = Wire::connect(server.sql_port);
    wire.query("create table t (id int primary key, v text)");
    wire.query("set statement_timeout to '20s'");
    let mut answered = Vec::new();
    let insert = |wire: &mut Wire, id: u64| {
        // Text that does not compress.
        let mut state = id.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let text: String = (0..60_000)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                char::from(b'A' + (state >> 33) as u8 % 26)
            })
            .collect();
        wire.query(&format!("insert into t values ({id}, '{text}')"))
    };
    let url = format!("http://127.0.0.1:{}", server.http_port);
    let mut next = 0;
    // When the log is trimmed after the first refusal, there is room for a few more.
    eventually("status says that writes are refused", || {
        loop {
            next += 1;
            assert!(next < 2000, "the disk does not fill up");
            let said = insert(&mut wire, next);
            if said[0] != "C:INSERT 0 1" {
                // disk_full
                assert_eq!(said, ["E:53100", "Z:I"], "after {}: {:?}", answered.len(), wire.messages);
                break;
            }
            answered.push(next);
        }
        let status = program().args(["status", "--url", &url]).output().unwrap();
        let said = String::from_utf8_lossy(&[status.stdout, status.stderr].concat()).to_string();
        !status.status.success() && said.contains("writes are refused")
    });
    // Reads go on, and so does the server.
    let count = |wire: &mut Wire| wire.query("select count(*) from t").get(1).cloned().unwrap_or_default();
    let mut reader = Wire::connect(server.sql_port);
    assert_eq!(count(&mut reader), format!("D:{}", answered.len()), "{:?}", reader.messages);
    assert_eq!(reader.query("select id from t where id = 1")[1], "D:1");
    std::fs::remove_file(&ballast).unwrap();
    eventually("writes are taken again", || {
        next += 1;
        let taken = insert(&mut Wire::connect(server.sql_port), next)[0] == "C:INSERT 0 1";
        if taken {
            answered.push(next);
        }
        taken
    });
    assert_eq!(count(&mut reader), format!("D:{}", answered.len()), "what was refused is not there");
    server.kill();
    server = Server::start(&folder);
    let there = rows(&Wire::connect(server.sql_port).query("select id from t order by id"));
    let answered: Vec<_> = answered.into_iter().map(|id| vec![id as i64]).collect();
    assert_eq!(there, answered);
    server.stop();
}

/// A server that dies while an index is built has the table without it, or, when the commit was reached, the
/// whole index; and what comes next is made to fit it.
fn killed_index_build() {
    const ROWS: u64 = 3_000;
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("data");
    let mut server = Server::start(&folder);
    server.sql(&format!(
        "create table t (id int primary key, v int, filler text);
         insert into t select n, (n * 7919) % {ROWS}, repeat('x', 40) from generate_series(1, {ROWS}) n"
    ));
    // Different moments of the scan, the staging and the commit.
    for millis in [10, 60, 150, 400, 1200] {
        let mut wire = Wire::connect(server.sql_port);
        wire.send(Say::default().query("create unique index t_v on t (v)"));
        std::thread::sleep(Duration::from_millis(millis));
        server.signal_kill();
        let answered = wire.until_ready().iter().any(|answer| answer == "C:CREATE INDEX");
        server.kill();
        server = Server::start(&folder);
        let mut wire = Wire::connect(server.sql_port);
        let found = rows(&wire.query("select count(*) from pg_indexes where indexname = 't_v'"))[0][0];
        assert!(found == 1 || !answered, "an index whose commit was answered is gone");
        let again = format!("insert into t values ({}, 7, 'twin')", ROWS + 1);
        if found == 1 {
            assert_eq!(wire.query(&again)[0], "E:23505");
            for v in [0, 1, ROWS / 2, ROWS - 1] {
                let text = format!("select v from t where v = {v}");
                assert_eq!(rows(&wire.query(&text)), [[v as i64]], "after {millis} ms");
            }
        } else {
            assert_eq!(wire.query(&again)[0], "C:INSERT 0 1");
            assert_eq!(wire.query("create unique index t_v on t (v)")[0], "E:23505");
            wire.query(&format!("delete from t where id = {}", ROWS + 1));
            assert_eq!(wire.query("create unique index t_v on t (v)")[0], "C:CREATE INDEX");
        }
        assert_eq!(rows(&wire.query("select count(*) from t"))[0][0], ROWS as i64);
        assert_eq!(wire.query("drop index t_v")[0], "C:DROP INDEX");
    }
    server.stop();
}
