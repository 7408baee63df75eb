//! New OIDs, storage ids and row ids.
//!
//! Each kind has a counter row in the branch. A compute reserves a block of numbers by a committed
//! record of its own before it gives one out (rule D2, as for sequences), so that two computes never give
//! out the same one, a rolled-back CREATE TABLE gives none back, and none is ever used again. What is left
//! of a block when the compute stops is lost; there are enough.

use super::access;
use super::stored::{CounterRow, LAST_RESERVED, Stored};
use crate::txn::{Branch, IsolationLevel, Txn, TxnOptions};
use crate::{SqlError, SqlResult};
use shardforge_common::StorageId;
use shardforge_types::{Oid, SqlState};
use std::ops::Range;
use std::sync::Arc;
use tokio::sync::Mutex;

/// The first OID that users' objects get, as in PostgreSQL.
pub const FIRST_USER_OID: u32 = 16384;

const OID: Counter = Counter { name: "oid", block: 256, end: u32::MAX as i64 };
const STORAGE: Counter = Counter { name: "storage", block: 256, end: i64::MAX };
const ROW: Counter = Counter { name: "row", block: 1 << 40, end: i64::MAX };

/// What is counted, in which steps, and the number that is never given out.
struct Counter {
    name: &'static str,
    block: i64,
    end: i64,
}

/// The counters of a branch nobody has taken a number from.
pub(super) fn first_counters() -> [CounterRow; 3] {
    [
        CounterRow { name: ROW.name.to_owned(), next: 1 },
        CounterRow { name: OID.name.to_owned(), next: i64::from(FIRST_USER_OID) },
        CounterRow { name: STORAGE.name.to_owned(), next: LAST_RESERVED.0 as i64 + 1 },
    ]
}

/// Gives out the ids of one branch, on one compute.
pub struct IdAllocator {
    branch: Arc<Branch>,
    oids: Mutex<Range<i64>>,
    storage: Mutex<Range<i64>>,
}

impl IdAllocator {
    /// An allocator that holds no block yet.
    pub fn new(branch: Arc<Branch>) -> Self {
        Self { branch, oids: Mutex::new(0..0), storage: Mutex::new(0..0) }
    }

    /// An OID that no object of the branch has had.
    pub async fn oid(&self) -> SqlResult<Oid> {
        let id = self.next(&OID, &self.oids).await?;
        Ok(Oid(u32::try_from(id).map_err(|_| exhausted(&OID))?))
    }

    /// A storage id that was never used in the branch.
    pub async fn storage(&self) -> SqlResult<StorageId> {
        Ok(StorageId(self.next(&STORAGE, &self.storage).await? as u64))
    }

    /// The first storage id that nobody had been given, or had reserved, by now.
    pub(crate) async fn next_storage(&self) -> SqlResult<StorageId> {
        let mut txn = Txn::begin(&self.branch, TxnOptions::default());
        txn.begin_statement().await?;
        let row: Option<CounterRow> = access::get(&mut txn, &[STORAGE.name.to_owned().to_datum()]).await?;
        Ok(StorageId(row.ok_or_else(|| uncounted(&STORAGE))?.next as u64))
    }

    /// A block of hidden row ids that no row of the branch has had, for a compute to count up in: it asks
    /// once, when it first inserts into a table without a primary key.
    pub async fn row_ids(&self) -> SqlResult<Range<i64>> {
        self.reserve(&ROW).await
    }

    async fn next(&self, counter: &Counter, block: &Mutex<Range<i64>>) -> SqlResult<i64> {
        // The lock is held over the reservation: whoever comes meanwhile takes from the same block.
        let mut block = block.lock().await;
        if block.is_empty() {
            *block = self.reserve(counter).await?;
        }
        block.next().ok_or_else(|| exhausted(counter))
    }

    /// Reserves the next block, again and again while other computes do the same.
    async fn reserve(&self, counter: &Counter) -> SqlResult<Range<i64>> {
        loop {
            let options = TxnOptions { isolation: IsolationLevel::ReadCommitted, ..TxnOptions::default() };
            let mut txn = Txn::begin(&self.branch, options);
            txn.begin_statement().await?;
            let name = counter.name.to_owned();
            let row: CounterRow =
                access::get(&mut txn, &[name.to_datum()]).await?.ok_or_else(|| uncounted(counter))?;
            let end = row.next.saturating_add(counter.block).min(counter.end);
            if row.next >= end {
                return Err(exhausted(counter));
            }
            access::update(&mut txn, &CounterRow { name, next: end }).await?;
            match txn.commit().await {
                Ok(_) => return Ok(row.next..end),
                Err(error) if error.is_conflict() => {}
                // An unknown outcome too: the block is then lost, or was never taken; either way it is
                // not given out.
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn uncounted(counter: &Counter) -> SqlError {
    SqlError::new(SqlState::DATA_CORRUPTED, format!("the catalog has no counter \"{}\"", counter.name))
}

fn exhausted(counter: &Counter) -> SqlError {
    SqlError::new(
        SqlState::PROGRAM_LIMIT_EXCEEDED,
        format!("all numbers for \"{}\" have been used", counter.name),
    )
}
