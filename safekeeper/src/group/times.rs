//! When a branch's commits were: what `AS OF` a moment asks.
//!
//! Commit times never fall (H2), so they are a list of points `(LSN, time)`, ascending in both; of commits of
//! one microsecond only the last is a point. The list is replicated state and part of every snapshot, so it
//! outlives the log entries that it was made of.
//!
//! The newest [`EXACT_POINTS`] or more are kept all. Of older ones the last of each second is kept: a moment
//! in a second of long ago is answered by the state at the end of an earlier second, never by a later one.
//!
//! # Invariants
//!
//! 1. Points ascend strictly in LSN and in time, over all chunks.
//! 2. A sealed chunk never changes; when it is thinned, another takes its place.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use shardforge_common::mutation::{put_varint, take_varint};
use shardforge_common::{Error, Lsn, Result};
use std::collections::VecDeque;
use std::sync::Arc;

/// A commit and its time, microseconds since 1970.
pub(super) type Point = (Lsn, i64);

/// Points in a chunk.
const CHUNK_POINTS: usize = 4096;
/// How many of the newest points are all kept.
pub(super) const EXACT_POINTS: usize = 1 << 20;
/// Of older commits, one point for so long.
const THINNED_MICROS: i64 = 1_000_000;

/// The points of one branch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommitTimes {
    /// Oldest first: thinned ones, then those that hold every point.
    sealed: VecDeque<Arc<Chunk>>,
    /// How many of the sealed chunks are thinned.
    thinned: usize,
    /// The newest points.
    open: Vec<Point>,
}

/// Points that change no more, encoded: differences as varints, LSN then time.
#[derive(Debug, PartialEq, Eq)]
struct Chunk {
    first: Point,
    last: Point,
    count: usize,
    rest: Bytes,
}

impl Chunk {
    fn seal(points: &[Point]) -> Chunk {
        let (first, last) = (points[0], points[points.len() - 1]);
        let mut rest = BytesMut::with_capacity(points.len() * 4);
        for pair in points.windows(2) {
            put_varint(&mut rest, pair[1].0.0 - pair[0].0.0);
            put_varint(&mut rest, pair[1].1.wrapping_sub(pair[0].1) as u64);
        }
        Chunk { first, last, count: points.len(), rest: rest.freeze() }
    }

    fn points(&self) -> Result<Vec<Point>> {
        let mut rest = &self.rest[..];
        let mut points = Vec::with_capacity(self.count.min(CHUNK_POINTS));
        let mut point = self.first;
        points.push(point);
        while !rest.is_empty() {
            let lsn = point.0.0.checked_add(take_varint(&mut rest)?);
            let time = point.1.checked_add_unsigned(take_varint(&mut rest)?);
            let (Some(lsn), Some(time)) = (lsn, time) else { return Err(damaged()) };
            if lsn == point.0.0 || time == point.1 {
                return Err(damaged());
            }
            point = (Lsn(lsn), time);
            points.push(point);
        }
        if points.len() != self.count || point != self.last {
            return Err(damaged());
        }
        Ok(points)
    }
}

fn damaged() -> Error {
    Error::corrupt("a branch's commit times are not in their form")
}

impl CommitTimes {
    /// Takes the next commit. Its time is not below the last one's.
    pub fn note(&mut self, lsn: Lsn, time_micros: i64) {
        if let Some(last) = self.open.last_mut().filter(|last| last.1 >= time_micros) {
            last.0 = lsn;
            return;
        }
        if self.open.len() == CHUNK_POINTS {
            self.sealed.push_back(Arc::new(Chunk::seal(&self.open)));
            self.open.clear();
            self.thin();
        }
        self.open.push((lsn, time_micros));
    }

    /// Thins the oldest chunk that holds every point, when there are enough newer ones.
    fn thin(&mut self) {
        if (self.sealed.len() - self.thinned) * CHUNK_POINTS <= EXACT_POINTS {
            return;
        }
        // A chunk of our own making can be read.
        let points = |chunk: &Chunk| chunk.points().unwrap_or_default();
        let mut kept: Vec<Point> = Vec::new();
        let before = self.thinned.checked_sub(1).map(|at| self.sealed[at].clone());
        if let Some(before) = before.filter(|before| before.count < CHUNK_POINTS / 2) {
            kept = points(&before);
            self.thinned -= 1;
            self.sealed.remove(self.thinned);
        }
        for point in points(&self.sealed[self.thinned].clone()) {
            match kept.last_mut() {
                Some(last) if last.1.div_euclid(THINNED_MICROS) == point.1.div_euclid(THINNED_MICROS) => {
                    *last = point;
                }
                _ => kept.push(point),
            }
        }
        self.sealed[self.thinned] = Arc::new(Chunk::seal(&kept));
        self.thinned += 1;
    }

    /// The last commit at or before a moment; `None` for one before all that is known.
    pub fn at(&self, time_micros: i64) -> Result<Option<Point>> {
        let reached = |point: &Point| point.1 <= time_micros;
        let last_in = |points: &[Point]| points.partition_point(reached).checked_sub(1).map(|at| points[at]);
        if let Some(point) = last_in(&self.open) {
            return Ok(Some(point));
        }
        match self.sealed.partition_point(|chunk| reached(&chunk.first)).checked_sub(1) {
            Some(at) => Ok(last_in(&self.sealed[at].points()?)),
            None => Ok(None),
        }
    }

    /// As it stands in a snapshot: how many chunks, and of them thinned (4 and 4); then of each chunk, and
    /// last of the open points as one: count (4), and unless that is 0 the first LSN and time (8 and 8), the
    /// last (8 and 8), bytes (4) and the differences.
    pub fn encode(&self, out: &mut BytesMut) {
        out.put_u32_le(self.sealed.len() as u32);
        out.put_u32_le(self.thinned as u32);
        let open = (!self.open.is_empty()).then(|| Arc::new(Chunk::seal(&self.open)));
        for chunk in self.sealed.iter().chain(&open) {
            out.put_u32_le(chunk.count as u32);
            for (lsn, time) in [chunk.first, chunk.last] {
                out.put_u64_le(lsn.0);
                out.put_i64_le(time);
            }
            out.put_u32_le(chunk.rest.len() as u32);
            out.put_slice(&chunk.rest);
        }
        if open.is_none() {
            out.put_u32_le(0);
        }
    }

    /// Reads it back.
    pub fn decode(input: &mut &[u8]) -> Result<Self> {
        let (sealed, thinned) = (take_u32(input)?, take_u32(input)?);
        let mut times = Self { thinned: thinned as usize, ..Self::default() };
        for _ in 0..sealed {
            let chunk = take_chunk(input)?.ok_or_else(damaged)?;
            chunk.points()?;
            times.sealed.push_back(Arc::new(chunk));
        }
        if let Some(open) = take_chunk(input)? {
            times.open = open.points()?;
        }
        if times.thinned > times.sealed.len() {
            return Err(damaged());
        }
        Ok(times)
    }
}

fn take_chunk(input: &mut &[u8]) -> Result<Option<Chunk>> {
    let count = take_u32(input)? as usize;
    if count == 0 {
        return Ok(None);
    }
    let mut point = || Ok::<_, Error>((Lsn(take_u64(input)?), take_u64(input)? as i64));
    let (first, last) = (point()?, point()?);
    let len = take_u32(input)? as usize;
    let rest = input.get(..len).ok_or_else(damaged)?;
    let rest = Bytes::copy_from_slice(rest);
    input.advance(len);
    Ok(Some(Chunk { first, last, count, rest }))
}

fn take_u32(input: &mut &[u8]) -> Result<u32> {
    input.try_get_u32_le().map_err(|_| damaged())
}

fn take_u64(input: &mut &[u8]) -> Result<u64> {
    input.try_get_u64_le().map_err(|_| damaged())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(points: impl IntoIterator<Item = (u64, i64)>) -> CommitTimes {
        let mut times = CommitTimes::default();
        points.into_iter().for_each(|(lsn, time)| times.note(Lsn(lsn), time));
        times
    }

    #[test]
    fn a_moment_is_answered_by_the_last_commit_not_after_it() {
        let times = times([(0, 100), (1, 110), (2, 110), (3, 120)]);
        let at = |moment| times.at(moment).unwrap().map(|(lsn, _)| lsn.0);
        let cases =
            [(99, None), (100, Some(0)), (109, Some(0)), (110, Some(2)), (119, Some(2)), (500, Some(3))];
        for (moment, lsn) in cases {
            assert_eq!(at(moment), lsn, "{moment}");
        }
    }

    #[test]
    fn every_commit_is_found_over_many_chunks_and_after_a_snapshot() {
        let count = 5 * CHUNK_POINTS as u64 + 17;
        let times = times((1..=count).map(|lsn| (lsn, lsn as i64 * 7)));
        let mut bytes = BytesMut::new();
        times.encode(&mut bytes);
        let mut input = &bytes[..];
        let read = CommitTimes::decode(&mut input).unwrap();
        assert!(input.is_empty());
        assert_eq!(read, times);
        for lsn in (1..=count).step_by(101) {
            let time = lsn as i64 * 7;
            assert_eq!(read.at(time).unwrap(), Some((Lsn(lsn), time)));
            assert_eq!(read.at(time + 6).unwrap(), Some((Lsn(lsn), time)));
        }
        assert_eq!(read.at(6).unwrap(), None);
    }

    #[test]
    fn old_points_are_thinned_to_seconds_and_new_ones_are_not() {
        // A commit each millisecond: half an hour.
        let count = EXACT_POINTS as u64 + 200 * CHUNK_POINTS as u64;
        let times = times((0..count).map(|lsn| (lsn, lsn as i64 * 1000)));
        let exact_from = count - EXACT_POINTS as u64;
        for lsn in (exact_from..count).step_by(997) {
            assert_eq!(times.at(lsn as i64 * 1000 + 999).unwrap().unwrap().0, Lsn(lsn));
        }
        for lsn in (1000..exact_from - 10 * CHUNK_POINTS as u64).step_by(997) {
            let (found, time) = times.at(lsn as i64 * 1000).unwrap().unwrap();
            assert!(found.0 <= lsn && lsn - found.0 < 1000, "{found} for {lsn}");
            assert_eq!(time, found.0 as i64 * 1000);
        }
        assert!(times.sealed.len() < 270, "{} chunks", times.sealed.len());
        let mut bytes = BytesMut::new();
        times.encode(&mut bytes);
        assert_eq!(CommitTimes::decode(&mut &bytes[..]).unwrap(), times);
    }

    #[test]
    fn damaged_bytes_are_refused() {
        let times = times((0..10).map(|lsn| (lsn, lsn as i64 * 1000)));
        let mut bytes = BytesMut::new();
        times.encode(&mut bytes);
        for len in 0..bytes.len() {
            assert!(CommitTimes::decode(&mut &bytes[..len]).is_err(), "{len}");
        }
    }
}
