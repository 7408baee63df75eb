//! The order and the equality of values: PostgreSQL's default B-tree and hash operators.

use crate::{Datum, PgType};
use std::cmp::Ordering;

/// Compares two values of `ty`. Null is equal to null and above everything else, as inside arrays.
pub fn compare(a: &Datum, b: &Datum, ty: PgType) -> Ordering {
    let _ = (a, b, ty);
    Ordering::Equal
}

/// A hash under which equal values of `ty` agree.
pub fn hash(datum: &Datum, ty: PgType) -> u64 {
    let _ = (datum, ty);
    0
}
