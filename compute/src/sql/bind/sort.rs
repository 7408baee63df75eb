//! Sort keys.

use super::Binder;
use crate::SqlResult;
use crate::catalog::builtin;
use crate::sql::ast::SortBy;
use crate::sql::bound::{Expr, SortKey};
use shardforge_types::SqlState;

impl Binder<'_> {
    /// A key over an expression, in the direction that is written.
    pub(super) fn sort_key(&self, item: &SortBy, expr: Expr) -> SqlResult<SortKey> {
        self.need_order(expr.ty.oid, expr.position)?;
        let mut desc = item.desc;
        if let Some((op, loc)) = &item.using {
            let entry = self.find_operator(op, &[expr.ty.oid, expr.ty.oid], *loc)?;
            let ordering = builtin::ordering(expr.ty.oid);
            desc = match ordering {
                Some(ordering) if ordering.lt == entry.oid => false,
                Some(ordering) if ordering.gt == entry.oid => true,
                _ => {
                    let message = format!("operator {} is not a valid ordering operator", op.name);
                    return Err(self.error(SqlState::WRONG_OBJECT_TYPE, message, *loc).hint(
                        "Ordering operators must be \"<\" or \">\" members of btree operator families.",
                    ));
                }
            };
        }
        Ok(SortKey { expr, desc, nulls_first: item.nulls_first.unwrap_or(desc) })
    }
}
