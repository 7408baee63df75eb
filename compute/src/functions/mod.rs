//! PostgreSQL's functions and operators over values, a family to a file, found by `pg_proc` OID.
//!
//! A function here is a pure body over [`shardforge_types::Datum`]s: what it needs of its session it
//! takes from an [`EvalContext`], what it needs to know of its call from a [`Call`]. Both executors call
//! the same bodies, so that `1/0` means the same in a payment and in a report.
//!
//! # From a call to its body
//!
//! 1. The binder resolves a name to a `pg_proc` OID; arguments have exactly the declared types.
//! 2. [`scalar`], [`set`] and [`aggregate`] find the body, once, when a plan is made. `None` is a function
//!    of PostgreSQL's that is not built: 0A000 with its name.
//! 3. [`ScalarFunction::call`] answers null for a strict function with a null argument, else runs the body.
//!
//! # Invariants
//!
//! 1. A body's result, value or error, is PostgreSQL 15's for the same arguments.
//! 2. A function that is [`Volatility::Immutable`] reads nothing but its arguments.
//! 3. Bodies do not panic, whatever the values: arguments of another form are XX000.
//!
//! What is not here: names, overloads and casts between types (the binder's), and functions over whole
//! queries.

mod aggregates;
mod args;
mod call;
mod catalog_access;
mod registry;
pub mod text_io;

mod array;
mod bytea;
mod cast;
mod catalog_info;
pub(crate) mod clock;
mod compare;
mod datetime;
mod datetime_format;
mod float;
mod format;
mod history;
mod int;
mod math;
mod number_format;
mod numeric;
mod pattern;
mod privileges;
mod regex;
mod sequence;
mod session;
mod sets;
mod text;

pub use aggregates::{Accumulator, AggregateCallInfo, AggregateFunction};
pub use call::{
    Call, EvalContext, ScalarBody, ScalarFunction, SequenceAccess, SessionAccess, SessionInfo, SetBody,
    SetFunction, SetRows, Volatility, side_by_side,
};
pub(crate) use cast::relabel;
pub use catalog_access::{
    CatalogAccess, ConstraintInfo, ConstraintKind, ObjectClass, RelationInfo, RelationKind,
};
pub(crate) use compare::comparison;
pub use registry::{aggregate, is_volatile, scalar, scalars, set};
pub use sequence::{moves_sequence, shown_default};
