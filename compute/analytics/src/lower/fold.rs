//! Constants in place of what has the same value for every row, all over a query: what remains then says more
//! of itself. `date '1994-01-01' + interval '1 year'` is a call that could fail; its value cannot.
//!
//! What fails is left as it is: its error belongs to the row that reaches it, if one does.

use super::Lowering;
use shardforge_compute::sql::bound::{AggregateCall, Expr, ExprKind, Query, Rel, SortKey};

impl Lowering {
    /// The query with its constants computed.
    pub(crate) fn folded(&self, query: &Query) -> Query {
        let mut query = query.clone();
        self.fold_rel(&mut query.rel);
        query
    }

    fn fold_expr(&self, expr: &mut Expr) {
        if matches!(expr.kind, ExprKind::Const(_)) {
            return;
        }
        if let Some(value) = self.constant(expr) {
            expr.kind = ExprKind::Const(value);
            return;
        }
        if let ExprKind::Subquery { query, .. } = &mut expr.kind {
            self.fold_rel(&mut query.rel);
        }
        expr.for_each_child_mut(&mut |child| self.fold_expr(child));
    }

    fn fold_keys(&self, keys: &mut [SortKey]) {
        keys.iter_mut().for_each(|key| self.fold_expr(&mut key.expr));
    }

    fn fold_call(&self, call: &mut AggregateCall) {
        call.args.iter_mut().chain(&mut call.filter).for_each(|expr| self.fold_expr(expr));
        self.fold_keys(&mut call.order_by);
    }

    fn fold_rel(&self, rel: &mut Rel) {
        match rel {
            Rel::OneRow | Rel::Table(_) | Rel::CteRef { .. } => {}
            Rel::Values { rows, .. } => rows.iter_mut().flatten().for_each(|expr| self.fold_expr(expr)),
            Rel::Function(scan) => scan.args_mut().for_each(|expr| self.fold_expr(expr)),
            Rel::Filter { input, predicate } => {
                self.fold_rel(input);
                self.fold_expr(predicate);
            }
            Rel::Project { input, exprs } => {
                self.fold_rel(input);
                exprs.iter_mut().for_each(|(_, expr)| self.fold_expr(expr));
            }
            Rel::Join(join) => {
                self.fold_rel(&mut join.left);
                self.fold_rel(&mut join.right);
                join.on.iter_mut().for_each(|expr| self.fold_expr(expr));
            }
            Rel::Aggregate(aggregate) => {
                self.fold_rel(&mut aggregate.input);
                aggregate.groups.iter_mut().for_each(|(_, expr)| self.fold_expr(expr));
                aggregate.calls.iter_mut().for_each(|(_, call)| self.fold_call(call));
            }
            Rel::Window(window) => {
                self.fold_rel(&mut window.input);
                window.partition_by.iter_mut().for_each(|expr| self.fold_expr(expr));
                self.fold_keys(&mut window.order_by);
                for (_, call) in &mut window.calls {
                    call.args.iter_mut().chain(&mut call.filter).for_each(|expr| self.fold_expr(expr));
                }
            }
            Rel::DistinctOn { input, keys } => {
                self.fold_rel(input);
                keys.iter_mut().for_each(|expr| self.fold_expr(expr));
            }
            Rel::Sort { input, keys } => {
                self.fold_rel(input);
                self.fold_keys(keys);
            }
            Rel::Limit { input, limit, offset } => {
                self.fold_rel(input);
                limit.iter_mut().chain(offset).for_each(|expr| self.fold_expr(expr));
            }
            Rel::Distinct(input) | Rel::Lock { input, .. } => self.fold_rel(input),
            Rel::SetOp(op) => {
                self.fold_rel(&mut op.left.rel);
                self.fold_rel(&mut op.right.rel);
            }
            Rel::With { ctes, body } => {
                for cte in ctes {
                    self.fold_rel(&mut cte.query.rel);
                    if let Some((step, _)) = &mut cte.recursive {
                        self.fold_rel(&mut step.rel);
                    }
                }
                self.fold_rel(body);
            }
        }
    }
}
