//! Arithmetic and functions of `numeric`.

use super::args::body;
use super::call::{ScalarFunction, strict};
use crate::{SqlError, SqlResult};
use shardforge_types::{Numeric, SqlState, ValueError};
use std::cmp::Ordering;

/// The greatest argument of `n!` whose value is a numeric.
const MAX_FACTORIAL: i64 = 32177;

fn factorial(n: i64) -> SqlResult<Numeric> {
    let refuse = |message| Err(SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, message));
    if n < 0 {
        return refuse("factorial of a negative number is undefined");
    }
    if n > MAX_FACTORIAL {
        return refuse("value overflows numeric format");
    }
    let mut product = Numeric::from(1i64);
    for factor in 2..=n {
        product = product.mul(&Numeric::from(factor))?;
    }
    Ok(product)
}

fn gcd(a: &Numeric, b: &Numeric) -> Result<Numeric, ValueError> {
    if !a.is_finite() || !b.is_finite() {
        return Ok(Numeric::NAN);
    }
    let (mut a, mut b) = (a.abs(), b.abs());
    while !b.is_zero() {
        (a, b) = (b.clone(), a.rem(&b)?);
    }
    // The result shows as many digits as the operand that shows most.
    Ok(a)
}

fn lcm(a: &Numeric, b: &Numeric) -> Result<Numeric, ValueError> {
    if a.is_zero() || b.is_zero() {
        return Numeric::from(0i64).round(i32::from(a.scale().max(b.scale())));
    }
    let divisor = gcd(a, b)?;
    Ok(a.div_trunc(&divisor)?.mul(b)?.abs())
}

fn width_bucket(operand: &Numeric, low: &Numeric, high: &Numeric, count: i32) -> SqlResult<i32> {
    let refuse =
        |message: &str| Err(SqlError::new(SqlState::INVALID_ARGUMENT_FOR_WIDTH_BUCKET_FUNCTION, message));
    if count <= 0 {
        return refuse("count must be greater than zero");
    }
    if operand.is_nan() || low.is_nan() || high.is_nan() {
        return refuse("operand, lower bound, and upper bound cannot be NaN");
    }
    if !low.is_finite() || !high.is_finite() {
        return refuse("lower and upper bounds must be finite");
    }
    let (before, beyond, distance, width) = match low.cmp(high) {
        Ordering::Less => (operand < low, operand >= high, operand.sub(low)?, high.sub(low)?),
        Ordering::Greater => (operand > low, operand <= high, low.sub(operand)?, low.sub(high)?),
        Ordering::Equal => return refuse("lower bound cannot equal upper bound"),
    };
    if before {
        return Ok(0);
    }
    if beyond {
        return super::int::in_range(count.checked_add(1));
    }
    Ok(distance.mul(&Numeric::from(count))?.div(&width)?.floor()?.to_i32()? + 1)
}

/// The scale of a value; null for NaN and the infinities.
fn scale_of(a: &Numeric, of: fn(&Numeric) -> u16) -> Option<i32> {
    a.is_finite().then(|| i32::from(of(a)))
}

/// The functions of this file.
pub(super) const FUNCTIONS: &[ScalarFunction] = &[
    strict(1724, "numeric_add", body!(|a: &Numeric, b: &Numeric| a.add(b))),
    strict(1725, "numeric_sub", body!(|a: &Numeric, b: &Numeric| a.sub(b))),
    strict(1726, "numeric_mul", body!(|a: &Numeric, b: &Numeric| a.mul(b))),
    strict(1727, "numeric_div", body!(|a: &Numeric, b: &Numeric| a.div(b))),
    strict(1728, "mod", body!(|a: &Numeric, b: &Numeric| a.rem(b))),
    strict(1729, "numeric_mod", body!(|a: &Numeric, b: &Numeric| a.rem(b))),
    strict(1973, "div", body!(|a: &Numeric, b: &Numeric| a.div_trunc(b))),
    strict(1980, "numeric_div_trunc", body!(|a: &Numeric, b: &Numeric| a.div_trunc(b))),
    strict(1738, "pow", body!(|a: &Numeric, b: &Numeric| a.power(b))),
    strict(1739, "numeric_power", body!(|a: &Numeric, b: &Numeric| a.power(b))),
    strict(2169, "power", body!(|a: &Numeric, b: &Numeric| a.power(b))),
    strict(1730, "sqrt", body!(|a: &Numeric| a.sqrt())),
    strict(1731, "numeric_sqrt", body!(|a: &Numeric| a.sqrt())),
    strict(1732, "exp", body!(|a: &Numeric| a.exp())),
    strict(1733, "numeric_exp", body!(|a: &Numeric| a.exp())),
    strict(1734, "ln", body!(|a: &Numeric| a.ln())),
    strict(1735, "numeric_ln", body!(|a: &Numeric| a.ln())),
    strict(1736, "log", body!(|base: &Numeric, a: &Numeric| a.log(base))),
    strict(1737, "numeric_log", body!(|base: &Numeric, a: &Numeric| a.log(base))),
    strict(1741, "log", body!(|a: &Numeric| a.log(&Numeric::from(10i64)))),
    strict(1481, "log10", body!(|a: &Numeric| a.log(&Numeric::from(10i64)))),
    strict(1704, "numeric_abs", body!(|a: &Numeric| a.abs())),
    strict(1705, "abs", body!(|a: &Numeric| a.abs())),
    strict(1706, "sign", body!(|a: &Numeric| a.sign())),
    strict(1707, "round", body!(|a: &Numeric, scale: i32| a.round(scale))),
    strict(1708, "round", body!(|a: &Numeric| a.round(0))),
    strict(1709, "trunc", body!(|a: &Numeric, scale: i32| a.trunc(scale))),
    strict(1710, "trunc", body!(|a: &Numeric| a.trunc(0))),
    strict(1711, "ceil", body!(|a: &Numeric| a.ceil())),
    strict(2167, "ceiling", body!(|a: &Numeric| a.ceil())),
    strict(1712, "floor", body!(|a: &Numeric| a.floor())),
    strict(1771, "numeric_uminus", body!(|a: &Numeric| a.neg())),
    strict(1915, "numeric_uplus", body!(|a: &Numeric| a.clone())),
    strict(1764, "numeric_inc", body!(|a: &Numeric| a.add(&Numeric::from(1i64)))),
    strict(1766, "numeric_smaller", body!(|a: &Numeric, b: &Numeric| a.min(b).clone())),
    strict(1767, "numeric_larger", body!(|a: &Numeric, b: &Numeric| a.max(b).clone())),
    strict(3281, "scale", body!(|a: &Numeric| scale_of(a, Numeric::scale))),
    strict(5042, "min_scale", body!(|a: &Numeric| scale_of(a, Numeric::min_scale))),
    strict(5043, "trim_scale", body!(|a: &Numeric| a.trim_scale())),
    strict(5048, "gcd", body!(|a: &Numeric, b: &Numeric| gcd(a, b))),
    strict(5049, "lcm", body!(|a: &Numeric, b: &Numeric| lcm(a, b))),
    strict(1376, "factorial", body!(|n: i64| factorial(n))),
    strict(
        2170,
        "width_bucket",
        body!(|a: &Numeric, low: &Numeric, high: &Numeric, count: i32| width_bucket(a, low, high, count)),
    ),
];
