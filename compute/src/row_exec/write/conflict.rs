//! ON CONFLICT.

use super::row_writer::{MutationQueue, Taken, lock};
use super::update::{Change, ChangePlan, decode_in_place};
use crate::SqlError;
use crate::row_exec::ExecEnv;
use crate::row_exec::expr::Evaluator;
use crate::row_exec::stop::Step;
use crate::row_exec::storage::TableCodec;
use crate::txn::{LockMode, Visibility};
use bytes::Bytes;
use shardforge_types::{Datum, SqlState};

/// What a conflict leads to.
#[derive(Debug)]
pub(in crate::row_exec) struct ConflictPlan {
    /// The unique index that is meant: `None` is any, `Some(None)` the primary key.
    pub(in crate::row_exec) index: Option<Option<usize>>,
    /// DO UPDATE.
    pub(in crate::row_exec) update: Option<ConflictUpdate>,
}

/// DO UPDATE. Expressions are over the existing row, followed by the row proposed for insertion.
#[derive(Debug)]
pub(in crate::row_exec) struct ConflictUpdate {
    pub(in crate::row_exec) change: ChangePlan,
    pub(in crate::row_exec) predicate: Option<Evaluator>,
    pub(in crate::row_exec) assignments: Vec<(usize, Evaluator)>,
}

impl ConflictPlan {
    /// Whether a conflict on this key is one that the statement expects.
    pub(in crate::row_exec) fn covers(&self, index: Option<usize>) -> bool {
        self.index.is_none_or(|meant| meant == index)
    }
}

#[derive(Default, PartialEq)]
enum Stage {
    #[default]
    Start,
    Made,
    Writing,
}

/// Where the handling of a conflict stands.
#[derive(Default)]
pub(in crate::row_exec) struct ConflictAction {
    stage: Stage,
    value: Bytes,
    old: Vec<Datum>,
    new: Vec<Datum>,
    change: Change,
}

impl ConflictAction {
    pub(in crate::row_exec) fn reset(&mut self) {
        self.done();
    }

    pub(in crate::row_exec) fn done(&mut self) {
        self.stage = Stage::Start;
        self.change.done();
    }

    /// Does what the statement says; gives the row as it was written, or none when nothing was.
    pub(in crate::row_exec) fn resolve(
        &mut self,
        plan: &ConflictPlan,
        codec: &TableCodec,
        taken: &Taken,
        proposed: &[Datum],
        env: &mut ExecEnv<'_>,
        queue: &mut MutationQueue,
    ) -> Step<Option<Vec<Datum>>> {
        let Some(update) = &plan.update else { return Ok(None) };
        if self.stage == Stage::Start {
            if !self.make(update, codec, taken, proposed, env)? {
                return Ok(None);
            }
            self.stage = Stage::Made;
        }
        if self.stage == Stage::Made {
            let old = &self.old[..codec.table().columns.len()];
            self.change.queue(&update.change, env, (&taken.row_key, &self.value), (old, &self.new), queue)?;
            self.stage = Stage::Writing;
        }
        queue.run(env)?;
        Ok(Some(std::mem::take(&mut self.new)))
    }

    /// Locks and reads the existing row, and makes the new one of it; false when WHERE leaves it alone.
    fn make(
        &mut self,
        update: &ConflictUpdate,
        codec: &TableCodec,
        taken: &Taken,
        proposed: &[Datum],
        env: &mut ExecEnv<'_>,
    ) -> Step<bool> {
        lock(env, &taken.row_key, LockMode::Update)?;
        let now = env.txn.get(&taken.row_key, Visibility::Now)?;
        let Some(now) = now else {
            let message =
                format!("an index of table \"{}\" names a row that is not there", codec.table().name);
            return Err(shardforge_common::Error::corrupt(message).into());
        };
        if env.txn.has_written_in_command(&taken.row_key).map_err(SqlError::from)? {
            let message = "ON CONFLICT DO UPDATE command cannot affect row a second time";
            return Err(SqlError::new(SqlState::CARDINALITY_VIOLATION, message)
                .hint("Ensure that no rows proposed for insertion within the same command have duplicate constrained values.")
                .into());
        }
        let columns: Vec<usize> = codec.table().visible_columns().map(|(position, _)| position).collect();
        decode_in_place(codec, env, &taken.row_key, &now.value, &columns, Visibility::Now, &mut self.old)?;
        self.value = now.value;
        self.new.clear();
        self.new.extend_from_slice(&self.old);
        self.old.extend_from_slice(proposed);
        env.begin_evaluation();
        let eval = env.eval(&self.old);
        if let Some(predicate) = &update.predicate
            && !predicate.is_true(&eval)?
        {
            return Ok(false);
        }
        for (column, value) in &update.assignments {
            self.new[*column] = value.eval(&eval)?;
        }
        Ok(true)
    }
}
