//! A Raft entry as an entry of the safekeeper's log.
//!
//! ```text
//! head, 24 bytes, little endian
//! offset  size  field
//!      0     1  format version, 1
//!      1     1  kind: 0 blank, 1 batch, 2 membership
//!      2     6  0
//!      8     8  the entry's term
//!     16     8  for a batch, the term in which it was certified (L2); else 0
//!
//! payload: nothing, the batch's records, or the membership as JSON
//! ```
//!
//! Vote, committed log id and purge marker are small values beside the entries:
//!
//! ```text
//! vote     = term (8)  node (8)  committed (1)
//! log id   = term (8)  index (8)
//! ```
//!
//! The log around them has the checksums; the records have their own besides.

use super::type_config::{Committed, Entry, LogId, Membership, Payload, Vote};
use crate::group::Batch;
use crate::log::LogEntry;
use bytes::{BufMut, Bytes, BytesMut};
use openraft::EntryPayload;
use openraft::impls::leader_id_std::LeaderId;
use shardforge_common::{Error, Result};

const VERSION: u8 = 1;
const HEAD_LEN: usize = 24;
const KIND_BLANK: u8 = 0;
const KIND_BATCH: u8 = 1;
const KIND_MEMBERSHIP: u8 = 2;

/// What an entry of the log holds, for those who read it past Raft: the feed, the archive.
#[derive(Debug, Clone)]
pub enum EntryBody {
    /// Records.
    Batch(Batch),
    /// Something of Raft's own.
    Other,
}

pub(super) fn encode_entry(entry: &Entry) -> LogEntry {
    let (kind, certified, payload) = match &entry.payload {
        EntryPayload::Blank => (KIND_BLANK, 0, Bytes::new()),
        EntryPayload::Normal(batch) => (KIND_BATCH, batch.term, batch.bytes.clone()),
        EntryPayload::Membership(membership) => {
            let json = serde_json::to_vec(membership).expect("a membership is numbers and text");
            (KIND_MEMBERSHIP, 0, json.into())
        }
    };
    let mut head = BytesMut::with_capacity(HEAD_LEN);
    head.put_slice(&[VERSION, kind, 0, 0, 0, 0, 0, 0]);
    head.put_u64_le(entry.log_id.leader_id.term);
    head.put_u64_le(certified);
    LogEntry { index: entry.log_id.index, head: head.freeze(), payload }
}

pub(super) fn decode_raft_entry(entry: &LogEntry) -> Result<Entry> {
    let at = |e: Error| e.context(format!("log entry {}", entry.index));
    let (kind, term, certified) = decode_head(&entry.head).map_err(at)?;
    let payload: Payload = match kind {
        KIND_BLANK => EntryPayload::Blank,
        KIND_BATCH => EntryPayload::Normal(Batch::decode(certified, entry.payload.clone()).map_err(at)?),
        _ => {
            let membership: Membership = serde_json::from_slice(&entry.payload).map_err(|e| {
                Error::corrupt(format!("log entry {}: the membership cannot be read", entry.index))
                    .with_source(e)
            })?;
            EntryPayload::Membership(membership)
        }
    };
    Ok(Entry { log_id: LogId { leader_id: Committed::new(term), index: entry.index }, payload })
}

/// What an entry holds, with the entry's term.
pub fn decode_entry(entry: &LogEntry) -> Result<(u64, EntryBody)> {
    let at = |e: Error| e.context(format!("log entry {}", entry.index));
    let (kind, term, certified) = decode_head(&entry.head).map_err(at)?;
    Ok(match kind {
        KIND_BATCH => (term, EntryBody::Batch(Batch::decode(certified, entry.payload.clone()).map_err(at)?)),
        _ => (term, EntryBody::Other),
    })
}

fn decode_head(head: &[u8]) -> Result<(u8, u64, u64)> {
    let head: &[u8; HEAD_LEN] =
        head.try_into().map_err(|_| Error::corrupt(format!("a head of {} bytes", head.len())))?;
    if head[0] != VERSION || head[1] > KIND_MEMBERSHIP {
        return Err(Error::corrupt(format!("an entry of version {} and kind {}", head[0], head[1])));
    }
    Ok((head[1], u64_at(head, 8), u64_at(head, 16)))
}

/// The term of the entry with this head.
pub(super) fn term_of(head: &[u8]) -> Result<u64> {
    decode_head(head).map(|(_, term, _)| term)
}

pub(super) fn encode_vote(vote: &Vote) -> Bytes {
    let mut out = BytesMut::with_capacity(17);
    out.put_u64_le(vote.leader_id.term);
    out.put_u64_le(vote.leader_id.voted_for);
    out.put_u8(u8::from(vote.committed));
    out.freeze()
}

pub(super) fn decode_vote(bytes: &[u8]) -> Result<Vote> {
    if bytes.len() != 17 || bytes[16] > 1 {
        return Err(Error::corrupt("a saved vote that cannot be read"));
    }
    let leader_id = LeaderId { term: u64_at(bytes, 0), voted_for: u64_at(bytes, 8) };
    Ok(Vote { leader_id, committed: bytes[16] == 1 })
}

pub(super) fn encode_log_id(id: &LogId) -> Bytes {
    let mut out = BytesMut::with_capacity(16);
    out.put_u64_le(id.leader_id.term);
    out.put_u64_le(id.index);
    out.freeze()
}

pub(super) fn decode_log_id(bytes: &[u8]) -> Result<LogId> {
    if bytes.len() != 16 {
        return Err(Error::corrupt("a saved log id that cannot be read"));
    }
    Ok(LogId { leader_id: Committed::new(u64_at(bytes, 0)), index: u64_at(bytes, 8) })
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(*bytes[at..].first_chunk().expect("lengths are checked before"))
}
