//! Leaves out of a record what a shard has no use for.

use bytes::{Bytes, BytesMut};
use shardforge_common::key::slot_of;
use shardforge_common::mutation::{Mutation, MutationList};
use shardforge_common::wal::{Record, RecordKind};
use shardforge_common::{Result, SlotRange};

/// The record with only the mutations of these slots, or `None` when nothing is left. The bytes are
/// shared when everything stays.
pub fn filter_record(record: &Record, slots: SlotRange) -> Result<Option<Record>> {
    if slots == SlotRange::ALL || !matches!(record.header.kind, RecordKind::Commit | RecordKind::Fragment) {
        return Ok(Some(record.clone()));
    }
    let list = MutationList::from_bytes(record.body.clone());
    let mut kept = BytesMut::new();
    let mut left_out = false;
    for mutation in list.iter() {
        let mutation = mutation?;
        let wanted = match mutation {
            // Its keys are in any slot.
            Mutation::DeleteRange { .. } => true,
            other => slots.contains(slot_of(other.key())?),
        };
        if wanted {
            mutation.encode(&mut kept);
        }
        left_out |= !wanted;
    }
    let body = match (left_out, kept.is_empty()) {
        (false, _) => record.body.clone(),
        (true, false) => Bytes::from(kept),
        (true, true) => return Ok(None),
    };
    Ok(Some(Record { header: record.header, body }))
}
