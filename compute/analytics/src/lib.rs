//! Lowers bound trees to DataFusion and runs them, behind the seam in `shardforge_compute::report`.

mod error;
mod values;
