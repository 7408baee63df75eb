//! How many rows a scan gives, by what is known of the table. No result depends on it.

use super::decode::Wanted;
use crate::physical::{Physical, to_physical_array};
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, Statistics};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{
    BinaryExpr, Column, InListExpr, IsNotNullExpr, IsNullExpr, LikeExpr, Literal, NotExpr,
};
use datafusion::scalar::ScalarValue;
use shardforge_compute::statistics::TableStatistics;
use std::sync::Arc;

/// What is guessed of a condition that says nothing more.
const SOME: f64 = 1.0 / 3.0;
/// What is guessed of an equality, and of a pattern.
const FEW: f64 = 0.05;

/// What is known of the columns of a scan, in their order.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) rows: Option<f64>,
    columns: Vec<KnownColumn>,
}

#[derive(Debug, Clone)]
struct KnownColumn {
    nulls: f64,
    distinct: Option<f64>,
    ends: Option<(ScalarValue, ScalarValue)>,
}

impl Known {
    pub(super) fn new(statistics: Option<Arc<TableStatistics>>, columns: &[Wanted]) -> Self {
        let Some(statistics) = statistics else { return Self::default() };
        let columns = columns
            .iter()
            .map(|wanted| {
                let Some(known) = statistics.columns.get(wanted.position).and_then(Option::as_ref) else {
                    return KnownColumn { nulls: 0.0, distinct: None, ends: None };
                };
                let scalar = |value: &_| {
                    let array = to_physical_array(wanted.ty, wanted.physical, std::iter::once(value)).ok()?;
                    ScalarValue::try_from_array(&array, 0).ok().filter(|value| !value.is_null())
                };
                let comparable = !crate::values::needs_order_key(wanted.ty)
                    || matches!(wanted.physical, Some(Physical::Decimal { .. } | Physical::Trimmed { .. }));
                let ends = comparable.then(|| Some((scalar(&known.min)?, scalar(&known.max)?))).flatten();
                KnownColumn { nulls: known.null_fraction, distinct: Some(known.distinct.max(1.0)), ends }
            })
            .collect();
        Self { rows: Some(statistics.rows.max(1.0)), columns }
    }
}

/// The statistics of a scan of which this part passes.
pub(super) fn table_statistics(
    known: &Known,
    schema: &SchemaRef,
    part: f64,
    fetch: Option<usize>,
) -> Statistics {
    let Some(rows) = known.rows else { return Statistics::new_unknown(schema) };
    let mut left = (rows * part).max(1.0);
    if let Some(fetch) = fetch {
        left = left.min(fetch as f64);
    }
    let column_statistics = known
        .columns
        .iter()
        .map(|column| {
            let (min_value, max_value) = match &column.ends {
                Some((min, max)) => (Precision::Inexact(min.clone()), Precision::Inexact(max.clone())),
                None => (Precision::Absent, Precision::Absent),
            };
            ColumnStatistics {
                null_count: Precision::Inexact((left * column.nulls) as usize),
                min_value,
                max_value,
                distinct_count: column
                    .distinct
                    .map_or(Precision::Absent, |distinct| Precision::Inexact(distinct.min(left) as usize)),
                ..ColumnStatistics::new_unknown()
            }
        })
        .collect();
    let width: usize = schema
        .fields()
        .iter()
        .map(|field| match field.data_type() {
            DataType::Utf8 | DataType::Binary => 32,
            other => other.primitive_width().unwrap_or(1),
        })
        .sum();
    Statistics {
        num_rows: Precision::Inexact(left as usize),
        total_byte_size: Precision::Inexact(left as usize * width.max(1)),
        column_statistics,
    }
}

fn number(value: &ScalarValue) -> Option<f64> {
    Some(match value {
        ScalarValue::Int16(Some(v)) => f64::from(*v),
        ScalarValue::Int32(Some(v)) => f64::from(*v),
        ScalarValue::Int64(Some(v)) => *v as f64,
        ScalarValue::Decimal128(Some(v), _, scale) => *v as f64 / 10f64.powi(i32::from(*scale)),
        _ => return None,
    })
}

/// The part of the rows for which a condition holds, about.
pub(super) fn selectivity(expr: &Arc<dyn PhysicalExpr>, known: &Known) -> f64 {
    let column = |expr: &Arc<dyn PhysicalExpr>| {
        expr.downcast_ref::<Column>().and_then(|column| known.columns.get(column.index()))
    };
    if let Some(binary) = expr.downcast_ref::<BinaryExpr>() {
        let (left, right) = (binary.left(), binary.right());
        match binary.op() {
            Operator::And => return selectivity(left, known) * selectivity(right, known),
            Operator::Or => {
                let (a, b) = (selectivity(left, known), selectivity(right, known));
                return (a + b - a * b).min(1.0);
            }
            _ => {}
        }
        let literal =
            |expr: &Arc<dyn PhysicalExpr>| expr.downcast_ref::<Literal>().map(|l| l.value().clone());
        let (column, value, op) = match (column(left), literal(right), column(right), literal(left)) {
            (Some(column), Some(value), _, _) => (column, value, *binary.op()),
            (_, _, Some(column), Some(value)) => (column, value, binary.op().swap().unwrap_or(*binary.op())),
            _ => return if *binary.op() == Operator::Eq { FEW } else { SOME },
        };
        let there = 1.0 - column.nulls;
        let equal = column.distinct.map_or(FEW, |distinct| 1.0 / distinct);
        let below = column.ends.as_ref().and_then(|(min, max)| {
            let (min, max, value) = (number(min)?, number(max)?, number(&value)?);
            Some(if max > min { ((value - min) / (max - min)).clamp(0.0, 1.0) } else { 0.5 })
        });
        return there
            * match op {
                Operator::Eq => equal,
                Operator::NotEq => 1.0 - equal,
                Operator::Lt | Operator::LtEq => below.unwrap_or(SOME),
                Operator::Gt | Operator::GtEq => below.map_or(SOME, |below| 1.0 - below),
                _ => SOME,
            };
    }
    if let Some(not) = expr.downcast_ref::<NotExpr>() {
        return 1.0 - selectivity(not.arg(), known);
    }
    if let Some(list) = expr.downcast_ref::<InListExpr>() {
        let equal =
            column(list.expr()).and_then(|column| column.distinct).map_or(FEW, |distinct| 1.0 / distinct);
        let part = (equal * list.list().len() as f64).min(1.0);
        return if list.negated() { 1.0 - part } else { part };
    }
    if let Some(like) = expr.downcast_ref::<LikeExpr>() {
        return if like.negated() { 1.0 - FEW } else { FEW };
    }
    if let Some(test) = expr.downcast_ref::<IsNullExpr>() {
        return column(test.arg()).map_or(FEW, |column| column.nulls);
    }
    if let Some(test) = expr.downcast_ref::<IsNotNullExpr>() {
        return column(test.arg()).map_or(1.0, |column| 1.0 - column.nulls);
    }
    // A filter that only the running plan fills.
    if expr.downcast_ref::<datafusion::physical_expr::expressions::DynamicFilterPhysicalExpr>().is_some() {
        return 1.0;
    }
    SOME
}
