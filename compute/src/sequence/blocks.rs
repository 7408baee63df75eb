//! The blocks that a compute holds of one branch's sequences.
//!
//! # Invariants
//!
//! 1. A block is kept only if no commit after its reservation, as far as the feed has come, set the position
//!    or changed the sequence.
//! 2. One reservation of a sequence is under way on a compute at a time.

use super::session::not_a_sequence;
use super::{Block, Position, SequenceRules};
use crate::catalog::access;
use crate::catalog::stored::{PositionRow, SequenceRow, Stored, StoredRow};
use crate::txn::{Branch, Committed, FeedWatch, Txn, TxnError, TxnOptions};
use crate::{SqlError, SqlResult};
use parking_lot::Mutex;
use shardforge_common::clock::Clock;
use shardforge_common::mutation::Mutation;
use shardforge_common::{Lsn, StorageId};
use shardforge_types::{Datum, Oid, SqlState};
use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

/// Numbers of the first block of a sequence.
const FIRST_BLOCK: u64 = 32;
/// Numbers of the largest.
const LARGEST_BLOCK: u64 = 8192;
/// A block that lasted less is too small.
const TOO_SHORT: Duration = Duration::from_millis(500);
/// A block that lasted longer was larger than needed.
const TOO_LONG: Duration = Duration::from_secs(10);

/// The blocks of one branch.
pub struct SequenceBlocks {
    branch: Arc<Branch>,
    clock: Arc<dyn Clock>,
    held: Arc<Held>,
}

/// What the feed reaches.
#[derive(Default)]
struct Held {
    sequences: Mutex<HashMap<Oid, Entry, ahash::RandomState>>,
}

#[derive(Default)]
struct Entry {
    block: Option<Block>,
    size: u64,
    /// When the last block was reserved, by the boot's clock.
    reserved: Option<Duration>,
    /// The last commit that changed the definition.
    changed: Lsn,
    /// The last commit that wrote the position, and its version.
    position: (Lsn, i64),
    /// How often the feed was lost.
    lost: u64,
    reserving: Arc<tokio::sync::Mutex<()>>,
}

impl Entry {
    /// How many numbers the next block should have.
    fn next_size(&mut self, now: Duration, cache: i64) -> u64 {
        let lasted = self.reserved.map(|then| now.saturating_sub(then));
        self.size = match lasted {
            None => FIRST_BLOCK,
            Some(lasted) if lasted < TOO_SHORT => (self.size * 2).min(LARGEST_BLOCK),
            Some(lasted) if lasted > TOO_LONG => (self.size / 2).max(FIRST_BLOCK),
            Some(_) => self.size,
        };
        self.reserved = Some(now);
        self.size.max(u64::try_from(cache).unwrap_or(1))
    }

    /// Whether a block that was reserved at an LSN is void already.
    fn voids(&self, block: &Block, reserved_at: Lsn, lost: u64) -> bool {
        let (written, version) = self.position;
        self.changed > reserved_at
            || self.lost != lost
            || (written > reserved_at && version != block.version())
    }
}

impl SequenceBlocks {
    /// Of an opened branch; from now on the feed tells what becomes void.
    pub fn new(branch: Arc<Branch>, clock: Arc<dyn Clock>) -> Self {
        let held = Arc::<Held>::default();
        branch.watch(held.clone());
        Self { branch, clock, held }
    }

    /// The next number, if a block is at hand.
    pub fn take(&self, sequence: Oid) -> Option<i64> {
        self.held.sequences.lock().get_mut(&sequence)?.block.as_mut()?.take()
    }

    /// What is left of the block at hand, for a look at the sequence: the place of the last number given
    /// out, and how many are left, provided that nothing was reserved behind the block.
    pub(super) fn peek(&self, sequence: Oid, stored: Position) -> Option<(Position, u64)> {
        let held = self.held.sequences.lock();
        let block = held.get(&sequence)?.block.as_ref()?;
        Some((block.without_rest(stored)?, block.left()))
    }

    /// Reserves a block, unless someone else just did.
    pub async fn reserve(&self, database: Oid, sequence: Oid) -> SqlResult<()> {
        let reserving = self.held.sequences.lock().entry(sequence).or_default().reserving.clone();
        let _guard = reserving.lock().await;
        loop {
            let (lost, has_some) = {
                let mut held = self.held.sequences.lock();
                let entry = held.entry(sequence).or_default();
                (entry.lost, entry.block.as_ref().is_some_and(|block| block.left() > 0))
            };
            if has_some {
                return Ok(());
            }
            let (mut txn, rules, position) = self.begin(database, sequence).await?;
            let want = {
                let mut held = self.held.sequences.lock();
                held.entry(sequence).or_default().next_size(self.clock.boottime(), rules.cache)
            };
            let Ok((block, end)) = Block::reserve(&rules, position, want) else {
                return Err(self.exhausted(&mut txn, database, sequence, &rules).await?);
            };
            access::update(&mut txn, &end.row(database, sequence)).await?;
            let Some(committed) = settled(txn.commit().await)? else { continue };
            let mut held = self.held.sequences.lock();
            let entry = held.entry(sequence).or_default();
            if !entry.voids(&block, committed.lsn, lost) {
                entry.block = Some(block);
                return Ok(());
            }
        }
    }

    /// `setval`: at once and for all, whatever becomes of the transaction that asked.
    pub async fn set(&self, database: Oid, sequence: Oid, value: i64, called: bool) -> SqlResult<()> {
        loop {
            let (mut txn, rules, position) = self.begin(database, sequence).await?;
            if !(rules.min..=rules.max).contains(&value) {
                let name = name_of(&mut txn, database, sequence).await?;
                return Err(out_of_bounds(value, &name, &rules));
            }
            let moved = position.set(value, called);
            access::update(&mut txn, &moved.row(database, sequence)).await?;
            if settled(txn.commit().await)?.is_some() {
                return Ok(());
            }
        }
    }

    /// Gives back what is left of the block, if no one has reserved behind it; else it is lost. So ALTER
    /// SEQUENCE goes on where the last number was. Gives the position now.
    pub async fn give_back(&self, database: Oid, sequence: Oid) -> SqlResult<Position> {
        let reserving = self.held.sequences.lock().entry(sequence).or_default().reserving.clone();
        let _guard = reserving.lock().await;
        let taken = self.held.sequences.lock().get_mut(&sequence).and_then(|entry| entry.block.take());
        loop {
            let (mut txn, _, position) = self.begin(database, sequence).await?;
            let back = taken.as_ref().and_then(|block| block.without_rest(position));
            let Some(back) = back.filter(|back| *back != position) else { return Ok(position) };
            access::update(&mut txn, &back.row(database, sequence)).await?;
            if settled(txn.commit().await)?.is_some() {
                return Ok(back);
            }
        }
    }

    /// A transaction that has read the sequence, and commits only if its definition stays.
    async fn begin(&self, database: Oid, sequence: Oid) -> SqlResult<(Txn, SequenceRules, Position)> {
        let mut txn = Txn::begin(&self.branch, TxnOptions::default());
        txn.begin_statement().await?;
        let (rules, position) = read(&mut txn, database, sequence).await?;
        access::check::<SequenceRow>(&mut txn, &[database.to_datum(), sequence.to_datum()]);
        Ok((txn, rules, position))
    }

    async fn exhausted(
        &self,
        txn: &mut Txn,
        database: Oid,
        sequence: Oid,
        rules: &SequenceRules,
    ) -> SqlResult<SqlError> {
        Ok(exhausted(&name_of(txn, database, sequence).await?, rules))
    }
}

/// A sequence as a transaction sees it.
pub(super) async fn read(
    txn: &mut Txn,
    database: Oid,
    sequence: Oid,
) -> SqlResult<(SequenceRules, Position)> {
    let key = [database.to_datum(), sequence.to_datum()];
    let row: Option<SequenceRow> = access::get(txn, &key).await?;
    let position: Option<PositionRow> = access::get(txn, &key).await?;
    let (Some(row), Some(position)) = (row, position) else { return Err(not_a_sequence(sequence)) };
    Ok((SequenceRules::of(&row), Position::of(&position)))
}

/// The sequence's name, for a message.
pub(super) async fn name_of(txn: &mut Txn, database: Oid, sequence: Oid) -> SqlResult<String> {
    let key = [database.to_datum(), sequence.to_datum()];
    let row: Option<crate::catalog::stored::RelationRow> = access::get(txn, &key).await?;
    row.map(|row| row.name).ok_or_else(|| not_a_sequence(sequence))
}

/// 2200H.
pub(super) fn exhausted(name: &str, rules: &SequenceRules) -> SqlError {
    let (bound, value) = if rules.increment > 0 { ("maximum", rules.max) } else { ("minimum", rules.min) };
    SqlError::new(
        SqlState::SEQUENCE_GENERATOR_LIMIT_EXCEEDED,
        format!("nextval: reached {bound} value of sequence \"{name}\" ({value})"),
    )
}

/// 22003.
pub(super) fn out_of_bounds(value: i64, name: &str, rules: &SequenceRules) -> SqlError {
    let message = format!(
        "setval: value {value} is out of bounds for sequence \"{name}\" ({}..{})",
        rules.min, rules.max
    );
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, message)
}

/// A commit's result; `None` after a conflict, when it is tried again. An unknown outcome is an error: the
/// numbers are lost, or were never taken, and are not given out either way.
fn settled(result: Result<Committed, TxnError>) -> SqlResult<Option<Committed>> {
    match result {
        Ok(committed) => Ok(Some(committed)),
        Err(error) if error.is_conflict() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

impl FeedWatch for Held {
    fn storages(&self) -> Option<RangeInclusive<StorageId>> {
        let any = !self.sequences.lock().is_empty();
        any.then_some(SequenceRow::STORAGE..=PositionRow::STORAGE)
    }

    fn written(&self, mutation: &Mutation<'_>, lsn: Lsn) {
        let mut sequences = self.sequences.lock();
        let (key, value) = match mutation {
            Mutation::Insert { key, value }
            | Mutation::Update { key, value }
            | Mutation::Put { key, value } => (*key, Some(*value)),
            Mutation::Delete { key } => (*key, None),
            // A database is dropped: whoever is left of it asks anew.
            Mutation::DeleteRange { .. } => {
                for entry in sequences.values_mut() {
                    (entry.block, entry.changed) = (None, lsn);
                }
                return;
            }
            _ => return,
        };
        let is_position = key.starts_with(&shardforge_common::key::storage_prefix(PositionRow::STORAGE));
        let position = value.filter(|_| is_position).and_then(|value| PositionRow::decode(key, value).ok());
        let sequence = match (&position, last_oid(key)) {
            (Some(row), _) => row.sequence,
            (None, Some(oid)) => oid,
            (None, None) => return,
        };
        let Some(entry) = sequences.get_mut(&sequence) else { return };
        match position {
            Some(row) => {
                entry.position = (lsn, row.version);
                entry.block = entry.block.take().filter(|block| block.version() == row.version);
            }
            None => (entry.block, entry.changed) = (None, lsn),
        }
    }

    fn lost(&self) {
        for entry in self.sequences.lock().values_mut() {
            entry.block = None;
            entry.lost += 1;
        }
    }
}

/// The sequence that a key of either table names.
fn last_oid(key: &[u8]) -> Option<Oid> {
    match SequenceRow::decode_key(key).ok()?.last()? {
        Datum::Oid(oid) => Some(*oid),
        _ => None,
    }
}
