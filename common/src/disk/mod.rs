//! The disk seam: the only way to files, so that a test can put a disk there that loses power.
//!
//! The contract is that of POSIX, no more: bytes written are durable after [`DiskFile::sync_data`]
//! returned, a name (created, renamed, linked or removed) after [`Disk::sync_dir`] of its folder
//! did. What was not synced may be kept, lost or torn, in any order.
//!
//! - [`RealDisk`] is the operating system's.
//! - [`PowerLossDisk`] is a disk in memory with a seed, whose [`PowerLossDisk::crash`] makes all of
//!   that happen. It can be told to leave out syncs, so that a test proves that each one is needed.
//! - [`FaultyDisk`] puts failures before another disk: full, read-only, an error at the nth call.
//! - [`DirLock`] keeps a second process out of a data folder.
//!
//! There is no seam for memory maps or asynchronous I/O: callers that must not block have a thread.

mod dir_lock;
#[cfg(target_os = "linux")]
mod direct;
mod faulty;
mod power_loss;
mod real;

pub use dir_lock::DirLock;
pub use faulty::{FaultyDisk, Operation};
pub use power_loss::{PowerLossDisk, SyncKind};
pub use real::RealDisk;

use std::io;
use std::path::Path;
use std::sync::Arc;

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenMode {
    /// For reading; it must exist.
    Read,
    /// For reading and writing; it must exist.
    ReadWrite,
    /// For reading and writing; it must not exist.
    CreateNew,
}

/// An open file. Positions are explicit; there is no cursor.
pub trait DiskFile: Send + Sync {
    /// Reads exactly `buf.len()` bytes, or fails with `UnexpectedEof`.
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()>;
    /// Writes all of `buf`, growing the file as needed. Not durable before a sync.
    fn write_all_at(&self, buf: &[u8], offset: u64) -> io::Result<()>;
    /// The file's length, in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Whether the file has no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// Cuts the file, or grows it with zeros.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Makes everything written, and the length, durable. After a failure nothing is known of what
    /// was written, and the caller must not try again (L3).
    fn sync_data(&self) -> io::Result<()>;

    /// Writes `buf` and makes it durable, but not what else was written. For a file that grows by appends in space
    /// that it has already: what stands behind, up to the end of a block of 4 KiB, may be zeros afterwards. After a failure
    /// nothing is known, as after one of [`DiskFile::sync_data`].
    fn append_durably(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(buf, offset)?;
        self.sync_data()
    }
}

/// A file system.
pub trait Disk: Send + Sync {
    /// Opens a file.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>>;
    /// Renames, replacing what was at `to`. Durable after both folders are synced.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Gives a file a second name; fails with `AlreadyExists` when it is taken. Atomic.
    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file's name.
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// Makes a folder and its parents, and makes the new names durable.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;
    /// Removes an empty folder.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;
    /// The names in a folder, with whether each is a folder, in name order.
    fn read_dir(&self, path: &Path) -> io::Result<Vec<(String, bool)>>;
    /// Makes the names in a folder durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
}

/// Reads a whole file.
pub fn read_file(disk: &dyn Disk, path: &Path) -> io::Result<Vec<u8>> {
    let file = disk.open(path, OpenMode::Read)?;
    let len = usize::try_from(file.len()?).map_err(io::Error::other)?;
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

/// Whether a file has this name. A folder counts as absent.
pub fn exists(disk: &dyn Disk, path: &Path) -> io::Result<bool> {
    match disk.open(path, OpenMode::Read) {
        Ok(_) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests;
