//! Merges sources into rows: for each key its newest version, unless that is a deletion.

use super::cursor::LayerCursor;
use super::tile::Tile;
use super::{MemRow, Outcome, Part, Want, ready};
use crate::blocks::Pins;
use crate::layer::Tombstone;
use shardforge_common::{Lsn, Result};
use std::sync::Arc;

/// More blocks than this of one layer are opened as the walk comes to them: most are then other
/// versions of a key, which the walk jumps over.
const SPAN_AT_ONCE: usize = 4;

enum Source {
    Memory(std::vec::IntoIter<MemRow>),
    Layer(Box<LayerCursor>),
}

/// A walk over all sources of an interval, in key order.
pub(crate) struct Merge {
    /// Newest first, each with the row it stands at.
    sources: Vec<(Source, Option<MemRow>)>,
    tombstones: Vec<Tombstone>,
    at: Lsn,
}

impl Merge {
    /// A walk over a tile at an LSN.
    pub(crate) fn new(tile: &Tile<'_>, at: Lsn, pins: &mut Pins<'_>) -> Result<Outcome<Merge>> {
        let (lo, hi) = (&tile.lo[..], tile.hi.as_deref());
        let mut wants = Vec::new();
        for (layer, index) in &tile.layers {
            let span = LayerCursor::span(index, lo, hi, at);
            let span = if span.len() > SPAN_AT_ONCE { span.start..span.start + 1 } else { span };
            for number in span {
                if pins.block(layer, number as u32).is_none() {
                    wants.push(Want { layer: Arc::clone(layer), part: Part::Block(number as u32) });
                }
            }
        }
        if !wants.is_empty() {
            return Ok(Outcome::Need(wants));
        }
        let mut tombstones = Vec::new();
        let mut sources = Vec::with_capacity(tile.memtables.len() + tile.layers.len());
        for memtable in tile.memtables.iter().rev() {
            let mut rows = Vec::new();
            memtable.rows_at(lo, hi, at, &mut rows);
            memtable.tombstones_at(lo, hi, at, &mut tombstones);
            if !rows.is_empty() {
                sources.push((Source::Memory(rows.into_iter()), None));
            }
        }
        for (layer, index) in tile.layers.iter().rev() {
            tombstones.extend(index.tombstones.iter().filter(|t| t.lsn <= at).filter_map(|t| t.clip(lo, hi)));
            let cursor = LayerCursor::new(Arc::clone(layer), Arc::clone(index), lo, hi, at);
            sources.push((Source::Layer(Box::new(cursor)), None));
        }
        let mut merge = Merge { sources, tombstones, at };
        for number in 0..merge.sources.len() {
            ready!(merge.advance(number, pins)?);
        }
        Ok(Outcome::Done(merge))
    }

    fn advance(&mut self, number: usize, pins: &mut Pins<'_>) -> Result<Outcome<()>> {
        let (source, head) = &mut self.sources[number];
        *head = match source {
            Source::Memory(rows) => rows.next(),
            Source::Layer(cursor) => ready!(cursor.next(pins)?),
        };
        Ok(Outcome::Done(()))
    }

    /// The next row that exists; `None` at the end.
    pub(crate) fn next(&mut self, pins: &mut Pins<'_>) -> Result<Outcome<Option<MemRow>>> {
        loop {
            let mut best: Option<usize> = None;
            for (number, (_, head)) in self.sources.iter().enumerate() {
                let Some(row) = head else { continue };
                let better = match best.and_then(|best| self.sources[best].1.as_ref()) {
                    None => true,
                    // Of equals the newer source stays: it was written later.
                    Some(other) => (&row.key, other.lsn) < (&other.key, row.lsn),
                };
                if better {
                    best = Some(number);
                }
            }
            let Some(best) = best else { return Ok(Outcome::Done(None)) };
            let row = self.sources[best].1.take().expect("the best source stands at a row");
            for number in 0..self.sources.len() {
                let head = &self.sources[number].1;
                if number == best || head.as_ref().is_some_and(|head| head.key == row.key) {
                    ready!(self.advance(number, pins)?);
                }
            }
            let hidden = |t: &Tombstone| t.lsn > row.lsn && t.hides(&row.key, self.at);
            if row.value.is_some() && !self.tombstones.iter().any(hidden) {
                return Ok(Outcome::Done(Some(row)));
            }
        }
    }
}
