//! Recent writes: every mutation above the floor, by key and LSN. A pure structure; its lock is the
//! business of [`crate::BranchCache`].
//!
//! # Invariants
//!
//! 1. The versions of a key strictly increase in place `(LSN, number within the LSN)`.
//! 2. A key is in the filter exactly as long as it is in the map.
//! 3. Versions at or below the floor leave a key together: who finds one finds all that were there.

use crate::filter::KeyFilter;
use bytes::Bytes;
use shardforge_common::mutation::{Aspects, Mutation};
use shardforge_common::{Error, Lsn, Result};
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::ops::Bound;

/// What a version costs beside its bytes.
const VERSION_OVERHEAD: usize = 64;
/// What a key costs beside its bytes.
const KEY_OVERHEAD: usize = 96;

/// The place of a mutation in its branch: its commit, and its number within that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) lsn: Lsn,
    pub(crate) number: u32,
}

impl Place {
    /// The last place of an LSN.
    pub(crate) fn last_of(lsn: Lsn) -> Place {
        Place { lsn, number: u32::MAX }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    Value(Bytes),
    Gone,
    /// Data unchanged: seen by checks only.
    Touched,
}

#[derive(Debug, Clone)]
pub(crate) struct Version {
    pub(crate) at: Place,
    pub(crate) aspects: Aspects,
    pub(crate) change: Change,
}

pub(crate) type Versions = SmallVec<[Version; 1]>;

#[derive(Debug, Clone)]
pub(crate) struct RangeDelete {
    pub(crate) at: Place,
    pub(crate) start: Bytes,
    pub(crate) end: Bytes,
}

impl RangeDelete {
    pub(crate) fn covers(&self, key: &[u8]) -> bool {
        self.start <= key && key < self.end
    }

    /// Whether it meets `[lo, hi)`.
    pub(crate) fn overlaps(&self, lo: &[u8], hi: Option<&[u8]>) -> bool {
        lo < &self.end[..] && hi.is_none_or(|hi| &self.start[..] < hi)
    }
}

/// What recent writes say of a key at a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Recent {
    /// Nothing: the pages tell.
    Silent,
    /// This is the newest version at or below the snapshot.
    Row(Place, Bytes),
    /// The newest version at or below the snapshot deletes the key.
    Gone(Place),
    /// A range delete covers it, and nothing newer: gone, unless a page at or above that LSN says
    /// otherwise (a fold in progress has taken what came after out of here).
    Wiped(Place),
}

#[derive(Default)]
pub(crate) struct RecentWrites {
    map: BTreeMap<Bytes, Versions>,
    ranges: Vec<RangeDelete>,
    bytes: usize,
}

impl RecentWrites {
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn range_deletes(&self) -> &[RangeDelete] {
        &self.ranges
    }

    /// Adds a mutation. `share` gives the shared bytes of a borrowed slice. A mutation that is there
    /// already (a feed that was interrupted within an LSN and started again) changes nothing.
    pub(crate) fn add(
        &mut self,
        at: Place,
        mutation: Mutation<'_>,
        share: impl Fn(&[u8]) -> Bytes,
        filter: &KeyFilter,
    ) -> Result<()> {
        let aspects = mutation.aspects();
        let change = match mutation {
            Mutation::Insert { value, .. } | Mutation::Update { value, .. } | Mutation::Put { value, .. } => {
                Change::Value(share(value))
            }
            Mutation::Delete { .. } => Change::Gone,
            Mutation::Touch { .. } => Change::Touched,
            Mutation::DeleteRange { start, end } => {
                if !self.ranges.iter().any(|range| range.at == at) {
                    self.ranges.push(RangeDelete { at, start: share(start), end: share(end) });
                    self.bytes += KEY_OVERHEAD + start.len() + end.len();
                }
                return Ok(());
            }
            Mutation::Merge { operator, .. } => {
                return Err(Error::invalid(format!("LSN {}: unknown merge operator {operator}", at.lsn)));
            }
        };
        let key = mutation.key();
        let added = VERSION_OVERHEAD + if let Change::Value(value) = &change { value.len() } else { 0 };
        let version = Version { at, aspects, change };
        if let Some(versions) = self.map.get_mut(key) {
            if versions.last().is_some_and(|last| last.at >= at) {
                return Ok(());
            }
            versions.push(version);
            self.bytes += added;
        } else {
            filter.add(key);
            self.bytes += added + KEY_OVERHEAD + key.len();
            self.map.insert(share(key), SmallVec::from_iter([version]));
        }
        Ok(())
    }

    /// The newest version of a key at or below a snapshot.
    pub(crate) fn newest(&self, key: &[u8], snapshot: Lsn) -> Recent {
        self.newest_of(key, self.map.get(key), snapshot)
    }

    fn newest_of(&self, key: &[u8], versions: Option<&Versions>, snapshot: Lsn) -> Recent {
        let point = versions.and_then(|versions| {
            versions.iter().rev().find(|v| v.at.lsn <= snapshot && v.change != Change::Touched)
        });
        let wiped = self.wiped(key, Place { lsn: Lsn::ZERO, number: 0 }, snapshot);
        match (point, wiped) {
            (Some(point), wiped) if wiped.is_none_or(|wiped| wiped < point.at) => match &point.change {
                Change::Value(value) => Recent::Row(point.at, value.clone()),
                _ => Recent::Gone(point.at),
            },
            (_, Some(wiped)) => Recent::Wiped(wiped),
            (_, None) => Recent::Silent,
        }
    }

    /// The newest range delete over a key above a place and at or below an LSN.
    pub(crate) fn wiped(&self, key: &[u8], above: Place, through: Lsn) -> Option<Place> {
        self.ranges
            .iter()
            .filter(|range| range.at > above && range.at.lsn <= through && range.covers(key))
            .map(|range| range.at)
            .max()
    }

    /// The newest write of such an aspect of a key above one LSN and at or below another.
    pub(crate) fn written(&self, key: &[u8], after: Lsn, through: Lsn, aspects: Aspects) -> Option<Lsn> {
        let point =
            self.map.get(key).and_then(|versions| Self::written_of(versions, after, through, aspects));
        let wiped = if aspects.intersects(Aspects::READ) {
            self.wiped(key, Place::last_of(after), through).map(|place| place.lsn)
        } else {
            None
        };
        point.max(wiped)
    }

    pub(crate) fn written_of(versions: &Versions, after: Lsn, through: Lsn, aspects: Aspects) -> Option<Lsn> {
        versions
            .iter()
            .rev()
            .take_while(|v| v.at.lsn > after)
            .find(|v| v.at.lsn <= through && v.aspects.intersects(aspects))
            .map(|v| v.at.lsn)
    }

    /// A write of such an aspect of any key in `[start, end)`, above one LSN and at or below another.
    pub(crate) fn written_in(
        &self,
        start: &[u8],
        end: &[u8],
        after: Lsn,
        through: Lsn,
        aspects: Aspects,
    ) -> Option<(Bytes, Lsn)> {
        if aspects.intersects(Aspects::READ)
            && let Some(range) = self.ranges.iter().find(|range| {
                range.at.lsn > after && range.at.lsn <= through && range.overlaps(start, Some(end))
            })
        {
            return Some((range.start.clone(), range.at.lsn));
        }
        self.iter(start, Some(end)).find_map(|(key, versions)| {
            Some((key.clone(), Self::written_of(versions, after, through, aspects)?))
        })
    }

    /// The keys in `[start, end)` with their versions.
    pub(crate) fn iter<'a>(
        &'a self,
        start: &[u8],
        end: Option<&[u8]>,
    ) -> impl DoubleEndedIterator<Item = (&'a Bytes, &'a Versions)> + use<'a> {
        let end = match end {
            Some(end) if end <= start => Bound::Excluded(start),
            Some(end) => Bound::Excluded(end),
            None => Bound::Unbounded,
        };
        self.map.range::<[u8], _>((Bound::Included(start), end))
    }

    /// What recent writes say of a key that [`RecentWrites::iter`] gave.
    pub(crate) fn newest_in(&self, key: &[u8], versions: &Versions, snapshot: Lsn) -> Recent {
        self.newest_of(key, Some(versions), snapshot)
    }

    /// Takes out a key's versions at or below the floor.
    pub(crate) fn remove_through(&mut self, key: &[u8], floor: Lsn, filter: &KeyFilter) {
        let Some(versions) = self.map.get_mut(key) else { return };
        let mut freed = 0;
        versions.retain(|v| {
            let keep = v.at.lsn > floor;
            if !keep {
                freed +=
                    VERSION_OVERHEAD + if let Change::Value(value) = &v.change { value.len() } else { 0 };
            }
            keep
        });
        if versions.is_empty() {
            freed += KEY_OVERHEAD + key.len();
            self.map.remove(key);
            filter.remove(key);
        }
        self.bytes = self.bytes.saturating_sub(freed);
    }

    /// Takes out the range deletes at or below the floor.
    pub(crate) fn remove_ranges_through(&mut self, floor: Lsn) {
        let mut freed = 0;
        self.ranges.retain(|range| {
            let keep = range.at.lsn > floor;
            if !keep {
                freed += KEY_OVERHEAD + range.start.len() + range.end.len();
            }
            keep
        });
        self.bytes = self.bytes.saturating_sub(freed);
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self, filter: &KeyFilter) {
        *self = Self::default();
        filter.clear();
    }

    /// Panics unless the invariants hold.
    #[cfg(test)]
    pub(crate) fn validate(&self, filter: &KeyFilter) {
        for (key, versions) in &self.map {
            assert!(!versions.is_empty() && versions.windows(2).all(|pair| pair[0].at < pair[1].at));
            assert!(filter.may_hold(key));
        }
    }
}
