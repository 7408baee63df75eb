//! Executions that wait to be run again: what they allocated once serves every later run of their plan.

use crate::row_exec::{Execution, RowPlan};
use shardforge_types::Datum;
use std::sync::Arc;

/// How many are kept: a client's transaction has a few statements, and repeats them.
const KEPT: usize = 16;

/// The executions of the plans that ran last.
#[derive(Default)]
pub(super) struct Executions {
    /// The one that ran last at the end.
    kept: Vec<Execution>,
    row: Vec<Datum>,
}

impl Executions {
    /// An execution of a plan, and a buffer for its rows.
    pub(super) fn take(&mut self, plan: &Arc<RowPlan>) -> (Execution, Vec<Datum>) {
        let at = self.kept.iter().rposition(|kept| Arc::ptr_eq(kept.plan(), plan));
        let execution = at.map_or_else(|| Execution::new(plan.clone()), |at| self.kept.remove(at));
        (execution, std::mem::take(&mut self.row))
    }

    /// Takes both back.
    pub(super) fn give_back(&mut self, mut execution: Execution, mut row: Vec<Datum>) {
        row.clear();
        self.row = row;
        if !execution.plan().keeps_little() {
            return;
        }
        // Nothing of the rows that it read is held on to.
        execution.restart();
        if self.kept.len() == KEPT {
            self.kept.remove(0);
        }
        self.kept.push(execution);
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.kept.clear();
    }
}
