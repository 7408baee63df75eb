//! In the making.

use super::AggregateFunction;

/// The aggregates of this file.
pub(super) const FUNCTIONS: &[AggregateFunction] = &[];
