//! What people see: lines, tables, trees, durations.

use serde_json::Value;
use std::io::Write;

/// Prints a line to standard output, as `println!` does, but without a panic when nobody reads it any more.
macro_rules! say {
    ($($part:tt)*) => { $crate::output::line(format_args!($($part)*)) };
}
pub(crate) use say;

/// As [`say!`], for standard error.
macro_rules! complain {
    ($($part:tt)*) => { $crate::output::error_line(format_args!($($part)*)) };
}
pub(crate) use complain;

/// The line of [`say!`]. When the reader is gone (`shardforge status | head -1`), there is nobody left to tell: the
/// rest is not printed, and the command goes on to its end; a server must not stop because its terminal was closed.
pub(crate) fn line(text: std::fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// As [`line()`], for standard error.
pub(crate) fn error_line(text: std::fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

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
    let joined = |cells: &[String]| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!(" {cell:<width$} "));
        padded.collect::<Vec<_>>().join("|").trim_end().to_string()
    };
    say!("{}", joined(&header.iter().map(ToString::to_string).collect::<Vec<_>>()));
    say!("{}", widths.iter().map(|width| "-".repeat(width + 2)).collect::<Vec<_>>().join("+"));
    rows.iter().for_each(|row| say!("{}", joined(row)));
}

/// Prints a JSON value, indented, a scalar a line.
pub(crate) fn tree(value: &Value, indent: usize) {
    let pad = " ".repeat(indent);
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::Object(_) | Value::Array(_) => {
                        say!("{pad}{name}:");
                        tree(value, indent + 2);
                    }
                    Value::String(text) => say!("{pad}{name}: {text}"),
                    other => say!("{pad}{name}: {other}"),
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                say!("{pad}-");
                tree(item, indent + 2);
            }
        }
        other => say!("{pad}{other}"),
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
