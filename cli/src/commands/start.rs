//! `shardforge start`: every part in this process, until a signal.

use crate::embedded::Embedded;
use crate::output::{complain, one_line, say};
use crate::telemetry;
use anyhow::{Context, Result, anyhow};
use shardforge_common::config::{Config, FILE_NAME};
use shardforge_common::task;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The configuration file. Without it: shardforge.toml in the data folder when it is there,
    /// else defaults.
    #[arg(long, env = "SHARDFORGE_CONFIG")]
    config: Option<PathBuf>,
    /// The data folder; made when it is missing.
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// Address for PostgreSQL clients.
    #[arg(long)]
    sql_listen: Option<SocketAddr>,
    /// Address of the REST API, health and metrics.
    #[arg(long)]
    http_listen: Option<SocketAddr>,
}

pub(crate) fn run(args: Args) -> Result<ExitCode> {
    start(args).map_err(|error| match advice(&error) {
        Some(advice) => anyhow!("{}; {advice}", one_line(&error)),
        None => error,
    })
}

/// What to do about an error of the file system.
fn advice(error: &anyhow::Error) -> Option<&'static str> {
    let kind = error.chain().find_map(|cause| cause.downcast_ref::<std::io::Error>())?.kind();
    Some(match kind {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "free some space there, or choose another folder with --data-dir"
        }
        ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => {
            "let this user write there, or choose another folder with --data-dir"
        }
        ErrorKind::AlreadyExists | ErrorKind::NotADirectory | ErrorKind::NotFound => {
            "choose another folder with --data-dir"
        }
        _ => return None,
    })
}

fn start(args: Args) -> Result<ExitCode> {
    let config = load(&args)?;
    let metrics = telemetry::install(&config.node)?;
    let names: Vec<String> = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()).collect();
    for name in Config::not_settings(names.iter().map(String::as_str)) {
        tracing::warn!("{name} in the environment is not a setting and has no effect");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_name("shardforge")
        .enable_all()
        .build()
        .context("cannot start threads")?;
    // Ingest, compaction and uploads have threads of their own, so that they cannot hold up a commit. Reads may
    // wait for ingest, and that for memtables to be written; nobody waits for compaction.
    let ingest = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("ingest")
        .enable_all()
        .build()
        .context("cannot start threads")?;
    let background = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("background")
        .on_thread_start(task::lower_priority)
        .enable_all()
        .build()
        .context("cannot start threads")?;
    let code = runtime.block_on(async {
        let signal = stop_signal()?;
        let running = Embedded::start(&config, metrics, (ingest.handle(), background.handle())).await?;
        greet(&config, &running);
        let failed = tokio::select! {
            () = signal => None,
            reason = running.failed() => Some(reason),
        };
        match &failed {
            None => say!("stopping"),
            Some(reason) => complain!("shardforge: stopping, because the log has stopped: {reason}"),
        }
        running.stop().await;
        Ok::<_, anyhow::Error>(if failed.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    });
    ingest.shutdown_timeout(std::time::Duration::from_secs(5));
    background.shutdown_timeout(std::time::Duration::from_secs(5));
    runtime.shutdown_timeout(std::time::Duration::from_secs(5));
    code
}

fn load(args: &Args) -> Result<Config> {
    let in_folder = || {
        let folder =
            args.data_dir.clone().or_else(|| std::env::var_os("SHARDFORGE_NODE_DATA_DIR").map(PathBuf::from));
        let path = folder.unwrap_or_else(|| PathBuf::from("data")).join(FILE_NAME);
        path.exists().then_some(path)
    };
    let path = args.config.clone().or_else(in_folder);
    let env = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let mut config = Config::load(path.as_deref(), env)?;
    if let Some(folder) = &args.data_dir {
        config.node.data_dir.clone_from(folder);
    }
    if let Some(address) = args.sql_listen {
        config.sql.listen = address;
    }
    if let Some(address) = args.http_listen {
        config.http.listen = address;
    }
    config.check()?;
    Ok(config)
}

/// Completes at SIGINT or SIGTERM. Installed before anything starts, so that none is missed.
fn stop_signal() -> Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot watch for SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot watch for SIGTERM")?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

fn greet(config: &Config, running: &Embedded) {
    let (sql, http) = (running.sql, running.http);
    say!("ShardForge {} is ready.", env!("CARGO_PKG_VERSION"));
    say!("  data      {}", config.node.data_dir.display());
    say!("  objects   {}", running.store);
    say!("  SQL       psql -h {} -p {} -U postgres postgres", sql.ip(), sql.port());
    say!("  REST API  http://{http}/v1/status");
    say!("  status    shardforge status --url http://{http}");
    say!("Ctrl-C stops it.");
}
