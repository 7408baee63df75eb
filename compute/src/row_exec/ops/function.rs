//! A function in FROM.

use crate::SqlResult;
use crate::functions::{Call, ScalarFunction, SetFunction, SetRows};
use crate::row_exec::ExecEnv;
use crate::row_exec::expr::Evaluator;
use shardforge_types::{Datum, PgType};

/// What is called.
#[derive(Debug)]
pub(in crate::row_exec) enum Called {
    Set(&'static SetFunction),
    Scalar(&'static ScalarFunction),
}

/// The call.
#[derive(Debug)]
pub(in crate::row_exec) struct FunctionPlan {
    pub(in crate::row_exec) called: Called,
    pub(in crate::row_exec) args: Vec<Evaluator>,
    pub(in crate::row_exec) arg_types: Vec<PgType>,
    pub(in crate::row_exec) result: PgType,
    pub(in crate::row_exec) ordinality: bool,
}

/// The rows that are left.
#[derive(Default)]
pub(in crate::row_exec) struct FunctionState {
    rows: Option<SetRows>,
    count: i64,
}

impl FunctionState {
    pub(in crate::row_exec) fn reset(&mut self) {
        self.rows = None;
        self.count = 0;
    }

    pub(in crate::row_exec) fn next(
        &mut self,
        plan: &FunctionPlan,
        env: &ExecEnv<'_>,
        outer: &[Datum],
        out: &mut Vec<Datum>,
    ) -> SqlResult<bool> {
        if self.rows.is_none() {
            env.begin_evaluation();
            let args =
                plan.args.iter().map(|arg| arg.eval(&env.eval(outer))).collect::<SqlResult<Vec<_>>>()?;
            let call = Call { context: env.context, arg_types: &plan.arg_types, result: plan.result };
            self.rows = Some(match plan.called {
                Called::Set(function) => function.call(&args, &call)?,
                Called::Scalar(function) => Box::new(std::iter::once(Ok(vec![function.call(&args, &call)?]))),
            });
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
