//! Functions that plans call: PostgreSQL's meaning over Arrow's arrays.
//!
//! [`row_expr`] evaluates any bound expression, row by row. [`mod@order_key`] gives what Arrow compares rightly.
//! [`mod@int_arith`] is integer arithmetic with its errors; [`lazy_and`] keeps conditions of a filter from rows that an earlier one refused.

mod decimal;
mod decimal_final;
mod decimal_sum;
mod int_arith;
mod lazy_and;
mod order_key;
mod row_expr;

pub(crate) use decimal::{DecimalOp, decimal_op, power_of_ten};
pub(crate) use decimal_final::{Final, decimal_final};
pub(crate) use decimal_sum::decimal_sum;
pub(crate) use int_arith::{int_arith, is_int_arith};
pub(crate) use lazy_and::{LazyFilters, may_fail};
pub(crate) use order_key::{order_key, order_key_array, order_key_operand};
pub(crate) use row_expr::RowExpr;
