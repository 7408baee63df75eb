//! Hidden row ids.
//!
//! A branch's row ids are reserved in blocks, by a committed record before the first is used (the same rule
//! as for OIDs). A compute reserves one block of 2^40 when it first inserts into a table without a primary
//! key, and counts up in it for all its sessions. So no two rows of a branch, in whatever table, ever get
//! the same id, inserters never meet on a key, and an insert needs neither a look at the key nor a check.
//! Ids that a rolled-back transaction took are not given again, nor those that a statement had left over:
//! it takes ids for several rows at once, so that the rows of a large one lie together.

use crate::{SqlError, SqlResult};
use shardforge_types::SqlState;
use std::ops::Range;
use std::sync::atomic::{AtomicI64, Ordering};

/// The row ids of one branch on one compute.
#[derive(Debug)]
pub struct RowIds {
    next: AtomicI64,
    end: i64,
}

impl RowIds {
    /// Gives out the ids of a reserved block.
    pub fn new(block: Range<i64>) -> Self {
        Self { next: AtomicI64::new(block.start), end: block.end }
    }

    /// Ids that no row of the branch has had: at least one, and not more than wanted.
    pub fn take(&self, wanted: i64) -> SqlResult<Range<i64>> {
        let first = self.next.fetch_add(wanted.max(1), Ordering::Relaxed);
        if first < self.end {
            return Ok(first..self.end.min(first + wanted.max(1)));
        }
        Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "this compute has used its row ids")
            .hint("Restart it: it then reserves another block."))
    }
}
