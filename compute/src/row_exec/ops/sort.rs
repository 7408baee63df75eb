//! ORDER BY, for results that fit in memory.

use crate::SqlResult;
use crate::row_exec::ExecEnv;
use crate::row_exec::expr::Evaluator;
use shardforge_types::{Datum, compare};
use std::cmp::Ordering;

/// One key.
#[derive(Debug)]
pub(in crate::row_exec) struct SortColumn {
    pub(in crate::row_exec) value: Evaluator,
    pub(in crate::row_exec) desc: bool,
    pub(in crate::row_exec) nulls_first: bool,
}

/// Rows with the values they are sorted by.
#[derive(Default)]
pub(in crate::row_exec) struct SortState {
    rows: Vec<(Vec<Datum>, Vec<Datum>)>,
    sorted: bool,
    at: usize,
}

impl SortState {
    pub(in crate::row_exec) fn reset(&mut self) {
        self.rows.clear();
        self.sorted = false;
        self.at = 0;
    }

    pub(in crate::row_exec) fn is_sorted(&self) -> bool {
        self.sorted
    }

    /// Takes a row in.
    pub(in crate::row_exec) fn push(
        &mut self,
        keys: &[SortColumn],
        env: &ExecEnv<'_>,
        row: &mut Vec<Datum>,
    ) -> SqlResult<()> {
        let values = keys.iter().map(|key| key.value.eval(&env.eval(row))).collect::<SqlResult<Vec<_>>>()?;
        self.rows.push((values, std::mem::take(row)));
        Ok(())
    }

    /// There are no more rows.
    pub(in crate::row_exec) fn sort(&mut self, keys: &[SortColumn]) {
        self.rows.sort_by(|(a, _), (b, _)| order(keys, a, b));
        self.sorted = true;
    }

    /// The next row in order.
    pub(in crate::row_exec) fn pop(&mut self, out: &mut Vec<Datum>) -> bool {
        let Some((_, row)) = self.rows.get_mut(self.at) else { return false };
        *out = std::mem::take(row);
        self.at += 1;
        true
    }
}

fn order(keys: &[SortColumn], a: &[Datum], b: &[Datum]) -> Ordering {
    for ((key, a), b) in keys.iter().zip(a).zip(b) {
        let order = match (a.is_null(), b.is_null()) {
            (true, true) => Ordering::Equal,
            (true, false) => {
                if key.nulls_first {
                    Ordering::Less
                } else {
                    Ordering::Greater
                }
            }
            (false, true) => {
                if key.nulls_first {
                    Ordering::Greater
                } else {
                    Ordering::Less
                }
            }
            (false, false) => {
                let order = compare::compare(a, b, key.value.ty);
                if key.desc { order.reverse() } else { order }
            }
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}
