//! *Too old*: the certifier no longer remembers so far back. What was read is compared with what is
//! there now; unchanged, it counts as read now (C5).

use super::TxnError;
use super::branch::Branch;
use bytes::Bytes;
use shardforge_cache::{Lookup, Range, RangeStep, ReadView, RowBatch};
use shardforge_common::mutation::Aspects;
use shardforge_common::{Lsn, Result};
use shardforge_proto::wal::Check;
use std::sync::Arc;

/// Moves every check below the certifier's floor up to the newest LSN, or fails with 40001 when what
/// it names has changed.
pub(crate) async fn refresh(branch: &Arc<Branch>, checks: &mut [Check], floor: Lsn) -> Result<(), TxnError> {
    let now = branch.snapshot().await?;
    for check in checks {
        match check {
            Check::Key { key, aspects, read_at } if *read_at < floor => {
                if let Some(written) = key_changed(branch, key, *aspects, *read_at, now).await? {
                    return Err(TxnError::conflict(key.clone(), written));
                }
                *read_at = now;
            }
            Check::Range { start, end, aspects, read_at } if *read_at < floor => {
                if let Some((key, written)) =
                    range_changed(branch, start, end, *aspects, *read_at, now).await?
                {
                    return Err(TxnError::conflict(key, written));
                }
                *read_at = now;
            }
            _ => {}
        }
    }
    Ok(())
}

async fn key_changed(
    branch: &Arc<Branch>,
    key: &Bytes,
    aspects: Aspects,
    read_at: Lsn,
    now: Lsn,
) -> Result<Option<Option<Lsn>>> {
    if let Some(lsn) = branch.cache.written(key, read_at, now, aspects) {
        return Ok(Some(Some(lsn)));
    }
    // Recent writes knew everything since it was read, if their floor is still below.
    if branch.cache.floor_of(key) <= read_at {
        return Ok(None);
    }
    // A row lock leaves no trace in pages; a transaction pins what it checks, so this is rare.
    if aspects.intersects(Aspects::TOUCH) {
        return Ok(Some(None));
    }
    let before = get(&mut branch.cache.view(read_at), key).await?;
    let after = get(&mut branch.cache.view(now), key).await?;
    Ok((before != after).then_some(after))
}

async fn get(view: &mut ReadView, key: &[u8]) -> Result<Option<Lsn>> {
    loop {
        match view.get(key) {
            Lookup::Found(row) => return Ok(Some(row.lsn)),
            Lookup::Absent => return Ok(None),
            Lookup::Need(need) => view.fetch(&need).await?,
        }
    }
}

async fn range_changed(
    branch: &Arc<Branch>,
    start: &Bytes,
    end: &Bytes,
    aspects: Aspects,
    read_at: Lsn,
    now: Lsn,
) -> Result<Option<(Bytes, Option<Lsn>)>> {
    if let Some((key, lsn)) = branch.cache.written_in(start, end, read_at, now, aspects) {
        return Ok(Some((key, Some(lsn))));
    }
    if branch.cache.floor_in(start, Some(end)) <= read_at {
        return Ok(None);
    }
    if aspects.intersects(Aspects::TOUCH) {
        return Ok(Some((start.clone(), None)));
    }
    let mut before = Stream::new(branch.cache.view(read_at), start, end);
    let mut after = Stream::new(branch.cache.view(now), start, end);
    loop {
        match (before.next().await?, after.next().await?) {
            (None, None) => return Ok(None),
            (old, new) if old == new => {}
            (old, new) => {
                let (key, lsn) = match (old, new) {
                    (Some(old), Some(new)) => old.min(new),
                    (old, new) => old.or(new).expect("they differ"),
                };
                return Ok(Some((key, (lsn > read_at).then_some(lsn))));
            }
        }
    }
}

/// A range's keys with their rows' LSNs, one by one.
struct Stream {
    view: ReadView,
    start: Option<Bytes>,
    end: Bytes,
    batch: RowBatch,
    at: usize,
}

impl Stream {
    fn new(view: ReadView, start: &Bytes, end: &Bytes) -> Self {
        Self { view, start: Some(start.clone()), end: end.clone(), batch: RowBatch::new(), at: 0 }
    }

    async fn next(&mut self) -> Result<Option<(Bytes, Lsn)>> {
        loop {
            if self.at < self.batch.len() {
                let row = (Bytes::copy_from_slice(self.batch.key(self.at)), self.batch.row(self.at).lsn);
                self.at += 1;
                return Ok(Some(row));
            }
            let Some(start) = self.start.clone() else { return Ok(None) };
            self.batch.clear();
            self.at = 0;
            let range = Range { start: &start, end: &self.end, reverse: false, limit: 0 };
            match self.view.range(range, &mut self.batch) {
                RangeStep::Done => self.start = None,
                RangeStep::More(next) => self.start = Some(next),
                RangeStep::Need(need) => self.view.fetch(&need).await?,
            }
        }
    }
}
