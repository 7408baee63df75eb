//! Rows of one table: by key, by ranges of keys, through an index, or all; filtered, and locked as they
//! pass when the statement asks for it.

use crate::row_exec::ExecEnv;
use crate::row_exec::access::{Access, KeyRange};
use crate::row_exec::expr::Evaluator;
use crate::row_exec::stop::Step;
use crate::row_exec::storage::{TableCodec, fetch_external};
use crate::txn::{
    Interrupt, LockGrant, LockMode, LockWait, RangeNext, RangeRead, RowBatch, TxnErrorKind, Visibility,
};
use crate::{SqlError, SqlResult};
use bytes::Bytes;
use shardforge_types::{Datum, SqlState};
use std::sync::Arc;

/// A lock taken on each row that passes.
#[derive(Debug, Clone, Copy)]
pub(in crate::row_exec) struct RowLock {
    pub(in crate::row_exec) mode: LockMode,
    pub(in crate::row_exec) wait: LockWait,
    /// Whether the lock itself is what the statement does (SELECT ... FOR UPDATE), so that the certifier must
    /// hear of it; a row that is written afterwards is checked anyway.
    pub(in crate::row_exec) explicit: bool,
}

/// What to read.
#[derive(Debug)]
pub(in crate::row_exec) struct ScanPlan {
    pub(in crate::row_exec) codec: Arc<TableCodec>,
    pub(in crate::row_exec) access: Access,
    /// Columns to decode, by position in the table.
    pub(in crate::row_exec) columns: Vec<usize>,
    /// Whether a column lies at its position in the table, instead of its place in `columns`.
    pub(in crate::row_exec) in_place: bool,
    /// What the keys do not say of the predicate.
    pub(in crate::row_exec) filter: Option<Evaluator>,
    pub(in crate::row_exec) lock: Option<RowLock>,
    pub(in crate::row_exec) reverse: bool,
    /// The rows wanted are so few that a page of them is too many; 0 when that is not known.
    pub(in crate::row_exec) step: usize,
}

#[derive(Debug, Default, PartialEq)]
enum Phase {
    #[default]
    Start,
    Point,
    Ranges,
    Done,
}

/// Where a scan stands.
#[derive(Default)]
pub(in crate::row_exec) struct ScanState {
    phase: Phase,
    ranges: Vec<KeyRange>,
    next_range: usize,
    read: Option<RangeRead>,
    more: bool,
    batch: RowBatch,
    at: usize,
    /// The key of the row that came last.
    pub(in crate::row_exec) key: Vec<u8>,
    /// Its value.
    pub(in crate::row_exec) value: Bytes,
    /// A row that is decoded and passed the filter, and waits for its lock.
    locking: bool,
}

impl ScanState {
    /// Back to the start, buffers kept.
    pub(in crate::row_exec) fn reset(&mut self) {
        self.phase = Phase::Start;
        self.ranges.clear();
        self.next_range = 0;
        self.read = None;
        self.more = false;
        self.batch.clear();
        self.at = 0;
        self.locking = false;
    }

    /// Puts the next row into `out`; false when there is none left.
    pub(in crate::row_exec) fn next(
        &mut self,
        plan: &ScanPlan,
        env: &mut ExecEnv<'_>,
        out: &mut Vec<Datum>,
    ) -> Step<bool> {
        loop {
            if self.locking {
                let granted = self.lock(plan, env)?;
                self.locking = false;
                if granted {
                    return Ok(true);
                }
                continue;
            }
            if !self.fetch(plan, env, out)? {
                return Ok(false);
            }
            if let Some(filter) = &plan.filter
                && !filter.is_true(&env.eval(out))?
            {
                continue;
            }
            if plan.lock.is_none() {
                return Ok(true);
            }
            self.locking = true;
        }
    }

    /// Takes the lock of the row at hand; false when it is skipped.
    fn lock(&mut self, plan: &ScanPlan, env: &mut ExecEnv<'_>) -> Step<bool> {
        let Some(lock) = plan.lock else { return Ok(true) };
        let wait = if lock.wait == LockWait::Forever { env.lock_wait } else { lock.wait };
        match env.txn.lock_row(&self.key, lock.mode, wait) {
            Ok(LockGrant::Skipped) => return Ok(false),
            Ok(LockGrant::Granted | LockGrant::Held) => {}
            Err(Interrupt::Error(error)) if error.kind() == TxnErrorKind::LockNotAvailable => {
                let table = &plan.codec.table().name;
                let message = format!("could not obtain lock on row in relation \"{table}\"");
                return Err(SqlError::new(SqlState::LOCK_NOT_AVAILABLE, message).into());
            }
            Err(other) => return Err(other.into()),
        }
        if !lock.explicit {
            return Ok(true);
        }
        let key = Bytes::copy_from_slice(&self.key);
        match lock.mode {
            LockMode::Update | LockMode::NoKeyUpdate => env.txn.touch(key)?,
            LockMode::Share => env.txn.check_key(key, shardforge_common::mutation::Aspects::ALL),
            LockMode::KeyShare => env.txn.check_key(key, shardforge_common::mutation::Aspects::EXISTENCE),
        }
        Ok(true)
    }

    /// Reads and decodes the next row, without the filter.
    fn fetch(&mut self, plan: &ScanPlan, env: &mut ExecEnv<'_>, out: &mut Vec<Datum>) -> Step<bool> {
        loop {
            match self.phase {
                Phase::Start => self.start(plan, env)?,
                Phase::Done => return Ok(false),
                Phase::Point => {
                    let found = self.point(plan, env)?;
                    if found {
                        decode(plan, env, &self.key, &self.value, out)?;
                    }
                    self.phase = Phase::Done;
                    return Ok(found);
                }
                Phase::Ranges if self.at < self.batch.len() => {
                    self.take(plan, env)?;
                    decode(plan, env, &self.key, &self.value, out)?;
                    self.at += 1;
                    return Ok(true);
                }
                Phase::Ranges => self.advance(plan, env)?,
            }
        }
    }

    fn start(&mut self, plan: &ScanPlan, env: &mut ExecEnv<'_>) -> SqlResult<()> {
        if plan.access.point {
            let some = plan.access.point_key(&plan.codec, &env.eval(&[]), &mut self.key)?;
            self.phase = if some { Phase::Point } else { Phase::Done };
            return Ok(());
        }
        self.ranges = plan.access.ranges(&plan.codec, &env.eval(&[]))?;
        if plan.reverse {
            self.ranges.reverse();
        }
        self.phase = Phase::Ranges;
        Ok(())
    }

    /// Reads the one row of a point; `key` becomes its own key.
    fn point(&mut self, plan: &ScanPlan, env: &mut ExecEnv<'_>) -> Step<bool> {
        let Some(index) = plan.access.index else {
            let Some(row) = env.txn.get(&self.key, Visibility::Statement)? else { return Ok(false) };
            self.value = row.value;
            return Ok(true);
        };
        let Some(entry) = env.txn.get(&self.key, Visibility::Statement)? else { return Ok(false) };
        let mut row_key = Vec::new();
        let codec = &plan.codec.indexes()[index];
        codec.row_key(plan.codec.table().storage, &self.key, &entry.value, &mut row_key)?;
        self.value = row_of_entry(plan, env, &row_key)?;
        self.key = row_key;
        Ok(true)
    }

    /// Takes the row at hand out of the batch: its key and value.
    fn take(&mut self, plan: &ScanPlan, env: &mut ExecEnv<'_>) -> Step<()> {
        let (key, value) = (self.batch.key(self.at), &self.batch.row(self.at).value);
        match plan.access.index {
            None => {
                self.key.clear();
                self.key.extend_from_slice(key);
                self.value = value.clone();
            }
            Some(index) => {
                let codec = &plan.codec.indexes()[index];
                codec.row_key(plan.codec.table().storage, key, value, &mut self.key)?;
                self.value = row_of_entry(plan, env, &self.key)?;
            }
        }
        Ok(())
    }

    /// Fills the batch, from this range or the next one.
    fn advance(&mut self, plan: &ScanPlan, env: &mut ExecEnv<'_>) -> Step<()> {
        if !self.more {
            let Some(range) = self.ranges.get_mut(self.next_range) else {
                self.phase = Phase::Done;
                return Ok(());
            };
            self.read = Some(RangeRead {
                start: Bytes::from(std::mem::take(&mut range.start)),
                end: Bytes::from(std::mem::take(&mut range.end)),
                reverse: plan.reverse,
                limit: plan.step,
                visibility: Visibility::Statement,
            });
            self.next_range += 1;
            self.more = true;
        }
        if let Some(read) = &mut self.read {
            self.batch.clear();
            self.at = 0;
            self.more = env.txn.range(read, &mut self.batch)? == RangeNext::More;
            self.at = 0;
        }
        Ok(())
    }
}

/// The row that an index entry names.
fn row_of_entry(plan: &ScanPlan, env: &mut ExecEnv<'_>, row_key: &[u8]) -> Step<Bytes> {
    match env.txn.get(row_key, Visibility::Statement)? {
        Some(row) => Ok(row.value),
        None => {
            let table = &plan.codec.table().name;
            let message = format!("an index of table \"{table}\" names a row that is not there");
            Err(SqlError::from(shardforge_common::Error::corrupt(message)).into())
        }
    }
}

fn decode(
    plan: &ScanPlan,
    env: &mut ExecEnv<'_>,
    key: &[u8],
    value: &Bytes,
    out: &mut Vec<Datum>,
) -> Step<()> {
    let codec = &plan.codec;
    let txn = &mut *env.txn;
    let mut external =
        |key: &[u8], place, ty| fetch_external(txn, codec, key, place, ty, Visibility::Statement);
    if plan.in_place {
        codec.decode_in_place(key, value, &plan.columns, out, &mut external)
    } else {
        codec.decode(key, value, &plan.columns, out, &mut external)
    }
}
