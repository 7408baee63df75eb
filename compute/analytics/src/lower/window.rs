//! Window functions over the default frame.

use super::{Lowering, appended, sorted};
use crate::operator::{WindowColumn, WindowFunction, WindowOp, operator_plan};
use datafusion::logical_expr::{LogicalPlan, SortExpr};
use shardforge_compute::catalog::builtin;
use shardforge_compute::sql::bound::{ColDef, Window};
use shardforge_compute::{SqlError, SqlResult};
use std::sync::Arc;

impl Lowering {
    pub(super) fn window(&mut self, window: &Window) -> SqlResult<LogicalPlan> {
        let mut plan = self.rel(&window.input)?;
        let mut exprs = Vec::new();
        let mut sort = Vec::new();
        for expr in &window.partition_by {
            let (expr, below) = self.hoist(expr, plan)?;
            plan = below;
            exprs.push(self.comparable(&expr)?);
            sort.push(SortExpr::new(self.comparable(&expr)?, true, false));
        }
        for key in &window.order_by {
            let (expr, below) = self.hoist(&key.expr, plan)?;
            plan = below;
            exprs.push(self.comparable(&expr)?);
            sort.push(SortExpr::new(self.comparable(&expr)?, !key.desc, key.nulls_first));
        }
        let mut columns = Vec::new();
        for (column, call) in &window.calls {
            let function = WindowFunction::of(call.func).ok_or_else(|| {
                let name = builtin::proc(call.func).map_or("?", |entry| entry.name);
                SqlError::not_supported(format!("window function {name}()"))
            })?;
            let first = exprs.len();
            for arg in &call.args {
                let (arg, below) = self.hoist(arg, plan)?;
                plan = below;
                exprs.push(self.expr(&arg)?);
            }
            let args = first..exprs.len();
            let filter = match &call.filter {
                Some(filter) => {
                    let (filter, below) = self.hoist(filter, plan)?;
                    plan = below;
                    exprs.push(self.expr(&filter)?);
                    Some(exprs.len() - 1)
                }
                None => None,
            };
            columns.push(WindowColumn {
                function,
                args,
                arg_types: call.args.iter().map(|arg| arg.ty).collect(),
                filter,
                ty: column.ty,
            });
        }
        if !sort.is_empty() {
            plan = sorted(plan, sort);
        }
        let made: Vec<ColDef> = window.calls.iter().map(|(column, _)| column.clone()).collect();
        let schema = appended(&plan, &made)?;
        let operator = WindowOp {
            partition_keys: window.partition_by.len(),
            order_keys: window.order_by.len(),
            columns,
        };
        Ok(operator_plan(Arc::new(operator), exprs, vec![plan], schema))
    }
}
