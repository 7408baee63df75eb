//! The execution of a plan.

use super::query::State;
use super::statement::{PlanKind, RowPlan};
use super::stop::{Step, Stop};
use super::storage::RowIds;
use super::write::delete::DeleteState;
use super::write::insert::InsertState;
use super::write::update::{TargetState, UpdateState};
use crate::catalog::write_table;
use crate::functions::EvalContext;
use crate::row_exec::expr::Env;
use crate::txn::{LockWait, Txn};
use crate::{SqlError, SqlResult};
use shardforge_types::Datum;
use std::sync::Arc;

/// What an execution works with; lent to it for each step.
pub struct ExecEnv<'a> {
    /// The transaction.
    pub txn: &'a mut Txn,
    /// `$1`, `$2`, ...
    pub params: &'a [Datum],
    /// The session.
    pub context: &'a EvalContext,
    /// Row ids for new rows of tables without a primary key; see [`RowPlan::needs_row_ids`].
    pub row_ids: Option<&'a RowIds>,
    /// How long to wait for a row lock that another transaction holds (`lock_timeout`).
    pub lock_wait: LockWait,
}

impl ExecEnv<'_> {
    /// What expressions over a row see.
    pub(super) fn eval<'r>(&'r self, row: &'r [Datum]) -> Env<'r> {
        Env::new(row, self.params, self.context)
    }

    /// Comes before each evaluation that may stop for a sequence and be repeated.
    pub(super) fn begin_evaluation(&self) {
        if let Some(sequences) = &self.context.sequences {
            sequences.begin_evaluation();
        }
    }

    pub(super) fn row_ids(&self) -> SqlResult<&RowIds> {
        self.row_ids.ok_or_else(|| SqlError::internal("an insert was given no row ids"))
    }
}

/// After so many rows written, others have their turn.
const YIELD_ROWS: u64 = 256;

enum Running {
    Query(State),
    Insert(Box<(State, InsertState)>),
    Update(Box<UpdateState>),
    Delete(Box<DeleteState>),
}

/// One execution of a plan. Made once for a prepared statement, it can be run again and again
/// ([`Execution::restart`]), with its buffers.
pub struct Execution {
    plan: Arc<RowPlan>,
    running: Running,
    started: bool,
    affected: u64,
    scratch: Vec<Datum>,
}

impl Execution {
    /// An execution that has not begun.
    pub fn new(plan: Arc<RowPlan>) -> Self {
        let running = match &plan.kind {
            PlanKind::Query(node) => Running::Query(node.open()),
            PlanKind::Insert(insert) => {
                Running::Insert(Box::new((insert.source.open(), InsertState::default())))
            }
            PlanKind::Update(update) => Running::Update(Box::new(UpdateState::open(update))),
            PlanKind::Delete(delete) => Running::Delete(Box::new(DeleteState::open(delete))),
        };
        Self { plan, running, started: false, affected: 0, scratch: Vec::new() }
    }

    /// The plan.
    pub fn plan(&self) -> &Arc<RowPlan> {
        &self.plan
    }

    /// Rows written so far; for a query, rows given.
    pub fn affected(&self) -> u64 {
        self.affected
    }

    /// Back to the start: for the next execution, and after [`super::Stop::RestartStatement`]. Rows that
    /// were fed are forgotten.
    pub fn restart(&mut self) {
        self.started = false;
        self.affected = 0;
        match &mut self.running {
            Running::Query(state) => state.reset(),
            Running::Insert(insert) => {
                insert.0.reset();
                insert.1.reset();
            }
            Running::Update(state) => state.reset(),
            Running::Delete(state) => state.reset(),
        }
    }

    /// Hands over rows of [`RowPlan::feed`], or of COPY FROM.
    pub fn feed(&mut self, rows: impl IntoIterator<Item = Vec<Datum>>) {
        match &mut self.running {
            Running::Query(state) => state.feed(rows),
            Running::Insert(insert) => insert.0.feed(rows),
            Running::Update(state) => feed_target(&mut state.target, rows),
            Running::Delete(state) => feed_target(&mut state.target, rows),
        }
    }

    /// Puts the next row of a query, or of RETURNING, into `row`; false at the end, when everything has been
    /// written (of fed rows: everything that was fed so far). A write without RETURNING runs to its end.
    /// After [`super::Stop::Need`] it is called again.
    pub fn next(&mut self, env: &mut ExecEnv<'_>, row: &mut Vec<Datum>) -> Step<bool> {
        self.start(env)?;
        let plan = self.plan.clone();
        loop {
            let (written, returns) = match (&mut self.running, &plan.kind) {
                (Running::Query(state), PlanKind::Query(node)) => match state.next(node, env, &[], row) {
                    // Whoever asked may have sent the first rows on: now it is finished here.
                    Err(Stop::TooLarge) if self.affected > 0 => {
                        state.lift_budget();
                        continue;
                    }
                    next => (next?, true),
                },
                (Running::Insert(insert), PlanKind::Insert(plan)) => {
                    let (source, state) = &mut **insert;
                    match state.next(plan, source, env, row)? {
                        // ON CONFLICT passed over a row.
                        Some(false) => continue,
                        Some(true) => (true, plan.returning.is_some()),
                        None => (false, true),
                    }
                }
                (Running::Update(state), PlanKind::Update(plan)) => {
                    (state.next(plan, env, row)?, plan.returning.is_some())
                }
                (Running::Delete(state), PlanKind::Delete(plan)) => {
                    (state.next(plan, env, row)?, plan.returning.is_some())
                }
                _ => return Err(SqlError::internal("an execution does not belong to its plan").into()),
            };
            if !written {
                return Ok(false);
            }
            self.affected += 1;
            if returns {
                return Ok(true);
            }
            if self.affected.is_multiple_of(YIELD_ROWS) {
                return Err(Stop::Yield);
            }
        }
    }

    /// Writes one row of COPY FROM, whose columns are those that the data has. `row` is taken, and given back
    /// as an empty buffer. After [`super::Stop::Need`] it is called again: with a row that is still there when
    /// it was not taken yet, without one when it was.
    pub fn push(&mut self, env: &mut ExecEnv<'_>, row: &mut Vec<Datum>) -> Step<()> {
        self.start(env)?;
        let plan = self.plan.clone();
        match (&mut self.running, &plan.kind) {
            (Running::Insert(insert), PlanKind::Insert(plan)) => {
                if insert.1.push(plan, env, row, &mut self.scratch)? {
                    self.affected += 1;
                }
                row.clear();
                Ok(())
            }
            _ => Err(SqlError::internal("rows were pushed into a statement that is no COPY").into()),
        }
    }

    /// Before the first step of what writes or locks rows: the definition it was planned with must still hold at
    /// COMMIT, and whoever changes it waits until then.
    fn start(&mut self, env: &mut ExecEnv<'_>) -> Step<()> {
        if self.started {
            return Ok(());
        }
        for table in &self.plan.changed_tables {
            write_table(env.txn, env.context.session.database_oid, *table, env.lock_wait)?;
        }
        self.started = true;
        Ok(())
    }
}

fn feed_target(target: &mut TargetState, rows: impl IntoIterator<Item = Vec<Datum>>) {
    if let TargetState::Fed(fed) = target {
        fed.feed(rows);
    }
}
