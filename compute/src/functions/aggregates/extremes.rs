//! `min` and `max` of every type that has an order.

use super::{Accumulator, AggregateCallInfo, AggregateFunction, aggregate};
use crate::SqlResult;
use shardforge_types::{Datum, PgType, compare};
use std::cmp::Ordering;

struct Extreme {
    ty: PgType,
    /// How a value compares with the best so far when it takes its place.
    better: Ordering,
    best: Datum,
}

impl Accumulator for Extreme {
    fn add(&mut self, args: &[Datum]) -> SqlResult<()> {
        if let [value] = args
            && !value.is_null()
            && (self.best.is_null() || compare::compare(value, &self.best, self.ty) == self.better)
        {
            self.best = value.clone();
        }
        Ok(())
    }

    fn finish(&mut self) -> SqlResult<Datum> {
        Ok(std::mem::replace(&mut self.best, Datum::Null))
    }
}

fn extreme(info: &AggregateCallInfo, better: Ordering) -> Box<dyn Accumulator> {
    let ty = info.arg_types.first().copied().unwrap_or(info.result);
    Box::new(Extreme { ty, better, best: Datum::Null })
}

fn max(info: &AggregateCallInfo) -> Box<dyn Accumulator> {
    extreme(info, Ordering::Greater)
}

fn min(info: &AggregateCallInfo) -> Box<dyn Accumulator> {
    extreme(info, Ordering::Less)
}

/// The aggregates of this file.
pub(super) const FUNCTIONS: &[AggregateFunction] = &[
    aggregate(2050, "max", max),
    aggregate(2115, "max", max),
    aggregate(2116, "max", max),
    aggregate(2117, "max", max),
    aggregate(2118, "max", max),
    aggregate(2119, "max", max),
    aggregate(2120, "max", max),
    aggregate(2122, "max", max),
    aggregate(2123, "max", max),
    aggregate(2126, "max", max),
    aggregate(2127, "max", max),
    aggregate(2128, "max", max),
    aggregate(2129, "max", max),
    aggregate(2130, "max", max),
    aggregate(2244, "max", max),
    aggregate(2051, "min", min),
    aggregate(2131, "min", min),
    aggregate(2132, "min", min),
    aggregate(2133, "min", min),
    aggregate(2134, "min", min),
    aggregate(2135, "min", min),
    aggregate(2136, "min", min),
    aggregate(2138, "min", min),
    aggregate(2139, "min", min),
    aggregate(2142, "min", min),
    aggregate(2143, "min", min),
    aggregate(2144, "min", min),
    aggregate(2145, "min", min),
    aggregate(2146, "min", min),
    aggregate(2245, "min", min),
];
