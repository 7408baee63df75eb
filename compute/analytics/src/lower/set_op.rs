//! UNION, INTERSECT, EXCEPT.

use super::{Lowering, builder, ok, schema_of};
use crate::operator::{SetOperation, operator_plan};
use crate::scan::{column_name, field};
use crate::values::needs_order_key;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use shardforge_compute::SqlResult;
use shardforge_compute::sql::bound::{ColDef, Expr, Query, SetOp, SetOpKind};
use std::sync::Arc;

impl Lowering {
    pub(super) fn set_op(&mut self, op: &SetOp) -> SqlResult<LogicalPlan> {
        if op.kind == SetOpKind::Union {
            let left = self.output_as(&op.left, &op.cols)?;
            let right = self.output_as(&op.right, &op.cols)?;
            let plan = ok(builder(left).union(right).and_then(LogicalPlanBuilder::build))?;
            return if op.all { Ok(plan) } else { self.distinct(plan, &op.cols) };
        }
        let left = self.keyed(&op.left, &op.cols)?;
        let right = self.keyed(&op.right, &op.cols)?;
        let mut next = op.cols.len();
        let keys = op.cols.iter().enumerate().map(|(at, column)| {
            if needs_order_key(column.ty) {
                next += 1;
                next - 1
            } else {
                at
            }
        });
        let keys = keys.collect();
        let operator = SetOperation { except: op.kind == SetOpKind::Except, all: op.all, keys };
        let schema = schema_of(op.cols.iter().map(|column| Arc::new(field(column))))?;
        Ok(operator_plan(Arc::new(operator), Vec::new(), vec![left, right], schema))
    }

    /// A side's columns, then the order keys of those that are compared by them.
    fn keyed(&mut self, query: &Query, columns: &[ColDef]) -> SqlResult<LogicalPlan> {
        let plan = self.output_as(query, columns)?;
        let mut exprs: Vec<_> = columns.iter().map(|column| self.column(column.id, column.ty)).collect();
        for column in columns.iter().filter(|column| needs_order_key(column.ty)) {
            let key = self.comparable(&Expr::col(column.id, column.ty))?;
            exprs.push(key.alias(format!("{}_key", column_name(column.id))));
        }
        ok(builder(plan).project(exprs).and_then(LogicalPlanBuilder::build))
    }
}
