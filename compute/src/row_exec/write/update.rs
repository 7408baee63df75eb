//! UPDATE: a row that was found gets new values.

use super::constraints::{Constraints, duplicate_key};
use super::returning::ReturningPlan;
use super::row_writer::{InsertWay, MutationQueue, drop_big_values, entry_taken, key_taken};
use crate::SqlResult;
use crate::row_exec::ExecEnv;
use crate::row_exec::expr::Evaluator;
use crate::row_exec::ops::scan::{ScanPlan, ScanState};
use crate::row_exec::stop::Step;
use crate::row_exec::storage::{EntryParts, IndexCodec, TableCodec, fetch_external};
use crate::row_exec::write::derived::{FedRows, FedTarget};
use crate::txn::Visibility;
use bytes::Bytes;
use shardforge_types::Datum;
use std::sync::Arc;

/// What a change of certain columns of a table's rows involves.
#[derive(Debug)]
pub(in crate::row_exec) struct ChangePlan {
    pub(in crate::row_exec) codec: Arc<TableCodec>,
    /// Positions of the columns that get values, in order.
    changed: Vec<usize>,
    key_changes: bool,
    /// Whether columns of a unique index, or of the key, may change.
    identity_changes: bool,
    /// Indexes whose entries may change.
    indexes: Vec<usize>,
    constraints: Constraints,
    constrained: bool,
}

impl ChangePlan {
    pub(in crate::row_exec) fn new(
        codec: Arc<TableCodec>,
        mut changed: Vec<usize>,
        constraints: Constraints,
    ) -> Self {
        changed.sort_unstable();
        changed.dedup();
        let key_changes = changed.iter().any(|column| codec.is_key_column(*column));
        let indexes = codec.indexes().iter().enumerate();
        let indexes = indexes
            .filter(|(_, index)| key_changes || changed.iter().any(|column| index.has_column(*column)))
            .map(|(n, _)| n)
            .collect();
        let unique =
            |index: &IndexCodec| index.unique() && changed.iter().any(|column| index.has_column(*column));
        let identity_changes = key_changes || codec.indexes().iter().any(unique);
        let not_null = changed.iter().any(|column| codec.table().columns[*column].not_null);
        let constrained = not_null || constraints.has_checks();
        Self { codec, changed, key_changes, identity_changes, indexes, constraints, constrained }
    }

    /// The columns of the old row that the change looks at.
    pub(in crate::row_exec) fn columns(&self) -> Vec<usize> {
        if self.key_changes || self.constrained {
            return self.codec.table().visible_columns().map(|(position, _)| position).collect();
        }
        let indexes = self.indexes.iter().flat_map(|index| self.codec.indexes()[*index].columns());
        indexes.map(|key| key.column).collect()
    }

    /// Whether values may change by which others refer to the row: what FOR KEY SHARE is to keep.
    pub(in crate::row_exec) fn identity_changes(&self) -> bool {
        self.identity_changes
    }
}

/// A row that is being changed.
#[derive(Default)]
pub(in crate::row_exec) struct Change {
    prepared: bool,
    new_key: Vec<u8>,
    entries: Vec<(usize, EntryParts, EntryParts)>,
    key_checked: bool,
    entries_checked: usize,
}

impl Change {
    /// Checks the new row and queues its mutations. Called again after a stop, it goes on.
    pub(in crate::row_exec) fn queue(
        &mut self,
        plan: &ChangePlan,
        env: &mut ExecEnv<'_>,
        (old_key, old_value): (&[u8], &[u8]),
        (old, new): (&[Datum], &[Datum]),
        queue: &mut MutationQueue,
    ) -> Step<()> {
        let codec = &plan.codec;
        if !self.prepared {
            self.prepare(plan, env, old_key, old, new)?;
            self.prepared = true;
        }
        let moves = self.new_key != old_key;
        if moves && !self.key_checked {
            if let Some(taken) = key_taken(env, &self.new_key)? {
                return Err(duplicate_key(codec, taken.index, new, env.context).into());
            }
            self.key_checked = true;
        }
        while let Some((index, before, after)) = self.entries.get(self.entries_checked) {
            if before.key != after.key
                && let Some(taken) = entry_taken(env, codec, *index, after)?
            {
                return Err(duplicate_key(codec, taken.index, new, env.context).into());
            }
            self.entries_checked += 1;
        }
        drop_big_values(env, codec, old_key, old_value, |column| moves || plan.changed.contains(&column))?;
        if moves {
            queue.delete(old_key, &[]);
            queue.insert(env, codec, InsertWay::Row, &self.new_key, new, &[])?;
        } else {
            queue.update(env, codec, old_key, old_value, new, &plan.changed)?;
        }
        for (_, before, after) in &self.entries {
            queue.move_entry(before, after);
        }
        Ok(())
    }

    fn prepare(
        &mut self,
        plan: &ChangePlan,
        env: &mut ExecEnv<'_>,
        old_key: &[u8],
        old: &[Datum],
        new: &[Datum],
    ) -> SqlResult<()> {
        if plan.constrained {
            plan.constraints.check(plan.codec.table(), &env.eval(new))?;
        }
        if plan.key_changes {
            plan.codec.encode_key(new, 0, &mut self.new_key)?;
        } else {
            self.new_key.clear();
            self.new_key.extend_from_slice(old_key);
        }
        self.entries.clear();
        for index in &plan.indexes {
            let codec = &plan.codec.indexes()[*index];
            self.entries.push((*index, codec.entry(old, old_key)?, codec.entry(new, &self.new_key)?));
        }
        self.key_checked = false;
        self.entries_checked = 0;
        Ok(())
    }

    /// Ready for the next row.
    pub(in crate::row_exec) fn done(&mut self) {
        self.prepared = false;
    }
}

/// Where the rows to change come from.
#[derive(Debug)]
pub(in crate::row_exec) enum Target {
    /// A scan of the table, which locks them.
    Scan(Box<ScanPlan>),
    /// The report engine.
    Fed(FedTarget),
}

/// Where they stand.
pub(in crate::row_exec) enum TargetState {
    Scan(Box<ScanState>),
    Fed(Box<FedRows>),
}

impl Target {
    pub(in crate::row_exec) fn open(&self) -> TargetState {
        match self {
            Target::Scan(_) => TargetState::Scan(Box::default()),
            Target::Fed(_) => TargetState::Fed(Box::default()),
        }
    }
}

impl TargetState {
    pub(in crate::row_exec) fn reset(&mut self) {
        match self {
            TargetState::Scan(scan) => scan.reset(),
            TargetState::Fed(fed) => fed.reset(),
        }
    }

    /// Puts the next row, locked, into `row`, as wide as the table.
    pub(in crate::row_exec) fn next(
        &mut self,
        target: &Target,
        env: &mut ExecEnv<'_>,
        row: &mut Vec<Datum>,
    ) -> Step<bool> {
        match (self, target) {
            (TargetState::Scan(scan), Target::Scan(plan)) => scan.next(plan, env, &[], row),
            (TargetState::Fed(fed), Target::Fed(target)) => fed.next(target, env, row),
            _ => Err(crate::SqlError::internal("an execution does not belong to its plan").into()),
        }
    }

    /// Key and value of the row at hand.
    pub(in crate::row_exec) fn row(&self) -> (&[u8], &Bytes) {
        match self {
            TargetState::Scan(scan) => (&scan.key, &scan.value),
            TargetState::Fed(fed) => (&fed.key, &fed.value),
        }
    }

    /// The values that came with a fed row, after those of its key.
    pub(in crate::row_exec) fn fed(&self) -> &[Datum] {
        match self {
            TargetState::Scan(_) => &[],
            TargetState::Fed(fed) => &fed.rest,
        }
    }
}

/// What is changed where.
#[derive(Debug)]
pub(in crate::row_exec) struct UpdatePlan {
    pub(in crate::row_exec) change: ChangePlan,
    pub(in crate::row_exec) target: Target,
    /// Over the old row; those of fed rows come with them, in this order.
    pub(in crate::row_exec) assignments: Vec<(usize, Option<Evaluator>)>,
    pub(in crate::row_exec) returning: Option<ReturningPlan>,
}

#[derive(Default, PartialEq)]
enum Stage {
    #[default]
    Empty,
    /// The old row is at hand and locked.
    Taken,
    Made,
    Writing,
    /// RETURNING is to be evaluated.
    Written,
}

/// The row at hand.
pub(in crate::row_exec) struct UpdateState {
    stage: Stage,
    pub(in crate::row_exec) target: TargetState,
    old: Vec<Datum>,
    new: Vec<Datum>,
    change: Change,
    queue: MutationQueue,
}

impl UpdateState {
    pub(in crate::row_exec) fn open(plan: &UpdatePlan) -> Self {
        Self {
            stage: Stage::Empty,
            target: plan.target.open(),
            old: Vec::new(),
            new: Vec::new(),
            change: Change::default(),
            queue: MutationQueue::default(),
        }
    }

    pub(in crate::row_exec) fn reset(&mut self) {
        self.stage = Stage::Empty;
        self.target.reset();
        self.change.done();
        self.queue.clear();
    }

    /// Changes the next row; false when there is none left.
    pub(in crate::row_exec) fn next(
        &mut self,
        plan: &UpdatePlan,
        env: &mut ExecEnv<'_>,
        out: &mut Vec<Datum>,
    ) -> Step<bool> {
        if self.stage == Stage::Empty {
            if !self.target.next(&plan.target, env, &mut self.old)? {
                return Ok(false);
            }
            self.stage = Stage::Taken;
        }
        if self.stage == Stage::Taken {
            self.make(plan, env)?;
            self.stage = Stage::Made;
        }
        if self.stage == Stage::Made {
            let (key, value) = self.target.row();
            self.change.queue(&plan.change, env, (key, value), (&self.old, &self.new), &mut self.queue)?;
            self.stage = Stage::Writing;
        }
        if self.stage == Stage::Writing {
            self.queue.run(env)?;
            self.change.done();
            if plan.returning.is_some() {
                // Columns of FROM stand after those of the table.
                let extra = self.target.fed().get(plan.assignments.len()..).unwrap_or(&[]);
                self.new.extend_from_slice(extra);
            }
            self.stage = Stage::Written;
        }
        if let Some(returning) = &plan.returning {
            returning.row(env, &self.new, out)?;
        }
        self.stage = Stage::Empty;
        Ok(true)
    }

    fn make(&mut self, plan: &UpdatePlan, env: &ExecEnv<'_>) -> SqlResult<()> {
        env.begin_evaluation();
        self.new.clear();
        self.new.extend_from_slice(&self.old);
        for (n, (column, value)) in plan.assignments.iter().enumerate() {
            self.new[*column] = match value {
                Some(value) => value.eval(&env.eval(&self.old))?,
                None => self.target.fed().get(n).cloned().unwrap_or(Datum::Null),
            };
        }
        Ok(())
    }
}

/// Decodes columns of a row into their places, fetching big values as the statement sees them.
pub(in crate::row_exec) fn decode_in_place(
    codec: &TableCodec,
    env: &mut ExecEnv<'_>,
    key: &[u8],
    value: &Bytes,
    columns: &[usize],
    visibility: Visibility,
    out: &mut Vec<Datum>,
) -> Step<()> {
    let txn = &mut *env.txn;
    let mut external = |key: &[u8], place, ty| fetch_external(txn, codec, key, place, ty, visibility);
    codec.decode_in_place(key, value, columns, out, &mut external)
}
