//! What was found, by its name in the literature, and in words.

use crate::cycle::Cycle;
use crate::moments::{Points, Why};
use crate::{History, Op, TxnId};
use std::fmt;

/// Names of anomalies (Adya; Cerone and others), the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A value that nobody wrote, or that two wrote.
    Garbage,
    /// A value in a list twice.
    Duplicate,
    /// Two reads of a key that no order of writes explains.
    IncompatibleOrder,
    /// A transaction does not see its own writes.
    Internal,
    /// A committed value is gone.
    Lost,
    /// A read of a value whose transaction aborted.
    G1a,
    /// A read of a value that its own transaction replaced.
    G1b,
    /// A cycle of writes.
    G0,
    /// A cycle of writes and reads that saw them.
    G1c,
    /// A cycle with one read that missed a write: read skew, lost update.
    GSingle,
    /// A cycle with several: write skew.
    G2,
    /// Moments of real time contradict the data.
    RealTime,
    /// Of a register: two replaced the same value.
    LostUpdate,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Garbage => "garbage",
            Kind::Duplicate => "duplicate",
            Kind::IncompatibleOrder => "incompatible order",
            Kind::Internal => "internal inconsistency",
            Kind::Lost => "lost value",
            Kind::G1a => "G1a, aborted read",
            Kind::G1b => "G1b, intermediate read",
            Kind::G0 => "G0, write cycle",
            Kind::G1c => "G1c, circular information flow",
            Kind::GSingle => "G-single, read skew",
            Kind::G2 => "G2, anti-dependency cycle",
            Kind::RealTime => "against real time",
            Kind::LostUpdate => "lost update",
        })
    }
}

/// One finding.
#[derive(Debug, Clone)]
pub struct Anomaly {
    /// Its name.
    pub kind: Kind,
    /// Whether real time is needed to see it.
    pub in_real_time: bool,
    /// Why it is one.
    pub text: String,
    /// The transactions in it, in order.
    pub txns: Vec<TxnId>,
    shown: String,
}

impl Anomaly {
    /// A finding about some transactions.
    pub fn new(kind: Kind, text: String, history: &History, txns: &[TxnId]) -> Self {
        let shown = txns.iter().map(|id| show(history, *id, &[])).collect::<Vec<_>>().join("\n");
        Self { kind, in_real_time: kind == Kind::RealTime, text, txns: txns.to_vec(), shown }
    }
}

impl fmt::Display for Anomaly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let real_time = if self.in_real_time && self.kind != Kind::RealTime { ", in real time" } else { "" };
        write!(f, "{}{real_time}\n{}\n{}", self.kind, self.text, self.shown)
    }
}

/// A transaction, with its operations on some keys (all, when none is named).
fn show(history: &History, id: TxnId, keys: &[u64]) -> String {
    let txn = &history.txns[id.0];
    let shown = |op: &&Op| keys.is_empty() || keys.contains(&op.key());
    let ops: Vec<_> = txn.ops.iter().filter(shown).map(Op::to_string).collect();
    let left_out = if ops.len() < txn.ops.len() { "; others left out" } else { "" };
    format!(
        "  {id} (client {}, {}, {:?}, {} to {}): {}{left_out}",
        txn.process,
        txn.level.sql(),
        txn.outcome,
        txn.invoked,
        txn.completed,
        ops.join("; ")
    )
}

/// Names a cycle and says what each step of it stands on.
pub fn of_cycle(history: &History, points: &Points, cycle: &Cycle) -> Anomaly {
    let count = |wanted: fn(&Why) -> bool| cycle.iter().filter(|(_, why)| wanted(why)).count();
    let misses = count(|why| matches!(why, Why::ReadWrite { .. }));
    let reads = count(|why| matches!(why, Why::WriteRead { .. }));
    let writes = count(|why| matches!(why, Why::WriteWrite { .. }));
    let in_real_time = count(|why| *why == Why::RealTime) > 0;
    let kind = match (misses, reads, writes) {
        (0, 0, 0) => Kind::RealTime,
        (0, 0, _) => Kind::G0,
        (0, ..) => Kind::G1c,
        (1, ..) => Kind::GSingle,
        _ => Kind::G2,
    };
    let mut keys = Vec::new();
    let mut lines = Vec::new();
    let mut txns = Vec::new();
    for (at, (node, why)) in cycle.iter().enumerate() {
        let (from, to) = (points.owner[*node], points.owner[cycle[(at + 1) % cycle.len()].0]);
        if !txns.contains(&from) {
            txns.push(from);
        }
        let line = match why {
            Why::Program => continue,
            Why::WriteWrite { key, before, after } => {
                keys.push(*key);
                format!("{from} -ww-> {to}: {to} put {after} behind {from}'s {before} in {key}")
            }
            Why::WriteRead { key, value } => {
                keys.push(*key);
                format!("{from} -wr-> {to}: {to} read {from}'s {value} in {key}")
            }
            Why::ReadWrite { key, missed } => {
                keys.push(*key);
                format!("{from} -rw-> {to}: {from} read {key} before {to} put {missed} into it")
            }
            Why::RealTime => format!("{from} -rt-> {to}: {from} was answered before {to} began"),
        };
        lines.push(format!("  {line}"));
    }
    keys.sort_unstable();
    keys.dedup();
    let shown = txns.iter().map(|id| show(history, *id, &keys)).collect::<Vec<_>>().join("\n");
    Anomaly { kind, in_real_time, text: lines.join("\n"), txns, shown }
}
