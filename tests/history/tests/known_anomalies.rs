//! Histories with known anomalies: each is found under its name where its level forbids it, and nothing
//! is found where the level permits it.
//!
//! A history is written one transaction a line: level (`rc`, `rr`, `s`), `begin..end` in real time,
//! `!` for aborted and `?` for an unanswered COMMIT, then operations: `x+1` appends 1 to x, `x[1 2]` reads it,
//! `&x[1]` does so in the statement before.

#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

use shardforge_history::registers::{RegisterOp, RegisterTxn, to_lists};
use shardforge_history::sets::{self, Insert, SetRead};
use shardforge_history::{Anomaly, History, Kind, Level, Op, Outcome, Txn, check};

fn history(text: &str, level: Option<Level>) -> History {
    let mut txns = Vec::new();
    for (process, line) in text.lines().map(str::trim).filter(|line| !line.is_empty()).enumerate() {
        let (head, rest) = line.split_once(": ").unwrap();
        let mut head = head.split_whitespace();
        let named = match head.next().unwrap() {
            "rc" => Level::ReadCommitted,
            "rr" => Level::RepeatableRead,
            _ => Level::Serializable,
        };
        let times = head.next().unwrap();
        let (invoked, completed) = times.trim_end_matches(['!', '?']).split_once("..").unwrap();
        let outcome = match times.chars().last().unwrap() {
            '!' => Outcome::Aborted,
            '?' => Outcome::Unknown,
            _ => Outcome::Committed,
        };
        let key = |name: &str| u64::from(name.as_bytes()[0]);
        let ops = rest.split(", ").map(|op| {
            if let Some((name, value)) = op.split_once('+') {
                return Op::Append { key: key(name), value: value.parse().unwrap() };
            }
            let same_statement = op.starts_with('&');
            let (name, list) = op.trim_start_matches('&').split_once('[').unwrap();
            let list = list.trim_end_matches(']').split_whitespace().map(|v| v.parse().unwrap()).collect();
            Op::Read { key: key(name), list, same_statement }
        });
        txns.push(Txn {
            process: process as u32,
            level: level.unwrap_or(named),
            ops: ops.collect(),
            outcome,
            invoked: invoked.parse().unwrap(),
            completed: completed.parse().unwrap(),
        });
    }
    History { txns }
}

fn found(text: &str, level: Level) -> Option<Kind> {
    check(&history(text, Some(level))).first().map(|anomaly| anomaly.kind)
}

/// What is found at READ COMMITTED, REPEATABLE READ and SERIALIZABLE.
const CASES: &[(&str, &str, [Option<Kind>; 3])] = &[
    ("nothing happened", "", [None; 3]),
    (
        "one after the other",
        "s 1..2: x+1, y+1
         s 3..4: x[1], x+2
         s 5..6: x[1 2], y[1]",
        [None; 3],
    ),
    (
        "at the same time, in an order that there is",
        "s 1..9: x[], y+1
         s 1..9: y[1], x+1
         s 1..9: x[1], y[1]",
        [None; 3],
    ),
    (
        "dirty write",
        "s 1..9: x+1, y+1
         s 1..9: x+2, y+2
         s 10..11: x[1 2], y[2 1]",
        [Some(Kind::G0); 3],
    ),
    (
        "aborted read",
        "s 1..9!: x+1
         s 1..9: x[1]",
        [Some(Kind::G1a); 3],
    ),
    (
        "intermediate read",
        "s 1..9: x+1, x+2
         s 1..9: x[1]
         s 10..11: x[1 2]",
        [Some(Kind::G1b); 3],
    ),
    (
        "circular information flow",
        "s 1..9: x+1, y[1]
         s 1..9: y+1, x[1]",
        [Some(Kind::G1c); 3],
    ),
    (
        "read skew",
        "s 1..9: x[], y[1]
         s 1..9: x+1, y+1
         s 10..11: x[1]",
        [None, Some(Kind::GSingle), Some(Kind::GSingle)],
    ),
    (
        "read skew in one statement",
        "s 1..9: x[], &y[1]
         s 1..9: x+1, y+1
         s 10..11: x[1]",
        [Some(Kind::GSingle); 3],
    ),
    (
        "lost update",
        "s 1..9: x[], x+1
         s 1..9: x[], x+2
         s 10..11: x[1 2]",
        [None, Some(Kind::GSingle), Some(Kind::GSingle)],
    ),
    (
        "write skew",
        "s 1..9: x[], y[], x+1
         s 1..9: x[], y[], y+1
         s 10..11: x[1], y[1]",
        [None, None, Some(Kind::G2)],
    ),
    (
        "write skew that nobody reads",
        "s 1..9: x[], y[], x+1
         s 1..9: x[], y[], y+1",
        [None, None, Some(Kind::G2)],
    ),
    (
        "a reader who sees what a batch cannot have left (two edges)",
        "s 1..9: x[], y[], x+1
         s 2..3: y+1
         s 4..5: x[], y[1]
         s 10..11: x[1], y[1]",
        [None, None, Some(Kind::G2)],
    ),
    (
        "two readers who see two writes in different order (long fork)",
        "s 1..9: x+1
         s 1..9: y+1
         s 1..9: x[1], &y[]
         s 1..9: x[], &y[1]
         s 10..11: x[1], y[1]",
        [Some(Kind::G2); 3],
    ),
    (
        "a write that was acknowledged is not seen",
        "s 1..2: x+1
         s 3..4: x[]
         s 5..6: x[1]",
        [Some(Kind::GSingle); 3],
    ),
    (
        "a write that was acknowledged is lost",
        "s 1..2: x+1
         s 3..4: x+2
         s 5..6: x[2]",
        [Some(Kind::Lost); 3],
    ),
    (
        "nobody asked since",
        "s 1..2: x+1
         s 1..4: x[]",
        [None; 3],
    ),
    (
        "a commit without an answer took effect",
        "s 1..2?: x+1
         s 3..4: x[1]
         s 5..6: x[1]",
        [None; 3],
    ),
    (
        "a commit without an answer took effect late",
        "s 1..2?: x+1
         s 3..4: x[]
         s 5..6: x[1]",
        [None; 3],
    ),
    (
        "a commit without an answer did not",
        "s 1..2?: x+1, y+1
         s 3..4: x[]
         s 5..6: y[]",
        [None; 3],
    ),
    (
        "a commit without an answer took effect in half",
        "s 1..2?: x+1, y+1
         s 3..4: x[1]
         s 5..6: y[]",
        [Some(Kind::GSingle); 3],
    ),
    (
        "a commit without an answer came and went",
        "s 1..2?: x+1
         s 3..4: x[1]
         s 5..6: x[]",
        [Some(Kind::GSingle); 3],
    ),
    ("a value from nowhere", "s 1..2: x[7]", [Some(Kind::Garbage); 3]),
    (
        "a value twice",
        "s 1..2: x+1
         s 3..4: x[1 1]",
        [Some(Kind::Duplicate); 3],
    ),
    (
        "two histories of one key",
        "s 1..9: x+1
         s 1..9: x+2
         s 1..9: x[1 2]
         s 1..9: x[2 1]",
        [Some(Kind::IncompatibleOrder); 3],
    ),
    ("blind to its own write", "s 1..9: x+1, x[]", [Some(Kind::Internal); 3]),
    (
        "a read that changes within a transaction",
        "s 1..9: x[], x[1]
         s 1..9: x+1",
        [None, Some(Kind::GSingle), Some(Kind::GSingle)],
    ),
    (
        "a read that goes back within a transaction",
        "s 1..9: x[1], x[]
         s 1..9: x+1",
        [Some(Kind::GSingle); 3],
    ),
    (
        "what an aborted transaction read does not count",
        "s 1..9!: x[], y[1]
         s 1..9: x+1, y+1",
        [None; 3],
    ),
];

#[test]
fn each_class_is_found_where_its_level_forbids_it() {
    for (name, text, expected) in CASES {
        for (level, expected) in Level::ALL.into_iter().zip(expected) {
            let report =
                check(&history(text, Some(level))).iter().map(Anomaly::to_string).collect::<String>();
            assert_eq!(found(text, level), *expected, "{name} at {level:?}\n{report}");
        }
    }
}

#[test]
fn levels_mix_and_each_is_held_to_its_own_promise() {
    let skew = |one: &str, two: &str| {
        let text = format!("{one} 1..9: x[], y[], x+1\n{two} 1..9: x[], y[], y+1");
        check(&history(&text, None)).first().map(|anomaly| anomaly.kind)
    };
    assert_eq!(skew("s", "s"), Some(Kind::G2));
    // Only one of the two was promised that what it read still holds when it commits.
    assert_eq!(skew("s", "rr"), None);
    assert_eq!(skew("rr", "s"), None);
    assert_eq!(skew("s", "rc"), None);
}

#[test]
fn the_report_shows_the_shortest_cycle_and_only_what_is_in_it() {
    let text = "s 1..9: x[], z[], y[], x+1
                s 1..9: x[], y[], y+1, z+1
                s 10..11: x[1], y[1]
                s 12..13: x[1], y[1]";
    let found = check(&history(text, Some(Level::Serializable)));
    assert_eq!(found.len(), 1);
    let report = found[0].to_string();
    assert!(report.starts_with("G2, anti-dependency cycle\n"), "{report}");
    assert!(report.contains("T0 -rw-> T1: T0 read 122 before T1 put 1 into it"), "{report}");
    assert!(report.contains("T1 -rw-> T0: T1 read 120 before T0 put 1 into it"), "{report}");
    assert!(!report.contains("T2") && !report.contains("T3"), "{report}");
    assert!(!found[0].in_real_time);
}

#[test]
fn staleness_is_told_from_disorder() {
    let stale = "s 1..2: x+1\ns 3..4: x[]\ns 5..6: x[1]";
    assert!(check(&history(stale, Some(Level::Serializable)))[0].in_real_time);
}

#[test]
fn sets_lose_nothing_and_have_nothing_twice() {
    let insert = |value, outcome, completed| Insert { value, outcome, completed };
    let read = |invoked, values: &[u64]| SetRead { invoked, completed: invoked + 1, values: values.to_vec() };
    let inserts =
        [insert(1, Outcome::Committed, 5), insert(2, Outcome::Aborted, 6), insert(3, Outcome::Unknown, 7)];
    assert!(sets::check(&inserts, &[read(4, &[]), read(10, &[1]), read(20, &[3, 1])]).is_empty());
    let wrong = |reads: &[SetRead]| sets::check(&inserts, reads).join("; ");
    assert_eq!(wrong(&[read(10, &[])]), "1 was there at 5, and is lost at 10");
    assert_eq!(wrong(&[read(10, &[1, 1])]), "1 is there 2 times");
    assert_eq!(wrong(&[read(10, &[1, 2])]), "2 was refused, and is there");
    assert_eq!(wrong(&[read(10, &[1, 9])]), "9 is there, and nobody inserted it");
    assert_eq!(wrong(&[read(10, &[1, 3]), read(20, &[1])]), "3 was there at 11, and is lost at 20");
}

#[test]
fn registers_become_lists() {
    let txn = |level, ops: &[RegisterOp]| RegisterTxn {
        txn: Txn { process: 0, level, ops: vec![], outcome: Outcome::Committed, invoked: 1, completed: 9 },
        ops: ops.to_vec(),
    };
    let read = |value| RegisterOp::Read { key: 1, value };
    let write = |value| RegisterOp::Write { key: 1, value };
    let line = [
        txn(Level::Serializable, &[read(0), write(5)]),
        txn(Level::Serializable, &[read(5), write(6), write(7)]),
        txn(Level::Serializable, &[read(7)]),
    ];
    let lists = to_lists(&line).unwrap();
    assert_eq!(lists.txns[2].ops, [Op::Read { key: 1, list: vec![5, 6, 7], same_statement: false }]);
    assert!(check(&lists).is_empty());

    let both = |level| to_lists(&[txn(level, &[read(0), write(5)]), txn(level, &[read(0), write(6)])]);
    assert!(both(Level::ReadCommitted).is_ok());
    assert_eq!(both(Level::RepeatableRead).unwrap_err()[0].kind, Kind::LostUpdate);

    let mid =
        [txn(Level::ReadCommitted, &[read(0), write(5), write(6)]), txn(Level::ReadCommitted, &[read(5)])];
    assert_eq!(check(&to_lists(&mid).unwrap())[0].kind, Kind::G1b);
}
