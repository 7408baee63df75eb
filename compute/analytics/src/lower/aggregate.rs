//! GROUP BY: DataFusion's aggregation where it means the same, else ours.

use super::{Lowering, builder, ok, schema_of};
use crate::operator::{Group, GroupCall, GroupKey, operator_plan};
use crate::scan::{column_name, field};
use crate::values::{Form, form, needs_order_key};
use arrow::datatypes::DataType;
use datafusion::common::Column;
use datafusion::functions_aggregate::count::count_udaf;
use datafusion::functions_aggregate::min_max::{max_udaf, min_udaf};
use datafusion::functions_aggregate::sum::sum_udaf;
use datafusion::logical_expr::expr::{AggregateFunction, AggregateFunctionParams};
use datafusion::logical_expr::{Expr as DfExpr, LogicalPlan, LogicalPlanBuilder, cast, lit};
use shardforge_compute::catalog::builtin;
use shardforge_compute::functions::{AggregateCallInfo, aggregate};
use shardforge_compute::sql::bound::{Aggregate, AggregateCall, ColDef, Expr};
use shardforge_compute::{SqlError, SqlResult};
use shardforge_types::key::KeyOrder;
use shardforge_types::{Oid, PgType};
use std::sync::Arc;

/// DataFusion's aggregates that mean what PostgreSQL's mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Native {
    CountAll,
    Count,
    /// Of smallint or integer: as many as there can be do not overflow a bigint.
    Sum,
    Min,
    Max,
}

fn native(call: &AggregateCall) -> Option<Native> {
    let ordered = |ty: PgType| !needs_order_key(ty) && !matches!(form(ty), Form::Null | Form::Bool);
    let entry = builtin::proc(call.func)?;
    match (entry.name, &*call.args, call.distinct) {
        ("count", [], _) if call.func == Oid(2803) => Some(Native::CountAll),
        ("count", [arg], false) if call.func == Oid(2147) && form(arg.ty) != Form::Null => {
            Some(Native::Count)
        }
        ("count", [arg], true) if call.func == Oid(2147) && ordered(arg.ty) => Some(Native::Count),
        ("sum", [_], false) if matches!(call.func, Oid(2108 | 2109)) => Some(Native::Sum),
        ("min", [arg], _) if ordered(arg.ty) => Some(Native::Min),
        ("max", [arg], _) if ordered(arg.ty) => Some(Native::Max),
        _ => None,
    }
}

/// Whether an aggregate's value depends on the order of its rows.
fn is_ordered(call: &AggregateCall) -> bool {
    let names = ["array_agg", "string_agg", "json_agg", "jsonb_agg", "xmlagg"];
    call.order_by.is_empty() && builtin::proc(call.func).is_some_and(|entry| names.contains(&entry.name))
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
            let keys = call.order_by.iter_mut().map(|key| &mut key.expr);
            for expr in call.args.iter_mut().chain(keys).chain(&mut call.filter) {
                let (hoisted, below) = self.hoist(expr, plan)?;
                plan = below;
                *expr = hoisted;
            }
            calls.push((column.clone(), call));
        }
        let natives: Option<Vec<Native>> = calls.iter().map(|(_, call)| native(call)).collect();
        match natives {
            Some(natives)
                if groups.iter().all(|(column, _)| !needs_order_key(column.ty))
                    && (!groups.is_empty() || !natives.is_empty()) =>
            {
                self.native_groups(plan, &groups, &calls, &natives)
            }
            _ => self.own_groups(plan, &groups, &calls),
        }
    }

    fn native_groups(
        &mut self,
        plan: LogicalPlan,
        groups: &[(ColDef, Expr)],
        calls: &[(ColDef, AggregateCall)],
        natives: &[Native],
    ) -> SqlResult<LogicalPlan> {
        // What is aggregated are plain columns, so that names stay ours.
        let mut below = Vec::new();
        let mut keys = Vec::new();
        for (column, expr) in groups {
            below.push(self.expr(expr)?.alias(column_name(column.id)));
            keys.push(self.column(column.id, column.ty));
        }
        let mut aggregates = Vec::new();
        for ((_, call), native) in calls.iter().zip(natives) {
            let mut place = |this: &mut Self, expr: &Expr| -> SqlResult<DfExpr> {
                let column = this.own_column(expr.ty, "arg");
                below.push(this.expr(expr)?.alias(column_name(column.id)));
                Ok(this.column(column.id, column.ty))
            };
            let filter = call.filter.as_ref().map(|filter| place(self, filter)).transpose()?;
            let arg = match call.args.first() {
                Some(arg) => place(self, arg)?,
                None => lit(1i64),
            };
            let (function, arg, distinct) = match native {
                Native::CountAll => (count_udaf(), lit(1i64), false),
                Native::Count => (count_udaf(), arg, call.distinct),
                Native::Sum => (sum_udaf(), cast(arg, DataType::Int64), false),
                Native::Min => (min_udaf(), arg, false),
                Native::Max => (max_udaf(), arg, false),
            };
            let params = AggregateFunctionParams {
                args: vec![arg],
                distinct,
                filter: filter.map(Box::new),
                order_by: Vec::new(),
                null_treatment: None,
            };
            aggregates.push(DfExpr::AggregateFunction(AggregateFunction { func: function, params }));
        }
        let plan = if below.is_empty() { builder(plan) } else { ok(builder(plan).project(below))? };
        let plan = ok(plan.aggregate(keys, aggregates).and_then(LogicalPlanBuilder::build))?;
        let columns = groups.iter().map(|(column, _)| column).chain(calls.iter().map(|(column, _)| column));
        let exprs: Vec<DfExpr> = columns
            .enumerate()
            .map(|(at, column)| {
                let from = Column::from(plan.schema().qualified_field(at));
                DfExpr::Column(from).alias(column_name(column.id))
            })
            .collect();
        ok(builder(plan).project(exprs).and_then(LogicalPlanBuilder::build))
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
