//! Archived WAL.

mod reader;
mod reports;

pub use reader::ArchiveReader;
pub use reports::Reports;
