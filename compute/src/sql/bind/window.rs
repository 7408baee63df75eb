//! Window functions over the default frame.

use super::Binder;
use super::aggregate::{Clause, Grouping, same};
use super::calls::BoundCall;
use super::scope::Scope;
use crate::sql::ast::{FuncCall, Ident, WindowSpec};
use crate::sql::bound::{ColDef, Expr, ExprKind, Rel, SortKey, Window, WindowCall};
use crate::{SqlError, SqlResult};
use shardforge_types::{PgType, SqlState};

/// One window call that was put aside, with its window.
#[derive(Debug)]
pub(super) struct WindowItem {
    pub(super) col: ColDef,
    call: WindowCall,
    partition_by: Vec<Expr>,
    order_by: Vec<SortKey>,
}

impl Binder<'_> {
    pub(super) fn window_call(
        &mut self,
        call: &FuncCall,
        bound: BoundCall,
        position: Option<u32>,
        scope: &Scope<'_>,
    ) -> SqlResult<Expr> {
        let loc = call.name.loc;
        let Some(spec) = &call.over else {
            return Err(SqlError::internal("a window call without a window"));
        };
        if call.distinct {
            let message = "DISTINCT is not implemented for window functions";
            return Err(self.error(SqlState::FEATURE_NOT_SUPPORTED, message, loc));
        }
        if !call.order_by.is_empty() {
            let message = "aggregate ORDER BY is not implemented for window functions";
            return Err(self.error(SqlState::FEATURE_NOT_SUPPORTED, message, loc));
        }
        if call.filter.is_some() && bound.proc.kind == b'w' {
            let message = "FILTER is not implemented for non-aggregate window functions";
            return Err(self.error(SqlState::FEATURE_NOT_SUPPORTED, message, loc));
        }
        let filter = call.filter.as_ref().map(|filter| {
            let filter = self.expr(filter, scope)?;
            self.coerce_bool(filter, "FILTER")
        });
        let filter = filter.transpose()?;
        let (partition_by, order_by) = self.window_spec(spec, scope)?;
        let ty = PgType::new(bound.result);
        let col = ColDef { id: self.new_col(), ty, name: bound.proc.name.to_owned() };
        let id = col.id;
        let made = WindowCall { func: bound.proc.oid, args: bound.args, filter };
        self.level.windows.push(WindowItem { col, call: made, partition_by, order_by });
        Ok(Expr { kind: ExprKind::Col(id), ty, position })
    }

    fn window_spec(&mut self, spec: &WindowSpec, scope: &Scope<'_>) -> SqlResult<(Vec<Expr>, Vec<SortKey>)> {
        if let Some(loc) = spec.frame {
            return Err(self.unsupported("a window frame other than the default one", loc));
        }
        let base = spec.base.as_ref().map(|name| self.named_window(name)).transpose()?;
        let in_window = std::mem::replace(&mut self.level.in_window, true);
        let parts = self.in_clause(Clause::Window, |binder| {
            let mut partition_by = Vec::new();
            for expr in &spec.partition_by {
                let expr = binder.expr(expr, scope)?;
                let expr = binder.settle_unknown(expr)?;
                binder.need_order(expr.ty.oid, expr.position)?;
                partition_by.push(expr);
            }
            Ok((partition_by, binder.sort_keys_plain(&spec.order_by, scope)?))
        });
        self.level.in_window = in_window;
        let (mut partition_by, mut order_by) = parts?;
        if let (Some(base), Some(name)) = (base, &spec.base) {
            let (base_partition, base_order) = self.window_spec(&base, scope)?;
            if !spec.is_name {
                if !partition_by.is_empty() {
                    let message = format!("cannot override PARTITION BY clause of window \"{}\"", name.name);
                    return Err(self.error(SqlState::WINDOWING_ERROR, message, spec.loc));
                }
                if !order_by.is_empty() && !base_order.is_empty() {
                    let message = format!("cannot override ORDER BY clause of window \"{}\"", name.name);
                    return Err(self.error(SqlState::WINDOWING_ERROR, message, spec.loc));
                }
            }
            partition_by = base_partition;
            if order_by.is_empty() {
                order_by = base_order;
            }
        }
        Ok((partition_by, order_by))
    }

    fn named_window(&self, name: &Ident) -> SqlResult<WindowSpec> {
        let found = self.level.named_windows.iter().find(|(known, _)| *known == name.name);
        found.map(|(_, spec)| spec.clone()).ok_or_else(|| {
            let message = format!("window \"{}\" does not exist", name.name);
            self.error(SqlState::UNDEFINED_OBJECT, message, name.loc)
        })
    }

    /// Rewrites the windows' expressions over groups and aggregates.
    pub(super) fn group_windows(&mut self, grouping: &mut Grouping<'_>) -> SqlResult<()> {
        let mut windows = std::mem::take(&mut self.level.windows);
        for item in &mut windows {
            let parts = item.partition_by.iter_mut().chain(item.order_by.iter_mut().map(|key| &mut key.expr));
            for expr in parts.chain(item.call.args.iter_mut()).chain(item.call.filter.iter_mut()) {
                grouping.rewrite(self, expr)?;
            }
        }
        self.level.windows = windows;
        Ok(())
    }

    /// The windows over a relation; calls that share a window are one node.
    pub(super) fn apply_windows(&mut self, mut rel: Rel) -> Rel {
        let mut nodes: Vec<Window> = Vec::new();
        for item in std::mem::take(&mut self.level.windows) {
            let shares = |node: &&mut Window| {
                node.partition_by.len() == item.partition_by.len()
                    && node.order_by.len() == item.order_by.len()
                    && node.partition_by.iter().zip(&item.partition_by).all(|(a, b)| same(a, b))
                    && node.order_by.iter().zip(&item.order_by).all(|(a, b)| {
                        a.desc == b.desc && a.nulls_first == b.nulls_first && same(&a.expr, &b.expr)
                    })
            };
            match nodes.iter_mut().find(shares) {
                Some(node) => node.calls.push((item.col, item.call)),
                None => nodes.push(Window {
                    input: Rel::OneRow,
                    partition_by: item.partition_by,
                    order_by: item.order_by,
                    calls: vec![(item.col, item.call)],
                }),
            }
        }
        for node in nodes {
            rel = Rel::Window(Box::new(Window { input: rel, ..node }));
        }
        rel
    }
}
