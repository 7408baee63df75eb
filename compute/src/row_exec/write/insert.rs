//! INSERT, and the rows of COPY FROM.

use super::conflict::{ConflictAction, ConflictPlan};
use super::constraints::{Constraints, duplicate_key};
use super::returning::ReturningPlan;
use super::row_writer::{InsertWay, MutationQueue, Taken, entry_taken, key_taken};
use super::update::Change;
use crate::row_exec::ExecEnv;
use crate::row_exec::expr::Evaluator;
use crate::row_exec::query::{Node, State};
use crate::row_exec::stop::Step;
use crate::row_exec::storage::{EntryParts, TableCodec};
use crate::{SqlError, SqlResult};
use shardforge_types::Datum;
use std::ops::Range;
use std::sync::Arc;

/// A statement that has written so many rows is expected to write many more: its rows are then written in
/// bulk, where that is possible ([`crate::txn::Txn::append`]).
const BULK_AFTER: u64 = 16;
/// So many row ids are taken at once, at most.
const MOST_ROW_IDS: i64 = 8192;

/// What is inserted where.
#[derive(Debug)]
pub(in crate::row_exec) struct InsertPlan {
    pub(in crate::row_exec) codec: Arc<TableCodec>,
    pub(in crate::row_exec) source: Node,
    /// Positions in the table of the source's columns.
    pub(in crate::row_exec) columns: Vec<usize>,
    /// Values of columns that the source does not have: COPY's defaults.
    pub(in crate::row_exec) defaults: Vec<(usize, Evaluator)>,
    /// COPY's WHERE.
    pub(in crate::row_exec) filter: Option<Evaluator>,
    pub(in crate::row_exec) constraints: Constraints,
    pub(in crate::row_exec) on_conflict: Option<ConflictPlan>,
    pub(in crate::row_exec) returning: Option<ReturningPlan>,
}

#[derive(Default, PartialEq)]
enum Stage {
    /// No row at hand.
    #[default]
    Empty,
    /// The source's values are in their places.
    Given,
    /// The row is made, its keys are not yet looked up.
    Made,
    /// Another row has a unique key; ON CONFLICT decides.
    Conflict,
    /// Mutations are queued.
    Writing,
    /// The row is written; RETURNING is to be evaluated.
    Written,
}

/// The row at hand.
#[derive(Default)]
pub(in crate::row_exec) struct InsertState {
    stage: Stage,
    given: Vec<Datum>,
    row: Vec<Datum>,
    key: Vec<u8>,
    entries: Vec<EntryParts>,
    /// Entries whose uniqueness is known.
    checked: Option<usize>,
    taken: Option<Taken>,
    change: Option<Change>,
    queue: MutationQueue,
    conflict: ConflictAction,
    /// Rows written.
    rows: u64,
    /// Row ids that are left of those taken last, and how many those were.
    row_ids: Range<i64>,
    row_ids_taken: i64,
}

impl InsertState {
    pub(in crate::row_exec) fn reset(&mut self) {
        self.stage = Stage::Empty;
        self.change = None;
        self.taken = None;
        self.queue.clear();
        self.conflict.reset();
        self.rows = 0;
        self.row_ids = 0..0;
        self.row_ids_taken = 0;
    }

    /// Inserts the next row of the source; gives whether there was one and whether it was written (a row
    /// that ON CONFLICT passes over is not), with RETURNING in `out`.
    pub(in crate::row_exec) fn next(
        &mut self,
        plan: &InsertPlan,
        source: &mut State,
        env: &mut ExecEnv<'_>,
        out: &mut Vec<Datum>,
    ) -> Step<Option<bool>> {
        if self.stage == Stage::Empty && !source.next(&plan.source, env, &[], &mut self.given)? {
            return Ok(None);
        }
        self.write(plan, env, out).map(Some)
    }

    /// Inserts one row whose columns are those of the plan. Called again after a stop, it goes on with the
    /// row that it had taken.
    pub(in crate::row_exec) fn push(
        &mut self,
        plan: &InsertPlan,
        env: &mut ExecEnv<'_>,
        given: &mut Vec<Datum>,
        out: &mut Vec<Datum>,
    ) -> Step<bool> {
        if self.stage == Stage::Empty {
            std::mem::swap(&mut self.given, given);
        }
        self.write(plan, env, out)
    }

    fn write(&mut self, plan: &InsertPlan, env: &mut ExecEnv<'_>, out: &mut Vec<Datum>) -> Step<bool> {
        if self.stage == Stage::Empty {
            self.place(plan);
            self.stage = Stage::Given;
        }
        if self.stage == Stage::Given {
            if !self.make(plan, env)? {
                self.stage = Stage::Empty;
                return Ok(false);
            }
            self.stage = Stage::Made;
        }
        if self.stage == Stage::Made {
            self.taken = self.find_taken(plan, env)?;
            if self.taken.is_some() {
                self.stage = Stage::Conflict;
            } else {
                let way = self.way(plan, env);
                self.queue.insert(env, &plan.codec, way, &self.key, &self.row, &self.entries)?;
                self.rows += 1;
                self.stage = Stage::Writing;
            }
        }
        if self.stage == Stage::Conflict {
            let taken = self.taken.as_ref().expect("a conflict names its key");
            let Some(conflict) = plan.on_conflict.as_ref().filter(|c| c.covers(taken.index)) else {
                return Err(duplicate_key(&plan.codec, taken.index, &self.row, env.context).into());
            };
            // The row that it would take for existing, or change, is one that it may not see.
            if let Some(error) = &taken.unseen {
                return Err(SqlError::clone(error).into());
            }
            let written =
                self.conflict.resolve(conflict, &plan.codec, taken, &self.row, env, &mut self.queue)?;
            self.conflict.done();
            let Some(row) = written else {
                self.stage = Stage::Empty;
                return Ok(false);
            };
            self.row = row;
            self.stage = Stage::Written;
        }
        if self.stage == Stage::Writing {
            self.queue.run(env)?;
            self.stage = Stage::Written;
        }
        if let Some(returning) = &plan.returning {
            returning.row(env, &self.row, out)?;
        }
        self.stage = Stage::Empty;
        Ok(true)
    }

    /// Puts what the source gave into its places.
    fn place(&mut self, plan: &InsertPlan) {
        let table = plan.codec.table();
        self.row.clear();
        if self.given.len() == table.columns.len() && plan.columns.is_sorted() {
            // Every column is given, each in its place.
            std::mem::swap(&mut self.row, &mut self.given);
        } else {
            self.row.resize(table.columns.len(), Datum::Null);
            for (column, value) in plan.columns.iter().zip(self.given.drain(..)) {
                self.row[*column] = value;
            }
        }
    }

    /// Makes the row of what the source gave; false when COPY's WHERE leaves it out.
    fn make(&mut self, plan: &InsertPlan, env: &mut ExecEnv<'_>) -> Step<bool> {
        let table = plan.codec.table();
        env.begin_evaluation();
        for (column, default) in &plan.defaults {
            self.row[*column] = default.eval(&env.eval(&[]))?;
        }
        if let Some(filter) = &plan.filter
            && !filter.is_true(&env.eval(&self.row))?
        {
            return Ok(false);
        }
        plan.constraints.check(table, &env.eval(&self.row))?;
        let row_id = if plan.codec.has_row_ids() { self.next_row_id(plan, env)? } else { 0 };
        plan.codec.encode_key(&self.row, row_id, &mut self.key)?;
        self.entries.clear();
        for index in plan.codec.indexes() {
            self.entries.push(index.entry(&self.row, &self.key)?);
        }
        self.checked = None;
        Ok(true)
    }

    fn next_row_id(&mut self, plan: &InsertPlan, env: &mut ExecEnv<'_>) -> SqlResult<i64> {
        loop {
            if let Some(id) = self.row_ids.next() {
                return Ok(id);
            }
            self.row_ids_taken = (2 * self.row_ids_taken).clamp(1, MOST_ROW_IDS);
            let block = env.row_ids()?.take(self.row_ids_taken)?;
            if block.start != self.row_ids.end {
                // Between the two lie rows of others.
                env.txn.end_appending(plan.codec.table().storage);
            }
            self.row_ids = block;
        }
    }

    /// How the row at hand is written.
    fn way(&self, plan: &InsertPlan, env: &ExecEnv<'_>) -> InsertWay {
        let fresh = plan.codec.has_row_ids();
        if self.rows >= BULK_AFTER && (fresh || env.txn.is_unwritten(&self.key)) {
            InsertWay::Bulk { fresh }
        } else {
            InsertWay::Row
        }
    }

    /// The first unique key of the row that another row has.
    fn find_taken(&mut self, plan: &InsertPlan, env: &mut ExecEnv<'_>) -> Step<Option<Taken>> {
        if self.checked.is_none() {
            if !plan.codec.has_row_ids()
                && !env.txn.is_unwritten(&self.key)
                && let Some(taken) = key_taken(env, &self.key)?
            {
                return Ok(Some(taken));
            }
            self.checked = Some(0);
        }
        while let Some(at) = self.checked.filter(|at| *at < self.entries.len()) {
            if let Some(taken) = entry_taken(env, &plan.codec, at, &self.entries[at])? {
                return Ok(Some(taken));
            }
            self.checked = Some(at + 1);
        }
        Ok(None)
    }
}
