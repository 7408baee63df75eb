//! `bit_and`, `bit_or`, `bit_xor` of integers.

use super::{Accumulator, AggregateFunction, aggregate};
use crate::SqlResult;
use shardforge_types::Datum;

struct Bits {
    combine: fn(i64, i64) -> i64,
    /// In the form of the argument's type.
    value: Datum,
}

impl Accumulator for Bits {
    fn add(&mut self, args: &[Datum]) -> SqlResult<()> {
        let [value] = args else { return Ok(()) };
        self.value = match (&self.value, value) {
            (_, Datum::Null) => return Ok(()),
            (Datum::Int2(a), Datum::Int2(b)) => Datum::Int2((self.combine)((*a).into(), (*b).into()) as i16),
            (Datum::Int4(a), Datum::Int4(b)) => Datum::Int4((self.combine)((*a).into(), (*b).into()) as i32),
            (Datum::Int8(a), Datum::Int8(b)) => Datum::Int8((self.combine)(*a, *b)),
            (_, first) => first.clone(),
        };
        Ok(())
    }

    fn finish(&mut self) -> SqlResult<Datum> {
        Ok(self.value.clone())
    }
}

const fn bits(oid: u32, name: &'static str) -> AggregateFunction {
    match name.as_bytes()[4] {
        b'a' => aggregate(oid, name, |_| Box::new(Bits { combine: |a, b| a & b, value: Datum::Null })),
        b'o' => aggregate(oid, name, |_| Box::new(Bits { combine: |a, b| a | b, value: Datum::Null })),
        _ => aggregate(oid, name, |_| Box::new(Bits { combine: |a, b| a ^ b, value: Datum::Null })),
    }
}

/// The aggregates of this file.
pub(super) const FUNCTIONS: &[AggregateFunction] = &[
    bits(2236, "bit_and"),
    bits(2238, "bit_and"),
    bits(2240, "bit_and"),
    bits(2237, "bit_or"),
    bits(2239, "bit_or"),
    bits(2241, "bit_or"),
    bits(6164, "bit_xor"),
    bits(6165, "bit_xor"),
    bits(6166, "bit_xor"),
];
