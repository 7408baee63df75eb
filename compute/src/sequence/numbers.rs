//! The arithmetic of sequences: what a block is, and how one is cut off.

use crate::catalog::stored::{PositionRow, SequenceRow};
use shardforge_types::Oid;

/// What a sequence was declared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SequenceRules {
    /// AS.
    pub ty: Oid,
    /// START.
    pub start: i64,
    /// INCREMENT; never 0.
    pub increment: i64,
    /// MINVALUE.
    pub min: i64,
    /// MAXVALUE.
    pub max: i64,
    /// CACHE.
    pub cache: i64,
    /// CYCLE.
    pub cycle: bool,
}

impl SequenceRules {
    /// Those of a stored sequence.
    pub fn of(row: &SequenceRow) -> Self {
        Self {
            ty: row.type_oid,
            start: row.start,
            increment: row.increment,
            min: row.min,
            max: row.max,
            cache: row.cache,
            cycle: row.cycle,
        }
    }

    /// The number after another one, within the bounds.
    fn after(&self, last: i64) -> Option<i64> {
        last.checked_add(self.increment).filter(|next| (self.min..=self.max).contains(next))
    }

    /// Where a cycle begins again.
    fn cycle_start(&self) -> i64 {
        if self.increment > 0 { self.min } else { self.max }
    }

    /// How many numbers there are from one to the bound, itself included.
    fn count_from(&self, first: i64) -> u64 {
        let bound = if self.increment > 0 { self.max } else { self.min };
        let steps = (i128::from(bound) - i128::from(first)) / i128::from(self.increment);
        u64::try_from(steps + 1).unwrap_or(0)
    }
}

/// How far a sequence has been reserved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Raised when the position is set.
    pub version: i64,
    /// The last number reserved; the next one when `called` is false.
    pub last: i64,
    /// Whether `last` has been reserved.
    pub called: bool,
}

impl Position {
    /// That of a stored row.
    pub fn of(row: &PositionRow) -> Self {
        Self { version: row.version, last: row.last, called: row.called }
    }

    /// As it is stored.
    pub fn row(&self, database: Oid, sequence: Oid) -> PositionRow {
        PositionRow { database, sequence, version: self.version, last: self.last, called: self.called }
    }

    /// Another place, by someone's order: it voids all blocks.
    #[must_use]
    pub fn set(&self, last: i64, called: bool) -> Self {
        Self { version: self.version + 1, last, called }
    }
}

/// Numbers that were reserved and not yet given out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The position before the block was reserved, or after its last number given out.
    given: Position,
    /// The position that the reservation left.
    end: Position,
    step: i64,
    next: i64,
    left: u64,
}

/// All numbers have been reserved, and the sequence does not cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exhausted;

impl Block {
    /// Cuts up to `want` numbers off a sequence: the block, and the position behind it. A block never
    /// reaches over the end of a cycle.
    pub fn reserve(
        rules: &SequenceRules,
        position: Position,
        want: u64,
    ) -> Result<(Block, Position), Exhausted> {
        let first = match position.called {
            false => position.last,
            true => match rules.after(position.last) {
                Some(next) => next,
                None if rules.cycle => rules.cycle_start(),
                None => return Err(Exhausted),
            },
        };
        let left = rules.count_from(first).min(want).max(1);
        // Within the bounds, so no overflow.
        let last = (i128::from(first) + i128::from(rules.increment) * i128::from(left - 1)) as i64;
        let end = Position { last, called: true, ..position };
        Ok((Block { given: position, end, step: rules.increment, next: first, left }, end))
    }

    /// The next number.
    pub fn take(&mut self) -> Option<i64> {
        self.left = self.left.checked_sub(1)?;
        let number = self.next;
        self.next = number.wrapping_add(self.step);
        self.given = Position { last: number, called: true, ..self.given };
        Some(number)
    }

    /// How many numbers are left.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// The version of the position that it was cut off.
    pub fn version(&self) -> i64 {
        self.end.version
    }

    /// Where the sequence would stand without what is left of the block, if nothing was reserved behind it.
    pub fn without_rest(&self, position: Position) -> Option<Position> {
        (position == self.end).then_some(self.given)
    }
}
