//! `numeric`: decimals of any length, with the number of digits that are shown.
//!
//! A finite value is a whole number over a power of ten. Up to an `i128` it lies in the value itself,
//! and sums, products and comparisons of such values are a few machine instructions; beyond that it
//! is a shared `Magnitude`. Which of the two a value has is decided by its size alone.
//!
//! Results have PostgreSQL's digits: the display scale of each operation, the scale it chooses for a
//! quotient, rounding half away from zero, and its limits (131072 digits before the point, 16383 after).
//!
//! - `arithmetic`: the four operations, remainder, rounding.
//! - `functions`: roots, powers, exponentials, logarithms.
//! - `convert`: from and to text, integers and floats.
//!
//! # Invariants
//!
//! 1. `Small` holds every finite value whose whole number fits an `i128` above its minimum; `Big` holds the others.
//! 2. A zero has no sign.

mod arithmetic;
mod convert;
mod functions;
pub(crate) mod magnitude;
mod moments;

pub use moments::Moments;

use crate::ValueError;
use crate::sqlstate::SqlState;
use magnitude::Magnitude;
use std::borrow::Cow;
use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// Digits after the point that a stored value may show.
pub const MAX_SCALE: u16 = 16383;
/// Digits before the point that a value may have.
pub const MAX_WHOLE_DIGITS: usize = 131_072;
/// The greatest precision of a `numeric(p, s)`.
pub const MAX_PRECISION: i32 = 1000;

/// A decimal number, or `NaN`, or an infinity. Cheap to clone; 38 digits need no allocation.
///
/// Equality, order and hash are of the value: `1.0` equals `1.00`; `NaN` equals itself and is the
/// greatest. The display scale is kept by every copy.
#[derive(Clone)]
pub struct Numeric(Repr);

#[derive(Clone)]
enum Repr {
    /// `unscaled / 10^scale`. Two halves, because an `i128` would align every value to 16 bytes.
    Small {
        high: i64,
        low: u64,
        scale: u16,
    },
    Big(Arc<Big>),
    NaN,
    Infinity,
    NegativeInfinity,
}

#[derive(Debug)]
struct Big {
    negative: bool,
    magnitude: Magnitude,
    scale: u16,
}

/// A finite value while it is worked on: no limits yet.
#[derive(Debug, Clone)]
struct Decimal<'a> {
    negative: bool,
    magnitude: Cow<'a, Magnitude>,
    scale: usize,
}

/// What kind of number a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Finite,
    NaN,
    Infinity,
    NegativeInfinity,
}

fn overflow() -> ValueError {
    ValueError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value overflows numeric format")
}

/// 10^n, when it fits.
fn pow10(n: u32) -> Option<i128> {
    const TABLE: [i128; 39] = {
        let mut table = [1i128; 39];
        let mut i = 1;
        while i < 39 {
            table[i] = table[i - 1] * 10;
            i += 1;
        }
        table
    };
    TABLE.get(n as usize).copied()
}

impl Numeric {
    /// Zero, shown without a point.
    pub const ZERO: Numeric = Numeric(Repr::Small { high: 0, low: 0, scale: 0 });
    /// One, shown without a point.
    pub const ONE: Numeric = Numeric(Repr::Small { high: 0, low: 1, scale: 0 });
    /// Not a number.
    pub const NAN: Numeric = Numeric(Repr::NaN);
    /// Above every other number but `NaN`.
    pub const INFINITY: Numeric = Numeric(Repr::Infinity);
    /// Below every other number.
    pub const NEG_INFINITY: Numeric = Numeric(Repr::NegativeInfinity);

    /// `unscaled / 10^scale`, shown with `scale` digits after the point (at most [`MAX_SCALE`]).
    pub fn from_unscaled(unscaled: i128, scale: u16) -> Self {
        debug_assert!(scale <= MAX_SCALE, "callers keep scales within the limit");
        if unscaled == i128::MIN {
            let magnitude = Magnitude::from_u128(unscaled.unsigned_abs());
            return Numeric(Repr::Big(Arc::new(Big { negative: true, magnitude, scale })));
        }
        Numeric(Repr::Small { high: (unscaled >> 64) as i64, low: unscaled as u64, scale })
    }

    /// The value as `unscaled / 10^scale()`, when `unscaled` fits.
    pub fn as_unscaled(&self) -> Option<(i128, u16)> {
        match self.0 {
            Repr::Small { high, low, scale } => Some((i128::from(high) << 64 | i128::from(low), scale)),
            _ => None,
        }
    }

    /// The whole number that the value is at exactly this scale, rounded half away from zero: what a
    /// `Decimal128` column of that scale holds. `None` when it is not finite or does not fit.
    pub fn unscaled_at(&self, scale: u16) -> Option<i128> {
        self.round(i32::from(scale)).ok()?.as_unscaled().map(|(unscaled, _)| unscaled)
    }

    /// Digits after the point that are shown; none for `NaN` and the infinities.
    pub fn scale(&self) -> u16 {
        match &self.0 {
            Repr::Small { scale, .. } => *scale,
            Repr::Big(big) => big.scale,
            _ => 0,
        }
    }

    /// Whether it is `NaN`.
    pub fn is_nan(&self) -> bool {
        matches!(self.0, Repr::NaN)
    }

    /// Whether it is neither `NaN` nor an infinity.
    pub fn is_finite(&self) -> bool {
        matches!(self.0, Repr::Small { .. } | Repr::Big(_))
    }

    /// Whether it is zero.
    pub fn is_zero(&self) -> bool {
        matches!(self.0, Repr::Small { high: 0, low: 0, .. })
    }

    /// -1, 0 or 1; infinities have a sign, and `NaN` counts as positive.
    pub fn signum(&self) -> i32 {
        match &self.0 {
            Repr::Small { high, low, .. } => {
                if *high < 0 {
                    -1
                } else {
                    i32::from(*high != 0 || *low != 0)
                }
            }
            Repr::Big(big) => 1 - 2 * i32::from(big.negative),
            Repr::NaN | Repr::Infinity => 1,
            Repr::NegativeInfinity => -1,
        }
    }

    fn kind(&self) -> Kind {
        match self.0 {
            Repr::Small { .. } | Repr::Big(_) => Kind::Finite,
            Repr::NaN => Kind::NaN,
            Repr::Infinity => Kind::Infinity,
            Repr::NegativeInfinity => Kind::NegativeInfinity,
        }
    }

    /// The parts of a finite value.
    fn decimal(&self) -> Option<Decimal<'_>> {
        match &self.0 {
            Repr::Small { scale, .. } => {
                let (unscaled, _) = self.as_unscaled().expect("it is small");
                let magnitude = Cow::Owned(Magnitude::from_u128(unscaled.unsigned_abs()));
                Some(Decimal { negative: unscaled < 0, magnitude, scale: usize::from(*scale) })
            }
            Repr::Big(big) => Some(Decimal {
                negative: big.negative,
                magnitude: Cow::Borrowed(&big.magnitude),
                scale: usize::from(big.scale),
            }),
            _ => None,
        }
    }

    /// The exponent of the first digit of a finite value: 0 for 1 to 9.99. Zero for zero.
    pub fn exponent(&self) -> i64 {
        match self.as_unscaled() {
            Some((0, _)) => 0,
            Some((unscaled, scale)) => i64::from(unscaled.unsigned_abs().ilog10()) - i64::from(scale),
            None => self.decimal().map_or(0, |decimal| decimal.exponent()),
        }
    }

    /// The value shown with exactly this many digits after the point, however many those are.
    pub(crate) fn with_scale(&self, scale: u16) -> Result<Numeric, ValueError> {
        match self.decimal() {
            Some(decimal) if self.scale() != scale => decimal.rounded(i64::from(scale)).finish(),
            _ => Ok(self.clone()),
        }
    }

    /// Sign, whole number as base-10^9 limbs from the least, and scale of a value too long for an
    /// `i128`: how rows store it.
    pub(crate) fn as_big(&self) -> Option<(bool, &[u32], u16)> {
        match &self.0 {
            Repr::Big(big) => Some((big.negative, big.magnitude.limbs(), big.scale)),
            _ => None,
        }
    }

    /// The reverse of [`Numeric::as_big`], from bytes that may say anything.
    pub(crate) fn from_big(negative: bool, limbs: Vec<u32>, scale: u16) -> Option<Numeric> {
        let magnitude = Cow::Owned(Magnitude::from_limbs(limbs)?);
        if scale > MAX_SCALE {
            return None;
        }
        Decimal { negative, magnitude, scale: usize::from(scale) }.finish().ok()
    }

    /// For a finite value that is not zero: whether it is negative, the exponent of its first digit
    /// (0 for 1 to 9.99), and its digits without zeros at the end, each 0 to 9.
    pub(crate) fn significant_digits(&self, digits: &mut Vec<u8>) -> Option<(bool, i32)> {
        digits.clear();
        let negative = self.signum() < 0;
        if let Some((unscaled, scale)) = self.as_unscaled() {
            let mut left = unscaled.unsigned_abs();
            if left == 0 {
                return None;
            }
            // Two halves of at most 20 digits: dividing a u64 is much cheaper than dividing a u128.
            const HALF: u128 = 10_000_000_000_000_000_000;
            while left > 0 {
                let (mut low, high) = ((left % HALF) as u64, left / HALF);
                let width = if high > 0 { 19 } else { low.checked_ilog10().map_or(0, |log| log + 1) };
                for _ in 0..width {
                    digits.push((low % 10) as u8);
                    low /= 10;
                }
                left = high;
            }
            digits.reverse();
            let exponent = digits.len() as i32 - 1 - i32::from(scale);
            while digits.last() == Some(&0) {
                digits.pop();
            }
            return Some((negative, exponent));
        }
        let decimal = self.decimal()?;
        decimal.magnitude.push_digits(digits);
        let exponent = digits.len() as i32 - 1 - decimal.scale as i32;
        let kept = digits.len() - decimal.magnitude.trailing_zeros();
        digits.truncate(kept);
        digits.iter_mut().for_each(|digit| *digit -= b'0');
        Some((negative, exponent))
    }
}

impl Decimal<'_> {
    fn zero(scale: usize) -> Decimal<'static> {
        Decimal { negative: false, magnitude: Cow::Owned(Magnitude::zero()), scale }
    }

    fn new(negative: bool, magnitude: Magnitude, scale: usize) -> Decimal<'static> {
        Decimal { negative: negative && !magnitude.is_zero(), magnitude: Cow::Owned(magnitude), scale }
    }

    /// The value, unless it passes a limit of the type. More digits after the point than a value may
    /// have are rounded away.
    fn finish(self) -> Result<Numeric, ValueError> {
        let max_scale = usize::from(MAX_SCALE);
        if self.scale > max_scale {
            return self.rounded(max_scale as i64).finish();
        }
        if self.magnitude.digit_count() > MAX_WHOLE_DIGITS + self.scale {
            return Err(overflow());
        }
        let scale = self.scale as u16;
        match self.magnitude.to_u128().and_then(|magnitude| i128::try_from(magnitude).ok()) {
            Some(unscaled) => {
                Ok(Numeric::from_unscaled(if self.negative { -unscaled } else { unscaled }, scale))
            }
            None => {
                let magnitude = self.magnitude.into_owned();
                Ok(Numeric(Repr::Big(Arc::new(Big { negative: self.negative, magnitude, scale }))))
            }
        }
    }

    /// Rounded half away from zero to exactly this many digits after the point; below zero, to tens,
    /// hundreds and so on, with a scale of zero.
    fn rounded(&self, scale: i64) -> Decimal<'static> {
        self.rescaled(scale, Magnitude::div_pow10_round)
    }

    /// The same, cut towards zero.
    fn truncated(&self, scale: i64) -> Decimal<'static> {
        self.rescaled(scale, Magnitude::div_pow10)
    }

    fn rescaled(&self, scale: i64, cut: fn(&Magnitude, usize) -> Magnitude) -> Decimal<'static> {
        let by = scale - self.scale as i64;
        let magnitude = match usize::try_from(by) {
            Ok(by) => self.magnitude.mul_pow10(by),
            Err(_) => cut(&self.magnitude, by.unsigned_abs() as usize),
        };
        match usize::try_from(scale) {
            Ok(scale) => Decimal::new(self.negative, magnitude, scale),
            Err(_) => Decimal::new(self.negative, magnitude.mul_pow10(scale.unsigned_abs() as usize), 0),
        }
    }

    /// The exponent of the first digit: 0 for 1 to 9.99. Zero for zero.
    fn exponent(&self) -> i64 {
        if self.magnitude.is_zero() { 0 } else { self.magnitude.digit_count() as i64 - 1 - self.scale as i64 }
    }

    fn cmp(&self, other: &Decimal<'_>) -> Ordering {
        let sign = |d: &Decimal<'_>| if d.magnitude.is_zero() { 0 } else { 1 - 2 * i32::from(d.negative) };
        sign(self).cmp(&sign(other)).then_with(|| {
            let order = self.cmp_abs(other);
            if self.negative { order.reverse() } else { order }
        })
    }

    fn cmp_abs(&self, other: &Decimal<'_>) -> Ordering {
        let zeros = self.magnitude.is_zero().cmp(&other.magnitude.is_zero()).reverse();
        zeros.then(self.exponent().cmp(&other.exponent())).then_with(|| match self.scale.cmp(&other.scale) {
            Ordering::Equal => self.magnitude.cmp(&other.magnitude),
            Ordering::Less => self.magnitude.mul_pow10(other.scale - self.scale).cmp(&other.magnitude),
            Ordering::Greater => (*self.magnitude).cmp(&other.magnitude.mul_pow10(self.scale - other.scale)),
        })
    }
}

impl Ord for Numeric {
    fn cmp(&self, other: &Self) -> Ordering {
        if let (Some((a, a_scale)), Some((b, b_scale))) = (self.as_unscaled(), other.as_unscaled()) {
            if a_scale == b_scale {
                return a.cmp(&b);
            }
            let up = |value: i128, by: u16| pow10(u32::from(by)).and_then(|power| value.checked_mul(power));
            let aligned = if a_scale < b_scale {
                up(a, b_scale - a_scale).map(|a| (a, b))
            } else {
                up(b, a_scale - b_scale).map(|b| (a, b))
            };
            if let Some((a, b)) = aligned {
                return a.cmp(&b);
            }
        }
        match (self.decimal(), other.decimal()) {
            (Some(a), Some(b)) => a.cmp(&b),
            _ => {
                let rank = |n: &Numeric| match n.kind() {
                    Kind::NegativeInfinity => 0,
                    Kind::Finite => 1,
                    Kind::Infinity => 2,
                    Kind::NaN => 3,
                };
                rank(self).cmp(&rank(other))
            }
        }
    }
}

impl PartialOrd for Numeric {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Numeric {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Numeric {}

impl Hash for Numeric {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let (Some(decimal), sign) = (self.decimal(), self.signum()) else {
            return (self.kind() as u8, 2).hash(state);
        };
        sign.hash(state);
        if sign != 0 {
            let stripped = decimal.magnitude.div_pow10(decimal.magnitude.trailing_zeros());
            (decimal.exponent(), stripped.limbs()).hash(state);
        }
    }
}
