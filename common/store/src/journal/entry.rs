//! An entry as it is stored.
//!
//! ```text
//! offset  size  field                                   all integers little endian
//!      0    64  file header, magic "SFENTRY\0", version 1; its salt is the put's nonce
//!     64     8  number
//!     72     4  length of the payload
//!     76     4  CRC-32C of the salt, of bytes 64 to 75, and of the payload
//!     80     -  payload, until the end of the object
//! ```
//!
//! The number is inside so that an entry copied to another name is found out.

use crate::ObjectPath;
use bytes::{BufMut, Bytes, BytesMut};
use shardforge_common::file_header::{FILE_HEADER_LEN, FileKind};
use shardforge_common::{Error, Result};

const KIND: FileKind = FileKind { magic: *b"SFENTRY\0", version: 1, features: 0 };
const CRC_AT: usize = FILE_HEADER_LEN + 12;
const PAYLOAD_AT: usize = FILE_HEADER_LEN + 16;

/// An entry of a journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its place.
    pub number: u64,
    /// Names the put that made it.
    pub nonce: [u8; 16],
    pub(super) payload: Bytes,
}

pub(super) fn encode(number: u64, nonce: [u8; 16], payload: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(PAYLOAD_AT + payload.len());
    out.put_slice(&KIND.header(nonce));
    out.put_u64_le(number);
    out.put_u32_le(u32::try_from(payload.len()).expect("a journal's state stays far below 4 GiB"));
    let crc = checksum(&nonce, &out[FILE_HEADER_LEN..CRC_AT], payload);
    out.put_u32_le(crc);
    out.put_slice(payload);
    out.freeze()
}

pub(super) fn decode(bytes: Bytes, number: u64, path: &ObjectPath) -> Result<Entry> {
    let header = KIND.read(&bytes, path)?;
    let bad = |offset: usize, what: &str| Error::corrupt(format!("{path}: {what} at offset {offset}"));
    if bytes.len() < PAYLOAD_AT {
        return Err(bad(bytes.len(), "cut short"));
    }
    let crc = u32::from_le_bytes(*bytes[CRC_AT..].first_chunk().expect("the length was checked"));
    if checksum(&header.salt, &bytes[FILE_HEADER_LEN..CRC_AT], &bytes[PAYLOAD_AT..]) != crc {
        return Err(bad(CRC_AT, "the checksum does not match"));
    }
    let stored = u64::from_le_bytes(*bytes[FILE_HEADER_LEN..].first_chunk().expect("the length was checked"));
    if stored != number {
        return Err(bad(FILE_HEADER_LEN, &format!("entry {stored} lies under the name of entry {number}")));
    }
    let payload = bytes.slice(PAYLOAD_AT..);
    let len =
        u32::from_le_bytes(*bytes[FILE_HEADER_LEN + 8..].first_chunk().expect("the length was checked"));
    if payload.len() != len as usize {
        return Err(bad(FILE_HEADER_LEN + 8, "a payload of another length"));
    }
    Ok(Entry { number, nonce: header.salt, payload })
}

fn checksum(salt: &[u8], numbers: &[u8], payload: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c_append(crc32c::crc32c(salt), numbers), payload)
}

#[cfg(test)]
mod tests {
    use super::*;
    use shardforge_common::ErrorKind;

    #[test]
    fn any_flipped_byte_is_corrupt_and_names_the_object() {
        let path = ObjectPath::new("journal/00000000000000000003").unwrap();
        let stored = encode(3, [7; 16], b"the state");
        assert_eq!(decode(stored.clone(), 3, &path).unwrap().payload, &b"the state"[..]);
        for at in 0..stored.len() {
            let mut bad = stored.to_vec();
            bad[at] ^= 0x10;
            let error = decode(bad.into(), 3, &path).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "byte {at}");
            assert!(error.message().contains(path.as_str()));
        }
        for len in 0..stored.len() {
            assert_eq!(decode(stored.slice(..len), 3, &path).unwrap_err().kind(), ErrorKind::Corrupt);
        }
        assert_eq!(decode(stored, 4, &path).unwrap_err().kind(), ErrorKind::Corrupt, "another's name");
    }
}
