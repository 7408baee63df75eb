//! WHERE, and the subqueries in it that are joins: `[NOT] EXISTS`, `[NOT] IN` and their kin as conditions
//! of their own.
//!
//! A row passes `EXISTS (...)` if it has a partner, so the subquery is the right side of a semi join (NOT:
//! an anti join), and those of its conditions that use outer columns are the join's. `x op ANY (...)` is
//! true if the test is true for a partner; `NOT (x op ANY (...))` if it is false for all of them, unknown
//! being neither.

use super::compare::{compared, comparison};
use super::expr::binary;
use super::native::{conjuncts, is_expr_volatile, may_fail};
use super::walk::{columns_of_expr, free_columns_of_rel, is_query_volatile};
use super::{CteEntry, Lowering, builder, ok};
use ahash::{AHashMap, AHashSet};
use datafusion::common::JoinType;
use datafusion::logical_expr::{Expr as DfExpr, LogicalPlan, LogicalPlanBuilder, Operator, lit};
use shardforge_compute::SqlResult;
use shardforge_compute::row_exec::expr::has_subquery;
use shardforge_compute::sql::bound::{
    ColDef, ColId, CteId, Expr, ExprKind, Join, JoinKind, Query, Rel, SubqueryKind,
};
use shardforge_types::PgType;

/// A relation without the conditions that use outer columns, and those.
pub(super) struct Pulled {
    pub(super) rel: Rel,
    pub(super) conditions: Vec<Expr>,
}

impl Lowering {
    pub(super) fn filter(
        &mut self,
        plan: LogicalPlan,
        input: &Rel,
        predicate: &Expr,
    ) -> SqlResult<LogicalPlan> {
        let rewritten: Vec<Expr> = conjuncts(predicate)
            .into_iter()
            .flat_map(|part| self.null_aware(part).unwrap_or_else(|| vec![part.clone()]))
            .collect();
        let (plain, subqueries): (Vec<&Expr>, Vec<&Expr>) =
            rewritten.iter().partition(|part| !has_subquery(part));
        let (failing, total): (Vec<&Expr>, Vec<&Expr>) = plain.into_iter().partition(|part| may_fail(part));
        let mut plan = self.filter_by(plan, total.into_iter().chain(failing))?;
        let columns: AHashSet<ColId> = input.columns().iter().map(|column| column.id).collect();
        let mut rest = Vec::new();
        for part in subqueries {
            match self.as_join(part, &columns)? {
                Some((right, kind, on)) => {
                    plan = ok(builder(plan).join_on(right, kind, on).and_then(LogicalPlanBuilder::build))?;
                }
                None => rest.push(part),
            }
        }
        for part in rest {
            let (part, below) = self.hoist(part, plan)?;
            plan = self.filter_by(below, std::iter::once(&part))?;
        }
        Ok(plan)
    }

    fn filter_by<'a>(
        &self,
        plan: LogicalPlan,
        parts: impl Iterator<Item = &'a Expr>,
    ) -> SqlResult<LogicalPlan> {
        let mut all: Option<DfExpr> = None;
        for part in parts {
            let part = self.expr(part)?;
            all = Some(match all {
                Some(all) => binary(all, Operator::And, part),
                None => part,
            });
        }
        match all {
            Some(all) => ok(builder(plan).filter(all).and_then(LogicalPlanBuilder::build)),
            None => Ok(plan),
        }
    }

    /// `x NOT IN (query)` as conditions that hash joins can answer: no row equals x, and either there is no row
    /// or neither x nor any row is null.
    fn null_aware(&self, part: &Expr) -> Option<Vec<Expr>> {
        let ExprKind::Not(inner) = &part.kind else { return None };
        let ExprKind::Subquery { kind: SubqueryKind::Any { test }, query } = &inner.kind else { return None };
        let ExprKind::Call { func, args } = &test.kind else { return None };
        let [a, b] = &**args else { return None };
        let made: AHashSet<ColId> = query.output.iter().map(|column| column.id).collect();
        let inside = |expr: &Expr| columns_of_expr(expr).iter().any(|(id, _)| made.contains(id));
        let (x, y) = match (inside(a), inside(b)) {
            (false, true) => (a, b),
            (true, false) => (b, a),
            _ => return None,
        };
        let plain = comparison(*func) == Some(Operator::Eq)
            && compared(a.ty, b.ty).is_some()
            && !has_subquery(test)
            && !may_fail(test)
            && !is_query_volatile(query)
            && free_columns_of_rel(&query.rel, &self.ctes).is_empty();
        if !plain {
            return None;
        }
        let bool = |kind| Expr::new(kind, PgType::BOOL);
        let not = |expr: Expr| bool(ExprKind::Not(Box::new(expr)));
        let is_null = |arg: &Expr, negated| bool(ExprKind::IsNull { arg: Box::new(arg.clone()), negated });
        let exists = |condition: Option<Expr>| {
            let mut query = query.clone();
            if let Some(predicate) = condition {
                let input = Box::new(std::mem::replace(&mut query.rel, Rel::OneRow));
                query.rel = Rel::Filter { input, predicate };
            }
            bool(ExprKind::Subquery { kind: SubqueryKind::Exists, query })
        };
        let no_nulls = bool(ExprKind::And(vec![is_null(x, true), not(exists(Some(is_null(y, false))))]));
        Some(vec![not(exists(Some((**test).clone()))), bool(ExprKind::Or(vec![not(exists(None)), no_nulls]))])
    }

    /// A condition as a join with a subquery's rows, if it is one.
    fn as_join(
        &mut self,
        part: &Expr,
        columns: &AHashSet<ColId>,
    ) -> SqlResult<Option<(LogicalPlan, JoinType, Vec<DfExpr>)>> {
        let (part, negated) = match &part.kind {
            ExprKind::Not(inner) => (&**inner, true),
            _ => (part, false),
        };
        let ExprKind::Subquery { kind, query } = &part.kind else { return Ok(None) };
        let (test, anti) = match kind {
            SubqueryKind::Exists => (None, negated),
            SubqueryKind::Any { test } => (Some((&**test, negated, false)), negated),
            SubqueryKind::All { test } if !negated => (Some((&**test, false, true)), true),
            _ => return Ok(None),
        };
        if test.is_some_and(|(test, ..)| has_subquery(test) || is_expr_volatile(test))
            || is_query_volatile(query)
        {
            return Ok(None);
        }
        let Some(pulled) = pull_up(&query.rel, &self.ctes, test.is_none()) else { return Ok(None) };
        if !self.is_join(&pulled, query, test.map(|(test, ..)| test), columns) {
            return Ok(None);
        }
        let right = self.rel(&pulled.rel)?;
        let mut on = Vec::new();
        for condition in &pulled.conditions {
            on.push(self.expr(condition)?);
        }
        if let Some((test, negated, all)) = test {
            let test = self.expr(test)?;
            on.push(match (negated, all) {
                (false, false) => test,
                // A partner for which the test is not surely false (ALL: true) refuses the row.
                (true, _) => DfExpr::IsNotFalse(Box::new(test)),
                (false, true) => DfExpr::IsNotTrue(Box::new(test)),
            });
        }
        if on.is_empty() {
            on.push(lit(true));
        }
        Ok(Some((right, if anti { JoinType::LeftAnti } else { JoinType::LeftSemi }, on)))
    }

    /// Whether what was pulled up is about columns of the two sides of a join, and nothing below it still
    /// uses the outer row.
    fn is_join(
        &self,
        pulled: &Pulled,
        query: &Query,
        test: Option<&Expr>,
        columns: &AHashSet<ColId>,
    ) -> bool {
        let known = |id: &ColId| self.outer.contains_key(id);
        if !free_columns_of_rel(&pulled.rel, &self.ctes).iter().all(|(id, _)| known(id)) {
            return false;
        }
        let right: AHashSet<ColId> = pulled.rel.columns().iter().map(|column| column.id).collect();
        let visible = |expr: &Expr| {
            columns_of_expr(expr)
                .iter()
                .all(|(id, _)| columns.contains(id) || right.contains(id) || known(id))
        };
        query.output.iter().all(|column| test.is_none() || right.contains(&column.id))
            && pulled.conditions.iter().all(|condition| visible(condition) && !may_fail(condition))
            && test.is_none_or(|test| visible(test) && !may_fail(test))
    }
}

/// Takes the conditions that use outer columns out of a relation. With `any_row` only the existence of a
/// row matters, not what is in it or how often it is there.
pub(super) fn pull_up(rel: &Rel, ctes: &AHashMap<CteId, CteEntry>, any_row: bool) -> Option<Pulled> {
    if free_columns_of_rel(rel, ctes).is_empty() {
        return Some(Pulled { rel: rel.clone(), conditions: Vec::new() });
    }
    match rel {
        Rel::Filter { input, predicate } => {
            let mut pulled = pull_up(input, ctes, any_row)?;
            let made: AHashSet<ColId> = pulled.rel.columns().iter().map(|column| column.id).collect();
            let mut kept = Vec::new();
            for part in conjuncts(predicate) {
                if columns_of_expr(part).iter().all(|(id, _)| made.contains(id)) {
                    kept.push(part.clone());
                } else if has_subquery(part) || is_expr_volatile(part) {
                    return None;
                } else {
                    pulled.conditions.push(part.clone());
                }
            }
            // What may fail for rows that a pulled condition would have kept away must not be asked first.
            if kept.iter().any(may_fail) {
                return None;
            }
            if let Some(first) = kept.first() {
                let ty = first.ty;
                let predicate =
                    if kept.len() == 1 { kept.swap_remove(0) } else { Expr::new(ExprKind::And(kept), ty) };
                pulled.rel = Rel::Filter { input: Box::new(pulled.rel), predicate };
            }
            Some(pulled)
        }
        Rel::Project { input, exprs } => {
            let mut pulled = pull_up(input, ctes, any_row)?;
            if any_row {
                return Some(pulled);
            }
            let made: AHashSet<ColId> = pulled.rel.columns().iter().map(|column| column.id).collect();
            let free = |expr: &Expr| !columns_of_expr(expr).iter().all(|(id, _)| made.contains(id));
            if exprs.iter().any(|(_, expr)| free(expr) || may_fail(expr)) {
                return None;
            }
            let mut exprs = exprs.clone();
            for (id, ty) in pulled.conditions.iter().flat_map(columns_of_expr) {
                if made.contains(&id) && !exprs.iter().any(|(column, _)| column.id == id) {
                    exprs.push((ColDef { id, ty, name: String::new() }, Expr::col(id, ty)));
                }
            }
            pulled.rel = Rel::Project { input: Box::new(pulled.rel), exprs };
            Some(pulled)
        }
        Rel::Join(join) if !join.lateral => {
            let left = pull_up(&join.left, ctes, any_row)?;
            let right = match join.kind {
                JoinKind::Inner => pull_up(&join.right, ctes, any_row)?,
                JoinKind::Left if free_columns_of_rel(&join.right, ctes).is_empty() => {
                    Pulled { rel: join.right.clone(), conditions: Vec::new() }
                }
                _ => return None,
            };
            let made: AHashSet<ColId> =
                left.rel.columns().iter().chain(&right.rel.columns()).map(|column| column.id).collect();
            if join.on.iter().any(|on| !columns_of_expr(on).iter().all(|(id, _)| made.contains(id))) {
                return None;
            }
            let mut conditions = left.conditions;
            conditions.extend(right.conditions);
            let rel = Rel::Join(Box::new(Join {
                kind: join.kind,
                left: left.rel,
                right: right.rel,
                lateral: false,
                on: join.on.clone(),
            }));
            Some(Pulled { rel, conditions })
        }
        Rel::Sort { input, .. } | Rel::Distinct(input) if any_row => pull_up(input, ctes, any_row),
        _ => None,
    }
}
