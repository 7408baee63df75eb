//! `shardforge init`: writes the commented configuration into a new data folder.

use crate::output::say;
use anyhow::{Context, Result, bail};
use shardforge_common::config::{Config, FILE_NAME};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Everything on this machine, in one process. The only layout there is so far.
    #[arg(long)]
    single_node: bool,
    /// The folder to write into; made when it is missing.
    #[arg(long, default_value = "data", env = "SHARDFORGE_NODE_DATA_DIR")]
    data_dir: PathBuf,
}

pub(crate) fn run(args: Args) -> Result<ExitCode> {
    let path = args.data_dir.join(FILE_NAME);
    std::fs::create_dir_all(&args.data_dir)
        .with_context(|| format!("cannot make the folder {}", args.data_dir.display()))?;
    let text = Config::commented_default().replacen("data_dir = \"data\"", "data_dir = \".\"", 1);
    let file = std::fs::OpenOptions::new().write(true).create_new(true).open(&path);
    match file {
        Ok(mut file) => {
            file.write_all(text.as_bytes())
                .and_then(|()| file.sync_all())
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            bail!(
                "{} exists already and is left as it is; start with it, or remove it first",
                path.display()
            );
        }
        Err(error) => return Err(error).with_context(|| format!("cannot write {}", path.display())),
    }
    let _ = args.single_node; // the default, and the only layout
    say!("wrote {}", path.display());
    say!("start with: shardforge start --config {}", path.display());
    Ok(ExitCode::SUCCESS)
}
