//! Every byte of a segment file.
//!
//! ```text
//! file  = header (128)  frame*  whatever was there before: zeros, or frames of an earlier epoch
//!
//! header                                                  all integers little endian
//! offset  size  field
//!      0    64  common file header, magic "SFWALSEG" (see shardforge_common::file_header)
//!     64     8  epoch: the segment's number, 1 for the first; also the file's name
//!     72     8  where the previous segment's frames end; 0 for segment 1
//!     80     8  freed: segments up to this epoch were no longer needed
//!     88     8  length of the file
//!     96    28  0
//!    124     4  CRC-32C of bytes 0 to 123
//!
//! frame, one for each batch                               starts at a multiple of 8
//!      0     4  magic "SFLB"
//!      4     4  CRC-32C of bytes 8 to the frame's end, seeded
//!      8     8  epoch of the segment
//!     16     8  offset of this frame in its file
//!     24     8  offset up to which the file was known to be synced when this was written (L3)
//!     32     4  length of the records, in bytes
//!     36     4  number of records
//!     40     -  records
//!
//! record                                                  starts at a multiple of 8
//!      0     1  kind
//!      1     1  0
//!      2     2  length of the head
//!      4     4  length of the payload
//!      8     4  CRC-32C of the record with this field as zero, padding excluded, seeded
//!     12     4  0
//!     16     8  group
//!     24     8  index
//!     32     -  head, payload, zeros up to a multiple of 8
//!
//! kind  name        index                      head     payload
//!   1   entry       of the entry               caller's caller's
//!   2   vote        0                          -        caller's
//!   3   committed   0                          -        caller's
//!   4   truncate    first index removed        -        -
//!   5   purge       last index removed         -        caller's marker
//!   6   freed       last epoch not needed      -        -           group is 0
//!   7   checkpoint  how many records it has    -        -           group is 0; they follow
//!   8   group       last index, or 0          first index (8), absent when there are no entries
//!   9   end         0                          -        -           group is 0
//! ```
//!
//! A CRC is seeded with the file's salt, the epoch and the offset of what it covers, so that bytes of an
//! earlier use of the file, or bytes that a user sent and that look like a frame, never pass for one.
//!
//! The first frame of a segment starts with a checkpoint: for each group a `group` record, then its
//! `vote`, `committed` and `purge`, as they stood at the end of the previous segment. So what came before is
//! needed for its entries only.
//!
//! A frame is valid when magic, epoch, offset and CRC are right. An entry that is read back alone is
//! verified by the CRC of its record.

use shardforge_common::file_header::{FILE_HEADER_LEN, FileKind};
use shardforge_common::{Error, GroupId, Result};

/// Length of a segment's header, in bytes: where its first frame starts.
pub(crate) const SEGMENT_HEADER_LEN: usize = 128;
/// Length of a frame's header, in bytes.
pub(crate) const FRAME_HEADER_LEN: usize = 40;
/// Length of a record before its head, in bytes.
pub(crate) const RECORD_HEADER_LEN: usize = 32;
const SEGMENT: FileKind = FileKind { magic: *b"SFWALSEG", version: 1, features: 0 };
const SEGMENT_CRC_AT: usize = 124;
const FRAME_MAGIC: &[u8; 4] = b"SFLB";
const ALIGN: usize = 8;

/// What a record says; the numbers are the format's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum RecordKind {
    Entry = 1,
    Vote = 2,
    Committed = 3,
    Truncate = 4,
    Purge = 5,
    Freed = 6,
    Checkpoint = 7,
    Group = 8,
    End = 9,
}

impl RecordKind {
    fn from_byte(byte: u8) -> Option<Self> {
        use RecordKind::*;
        [Entry, Vote, Committed, Truncate, Purge, Freed, Checkpoint, Group, End]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }
}

/// A record, borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RawRecord<'a> {
    pub(crate) kind: RecordKind,
    pub(crate) group: GroupId,
    pub(crate) index: u64,
    pub(crate) head: &'a [u8],
    pub(crate) payload: &'a [u8],
}

impl<'a> RawRecord<'a> {
    /// A record without head and payload.
    pub(crate) fn bare(kind: RecordKind, group: GroupId, index: u64) -> Self {
        RawRecord { kind, group, index, head: &[], payload: &[] }
    }
}

/// The bytes that a record takes in a frame, padding included.
pub(crate) fn record_len(head: usize, payload: usize) -> usize {
    (RECORD_HEADER_LEN + head + payload).next_multiple_of(ALIGN)
}

/// What every CRC of a segment starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seed(u32);

impl Seed {
    fn new(salt: &[u8; 16], epoch: u64) -> Self {
        Seed(crc32c::crc32c_append(crc32c::crc32c(salt), &epoch.to_le_bytes()))
    }

    fn at(self, offset: u64) -> u32 {
        crc32c::crc32c_append(self.0, &offset.to_le_bytes())
    }
}

/// What a segment's header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) epoch: u64,
    /// Where the previous segment's frames end.
    pub(crate) previous_end: u64,
    /// Segments up to this epoch were no longer needed when this one began.
    pub(crate) freed: u64,
    /// Length of the file, in bytes.
    pub(crate) len: u64,
    pub(crate) salt: [u8; 16],
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> [u8; SEGMENT_HEADER_LEN] {
        let mut out = [0; SEGMENT_HEADER_LEN];
        out[..FILE_HEADER_LEN].copy_from_slice(&SEGMENT.header(self.salt));
        out[64..72].copy_from_slice(&self.epoch.to_le_bytes());
        out[72..80].copy_from_slice(&self.previous_end.to_le_bytes());
        out[80..88].copy_from_slice(&self.freed.to_le_bytes());
        out[88..96].copy_from_slice(&self.len.to_le_bytes());
        let crc = crc32c::crc32c(&out[..SEGMENT_CRC_AT]);
        out[SEGMENT_CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads the header of the segment that a file's name says it is.
    pub(crate) fn decode(bytes: &[u8], name: &str, epoch: u64) -> Result<Self> {
        let common = SEGMENT.read(bytes, name)?;
        let Some(head) = bytes.first_chunk::<SEGMENT_HEADER_LEN>() else {
            return Err(damaged(name, bytes.len() as u64, "cut short in the segment header"));
        };
        if crc32c::crc32c(&head[..SEGMENT_CRC_AT]) != u32_at(head, SEGMENT_CRC_AT) {
            return Err(damaged(name, 64, "the segment header's checksum does not match"));
        }
        let header = SegmentHeader {
            epoch: u64_at(head, 64),
            previous_end: u64_at(head, 72),
            freed: u64_at(head, 80),
            len: u64_at(head, 88),
            salt: common.salt,
        };
        if header.epoch != epoch {
            return Err(damaged(name, 64, &format!("this is segment {}, not {epoch}", header.epoch)));
        }
        Ok(header)
    }

    pub(crate) fn seed(&self) -> Seed {
        Seed::new(&self.salt, self.epoch)
    }
}

/// An error that names file and offset.
pub(crate) fn damaged(name: &str, offset: u64, what: &str) -> Error {
    Error::corrupt(format!("{name} is damaged at offset {offset}: {what}"))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(*bytes[at..].first_chunk().expect("the caller measured the bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(*bytes[at..].first_chunk().expect("the caller measured the bytes"))
}

/// Builds one frame.
pub(crate) struct FrameBuilder {
    bytes: Vec<u8>,
    seed: Seed,
    epoch: u64,
    offset: u64,
    records: u32,
}

impl FrameBuilder {
    /// A frame to be written at `offset` of the segment.
    pub(crate) fn new(seed: Seed, epoch: u64, offset: u64, capacity: usize) -> Self {
        let mut bytes = Vec::with_capacity(FRAME_HEADER_LEN + capacity);
        bytes.resize(FRAME_HEADER_LEN, 0);
        Self { bytes, seed, epoch, offset, records: 0 }
    }

    /// Appends a record; gives its offset in the file and its length without padding.
    pub(crate) fn push(&mut self, record: &RawRecord<'_>) -> (u64, u32) {
        let start = self.bytes.len();
        let offset = self.offset + start as u64;
        self.bytes.push(record.kind as u8);
        self.bytes.push(0);
        let head_len = u16::try_from(record.head.len()).expect("the handle refuses longer heads");
        let payload_len = u32::try_from(record.payload.len()).expect("the handle refuses longer payloads");
        self.bytes.extend_from_slice(&head_len.to_le_bytes());
        self.bytes.extend_from_slice(&payload_len.to_le_bytes());
        self.bytes.extend_from_slice(&[0; 8]);
        self.bytes.extend_from_slice(&record.group.0.to_le_bytes());
        self.bytes.extend_from_slice(&record.index.to_le_bytes());
        self.bytes.extend_from_slice(record.head);
        self.bytes.extend_from_slice(record.payload);
        let len = self.bytes.len() - start;
        let crc = crc32c::crc32c_append(self.seed.at(offset), &self.bytes[start..]);
        self.bytes[start + 8..start + 12].copy_from_slice(&crc.to_le_bytes());
        self.bytes.resize(self.bytes.len().next_multiple_of(ALIGN), 0);
        self.records += 1;
        (offset, len as u32)
    }

    /// The frame's bytes. `synced` is the offset below which the file is known to be synced.
    pub(crate) fn finish(mut self, synced: u64) -> Vec<u8> {
        let records_len = u32::try_from(self.bytes.len() - FRAME_HEADER_LEN).expect("batches are bounded");
        self.bytes[0..4].copy_from_slice(FRAME_MAGIC);
        self.bytes[8..16].copy_from_slice(&self.epoch.to_le_bytes());
        self.bytes[16..24].copy_from_slice(&self.offset.to_le_bytes());
        self.bytes[24..32].copy_from_slice(&synced.to_le_bytes());
        self.bytes[32..36].copy_from_slice(&records_len.to_le_bytes());
        self.bytes[36..40].copy_from_slice(&self.records.to_le_bytes());
        let crc = crc32c::crc32c_append(self.seed.at(self.offset), &self.bytes[8..]);
        self.bytes[4..8].copy_from_slice(&crc.to_le_bytes());
        self.bytes
    }
}

/// A frame whose checksum was right.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame<'a> {
    pub(crate) offset: u64,
    pub(crate) records: u32,
    body: &'a [u8],
}

impl<'a> Frame<'a> {
    /// The frame at `offset` of a segment's bytes; an error says why there is none.
    pub(crate) fn read(
        segment: &'a [u8],
        seed: Seed,
        epoch: u64,
        offset: u64,
    ) -> std::result::Result<Frame<'a>, &'static str> {
        let start = usize::try_from(offset).map_err(|_| "an offset above the address space")?;
        let rest = segment.get(start..).ok_or("beyond the end of the file")?;
        if rest.len() < FRAME_HEADER_LEN {
            return Err("no room for a batch");
        }
        if rest[..4] != *FRAME_MAGIC {
            return Err("no batch starts here");
        }
        if u64_at(rest, 8) != epoch || u64_at(rest, 16) != offset {
            return Err("a batch of another place");
        }
        let end = FRAME_HEADER_LEN + u32_at(rest, 32) as usize;
        let body = rest.get(FRAME_HEADER_LEN..end).ok_or("a batch that reaches beyond the file")?;
        if crc32c::crc32c_append(seed.at(offset), &rest[8..end]) != u32_at(rest, 4) {
            return Err("the batch's checksum does not match");
        }
        Ok(Frame { offset, records: u32_at(rest, 36), body })
    }

    /// The first valid frame at or after an offset: what tells damage from a torn tail.
    pub(crate) fn find(segment: &'a [u8], seed: Seed, epoch: u64, from: u64) -> Option<Frame<'a>> {
        let from = usize::try_from(from).ok()?.next_multiple_of(ALIGN);
        (from..segment.len())
            .step_by(ALIGN)
            .find_map(|offset| Frame::read(segment, seed, epoch, offset as u64).ok())
    }

    /// Where the next frame starts.
    pub(crate) fn end(&self) -> u64 {
        self.offset + (FRAME_HEADER_LEN + self.body.len()) as u64
    }

    /// The records, each with its offset in the file and its length without padding. Their bytes have
    /// passed the frame's checksum, so an error here is a defect of the writer or a newer format.
    pub(crate) fn records(&self, seed: Seed) -> Result<Vec<(u64, u32, RawRecord<'a>)>, String> {
        let mut out = Vec::with_capacity((self.records as usize).min(self.body.len() / RECORD_HEADER_LEN));
        let mut at = 0;
        while at < self.body.len() {
            let offset = self.offset + (FRAME_HEADER_LEN + at) as u64;
            let (record, len) = decode_record(&self.body[at..], seed, offset)?;
            out.push((offset, len as u32, record));
            at += len.next_multiple_of(ALIGN);
        }
        if out.len() != self.records as usize {
            return Err(format!("{} records instead of {}", out.len(), self.records));
        }
        Ok(out)
    }
}

/// Reads and verifies the record at the head of `bytes`, which was at `offset` of its file. Gives its
/// length without padding as well.
pub(crate) fn decode_record(bytes: &[u8], seed: Seed, offset: u64) -> Result<(RawRecord<'_>, usize), String> {
    if bytes.len() < RECORD_HEADER_LEN {
        return Err("a record is cut short".into());
    }
    let head_len = usize::from(u16::from_le_bytes([bytes[2], bytes[3]]));
    let len = RECORD_HEADER_LEN + head_len + u32_at(bytes, 4) as usize;
    let Some(whole) = bytes.get(..len) else {
        return Err("a record is cut short".into());
    };
    let crc = crc32c::crc32c_append(seed.at(offset), &whole[..8]);
    let crc = crc32c::crc32c_append(crc, &[0; 4]);
    if crc32c::crc32c_append(crc, &whole[12..]) != u32_at(whole, 8) {
        return Err("a record's checksum does not match".into());
    }
    let kind = RecordKind::from_byte(whole[0]).ok_or_else(|| format!("unknown record kind {}", whole[0]))?;
    let (head, payload) = whole[RECORD_HEADER_LEN..].split_at(head_len);
    let record =
        RawRecord { kind, group: GroupId(u64_at(whole, 16)), index: u64_at(whole, 24), head, payload };
    Ok((record, len))
}
