//! Applying, outcomes, trimming, and the snapshot's bytes.

use super::*;
use bytes::Bytes;
use proptest::prelude::*;
use shardforge_common::wal::{RecordHeader, RecordKind};
use shardforge_common::{BranchId, ComputeId, ErrorKind, Lsn, NodeId, TenantId, TxnId};
use std::time::Duration;

fn branch(number: u8) -> BranchId {
    BranchId::from_bytes([number; 16])
}

fn txn(number: u64) -> TxnId {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    TxnId::from_bytes(bytes)
}

fn header(kind: RecordKind, lsn: u64, number: u64, fragment: u32) -> RecordHeader {
    RecordHeader {
        kind,
        last: kind != RecordKind::Fragment,
        branch: branch(1),
        lsn: Lsn(lsn),
        prev_lsn: Lsn(lsn.saturating_sub(1)),
        time_micros: 1_000 + lsn as i64,
        txn: txn(number),
        fragment,
        attempt: 0,
    }
}

fn batch(term: u64, headers: &[RecordHeader]) -> Batch {
    let records: Vec<_> = headers.iter().map(|header| (*header, Bytes::from_static(b""))).collect();
    Batch::build(term, &records)
}

fn open() -> Batch {
    let body = OpenBody { tenant: TenantId::from_bytes([9; 16]), lsn: Lsn::ZERO, time_micros: 500 };
    Batch::build(1, &[(header(RecordKind::Open, 0, 0, 0), body.encode())])
}

fn opened() -> GroupState {
    let mut state = GroupState::default();
    assert!(matches!(state.apply(1, 1, &open()), Applied::Done(_)));
    state
}

fn commit(lsn: u64, number: u64) -> RecordHeader {
    header(RecordKind::Commit, lsn, number, 0)
}

#[test]
fn a_batch_that_does_not_follow_on_changes_nothing() {
    let mut state = opened();
    assert!(matches!(state.apply(2, 1, &batch(1, &[commit(1, 1), commit(2, 2)])), Applied::Done(_)));
    let before = state.clone();
    let wrong = [
        (1, batch(1, &[commit(3, 3), commit(5, 5)]), "a gap inside"),
        (1, batch(1, &[commit(4, 4)]), "a gap before"),
        (1, batch(1, &[commit(2, 4)]), "an LSN that was given"),
        (2, batch(1, &[commit(3, 3)]), "certified in another term"),
        (1, batch(1, &[commit(3, 1)]), "a transaction that committed"),
        (1, batch(1, &[commit(3, 3), header(RecordKind::Fragment, 0, 8, 1)]), "a fragment after none"),
        (1, batch(1, &[header(RecordKind::Commit, 3, 3, 2)]), "fragments that nobody staged"),
        (1, batch(1, &[RecordHeader { branch: branch(7), ..commit(1, 9) }]), "another group's branch"),
        (1, batch(1, &[header(RecordKind::Horizon, 0, 0, 0)]), "a kind that is not built"),
        (1, batch(1, &[header(RecordKind::Lease, 0, 0, 0)]), "a lease without a body"),
    ];
    for (index, (term, batch, what)) in (3..).zip(wrong) {
        assert!(matches!(state.apply(index, term, &batch), Applied::Refused(_)), "{what}");
        assert_eq!(state.branches, before.branches, "{what}");
        assert!(state.refused.contains(&index), "{what}: readers of the log must pass it too");
    }
    assert!(matches!(state.apply(99, 1, &batch(1, &[commit(3, 3)])), Applied::Done(_)));
}

#[test]
fn an_aborted_id_never_commits_and_a_committed_one_is_not_aborted() {
    let mut state = opened();
    let abort = |number| header(RecordKind::Abort, 0, number, 0);
    let Applied::Done(effects) = state.apply(2, 1, &batch(1, &[commit(1, 1), abort(1), abort(2)])) else {
        panic!("it follows on")
    };
    let committed = Outcome::Committed { lsn: Lsn(1), time_micros: 1_001 };
    assert_eq!(effects[1], Effect::Aborted { branch: branch(1), txn: txn(1), outcome: committed });
    assert_eq!(effects[2], Effect::Aborted { branch: branch(1), txn: txn(2), outcome: Outcome::Aborted });
    assert!(matches!(state.apply(3, 1, &batch(1, &[commit(2, 2)])), Applied::Refused(_)));
}

#[test]
fn a_forgotten_outcome_lies_below_the_tables_floor() {
    let mut table = OutcomeTable::new(Lsn::ZERO);
    let hour = 3_600_000_000;
    table.record(txn(1), Outcome::Committed { lsn: Lsn(1), time_micros: 0 }, Lsn(1), 0);
    table.record(txn(2), Outcome::Aborted, Lsn(1), 0);
    assert_eq!(table.floor(), Lsn::ZERO);
    table.record(txn(3), Outcome::Committed { lsn: Lsn(2), time_micros: hour }, Lsn(2), hour);
    assert_eq!((table.get(txn(1)), table.get(txn(2))), (None, None));
    // The abort's sender had a base of at most 1: it is told to look in the log.
    assert_eq!(table.floor(), Lsn(2));
    assert!(table.get(txn(3)).is_some());
}

#[test]
fn the_log_is_needed_from_the_first_thing_that_is_nowhere_else() {
    let mut state = opened();
    let fragment = |number, fragment| header(RecordKind::Fragment, 0, number, fragment);
    state.apply(2, 1, &batch(1, &[commit(1, 1)]));
    state.apply(3, 1, &batch(1, &[fragment(50, 0)]));
    state.apply(4, 1, &batch(1, &[commit(2, 2), commit(3, 3)]));
    state.apply(5, 1, &batch(1, &[commit(4, 4)]));
    let needed = |state: &GroupState, safe| state.branches[&branch(1)].first_needed_index(Lsn(safe));
    assert_eq!(needed(&state, 0), Some(2));
    assert_eq!(needed(&state, 1), Some(3), "an open transaction's fragment");
    assert_eq!(needed(&state, 4), Some(3));
    // It commits: its fragment is needed until its commit is elsewhere.
    state.apply(6, 1, &batch(1, &[header(RecordKind::Commit, 5, 50, 1)]));
    assert_eq!(needed(&state, 4), Some(3));
    assert_eq!(needed(&state, 5), None);
    state.forget_below(4);
    assert_eq!(state.branches[&branch(1)].first_available(), Lsn(4));
    assert_eq!(needed(&state, 3), Some(5));
    assert_eq!(needed(&state, 2), Some(0), "nothing is remembered of it: keep everything");
}

#[derive(Debug, Clone)]
enum Op {
    Commit(u64),
    Fragment(u64),
    Abort(u64),
    Forget(u64),
}

fn any_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0u64..50).prop_map(Op::Commit),
        2 => (0u64..50).prop_map(Op::Fragment),
        1 => (0u64..50).prop_map(Op::Abort),
        1 => (0u64..60).prop_map(Op::Forget),
    ]
}

proptest! {
    /// Whatever happened, the snapshot gives it back; and no damaged one is taken for whole or panics.
    #[test]
    fn a_snapshot_gives_the_state_back(ops in proptest::collection::vec(any_op(), 0..60), cut in 0usize..400) {
        let mut state = opened();
        for (op, index) in ops.into_iter().zip(2..) {
            let known = &state.branches[&branch(1)];
            let staged = |number| known.staged.get(&txn(number)).map_or(0, |txn| txn.fragments.len() as u32);
            let header = match op {
                Op::Commit(number) => header(RecordKind::Commit, known.committed.0 + 1, number, staged(number)),
                Op::Fragment(number) => header(RecordKind::Fragment, 0, number, staged(number)),
                Op::Abort(number) => header(RecordKind::Abort, 0, number, 0),
                Op::Forget(index) => {
                    state.forget_below(index.min(state.applied_index));
                    continue;
                }
            };
            state.apply(index, 1, &batch(1, &[header]));
        }
        let bytes = encode_state(&state);
        prop_assert_eq!(&decode_state(&bytes).unwrap(), &state);
        let cut = cut.min(bytes.len() - 1);
        match decode_state(&bytes[..cut]) {
            Err(error) => prop_assert_eq!(error.kind(), ErrorKind::Corrupt),
            // Where an older version ended: it knew the last commit's time alone.
            Ok(read) => {
                let mut old = state.clone();
                for branch in old.branches.values_mut() {
                    branch.times = CommitTimes::default();
                    branch.times.note(branch.committed, branch.time_micros);
                }
                prop_assert_eq!(read, old);
            }
        }
    }

    /// Bytes that are no state are an error.
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode_state(&bytes);
        let _ = OpenBody::decode(&bytes);
        let _ = Batch::decode(1, bytes.into());
    }
}

/// Version 1, for ever.
#[test]
fn golden_open_record_body() {
    let body = OpenBody { tenant: TenantId::from_bytes([9; 16]), lsn: Lsn(258), time_micros: 3 };
    let golden =
        [[1, 0, 0, 0, 0, 0, 0, 0], [9; 8], [9; 8], [2, 1, 0, 0, 0, 0, 0, 0], [3, 0, 0, 0, 0, 0, 0, 0]];
    assert_eq!(body.encode(), golden.concat());
    assert_eq!(OpenBody::decode(&golden.concat()).unwrap(), body);
}

/// Each version, for ever.
#[test]
fn golden_state() {
    let mut state = opened();
    state.apply(2, 1, &batch(1, &[header(RecordKind::Fragment, 0, 4, 0), commit(1, 1)]));
    state.apply(3, 1, &batch(1, &[header(RecordKind::Commit, 2, 4, 1), header(RecordKind::Abort, 0, 5, 0)]));
    state.apply(4, 1, &batch(1, &[commit(9, 9), header(RecordKind::Fragment, 0, 6, 0)]));
    state.apply(5, 1, &batch(1, &[header(RecordKind::Fragment, 0, 7, 0)]));
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let bytes = encode_state(&state);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/group/golden/state-v2.hex");
    let golden = include_str!("golden/state-v2.hex");
    assert_eq!(hex(&bytes), golden.trim(), "the format of {path} changed: it needs a new version");
    // Version 1 had no commit times, and ended before them.
    let golden = include_str!("golden/state-v1.hex").trim();
    let old = golden.len() / 2;
    assert_eq!(hex(&bytes[..old]), golden);
    let mut read = decode_state(&bytes[..old]).unwrap();
    for (id, branch) in &mut read.branches {
        assert_eq!(branch.times.at(i64::MAX).unwrap(), Some((branch.committed, branch.time_micros)));
        branch.times = state.branches[id].times.clone();
    }
    assert_eq!(read, state);
}

/// Version 1, for ever.
#[test]
fn golden_lease_record_body() {
    let within = Process { node: NodeId(3), incarnation: [8; 16] };
    let holder = ComputeId::from_bytes([7; 16]);
    let lease = LeaseState { holder, duration: Duration::from_micros(258), within: Some(within) };
    let golden =
        [[1, 1, 0, 0, 0, 0, 0, 0], [7; 8], [7; 8], [2, 1, 0, 0, 0, 0, 0, 0], [3, 0, 0, 0, 0, 0, 0, 0]];
    let golden = [&golden.concat()[..], &[8; 16]].concat();
    assert_eq!(LeaseBody::Granted(lease).encode(), golden);
    assert_eq!(LeaseBody::decode(&golden).unwrap(), LeaseBody::Granted(lease));
    let back = LeaseBody::GivenBack(holder);
    assert_eq!(LeaseBody::decode(&back.encode()).unwrap(), back);
    for at in 0..8 {
        let mut other = golden.clone();
        other[at] = 2;
        assert_eq!(LeaseBody::decode(&other).unwrap_err().kind(), ErrorKind::Corrupt);
    }
}

#[test]
fn a_lease_is_kept_through_a_snapshot_until_its_holder_gives_it_back() {
    let mut state = opened();
    let (a, b) = (ComputeId::from_bytes([7; 16]), ComputeId::from_bytes([8; 16]));
    let lease = LeaseState { holder: a, duration: Duration::from_secs(2), within: None };
    let record = |body: LeaseBody| Batch::build(1, &[(header(RecordKind::Lease, 0, 0, 0), body.encode())]);
    let leased = |state: &GroupState| state.branches.values().next().unwrap().lease;
    assert!(matches!(state.apply(2, 1, &record(LeaseBody::Granted(lease))), Applied::Done(_)));
    state = decode_state(&encode_state(&state)).unwrap();
    assert_eq!(leased(&state), Some(lease));
    state.apply(3, 1, &record(LeaseBody::GivenBack(b)));
    assert_eq!(leased(&state), Some(lease), "not the holder");
    state.apply(4, 1, &record(LeaseBody::GivenBack(a)));
    assert_eq!(leased(&state), None);
}
