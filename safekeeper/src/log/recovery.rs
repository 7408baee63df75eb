//! Reads the segments back, in order, and tells a torn tail from damage. Pure: bytes in, verdict out.
//!
//! A batch is written at the tail and synced before the next one is written, so a crash leaves at
//! most one bad frame, and nothing valid after it. Hence the rules (L3):
//!
//! 1. In a segment that has a successor, every frame up to the end that the successor's header names
//!    must be good: it was synced before the successor began.
//! 2. In the last segment, a bad frame with a valid frame anywhere after it is damage.
//! 3. Otherwise the bad frame is the torn tail: it was never acknowledged, and is cut.
//! 4. Segments must be there from the one after the freed mark on, without a gap, and hold every
//!    entry between a group's purged index and its last.

use super::format::{Frame, RawRecord, RecordKind, SEGMENT_HEADER_LEN, SegmentHeader, damaged};
use super::state::State;
use super::visible::{Slot, Visible};
use shardforge_common::{Error, Result};

/// A file's bytes with its header.
pub(crate) struct Segment {
    pub(crate) name: String,
    pub(crate) header: SegmentHeader,
    pub(crate) bytes: Vec<u8>,
}

/// Where the log ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tail {
    /// Where the next frame goes.
    pub(crate) offset: u64,
    /// The last good frame, if the segment has any: a sync of it may have failed (see `pump`).
    pub(crate) last_frame: Option<u64>,
    /// Whether that frame is an end mark: the log was at rest.
    pub(crate) at_rest: bool,
    /// How far bytes that are not zero reach after the offset: what is to be cut.
    pub(crate) cut_to: u64,
}

/// Rebuilds what the log holds from its segments.
pub(crate) struct Recovery {
    state: State,
    visible: Visible,
    next_epoch: u64,
    first: bool,
}

/// The newest freed mark in the last segment: recovery starts after it, and older files may be there
/// or not.
pub(crate) fn freed_mark(last: &Segment) -> Result<u64> {
    let mut freed = last.header.freed;
    let seed = last.header.seed();
    let mut offset = SEGMENT_HEADER_LEN as u64;
    while let Ok(frame) = Frame::read(&last.bytes, seed, last.header.epoch, offset) {
        for (at, _, record) in frame.records(seed).map_err(|what| damaged(&last.name, frame.offset, &what))? {
            if record.kind == RecordKind::Freed {
                if record.index >= last.header.epoch {
                    return Err(damaged(&last.name, at, "it frees itself"));
                }
                freed = freed.max(record.index);
            }
        }
        offset = frame.end();
    }
    Ok(freed)
}

/// Checks that no segment after the freed mark is missing. `dir` is what errors call the folder.
pub(crate) fn check_sequence(dir: &str, freed: u64, live: &[u64]) -> Result<()> {
    match (freed + 1..).zip(live).find(|(expected, found)| expected != *found) {
        None => Ok(()),
        Some((missing, _)) => Err(Error::corrupt(format!(
            "the log is damaged at offset 0 of {dir}/{missing:016x}.wal: the file is missing"
        ))),
    }
}

impl Recovery {
    /// Recovery of the segments after `freed`.
    pub(crate) fn new(freed: u64, visible: Visible) -> Self {
        let state = State { freed, ..State::default() };
        Self { state, visible, next_epoch: freed + 1, first: true }
    }

    /// Takes the next segment. `next` is the header of the one after it; the last one has none.
    pub(crate) fn segment(&mut self, segment: &Segment, next: Option<&SegmentHeader>) -> Result<Tail> {
        let Segment { name, header, bytes } = segment;
        let (epoch, seed) = (header.epoch, header.seed());
        if epoch != self.next_epoch {
            return Err(Error::internal(format!("{name} was read before segment {}", self.next_epoch)));
        }
        self.next_epoch += 1;
        let mut tail =
            Tail { offset: SEGMENT_HEADER_LEN as u64, last_frame: None, at_rest: false, cut_to: 0 };
        loop {
            if next.is_some_and(|next| next.previous_end == tail.offset) {
                return Ok(tail);
            }
            let frame = match Frame::read(bytes, seed, epoch, tail.offset) {
                Ok(frame) if next.is_none_or(|next| frame.end() <= next.previous_end) => frame,
                Ok(frame) => return Err(damaged(name, frame.offset, "a batch beyond the segment's end")),
                Err(what) if next.is_some() => {
                    return Err(damaged(
                        name,
                        tail.offset,
                        &format!("{what}, though a later segment exists"),
                    ));
                }
                Err(what) => {
                    if let Some(later) = Frame::find(bytes, seed, epoch, tail.offset + 1) {
                        let what = format!("{what}, but a batch at offset {} is whole", later.offset);
                        return Err(damaged(name, tail.offset, &what));
                    }
                    let from = (tail.offset as usize).min(bytes.len());
                    let dirty = bytes[from..].iter().rposition(|byte| *byte != 0);
                    tail.cut_to = dirty.map_or(tail.offset, |at| (from + at + 1) as u64);
                    return Ok(tail);
                }
            };
            let first_frame = tail.last_frame.is_none();
            self.frame(&frame, segment, first_frame)?;
            tail.last_frame = Some(frame.offset);
            tail.at_rest = frame.records(seed).is_ok_and(|records| {
                records.last().is_some_and(|(_, _, record)| record.kind == RecordKind::End)
            });
            tail.offset = frame.end();
        }
    }

    fn frame(&mut self, frame: &Frame<'_>, segment: &Segment, first_frame: bool) -> Result<()> {
        let Segment { name, header, .. } = segment;
        let bad = |what: String| damaged(name, frame.offset, &what);
        let records = frame.records(header.seed()).map_err(bad)?;
        let mut skip = 0;
        if first_frame {
            let raw: Vec<RawRecord<'_>> = records.iter().map(|(_, _, record)| *record).collect();
            skip = self.state.take_checkpoint(raw.iter(), self.first).map_err(bad)?;
            if self.first {
                self.visible.restore(&self.state);
                self.first = false;
            }
        }
        for (offset, len, record) in &records[skip..] {
            self.state.apply(record, header.epoch).map_err(bad)?;
            let slot = Slot::on_disk(header.epoch, *offset, *len).map_err(|what| bad(what.into()))?;
            self.visible.replay(record, slot);
        }
        Ok(())
    }

    /// What was recovered, if nothing is missing.
    pub(crate) fn finish(self) -> Result<(State, Visible)> {
        self.state.check_complete().map_err(|what| Error::corrupt(format!("the log is damaged: {what}")))?;
        #[cfg(debug_assertions)]
        self.state.validate();
        Ok((self.state, self.visible))
    }
}
