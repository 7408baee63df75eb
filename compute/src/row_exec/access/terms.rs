//! The conjuncts of a predicate that say something about one column: what keys can be made of.

use crate::catalog::TableDef;
use crate::functions::{comparison, is_volatile};
use crate::report::BoundOp;
use crate::sql::bound::{ColId, Expr, ExprKind};
use shardforge_types::{Oid, PgType, oids};

/// What a conjunct says about a column.
#[derive(Debug, Clone)]
pub(in crate::row_exec) enum Says<'e> {
    /// `column op value`.
    Compares(BoundOp, &'e Expr),
    /// `column = ANY (array)`.
    InArray(&'e Expr),
    /// `column = a OR column = b ...`.
    OneOf(Vec<&'e Expr>),
    /// `column IS NULL`.
    IsNull,
    /// `column IS NOT NULL`.
    NotNull,
}

/// One conjunct about one column, whose other side does not depend on the table's own row.
#[derive(Debug, Clone)]
pub(in crate::row_exec) struct Term<'e> {
    pub(super) column: usize,
    pub(super) says: Says<'e>,
    /// Which conjunct it is.
    pub(super) conjunct: usize,
}

/// How a table's columns are found in expressions, and which other columns have a value when the table is read.
pub(in crate::row_exec) struct Columns<'c> {
    /// The position of a column in the table; `None` when it is another relation's.
    pub(in crate::row_exec) position: &'c dyn Fn(ColId) -> Option<usize>,
    /// Whether a column belongs to the rows that are at hand.
    pub(in crate::row_exec) bound: &'c dyn Fn(ColId) -> bool,
}

/// The conjuncts of a predicate.
pub(in crate::row_exec) fn conjuncts(predicate: Option<&Expr>) -> Vec<&Expr> {
    fn flatten<'e>(expr: &'e Expr, out: &mut Vec<&'e Expr>) {
        match &expr.kind {
            ExprKind::And(args) => args.iter().for_each(|arg| flatten(arg, out)),
            _ => out.push(expr),
        }
    }
    let mut out = Vec::new();
    if let Some(predicate) = predicate {
        flatten(predicate, &mut out);
    }
    out
}

/// What the conjuncts say of a table's columns.
pub(in crate::row_exec) fn terms<'e>(
    parts: &[&'e Expr],
    table: &TableDef,
    columns: &Columns<'_>,
) -> Vec<Term<'e>> {
    parts.iter().enumerate().filter_map(|(n, expr)| term(n, expr, table, columns)).collect()
}

/// Whether a column's key order compares it with values of another type as the operator between them does.
fn comparable(column: PgType, value: PgType) -> bool {
    let integer = |oid: Oid| matches!(oid, oids::INT2 | oids::INT4 | oids::INT8);
    let text = |oid: Oid| matches!(oid, oids::TEXT | oids::VARCHAR | oids::NAME);
    column.oid == value.oid
        || integer(column.oid) && integer(value.oid)
        || text(column.oid) && text(value.oid)
        || column.oid.is_oid_like() && value.oid.is_oid_like()
}

/// The table column that an expression is, under another name of its type perhaps.
fn column_of(expr: &Expr, columns: &Columns<'_>) -> Option<usize> {
    match &expr.kind {
        ExprKind::Col(id) => (columns.position)(*id),
        ExprKind::Relabel(inner) if comparable(inner.ty, expr.ty) => column_of(inner, columns),
        _ => None,
    }
}

/// Whether an expression can be computed before the table's row is read, and once for all of its rows.
fn is_known(expr: &Expr, columns: &Columns<'_>) -> bool {
    !expr.any(&mut |e| match &e.kind {
        ExprKind::Col(id) => !(columns.bound)(*id),
        ExprKind::Subquery { .. } => true,
        ExprKind::Call { func, .. } => is_volatile(*func),
        _ => false,
    })
}

fn term<'e>(conjunct: usize, expr: &'e Expr, table: &TableDef, columns: &Columns<'_>) -> Option<Term<'e>> {
    let usable = |column: usize, value: PgType| {
        table.columns.get(column).is_some_and(|column| comparable(column.ty, value))
    };
    match &expr.kind {
        ExprKind::Call { func, args } => {
            let op = comparison(*func)?;
            let [a, b] = &args[..] else { return None };
            if let Some(column) = column_of(a, columns)
                && usable(column, b.ty)
                && is_known(b, columns)
            {
                return Some(Term { column, says: Says::Compares(op, b), conjunct });
            }
            let column = column_of(b, columns)?;
            let says = Says::Compares(op.exchanged(), a);
            (usable(column, a.ty) && is_known(a, columns)).then_some(Term { column, says, conjunct })
        }
        ExprKind::ScalarArray { func, all: false, args } if comparison(*func) == Some(BoundOp::Eq) => {
            let [a, array] = &**args;
            let column = column_of(a, columns)?;
            let element = array.ty.oid.element_type()?;
            let says = Says::InArray(array);
            (usable(column, PgType::new(element)) && is_known(array, columns)).then_some(Term {
                column,
                says,
                conjunct,
            })
        }
        ExprKind::Or(args) => {
            let mut column = None;
            let mut values = Vec::with_capacity(args.len());
            for arg in args {
                let part = term(conjunct, arg, table, columns)?;
                let Says::Compares(BoundOp::Eq, value) = part.says else { return None };
                if *column.get_or_insert(part.column) != part.column {
                    return None;
                }
                values.push(value);
            }
            Some(Term { column: column?, says: Says::OneOf(values), conjunct })
        }
        ExprKind::IsNull { arg, negated } => {
            let says = if *negated { Says::NotNull } else { Says::IsNull };
            Some(Term { column: column_of(arg, columns)?, says, conjunct })
        }
        _ => None,
    }
}
