//! Appending past the page cache: one call that returns when the bytes are on the disk.
//!
//! `pwrite` and `fdatasync` copy the bytes into the page cache, find them there again, and write and flush in two
//! steps. A file that was opened with `O_DIRECT` and `O_DSYNC` does one write of whole blocks instead. The
//! last block of an append is kept, since the next one has to write it once more; whatever is in it is durable already
//! and written as it is, which is what the page cache would do with its page.

#![allow(clippy::disallowed_methods, reason = "this is where the disk seam meets the operating system")]

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};

/// What writes are aligned to, in the file and in memory: no file system in use wants more.
const BLOCK: usize = 4096;
/// Longer appends go through the page cache: their copying is a small part of what they cost, and the buffer would
/// have to be as large.
const LONGEST: usize = 256 << 10;

/// A second handle of a file, and the block that its last append ended in.
pub(super) struct DirectAppends {
    file: File,
    /// The file's length: nothing is written beyond it.
    len: u64,
    buffer: Vec<u8>,
    /// Where in the buffer the aligned part begins. Its first bytes are those of the file's last written block...
    aligned: usize,
    /// ...up to here, an offset in the file.
    end: u64,
}

impl DirectAppends {
    /// Opens the file once more; `None` where the file system has no such writes.
    pub(super) fn open(file: &File) -> Option<Self> {
        let flags = i32::try_from((rustix::fs::OFlags::DIRECT | rustix::fs::OFlags::DSYNC).bits()).ok()?;
        // The name may have changed since; the descriptor has not.
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        let direct = OpenOptions::new().write(true).custom_flags(flags).open(path).ok()?;
        let len = file.metadata().ok()?.len();
        Some(Self { file: direct, len, buffer: Vec::new(), aligned: 0, end: u64::MAX })
    }

    /// Writes and syncs. False when that cannot be done here: then nothing was promised.
    pub(super) fn append(&mut self, file: &File, bytes: &[u8], offset: u64) -> io::Result<bool> {
        let head = (offset % BLOCK as u64) as usize;
        let start = offset - head as u64;
        let total = (head + bytes.len()).next_multiple_of(BLOCK);
        if bytes.len() > LONGEST || start + total as u64 > self.len {
            return Ok(false);
        }
        self.make_room(total);
        let area = &mut self.buffer[self.aligned..self.aligned + total];
        if self.end != offset {
            file.read_exact_at(&mut area[..head], start)?;
        }
        area[head..head + bytes.len()].copy_from_slice(bytes);
        area[head + bytes.len()..].fill(0);
        self.end = u64::MAX; // until the write has succeeded
        match self.file.write_all_at(area, start) {
            Ok(()) => {}
            Err(e) if matches!(e.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => {
                return Ok(false);
            }
            Err(e) => return Err(e),
        }
        let used = head + bytes.len();
        area.copy_within(used - used % BLOCK..used, 0);
        self.end = offset + bytes.len() as u64;
        Ok(true)
    }

    /// The file was written in another way: the block that was kept may not be what is there.
    pub(super) fn forget(&mut self) {
        self.end = u64::MAX;
    }

    /// Grows the buffer; the first block of its aligned part stays what it is.
    fn make_room(&mut self, total: usize) {
        if self.buffer.len() >= self.aligned + total {
            return;
        }
        let mut grown = vec![0; total.next_power_of_two() + BLOCK];
        let aligned = grown.as_ptr().align_offset(BLOCK);
        if !self.buffer.is_empty() {
            grown[aligned..aligned + BLOCK].copy_from_slice(&self.buffer[self.aligned..self.aligned + BLOCK]);
        }
        (self.buffer, self.aligned) = (grown, aligned);
    }
}
