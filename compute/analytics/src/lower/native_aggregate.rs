//! Aggregates that DataFusion computes as PostgreSQL does, in several parts that are put together.
//!
//! | aggregate | of | how |
//! |---|---|---|
//! | `count` | anything | DataFusion's |
//! | `sum` | smallint, integer | DataFusion's, in bigint |
//! | `min`, `max` | what Arrow orders rightly | DataFusion's |
//! | `sum` | bigint, decimals | [`decimal_sum`] |
//! | `avg` | integers, decimals | [`decimal_sum`] and `count`, divided as numeric |
//!
//! The sum of a CASE whose arms show different numbers of digits shows as many as the greatest of its values;
//! so that is computed beside it ([`SumArg::scales`]).

use super::physical::DecimalExpr;
use super::{Lowering, builder, ok};
use crate::kernel::{Final, decimal_final, decimal_sum};
use crate::physical::{DIGITS, Physical};
use crate::scan::column_name;
use crate::values::{Form, form, needs_order_key};
use arrow::datatypes::DataType;
use datafusion::common::Column;
use datafusion::functions_aggregate::count::count_udaf;
use datafusion::functions_aggregate::min_max::{max_udaf, min_udaf};
use datafusion::functions_aggregate::sum::sum_udaf;
use datafusion::logical_expr::expr::{AggregateFunction, AggregateFunctionParams, Case};
use datafusion::logical_expr::{AggregateUDF, Expr as DfExpr, LogicalPlan, LogicalPlanBuilder, cast, lit};
use shardforge_compute::SqlResult;
use shardforge_compute::catalog::builtin;
use shardforge_compute::sql::bound::{AggregateCall, ColDef, Expr, ExprKind};
use shardforge_types::{Oid, PgType, oids};
use std::sync::Arc;

/// One aggregate, its arguments lowered.
pub(super) enum NativeCall {
    CountAll,
    Count {
        arg: DfExpr,
        distinct: bool,
    },
    /// Of smallint or integer: as many as there can be do not overflow a bigint.
    Sum(DfExpr),
    Extreme {
        arg: DfExpr,
        form: Option<Physical>,
        greatest: bool,
    },
    DecimalSum(SumArg),
    DecimalAverage(SumArg),
}

/// What is summed.
pub(super) struct SumArg {
    value: DecimalExpr,
    /// How many digits after the point each value shows, where they differ.
    scales: Option<DfExpr>,
}

impl Lowering {
    /// An aggregate as DataFusion computes it, if it can.
    pub(super) fn native_call(&self, call: &AggregateCall) -> SqlResult<Option<NativeCall>> {
        let Some(entry) = builtin::proc(call.func) else { return Ok(None) };
        let ordered = |ty: PgType| !needs_order_key(ty) && !matches!(form(ty), Form::Null | Form::Bool);
        Ok(match (entry.name, &*call.args) {
            ("count", []) if call.func == Oid(2803) => Some(NativeCall::CountAll),
            ("count", [arg]) if call.func == Oid(2147) && form(arg.ty) != Form::Null => {
                match self.physical(arg)? {
                    Some((arg, _)) => Some(NativeCall::Count { arg, distinct: call.distinct }),
                    None if !call.distinct || ordered(arg.ty) => {
                        Some(NativeCall::Count { arg: self.expr(arg)?, distinct: call.distinct })
                    }
                    None => None,
                }
            }
            ("min" | "max", [arg]) => {
                let greatest = entry.name == "max";
                match self.physical(arg)? {
                    Some((arg, form)) => Some(NativeCall::Extreme { arg, form: Some(form), greatest }),
                    None if ordered(arg.ty) => {
                        Some(NativeCall::Extreme { arg: self.expr(arg)?, form: None, greatest })
                    }
                    None => None,
                }
            }
            ("sum", [arg]) if !call.distinct && matches!(call.func, Oid(2108 | 2109)) => {
                Some(NativeCall::Sum(self.expr(arg)?))
            }
            ("sum", [arg]) if !call.distinct && matches!(call.func, Oid(2107 | 2114)) => {
                self.sum_arg(arg)?.map(NativeCall::DecimalSum)
            }
            ("avg", [arg]) if !call.distinct && matches!(call.func, Oid(2100..=2103)) => {
                self.sum_arg(arg)?.map(NativeCall::DecimalAverage)
            }
            _ => None,
        })
    }

    fn sum_arg(&self, arg: &Expr) -> SqlResult<Option<SumArg>> {
        if !self.attempt.may_give_up() {
            return Ok(None);
        }
        if arg.ty.oid != oids::NUMERIC {
            let expr = cast(self.expr(arg)?, DataType::Decimal128(DIGITS, 0));
            return Ok(Some(SumArg { value: DecimalExpr { expr, digits: 19, scale: 0 }, scales: None }));
        }
        if let Some(value) = self.decimal(arg)? {
            return Ok(Some(SumArg { value, scales: None }));
        }
        let ExprKind::Case { operand: None, arms, otherwise } = &arg.kind else { return Ok(None) };
        let mut values = Vec::new();
        for value in arms.iter().map(|arm| &arm.then).chain(otherwise.as_deref()) {
            let Some(value) = self.decimal(value)? else { return Ok(None) };
            values.push(value);
        }
        if arms.iter().any(|arm| super::native::may_fail(&arm.when)) {
            return Ok(None);
        }
        let scale = values.iter().map(|value| value.scale).max().unwrap_or(0);
        let digits =
            values.iter().map(|value| value.digits + u32::from(scale - value.scale)).max().unwrap_or(1);
        let mut value_arms = Vec::new();
        let mut scale_arms = Vec::new();
        let mut last = (None, None);
        for (at, value) in values.into_iter().enumerate() {
            let shown = Box::new(lit(value.scale as i8));
            let Some(value) = self.rescaled(value, scale) else { return Ok(None) };
            match arms.get(at) {
                Some(arm) => {
                    let when = self.expr(&arm.when)?;
                    value_arms.push((Box::new(when.clone()), Box::new(value.expr)));
                    scale_arms.push((Box::new(when), shown));
                }
                None => last = (Some(Box::new(value.expr)), Some(shown)),
            }
        }
        let value = DfExpr::Case(Case::new(None, value_arms, last.0));
        // A null value shows nothing.
        let shown = DfExpr::Case(Case::new(None, scale_arms, last.1));
        let scales = DfExpr::Case(Case::new(
            None,
            vec![(Box::new(DfExpr::IsNotNull(Box::new(value.clone()))), Box::new(shown))],
            None,
        ));
        Ok(Some(SumArg { value: DecimalExpr { expr: value, digits, scale }, scales: Some(scales) }))
    }

    pub(super) fn native_groups(
        &mut self,
        plan: LogicalPlan,
        groups: &[(ColDef, Expr)],
        calls: &[(ColDef, AggregateCall)],
        natives: Vec<NativeCall>,
    ) -> SqlResult<LogicalPlan> {
        // What is aggregated are plain columns, so that names stay ours.
        let mut parts = Parts { below: Vec::new(), aggregates: Vec::new() };
        let mut keys = Vec::new();
        for (column, expr) in groups {
            parts.below.push(self.named(column, expr)?);
            keys.push(DfExpr::Column(Column::new_unqualified(column_name(column.id))));
        }
        let mut values = Vec::new();
        for ((column, call), native) in calls.iter().zip(natives) {
            let filter = match &call.filter {
                Some(filter) => Some(parts.place(self, self.expr(filter)?)),
                None => None,
            };
            let mut total = |this: &Self, sum: SumArg, filter: &Option<DfExpr>| {
                let scale = sum.value.scale;
                let value = parts.place(this, sum.value.expr);
                let scales = sum.scales.map(|scales| {
                    let scales = parts.place(this, scales);
                    parts.call(max_udaf(), scales, false, filter)
                });
                let total = parts.call(decimal_sum(scale), value.clone(), false, filter);
                (total, parts.call(count_udaf(), value, false, filter), scales, scale)
            };
            values.push(match native {
                NativeCall::CountAll => Value::Plain(parts.call(count_udaf(), lit(1i64), false, &filter)),
                NativeCall::Count { arg, distinct } => {
                    let arg = parts.place(self, arg);
                    Value::Plain(parts.call(count_udaf(), arg, distinct, &filter))
                }
                NativeCall::Sum(arg) => {
                    let arg = parts.place(self, cast(arg, DataType::Int64));
                    Value::Plain(parts.call(sum_udaf(), arg, false, &filter))
                }
                NativeCall::Extreme { arg, form, greatest } => {
                    if let Some(form) = form {
                        self.set_form(column.id, form);
                    }
                    let arg = parts.place(self, arg);
                    let function = if greatest { max_udaf() } else { min_udaf() };
                    Value::Plain(parts.call(function, arg, false, &filter))
                }
                NativeCall::DecimalSum(sum) => match total(self, sum, &filter) {
                    (total, _, None, scale) => {
                        let digits = u32::from(DIGITS);
                        self.set_form(column.id, Physical::Decimal { digits, scale });
                        Value::Plain(total)
                    }
                    (total, _, Some(scales), scale) => Value::Final(Final::Sum, scale, vec![total, scales]),
                },
                NativeCall::DecimalAverage(sum) => {
                    let (total, count, scales, scale) = total(self, sum, &filter);
                    let args = [total, count].into_iter().chain(scales).collect();
                    Value::Final(Final::Average, scale, args)
                }
            });
        }
        let plan =
            if parts.below.is_empty() { builder(plan) } else { ok(builder(plan).project(parts.below))? };
        let plan = ok(plan.aggregate(keys, parts.aggregates).and_then(LogicalPlanBuilder::build))?;
        let made = |at: usize| DfExpr::Column(Column::from(plan.schema().qualified_field(at)));
        let keys = groups.iter().enumerate().map(|(at, (column, _))| (made(at), column));
        let calls = values.into_iter().zip(calls).map(|(value, (column, _))| {
            let value = match value {
                Value::Plain(at) => made(groups.len() + at),
                Value::Final(kind, scale, args) => {
                    let args = args.into_iter().map(|at| made(groups.len() + at)).collect();
                    decimal_final(kind, scale, args)
                }
            };
            (value, column)
        });
        let exprs: Vec<DfExpr> =
            keys.chain(calls).map(|(value, column)| value.alias(column_name(column.id))).collect();
        ok(builder(plan).project(exprs).and_then(LogicalPlanBuilder::build))
    }
}

/// How a call's value is made of the aggregates, by their numbers.
enum Value {
    Plain(usize),
    Final(Final, u8, Vec<usize>),
}

/// What lies below an aggregation, and what it computes, each thing once.
struct Parts {
    below: Vec<DfExpr>,
    aggregates: Vec<DfExpr>,
}

impl Parts {
    /// An expression as a column below.
    fn place(&mut self, lowering: &Lowering, expr: DfExpr) -> DfExpr {
        let same = self.below.iter().find_map(|below| match below {
            DfExpr::Alias(alias) if *alias.expr == expr => Some(alias.name.clone()),
            _ => None,
        });
        let name = same.unwrap_or_else(|| {
            let column = lowering.own_column(PgType::BOOL, "arg");
            let name = column_name(column.id);
            self.below.push(expr.alias(&name));
            name
        });
        DfExpr::Column(Column::new_unqualified(name))
    }

    /// The number of an aggregate.
    fn call(
        &mut self,
        function: Arc<AggregateUDF>,
        arg: DfExpr,
        distinct: bool,
        filter: &Option<DfExpr>,
    ) -> usize {
        let params = AggregateFunctionParams {
            args: vec![arg],
            distinct,
            filter: filter.clone().map(Box::new),
            order_by: Vec::new(),
            null_treatment: None,
        };
        let call = DfExpr::AggregateFunction(AggregateFunction { func: function, params });
        match self.aggregates.iter().position(|known| *known == call) {
            Some(at) => at,
            None => {
                self.aggregates.push(call);
                self.aggregates.len() - 1
            }
        }
    }
}
