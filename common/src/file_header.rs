//! The header that every file and object of ours starts with.
//!
//! ```text
//! offset  size  field                                     all integers little endian
//!      0     8  magic: which kind of file this is
//!      8     2  format version of that kind
//!     10     2  length of this header, 64
//!     12     4  required-feature bits: a reader refuses a bit that it does not know
//!     16     1  cipher id, 0 for none
//!     17     3  0
//!     20     4  key id, 0 for none
//!     24    16  salt: random, for key derivation; identifies the file as well
//!     40    20  0
//!     60     4  CRC-32C of bytes 0 to 59
//! ```
//!
//! What follows is the business of the file's kind. Checksums there cover the bytes as stored, so that
//! scrubbing needs no keys.

use crate::{Error, Result};

/// Length of the header, in bytes.
pub const FILE_HEADER_LEN: usize = 64;
const CRC_AT: usize = 60;

/// A kind of file: its magic, and what of it this program can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileKind {
    /// The eight bytes it starts with.
    pub magic: [u8; 8],
    /// The newest format version known; the one written.
    pub version: u16,
    /// The required-feature bits known.
    pub features: u32,
}

/// What a header says besides its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileHeader {
    /// Format version of the kind.
    pub version: u16,
    /// Required-feature bits.
    pub features: u32,
    /// Random; identifies the file.
    pub salt: [u8; 16],
}

impl FileKind {
    /// The header of a new file: the newest version, no features, no cipher.
    pub fn header(&self, salt: [u8; 16]) -> [u8; FILE_HEADER_LEN] {
        let mut out = [0; FILE_HEADER_LEN];
        out[..8].copy_from_slice(&self.magic);
        out[8..10].copy_from_slice(&self.version.to_le_bytes());
        out[10..12].copy_from_slice(&(FILE_HEADER_LEN as u16).to_le_bytes());
        out[24..40].copy_from_slice(&salt);
        let crc = crc32c::crc32c(&out[..CRC_AT]);
        out[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads the header at the head of a file; `name` is what errors call the file.
    ///
    /// `Corrupt` when the bytes are not a header of this kind, `Invalid` when they are one that a
    /// newer program, or one with keys, wrote.
    pub fn read(&self, bytes: &[u8], name: impl std::fmt::Display) -> Result<FileHeader> {
        let bad = |offset: usize, what: &str| Error::corrupt(format!("{name}: {what} at offset {offset}"));
        let Some(head) = bytes.first_chunk::<FILE_HEADER_LEN>() else {
            return Err(bad(bytes.len(), "cut short in its header"));
        };
        if head[..8] != self.magic {
            return Err(bad(0, "not the magic of this kind of file"));
        }
        let u32_at = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let u16_at = |at: usize| u16::from_le_bytes([head[at], head[at + 1]]);
        if crc32c::crc32c(&head[..CRC_AT]) != u32_at(CRC_AT) {
            return Err(bad(0, "the header's checksum does not match"));
        }
        if u16_at(8) > self.version || u16_at(8) == 0 {
            return Err(Error::invalid(format!(
                "{name}: format version {}, but this program reads up to {}: use a newer one",
                u16_at(8),
                self.version
            )));
        }
        if u32_at(12) & !self.features != 0 {
            return Err(Error::invalid(format!(
                "{name}: needs features {:#x} that this program does not have: use a newer one",
                u32_at(12) & !self.features
            )));
        }
        if head[16] != 0 {
            return Err(Error::invalid(format!(
                "{name}: encrypted with cipher {}, which this program does not have",
                head[16]
            )));
        }
        if usize::from(u16_at(10)) != FILE_HEADER_LEN {
            return Err(bad(10, "a header of another length"));
        }
        let mut salt = [0; 16];
        salt.copy_from_slice(&head[24..40]);
        Ok(FileHeader { version: u16_at(8), features: u32_at(12), salt })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    const KIND: FileKind = FileKind { magic: *b"SFTEST\0\0", version: 2, features: 0b1 };

    #[test]
    fn reads_what_it_wrote_and_any_flipped_byte_is_corrupt() {
        let head = KIND.header([9; 16]);
        let read = KIND.read(&head, "f").unwrap();
        assert_eq!(read, FileHeader { version: 2, features: 0, salt: [9; 16] });
        for at in 0..head.len() {
            let mut bad = head;
            bad[at] ^= 0x40;
            assert_eq!(KIND.read(&bad, "f").unwrap_err().kind(), ErrorKind::Corrupt, "byte {at}");
        }
        assert_eq!(KIND.read(&head[..63], "f").unwrap_err().kind(), ErrorKind::Corrupt);
    }

    #[test]
    fn a_newer_files_refusal_names_both_versions() {
        let newer = FileKind { version: 3, ..KIND }.header([0; 16]);
        let refused = KIND.read(&newer, "f").unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid);
        assert!(refused.message().contains("version 3") && refused.message().contains("up to 2"));
    }
}
