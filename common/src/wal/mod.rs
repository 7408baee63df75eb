//! WAL records: what a group's leader numbers, the log keeps, and the feed delivers.
//!
//! A record is a header, which the leader writes, and a body, which the compute encoded once. Each
//! has its own checksum, so that the header changes hands without the body being touched.
//!
//! ```text
//! offset  size  field                                     all integers little endian
//!      0     1  record kind
//!      1     1  format version, 1
//!      2     2  flags: bit 0, the last record of its LSN
//!      4     4  CRC-32C of the header, this field as zero
//!      8    16  branch
//!     24     8  LSN; for a fragment that is not yet committed, 0
//!     32     8  previous LSN of the branch
//!     40     8  commit time, microseconds since 1970-01-01 00:00 UTC
//!     48    16  transaction id
//!     64     4  number of this fragment in its transaction, from 0; for a commit, how many there are
//!     68     4  attempt
//!     72     4  length of the body
//!     76     4  CRC-32C of the body
//!     80     -  body
//!
//! kind  name      body
//!   1   commit    mutation list
//!   2   fragment  mutation list: a part of a transaction too large for one record
//!   3   abort     empty: the transaction id can never commit (C1)
//!   4   seal      empty: the branch leaves this group (L5)
//!   5   open      the state with which a branch comes to this group (L5)
//!   6   lease     grant or release of the sole-writer lease (S2)
//!   7   horizon   pins, and the horizon below which history may go (H1)
//!   8   message   NOTIFY: delivered in LSN order to every compute
//! ```
//!
//! A large transaction's mutations belong to the LSN of its commit record: its fragments in order,
//! then the commit's own body (C6).

use crate::{BranchId, Error, Lsn, Result, TxnId};
use bytes::{BufMut, Bytes};

/// Length of a record's header, in bytes.
pub const HEADER_LEN: usize = 80;
/// No record body exceeds this; larger transactions are staged in fragments. In bytes.
pub const MAX_BODY_LEN: usize = 1024 * 1024;
const VERSION: u8 = 1;
const CRC_AT: usize = 4;
const FLAG_LAST: u16 = 1;

/// What a record means; the numbers are the format's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum RecordKind {
    /// A transaction takes effect.
    Commit = 1,
    /// A part of a large transaction, invisible until its commit.
    Fragment = 2,
    /// The transaction id can never commit.
    Abort = 3,
    /// The branch leaves this group.
    Seal = 4,
    /// The branch comes to this group.
    Open = 5,
    /// The sole-writer lease is granted or given back.
    Lease = 6,
    /// Pins, and the horizon of history.
    Horizon = 7,
    /// A NOTIFY.
    Message = 8,
}

impl RecordKind {
    fn from_byte(byte: u8) -> Result<Self> {
        use RecordKind::*;
        [Commit, Fragment, Abort, Seal, Open, Lease, Horizon, Message]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
            .ok_or_else(|| Error::corrupt(format!("unknown WAL record kind {byte}")))
    }
}

/// The leader's part of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordHeader {
    /// What the record means.
    pub kind: RecordKind,
    /// Whether this is the last record of its LSN.
    pub last: bool,
    /// The branch it belongs to.
    pub branch: BranchId,
    /// Its place in the branch; zero for a fragment not yet committed.
    pub lsn: Lsn,
    /// The place before it: apply refuses a record that does not follow on (L2).
    pub prev_lsn: Lsn,
    /// Commit time in microseconds since 1970, never before the previous record's (H2).
    pub time_micros: i64,
    /// The transaction.
    pub txn: TxnId,
    /// For a fragment its number from 0, for a commit the number of fragments before it.
    pub fragment: u32,
    /// Which of the sender's attempts this is (C1).
    pub attempt: u32,
}

impl RecordHeader {
    /// Appends header and body in the stored form.
    pub fn encode(&self, body: &[u8], out: &mut impl BufMut) {
        let mut head = [0u8; HEADER_LEN];
        head[0] = self.kind as u8;
        head[1] = VERSION;
        head[2..4].copy_from_slice(&(if self.last { FLAG_LAST } else { 0 }).to_le_bytes());
        head[8..24].copy_from_slice(self.branch.as_bytes());
        head[24..32].copy_from_slice(&self.lsn.0.to_le_bytes());
        head[32..40].copy_from_slice(&self.prev_lsn.0.to_le_bytes());
        head[40..48].copy_from_slice(&self.time_micros.to_le_bytes());
        head[48..64].copy_from_slice(self.txn.as_bytes());
        head[64..68].copy_from_slice(&self.fragment.to_le_bytes());
        head[68..72].copy_from_slice(&self.attempt.to_le_bytes());
        head[72..76].copy_from_slice(&(body.len() as u32).to_le_bytes());
        head[76..80].copy_from_slice(&crc32c::crc32c(body).to_le_bytes());
        let crc = crc32c::crc32c(&head);
        head[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_le_bytes());
        out.put_slice(&head);
        out.put_slice(body);
    }
}

/// A record as it is handed about: the header by value, the body shared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The leader's part.
    pub header: RecordHeader,
    /// The compute's part.
    pub body: Bytes,
}

impl Record {
    /// Reads the record at the head of `bytes`, verifies both checksums, and moves `bytes` past it.
    pub fn decode(bytes: &mut Bytes) -> Result<Record> {
        let head: [u8; HEADER_LEN] = *bytes.first_chunk().ok_or_else(|| {
            Error::corrupt(format!("WAL record: {} bytes are less than a header", bytes.len()))
        })?;
        let mut unsigned = head;
        unsigned[CRC_AT..CRC_AT + 4].fill(0);
        let u32_at = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let u64_at = |at: usize| u64::from(u32_at(at)) | u64::from(u32_at(at + 4)) << 32;
        let id_at = |at: usize| *head[at..].first_chunk::<16>().expect("the header is 80 bytes");
        if crc32c::crc32c(&unsigned) != u32_at(CRC_AT) {
            return Err(Error::corrupt("WAL record: header checksum mismatch"));
        }
        if head[1] != VERSION {
            return Err(Error::corrupt(format!(
                "WAL record: format version {} (this program reads {VERSION})",
                head[1]
            )));
        }
        let flags = u16::from_le_bytes([head[2], head[3]]);
        if flags & !FLAG_LAST != 0 {
            return Err(Error::corrupt(format!("WAL record: unknown flags {flags:#06x}")));
        }
        let len = u32_at(72) as usize;
        if bytes.len() - HEADER_LEN < len {
            return Err(Error::corrupt("WAL record: body cut short"));
        }
        let header = RecordHeader {
            kind: RecordKind::from_byte(head[0])?,
            last: flags & FLAG_LAST != 0,
            branch: BranchId::from_bytes(id_at(8)),
            lsn: Lsn(u64_at(24)),
            prev_lsn: Lsn(u64_at(32)),
            time_micros: u64_at(40) as i64,
            txn: TxnId::from_bytes(id_at(48)),
            fragment: u32_at(64),
            attempt: u32_at(68),
        };
        let mut record = bytes.split_to(HEADER_LEN + len);
        let body = record.split_off(HEADER_LEN);
        if crc32c::crc32c(&body) != u32_at(76) {
            return Err(Error::corrupt(format!("WAL record at LSN {}: body checksum mismatch", header.lsn)));
        }
        Ok(Record { header, body })
    }
}
