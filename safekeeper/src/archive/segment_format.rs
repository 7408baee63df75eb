//! An archived WAL segment.
//!
//! ```text
//! offset  size  field                              all integers little endian
//!      0    64  the common file header, magic "SFWALSEG", version 1
//!     64    16  tenant
//!     80    16  branch
//!     96     8  first LSN
//!    104     8  last LSN
//!    112     8  length of the records, in bytes
//!    120     4  0
//!    124     4  CRC-32C of bytes 64 to 123
//!    128     -  the records in order, as `common::wal` draws them, each with checksums of its own
//! ```
//!
//! Every LSN from first to last is there: the fragments of a large transaction, then its commit.

use bytes::{BufMut, Bytes, BytesMut};
use shardforge_common::file_header::{FILE_HEADER_LEN, FileKind};
use shardforge_common::wal::Record;
use shardforge_common::{BranchId, BranchRef, Error, Lsn, Result, TenantId};

const KIND: FileKind = FileKind { magic: *b"SFWALSEG", version: 1, features: 0 };
const CRC_AT: usize = 124;
const RECORDS_AT: usize = 128;

/// A segment that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Whose records.
    pub branch: BranchRef,
    /// The first LSN.
    pub first: Lsn,
    /// The last LSN.
    pub last: Lsn,
    /// The records.
    pub records: Vec<Record>,
}

/// A segment's bytes. The records must be all of `first` to `last`, in order.
pub fn encode_segment(branch: BranchRef, first: Lsn, last: Lsn, records: &[Record], salt: [u8; 16]) -> Bytes {
    let len: usize =
        records.iter().map(|record| shardforge_common::wal::HEADER_LEN + record.body.len()).sum();
    let mut out = BytesMut::with_capacity(RECORDS_AT + len);
    out.put_slice(&KIND.header(salt));
    out.put_slice(branch.tenant.as_bytes());
    out.put_slice(branch.branch.as_bytes());
    out.put_u64_le(first.0);
    out.put_u64_le(last.0);
    out.put_u64_le(len as u64);
    out.put_u32_le(0);
    let crc = crc32c::crc32c(&out[FILE_HEADER_LEN..CRC_AT]);
    out.put_u32_le(crc);
    for record in records {
        record.header.encode(&record.body, &mut out);
    }
    out.freeze()
}

/// Reads a segment, verifying everything; `name` is what errors call it.
pub fn decode_segment(bytes: &Bytes, name: &str) -> Result<Segment> {
    KIND.read(bytes, name)?;
    let corrupt = |at: usize, what: &str| Error::corrupt(format!("{name}: {what} at offset {at}"));
    let Some(head) = bytes.first_chunk::<RECORDS_AT>() else {
        return Err(corrupt(bytes.len(), "cut short in its head"));
    };
    let u64_at = |at: usize| u64::from_le_bytes(*head[at..].first_chunk().expect("the head is 128 bytes"));
    let id_at = |at: usize| *head[at..].first_chunk::<16>().expect("the head is 128 bytes");
    let crc = u32::from_le_bytes([head[CRC_AT], head[CRC_AT + 1], head[CRC_AT + 2], head[CRC_AT + 3]]);
    if crc32c::crc32c(&head[FILE_HEADER_LEN..CRC_AT]) != crc {
        return Err(corrupt(FILE_HEADER_LEN, "the checksum does not match"));
    }
    let branch =
        BranchRef { tenant: TenantId::from_bytes(id_at(64)), branch: BranchId::from_bytes(id_at(80)) };
    let (first, last) = (Lsn(u64_at(96)), Lsn(u64_at(104)));
    let mut rest = bytes.slice(RECORDS_AT..);
    if rest.len() as u64 != u64_at(112) {
        return Err(corrupt(112, "records of another length"));
    }
    let mut records = Vec::new();
    let mut expected = first;
    while !rest.is_empty() {
        let at = bytes.len() - rest.len();
        let record = Record::decode(&mut rest).map_err(|e| e.context(format!("{name} at offset {at}")))?;
        if record.header.lsn != expected || record.header.branch != branch.branch {
            return Err(corrupt(at, "a record that does not belong there"));
        }
        if record.header.last {
            expected = expected.next();
        }
        records.push(record);
    }
    if expected != last.next() {
        return Err(corrupt(bytes.len(), "fewer records than its head says"));
    }
    Ok(Segment { branch, first, last, records })
}
