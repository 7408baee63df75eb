//! A block: some keys of a layer with their versions, in the order of keys, newest version first.
//!
//! # In memory, and stored when it is not compressed
//!
//! ```text
//! offset  size  field                                    all integers little endian
//!      0     4  number of keys n
//!      4     8  newest LSN of the block
//!     12   4*n  offset of each key's group from the start of the block
//!    ...     -  groups
//!
//! group   = key len (varint)  key  version count (varint)  version*
//! version = newest LSN less the version's (varint)
//!           0 for a deleted key, else value len + 1 (varint)  value
//! ```
//!
//! An image's groups have one version each, never a deleted one. A key with very many versions goes on
//! in the next block, which repeats the key.
//!
//! # Stored: the frame, around blocks and index alike
//!
//! ```text
//! offset  size  field
//!      0     4  CRC-32C of the frame's offset in the file (8 bytes) and of everything after this field
//!      4     1  codec: 0 plain, 1 lz4
//!      5     3  0
//!      8     4  length of the body, as stored
//!     12     4  length of the body, plain
//!     16    12  nonce, 0 while there is no cipher
//!     28    16  tag, 0 while there is no cipher
//!     44     -  body
//! ```

use bytes::{BufMut, Bytes, BytesMut};
use shardforge_common::mutation::{put_varint, take_prefixed, take_varint};
use shardforge_common::{Error, Lsn, Result};

/// Length of a frame's head, in bytes.
pub(crate) const FRAME_HEAD_LEN: usize = 44;
const CODEC_PLAIN: u8 = 0;
const CODEC_LZ4: u8 = 1;
const HEAD_LEN: usize = 12;
/// No block is larger, plain: a guard against lengths that cannot be true.
const MAX_PLAIN_LEN: usize = 256 * 1024 * 1024;

/// The checksum of a frame that lies at `offset`.
fn frame_crc(offset: u64, rest: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&offset.to_le_bytes()), rest)
}

/// Appends a frame around `plain` to a file that is `offset` bytes long; returns its checksum.
pub(crate) fn put_frame(out: &mut BytesMut, offset: u64, plain: &[u8]) -> u32 {
    let packed = lz4_flex::block::compress(plain);
    // A body that hardly shrinks is not worth unpacking.
    let (codec, body) = if packed.len() < plain.len() - plain.len() / 16 {
        (CODEC_LZ4, &packed[..])
    } else {
        (CODEC_PLAIN, plain)
    };
    let start = out.len();
    out.put_u32_le(0);
    out.put_u8(codec);
    out.put_bytes(0, 3);
    out.put_u32_le(body.len() as u32);
    out.put_u32_le(plain.len() as u32);
    out.put_bytes(0, 28);
    out.put_slice(body);
    let crc = frame_crc(offset, &out[start + 4..]);
    out[start..start + 4].copy_from_slice(&crc.to_le_bytes());
    crc
}

/// The plain body of a frame that was read from `offset`, verified. `expected` is the checksum that
/// the index knows, so that a frame of another file is not taken for this one's.
pub(crate) fn open_frame(frame: &Bytes, offset: u64, expected: Option<u32>) -> Result<Bytes> {
    let bad = |what: &str| Error::corrupt(format!("{what} in the block at offset {offset}"));
    if frame.len() < FRAME_HEAD_LEN {
        return Err(bad("cut short"));
    }
    let u32_at = |at: usize| u32::from_le_bytes([frame[at], frame[at + 1], frame[at + 2], frame[at + 3]]);
    let crc = frame_crc(offset, &frame[4..]);
    if crc != u32_at(0) || expected.is_some_and(|expected| expected != crc) {
        return Err(bad("checksum mismatch"));
    }
    let (body_len, plain_len) = (u32_at(8) as usize, u32_at(12) as usize);
    let body = frame.slice(FRAME_HEAD_LEN..);
    if body.len() != body_len || plain_len > MAX_PLAIN_LEN {
        return Err(bad("a wrong length"));
    }
    match frame[4] {
        CODEC_PLAIN if body_len == plain_len => Ok(body),
        CODEC_LZ4 => match lz4_flex::block::decompress(&body, plain_len) {
            Ok(plain) if plain.len() == plain_len => Ok(plain.into()),
            Ok(_) => Err(bad("a wrong length")),
            Err(e) => Err(bad("bytes that lz4 cannot read").with_source(e)),
        },
        _ => Err(bad("an unknown codec")),
    }
}

/// A block, unpacked and verified: no accessor can fail.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    bytes: Bytes,
    newest: Lsn,
    keys: usize,
}

/// A version of a key: its LSN, and its value unless the key was deleted.
pub(crate) type Version<'a> = (Lsn, Option<&'a [u8]>);

impl Block {
    /// Takes a frame's plain body; walks it once.
    pub(crate) fn parse(bytes: Bytes) -> Result<Block> {
        let short = || Error::corrupt("a block is cut short");
        let keys = u32::from_le_bytes(*bytes.first_chunk().ok_or_else(short)?) as usize;
        let newest = bytes.get(4..HEAD_LEN).and_then(|b| b.first_chunk::<8>()).ok_or_else(short)?;
        let newest = Lsn(u64::from_le_bytes(*newest));
        if keys > bytes.len() / 4 || HEAD_LEN + 4 * keys > bytes.len() {
            return Err(short());
        }
        let block = Block { bytes, newest, keys };
        let mut last: Option<&[u8]> = None;
        for index in 0..keys {
            let (key, mut rest) = block.try_group(index)?;
            if last.is_some_and(|last| last >= key) {
                return Err(Error::corrupt("a block's keys are out of order"));
            }
            last = Some(key);
            let versions = take_varint(&mut rest)?;
            for _ in 0..versions {
                block.take_version(&mut rest)?;
            }
        }
        Ok(block)
    }

    /// Number of keys.
    pub(crate) fn len(&self) -> usize {
        self.keys
    }

    /// Memory held, in bytes.
    pub(crate) fn size_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The key at an index below [`Block::len`].
    pub(crate) fn key(&self, index: usize) -> &[u8] {
        self.try_group(index).expect("the block was walked when it was parsed").0
    }

    /// The versions of the key at an index, newest first.
    pub(crate) fn versions(&self, index: usize) -> impl Iterator<Item = Version<'_>> {
        let (_, mut rest) = self.try_group(index).expect("the block was walked when it was parsed");
        let count = take_varint(&mut rest).expect("the block was walked when it was parsed");
        (0..count)
            .map(move |_| self.take_version(&mut rest).expect("the block was walked when it was parsed"))
    }

    /// The index of the first key at or above `key`.
    pub(crate) fn lower_bound(&self, key: &[u8]) -> usize {
        let (mut low, mut high) = (0, self.keys);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.key(middle) < key { low = middle + 1 } else { high = middle }
        }
        low
    }

    /// The shared bytes of a key or value of this block, without a copy.
    pub(crate) fn share(&self, slice: &[u8]) -> Bytes {
        self.bytes.slice_ref(slice)
    }

    fn try_group(&self, index: usize) -> Result<(&[u8], &[u8])> {
        let cell = &self.bytes[HEAD_LEN + 4 * index..];
        let at = u32::from_le_bytes(*cell.first_chunk().expect("the offset array was measured")) as usize;
        let mut rest = self.bytes.get(at..).ok_or_else(|| Error::corrupt("a key lies outside its block"))?;
        let key = take_prefixed(&mut rest)?;
        Ok((key, rest))
    }

    fn take_version<'a>(&self, rest: &mut &'a [u8]) -> Result<Version<'a>> {
        let age = take_varint(rest)?;
        let lsn =
            self.newest.0.checked_sub(age).ok_or_else(|| Error::corrupt("a version older than zero"))?;
        let value = match take_varint(rest)? {
            0 => None,
            len => Some(shardforge_common::mutation::take(rest, (len - 1) as usize)?),
        };
        Ok((Lsn(lsn), value))
    }
}

/// Builds a block from versions in order: keys ascending, LSNs of one key descending.
#[derive(Debug, Default)]
pub(crate) struct BlockBuilder {
    /// Key and version count of each group, as ranges of `keys`.
    groups: Vec<(usize, usize, u32)>,
    keys: Vec<u8>,
    versions: Vec<(Lsn, Option<Bytes>)>,
    value_bytes: usize,
    newest: Lsn,
}

impl BlockBuilder {
    /// Appends a version.
    pub(crate) fn push(&mut self, key: &[u8], lsn: Lsn, value: Option<Bytes>) {
        match self.groups.last_mut() {
            Some((start, end, count)) if &self.keys[*start..*end] == key => *count += 1,
            _ => {
                let start = self.keys.len();
                self.keys.extend_from_slice(key);
                self.groups.push((start, self.keys.len(), 1));
            }
        }
        self.newest = self.newest.max(lsn);
        self.value_bytes += value.as_ref().map_or(0, Bytes::len);
        self.versions.push((lsn, value));
    }

    /// About how large the block will be, in bytes.
    pub(crate) fn size_estimate(&self) -> usize {
        HEAD_LEN + self.keys.len() + self.value_bytes + self.groups.len() * 7 + self.versions.len() * 4
    }

    /// Whether nothing was pushed yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// The greatest key so far.
    pub(crate) fn last_key(&self) -> Option<&[u8]> {
        self.groups.last().map(|&(start, end, _)| &self.keys[start..end])
    }

    /// The block's plain body, leaving the builder empty.
    pub(crate) fn finish(&mut self) -> Bytes {
        let mut out = BytesMut::with_capacity(self.size_estimate() + 64);
        out.put_u32_le(self.groups.len() as u32);
        out.put_u64_le(self.newest.0);
        out.put_bytes(0, 4 * self.groups.len());
        let mut versions = self.versions.iter();
        for (index, &(start, end, count)) in self.groups.iter().enumerate() {
            let at = (out.len() as u32).to_le_bytes();
            out[HEAD_LEN + 4 * index..HEAD_LEN + 4 * index + 4].copy_from_slice(&at);
            put_varint(&mut out, (end - start) as u64);
            out.put_slice(&self.keys[start..end]);
            put_varint(&mut out, u64::from(count));
            for (lsn, value) in versions.by_ref().take(count as usize) {
                put_varint(&mut out, self.newest.0 - lsn.0);
                put_varint(&mut out, value.as_ref().map_or(0, |value| value.len() as u64 + 1));
                out.put_slice(value.as_deref().unwrap_or_default());
            }
        }
        *self = Self::default();
        out.freeze()
    }
}
