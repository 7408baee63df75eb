//! What a read lacks.

use bytes::Bytes;
use shardforge_common::{Lsn, SlotRange};
use shardforge_proto::page::Direction;

/// A page that a read needs and memory does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageNeed {
    /// The shard.
    pub slots: SlotRange,
    /// The key.
    pub key: Bytes,
    /// Which side of the key.
    pub direction: Direction,
    /// The reader's snapshot.
    pub snapshot: Lsn,
    /// Whether only a page at exactly the snapshot will do (R2).
    pub exact: bool,
    /// For a range read, where it ends: more pages may be fetched ahead.
    pub scan_end: Option<Bytes>,
}
