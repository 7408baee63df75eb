//! Arithmetic of decimals, with PostgreSQL's results: a sum has the larger scale, a product the scales' sum.
//!
//! `NaN` is [`NAN`], and makes what it touches `NaN`. A result that has more than 38 digits is
//! [`too_large`]: nothing wraps.

use crate::exact::too_large;
use crate::physical::{DIGITS, LIMIT, NAN};
use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, Scalar, new_null_array};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Date32Type, Decimal128Type, Int32Type};
use datafusion::error::Result;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::scalar::ScalarValue;
use std::sync::Arc;

/// What is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum DecimalOp {
    Add,
    Sub,
    Mul,
    /// The same value with so many digits more after the point.
    Rescale(u8),
    /// The year of a date.
    Year,
}

/// The function.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Decimals {
    op: DecimalOp,
    scale: u8,
    signature: Signature,
}

/// A call; operands of a sum or a difference have the result's scale.
pub(crate) fn decimal_op(op: DecimalOp, scale: u8, args: Vec<Expr>) -> Expr {
    let function = Decimals { op, scale, signature: Signature::any(args.len(), Volatility::Immutable) };
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(ScalarUDF::new_from_impl(function)), args))
}

/// Ten to so many.
pub(crate) fn power_of_ten(digits: u8) -> i128 {
    10i128.pow(u32::from(digits))
}

/// One result by the careful way.
fn careful(op: DecimalOp, a: i128, b: i128) -> Option<i128> {
    if a == NAN || b == NAN {
        return Some(NAN);
    }
    let value = match op {
        DecimalOp::Add => a.checked_add(b),
        DecimalOp::Sub => a.checked_sub(b),
        _ => a.checked_mul(b),
    }?;
    (value.unsigned_abs() < LIMIT.unsigned_abs()).then_some(value)
}

/// Whether all values fit 64 bits: no product of two such, and no sum, can be too large.
fn all_small(values: &[i128]) -> bool {
    values.iter().fold(true, |small, value| small & (i128::from(*value as i64) == *value))
}

/// The values of an operand, one or as many as there are rows.
struct Operand {
    values: Decimal128Array,
    one: bool,
}

impl Operand {
    fn new(value: &ColumnarValue, ty: &DataType) -> Result<Self> {
        let (array, one): (ArrayRef, bool) = match value {
            ColumnarValue::Array(array) => (array.clone(), false),
            ColumnarValue::Scalar(value) => (value.to_array()?, true),
        };
        // The optimizer asks what becomes of nulls without a type.
        let array =
            if *array.data_type() == DataType::Null { new_null_array(ty, array.len()) } else { array };
        Ok(Self { values: array.as_primitive::<Decimal128Type>().clone(), one })
    }

    fn nulls(&self, rows: usize) -> Option<NullBuffer> {
        match self.one {
            true => self.values.is_null(0).then(|| NullBuffer::new_null(rows)),
            false => self.values.nulls().cloned(),
        }
    }
}

fn binary(op: DecimalOp, a: &Operand, b: &Operand, rows: usize) -> Result<Decimal128Array> {
    let nulls = NullBuffer::union(a.nulls(rows).as_ref(), b.nulls(rows).as_ref());
    let (x, y) = (&a.values.values()[..], &b.values.values()[..]);
    let at = |operand: &Operand, index: usize| if operand.one { 0 } else { index };
    let values: Vec<i128> = if all_small(x) && all_small(y) {
        macro_rules! quick {
            ($f:expr) => {{
                let f = $f;
                match (a.one, b.one) {
                    (false, false) => x.iter().zip(y).map(|(x, y)| f(*x as i64, *y as i64)).collect(),
                    (false, true) => x.iter().map(|x| f(*x as i64, y[0] as i64)).collect(),
                    (true, false) => y.iter().map(|y| f(x[0] as i64, *y as i64)).collect(),
                    (true, true) => vec![f(x[0] as i64, y[0] as i64); rows],
                }
            }};
        }
        match op {
            DecimalOp::Add => quick!(|x: i64, y: i64| i128::from(x) + i128::from(y)),
            DecimalOp::Sub => quick!(|x: i64, y: i64| i128::from(x) - i128::from(y)),
            _ => quick!(|x: i64, y: i64| i128::from(x) * i128::from(y)),
        }
    } else {
        (0..rows)
            .map(|index| {
                if nulls.as_ref().is_some_and(|nulls| nulls.is_null(index)) {
                    return Some(0);
                }
                careful(op, x[at(a, index)], y[at(b, index)])
            })
            .collect::<Option<Vec<i128>>>()
            .ok_or_else(too_large)?
    };
    Ok(Decimal128Array::new(values.into(), nulls))
}

/// Days from 1970 to 2000, and the two infinities.
const EPOCH_DAYS: i32 = 10_957;
const INFINITE: [i32; 2] = [i32::MIN, i32::MAX];

/// The year of a day, counted from 2000-01-01; years before 1 are -1, -2, ...
fn year_of(day: i32) -> i128 {
    // Days from 0000-03-01, in eras of 400 years (the civil calendar's inverse).
    let days = i64::from(day) + i64::from(EPOCH_DAYS) + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let day_of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let year = year_of_era + era * 400 + i64::from(day_of_year >= 306);
    i128::from(if year <= 0 { year - 1 } else { year })
}

fn years(array: &dyn Array) -> Result<Decimal128Array> {
    let days = match array.data_type() {
        DataType::Date32 => array.as_primitive::<Date32Type>().values().clone(),
        _ => array.as_primitive::<Int32Type>().values().clone(),
    };
    let valid = |index: usize| array.is_valid(index);
    if days.iter().enumerate().any(|(index, day)| INFINITE.contains(day) && valid(index)) {
        return Err(too_large());
    }
    let values: Vec<i128> = days.iter().map(|day| year_of(*day)).collect();
    Ok(Decimal128Array::new(values.into(), array.nulls().cloned()))
}

impl ScalarUDFImpl for Decimals {
    fn name(&self) -> &str {
        match self.op {
            DecimalOp::Add => "decimal_add",
            DecimalOp::Sub => "decimal_sub",
            DecimalOp::Mul => "decimal_mul",
            DecimalOp::Rescale(_) => "decimal_rescale",
            DecimalOp::Year => "decimal_year",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Decimal128(DIGITS, self.scale as i8))
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let ty = self.return_type(&[])?;
        let scalar = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if scalar { 1 } else { args.number_rows };
        let out = match self.op {
            DecimalOp::Year => {
                let array = args.args[0].to_array(rows)?;
                if *array.data_type() == DataType::Null {
                    return Ok(ColumnarValue::Array(new_null_array(&ty, rows)));
                }
                years(&array)?
            }
            DecimalOp::Rescale(by) => {
                let factor = Decimal128Array::from(vec![power_of_ten(by)]);
                let factor = Operand { values: Scalar::new(factor).into_inner(), one: true };
                binary(DecimalOp::Mul, &Operand::new(&args.args[0], &ty)?, &factor, rows)?
            }
            op => binary(op, &Operand::new(&args.args[0], &ty)?, &Operand::new(&args.args[1], &ty)?, rows)?,
        };
        let out: ArrayRef = Arc::new(out.with_data_type(ty));
        Ok(match scalar {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&out, 0)?),
            false => ColumnarValue::Array(out),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(op: DecimalOp, a: &[i128], b: &[i128]) -> Option<Vec<i128>> {
        let operand = |values: &[i128]| Operand { values: values.to_vec().into(), one: false };
        binary(op, &operand(a), &operand(b), a.len()).ok().map(|out| out.values().to_vec())
    }

    #[test]
    fn nothing_wraps_and_nan_stays() {
        let big = LIMIT - 1;
        let cases = [
            (DecimalOp::Add, 1, 2, Some(3)),
            (DecimalOp::Sub, 1, 2, Some(-1)),
            (
                DecimalOp::Mul,
                i128::from(i64::MAX),
                i128::from(i64::MIN),
                Some(i128::from(i64::MAX) * i128::from(i64::MIN)),
            ),
            (DecimalOp::Add, big, 0, Some(big)),
            (DecimalOp::Add, big, 1, None),
            (DecimalOp::Sub, -big, 1, None),
            (DecimalOp::Mul, big, 10, None),
            (DecimalOp::Mul, big, big, None),
            (DecimalOp::Mul, NAN, 0, Some(NAN)),
            (DecimalOp::Sub, NAN, NAN, Some(NAN)),
            (DecimalOp::Add, -big, NAN, Some(NAN)),
        ];
        for (op, a, b, expected) in cases {
            assert_eq!(run(op, &[a], &[b]), expected.map(|value| vec![value]), "{op:?} {a} {b}");
        }
    }

    #[test]
    fn years_of_days_around_the_ends_of_years() {
        // select date 'x' - date '2000-01-01', extract(year from date 'x')
        let cases = [
            (0, 2000),
            (-1, 1999),
            (365, 2000),
            (366, 2001),
            (59, 2000),
            (-730_119, 1),
            (-730_120, -1),
            (-730_486, -2),
            (-36_524, 1900),
            (-36_525, 1899),
            (2_921_939, 9999),
            (2_921_940, 10_000),
        ];
        for (day, year) in cases {
            assert_eq!(year_of(day), year, "{day}");
        }
    }
}
