//! How recent transactions ended, so that a request sent again has its effect once (C1).

use shardforge_common::{Lsn, TxnId};
use std::collections::{HashMap, VecDeque};

/// How many outcomes a branch keeps. Part of what all members must agree on.
const MAX_OUTCOMES: usize = 1 << 18;
/// For how long, by commit times: ten minutes.
const MAX_AGE_MICROS: i64 = 10 * 60 * 1_000_000;

/// How a transaction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It took effect.
    Committed {
        /// At this LSN.
        lsn: Lsn,
        /// At this time, in microseconds since 1970.
        time_micros: i64,
    },
    /// It did not, and never can.
    Aborted,
}

/// The outcomes of all transactions above [`OutcomeTable::floor`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OutcomeTable {
    floor: Lsn,
    by_txn: HashMap<TxnId, Outcome, ahash::RandomState>,
    order: VecDeque<(Lsn, i64, TxnId)>,
}

impl OutcomeTable {
    /// An empty table that knows of everything above `floor`.
    pub fn new(floor: Lsn) -> Self {
        Self { floor, ..Self::default() }
    }

    /// A transaction whose base is at or above it, and which is not in the table, was never decided.
    pub fn floor(&self) -> Lsn {
        self.floor
    }

    /// How a transaction ended, if the table has it.
    pub fn get(&self, txn: TxnId) -> Option<Outcome> {
        self.by_txn.get(&txn).copied()
    }

    /// Takes an outcome decided at the given commit time. An abort belongs to the next LSN after
    /// `committed`: a base taken before it is then below the floor once it is forgotten.
    pub fn record(&mut self, txn: TxnId, outcome: Outcome, committed: Lsn, time_micros: i64) {
        let at = match outcome {
            Outcome::Committed { lsn, .. } => lsn,
            Outcome::Aborted => committed.next(),
        };
        if self.by_txn.insert(txn, outcome).is_none() {
            self.order.push_back((at, time_micros, txn));
        }
        while let Some(&(lsn, time, oldest)) = self.order.front() {
            let old = time < time_micros.saturating_sub(MAX_AGE_MICROS);
            if !old && self.order.len() <= MAX_OUTCOMES {
                break;
            }
            self.order.pop_front();
            self.by_txn.remove(&oldest);
            self.floor = self.floor.max(lsn);
        }
    }

    /// The outcomes in the order in which they were recorded, with their LSNs and times.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (Lsn, i64, TxnId, Outcome)> {
        self.order.iter().map(|&(lsn, time, txn)| {
            (lsn, time, txn, *self.by_txn.get(&txn).expect("what is in the order is in the map"))
        })
    }

    /// Puts back what [`OutcomeTable::iter`] gave.
    pub(super) fn restore(&mut self, at: Lsn, time_micros: i64, txn: TxnId, outcome: Outcome) {
        self.by_txn.insert(txn, outcome);
        self.order.push_back((at, time_micros, txn));
    }
}
