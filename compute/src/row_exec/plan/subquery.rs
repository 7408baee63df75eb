//! Subqueries in expressions.

use super::needed::Needed;
use super::{Hint, Over, Plan, Planned, Planner};
use crate::SqlResult;
use crate::row_exec::expr::has_subquery;
use crate::row_exec::ops::nested_loop::{LoopKind, LoopPlan};
use crate::row_exec::query::Node;
use crate::sql::bound::{ColId, Expr, ExprKind, Query, Rel, SubqueryKind};
use ahash::AHashMap;
use shardforge_types::PgType;

/// An expression whose scalar subqueries are columns, and those subqueries. `None` when there are others, or
/// one that is not always evaluated.
pub(super) fn hoist(expr: &Expr) -> Option<(Expr, Vec<Query>)> {
    fn replace(expr: &mut Expr, out: &mut Vec<Query>) -> bool {
        if !has_subquery(expr) {
            return true;
        }
        match &expr.kind {
            ExprKind::Subquery { kind: SubqueryKind::Scalar, query } => {
                let (query, ty) = ((**query).clone(), expr.ty);
                let Some(column) = query.output.first() else { return false };
                *expr = Expr { position: expr.position, ..Expr::col(column.id, ty) };
                out.push(query);
                true
            }
            ExprKind::Subquery { .. }
            | ExprKind::Case { .. }
            | ExprKind::Coalesce(_)
            | ExprKind::And(_)
            | ExprKind::Or(_) => false,
            _ => {
                let mut all = true;
                expr.for_each_child_mut(&mut |child| all = all && replace(child, out));
                all
            }
        }
    }
    let mut expr = expr.clone();
    let mut queries = Vec::new();
    let fits = replace(&mut expr, &mut queries) && !queries.iter().any(super::is_volatile);
    fits.then_some((expr, queries))
}

/// A condition that is about the existence of a subquery's rows.
pub(super) struct Existence<'q> {
    pub(super) query: &'q Query,
    /// What holds for such a row; over outer columns and the query's output.
    pub(super) test: Option<&'q Expr>,
    pub(super) anti: bool,
}

/// `EXISTS`, `NOT EXISTS` and `IN`; NOT IN asks for more than existence.
pub(super) fn existence(part: &Expr) -> Option<Existence<'_>> {
    let (part, anti) = match &part.kind {
        ExprKind::Not(inner) => (&**inner, true),
        _ => (part, false),
    };
    let ExprKind::Subquery { kind, query } = &part.kind else { return None };
    let test = match kind {
        SubqueryKind::Exists => None,
        SubqueryKind::Any { test } if !anti && !has_subquery(test) => Some(&**test),
        _ => return None,
    };
    (!super::is_volatile(query)).then_some(Existence { query, test, anti })
}

fn substitute(expr: &mut Expr, values: &AHashMap<ColId, &Expr>) {
    if let ExprKind::Col(id) = expr.kind {
        if let Some(value) = values.get(&id) {
            *expr = (*value).clone();
        }
        return;
    }
    expr.for_each_child_mut(&mut |child| substitute(child, values));
}

impl Existence<'_> {
    /// The rows whose existence is asked for, as a relation in which the test is a condition that keys may
    /// serve.
    pub(super) fn rows(&self) -> Rel {
        let mut rel = &self.query.rel;
        let mut test = self.test.cloned();
        loop {
            match rel {
                Rel::Sort { input, .. } | Rel::Distinct(input) => rel = input,
                Rel::Project { input, exprs }
                    if !exprs
                        .iter()
                        .any(|(_, e)| has_subquery(e) || super::relation::has_set_function(e)) =>
                {
                    let values = exprs.iter().map(|(column, expr)| (column.id, expr)).collect();
                    test.iter_mut().for_each(|test| substitute(test, &values));
                    rel = input;
                }
                _ => break,
            }
        }
        let Some(test) = test else { return rel.clone() };
        match rel {
            Rel::Filter { input, predicate } => {
                let both = ExprKind::And(vec![predicate.clone(), test]);
                Rel::Filter { input: input.clone(), predicate: Expr::new(both, PgType::BOOL) }
            }
            rel => Rel::Filter { input: Box::new(rel.clone()), predicate: test },
        }
    }
}

impl Planner<'_> {
    /// Plans something whose rows are not the statement's own, so that its tables are not locked.
    pub(super) fn apart(&mut self, plan: impl FnOnce(&mut Self) -> Plan) -> Plan {
        let keys = std::mem::take(&mut self.keys);
        let lock = self.scan_lock.take();
        let planned = plan(self);
        self.keys = keys;
        self.scan_lock = lock;
        planned
    }

    /// A join of rows with those that are read over each of them.
    pub(super) fn looped(&mut self, outer: Planned, inner: Planned, kind: LoopKind) -> Planned {
        // One row without columns adds nothing to what is read over it.
        if matches!(outer.node, Node::OneRow) && kind == LoopKind::Inner {
            return inner;
        }
        let plain = matches!(kind, LoopKind::Semi | LoopKind::Anti);
        let rows = match kind {
            LoopKind::Inner => outer.rows * inner.rows,
            LoopKind::Left => outer.rows * inner.rows.max(1.0),
            LoopKind::Semi | LoopKind::Anti => outer.rows * 0.5,
            LoopKind::Single => outer.rows,
        };
        let single = outer.single && (kind != LoopKind::Inner && kind != LoopKind::Left || inner.single);
        let plan =
            LoopPlan { kind, inner_width: inner.width - outer.width, outer: outer.node, inner: inner.node };
        // Of a semi join's inner side the first row is enough.
        let inner_cost = if plain { inner.cost / inner.rows.max(1.0) } else { inner.cost };
        Planned {
            node: Node::NestedLoop(Box::new(plan)),
            scope: if plain { outer.scope } else { inner.scope },
            width: if plain { outer.width } else { inner.width },
            rows,
            cost: outer.cost + outer.rows.max(1.0) * inner_cost,
            single,
            ordered: outer.ordered || single,
            streams: outer.streams,
        }
    }

    /// The value of a scalar subquery as a column of each row.
    pub(super) fn with_scalar(&mut self, outer: Planned, query: &Query) -> Plan {
        let Some(column) = query.output.first() else { return Ok(None) };
        let inner = {
            let over = Over { scope: &outer.scope, width: outer.width };
            let needed = Needed::these([column.id]);
            self.apart(|planner| planner.relation(&query.rel, &needed, over, &Hint::default()))?
        };
        Ok(inner.map(|inner| self.looped(outer, inner, LoopKind::Single)))
    }

    /// An expression without its scalar subqueries, over rows that have their values.
    pub(super) fn with_scalars(
        &mut self,
        planned: Planned,
        expr: &Expr,
    ) -> SqlResult<Option<(Planned, Expr)>> {
        let Some((expr, queries)) = hoist(expr) else { return Ok(None) };
        let mut planned = planned;
        for query in &queries {
            let Some(with) = self.with_scalar(planned, query)? else { return Ok(None) };
            planned = with;
        }
        Ok(Some((planned, expr)))
    }
}
