//! What survives: kill -9 under load, a deleted cache, flipped bytes, a full disk.

use crate::Case;
use crate::server::{Server, eventually};
use crate::tools::Tool;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub const CASES: &[Case] = &[
    Case { name: "kill_9_under_load_loses_no_answered_commit", tools: &[Tool::Psql], run: kill_under_load },
    Case {
        name: "deleting_the_pageserver_and_compute_folders_loses_nothing",
        tools: &[Tool::Psql],
        run: disposable,
    },
    Case {
        name: "a_flipped_byte_is_an_error_or_repaired_never_wrong_rows",
        tools: &[Tool::Psql],
        run: flipped_bytes,
    },
    Case { name: "a_clean_stop_and_start_keeps_everything", tools: &[Tool::Psql], run: restart },
];

/// A psql that inserts numbers one after another; what was answered is in `answered`.
fn insert_until(server: &Server, first: u64, answered: &Arc<Mutex<Vec<u64>>>, stop: &Arc<AtomicBool>) {
    let mut child = server
        .psql("postgres")
        .args(["-qAt"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut number = first;
    while !stop.load(Ordering::Relaxed) {
        let text =
            format!("insert into load values ({number}, repeat('x', {})) returning id;\n", number % 300);
        if stdin.write_all(text.as_bytes()).is_err() {
            break;
        }
        let mut line = String::new();
        if stdout.read_line(&mut line).unwrap_or(0) == 0 {
            break;
        }
        if line.trim() == number.to_string() {
            answered.lock().unwrap().push(number);
        }
        number += 1;
    }
    let _ = child.kill();
    let _ = child.wait();
}

fn kill_under_load() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("data");
    let mut server = Server::start(&folder);
    server.sql("create table load (id bigint primary key, filler text)");
    let answered = Arc::new(Mutex::new(Vec::new()));
    for round in 0..4u64 {
        let stop = Arc::new(AtomicBool::new(false));
        std::thread::scope(|scope| {
            for client in 0..3u64 {
                let (server, answered, stop) = (&server, &answered, &stop);
                scope.spawn(move || {
                    insert_until(server, (round * 3 + client + 1) * 1_000_000, answered, stop)
                });
            }
            // Different moments of the log, the memtable and the upload.
            std::thread::sleep(Duration::from_millis(400 + 330 * round));
            stop.store(round == 3, Ordering::Relaxed);
            server.signal_kill();
        });
        server.kill();
        server = Server::start(&folder);
        let there: std::collections::BTreeSet<u64> =
            server.sql("select id from load").lines().map(|line| line.parse().unwrap()).collect();
        let answered = answered.lock().unwrap();
        let lost: Vec<_> = answered.iter().filter(|number| !there.contains(number)).collect();
        assert!(
            lost.is_empty(),
            "round {round}: {} of {} answered commits are lost: {lost:?}",
            lost.len(),
            answered.len()
        );
        assert!(there.len() <= answered.len() + 3 * (round as usize + 1), "rows that nobody inserted");
    }
    let count = answered.lock().unwrap().len();
    assert!(count > 20, "only {count} commits were answered: there was no load");
    server.stop();
}

fn fill(server: &Server) -> String {
    server.sql("create table filled (id int primary key, v text, n numeric)");
    for start in (0..8000).step_by(500) {
        server.sql(&format!(
            "insert into filled select g, md5(g::text), g / 7.0 from generate_series({start}, {}) g",
            start + 499
        ));
    }
    server.sql("update filled set v = 'changed' where id % 10 = 3");
    server.sql("delete from filled where id % 10 = 7");
    checksum(server)
}

fn checksum(server: &Server) -> String {
    server.sql("select count(*), sum(id), sum(n), count(*) filter (where v = 'changed'), max(v) from filled")
}

fn disposable() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("data");
    let server = Server::start(&folder);
    let before = fill(&server);
    // Everything is in layers, and the log before them has been trimmed.
    eventually("layers were uploaded", || server.metric("shardforge_pageserver_layers_uploaded_total") > 3.0);
    let segments = || server.metric("shardforge_safekeeper_log_segments");
    let trimmed = || server.metric("shardforge_safekeeper_log_trimmed_index");
    eventually("the log was trimmed to its last segments", || trimmed() > 15.0 && segments() <= 2.0);
    server.kill();
    std::fs::remove_dir_all(folder.join("pageserver")).unwrap();
    std::fs::remove_dir_all(folder.join("compute")).unwrap();
    let server = Server::start(&folder);
    assert_eq!(checksum(&server), before);
    assert!(server.metric("shardforge_pageserver_layer_blocks_read_total") > 0.0, "pages came from layers");
    server.stop();
}

fn restart() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("data");
    let server = Server::start(&folder);
    let before = fill(&server);
    server.stop();
    let server = Server::start(&folder);
    assert_eq!(checksum(&server), before);
    server.stop();
}

fn files(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, out) } else { out.push(path) }
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

fn flipped_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("data");
    let server = Server::start(&folder);
    let truth = fill(&server);
    server.stop();
    let mut all = Vec::new();
    files(&folder, &mut all);
    all.sort();
    // A few places in each kind of file; every byte of small ones is flipped by the parts' own tests.
    static SEED: AtomicU64 = AtomicU64::new(88_172_645_463_325_252);
    let random = || {
        let mut x = SEED.load(Ordering::Relaxed);
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        SEED.store(x, Ordering::Relaxed);
        x
    };
    for _ in 0..12 {
        let file = &all[random() as usize % all.len()];
        let len = std::fs::metadata(file).unwrap().len();
        if len == 0 {
            continue;
        }
        let damaged = dir.path().join("damaged");
        let _ = std::fs::remove_dir_all(&damaged);
        copy(&folder, &damaged);
        let path = damaged.join(file.strip_prefix(&folder).unwrap());
        let mut bytes = std::fs::read(&path).unwrap();
        let at = (random() % len) as usize;
        bytes[at] ^= 0x40;
        std::fs::write(&path, bytes).unwrap();
        let place = format!("byte {at} of {}", file.display());
        match Server::try_start(&damaged, &[]) {
            Err(said) => {
                assert!(!said.contains("panicked") && said.contains("shardforge:"), "{place}: {said}")
            }
            Ok(server) => {
                let output = server
                    .psql("postgres")
                    .args(["-qAt", "-c", "select count(*), sum(id), sum(n), count(*) filter (where v = 'changed'), max(v) from filled"])
                    .output()
                    .unwrap();
                let (said, errors) =
                    (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
                if output.status.success() {
                    assert_eq!(said.trim(), truth, "{place}: wrong rows");
                } else {
                    assert!(!errors.contains("closed the connection"), "{place}: {errors}");
                }
            }
        }
        let log = std::fs::read_to_string(damaged.with_extension("log")).unwrap_or_default();
        assert!(!log.contains("panicked"), "{place}: {log}");
    }
}
