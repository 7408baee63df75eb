//! Random requests, releases and cancellations: the invariants hold after each.

use super::LockMode;
use super::core::{Answer, LockCore, OwnerId};
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Op {
    Acquire(u64, u8, LockMode, bool),
    Release(u64),
    ReleaseFrom(u64, usize),
    Cancel(u64),
}

fn mode() -> impl Strategy<Value = LockMode> {
    prop_oneof![
        Just(LockMode::KeyShare),
        Just(LockMode::Share),
        Just(LockMode::NoKeyUpdate),
        Just(LockMode::Update)
    ]
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        8 => (0..6u64, 0..4u8, mode(), any::<bool>()).prop_map(|(o, k, m, w)| Op::Acquire(o, k, m, w)),
        2 => (0..6u64).prop_map(Op::Release),
        1 => (0..6u64, 0..3usize).prop_map(|(o, mark)| Op::ReleaseFrom(o, mark)),
        1 => (0..6u64).prop_map(Op::Cancel),
    ];
    prop::collection::vec(op, 1..80)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nobody_waits_for_nobody_or_for_himself(ops in ops()) {
        let mut core = LockCore::default();
        for op in ops {
            match op {
                // Who waits does nothing else.
                Op::Acquire(owner, _, _, _) | Op::ReleaseFrom(owner, _) if core.is_waiting(OwnerId(owner)) => {}
                Op::Acquire(owner, key, mode, may_wait) => {
                    let answer = core.acquire(OwnerId(owner), &[key], mode, may_wait);
                    prop_assert_eq!(answer == Answer::Queued, core.is_waiting(OwnerId(owner)));
                    prop_assert!(may_wait || !matches!(answer, Answer::Queued | Answer::Deadlock));
                }
                Op::Release(owner) => {
                    for granted in core.release(OwnerId(owner)) {
                        prop_assert!(!core.is_waiting(granted));
                    }
                    prop_assert_eq!(core.held(OwnerId(owner)), 0);
                }
                Op::ReleaseFrom(owner, mark) => {
                    core.release_from(OwnerId(owner), mark);
                }
                Op::Cancel(owner) => {
                    core.cancel(OwnerId(owner));
                }
            }
            core.validate();
        }
        for owner in 0..6 {
            core.release(OwnerId(owner));
        }
        prop_assert!(core.is_empty());
    }
}

#[test]
fn modes_conflict_as_postgresql_says() {
    use LockMode::*;
    let table = [
        (KeyShare, [false, false, false, true]),
        (Share, [false, false, true, true]),
        (NoKeyUpdate, [false, true, true, true]),
        (Update, [true, true, true, true]),
    ];
    for (held, row) in table {
        for (wanted, conflicts) in [KeyShare, Share, NoKeyUpdate, Update].into_iter().zip(row) {
            assert_eq!(held.conflicts(wanted), conflicts, "{held:?} and {wanted:?}");
        }
    }
}
