//! A join by reading the inner side anew for each row of the outer one.
//!
//! The inner side is read *over* the outer row: its keys and conditions may use the row's columns, and its own
//! rows begin with them. So a row of the inner side is a row of the join.

use crate::SqlError;
use crate::row_exec::ExecEnv;
use crate::row_exec::query::{Node, State};
use crate::row_exec::stop::{Step, Stop};
use shardforge_types::{Datum, SqlState};

/// What becomes of an outer row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::row_exec) enum LoopKind {
    /// It is given with each inner row.
    Inner,
    /// The same, and with nulls when there is none.
    Left,
    /// It is given once if there is an inner row.
    Semi,
    /// It is given if there is none.
    Anti,
    /// As [`LoopKind::Left`]; a second inner row is an error (21000): a scalar subquery.
    Single,
}

/// The join.
#[derive(Debug)]
pub(in crate::row_exec) struct LoopPlan {
    pub(in crate::row_exec) kind: LoopKind,
    pub(in crate::row_exec) outer: Node,
    pub(in crate::row_exec) inner: Node,
    /// How many columns the inner side has of its own.
    pub(in crate::row_exec) inner_width: usize,
}

/// Where it stands.
pub(in crate::row_exec) struct LoopState {
    outer: State,
    inner: State,
    row: Vec<Datum>,
    /// Whether `row` is an outer row whose inner rows are being read.
    open: bool,
    found: bool,
    /// The row of a scalar subquery, until it is known to be the only one.
    single: Vec<Datum>,
}

fn more_than_one_row() -> SqlError {
    SqlError::new(
        SqlState::CARDINALITY_VIOLATION,
        "more than one row returned by a subquery used as an expression",
    )
}

impl LoopState {
    pub(in crate::row_exec) fn open(plan: &LoopPlan) -> Self {
        Self {
            outer: plan.outer.open(),
            inner: plan.inner.open(),
            row: Vec::new(),
            open: false,
            found: false,
            single: Vec::new(),
        }
    }

    pub(in crate::row_exec) fn lift_budget(&mut self) {
        self.outer.lift_budget();
        self.inner.lift_budget();
    }

    pub(in crate::row_exec) fn rewind(&mut self) {
        self.outer.rewind();
        self.inner.rewind();
        self.open = false;
        self.found = false;
    }

    pub(in crate::row_exec) fn reset(&mut self) {
        self.outer.reset();
        self.inner.reset();
        self.open = false;
        self.found = false;
    }

    /// The next row of the join.
    pub(in crate::row_exec) fn next(
        &mut self,
        plan: &LoopPlan,
        env: &mut ExecEnv<'_>,
        outer: &[Datum],
        out: &mut Vec<Datum>,
    ) -> Step<bool> {
        loop {
            if !self.open {
                if !self.outer.next(&plan.outer, env, outer, &mut self.row)? {
                    return Ok(false);
                }
                self.inner.rewind();
                self.open = true;
                self.found = false;
            }
            if self.inner.next(&plan.inner, env, &self.row, out)? {
                match plan.kind {
                    LoopKind::Inner | LoopKind::Left => {
                        self.found = true;
                        return Ok(true);
                    }
                    LoopKind::Semi => {
                        self.open = false;
                        self.give_outer(out);
                        return Ok(true);
                    }
                    LoopKind::Anti => self.open = false,
                    LoopKind::Single if self.found => return Err(Stop::Error(more_than_one_row())),
                    LoopKind::Single => {
                        self.found = true;
                        std::mem::swap(&mut self.single, out);
                    }
                }
                continue;
            }
            self.open = false;
            match plan.kind {
                LoopKind::Inner | LoopKind::Semi => {}
                LoopKind::Anti => {
                    self.give_outer(out);
                    return Ok(true);
                }
                LoopKind::Single if self.found => {
                    std::mem::swap(&mut self.single, out);
                    return Ok(true);
                }
                LoopKind::Left if self.found => {}
                LoopKind::Left | LoopKind::Single => {
                    self.give_outer(out);
                    out.resize(self.row.len() + plan.inner_width, Datum::Null);
                    return Ok(true);
                }
            }
        }
    }

    fn give_outer(&self, out: &mut Vec<Datum>) {
        out.clear();
        out.extend_from_slice(&self.row);
    }
}
