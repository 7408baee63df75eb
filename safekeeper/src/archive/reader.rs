//! Reads archived WAL, for the feed.

use super::{ArchiveIndex, Segment, decode_segment};
use crate::feed::{Chunk, ReadFrom};
use parking_lot::Mutex;
use shardforge_common::{BranchRef, Lsn, Result};
use shardforge_store::paths;
use std::sync::Arc;
use tokio::runtime::Handle;

/// Reads a branch's archived segments. Blocks: for threads that are not a runtime's.
pub struct ArchiveReader {
    index: Arc<ArchiveIndex>,
    runtime: Handle,
    /// The segment read last: a reader goes through it in several chunks.
    last_read: Mutex<Option<Arc<Segment>>>,
}

impl ArchiveReader {
    /// A reader of what the index knows. Requests to the store run on the runtime.
    pub fn new(index: Arc<ArchiveIndex>, runtime: Handle) -> Self {
        Self { index, runtime, last_read: Mutex::new(None) }
    }

    /// Whether it is known that the archive does not hold this LSN. Does not block.
    pub fn lacks(&self, branch: BranchRef, lsn: Lsn) -> bool {
        self.index.is_listed(branch) && self.index.segment_with(branch, lsn).is_none()
    }

    /// The next records, or `None` when the archive does not hold them.
    pub fn read(&self, from: ReadFrom, max_bytes: usize) -> Result<Option<Chunk>> {
        if self.index.segment_with(from.branch, from.next).is_none() {
            // Another member may have put it since.
            self.runtime.block_on(self.index.list(from.branch))?;
        }
        let Some(names) = self.index.segment_with(from.branch, from.next) else { return Ok(None) };
        let segment = self.segment(from.branch, names)?;
        let mut chunk = Chunk { complete_through: from.next.prev(), ..Chunk::default() };
        let mut bytes = 0;
        let (mut lsn, mut fragment) = (Lsn::ZERO, 0);
        for record in &segment.records {
            if record.header.lsn != lsn {
                (lsn, fragment) = (record.header.lsn, 0);
            }
            fragment += 1;
            let delivered = lsn < from.next || (lsn == from.next && fragment <= from.fragments_done);
            if delivered {
                continue;
            }
            if bytes >= max_bytes {
                break;
            }
            bytes += record.body.len();
            chunk.records.push(record.clone());
            if record.header.last {
                (chunk.complete_through, chunk.fragments_done) = (lsn, 0);
            } else {
                chunk.fragments_done = fragment;
            }
        }
        metrics::counter!("shardforge_safekeeper_archive_reads_total").increment(1);
        Ok(Some(chunk))
    }

    fn segment(&self, branch: BranchRef, (first, last): (Lsn, Lsn)) -> Result<Arc<Segment>> {
        let known = self.last_read.lock().clone();
        if let Some(known) =
            known.filter(|known| (known.branch, known.first, known.last) == (branch, first, last))
        {
            return Ok(known);
        }
        let path = paths::wal_segment(branch, first, last);
        let bytes = self.runtime.block_on(self.index.store().get(&path))?;
        let segment = Arc::new(decode_segment(&bytes, path.as_str())?);
        *self.last_read.lock() = Some(segment.clone());
        Ok(segment)
    }
}
