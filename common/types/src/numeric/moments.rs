//! Count, sum and sum of squares: what variances are made of. Exact, also where a square is no longer a value
//! of the type.

use super::arithmetic::{add_decimals, div_decimals, mul_decimals, quotient_scale};
use super::{Decimal, Numeric};
use crate::ValueError;

/// Fraction digits up to which squares of small values are surely values.
const MAX_SMALL_SCALE: u16 = 100;

/// The sums over some values.
pub struct Moments {
    count: i64,
    sum: Numeric,
    squares: Numeric,
    /// The sums over values that are great or have long fractions.
    large: Option<(Decimal<'static>, Decimal<'static>)>,
}

impl Default for Moments {
    fn default() -> Self {
        Self { count: 0, sum: Numeric::ZERO, squares: Numeric::ZERO, large: None }
    }
}

impl Moments {
    /// One value more.
    pub fn add(&mut self, value: &Numeric) -> Result<(), ValueError> {
        self.count += 1;
        let small = value.as_unscaled().is_some_and(|(_, scale)| scale <= MAX_SMALL_SCALE);
        match value.decimal() {
            Some(value) if !small => {
                let (sum, squares) = self.large.get_or_insert_with(|| (Decimal::zero(0), Decimal::zero(0)));
                *sum = add_decimals(sum, &value);
                *squares = add_decimals(squares, &mul_decimals(&value, &value));
            }
            _ => {
                self.sum = self.sum.add(value)?;
                self.squares = self.squares.add(&value.mul(value)?)?;
            }
        }
        Ok(())
    }

    /// The variance of the values as a sample or as all there are, or its root; nothing of too few.
    pub fn variance(&self, sample: bool, root: bool) -> Result<Option<Numeric>, ValueError> {
        if self.count == 0 || (sample && self.count == 1) {
            return Ok(None);
        }
        let (Some(mut sum), Some(mut squares)) = (self.sum.decimal(), self.squares.decimal()) else {
            return Ok(Some(Numeric::NAN));
        };
        if let Some((large_sum, large_squares)) = &self.large {
            (sum, squares) = (add_decimals(&sum, large_sum), add_decimals(&squares, large_squares));
        }
        let (n, less) = (Numeric::from(self.count), Numeric::from(self.count - i64::from(sample)));
        let (n, less) = (n.decimal().expect("a count is finite"), less.decimal().expect("a count is finite"));
        let mut square = mul_decimals(&sum, &sum);
        square.negative = !square.negative;
        let spread = add_decimals(&mul_decimals(&n, &squares), &square);
        if spread.negative || spread.magnitude.is_zero() {
            return Ok(Some(Numeric::ZERO));
        }
        let divisor = mul_decimals(&n, &less);
        let scale = quotient_scale(&spread, &divisor);
        let variance = div_decimals(&spread, &divisor, scale);
        if root { variance.finish()?.sqrt().map(Some) } else { variance.finish().map(Some) }
    }
}
