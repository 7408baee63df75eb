//! Roots, powers, exponentials and logarithms, at the scales that PostgreSQL chooses.
//!
//! Each is computed in fixed point with digits to spare and rounded once.

use super::arithmetic::{
    GROUP, MAX_DISPLAY_SCALE, MAX_RESULT_SCALE, MIN_SIGNIFICANT_DIGITS, add_decimals, div_decimals,
    first_group, leading_digits, mul_decimals,
};
use super::{Decimal, Kind, Numeric, magnitude::Magnitude, overflow};
use crate::ValueError;
use crate::sqlstate::SqlState;
use std::cmp::Ordering;
use std::f64::consts::LOG10_E;

type Result<T> = std::result::Result<T, ValueError>;

/// Digits computed beyond those asked for.
const GUARD: i64 = 12;

impl Numeric {
    /// The square root.
    pub fn sqrt(&self) -> Result<Numeric> {
        if self.signum() < 0 {
            return Err(ValueError::new(
                SqlState::INVALID_ARGUMENT_FOR_POWER_FUNCTION,
                "cannot take square root of a negative number",
            ));
        }
        let Some(a) = self.decimal() else { return Ok(self.clone()) };
        let (_, weight) = first_group(&a);
        let root_weight = (weight + 1) * GROUP / 2 - 1;
        let scale = display_scale(MIN_SIGNIFICANT_DIGITS - root_weight, &[a.scale]);
        sqrt_at(&a, scale).finish()
    }

    /// e to the power of the value.
    pub fn exp(&self) -> Result<Numeric> {
        let a = match self.kind() {
            Kind::NegativeInfinity => return Ok(Numeric::ZERO),
            Kind::NaN | Kind::Infinity => return Ok(self.clone()),
            Kind::Finite => self.decimal().expect("finite"),
        };
        let weight = approximate(&a) * LOG10_E;
        let weight = weight.clamp(-MAX_RESULT_SCALE as f64, MAX_RESULT_SCALE as f64) as i64;
        let scale = display_scale(MIN_SIGNIFICANT_DIGITS - weight, &[a.scale]);
        exp_at(&a, scale)?.finish()
    }

    /// The natural logarithm.
    pub fn ln(&self) -> Result<Numeric> {
        self.check_logarithm()?;
        let Some(a) = self.decimal() else { return Ok(self.clone()) };
        let scale = display_scale(MIN_SIGNIFICANT_DIGITS - ln_weight(&a), &[a.scale]);
        ln_at(&a, scale).finish()
    }

    /// The logarithm of the value to a base.
    pub fn log(&self, base: &Numeric) -> Result<Numeric> {
        if self.is_nan() || base.is_nan() {
            return Ok(Numeric::NAN);
        }
        base.check_logarithm()?;
        self.check_logarithm()?;
        let (a, b) = match (self.decimal(), base.decimal()) {
            (Some(a), Some(b)) => (a, b),
            (None, None) => return Ok(Numeric::NAN),
            (None, Some(_)) => return Ok(Numeric::INFINITY),
            (Some(_), None) => return Ok(Numeric::ZERO),
        };
        let weight = ln_weight(&a) - ln_weight(&b);
        let scale = display_scale(MIN_SIGNIFICANT_DIGITS - weight, &[a.scale, b.scale]);
        let (ln_a, ln_b) = (
            ln_at(&a, (scale + weight - ln_weight(&a) + 8).max(0)),
            ln_at(&b, (scale + weight - ln_weight(&b) + 8).max(0)),
        );
        if ln_b.magnitude.is_zero() {
            return Err(ValueError::division_by_zero());
        }
        div_decimals(&ln_a, &ln_b, scale).finish()
    }

    fn check_logarithm(&self) -> Result<()> {
        let what = match self.signum() {
            0 => "zero",
            1 => return Ok(()),
            _ => "a negative number",
        };
        Err(ValueError::new(SqlState::INVALID_ARGUMENT_FOR_LOG, format!("cannot take logarithm of {what}")))
    }

    /// Whether it is a whole number; infinities count as one.
    pub fn is_integral(&self) -> bool {
        match self.kind() {
            Kind::NaN => false,
            Kind::Infinity | Kind::NegativeInfinity => true,
            Kind::Finite => self.min_scale() == 0,
        }
    }

    /// The value to the power of another.
    pub fn power(&self, exponent: &Numeric) -> Result<Numeric> {
        let one = |n: &Numeric| *n == Numeric::ONE;
        if self.is_nan() || exponent.is_nan() {
            let defined = (self.is_nan() && exponent.is_zero()) || (exponent.is_nan() && one(self));
            return Ok(if defined { Numeric::ONE } else { Numeric::NAN });
        }
        let (sign, exponent_sign) = (self.signum(), exponent.signum());
        let refuse =
            |what: &'static str| Err(ValueError::new(SqlState::INVALID_ARGUMENT_FOR_POWER_FUNCTION, what));
        if sign == 0 && exponent_sign < 0 {
            return refuse("zero raised to a negative power is undefined");
        }
        if sign < 0 && !exponent.is_integral() {
            return refuse("a negative number raised to a non-integer power yields a complex result");
        }
        if let (Some(a), Some(b)) = (self.decimal(), exponent.decimal()) {
            return power_of_finite(&a, &b, exponent);
        }
        if one(self) || exponent_sign == 0 {
            return Ok(Numeric::ONE);
        }
        if sign == 0 {
            return Ok(Numeric::ZERO);
        }
        if !exponent.is_finite() {
            if self.abs() == Numeric::ONE {
                return Ok(Numeric::ONE);
            }
            let grows = (self.abs() > Numeric::ONE) == (exponent_sign > 0);
            return Ok(if grows { Numeric::INFINITY } else { Numeric::ZERO });
        }
        if exponent_sign < 0 {
            return Ok(Numeric::ZERO);
        }
        let odd = !exponent.rem(&Numeric::from(2i32))?.is_zero();
        Ok(if sign < 0 && odd { Numeric::NEG_INFINITY } else { Numeric::INFINITY })
    }
}

/// A scale that a function wants, raised to what its operands show and held within the limits.
fn display_scale(wanted: i64, operands: &[usize]) -> i64 {
    let shown = operands.iter().copied().max().unwrap_or(0) as i64;
    wanted.max(shown).clamp(0, MAX_DISPLAY_SCALE)
}

/// The value as a float, infinite when it is too great.
fn approximate(a: &Decimal<'_>) -> f64 {
    if a.magnitude.is_zero() {
        return 0.0;
    }
    let (fraction, exponent) = a.magnitude.to_fraction();
    let exponent = (exponent - a.scale as i64).clamp(-400, 400) as i32;
    // In two steps, so that neither power overflows by itself.
    let value = fraction * 10f64.powi(exponent / 2) * 10f64.powi(exponent - exponent / 2);
    if a.negative { -value } else { value }
}

/// The decimal exponent of the logarithm of a value, by PostgreSQL's estimate.
fn ln_weight(a: &Decimal<'_>) -> i64 {
    if a.negative || a.magnitude.is_zero() {
        return 0;
    }
    let near = |text: u128| Decimal::new(false, Magnitude::from_u128(text), 1);
    if a.cmp(&near(9)) != Ordering::Less && a.cmp(&near(11)) != Ordering::Greater {
        let off = add_decimals(a, &Decimal::new(true, Magnitude::one(), 0));
        if off.magnitude.is_zero() {
            return 0;
        }
        let (first, weight) = first_group(&off);
        return weight * GROUP + (first as f64).log10() as i64;
    }
    let (mut digits, mut weight) = first_group(a);
    weight *= GROUP;
    // A second group, when there is a digit in it or beyond.
    let width = a.exponent().rem_euclid(GROUP) as usize + 1;
    if a.magnitude.digit_count() - a.magnitude.trailing_zeros() > width {
        digits = leading_digits(a, width + GROUP as usize);
        weight -= GROUP;
    }
    let logarithm = (digits as f64).ln() + weight as f64 * std::f64::consts::LN_10;
    logarithm.abs().log10() as i64
}

fn mul_at(a: &Decimal<'_>, b: &Decimal<'_>, scale: i64) -> Decimal<'static> {
    mul_decimals(a, b).rounded(scale)
}

/// The root of a value that is not negative, rounded half up to `scale` digits.
fn sqrt_at(a: &Decimal<'_>, scale: i64) -> Decimal<'static> {
    let shift = 2 * scale - a.scale as i64;
    let radicand = match usize::try_from(shift) {
        Ok(shift) => a.magnitude.mul_pow10(shift),
        Err(_) => a.magnitude.div_pow10(shift.unsigned_abs() as usize),
    };
    let mut root = radicand.sqrt();
    if radicand.sub(&root.mul(&root)) > root {
        root = root.add(&Magnitude::one());
    }
    Decimal::new(false, root, scale as usize)
}

/// e to the power of a value, rounded to `scale` digits.
fn exp_at(a: &Decimal<'_>, scale: i64) -> Result<Decimal<'static>> {
    let approximation = approximate(a);
    if approximation.abs() >= (MAX_RESULT_SCALE * 3) as f64 {
        return if approximation > 0.0 { Err(overflow()) } else { Ok(Decimal::zero(scale as usize)) };
    }
    // Halve until the argument is small, sum the series, square as often.
    let halvings = (approximation.abs() / 0.01).log2().ceil().max(0.0) as u32;
    let whole_digits = (approximation * LOG10_E).max(0.0) as i64 + 1;
    let work = scale + whole_digits + i64::from(halvings) / 3 + GUARD;
    let two_power = Decimal::new(false, Magnitude::from_u128(1 << halvings), 0);
    let small = div_decimals(a, &two_power, work);
    let one = Decimal::new(false, Magnitude::one(), 0).rounded(work);
    let (mut sum, mut term) = (one.clone(), one);
    for n in 1u32.. {
        term = mul_at(&term, &small, work);
        let (quotient, _) = term.magnitude.div_rem_small(n);
        term = Decimal::new(term.negative, quotient, work as usize);
        if term.magnitude.is_zero() {
            break;
        }
        sum = add_decimals(&sum, &term);
    }
    for _ in 0..halvings {
        sum = mul_at(&sum, &sum, work);
    }
    Ok(sum.rounded(scale))
}

/// The natural logarithm of a value above zero, rounded to `scale` digits.
fn ln_at(a: &Decimal<'_>, scale: i64) -> Decimal<'static> {
    let work = scale + GUARD;
    // a = m * 10^e with m in [1, 10), unless a is close to 1 and needs no such step.
    let exponent = a.exponent();
    if exponent == 0 || a.exponent() == -1 && leading_digits(a, 1) == 9 {
        return ln_near_one(a, work).rounded(scale);
    }
    let mantissa = Decimal::new(false, a.magnitude.clone().into_owned(), a.magnitude.digit_count() - 1);
    let ten = Decimal::new(false, Magnitude::from_u128(10), 0);
    let times = Decimal::new(exponent < 0, Magnitude::from_u128(u128::from(exponent.unsigned_abs())), 0);
    let exponent_part = mul_decimals(&ln_near_one(&ten, work + 6), &times);
    add_decimals(&ln_near_one(&mantissa, work), &exponent_part).rounded(scale)
}

/// The same for a value between 0.9 and 10, to about `work` digits.
fn ln_near_one(a: &Decimal<'_>, work: i64) -> Decimal<'static> {
    let roots = if approximate(a) > 1.1 { 5 } else { 0 };
    let mut root = a.rounded(work.max(a.scale as i64));
    for _ in 0..roots {
        root = sqrt_at(&root, work);
    }
    // ln(x) = 2 (z + z^3/3 + z^5/5 + ...) with z = (x - 1) / (x + 1)
    let one = Decimal::new(false, Magnitude::one(), 0);
    let minus_one = Decimal::new(true, Magnitude::one(), 0);
    let z = div_decimals(&add_decimals(&root, &minus_one), &add_decimals(&root, &one), work);
    let square = mul_at(&z, &z, work);
    let (mut sum, mut power) = (z.clone(), z);
    for n in (3u32..).step_by(2) {
        power = mul_at(&power, &square, work);
        let term = Decimal::new(power.negative, power.magnitude.div_rem_small(n).0, work as usize);
        if term.magnitude.is_zero() {
            break;
        }
        sum = add_decimals(&sum, &term);
    }
    Decimal::new(sum.negative, sum.magnitude.mul_small(2 << roots), work as usize)
}

fn power_of_finite(a: &Decimal<'_>, b: &Decimal<'_>, exponent: &Numeric) -> Result<Numeric> {
    if exponent.is_integral()
        && let Ok(whole) = exponent.to_i32()
    {
        let scale = display_scale(MIN_SIGNIFICANT_DIGITS, &[a.scale]);
        return power_int(a, whole, scale)?.finish();
    }
    if a.magnitude.is_zero() {
        return Ok(Numeric::from_unscaled(0, MIN_SIGNIFICANT_DIGITS as u16));
    }
    let negative = a.negative && !exponent.rem(&Numeric::from(2i32))?.is_zero();
    let base = Decimal::new(false, a.magnitude.clone().into_owned(), a.scale);
    let weight = ln_weight(&base);
    let estimate_scale = (8 - weight).clamp(0, MAX_DISPLAY_SCALE);
    let estimate = approximate(&mul_at(&ln_at(&base, estimate_scale), b, estimate_scale));
    if estimate.abs() > MAX_RESULT_SCALE as f64 * 3.01 {
        return if estimate > 0.0 {
            Err(overflow())
        } else {
            Decimal::zero(MAX_DISPLAY_SCALE as usize).finish()
        };
    }
    let result_weight = (estimate * LOG10_E) as i64;
    let scale = display_scale(MIN_SIGNIFICANT_DIGITS - result_weight, &[a.scale, b.scale]);
    let work = (scale + result_weight - weight + 8).clamp(0, MAX_RESULT_SCALE) + b.exponent().max(0) + GUARD;
    let product = mul_at(&ln_at(&base, work), b, work);
    let power = exp_at(&product, scale)?;
    Decimal::new(negative, power.magnitude.into_owned(), power.scale).finish()
}

/// A whole power, rounded to `scale` digits.
fn power_int(a: &Decimal<'_>, exponent: i32, scale: i64) -> Result<Decimal<'static>> {
    let one = Decimal::new(false, Magnitude::one(), 0);
    match exponent {
        0 => return Ok(one.rounded(scale)),
        1 => return Ok(a.rounded(scale)),
        -1 if !a.magnitude.is_zero() => return Ok(div_decimals(&one, a, scale)),
        2 => return Ok(mul_at(a, a, scale)),
        _ => {}
    }
    if a.magnitude.is_zero() {
        return if exponent < 0 {
            Err(ValueError::division_by_zero())
        } else {
            Ok(Decimal::zero(scale as usize))
        };
    }
    let (fraction, digits) = a.magnitude.to_fraction();
    let weight = f64::from(exponent) * (fraction.log10() + (digits - a.scale as i64) as f64);
    if weight > f64::from(3 * i32::from(i16::MAX)) * GROUP as f64 {
        return Err(overflow());
    }
    if weight + 1.0 < -scale as f64 {
        return Ok(Decimal::zero(scale as usize));
    }
    // Squares lose a few units in their last place each, and the errors double with them.
    let keep = (1 + scale + weight as i64).max(1) + GUARD + i64::from(exponent.unsigned_abs().ilog2());
    let shorten = |d: Decimal<'static>| {
        let fits = d.exponent() + 1 + d.scale as i64 <= keep;
        if fits { d } else { d.rounded((keep - 1 - d.exponent()).min(d.scale as i64)) }
    };
    let mut result = one.clone();
    let mut square = Decimal::new(a.negative, a.magnitude.clone().into_owned(), a.scale);
    let mut left = exponent.unsigned_abs();
    while left > 0 {
        if left % 2 == 1 {
            result = shorten(mul_decimals(&result, &square));
        }
        left /= 2;
        if left > 0 {
            square = shorten(mul_decimals(&square, &square));
        }
        if square.exponent() > 140_000 && exponent > 0 {
            return Err(overflow());
        }
    }
    Ok(if exponent < 0 { div_decimals(&one, &result, scale) } else { result.rounded(scale) })
}
