//! Logs to standard error, text or JSON; metrics for `/metrics`.

use anyhow::{Context, Result};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use shardforge_common::config::{LogFormat, NodeConfig};
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// Installs both for the life of the process.
pub(crate) fn install(config: &NodeConfig) -> Result<PrometheusHandle> {
    // Each retry of a request to the object store is told at INFO by its client; the outcome is ours
    // to tell.
    let filter = EnvFilter::try_new(format!("object_store=warn,{}", config.log_level))
        .with_context(|| format!("node.log_level = \"{}\" is not a log filter", config.log_level))?;
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match config.log_format {
        LogFormat::Text => logs.with_ansi(std::io::stderr().is_terminal()).init(),
        LogFormat::Json => logs.json().init(),
    }
    PrometheusBuilder::new().install_recorder().context("cannot install the metrics recorder")
}
