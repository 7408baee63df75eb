//! `shardforge status`: asks a running ShardForge how each of its parts fares.

use crate::output::{self, Format, say};
use anyhow::{Context, Result};
use shardforge_control_plane::api::Status;
use std::process::ExitCode;
use std::time::Duration;

/// Where `start` listens unless told otherwise.
const DEFAULT_URL: &str = "http://127.0.0.1:8432";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The REST API's address.
    #[arg(long, env = "SHARDFORGE_URL", default_value = DEFAULT_URL)]
    url: String,
    /// Say all that each part knows of itself.
    #[arg(long)]
    detailed: bool,
    /// table or json.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    output: Format,
}

pub(crate) fn run(args: Args) -> Result<ExitCode> {
    let url = format!("{}/v1/status", args.url.trim_end_matches('/'));
    let agent: ureq::Agent =
        ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(15))).build().into();
    let mut response = agent.get(&url).call().with_context(|| {
        format!(
            "no ShardForge answers at {}; start one, or name another with --url or SHARDFORGE_URL",
            args.url
        )
    })?;
    let text = response.body_mut().read_to_string().context("the answer was cut short")?;
    let status: Status = serde_json::from_str(&text)
        .with_context(|| format!("what answers at {} is not ShardForge's REST API", args.url))?;
    match args.output {
        Format::Json => say!("{}", serde_json::to_string_pretty(&status)?),
        Format::Table => print(&status, args.detailed),
    }
    Ok(if status.healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print(status: &Status, detailed: bool) {
    let health = if status.healthy { "healthy" } else { "NOT HEALTHY" };
    say!("ShardForge {}: {health}, up {}", status.version, output::duration(status.uptime_seconds));
    let rows = status.parts.iter().map(|part| {
        let health = if part.healthy { "ok" } else { "FAILED" };
        vec![part.part.clone(), health.to_string(), part.summary.clone()]
    });
    output::table(&["part", "state", "summary"], &rows.collect::<Vec<_>>());
    if detailed {
        for part in &status.parts {
            say!("\n{}:", part.part);
            output::tree(&part.detail, 2);
        }
    }
}
