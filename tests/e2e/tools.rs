//! Programs that tests drive, and how to get them.

use std::path::Path;
use std::process::{Command, Stdio};

/// A program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    Psql,
    Pgbench,
    Postgres,
    /// The right to mount a file system.
    Mount,
}

impl Tool {
    pub fn is_here(self) -> bool {
        match self {
            Tool::Psql => answers("psql"),
            Tool::Pgbench => answers("pgbench"),
            Tool::Postgres => Path::new("/usr/lib/postgresql/15/bin/postgres").exists(),
            Tool::Mount => may_mount(),
        }
    }

    pub fn install(self) -> &'static str {
        match self {
            Tool::Psql => "apt-get install postgresql-client-15",
            Tool::Pgbench => "apt-get install postgresql-contrib postgresql-15",
            Tool::Postgres => "apt-get install postgresql-15",
            Tool::Mount => "run the tests as root, where mount(8) is allowed",
        }
    }
}

fn answers(program: &str) -> bool {
    let status = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

fn may_mount() -> bool {
    let Ok(dir) = tempfile::tempdir() else { return false };
    let run = |command: &mut Command| {
        command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    };
    run(Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(dir.path()))
        && run(Command::new("umount").arg(dir.path()))
}
