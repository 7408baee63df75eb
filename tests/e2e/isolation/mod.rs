//! Scripts of several sessions whose statements are interleaved in a given order, run against our server
//! and against a real PostgreSQL 15: what each level permits is shown there, not believed.
//!
//! # A script
//!
//! ```text
//! # What it is about.
//! levels: read committed, serializable     runs once for each; without it, once
//! victim: T2                               whose deadlock check PostgreSQL runs first
//! setup: create table t (id int primary key, v int)
//!
//! T1: begin $LEVEL
//! T2: update t set v = 2 where id = 1
//! T2! commit
//! ```
//!
//! A step is one statement of one session. A statement that blocks on another session's lock is part of
//! the script: its session `waits`, the next step begins, and its answer is shown below the step that
//! let it go on. After `!` the runner waits for the answer even while the session is blocked: a timeout
//! will end it.
//!
//! # What is compared
//!
//! `NAME.out` beside `NAME.script` is PostgreSQL's transcript. Where ours is stricter on purpose,
//! `NAME.ours` holds ours; its first line says why, and it must differ from the other.
//! `UPDATE_GOLDENFILES=1` writes the first from PostgreSQL and the second from our server.
//!
//! No time is measured: the runner asks the server who waits for a lock, and else waits for answers.

mod peer;
mod run;
mod script;
mod target;

pub use peer::Peer;
pub use script::Script;
pub use target::{Ours, Target};

use std::path::{Path, PathBuf};

/// The scripts of a folder below `tests/isolation`, by name.
pub fn scripts(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/isolation").join(folder);
    let entries = std::fs::read_dir(&folder).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "script"));
    let only = std::env::var("ISOLATION_SCRIPT").unwrap_or_default();
    paths.retain(|path| path.to_string_lossy().contains(&only));
    paths.sort();
    paths
}

/// Runs a script on PostgreSQL, and answers how its transcript differs from the one on file.
pub fn check_peer(peer: &Peer, path: &Path) -> Result<(), String> {
    let script = Script::load(path)?;
    let expected = std::fs::read_to_string(path.with_extension("out")).unwrap_or_default();
    let update = updating();
    let actual = run::run(peer, &script, (!update).then_some(&expected[..]))?;
    if update && actual != expected {
        std::fs::write(path.with_extension("out"), &actual).unwrap();
        return Ok(());
    }
    compare(path, &expected, &actual)
}

/// Runs a script on our server, and answers how it differs from what it should say.
pub fn check_ours(ours: &Ours, path: &Path) -> Result<(), String> {
    let script = Script::load(path)?;
    let peers = std::fs::read_to_string(path.with_extension("out")).map_err(|e| format!("{path:?}: {e}"))?;
    let own_path = path.with_extension("ours");
    let own = std::fs::read_to_string(&own_path).ok();
    let (reason, own) = match &own {
        Some(text) => text.split_once('\n').map(|(reason, text)| (reason, Some(text))).unwrap_or(("", None)),
        None => ("", None),
    };
    if updating() {
        let actual = run::run(ours, &script, None)?;
        if actual == peers {
            let _ = std::fs::remove_file(&own_path);
        } else {
            let reason = if reason.is_empty() { "# why?" } else { reason };
            std::fs::write(&own_path, format!("{reason}\n{actual}")).unwrap();
        }
        return Ok(());
    }
    if own.is_some() && (!reason.starts_with("# ") || reason == "# why?") {
        return Err(format!("{}: the first line says why it differs", own_path.display()));
    }
    if own == Some(&peers) {
        return Err(format!("{}: it no longer differs", own_path.display()));
    }
    let expected = own.unwrap_or(&peers);
    compare(path, expected, &run::run(ours, &script, Some(expected))?)
}

fn updating() -> bool {
    std::env::var_os("UPDATE_GOLDENFILES").is_some_and(|value| value == "1")
}

/// The first line that differs, with what led to it.
fn compare(path: &Path, expected: &str, actual: &str) -> Result<(), String> {
    if expected == actual {
        return Ok(());
    }
    let same = expected.lines().zip(actual.lines()).take_while(|(a, b)| a == b).count();
    let from = expected.lines().take(same).collect::<Vec<_>>();
    let start = from.iter().rposition(|line| line.starts_with("== ")).unwrap_or(0);
    let rest = |text: &str| text.lines().skip(same).take(6).collect::<Vec<_>>().join("\n");
    Err(format!(
        "{}\n{}\n--- expected:\n{}\n--- got:\n{}",
        path.display(),
        from[start..].join("\n"),
        rest(expected),
        rest(actual)
    ))
}
