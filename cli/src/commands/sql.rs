//! `shardforge sql`: runs SQL given as an argument or on standard input, or opens a shell.

use crate::output::{self, complain, say};
use anyhow::{Context, Result, bail};
use futures::TryStreamExt;
use std::io::{IsTerminal, Read};
use std::pin::pin;
use std::process::ExitCode;
use tokio_postgres::error::ErrorPosition;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

/// Where `start` listens unless told otherwise.
const DEFAULT_URL: &str = "postgresql://postgres@127.0.0.1:5432/postgres";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Statements, separated by semicolons. Without them: standard input, or a shell on a terminal.
    text: Vec<String>,
    /// The server, as postgresql://user:password@host:port/database.
    #[arg(long, env = "SHARDFORGE_SQL_URL", default_value = DEFAULT_URL)]
    url: String,
    /// How rows are printed.
    #[arg(long, value_enum, default_value_t = output::Format::Table)]
    output: output::Format,
}

pub(crate) fn run(args: Args) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(session(args))
}

async fn session(args: Args) -> Result<ExitCode> {
    let config: tokio_postgres::Config =
        args.url.parse().with_context(|| format!("\"{}\" is not a postgresql:// URL", args.url))?;
    let (client, mut connection) = config.connect(NoTls).await.map_err(|error| {
        anyhow::anyhow!(
            "cannot connect: {}; start a server with `shardforge start`, or name another with --url or SHARDFORGE_SQL_URL",
            explain(&error, "")
        )
    })?;
    let notices = tokio::spawn(async move {
        while let Some(Ok(message)) = std::future::poll_fn(|cx| connection.poll_message(cx)).await {
            if let tokio_postgres::AsyncMessage::Notice(notice) = message {
                complain!("{}:  {}", notice.severity(), notice.message());
            }
        }
    });
    let code = if !args.text.is_empty() {
        execute(&client, &args.text.join(" "), args.output).await
    } else if std::io::stdin().is_terminal() {
        shell(&client, args.output).await?
    } else {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("cannot read standard input")?;
        execute(&client, &text, args.output).await
    };
    drop(client);
    // The connection ends by itself once the client is gone; its last notices come before that.
    let _ = notices.await;
    Ok(if code { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs statements and prints what each gives as it comes; whether they succeeded. What was printed before an
/// error stays printed: it did happen, though a failed text of several statements is rolled back as one.
async fn execute(client: &Client, text: &str, format: output::Format) -> bool {
    let outcome = async {
        let mut messages = pin!(client.simple_query_raw(text).await?);
        let mut printer = Printer { format, header: Vec::new(), rows: Vec::new() };
        while let Some(message) = messages.try_next().await? {
            printer.take(message);
        }
        Ok(())
    };
    match outcome.await {
        Ok(()) => true,
        Err(error) => {
            complain!("{}", explain(&error, text));
            false
        }
    }
}

/// An error in psql's words, with the line it points at.
fn explain(error: &tokio_postgres::Error, text: &str) -> String {
    let Some(db) = error.as_db_error() else {
        let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
        return format!("{error}{cause}");
    };
    let mut out = format!("{}:  {} (SQLSTATE {})", db.severity(), db.message(), db.code().code());
    if let Some(ErrorPosition::Original(position)) = db.position() {
        out.push_str(&pointer(text, *position as usize));
    }
    for (name, part) in [("DETAIL", db.detail()), ("HINT", db.hint())] {
        if let Some(part) = part {
            out.push_str(&format!("\n{name}:  {part}"));
        }
    }
    out
}

/// The line of `text` that holds its character `position` (the first is 1), and a caret under that character.
fn pointer(text: &str, position: usize) -> String {
    let mut rest = position.saturating_sub(1);
    for (number, line) in text.split('\n').enumerate() {
        let length = line.chars().count();
        if rest <= length {
            let head = format!("LINE {}: ", number + 1);
            // A tab stays one, so that the caret stands right whatever its width.
            let pad: String = line.chars().take(rest).map(|c| if c == '\t' { c } else { ' ' }).collect();
            return format!("\n{head}{}\n{}{pad}^", line.trim_end(), " ".repeat(head.len()));
        }
        rest -= length + 1;
    }
    String::new()
}

/// Prints the results of statements, one after the other.
struct Printer {
    format: output::Format,
    header: Vec<String>,
    /// Of a table: its columns' widths are known at the end.
    rows: Vec<Vec<String>>,
}

impl Printer {
    fn take(&mut self, message: SimpleQueryMessage) {
        match (message, self.format) {
            (SimpleQueryMessage::RowDescription(columns), _) => {
                self.header = columns.iter().map(|column| column.name().to_string()).collect();
            }
            (SimpleQueryMessage::Row(row), output::Format::Json) => {
                let values = (0..row.len()).map(|i| row.get(i).into());
                let object: serde_json::Map<String, serde_json::Value> =
                    self.header.iter().cloned().zip(values).collect();
                say!("{}", serde_json::Value::Object(object));
            }
            (SimpleQueryMessage::Row(row), output::Format::Table) => {
                self.rows.push((0..row.len()).map(|i| row.get(i).unwrap_or_default().to_string()).collect());
            }
            (SimpleQueryMessage::CommandComplete(count), output::Format::Table) => {
                let (header, rows) = (std::mem::take(&mut self.header), std::mem::take(&mut self.rows));
                if header.is_empty() {
                    return say!("ok ({count} rows)");
                }
                output::table(&header.iter().map(String::as_str).collect::<Vec<_>>(), &rows);
                say!("({} row{})\n", rows.len(), if rows.len() == 1 { "" } else { "s" });
            }
            _ => {}
        }
    }
}

/// A prompt: a statement runs when a line ends it with a semicolon.
async fn shell(client: &Client, format: output::Format) -> Result<bool> {
    let mut editor = rustyline::DefaultEditor::new().context("cannot open the terminal")?;
    let history =
        std::env::var_os("HOME").map(|home| std::path::Path::new(&home).join(".shardforge_history"));
    if let Some(path) = &history {
        // No history yet is no reason not to start.
        let _ = editor.load_history(path);
    }
    say!("ShardForge SQL. A statement ends with \";\". \\q quits, \\? helps.");
    let mut statement = String::new();
    loop {
        let prompt = if statement.is_empty() { "shardforge=> " } else { "shardforge-> " };
        match editor.readline(prompt) {
            Ok(line) if statement.is_empty() && line.trim().starts_with('\\') => match line.trim() {
                "\\q" => break,
                "\\l" => {
                    execute(client, "select datname as name from pg_database order by 1", format).await;
                }
                "\\dt" => {
                    let text = "select schemaname as schema, tablename as name from pg_tables \
                                where schemaname not in ('pg_catalog', 'information_schema') order by 1, 2";
                    execute(client, text, format).await;
                }
                "\\?" => say!(
                    "\\l  databases\n\\dt tables\n\\q  quit\nAll of PostgreSQL's backslash commands are in psql."
                ),
                other => complain!("{other} is not known here; \\? lists what is"),
            },
            Ok(line) => {
                statement.push_str(&line);
                statement.push('\n');
                if line.trim_end().ends_with(';') {
                    // A history that cannot be kept is no reason to stop.
                    let _ = editor.add_history_entry(statement.trim());
                    execute(client, &statement, format).await;
                    statement.clear();
                    if client.is_closed() {
                        bail!("the connection to the server was lost");
                    }
                }
            }
            Err(rustyline::error::ReadlineError::Interrupted) => statement.clear(),
            Err(rustyline::error::ReadlineError::Eof) => break,
            Err(error) => return Err(error).context("cannot read the terminal"),
        }
    }
    if let Some(path) = &history {
        let _ = editor.save_history(path);
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::pointer;

    #[test]
    fn an_error_points_at_its_line() {
        assert_eq!(pointer("select 1,\n  é + x", 15), "\nLINE 2:   é + x\n            ^");
        assert_eq!(pointer("select", 7), "\nLINE 1: select\n              ^", "just after the end");
        assert_eq!(pointer("select", 99), "");
    }
}
