//! A lock on a data folder, so that two processes never write the same files.

#![allow(clippy::disallowed_methods, reason = "a lock is between processes of the operating system")]

use crate::{Error, Result};
use rustix::fs::{FlockOperation, flock};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;

/// Holds a folder's `LOCK` file until it is dropped, or its process ends in any way.
///
/// The file stays behind: it is the lock on it that counts, not its presence.
#[derive(Debug)]
pub struct DirLock(#[allow(dead_code, reason = "held for its lock")] File);

impl DirLock {
    /// Takes the lock of a folder that exists. Fails at once when another process has it.
    pub fn acquire(dir: &Path) -> Result<DirLock> {
        let path = dir.join("LOCK");
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(
                |e| Error::unavailable(format!("cannot open {} for writing", path.display())).with_source(e),
            )?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut holder = String::new();
                let by = match file.read_to_string(&mut holder) {
                    Ok(_) if !holder.trim().is_empty() => format!("process {}", holder.trim()),
                    _ => "another process".to_string(),
                };
                return Err(Error::unavailable(format!(
                    "the data folder {} is in use by {by}: stop it first, or choose another folder",
                    dir.display()
                )));
            }
            Err(e) => {
                return Err(Error::unavailable(format!("cannot lock {}", path.display())).with_source(e));
            }
        }
        // The process id only helps the message above; without it (a full disk) the lock holds as well.
        let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(DirLock(file))
    }
}
