//! `sum` and `avg` of intervals.

use super::{Accumulator, AggregateFunction, aggregate};
use crate::SqlResult;
use shardforge_types::datetime::arithmetic::{interval_add, interval_div};
use shardforge_types::{Datum, Interval};

struct Sum {
    sum: Option<Interval>,
    count: i64,
    average: bool,
}

impl Accumulator for Sum {
    fn add(&mut self, args: &[Datum]) -> SqlResult<()> {
        if let Some(Datum::Interval(value)) = args.first() {
            self.count += 1;
            self.sum = Some(match self.sum {
                Some(sum) => interval_add(sum, *value)?,
                None => *value,
            });
        }
        Ok(())
    }

    fn finish(&mut self) -> SqlResult<Datum> {
        Ok(match self.sum {
            Some(sum) if self.average => Datum::Interval(interval_div(sum, self.count as f64)?),
            Some(sum) => Datum::Interval(sum),
            None => Datum::Null,
        })
    }
}

/// The aggregates of this file.
pub(super) const FUNCTIONS: &[AggregateFunction] = &[
    aggregate(2113, "sum", |_| Box::new(Sum { sum: None, count: 0, average: false })),
    aggregate(2106, "avg", |_| Box::new(Sum { sum: None, count: 0, average: true })),
];
