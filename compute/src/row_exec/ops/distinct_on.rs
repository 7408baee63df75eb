//! DISTINCT ON: the first row of each group, of rows that are sorted by what makes the groups.

use super::aggregate::class_of;
use crate::SqlResult;
use crate::row_exec::ExecEnv;
use crate::row_exec::expr::Evaluator;
use shardforge_types::Datum;

/// The group of the row that came last.
#[derive(Debug, Default)]
pub(in crate::row_exec) struct FirstState {
    last: Option<Vec<u8>>,
}

impl FirstState {
    pub(in crate::row_exec) fn reset(&mut self) {
        self.last = None;
    }

    /// Whether the row is the first of its group.
    pub(in crate::row_exec) fn is_first(
        &mut self,
        keys: &[Evaluator],
        env: &ExecEnv<'_>,
        row: &[Datum],
    ) -> SqlResult<bool> {
        let values = keys.iter().map(|key| key.eval(&env.eval(row))).collect::<SqlResult<Vec<_>>>()?;
        let class = class_of(&values, keys.iter().map(|key| key.ty))?;
        let first = self.last.as_ref() != Some(&class);
        self.last = Some(class);
        Ok(first)
    }
}
