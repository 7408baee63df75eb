//! `numeric`: decimals of any length, with the number of digits that are shown.

/// A decimal number, or `NaN`, or an infinity. Cheap to clone; up to 38 digits need no allocation.
#[derive(Debug, Clone, PartialEq)]
pub struct Numeric([u64; 3]);
