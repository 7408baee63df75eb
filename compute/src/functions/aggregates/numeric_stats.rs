//! Variance and standard deviation of integers and numerics, computed exactly and divided at the end.

use super::{Accumulator, AggregateFunction, aggregate};
use crate::SqlResult;
use shardforge_types::{Datum, Numeric};

struct Moments {
    count: i64,
    sum: Numeric,
    squares: Numeric,
    sample: bool,
    root: bool,
}

impl Accumulator for Moments {
    fn add(&mut self, args: &[Datum]) -> SqlResult<()> {
        let value = match args.first() {
            Some(Datum::Numeric(value)) => value.clone(),
            Some(other) => match other.as_i64() {
                Some(value) => Numeric::from(value),
                None => return Ok(()),
            },
            None => return Ok(()),
        };
        self.count += 1;
        self.sum = self.sum.add(&value)?;
        self.squares = self.squares.add(&value.mul(&value)?)?;
        Ok(())
    }

    fn finish(&mut self) -> SqlResult<Datum> {
        if self.count == 0 || (self.sample && self.count == 1) {
            return Ok(Datum::Null);
        }
        if !self.sum.is_finite() {
            return Ok(Datum::Numeric(Numeric::NAN));
        }
        let n = Numeric::from(self.count);
        let divisor = if self.sample { n.mul(&Numeric::from(self.count - 1))? } else { n.mul(&n)? };
        let spread = n.mul(&self.squares)?.sub(&self.sum.mul(&self.sum)?)?;
        if spread.signum() <= 0 {
            return Ok(Datum::Numeric(Numeric::from(0i64)));
        }
        let variance = spread.div(&divisor)?;
        Ok(Datum::Numeric(if self.root { variance.sqrt()? } else { variance }))
    }
}

fn moments(sample: bool, root: bool) -> Box<dyn Accumulator> {
    let zero = || Numeric::from(0i64);
    Box::new(Moments { count: 0, sum: zero(), squares: zero(), sample, root })
}

/// The aggregates of this file.
pub(super) const FUNCTIONS: &[AggregateFunction] = &[
    aggregate(2148, "variance", |_| moments(true, false)),
    aggregate(2149, "variance", |_| moments(true, false)),
    aggregate(2150, "variance", |_| moments(true, false)),
    aggregate(2153, "variance", |_| moments(true, false)),
    aggregate(2641, "var_samp", |_| moments(true, false)),
    aggregate(2642, "var_samp", |_| moments(true, false)),
    aggregate(2643, "var_samp", |_| moments(true, false)),
    aggregate(2646, "var_samp", |_| moments(true, false)),
    aggregate(2718, "var_pop", |_| moments(false, false)),
    aggregate(2719, "var_pop", |_| moments(false, false)),
    aggregate(2720, "var_pop", |_| moments(false, false)),
    aggregate(2723, "var_pop", |_| moments(false, false)),
    aggregate(2154, "stddev", |_| moments(true, true)),
    aggregate(2155, "stddev", |_| moments(true, true)),
    aggregate(2156, "stddev", |_| moments(true, true)),
    aggregate(2159, "stddev", |_| moments(true, true)),
    aggregate(2712, "stddev_samp", |_| moments(true, true)),
    aggregate(2713, "stddev_samp", |_| moments(true, true)),
    aggregate(2714, "stddev_samp", |_| moments(true, true)),
    aggregate(2717, "stddev_samp", |_| moments(true, true)),
    aggregate(2724, "stddev_pop", |_| moments(false, true)),
    aggregate(2725, "stddev_pop", |_| moments(false, true)),
    aggregate(2726, "stddev_pop", |_| moments(false, true)),
    aggregate(2729, "stddev_pop", |_| moments(false, true)),
];
