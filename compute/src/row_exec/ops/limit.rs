//! LIMIT and OFFSET.

use crate::row_exec::ExecEnv;
use crate::row_exec::expr::Evaluator;
use crate::{SqlError, SqlResult};
use shardforge_types::{Datum, SqlState};

/// How many rows pass, and after how many.
#[derive(Debug)]
pub(in crate::row_exec) struct LimitPlan {
    pub(in crate::row_exec) limit: Option<Evaluator>,
    pub(in crate::row_exec) offset: Option<Evaluator>,
}

/// What is left to skip and to pass.
#[derive(Default)]
pub(in crate::row_exec) struct LimitState {
    /// Rows to skip, and to pass; `None` before the first row.
    pub(in crate::row_exec) left: Option<(u64, u64)>,
}

fn count(expr: &Option<Evaluator>, env: &ExecEnv<'_>, what: &str, state: SqlState) -> SqlResult<Option<u64>> {
    let Some(expr) = expr else { return Ok(None) };
    match expr.eval(&env.eval(&[]))? {
        Datum::Int8(n) => match u64::try_from(n) {
            Ok(n) => Ok(Some(n)),
            Err(_) => Err(SqlError::new(state, format!("{what} must not be negative"))),
        },
        _ => Ok(None),
    }
}

impl LimitState {
    /// What is left, computed before the first row.
    pub(in crate::row_exec) fn left(
        &mut self,
        plan: &LimitPlan,
        env: &ExecEnv<'_>,
    ) -> SqlResult<&mut (u64, u64)> {
        if self.left.is_none() {
            let limit = count(&plan.limit, env, "LIMIT", SqlState::INVALID_ROW_COUNT_IN_LIMIT_CLAUSE)?;
            let offset =
                count(&plan.offset, env, "OFFSET", SqlState::INVALID_ROW_COUNT_IN_RESULT_OFFSET_CLAUSE)?;
            self.left = Some((offset.unwrap_or(0), limit.unwrap_or(u64::MAX)));
        }
        Ok(self.left.get_or_insert((0, 0)))
    }
}
