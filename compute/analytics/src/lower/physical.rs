//! Expressions in forms of their own ([`crate::physical`]): decimals as long as they have one display scale,
//! `char(n)` without its blanks.
//!
//! The binder's types say nothing of these forms: a column has one because its table, or the aggregate that
//! makes it, was found to give one, and [`Lowering::forms`] remembers it.

use super::Lowering;
use super::compare::comparison;
use super::native::may_fail;
use crate::kernel::{DecimalOp, decimal_op, power_of_ten};
use crate::physical::{DIGITS, Physical, decimal_of};
use crate::scan::column_name;
use arrow::datatypes::DataType;
use datafusion::common::Column;
use datafusion::logical_expr::expr::Case;
use datafusion::logical_expr::{Expr as DfExpr, Like, cast, lit};
use datafusion::scalar::ScalarValue;
use shardforge_compute::SqlResult;
use shardforge_compute::catalog::builtin;
use shardforge_compute::sql::bound::{ColDef, Expr, ExprKind};
use shardforge_types::interval::DAY_MICROS;
use shardforge_types::{Datum, Oid, PgType, oids};

/// The C function behind a function.
fn source(func: Oid) -> &'static str {
    builtin::proc(func).map_or("", |entry| entry.source)
}

/// Whether a function is LIKE over `text` (`false`), or NOT LIKE (`true`).
pub(super) fn is_like(func: Oid) -> Option<bool> {
    match source(func) {
        "textlike" => Some(false),
        "textnlike" => Some(true),
        _ => None,
    }
}

/// A pattern of LIKE that has no escapes, so that nothing can be wrong with it.
pub(super) fn plain_pattern(pattern: &Expr) -> Option<&str> {
    match &pattern.kind {
        ExprKind::Const(Datum::Text(text)) => Some(text.as_str()).filter(|text| !text.contains('\\')),
        _ => None,
    }
}

/// Whether a function is the cast from `char(n)` to `text` or `varchar`, which drops trailing blanks.
pub(super) fn is_text_of_char(func: Oid, arg: PgType) -> bool {
    arg.oid == oids::BPCHAR
        && source(func) == "rtrim1"
        && builtin::proc(func).is_some_and(|f| f.name == "text")
}

/// A constant in a form; `None` if it has no such form.
pub(super) fn physical_literal(value: &Datum, ty: PgType, form: Physical) -> Option<DfExpr> {
    let scalar = match (form, value) {
        (Physical::Decimal { scale, .. }, Datum::Null) => ScalarValue::Decimal128(None, DIGITS, scale as i8),
        (Physical::Trimmed { .. }, Datum::Null) => ScalarValue::Utf8(None),
        (Physical::Decimal { scale, .. }, Datum::Numeric(number)) => {
            // Equal is enough here: how many zeros the constant shows does not matter to a comparison.
            let exact = number.round(i32::from(scale)).ok().filter(|rounded| rounded == number)?;
            ScalarValue::Decimal128(Some(decimal_of(&exact, scale)?), DIGITS, scale as i8)
        }
        (Physical::Trimmed { .. }, Datum::Text(text)) if ty.oid == oids::BPCHAR => {
            ScalarValue::Utf8(Some(text.as_str().trim_end_matches(' ').to_owned()))
        }
        _ => return None,
    };
    Some(DfExpr::Literal(scalar, None))
}

/// A number as a constant, with the scale that it shows.
fn decimal_literal(value: &Datum) -> Option<(DfExpr, Physical)> {
    let Datum::Numeric(number) = value else { return None };
    let (unscaled, scale) = number.as_unscaled()?;
    let scale = u8::try_from(scale).ok().filter(|scale| *scale <= DIGITS)?;
    let digits = unscaled.unsigned_abs().checked_ilog10().map_or(1, |log| log + 1).max(u32::from(scale));
    let form = Physical::Decimal { digits, scale };
    Some((physical_literal(value, PgType::NUMERIC, form)?, form))
}

/// A decimal expression: its value, how many digits it may have, its scale.
pub(super) struct DecimalExpr {
    pub(super) expr: DfExpr,
    pub(super) digits: u32,
    pub(super) scale: u8,
}

impl Lowering {
    /// An expression in a form of its own, if it has one.
    pub(super) fn physical(&self, expr: &Expr) -> SqlResult<Option<(DfExpr, Physical)>> {
        if expr.ty.oid == oids::NUMERIC {
            return Ok(self.decimal(expr)?.map(|decimal| {
                let DecimalExpr { expr, digits, scale } = decimal;
                (expr, Physical::Decimal { digits, scale })
            }));
        }
        if expr.ty.oid != oids::BPCHAR {
            return Ok(None);
        }
        Ok(match &expr.kind {
            ExprKind::Col(id) => self.raw(*id),
            ExprKind::Relabel(arg) if arg.ty.oid == oids::BPCHAR => self.physical(arg)?,
            _ => None,
        })
    }

    /// A column as it lies, if it has a form of its own.
    fn raw(&self, id: shardforge_compute::sql::bound::ColId) -> Option<(DfExpr, Physical)> {
        let form = self.form_of(id)?;
        Some((DfExpr::Column(Column::new_unqualified(column_name(id))), form))
    }

    /// An expression as a column of a plan, in the best form it has.
    pub(super) fn named(&self, column: &ColDef, expr: &Expr) -> SqlResult<DfExpr> {
        let name = column_name(column.id);
        if let Some((value, form)) = self.physical(expr)? {
            self.set_form(column.id, form);
            return Ok(value.alias(name));
        }
        Ok(self.expr(expr)?.alias(name))
    }

    /// A decimal of so many digits; `None` if it could be too large and may not.
    fn made(&self, expr: DfExpr, digits: u32, scale: u8) -> Option<DecimalExpr> {
        let fits = scale <= DIGITS && (digits <= u32::from(DIGITS) || self.attempt.may_give_up());
        fits.then_some(DecimalExpr { expr, digits: digits.min(u32::from(DIGITS)), scale })
    }

    /// The same value at a larger scale.
    pub(super) fn rescaled(&self, decimal: DecimalExpr, scale: u8) -> Option<DecimalExpr> {
        let by = scale.checked_sub(decimal.scale)?;
        if by == 0 {
            return Some(decimal);
        }
        if let DfExpr::Literal(ScalarValue::Decimal128(Some(value), _, _), _) = &decimal.expr {
            let value = value
                .checked_mul(power_of_ten(by))
                .filter(|v| v.unsigned_abs() < crate::physical::LIMIT.unsigned_abs())?;
            let expr = DfExpr::Literal(ScalarValue::Decimal128(Some(value), DIGITS, scale as i8), None);
            return self.made(expr, decimal.digits + u32::from(by), scale);
        }
        let expr = decimal_op(DecimalOp::Rescale(by), scale, vec![decimal.expr]);
        self.made(expr, decimal.digits + u32::from(by), scale)
    }

    /// A numeric expression all of whose values have one display scale.
    pub(super) fn decimal(&self, expr: &Expr) -> SqlResult<Option<DecimalExpr>> {
        if let Some(value) = self.constant(expr) {
            return Ok(decimal_literal(&value).and_then(|(expr, form)| match form {
                Physical::Decimal { digits, scale } => Some(DecimalExpr { expr, digits, scale }),
                Physical::Trimmed { .. } => None,
            }));
        }
        Ok(match &expr.kind {
            ExprKind::Col(id) => match self.raw(*id) {
                Some((expr, Physical::Decimal { digits, scale })) => {
                    Some(DecimalExpr { expr, digits, scale })
                }
                _ => None,
            },
            ExprKind::Relabel(arg) if arg.ty.oid == oids::NUMERIC => self.decimal(arg)?,
            ExprKind::Call { func, args } => self.decimal_call(source(*func), args)?,
            ExprKind::Case { operand: None, arms, otherwise } => {
                let mut whens = Vec::with_capacity(arms.len());
                let mut values = Vec::with_capacity(arms.len() + 1);
                for value in arms.iter().map(|arm| &arm.then).chain(otherwise.as_deref()) {
                    let Some(value) = self.decimal(value)? else { return Ok(None) };
                    values.push(value);
                }
                let first = values.first().map(|value| value.scale);
                if arms.iter().any(|arm| may_fail(&arm.when))
                    || values.iter().any(|value| Some(value.scale) != first)
                {
                    return Ok(None);
                }
                let digits = values.iter().map(|value| value.digits).max().unwrap_or(1);
                let mut values = values.into_iter().map(|value| Box::new(value.expr));
                for (arm, value) in arms.iter().zip(values.by_ref()) {
                    whens.push((Box::new(self.expr(&arm.when)?), value));
                }
                let expr = DfExpr::Case(Case::new(None, whens, values.next()));
                first.map(|scale| DecimalExpr { expr, digits, scale })
            }
            _ => None,
        })
    }

    fn decimal_call(&self, source: &str, args: &[Expr]) -> SqlResult<Option<DecimalExpr>> {
        let widened = |expr: DfExpr| cast(expr, DataType::Decimal128(DIGITS, 0));
        match (source, args) {
            ("numeric_add" | "numeric_sub", [a, b]) => {
                let (Some(a), Some(b)) = (self.decimal(a)?, self.decimal(b)?) else { return Ok(None) };
                let scale = a.scale.max(b.scale);
                let (Some(a), Some(b)) = (self.rescaled(a, scale), self.rescaled(b, scale)) else {
                    return Ok(None);
                };
                let op = if source == "numeric_add" { DecimalOp::Add } else { DecimalOp::Sub };
                let digits = a.digits.max(b.digits) + 1;
                Ok(self.made(decimal_op(op, scale, vec![a.expr, b.expr]), digits, scale))
            }
            ("numeric_mul", [a, b]) => {
                let (Some(a), Some(b)) = (self.decimal(a)?, self.decimal(b)?) else { return Ok(None) };
                let (digits, scale) = (a.digits + b.digits, a.scale + b.scale);
                Ok(self.made(decimal_op(DecimalOp::Mul, scale, vec![a.expr, b.expr]), digits, scale))
            }
            ("int2_numeric" | "int4_numeric" | "int8_numeric", [arg]) => {
                Ok(self.made(widened(self.expr(arg)?), 19, 0))
            }
            ("extract_date", [field, date]) => {
                let year =
                    matches!(self.constant(field), Some(Datum::Text(field)) if field.as_str() == "year");
                if !year || !self.attempt.may_give_up() {
                    return Ok(None);
                }
                Ok(self.made(decimal_op(DecimalOp::Year, 0, vec![self.expr(date)?]), 7, 0))
            }
            _ => Ok(None),
        }
    }

    /// Two operands of a comparison in a form in which Arrow compares them rightly, if it is not that of
    /// their types.
    pub(super) fn physical_operands(&self, a: &Expr, b: &Expr) -> SqlResult<Option<(DfExpr, DfExpr)>> {
        if let Some(days) = self.days(a, b)? {
            return Ok(Some((self.expr(a)?, days)));
        }
        if let Some(days) = self.days(b, a)? {
            return Ok(Some((days, self.expr(b)?)));
        }
        if a.ty.oid != b.ty.oid {
            return Ok(None);
        }
        if a.ty.oid == oids::BPCHAR {
            let (left, right) = (self.physical(a)?, self.physical(b)?);
            let literal = |expr: &Expr, form| {
                self.constant(expr).and_then(|value| physical_literal(&value, expr.ty, form))
            };
            return Ok(match (left, right) {
                (Some((left, _)), Some((right, _))) => Some((left, right)),
                (Some((left, form)), None) => literal(b, form).map(|right| (left, right)),
                (None, Some((right, form))) => literal(a, form).map(|left| (left, right)),
                (None, None) => None,
            });
        }
        if a.ty.oid != oids::NUMERIC {
            return Ok(None);
        }
        let (Some(a), Some(b)) = (self.decimal(a)?, self.decimal(b)?) else { return Ok(None) };
        let scale = a.scale.max(b.scale);
        Ok(self.rescaled(a, scale).zip(self.rescaled(b, scale)).map(|(a, b)| (a.expr, b.expr)))
    }

    /// For a date beside a timestamp that is the beginning of a day: that day.
    fn days(&self, date: &Expr, moment: &Expr) -> SqlResult<Option<DfExpr>> {
        if date.ty.oid != oids::DATE || moment.ty.oid != oids::TIMESTAMP {
            return Ok(None);
        }
        let Some(Datum::Timestamp(moment)) = self.constant(moment) else { return Ok(None) };
        let whole = moment % DAY_MICROS == 0 && moment != i64::MAX && moment != i64::MIN;
        Ok(i32::try_from(moment / DAY_MICROS).ok().filter(|_| whole).map(lit))
    }

    /// LIKE and NOT LIKE with a pattern that is known and has no escapes.
    pub(super) fn like(&self, func: Oid, text: &Expr, pattern: &Expr) -> SqlResult<Option<DfExpr>> {
        let (Some(negated), Some(pattern)) = (is_like(func), plain_pattern(pattern)) else { return Ok(None) };
        let (text, pattern) = (Box::new(self.expr(text)?), Box::new(lit(pattern)));
        Ok(Some(DfExpr::Like(Like::new(negated, text, pattern, None, false))))
    }
}

/// Whether a comparison is between a date and a timestamp, in which order ever: it cannot fail.
pub(super) fn is_date_and_timestamp(func: Oid, a: PgType, b: PgType) -> bool {
    comparison(func).is_some()
        && matches!((a.oid, b.oid), (oids::DATE, oids::TIMESTAMP) | (oids::TIMESTAMP, oids::DATE))
}
