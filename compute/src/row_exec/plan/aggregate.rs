//! Groups, distinct rows, and the least and greatest value of an index.

use super::needed::Needed;
use super::{Hint, OrderBy, Over, Plan, Planned, Planner};
use crate::SqlResult;
use crate::catalog::builtin;
use crate::functions::{self, AggregateCallInfo};
use crate::row_exec::expr::{Evaluator, compile, has_subquery};
use crate::row_exec::ops::aggregate::{AggregateColumn, AggregatePlan};
use crate::row_exec::ops::limit::LimitPlan;
use crate::row_exec::query::Node;
use crate::sql::bound::{Aggregate, ColId, Expr, ExprKind, Rel};
use shardforge_types::key::is_key_type;
use shardforge_types::{Datum, PgType};

/// The share of rows that begins a new group.
const GROUPS: f64 = 0.2;

impl Planner<'_> {
    pub(super) fn aggregate(&mut self, aggregate: &Aggregate, over: Over<'_>) -> Plan {
        let supported = |expr: &Expr| !has_subquery(expr);
        let groups_fit = aggregate.groups.iter().all(|(_, expr)| supported(expr) && is_key_type(expr.ty));
        let calls_fit = aggregate.calls.iter().all(|(_, call)| {
            functions::aggregate(call.func).is_some()
                && call.order_by.is_empty()
                && call.args.iter().chain(&call.filter).all(supported)
                && (!call.distinct || call.args.iter().all(|arg| is_key_type(arg.ty)))
        });
        if !groups_fit || !calls_fit {
            return Ok(None);
        }
        let planned = match self.first_of_index(aggregate, over)? {
            Some(planned) => Some(planned),
            None => {
                let groups = aggregate.groups.iter().map(|(_, expr)| expr);
                let calls = aggregate.calls.iter().flat_map(|(_, call)| call.args.iter().chain(&call.filter));
                let needed = Needed::of(groups.chain(calls));
                self.relation(&aggregate.input, &needed, over, &Hint::default())?
            }
        };
        let Some(planned) = planned else { return Ok(None) };
        let columns = aggregate.groups.iter().map(|(c, _)| c).chain(aggregate.calls.iter().map(|(c, _)| c));
        let scope = over.with(columns);
        let width = over.width + aggregate.groups.len() + aggregate.calls.len();
        let groups = aggregate.groups.iter().map(|(_, expr)| compile(expr, &planned.scope));
        let groups = groups.collect::<SqlResult<Vec<_>>>()?;
        let mut calls = Vec::new();
        for (column, call) in &aggregate.calls {
            let Some(function) = functions::aggregate(call.func) else { return Ok(None) };
            calls.push(AggregateColumn {
                function,
                info: AggregateCallInfo {
                    arg_types: call.args.iter().map(|arg| arg.ty).collect(),
                    result: column.ty,
                },
                args: call.args.iter().map(|arg| compile(arg, &planned.scope)).collect::<SqlResult<_>>()?,
                distinct: call.distinct,
                filter: call.filter.as_ref().map(|filter| compile(filter, &planned.scope)).transpose()?,
            });
        }
        let single = groups.is_empty();
        Ok(Some(Planned {
            scope,
            width,
            rows: if single { 1.0 } else { (planned.rows * GROUPS).max(1.0) },
            single,
            ordered: single,
            streams: false,
            ..planned.map(|input| Node::Aggregate(input, AggregatePlan { groups, calls }))
        }))
    }

    /// `min(column)` or `max(column)` alone, over rows that can be read in the column's order: of the first row
    /// whose value is not null.
    fn first_of_index(&mut self, aggregate: &Aggregate, over: Over<'_>) -> Plan {
        let ([], [(_, call)]) = (&aggregate.groups[..], &aggregate.calls[..]) else { return Ok(None) };
        let ([arg], None) = (&call.args[..], &call.filter) else { return Ok(None) };
        let desc = match builtin::proc(call.func).map(|proc| proc.name) {
            Some("min") => false,
            Some("max") => true,
            _ => return Ok(None),
        };
        let ExprKind::Col(column) = arg.kind else { return Ok(None) };
        if !matches!(&aggregate.input, Rel::Table(_) | Rel::Filter { .. }) {
            return Ok(None);
        }
        let not_null = ExprKind::IsNull { arg: Box::new(arg.clone()), negated: true };
        let input = Rel::Filter {
            input: Box::new(aggregate.input.clone()),
            predicate: Expr::new(not_null, PgType::BOOL),
        };
        // Nulls come last in either direction, and are read only when there is nothing else.
        let order =
            |nulls_first| Hint { order: vec![OrderBy { column, desc, nulls_first }], limit: Some(1.0) };
        let needed = Needed::these([column]);
        for nulls_first in [desc, !desc] {
            let merged = merge_filters(&input);
            let Some(planned) = self.relation(&merged, &needed, over, &order(nulls_first))? else {
                return Ok(None);
            };
            if planned.ordered && planned.streams {
                let cost = planned.cost * (1.0 / planned.rows.max(1.0)).min(1.0);
                let one = compile(&Expr::constant(Datum::Int8(1), PgType::INT8), over.scope)?;
                let limit = LimitPlan { limit: Some(one), offset: None };
                let limited = planned.map(|input| Node::Limit(input, limit));
                return Ok(Some(Planned { cost, rows: 1.0, single: true, ..limited }));
            }
        }
        Ok(None)
    }

    pub(super) fn distinct(&mut self, input: &Rel, over: Over<'_>) -> Plan {
        let columns = input.columns();
        if !columns.iter().all(|column| is_key_type(column.ty)) {
            return Ok(None);
        }
        let needed = Needed::these(columns.iter().map(|column| column.id));
        let Some(planned) = self.relation(input, &needed, over, &Hint::default())? else { return Ok(None) };
        let columns: Vec<(ColId, PgType)> = columns.iter().map(|column| (column.id, column.ty)).collect();
        self.dedupe(planned, &columns, over).map(Some)
    }

    /// Each different combination of some columns once.
    pub(super) fn dedupe(
        &mut self,
        planned: Planned,
        columns: &[(ColId, PgType)],
        over: Over<'_>,
    ) -> SqlResult<Planned> {
        let groups: Vec<Evaluator> = columns
            .iter()
            .map(|(id, ty)| compile(&Expr::col(*id, *ty), &planned.scope))
            .collect::<SqlResult<_>>()?;
        let mut scope = over.scope.clone();
        columns.iter().enumerate().for_each(|(n, (id, _))| scope.add(*id, over.width + n));
        Ok(Planned {
            scope,
            width: over.width + columns.len(),
            rows: (planned.rows * GROUPS).max(1.0),
            ordered: planned.single,
            streams: false,
            ..planned.map(|input| Node::Aggregate(input, AggregatePlan { groups, calls: Vec::new() }))
        })
    }
}

/// Two filters as one, so that both are seen where the table is.
fn merge_filters(rel: &Rel) -> Rel {
    let Rel::Filter { input, predicate } = rel else { return rel.clone() };
    let Rel::Filter { input, predicate: below } = &**input else { return rel.clone() };
    let both = ExprKind::And(vec![below.clone(), predicate.clone()]);
    Rel::Filter { input: input.clone(), predicate: Expr::new(both, PgType::BOOL) }
}
