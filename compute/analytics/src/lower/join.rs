//! Joins and functions in FROM.

use super::native::conjuncts;
use super::walk::{columns_of_expr, free_columns_of_rel};
use super::{Lowering, appended, builder, ok};
use crate::operator::{ApplyJoin, Called, FunctionRows, FunctionRowsCall, operator_plan};
use ahash::AHashSet;
use datafusion::common::JoinType;
use datafusion::logical_expr::{LogicalPlan, lit};
use shardforge_compute::catalog::builtin;
use shardforge_compute::functions::{scalar, set};
use shardforge_compute::row_exec::expr::{Scope, compile, has_subquery};
use shardforge_compute::sql::bound::{
    ColDef, ColId, Expr, ExprKind, FunctionScan, Join, JoinKind, OutputColumn, Query, Rel,
};
use shardforge_compute::{SqlError, SqlResult};
use shardforge_types::Datum;
use std::sync::Arc;

fn ids(columns: &[ColDef]) -> AHashSet<ColId> {
    columns.iter().map(|column| column.id).collect()
}

/// Whether a condition holds for every row.
fn is_true(on: &Option<Expr>) -> bool {
    on.as_ref().is_none_or(|on| matches!(on.kind, ExprKind::Const(Datum::Bool(true))))
}

impl Lowering {
    pub(super) fn join(&mut self, join: &Join) -> SqlResult<LogicalPlan> {
        let left_columns = ids(&join.left.columns());
        let lateral =
            free_columns_of_rel(&join.right, &self.ctes).iter().any(|(id, _)| left_columns.contains(id));
        if lateral {
            return self.lateral(join);
        }
        let mut left = self.rel(&join.left)?;
        let mut right = self.rel(&join.right)?;
        let (mut on, mut above) = (Vec::new(), Vec::new());
        for part in join.on.iter().flat_map(conjuncts) {
            if !has_subquery(part) {
                on.push(self.expr(part)?);
                continue;
            }
            if join.kind == JoinKind::Inner {
                above.push(part.clone());
                continue;
            }
            // Its value is a column of the side that it is about.
            let used: Vec<ColId> = columns_of_expr(part).into_iter().map(|(id, _)| id).collect();
            let right_columns = ids(&join.right.columns());
            let part = if !used.iter().any(|id| right_columns.contains(id)) {
                let (part, below) = self.hoist(part, left)?;
                left = below;
                part
            } else if !used.iter().any(|id| left_columns.contains(id)) {
                let (part, below) = self.hoist(part, right)?;
                right = below;
                part
            } else {
                return Err(SqlError::not_supported(
                    "a subquery in the condition of an outer join that uses columns of both sides",
                ));
            };
            on.push(self.expr(&part)?);
        }
        let kind = match join.kind {
            JoinKind::Inner => JoinType::Inner,
            JoinKind::Left => JoinType::Left,
            JoinKind::Right => JoinType::Right,
            JoinKind::Full => JoinType::Full,
        };
        let plan = if on.is_empty() && kind == JoinType::Inner {
            ok(builder(left).cross_join(right))?
        } else {
            if on.is_empty() {
                on.push(lit(true));
            }
            ok(builder(left).join_on(right, kind, on))?
        };
        let mut plan = ok(plan.build())?;
        if let Some(first) = above.first() {
            let ty = first.ty;
            let predicate = Expr::new(ExprKind::And(above), ty);
            plan = self.filter(plan, &Rel::Join(Box::new(join.clone())), &predicate)?;
        }
        Ok(plan)
    }

    /// A join whose right side uses the left side's columns.
    fn lateral(&mut self, join: &Join) -> SqlResult<LogicalPlan> {
        let left_join = match join.kind {
            JoinKind::Inner => false,
            JoinKind::Left => true,
            JoinKind::Right | JoinKind::Full => {
                return Err(SqlError::internal("the right side of a right or full join uses the left side"));
            }
        };
        let mut left = self.rel(&join.left)?;
        let mut on = join.on.clone().filter(|_| !is_true(&join.on));
        let above = if left_join { None } else { on.take() };
        let plan = match (&join.right, &on) {
            (Rel::Function(scan), None) => self.function(left, scan, left_join)?,
            (right, _) => {
                let output = right.columns().into_iter().map(|column| OutputColumn {
                    id: column.id,
                    name: column.name,
                    ty: column.ty,
                    origin: None,
                });
                let query = Query { rel: right.clone(), output: output.collect() };
                let (subplan, outer) = self.subplan(&query, None)?;
                let mut args = outer;
                let on = match &on {
                    Some(on) => {
                        let (on, below) = self.hoist(on, left)?;
                        left = below;
                        let mut scope = Scope::of(&right.columns());
                        let mut slot = right.columns().len();
                        for (id, ty) in columns_of_expr(&on) {
                            if scope.slot(id).is_none() {
                                scope.add(id, slot);
                                slot += 1;
                                args.push((id, ty));
                            }
                        }
                        Some(compile(&on, &scope)?)
                    }
                    None => None,
                };
                let exprs = args.iter().map(|(id, ty)| self.column(*id, *ty)).collect();
                let arg_types = args.into_iter().map(|(_, ty)| ty).collect();
                let schema = appended(&left, &right.columns())?;
                let operator = ApplyJoin { subplan, left: left_join, on, arg_types };
                operator_plan(Arc::new(operator), exprs, vec![left], schema)
            }
        };
        match above {
            Some(on) => self.filter(plan, &Rel::Join(Box::new(join.clone())), &on),
            None => Ok(plan),
        }
    }

    /// Each row of a plan with the rows of a function called with its values.
    pub(super) fn function(
        &mut self,
        mut plan: LogicalPlan,
        scan: &FunctionScan,
        left: bool,
    ) -> SqlResult<LogicalPlan> {
        let mut calls = Vec::new();
        let mut args = Vec::new();
        for call in &scan.calls {
            let called = match (set(call.func), scalar(call.func)) {
                (Some(function), _) => Called::Set(function),
                (None, Some(function)) => Called::Scalar(function),
                (None, None) => {
                    let name = builtin::proc(call.func).map_or("?", |entry| entry.name);
                    return Err(SqlError::not_supported(format!("function {name}() in FROM")));
                }
            };
            calls.push(FunctionRowsCall {
                called,
                arg_types: call.args.iter().map(|arg| arg.ty).collect(),
                types: call.cols.iter().map(|column| column.ty).collect(),
            });
            for arg in &call.args {
                let (arg, below) = self.hoist(arg, plan)?;
                plan = below;
                args.push(self.expr(&arg)?);
            }
        }
        let operator =
            FunctionRows { calls, ordinality: scan.ordinality.is_some(), left, env: self.env.clone() };
        let columns: Vec<ColDef> = scan.columns().cloned().collect();
        let schema = appended(&plan, &columns)?;
        Ok(operator_plan(Arc::new(operator), args, vec![plan], schema))
    }
}
