//! The binder against what a real PostgreSQL 15 says, and scripts of bound trees.

#![allow(clippy::unwrap_used)] // a test fails by it

mod catalog;

use catalog::{TestCatalog, shown};
use shardforge_compute::SqlResult;
use shardforge_compute::sql::bound::{Bound, BoundStatement, Ddl, OutputColumn};
use shardforge_compute::sql::explain_bound::explain_bound;
use shardforge_compute::sql::{BindContext, bind, parse};
use shardforge_types::Settings;

const CONFORMANCE: &str = include_str!("../../../tests/sql/conformance.txt");
const CLIENTS: &str = include_str!("../../../tests/sql/clients.txt");

fn bind_one(text: &str, catalog: &TestCatalog) -> SqlResult<Bound> {
    let settings = Settings::default();
    let ctx = BindContext { catalog, settings: &settings, param_types: &[] };
    let mut statements = parse(text)?;
    assert_eq!(statements.len(), 1, "{text}");
    bind(&statements.remove(0), &ctx)
}

fn output(statement: &BoundStatement) -> Option<&[OutputColumn]> {
    let returning = match statement {
        BoundStatement::Query(query) => return Some(&query.output),
        BoundStatement::Insert(insert) => &insert.returning,
        BoundStatement::Update(update) => &update.returning,
        BoundStatement::Delete(delete) => &delete.returning,
        _ => &None,
    };
    returning.as_ref().map(|returning| returning.output.as_slice())
}

/// What the binder says, in the words of conformance.txt.
fn answer(text: &str, catalog: &TestCatalog) -> (Vec<String>, String) {
    match bind_one(text, catalog) {
        Err(error) => {
            let position =
                error.fields().position.map_or_else(|| "-".to_owned(), |position| position.to_string());
            (vec![format!("error {} {position}", error.sqlstate())], shown(&error))
        }
        Ok(bound) => {
            let mut out = Vec::new();
            if !bound.params.is_empty() {
                let params: Vec<String> = bound.params.iter().map(ToString::to_string).collect();
                out.push(format!("params {}", params.join(", ")));
            }
            if let Some(columns) = output(&bound.statement) {
                let columns: Vec<String> =
                    columns.iter().map(|column| format!("{} {}", column.name, column.ty)).collect();
                out.push(format!("columns {}", columns.join(", ")));
            }
            (out, String::new())
        }
    }
}

/// Statements whose answer is known to differ, each with the reason.
const KNOWN: &[(&str, &str)] = &[(
    "insert into t (a, b) values (1, 'q') on conflict (b) do nothing",
    "PostgreSQL looks for the index when it plans, we when we bind",
)];

/// Compares the binder's answers with PostgreSQL's to each statement of a file.
fn compare(script: &str, at_least: usize) {
    let mut catalog = TestCatalog::new();
    let mut lines = script.lines().filter(|line| !line.starts_with('#')).peekable();
    let (mut failures, mut count) = (Vec::new(), 0);
    while let Some(statement) = lines.next() {
        if let Some(setup) = statement.strip_prefix('@') {
            catalog.run(setup).unwrap();
            continue;
        }
        let statement = statement.strip_prefix('?').unwrap_or(statement);
        let mut expected = Vec::new();
        while let Some(line) = lines.next_if(|line| line.starts_with("    ")) {
            expected.push(line.trim_start());
        }
        count += 1;
        // Rows are the executor's. Utility statements fail while they run; queries that do have bound.
        let (found, message) = answer(statement, &catalog);
        let utility = ["create", "drop", "alter", "truncate"].iter().any(|word| statement.starts_with(word));
        let wanted: Vec<String> = expected
            .iter()
            .filter(|line| !line.starts_with("row "))
            .filter(|line| utility || !line.starts_with("run "))
            .map(|line| line.replace("run ", "error "))
            .collect();
        if found != wanted && !KNOWN.iter().any(|(known, _)| *known == statement) {
            failures.push(format!("{statement}\n  wanted {wanted:?}\n  found  {found:?} {message}"));
        }
    }
    assert!(count >= at_least, "{count} statements");
    assert!(failures.is_empty(), "{} of {count} differ:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn types_states_and_positions_are_those_of_postgresql() {
    compare(CONFORMANCE, 430);
}

#[test]
fn what_clients_ask_of_the_catalogs_binds_with_postgresqls_types() {
    compare(CLIENTS, 60);
}

#[test]
fn parameters_that_the_client_typed_keep_their_types() {
    let catalog = TestCatalog::new();
    let settings = Settings::default();
    let types = [Some(shardforge_types::PgType::INT8), None];
    let ctx = BindContext { catalog: &catalog, settings: &settings, param_types: &types };
    let statement = parse("select $1 + 1, $2 || 'x'").unwrap().remove(0);
    let bound = bind(&statement, &ctx).unwrap();
    let params: Vec<String> = bound.params.iter().map(ToString::to_string).collect();
    assert_eq!(params, ["bigint", "text"]);
    assert_eq!(output(&bound.statement).unwrap()[0].ty, shardforge_types::PgType::INT8);
}

#[test]
fn a_text_is_cut_into_statements() {
    let text = "begin; select 1;; commit ;";
    let statements = parse(text).unwrap();
    let texts: Vec<&str> = statements.iter().map(|statement| statement.text()).collect();
    assert_eq!(texts, ["begin", "select 1", "commit"]);
    assert!(statements[2].ends_aborted_transaction() && !statements[1].ends_aborted_transaction());
    assert!(parse(" ; -- nothing\n").unwrap().is_empty());
    let error = parse("select 1; selct 2").unwrap_err();
    assert_eq!(shown(&error), "42601 11: syntax error at or near \"selct\"");
}

#[test]
fn if_exists_passes_over() {
    let catalog = TestCatalog::new();
    let bound = bind_one("drop table if exists nosuch", &catalog).unwrap();
    assert!(
        matches!(bound.statement, BoundStatement::Ddl(Ddl::DropTable { missing, .. }) if missing == ["nosuch"])
    );
}

/// Runs scripts of `> statement` lines, answering each with its bound tree.
struct Trees(TestCatalog);

impl goldenscript::Runner for Trees {
    type Command = goldenscript::Command;

    fn run(
        &mut self,
        command: &goldenscript::Command,
        _: &goldenscript::Context,
    ) -> Result<String, Box<dyn std::error::Error>> {
        let text = command.name.as_str();
        Ok(match bind_one(text, &self.0) {
            Ok(bound) => {
                if !text.starts_with("create table v") {
                    self.0.run(text)?;
                }
                explain_bound(&bound)
            }
            Err(error) => format!("{}\n", shown(&error)),
        })
    }
}

#[test]
fn statements_become_these_trees() {
    goldenscript::run(&mut Trees(TestCatalog::new()), "tests/binder/scripts/trees").unwrap();
}

/// Runs on a stack of the size that a connection's thread has.
fn on_a_worker_stack(f: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(2 << 20).spawn(f).unwrap().join().unwrap();
}

#[test]
#[allow(clippy::disallowed_methods, reason = "the size of the stack is what is tested")]
fn deep_nesting_is_refused_and_moderate_nesting_is_not() {
    on_a_worker_stack(|| {
        let catalog = TestCatalog::new();
        let nested = |open: &str, inner: &str, close: &str, n: usize| {
            format!("select {}{inner}{}", open.repeat(n), close.repeat(n))
        };
        let shapes: [(&str, &str, &str); 9] = [
            ("(", "1", ")"),
            ("not ", "true", ""),
            ("- ", "a", ""),
            ("array[", "1", "]"),
            ("[", "1", "]"),
            ("(select ", "1", ")"),
            ("abs(", "1", ")"),
            ("case when true then ", "1", " end"),
            ("1 + ", "1", ""),
        ];
        for (open, inner, close) in shapes {
            for n in [30, 100, 240, 1000, 20_000] {
                let prefix = if open == "[" { "array" } else { "" };
                let text = nested(open, inner, close, n).replacen("select ", &format!("select {prefix}"), 1);
                let result = bind_one(&text, &catalog);
                let state = result.as_ref().err().map(|error| error.sqlstate().to_string());
                if n == 30 {
                    assert_ne!(state.as_deref(), Some("54001"), "{open} {n}");
                }
            }
        }
        let tables: Vec<String> = (0..5000).map(|i| format!("(select 1) x{i}")).collect();
        let error = bind_one(&format!("select 1 from {}", tables.join(",")), &catalog).unwrap_err();
        assert_eq!(error.sqlstate().to_string(), "54001");
        let deep = format!("select 1 from {}(select 1) x{}", "(".repeat(5000), ")".repeat(5000));
        assert!(bind_one(&deep, &catalog).is_err());
        let and = vec!["1 = 1"; 20_000].join(" and ");
        bind_one(&format!("select {and}"), &catalog).unwrap();
    });
}

/// Pieces of SQL: put together at random they are mostly wrong, and must be refused, never panic.
const PIECES: &[&str] = &[
    "select",
    "from",
    "where",
    "t",
    "a",
    "(",
    ")",
    "*",
    ",",
    "1",
    "'x'",
    "$1",
    "=",
    "+",
    "-",
    "::",
    "int",
    "numeric(1)",
    "[",
    "]",
    "array",
    "case",
    "when",
    "then",
    "end",
    "and",
    "or",
    "not",
    "in",
    "between",
    "like",
    "is",
    "null",
    "group",
    "by",
    "order",
    "limit",
    "having",
    "count(*)",
    "sum(a)",
    "union",
    "with",
    "q",
    "as",
    "recursive",
    "join",
    "on",
    "using",
    "left",
    "lateral",
    "insert",
    "into",
    "values",
    "update",
    "set",
    "delete",
    "returning",
    "conflict",
    "do",
    "nothing",
    "create",
    "table",
    "primary",
    "key",
    "default",
    "check",
    "alter",
    "drop",
    "copy",
    "stdin",
    "over",
    "partition",
    ".",
    ";",
    "\"",
    "'",
    "e'\\",
    "$$",
    "/*",
    "--",
    "é",
    "\u{0}",
    "1e",
    "exists",
    "any",
    "all",
    "row",
    "interval",
    "date",
    "generate_series(1,3)",
    "distinct",
    "extract(",
    "trim(",
    "for",
    "explain",
    "prepare",
    "(select 1)",
    "u",
    "x",
    "|| ",
];

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(3000))]

    #[test]
    fn no_text_panics(picks in proptest::collection::vec(0..PIECES.len(), 1..14)) {
        let mut catalog = TestCatalog::with_user_tables();
        let text: Vec<&str> = picks.iter().map(|pick| PIECES[*pick]).collect();
        let _ = catalog.run(&text.join(" "));
        let _ = catalog.run(&format!("select {} from t", text.join(" ")));
    }
}

#[test]
fn an_aggregate_of_an_outer_query_is_refused() {
    let mut catalog = TestCatalog::new();
    catalog.run("create table outer_t (a int, b int)").unwrap();
    catalog.run("create table inner_t (c int)").unwrap();
    for text in [
        "select (select sum(o.a) from inner_t) from outer_t o",
        "select (select count(*) filter (where o.a > 1) from inner_t) from outer_t o",
        "select (select max((select c from inner_t where c = o.a))) from outer_t o",
    ] {
        assert_eq!(bind_one(text, &catalog).unwrap_err().sqlstate().to_string(), "0A000", "{text}");
    }
    let own = "select (select sum(o.a + c) filter (where o.b > 1) from inner_t) from outer_t o";
    assert!(bind_one(own, &catalog).is_ok(), "with a column of its own query it belongs there");
}
