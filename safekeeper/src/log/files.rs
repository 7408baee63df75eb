//! The log's folder: segment files by epoch, and spare files that wait to become one.
//!
//! A segment is made so that its name never stands for anything but a whole segment:
//!
//! 1. a spare is written full of zeros and synced, or is a freed segment renamed (should the old name
//!    come back after a crash, the freed mark, which is durable by then, says not to look at it);
//! 2. the header is written into the spare and synced;
//! 3. the spare is renamed to `<epoch>.wal` and the folder is synced;
//! 4. only then the first batch is written into it.

use super::format::{SEGMENT_HEADER_LEN, SegmentHeader, damaged};
use super::recovery::Segment;
use shardforge_common::disk::{Disk, DiskFile, OpenMode, read_file};
use shardforge_common::{Error, Result};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file that can become a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Spare {
    pub(crate) number: u64,
    pub(crate) len: u64,
}

/// Freed segments that are kept as spares, at most: what is written many times faster than usual for a while, by
/// COPY or an index build, then need not share the disk with the zeros of new ones.
pub(crate) const SPARES_KEPT: usize = 4;

/// The folder.
#[derive(Clone)]
pub(crate) struct Folder {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
}

/// What a folder holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Listing {
    /// Epochs, in order.
    pub(crate) segments: Vec<u64>,
    /// Numbers, in order.
    pub(crate) spares: Vec<u64>,
}

pub(crate) fn io_error(doing: &str, path: &Path, error: io::Error) -> Error {
    Error::unavailable(format!("cannot {doing} {}", path.display())).with_source(error)
}

impl Folder {
    pub(crate) fn open(disk: Arc<dyn Disk>, dir: &Path) -> Result<Folder> {
        disk.create_dir_all(dir).map_err(|e| io_error("make the log's folder", dir, e))?;
        Ok(Folder { disk, dir: dir.to_path_buf() })
    }

    /// The folder, as errors call it.
    pub(crate) fn name(&self) -> String {
        self.dir.display().to_string()
    }

    pub(crate) fn segment_path(&self, epoch: u64) -> PathBuf {
        self.dir.join(format!("{epoch:016x}.wal"))
    }

    fn spare_path(&self, number: u64) -> PathBuf {
        self.dir.join(format!("spare-{number}.tmp"))
    }

    pub(crate) fn list(&self) -> Result<Listing> {
        let names = self.disk.read_dir(&self.dir).map_err(|e| io_error("list", &self.dir, e))?;
        let mut listing = Listing::default();
        for (name, is_folder) in names {
            if is_folder {
                continue;
            }
            if let Some(hex) = name.strip_suffix(".wal")
                && hex.len() == 16
                && let Ok(epoch) = u64::from_str_radix(hex, 16)
            {
                listing.segments.push(epoch);
            } else if let Some(number) = name.strip_prefix("spare-").and_then(|n| n.strip_suffix(".tmp"))
                && let Ok(number) = number.parse()
            {
                listing.spares.push(number);
            }
        }
        listing.spares.sort_unstable();
        Ok(listing)
    }

    /// Opens a segment for appending and reading.
    pub(crate) fn open_segment(&self, epoch: u64) -> Result<Arc<dyn DiskFile>> {
        let path = self.segment_path(epoch);
        self.disk.open(&path, OpenMode::ReadWrite).map_err(|e| io_error("open", &path, e))
    }

    /// Reads a whole segment; verifies its header.
    pub(crate) fn read_segment(&self, epoch: u64) -> Result<Segment> {
        let path = self.segment_path(epoch);
        let bytes = read_file(&*self.disk, &path).map_err(|e| io_error("read", &path, e))?;
        let name = path.display().to_string();
        let header = SegmentHeader::decode(&bytes, &name, epoch)?;
        if header.len != bytes.len() as u64 {
            let what = format!("the file ends here, and should have {} bytes", header.len);
            return Err(damaged(&name, bytes.len() as u64, &what));
        }
        Ok(Segment { name, header, bytes })
    }

    /// Reads a segment's header.
    pub(crate) fn read_header(&self, epoch: u64) -> Result<SegmentHeader> {
        let path = self.segment_path(epoch);
        let read = || {
            let file = self.disk.open(&path, OpenMode::Read)?;
            let mut head = vec![0; file.len()?.min(SEGMENT_HEADER_LEN as u64) as usize];
            file.read_exact_at(&mut head, 0)?;
            Ok(head)
        };
        let head = read().map_err(|e| io_error("read", &path, e))?;
        SegmentHeader::decode(&head, &path.display().to_string(), epoch)
    }

    /// Makes a spare full of zeros, so that writing into it later can neither fail for space nor
    /// change the file's shape (which would make each sync slower).
    pub(crate) fn make_spare(&self, number: u64, len: u64) -> Result<Spare> {
        let path = self.spare_path(number);
        let fill = || {
            let file = self.disk.open(&path, OpenMode::CreateNew)?;
            let zeros = vec![0; 1 << 20];
            let mut at = 0;
            while at < len {
                let part = (len - at).min(zeros.len() as u64);
                file.write_all_at(&zeros[..part as usize], at)?;
                at += part;
            }
            file.sync_data()
        };
        match fill() {
            Ok(()) => Ok(Spare { number, len }),
            Err(e) => {
                // The rest of the machine needs the space that a half-made spare holds.
                let _ = self.disk.remove_file(&path);
                Err(io_error("reserve space for the log in", &path, e))
            }
        }
    }

    /// A spare left by an earlier run, if it has this length; otherwise it is removed.
    pub(crate) fn adopt_spare(&self, number: u64, len: u64) -> Option<Spare> {
        let path = self.spare_path(number);
        let found = self.disk.open(&path, OpenMode::Read).and_then(|file| file.len());
        if found.is_ok_and(|found| found == len) {
            return Some(Spare { number, len });
        }
        if let Err(e) = self.disk.remove_file(&path) {
            tracing::warn!("cannot remove {}: {e}", path.display());
        }
        None
    }

    /// Makes a spare of a segment that is durably freed.
    pub(crate) fn recycle(&self, epoch: u64, number: u64, len: u64) -> Result<Spare> {
        let (from, to) = (self.segment_path(epoch), self.spare_path(number));
        self.disk.rename(&from, &to).map_err(|e| io_error("recycle", &from, e))?;
        Ok(Spare { number, len })
    }

    pub(crate) fn remove_segment(&self, epoch: u64) -> Result<()> {
        let path = self.segment_path(epoch);
        self.disk.remove_file(&path).map_err(|e| io_error("remove", &path, e))
    }

    /// Steps 2 and 3 above.
    pub(crate) fn activate(&self, spare: &Spare, header: &SegmentHeader) -> Result<Arc<dyn DiskFile>> {
        let (from, to) = (self.spare_path(spare.number), self.segment_path(header.epoch));
        let activate = || {
            let file = self.disk.open(&from, OpenMode::ReadWrite)?;
            file.write_all_at(&header.encode(), 0)?;
            file.sync_data()?;
            drop(file);
            self.disk.rename(&from, &to)?;
            self.disk.sync_dir(&self.dir)?;
            self.disk.open(&to, OpenMode::ReadWrite)
        };
        activate().map_err(|e| io_error("begin segment", &to, e))
    }

    pub(crate) fn sync(&self) -> Result<()> {
        self.disk.sync_dir(&self.dir).map_err(|e| io_error("sync", &self.dir, e))
    }
}
