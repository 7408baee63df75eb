//! A stored table for several readers of a report: its keys are cut into ranges, which are dealt out to the
//! readers like cards. A range belongs to one reader by its number, not to whoever comes first: a plan may run
//! twice.
//!
//! Where to cut is guessed from the first and the last key: keys are taken to be spread evenly between
//! them. A wrong guess makes ranges of different lengths, so there are several for each reader.

use super::source::{decode, wait};
use crate::SqlResult;
use crate::report::{BlockReader, BlockSource, RowBlock};
use crate::row_exec::TableCodec;
use crate::txn::{PageRun, RangeNext, RangeRead, RowBatch, TxnReader, Visibility};
use async_trait::async_trait;
use bytes::Bytes;
use shardforge_types::Datum;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::OnceCell;

/// Ranges for each reader.
const RANGES_EACH: usize = 8;

/// More threads than this are not used for one statement of the session's own.
const MOST_THREADS: usize = 4;

/// How many threads read a table for a statement that is no report.
pub(crate) fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(MOST_THREADS)
}

/// Tells the threads of a statement that is given up.
#[derive(Clone, Default)]
pub(crate) struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    /// Whether the statement was given up.
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Held by the statement itself.
#[derive(Default)]
pub(crate) struct StopOnDrop(StopFlag);

impl StopOnDrop {
    /// For one of its threads.
    pub(crate) fn flag(&self) -> StopFlag {
        self.0.clone()
    }
}

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}

/// A table's keys, to be read once.
pub(crate) struct TableBlocks {
    shared: Arc<Shared>,
    reader: TxnReader,
}

struct Shared {
    codec: Arc<TableCodec>,
    read: RangeRead,
    readers: usize,
    /// Made by the first reader that comes.
    ranges: OnceCell<Vec<Range<Bytes>>>,
}

impl TableBlocks {
    pub(crate) fn new(codec: Arc<TableCodec>, read: RangeRead, reader: TxnReader, readers: usize) -> Self {
        Self { shared: Arc::new(Shared { codec, read, readers, ranges: OnceCell::new() }), reader }
    }
}

impl BlockSource for TableBlocks {
    fn codec(&self) -> &Arc<TableCodec> {
        &self.shared.codec
    }

    fn reader(&self, number: usize) -> Box<dyn BlockReader> {
        Box::new(Reader {
            next: number,
            shared: self.shared.clone(),
            reader: self.reader.another(),
            read: None,
            rows: RowBatch::new(),
        })
    }
}

struct Reader {
    shared: Arc<Shared>,
    reader: TxnReader,
    /// The number of the range that comes next.
    next: usize,
    /// The range that is being read.
    read: Option<RangeRead>,
    rows: RowBatch,
}

/// A range, forward.
fn forward(range: Range<Bytes>) -> RangeRead {
    RangeRead::forward(range.start, range.end, Visibility::Statement)
}

impl Reader {
    /// One step of a range.
    async fn step(&mut self, read: &mut RangeRead, run: &mut Option<PageRun>) -> SqlResult<RangeNext> {
        loop {
            match self.reader.scan(read, &mut self.rows, run) {
                Ok(next) => return Ok(next),
                Err(interrupt) => wait(&mut self.reader, interrupt.into()).await?,
            }
        }
    }

    /// Cuts the keys into ranges.
    async fn cut(&mut self) -> SqlResult<Vec<Range<Bytes>>> {
        let whole = self.shared.read.start.clone()..self.shared.read.end.clone();
        if self.shared.readers < 2 {
            return Ok(vec![whole]);
        }
        let mut first_step = forward(whole.clone());
        let mut run = None;
        if self.step(&mut first_step, &mut run).await? == RangeNext::Done {
            return Ok(vec![whole]);
        }
        let first = match &run {
            Some(run) => run.iter().next().map(|row| row.key()),
            None => (!self.rows.is_empty()).then(|| self.rows.key(0).to_vec()),
        };
        let mut last_step = RangeRead { reverse: true, limit: 1, ..forward(whole.clone()) };
        let mut last = None;
        loop {
            let next = match self.reader.range(&mut last_step, &mut self.rows) {
                Ok(next) => next,
                Err(interrupt) => {
                    wait(&mut self.reader, interrupt.into()).await?;
                    continue;
                }
            };
            if !self.rows.is_empty() {
                last = Some(self.rows.key(0).to_vec());
            }
            if last.is_some() || next == RangeNext::Done {
                break;
            }
        }
        let (Some(first), Some(last)) = (first, last) else { return Ok(vec![whole]) };
        let cuts = cuts(&first, &last, self.shared.readers * RANGES_EACH);
        let starts = std::iter::once(whole.start).chain(cuts.iter().cloned());
        let ends = cuts.iter().cloned().chain(std::iter::once(whole.end));
        Ok(starts.zip(ends).map(|(start, end)| start..end).collect())
    }

    /// The next of this reader's ranges.
    async fn take(&mut self) -> SqlResult<Option<RangeRead>> {
        let shared = self.shared.clone();
        let ranges = shared.ranges.get_or_try_init(|| self.cut()).await?;
        let range = ranges.get(self.next).cloned();
        self.next += shared.readers.max(1);
        Ok(range.map(forward))
    }
}

/// Keys that cut those from `first` to `last` into so many parts, if they are spread evenly: by the eight
/// bytes in which they begin to differ.
fn cuts(first: &[u8], last: &[u8], parts: usize) -> Vec<Bytes> {
    let shared = first.iter().zip(last).take_while(|(a, b)| a == b).count();
    let number = |key: &[u8]| {
        let mut bytes = [0; 8];
        let tail = &key[shared..];
        let len = tail.len().min(8);
        bytes[..len].copy_from_slice(&tail[..len]);
        u64::from_be_bytes(bytes)
    };
    let (low, high) = (number(first), number(last));
    let mut out: Vec<Bytes> = Vec::new();
    for part in 1..parts as u128 {
        let at = u128::from(low) + u128::from(high.saturating_sub(low)) * part / parts as u128;
        let key: Bytes = [&first[..shared], &(at as u64).to_be_bytes()].concat().into();
        if &key[..] > first && &key[..] < last && out.last().is_none_or(|before| *before < key) {
            out.push(key);
        }
    }
    out
}

#[async_trait]
impl BlockReader for Reader {
    async fn next(&mut self, about: usize, block: &mut RowBlock) -> SqlResult<()> {
        block.clear();
        while block.len() < about {
            let mut read = match self.read.take() {
                Some(read) => read,
                None => match self.take().await? {
                    Some(read) => read,
                    None => return Ok(()),
                },
            };
            let mut run = None;
            let next = self.step(&mut read, &mut run).await?;
            if next == RangeNext::More {
                self.read = Some(read);
            }
            match run {
                Some(run) => block.push_run(run),
                None if self.rows.is_empty() => {}
                None => {
                    block.take_rows(&mut self.rows);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    async fn decode(&mut self, key: &[u8], value: &Bytes, columns: &[usize]) -> SqlResult<Vec<Datum>> {
        decode(&mut self.reader, &self.shared.codec, key, value, columns).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_lie_between_the_ends_and_rise() {
        let cases: [(&[u8], &[u8], usize); 5] = [
            (b"aa\x00\x00", b"aa\xff\xff", 4),
            (b"aa", b"aa\x00", 4),
            (b"a", b"b", 16),
            (b"aaaaaaaaaaaa", b"aaaaaaaaaaab", 3),
            (b"x", b"x", 2),
        ];
        for (first, last, parts) in cases {
            let cuts = cuts(first, last, parts);
            assert!(cuts.len() < parts);
            assert!(cuts.iter().all(|key| &key[..] > first && &key[..] < last), "{first:?} {last:?}");
            assert!(cuts.windows(2).all(|pair| pair[0] < pair[1]));
        }
        assert_eq!(cuts(b"k\x00", b"k\xff", 4).len(), 3);
    }
}
