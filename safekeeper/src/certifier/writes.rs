//! What a transaction writes, as far as checks can see: keys with aspects, and ranges.

use shardforge_common::Result;
use shardforge_common::mutation::{Aspects, Mutation, MutationList};

/// The writes of one request, borrowed from its mutation list.
#[derive(Debug, Default)]
pub struct WriteSet<'a> {
    /// Keys, with what changes about them. A key may come more than once.
    pub keys: Vec<(&'a [u8], Aspects)>,
    /// Ranges `[start, end)` that are deleted.
    pub ranges: Vec<(&'a [u8], &'a [u8])>,
}

impl<'a> WriteSet<'a> {
    /// The writes of a mutation list. Fails on bytes that are not one, and on an inverted range.
    pub fn of(mutations: &'a MutationList) -> Result<Self> {
        let mut writes = WriteSet::default();
        for mutation in mutations.iter() {
            match mutation? {
                Mutation::DeleteRange { start, end } if start < end => writes.ranges.push((start, end)),
                // An empty range writes nothing.
                Mutation::DeleteRange { .. } => {}
                other => writes.keys.push((other.key(), other.aspects())),
            }
        }
        Ok(writes)
    }
}
