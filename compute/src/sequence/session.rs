//! Sequences as one session has them: `currval`, `lastval`, and what its open transaction made itself.

use super::blocks::{exhausted, name_of, out_of_bounds, read};
use super::{Block, SequenceBlocks};
use crate::catalog::access;
use crate::catalog::stored::{PositionRow, SequenceRow, Stored, key_of};
use crate::functions::SequenceAccess;
use crate::txn::Txn;
use crate::{SqlError, SqlResult};
use parking_lot::Mutex;
use shardforge_types::{Oid, SqlState};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Numbers that a transaction reserves at a time of a sequence that it made itself.
const OWN_BLOCK: u64 = 256;

/// What a function over sequences cannot do alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SequenceNeed {
    /// A block of numbers.
    Block(Oid),
    /// `setval`.
    Set {
        /// The sequence.
        sequence: Oid,
        /// Its value.
        value: i64,
        /// Whether the value counts as given out.
        called: bool,
    },
}

/// One session's view of the sequences of its database.
pub struct SessionSequences {
    blocks: Arc<SequenceBlocks>,
    database: Oid,
    state: Mutex<State>,
    /// Whether there is a tape.
    recording: AtomicBool,
}

#[derive(Default)]
struct State {
    /// `currval`.
    current: HashMap<Oid, i64>,
    /// `lastval`: the sequence and its number.
    last: Option<(Oid, i64)>,
    /// Whether the open transaction refuses writes.
    read_only: bool,
    /// Whether the open transaction has changed the schema, and so perhaps a sequence.
    changed_schema: bool,
    /// Of the sequences used since: whether the transaction has written them, and then its block.
    own: HashMap<Oid, Option<Block>>,
    /// The calls that the evaluation at hand has made so far: when it is repeated, they are not made again.
    tape: Vec<(SequenceNeed, i64)>,
    /// How many of them the repetition has made.
    played: usize,
    /// Whether the next evaluation repeats the last one.
    repeats: bool,
}

impl State {
    /// What a call gave when it was made before.
    fn played(&mut self, call: SequenceNeed) -> Option<i64> {
        let (made, value) = *self.tape.get(self.played)?;
        if made != call {
            self.tape.truncate(self.played);
            return None;
        }
        self.played += 1;
        Some(value)
    }

    fn record(&mut self, call: SequenceNeed, value: i64) {
        self.tape.push((call, value));
        self.played = self.tape.len();
    }
}

impl SessionSequences {
    /// A session's, which has used none yet.
    pub fn new(blocks: Arc<SequenceBlocks>, database: Oid) -> Self {
        Self { blocks, database, state: Mutex::default(), recording: AtomicBool::new(false) }
    }

    /// The transaction's mode.
    pub(crate) fn set_read_only(&self, read_only: bool) {
        self.state.lock().read_only = read_only;
    }

    /// The open transaction changes the schema.
    pub(crate) fn schema_changes(&self) {
        let mut state = self.state.lock();
        state.changed_schema = true;
        state.own.clear();
    }

    /// Writes of the open transaction are undone: what was reserved by them is void.
    pub(crate) fn undone(&self) {
        self.state.lock().own.clear();
        self.statement_begins();
    }

    /// A statement begins, for the first time or again: it repeats no evaluation.
    pub(crate) fn statement_begins(&self) {
        if self.recording.swap(false, Ordering::Relaxed) {
            let mut state = self.state.lock();
            state.tape.clear();
            (state.played, state.repeats) = (0, false);
        }
    }

    /// The transaction ends.
    pub(crate) fn transaction_ends(&self) {
        let mut state = self.state.lock();
        state.changed_schema = false;
        state.own.clear();
    }

    /// DISCARD SEQUENCES.
    pub(crate) fn discard(&self) {
        let mut state = self.state.lock();
        state.current.clear();
        state.last = None;
    }

    /// The blocks of the branch.
    pub(crate) fn blocks(&self) -> &Arc<SequenceBlocks> {
        &self.blocks
    }

    /// Before the commit of a transaction that made sequences: what is left of their blocks goes back.
    pub(crate) async fn settle(&self, txn: &mut Txn) -> SqlResult<()> {
        let own = std::mem::take(&mut self.state.lock().own);
        for (sequence, block) in own.into_iter().filter_map(|(sequence, block)| Some((sequence, block?))) {
            // The sequence may have been dropped since.
            let Ok((_, position)) = read(txn, self.database, sequence).await else { continue };
            if let Some(back) = block.without_rest(position) {
                access::update(txn, &back.row(self.database, sequence)).await?;
            }
        }
        Ok(())
    }

    /// Does what a function asked for, with the session's transaction.
    /// The evaluation that stopped is to be repeated then.
    pub async fn satisfy(&self, need: SequenceNeed, txn: &mut Txn) -> SqlResult<()> {
        self.provide(need, txn).await?;
        self.recording.store(true, Ordering::Relaxed);
        let mut state = self.state.lock();
        if let SequenceNeed::Set { sequence, value, called } = need {
            state.note_set(sequence, value, called);
            let made = state.played;
            state.tape.truncate(made);
            state.record(need, value);
        }
        state.played = 0;
        state.repeats = true;
        Ok(())
    }

    /// Does what a function asked for.
    pub(super) async fn provide(&self, need: SequenceNeed, txn: &mut Txn) -> SqlResult<()> {
        let sequence = match need {
            SequenceNeed::Block(sequence) | SequenceNeed::Set { sequence, .. } => sequence,
        };
        let is_own = self.is_own(sequence, txn)?;
        match need {
            SequenceNeed::Block(_) if is_own => self.reserve_own(sequence, txn).await,
            SequenceNeed::Block(_) => self.blocks.reserve(self.database, sequence).await,
            SequenceNeed::Set { value, called, .. } => {
                if is_own {
                    self.set_own(sequence, value, called, txn).await?;
                } else {
                    self.blocks.set(self.database, sequence, value, called).await?;
                }
                Ok(())
            }
        }
    }

    /// Whether the transaction has written the sequence, and must move it itself.
    fn is_own(&self, sequence: Oid, txn: &Txn) -> SqlResult<bool> {
        if !self.state.lock().changed_schema {
            return Ok(false);
        }
        let key = [self.database.to_datum(), sequence.to_datum()];
        let own = txn.has_written(&key_of::<SequenceRow>(&key))?
            || txn.has_written(&key_of::<PositionRow>(&key))?;
        if !own {
            self.state.lock().own.insert(sequence, None);
        }
        Ok(own)
    }

    async fn reserve_own(&self, sequence: Oid, txn: &mut Txn) -> SqlResult<()> {
        let (rules, position) = read(txn, self.database, sequence).await?;
        let Ok((block, end)) = Block::reserve(&rules, position, OWN_BLOCK) else {
            return Err(exhausted(&name_of(txn, self.database, sequence).await?, &rules));
        };
        access::update(txn, &end.row(self.database, sequence)).await?;
        self.state.lock().own.insert(sequence, Some(block));
        Ok(())
    }

    async fn set_own(&self, sequence: Oid, value: i64, called: bool, txn: &mut Txn) -> SqlResult<()> {
        let (rules, position) = read(txn, self.database, sequence).await?;
        if !(rules.min..=rules.max).contains(&value) {
            return Err(out_of_bounds(value, &name_of(txn, self.database, sequence).await?, &rules));
        }
        self.state.lock().own.remove(&sequence);
        access::update(txn, &position.set(value, called).row(self.database, sequence)).await
    }

    fn refuse_read_only(state: &State, function: &str) -> SqlResult<()> {
        if state.read_only {
            let message = format!("cannot execute {function}() in a read-only transaction");
            return Err(SqlError::new(SqlState::READ_ONLY_SQL_TRANSACTION, message));
        }
        Ok(())
    }
}

impl SessionSequences {
    /// The next number, if it can be had without waiting.
    pub(super) fn try_next(&self, sequence: Oid) -> SqlResult<Option<i64>> {
        self.next_in(&mut self.state.lock(), sequence)
    }

    fn next_in(&self, state: &mut State, sequence: Oid) -> SqlResult<Option<i64>> {
        Self::refuse_read_only(state, "nextval")?;
        let number = match (state.changed_schema, state.own.get_mut(&sequence)) {
            (false, _) | (true, Some(None)) => self.blocks.take(sequence),
            (true, Some(Some(block))) => block.take(),
            // The transaction must be asked whether the sequence is its own.
            (true, None) => None,
        };
        if let Some(number) = number {
            state.current.insert(sequence, number);
            state.last = Some((sequence, number));
        }
        Ok(number)
    }

    /// Refuses `setval` where it is forbidden.
    pub(super) fn may_set(&self) -> SqlResult<()> {
        Self::refuse_read_only(&self.state.lock(), "setval")
    }

    /// A `setval` is done.
    pub(super) fn note_set(&self, sequence: Oid, value: i64, called: bool) {
        self.state.lock().note_set(sequence, value, called);
    }
}

impl State {
    fn note_set(&mut self, sequence: Oid, value: i64, called: bool) {
        if called {
            self.current.insert(sequence, value);
        }
    }
}

impl SequenceAccess for SessionSequences {
    fn begin_evaluation(&self) {
        if !self.recording.load(Ordering::Relaxed) {
            return;
        }
        let mut state = self.state.lock();
        if !std::mem::take(&mut state.repeats) {
            state.tape.clear();
            state.played = 0;
        }
    }

    fn next_value(&self, sequence: Oid) -> SqlResult<i64> {
        let call = SequenceNeed::Block(sequence);
        let mut state = self.state.lock();
        if let Some(number) = state.played(call) {
            return Ok(number);
        }
        match self.next_in(&mut state, sequence)? {
            Some(number) => {
                self.recording.store(true, Ordering::Relaxed);
                state.record(call, number);
                Ok(number)
            }
            None => Err(SqlError::needs_sequence(call)),
        }
    }

    fn current_value(&self, sequence: Oid) -> Option<i64> {
        self.state.lock().current.get(&sequence).copied()
    }

    fn last_value(&self) -> Option<(Oid, i64)> {
        // `currval` of the sequence that was used last, which `setval` may have changed since.
        let state = self.state.lock();
        let (sequence, number) = state.last?;
        Some((sequence, state.current.get(&sequence).copied().unwrap_or(number)))
    }

    fn set_value(&self, sequence: Oid, value: i64, called: bool) -> SqlResult<()> {
        self.may_set()?;
        let call = SequenceNeed::Set { sequence, value, called };
        match self.state.lock().played(call) {
            Some(_) => Ok(()),
            None => Err(SqlError::needs_sequence(call)),
        }
    }
}

/// 42809, or what is left to say of a sequence that was dropped meanwhile.
pub(super) fn not_a_sequence(oid: Oid) -> SqlError {
    SqlError::new(SqlState::UNDEFINED_TABLE, format!("could not open relation with OID {oid}"))
}
