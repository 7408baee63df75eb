//! Conditions of one filter, each asked only about rows that those before it let through.
//!
//! DataFusion computes both sides of an AND for a whole batch, so `b <> 0 and a / b > 1` would divide by
//! zero. Once its physical plan is made, the condition of each filter is replaced: those that cannot fail
//! come first, in whatever order they were.

use arrow::array::{Array, AsArray, BooleanArray};
use arrow::compute::{filter_record_batch, prep_null_mask_filter};
use arrow::datatypes::{DataType, Schema};
use arrow::record_batch::RecordBatch;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr, split_conjunction};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::{FilterExec, FilterExecBuilder};
use std::fmt;
use std::sync::Arc;

/// The rule that puts [`LazyAnd`] into filters.
#[derive(Debug)]
pub(crate) struct LazyFilters;

/// A conjunction whose parts are evaluated one after the other, each over what is left.
#[derive(Debug, PartialEq, Eq, Hash)]
struct LazyAnd(Vec<Arc<dyn PhysicalExpr>>);

/// Functions of ours that have a value for every argument. Decimals may give up, which is no error: the query
/// starts over.
const TOTAL: &[&str] = &["order_key", "value"];

/// Whether evaluating it may be an error for some row.
pub(crate) fn may_fail(expr: &Arc<dyn PhysicalExpr>) -> bool {
    expr.downcast_ref::<ScalarFunctionExpr>().is_some_and(|call| {
        let name = call.fun().name();
        !TOTAL.contains(&name) && !name.starts_with("decimal_")
    }) || expr.children().into_iter().any(may_fail)
}

impl PhysicalOptimizerRule for LazyFilters {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let plan = plan.transform_up(|plan| {
            let Some(filter) = plan.downcast_ref::<FilterExec>() else { return Ok(Transformed::no(plan)) };
            let parts: Vec<_> = split_conjunction(filter.predicate()).into_iter().cloned().collect();
            let (failing, mut lazy): (Vec<_>, Vec<_>) = parts.into_iter().partition(may_fail);
            if failing.is_empty() || failing.len() + lazy.len() < 2 {
                return Ok(Transformed::no(plan));
            }
            lazy.extend(failing);
            let builder = FilterExecBuilder::from(filter).with_predicate(Arc::new(LazyAnd(lazy)));
            Ok(Transformed::yes(Arc::new(builder.build()?) as Arc<dyn ExecutionPlan>))
        })?;
        Ok(plan.data)
    }

    fn name(&self) -> &str {
        "lazy_filters"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

impl fmt::Display for LazyAnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, part) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str(" AND ")?;
            }
            write!(f, "{part}")?;
        }
        Ok(())
    }
}

fn truths(value: ColumnarValue, rows: usize) -> Result<BooleanArray> {
    let array = value.into_array(rows)?;
    let array = array.as_boolean();
    Ok(if array.null_count() > 0 { prep_null_mask_filter(array) } else { array.clone() })
}

impl PhysicalExpr for LazyAnd {
    fn data_type(&self, _: &Schema) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn nullable(&self, _: &Schema) -> Result<bool> {
        Ok(false)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let mut left: Vec<usize> = (0..batch.num_rows()).collect();
        let mut rest = batch.clone();
        for part in &self.0 {
            if left.is_empty() {
                break;
            }
            let pass = truths(part.evaluate(&rest)?, rest.num_rows())?;
            if pass.true_count() < rest.num_rows() {
                rest = filter_record_batch(&rest, &pass)?;
                let mut at = 0;
                left.retain(|_| {
                    at += 1;
                    pass.value(at - 1)
                });
            }
        }
        let mut out = vec![false; batch.num_rows()];
        for row in left {
            out[row] = true;
        }
        Ok(ColumnarValue::Array(Arc::new(BooleanArray::from(out))))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        self.0.iter().collect()
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        Ok(Arc::new(LazyAnd(children)))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
