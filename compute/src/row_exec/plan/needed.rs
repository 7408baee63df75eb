//! Which columns are used above a relation, so that no others are read.

use crate::sql::bound::{ColId, Expr, ExprKind, Rel};
use ahash::AHashSet;

/// The columns that those above use; `None` is all.
#[derive(Clone)]
pub(super) struct Needed(Option<AHashSet<ColId>>);

impl Needed {
    pub(super) fn these(columns: impl IntoIterator<Item = ColId>) -> Self {
        Needed(Some(columns.into_iter().collect()))
    }

    pub(super) fn of<'e>(exprs: impl IntoIterator<Item = &'e Expr>) -> Self {
        let mut needed = AHashSet::new();
        exprs.into_iter().for_each(|expr| add_columns(expr, &mut needed));
        Needed(Some(needed))
    }

    pub(super) fn with<'e>(&self, exprs: impl IntoIterator<Item = &'e Expr>) -> Self {
        let mut needed = self.0.clone();
        if let Some(needed) = &mut needed {
            exprs.into_iter().for_each(|expr| add_columns(expr, needed));
        }
        Needed(needed)
    }

    pub(super) fn and(&mut self, columns: impl IntoIterator<Item = ColId>) {
        if let Some(needed) = &mut self.0 {
            needed.extend(columns);
        }
    }

    pub(super) fn has(&self, column: ColId) -> bool {
        self.0.as_ref().is_none_or(|needed| needed.contains(&column))
    }
}

/// All columns that an expression names, those in its subqueries included.
pub(in crate::row_exec) fn add_columns(expr: &Expr, out: &mut AHashSet<ColId>) {
    expr.any(&mut |e| {
        match &e.kind {
            ExprKind::Col(id) => {
                out.insert(*id);
            }
            ExprKind::Subquery { query, .. } => add_columns_of(&query.rel, out),
            _ => {}
        }
        false
    });
}

/// All columns that the expressions of a relation name.
pub(super) fn add_columns_of(rel: &Rel, out: &mut AHashSet<ColId>) {
    rel.for_each_expr(&mut |expr| add_columns(expr, out));
}
