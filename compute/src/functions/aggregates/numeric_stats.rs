//! Variance and standard deviation of integers and numerics, computed exactly and divided at the end.

use super::{Accumulator, AggregateFunction, aggregate};
use crate::SqlResult;
use shardforge_types::Datum;
use shardforge_types::numeric::{Moments, Numeric};

struct Variance {
    moments: Moments,
    sample: bool,
    root: bool,
}

impl Accumulator for Variance {
    fn add(&mut self, args: &[Datum]) -> SqlResult<()> {
        match args.first() {
            Some(Datum::Numeric(value)) => self.moments.add(value)?,
            Some(other) => {
                if let Some(value) = other.as_i64() {
                    self.moments.add(&Numeric::from(value))?;
                }
            }
            None => {}
        }
        Ok(())
    }

    fn finish(&mut self) -> SqlResult<Datum> {
        Ok(self.moments.variance(self.sample, self.root)?.map_or(Datum::Null, Datum::Numeric))
    }
}

fn moments(sample: bool, root: bool) -> Box<dyn Accumulator> {
    Box::new(Variance { moments: Moments::default(), sample, root })
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
