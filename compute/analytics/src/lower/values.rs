//! VALUES.

use super::{Lowering, builder, ok};
use crate::cte::{ConstantRows, CteProvider, CteRows};
use crate::scan::to_batch;
use arrow::datatypes::Schema;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use shardforge_compute::sql::bound::{ColDef, Expr};
use shardforge_compute::{SqlError, SqlResult};
use shardforge_types::Datum;
use std::sync::Arc;

impl Lowering {
    pub(super) fn values(&mut self, cols: &[ColDef], rows: &[Vec<Expr>]) -> SqlResult<LogicalPlan> {
        let constants: Option<Vec<Vec<Datum>>> =
            rows.iter().map(|row| row.iter().map(|value| self.constant(value)).collect()).collect();
        if let Some(rows) = constants {
            let fields: Vec<_> = cols.iter().map(crate::scan::field).collect();
            let types: Vec<_> = cols.iter().map(|column| column.ty).collect();
            let batch = to_batch(&Arc::new(Schema::new(fields)), &types, &rows)?;
            let rows = CteRows::Constant(ConstantRows::new(batch));
            return self.scan_provider(Arc::new(CteProvider::new(rows, cols)));
        }
        let mut all: Option<LogicalPlanBuilder> = None;
        for row in rows {
            let one = ok(LogicalPlanBuilder::empty(true).build())?;
            let exprs: Vec<(ColDef, Expr)> = cols.iter().cloned().zip(row.iter().cloned()).collect();
            let row = self.project(one, &exprs)?;
            all = Some(match all {
                Some(all) => ok(all.union(row))?,
                None => builder(row),
            });
        }
        match all {
            Some(all) => ok(all.build()),
            None => Err(SqlError::internal("VALUES without rows")),
        }
    }
}
