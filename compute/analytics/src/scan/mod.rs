//! Tables for DataFusion: a provider for each scan of a query ([`ScanProvider`]), and the plan that reads it.
//!
//! 1. `exec`: parts, filters that were pushed down, limits; who takes what from the table source.
//! 2. `decode`: stored rows into Arrow columns, only those wanted.
//! 3. `estimate`: what the planner is told of the rows.

mod decode;
mod estimate;
mod exec;

use crate::engine::QueryEnv;
use crate::error::to_datafusion;
use crate::kernel::order_key_operand;
use crate::physical::{Physical, column_type, number_of};
use crate::values::{data_type, from_array, to_array};
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::Result;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::scalar::ScalarValue;
use decode::Wanted;
use exec::ScanExec;
use shardforge_compute::SqlResult;
use shardforge_compute::catalog::TableKind;
use shardforge_compute::report::{BoundOp, ColumnBound, Rows, ScanSpec};
use shardforge_compute::sql::bound::{ColDef, TableScan};
use shardforge_types::key::decode_key_column;
use shardforge_types::{Datum, PgType};
use std::sync::Arc;

/// The name of a column in every plan.
pub(crate) fn column_name(id: shardforge_compute::sql::bound::ColId) -> String {
    format!("c{}", id.0)
}

/// A column of a plan. All may be null: a promise that an outer join would break is not made.
pub(crate) fn field(column: &ColDef) -> Field {
    Field::new(column_name(column.id), data_type(column.ty), true)
}

/// The form of a scan's column, if it is not that of its type.
pub(crate) fn scan_form(scan: &TableScan, position: usize) -> Option<Physical> {
    if scan.table.kind != TableKind::Table {
        return None;
    }
    Physical::of_table(scan.table.columns.get(position)?.ty)
}

/// One scan of a table.
pub(crate) struct ScanProvider {
    scan: TableScan,
    schema: SchemaRef,
    env: Arc<QueryEnv>,
}

impl ScanProvider {
    pub(crate) fn new(scan: &TableScan, env: Arc<QueryEnv>) -> Self {
        let fields: Vec<Field> = scan
            .cols
            .iter()
            .map(|(column, position)| {
                let ty = column_type(column.ty, scan_form(scan, *position));
                Field::new(column_name(column.id), ty, true)
            })
            .collect();
        Self { scan: scan.clone(), schema: Arc::new(Schema::new(fields)), env }
    }

    fn column(&self, name: &str) -> Option<&(ColDef, usize)> {
        self.scan.cols.iter().find(|(column, _)| column_name(column.id) == name)
    }

    /// The column that an operand is, itself or by its order key.
    fn operand<'a>(&'a self, expr: &'a Expr) -> Option<(&'a (ColDef, usize), bool)> {
        match expr {
            Expr::Column(column) => Some((self.column(&column.name)?, false)),
            other => match order_key_operand(other)? {
                Expr::Column(column) => Some((self.column(&column.name)?, true)),
                _ => None,
            },
        }
    }

    /// What a filter says of a column, if the source can use it; a placeholder may still stand for the value.
    fn comparison<'a>(&'a self, filter: &'a Expr) -> Option<(&'a (ColDef, usize), BoundOp, &'a Expr, bool)> {
        let Expr::BinaryExpr(BinaryExpr { left, op, right }) = filter else { return None };
        let constant = |expr: &Expr| match expr {
            Expr::Literal(..) | Expr::Placeholder(_) => true,
            other => matches!(order_key_operand(other), Some(Expr::Literal(..) | Expr::Placeholder(_))),
        };
        let op = bound_op(*op)?;
        if let Some((column, by_key)) = self.operand(left)
            && constant(right)
        {
            return Some((column, op, right, by_key));
        }
        if let Some((column, by_key)) = self.operand(right)
            && constant(left)
        {
            return Some((column, op.exchanged(), left, by_key));
        }
        None
    }

    fn bound(&self, filter: &Expr) -> Option<ColumnBound> {
        let ((column, position), op, value, by_key) = self.comparison(filter)?;
        let value = match scan_form(&self.scan, *position) {
            Some(_) if !by_key => physical_constant(value)?,
            _ => constant_value(value, column.ty, by_key)?,
        };
        (!value.is_null()).then_some(ColumnBound { column: *position, op, value })
    }
}

/// A constant as a value of a column's type.
fn constant_value(expr: &Expr, ty: PgType, by_key: bool) -> Option<Datum> {
    match expr {
        Expr::Literal(value, _) => {
            let array = value.to_array().ok()?;
            if !by_key {
                return (*array.data_type() == data_type(ty)).then(|| from_array(ty, &array, 0).ok())?;
            }
            let key = from_array(PgType::new(shardforge_types::oids::BYTEA), &array, 0).ok()?;
            let Datum::Bytea(key) = key else { return None };
            decode_key_column(&mut &key[..], ty, shardforge_types::key::KeyOrder::ASC).ok()
        }
        other => match order_key_operand(other)? {
            Expr::Literal(value, _) if by_key => {
                let array = value.to_array().ok()?;
                from_array(ty, &array, 0).ok()
            }
            _ => None,
        },
    }
}

/// A constant that a column in a form of its own is compared with.
fn physical_constant(expr: &Expr) -> Option<Datum> {
    match expr {
        Expr::Literal(ScalarValue::Decimal128(Some(value), _, scale), _) => {
            Some(Datum::Numeric(number_of(*value, u8::try_from(*scale).ok()?)))
        }
        Expr::Literal(ScalarValue::Utf8(Some(text)), _) => Some(Datum::text(text.as_str())),
        _ => None,
    }
}

fn bound_op(op: Operator) -> Option<BoundOp> {
    Some(match op {
        Operator::Lt => BoundOp::Lt,
        Operator::LtEq => BoundOp::Le,
        Operator::Eq => BoundOp::Eq,
        Operator::GtEq => BoundOp::Ge,
        Operator::Gt => BoundOp::Gt,
        _ => return None,
    })
}

impl std::fmt::Debug for ScanProvider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "scan of {}", self.scan.alias)
    }
}

#[async_trait]
impl TableProvider for ScanProvider {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let all: Vec<usize> = (0..self.scan.cols.len()).collect();
        let places = projection.unwrap_or(&all);
        let schema = Arc::new(self.schema.project(places)?);
        let bounds: Vec<ColumnBound> = filters.iter().filter_map(|filter| self.bound(filter)).collect();
        let columns = places
            .iter()
            .map(|at| {
                let (column, position) = &self.scan.cols[*at];
                Wanted { position: *position, ty: column.ty, physical: scan_form(&self.scan, *position) }
            })
            .collect();
        let spec = ScanSpec {
            table: self.scan.table.clone(),
            columns: places.iter().map(|at| self.scan.cols[*at].1).collect(),
            bounds,
            limit: None,
            as_of: self.scan.as_of,
        };
        let exec = ScanExec::new(spec, columns, schema, self.env.clone(), limit).map_err(to_datafusion)?;
        Ok(Arc::new(exec))
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(filters
            .iter()
            .map(|filter| match self.comparison(filter) {
                Some(_) => TableProviderFilterPushDown::Inexact,
                None => TableProviderFilterPushDown::Unsupported,
            })
            .collect())
    }
}

/// Rows as a batch.
pub(crate) fn to_batch(schema: &SchemaRef, types: &[PgType], rows: &Rows) -> SqlResult<RecordBatch> {
    let columns = types
        .iter()
        .enumerate()
        .map(|(at, ty)| to_array(*ty, rows.iter().map(|row| &row[at])))
        .collect::<SqlResult<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options)
        .map_err(|error| shardforge_compute::SqlError::internal(format!("rows of a table: {error}")))
}

/// A scan for EXPLAIN.
pub(super) fn describe(spec: &ScanSpec, env: &QueryEnv) -> String {
    let table = &spec.table;
    let name = |column: usize| table.columns.get(column).map_or("?", |column| column.name.as_str());
    let columns: Vec<_> = spec.columns.iter().map(|column| name(*column)).collect();
    let mut out = format!("TableScan: {}.{} [{}]", table.schema_name, table.name, columns.join(", "));
    for bound in &spec.bounds {
        let op = match bound.op {
            BoundOp::Lt => "<",
            BoundOp::Le => "<=",
            BoundOp::Eq => "=",
            BoundOp::Ge => ">=",
            BoundOp::Gt => ">",
        };
        let ty = table.columns.get(bound.column).map_or(PgType::TEXT, |column| column.ty);
        let settings = env.report.session.settings();
        let value = shardforge_types::text::output_string(&bound.value, ty, settings).unwrap_or_default();
        out.push_str(&format!(", {} {op} {value}", name(bound.column)));
    }
    out
}
