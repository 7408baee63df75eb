//! The replicated state as bytes: what a Raft snapshot holds beside its place in the log.
//!
//! ```text
//! state       = applied index (8)  applied term (8)  branch count (4)  branch*
//!               refused count (4)  [ log index (8) ]*  leases  times*
//! branch      = branch id (16)  tenant (16)  committed LSN (8)  time (8)
//!               outcome floor (8)  outcome count (4)  outcome*
//!               staged count (4)  staged*   large count (4)  large*   position count (4)  position*
//! outcome     = at LSN (8)  time (8)  transaction (16)  kind (1): 0 aborted, 1 committed
//!               [ LSN (8)  time (8) ]       when committed
//! staged      = transaction (16)  places
//! large       = LSN (8)  places
//! leases      = count (4)  [ branch id (16)  body of a lease record (56) ]*
//!               or, before there were times, nothing at all when there are none
//! places      = count (4)  [ log index (8)  number in the entry (4) ]*
//! position    = LSN (8)  log index (8)
//! times       = of each branch, in the same order, its commit times (see CommitTimes::encode); a snapshot
//!               without them is of version 1, and knows the time of the last commit alone
//! ```
//!
//! All integers are little endian. The file around it carries version and checksum.

use super::{
    BranchState, CommitTimes, GroupState, LeaseBody, OpenBody, Outcome, OutcomeTable, RecordAt,
    StagedTransaction,
};
use bytes::{Buf, BufMut, BytesMut};
use shardforge_common::{BranchId, Error, Lsn, Result, TenantId, TxnId};

/// The state's bytes.
pub fn encode_state(state: &GroupState) -> BytesMut {
    let mut out = BytesMut::with_capacity(4096);
    out.put_u64_le(state.applied_index);
    out.put_u64_le(state.applied_term);
    out.put_u32_le(state.branches.len() as u32);
    for (id, branch) in &state.branches {
        out.put_slice(id.as_bytes());
        out.put_slice(branch.tenant.as_bytes());
        out.put_u64_le(branch.committed.0);
        out.put_i64_le(branch.time_micros);
        out.put_u64_le(branch.outcomes.floor().0);
        out.put_u32_le(branch.outcomes.iter().len() as u32);
        for (at, time_micros, txn, outcome) in branch.outcomes.iter() {
            out.put_u64_le(at.0);
            out.put_i64_le(time_micros);
            out.put_slice(txn.as_bytes());
            match outcome {
                Outcome::Aborted => out.put_u8(0),
                Outcome::Committed { lsn, time_micros } => {
                    out.put_u8(1);
                    out.put_u64_le(lsn.0);
                    out.put_i64_le(time_micros);
                }
            }
        }
        out.put_u32_le(branch.staged.len() as u32);
        for (txn, staged) in &branch.staged {
            out.put_slice(txn.as_bytes());
            put_places(&mut out, &staged.fragments);
        }
        out.put_u32_le(branch.large.len() as u32);
        for (lsn, fragments) in &branch.large {
            out.put_u64_le(lsn.0);
            put_places(&mut out, fragments);
        }
        out.put_u32_le(branch.positions.len() as u32);
        for (lsn, index) in &branch.positions {
            out.put_u64_le(lsn.0);
            out.put_u64_le(*index);
        }
    }
    out.put_u32_le(state.refused.len() as u32);
    state.refused.iter().for_each(|index| out.put_u64_le(*index));
    let leases = state.branches.iter().filter_map(|(id, branch)| Some((id, branch.lease?)));
    let leases: Vec<_> = leases.collect();
    out.put_u32_le(leases.len() as u32);
    for (id, lease) in leases {
        out.put_slice(id.as_bytes());
        out.put_slice(&LeaseBody::Granted(lease).encode());
    }
    state.branches.values().for_each(|branch| branch.times.encode(&mut out));
    out
}

fn put_places(out: &mut BytesMut, places: &[RecordAt]) {
    out.put_u32_le(places.len() as u32);
    for at in places {
        out.put_u64_le(at.index);
        out.put_u32_le(at.nth);
    }
}

/// Reads the state back. Never panics, whatever the bytes.
pub fn decode_state(mut bytes: &[u8]) -> Result<GroupState> {
    let input = &mut bytes;
    let mut state = GroupState {
        applied_index: take_u64(input)?,
        applied_term: take_u64(input)?,
        ..GroupState::default()
    };
    for _ in 0..take_u32(input)? {
        let id = BranchId::from_bytes(take_id(input)?);
        let tenant = TenantId::from_bytes(take_id(input)?);
        let lsn = Lsn(take_u64(input)?);
        let time_micros = take_u64(input)? as i64;
        let mut branch = BranchState::new(&OpenBody { tenant, lsn, time_micros });
        branch.outcomes = OutcomeTable::new(Lsn(take_u64(input)?));
        for _ in 0..take_u32(input)? {
            let (at, time) = (Lsn(take_u64(input)?), take_u64(input)? as i64);
            let txn = TxnId::from_bytes(take_id(input)?);
            let outcome = match take::<1>(input)? {
                [0] => Outcome::Aborted,
                [1] => {
                    Outcome::Committed { lsn: Lsn(take_u64(input)?), time_micros: take_u64(input)? as i64 }
                }
                [other] => return Err(Error::corrupt(format!("unknown outcome {other}"))),
            };
            branch.outcomes.restore(at, time, txn, outcome);
        }
        for _ in 0..take_u32(input)? {
            let txn = TxnId::from_bytes(take_id(input)?);
            branch.staged.insert(txn, StagedTransaction { fragments: take_places(input)? });
        }
        for _ in 0..take_u32(input)? {
            let lsn = Lsn(take_u64(input)?);
            branch.large.insert(lsn, take_places(input)?);
        }
        for _ in 0..take_u32(input)? {
            branch.positions.push_back((Lsn(take_u64(input)?), take_u64(input)?));
        }
        state.branches.insert(id, branch);
    }
    for _ in 0..take_u32(input)? {
        state.refused.insert(take_u64(input)?);
    }
    let leases = if input.is_empty() { 0 } else { take_u32(input)? };
    for _ in 0..leases {
        let id = BranchId::from_bytes(take_id(input)?);
        match (state.branches.get_mut(&id), LeaseBody::decode(&take::<{ LeaseBody::LEN }>(input)?)?) {
            (Some(branch), LeaseBody::Granted(lease)) => branch.lease = Some(lease),
            _ => return Err(Error::corrupt(format!("a lease of branch {id}, which is not in this group"))),
        }
    }
    if !input.is_empty() {
        for branch in state.branches.values_mut() {
            branch.times = CommitTimes::decode(input)?;
        }
    }
    if !input.is_empty() {
        return Err(Error::corrupt(format!("{} bytes after the group's state", input.len())));
    }
    Ok(state)
}

fn take<const N: usize>(input: &mut &[u8]) -> Result<[u8; N]> {
    let head = *input
        .first_chunk::<N>()
        .ok_or_else(|| Error::corrupt(format!("cut short: {N} bytes wanted, {} left", input.len())))?;
    input.advance(N);
    Ok(head)
}

fn take_u64(input: &mut &[u8]) -> Result<u64> {
    Ok(u64::from_le_bytes(take(input)?))
}

fn take_u32(input: &mut &[u8]) -> Result<u32> {
    Ok(u32::from_le_bytes(take(input)?))
}

fn take_id(input: &mut &[u8]) -> Result<[u8; 16]> {
    take(input)
}

fn take_places(input: &mut &[u8]) -> Result<Vec<RecordAt>> {
    let count = take_u32(input)?;
    (0..count).map(|_| Ok(RecordAt { index: take_u64(input)?, nth: take_u32(input)? })).collect()
}
