//! Decimals of 38 digits are a quick form of PostgreSQL's numbers, which have no such end. When one is not
//! enough, the query starts over, in the form that holds every number.
//!
//! So kernels of decimals never round or wrap: they give up, with [`too_large`]. The engine keeps the rows of
//! a query that could give up until it has ended ([`Attempt`]).

use datafusion::error::DataFusionError;
use std::error::Error;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

/// A value that the quick form does not hold.
#[derive(Debug)]
struct TooLarge;

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number is too large for a decimal of 38 digits")
    }
}

impl Error for TooLarge {}

/// What a kernel gives up with.
pub(crate) fn too_large() -> DataFusionError {
    DataFusionError::External(Box::new(TooLarge))
}

/// Whether an error began as [`too_large`].
pub(crate) fn is_too_large(error: &DataFusionError) -> bool {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<TooLarge>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// How a query is lowered.
#[derive(Debug, Default)]
pub(crate) struct Attempt {
    /// Only with what never gives up.
    exact: bool,
    used: AtomicBool,
}

impl Attempt {
    /// The second one.
    pub(crate) fn exact() -> Self {
        Self { exact: true, used: AtomicBool::new(false) }
    }

    /// Asks for a kernel that could give up.
    pub(crate) fn may_give_up(&self) -> bool {
        if !self.exact {
            self.used.store(true, Ordering::Relaxed);
        }
        !self.exact
    }

    /// Whether there is such a kernel in the plan.
    pub(crate) fn could_give_up(&self) -> bool {
        self.used.load(Ordering::Relaxed)
    }
}
