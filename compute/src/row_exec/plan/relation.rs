//! One relation after another.

use super::needed::Needed;
use super::scan::{Wanted, filter_of};
use super::{Hint, OrderBy, Over, Plan, Planned, Planner, project};
use crate::SqlResult;
use crate::functions;
use crate::row_exec::access::conjuncts;
use crate::row_exec::expr::{Evaluator, Scope, compile, has_subquery};
use crate::row_exec::ops::function::{CallPlan, Called, FunctionPlan};
use crate::row_exec::ops::limit::LimitPlan;
use crate::row_exec::ops::sort::SortColumn;
use crate::row_exec::query::Node;
use crate::sql::bound::{ColDef, Expr, ExprKind, FunctionScan, Rel, SortKey};
use shardforge_types::PgType;
use shardforge_types::key::is_key_type;

/// Rows that are wanted when LIMIT is a parameter.
const UNKNOWN_LIMIT: f64 = 100.0;

impl Planner<'_> {
    /// Plans a relation whose rows are read over an outer row.
    pub(super) fn relation(&mut self, rel: &Rel, needed: &Needed, over: Over<'_>, hint: &Hint) -> Plan {
        match rel {
            Rel::OneRow => Ok(Some(Planned::over(over, Node::OneRow))),
            Rel::Values { cols, rows } => self.values(cols, rows, over),
            Rel::Table(scan) => {
                let Some(codec) = self.codec_of(scan) else { return Ok(None) };
                self.scan(scan, codec, &[], needed, over, &Wanted::of(scan, hint, false))
            }
            Rel::Filter { input, predicate } => {
                if let Rel::Table(scan) = &**input
                    && !has_subquery(predicate)
                {
                    let Some(codec) = self.codec_of(scan) else { return Ok(None) };
                    let parts = conjuncts(Some(predicate));
                    return self.scan(scan, codec, &parts, needed, over, &Wanted::of(scan, hint, false));
                }
                if has_subquery(predicate) || matches!(**input, Rel::Join(_) | Rel::Filter { .. }) {
                    return self.block(rel, needed, over, hint);
                }
                let below = needed.with([predicate]);
                let Some(planned) = self.relation(input, &below, over, hint)? else { return Ok(None) };
                let predicate = filter_of(&[predicate], &planned.scope)?;
                Ok(Some(planned.filter(predicate)))
            }
            Rel::Join(_) => self.block(rel, needed, over, hint),
            Rel::Project { input, exprs } => self.projection(input, exprs, over, hint),
            Rel::Sort { input, keys } => self.sort(input, keys, needed, over, hint),
            Rel::Limit { input, limit, offset } => {
                self.limit(input, limit.as_ref(), offset.as_ref(), needed, over)
            }
            Rel::Aggregate(aggregate) => self.aggregate(aggregate, over),
            Rel::Distinct(input) => self.distinct(input, over),
            Rel::DistinctOn { input, keys } => {
                if keys.iter().any(|key| has_subquery(key) || !is_key_type(key.ty)) {
                    return Ok(None);
                }
                let below = needed.with(keys);
                let Some(planned) = self.relation(input, &below, over, &Hint::default())? else {
                    return Ok(None);
                };
                let keys = keys.iter().map(|key| compile(key, &planned.scope));
                let keys = keys.collect::<SqlResult<Vec<_>>>()?;
                Ok(Some(Planned { ordered: false, ..planned.map(|input| Node::DistinctOn(input, keys)) }))
            }
            Rel::Function(scan) => self.function(scan, over),
            Rel::Lock { input, clauses } => self.lock(input, clauses, needed, over, hint),
            Rel::Window(_) | Rel::SetOp(_) | Rel::With { .. } | Rel::CteRef { .. } => Ok(None),
        }
    }

    fn values(&mut self, cols: &[ColDef], rows: &[Vec<Expr>], over: Over<'_>) -> Plan {
        if rows.iter().flatten().any(has_subquery) {
            return Ok(None);
        }
        let count = rows.len();
        let rows = rows.iter().map(|row| row.iter().map(|value| compile(value, over.scope)).collect());
        let node = Node::Values(rows.collect::<SqlResult<Vec<_>>>()?);
        Ok(Some(Planned {
            scope: over.with(cols),
            width: over.width + cols.len(),
            rows: count as f64,
            single: count < 2,
            ordered: count < 2,
            ..Planned::over(over, node)
        }))
    }

    fn projection(&mut self, input: &Rel, exprs: &[(ColDef, Expr)], over: Over<'_>, hint: &Hint) -> Plan {
        if exprs.iter().any(|(_, expr)| has_set_function(expr)) {
            return Ok(None);
        }
        let below = Needed::of(exprs.iter().map(|(_, expr)| expr));
        // The order that is wanted, in terms of what is projected.
        let order = hint.order.iter().map(|by| {
            let (_, expr) = exprs.iter().find(|(column, _)| column.id == by.column)?;
            match expr.kind {
                ExprKind::Col(column) => Some(OrderBy { column, ..*by }),
                _ => None,
            }
        });
        let order: Option<Vec<OrderBy>> = order.collect();
        let translated = order.is_some();
        let limit = hint.limit.filter(|_| translated);
        let inner = Hint { order: order.unwrap_or_default(), limit };
        let Some(mut planned) = self.relation(input, &below, over, &inner)? else { return Ok(None) };
        planned.ordered &= translated || planned.single;
        let mut values = Vec::with_capacity(exprs.len());
        for (_, expr) in exprs {
            if !has_subquery(expr) {
                values.push(compile(expr, &planned.scope)?);
                continue;
            }
            let Some((with, expr)) = self.with_scalars(planned, expr)? else { return Ok(None) };
            planned = with;
            values.push(compile(&expr, &planned.scope)?);
        }
        let keys: Vec<_> = self
            .keys
            .iter()
            .filter_map(|key| Some((key.column, planned.scope.slot(key.column)?)))
            .filter(|(_, slot)| *slot >= over.width)
            .collect();
        let mut scope = over.with(exprs.iter().map(|(column, _)| column));
        let mut all: Vec<Evaluator> = over.slots().chain(values).collect();
        for (column, slot) in keys {
            scope.add(column, all.len());
            all.push(Evaluator::slot(slot));
        }
        let (below, width) = (planned.width, all.len());
        Ok(Some(Planned { scope, width, ..planned.map(|input| project(input, all, below)) }))
    }

    fn sort(&mut self, input: &Rel, keys: &[SortKey], needed: &Needed, over: Over<'_>, hint: &Hint) -> Plan {
        if keys.iter().any(|key| has_subquery(&key.expr)) {
            return Ok(None);
        }
        let below = needed.with(keys.iter().map(|key| &key.expr));
        let order: Option<Vec<OrderBy>> = keys
            .iter()
            .map(|key| match key.expr.kind {
                ExprKind::Col(column) => {
                    Some(OrderBy { column, desc: key.desc, nulls_first: key.nulls_first })
                }
                _ => None,
            })
            .collect();
        let columns_only = order.is_some();
        let limit = hint.limit.filter(|_| columns_only);
        let inner = Hint { order: order.unwrap_or_default(), limit };
        let Some(planned) = self.relation(input, &below, over, &inner)? else { return Ok(None) };
        if planned.single || columns_only && planned.ordered {
            return Ok(Some(Planned { ordered: hint.order.is_empty() || planned.single, ..planned }));
        }
        let columns = keys.iter().map(|key| {
            Ok(SortColumn {
                value: compile(&key.expr, &planned.scope)?,
                desc: key.desc,
                nulls_first: key.nulls_first,
            })
        });
        let columns = columns.collect::<SqlResult<Vec<_>>>()?;
        let ordered = hint.order.is_empty();
        Ok(Some(Planned { ordered, streams: false, ..planned.map(|input| Node::Sort(input, columns)) }))
    }

    fn limit(
        &mut self,
        input: &Rel,
        limit: Option<&Expr>,
        offset: Option<&Expr>,
        needed: &Needed,
        over: Over<'_>,
    ) -> Plan {
        if limit.into_iter().chain(offset).any(has_subquery) {
            return Ok(None);
        }
        let none = Scope::new();
        let limit = limit.map(|limit| compile(limit, &none)).transpose()?;
        let offset = offset.map(|offset| compile(offset, &none)).transpose()?;
        let count =
            |expr: &Evaluator| expr.as_const().map_or(Some(UNKNOWN_LIMIT), |n| n.as_i64().map(|n| n as f64));
        let taken = limit.as_ref().and_then(count);
        let wanted = taken.map(|taken| taken + offset.as_ref().and_then(count).unwrap_or(0.0));
        let hint = Hint { order: Vec::new(), limit: wanted };
        let Some(mut planned) = self.relation(input, needed, over, &hint)? else { return Ok(None) };
        if let Some(wanted) = wanted {
            if planned.streams {
                planned.cost *= (wanted.max(1.0) / planned.rows.max(1.0)).min(1.0);
            }
            planned.rows = planned.rows.min(wanted.max(0.0));
        }
        planned.ordered = planned.single;
        step_of(&mut planned.node, limit.as_ref(), offset.as_ref());
        Ok(Some(planned.map(|input| Node::Limit(input, LimitPlan { limit, offset }))))
    }

    fn function(&mut self, scan: &FunctionScan, over: Over<'_>) -> Plan {
        if !scan.args().all(can_evaluate) {
            return Ok(None);
        }
        let mut calls = Vec::with_capacity(scan.calls.len());
        for call in &scan.calls {
            let called = match (functions::set(call.func), functions::scalar(call.func)) {
                (Some(function), _) => Called::Set(function),
                (None, Some(function)) => Called::Scalar(function),
                (None, None) => return Ok(None),
            };
            calls.push(CallPlan {
                called,
                args: call.args.iter().map(|arg| compile(arg, over.scope)).collect::<SqlResult<_>>()?,
                arg_types: call.args.iter().map(|arg| arg.ty).collect(),
                result: call.cols.first().map_or(PgType::UNKNOWN, |column| column.ty),
                width: call.cols.len(),
            });
        }
        let columns: Vec<&ColDef> = scan.columns().collect();
        let plan = FunctionPlan { calls, ordinality: scan.ordinality.is_some(), budget: self.budget };
        let single = plan.calls.iter().all(|call| matches!(call.called, Called::Scalar(_)));
        Ok(Some(Planned {
            scope: over.with(columns.iter().copied()),
            width: over.width + columns.len(),
            rows: if single { 1.0 } else { UNKNOWN_LIMIT },
            single,
            ordered: single,
            ..Planned::over(over, Node::Function(Box::new(plan)))
        }))
    }
}

/// Whether the row executor has all functions of an expression, and it has no subquery.
fn can_evaluate(expr: &Expr) -> bool {
    let missing = expr.any(&mut |e| {
        let function = match &e.kind {
            ExprKind::Call { func, .. } => Some(*func),
            ExprKind::Distinct { eq, .. } | ExprKind::NullIf { eq, .. } => Some(*eq),
            ExprKind::ScalarArray { func, .. } => Some(*func),
            _ => None,
        };
        // pg_typeof is no function at run time.
        function.is_some_and(|oid| functions::scalar(oid).is_none() && oid.0 != 1619)
    });
    !missing && !has_subquery(expr)
}

/// Whether a set-returning function stands in an expression.
pub(super) fn has_set_function(expr: &Expr) -> bool {
    expr.any(&mut |e| matches!(&e.kind, ExprKind::Call { func, .. } if functions::set(*func).is_some()))
}

/// A scan of which a constant number of rows is wanted need not read a page of them.
fn step_of(node: &mut Node, limit: Option<&Evaluator>, offset: Option<&Evaluator>) {
    let constant =
        |expr: &Evaluator| expr.as_const().and_then(|n| n.as_i64()).and_then(|n| usize::try_from(n).ok());
    let (Some(limit), Some(offset)) = (limit.and_then(constant), offset.map_or(Some(0), constant)) else {
        return;
    };
    let mut node = node;
    loop {
        match node {
            Node::Project(input, _) => node = input,
            Node::Scan(plan) if plan.filter.is_none() => {
                plan.step = limit.saturating_add(offset).max(1);
                return;
            }
            _ => return,
        }
    }
}
