//! From and to text, integers and floats.

use super::{Decimal, Kind, MAX_SCALE, Numeric, Repr, magnitude::Magnitude, overflow};
use crate::ValueError;
use crate::sqlstate::SqlState;
use smallvec::SmallVec;
use std::fmt;
use std::str::FromStr;

/// Digits that a `u128` accumulates without a check.
const FAST_DIGITS: usize = 38;

impl FromStr for Numeric {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let bytes = text.trim_matches(is_space).as_bytes();
        match parse(bytes) {
            Parsed::Value(value) => Ok(value),
            Parsed::Overflow => Err(overflow()),
            Parsed::Bad => special(bytes).ok_or_else(|| ValueError::invalid_syntax("numeric", text)),
        }
    }
}

/// What C's `isspace` calls a space.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t'..='\r')
}

fn special(bytes: &[u8]) -> Option<Numeric> {
    let is = |word: &str| bytes.eq_ignore_ascii_case(word.as_bytes());
    if is("nan") {
        Some(Numeric::NAN)
    } else if is("infinity") || is("+infinity") || is("inf") || is("+inf") {
        Some(Numeric::INFINITY)
    } else if is("-infinity") || is("-inf") {
        Some(Numeric::NEG_INFINITY)
    } else {
        None
    }
}

enum Parsed {
    Value(Numeric),
    Overflow,
    Bad,
}

/// `[+-] digits [. digits] [e [+-] digits]`, with a digit on at least one side of the point.
fn parse(bytes: &[u8]) -> Parsed {
    let (negative, rest) = match bytes {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let digits = |from: &[u8]| from.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (whole, rest) = rest.split_at(digits(rest));
    let (fraction, rest) = match rest {
        [b'.', rest @ ..] => rest.split_at(digits(rest)),
        rest => (&rest[..0], rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return Parsed::Bad;
    }
    let exponent = match rest {
        [] => 0,
        [b'e' | b'E', rest @ ..] => match parse_exponent(rest) {
            Some(exponent) => exponent,
            None => return Parsed::Bad,
        },
        _ => return Parsed::Bad,
    };
    if exponent.abs() >= i64::from(i32::MAX / 2) {
        return Parsed::Overflow;
    }
    let scale = (fraction.len() as i64 - exponent).max(0);
    let zeros_added = (exponent - fraction.len() as i64).max(0) as usize;
    if scale > i64::from(MAX_SCALE) {
        return Parsed::Overflow;
    }
    let scale = scale as u16;
    if whole.len() + fraction.len() + zeros_added <= FAST_DIGITS {
        let all = whole.iter().chain(fraction);
        let mut unscaled = all.fold(0u128, |value, digit| value * 10 + u128::from(digit - b'0'));
        unscaled *= 10u128.pow(zeros_added as u32);
        if let Ok(value) = i128::try_from(unscaled) {
            return Parsed::Value(Numeric::from_unscaled(if negative { -value } else { value }, scale));
        }
    }
    let magnitude = Magnitude::from_digits(&[whole, fraction].concat());
    if magnitude.is_zero() {
        return Parsed::Value(Numeric::from_unscaled(0, scale));
    }
    if magnitude.digit_count() + zeros_added > super::MAX_WHOLE_DIGITS + usize::from(scale) {
        return Parsed::Overflow;
    }
    let decimal = Decimal::new(negative, magnitude.mul_pow10(zeros_added), usize::from(scale));
    decimal.finish().map_or(Parsed::Overflow, Parsed::Value)
}

/// The exponent, held within what never fits when it is longer than that.
fn parse_exponent(bytes: &[u8]) -> Option<i64> {
    let (sign, digits) = match bytes {
        [b'-', rest @ ..] => (-1, rest),
        [b'+', rest @ ..] => (1, rest),
        rest => (1, rest),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value = digits.iter().fold(0i64, |value, digit| (value * 10 + i64::from(digit - b'0')).min(1 << 40));
    Some(sign * value)
}

impl Numeric {
    /// Calls `write` with the ASCII text of the value.
    pub fn with_text<R>(&self, write: impl FnOnce(&[u8]) -> R) -> R {
        let mut out: SmallVec<[u8; 64]> = SmallVec::new();
        match &self.0 {
            Repr::NaN => return write(b"NaN"),
            Repr::Infinity => return write(b"Infinity"),
            Repr::NegativeInfinity => return write(b"-Infinity"),
            Repr::Small { scale, .. } => {
                let (unscaled, _) = self.as_unscaled().expect("it is small");
                let mut digits = [0u8; 40];
                let start = write_digits(unscaled.unsigned_abs(), &mut digits);
                point(&mut out, unscaled < 0, &digits[start..], usize::from(*scale));
            }
            Repr::Big(big) => {
                let mut digits = Vec::with_capacity(big.magnitude.digit_count());
                big.magnitude.push_digits(&mut digits);
                point(&mut out, big.negative, &digits, usize::from(big.scale));
            }
        }
        write(&out)
    }

    /// The value as a `smallint`, rounded half away from zero.
    pub fn to_i16(&self) -> Result<i16, ValueError> {
        self.to_integer("smallint")?.try_into().map_err(|_| ValueError::type_out_of_range("smallint"))
    }

    /// The value as an `integer`, rounded half away from zero.
    pub fn to_i32(&self) -> Result<i32, ValueError> {
        self.to_integer("integer")?.try_into().map_err(|_| ValueError::type_out_of_range("integer"))
    }

    /// The value as a `bigint`, rounded half away from zero.
    pub fn to_i64(&self) -> Result<i64, ValueError> {
        self.to_integer("bigint")?.try_into().map_err(|_| ValueError::type_out_of_range("bigint"))
    }

    fn to_integer(&self, type_name: &str) -> Result<i128, ValueError> {
        let what = match self.kind() {
            Kind::Finite => {
                let whole = self.round(0)?;
                let whole = whole.as_unscaled().map(|(whole, _)| whole);
                return whole.ok_or_else(|| ValueError::type_out_of_range(type_name));
            }
            Kind::NaN => "NaN",
            Kind::Infinity | Kind::NegativeInfinity => "infinity",
        };
        Err(ValueError::not_supported(format!("cannot convert {what} to {type_name}")))
    }

    /// The nearest `double precision`.
    pub fn to_f64(&self) -> Result<f64, ValueError> {
        if let Some((unscaled, scale)) = self.as_unscaled()
            && unscaled.unsigned_abs() < 1 << 53
            && scale <= 22
        {
            // Both are exact as floats, so one division rounds once.
            return Ok(unscaled as f64 / 10f64.powi(i32::from(scale)));
        }
        let value: f64 = self.with_text(float_of_text)?;
        if self.is_finite() && (value.is_infinite() || (value == 0.0 && !self.is_zero())) {
            return Err(self.float_range("double precision"));
        }
        Ok(value)
    }

    /// The nearest `real`.
    pub fn to_f32(&self) -> Result<f32, ValueError> {
        let value: f32 = self.with_text(float_of_text)?;
        if self.is_finite() && (value.is_infinite() || (value == 0.0 && !self.is_zero())) {
            return Err(self.float_range("real"));
        }
        Ok(value)
    }

    fn float_range(&self, type_name: &str) -> ValueError {
        ValueError::new(
            SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
            format!("\"{self}\" is out of range for type {type_name}"),
        )
    }

    /// The value of a `double precision`, by its first 15 digits.
    pub fn from_f64(value: f64) -> Numeric {
        from_float(value, 14)
    }

    /// The value of a `real`, by its first 6 digits.
    pub fn from_f32(value: f32) -> Numeric {
        from_float(f64::from(value), 5)
    }
}

fn float_of_text<F: FromStr>(text: &[u8]) -> Result<F, ValueError> {
    let parsed = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    parsed.ok_or_else(|| ValueError::internal("a numeric's text is no float"))
}

fn from_float(value: f64, digits_after_first: usize) -> Numeric {
    if value.is_nan() {
        return Numeric::NAN;
    }
    if value.is_infinite() {
        return if value > 0.0 { Numeric::INFINITY } else { Numeric::NEG_INFINITY };
    }
    let text = format!("{value:.digits_after_first$e}");
    let (mantissa, exponent) = text.split_once('e').expect("the format writes an exponent");
    let mantissa = mantissa.trim_end_matches('0').trim_end_matches('.');
    match parse(format!("{mantissa}e{exponent}").as_bytes()) {
        Parsed::Value(value) => value,
        Parsed::Overflow | Parsed::Bad => unreachable!("a float has at most 309 digits before the point"),
    }
}

/// Writes decimal digits at the end of the buffer and returns where they start; none for zero.
fn write_digits(mut value: u128, buffer: &mut [u8; 40]) -> usize {
    const CHUNK: u128 = 10_000_000_000_000_000_000;
    let mut at = buffer.len();
    while value > 0 {
        let (mut low, high) = ((value % CHUNK) as u64, value / CHUNK);
        let stop = if high > 0 { at - 19 } else { 0 };
        while (high > 0 && at > stop) || (high == 0 && low > 0) {
            at -= 1;
            buffer[at] = b'0' + (low % 10) as u8;
            low /= 10;
        }
        value = high;
    }
    at
}

/// Puts sign and point to digits, and the zeros that belong before and after them.
fn point(out: &mut SmallVec<[u8; 64]>, negative: bool, digits: &[u8], scale: usize) {
    if negative {
        out.push(b'-');
    }
    match digits.len().checked_sub(scale) {
        None | Some(0) => out.push(b'0'),
        Some(whole) => out.extend_from_slice(&digits[..whole]),
    }
    if scale > 0 {
        out.push(b'.');
        let fraction = &digits[digits.len().saturating_sub(scale)..];
        out.resize(out.len() + scale - fraction.len(), b'0');
        out.extend_from_slice(fraction);
    }
}

impl fmt::Display for Numeric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with_text(|text| f.write_str(std::str::from_utf8(text).expect("digits are ASCII")))
    }
}

impl fmt::Debug for Numeric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

macro_rules! from_integers {
    ($($int:ty),*) => {
        $(impl From<$int> for Numeric {
            fn from(value: $int) -> Self {
                Numeric::from_unscaled(i128::from(value), 0)
            }
        })*
    };
}

from_integers!(i16, i32, i64, u32, u64, i128);
