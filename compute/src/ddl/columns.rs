//! What the columns of a table are asked when its definition changes.

use super::DdlContext;
use crate::catalog::{TableDef, builtin};
use crate::row_exec::expr::{Env, Scope, compile};
use crate::sql::bound::{ColId, ExprKind};
use crate::sql::{BindContext, bind_check, bind_default};
use crate::{SqlError, SqlResult};
use shardforge_types::{Datum, PgType};
use std::sync::Arc;

fn bind_context<'a>(context: &'a DdlContext<'_>) -> BindContext<'a> {
    BindContext { catalog: context.catalog, settings: context.eval.settings(), param_types: &[] }
}

/// Numbers of the columns that a CHECK's expression uses, ascending; its errors are the statement's.
pub(super) fn check_columns(
    expression: &str,
    table: &Arc<TableDef>,
    context: DdlContext<'_>,
) -> SqlResult<Vec<i16>> {
    let (expr, columns) = bind_check(expression, table, &bind_context(&context))?;
    let mut used: Vec<ColId> = Vec::new();
    expr.any(&mut |part| {
        if let ExprKind::Col(id) = &part.kind {
            used.push(*id);
        }
        false
    });
    let of_used = columns.iter().filter(|(column, _)| used.contains(&column.id));
    let mut numbers: Vec<i16> = of_used.map(|(_, place)| table.columns[*place].attnum).collect();
    numbers.sort_unstable();
    numbers.dedup();
    Ok(numbers)
}

/// The value of a default now: what ADD COLUMN gives to the rows that are there. A default that would be
/// another value for each row needs every row rewritten, which is not built.
pub(super) fn evaluate_default(
    text: &str,
    ty: PgType,
    column: &str,
    context: DdlContext<'_>,
) -> SqlResult<Datum> {
    let expr = bind_default(text, ty, column, &bind_context(&context))?;
    let is_volatile = |func| builtin::proc(func).is_none_or(|entry| entry.volatility == b'v');
    if expr.any(&mut |part| matches!(part.kind, ExprKind::Call { func, .. } if is_volatile(func))) {
        return Err(SqlError::not_supported("ADD COLUMN with a volatile default"));
    }
    compile(&expr, &Scope::new())?.eval(&Env::new(&[], &[], context.eval))
}
