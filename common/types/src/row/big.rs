//! Big values: which ones leave their row, and what stays in it.
//!
//! A body above [`super::COMPRESS_ABOVE`] is compressed where that makes it shorter. What is then
//! above [`super::EXTERNAL_ABOVE`] leaves the row; and while the row is too long for a page, the
//! longest value left in it leaves too. A value that left is cut into chunks of [`CHUNK_LEN`], which
//! the caller stores under keys of its own making, and an [`ExternalValue`] takes its place:
//!
//! ```text
//! offset size                       all integers little endian
//!      0    1  1 when the stored bytes are compressed, else 0
//!      1   16  id: what the caller's keys are made from
//!     17    4  length of the body
//!     21    4  length of the stored bytes
//!     25    4  number of chunks
//!     29    8  XXH3-64 of the stored bytes
//! ```

use super::MAX_VALUE_LEN;
use shardforge_common::mutation::take;
use shardforge_common::{Error, Result};

/// Length of every chunk of an external value but its last, in bytes.
pub const CHUNK_LEN: usize = 8 * 1024;
/// Length of an external value's place in its row, in bytes.
pub const EXTERNAL_LEN: usize = 37;
/// Bodies that are not worth a place of their own: nothing is won by moving them out.
const NEVER_MOVED: usize = 4 * EXTERNAL_LEN;
/// LZ4 never makes more of a byte than this.
const MAX_LZ4_RATIO: usize = 255;

/// What a row holds of a value that is stored elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExternalValue {
    /// Whether the stored bytes are compressed.
    pub compressed: bool,
    /// What the keys of the chunks are made from; unique to this value of this row.
    pub id: u128,
    /// Length of the value's body, in bytes.
    pub body_len: u32,
    /// Length of the stored bytes.
    pub stored_len: u32,
    /// Number of chunks.
    pub chunks: u32,
    /// XXH3-64 of the stored bytes.
    pub checksum: u64,
}

/// A value that is about to leave its row.
#[derive(Debug, Clone, Copy)]
pub struct BigValue<'a> {
    /// The number of its column.
    pub column: usize,
    /// Whether the stored bytes are compressed.
    pub compressed: bool,
    /// Length of its body before compression, in bytes.
    pub body_len: usize,
    /// The bytes to store.
    pub stored: &'a [u8],
}

impl<'a> BigValue<'a> {
    /// The chunks to store, in order.
    pub fn chunks(&self) -> impl ExactSizeIterator<Item = &'a [u8]> + use<'a> {
        self.stored.chunks(CHUNK_LEN)
    }

    pub(super) fn external(&self, id: u128) -> ExternalValue {
        ExternalValue {
            compressed: self.compressed,
            id,
            body_len: self.body_len as u32,
            stored_len: self.stored.len() as u32,
            chunks: self.chunks().len() as u32,
            checksum: xxhash_rust::xxh3::xxh3_64(self.stored),
        }
    }
}

impl ExternalValue {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.compressed));
        out.extend_from_slice(&self.id.to_le_bytes());
        out.extend_from_slice(&self.body_len.to_le_bytes());
        out.extend_from_slice(&self.stored_len.to_le_bytes());
        out.extend_from_slice(&self.chunks.to_le_bytes());
        out.extend_from_slice(&self.checksum.to_le_bytes());
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self> {
        fn array<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N]> {
            Ok(*take(rest, N)?.first_chunk().expect("as many bytes were taken"))
        }
        let rest = &mut &bytes[..];
        let [flags] = array(rest)?;
        let value = ExternalValue {
            compressed: flags == 1,
            id: u128::from_le_bytes(array(rest)?),
            body_len: u32::from_le_bytes(array(rest)?),
            stored_len: u32::from_le_bytes(array(rest)?),
            chunks: u32::from_le_bytes(array(rest)?),
            checksum: u64::from_le_bytes(array(rest)?),
        };
        let chunks = (value.stored_len as usize).div_ceil(CHUNK_LEN);
        let lengths_agree = value.compressed || value.body_len == value.stored_len;
        if flags > 1 || !rest.is_empty() || chunks != value.chunks as usize || !lengths_agree {
            return Err(Error::corrupt("the place of an external value contradicts itself"));
        }
        Ok(value)
    }

    /// The body, from the stored bytes put together again.
    pub fn body(&self, stored: Vec<u8>) -> Result<Vec<u8>> {
        if stored.len() != self.stored_len as usize || xxhash_rust::xxh3::xxh3_64(&stored) != self.checksum {
            return Err(Error::corrupt(format!(
                "external value {:#034x}: {} stored bytes do not match what its row says",
                self.id,
                stored.len()
            )));
        }
        if self.compressed { decompress(&stored, self.body_len as usize) } else { Ok(stored) }
    }

    /// The value, from the stored bytes put together again.
    pub fn datum(&self, stored: Vec<u8>, ty: crate::PgType) -> Result<crate::Datum> {
        super::body::decode_body(&self.body(stored)?, ty)
    }
}

/// The compressed form of a body, when it is shorter.
pub(super) fn compress(body: &[u8]) -> Option<Vec<u8>> {
    let packed = lz4_flex::block::compress(body);
    (packed.len() + 4 < body.len()).then_some(packed)
}

pub(super) fn decompress(packed: &[u8], body_len: usize) -> Result<Vec<u8>> {
    if body_len > MAX_VALUE_LEN || body_len > packed.len().saturating_mul(MAX_LZ4_RATIO) {
        return Err(Error::corrupt(format!("{} bytes cannot hold a value of {body_len}", packed.len())));
    }
    let body = lz4_flex::block::decompress(packed, body_len)
        .map_err(|e| Error::corrupt("a compressed value does not unpack").with_source(e))?;
    if body.len() == body_len {
        Ok(body)
    } else {
        Err(Error::corrupt("a compressed value has another length"))
    }
}

/// Which values leave the row: given the length of each body as it would be stored (nothing for one
/// that cannot move), the length of everything else, and the longest row allowed.
pub fn choose_external(bodies: &[Option<usize>], rest_len: usize, max_row_len: usize) -> Vec<usize> {
    let mut row_len = rest_len + bodies.iter().flatten().sum::<usize>();
    let mut by_len: Vec<(usize, usize)> =
        bodies.iter().enumerate().filter_map(|(at, len)| len.map(|len| (len, at))).collect();
    by_len.sort_by_key(|(len, at)| (std::cmp::Reverse(*len), *at));
    let mut chosen = Vec::new();
    for (len, at) in by_len {
        let too_long = len > super::EXTERNAL_ABOVE || (row_len > max_row_len && len > NEVER_MOVED);
        if !too_long {
            break;
        }
        row_len -= len - EXTERNAL_LEN;
        chosen.push(at);
    }
    chosen.sort_unstable();
    chosen
}
