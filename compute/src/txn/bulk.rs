//! Rows written in bulk: new keys of one storage in ascending order, kept in the form in which the log
//! carries them.
//!
//! COPY, INSERT ... SELECT and a table's move to new storage write many rows that nobody else can know
//! of: their keys have a row id that was never given out, or lie in a storage that the transaction made.
//! Such a row needs no check and no lock, and costs here a copy of its bytes: no tree, no allocation. At
//! COMMIT a whole chunk is a fragment as it stands.
//!
//! ```text
//! lane  = chunk*      one lane for each storage id, the last chunk may be open
//! chunk = Insert*     a mutation list (`shardforge_common::mutation`), in memory or in the spill file
//! ```
//!
//! # Invariants
//!
//! 1. Keys strictly ascend in a lane, over all its chunks.
//! 2. All rows of a chunk have one order: what can be undone, or seen, without the rest begins a new chunk.
//! 3. When a key enters a lane the transaction has never written it. Later writes of it go to the buffer's
//!    map, and are newer.

use super::buffer::{Entries, Entry, Order, Prior, State};
use bytes::Bytes;
use parking_lot::Mutex;
use shardforge_common::disk::{Disk, DiskFile, OpenMode};
use shardforge_common::mutation::{Mutation, MutationList, put_varint, tag};
use shardforge_common::{Error, Result, StorageId, key};
use smallvec::SmallVec;
use std::ops::RangeBounds;
use std::path::PathBuf;
use std::sync::Arc;

/// A chunk is closed at this size, in bytes: with its last row it fits one record, mostly.
const CHUNK_BYTES: usize = 1 << 20;
/// What a chunk costs beside its bytes.
const CHUNK_OVERHEAD: usize = 1024;
/// The place of each row of so many is remembered, so that a key is found without a walk over its chunk.
const MARK_ROWS: usize = 64;

/// Rows under ascending keys.
#[derive(Clone)]
pub(crate) struct Chunk {
    order: Order,
    /// The first key.
    pub(crate) first: Bytes,
    /// The last key.
    pub(crate) last: Bytes,
    marks: Arc<[u32]>,
    body: Body,
}

#[derive(Clone)]
pub(super) enum Body {
    Memory(Bytes),
    Disk { file: Arc<SpillFile>, offset: u64, len: usize, crc: u32 },
}

/// The chunk that takes rows.
#[derive(Default)]
struct Open {
    order: Order,
    body: Vec<u8>,
    first: Vec<u8>,
    rows: usize,
    /// Where every row of [`MARK_ROWS`] begins.
    marks: Vec<u32>,
}

struct Lane {
    storage: StorageId,
    /// The storage was made by this transaction: all that it ever wrote there is known here.
    created: bool,
    /// The highest key that the transaction has written in the storage, in whatever way; empty for none.
    highest: Vec<u8>,
    chunks: Vec<Chunk>,
    open: Option<Open>,
}

/// Rows of one storage under ascending keys, made aside, that will be a chunk.
#[derive(Default)]
pub(crate) struct NewChunk {
    first: Vec<u8>,
    last: Vec<u8>,
    marks: Vec<u32>,
    rows: usize,
    body: Vec<u8>,
}

impl NewChunk {
    /// Empty, with room for so many bytes.
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self { body: Vec::with_capacity(bytes), ..Self::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Its size, in bytes.
    pub(super) fn len(&self) -> usize {
        self.body.len()
    }

    /// The last key; empty without rows.
    pub(super) fn last(&self) -> &[u8] {
        &self.last
    }

    /// Adds a row: its key, and all of it as an Insert.
    pub(crate) fn push(&mut self, key: &[u8], row: &[u8]) {
        if self.rows == 0 {
            self.first.extend_from_slice(key);
        }
        if self.rows.is_multiple_of(MARK_ROWS) {
            self.marks.push(self.body.len() as u32);
        }
        self.rows += 1;
        self.last.clear();
        self.last.extend_from_slice(key);
        self.body.extend_from_slice(row);
    }

    /// The rows, as a mutation list.
    pub(crate) fn into_list(self) -> MutationList {
        MutationList::from_bytes(self.body.into())
    }
}

/// Where chunks go when memory is short: removed with the last of them.
pub(super) struct SpillFile {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    // Reads come near one another: the last chunk, and where it lies.
    last: Mutex<Option<(u64, Bytes)>>,
}

impl Drop for SpillFile {
    fn drop(&mut self) {
        if let Err(error) = self.disk.remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "a transaction's own rows stay on disk");
        }
    }
}

/// The bulk rows of one transaction.
pub(crate) struct Lanes {
    lanes: Vec<Lane>,
    chunk_bytes: usize,
    spilled: Option<(Arc<SpillFile>, u64)>,
    /// Bytes in memory.
    bytes: usize,
}

impl Default for Lanes {
    fn default() -> Self {
        Self { lanes: Vec::new(), chunk_bytes: CHUNK_BYTES, spilled: None, bytes: 0 }
    }
}

impl SpillFile {
    pub(super) fn create(disk: &Arc<dyn Disk>, path: PathBuf) -> Result<Arc<Self>> {
        let file = disk.open(&path, OpenMode::CreateNew).map_err(|error| {
            let path = path.display();
            Error::unavailable(format!("making a file for a transaction's own rows, {path}"))
                .with_source(error)
        })?;
        Ok(Arc::new(Self { disk: disk.clone(), path, file, last: Mutex::default() }))
    }

    /// Writes rows at a place of the file.
    pub(super) fn write(self: &Arc<Self>, body: &[u8], offset: u64) -> Result<Body> {
        self.file.write_all_at(body, offset).map_err(|error| {
            let path = self.path.display();
            Error::unavailable(format!("writing a transaction's own rows to {path}")).with_source(error)
        })?;
        Ok(Body::Disk { file: self.clone(), offset, len: body.len(), crc: crc32c::crc32c(body) })
    }

    fn read(&self, offset: u64, len: usize, crc: u32) -> Result<Bytes> {
        if let Some((at, body)) = &*self.last.lock()
            && *at == offset
        {
            return Ok(body.clone());
        }
        let mut body = vec![0; len];
        let path = self.path.display();
        self.file.read_exact_at(&mut body, offset).map_err(|error| {
            Error::unavailable(format!("reading a transaction's own rows from {path}")).with_source(error)
        })?;
        if crc32c::crc32c(&body) != crc {
            return Err(Error::corrupt(format!(
                "{path} at offset {offset}: checksum mismatch in a transaction's own rows"
            )));
        }
        let body = Bytes::from(body);
        *self.last.lock() = Some((offset, body.clone()));
        Ok(body)
    }
}

/// Where to begin to look for a key: the last remembered row that is not above it.
fn mark_below(body: &[u8], marks: &[u32], at: &[u8]) -> Result<usize> {
    let (mut low, mut high) = (0, marks.len());
    while low + 1 < high {
        let middle = low.midpoint(high);
        let mut rest = &body[marks[middle] as usize..];
        if Mutation::decode(&mut rest)?.key() <= at { low = middle } else { high = middle }
    }
    Ok(marks.get(low).map_or(0, |mark| *mark as usize))
}

/// The value of a key in a chunk's bytes.
fn find<'b>(body: &'b [u8], marks: &[u32], wanted: &[u8]) -> Result<Option<&'b [u8]>> {
    let mut rest = &body[mark_below(body, marks, wanted)?..];
    while !rest.is_empty() {
        let Mutation::Insert { key, value } = Mutation::decode(&mut rest)? else { break };
        if key >= wanted {
            return Ok((key == wanted).then_some(value));
        }
    }
    Ok(None)
}

fn new_row(order: Order, value: Bytes) -> Entry {
    Entry { order, prior: Prior::Absent, state: State::Value(value), check: None }
}

impl Body {
    pub(super) fn bytes(&self) -> Result<Bytes> {
        match self {
            Body::Memory(body) => Ok(body.clone()),
            Body::Disk { file, offset, len, crc } => file.read(*offset, *len, *crc),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Body::Memory(body) => body.len(),
            Body::Disk { len, .. } => *len,
        }
    }
}

impl Chunk {
    fn bytes(&self) -> Result<Bytes> {
        self.body.bytes()
    }

    /// The rows as a mutation list.
    pub(crate) fn list(&self) -> Result<MutationList> {
        Ok(MutationList::from_bytes(self.bytes()?))
    }

    /// Its size, in bytes.
    pub(crate) fn len(&self) -> usize {
        self.body.len()
    }

    fn get(&self, wanted: &[u8]) -> Result<Option<Entry>> {
        let body = self.bytes()?;
        let value = find(&body, &self.marks, wanted)?.map(|value| body.slice_ref(value));
        Ok(value.map(|value| new_row(self.order, value)))
    }

    /// The rows from a key on.
    fn rows_from(&self, start: &[u8]) -> Result<ChunkRows> {
        let body = self.bytes()?;
        let at = mark_below(&body, &self.marks, start)?;
        Ok(ChunkRows { order: self.order, body, at })
    }

    /// Whether it meets `[start, end)`.
    fn overlaps(&self, start: &[u8], end: Option<&[u8]>) -> bool {
        &self.last[..] >= start && end.is_none_or(|end| &self.first[..] < end)
    }
}

/// A walk over a chunk.
struct ChunkRows {
    order: Order,
    body: Bytes,
    at: usize,
}

impl Iterator for ChunkRows {
    type Item = Result<(Bytes, Entries)>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut rest = &self.body[self.at..];
        if rest.is_empty() {
            return None;
        }
        let row = match Mutation::decode(&mut rest) {
            Ok(Mutation::Insert { key, value }) => {
                let entry = new_row(self.order, self.body.slice_ref(value));
                Ok((self.body.slice_ref(key), SmallVec::from_iter([entry])))
            }
            Ok(_) => Err(Error::internal("bulk rows hold something else than new rows")),
            Err(error) => Err(error),
        };
        self.at = if row.is_ok() { self.body.len() - rest.len() } else { self.body.len() };
        Some(row)
    }
}

impl Open {
    /// The part of it that has the keys of `[start, end)`, as a chunk; `last` is its last key.
    fn part(&self, last: &[u8], start: &[u8], end: Option<&[u8]>) -> Result<Chunk> {
        // Between two remembered rows: a small range costs a small copy, however large the rest.
        let from = mark_below(&self.body, &self.marks, start)?;
        let mut to = self.body.len();
        if let Some(end) = end {
            let below = mark_below(&self.body, &self.marks, end)?;
            let after = self.marks.partition_point(|mark| *mark as usize <= below);
            to = self.marks.get(after).map_or(to, |mark| *mark as usize).max(from);
        }
        let marks = self.marks.iter().filter(|mark| (from..to).contains(&(**mark as usize)));
        Ok(Chunk {
            order: self.order,
            first: Bytes::copy_from_slice(&self.first),
            last: Bytes::copy_from_slice(last),
            marks: marks.map(|mark| mark - from as u32).collect(),
            body: Body::Memory(Bytes::copy_from_slice(&self.body[from..to])),
        })
    }
}

impl Lane {
    fn new(storage: StorageId, created: bool) -> Self {
        Self { storage, created, highest: Vec::new(), chunks: Vec::new(), open: None }
    }

    /// Ends the open chunk. Its last key is the highest: whoever raises that otherwise closes it first.
    fn close(&mut self) {
        if let Some(mut open) = self.open.take() {
            if open.body.len() < open.body.capacity() / 2 {
                open.body.shrink_to_fit();
            }
            self.chunks.push(Chunk {
                order: open.order,
                first: Bytes::from(open.first),
                last: Bytes::copy_from_slice(&self.highest),
                marks: open.marks.into(),
                body: Body::Memory(Bytes::from(open.body)),
            });
        }
    }
}

impl Lanes {
    /// Chunks of about this size, in bytes.
    pub(crate) fn set_chunk_bytes(&mut self, bytes: usize) {
        self.chunk_bytes = bytes.min(CHUNK_BYTES);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lanes.iter().all(|lane| lane.chunks.is_empty() && lane.open.is_none())
    }

    /// Bytes in memory.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    fn lane(&mut self, storage: StorageId) -> Option<&mut Lane> {
        self.lanes.iter_mut().rev().find(|lane| lane.storage == storage)
    }

    /// The transaction made a storage: from now on everything that it writes there is noted here.
    pub(crate) fn created(&mut self, storage: StorageId) {
        self.lanes.push(Lane::new(storage, true));
    }

    /// A key was written in another way than [`Lanes::append`].
    pub(crate) fn note(&mut self, at: &[u8]) {
        if self.lanes.is_empty() {
            return;
        }
        let Ok(storage) = key::storage_id_of(at) else { return };
        if let Some(lane) = self.lane(storage)
            && lane.highest[..] < *at
        {
            lane.close();
            lane.highest.clear();
            lane.highest.extend_from_slice(at);
        }
    }

    /// Whether a key is known to have been written by nobody: it lies in a storage of the transaction's
    /// own making, above everything there.
    pub(crate) fn is_unwritten(&self, at: &[u8]) -> bool {
        let Ok(storage) = key::storage_id_of(at) else { return false };
        let lane = self.lanes.iter().rev().find(|lane| lane.storage == storage);
        lane.is_some_and(|lane| lane.created && lane.highest[..] < *at)
    }

    /// Adds a new row. `fresh` says that nobody ever wrote the key; else that must follow from
    /// [`Lanes::is_unwritten`]. False when the row does not come in order.
    pub(crate) fn append(&mut self, next: &mut Order, at: &[u8], value: &[u8], fresh: bool) -> bool {
        let Ok(storage) = key::storage_id_of(at) else { return false };
        let chunk_bytes = self.chunk_bytes;
        if self.lanes.last().is_none_or(|lane| lane.storage != storage) {
            match self.lanes.iter().rposition(|lane| lane.storage == storage) {
                // The one that is written to lies at the end, where it is found first.
                Some(found) => {
                    let last = self.lanes.len() - 1;
                    self.lanes.swap(found, last);
                }
                None if fresh => self.lanes.push(Lane::new(storage, false)),
                None => return false,
            }
        }
        let lane = self.lanes.last_mut().expect("just found or made");
        if !(fresh || lane.created) || lane.highest[..] >= *at {
            return false;
        }
        let row_len = 1 + 10 + at.len() + 10 + value.len();
        if lane.open.as_ref().is_some_and(|open| open.body.len() + row_len > chunk_bytes) {
            lane.close();
        }
        let open = lane.open.get_or_insert_with(|| {
            let order = *next;
            *next += 1;
            self.bytes += CHUNK_OVERHEAD;
            // After a full chunk another is to be expected.
            let full = lane.chunks.last().is_some_and(|chunk| chunk.len() > chunk_bytes / 2);
            let room = if full { chunk_bytes } else { 0 };
            Open { order, first: at.to_vec(), body: Vec::with_capacity(room), ..Open::default() }
        });
        let before = open.body.len();
        if open.rows.is_multiple_of(MARK_ROWS) {
            open.marks.push(before as u32);
        }
        open.rows += 1;
        open.body.push(tag::INSERT);
        put_varint(&mut open.body, at.len() as u64);
        open.body.extend_from_slice(at);
        put_varint(&mut open.body, value.len() as u64);
        open.body.extend_from_slice(value);
        self.bytes += open.body.len() - before;
        lane.highest.clear();
        lane.highest.extend_from_slice(at);
        true
    }

    /// Adds rows that were put in order aside. Given back when they do not lie above all that was written in
    /// a storage of the transaction's own making.
    pub(crate) fn append_chunk(
        &mut self,
        next: &mut Order,
        chunk: NewChunk,
    ) -> std::result::Result<(), NewChunk> {
        if chunk.is_empty() {
            return Ok(());
        }
        if !self.is_unwritten(&chunk.first) {
            return Err(chunk);
        }
        let Some(lane) = key::storage_id_of(&chunk.first).ok().and_then(|storage| self.lane(storage)) else {
            return Err(chunk);
        };
        debug_assert_eq!(key::storage_id_of(&chunk.last).ok(), Some(lane.storage), "of one storage");
        lane.close();
        lane.highest.clone_from(&chunk.last);
        lane.chunks.push(Chunk {
            order: *next,
            first: chunk.first.into(),
            last: chunk.last.into(),
            marks: chunk.marks.into(),
            body: Body::Memory(chunk.body.into()),
        });
        let len = lane.chunks.last().map_or(0, Chunk::len);
        *next += 1;
        self.bytes += CHUNK_OVERHEAD + len;
        Ok(())
    }

    /// What follows has another order than what was written so far.
    pub(crate) fn close_all(&mut self) {
        self.lanes.iter_mut().for_each(Lane::close);
    }

    /// The keys that follow are not neighbours of those before: between them may lie keys of others.
    pub(crate) fn break_chunk(&mut self, storage: StorageId) {
        if let Some(lane) = self.lane(storage) {
            lane.close();
        }
    }

    /// Takes out everything from an order on.
    pub(crate) fn undo_to(&mut self, mark: Order) {
        let mut freed = 0;
        for lane in &mut self.lanes {
            lane.close();
            lane.chunks.retain(|chunk| {
                let stays = chunk.order < mark;
                if !stays {
                    freed += CHUNK_OVERHEAD;
                    freed += if let Body::Memory(body) = &chunk.body { body.len() } else { 0 };
                }
                stays
            });
        }
        self.bytes = self.bytes.saturating_sub(freed);
    }

    /// Forgets which storages were made at or after an order, given which are left.
    pub(crate) fn keep_created(&mut self, left: impl Fn(StorageId) -> bool) {
        self.lanes.retain(|lane| !lane.created || left(lane.storage));
    }

    /// The entry of a key, if its order is among these.
    pub(crate) fn get(&self, at: &[u8], orders: impl RangeBounds<Order>) -> Result<Option<Entry>> {
        let Ok(storage) = key::storage_id_of(at) else { return Ok(None) };
        let Some(lane) = self.lanes.iter().find(|lane| lane.storage == storage) else { return Ok(None) };
        if lane.highest[..] < *at {
            return Ok(None);
        }
        if let Some(open) = &lane.open
            && open.first[..] <= *at
        {
            if !orders.contains(&open.order) {
                return Ok(None);
            }
            let value = find(&open.body, &open.marks, at)?.map(Bytes::copy_from_slice);
            return Ok(value.map(|value| new_row(open.order, value)));
        }
        let after = lane.chunks.partition_point(|chunk| &chunk.first[..] <= at);
        match after.checked_sub(1).map(|index| &lane.chunks[index]) {
            Some(chunk) if &chunk.last[..] >= at && orders.contains(&chunk.order) => chunk.get(at),
            _ => Ok(None),
        }
    }

    /// The chunks that meet `[start, end)` and have an order below this one, in key order. Of an open one
    /// at least what lies in the range.
    pub(crate) fn chunks(&self, start: &[u8], end: Option<&[u8]>, before: Order) -> Result<Vec<Chunk>> {
        let mut found: Vec<Chunk> = Vec::new();
        for lane in &self.lanes {
            let from = lane.chunks.partition_point(|chunk| &chunk.last[..] < start);
            let within = lane.chunks[from..].iter().take_while(|chunk| chunk.overlaps(start, end));
            // Orders ascend with the keys.
            found.extend(within.take_while(|chunk| chunk.order < before).cloned());
            if let Some(open) = &lane.open
                && open.order < before
                && lane.highest[..] >= *start
                && end.is_none_or(|end| open.first[..] < *end)
            {
                found.push(open.part(&lane.highest, start, end)?);
            }
        }
        found.sort_by(|a, b| a.first.cmp(&b.first));
        Ok(found)
    }

    /// Whether any row with an order below this one may lie in `[start, end)`.
    pub(crate) fn touches(&self, start: &[u8], end: &[u8], before: Order) -> bool {
        self.lanes.iter().any(|lane| {
            let from = lane.chunks.partition_point(|chunk| &chunk.last[..] < start);
            let first = lane.chunks.get(from);
            first.is_some_and(|chunk| chunk.overlaps(start, Some(end)) && chunk.order < before)
                || lane.open.as_ref().is_some_and(|open| {
                    open.order < before && open.first[..] < *end && lane.highest[..] >= *start
                })
        })
    }

    /// Moves chunks to disk. `path` is taken when there is no file yet.
    pub(crate) fn spill(
        &mut self,
        disk: &Arc<dyn Disk>,
        path: impl FnOnce() -> Result<PathBuf>,
    ) -> Result<()> {
        self.close_all();
        let (file, mut offset) = match self.spilled.take() {
            Some(spilled) => spilled,
            None => (SpillFile::create(disk, path()?)?, 0),
        };
        for chunk in self.lanes.iter_mut().flat_map(|lane| &mut lane.chunks) {
            let Body::Memory(body) = &chunk.body else { continue };
            let len = body.len();
            chunk.body = file.write(body, offset)?;
            offset += len as u64;
        }
        self.spilled = Some((file, offset));
        self.bytes = 0;
        Ok(())
    }
}

/// The rows of chunks that follow one another, within `[start, end)`.
pub(crate) fn rows_of<'a>(
    chunks: Vec<Chunk>,
    start: &[u8],
    end: Option<&[u8]>,
    reverse: bool,
) -> Box<dyn Iterator<Item = Result<(Bytes, Entries)>> + Send + 'a> {
    let (start, end) = (start.to_vec(), end.map(<[u8]>::to_vec));
    let (from, to) = (start.clone(), end.clone());
    let rows = move |chunk: Chunk| match chunk.rows_from(&from) {
        Ok(rows) if reverse => {
            let below = |row: &Result<(Bytes, Entries)>| match (row, &to) {
                (Ok((key, _)), Some(to)) => key[..] < to[..],
                _ => true,
            };
            Rows::Backward(rows.take_while(below).collect::<Vec<_>>().into_iter().rev())
        }
        Ok(rows) => Rows::Forward(rows),
        Err(error) => Rows::Failed(std::iter::once(Err(error))),
    };
    let within = move |row: &Result<(Bytes, Entries)>| {
        row.as_ref()
            .map_or(true, |(key, _)| key[..] >= start[..] && end.as_ref().is_none_or(|end| key[..] < end[..]))
    };
    if reverse {
        Box::new(chunks.into_iter().rev().flat_map(rows).filter(within))
    } else {
        Box::new(chunks.into_iter().flat_map(rows).filter(within))
    }
}

enum Rows {
    Forward(ChunkRows),
    Backward(std::iter::Rev<std::vec::IntoIter<Result<(Bytes, Entries)>>>),
    Failed(std::iter::Once<Result<(Bytes, Entries)>>),
}

impl Iterator for Rows {
    type Item = Result<(Bytes, Entries)>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Rows::Forward(rows) => rows.next(),
            Rows::Backward(rows) => rows.next(),
            Rows::Failed(error) => error.next(),
        }
    }
}
