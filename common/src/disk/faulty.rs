//! A disk that fails on purpose, before any other disk.

use super::{Disk, DiskFile, OpenMode};
use parking_lot::Mutex;
use std::collections::{BTreeSet, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What space is counted in, in bytes.
const BLOCK: u64 = 4096;

/// A call that can be made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// [`DiskFile::read_exact_at`].
    Read,
    /// [`DiskFile::write_all_at`].
    Write,
    /// [`DiskFile::sync_data`].
    SyncData,
    /// [`Disk::sync_dir`].
    SyncDir,
}

/// Wraps a disk and makes calls fail: with EIO at the nth call of a kind, with ENOSPC when the space
/// is used up, with EROFS when read-only.
///
/// Space is taken by blocks that are written for the first time, as file systems do it: a file
/// grown by [`DiskFile::set_len`] has holes, and can still run into a full disk.
#[derive(Clone)]
pub struct FaultyDisk {
    inner: Arc<dyn Disk>,
    faults: Arc<Mutex<Faults>>,
}

#[derive(Default)]
struct Faults {
    read_only: bool,
    /// Blocks that may still be taken; `None` is no limit.
    blocks_left: Option<u64>,
    /// Calls of each kind until the one that fails.
    countdown: HashMap<Operation, u64>,
    /// Blocks that hold data, by path.
    blocks: HashMap<PathBuf, BTreeSet<u64>>,
}

impl Faults {
    fn check_writable(&self) -> io::Result<()> {
        if self.read_only { Err(errno(rustix::io::Errno::ROFS)) } else { Ok(()) }
    }

    fn check(&mut self, operation: Operation) -> io::Result<()> {
        if let Some(left) = self.countdown.get_mut(&operation) {
            *left -= 1;
            if *left == 0 {
                self.countdown.remove(&operation);
                return Err(errno(rustix::io::Errno::IO));
            }
        }
        Ok(())
    }

    fn take_blocks(&mut self, path: &Path, offset: u64, len: u64) -> io::Result<()> {
        if len == 0 {
            return Ok(());
        }
        let held = self.blocks.entry(path.to_path_buf()).or_default();
        for block in offset / BLOCK..=(offset + len - 1) / BLOCK {
            if held.contains(&block) {
                continue;
            }
            match &mut self.blocks_left {
                Some(0) => return Err(errno(rustix::io::Errno::NOSPC)),
                Some(left) => *left -= 1,
                None => {}
            }
            held.insert(block);
        }
        Ok(())
    }

    fn give_back(&mut self, blocks: u64) {
        if let Some(left) = &mut self.blocks_left {
            *left += blocks;
        }
    }
}

fn errno(errno: rustix::io::Errno) -> io::Error {
    io::Error::from_raw_os_error(errno.raw_os_error())
}

impl FaultyDisk {
    /// A disk without faults yet.
    pub fn new(inner: Arc<dyn Disk>) -> Self {
        Self { inner, faults: Arc::default() }
    }

    /// Lets this many bytes more be written into new blocks of 4 KiB; then the disk is full (ENOSPC).
    /// Removing and cutting files gives space back.
    pub fn limit_space(&self, bytes: u64) {
        self.faults.lock().blocks_left = Some(bytes / BLOCK);
    }

    /// There is space again.
    pub fn unlimit_space(&self) {
        self.faults.lock().blocks_left = None;
    }

    /// Refuses every change (EROFS), or allows them again.
    pub fn set_read_only(&self, read_only: bool) {
        self.faults.lock().read_only = read_only;
    }

    /// Makes the nth call of this kind from now, counted from 1, fail with EIO. Later ones succeed.
    pub fn fail_nth(&self, operation: Operation, nth: u64) {
        assert!(nth > 0, "calls are counted from 1");
        self.faults.lock().countdown.insert(operation, nth);
    }
}

struct FaultyFile {
    inner: Arc<dyn DiskFile>,
    path: PathBuf,
    faults: Arc<Mutex<Faults>>,
}

impl DiskFile for FaultyFile {
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.faults.lock().check(Operation::Read)?;
        self.inner.read_exact_at(buf, offset)
    }

    fn write_all_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        let mut faults = self.faults.lock();
        faults.check_writable()?;
        faults.check(Operation::Write)?;
        faults.take_blocks(&self.path, offset, buf.len() as u64)?;
        self.inner.write_all_at(buf, offset)
    }

    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut faults = self.faults.lock();
        faults.check_writable()?;
        self.inner.set_len(len)?;
        if let Some(held) = faults.blocks.get_mut(&self.path) {
            let cut = held.split_off(&len.div_ceil(BLOCK));
            faults.give_back(cut.len() as u64);
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.faults.lock().check(Operation::SyncData)?;
        self.inner.sync_data()
    }
}

impl Disk for FaultyDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let mut faults = self.faults.lock();
        if mode != OpenMode::Read {
            faults.check_writable()?;
        }
        let inner = self.inner.open(path, mode)?;
        if !faults.blocks.contains_key(path) {
            // What was there before the wrapper saw it is taken as written throughout.
            let held = (0..inner.len()?.div_ceil(BLOCK)).collect();
            faults.blocks.insert(path.to_path_buf(), held);
        }
        Ok(Arc::new(FaultyFile { inner, path: path.to_path_buf(), faults: self.faults.clone() }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut faults = self.faults.lock();
        faults.check_writable()?;
        self.inner.rename(from, to)?;
        if let Some(held) = faults.blocks.remove(from) {
            let replaced = faults.blocks.insert(to.to_path_buf(), held);
            faults.give_back(replaced.map_or(0, |held| held.len() as u64));
        }
        Ok(())
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.faults.lock().check_writable()?;
        self.inner.hard_link(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut faults = self.faults.lock();
        faults.check_writable()?;
        self.inner.remove_file(path)?;
        let held = faults.blocks.remove(path);
        faults.give_back(held.map_or(0, |held| held.len() as u64));
        Ok(())
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        // An existing folder is fine on a read-only disk too.
        match self.inner.read_dir(path) {
            Ok(_) => Ok(()),
            Err(_) => {
                self.faults.lock().check_writable()?;
                self.inner.create_dir_all(path)
            }
        }
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.faults.lock().check_writable()?;
        self.inner.remove_dir(path)
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<(String, bool)>> {
        self.inner.read_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.faults.lock().check(Operation::SyncDir)?;
        self.inner.sync_dir(path)
    }
}
