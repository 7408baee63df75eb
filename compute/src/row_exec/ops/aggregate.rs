//! Groups and their aggregates, in memory: for short ranges.

use crate::SqlResult;
use crate::functions::{Accumulator, AggregateCallInfo, AggregateFunction};
use crate::row_exec::ExecEnv;
use crate::row_exec::expr::Evaluator;
use ahash::{AHashMap, AHashSet};
use shardforge_types::key::{KeyOrder, encode_key_column};
use shardforge_types::{Datum, PgType};

/// One aggregate of a plan.
#[derive(Debug)]
pub(in crate::row_exec) struct AggregateColumn {
    pub(in crate::row_exec) function: &'static AggregateFunction,
    pub(in crate::row_exec) info: AggregateCallInfo,
    pub(in crate::row_exec) args: Vec<Evaluator>,
    pub(in crate::row_exec) distinct: bool,
    pub(in crate::row_exec) filter: Option<Evaluator>,
}

/// What is grouped by what.
#[derive(Debug)]
pub(in crate::row_exec) struct AggregatePlan {
    pub(in crate::row_exec) groups: Vec<Evaluator>,
    pub(in crate::row_exec) calls: Vec<AggregateColumn>,
}

/// A call's state, and for DISTINCT the arguments it has seen.
type GroupState = (Box<dyn Accumulator>, AHashSet<Vec<u8>>);

struct Group {
    keys: Vec<Datum>,
    states: Vec<GroupState>,
}

/// The groups so far, in the order in which they appeared.
#[derive(Default)]
pub(in crate::row_exec) struct AggregateState {
    groups: Vec<Group>,
    by_key: AHashMap<Vec<u8>, usize>,
    complete: bool,
    at: usize,
}

/// Bytes that are equal exactly for equal values; null equals null.
pub(super) fn class_of(values: &[Datum], types: impl Iterator<Item = PgType>) -> SqlResult<Vec<u8>> {
    let mut key = Vec::new();
    for (value, ty) in values.iter().zip(types) {
        encode_key_column(&mut key, value, ty, KeyOrder::ASC)?;
    }
    Ok(key)
}

impl AggregateState {
    pub(in crate::row_exec) fn reset(&mut self) {
        self.groups.clear();
        self.by_key.clear();
        self.complete = false;
        self.at = 0;
    }

    pub(in crate::row_exec) fn is_complete(&self) -> bool {
        self.complete
    }

    fn open(&mut self, plan: &AggregatePlan, keys: Vec<Datum>) {
        let states =
            plan.calls.iter().map(|call| ((call.function.make)(&call.info), AHashSet::new())).collect();
        self.groups.push(Group { keys, states });
    }

    /// Takes a row in.
    pub(in crate::row_exec) fn push(
        &mut self,
        plan: &AggregatePlan,
        env: &ExecEnv<'_>,
        row: &[Datum],
    ) -> SqlResult<()> {
        let eval = env.eval(row);
        let keys = plan.groups.iter().map(|group| group.eval(&eval)).collect::<SqlResult<Vec<_>>>()?;
        let class = class_of(&keys, plan.groups.iter().map(|group| group.ty))?;
        let at = match self.by_key.get(&class) {
            Some(at) => *at,
            None => {
                self.open(plan, keys);
                self.by_key.insert(class, self.groups.len() - 1);
                self.groups.len() - 1
            }
        };
        for (call, (state, seen)) in plan.calls.iter().zip(&mut self.groups[at].states) {
            if let Some(filter) = &call.filter
                && !filter.is_true(&eval)?
            {
                continue;
            }
            let args = call.args.iter().map(|arg| arg.eval(&eval)).collect::<SqlResult<Vec<_>>>()?;
            if call.distinct && !seen.insert(class_of(&args, call.args.iter().map(|arg| arg.ty))?) {
                continue;
            }
            state.add(&args)?;
        }
        Ok(())
    }

    /// There are no more rows.
    pub(in crate::row_exec) fn complete(&mut self, plan: &AggregatePlan) {
        if plan.groups.is_empty() && self.groups.is_empty() {
            self.open(plan, Vec::new());
        }
        self.complete = true;
    }

    /// The next group.
    pub(in crate::row_exec) fn pop(&mut self, out: &mut Vec<Datum>) -> SqlResult<bool> {
        let Some(group) = self.groups.get_mut(self.at) else { return Ok(false) };
        self.at += 1;
        out.clear();
        out.append(&mut group.keys);
        for (state, _) in &mut group.states {
            out.push(state.finish()?);
        }
        Ok(true)
    }
}
