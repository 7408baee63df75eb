//! The disk seam: the only way to files, so that a test can put a disk there that loses power.
//!
//! The contract is that of POSIX, no more: bytes written are durable after [`DiskFile::sync_data`]
//! returned, a name (created, renamed, linked or removed) after [`Disk::sync_dir`] of its folder
//! did. What was not synced may be kept, lost or torn, in any order.

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
