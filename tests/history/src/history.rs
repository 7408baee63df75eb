//! What clients recorded.

use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// A transaction's place in its history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TxnId(pub usize);

impl fmt::Display for TxnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "T{}", self.0)
    }
}

/// Which promise was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Level {
    /// Each statement reads one state.
    ReadCommitted,
    /// All statements read one state, and writers of a key are one after the other.
    RepeatableRead,
    /// The whole transaction happens at one moment.
    Serializable,
}

impl Level {
    /// All of them.
    pub const ALL: [Level; 3] = [Level::ReadCommitted, Level::RepeatableRead, Level::Serializable];

    /// As SQL names it.
    pub fn sql(self) -> &'static str {
        match self {
            Level::ReadCommitted => "read committed",
            Level::RepeatableRead => "repeatable read",
            Level::Serializable => "serializable",
        }
    }
}

/// One operation, with its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// A value was put at the end of a key's list. Nobody else appends the same value to the key.
    Append {
        /// The list.
        key: u64,
        /// The value.
        value: u64,
    },
    /// A list was read, from its beginning; a key that is not there is an empty list.
    Read {
        /// The list.
        key: u64,
        /// What it held.
        list: Vec<u64>,
        /// Whether it came with the read before it, from the same statement.
        same_statement: bool,
    },
}

impl Op {
    /// The key that it is about.
    pub fn key(&self) -> u64 {
        match self {
            Op::Append { key, .. } | Op::Read { key, .. } => *key,
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Op::Append { key, value } => write!(f, "append {value} to {key}"),
            Op::Read { key, list, .. } if list.len() > 12 => {
                write!(f, "read {key}: {} values up to {:?}", list.len(), &list[list.len() - 8..])
            }
            Op::Read { key, list, .. } => write!(f, "read {key}: {list:?}"),
        }
    }
}

/// How it ended, as far as its client knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// COMMIT was answered.
    Committed,
    /// It certainly had no effect.
    Aborted,
    /// COMMIT was sent, and no answer came.
    Unknown,
}

/// One transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Txn {
    /// The client; its transactions follow one another.
    pub process: u32,
    /// What it asked for.
    pub level: Level,
    /// What it did, in order, as far as it was answered; an unanswered append may be the last.
    pub ops: Vec<Op>,
    /// How it ended.
    pub outcome: Outcome,
    /// When it began to ask.
    pub invoked: u64,
    /// When it had the last answer.
    pub completed: u64,
}

/// All transactions of a run.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// In no particular order.
    pub txns: Vec<Txn>,
}

impl History {
    /// The transactions with their ids.
    pub fn iter(&self) -> impl Iterator<Item = (TxnId, &Txn)> {
        self.txns.iter().enumerate().map(|(at, txn)| (TxnId(at), txn))
    }

    /// How many there are of each outcome.
    pub fn summary(&self) -> String {
        let of = |outcome| self.txns.iter().filter(|txn| txn.outcome == outcome).count();
        format!(
            "{} committed, {} aborted, {} unknown transactions",
            of(Outcome::Committed),
            of(Outcome::Aborted),
            of(Outcome::Unknown)
        )
    }
}

/// Gathers transactions of many clients, and gives out moments: of two moments the later one is larger,
/// whichever client took it.
#[derive(Debug, Default)]
pub struct Recorder {
    clock: AtomicU64,
    txns: Mutex<Vec<Txn>>,
}

impl Recorder {
    /// The next moment.
    pub fn now(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    /// A transaction has ended.
    pub fn record(&self, txn: Txn) {
        self.txns.lock().expect("no client panics while it records").push(txn);
    }

    /// What was recorded.
    pub fn history(&self) -> History {
        History { txns: self.txns.lock().expect("no client panics while it records").clone() }
    }
}
