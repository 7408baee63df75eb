//! Functions in FROM.

use crate::SqlResult;
use crate::functions::{Call, ScalarFunction, SetFunction, SetRows, side_by_side};
use crate::row_exec::ExecEnv;
use crate::row_exec::expr::Evaluator;
use crate::row_exec::stop::{Step, Stop};
use shardforge_types::{Datum, PgType};

/// After so many rows made, others have their turn: nothing below waits for anything, so that nothing else
/// would notice a cancel request or a timeout.
const YIELD_ROWS: u64 = 1024;

/// What is called.
#[derive(Debug)]
pub(in crate::row_exec) enum Called {
    Set(&'static SetFunction),
    Scalar(&'static ScalarFunction),
}

/// Calls side by side.
#[derive(Debug)]
pub(in crate::row_exec) struct FunctionPlan {
    pub(in crate::row_exec) calls: Vec<CallPlan>,
    pub(in crate::row_exec) ordinality: bool,
    /// More rows than this are another executor's ([`Stop::TooLarge`]): it has memory limits and spills.
    pub(in crate::row_exec) budget: u64,
}

/// One call.
#[derive(Debug)]
pub(in crate::row_exec) struct CallPlan {
    pub(in crate::row_exec) called: Called,
    pub(in crate::row_exec) args: Vec<Evaluator>,
    pub(in crate::row_exec) arg_types: Vec<PgType>,
    pub(in crate::row_exec) result: PgType,
    /// How many columns it makes.
    pub(in crate::row_exec) width: usize,
}

/// The rows that are left.
#[derive(Default)]
pub(in crate::row_exec) struct FunctionState {
    rows: Option<SetRows>,
    count: i64,
    /// How many rows were made, over all rounds of a loop.
    made: u64,
    /// Whether it may make more than its budget.
    unbounded: bool,
}

impl FunctionState {
    /// Back to the start, and nothing made yet.
    pub(in crate::row_exec) fn reset(&mut self) {
        *self = Self::default();
    }

    pub(in crate::row_exec) fn lift_budget(&mut self) {
        self.unbounded = true;
    }

    /// Back to the start for another row of the outer side.
    pub(in crate::row_exec) fn rewind(&mut self) {
        self.rows = None;
        self.count = 0;
    }

    pub(in crate::row_exec) fn next(
        &mut self,
        plan: &FunctionPlan,
        env: &ExecEnv<'_>,
        outer: &[Datum],
        out: &mut Vec<Datum>,
    ) -> Step<bool> {
        self.made += 1;
        if self.made > plan.budget && !self.unbounded {
            return Err(Stop::TooLarge);
        }
        if self.made.is_multiple_of(YIELD_ROWS) {
            return Err(Stop::Yield);
        }
        if self.rows.is_none() {
            env.begin_evaluation();
            let start = |plan: &CallPlan| {
                let args =
                    plan.args.iter().map(|arg| arg.eval(&env.eval(outer))).collect::<SqlResult<Vec<_>>>()?;
                let call = Call { context: env.context, arg_types: &plan.arg_types, result: plan.result };
                let rows: SetRows = match plan.called {
                    Called::Set(function) => function.call(&args, &call)?,
                    Called::Scalar(function) => {
                        Box::new(std::iter::once(Ok(vec![function.call(&args, &call)?])))
                    }
                };
                Ok((rows, plan.width))
            };
            self.rows = Some(side_by_side(plan.calls.iter().map(start).collect::<SqlResult<_>>()?));
        }
        let Some(row) = self.rows.as_mut().and_then(Iterator::next) else { return Ok(false) };
        out.clear();
        out.extend_from_slice(outer);
        out.append(&mut row?);
        self.count += 1;
        if plan.ordinality {
            out.push(Datum::Int8(self.count));
        }
        Ok(true)
    }
}
