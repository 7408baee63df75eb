//! Functions that make rows.

use super::call::SetFunction;

/// The functions of this file.
pub(super) const FUNCTIONS: &[SetFunction] = &[];
