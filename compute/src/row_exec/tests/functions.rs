//! Expressions without tables, against what PostgreSQL 15 answers.

use super::world::{Outcome, World};

/// `expression => value`, a line each; `!` is an SQLSTATE.
const CASES: &str = include_str!("expressions.txt");

#[test]
fn expressions_have_postgresql_values() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let mut wrong = Vec::new();
    runtime.block_on(async {
        let mut world = World::new().await;
        for line in CASES.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (expression, expected) = line.rsplit_once(" => ").expect("a case has a value");
            let sql = format!("select {expression}");
            let actual = match world.run("", &sql, &mut |_| panic!("no report")).await {
                Ok(Outcome::Rows(lines, _)) => lines.join("\\n"),
                Ok(Outcome::Waits) => "waits".to_owned(),
                Err(error) => format!("!{}", error.sqlstate()),
            };
            if actual != expected {
                wrong.push(format!("{expression}: {actual}, not {expected}"));
            }
        }
    });
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
