//! How much of each table has changed since it was last looked at, and about how many rows it has now.
//!
//! What was found by ANALYZE belongs to a moment, and the feed counts what came after it. The two meet in a
//! *mark*: the counts at that moment, kept for each storage by this compute. A look by someone else is noticed by
//! its time, and the mark set to the counts of then.

use super::TableStatistics;
use crate::catalog::TableDef;
use parking_lot::Mutex;
use shardforge_cache::{BranchCache, Written};
use shardforge_common::StorageId;
use std::collections::HashMap;
use std::sync::Arc;

/// What is known of a table's size and changes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Activity {
    /// Its rows, about.
    pub rows: f64,
    /// Rows written since it was last looked at.
    pub modified: u64,
}

/// What happened to a branch's tables since it was opened here.
pub struct TableActivity {
    cache: Arc<BranchCache>,
    /// When the branch was opened, in microseconds since 1970.
    opened_at: i64,
    /// Storages from this one on were made since: all that was ever written to them has been counted.
    first_new: StorageId,
    marks: Mutex<HashMap<StorageId, Mark, ahash::RandomState>>,
}

/// What was known of a table at a moment.
#[derive(Clone, Copy)]
struct Mark {
    /// The look by ANALYZE it belongs to, if any.
    looked_at: Option<i64>,
    /// Rows at that moment.
    rows: f64,
    written: Written,
}

impl TableActivity {
    /// Counting begins now.
    pub(crate) fn new(cache: Arc<BranchCache>, opened_at: i64, first_new: StorageId) -> Self {
        cache.count_anew();
        Self { cache, opened_at, first_new, marks: Mutex::default() }
    }

    /// The counts of a table, to be given to [`TableActivity::looked`] when the look is done.
    pub(crate) fn written(&self, table: &TableDef) -> Written {
        self.cache.written_to(table.storage)
    }

    /// A number that stays as long as nothing is written to any table.
    pub(crate) fn steps(&self) -> u64 {
        self.cache.write_steps()
    }

    /// A table has been looked at: this many rows were there when the counts were these.
    pub(crate) fn looked(&self, table: &TableDef, looked_at: Option<i64>, rows: f64, written: Written) {
        self.marks.lock().insert(table.storage, Mark { looked_at, rows, written });
    }

    /// Forgets the marks of storages that are no longer there.
    pub(crate) fn keep_marks(&self, there: impl Fn(StorageId) -> bool) {
        self.marks.lock().retain(|storage, _| there(*storage));
    }

    /// A table's size and changes; `None` while its size is not known: it was there, and had never been
    /// analyzed, when the branch was opened.
    pub fn of(&self, table: &TableDef, known: Option<&TableStatistics>) -> Option<Activity> {
        let written = self.written(table);
        let mark = self.mark(table.storage, known, written)?;
        let since = written.since(&mark.written);
        Some(Activity { rows: (mark.rows + since.growth() as f64).max(0.0), modified: since.all() })
    }

    fn mark(&self, storage: StorageId, known: Option<&TableStatistics>, now: Written) -> Option<Mark> {
        let mut marks = self.marks.lock();
        let mark = marks.get(&storage).copied();
        let Some(known) = known else {
            let new = Mark { looked_at: None, rows: 0.0, written: Written::default() };
            let mark = mark.filter(|mark| mark.looked_at.is_none());
            return mark.or_else(|| (storage >= self.first_new).then_some(new));
        };
        let looked_at = known.looked_at();
        if let Some(mark) = mark.filter(|mark| mark.looked_at.is_some() && mark.looked_at == looked_at) {
            return Some(mark);
        }
        // Someone else's look, or the rows were moved to a new storage: what was written meanwhile is not told apart.
        let old = storage < self.first_new && looked_at.is_none_or(|at| at < self.opened_at);
        let since_opened = mark.is_none() && old;
        let written = if since_opened { Written::default() } else { now };
        let mark = Mark { looked_at, rows: known.rows, written };
        marks.insert(storage, mark);
        Some(mark)
    }

    /// What is known of a table, brought up to its present size. Columns with many different values are taken
    /// to have as many more as there are more rows.
    pub(crate) fn statistics(
        &self,
        table: &TableDef,
        known: Option<&Arc<TableStatistics>>,
    ) -> Option<Arc<TableStatistics>> {
        let Some(activity) = self.of(table, known.map(|known| &**known)) else { return known.cloned() };
        let Some(known) = known else {
            return Some(Arc::new(TableStatistics {
                rows: activity.rows.max(UNSEEN_ROWS),
                pages: 0,
                columns: vec![None; table.columns.len()],
                ..TableStatistics::default()
            }));
        };
        if (activity.rows - known.rows).abs() <= NOTEWORTHY * known.rows {
            return Some(known.clone());
        }
        let mut grown = (**known).clone();
        grown.rows = activity.rows;
        for column in grown.columns.iter_mut().flatten() {
            if column.distinct > MANY * known.rows && known.rows > 0.0 {
                column.distinct *= activity.rows / known.rows;
            }
        }
        Some(Arc::new(grown))
    }
}

/// A table that was never looked at is taken to have so many rows at least, as PostgreSQL takes it to have ten pages:
/// it may be about to be filled, and plans are kept.
const UNSEEN_ROWS: f64 = 2000.0;
/// The part of a table by which it must have grown or shrunk for that to be worth a copy of what is known.
const NOTEWORTHY: f64 = 0.02;
/// A column with more different values than this part of its rows has more of them as the table grows: PostgreSQL's
/// rule.
const MANY: f64 = 0.1;
