//! A compute's memory of one branch: recent writes over cached pages.

mod batch;
mod need;

pub use batch::{RowBatch, RowBytes};
pub use need::PageNeed;
