//! Queries with the rows that PostgreSQL gives for them.

use crate::world::World;
use shardforge_analytics::EngineConfig;
use std::path::Path;

/// A query and what comes of it.
struct Case {
    line: usize,
    query: String,
    expected: Vec<String>,
}

#[allow(clippy::disallowed_methods)] // test files, read as they lie
fn read(path: &Path) -> Vec<Case> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut cases = Vec::new();
    let mut lines = text.lines().enumerate().peekable();
    while let Some((at, line)) = lines.next() {
        if line.trim().is_empty() || line.starts_with("--") {
            continue;
        }
        let mut query = vec![line];
        while let Some((_, line)) = lines.next()
            && line != "----"
        {
            query.push(line);
        }
        let mut expected = Vec::new();
        while let Some((_, line)) = lines.next()
            && !line.is_empty()
        {
            expected.push(line.to_owned());
        }
        cases.push(Case { line: at + 1, query: query.join("\n"), expected });
    }
    cases
}

/// Whether the query itself, not one inside of it, has an ORDER BY.
fn is_ordered(query: &str) -> bool {
    let mut depth = 0;
    let mut outer = String::new();
    for c in query.to_lowercase().chars() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            c if depth == 0 => outer.push(c),
            _ => {}
        }
    }
    outer.contains("order by") && !outer.contains(" over ")
}

fn run(name: &str, world: &World) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sql/cases").join(name);
    let mut failures = Vec::new();
    for case in read(&path) {
        let mut got = match world.lines(case.query.trim_end_matches(';')) {
            Ok(lines) => lines.iter().flat_map(|line| line.split('\n').map(str::to_owned)).collect(),
            Err(error) => vec![format!("ERROR {}", error.sqlstate())],
        };
        let mut expected = case.expected.clone();
        if !is_ordered(&case.query) {
            got.sort();
            expected.sort();
        }
        if got != expected {
            let why = world.lines(case.query.trim_end_matches(';')).err();
            let why = why.map_or(String::new(), |error| format!("\n  {error}"));
            failures.push(format!(
                "{name}:{}: {}\n  expected {:?}\n  got      {:?}{why}",
                case.line, case.query, case.expected, got
            ));
        }
    }
    failures
}

#[test]
#[allow(clippy::disallowed_methods)] // test files, read as they lie
fn queries_give_what_postgresql_gives() {
    let config = EngineConfig { threads: 2, memory_bytes: 256 << 20, spill_dir: None };
    let world = World::new(config, concat!(include_str!("data/tables.sql"), include_str!("data/tpch.sql")));
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sql/cases");
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_str().unwrap().to_owned())
        .filter(|name| name.ends_with(".sql"))
        .filter(|name| std::env::var("CASES").map_or(true, |wanted| name.starts_with(&wanted)))
        .collect();
    names.sort();
    let failures: Vec<String> = names.iter().flat_map(|name| run(name, &world)).collect();
    assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures.join("\n\n"));
}
