//! RETURNING.

use crate::SqlResult;
use crate::row_exec::ExecEnv;
use crate::row_exec::expr::{Evaluator, Scope, compile, has_subquery};
use crate::sql::bound::{ColId, Returning};
use crate::{SqlError, sql::bound::ExprKind};
use ahash::AHashSet;
use shardforge_types::Datum;

/// What a written row gives back.
#[derive(Debug)]
pub(in crate::row_exec) struct ReturningPlan {
    exprs: Vec<Evaluator>,
    /// Positions of the table's columns that it uses.
    pub(in crate::row_exec) columns: Vec<usize>,
}

impl ReturningPlan {
    /// Over a row as wide as the table, followed by `extra` columns.
    pub(in crate::row_exec) fn new(returning: &Returning, width: usize, extra: &[ColId]) -> SqlResult<Self> {
        if returning.exprs.iter().any(|(_, expr)| has_subquery(expr)) {
            return Err(SqlError::not_supported("a subquery in RETURNING"));
        }
        let mut scope = Scope::new();
        scope.add_table(&returning.cols, 0);
        for (n, column) in extra.iter().enumerate() {
            scope.add(*column, width + n);
        }
        // The output names the expressions; they are given in its order.
        let exprs =
            returning.exprs.iter().map(|(_, expr)| compile(expr, &scope)).collect::<SqlResult<_>>()?;
        let used: AHashSet<ColId> = columns_of(returning);
        let columns = returning.cols.iter().filter(|(c, _)| used.contains(&c.id)).map(|(_, p)| *p).collect();
        Ok(Self { exprs, columns })
    }

    pub(in crate::row_exec) fn row(
        &self,
        env: &ExecEnv<'_>,
        row: &[Datum],
        out: &mut Vec<Datum>,
    ) -> SqlResult<()> {
        env.begin_evaluation();
        out.clear();
        for expr in &self.exprs {
            out.push(expr.eval(&env.eval(row))?);
        }
        Ok(())
    }
}

/// The columns that RETURNING's expressions use.
pub(in crate::row_exec) fn columns_of(returning: &Returning) -> AHashSet<ColId> {
    let mut used = AHashSet::new();
    for (_, expr) in &returning.exprs {
        expr.any(&mut |e| {
            if let ExprKind::Col(id) = e.kind {
                used.insert(id);
            }
            false
        });
    }
    used
}
