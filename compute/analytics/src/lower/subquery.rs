//! Subqueries in expressions: each becomes a column of an operator below the expression, and the expression
//! uses the column.

use super::guard::{after_all, after_nulls, past_arms};
use super::walk::{columns_of_expr, free_columns, is_query_volatile};
use super::{Lowering, appended, builder, ok};
use crate::operator::{Apply, ApplyKind, OuterValue, Subplan, operator_plan};
use crate::scan::column_name;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use shardforge_compute::row_exec::expr::{Scope, compile, has_subquery};
use shardforge_compute::sql::bound::{ColId, Expr, ExprKind, Query, SubqueryKind};
use shardforge_compute::{SqlError, SqlResult};
use shardforge_types::PgType;
use std::sync::Arc;

impl Lowering {
    /// The plan of a subquery, with placeholders for the columns of outer queries that it uses.
    pub(super) fn subplan(
        &mut self,
        query: &Query,
        enough: Option<usize>,
    ) -> SqlResult<(Arc<Subplan>, Vec<(ColId, PgType)>)> {
        let outer = free_columns(query, &self.ctes);
        let mut plan = self.nested(&outer).output(query)?;
        if enough.is_some() {
            plan = ok(builder(plan).limit(0, enough).and_then(LogicalPlanBuilder::build))?;
        }
        let subplan = Subplan {
            plan: ok(self.env.state.optimize(&plan))?,
            types: query.output.iter().map(|column| column.ty).collect(),
            outer: outer.iter().map(|(id, ty)| OuterValue { name: column_name(*id), ty: *ty }).collect(),
            env: self.env.clone(),
        };
        Ok((Arc::new(subplan), outer))
    }

    /// An expression without subqueries, over a plan that has their values as columns.
    pub(super) fn hoist(&mut self, expr: &Expr, plan: LogicalPlan) -> SqlResult<(Expr, LogicalPlan)> {
        let mut expr = expr.clone();
        let mut plan = Some(plan);
        if has_subquery(&expr) {
            self.hoist_in(&mut expr, &mut plan, None)?;
        }
        match plan {
            Some(plan) => Ok((expr, plan)),
            None => Err(SqlError::internal("a plan was lost")),
        }
    }

    fn hoist_in(
        &mut self,
        expr: &mut Expr,
        plan: &mut Option<LogicalPlan>,
        guard: Option<&Expr>,
    ) -> SqlResult<()> {
        if !has_subquery(expr) {
            return Ok(());
        }
        let ty = expr.ty;
        let or = matches!(expr.kind, ExprKind::Or(_));
        match &mut expr.kind {
            ExprKind::Subquery { kind, query } => {
                if let SubqueryKind::Any { test } | SubqueryKind::All { test } = kind {
                    self.hoist_in(test, plan, guard)?;
                }
                let below = plan.take().ok_or_else(|| SqlError::internal("a plan was lost"))?;
                if *kind == SubqueryKind::Scalar
                    && let Some((value, above)) = self.scalar_join(query, &below)?
                {
                    *plan = Some(above);
                    *expr = value;
                    return Ok(());
                }
                let (column, above) = self.apply(kind, query, ty, below, guard)?;
                *plan = Some(above);
                expr.kind = ExprKind::Col(column);
            }
            ExprKind::And(args) | ExprKind::Or(args) => {
                for at in 0..args.len() {
                    let guard = after_all(guard, &args[..at], or);
                    self.hoist_in(&mut args[at], plan, guard.as_ref())?;
                }
            }
            ExprKind::Coalesce(args) => {
                for at in 0..args.len() {
                    let guard = after_nulls(guard, &args[..at]);
                    self.hoist_in(&mut args[at], plan, guard.as_ref())?;
                }
            }
            ExprKind::Case { operand, arms, otherwise } => {
                if let Some(operand) = operand {
                    self.hoist_in(operand, plan, guard)?;
                }
                let operand = operand.as_deref();
                for at in 0..arms.len() {
                    let reached = past_arms(guard, operand, &arms[..at], None);
                    self.hoist_in(&mut arms[at].when, plan, reached.as_ref())?;
                    let taken = past_arms(guard, operand, &arms[..at], Some(&arms[at].when));
                    self.hoist_in(&mut arms[at].then, plan, taken.as_ref())?;
                }
                if let Some(otherwise) = otherwise {
                    let reached = past_arms(guard, operand, arms, None);
                    self.hoist_in(otherwise, plan, reached.as_ref())?;
                }
            }
            _ => {
                let mut result = Ok(());
                expr.for_each_child_mut(&mut |child| {
                    if result.is_ok() {
                        result = self.hoist_in(child, plan, guard);
                    }
                });
                return result;
            }
        }
        Ok(())
    }

    fn apply(
        &mut self,
        kind: &SubqueryKind,
        query: &Query,
        ty: PgType,
        plan: LogicalPlan,
        guard: Option<&Expr>,
    ) -> SqlResult<(ColId, LogicalPlan)> {
        let enough = match kind {
            SubqueryKind::Exists => Some(1),
            SubqueryKind::Scalar => Some(2),
            _ => None,
        };
        let (subplan, outer) = self.subplan(query, enough)?;
        let mut args = outer;
        let kind = match kind {
            SubqueryKind::Exists => ApplyKind::Exists,
            SubqueryKind::Scalar => ApplyKind::Scalar,
            SubqueryKind::Array => {
                let element = query.output.first().map(|column| column.ty.oid);
                match element {
                    Some(element) if element.element_type().is_none() => ApplyKind::Array(element),
                    _ => return Err(SqlError::not_supported("ARRAY over a query of arrays")),
                }
            }
            SubqueryKind::Any { test } | SubqueryKind::All { test } => {
                let mut scope = Scope::new();
                for (slot, column) in query.output.iter().enumerate() {
                    scope.add(column.id, slot);
                }
                let mut slot = query.output.len();
                for (id, ty) in columns_of_expr(test) {
                    if scope.slot(id).is_none() {
                        scope.add(id, slot);
                        slot += 1;
                        args.push((id, ty));
                    }
                }
                let all = matches!(kind, SubqueryKind::All { .. });
                ApplyKind::Quantified { all, test: compile(test, &scope)? }
            }
        };
        let column = self.own_column(ty, "subquery");
        let mut exprs: Vec<_> = args.iter().map(|(id, ty)| self.column(*id, *ty)).collect();
        if let Some(guard) = guard {
            exprs.push(self.expr(guard)?);
        }
        let operator = Apply {
            kind,
            subplan,
            arg_types: args.iter().map(|(_, ty)| *ty).collect(),
            ty,
            volatile: is_query_volatile(query),
        };
        let schema = appended(&plan, std::slice::from_ref(&column))?;
        Ok((column.id, operator_plan(Arc::new(operator), exprs, vec![plan], schema)))
    }
}
