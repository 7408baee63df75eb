//! Scripts of SQL through psql, compared with what a real PostgreSQL 15 answered: rows, messages,
//! SQLSTATEs, positions, command tags and psql's own descriptions of objects.
//!
//! `tests/sql/psql/NAME.sql` runs in a database of its own, `NAME.out` is PostgreSQL's answer to it
//! (`tests/sql/psql/regenerate.sh` writes it). The output is cut into one block for each statement. A
//! statement below a line `-- differs: reason` is known to answer otherwise, and must: a difference that
//! has gone is taken off the list.

use crate::Case;
use crate::server::Server;
use crate::tools::Tool;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

pub const CASES: &[Case] =
    &[Case { name: "psql_answers_as_with_postgresql_15", tools: &[Tool::Psql], run: scripts }];

const DIFFERS: &str = "-- differs: ";

fn scripts() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data"));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/sql/psql");
    let mut names: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sql"))
        .collect();
    names.sort();
    assert!(!names.is_empty(), "no scripts in {}", folder.display());
    let mut wrong = String::new();
    for path in names {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let script = std::fs::read_to_string(&path).unwrap();
        let expected = std::fs::read_to_string(path.with_extension("out")).unwrap();
        server.sql(&format!("create database {name}"));
        let actual = run(&server, name, &script);
        let (expected, actual) = (blocks(&script, &expected), blocks(&script, &actual));
        assert_eq!(expected.len(), actual.len(), "{name}: psql did not reach the end of the script");
        for (theirs, ours) in expected.iter().zip(&actual) {
            if theirs.differs != (theirs.output == ours.output) {
                continue;
            }
            let what = if theirs.differs { "no longer differs" } else { "differs" };
            wrong.push_str(&format!("{name}: {what}\n{}", theirs.output));
            if !theirs.differs {
                wrong.push_str(&format!("--- ours:\n{}", ours.output));
            }
        }
    }
    server.stop();
    assert!(wrong.is_empty(), "{wrong}");
}

/// Both of psql's streams, in the order in which it wrote them.
fn run(server: &Server, database: &str, script: &str) -> String {
    let mut psql = Command::new("sh")
        .args([
            "-c",
            "exec psql -X -a -v VERBOSITY=verbose -h 127.0.0.1 -U postgres -p \"$0\" -d \"$1\" 2>&1",
        ])
        .args([&server.sql_port.to_string(), database])
        .env_remove("PGOPTIONS")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = psql.stdin.take().unwrap();
    let script = script.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(script.as_bytes()));
    let output = psql.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// What a statement printed, its own text first.
struct Block {
    output: String,
    differs: bool,
}

/// The output from each statement's last line on. Data of COPY is not echoed, and comments belong to no block.
fn blocks(script: &str, output: &str) -> Vec<Block> {
    let is_statement = |line: &&str| line.ends_with(';') || (line.starts_with('\\') && *line != "\\.");
    let mut statements = script.lines().filter(is_statement).peekable();
    let mut out = vec![Block { output: String::new(), differs: false }];
    let mut differs = false;
    // Where the source of PostgreSQL raised an error is no part of its answer.
    for line in output.lines().filter(|line| !line.starts_with("LOCATION: ")) {
        if line.starts_with("-- ") {
            differs |= line.starts_with(DIFFERS);
            continue;
        }
        if statements.peek().is_some_and(|statement| *statement == line) {
            statements.next();
            out.push(Block { output: String::new(), differs: std::mem::take(&mut differs) });
        }
        if let Some(block) = out.last_mut() {
            block.output.push_str(line);
            block.output.push('\n');
        }
    }
    out
}
