//! What one Raft entry carries: the records of one run of the sequencer, as they are stored.

use bytes::{Bytes, BytesMut};
use shardforge_common::Result;
use shardforge_common::wal::{HEADER_LEN, Record, RecordHeader};
use std::fmt;
use std::sync::Arc;

/// The place of a record in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordAt {
    /// Index of the log entry.
    pub index: u64,
    /// Number of the record in the entry's batch, from 0.
    pub nth: u32,
}

/// Records that were certified together, under one leadership.
#[derive(Clone)]
pub struct Batch {
    /// The term in which they were certified (L2).
    pub term: u64,
    /// The records; their bodies are slices of `bytes`.
    pub records: Arc<[Record]>,
    /// The records in their stored form, one after another.
    pub bytes: Bytes,
}

impl Batch {
    /// Encodes records, once: from here on everyone shares these bytes.
    pub fn build(term: u64, records: &[(RecordHeader, Bytes)]) -> Self {
        let len = records.iter().map(|(_, body)| HEADER_LEN + body.len()).sum();
        let mut out = BytesMut::with_capacity(len);
        for (header, body) in records {
            header.encode(body, &mut out);
        }
        let bytes = out.freeze();
        let mut at = 0;
        let shared = records.iter().map(|(header, body)| {
            let start = at + HEADER_LEN;
            at = start + body.len();
            Record { header: *header, body: bytes.slice(start..at) }
        });
        let records = shared.collect();
        Self { term, records, bytes }
    }

    /// Reads a batch back, verifying every record's checksums.
    pub fn decode(term: u64, bytes: Bytes) -> Result<Self> {
        let mut rest = bytes.clone();
        let mut records = Vec::new();
        while !rest.is_empty() {
            records.push(Record::decode(&mut rest)?);
        }
        Ok(Self { term, records: records.into(), bytes })
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} records, {} bytes, certified in term {}",
            self.records.len(),
            self.bytes.len(),
            self.term
        )
    }
}
