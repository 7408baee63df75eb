//! When a subquery inside an expression is reached at all: `CASE`, `COALESCE`, `AND` and `OR` evaluate an
//! operand only if those before it have not decided.
//!
//! A subquery is computed below its expression, so it is told by a condition for which rows. The condition
//! is made of the operands before, which must be free of subqueries by then.

use super::expr::is_context_bound;
use super::native::is_expr_volatile;
use shardforge_compute::row_exec::expr::has_subquery;
use shardforge_compute::sql::bound::{BoolTest, CaseArm, Expr, ExprKind};
use shardforge_types::{Datum, PgType};

fn boolean(value: bool) -> Expr {
    Expr::constant(Datum::Bool(value), PgType::BOOL)
}

fn case(operand: Option<Box<Expr>>, arms: Vec<CaseArm>, otherwise: bool) -> Expr {
    Expr::new(ExprKind::Case { operand, arms, otherwise: Some(Box::new(boolean(otherwise))) }, PgType::BOOL)
}

/// The condition, asked only where `guard` holds. Without one that can be asked twice, `guard` alone.
fn both(guard: Option<&Expr>, condition: Expr) -> Option<Expr> {
    if has_subquery(&condition) || is_expr_volatile(&condition) || is_context_bound(&condition) {
        return guard.cloned();
    }
    Some(match guard {
        None => condition,
        Some(guard) => case(None, vec![CaseArm { when: guard.clone(), then: condition }], false),
    })
}

/// Where the operand of an AND (`OR`) after these is reached.
pub(super) fn after_all(guard: Option<&Expr>, before: &[Expr], or: bool) -> Option<Expr> {
    let test = if or { BoolTest::NotTrue } else { BoolTest::NotFalse };
    let condition = before
        .iter()
        .map(|arg| Expr::new(ExprKind::BoolTest { arg: Box::new(arg.clone()), test }, PgType::BOOL))
        .collect::<Vec<_>>();
    if condition.is_empty() {
        guard.cloned()
    } else {
        both(guard, Expr::new(ExprKind::And(condition), PgType::BOOL))
    }
}

/// Where the argument of a COALESCE after these is reached.
pub(super) fn after_nulls(guard: Option<&Expr>, before: &[Expr]) -> Option<Expr> {
    let condition = before
        .iter()
        .map(|arg| Expr::new(ExprKind::IsNull { arg: Box::new(arg.clone()), negated: false }, PgType::BOOL))
        .collect::<Vec<_>>();
    if condition.is_empty() {
        guard.cloned()
    } else {
        both(guard, Expr::new(ExprKind::And(condition), PgType::BOOL))
    }
}

/// Where a CASE has come past these arms, and, with `taken`, takes the one after them.
pub(super) fn past_arms(
    guard: Option<&Expr>,
    operand: Option<&Expr>,
    before: &[CaseArm],
    taken: Option<&Expr>,
) -> Option<Expr> {
    if before.is_empty() && taken.is_none() {
        return guard.cloned();
    }
    let mut arms: Vec<CaseArm> =
        before.iter().map(|arm| CaseArm { when: arm.when.clone(), then: boolean(false) }).collect();
    arms.extend(taken.map(|when| CaseArm { when: when.clone(), then: boolean(true) }));
    both(guard, case(operand.cloned().map(Box::new), arms, taken.is_none()))
}
