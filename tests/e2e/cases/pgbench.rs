//! pgbench as it is: its initialisation and its built-in scripts, and the books balance afterwards.

use crate::Case;
use crate::server::{Server, expect_success};
use crate::tools::Tool;
use std::process::Command;

pub const CASES: &[Case] = &[Case {
    name: "pgbench_runs_unmodified_and_the_books_balance",
    tools: &[Tool::Psql, Tool::Pgbench],
    run: built_in_scripts,
}];

fn pgbench(server: &Server, arguments: &[&str]) -> String {
    let mut command = Command::new("pgbench");
    command.args(["-h", "127.0.0.1", "-U", "postgres", "-p", &server.sql_port.to_string()]);
    let output = command.args(arguments).arg("bench").output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).to_string();
    let said = expect_success(&format!("pgbench {arguments:?}"), output);
    assert!(!errors.contains("aborted"), "{errors}");
    said
}

fn built_in_scripts() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("data");
    let server = Server::start(&folder);
    server.sql("create database bench");
    pgbench(&server, &["-i", "-q", "-s", "1"]);
    let bench = |text: &str| {
        let output = server.psql("bench").args(["-qAt", "-c", text]).output().unwrap();
        expect_success(text, output)
    };
    assert_eq!(bench("select count(*) from pgbench_accounts"), "100000");
    for mode in ["simple", "prepared"] {
        for clients in ["1", "8"] {
            for script in ["tpcb-like", "simple-update", "select-only"] {
                let run = ["-n", "-b", script, "-M", mode, "-c", clients, "-t", "40", "-s", "1"];
                let said = pgbench(&server, &run);
                assert!(
                    said.contains("number of failed transactions: 0 "),
                    "{script} {mode} {clients}: {said}"
                );
            }
        }
    }
    let sums = "select (select sum(bbalance) from pgbench_branches), (select sum(tbalance) from pgbench_tellers), \
                (select sum(delta) from pgbench_history where bid is not null)";
    let row = bench(sums);
    let parts: Vec<_> = row.split('|').collect();
    assert_eq!(parts.len(), 3, "{row}");
    assert_eq!(parts[0], parts[1], "branches and tellers had the same transactions");
    assert_eq!(
        bench("select sum(abalance) from pgbench_accounts"),
        parts[2],
        "accounts agree with the history"
    );
    // tpcb-like: 2 modes, 1 and 8 clients, 40 each; simple-update writes history too.
    assert_eq!(bench("select count(*) from pgbench_history"), (2 * 2 * (1 + 8) * 40).to_string());
    server.stop();
}
