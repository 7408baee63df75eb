//! `count(*)` and `count(x)`.

use super::{Accumulator, AggregateFunction, aggregate};
use crate::SqlResult;
use shardforge_types::Datum;

#[derive(Default)]
struct Count(i64);

impl Accumulator for Count {
    fn add(&mut self, args: &[Datum]) -> SqlResult<()> {
        if !args.iter().any(Datum::is_null) {
            self.0 += 1;
        }
        Ok(())
    }

    fn finish(&mut self) -> SqlResult<Datum> {
        Ok(Datum::Int8(self.0))
    }
}

/// The aggregates of this file.
pub(super) const FUNCTIONS: &[AggregateFunction] = &[
    aggregate(2147, "count", |_| Box::new(Count::default())),
    aggregate(2803, "count", |_| Box::new(Count::default())),
    aggregate(2818, "regr_count", |_| Box::new(Count::default())),
];
