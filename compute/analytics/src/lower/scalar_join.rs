//! Scalar subqueries that aggregate over rows equal to the outer row in some expressions: computed once for
//! all groups, and joined.
//!
//! `(select sum(y) from u where u.x = t.a)` is `t left join (select x, sum(y) from u group by x) on x = a`.
//! Where no group joins, the aggregates have the values that they have without rows.

use super::compare::{compared, comparison};
use super::native::{is_expr_volatile, may_fail};
use super::semi_join::pull_up;
use super::walk::{columns_of_expr, free_columns, free_columns_of_rel, is_query_volatile};
use super::{Lowering, builder, ok};
use crate::scan::column_name;
use ahash::{AHashMap, AHashSet};
use datafusion::common::JoinType;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder, Operator};
use shardforge_compute::SqlResult;
use shardforge_compute::functions::{AggregateCallInfo, aggregate};
use shardforge_compute::row_exec::expr::has_subquery;
use shardforge_compute::sql::bound::{
    Aggregate, AggregateCall, CaseArm, ColDef, ColId, Expr, ExprKind, Query, Rel,
};
use shardforge_types::PgType;

/// An equality of something on the inner side with something of the outer row.
struct Equality {
    condition: Expr,
    /// Which operand is the inner one.
    inner: usize,
}

impl Equality {
    fn operands(&self) -> &[Expr] {
        match &self.condition.kind {
            ExprKind::Call { args, .. } => args,
            _ => &[],
        }
    }
}

fn equality(condition: &Expr, made: &AHashSet<ColId>) -> Option<Equality> {
    let ExprKind::Call { func, args } = &condition.kind else { return None };
    let [a, b] = &**args else { return None };
    if comparison(*func) != Some(Operator::Eq) || compared(a.ty, b.ty).is_none() || may_fail(condition) {
        return None;
    }
    let inside = |expr: &Expr| {
        let columns = columns_of_expr(expr);
        !columns.is_empty() && columns.iter().all(|(id, _)| made.contains(id))
    };
    let outside = |expr: &Expr| !columns_of_expr(expr).iter().any(|(id, _)| made.contains(id));
    let inner = match () {
        () if inside(a) && outside(b) => 0,
        () if inside(b) && outside(a) => 1,
        () => return None,
    };
    Some(Equality { condition: condition.clone(), inner })
}

/// The aggregate's value without rows, as an expression for rows that no group joins.
fn or_empty(column: &ColDef, call: &AggregateCall, marker: &ColDef) -> Option<Expr> {
    let info =
        AggregateCallInfo { arg_types: call.args.iter().map(|arg| arg.ty).collect(), result: column.ty };
    let empty = (aggregate(call.func)?.make)(&info).finish().ok()?;
    let value = Expr::col(column.id, column.ty);
    if empty.is_null() {
        return Some(value);
    }
    let marker = Box::new(Expr::col(marker.id, marker.ty));
    let when = Expr::new(ExprKind::IsNull { arg: marker, negated: false }, PgType::BOOL);
    let arms = vec![CaseArm { when, then: Expr::constant(empty, column.ty) }];
    Some(Expr::new(ExprKind::Case { operand: None, arms, otherwise: Some(Box::new(value)) }, column.ty))
}

fn substitute(expr: &mut Expr, values: &AHashMap<ColId, Expr>) {
    if let ExprKind::Col(id) = expr.kind {
        if let Some(value) = values.get(&id) {
            *expr = value.clone();
        }
        return;
    }
    expr.for_each_child_mut(&mut |child| substitute(child, values));
}

impl Lowering {
    /// The subquery's value as an expression over a plan that has its groups joined; `None` when it is not of
    /// that shape.
    pub(super) fn scalar_join(
        &mut self,
        query: &Query,
        plan: &LogicalPlan,
    ) -> SqlResult<Option<(Expr, LogicalPlan)>> {
        let Some((rel, value)) = shape(query) else { return Ok(None) };
        let known = |id: &ColId| self.outer.contains_key(id);
        if free_columns(query, &self.ctes).iter().all(|(id, _)| known(id)) || is_query_volatile(query) {
            return Ok(None);
        }
        let Some(pulled) = pull_up(&rel.input, &self.ctes, false) else { return Ok(None) };
        let made: AHashSet<ColId> = pulled.rel.columns().iter().map(|column| column.id).collect();
        let Some(equalities) = pulled
            .conditions
            .iter()
            .map(|condition| equality(condition, &made))
            .collect::<Option<Vec<Equality>>>()
            .filter(|equalities| !equalities.is_empty())
        else {
            return Ok(None);
        };
        let names: AHashSet<&str> =
            plan.schema().fields().iter().map(|field| field.name().as_str()).collect();
        let outside = |id: &ColId| known(id) || names.contains(column_name(*id).as_str());
        let calls: AHashSet<ColId> = rel.calls.iter().map(|(column, _)| column.id).collect();
        let fits = free_columns_of_rel(&pulled.rel, &self.ctes).iter().all(|(id, _)| known(id))
            && rel.calls.iter().flat_map(|(_, call)| operands(call)).all(|expr| {
                !may_fail(expr)
                    && !is_expr_volatile(expr)
                    && columns_of_expr(expr).iter().all(|(id, _)| made.contains(id) || known(id))
            })
            && equalities
                .iter()
                .flat_map(|equality| columns_of_expr(&equality.operands()[1 - equality.inner]))
                .all(|(id, _)| outside(&id))
            && !has_subquery(&value)
            && columns_of_expr(&value).iter().all(|(id, _)| calls.contains(id) || outside(id));
        if !fits {
            return Ok(None);
        }
        let groups: Vec<(ColDef, Expr)> = equalities
            .iter()
            .map(|equality| {
                let inner = equality.operands()[equality.inner].clone();
                (self.own_column(inner.ty, "key"), inner)
            })
            .collect();
        let marker = groups[0].0.clone();
        let values: Option<AHashMap<ColId, Expr>> = rel
            .calls
            .iter()
            .map(|(column, call)| Some((column.id, or_empty(column, call, &marker)?)))
            .collect();
        let Some(values) = values else { return Ok(None) };
        let aggregate = Aggregate { input: pulled.rel, groups: groups.clone(), calls: rel.calls.clone() };
        let right = self.aggregate(&aggregate)?;
        let mut on = Vec::new();
        for (equality, (group, _)) in equalities.iter().zip(&groups) {
            let mut condition = equality.condition.clone();
            if let ExprKind::Call { args, .. } = &mut condition.kind {
                args[equality.inner] = Expr::col(group.id, group.ty);
            }
            on.push(self.expr(&condition)?);
        }
        let joined = builder(plan.clone()).join_on(right, JoinType::Left, on);
        let mut value = value;
        substitute(&mut value, &values);
        Ok(Some((value, ok(joined.and_then(LogicalPlanBuilder::build))?)))
    }
}

/// An aggregation without groups, and what is made of its values.
fn shape(query: &Query) -> Option<(&Aggregate, Expr)> {
    let [output] = &*query.output else { return None };
    let (rel, value) = match &query.rel {
        Rel::Aggregate(rel) => (rel, Expr::col(output.id, output.ty)),
        Rel::Project { input, exprs } => {
            let Rel::Aggregate(rel) = &**input else { return None };
            (rel, exprs.iter().find(|(column, _)| column.id == output.id)?.1.clone())
        }
        _ => return None,
    };
    rel.groups.is_empty().then_some((rel, value))
}

fn operands(call: &AggregateCall) -> impl Iterator<Item = &Expr> {
    call.args.iter().chain(call.order_by.iter().map(|key| &key.expr)).chain(&call.filter)
}
