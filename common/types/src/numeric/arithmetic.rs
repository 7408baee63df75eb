//! The four operations, remainder and rounding, with the display scales that PostgreSQL gives.

use super::{Decimal, Kind, MAX_SCALE, MAX_WHOLE_DIGITS, Numeric, Repr, magnitude::Magnitude, pow10};
use crate::ValueError;
use std::cmp::Ordering;

/// Significant digits that a quotient, a root or a power has at least.
pub(super) const MIN_SIGNIFICANT_DIGITS: i64 = 16;
/// Digits after the point that a function chooses at most.
pub(super) const MAX_DISPLAY_SCALE: i64 = 1000;
/// Digits after the point that an intermediate result is computed to at most.
pub(super) const MAX_RESULT_SCALE: i64 = 2000;
/// Decimal digits in one of PostgreSQL's digits: it chooses scales by those.
pub(super) const GROUP: i64 = 4;

type Result<T> = std::result::Result<T, ValueError>;

impl Numeric {
    /// The sum.
    pub fn add(&self, other: &Numeric) -> Result<Numeric> {
        if let (Some((a, a_scale)), Some((b, b_scale))) = (self.as_unscaled(), other.as_unscaled())
            && let Some((a, b, scale)) = align(a, a_scale, b, b_scale)
            && let Some(sum) = a.checked_add(b)
        {
            return Ok(Numeric::from_unscaled(sum, scale));
        }
        match (self.kind(), other.kind()) {
            (Kind::Finite, Kind::Finite) => {
                let (a, b) = (self.decimal().expect("finite"), other.decimal().expect("finite"));
                add_decimals(&a, &b).finish()
            }
            (Kind::NaN, _) | (_, Kind::NaN) => Ok(Numeric::NAN),
            (Kind::Infinity, Kind::NegativeInfinity) | (Kind::NegativeInfinity, Kind::Infinity) => {
                Ok(Numeric::NAN)
            }
            (Kind::Finite, _) => Ok(other.clone()),
            _ => Ok(self.clone()),
        }
    }

    /// The difference.
    pub fn sub(&self, other: &Numeric) -> Result<Numeric> {
        self.add(&other.neg())
    }

    /// The value with its sign turned.
    pub fn neg(&self) -> Numeric {
        match &self.0 {
            Repr::Small { scale, .. } => {
                let (unscaled, _) = self.as_unscaled().expect("it is small");
                Numeric::from_unscaled(-unscaled, *scale)
            }
            Repr::Big(big) => {
                let turned = Decimal::new(!big.negative, big.magnitude.clone(), usize::from(big.scale));
                turned.finish().expect("the length is unchanged")
            }
            Repr::NaN => Numeric::NAN,
            Repr::Infinity => Numeric::NEG_INFINITY,
            Repr::NegativeInfinity => Numeric::INFINITY,
        }
    }

    /// The value without its sign.
    pub fn abs(&self) -> Numeric {
        if self.signum() < 0 { self.neg() } else { self.clone() }
    }

    /// -1, 0 or 1 as a value; `NaN` for `NaN`.
    pub fn sign(&self) -> Numeric {
        if self.is_nan() { Numeric::NAN } else { Numeric::from_unscaled(i128::from(self.signum()), 0) }
    }

    /// The product.
    pub fn mul(&self, other: &Numeric) -> Result<Numeric> {
        if let (Some((a, a_scale)), Some((b, b_scale))) = (self.as_unscaled(), other.as_unscaled())
            && let Some(product) = a.checked_mul(b)
            && a_scale + b_scale <= super::MAX_SCALE
        {
            return Ok(Numeric::from_unscaled(product, a_scale + b_scale));
        }
        if let (Some(a), Some(b)) = (self.decimal(), other.decimal()) {
            return mul_decimals(&a, &b).finish();
        }
        if self.is_nan() || other.is_nan() {
            return Ok(Numeric::NAN);
        }
        Ok(match self.signum() * other.signum() {
            0 => Numeric::NAN,
            1 => Numeric::INFINITY,
            _ => Numeric::NEG_INFINITY,
        })
    }

    /// The quotient, at the scale PostgreSQL chooses: at least 16 significant digits.
    pub fn div(&self, other: &Numeric) -> Result<Numeric> {
        if let (Some(a), Some(b)) = (self.decimal(), other.decimal()) {
            if other.is_zero() {
                return Err(ValueError::division_by_zero());
            }
            let scale = quotient_scale(&a, &b);
            return self.div_at(other, scale);
        }
        if self.is_nan() || other.is_nan() {
            return Ok(Numeric::NAN);
        }
        if self.is_finite() {
            return Ok(Numeric::ZERO);
        }
        match (other.is_finite(), self.signum() * other.signum()) {
            (false, _) => Ok(Numeric::NAN),
            (true, 0) => Err(ValueError::division_by_zero()),
            (true, 1) => Ok(Numeric::INFINITY),
            (true, _) => Ok(Numeric::NEG_INFINITY),
        }
    }

    /// The quotient of finite values, rounded half away from zero to `scale` digits.
    fn div_at(&self, other: &Numeric, scale: i64) -> Result<Numeric> {
        if let (Some((a, a_scale)), Some((b, b_scale))) = (self.as_unscaled(), other.as_unscaled()) {
            let shift = scale + i64::from(b_scale) - i64::from(a_scale);
            if let Ok(shift) = u32::try_from(shift)
                && let Some(power) = pow10(shift)
                && let Some(a) = a.checked_mul(power)
            {
                let (quotient, rest) = (a / b, a % b);
                // rest * 2 >= b, without the overflow
                let up = rest.unsigned_abs() >= b.unsigned_abs() - rest.unsigned_abs();
                let step = i128::from(up && rest != 0) * (a.signum() * b.signum());
                if let Some(quotient) = quotient.checked_add(step) {
                    return Ok(Numeric::from_unscaled(quotient, scale as u16));
                }
            }
        }
        let (a, b) = (self.decimal().expect("finite"), other.decimal().expect("finite"));
        div_decimals(&a, &b, scale).finish()
    }

    /// The quotient without its fraction.
    pub fn div_trunc(&self, other: &Numeric) -> Result<Numeric> {
        match (self.decimal(), other.decimal()) {
            (Some(_), Some(_)) if other.is_zero() => Err(ValueError::division_by_zero()),
            (Some(a), Some(b)) => {
                let (a, b, _) = same_scale(&a, &b);
                Decimal::new((self.signum() < 0) != (other.signum() < 0), a.div_rem(&b).0, 0).finish()
            }
            _ => self.div(other),
        }
    }

    /// The remainder, with the sign of `self`.
    pub fn rem(&self, other: &Numeric) -> Result<Numeric> {
        if let (Some((a, a_scale)), Some((b, b_scale))) = (self.as_unscaled(), other.as_unscaled())
            && b != 0
            && let Some((a, b, scale)) = align(a, a_scale, b, b_scale)
        {
            return Ok(Numeric::from_unscaled(a.checked_rem(b).unwrap_or(0), scale));
        }
        if let (Some(a), Some(b)) = (self.decimal(), other.decimal()) {
            if other.is_zero() {
                return Err(ValueError::division_by_zero());
            }
            let (a_magnitude, b_magnitude, scale) = same_scale(&a, &b);
            return Decimal::new(a.negative, a_magnitude.div_rem(&b_magnitude).1, scale).finish();
        }
        if self.is_nan() || other.is_nan() {
            return Ok(Numeric::NAN);
        }
        if self.is_finite() {
            return Ok(self.clone());
        }
        if other.is_zero() { Err(ValueError::division_by_zero()) } else { Ok(Numeric::NAN) }
    }

    /// Rounded half away from zero to exactly this many digits after the point; below zero, to tens,
    /// hundreds and so on.
    pub fn round(&self, scale: i32) -> Result<Numeric> {
        if let Some((unscaled, current)) = self.as_unscaled()
            && let Ok(scale) = u16::try_from(scale)
            && scale <= MAX_SCALE
        {
            if scale == current {
                return Ok(self.clone());
            }
            let power = pow10(u32::from(scale.abs_diff(current)));
            if scale > current {
                if let Some(unscaled) = power.and_then(|power| unscaled.checked_mul(power)) {
                    return Ok(Numeric::from_unscaled(unscaled, scale));
                }
            } else if let Some(power) = power {
                let (quotient, rest) = (unscaled / power, unscaled % power);
                let step = if rest.unsigned_abs() >= (power / 2) as u128 { unscaled.signum() } else { 0 };
                return Ok(Numeric::from_unscaled(quotient + step, scale));
            }
        }
        self.rescaled(scale, |decimal, scale| decimal.rounded(scale))
    }

    /// Cut towards zero to exactly this many digits after the point; below zero, to tens and so on.
    pub fn trunc(&self, scale: i32) -> Result<Numeric> {
        self.rescaled(scale, |decimal, scale| decimal.truncated(scale))
    }

    fn rescaled(&self, scale: i32, how: fn(&Decimal<'_>, i64) -> Decimal<'static>) -> Result<Numeric> {
        match self.decimal() {
            None => Ok(self.clone()),
            Some(decimal) => {
                // One more digit before the point than a value has: the first one may round up to it.
                let least = -(MAX_WHOLE_DIGITS as i64) - 1;
                let scale = i64::from(scale).clamp(least, i64::from(MAX_SCALE));
                how(&decimal, scale).finish()
            }
        }
    }

    /// The least whole number that is not below it.
    pub fn ceil(&self) -> Result<Numeric> {
        let whole = self.trunc(0)?;
        if whole < *self { whole.add(&Numeric::ONE) } else { Ok(whole) }
    }

    /// The greatest whole number that is not above it.
    pub fn floor(&self) -> Result<Numeric> {
        let whole = self.trunc(0)?;
        if whole > *self { whole.sub(&Numeric::ONE) } else { Ok(whole) }
    }

    /// The fewest digits after the point that show the value exactly.
    pub fn min_scale(&self) -> u16 {
        let Some(decimal) = self.decimal() else { return 0 };
        if decimal.magnitude.is_zero() {
            0
        } else {
            decimal.scale.saturating_sub(decimal.magnitude.trailing_zeros()) as u16
        }
    }

    /// The value without zeros at the end of its fraction.
    pub fn trim_scale(&self) -> Numeric {
        match self.decimal() {
            None => self.clone(),
            Some(decimal) => {
                let cut = decimal.truncated(i64::from(self.min_scale()));
                cut.finish().expect("it became shorter")
            }
        }
    }
}

/// Both at the greater scale, when they fit.
fn align(a: i128, a_scale: u16, b: i128, b_scale: u16) -> Option<(i128, i128, u16)> {
    match a_scale.cmp(&b_scale) {
        Ordering::Equal => Some((a, b, a_scale)),
        Ordering::Less => Some((a.checked_mul(pow10(u32::from(b_scale - a_scale))?)?, b, b_scale)),
        Ordering::Greater => Some((a, b.checked_mul(pow10(u32::from(a_scale - b_scale))?)?, a_scale)),
    }
}

/// Both magnitudes at the greater scale.
fn same_scale(a: &Decimal<'_>, b: &Decimal<'_>) -> (Magnitude, Magnitude, usize) {
    let scale = a.scale.max(b.scale);
    (a.magnitude.mul_pow10(scale - a.scale), b.magnitude.mul_pow10(scale - b.scale), scale)
}

pub(super) fn add_decimals(a: &Decimal<'_>, b: &Decimal<'_>) -> Decimal<'static> {
    let (x, y, scale) = same_scale(a, b);
    if a.negative == b.negative {
        return Decimal::new(a.negative, x.add(&y), scale);
    }
    match x.cmp(&y) {
        Ordering::Less => Decimal::new(b.negative, y.sub(&x), scale),
        _ => Decimal::new(a.negative, x.sub(&y), scale),
    }
}

pub(super) fn mul_decimals(a: &Decimal<'_>, b: &Decimal<'_>) -> Decimal<'static> {
    Decimal::new(a.negative != b.negative, a.magnitude.mul(&b.magnitude), a.scale + b.scale)
}

/// The quotient, rounded half away from zero to `scale` digits after the point (not below zero).
pub(super) fn div_decimals(a: &Decimal<'_>, b: &Decimal<'_>, scale: i64) -> Decimal<'static> {
    let shift = scale + b.scale as i64 - a.scale as i64;
    let (x, y) = match usize::try_from(shift) {
        Ok(shift) => (a.magnitude.mul_pow10(shift), b.magnitude.clone().into_owned()),
        Err(_) => (a.magnitude.clone().into_owned(), b.magnitude.mul_pow10(shift.unsigned_abs() as usize)),
    };
    let (mut quotient, rest) = x.div_rem(&y);
    if rest.mul_small(2) >= y {
        quotient = quotient.add(&Magnitude::one());
    }
    Decimal::new(a.negative != b.negative, quotient, scale as usize)
}

/// PostgreSQL's first digit of a value, in base 10000, and the power of 10000 it stands for; zeros for zero.
pub(super) fn first_group(a: &Decimal<'_>) -> (i64, i64) {
    if a.magnitude.is_zero() {
        return (0, 0);
    }
    let weight = a.exponent().div_euclid(GROUP);
    let width = a.exponent().rem_euclid(GROUP) as usize + 1;
    (leading_digits(a, width), weight)
}

/// The first digits of a value that is not zero, with zeros added when it has fewer.
pub(super) fn leading_digits(a: &Decimal<'_>, width: usize) -> i64 {
    let count = a.magnitude.digit_count();
    let head = match count.checked_sub(width) {
        Some(extra) => a.magnitude.div_pow10(extra),
        None => a.magnitude.mul_pow10(width - count),
    };
    head.to_u128().and_then(|head| i64::try_from(head).ok()).expect("callers ask for 18 digits at most")
}

/// The scale of a quotient: enough for 16 significant digits by PostgreSQL's estimate, and never
/// fewer than either operand shows.
pub(super) fn quotient_scale(a: &Decimal<'_>, b: &Decimal<'_>) -> i64 {
    let ((a_first, a_weight), (b_first, b_weight)) = (first_group(a), first_group(b));
    let weight = a_weight - b_weight - i64::from(a_first <= b_first);
    let scale = MIN_SIGNIFICANT_DIGITS - weight * GROUP;
    scale.max(a.scale as i64).max(b.scale as i64).clamp(0, MAX_DISPLAY_SCALE)
}
