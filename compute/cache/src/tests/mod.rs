//! The cache against a model that remembers every version.

mod cases;
mod model;
mod pressure;
