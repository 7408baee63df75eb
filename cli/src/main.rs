//! `shardforge`: starts any part of ShardForge or all of them, and talks to a running one.
//!
//! This is the only crate that links everything. Each command is a file in [`commands`]; what they
//! print goes through [`output`].

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line program prints")]
#![allow(clippy::disallowed_methods, reason = "the program is where the seams meet the operating system")]

mod commands;
mod embedded;
mod output;
mod telemetry;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The allocator's `purge_delay`, for which its crate has no name; it stands before this one.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = libmimalloc_sys::mi_option_use_numa_nodes - 1;
/// For how long the allocator keeps pages that hold nothing, in milliseconds. Its default is a second, in which a load
/// fills as many other pages.
const PURGE_AFTER_MILLIS: std::ffi::c_long = 10;

/// Memory that was freed goes back to the operating system soon.
#[allow(unsafe_code, reason = "the allocator has no other way to be told")]
fn configure_allocator() {
    // SAFETY: it sets a number, and must not be called twice at a time: there is no other thread yet.
    unsafe { libmimalloc_sys::mi_option_set_default(PURGE_DELAY, PURGE_AFTER_MILLIS) }
}

/// A PostgreSQL-compatible database whose durable state lives in an object store.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a commented configuration file into a data folder.
    Init(commands::init::Args),
    /// Start every part in this process.
    Start(commands::start::Args),
    /// Ask each part of a running ShardForge how it fares; the exit status tells health.
    Status(commands::status::Args),
    /// Run SQL, or open a shell when no text is given.
    Sql(commands::sql::Args),
}

fn main() -> ExitCode {
    configure_allocator();
    let result = match Cli::parse().command {
        Command::Init(args) => commands::init::run(args),
        Command::Start(args) => commands::start::run(args),
        Command::Status(args) => commands::status::run(args),
        Command::Sql(args) => commands::sql::run(args),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            output::complain!("shardforge: {}", output::one_line(&error));
            ExitCode::FAILURE
        }
    }
}
