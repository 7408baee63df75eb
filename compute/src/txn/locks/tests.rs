//! Random requests, releases and cancellations: the invariants hold after each.

use super::LockMode;
use super::core::{Answer, LockCore, OwnerId};
use proptest::prelude::*;
use shardforge_common::key::STORAGE_ID_LEN;
use std::collections::HashMap;

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
        let mut core = LockCore::new(usize::MAX);
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

/// A key of one of two storages.
fn key_of(number: u8) -> Vec<u8> {
    let mut key = vec![number / 2; STORAGE_ID_LEN];
    key.push(number);
    key
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is entered one by one, as a whole storage, or not at all: who was granted a key has it alone, and
    /// nothing is left out that somebody else has.
    #[test]
    fn no_lock_is_lost_when_there_are_many(limit in 0..4usize, ops in ops()) {
        let mut core = LockCore::new(limit);
        // Who has what, and the owner's mark before it was granted.
        let mut has: Vec<(u64, u8, LockMode, usize)> = Vec::new();
        let mut wants: HashMap<u64, (u8, LockMode)> = HashMap::new();
        for op in ops {
            let mut granted = Vec::new();
            match op {
                Op::Acquire(owner, _, _, _) | Op::ReleaseFrom(owner, _) if core.is_waiting(OwnerId(owner)) => {}
                Op::Acquire(owner, key, mode, may_wait) => {
                    let mark = core.held(OwnerId(owner));
                    match core.acquire(OwnerId(owner), &key_of(key), mode, may_wait) {
                        Answer::Granted | Answer::Held => {
                            let others = has.iter().filter(|(who, at, _, _)| (*who, *at) != (owner, key) && *at == key);
                            for (who, _, held, _) in others {
                                prop_assert!(!held.conflicts(mode), "{} has what {} was granted", who, owner);
                            }
                            has.push((owner, key, mode, mark));
                        }
                        Answer::Queued => drop(wants.insert(owner, (key, mode))),
                        Answer::Omitted => prop_assert!(
                            has.iter().all(|(who, at, ..)| *who == owner || *at != key),
                            "{} was not told of others",
                            owner
                        ),
                        Answer::WouldWait | Answer::Deadlock => {}
                    }
                }
                Op::Release(owner) => {
                    granted = core.release(OwnerId(owner));
                    has.retain(|(who, ..)| *who != owner);
                    wants.remove(&owner);
                }
                Op::ReleaseFrom(owner, mark) => {
                    granted = core.release_from(OwnerId(owner), mark);
                    has.retain(|(who, _, _, before)| *who != owner || *before < mark);
                }
                Op::Cancel(owner) => {
                    granted = core.cancel(OwnerId(owner));
                    wants.remove(&owner);
                }
            }
            for owner in granted {
                let (key, mode) = wants.remove(&owner.0).expect("it was waiting");
                has.push((owner.0, key, mode, core.held(owner) - 1));
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
fn many_locks_of_one_storage_become_one() {
    let mut core = LockCore::new(100);
    let (many, other) = (OwnerId(1), OwnerId(2));
    for number in 0..10_000u16 {
        let key = [&[7; STORAGE_ID_LEN][..], &number.to_be_bytes()].concat();
        assert_eq!(
            core.acquire(many, &key, LockMode::NoKeyUpdate, true),
            if number > 100 { Answer::Held } else { Answer::Granted }
        );
    }
    assert_eq!(core.held_keys().count(), 0);
    let free = [&[7; STORAGE_ID_LEN][..], &[255, 255]].concat();
    assert_eq!(core.acquire(other, &free, LockMode::KeyShare, false), Answer::WouldWait);
    assert_eq!(core.acquire(other, &free, LockMode::KeyShare, true), Answer::Queued);
    assert_eq!(core.acquire(many, &[8; 9], LockMode::Update, true), Answer::Granted);
    assert_eq!(core.release(many), [other]);
    assert!(core.holds(other, &free));
}

#[test]
fn who_else_is_there_keeps_a_storage_from_being_one_owners() {
    let mut core = LockCore::new(10);
    let (many, other) = (OwnerId(1), OwnerId(2));
    let key = |number: u8| [&[7; STORAGE_ID_LEN][..], &[number]].concat();
    assert_eq!(core.acquire(other, &key(200), LockMode::KeyShare, true), Answer::Granted);
    for number in 0..11 {
        assert_eq!(core.acquire(many, &key(number), LockMode::Update, true), Answer::Granted);
    }
    assert_eq!(core.acquire(other, &key(201), LockMode::Update, false), Answer::Granted);
    assert_eq!(core.acquire(other, &key(5), LockMode::Update, false), Answer::WouldWait);
    core.release(other);
    for number in 11..100 {
        core.acquire(many, &key(number), LockMode::Update, true);
    }
    assert_eq!(core.acquire(other, &key(201), LockMode::Update, false), Answer::WouldWait);
}

#[test]
fn beyond_twice_the_limit_nothing_is_entered_but_what_others_want() {
    let mut core = LockCore::new(10);
    let (many, other) = (OwnerId(1), OwnerId(2));
    let key = |number: u8| [&[7; STORAGE_ID_LEN][..], &[number]].concat();
    assert_eq!(core.acquire(other, &key(200), LockMode::Update, true), Answer::Granted);
    for number in 0..100 {
        let expected = if number < 20 { Answer::Granted } else { Answer::Omitted };
        assert_eq!(core.acquire(many, &key(number), LockMode::Update, true), expected, "{number}");
    }
    assert_eq!(core.held_keys().count(), 21);
    // What is entered is guarded as ever, on both sides.
    assert_eq!(core.acquire(other, &key(19), LockMode::Share, false), Answer::WouldWait);
    assert_eq!(core.acquire(many, &key(19), LockMode::Update, false), Answer::Held);
    assert_eq!(core.acquire(many, &key(200), LockMode::Update, true), Answer::Queued);
    assert_eq!(core.acquire(other, &key(19), LockMode::Share, true), Answer::Deadlock);
    assert_eq!(core.release(other), [many]);
    // A table's lock is no row's.
    assert_eq!(core.acquire_single(many, &key(201), LockMode::KeyShare, true), Answer::Granted);
    assert_eq!(core.acquire(other, &key(201), LockMode::Update, false), Answer::WouldWait);
    core.release(many);
    assert!(core.is_empty());
}

#[test]
fn who_waits_for_whole_storages_of_each_other_is_told() {
    let mut core = LockCore::new(2);
    let key = |storage: u8, number: u8| [&[storage; STORAGE_ID_LEN][..], &[number]].concat();
    let owners = [OwnerId(1), OwnerId(2)];
    for (storage, owner) in owners.into_iter().enumerate() {
        for number in 0..3 {
            assert_eq!(
                core.acquire(owner, &key(storage as u8, number), LockMode::Update, true),
                Answer::Granted
            );
        }
    }
    assert_eq!(core.acquire(owners[0], &key(1, 77), LockMode::KeyShare, true), Answer::Queued);
    assert_eq!(core.acquire(owners[1], &key(0, 77), LockMode::KeyShare, true), Answer::Deadlock);
    core.validate();
    assert_eq!(core.release(owners[1]), [owners[0]]);
    core.release(owners[0]);
    assert!(core.is_empty());
}

#[test]
fn a_savepoint_gives_back_what_came_after_it_and_keeps_a_whole_storage() {
    let mut core = LockCore::new(10);
    let (many, other) = (OwnerId(1), OwnerId(2));
    let key = |storage: u8, number: u8| [&[storage; STORAGE_ID_LEN][..], &[number]].concat();
    core.acquire(many, &key(8, 1), LockMode::Update, true);
    let before = core.held(many);
    core.acquire(many, &key(8, 2), LockMode::Update, true);
    for number in 0..50 {
        core.acquire(many, &key(7, number), LockMode::Update, true);
    }
    let later = core.held(many);
    core.acquire(many, &key(8, 3), LockMode::Update, true);
    core.release_from(many, later);
    assert_eq!(core.acquire(other, &key(8, 3), LockMode::Update, false), Answer::Granted);
    core.release_from(many, before);
    assert_eq!(core.acquire(other, &key(8, 2), LockMode::Update, false), Answer::Granted);
    assert_eq!(core.acquire(other, &key(8, 1), LockMode::Update, false), Answer::WouldWait);
    assert_eq!(core.acquire(other, &key(7, 0), LockMode::Update, false), Answer::WouldWait);
    core.validate();
    core.release(many);
    assert_eq!(core.acquire(other, &key(7, 0), LockMode::Update, false), Answer::Granted);
}

#[test]
fn new_keys_beyond_the_limit_are_not_entered() {
    let mut core = LockCore::new(10);
    let (many, other) = (OwnerId(1), OwnerId(2));
    let key = |number: u8| [&[7; STORAGE_ID_LEN][..], &[number]].concat();
    assert_eq!(core.acquire(other, &key(99), LockMode::Update, true), Answer::Granted);
    for number in 0..50 {
        let expected = if number < 10 { Answer::Granted } else { Answer::Omitted };
        assert_eq!(core.acquire_new(many, &key(number), true), expected);
    }
    assert_eq!(core.held(many), 10);
    // Those of others are waited for all the same.
    assert_eq!(core.acquire_new(many, &key(99), true), Answer::Queued);
    assert_eq!(core.release(other), [many]);
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
