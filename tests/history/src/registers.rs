//! Registers that are read and then replaced by a value that nobody else writes.
//!
//! Who writes has read the value before, so each value names its predecessor. Without two that name
//! the same one the values form a line, and the history is one of lists.

use crate::anomaly::{Anomaly, Kind};
use crate::{History, Level, Op, Outcome, Txn, TxnId};
use std::collections::HashMap;

/// One operation on a register; 0 is the value that it has in the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegisterOp {
    /// It was read.
    Read {
        /// The register.
        key: u64,
        /// What it held.
        value: u64,
    },
    /// It was replaced; the last operation on the register before this one was a read or a write of it.
    Write {
        /// The register.
        key: u64,
        /// The value, written by nobody else.
        value: u64,
    },
}

/// A transaction on registers.
#[derive(Debug, Clone)]
pub struct RegisterTxn {
    /// Client, level, outcome and times; its `ops` are not looked at.
    pub txn: Txn,
    /// What it did.
    pub ops: Vec<RegisterOp>,
}

/// The same history with lists for values: each value is the line of those before it. An anomaly where
/// values form no line and a level forbids that.
pub fn to_lists(txns: &[RegisterTxn]) -> Result<History, Vec<Anomaly>> {
    let plain = History { txns: txns.iter().map(|txn| txn.txn.clone()).collect() };
    // Each value's predecessor, and who wrote it.
    let mut before: HashMap<(u64, u64), (u64, usize)> = HashMap::new();
    for (at, txn) in txns.iter().enumerate() {
        let mut last: HashMap<u64, u64> = HashMap::new();
        for op in &txn.ops {
            let (key, value) = match op {
                RegisterOp::Read { key, value } => (*key, *value),
                RegisterOp::Write { key, value } => {
                    before.insert((*key, *value), (last.get(key).copied().unwrap_or(0), at));
                    (*key, *value)
                }
            };
            last.insert(key, value);
        }
    }
    let mut found = Vec::new();
    let mut after: HashMap<(u64, u64), usize> = HashMap::new();
    for ((key, value), (previous, at)) in &before {
        if txns[*at].txn.outcome != Outcome::Committed {
            continue;
        }
        if let Some(other) = after.insert((*key, *previous), *at)
            && other != *at
        {
            let levels = [txns[*at].txn.level, txns[other].txn.level];
            if levels.iter().any(|level| *level != Level::ReadCommitted) {
                let text = format!("register {key} was {previous} for both, and {value} came of one");
                found.push(Anomaly::new(Kind::LostUpdate, text, &plain, &[TxnId(*at), TxnId(other)]));
            }
        }
    }
    if !found.is_empty() {
        return Err(found);
    }
    let line = |key: u64, value: u64| {
        let mut line = Vec::new();
        let mut at = value;
        while at != 0 && line.len() <= before.len() {
            line.push(at);
            // A value from nowhere ends the line; the check of lists will name it.
            at = before.get(&(key, at)).map_or(0, |(previous, _)| *previous);
        }
        line.reverse();
        line
    };
    let lists = txns.iter().map(|txn| {
        let ops = txn.ops.iter().map(|op| match op {
            RegisterOp::Read { key, value } => {
                Op::Read { key: *key, list: line(*key, *value), same_statement: false }
            }
            RegisterOp::Write { key, value } => Op::Append { key: *key, value: *value },
        });
        Txn { ops: ops.collect(), ..txn.txn.clone() }
    });
    Ok(History { txns: lists.collect() })
}
