//! What a transaction writes, as far as checks can see: keys with aspects, and ranges.

use bytes::Bytes;
use shardforge_common::Result;
use shardforge_common::mutation::{Aspects, Mutation, MutationList};

/// The writes of one request, borrowed from its mutation list.
#[derive(Debug, Default)]
pub struct WriteSet<'a> {
    /// Keys, with what changes about them. A key may come more than once.
    pub keys: Vec<(&'a [u8], Aspects)>,
    /// Ranges `[start, end)` that are deleted.
    pub ranges: Vec<(&'a [u8], &'a [u8])>,
    /// Ranges `[start, end)` in which nobody else can write: `keys` has none of them.
    pub fresh: &'a [(Bytes, Bytes)],
    /// Whether single keys are written, fresh ones included.
    pub has_rows: bool,
}

impl<'a> WriteSet<'a> {
    /// The writes of a mutation list. Fails on bytes that are not one, and on an inverted range.
    pub fn of(mutations: &'a MutationList) -> Result<Self> {
        Self::verified(mutations, &[], |_| Ok(()))
    }

    /// The same with the ranges that are its transaction's alone. Each key is shown to `verify`.
    pub fn verified(
        mutations: &'a MutationList,
        fresh: &'a [(Bytes, Bytes)],
        verify: impl Fn(&[u8]) -> Result<()>,
    ) -> Result<Self> {
        let mut writes = WriteSet { fresh, ..WriteSet::default() };
        // Keys come in order: the range of the last one is mostly that of the next.
        let mut last: Option<&(Bytes, Bytes)> = None;
        let mut is_fresh = |key: &[u8]| {
            let within = |range: &&(Bytes, Bytes)| range.0 <= key && key < &range.1[..];
            last = last.filter(within).or_else(|| fresh.iter().find(within));
            last.is_some()
        };
        for mutation in mutations.iter() {
            match mutation? {
                Mutation::DeleteRange { start, end } if start < end => writes.ranges.push((start, end)),
                // An empty range writes nothing.
                Mutation::DeleteRange { .. } => {}
                other => {
                    verify(other.key())?;
                    writes.has_rows = true;
                    if !is_fresh(other.key()) {
                        writes.keys.push((other.key(), other.aspects()));
                    }
                }
            }
        }
        Ok(writes)
    }
}
