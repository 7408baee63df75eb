//! The order of each key's values, as reads tell it, and what is wrong without looking at cycles.

use crate::anomaly::{Anomaly, Kind};
use crate::{History, Op, Outcome, Txn, TxnId};
use std::collections::{BTreeMap, HashMap, HashSet};

/// What reads tell of all keys.
#[derive(Debug, Default)]
pub struct Versions {
    /// The longest list of each key that anyone has read.
    pub order: BTreeMap<u64, Vec<u64>>,
    /// Who appended a value to a key, and with which operation.
    pub writer: HashMap<(u64, u64), (TxnId, usize)>,
    /// Values of committed transactions that are in no list read.
    pub unread: BTreeMap<u64, Vec<u64>>,
    /// Transactions that took effect, for all that is known.
    pub effective: HashSet<TxnId>,
}

impl Versions {
    /// Transactions that took effect, with their ids.
    pub fn effective<'a>(&'a self, history: &'a History) -> impl Iterator<Item = (TxnId, &'a Txn)> {
        history.iter().filter(|(id, _)| self.effective.contains(id))
    }
}

/// Reads a history: its versions, and the anomalies that show in single transactions and keys.
pub fn read(history: &History) -> (Versions, Vec<Anomaly>) {
    let mut versions = Versions::default();
    let mut found = Vec::new();
    for (id, txn) in history.iter() {
        for (at, op) in txn.ops.iter().enumerate() {
            if let Op::Append { key, value } = op
                && let Some((other, _)) = versions.writer.insert((*key, *value), (id, at))
            {
                let text =
                    format!("value {value} is appended to {key} by {other} and {id}: no usable history");
                found.push(Anomaly::new(Kind::Garbage, text, history, &[other, id]));
            }
        }
    }
    settle_outcomes(history, &mut versions);
    for (id, txn) in versions.effective(history).collect::<Vec<_>>() {
        found.extend(check_reads(history, &versions, id, txn));
    }
    found.extend(order_keys(history, &mut versions));
    if found.is_empty() {
        found.extend(lost_values(history, &mut versions));
    }
    (versions, found)
}

/// A transaction whose outcome is unknown took effect when anyone who did saw its writes.
fn settle_outcomes(history: &History, versions: &mut Versions) {
    let committed = |(_, txn): &(TxnId, &Txn)| txn.outcome == Outcome::Committed;
    let mut next: Vec<TxnId> = history.iter().filter(committed).map(|(id, _)| id).collect();
    versions.effective = next.iter().copied().collect();
    while let Some(id) = next.pop() {
        for op in &history.txns[id.0].ops {
            let Op::Read { key, list, .. } = op else { continue };
            for value in list {
                if let Some((writer, _)) = versions.writer.get(&(*key, *value))
                    && history.txns[writer.0].outcome == Outcome::Unknown
                    && versions.effective.insert(*writer)
                {
                    next.push(*writer);
                }
            }
        }
    }
}

/// What one transaction read: G1a, G1b, values from nowhere, and its own writes.
fn check_reads(history: &History, versions: &Versions, id: TxnId, txn: &Txn) -> Vec<Anomaly> {
    let mut found = Vec::new();
    let mut own: HashMap<u64, Vec<u64>> = HashMap::new();
    for op in &txn.ops {
        let (key, list) = match op {
            Op::Append { key, value } => {
                own.entry(*key).or_default().push(*value);
                continue;
            }
            Op::Read { key, list, .. } => (*key, list),
        };
        let mut seen = HashSet::new();
        for value in list {
            let Some((writer, _)) = versions.writer.get(&(key, *value)) else {
                let text = format!("{id} read {value} in {key}, which nobody appended");
                found.push(Anomaly::new(Kind::Garbage, text, history, &[id]));
                continue;
            };
            if !seen.insert(*value) {
                let text = format!("{id} read {value} twice in {key}");
                found.push(Anomaly::new(Kind::Duplicate, text, history, &[*writer, id]));
            }
            if history.txns[writer.0].outcome == Outcome::Aborted {
                let text = format!("{id} read {value} in {key}, which {writer} appended, who aborted");
                found.push(Anomaly::new(Kind::G1a, text, history, &[*writer, id]));
            }
        }
        let mine = own.get(&key).map(Vec::as_slice).unwrap_or_default();
        if !list.ends_with(mine) {
            let text = format!("{id} read {key} and missed {mine:?}, its own writes, at the end");
            found.push(Anomaly::new(Kind::Internal, text, history, &[id]));
        }
        // Of a transaction's appends to a key, a list that others read has all or none.
        let others = &list[..list.len().saturating_sub(mine.len())];
        if let Some(last) = others.last()
            && let Some((writer, at)) = versions.writer.get(&(key, *last))
            && *writer != id
        {
            let later = history.txns[writer.0].ops.iter().skip(at + 1);
            let later: Vec<_> =
                later.filter(|op| matches!(op, Op::Append { key: k, .. } if *k == key)).collect();
            if let Some(missed) = later.first() {
                let text = format!(
                    "{id} read {key} up to {last}, an intermediate value of {writer}: {missed} is missing"
                );
                found.push(Anomaly::new(Kind::G1b, text, history, &[*writer, id]));
            }
        }
    }
    found
}

/// The longest list of each key; every other one must be a beginning of it.
fn order_keys(history: &History, versions: &mut Versions) -> Vec<Anomaly> {
    let mut longest: BTreeMap<u64, (TxnId, &Vec<u64>)> = BTreeMap::new();
    let mut all: Vec<(TxnId, u64, &Vec<u64>)> = Vec::new();
    for (id, txn) in history.iter().filter(|(id, _)| versions.effective.contains(id)) {
        all.extend(txn.ops.iter().filter_map(|op| match op {
            Op::Read { key, list, .. } => Some((id, *key, list)),
            Op::Append { .. } => None,
        }));
    }
    for (id, key, list) in &all {
        let entry = longest.entry(*key).or_insert((*id, list));
        if list.len() > entry.1.len() {
            *entry = (*id, list);
        }
    }
    let mut found = Vec::new();
    for (id, key, list) in &all {
        let (other, order) = longest[key];
        if !order.starts_with(list) {
            let at = order.iter().zip(list.iter()).take_while(|(a, b)| a == b).count();
            let from = at.saturating_sub(2);
            let text = format!(
                "{key} cannot have been both: {id} read …{:?}, {other} read …{:?} (from place {from})",
                &list[from..list.len().min(from + 6)],
                &order[from..order.len().min(from + 6)],
            );
            found.push(Anomaly::new(Kind::IncompatibleOrder, text, history, &[*id, other]));
        }
    }
    versions.order = longest.into_iter().map(|(key, (_, list))| (key, list.clone())).collect();
    found
}

/// Committed values that are in no list, though a list was asked for after they were committed.
fn lost_values(history: &History, versions: &mut Versions) -> Vec<Anomaly> {
    let mut found = Vec::new();
    let mut last_read: HashMap<u64, (u64, TxnId)> = HashMap::new();
    for (id, txn) in versions.effective(history) {
        for op in &txn.ops {
            if let Op::Read { key, .. } = op {
                let entry = last_read.entry(*key).or_insert((txn.invoked, id));
                *entry = (*entry).max((txn.invoked, id));
            }
        }
    }
    let read: HashMap<u64, HashSet<u64>> =
        versions.order.iter().map(|(key, list)| (*key, list.iter().copied().collect())).collect();
    let mut unread: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for ((key, value), (writer, _)) in &versions.writer {
        let known = read.get(key).is_some_and(|list| list.contains(value));
        if known || !versions.effective.contains(writer) {
            continue;
        }
        let txn = &history.txns[writer.0];
        match last_read.get(key) {
            Some((invoked, reader)) if txn.outcome == Outcome::Committed && *invoked > txn.completed => {
                let text = format!(
                    "{value} was appended to {key} by {writer}, who committed before {reader} began, and is in no list"
                );
                found.push(Anomaly::new(Kind::Lost, text, history, &[*writer, *reader]));
            }
            _ => unread.entry(*key).or_default().push(*value),
        }
    }
    unread.values_mut().for_each(|values| values.sort_unstable());
    versions.unread = unread;
    found
}
