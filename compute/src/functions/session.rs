//! In the making.

use super::call::ScalarFunction;

/// The functions of this file.
pub(super) const FUNCTIONS: &[ScalarFunction] = &[];
