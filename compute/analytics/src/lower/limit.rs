//! LIMIT and OFFSET.

use super::{Lowering, builder, ok};
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use shardforge_compute::row_exec::expr::{Env, Scope, compile, is_constant};
use shardforge_compute::sql::bound::Expr;
use shardforge_compute::{SqlError, SqlResult};
use shardforge_types::{Datum, SqlState};

impl Lowering {
    pub(super) fn limit(
        &mut self,
        plan: LogicalPlan,
        limit: Option<&Expr>,
        offset: Option<&Expr>,
    ) -> SqlResult<LogicalPlan> {
        let negative = |state, clause| SqlError::new(state, format!("{clause} must not be negative"));
        let limit = match limit.map(|limit| self.row_count(limit, "LIMIT")).transpose()?.flatten() {
            Some(count) => Some(
                usize::try_from(count)
                    .map_err(|_| negative(SqlState::INVALID_ROW_COUNT_IN_LIMIT_CLAUSE, "LIMIT"))?,
            ),
            None => None,
        };
        let offset = match offset.map(|offset| self.row_count(offset, "OFFSET")).transpose()?.flatten() {
            Some(count) => usize::try_from(count)
                .map_err(|_| negative(SqlState::INVALID_ROW_COUNT_IN_RESULT_OFFSET_CLAUSE, "OFFSET"))?,
            None => 0,
        };
        if limit.is_none() && offset == 0 {
            return Ok(plan);
        }
        ok(builder(plan).limit(offset, limit).and_then(LogicalPlanBuilder::build))
    }

    fn row_count(&self, expr: &Expr, clause: &str) -> SqlResult<Option<i64>> {
        if !is_constant(expr) {
            return Err(SqlError::not_supported(format!("a subquery or outer column in {clause}")));
        }
        let report = &self.env.report;
        match compile(expr, &Scope::new())?.eval(&Env::new(&[], &report.params, &report.session))? {
            Datum::Null => Ok(None),
            value => match value.as_i64() {
                Some(count) => Ok(Some(count)),
                None => Err(SqlError::internal(format!("{clause} is no integer"))),
            },
        }
    }
}
