//! Transactions from a seed: which operations, on which keys, at which level.

use crate::{Level, Random};

/// What a client is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Append a value of the client's own.
    Append {
        /// The list.
        key: u64,
        /// The value.
        value: u64,
    },
    /// Read one list.
    Read {
        /// The list.
        key: u64,
    },
    /// Read the lists of some keys that follow one another, in one statement.
    ReadRange {
        /// The first.
        from: u64,
        /// The last.
        to: u64,
    },
}

/// One transaction to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// At which level.
    pub level: Level,
    /// What it does, in order.
    pub steps: Vec<Step>,
    /// Whether it is rolled back at its end.
    pub rolls_back: bool,
}

/// Makes the transactions of one client.
#[derive(Debug)]
pub struct ListAppend {
    random: Random,
    levels: Vec<Level>,
    keys: u64,
    per_key: u64,
    client: u64,
    next: u64,
    made: u64,
}

impl ListAppend {
    /// A client's transactions over so many keys at a time; keys are replaced by new ones after about
    /// `per_key` transactions of a client on each, so that lists stay short.
    pub fn new(seed: u64, client: u64, levels: &[Level], keys: u64, per_key: u64) -> Self {
        let random = Random::new(seed ^ (client + 1).wrapping_mul(0xd134_2543_de82_ef95));
        Self { random, levels: levels.to_vec(), keys, per_key, client, next: 1, made: 0 }
    }

    fn key(&mut self) -> u64 {
        // A window over the keys that moves on with the transactions made; hot at its end.
        let base = self.made / self.per_key;
        let within = self.random.below(self.keys).max(self.random.below(self.keys));
        base + within
    }

    /// The next transaction.
    pub fn plan(&mut self) -> Plan {
        self.made += 1;
        let level = self.random.pick(&self.levels);
        let count = 1 + self.random.below(4);
        let steps = (0..count).map(|_| match self.random.below(8) {
            0..4 => {
                let value = self.client * 1_000_000 + self.next;
                self.next += 1;
                Step::Append { key: self.key(), value }
            }
            4..7 => Step::Read { key: self.key() },
            _ => {
                let from = self.key();
                Step::ReadRange { from, to: from + 1 + self.random.below(3) }
            }
        });
        let steps = steps.collect();
        Plan { level, steps, rolls_back: self.random.one_in(16) }
    }
}
