//! Mathematical functions of `double precision`.

use super::args::body;
use super::call::{ScalarFunction, strict, volatile};
use super::compare::order_f64;
use super::float::checked;
use crate::{SqlError, SqlResult};
use shardforge_types::SqlState;

#[cold]
fn input_out_of_range() -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "input is out of range")
}

fn sqrt(a: f64) -> SqlResult<f64> {
    if a < 0.0 {
        let message = "cannot take square root of a negative number";
        return Err(SqlError::new(SqlState::INVALID_ARGUMENT_FOR_POWER_FUNCTION, message));
    }
    checked(a.sqrt(), a.is_infinite(), a == 0.0)
}

fn power(a: f64, b: f64) -> SqlResult<f64> {
    let refuse = |message: &str| Err(SqlError::new(SqlState::INVALID_ARGUMENT_FOR_POWER_FUNCTION, message));
    if a.is_nan() || b.is_nan() {
        return Ok(if b == 0.0 || a == 1.0 { 1.0 } else { f64::NAN });
    }
    if a == 0.0 && b < 0.0 {
        return refuse("zero raised to a negative power is undefined");
    }
    if a < 0.0 && b.floor() != b {
        return refuse("a negative number raised to a non-integer power yields a complex result");
    }
    let infinite = a.is_infinite() || b.is_infinite();
    checked(a.powf(b), infinite, a == 0.0 || infinite)
}

fn exp(a: f64) -> SqlResult<f64> {
    checked(a.exp(), a.is_infinite(), a.is_infinite())
}

fn log(a: f64, of: fn(f64) -> f64) -> SqlResult<f64> {
    if a <= 0.0 {
        let what = if a == 0.0 { "zero" } else { "a negative number" };
        let message = format!("cannot take logarithm of {what}");
        return Err(SqlError::new(SqlState::INVALID_ARGUMENT_FOR_LOG, message));
    }
    checked(of(a), a.is_infinite(), a == 1.0)
}

/// A function that has no value at the infinities.
fn finite(a: f64, of: fn(f64) -> f64) -> SqlResult<f64> {
    if a.is_infinite() { Err(input_out_of_range()) } else { Ok(of(a)) }
}

/// A function of `[-1, 1]`.
fn unit(a: f64, of: fn(f64) -> f64) -> SqlResult<f64> {
    if a.abs() > 1.0 { Err(input_out_of_range()) } else { Ok(of(a)) }
}

fn sign(a: f64) -> f64 {
    if a > 0.0 {
        1.0
    } else if a < 0.0 {
        -1.0
    } else {
        0.0
    }
}

/// The value of a function of degrees where it is exact: whole degrees within a turn, unsigned.
fn exact(degrees: f64, values: &[(u16, f64)]) -> Option<f64> {
    values.iter().find(|(at, _)| f64::from(*at) == degrees).map(|(_, value)| *value)
}

/// Sine of degrees, exact where the result is.
fn sin_degrees(a: f64) -> f64 {
    const EXACT: &[(u16, f64)] =
        &[(0, 0.0), (30, 0.5), (90, 1.0), (150, 0.5), (180, 0.0), (210, -0.5), (270, -1.0), (330, -0.5)];
    let reduced = a % 360.0;
    match exact(reduced.abs(), EXACT) {
        Some(0.0) => 0.0,
        Some(value) => value * reduced.signum(),
        None => reduced.to_radians().sin(),
    }
}

/// Cosine of degrees, exact where the result is.
fn cos_degrees(a: f64) -> f64 {
    const EXACT: &[(u16, f64)] =
        &[(0, 1.0), (60, 0.5), (90, 0.0), (120, -0.5), (180, -1.0), (240, -0.5), (270, 0.0), (300, 0.5)];
    let reduced = (a % 360.0).abs();
    exact(reduced, EXACT).unwrap_or_else(|| reduced.to_radians().cos())
}

fn tan_degrees(a: f64) -> f64 {
    let reduced = a % 180.0;
    match exact(reduced.abs(), &[(45, 1.0), (135, -1.0)]) {
        Some(value) => value * reduced.signum(),
        None => sin_degrees(a) / cos_degrees(a),
    }
}

/// Zero has no sign in what `tand` and `cotd` give.
fn unsigned_zero(a: f64) -> f64 {
    if a == 0.0 { 0.0 } else { a }
}

fn width_bucket(operand: f64, low: f64, high: f64, count: i32) -> SqlResult<i32> {
    let refuse =
        |message: &str| Err(SqlError::new(SqlState::INVALID_ARGUMENT_FOR_WIDTH_BUCKET_FUNCTION, message));
    if count <= 0 {
        return refuse("count must be greater than zero");
    }
    if operand.is_nan() || low.is_nan() || high.is_nan() {
        return refuse("operand, lower bound, and upper bound cannot be NaN");
    }
    if low.is_infinite() || high.is_infinite() {
        return refuse("lower and upper bounds must be finite");
    }
    let above = || super::int::in_range(count.checked_add(1));
    let inside = |distance: f64| Ok((distance * f64::from(count)) as i32 + 1);
    match order_f64(low, high) {
        std::cmp::Ordering::Less if operand < low => Ok(0),
        std::cmp::Ordering::Less if operand >= high => above(),
        std::cmp::Ordering::Less => inside((operand / 2.0 - low / 2.0) / (high / 2.0 - low / 2.0)),
        std::cmp::Ordering::Greater if operand > low => Ok(0),
        std::cmp::Ordering::Greater if operand <= high => above(),
        std::cmp::Ordering::Greater => inside((low / 2.0 - operand / 2.0) / (low / 2.0 - high / 2.0)),
        std::cmp::Ordering::Equal => refuse("lower bound cannot equal upper bound"),
    }
}

/// The functions of this file.
pub(super) const FUNCTIONS: &[ScalarFunction] = &[
    strict(228, "dround", body!(|a: f64| a.round_ties_even())),
    strict(1342, "round", body!(|a: f64| a.round_ties_even())),
    strict(229, "dtrunc", body!(|a: f64| a.trunc())),
    strict(1343, "trunc", body!(|a: f64| a.trunc())),
    strict(2308, "ceil", body!(|a: f64| a.ceil())),
    strict(2320, "ceiling", body!(|a: f64| a.ceil())),
    strict(2309, "floor", body!(|a: f64| a.floor())),
    strict(2310, "sign", body!(|a: f64| sign(a))),
    strict(230, "dsqrt", body!(|a: f64| sqrt(a))),
    strict(1344, "sqrt", body!(|a: f64| sqrt(a))),
    strict(231, "dcbrt", body!(|a: f64| a.cbrt())),
    strict(1345, "cbrt", body!(|a: f64| a.cbrt())),
    strict(232, "dpow", body!(|a: f64, b: f64| power(a, b))),
    strict(1346, "pow", body!(|a: f64, b: f64| power(a, b))),
    strict(1368, "power", body!(|a: f64, b: f64| power(a, b))),
    strict(233, "dexp", body!(|a: f64| exp(a))),
    strict(1347, "exp", body!(|a: f64| exp(a))),
    strict(234, "dlog1", body!(|a: f64| log(a, f64::ln))),
    strict(1341, "ln", body!(|a: f64| log(a, f64::ln))),
    strict(1339, "dlog10", body!(|a: f64| log(a, f64::log10))),
    strict(1340, "log", body!(|a: f64| log(a, f64::log10))),
    strict(1194, "log10", body!(|a: f64| log(a, f64::log10))),
    strict(1600, "asin", body!(|a: f64| unit(a, f64::asin))),
    strict(1601, "acos", body!(|a: f64| unit(a, f64::acos))),
    strict(1602, "atan", body!(|a: f64| a.atan())),
    strict(1603, "atan2", body!(|a: f64, b: f64| a.atan2(b))),
    strict(1604, "sin", body!(|a: f64| finite(a, f64::sin))),
    strict(1605, "cos", body!(|a: f64| finite(a, f64::cos))),
    strict(1606, "tan", body!(|a: f64| finite(a, f64::tan))),
    strict(1607, "cot", body!(|a: f64| finite(a, |a| 1.0 / a.tan()))),
    strict(2462, "sinh", body!(|a: f64| checked(a.sinh(), a.is_infinite(), true))),
    strict(2463, "cosh", body!(|a: f64| checked(a.cosh(), a.is_infinite(), true))),
    strict(2464, "tanh", body!(|a: f64| a.tanh())),
    strict(2465, "asinh", body!(|a: f64| a.asinh())),
    strict(2466, "acosh", body!(|a: f64| if a < 1.0 { Err(input_out_of_range()) } else { Ok(a.acosh()) })),
    strict(2467, "atanh", body!(|a: f64| unit(a, f64::atanh))),
    strict(2735, "sind", body!(|a: f64| finite(a, sin_degrees))),
    strict(2736, "cosd", body!(|a: f64| finite(a, cos_degrees))),
    strict(2737, "tand", body!(|a: f64| finite(a, |a| unsigned_zero(tan_degrees(a))))),
    strict(2738, "cotd", body!(|a: f64| finite(a, |a| unsigned_zero(1.0 / tan_degrees(a))))),
    strict(1608, "degrees", body!(|a: f64| checked(a.to_degrees(), a.is_infinite(), true))),
    strict(1609, "radians", body!(|a: f64| a.to_radians())),
    strict(1610, "pi", body!(|| std::f64::consts::PI)),
    strict(
        320,
        "width_bucket",
        body!(|a: f64, low: f64, high: f64, count: i32| width_bucket(a, low, high, count)),
    ),
    volatile(1598, "random", body!(call | | call.context.session.random.f64())),
];
