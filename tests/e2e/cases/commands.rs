//! `init`, `start`, `status` and `sql`, and the mistakes people make with them.

use super::crashes::Mounted;
use crate::Case;
use crate::server::{Server, expect_success, program};
use crate::tools::Tool;
use std::path::Path;
use std::process::{Command, Output, Stdio};

pub const CASES: &[Case] = &[
    Case { name: "init_writes_a_configuration_that_start_takes", tools: &[], run: init_then_start },
    Case { name: "status_asks_the_parts_and_its_exit_tells", tools: &[], run: status },
    Case { name: "sql_runs_text_from_argument_and_environment", tools: &[], run: sql },
    Case { name: "a_reader_that_goes_away_stops_nothing", tools: &[], run: readers_gone },
    Case { name: "a_second_process_on_the_folder_is_refused", tools: &[], run: second_process },
    Case { name: "a_port_in_use_is_named", tools: &[], run: port_in_use },
    Case { name: "a_configuration_mistake_is_named", tools: &[], run: bad_config },
    Case {
        name: "a_folder_that_cannot_be_written_is_one_line",
        tools: &[Tool::Mount],
        run: unwritable_folder,
    },
    Case { name: "a_newer_folder_is_refused", tools: &[], run: newer_folder },
    Case { name: "a_lost_log_is_not_started_anew", tools: &[], run: lost_log },
];

fn failure(output: Output) -> String {
    assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(!text.contains("panicked"), "{text}");
    text
}

fn init_then_start() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("data");
    let init = || program().args(["init", "--single-node", "--data-dir"]).arg(&folder).output().unwrap();
    expect_success("init", init());
    let again = failure(init());
    assert!(again.contains("exists already"), "{again}");
    let server = Server::start(&folder);
    server.stop();
    assert!(folder.join("safekeeper").is_dir(), "data_dir = \".\" is the folder of the file");
}

fn status() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data"));
    let url = format!("http://127.0.0.1:{}", server.http_port);
    let text =
        expect_success("status", program().args(["status", "--detailed", "--url", &url]).output().unwrap());
    for part in ["safekeeper", "pageserver", "compute", "control-plane", "object-store", "committed"] {
        assert!(text.contains(part), "{text}");
    }
    let json = program().args(["status", "--output", "json"]).env("SHARDFORGE_URL", &url).output().unwrap();
    assert!(expect_success("status", json).contains("\"healthy\": true"));
    server.stop();
    let gone = failure(program().args(["status", "--url", &url]).output().unwrap());
    assert!(gone.contains("--url"), "{gone}");
}

fn sql() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data"));
    let url = format!("postgresql://postgres@127.0.0.1:{}/postgres", server.sql_port);
    let text =
        program().args(["sql", "SELECT 1 as welcome"]).env("SHARDFORGE_SQL_URL", &url).output().unwrap();
    let text = expect_success("sql", text);
    assert!(text.contains("welcome") && text.contains("(1 row)"), "{text}");
    let both = program().args(["sql", "--url", &url, "select 1 as first; select 1/0"]).output().unwrap();
    assert!(String::from_utf8_lossy(&both.stdout).contains("first"), "what came before the error is shown");
    assert!(failure(both).contains("22012"));
    let pointed = failure(program().args(["sql", "--url", &url, "select nope"]).output().unwrap());
    assert!(pointed.contains("LINE 1: select nope\n               ^"), "{pointed}");
}

fn readers_gone() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start(&dir.path().join("data"));
    let url = format!("http://127.0.0.1:{}", server.http_port);
    let mut status = program();
    status.args(["status", "--detailed", "--url", &url]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut status = status.spawn().unwrap();
    drop(status.stdout.take());
    expect_success("status", status.wait_with_output().unwrap());
    server.close_stdout();
    server.stop();
}

fn second_process() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("data");
    let _server = Server::start(&folder);
    let Err(said) = Server::try_start(&folder, &[]) else { panic!("two processes on one folder") };
    assert!(said.contains("another process") || said.contains("in use"), "{said}");
}

fn port_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let start = program()
        .args(["start", "--sql-listen", &address, "--data-dir"])
        .arg(dir.path().join("data"))
        .output();
    let said = failure(start.unwrap());
    assert!(said.contains("is in use") && said.contains("--sql-listen"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

fn bad_config() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("shardforge.toml");
    for (text, wanted) in
        [("[sql]\nlisen = \"x\"\n", "lisen"), ("[sql]\nmax_connections = \"many\"\n", "max_connections")]
    {
        std::fs::write(&path, text).unwrap();
        let said = failure(program().args(["start", "--config"]).arg(&path).output().unwrap());
        assert!(said.contains(wanted), "{said}");
    }
    let said = failure(program().args(["start", "--config", "/no/such/file"]).output().unwrap());
    assert!(said.contains("/no/such/file"), "{said}");
    assert!(!dir.path().join("data").exists(), "nothing was made");
}

/// Start must fail with one line that holds all of `wanted`.
fn start_failure(folder: &Path, settings: &[(&str, &str)], wanted: &[&str]) {
    let mut start = program();
    start.args(["start", "--sql-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0", "--data-dir"]);
    let said = failure(start.arg(folder).envs(settings.iter().copied()).output().unwrap());
    assert_eq!(said.lines().count(), 1, "{said}");
    for part in wanted {
        assert!(said.contains(part), "{part} is not in: {said}");
    }
    assert!(said.matches("(os error").count() <= 1, "the same is said twice: {said}");
}

fn unwritable_folder() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "not a folder").unwrap();
    start_failure(&file, &[], &["shardforge: ", "file", "--data-dir"]);
    start_failure(Path::new("/proc/no/such"), &[], &["/proc/no/such", "--data-dir"]);
    let wrong = [("SHARDFORGE_COMPUTE_CACHE_BYTES", "lots")];
    start_failure(&dir.path().join("data"), &wrong, &["SHARDFORGE_COMPUTE_CACHE_BYTES", "lots", "64MiB"]);
    let small = dir.path().join("small");
    let _mounted = Mounted::new(&small, "size=200k");
    start_failure(&small, &[], &["No space left", "free some space"]);
    let path = dir.path().join("read-only");
    let _mounted = Mounted::new(&path, "size=128m");
    let remount = |how: &str| {
        let status = Command::new("mount").args(["-o", &format!("remount,{how}")]).arg(&path).status();
        assert!(status.unwrap().success());
    };
    Server::start(&path).stop();
    remount("ro");
    start_failure(&path, &[], &["Read-only file system", "let this user write there", "--data-dir"]);
    start_failure(&path.join("new"), &[], &["Read-only file system", "--data-dir"]);
    // Nothing is damaged by that.
    remount("rw");
    Server::start(&path).stop();
}

fn newer_folder() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("data");
    Server::start(&folder).stop();
    std::fs::write(folder.join("FORMAT"), "99\n").unwrap();
    let Err(said) = Server::try_start(&folder, &[]) else { panic!("a newer folder was opened") };
    assert!(said.contains("99") && said.contains('1'), "{said}");
}

fn lost_log() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("data");
    Server::start(&folder).stop();
    std::fs::remove_dir_all(folder.join("safekeeper")).unwrap();
    let Err(said) = Server::try_start(&folder, &[]) else { panic!("a new log was begun over old data") };
    assert!(said.contains("safekeeper"), "{said}");
}
