//! Which LSNs the archive holds.

use parking_lot::Mutex;
use shardforge_common::{BranchRef, Lsn, Result};
use shardforge_store::{ObjectStore, paths};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// The names of all archived segments, branch by branch, as far as they were listed.
pub struct ArchiveIndex {
    store: Arc<dyn ObjectStore>,
    segments: Mutex<HashMap<BranchRef, BTreeSet<(Lsn, Lsn)>>>,
}

impl ArchiveIndex {
    /// The index of a store; nothing is listed yet.
    pub fn new(store: Arc<dyn ObjectStore>) -> Self {
        Self { store, segments: Mutex::default() }
    }

    /// The store.
    pub fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    /// Lists a branch's segments, whether or not that was done before.
    pub async fn list(&self, branch: BranchRef) -> Result<()> {
        let objects = self.store.list(&paths::wal(branch)).await?;
        let names = objects.iter().filter_map(|object| paths::parse_wal_segment_name(object.path.name()));
        self.segments.lock().insert(branch, names.collect());
        Ok(())
    }

    /// Whether the branch's segments were ever listed.
    pub fn is_listed(&self, branch: BranchRef) -> bool {
        self.segments.lock().contains_key(&branch)
    }

    /// A segment that holds this LSN, the one that reaches furthest. `None` also when nothing was listed.
    pub fn segment_with(&self, branch: BranchRef, lsn: Lsn) -> Option<(Lsn, Lsn)> {
        let segments = self.segments.lock();
        let before = segments.get(&branch)?.range(..=(lsn, Lsn::MAX)).filter(|(_, last)| *last >= lsn);
        before.max_by_key(|(_, last)| *last).copied()
    }

    /// Everything up to which LSN is safe, when everything up to `uploaded` is.
    pub fn safe_through(&self, branch: BranchRef, uploaded: Lsn) -> Lsn {
        let mut safe = uploaded;
        while let Some((_, last)) = self.segment_with(branch, safe.next()) {
            safe = last;
        }
        safe
    }

    /// Segments that end at or before `uploaded`: layers hold all of them.
    pub fn covered(&self, branch: BranchRef, uploaded: Lsn) -> Vec<(Lsn, Lsn)> {
        let segments = self.segments.lock();
        let all = segments.get(&branch).into_iter().flatten();
        all.filter(|(_, last)| *last <= uploaded).copied().collect()
    }

    /// A segment was put.
    pub fn add(&self, branch: BranchRef, first: Lsn, last: Lsn) {
        self.segments.lock().entry(branch).or_default().insert((first, last));
    }

    /// A segment is about to be deleted.
    pub fn remove(&self, branch: BranchRef, segment: (Lsn, Lsn)) {
        if let Some(segments) = self.segments.lock().get_mut(&branch) {
            segments.remove(&segment);
        }
    }

    /// How many segments are known, over all branches.
    pub fn len(&self) -> usize {
        self.segments.lock().values().map(BTreeSet::len).sum()
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All that is known, for status and tests.
    pub fn snapshot(&self) -> BTreeMap<BranchRef, Vec<(Lsn, Lsn)>> {
        self.segments
            .lock()
            .iter()
            .map(|(branch, known)| (*branch, known.iter().copied().collect()))
            .collect()
    }
}
