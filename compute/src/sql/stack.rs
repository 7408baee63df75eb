//! A bound on recursion: how much of the thread's stack a statement may use.
//!
//! Nesting is as deep as a client wants it to be, and a stack that overflows takes the whole process
//! with it. Levels differ much in what they need, so bytes are counted, as PostgreSQL does.

use crate::{SqlError, SqlResult};
use shardforge_types::SqlState;

/// Of the 2 MiB that a worker thread has.
const MAX_STACK_BYTES: usize = 1 << 20;

/// Where a statement's recursion began.
#[derive(Debug, Clone, Copy)]
pub(super) struct StackBase(usize);

impl StackBase {
    /// Here.
    pub(super) fn here() -> Self {
        let local = 0u8;
        Self(std::ptr::from_ref(&local) as usize)
    }

    /// 54001 when too much was used since.
    pub(super) fn check(self) -> SqlResult<()> {
        let used = self.0.abs_diff(Self::here().0);
        if used <= MAX_STACK_BYTES { Ok(()) } else { Err(too_deep()) }
    }
}

/// Counts the links of a chain that is parsed in a loop and makes a tree that leans to one side:
/// `1 + 1 + 1`, joins, unions. Whoever walks the tree recurses over it.
#[derive(Debug, Default)]
pub(super) struct Chain(usize);

/// Enough for any statement a person or program writes, and walked in well under a stack.
const MAX_CHAIN: usize = 1000;

impl Chain {
    /// One link more; 54001 when there are too many.
    pub(super) fn link(&mut self) -> SqlResult<()> {
        self.0 += 1;
        if self.0 <= MAX_CHAIN { Ok(()) } else { Err(too_deep()) }
    }
}

fn too_deep() -> SqlError {
    SqlError::new(SqlState::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded")
        .hint("The statement nests expressions or queries too deeply.")
}
