//! Applying the log.

use super::{Batch, BranchState, LeaseBody, OpenBody, Outcome, RecordAt};
use shardforge_common::wal::{Record, RecordKind};
use shardforge_common::{BranchId, Lsn, TxnId};
use std::collections::{BTreeMap, BTreeSet};

/// All branches of a group, as of an applied log index.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupState {
    /// Index of the last entry applied, and its term; zeros before the first.
    pub applied_index: u64,
    /// Its term.
    pub applied_term: u64,
    /// The branches.
    pub branches: BTreeMap<BranchId, BranchState>,
    /// Entries whose batch did not follow on, while they may be in the log: whoever reads the log past
    /// this state must pass them as well.
    pub refused: BTreeSet<u64>,
}

/// What a record did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// A transaction took effect.
    Committed {
        /// Where.
        branch: BranchId,
        /// Which.
        txn: TxnId,
        /// At this LSN.
        lsn: Lsn,
        /// At this time.
        time_micros: i64,
        /// The number of the commit record in its batch.
        nth: u32,
        /// Where its fragments are; empty for an ordinary transaction.
        fragments: Vec<RecordAt>,
    },
    /// A fragment is in the log.
    Staged {
        /// Where.
        branch: BranchId,
        /// Which transaction.
        txn: TxnId,
        /// The fragment's number.
        fragment: u32,
    },
    /// A transaction can never commit.
    Aborted {
        /// Where.
        branch: BranchId,
        /// Which.
        txn: TxnId,
        /// Whether it had already committed, in which case the record changed nothing.
        outcome: Outcome,
    },
    /// The sole-writer lease was granted or given back.
    Leased {
        /// Where.
        branch: BranchId,
    },
    /// A branch came to the group, or was there.
    Opened {
        /// Which.
        branch: BranchId,
    },
}

/// What a batch did: its records' effects in order, or nothing at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// All of it.
    Done(Vec<Effect>),
    /// Nothing, because it did not follow on (L2); the reason is for a person.
    Refused(String),
}

/// What the records of a batch before a record would have done: enough to see whether it follows on.
#[derive(Default)]
struct Ahead {
    last: BTreeMap<BranchId, Lsn>,
    staged: BTreeMap<(BranchId, TxnId), u32>,
}

impl GroupState {
    /// Applies the entry at `index`. Either all of the batch takes effect or none of it.
    pub fn apply(&mut self, index: u64, term: u64, batch: &Batch) -> Applied {
        self.advance(index, term);
        if let Err(reason) = self.all_follow_on(term, batch) {
            self.refused.insert(index);
            return Applied::Refused(reason);
        }
        let effects =
            batch.records.iter().zip(0..).map(|(record, nth)| self.take(RecordAt { index, nth }, record));
        Applied::Done(effects.collect())
    }

    /// Passes an entry that carries no batch.
    pub fn advance(&mut self, index: u64, term: u64) {
        self.applied_index = index;
        self.applied_term = term;
    }

    /// Forgets where things were in log entries up to `index`, which are gone.
    pub fn forget_below(&mut self, index: u64) {
        self.refused = self.refused.split_off(&(index + 1));
        self.branches.values_mut().for_each(|branch| branch.forget_below(index));
    }

    fn all_follow_on(&self, term: u64, batch: &Batch) -> Result<(), String> {
        if batch.term != term {
            return Err(format!("certified in term {}, appended in term {term}", batch.term));
        }
        let mut ahead = Ahead::default();
        batch.records.iter().try_for_each(|record| self.follows_on(&mut ahead, record))
    }

    fn follows_on(&self, ahead: &mut Ahead, record: &Record) -> Result<(), String> {
        let header = &record.header;
        if header.kind == RecordKind::Open {
            return OpenBody::decode(&record.body).map(|_| ()).map_err(|e| e.to_string());
        }
        let Some(branch) = self.branches.get(&header.branch) else {
            return Err(format!("branch {} is not in this group", header.branch));
        };
        let staged = ahead
            .staged
            .entry((header.branch, header.txn))
            .or_insert_with(|| branch.staged.get(&header.txn).map_or(0, |txn| txn.fragments.len() as u32));
        match header.kind {
            RecordKind::Commit => {
                let last = ahead.last.entry(header.branch).or_insert(branch.committed);
                if header.prev_lsn != *last || header.lsn != last.next() {
                    return Err(format!(
                        "LSN {} after {} does not follow on {last}",
                        header.lsn, header.prev_lsn
                    ));
                }
                if header.fragment != *staged {
                    return Err(format!(
                        "a commit of {} fragments, but {staged} are staged",
                        header.fragment
                    ));
                }
                if branch.outcomes.get(header.txn).is_some() {
                    return Err(format!("transaction {} was decided before", header.txn));
                }
                *last = header.lsn;
                *staged = 0;
                Ok(())
            }
            RecordKind::Fragment if header.fragment != *staged => {
                Err(format!("fragment {} after {staged} fragments", header.fragment))
            }
            RecordKind::Fragment => {
                *staged += 1;
                Ok(())
            }
            RecordKind::Abort => {
                *staged = 0;
                Ok(())
            }
            RecordKind::Lease => LeaseBody::decode(&record.body).map(|_| ()).map_err(|e| e.to_string()),
            other => Err(format!("records of kind {other:?} are not supported by this version")),
        }
    }

    /// Takes a record that was found to follow on.
    fn take(&mut self, at: RecordAt, record: &Record) -> Effect {
        let header = &record.header;
        let (branch_id, txn) = (header.branch, header.txn);
        if header.kind == RecordKind::Open {
            let open = OpenBody::decode(&record.body).expect("decoded when it was found to follow on");
            self.branches.entry(branch_id).or_insert_with(|| BranchState::new(&open));
            return Effect::Opened { branch: branch_id };
        }
        let branch = self.branches.get_mut(&branch_id).expect("found when it was found to follow on");
        match header.kind {
            RecordKind::Commit => {
                let (lsn, time_micros) = (header.lsn, header.time_micros);
                let fragments = branch.staged.remove(&txn).map_or_else(Vec::new, |staged| staged.fragments);
                if !fragments.is_empty() {
                    branch.large.insert(lsn, fragments.clone());
                }
                branch.committed = lsn;
                branch.time_micros = branch.time_micros.max(time_micros);
                branch.times.note(lsn, branch.time_micros);
                branch.note_position(lsn, at.index);
                branch.outcomes.record(txn, Outcome::Committed { lsn, time_micros }, lsn, time_micros);
                Effect::Committed { branch: branch_id, txn, lsn, time_micros, nth: at.nth, fragments }
            }
            RecordKind::Fragment => {
                branch.staged.entry(txn).or_default().fragments.push(at);
                Effect::Staged { branch: branch_id, txn, fragment: header.fragment }
            }
            RecordKind::Abort => {
                let outcome = branch.outcomes.get(txn).unwrap_or_else(|| {
                    branch.staged.remove(&txn);
                    branch.outcomes.record(txn, Outcome::Aborted, branch.committed, header.time_micros);
                    Outcome::Aborted
                });
                Effect::Aborted { branch: branch_id, txn, outcome }
            }
            RecordKind::Lease => {
                let body = LeaseBody::decode(&record.body);
                match body.expect("decoded when it was found to follow on") {
                    LeaseBody::Granted(lease) => branch.lease = Some(lease),
                    LeaseBody::GivenBack(holder) => {
                        branch.lease = branch.lease.filter(|lease| lease.holder != holder);
                    }
                }
                Effect::Leased { branch: branch_id }
            }
            other => unreachable!("{other:?} does not follow on"),
        }
    }
}
