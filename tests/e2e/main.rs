//! End-to-end tests: each starts the real program on an empty data folder and uses it as its users do.
//!
//! Every server runs with tiny limits ([`server::TINY`]), so that a short test crosses flush, upload,
//! trim, fold and eviction. A test that drives a tool (psql, pgbench) and does not find it is not run;
//! the list at the end says so, with the command that installs it. Under `REQUIRE_TOOLS=1` that is a
//! failure.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::zombie_processes,
    missing_docs,
    unreachable_pub,
    reason = "tests use the real clock, disk and processes, and print"
)]

mod cases;
mod histories;
mod isolation;
mod server;
mod tools;
mod wire;

use libtest_mimic::{Arguments, Conclusion, Failed, Trial};
use std::process::ExitCode;

/// A test: its name, the tools it needs, and what it does.
pub struct Case {
    pub name: &'static str,
    pub tools: &'static [tools::Tool],
    pub run: fn(),
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Each test runs several processes; two at a time keep a small machine busy.
    arguments.test_threads.get_or_insert(2);
    let mut not_run = Vec::new();
    let mut trials = Vec::new();
    for case in cases::all() {
        let missing: Vec<_> = case.tools.iter().filter(|tool| !tool.is_here()).collect();
        if missing.is_empty() {
            trials.push(Trial::test(case.name, move || run(case.run)));
            continue;
        }
        let commands: Vec<_> = missing.iter().map(|tool| tool.install()).collect();
        let line = format!("{}: {}", case.name, commands.join("; "));
        if std::env::var_os("REQUIRE_TOOLS").is_some_and(|value| value == "1") {
            let message = format!("a tool is missing: {line}");
            trials.push(Trial::test(case.name, move || Err(Failed::from(message))));
        } else {
            trials.push(Trial::test(case.name, || Ok(())).with_ignored_flag(true));
            not_run.push(line);
        }
    }
    let conclusion: Conclusion = libtest_mimic::run(&arguments, trials);
    for line in &not_run {
        println!("NOT RUN {line}");
    }
    if conclusion.has_failed() { ExitCode::from(101) } else { ExitCode::SUCCESS }
}

fn run(case: fn()) -> Result<(), Failed> {
    case();
    Ok(())
}
