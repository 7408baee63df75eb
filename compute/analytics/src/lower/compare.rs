//! Which functions are comparisons, and how two types compare natively.

use crate::values::{Form, form, needs_order_key};
use ahash::AHashMap;
use arrow::datatypes::DataType;
use datafusion::logical_expr::Operator;
use shardforge_compute::catalog::builtin::operators;
use shardforge_types::key::is_key_type;
use shardforge_types::{Oid, PgType, oids};
use std::sync::LazyLock;

/// The functions behind `=`, `<` and their kin.
static COMPARISONS: LazyLock<AHashMap<Oid, Operator>> = LazyLock::new(|| {
    let names = [
        ("=", Operator::Eq),
        ("<>", Operator::NotEq),
        ("<", Operator::Lt),
        ("<=", Operator::LtEq),
        (">", Operator::Gt),
        (">=", Operator::GtEq),
    ];
    let mut out = AHashMap::new();
    for (name, op) in names {
        out.extend(operators(name).iter().map(|entry| (entry.func, op)));
    }
    out
});

/// The comparison that a function makes, by the default order of its operands' type.
pub(super) fn comparison(func: Oid) -> Option<Operator> {
    COMPARISONS.get(&func).copied()
}

/// How two operands are brought to a form in which Arrow compares them rightly.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Compared {
    /// As they are.
    Plain,
    /// Both widened to this type.
    Widened(DataType),
    /// By their order keys.
    ByKey,
}

/// How values of two types are compared; `None` when only the function itself knows.
pub(super) fn compared(left: PgType, right: PgType) -> Option<Compared> {
    let (a, b) = (form(left), form(right));
    let integer = |form: Form| match form {
        Form::Int2 => Some(DataType::Int16),
        Form::Int4 => Some(DataType::Int32),
        Form::Int8 => Some(DataType::Int64),
        _ => None,
    };
    if let (Some(x), Some(y)) = (integer(a), integer(b)) {
        if x == y {
            return Some(Compared::Plain);
        }
        let wide = if a == Form::Int8 || b == Form::Int8 { DataType::Int64 } else { DataType::Int32 };
        return Some(Compared::Widened(wide));
    }
    if a != b || matches!(a, Form::Null) {
        return None;
    }
    let blanks = |ty: PgType| ty.oid == oids::BPCHAR;
    if needs_order_key(left) || needs_order_key(right) {
        let same = left.oid == right.oid || matches!(a, Form::Float4 | Form::Float8);
        // Records are compared field by field, with errors of their own.
        let keyed = is_key_type(left) && left.oid != oids::RECORD && blanks(left) == blanks(right);
        return (same && keyed).then_some(Compared::ByKey);
    }
    Some(Compared::Plain)
}
