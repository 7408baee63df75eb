//! Unique inserts: nothing acknowledged is lost, nothing refused is there, nothing is there twice.

use crate::Outcome;
use std::collections::BTreeMap;

/// An insert of a value that nobody else inserts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Insert {
    /// The value.
    pub value: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// When it was answered.
    pub completed: u64,
}

/// A read of the whole set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetRead {
    /// When it was asked.
    pub invoked: u64,
    /// When it was answered.
    pub completed: u64,
    /// What it gave.
    pub values: Vec<u64>,
}

/// What is wrong, in words.
pub fn check(inserts: &[Insert], reads: &[SetRead]) -> Vec<String> {
    let by_value: BTreeMap<u64, &Insert> = inserts.iter().map(|insert| (insert.value, insert)).collect();
    let mut found = Vec::new();
    let mut reads: Vec<_> = reads.iter().collect();
    reads.sort_by_key(|read| read.invoked);
    // Since when a value was certainly there.
    let mut there: BTreeMap<u64, u64> = inserts
        .iter()
        .filter(|insert| insert.outcome == Outcome::Committed)
        .map(|insert| (insert.value, insert.completed))
        .collect();
    for read in &reads {
        for value in &read.values {
            match by_value.get(value) {
                Some(insert) if insert.outcome != Outcome::Aborted => {
                    let since = there.entry(*value).or_insert(read.completed);
                    *since = (*since).min(read.completed);
                }
                Some(_) => found.push(format!("{value} was refused, and is there")),
                None => found.push(format!("{value} is there, and nobody inserted it")),
            }
        }
    }
    for read in &reads {
        let mut count: BTreeMap<u64, usize> = BTreeMap::new();
        for value in &read.values {
            *count.entry(*value).or_default() += 1;
        }
        found.extend(
            count.iter().filter(|(_, n)| **n > 1).map(|(value, n)| format!("{value} is there {n} times")),
        );
        for (value, since) in &there {
            if *since < read.invoked && !count.contains_key(value) {
                found.push(format!("{value} was there at {since}, and is lost at {}", read.invoked));
            }
        }
    }
    found.sort();
    found.dedup();
    found
}
