//! A layer file, written front to back, read by byte ranges.
//!
//! ```text
//! offset  size  field                                       all integers little endian
//!      0    64  file header, magic "SFLAYER\0", version 1; its salt is random
//!     64     -  blocks, each in a frame (see `block`)
//!    ...     -  index, in a frame
//! end-24     8  offset of the index's frame
//! end-16     4  length of the index's frame
//! end-12     4  CRC-32C of the two
//!  end-8     8  magic "SFLAYER\0" again: a file cut short is known at once
//!
//! index = kind (1)  0 (3)  block count (4)  tombstone count (4)  lowest LSN (8)  highest LSN (8)
//!         block*  tombstone*
//! block     = frame offset (varint)  frame len (varint)  frame CRC-32C (4)
//!             first key len (varint)  first key  LSN of its first version (varint)
//! tombstone = start len (varint)  start  end len (varint)  end  LSN (varint)
//!
//! kind: 1 image, 2 delta
//! ```
//!
//! A tombstone deletes every version below its own LSN of the keys in `[start, end)`. Tombstones are
//! few (dropped tables, truncations), so they lie in the index, which every read has at hand.

use super::block::{BlockBuilder, open_frame, put_frame};
use super::{LayerKind, Tombstone};
use bytes::{BufMut, Bytes, BytesMut};
use shardforge_common::file_header::{FILE_HEADER_LEN, FileKind};
use shardforge_common::mutation::{put_varint, take, take_prefixed, take_varint};
use shardforge_common::{Error, Lsn, Result};

const KIND: FileKind = FileKind { magic: *b"SFLAYER\0", version: 1, features: 0 };
/// Length of a layer file's foot, in bytes.
pub(crate) const FOOT_LEN: usize = 24;

/// Where a block lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BlockEntry {
    /// The least key in it.
    pub(crate) first_key: Bytes,
    /// The LSN of that key's first version in it.
    pub(crate) first_lsn: Lsn,
    /// Offset of its frame in the file.
    pub(crate) offset: u64,
    /// Length of its frame, in bytes.
    pub(crate) frame_bytes: u32,
    /// The frame's checksum.
    pub(crate) crc: u32,
}

/// A layer's index: its blocks in order, and its tombstones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Index {
    pub(crate) kind: LayerKind,
    pub(crate) lowest: Lsn,
    pub(crate) highest: Lsn,
    pub(crate) blocks: Vec<BlockEntry>,
    pub(crate) tombstones: Vec<Tombstone>,
}

impl Index {
    /// Takes the end of a layer file, from the index's frame on.
    pub(crate) fn parse(tail: &Bytes, offset: u64) -> Result<Index> {
        let Some(frame_len) = tail.len().checked_sub(FOOT_LEN) else {
            return Err(Error::corrupt(format!("cut short at offset {offset}")));
        };
        let foot = &tail[frame_len..];
        if foot[16..] != KIND.magic
            || crc32c::crc32c(&foot[..12]).to_le_bytes() != foot[12..16]
            || foot[..8] != offset.to_le_bytes()
            || foot[8..12] != (frame_len as u32).to_le_bytes()
        {
            return Err(Error::corrupt(format!("a damaged foot at offset {}", offset + frame_len as u64)));
        }
        let plain = open_frame(&tail.slice(..frame_len), offset, None)?;
        Self::decode(&plain).map_err(|e| e.context(format!("the index at offset {offset}")))
    }

    fn decode(plain: &Bytes) -> Result<Index> {
        let mut rest: &[u8] = plain;
        let kind = LayerKind::from_byte(take(&mut rest, 4)?[0])?;
        let mut u32_next = || -> Result<u32> {
            Ok(u32::from_le_bytes(*take(&mut rest, 4)?.first_chunk().expect("four bytes were taken")))
        };
        let (blocks, tombstones) = (u32_next()?, u32_next()?);
        let mut u64_next = || -> Result<u64> {
            Ok(u64::from_le_bytes(*take(&mut rest, 8)?.first_chunk().expect("eight bytes were taken")))
        };
        let (lowest, highest) = (Lsn(u64_next()?), Lsn(u64_next()?));
        let mut index = Index { kind, lowest, highest, blocks: Vec::new(), tombstones: Vec::new() };
        for _ in 0..blocks {
            let offset = take_varint(&mut rest)?;
            let frame_bytes = u32::try_from(take_varint(&mut rest)?)
                .map_err(|e| Error::corrupt("a block above 4 GiB").with_source(e))?;
            let crc = u32::from_le_bytes(*take(&mut rest, 4)?.first_chunk().expect("four bytes were taken"));
            let first_key = plain.slice_ref(take_prefixed(&mut rest)?);
            let first_lsn = Lsn(take_varint(&mut rest)?);
            index.blocks.push(BlockEntry { first_key, first_lsn, offset, frame_bytes, crc });
        }
        for _ in 0..tombstones {
            let start = plain.slice_ref(take_prefixed(&mut rest)?);
            let end = plain.slice_ref(take_prefixed(&mut rest)?);
            index.tombstones.push(Tombstone { start, end, lsn: Lsn(take_varint(&mut rest)?) });
        }
        Ok(index)
    }

    fn encode(&self) -> BytesMut {
        let mut out = BytesMut::with_capacity(64 + 64 * self.blocks.len());
        out.put_u8(self.kind.to_byte());
        out.put_bytes(0, 3);
        out.put_u32_le(self.blocks.len() as u32);
        out.put_u32_le(self.tombstones.len() as u32);
        out.put_u64_le(self.lowest.0);
        out.put_u64_le(self.highest.0);
        for block in &self.blocks {
            put_varint(&mut out, block.offset);
            put_varint(&mut out, block.frame_bytes.into());
            out.put_u32_le(block.crc);
            put_varint(&mut out, block.first_key.len() as u64);
            out.put_slice(&block.first_key);
            put_varint(&mut out, block.first_lsn.0);
        }
        for tombstone in &self.tombstones {
            put_varint(&mut out, tombstone.start.len() as u64);
            out.put_slice(&tombstone.start);
            put_varint(&mut out, tombstone.end.len() as u64);
            out.put_slice(&tombstone.end);
            put_varint(&mut out, tombstone.lsn.0);
        }
        out
    }

    /// Memory held, in bytes, about.
    pub(crate) fn size_bytes(&self) -> usize {
        self.blocks.iter().map(|b| b.first_key.len() + size_of::<BlockEntry>()).sum::<usize>()
            + self.tombstones.len() * size_of::<Tombstone>()
            + 64
    }

    /// The last block whose first version stands at or before `(key, lsn)`, if any: a search for
    /// that version begins there, and ends there or at the head of the next one.
    pub(crate) fn block_of(&self, key: &[u8], lsn: Lsn) -> Option<usize> {
        let at_or_before =
            |b: &BlockEntry| (&b.first_key[..], lsn.0) <= (key, b.first_lsn.0) || &b.first_key[..] < key;
        self.blocks.partition_point(at_or_before).checked_sub(1)
    }
}

/// A finished layer file, in memory.
#[derive(Debug)]
pub(crate) struct LayerFile {
    /// The whole file.
    pub(crate) bytes: Bytes,
    /// Offset of the index's frame.
    pub(crate) index_offset: u64,
    /// The index.
    pub(crate) index: Index,
    /// Number of versions.
    pub(crate) versions: u64,
}

/// Writes a layer from versions in order: keys ascending, LSNs of one key descending.
pub(crate) struct LayerWriter {
    out: BytesMut,
    block: BlockBuilder,
    block_first: Option<(Bytes, Lsn)>,
    block_bytes: usize,
    index: Index,
    versions: u64,
}

impl LayerWriter {
    /// A writer of blocks of about `block_bytes`.
    pub(crate) fn new(kind: LayerKind, block_bytes: usize, salt: [u8; 16]) -> Self {
        let mut out = BytesMut::with_capacity(64 * 1024);
        out.put_slice(&KIND.header(salt));
        let index =
            Index { kind, lowest: Lsn::MAX, highest: Lsn::ZERO, blocks: Vec::new(), tombstones: Vec::new() };
        Self { out, block: BlockBuilder::default(), block_first: None, block_bytes, index, versions: 0 }
    }

    /// Appends a version.
    pub(crate) fn push(&mut self, key: &[u8], lsn: Lsn, value: Option<Bytes>) {
        let grown = self.block.size_estimate() + key.len() + value.as_ref().map_or(0, Bytes::len);
        if !self.block.is_empty() && grown > self.block_bytes {
            self.end_block();
        }
        if self.block_first.is_none() {
            self.block_first = Some((Bytes::copy_from_slice(key), lsn));
        }
        self.widen(lsn);
        self.versions += 1;
        self.block.push(key, lsn, value);
    }

    /// Adds a tombstone; in any order.
    pub(crate) fn push_tombstone(&mut self, tombstone: Tombstone) {
        self.widen(tombstone.lsn);
        self.index.tombstones.push(tombstone);
    }

    /// Length of the file so far, in bytes, about.
    pub(crate) fn size_estimate(&self) -> usize {
        self.out.len() + self.block.size_estimate()
    }

    /// The greatest key so far.
    pub(crate) fn last_key(&self) -> Option<&[u8]> {
        self.block.last_key()
    }

    fn widen(&mut self, lsn: Lsn) {
        self.index.lowest = self.index.lowest.min(lsn);
        self.index.highest = self.index.highest.max(lsn);
    }

    fn end_block(&mut self) {
        let Some((first_key, first_lsn)) = self.block_first.take() else { return };
        let offset = self.out.len() as u64;
        let plain = self.block.finish();
        let crc = put_frame(&mut self.out, offset, &plain);
        let frame_bytes = (self.out.len() as u64 - offset) as u32;
        self.index.blocks.push(BlockEntry { first_key, first_lsn, offset, frame_bytes, crc });
    }

    /// The finished file.
    pub(crate) fn finish(mut self) -> LayerFile {
        self.end_block();
        let index_offset = self.out.len() as u64;
        put_frame(&mut self.out, index_offset, &self.index.encode());
        let frame_len = self.out.len() as u64 - index_offset;
        let mut foot = [0u8; 12];
        foot[..8].copy_from_slice(&index_offset.to_le_bytes());
        foot[8..].copy_from_slice(&(frame_len as u32).to_le_bytes());
        self.out.put_slice(&foot);
        self.out.put_u32_le(crc32c::crc32c(&foot));
        self.out.put_slice(&KIND.magic);
        LayerFile { bytes: self.out.freeze(), index_offset, index: self.index, versions: self.versions }
    }
}

/// Verifies a whole layer file: header, every block, index and foot. For scrubbing, and for a file
/// that is about to enter the local cache.
pub(crate) fn verify(bytes: &Bytes) -> Result<Index> {
    KIND.read(bytes, "layer")?;
    let foot_at = bytes.len().checked_sub(FOOT_LEN).ok_or_else(|| Error::corrupt("cut short"))?;
    let offset = u64::from_le_bytes(*bytes[foot_at..].first_chunk().expect("the foot is 24 bytes"));
    if offset > foot_at as u64 || offset < FILE_HEADER_LEN as u64 {
        return Err(Error::corrupt(format!("a damaged foot at offset {foot_at}")));
    }
    let index = Index::parse(&bytes.slice(offset as usize..), offset)?;
    let mut at = FILE_HEADER_LEN as u64;
    for block in &index.blocks {
        let end = block.offset + u64::from(block.frame_bytes);
        if block.offset != at || end > offset {
            return Err(Error::corrupt(format!("a block out of place at offset {at}")));
        }
        let frame = bytes.slice(at as usize..end as usize);
        super::block::Block::parse(open_frame(&frame, at, Some(block.crc))?)
            .map_err(|e| e.context(format!("the block at offset {at}")))?;
        at = end;
    }
    if at != offset {
        return Err(Error::corrupt(format!("bytes that no block owns at offset {at}")));
    }
    Ok(index)
}
