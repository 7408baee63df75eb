//! A query's operators as a tree, and its execution.

use super::ExecEnv;
use super::expr::Evaluator;
use super::ops::aggregate::{AggregatePlan, AggregateState};
use super::ops::function::{FunctionPlan, FunctionState};
use super::ops::limit::{LimitPlan, LimitState};
use super::ops::scan::{ScanPlan, ScanState};
use super::ops::sort::{SortColumn, SortState};
use super::stop::Step;
use shardforge_types::Datum;
use std::collections::VecDeque;

/// An operator with what is below it.
#[derive(Debug)]
pub(super) enum Node {
    /// One row without columns.
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
}

/// Where the execution of a [`Node`] stands.
pub(super) enum State {
    OneRow(bool),
    Values(usize),
    Fed(VecDeque<Vec<Datum>>),
    Scan(Box<ScanState>),
    Function(FunctionState),
    Filter(Box<State>),
    Project(Box<State>, Vec<Datum>),
    Sort(Box<State>, SortState),
    Limit(Box<State>, LimitState),
    Aggregate(Box<State>, AggregateState, Vec<Datum>),
}

impl Node {
    pub(super) fn open(&self) -> State {
        match self {
            Node::OneRow => State::OneRow(false),
            Node::Values(_) => State::Values(0),
            Node::Fed => State::Fed(VecDeque::new()),
            Node::Scan(_) => State::Scan(Box::default()),
            Node::Function(_) => State::Function(FunctionState::default()),
            Node::Filter(input, _) => State::Filter(Box::new(input.open())),
            Node::Project(input, _) => State::Project(Box::new(input.open()), Vec::new()),
            Node::Sort(input, _) => State::Sort(Box::new(input.open()), SortState::default()),
            Node::Limit(input, _) => State::Limit(Box::new(input.open()), LimitState::default()),
            Node::Aggregate(input, _) => {
                State::Aggregate(Box::new(input.open()), AggregateState::default(), Vec::new())
            }
        }
    }
}

impl State {
    /// Back to the start, buffers kept; fed rows are forgotten.
    pub(super) fn reset(&mut self) {
        match self {
            State::OneRow(done) => *done = false,
            State::Values(at) => *at = 0,
            State::Fed(rows) => rows.clear(),
            State::Scan(scan) => scan.reset(),
            State::Function(function) => function.reset(),
            State::Filter(input) => input.reset(),
            State::Project(input, _) => input.reset(),
            State::Sort(input, sort) => {
                input.reset();
                sort.reset();
            }
            State::Limit(input, limit) => {
                input.reset();
                *limit = LimitState::default();
            }
            State::Aggregate(input, aggregate, _) => {
                input.reset();
                aggregate.reset();
            }
        }
    }

    /// Puts the next row into `out`; false when there is none left.
    pub(super) fn next(&mut self, node: &Node, env: &mut ExecEnv<'_>, out: &mut Vec<Datum>) -> Step<bool> {
        match (self, node) {
            (State::OneRow(done), Node::OneRow) => {
                out.clear();
                Ok(!std::mem::replace(done, true))
            }
            (State::Values(at), Node::Values(rows)) => {
                let Some(row) = rows.get(*at) else { return Ok(false) };
                out.clear();
                for value in row {
                    out.push(value.eval(&env.eval(&[]))?);
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
            (State::Scan(scan), Node::Scan(plan)) => scan.next(plan, env, out),
            (State::Function(function), Node::Function(plan)) => Ok(function.next(plan, env, out)?),
            (State::Filter(state), Node::Filter(input, predicate)) => {
                while state.next(input, env, out)? {
                    if predicate.is_true(&env.eval(out))? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            (State::Project(state, row), Node::Project(input, exprs)) => {
                if !state.next(input, env, row)? {
                    return Ok(false);
                }
                out.clear();
                for expr in exprs {
                    out.push(expr.eval(&env.eval(row))?);
                }
                Ok(true)
            }
            (State::Sort(state, sort), Node::Sort(input, keys)) => {
                while !sort.is_sorted() {
                    if state.next(input, env, out)? {
                        sort.push(keys, env, out)?;
                    } else {
                        sort.sort(keys);
                    }
                }
                Ok(sort.pop(out))
            }
            (State::Limit(state, limit), Node::Limit(input, plan)) => {
                let (mut skip, mut pass) = *limit.left(plan, env)?;
                while pass > 0 {
                    if !state.next(input, env, out)? {
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
                    if state.next(input, env, row)? {
                        aggregate.push(plan, env, row)?;
                    } else {
                        aggregate.complete(plan);
                    }
                }
                Ok(aggregate.pop(out)?)
            }
            _ => Err(crate::SqlError::internal("an execution does not belong to its plan").into()),
        }
    }

    /// Hands rows to the place where fed rows come in.
    pub(super) fn feed(&mut self, rows: impl IntoIterator<Item = Vec<Datum>>) {
        match self {
            State::Fed(queue) => queue.extend(rows),
            State::Filter(input)
            | State::Project(input, _)
            | State::Sort(input, _)
            | State::Limit(input, _)
            | State::Aggregate(input, ..) => input.feed(rows),
            State::OneRow(_) | State::Values(_) | State::Scan(_) | State::Function(_) => {}
        }
    }
}
