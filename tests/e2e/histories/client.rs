//! One client: transactions over the wire, and what became of each.

use super::Shared;
use crate::wire::{Say, Wire};
use shardforge_history::{Level, Op, Outcome, Random, Txn};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// SQLSTATEs by which a transaction may be refused: it had no effect.
const REFUSALS: &[&str] = &["40001", "40P01", "23505", "57P01", "57P03"];

/// Why a transaction did not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// An error, by its SQLSTATE's place in [`REFUSALS`]: 23505 is [`Ended::Duplicate`].
    Refused,
    /// 23505.
    Duplicate,
    /// The connection is gone.
    Lost,
}

/// A client, with the transaction that it has open.
pub struct Client {
    pub shared: Arc<Shared>,
    pub random: Random,
    process: u32,
    wire: Option<Wire>,
    /// Whether statements go by the extended protocol.
    extended: bool,
    level: Level,
    /// Asks for READ COMMITTED, whatever it says that it was promised.
    pub cheats: bool,
    invoked: u64,
    /// What the open transaction did so far.
    pub ops: Vec<Op>,
}

impl Client {
    pub fn new(shared: Arc<Shared>, client: u64) -> Client {
        let random = Random::new(shared.seed.wrapping_mul(31).wrapping_add(client));
        Client {
            shared,
            random,
            process: client as u32,
            wire: None,
            extended: client.is_multiple_of(2),
            level: Level::ReadCommitted,
            cheats: false,
            invoked: 0,
            ops: Vec::new(),
        }
    }

    fn wire(&mut self) -> &mut Wire {
        while self.wire.is_none() {
            self.wire = Wire::reach(self.shared.port.load(Ordering::SeqCst));
            if self.wire.is_none() {
                // The server is being started again.
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        self.wire.as_mut().expect("connected above")
    }

    /// The level of the open transaction.
    pub fn isolation(&self) -> Level {
        self.level
    }

    /// Runs a statement in a transaction or by itself.
    pub fn ask(&mut self, sql: &str) -> Result<Vec<String>, Ended> {
        let extended = self.extended;
        let wire = self.wire();
        wire.messages.clear();
        let answer = match extended {
            true => wire.ask(Say::default().run(sql, &[]).sync()),
            false => wire.query(sql),
        };
        if answer.last().is_some_and(|line| line == "EOF") {
            self.wire = None;
            return Err(Ended::Lost);
        }
        match answer.iter().find_map(|line| line.strip_prefix("E:")) {
            None => Ok(answer),
            Some("23505") => Err(Ended::Duplicate),
            Some(state) if REFUSALS.contains(&state) => Err(Ended::Refused),
            // 40003: the outcome is not known.
            Some("40003") => Err(Ended::Lost),
            Some(state) => panic!("{sql}: {state}: {:?}", self.wire().messages),
        }
    }

    /// A statement that nothing may refuse.
    pub fn must(&mut self, sql: &str) -> Vec<String> {
        self.ask(sql).unwrap_or_else(|ended| panic!("{sql}: {ended:?}"))
    }

    /// Begins a transaction. A connection that was lost since the last one is made anew first.
    pub fn begin(&mut self, level: Level) -> Result<(), Ended> {
        self.wire();
        self.start(level);
        let asked = if self.cheats { Level::ReadCommitted } else { level };
        self.ask(&format!("begin isolation level {}", asked.sql())).map(|_| ())
    }

    /// What follows is one transaction, though no block is opened.
    pub fn start(&mut self, level: Level) {
        self.wire();
        self.level = level;
        self.ops.clear();
        self.invoked = self.shared.recorder.now();
    }

    /// Ends the transaction, as its operations went, by COMMIT or ROLLBACK; says what became of it.
    pub fn end(&mut self, went: Result<(), Ended>, rolls_back: bool) -> Outcome {
        match went {
            // Nobody has sent a COMMIT.
            Err(Ended::Lost) => Outcome::Aborted,
            Err(_) => {
                drop(self.ask("rollback"));
                Outcome::Aborted
            }
            Ok(()) if rolls_back => {
                drop(self.ask("rollback"));
                Outcome::Aborted
            }
            Ok(()) => match self.ask("commit") {
                Ok(answer) if answer.iter().any(|line| line == "C:COMMIT") => Outcome::Committed,
                Err(Ended::Lost) => Outcome::Unknown,
                Ok(_) | Err(_) => Outcome::Aborted,
            },
        }
    }

    /// Ends a statement that was a transaction of its own.
    pub fn end_single(&mut self, went: Result<(), Ended>) -> Outcome {
        match went {
            Ok(()) => Outcome::Committed,
            Err(Ended::Lost) => Outcome::Unknown,
            Err(_) => Outcome::Aborted,
        }
    }

    /// The transaction that has ended.
    pub fn taken(&mut self, outcome: Outcome) -> Txn {
        Txn {
            process: self.process,
            level: self.level,
            ops: std::mem::take(&mut self.ops),
            outcome,
            invoked: self.invoked,
            completed: self.shared.recorder.now(),
        }
    }

    /// Records the transaction that has ended.
    pub fn record(&mut self, outcome: Outcome) {
        let txn = self.taken(outcome);
        self.shared.recorder.record(txn);
    }
}
