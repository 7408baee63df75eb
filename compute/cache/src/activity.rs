//! How much is written to each storage: what tells when a table is to be analyzed again, and about how many
//! rows it has meanwhile.
//!
//! The feed's mutations are counted as recent writes take them, so every compute counts those of all. Counts
//! begin when the branch is opened. They are shown when their commits are applied and not before, so that a snapshot
//! taken after a look at them has all that they count. They are no part of any result: a commit that the feed brings twice, after it
//! was interrupted, is counted twice.

use parking_lot::Mutex;
use shardforge_common::mutation::Mutation;
use shardforge_common::{StorageId, key};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

/// Rows written to one storage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    /// New rows.
    pub inserted: u64,
    /// Rows that were there.
    pub updated: u64,
    /// Rows that are gone.
    pub deleted: u64,
}

impl Written {
    /// Writes of all kinds.
    pub fn all(&self) -> u64 {
        self.inserted + self.updated + self.deleted
    }

    /// What came since an earlier count.
    #[must_use]
    pub fn since(&self, earlier: &Written) -> Written {
        Written {
            inserted: self.inserted.saturating_sub(earlier.inserted),
            updated: self.updated.saturating_sub(earlier.updated),
            deleted: self.deleted.saturating_sub(earlier.deleted),
        }
    }

    /// By how many rows the storage grew.
    pub fn growth(&self) -> i64 {
        self.inserted as i64 - self.deleted as i64
    }

    fn add(&mut self, other: &Written) {
        self.inserted += other.inserted;
        self.updated += other.updated;
        self.deleted += other.deleted;
    }
}

/// The counts of a branch's storages.
#[derive(Default)]
pub(crate) struct Activity {
    storages: Mutex<HashMap<StorageId, Written, ahash::RandomState>>,
    /// Counted, and not applied yet; `None` is a storage that goes.
    coming: Mutex<Vec<(StorageId, Option<Written>)>>,
    /// Raised whenever something was counted.
    steps: AtomicU64,
}

impl Activity {
    /// Counts a list of mutations. Those of a storage follow one another, so the counts are touched once
    /// for each storage.
    pub(crate) fn tally(&self) -> Tally<'_> {
        Tally { activity: self, storage: None, run: Written::default() }
    }

    /// What was counted so far has been applied.
    pub(crate) fn applied(&self) {
        let mut coming = self.coming.lock();
        if coming.is_empty() {
            return;
        }
        let mut storages = self.storages.lock();
        for (storage, written) in coming.drain(..) {
            match written {
                Some(written) => storages.entry(storage).or_default().add(&written),
                None => drop(storages.remove(&storage)),
            }
        }
        self.steps.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn written(&self, storage: StorageId) -> Written {
        self.storages.lock().get(&storage).copied().unwrap_or_default()
    }

    pub(crate) fn steps(&self) -> u64 {
        self.steps.load(Ordering::Relaxed)
    }

    /// Counts begin anew.
    pub(crate) fn clear(&self) {
        self.storages.lock().clear();
    }
}

/// The mutations of one list, counted.
pub(crate) struct Tally<'a> {
    activity: &'a Activity,
    storage: Option<StorageId>,
    run: Written,
}

impl Tally<'_> {
    pub(crate) fn see(&mut self, mutation: &Mutation<'_>) {
        let Ok(storage) = key::storage_id_of(mutation.key()) else { return };
        if self.storage != Some(storage) {
            self.flush();
            self.storage = Some(storage);
        }
        match mutation {
            Mutation::Insert { .. } => self.run.inserted += 1,
            Mutation::Update { .. } | Mutation::Put { .. } | Mutation::Merge { .. } => self.run.updated += 1,
            Mutation::Delete { .. } => self.run.deleted += 1,
            Mutation::Touch { .. } => {}
            // A storage that goes as a whole: nobody will ask for it again.
            Mutation::DeleteRange { start, end } => {
                let (first, last) = key::storage_range(storage);
                if *start <= &first[..] && *end >= &last[..] {
                    self.activity.coming.lock().push((storage, None));
                }
            }
        }
    }

    fn flush(&mut self) {
        let Some(storage) = self.storage.take() else { return };
        if self.run != Written::default() {
            let run = std::mem::take(&mut self.run);
            let mut coming = self.activity.coming.lock();
            match coming.last_mut() {
                // A large commit comes in many lists.
                Some((last, Some(sum))) if *last == storage => sum.add(&run),
                _ => coming.push((storage, Some(run))),
            }
        }
    }
}

impl Drop for Tally<'_> {
    fn drop(&mut self) {
        self.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key_in(storage: u64, rest: &[u8]) -> Vec<u8> {
        [&key::storage_prefix(StorageId(storage))[..], rest].concat()
    }

    #[test]
    fn each_storage_has_its_own_counts_until_it_goes_as_a_whole() {
        let activity = Activity::default();
        let (a, b, c) = (key_in(5000, b"a"), key_in(5000, b"b"), key_in(5001, b"a"));
        let mut tally = activity.tally();
        tally.see(&Mutation::Insert { key: &a, value: b"" });
        tally.see(&Mutation::Insert { key: &b, value: b"" });
        tally.see(&Mutation::Touch { key: &b });
        tally.see(&Mutation::Update { key: &c, value: b"" });
        tally.see(&Mutation::Delete { key: &c });
        drop(tally);
        assert_eq!(activity.written(StorageId(5000)), Written::default(), "not applied yet");
        activity.applied();
        let first = activity.written(StorageId(5000));
        assert_eq!(first, Written { inserted: 2, updated: 0, deleted: 0 });
        assert_eq!(first.growth(), 2);
        let second = activity.written(StorageId(5001));
        assert_eq!(second, Written { inserted: 0, updated: 1, deleted: 1 });
        assert_eq!(second.since(&Written { updated: 1, ..Written::default() }).all(), 1);
        // A part of a storage is no whole.
        activity.tally().see(&Mutation::DeleteRange { start: &a, end: &b });
        activity.applied();
        assert_eq!(activity.written(StorageId(5000)), first);
        let (lo, hi) = key::storage_range(StorageId(5000));
        activity.tally().see(&Mutation::DeleteRange { start: &lo, end: &hi });
        activity.applied();
        assert_eq!(activity.written(StorageId(5000)), Written::default());
        assert_eq!(activity.written(StorageId(5001)), second);
    }
}
