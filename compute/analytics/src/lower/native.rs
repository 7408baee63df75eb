//! What can be said of an expression without lowering it.

use super::compare::{compared, comparison};
use super::physical::{is_date_and_timestamp, is_like, plain_pattern};
use shardforge_compute::catalog::builtin;
use shardforge_compute::functions::is_volatile;
use shardforge_compute::sql::bound::{Expr, ExprKind};
use shardforge_types::Oid;

/// Functions that have a value for every argument.
const TOTAL: &[&str] = &[
    "length",
    "char_length",
    "character_length",
    "octet_length",
    "lower",
    "upper",
    "btrim",
    "ltrim",
    "rtrim",
    "textcat",
    "strpos",
    "format_type",
    "pg_get_expr",
    "pg_table_is_visible",
    "pg_type_is_visible",
    "pg_function_is_visible",
    "pg_get_userbyid",
    "obj_description",
    "col_description",
    "pg_get_indexdef",
    "pg_get_constraintdef",
    "starts_with",
    "current_schema",
    "current_schemas",
    "now",
];

fn is_total(func: Oid, args: &[Expr]) -> bool {
    if comparison(func).is_some() {
        return matches!(args, [a, b] if compared(a.ty, b.ty).is_some() || is_date_and_timestamp(func, a.ty, b.ty));
    }
    if is_like(func).is_some() {
        return matches!(args, [_, pattern] if plain_pattern(pattern).is_some());
    }
    builtin::proc(func).is_some_and(|entry| {
        TOTAL.contains(&entry.name)
            // Widening an integer.
            || matches!((entry.name, &*entry.args), ("int4", [arg]) if arg.0 == 21)
            || matches!((entry.name, &*entry.args), ("int8", [arg]) if matches!(arg.0, 21 | 23))
    })
}

/// Whether evaluating an expression may be an error for some row.
pub(super) fn may_fail(expr: &Expr) -> bool {
    expr.any(&mut |expr| match &expr.kind {
        ExprKind::Call { func, args } => !is_total(*func, args),
        ExprKind::Distinct { eq, args, .. } => !is_total(*eq, &**args),
        ExprKind::NullIf { eq, args } => !is_total(*eq, &args[1..]),
        ExprKind::ScalarArray { func, .. } => comparison(*func).is_none(),
        ExprKind::IoCast(_) | ExprKind::ArrayCast { .. } | ExprKind::Subquery { .. } => true,
        ExprKind::Array { nested, .. } => *nested,
        _ => false,
    })
}

/// Whether two evaluations of an expression may differ.
pub(super) fn is_expr_volatile(expr: &Expr) -> bool {
    expr.any(&mut |expr| match &expr.kind {
        ExprKind::Call { func, .. } => is_volatile(*func),
        _ => false,
    })
}

/// The parts of a conjunction.
pub(super) fn conjuncts(expr: &Expr) -> Vec<&Expr> {
    match &expr.kind {
        ExprKind::And(args) => args.iter().flat_map(conjuncts).collect(),
        _ => vec![expr],
    }
}
