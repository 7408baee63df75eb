//! Aggregates: what is kept for a group while its rows pass, and the value at their end.
//!
//! An executor looks an [`AggregateFunction`] up once, makes an [`Accumulator`] for each group, feeds it
//! the arguments of each row that the call's FILTER lets pass (distinct ones only, in the call's order, if
//! the call says so), and takes the value. A group without rows has an accumulator too.
//!
//! Results and overflow are PostgreSQL's: `sum(int4)` is int8, `sum(int8)` and `avg(int)` are numeric.

mod array_agg;
mod bits;
mod bools;
mod count;
mod extremes;
mod float_stats;
mod interval_sum;
mod numeric_stats;
mod string_agg;
mod sums;

use crate::SqlResult;
use shardforge_types::{Datum, Oid, PgType};

/// What an aggregate is told of its call.
#[derive(Debug, Clone)]
pub struct AggregateCallInfo {
    /// The static types of the arguments.
    pub arg_types: Vec<PgType>,
    /// The static type of the result.
    pub result: PgType,
}

/// A group's state.
pub trait Accumulator: Send {
    /// One row's arguments. Nulls that the aggregate ignores are ignored here.
    fn add(&mut self, args: &[Datum]) -> SqlResult<()>;
    /// The value. The accumulator is not used afterwards.
    fn finish(&mut self) -> SqlResult<Datum>;
    /// About how much memory the state takes, in bytes, for a limit.
    fn size_bytes(&self) -> usize {
        64
    }
}

/// An aggregate.
#[derive(Clone, Copy)]
pub struct AggregateFunction {
    /// `pg_proc.oid`.
    pub oid: Oid,
    /// `pg_proc.proname`.
    pub name: &'static str,
    /// Makes the state of a group.
    pub make: fn(&AggregateCallInfo) -> Box<dyn Accumulator>,
}

impl std::fmt::Debug for AggregateFunction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.name, self.oid)
    }
}

const fn aggregate(
    oid: u32,
    name: &'static str,
    make: fn(&AggregateCallInfo) -> Box<dyn Accumulator>,
) -> AggregateFunction {
    AggregateFunction { oid: Oid(oid), name, make }
}

/// Every aggregate that is built.
pub(super) fn functions() -> impl Iterator<Item = &'static AggregateFunction> {
    [
        count::FUNCTIONS,
        sums::FUNCTIONS,
        float_stats::FUNCTIONS,
        numeric_stats::FUNCTIONS,
        interval_sum::FUNCTIONS,
        extremes::FUNCTIONS,
        bools::FUNCTIONS,
        bits::FUNCTIONS,
        string_agg::FUNCTIONS,
        array_agg::FUNCTIONS,
    ]
    .into_iter()
    .flatten()
}
