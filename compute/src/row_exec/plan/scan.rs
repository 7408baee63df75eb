//! Tables: by which key or index each is read.

use super::needed::Needed;
use super::{Hint, Over, Plan, Planned, Planner};
use crate::SqlResult;
use crate::catalog::TableKind;
use crate::row_exec::access::{
    Access, Candidate, Columns, OrderColumn, UNKNOWN_ROWS, candidates, conjuncts, terms,
};
use crate::row_exec::expr::{Evaluator, Scope, compile};
use crate::row_exec::ops::scan::{ScanPlan, Split};
use crate::row_exec::query::Node;
use crate::row_exec::storage::TableCodec;
use crate::sql::bound::{ColId, Expr, ExprKind, TableScan};
use shardforge_types::PgType;
use std::cmp::Ordering;
use std::sync::Arc;

/// The share of rows that a condition is expected to leave.
pub(super) const SELECTIVITY: f64 = 0.2;

/// What a way to read a table comes to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Measure {
    /// Rows that it gives.
    pub(super) rows: f64,
    /// Rows that it reads.
    pub(super) cost: f64,
    /// The same, when no more rows are taken than are wanted.
    pub(super) limited_cost: f64,
    /// Whether it reads the whole table.
    pub(super) full: bool,
    /// Whether rows come in the order that is wanted, and then whether backward.
    pub(super) ordered: Option<bool>,
}

/// What those above want of a table's rows, in terms of its columns; `None` when the order is not one of them.
pub(super) struct Wanted {
    pub(super) order: Option<Vec<OrderColumn>>,
    pub(super) limit: Option<f64>,
    /// Whether several rows may be made of one of the table's.
    pub(super) exact: bool,
}

impl Wanted {
    pub(super) fn nothing() -> Self {
        Wanted { order: Some(Vec::new()), limit: None, exact: false }
    }

    /// A hint, about the rows of a scan.
    pub(super) fn of(scan: &TableScan, hint: &Hint, exact: bool) -> Self {
        let order = hint.order.iter().map(|by| {
            let (_, column) = scan.cols.iter().find(|(column, _)| column.id == by.column)?;
            Some(OrderColumn { column: *column, desc: by.desc, nulls_first: by.nulls_first })
        });
        Wanted { order: order.collect(), limit: hint.limit, exact }
    }
}

fn measure(candidate: &Candidate<'_, '_>, codec: &TableCodec, conditions: usize, wanted: &Wanted) -> Measure {
    let left = conditions.saturating_sub(candidate.covered.len());
    let rows = candidate.rows * SELECTIVITY.powi(left as i32);
    let cost = candidate.cost();
    let ordered = wanted.order.as_ref().and_then(|order| candidate.provides(codec, order, wanted.exact));
    let limited_cost = match wanted.limit {
        Some(limit) if ordered.is_some() => cost * (limit / rows.max(1.0)).min(1.0),
        _ if ordered.is_some() => cost,
        _ => cost + rows * 0.1,
    };
    Measure { rows, cost, limited_cost, full: candidate.is_full(), ordered }
}

/// The best of the ways to read a table.
pub(super) fn best<'t, 'e>(
    candidates: Vec<Candidate<'t, 'e>>,
    codec: &TableCodec,
    conditions: usize,
    wanted: &Wanted,
) -> (Candidate<'t, 'e>, Measure) {
    let measured = candidates.into_iter().map(|candidate| {
        let measure = measure(&candidate, codec, conditions, wanted);
        (candidate, measure)
    });
    // Of equals the first, which is the table's own key.
    let better = |a: &(Candidate<'_, '_>, Measure), b: &(Candidate<'_, '_>, Measure)| {
        let by_cost = a.1.limited_cost.total_cmp(&b.1.limited_cost);
        by_cost.then(b.0.bounds().cmp(&a.0.bounds())).then(b.1.ordered.is_some().cmp(&a.1.ordered.is_some()))
            == Ordering::Greater
    };
    measured.reduce(|a, b| if better(&a, &b) { b } else { a }).expect("the table's own key is always there")
}

/// How a predicate's rows are found, for a write.
pub(in crate::row_exec) struct ScanChoice<'e> {
    pub(in crate::row_exec) access: Access,
    /// Conjuncts that the keys do not decide.
    pub(in crate::row_exec) rest: Vec<&'e Expr>,
}

/// Chooses how the rows of one table are found by a predicate over its columns alone.
pub(in crate::row_exec) fn choose_scan<'e>(
    codec: &TableCodec,
    predicate: Option<&'e Expr>,
    position: &dyn Fn(ColId) -> Option<usize>,
    table_rows: Option<f64>,
) -> SqlResult<ScanChoice<'e>> {
    let parts = conjuncts(predicate);
    let said = terms(&parts, codec.table(), &Columns { position, bound: &|_| false });
    let ways = candidates(codec, &said, table_rows.unwrap_or(UNKNOWN_ROWS));
    let (candidate, _) = best(ways, codec, parts.len(), &Wanted::nothing());
    let access = candidate.build(&Scope::new())?;
    let rest = parts.into_iter().enumerate().filter(|(n, _)| !candidate.covered.contains(n));
    Ok(ScanChoice { access, rest: rest.map(|(_, expr)| expr).collect() })
}

/// One filter of several conditions.
pub(in crate::row_exec) fn filter_of(rest: &[&Expr], scope: &Scope) -> SqlResult<Option<Evaluator>> {
    match rest {
        [] => Ok(None),
        [one] => compile(one, scope).map(Some),
        all => {
            let all = all.iter().map(|expr| (*expr).clone()).collect();
            compile(&Expr::new(ExprKind::And(all), PgType::BOOL), scope).map(Some)
        }
    }
}

impl Planner<'_> {
    pub(super) fn rows_of(&self, scan: &TableScan) -> f64 {
        (self.table_rows)(&scan.table).unwrap_or(UNKNOWN_ROWS)
    }

    /// A table's codec; `None` for what is no table of ours, or is read at another time.
    pub(super) fn codec_of(&self, scan: &TableScan) -> Option<Arc<TableCodec>> {
        let plain = scan.as_of.is_none() && scan.table.kind == TableKind::Table;
        plain.then(|| Arc::new(TableCodec::new(scan.table.clone())))
    }

    /// What it comes to to read a table under some conditions.
    pub(super) fn measure(
        &self,
        scan: &TableScan,
        codec: &TableCodec,
        parts: &[&Expr],
        bound: &dyn Fn(ColId) -> bool,
        wanted: &Wanted,
    ) -> Measure {
        let position = |id: ColId| position_of(scan, id);
        let said = terms(parts, &scan.table, &Columns { position: &position, bound });
        best(candidates(codec, &said, self.rows_of(scan)), codec, parts.len(), wanted).1
    }

    /// The rows of a table that satisfy all of some conditions.
    pub(super) fn scan(
        &mut self,
        scan: &TableScan,
        codec: Arc<TableCodec>,
        parts: &[&Expr],
        needed: &Needed,
        over: Over<'_>,
        wanted: &Wanted,
    ) -> Plan {
        let position = |id: ColId| position_of(scan, id);
        let bound = |id: ColId| over.scope.slot(id).is_some();
        let said = terms(parts, &scan.table, &Columns { position: &position, bound: &bound });
        let (candidate, measure) =
            best(candidates(&codec, &said, self.rows_of(scan)), &codec, parts.len(), wanted);
        let access = candidate.build(over.scope)?;
        let rest: Vec<&Expr> = parts
            .iter()
            .enumerate()
            .filter(|(n, _)| !candidate.covered.contains(n))
            .map(|(_, expr)| *expr)
            .collect();
        let needed = needed.with(rest.iter().copied());
        let used: Vec<_> = scan.cols.iter().filter(|(column, _)| needed.has(column.id)).collect();
        let mut scope = over.with(used.iter().map(|(column, _)| column));
        let mut width = over.width + used.len();
        let key = self.keys.iter_mut().find(|key| key.alias == scan.alias);
        let with_key = key.is_some();
        if let Some(key) = key {
            key.codec = Some(codec.clone());
            scope.add(key.column, width);
            width += 1;
        }
        let lock = self.scan_lock.as_ref().filter(|(alias, _)| *alias == scan.alias).map(|(_, lock)| *lock);
        let single = access.point;
        let filter = filter_of(&rest, &scope)?;
        let split = match (&filter, with_key || over.width > 0) {
            (Some(_), false) => {
                let judged = Needed::of(rest.iter().copied());
                let judged =
                    |column| used.iter().any(|(c, position)| *position == column && judged.has(c.id));
                let places = used.iter().enumerate().map(|(place, (_, position))| (place, *position));
                Split::new(places, used.len(), judged)
            }
            _ => Split::default(),
        };
        let plan = ScanPlan {
            filter,
            split,
            codec,
            access,
            columns: used.iter().map(|(_, position)| *position).collect(),
            in_place: false,
            lock,
            reverse: measure.ordered.unwrap_or(false),
            step: 0,
            with_key,
            ordered: measure.ordered.is_some()
                && wanted.order.as_ref().is_some_and(|order| !order.is_empty()),
            alias: scan.alias.clone(),
            budget: self.budget,
        };
        Ok(Some(Planned {
            node: Node::Scan(Box::new(plan)),
            scope,
            width,
            rows: measure.rows,
            cost: measure.cost,
            single,
            ordered: measure.ordered.is_some(),
            streams: true,
        }))
    }
}

fn position_of(scan: &TableScan, id: ColId) -> Option<usize> {
    scan.cols.iter().find(|(column, _)| column.id == id).map(|(_, position)| *position)
}
