//! Makes a core for a new leadership, out of the applied state and the end of the log.
//!
//! It is made only when every entry that the log holds has been applied, those of earlier terms
//! included: so nothing is pending, and what the log holds is what happened. Where the log shown does
//! not reach, or says less than a check would need (the fragments of a large commit), the floor is
//! raised instead: a check below it is `TooOld`, never wrong.

use super::core::{StagedTail, Tail};
use super::{CoreConfig, SequencerCore};
use crate::certifier::{Certifier, WriteSet};
use crate::group::{Batch, GroupState};
use shardforge_common::mutation::MutationList;
use shardforge_common::wal::RecordKind;
use shardforge_common::{BranchId, Error, Lsn, Result, TxnId};
use std::collections::HashMap;
use std::time::Duration;

/// A core in the making: batches from the end of the log in order, then fragments, then done.
pub struct Rebuild {
    term: u64,
    config: CoreConfig,
    certifiers: HashMap<BranchId, Certifier, ahash::RandomState>,
    order: Vec<(BranchId, Lsn)>,
}

impl Rebuild {
    /// Begins, for a term.
    pub fn new(term: u64, config: CoreConfig) -> Self {
        Self { term, config, certifiers: HashMap::default(), order: Vec::new() }
    }

    /// Takes the next batch of the log, which stands in an entry of `entry_term`.
    pub fn batch(&mut self, entry_term: u64, batch: &Batch) -> Result<()> {
        let commits = || batch.records.iter().filter(|record| record.header.kind == RecordKind::Commit);
        // A batch that did not follow on when it was applied changed nothing, so it says nothing.
        let mut last: HashMap<BranchId, Lsn> = HashMap::new();
        for record in commits() {
            let known = self.certifiers.get(&record.header.branch).map(Certifier::last);
            let expected =
                last.entry(record.header.branch).or_insert(known.unwrap_or(record.header.prev_lsn));
            if record.header.prev_lsn != *expected || batch.term != entry_term {
                return Ok(());
            }
            *expected = record.header.lsn;
        }
        for record in commits() {
            let header = &record.header;
            let certifier =
                self.certifiers.entry(header.branch).or_insert_with(|| Certifier::new(header.prev_lsn));
            if header.fragment > 0 {
                *certifier = Certifier::new(header.lsn);
                self.order.retain(|(branch, _)| *branch != header.branch);
                continue;
            }
            let mutations = MutationList::from_bytes(record.body.clone());
            let writes = WriteSet::of(&mutations).map_err(|e| e.context(format!("LSN {}", header.lsn)))?;
            certifier.replay_commit(header.txn, header.lsn, &writes);
            self.order.push((header.branch, header.lsn));
        }
        Ok(())
    }

    /// Ends with the applied state. `fragment` reads the body of a staged fragment from the log.
    pub fn finish(
        mut self,
        state: &GroupState,
        now: Duration,
        mut fragment: impl FnMut(TxnId, crate::group::RecordAt) -> Result<MutationList>,
    ) -> Result<SequencerCore> {
        let mut core = SequencerCore::new(self.term, self.config);
        for (id, branch) in &state.branches {
            let shown = self.certifiers.remove(id).filter(|certifier| certifier.last() == branch.committed);
            if shown.is_none() {
                self.order.retain(|(other, _)| other != id);
            }
            let mut certifier = shown.unwrap_or_else(|| Certifier::new(branch.committed));
            let mut staged = std::collections::BTreeMap::new();
            for (txn, open) in &branch.staged {
                let mut has_rows = false;
                for at in &open.fragments {
                    let mutations = fragment(*txn, *at)?;
                    let writes = WriteSet::of(&mutations)?;
                    has_rows |= writes.has_rows;
                    certifier.stage(*txn, &writes);
                }
                let fragments = u32::try_from(open.fragments.len())
                    .map_err(|e| Error::internal("more fragments than a number holds").with_source(e))?;
                // Its lease begins anew: the old leader knew when it was last heard of, we do not.
                staged.insert(*txn, StagedTail { fragments, heard_at: now, has_rows });
            }
            core.window_bytes += certifier.window_bytes();
            let mut tail = Tail::new(branch, certifier);
            tail.staged = staged;
            core.tails.insert(*id, tail);
        }
        self.order.retain(|(branch, _)| core.tails.contains_key(branch));
        core.window_order = self.order.into();
        core.shrink_windows();
        Ok(core)
    }
}
