//! Every version of every key of a branch, as tests remember them.

use bytes::Bytes;
use shardforge_common::mutation::{Aspects, Mutation};
use shardforge_common::{Lsn, Result};
use std::collections::BTreeMap;
use std::ops::Bound;

/// The versions of a branch.
#[derive(Default)]
pub struct History {
    versions: BTreeMap<Bytes, Vec<(Lsn, Option<Bytes>)>>,
    writes: BTreeMap<Bytes, Vec<(Lsn, Aspects)>>,
    range_writes: Vec<(Lsn, Bytes, Bytes)>,
}

impl History {
    /// Adds a mutation of a commit.
    pub fn add(&mut self, lsn: Lsn, mutation: Result<Mutation<'_>>) {
        let mutation = mutation.expect("tests encode what they mean");
        let key = Bytes::copy_from_slice(mutation.key());
        match mutation {
            Mutation::DeleteRange { start, end } => {
                for (_, versions) in
                    self.versions.range_mut::<[u8], _>((Bound::Included(start), Bound::Excluded(end)))
                {
                    versions.push((lsn, None));
                }
                self.range_writes.push((lsn, key, Bytes::copy_from_slice(end)));
                return;
            }
            Mutation::Insert { value, .. } | Mutation::Update { value, .. } | Mutation::Put { value, .. } => {
                let value = Some(Bytes::copy_from_slice(value));
                self.versions.entry(key.clone()).or_default().push((lsn, value));
            }
            Mutation::Delete { .. } => self.versions.entry(key.clone()).or_default().push((lsn, None)),
            Mutation::Touch { .. } => {}
            Mutation::Merge { .. } => panic!("no merge operator exists"),
        }
        self.writes.entry(key).or_default().push((lsn, mutation.aspects()));
    }

    /// The row under a key.
    pub fn get(&self, key: &[u8], at: Lsn) -> Option<(Lsn, Bytes)> {
        Self::at(self.versions.get(key)?, at)
    }

    /// The rows of `[start, end)`; no end is above every key.
    pub fn range<'a>(
        &'a self,
        start: &[u8],
        end: Option<&[u8]>,
        at: Lsn,
    ) -> impl DoubleEndedIterator<Item = (&'a Bytes, Lsn, Bytes)> + use<'a> {
        let end = end.map_or(Bound::Unbounded, |end| Bound::Excluded(end.max(start)));
        self.versions
            .range::<[u8], _>((Bound::Included(start), end))
            .filter_map(move |(key, versions)| Self::at(versions, at).map(|(lsn, value)| (key, lsn, value)))
    }

    fn at(versions: &[(Lsn, Option<Bytes>)], at: Lsn) -> Option<(Lsn, Bytes)> {
        let (lsn, value) = versions.iter().rev().find(|(lsn, _)| *lsn <= at)?;
        value.clone().map(|value| (*lsn, value))
    }

    /// A write of such an aspect of a key above an LSN.
    pub fn written(&self, key: &[u8], after: Lsn, aspects: Aspects) -> Option<Lsn> {
        let end = [key, &[0]].concat();
        self.written_in(key, &end, after, aspects).map(|(_, lsn)| lsn)
    }

    /// The same for any key in `[start, end)`.
    pub fn written_in(&self, start: &[u8], end: &[u8], after: Lsn, aspects: Aspects) -> Option<(Bytes, Lsn)> {
        let ranges = self
            .range_writes
            .iter()
            .filter(|(lsn, lo, hi)| {
                *lsn > after && aspects.intersects(Aspects::READ) && &lo[..] < end && start < &hi[..]
            })
            .map(|(lsn, lo, _)| (lo.clone(), *lsn));
        let keys = self.writes.range::<[u8], _>((Bound::Included(start), Bound::Excluded(end))).flat_map(
            |(key, writes)| {
                writes
                    .iter()
                    .filter(|(lsn, written)| *lsn > after && written.intersects(aspects))
                    .map(|(lsn, _)| (key.clone(), *lsn))
            },
        );
        ranges.chain(keys).max_by_key(|(_, lsn)| *lsn)
    }
}
