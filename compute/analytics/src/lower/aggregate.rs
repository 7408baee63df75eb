//! GROUP BY: DataFusion's aggregation where it means the same, else ours.

use super::native::{is_expr_volatile, may_fail};
use super::{Lowering, schema_of};
use crate::operator::{Group, GroupCall, GroupKey, operator_plan};
use crate::scan::field;
use crate::values::needs_order_key;
use datafusion::logical_expr::LogicalPlan;
use shardforge_compute::catalog::builtin;
use shardforge_compute::functions::{AggregateCallInfo, aggregate};
use shardforge_compute::sql::bound::{Aggregate, AggregateCall, CaseArm, ColDef, Expr, ExprKind};
use shardforge_compute::{SqlError, SqlResult};
use shardforge_types::key::KeyOrder;
use std::sync::Arc;

/// Whether an aggregate's value depends on the order of its rows.
fn is_ordered(call: &AggregateCall) -> bool {
    let names = ["array_agg", "string_agg", "json_agg", "jsonb_agg", "xmlagg"];
    call.order_by.is_empty() && builtin::proc(call.func).is_some_and(|entry| names.contains(&entry.name))
}

/// FILTER decides first: an argument that may fail is computed only for the rows that it lets through, as all columns
/// of a batch are computed before the filter is looked at.
fn guard_by_filter(call: &mut AggregateCall) {
    let Some(filter) = call.filter.clone().filter(|filter| !is_expr_volatile(filter)) else { return };
    for expr in call.args.iter_mut().chain(call.order_by.iter_mut().map(|key| &mut key.expr)) {
        if may_fail(expr) {
            let then = std::mem::replace(expr, filter.clone());
            let (ty, position) = (then.ty, then.position);
            let arms = vec![CaseArm { when: filter.clone(), then }];
            *expr = Expr { kind: ExprKind::Case { operand: None, arms, otherwise: None }, ty, position };
        }
    }
}

impl Lowering {
    pub(super) fn aggregate(&mut self, rel: &Aggregate) -> SqlResult<LogicalPlan> {
        let mut plan = self.rel(&rel.input)?;
        let mut groups = Vec::new();
        for (column, expr) in &rel.groups {
            let (expr, below) = self.hoist(expr, plan)?;
            plan = below;
            groups.push((column.clone(), expr));
        }
        let mut calls = Vec::new();
        for (column, call) in &rel.calls {
            let mut call = call.clone();
            guard_by_filter(&mut call);
            let keys = call.order_by.iter_mut().map(|key| &mut key.expr);
            for expr in call.args.iter_mut().chain(keys).chain(&mut call.filter) {
                let (hoisted, below) = self.hoist(expr, plan)?;
                plan = below;
                *expr = hoisted;
            }
            calls.push((column.clone(), call));
        }
        let keyed = groups
            .iter()
            .map(|(_, expr)| Ok(needs_order_key(expr.ty) && self.physical(expr)?.is_none()))
            .collect::<SqlResult<Vec<bool>>>()?;
        if keyed.contains(&true) || groups.is_empty() && calls.is_empty() {
            return self.own_groups(plan, &groups, &calls);
        }
        let natives =
            calls.iter().map(|(_, call)| self.native_call(call)).collect::<SqlResult<Option<Vec<_>>>>()?;
        match natives {
            Some(natives) => self.native_groups(plan, &groups, &calls, natives),
            None => self.own_groups(plan, &groups, &calls),
        }
    }

    fn own_groups(
        &mut self,
        plan: LogicalPlan,
        groups: &[(ColDef, Expr)],
        calls: &[(ColDef, AggregateCall)],
    ) -> SqlResult<LogicalPlan> {
        let mut exprs = Vec::new();
        for (_, expr) in groups {
            exprs.push(self.comparable(expr)?);
        }
        let mut keys = Vec::new();
        for (at, (column, expr)) in groups.iter().enumerate() {
            let value = if needs_order_key(expr.ty) {
                exprs.push(self.expr(expr)?);
                exprs.len() - 1
            } else {
                at
            };
            keys.push(GroupKey { value, ty: column.ty });
        }
        let mut out = Vec::new();
        for (column, call) in calls {
            let function = aggregate(call.func).ok_or_else(|| {
                let name = builtin::proc(call.func).map_or("?", |entry| entry.name);
                SqlError::not_supported(format!("aggregate {name}()"))
            })?;
            let first = exprs.len();
            for arg in &call.args {
                exprs.push(self.expr(arg)?);
            }
            let args = first..exprs.len();
            let filter = match &call.filter {
                Some(filter) => {
                    exprs.push(self.expr(filter)?);
                    Some(exprs.len() - 1)
                }
                None => None,
            };
            let mut order_by = Vec::new();
            for key in &call.order_by {
                exprs.push(self.expr(&key.expr)?);
                let order = KeyOrder { desc: key.desc, nulls_first: key.nulls_first };
                order_by.push((exprs.len() - 1, key.expr.ty, order));
            }
            let info = AggregateCallInfo {
                arg_types: call.args.iter().map(|arg| arg.ty).collect(),
                result: column.ty,
            };
            out.push(GroupCall { function, info, args, distinct: call.distinct, filter, order_by });
        }
        let columns = groups.iter().map(|(column, _)| column).chain(calls.iter().map(|(column, _)| column));
        let schema = schema_of(columns.map(|column| Arc::new(field(column))))?;
        let ordered = calls.iter().any(|(_, call)| is_ordered(call));
        Ok(operator_plan(Arc::new(Group { keys, calls: out, ordered }), exprs, vec![plan], schema))
    }
}
