//! Floating point: overflow and underflow are 22003, division by zero 22012; infinities given stay.

use super::args::body;
use super::call::{ScalarFunction, strict};
use super::int::concat;
use crate::{SqlError, SqlResult};
use shardforge_types::{SqlState, ValueError};

#[cold]
fn overflow() -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: overflow")
}

#[cold]
fn underflow() -> SqlError {
    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: underflow")
}

/// The float types, with what the checks ask of them.
pub(super) trait Float: Copy + PartialEq {
    fn infinite(self) -> bool;
    fn zero(self) -> bool;
    fn nan(self) -> bool;
}
impl Float for f32 {
    fn infinite(self) -> bool {
        self.is_infinite()
    }
    fn zero(self) -> bool {
        self == 0.0
    }
    fn nan(self) -> bool {
        self.is_nan()
    }
}
impl Float for f64 {
    fn infinite(self) -> bool {
        self.is_infinite()
    }
    fn zero(self) -> bool {
        self == 0.0
    }
    fn nan(self) -> bool {
        self.is_nan()
    }
}

/// A result that may be infinite only where an argument was, and zero only where `zero_ok`.
#[inline]
pub(super) fn checked<T: Float>(result: T, infinite_ok: bool, zero_ok: bool) -> SqlResult<T> {
    if result.infinite() && !infinite_ok {
        return Err(overflow());
    }
    if result.zero() && !zero_ok {
        return Err(underflow());
    }
    Ok(result)
}

fn sum<T: Float>(a: T, b: T, result: T) -> SqlResult<T> {
    checked(result, a.infinite() || b.infinite(), true)
}

fn product<T: Float>(a: T, b: T, result: T) -> SqlResult<T> {
    checked(result, a.infinite() || b.infinite(), a.zero() || b.zero())
}

fn quotient<T: Float>(a: T, b: T, result: T) -> SqlResult<T> {
    if b.zero() && !a.nan() {
        return Err(ValueError::division_by_zero().into());
    }
    checked(result, a.infinite(), a.zero() || b.infinite())
}

macro_rules! arithmetic {
    ($name:literal, $a:ty, $b:ty => $to:ty; $pl:literal $mi:literal $mul:literal $div:literal) => {
        [
            strict(
                $pl,
                concat!($name, "pl"),
                body!(|a: $a, b: $b| {
                    let (a, b) = (<$to>::from(a), <$to>::from(b));
                    sum(a, b, a + b)
                }),
            ),
            strict(
                $mi,
                concat!($name, "mi"),
                body!(|a: $a, b: $b| {
                    let (a, b) = (<$to>::from(a), <$to>::from(b));
                    sum(a, b, a - b)
                }),
            ),
            strict(
                $mul,
                concat!($name, "mul"),
                body!(|a: $a, b: $b| {
                    let (a, b) = (<$to>::from(a), <$to>::from(b));
                    product(a, b, a * b)
                }),
            ),
            strict(
                $div,
                concat!($name, "div"),
                body!(|a: $a, b: $b| {
                    let (a, b) = (<$to>::from(a), <$to>::from(b));
                    quotient(a, b, a / b)
                }),
            ),
        ]
    };
}

const ARITHMETIC: [[ScalarFunction; 4]; 4] = [
    arithmetic!("float4", f32, f32 => f32; 204 205 202 203),
    arithmetic!("float8", f64, f64 => f64; 218 219 216 217),
    arithmetic!("float48", f32, f64 => f64; 281 282 279 280),
    arithmetic!("float84", f64, f32 => f64; 285 286 283 284),
];

const UNARY: [ScalarFunction; 8] = [
    strict(206, "float4um", body!(|a: f32| -a)),
    strict(220, "float8um", body!(|a: f64| -a)),
    strict(1913, "float4up", body!(|a: f32| a)),
    strict(1914, "float8up", body!(|a: f64| a)),
    strict(207, "float4abs", body!(|a: f32| a.abs())),
    strict(221, "float8abs", body!(|a: f64| a.abs())),
    strict(1394, "abs", body!(|a: f32| a.abs())),
    strict(1395, "abs", body!(|a: f64| a.abs())),
];

/// The functions of this file.
pub(super) const FUNCTIONS: &[ScalarFunction] =
    &concat::<{ 4 * 4 + 8 }>(&[ARITHMETIC.as_flattened(), &UNARY]);
