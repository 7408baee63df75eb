//! Reading: a transaction's own writes over its view of the branch.

use super::buffer::{Order, Own, WriteBuffer};
use super::checks::ReadSet;
use super::need::{Interrupt, Need};
use super::{Branch, IsolationLevel, RowBatch, RowBytes, TxnError};
use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use shardforge_cache::{Lookup, PageRun, Range, RangeStep, ReadView};
use shardforge_common::{Lsn, TxnId};
use std::sync::Arc;

/// Own keys looked at in one step of a range read, at most.
const OWN_STEP: usize = 1024;
/// The same of a read that wants few rows: not much fewer, for it may see none of them.
const SHORT_STEP: usize = 32;

/// Which of its own writes a read sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visibility {
    /// Those of earlier statements: what WHERE and SET see.
    Statement,
    /// Those of the running statement too: what uniqueness and foreign-key checks see.
    Now,
}

/// A range to read: `[start, end)`.
#[derive(Debug, Clone)]
pub struct RangeRead {
    /// First key.
    pub start: Bytes,
    /// First key beyond the range.
    pub end: Bytes,
    /// From the end down to the start.
    pub reverse: bool,
    /// At most so many rows in a step; 0 is as many as a page gives.
    pub limit: usize,
    /// Which own writes it sees.
    pub visibility: Visibility,
}

impl RangeRead {
    /// From the start on, as many rows in a step as a page gives.
    pub fn forward(start: impl Into<Bytes>, end: impl Into<Bytes>, visibility: Visibility) -> Self {
        Self { start: start.into(), end: end.into(), reverse: false, limit: 0, visibility }
    }
}

/// How a step of a range read ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RangeNext {
    /// The range is finished.
    Done,
    /// There is more: `start` (reading backward, `end`) of the [`RangeRead`] was moved up to it.
    More,
}

/// What a transaction and its readers share.
pub(crate) struct Shared {
    pub(crate) branch: Arc<Branch>,
    pub(crate) id: TxnId,
    pub(crate) isolation: IsolationLevel,
    pub(crate) buffer: RwLock<WriteBuffer>,
    pub(crate) reads: Mutex<ReadSet>,
}

impl Shared {
    fn tracks_reads(&self) -> bool {
        self.isolation == IsolationLevel::Serializable
    }

    pub(crate) fn get(
        &self,
        view: &mut ReadView,
        key: &[u8],
        before: impl FnOnce(&WriteBuffer) -> Order,
    ) -> Result<Option<RowBytes>, Interrupt> {
        self.look_up(view, key, before, self.tracks_reads())
    }

    /// [`Shared::get`], noted as a read or not.
    pub(crate) fn look_up(
        &self,
        view: &mut ReadView,
        key: &[u8],
        before: impl FnOnce(&WriteBuffer) -> Order,
        tracked: bool,
    ) -> Result<Option<RowBytes>, Interrupt> {
        {
            let buffer = self.buffer.read();
            if !buffer.is_empty() {
                match buffer.get(key, before(&buffer))? {
                    Own::Value(value) => return Ok(Some(RowBytes { value, lsn: Lsn::MAX })),
                    Own::Gone => return Ok(None),
                    Own::Silent => {}
                }
            }
            if buffer.is_created(key) {
                return Ok(None);
            }
        }
        let row = match view.get(key) {
            Lookup::Found(row) => Some(row),
            Lookup::Absent => None,
            Lookup::Need(need) => return Err(Need::Page(Box::new(need)).into()),
        };
        if tracked {
            self.reads.lock().key(key);
        }
        Ok(row)
    }

    pub(crate) fn range(
        &self,
        view: &mut ReadView,
        read: &mut RangeRead,
        before: impl FnOnce(&WriteBuffer) -> Order,
        out: &mut RowBatch,
    ) -> Result<RangeNext, Interrupt> {
        self.walk(view, read, before, out, self.tracks_reads())
    }

    /// [`Shared::range`], noted as a read or not.
    pub(crate) fn walk(
        &self,
        view: &mut ReadView,
        read: &mut RangeRead,
        before: impl FnOnce(&WriteBuffer) -> Order,
        out: &mut RowBatch,
        tracked: bool,
    ) -> Result<RangeNext, Interrupt> {
        out.clear();
        if read.start >= read.end {
            return Ok(RangeNext::Done);
        }
        let buffer = self.buffer.read();
        let before = before(&buffer);
        let created = buffer.is_created_range(&read.start, &read.end);
        let next = if created {
            let (own, cut) = buffer.range((&read.start, &read.end), read.reverse, before, own_step(read))?;
            own.into_iter().for_each(|(key, own)| push_own(out, &key, own));
            cut.map(|cut| if read.reverse { after(&cut) } else { cut })
        } else if !buffer.is_empty() && buffer.touches(&read.start, &read.end, before) {
            merged(&buffer, view, read, before, out)?
        } else {
            step(view, read, (&read.start, &read.end), out)?
        };
        drop(buffer);
        let mut next = next;
        if read.limit > 0 && out.len() > read.limit {
            let first_left = out.key(read.limit);
            next = Some(if read.reverse { after(first_left) } else { Bytes::copy_from_slice(first_left) });
            out.truncate(read.limit);
        }
        if tracked && !created {
            let (start, end) = match (&next, read.reverse) {
                (None, _) => (read.start.clone(), read.end.clone()),
                (Some(next), false) => (read.start.clone(), next.clone()),
                (Some(next), true) => (next.clone(), read.end.clone()),
            };
            self.reads.lock().range(start, end);
        }
        match next {
            None => Ok(RangeNext::Done),
            Some(next) => {
                if read.reverse {
                    read.end = next
                } else {
                    read.start = next
                }
                Ok(if read.start >= read.end { RangeNext::Done } else { RangeNext::More })
            }
        }
    }
}

impl Shared {
    /// [`Shared::range`] forward; the rows of a page are given in `run`, which is `None` else.
    pub(crate) fn scan(
        &self,
        view: &mut ReadView,
        read: &mut RangeRead,
        before: Order,
        out: &mut RowBatch,
        run: &mut Option<PageRun>,
    ) -> Result<RangeNext, Interrupt> {
        debug_assert!(!read.reverse && read.limit == 0, "a scan goes forward, a page at a time");
        let own = {
            let buffer = self.buffer.read();
            buffer.is_created_range(&read.start, &read.end)
                || (!buffer.is_empty() && buffer.touches(&read.start, &read.end, before))
        };
        if own || read.start >= read.end {
            *run = None;
            return self.range(view, read, |_| before, out);
        }
        out.clear();
        let range = Range { start: &read.start, end: &read.end, reverse: false, limit: 0 };
        let next = match view.scan(range, out, run) {
            RangeStep::Done => None,
            RangeStep::More(next) => Some(next),
            RangeStep::Need(need) => return Err(Need::Page(Box::new(need)).into()),
        };
        if self.tracks_reads() {
            let through = next.as_ref().unwrap_or(&read.end).clone();
            self.reads.lock().range(read.start.clone(), through);
        }
        match next {
            None => Ok(RangeNext::Done),
            Some(next) => {
                read.start = next;
                Ok(RangeNext::More)
            }
        }
    }
}

/// The least key above a key.
fn after(key: &[u8]) -> Bytes {
    [key, &[0]].concat().into()
}

fn push_own(out: &mut RowBatch, key: &[u8], own: Own) {
    if let Own::Value(value) = own {
        out.push(key, &[], RowBytes { value, lsn: Lsn::MAX });
    }
}

/// A step over the branch alone. Answers where to go on.
fn step(
    view: &mut ReadView,
    read: &RangeRead,
    (start, end): (&[u8], &[u8]),
    out: &mut RowBatch,
) -> Result<Option<Bytes>, Interrupt> {
    let range = Range { start, end, reverse: read.reverse, limit: read.limit };
    match view.range(range, out) {
        RangeStep::Done => Ok(None),
        RangeStep::More(next) => Ok(Some(next)),
        RangeStep::Need(need) => Err(Need::Page(Box::new(need)).into()),
    }
}

/// How many own keys one step of a read looks at.
fn own_step(read: &RangeRead) -> usize {
    if read.limit == 0 { OWN_STEP } else { read.limit.clamp(SHORT_STEP, OWN_STEP) }
}

/// A step over the branch with own writes in it. Answers where to go on.
///
/// The branch comes first and says how far: own writes are looked at up to there and no further, so that a
/// scan comes by each of them once, be they seen or not.
fn merged(
    buffer: &WriteBuffer,
    view: &mut ReadView,
    read: &RangeRead,
    before: Order,
    out: &mut RowBatch,
) -> Result<Option<Bytes>, Interrupt> {
    let mut rows = RowBatch::new();
    let next = step(view, read, (&read.start, &read.end), &mut rows)?;
    let span = match (&next, read.reverse) {
        (None, _) => (&read.start[..], &read.end[..]),
        (Some(next), false) => (&read.start[..], &next[..]),
        (Some(next), true) => (&next[..], &read.end[..]),
    };
    let (own, cut) = buffer.range(span, read.reverse, before, own_step(read))?;
    let next = match cut {
        Some(cut) => Some(if read.reverse { after(&cut) } else { cut }),
        None => next,
    };
    let reached = |key: &[u8]| match &next {
        None => true,
        Some(next) if read.reverse => key >= &next[..],
        Some(next) => key < &next[..],
    };
    let first = |a: &[u8], b: &[u8]| if read.reverse { a > b } else { a < b };
    let mut own = own.into_iter().peekable();
    for (key, row) in rows.iter().take_while(|(key, _)| reached(key)) {
        while let Some((own_key, own)) = own.next_if(|(own_key, _)| first(own_key, key)) {
            push_own(out, &own_key, own);
        }
        match own.next_if(|(own_key, _)| own_key[..] == *key) {
            Some((_, own)) => push_own(out, key, own),
            None if buffer.wiped(key, None, before) => {}
            None => out.push(key, &[], row.clone()),
        }
    }
    own.for_each(|(key, own)| push_own(out, &key, own));
    Ok(next)
}

/// Reads as a transaction's running statement does, beside it and independently of it: for reports,
/// which read several tables at once and on other threads.
pub struct TxnReader {
    shared: Arc<Shared>,
    view: ReadView,
    before: Order,
}

impl TxnReader {
    pub(crate) fn new(shared: Arc<Shared>, snapshot: Lsn, before: Order) -> Self {
        let view = shared.branch.cache.view(snapshot);
        Self { shared, view, before }
    }

    /// The LSN it reads at.
    pub fn snapshot(&self) -> Lsn {
        self.view.snapshot()
    }

    /// Another reader like this one.
    pub fn another(&self) -> TxnReader {
        Self::new(self.shared.clone(), self.snapshot(), self.before)
    }

    /// The row under a key.
    pub fn get(&mut self, key: &[u8]) -> Result<Option<RowBytes>, Interrupt> {
        let before = self.before;
        self.shared.get(&mut self.view, key, |_| before)
    }

    /// The next rows of a range; see [`super::Txn::range`]. Own writes are those of earlier statements,
    /// whatever the [`RangeRead`] says.
    pub fn range(&mut self, read: &mut RangeRead, out: &mut RowBatch) -> Result<RangeNext, Interrupt> {
        let before = self.before;
        self.shared.range(&mut self.view, read, |_| before, out)
    }

    /// The next rows of a range, read forward: either those of one page, in `run`, or others, in `out`.
    pub fn scan(
        &mut self,
        read: &mut RangeRead,
        out: &mut RowBatch,
        run: &mut Option<PageRun>,
    ) -> Result<RangeNext, Interrupt> {
        self.shared.scan(&mut self.view, read, self.before, out, run)
    }

    /// Waits for the page that a read lacked. A reader takes no locks.
    pub async fn satisfy(&mut self, need: Need) -> Result<(), TxnError> {
        match need {
            Need::Page(need) => self.view.fetch(&need).await?,
            Need::Applied(lsn) => self.shared.branch.wait_applied(lsn).await?,
            Need::Lock(need) => {
                debug_assert!(false, "a reader was asked to lock {need:?}");
            }
        }
        Ok(())
    }
}
