//! `sum` and `avg` of integers and numerics.

use super::{Accumulator, AggregateFunction, aggregate};
use crate::{SqlError, SqlResult};
use shardforge_types::{Datum, Numeric, SqlState};

/// What becomes of the sum.
#[derive(Clone, Copy, PartialEq)]
enum Result {
    /// int8, 22003 beyond it.
    Int8,
    /// numeric.
    Numeric,
    /// The average, as numeric.
    Average,
}

/// Integers of any width: 128 bits hold the sum of as many as there can be.
struct Integers {
    sum: i128,
    count: i64,
    result: Result,
}

impl Accumulator for Integers {
    fn add(&mut self, args: &[Datum]) -> SqlResult<()> {
        if let Some(value) = args.first().and_then(Datum::as_i64) {
            self.sum += i128::from(value);
            self.count += 1;
        }
        Ok(())
    }

    fn finish(&mut self) -> SqlResult<Datum> {
        if self.count == 0 {
            return Ok(Datum::Null);
        }
        Ok(match self.result {
            Result::Int8 => {
                Datum::Int8(i64::try_from(self.sum).map_err(|_| {
                    SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "bigint out of range")
                })?)
            }
            Result::Numeric => Datum::Numeric(Numeric::from_unscaled(self.sum, 0)),
            Result::Average => {
                Datum::Numeric(Numeric::from_unscaled(self.sum, 0).div(&Numeric::from(self.count))?)
            }
        })
    }
}

struct Numerics {
    /// Sum of the finite values while it fits an `i128` at `scale`; what does not is in `rest`.
    sum: i128,
    scale: u16,
    rest: Option<Numeric>,
    count: i64,
    average: bool,
}

impl Numerics {
    /// Adds in 128 bits when it can: no allocation, no normalisation for each row.
    fn add_fast(&mut self, value: &Numeric) -> bool {
        let Some((mut unscaled, scale)) = value.as_unscaled() else { return false };
        if scale > self.scale {
            let Some(sum) = pow10(scale - self.scale).and_then(|factor| self.sum.checked_mul(factor)) else {
                return false;
            };
            (self.sum, self.scale) = (sum, scale);
        } else if scale < self.scale {
            match pow10(self.scale - scale).and_then(|factor| unscaled.checked_mul(factor)) {
                Some(scaled) => unscaled = scaled,
                None => return false,
            }
        }
        match self.sum.checked_add(unscaled) {
            Some(sum) => {
                self.sum = sum;
                true
            }
            None => false,
        }
    }

    fn total(&self) -> SqlResult<Numeric> {
        let sum = Numeric::from_unscaled(self.sum, self.scale);
        Ok(match &self.rest {
            Some(rest) => rest.add(&sum)?,
            None => sum,
        })
    }
}

fn pow10(n: u16) -> Option<i128> {
    10i128.checked_pow(n.into())
}

impl Accumulator for Numerics {
    fn add(&mut self, args: &[Datum]) -> SqlResult<()> {
        if let Some(Datum::Numeric(value)) = args.first() {
            self.count += 1;
            if !self.add_fast(value) {
                let rest = self.rest.take().unwrap_or_else(|| Numeric::from(0i64));
                self.rest = Some(rest.add(value)?);
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> SqlResult<Datum> {
        if self.count == 0 {
            return Ok(Datum::Null);
        }
        let total = self.total()?;
        Ok(Datum::Numeric(if self.average { total.div(&Numeric::from(self.count))? } else { total }))
    }
}

fn integers(result: Result) -> Box<dyn Accumulator> {
    Box::new(Integers { sum: 0, count: 0, result })
}

fn numerics(average: bool) -> Box<dyn Accumulator> {
    Box::new(Numerics { sum: 0, scale: 0, rest: None, count: 0, average })
}

/// The aggregates of this file.
pub(super) const FUNCTIONS: &[AggregateFunction] = &[
    aggregate(2108, "sum", |_| integers(Result::Int8)),
    aggregate(2109, "sum", |_| integers(Result::Int8)),
    aggregate(2107, "sum", |_| integers(Result::Numeric)),
    aggregate(2100, "avg", |_| integers(Result::Average)),
    aggregate(2101, "avg", |_| integers(Result::Average)),
    aggregate(2102, "avg", |_| integers(Result::Average)),
    aggregate(2114, "sum", |_| numerics(false)),
    aggregate(2103, "avg", |_| numerics(true)),
];
