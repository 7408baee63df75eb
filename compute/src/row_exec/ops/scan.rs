//! Rows of one table: by key, by ranges of keys, through an index, or all; filtered, and locked as they
//! pass when the statement asks for it.

use super::lock::{RowLock, lock_row};
use crate::row_exec::ExecEnv;
use crate::row_exec::access::{Access, KeyRange};
use crate::row_exec::expr::Evaluator;
use crate::row_exec::stop::{Step, Stop};
use crate::row_exec::storage::{TableCodec, fetch_external};
use crate::txn::{PageRun, RangeNext, RangeRead, RowBatch, Visibility};
use crate::{SqlError, SqlResult};
use bytes::Bytes;
use shardforge_types::Datum;
use std::sync::Arc;

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
    /// Which columns are decoded before the filter, and which only for rows that pass it.
    pub(in crate::row_exec) split: Split,
    pub(in crate::row_exec) lock: Option<RowLock>,
    pub(in crate::row_exec) reverse: bool,
    /// The rows wanted are so few that a page of them is too many; 0 when that is not known.
    pub(in crate::row_exec) step: usize,
    /// Whether its order is one that is wanted.
    pub(in crate::row_exec) ordered: bool,
    /// Whether each row is followed by its key, a bytea.
    pub(in crate::row_exec) with_key: bool,
    /// The table's name in the statement.
    pub(in crate::row_exec) alias: String,
    /// More rows than this are another executor's ([`Stop::TooLarge`]).
    pub(in crate::row_exec) budget: u64,
}

/// After so many steps over ranges, each about a page of rows, others have their turn.
const YIELD_STEPS: u32 = 16;

/// Columns with their places in the row, for a scan that judges rows by some of them. The default decodes
/// all at once.
#[derive(Debug, Default)]
pub(in crate::row_exec) struct Split {
    first: Vec<(usize, usize)>,
    later: Vec<(usize, usize)>,
    width: usize,
    divided: bool,
}

impl Split {
    /// Divides columns by whether the filter uses them; `width` is the row's.
    pub(in crate::row_exec) fn new(
        places: impl Iterator<Item = (usize, usize)>,
        width: usize,
        judged: impl Fn(usize) -> bool,
    ) -> Self {
        let (first, later) = places.partition(|(_, column)| judged(*column));
        Self { first, later, width, divided: true }
    }
}

#[derive(Debug, Default, PartialEq)]
enum Phase {
    #[default]
    Start,
    Point,
    /// As [`Phase::Point`], for each key of a list.
    Points,
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
    /// The rows at hand: of a page where they lie, or else in `batch`.
    run: Option<PageRun>,
    batch: RowBatch,
    at: usize,
    /// The entry's key of a point of an index, the row's of one of the table.
    sought: Vec<u8>,
    /// The columns of a row that is read over another one.
    own: Vec<Datum>,
    /// How many rows were read, over all rounds of a loop.
    rows: u64,
    /// Whether it may read more than its budget.
    unbounded: bool,
    steps: u32,
    /// The key of the row that came last.
    pub(in crate::row_exec) key: Vec<u8>,
    /// Its value.
    pub(in crate::row_exec) value: Bytes,
    /// A row that is decoded, as far as the filter needs it, and not yet judged: its evaluation can stop.
    judging: bool,
    /// A row of which only what the filter needs is decoded.
    partial: bool,
    /// A partial row that passed the filter.
    completing: bool,
    /// What lies in `out` is a partial row that nobody else has touched: the next one overwrites it.
    reusable: bool,
    /// A row that is decoded and passed the filter, and waits for its lock.
    locking: bool,
}

impl ScanState {
    /// Back to the start, buffers kept.
    pub(in crate::row_exec) fn reset(&mut self) {
        self.rewind();
        self.value = Bytes::new();
        self.own.clear();
        self.rows = 0;
        self.unbounded = false;
    }

    pub(in crate::row_exec) fn lift_budget(&mut self) {
        self.unbounded = true;
    }

    /// Back to the start for another row of the outer side.
    pub(in crate::row_exec) fn rewind(&mut self) {
        self.phase = Phase::Start;
        self.ranges.clear();
        self.next_range = 0;
        self.read = None;
        self.more = false;
        self.run = None;
        self.batch.clear();
        self.at = 0;
        self.judging = false;
        self.partial = false;
        self.completing = false;
        self.locking = false;
    }

    /// Puts the next row into `out`, after the row `outer` that it is read for; false when there is none left.
    pub(in crate::row_exec) fn next(
        &mut self,
        plan: &ScanPlan,
        env: &mut ExecEnv<'_>,
        outer: &[Datum],
        out: &mut Vec<Datum>,
    ) -> Step<bool> {
        // Between two calls the row is the caller's.
        self.reusable = false;
        loop {
            if self.locking {
                let granted = match plan.lock {
                    Some(lock) => lock_row(lock, &plan.codec, &self.key, env)?,
                    None => true,
                };
                self.locking = false;
                if granted {
                    return Ok(true);
                }
                continue;
            }
            if !self.judging && !self.completing && !self.fetch(plan, env, outer, out)? {
                return Ok(false);
            }
            if !self.completing
                && let Some(filter) = &plan.filter
            {
                self.judging = true;
                env.begin_evaluation();
                let passes = filter.is_true(&env.eval(out))?;
                self.judging = false;
                if !passes {
                    self.reusable = self.partial;
                    continue;
                }
            }
            if self.partial {
                self.completing = true;
                self.complete(plan, env, out)?;
                self.completing = false;
                self.partial = false;
            }
            if plan.lock.is_none() {
                return Ok(true);
            }
            self.locking = true;
        }
    }

    /// Reads and decodes the next row, without the filter.
    fn fetch(
        &mut self,
        plan: &ScanPlan,
        env: &mut ExecEnv<'_>,
        outer: &[Datum],
        out: &mut Vec<Datum>,
    ) -> Step<bool> {
        loop {
            match self.phase {
                Phase::Start => self.start(plan, env, outer)?,
                Phase::Done => return Ok(false),
                Phase::Point => {
                    let found = self.point(plan, env)?;
                    if found {
                        self.decode(plan, env, outer, out)?;
                    }
                    self.phase = Phase::Done;
                    return Ok(found);
                }
                Phase::Points => {
                    let Some(range) = self.ranges.get(self.next_range) else {
                        self.phase = Phase::Done;
                        continue;
                    };
                    self.sought.clear();
                    self.sought.extend_from_slice(&range.start);
                    let found = self.point(plan, env)?;
                    if found {
                        self.decode(plan, env, outer, out)?;
                    }
                    self.next_range += 1;
                    if found {
                        return Ok(true);
                    }
                }
                Phase::Ranges if self.at < self.run.as_ref().map_or(self.batch.len(), PageRun::len) => {
                    self.of_range(plan, env, outer, out)?;
                    self.at += 1;
                    return Ok(true);
                }
                Phase::Ranges => self.advance(plan, env)?,
            }
        }
    }

    /// The row at hand of a range into `out`, or what of it the filter needs: a row that does not pass costs
    /// no more than that.
    fn of_range(
        &mut self,
        plan: &ScanPlan,
        env: &mut ExecEnv<'_>,
        outer: &[Datum],
        out: &mut Vec<Datum>,
    ) -> Step<()> {
        self.partial = plan.access.index.is_none() && outer.is_empty() && plan.split.divided;
        if !self.partial {
            self.take(plan, env)?;
            return self.decode(plan, env, outer, out);
        }
        if !std::mem::take(&mut self.reusable) {
            out.clear();
            out.resize(plan.split.width, Datum::Null);
        }
        let value = match &self.run {
            Some(run) => run.copy_key(self.at, &mut self.key),
            None => {
                self.key.clear();
                self.key.extend_from_slice(self.batch.key(self.at));
                &self.batch.row(self.at).value
            }
        };
        decode_to(plan, env, &self.key, (value, None), &plan.split.first, out)?;
        self.count(plan)
    }

    /// The rest of a row that passed the filter.
    fn complete(&mut self, plan: &ScanPlan, env: &mut ExecEnv<'_>, out: &mut [Datum]) -> Step<()> {
        // The place is already that of the next one.
        let at = self.at - 1;
        self.value = match &self.run {
            Some(run) => run.value(at),
            None => self.batch.row(at).value.clone(),
        };
        decode_to(plan, env, &self.key, (&self.value, Some(&self.value)), &plan.split.later, out)
    }

    fn count(&mut self, plan: &ScanPlan) -> Step<()> {
        self.rows += 1;
        if self.rows > plan.budget && !self.unbounded {
            return Err(Stop::TooLarge);
        }
        Ok(())
    }

    /// The row at hand into `out`, after the outer row.
    fn decode(
        &mut self,
        plan: &ScanPlan,
        env: &mut ExecEnv<'_>,
        outer: &[Datum],
        out: &mut Vec<Datum>,
    ) -> Step<()> {
        if outer.is_empty() {
            decode(plan, env, &self.key, &self.value, out)?;
        } else {
            decode(plan, env, &self.key, &self.value, &mut self.own)?;
            out.clear();
            out.extend_from_slice(outer);
            out.append(&mut self.own);
        }
        if plan.with_key {
            out.push(Datum::Bytea(Bytes::copy_from_slice(&self.key)));
        }
        self.count(plan)
    }

    fn start(&mut self, plan: &ScanPlan, env: &mut ExecEnv<'_>, outer: &[Datum]) -> SqlResult<()> {
        if plan.access.point {
            let some = plan.access.point_key(&plan.codec, &env.eval(outer), &mut self.sought)?;
            self.phase = if some { Phase::Point } else { Phase::Done };
            return Ok(());
        }
        self.ranges = plan.access.ranges(&plan.codec, &env.eval(outer))?;
        if plan.reverse {
            self.ranges.reverse();
        }
        self.phase = if plan.access.points { Phase::Points } else { Phase::Ranges };
        Ok(())
    }

    /// Reads the one row of a point; `key` becomes its own key.
    fn point(&mut self, plan: &ScanPlan, env: &mut ExecEnv<'_>) -> Step<bool> {
        let Some(found) = env.txn.get(&self.sought, Visibility::Statement)? else { return Ok(false) };
        match plan.access.index {
            None => {
                self.key.clone_from(&self.sought);
                self.value = found.value;
            }
            Some(index) => {
                let codec = &plan.codec.indexes()[index];
                codec.row_key(plan.codec.table().storage, &self.sought, &found.value, &mut self.key)?;
                self.value = row_of_entry(plan, env, &self.key)?;
            }
        }
        Ok(true)
    }

    /// Takes the row at hand out of the run or the batch: its key and value.
    fn take(&mut self, plan: &ScanPlan, env: &mut ExecEnv<'_>) -> Step<()> {
        if let Some(run) = &self.run {
            run.copy_key(self.at, &mut self.key);
            self.value = run.value(self.at);
            return Ok(());
        }
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
        self.steps = self.steps.wrapping_add(1);
        if self.steps.is_multiple_of(YIELD_STEPS) {
            return Err(Stop::Yield);
        }
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
            self.run = None;
            self.batch.clear();
            self.at = 0;
            let pages = plan.access.index.is_none() && !read.reverse && read.limit == 0;
            let next = if pages {
                env.txn.scan(read, &mut self.batch, &mut self.run)?
            } else {
                env.txn.range(read, &mut self.batch)?
            };
            self.more = next == RangeNext::More;
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

fn decode_to(
    plan: &ScanPlan,
    env: &mut ExecEnv<'_>,
    key: &[u8],
    (value, owner): (&[u8], Option<&Bytes>),
    places: &[(usize, usize)],
    out: &mut [Datum],
) -> Step<()> {
    let codec = &plan.codec;
    let txn = &mut *env.txn;
    let mut external =
        |key: &[u8], place, ty| fetch_external(txn, codec, key, place, ty, Visibility::Statement);
    codec.decode_to(key, value, owner, places, out, &mut external)
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
