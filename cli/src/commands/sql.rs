//! `shardforge sql`: runs SQL given as an argument or on standard input, or opens a shell.

use crate::output;
use anyhow::{Context, Result, bail};
use std::io::{IsTerminal, Read};
use std::process::ExitCode;
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
            explain(&error)
        )
    })?;
    let notices = tokio::spawn(async move {
        while let Some(Ok(message)) = std::future::poll_fn(|cx| connection.poll_message(cx)).await {
            if let tokio_postgres::AsyncMessage::Notice(notice) = message {
                eprintln!("{}:  {}", notice.severity(), notice.message());
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

/// Runs statements and prints what comes back; whether they succeeded.
async fn execute(client: &Client, text: &str, format: output::Format) -> bool {
    match client.simple_query(text).await {
        Ok(messages) => {
            print(&messages, format);
            true
        }
        Err(error) => {
            eprintln!("{}", explain(&error));
            false
        }
    }
}

fn explain(error: &tokio_postgres::Error) -> String {
    let Some(db) = error.as_db_error() else {
        let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
        return format!("{error}{cause}");
    };
    let mut out = format!("{}:  {} (SQLSTATE {})", db.severity(), db.message(), db.code().code());
    for (name, part) in [("DETAIL", db.detail()), ("HINT", db.hint())] {
        if let Some(part) = part {
            out.push_str(&format!("\n{name}:  {part}"));
        }
    }
    out
}

fn print(messages: &[SimpleQueryMessage], format: output::Format) {
    let mut header: Vec<String> = Vec::new();
    let mut rows: Vec<Vec<Option<String>>> = Vec::new();
    for message in messages {
        match message {
            SimpleQueryMessage::RowDescription(columns) => {
                header = columns.iter().map(|column| column.name().to_string()).collect();
                rows.clear();
            }
            SimpleQueryMessage::Row(row) => {
                rows.push((0..row.len()).map(|i| row.get(i).map(str::to_string)).collect());
            }
            SimpleQueryMessage::CommandComplete(count) => {
                match format {
                    output::Format::Json => {
                        for row in &rows {
                            let object: serde_json::Map<String, serde_json::Value> =
                                header.iter().cloned().zip(row.iter().map(|v| v.clone().into())).collect();
                            println!("{}", serde_json::Value::Object(object));
                        }
                    }
                    output::Format::Table if header.is_empty() => println!("ok ({count} rows)"),
                    output::Format::Table => {
                        let names: Vec<&str> = header.iter().map(String::as_str).collect();
                        let cells: Vec<Vec<String>> = rows
                            .iter()
                            .map(|row| row.iter().map(|v| v.clone().unwrap_or_default()).collect())
                            .collect();
                        output::table(&names, &cells);
                        println!("({} row{})\n", rows.len(), if rows.len() == 1 { "" } else { "s" });
                    }
                }
                header.clear();
                rows.clear();
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
    println!("ShardForge SQL. A statement ends with \";\". \\q quits, \\? helps.");
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
                "\\?" => println!(
                    "\\l  databases\n\\dt tables\n\\q  quit\nAll of PostgreSQL's backslash commands are in psql."
                ),
                other => eprintln!("{other} is not known here; \\? lists what is"),
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
