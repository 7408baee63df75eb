//! DELETE.

use super::returning::ReturningPlan;
use super::row_writer::{MutationQueue, drop_big_values};
use super::update::{Target, TargetState};
use crate::SqlResult;
use crate::row_exec::ExecEnv;
use crate::row_exec::stop::Step;
use crate::row_exec::storage::TableCodec;
use shardforge_types::Datum;
use std::sync::Arc;

/// What is removed.
#[derive(Debug)]
pub(in crate::row_exec) struct DeletePlan {
    pub(in crate::row_exec) codec: Arc<TableCodec>,
    pub(in crate::row_exec) target: Target,
    pub(in crate::row_exec) returning: Option<ReturningPlan>,
}

/// The row at hand.
pub(in crate::row_exec) struct DeleteState {
    writing: bool,
    have: bool,
    /// The row is removed; RETURNING is to be evaluated.
    written: bool,
    pub(in crate::row_exec) target: TargetState,
    row: Vec<Datum>,
    queue: MutationQueue,
}

impl DeleteState {
    pub(in crate::row_exec) fn open(plan: &DeletePlan) -> Self {
        Self {
            writing: false,
            have: false,
            written: false,
            target: plan.target.open(),
            row: Vec::new(),
            queue: MutationQueue::default(),
        }
    }

    pub(in crate::row_exec) fn reset(&mut self) {
        self.writing = false;
        self.have = false;
        self.written = false;
        self.target.reset();
        self.queue.clear();
    }

    /// Removes the next row; false when there is none left.
    pub(in crate::row_exec) fn next(
        &mut self,
        plan: &DeletePlan,
        env: &mut ExecEnv<'_>,
        out: &mut Vec<Datum>,
    ) -> Step<bool> {
        if !self.have {
            if !self.target.next(&plan.target, env, &mut self.row)? {
                return Ok(false);
            }
            self.have = true;
        }
        if !self.writing && !self.written {
            let (key, value) = self.target.row();
            drop_big_values(env, &plan.codec, key, value, |_| true)?;
            let entries = plan.codec.indexes().iter().map(|index| index.entry(&self.row, key));
            let entries = entries.collect::<SqlResult<Vec<_>>>()?;
            self.queue.delete(key, &entries);
            self.writing = true;
        }
        if !self.written {
            self.queue.run(env)?;
            self.writing = false;
            self.row.extend_from_slice(self.target.fed());
            self.written = true;
        }
        if let Some(returning) = &plan.returning {
            returning.row(env, &self.row, out)?;
        }
        self.written = false;
        self.have = false;
        Ok(true)
    }
}
