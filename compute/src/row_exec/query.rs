//! A query's operators as a tree, and its execution.

use super::ExecEnv;
use super::expr::Evaluator;
use super::ops::aggregate::{AggregatePlan, AggregateState};
use super::ops::distinct_on::FirstState;
use super::ops::function::{FunctionPlan, FunctionState};
use super::ops::limit::{LimitPlan, LimitState};
use super::ops::lock::{KeyLock, KeyLockState};
use super::ops::nested_loop::{LoopPlan, LoopState};
use super::ops::scan::{ScanPlan, ScanState};
use super::ops::sort::{SortColumn, SortState};
use super::stop::Step;
use shardforge_types::{Datum, Oid};
use smallvec::{SmallVec, smallvec};
use std::collections::VecDeque;

/// An operator with what is below it.
#[derive(Debug)]
pub(super) enum Node {
    /// One row without columns of its own.
    OneRow,
    Values(Vec<Vec<Evaluator>>),
    /// Rows that the caller brings.
    Fed,
    Scan(Box<ScanPlan>),
    Function(Box<FunctionPlan>),
    Filter(Box<Node>, Evaluator),
    Project(Box<Node>, Vec<Evaluator>),
    Sort(Box<Node>, Vec<SortColumn>),
    Limit(Box<Node>, LimitPlan),
    Aggregate(Box<Node>, AggregatePlan),
    NestedLoop(Box<LoopPlan>),
    /// The first row of each group of equal values.
    DistinctOn(Box<Node>, Vec<Evaluator>),
    Lock(Box<Node>, Vec<KeyLock>),
}

/// Where the execution of a [`Node`] stands.
pub(super) enum State {
    OneRow(bool),
    Values(usize),
    Fed(VecDeque<Vec<Datum>>),
    Scan(Box<ScanState>),
    Function(FunctionState),
    /// Whether the row at hand is still to be judged: an evaluation can stop.
    Filter(Box<State>, bool),
    /// The row below, and whether it is still to be projected.
    Project(Box<State>, Vec<Datum>, bool),
    Sort(Box<State>, SortState),
    Limit(Box<State>, LimitState),
    Aggregate(Box<State>, AggregateState, Vec<Datum>),
    NestedLoop(Box<LoopState>),
    DistinctOn(Box<State>, FirstState),
    Lock(Box<State>, KeyLockState),
}

impl Node {
    /// What is directly below.
    pub(super) fn inputs(&self) -> SmallVec<[&Node; 2]> {
        match self {
            Node::OneRow | Node::Values(_) | Node::Fed | Node::Scan(_) | Node::Function(_) => SmallVec::new(),
            Node::Filter(input, _)
            | Node::Project(input, _)
            | Node::Sort(input, _)
            | Node::Limit(input, _)
            | Node::Aggregate(input, _)
            | Node::DistinctOn(input, _)
            | Node::Lock(input, _) => smallvec![&**input],
            Node::NestedLoop(plan) => smallvec![&plan.outer, &plan.inner],
        }
    }

    /// Whether tables are joined.
    pub(super) fn has_loop(&self) -> bool {
        matches!(self, Node::NestedLoop(_)) || self.inputs().iter().any(|input| input.has_loop())
    }

    /// Whether rows are locked.
    pub(super) fn locks(&self) -> bool {
        match self {
            Node::Lock(..) => true,
            Node::Scan(plan) => plan.lock.is_some(),
            node => node.inputs().iter().any(|input| input.locks()),
        }
    }

    /// The tables of which rows are locked.
    pub(super) fn locked_tables(&self, out: &mut Vec<Oid>) {
        match self {
            Node::Scan(plan) if plan.lock.is_some() => out.push(plan.codec.table().oid),
            Node::Lock(_, locks) => out.extend(locks.iter().map(|lock| lock.codec.table().oid)),
            _ => {}
        }
        self.inputs().iter().for_each(|input| input.locked_tables(out));
    }

    pub(super) fn open(&self) -> State {
        match self {
            Node::OneRow => State::OneRow(false),
            Node::Values(_) => State::Values(0),
            Node::Fed => State::Fed(VecDeque::new()),
            Node::Scan(_) => State::Scan(Box::default()),
            Node::Function(_) => State::Function(FunctionState::default()),
            Node::Filter(input, _) => State::Filter(Box::new(input.open()), false),
            Node::Project(input, _) => State::Project(Box::new(input.open()), Vec::new(), false),
            Node::Sort(input, _) => State::Sort(Box::new(input.open()), SortState::default()),
            Node::Limit(input, _) => State::Limit(Box::new(input.open()), LimitState::default()),
            Node::Aggregate(input, _) => {
                State::Aggregate(Box::new(input.open()), AggregateState::default(), Vec::new())
            }
            Node::NestedLoop(plan) => State::NestedLoop(Box::new(LoopState::open(plan))),
            Node::DistinctOn(input, _) => State::DistinctOn(Box::new(input.open()), FirstState::default()),
            Node::Lock(input, _) => State::Lock(Box::new(input.open()), KeyLockState::default()),
        }
    }
}

impl State {
    /// Back to the start, buffers kept; fed rows are forgotten.
    pub(super) fn reset(&mut self) {
        self.rewind();
        self.forget_work();
    }

    /// Forgets how many rows were read.
    fn forget_work(&mut self) {
        match self {
            State::OneRow(_) | State::Values(_) | State::Fed(_) => {}
            State::Scan(scan) => scan.reset(),
            State::Function(function) => function.reset(),
            State::Filter(input, _)
            | State::Project(input, ..)
            | State::Sort(input, _)
            | State::Limit(input, _)
            | State::Aggregate(input, ..)
            | State::DistinctOn(input, _)
            | State::Lock(input, _) => input.forget_work(),
            State::NestedLoop(state) => state.reset(),
        }
    }

    /// Reads on, however many rows there are.
    pub(super) fn lift_budget(&mut self) {
        match self {
            State::OneRow(_) | State::Values(_) | State::Fed(_) => {}
            State::Scan(scan) => scan.lift_budget(),
            State::Function(function) => function.lift_budget(),
            State::Filter(input, _)
            | State::Project(input, ..)
            | State::Sort(input, _)
            | State::Limit(input, _)
            | State::Aggregate(input, ..)
            | State::DistinctOn(input, _)
            | State::Lock(input, _) => input.lift_budget(),
            State::NestedLoop(state) => state.lift_budget(),
        }
    }

    /// Back to the start, for the next row of the outer side.
    pub(super) fn rewind(&mut self) {
        match self {
            State::OneRow(done) => *done = false,
            State::Values(at) => *at = 0,
            State::Fed(rows) => rows.clear(),
            State::Scan(scan) => scan.rewind(),
            State::Function(function) => function.rewind(),
            State::Filter(input, held) | State::Project(input, _, held) => {
                input.rewind();
                *held = false;
            }
            State::Sort(input, sort) => {
                input.rewind();
                sort.reset();
            }
            State::Limit(input, limit) => {
                input.rewind();
                *limit = LimitState::default();
            }
            State::Aggregate(input, aggregate, _) => {
                input.rewind();
                aggregate.reset();
            }
            State::NestedLoop(state) => state.rewind(),
            State::DistinctOn(input, first) => {
                input.rewind();
                first.reset();
            }
            State::Lock(input, lock) => {
                input.rewind();
                lock.reset();
            }
        }
    }

    /// Puts the next row into `out`, after the columns of the row `outer` that it is read for; false when there
    /// is none left.
    pub(super) fn next(
        &mut self,
        node: &Node,
        env: &mut ExecEnv<'_>,
        outer: &[Datum],
        out: &mut Vec<Datum>,
    ) -> Step<bool> {
        match (self, node) {
            (State::OneRow(done), Node::OneRow) => {
                out.clear();
                out.extend_from_slice(outer);
                Ok(!std::mem::replace(done, true))
            }
            (State::Values(at), Node::Values(rows)) => {
                let Some(row) = rows.get(*at) else { return Ok(false) };
                env.begin_evaluation();
                out.clear();
                out.extend_from_slice(outer);
                for value in row {
                    out.push(value.eval(&env.eval(outer))?);
                }
                *at += 1;
                Ok(true)
            }
            (State::Fed(rows), Node::Fed) => match rows.pop_front() {
                Some(row) => {
                    *out = row;
                    Ok(true)
                }
                None => Ok(false),
            },
            (State::Scan(scan), Node::Scan(plan)) => scan.next(plan, env, outer, out),
            (State::Function(function), Node::Function(plan)) => function.next(plan, env, outer, out),
            (State::Filter(state, held), Node::Filter(input, predicate)) => {
                while *held || state.next(input, env, outer, out)? {
                    *held = true;
                    env.begin_evaluation();
                    let passes = predicate.is_true(&env.eval(out))?;
                    *held = false;
                    if passes {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            (State::Project(state, row, held), Node::Project(input, exprs)) => {
                if !*held && !state.next(input, env, outer, row)? {
                    return Ok(false);
                }
                *held = true;
                env.begin_evaluation();
                out.clear();
                for expr in exprs {
                    out.push(expr.eval(&env.eval(row))?);
                }
                *held = false;
                Ok(true)
            }
            (State::Sort(state, sort), Node::Sort(input, keys)) => {
                while !sort.is_sorted() {
                    if state.next(input, env, outer, out)? {
                        sort.push(keys, env, out)?;
                    } else {
                        sort.sort(keys);
                    }
                }
                Ok(sort.pop(out))
            }
            (State::Limit(state, limit), Node::Limit(input, plan)) => {
                if limit.left.is_none() {
                    env.begin_evaluation();
                }
                let (mut skip, mut pass) = *limit.left(plan, env)?;
                while pass > 0 {
                    if !state.next(input, env, outer, out)? {
                        return Ok(false);
                    }
                    if skip > 0 {
                        skip -= 1;
                        limit.left = Some((skip, pass));
                        continue;
                    }
                    pass -= 1;
                    limit.left = Some((skip, pass));
                    return Ok(true);
                }
                Ok(false)
            }
            (State::Aggregate(state, aggregate, row), Node::Aggregate(input, plan)) => {
                while !aggregate.is_complete() {
                    if state.next(input, env, outer, row)? {
                        aggregate.push(plan, env, row)?;
                    } else {
                        aggregate.complete(plan);
                    }
                }
                let some = aggregate.pop(out)?;
                if some && !outer.is_empty() {
                    out.splice(0..0, outer.iter().cloned());
                }
                Ok(some)
            }
            (State::NestedLoop(state), Node::NestedLoop(plan)) => state.next(plan, env, outer, out),
            (State::DistinctOn(state, first), Node::DistinctOn(input, keys)) => {
                while state.next(input, env, outer, out)? {
                    if first.is_first(keys, env, out)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            (State::Lock(state, lock), Node::Lock(input, locks)) => loop {
                if !lock.has_row() {
                    if !state.next(input, env, outer, out)? {
                        return Ok(false);
                    }
                    lock.begin();
                }
                if lock.lock(locks, env, out)? {
                    return Ok(true);
                }
            },
            _ => Err(crate::SqlError::internal("an execution does not belong to its plan").into()),
        }
    }

    /// Hands rows to the place where fed rows come in.
    pub(super) fn feed(&mut self, rows: impl IntoIterator<Item = Vec<Datum>>) {
        match self {
            State::Fed(queue) => queue.extend(rows),
            State::Filter(input, _)
            | State::Project(input, ..)
            | State::Sort(input, _)
            | State::Limit(input, _)
            | State::Aggregate(input, ..)
            | State::DistinctOn(input, _)
            | State::Lock(input, _) => input.feed(rows),
            State::OneRow(_)
            | State::Values(_)
            | State::Scan(_)
            | State::Function(_)
            | State::NestedLoop(_) => {}
        }
    }
}
