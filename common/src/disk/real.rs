//! The operating system's disk: positioned reads and writes, fdatasync, and fsync of folders.

#![allow(clippy::disallowed_methods, reason = "this is where the disk seam meets the operating system")]

#[cfg(target_os = "linux")]
use super::direct::DirectAppends;
use super::{Disk, DiskFile, OpenMode};
#[cfg(target_os = "linux")]
use parking_lot::Mutex;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

/// Files of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealDisk;

struct RealFile {
    file: File,
    /// Made by the first durable append; `None` in it where that is not to be had.
    #[cfg(target_os = "linux")]
    direct: Mutex<Option<Option<DirectAppends>>>,
}

impl RealFile {
    fn new(file: File) -> Self {
        Self {
            file,
            #[cfg(target_os = "linux")]
            direct: Mutex::default(),
        }
    }
}

impl DiskFile for RealFile {
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        FileExt::read_exact_at(&self.file, buf, offset)
    }

    fn write_all_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        if let Some(Some(appends)) = self.direct.lock().as_mut() {
            appends.forget();
        }
        FileExt::write_all_at(&self.file, buf, offset)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        self.direct.lock().take();
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    #[cfg(target_os = "linux")]
    fn append_durably(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        {
            let mut direct = self.direct.lock();
            if let Some(appends) = direct.get_or_insert_with(|| DirectAppends::open(&self.file))
                && appends.append(&self.file, buf, offset)?
            {
                return Ok(());
            }
        }
        self.write_all_at(buf, offset)?;
        self.sync_data()
    }
}

/// The folder that holds a name: `.` for a bare one, none for the root.
fn parent(path: &Path) -> Option<&Path> {
    path.parent().map(|dir| if dir.as_os_str().is_empty() { Path::new(".") } else { dir })
}

impl Disk for RealDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true);
        match mode {
            OpenMode::Read => {}
            OpenMode::ReadWrite => {
                options.write(true);
            }
            OpenMode::CreateNew => {
                options.write(true).create_new(true);
            }
        }
        let file = options.open(path)?;
        if file.metadata()?.is_dir() {
            return Err(io::Error::new(io::ErrorKind::IsADirectory, "a folder, not a file"));
        }
        Ok(Arc::new(RealFile::new(file)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        if path.as_os_str().is_empty() || path.is_dir() {
            return Ok(());
        }
        if let Some(parent) = parent(path) {
            self.create_dir_all(parent)?;
        }
        match fs::create_dir(path) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
            other => other?,
        }
        match parent(path) {
            Some(parent) => self.sync_dir(parent),
            None => Ok(()),
        }
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir(path)
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<(String, bool)>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            // No file of ours has a name that is not UTF-8; somebody else's is not our business.
            if let Ok(name) = entry.file_name().into_string() {
                names.push((name, entry.file_type()?.is_dir()));
            }
        }
        names.sort();
        Ok(names)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(if path.as_os_str().is_empty() { Path::new(".") } else { path })?.sync_all()
    }
}
