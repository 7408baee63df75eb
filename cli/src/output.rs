//! What people see: tables, trees, durations.

use serde_json::Value;

/// How a command answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// Prints rows under a header, as psql does.
pub(crate) fn table(header: &[&str], rows: &[Vec<String>]) {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).flat_map(|cell| cell.lines());
        cells.map(|line| line.chars().count()).chain([header[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let line = |cells: &[String]| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!(" {cell:<width$} "));
        padded.collect::<Vec<_>>().join("|").trim_end().to_string()
    };
    println!("{}", line(&header.iter().map(ToString::to_string).collect::<Vec<_>>()));
    println!("{}", widths.iter().map(|width| "-".repeat(width + 2)).collect::<Vec<_>>().join("+"));
    rows.iter().for_each(|row| println!("{}", line(row)));
}

/// Prints a JSON value, indented, a scalar a line.
pub(crate) fn tree(value: &Value, indent: usize) {
    let pad = " ".repeat(indent);
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::Object(_) | Value::Array(_) => {
                        println!("{pad}{name}:");
                        tree(value, indent + 2);
                    }
                    Value::String(text) => println!("{pad}{name}: {text}"),
                    other => println!("{pad}{name}: {other}"),
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                println!("{pad}-");
                tree(item, indent + 2);
            }
        }
        other => println!("{pad}{other}"),
    }
}

/// Seconds for a person.
pub(crate) fn duration(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min {} s", seconds % 60),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

/// An error and its causes on one line. A cause that the error has told already is not told again.
pub(crate) fn one_line(error: &anyhow::Error) -> String {
    let mut out = String::new();
    for cause in error.chain() {
        let text = cause.to_string();
        if out.is_empty() {
            out = text;
        } else if !out.contains(&text) {
            out = format!("{out}: {text}");
        }
    }
    let lines: Vec<_> = out.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_line_and_says_nothing_twice() {
        let error = anyhow::anyhow!("disk gone").context("cannot write: disk gone").context("safekeeper");
        assert_eq!(one_line(&error), "safekeeper: cannot write: disk gone");
        assert_eq!(one_line(&anyhow::anyhow!("no size\n\nin `a.b`\n")), "no size; in `a.b`");
    }
}
