//! Rows that come in no order and are to be written in key order: sorted in pieces, which go to disk when
//! memory is short, and merged.
//!
//! An index is built through it: entries in key order cost a transaction's buffer, the log and everyone
//! behind it least, and two equal keys of a unique index become neighbours.
//!
//! # Invariants
//!
//! 1. A run is sorted and has no key twice: a piece with a key twice ends the sorting.
//! 2. Nothing is on disk any more when the sorter, or what it became, is dropped.

use super::Branch;
use super::buffer::{Entries, Entry, Prior, State};
use super::spill::{Run, RunWriter};
use bytes::Bytes;
use shardforge_common::key::STORAGE_ID_LEN;
use shardforge_common::{Error, Result, task};
use smallvec::SmallVec;
use std::sync::Arc;
use tokio::task::JoinHandle;

/// A row's place in its piece. The leading bytes of the key behind the storage id decide most comparisons.
struct Place {
    prefix: u64,
    at: u32,
    key_len: u32,
    value_len: u32,
}

/// Rows that fit in memory.
#[derive(Default)]
struct Piece {
    bytes: Vec<u8>,
    places: Vec<Place>,
}

impl Piece {
    fn len_bytes(&self) -> usize {
        self.bytes.len() + self.places.len() * size_of::<Place>()
    }

    fn push(&mut self, key: &[u8], value: &[u8]) {
        let at = self.bytes.len() as u32;
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(value);
        let mut prefix = [0; 8];
        let lead = key.get(STORAGE_ID_LEN..).unwrap_or(&[]);
        let len = lead.len().min(8);
        prefix[..len].copy_from_slice(&lead[..len]);
        self.places.push(Place {
            prefix: u64::from_be_bytes(prefix),
            at,
            key_len: key.len() as u32,
            value_len: value.len() as u32,
        });
    }

    fn key(&self, place: &Place) -> &[u8] {
        &self.bytes[place.at as usize..][..place.key_len as usize]
    }

    fn value(&self, place: &Place) -> &[u8] {
        &self.bytes[(place.at + place.key_len) as usize..][..place.value_len as usize]
    }

    /// Sorts by key; answers a row whose key is there twice.
    fn sort(&mut self) -> Option<Twice> {
        let mut places = std::mem::take(&mut self.places);
        let by_key =
            |a: &Place, b: &Place| a.prefix.cmp(&b.prefix).then_with(|| self.key(a).cmp(self.key(b)));
        // Rows often come in order, or nearly so.
        if !places.is_sorted_by(|a, b| by_key(a, b).is_le()) {
            places.sort_unstable_by(by_key);
        }
        let twice = places.windows(2).find(|pair| self.key(&pair[0]) == self.key(&pair[1]));
        let copy = |bytes: &[u8]| Bytes::copy_from_slice(bytes);
        let twice = twice.map(|pair| (copy(self.key(&pair[1])), copy(self.value(&pair[1]))));
        self.places = places;
        twice
    }

    fn write(&self, branch: &Branch) -> Result<Run> {
        let mut writer = RunWriter::create(branch.disk.clone(), branch.new_spill()?)?;
        for place in &self.places {
            let key = Bytes::copy_from_slice(self.key(place));
            let state = State::Value(Bytes::copy_from_slice(self.value(place)));
            let entry = Entry { order: 0, prior: Prior::Absent, state, check: None };
            writer.push(&key, &SmallVec::from_iter([entry]))?;
        }
        writer.finish()
    }
}

/// What became of a piece.
type Spilled = Result<std::result::Result<Run, Twice>>;

/// A row, key and value, whose key another row has.
pub(crate) type Twice = (Bytes, Bytes);

/// Takes rows in any order.
pub(crate) struct Sorter {
    branch: Arc<Branch>,
    /// A piece of this size is sorted and goes to disk, in bytes.
    limit: usize,
    piece: Piece,
    runs: Vec<Run>,
    /// The piece before, which is sorted and written meanwhile.
    spilling: Option<JoinHandle<Spilled>>,
    twice: Option<Twice>,
}

impl Sorter {
    pub(crate) fn new(branch: Arc<Branch>) -> Self {
        let limit = branch.config.spill_bytes.min(u32::MAX as usize / 2);
        Self { branch, limit, piece: Piece::default(), runs: Vec::new(), spilling: None, twice: None }
    }

    /// Takes a row. With `true` there is so much of them that [`Sorter::spill`] is due.
    #[must_use]
    pub(crate) fn push(&mut self, key: &[u8], value: &[u8]) -> bool {
        self.piece.push(key, value);
        self.piece.len_bytes() > self.limit
    }

    /// Has the rows taken so far sorted and written, on another thread.
    pub(crate) async fn spill(&mut self) -> Result<()> {
        self.settle().await?;
        let mut piece = std::mem::take(&mut self.piece);
        let branch = self.branch.clone();
        self.spilling = Some(task::spawn_blocking("index-sort", move || match piece.sort() {
            Some(twice) => Ok(Err(twice)),
            None => piece.write(&branch).map(Ok),
        }));
        Ok(())
    }

    async fn settle(&mut self) -> Result<()> {
        let Some(spilling) = self.spilling.take() else { return Ok(()) };
        let spilled =
            spilling.await.map_err(|_| Error::internal("the sorting of an index's entries ended"))?;
        match spilled? {
            Ok(run) => self.runs.push(run),
            Err(twice) => self.twice = self.twice.take().or(Some(twice)),
        }
        Ok(())
    }

    /// The rows in key order, or one whose key came twice in one piece.
    pub(crate) async fn finish(mut self) -> Result<std::result::Result<Sorted, Twice>> {
        self.settle().await?;
        let mut piece = std::mem::take(&mut self.piece);
        let (piece, twice) = task::spawn_blocking("index-sort", move || {
            let twice = piece.sort();
            (piece, twice)
        })
        .await
        .map_err(|_| Error::internal("the sorting of an index's entries ended"))?;
        if let Some(twice) = self.twice.or(twice) {
            return Ok(Err(twice));
        }
        Ok(Ok(Sorted { piece, runs: self.runs }))
    }
}

/// Rows that are sorted, in several runs.
pub(crate) struct Sorted {
    piece: Piece,
    runs: Vec<Run>,
}

impl Sorted {
    /// The rows in key order. A key that is in several runs comes several times.
    pub(crate) fn rows(&self) -> impl Iterator<Item = Result<(Bytes, Bytes)>> {
        type Source<'a> = Box<dyn Iterator<Item = Result<(Bytes, Entries)>> + Send + 'a>;
        let piece = &self.piece;
        let in_memory = piece.places.iter().map(|place| {
            let state = State::Value(Bytes::copy_from_slice(piece.value(place)));
            let entry = Entry { order: 0, prior: Prior::Absent, state, check: None };
            Ok((Bytes::copy_from_slice(piece.key(place)), SmallVec::from_iter([entry])))
        });
        let mut sources: Vec<Source<'_>> =
            self.runs.iter().map(|run| Box::new(run.range(&[], None, false)) as Source<'_>).collect();
        sources.push(Box::new(in_memory));
        let mut heads: Vec<Option<Result<(Bytes, Entries)>>> =
            sources.iter_mut().map(Iterator::next).collect();
        std::iter::from_fn(move || {
            if let Some(failed) = heads.iter_mut().find(|head| matches!(head, Some(Err(_)))) {
                return failed.take().map(|failed| failed.map(|_| (Bytes::new(), Bytes::new())));
            }
            let keys = heads.iter().enumerate().filter_map(|(at, head)| match head {
                Some(Ok((key, _))) => Some((key, at)),
                _ => None,
            });
            let (_, at) = keys.min()?;
            let head = std::mem::replace(&mut heads[at], sources[at].next());
            let (key, mut entries) = head?.ok()?;
            match entries.pop().map(|entry| entry.state) {
                Some(State::Value(value)) => Some(Ok((key, value))),
                _ => Some(Err(Error::internal("a sorted row without a value"))),
            }
        })
    }
}
