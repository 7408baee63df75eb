//! `bool_and`, `bool_or`, `every`.

use super::{Accumulator, AggregateFunction, aggregate};
use crate::SqlResult;
use shardforge_types::Datum;

/// The value so far; `decisive` ends the matter whatever else comes.
struct Bools {
    decisive: bool,
    value: Option<bool>,
}

impl Accumulator for Bools {
    fn add(&mut self, args: &[Datum]) -> SqlResult<()> {
        if let [Datum::Bool(value)] = args {
            self.value =
                Some(if *value == self.decisive { self.decisive } else { self.value.unwrap_or(*value) });
        }
        Ok(())
    }

    fn finish(&mut self) -> SqlResult<Datum> {
        Ok(self.value.map_or(Datum::Null, Datum::Bool))
    }
}

/// The aggregates of this file.
pub(super) const FUNCTIONS: &[AggregateFunction] = &[
    aggregate(2517, "bool_and", |_| Box::new(Bools { decisive: false, value: None })),
    aggregate(2519, "every", |_| Box::new(Bools { decisive: false, value: None })),
    aggregate(2518, "bool_or", |_| Box::new(Bools { decisive: true, value: None })),
];
