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

use super::type_config::SnapshotMeta;
use bytes::{BufMut, Bytes, BytesMut};
use shardforge_common::disk::{Disk, OpenMode, read_file};
use shardforge_common::file_header::{FILE_HEADER_LEN, FileKind};
use shardforge_common::{Error, Result};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const KIND: FileKind = FileKind { magic: *b"SFRAFTSN", version: 1, features: 0 };
const CRC_AT: usize = FILE_HEADER_LEN;
const FIXED_LEN: usize = FILE_HEADER_LEN + 16;
const NAME: &str = "snapshot";
const TEMPORARY: &str = "snapshot.new";

/// The folder of one group's snapshot.
#[derive(Clone)]
pub(super) struct SnapshotFile {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
}

impl SnapshotFile {
    /// Opens the folder, making it when it is missing.
    pub(super) fn open(disk: Arc<dyn Disk>, dir: &Path) -> Result<Self> {
        let file = Self { disk, dir: dir.to_path_buf() };
        file.disk.create_dir_all(dir).map_err(|e| file.failed("make", e))?;
        Ok(file)
    }

    fn failed(&self, doing: &str, error: io::Error) -> Error {
        Error::unavailable(format!("cannot {doing} the snapshot in {}", self.dir.display()))
            .with_source(error)
    }

    /// Puts a snapshot in the place of the current one, durably.
    pub(super) fn write(&self, meta: &SnapshotMeta, state: &[u8], salt: [u8; 16]) -> Result<()> {
        let bytes = encode(meta, state, salt);
        let (temporary, name) = (self.dir.join(TEMPORARY), self.dir.join(NAME));
        let result = (|| {
            match self.disk.remove_file(&temporary) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
            let file = self.disk.open(&temporary, OpenMode::CreateNew)?;
            file.write_all_at(&bytes, 0)?;
            file.sync_data()?;
            self.disk.rename(&temporary, &name)?;
            self.disk.sync_dir(&self.dir)
        })();
        result.map_err(|e| self.failed("write", e))
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
