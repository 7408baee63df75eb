//! The conformance list, as far as the row executor can run it: values and SQLSTATEs as PostgreSQL 15 gave
//! them. Statements that only the report engine runs are passed over here.

use super::world::{Outcome, World};

const LIST: &str = include_str!("../../../../tests/sql/conformance.txt");

/// Known to differ.
const DIFFERENT: &[&str] = &[
    // The C library's cube root is not the nearest one: 3.0000000000000004.
    "||/ 27",
];

/// A statement with what PostgreSQL answered.
struct Case {
    sql: String,
    rows: Vec<String>,
    error: Option<String>,
}

fn cases() -> Vec<Case> {
    let mut out: Vec<Case> = Vec::new();
    for line in LIST.lines().filter(|line| !line.starts_with('#')) {
        let Some(answer) = line.strip_prefix("    ") else {
            out.push(Case { sql: line.to_owned(), rows: Vec::new(), error: None });
            continue;
        };
        let case = out.last_mut().expect("an answer follows its statement");
        if let Some(row) = answer.strip_prefix("row ") {
            case.rows.push(row.to_owned());
        } else if answer == "row" {
            case.rows.push(String::new());
        } else if let Some(error) = answer.strip_prefix("error ").or_else(|| answer.strip_prefix("run ")) {
            case.error = error.split_whitespace().next().map(str::to_owned);
        }
    }
    out
}

#[test]
fn answers_are_postgresqls() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let mut wrong = Vec::new();
    let (mut run, mut passed_over) = (0, 0);
    runtime.block_on(async {
        let mut world = World::for_conformance().await;
        for case in cases() {
            if let Some(setup) = case.sql.strip_prefix('@') {
                if let Err(error) = world.run("", setup, &mut |_| panic!("no report")).await {
                    panic!("{setup}: {error}");
                }
                continue;
            }
            // Statements with parameters are the binder's tests.
            if DIFFERENT.iter().any(|part| case.sql.contains(part)) {
                continue;
            }
            if case.sql.contains('$') && case.error.is_none() {
                continue;
            }
            let outcome = world.evaluate(&case.sql).await;
            let (rows, error) = match outcome {
                Ok(Some(Outcome::Rows(rows, _))) => (rows, None),
                Ok(_) => {
                    passed_over += 1;
                    continue;
                }
                Err(error) => (vec![error.to_string()], Some(error.sqlstate().to_string())),
            };
            run += 1;
            let agrees = match (&case.error, &error) {
                (Some(expected), Some(actual)) => expected == actual,
                (None, None) => {
                    let (mut expected, mut actual) = (case.rows.clone(), rows.clone());
                    if !case.sql.contains("order by") {
                        expected.sort();
                        actual.sort();
                    }
                    expected == actual
                }
                _ => false,
            };
            if !agrees {
                let expected =
                    case.error.map_or_else(|| case.rows.join(" / "), |error| format!("error {error}"));
                wrong.push(format!("{}\n    is   {}\n    not  {expected}", case.sql, rows.join(" / ")));
            }
        }
    });
    assert!(
        wrong.is_empty(),
        "{} of {run} wrong, {passed_over} passed over:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(run > 250, "only {run} statements were run");
}
