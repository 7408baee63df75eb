//! Raft snapshots on disk.
//!
//! ```text
//! offset  size  field                              all integers little endian
//!      0    64  the common file header, magic "SFRAFTSN", version 1
//!     64     4  CRC-32C of everything after this field
//!     68     4  length m of the meta data
//!     72     8  length s of the state
//!     80     m  meta data as JSON: last log id, last membership
//!   80+m     s  the state, see `group::snapshot_format`
//! ```
//!
//! A snapshot is written beside the current one, synced, and renamed over it, and the folder is
//! synced: a crash leaves the old one or the new one, whole. A purge of the log comes only after.
//!
//! The room for the next one is taken in advance: the log may fill the disk, and then a snapshot is what lets
//! it be trimmed.

use super::type_config::{LogId, SnapshotMeta};
use bytes::{BufMut, Bytes, BytesMut};
use parking_lot::Mutex;
use shardforge_common::disk::{Disk, DiskFile, OpenMode, read_file};
use shardforge_common::file_header::{FILE_HEADER_LEN, FileKind};
use shardforge_common::{Error, Result};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const KIND: FileKind = FileKind { magic: *b"SFRAFTSN", version: 1, features: 0 };
const CRC_AT: usize = FILE_HEADER_LEN;
const FIXED_LEN: usize = FILE_HEADER_LEN + 16;
const NAME: &str = "snapshot";
const TEMPORARY: &str = "snapshot.new";
/// By how much the next snapshot may well be longer than this one, in bytes, beside a quarter.
const LEAST_ROOM: usize = 64 << 10;

/// The folder of one group's snapshot. Clones are the same one.
#[derive(Clone)]
pub(super) struct SnapshotFile {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    /// How far the current one goes. Locked while one is written: an older one never replaces a newer.
    current: Arc<Mutex<Option<LogId>>>,
    /// Its length in bytes, 0 for none: to be asked without the lock.
    len_bytes: Arc<AtomicU64>,
}

impl SnapshotFile {
    /// Opens the folder, making it when it is missing, and verifies the snapshot in it.
    pub(super) fn open(disk: Arc<dyn Disk>, dir: &Path) -> Result<Self> {
        let (current, len_bytes) = (Arc::default(), Arc::default());
        let file = Self { disk, dir: dir.to_path_buf(), current, len_bytes };
        file.disk.create_dir_all(dir).map_err(|e| file.failed("make", e))?;
        if let Some((meta, state)) = file.read()? {
            *file.current.lock() = meta.last_log_id;
            file.len_bytes.store(state.len() as u64, Ordering::Relaxed);
        }
        Ok(file)
    }

    fn failed(&self, doing: &str, error: io::Error) -> Error {
        Error::unavailable(format!("cannot {doing} the snapshot in {}", self.dir.display()))
            .with_source(error)
    }

    /// Puts a snapshot in the place of the current one, durably, unless that one goes as far. A failure leaves
    /// the current one as it is.
    pub(super) fn write(&self, meta: &SnapshotMeta, state: &[u8], salt: [u8; 16]) -> Result<()> {
        let mut current = self.current.lock();
        if current.is_some() && *current >= meta.last_log_id {
            return Ok(());
        }
        let bytes = encode(meta, state, salt);
        let (temporary, name) = (self.dir.join(TEMPORARY), self.dir.join(NAME));
        let result = (|| {
            let file = self.temporary()?;
            file.write_all_at(&bytes, 0)?;
            file.set_len(bytes.len() as u64)?;
            file.sync_data()?;
            self.disk.rename(&temporary, &name)?;
            self.disk.sync_dir(&self.dir)
        })();
        if let Err(error) = result {
            // What others write may need the room.
            let _ = self.disk.remove_file(&temporary);
            return Err(self.failed("write", error));
        }
        *current = meta.last_log_id;
        self.len_bytes.store(state.len() as u64, Ordering::Relaxed);
        self.take_room(bytes.len());
        Ok(())
    }

    /// The length of the current one's state; `None` when there is none.
    pub(super) fn len_bytes(&self) -> Option<u64> {
        Some(self.len_bytes.load(Ordering::Relaxed)).filter(|len| *len > 0)
    }

    /// The file for the next snapshot: there, with room, or made now.
    fn temporary(&self) -> io::Result<Arc<dyn DiskFile>> {
        let path = self.dir.join(TEMPORARY);
        match self.disk.open(&path, OpenMode::ReadWrite) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => self.disk.open(&path, OpenMode::CreateNew),
            opened => opened,
        }
    }

    /// Takes room for the next snapshot, which is not much longer than this one. Without it, that one finds out
    /// whether there is any.
    fn take_room(&self, len: usize) {
        let zeros = vec![0; len + len / 4 + LEAST_ROOM];
        let filled = self.temporary().and_then(|file| file.write_all_at(&zeros, 0));
        if let Err(error) = filled {
            tracing::debug!(dir = %self.dir.display(), %error, "no room for the next snapshot");
            let _ = self.disk.remove_file(&self.dir.join(TEMPORARY));
        }
    }

    /// The current snapshot, verified.
    pub(super) fn read(&self) -> Result<Option<(SnapshotMeta, Bytes)>> {
        let path = self.dir.join(NAME);
        let bytes = match read_file(&*self.disk, &path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(self.failed("read", e)),
        };
        decode(bytes.into(), &path.display().to_string()).map(Some)
    }
}

fn encode(meta: &SnapshotMeta, state: &[u8], salt: [u8; 16]) -> Bytes {
    let json = serde_json::to_vec(meta).expect("the meta data is numbers and text");
    let mut out = BytesMut::with_capacity(FIXED_LEN + json.len() + state.len());
    out.put_slice(&KIND.header(salt));
    out.put_u32_le(0);
    out.put_u32_le(json.len() as u32);
    out.put_u64_le(state.len() as u64);
    out.put_slice(&json);
    out.put_slice(state);
    let crc = crc32c::crc32c(&out[CRC_AT + 4..]);
    out[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_le_bytes());
    out.freeze()
}

fn decode(bytes: Bytes, name: &str) -> Result<(SnapshotMeta, Bytes)> {
    KIND.read(&bytes, name)?;
    let corrupt = |what: &str| Error::corrupt(format!("{name}: {what} at offset {CRC_AT}"));
    let fixed: [u8; 16] = *bytes[CRC_AT..].first_chunk().ok_or_else(|| corrupt("cut short"))?;
    let u32_at = |at: usize| u32::from_le_bytes([fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]]);
    if crc32c::crc32c(&bytes[CRC_AT + 4..]) != u32_at(0) {
        return Err(corrupt("the checksum does not match"));
    }
    let meta_len = u32_at(4) as usize;
    let state_len = u64::from(u32_at(8)) | u64::from(u32_at(12)) << 32;
    let rest = bytes.slice(FIXED_LEN..);
    if (rest.len() as u64).checked_sub(state_len) != Some(meta_len as u64) {
        return Err(corrupt("lengths that do not add up"));
    }
    let meta = serde_json::from_slice(&rest[..meta_len])
        .map_err(|e| corrupt("meta data that cannot be read").with_source(e))?;
    Ok((meta, rest.slice(meta_len..)))
}
