//! Reading and writing stored rows through a transaction.
//!
//! A transaction answers from memory or says what it lacks. The catalog is read when a cache entry is
//! made and when the schema changes, never on the fast path, so here we simply wait.

use super::stored::{StoredRow, key_of, prefix_range};
use crate::txn::{Checked, Interrupt, RangeNext, RangeRead, RowBatch, Txn, Visibility};
use crate::{SqlError, SqlResult};
use bytes::Bytes;
use shardforge_common::mutation::Aspects;
use shardforge_types::Datum;

/// Calls an operation until nothing is missing.
pub(crate) async fn complete<T>(
    txn: &mut Txn,
    mut operation: impl FnMut(&mut Txn) -> Result<T, Interrupt>,
) -> SqlResult<T> {
    loop {
        match operation(txn) {
            Ok(value) => return Ok(value),
            Err(Interrupt::Need(need)) => txn.satisfy(need).await?,
            Err(Interrupt::Error(error)) => return Err((*error).into()),
            // Only row locks ask for this, and the catalog takes none.
            Err(Interrupt::RestartStatement) => return Err(SqlError::concurrent_update()),
        }
    }
}

/// The row with this whole key.
pub(crate) async fn get<R: StoredRow>(txn: &mut Txn, key: &[Datum]) -> SqlResult<Option<R>> {
    let key = key_of::<R>(key);
    let row = complete(txn, |txn| txn.get(&key, Visibility::Now)).await?;
    row.map(|row| Ok(R::decode(&key, &row.value)?)).transpose()
}

/// The rows whose keys start with these columns, in order.
pub(crate) async fn scan<R: StoredRow>(txn: &mut Txn, prefix: &[Datum]) -> SqlResult<Vec<R>> {
    let (start, end) = prefix_range::<R>(prefix);
    let mut rows = Vec::new();
    each(txn, start, end, |key, value| {
        rows.push(R::decode(key, value)?);
        Ok(())
    })
    .await?;
    Ok(rows)
}

/// [`scan`], of which nothing is checked at COMMIT.
pub(crate) async fn peek_all<R: StoredRow>(txn: &mut Txn, prefix: &[Datum]) -> SqlResult<Vec<R>> {
    let (start, end) = prefix_range::<R>(prefix);
    let mut read = RangeRead::forward(start, end, Visibility::Now);
    let (mut rows, mut batch) = (Vec::new(), RowBatch::new());
    loop {
        let next = complete(txn, |txn| txn.peek_range(&mut read, &mut batch)).await?;
        for (key, row) in batch.iter() {
            rows.push(R::decode(key, &row.value)?);
        }
        if next == RangeNext::Done {
            return Ok(rows);
        }
    }
}

/// Visits every row of a range, in order.
pub(crate) async fn each(
    txn: &mut Txn,
    start: Bytes,
    end: Bytes,
    mut visit: impl FnMut(&[u8], &[u8]) -> SqlResult<()>,
) -> SqlResult<()> {
    let mut read = RangeRead::forward(start, end, Visibility::Now);
    let mut batch = RowBatch::new();
    loop {
        let next = complete(txn, |txn| txn.range(&mut read, &mut batch)).await?;
        for (key, row) in batch.iter() {
            visit(key, &row.value)?;
        }
        if next == RangeNext::Done {
            return Ok(());
        }
    }
}

/// Writes a row that does not exist yet. Whoever commits the same key first wins.
pub(crate) async fn insert<R: StoredRow>(txn: &mut Txn, row: &R) -> SqlResult<()> {
    let (key, value) = (row.key(), row.value()?);
    complete(txn, |txn| txn.insert(key.clone(), value.clone(), Checked::Yes)).await
}

/// Writes a row that was read.
pub(crate) async fn update<R: StoredRow>(txn: &mut Txn, row: &R) -> SqlResult<()> {
    let (key, value) = (row.key(), row.value()?);
    complete(txn, |txn| txn.update(key.clone(), value.clone(), Checked::Yes)).await
}

/// Writes a row whoever else writes it.
pub(crate) async fn put_unchecked<R: StoredRow>(txn: &mut Txn, row: &R) -> SqlResult<()> {
    let (key, value) = (row.key(), row.value()?);
    complete(txn, |txn| txn.put(key.clone(), value.clone(), Checked::No)).await
}

/// Removes the row with this whole key.
pub(crate) async fn delete<R: StoredRow>(txn: &mut Txn, key: &[Datum]) -> SqlResult<()> {
    let key = key_of::<R>(key);
    complete(txn, |txn| txn.delete(key.clone(), Checked::Yes)).await
}

/// Removes every row whose key starts with these columns, and demands that nobody added one meanwhile.
pub(crate) async fn delete_all<R: StoredRow>(txn: &mut Txn, prefix: &[Datum]) -> SqlResult<()> {
    let (start, end) = prefix_range::<R>(prefix);
    txn.check_range(start.clone(), end.clone(), Aspects::READ);
    let mut keys = Vec::new();
    each(txn, start, end, |key, _| {
        keys.push(Bytes::copy_from_slice(key));
        Ok(())
    })
    .await?;
    for key in keys {
        complete(txn, |txn| txn.delete(key.clone(), Checked::Yes)).await?;
    }
    Ok(())
}

/// Demands at COMMIT that the row with this key is still what it was.
pub(crate) fn check<R: StoredRow>(txn: &mut Txn, key: &[Datum]) {
    txn.check_key(key_of::<R>(key), Aspects::READ);
}
