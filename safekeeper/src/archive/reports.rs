//! What pageservers said is in layers, and what follows for trimming (I5, L1).

use shardforge_common::{BranchRef, Generation, Lsn, SlotRange};
use shardforge_proto::wal::IngestReport;
use std::collections::{BTreeMap, HashMap};

/// The reports of all shards, branch by branch.
///
/// A slot's state is the report of the highest generation that covers it; within one generation
/// nothing goes back. Slots of which nobody spoke hold everything up.
#[derive(Debug, Default)]
pub struct Reports {
    branches: HashMap<BranchRef, BTreeMap<SlotRange, Latest>>,
}

#[derive(Debug)]
struct Latest {
    generation: Generation,
    manifest: u64,
    uploaded: Lsn,
    ingested: Lsn,
    full: Option<String>,
}

impl Reports {
    /// Takes a report. One of an older generation than is known of any of its slots, or of an older
    /// manifest of the same range, says nothing new.
    pub fn take(&mut self, report: IngestReport) {
        let latest = Latest {
            generation: report.generation,
            manifest: report.manifest,
            uploaded: report.uploaded,
            ingested: report.ingested,
            full: report.full,
        };
        let shards = self.branches.entry(report.branch).or_default();
        let stale =
            |known: &Latest| (known.generation, known.manifest) > (latest.generation, latest.manifest);
        if shards.get(&report.slots).is_some_and(stale) {
            return;
        }
        let overlaps =
            |slots: &SlotRange| slots.first <= report.slots.last && report.slots.first <= slots.last;
        if shards.iter().any(|(slots, known)| overlaps(slots) && known.generation > report.generation) {
            return;
        }
        // After a split or a merge the new ranges stand for the old ones that they cover.
        shards.retain(|slots, known| !overlaps(slots) || known.generation >= report.generation);
        shards.insert(report.slots, latest);
    }

    /// Everything up to here is in layers of published manifests, for all 65,536 slots.
    pub fn uploaded(&self, branch: BranchRef) -> Lsn {
        self.over_all_slots(branch, |latest| latest.uploaded)
    }

    /// Everything up to here has been ingested, by every shard.
    pub fn ingested(&self, branch: BranchRef) -> Lsn {
        self.over_all_slots(branch, |latest| latest.ingested)
    }

    /// Why the object store takes no more of a branch, when a shard has said so.
    pub fn full(&self, branch: BranchRef) -> Option<&str> {
        self.branches.get(&branch)?.values().find_map(|latest| latest.full.as_deref())
    }

    /// The same of any branch.
    pub fn any_full(&self) -> Option<&str> {
        self.branches.keys().find_map(|branch| self.full(*branch))
    }

    /// The least over all slots; zero when a slot has no report. Where ranges overlap (a split of which
    /// not all children have spoken) the lower one counts.
    fn over_all_slots(&self, branch: BranchRef, of: impl Fn(&Latest) -> Lsn) -> Lsn {
        let Some(shards) = self.branches.get(&branch) else { return Lsn::ZERO };
        let mut next = 0u32;
        for slots in shards.keys() {
            if u32::from(slots.first) > next {
                return Lsn::ZERO;
            }
            next = next.max(u32::from(slots.last) + 1);
        }
        if next <= u32::from(u16::MAX) {
            return Lsn::ZERO;
        }
        shards.values().map(of).min().unwrap_or(Lsn::ZERO)
    }
}
