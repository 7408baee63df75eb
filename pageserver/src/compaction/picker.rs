//! Picks the next compaction job: a pure function of the layers' sizes and bounds.
//!
//! # The rules, in this order
//!
//! 1. **Merge a level** when its runs come to `level_0_bytes * level_ratio^level`: all of them become one
//!    run of the next level. So each byte is written once a level, and a level costs a read at most
//!    `level_ratio` runs.
//! 2. **Merge small runs** when a level has [`MANY_RUNS`]: the youngest ones, as long as the next older one
//!    is not more than twice as large as all younger ones together. Idle flushes make such runs. Rule 1
//!    alone would let a read open hundreds of them.
//! 3. **Make an image** of the cell with the most runs above its image, when those are at least
//!    [`DEEP`] and come to `image_delta_percent` of the image's size.
//!
//! Only runs count that some read of the newest state needs: what every cell has an image above is
//! history, and is left alone.

use crate::config::Config;
use crate::layer::LayerName;
use crate::layer_map::{LayerMap, Run};
use bytes::Bytes;
use shardforge_common::Lsn;
use std::fmt;

/// So many runs of a level are merged, however small.
const MANY_RUNS: usize = 8;
/// A cell with fewer runs above its image needs no new one.
const DEEP: usize = 3;

/// The sizes that rule the picker.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) level_0_bytes: u64,
    pub(crate) level_ratio: u64,
    pub(crate) image_delta_percent: u64,
}

impl Limits {
    pub(crate) fn of(config: &Config) -> Limits {
        Limits {
            level_0_bytes: config.level_0_bytes,
            level_ratio: config.level_ratio,
            image_delta_percent: config.image_delta_percent,
        }
    }

    fn of_level(&self, level: u8) -> u64 {
        self.level_0_bytes.saturating_mul(self.level_ratio.saturating_pow(level.into()))
    }
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Job {
    /// Make one run of neighbouring runs.
    Merge {
        /// The level of the new run.
        into: u8,
        /// The runs hold what was committed above this,
        after: Lsn,
        /// up to here.
        through: Lsn,
        /// Their layers.
        layers: Vec<LayerName>,
    },
    /// Make an image of `[lo, hi)`.
    Image {
        lo: Bytes,
        hi: Option<Bytes>,
        /// Its LSN.
        at: Lsn,
    },
}

impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Job::Merge { into, after, through, layers } => {
                write!(f, "merge {} layers of ({after}, {through}] into level {into}", layers.len())
            }
            Job::Image { lo, hi: Some(hi), at } => {
                write!(f, "image of [{}, {}) at {at}", lo.escape_ascii(), hi.escape_ascii())
            }
            Job::Image { lo, hi: None, at } => write!(f, "image of [{}, end) at {at}", lo.escape_ascii()),
        }
    }
}

/// The runs that some read of the newest state needs, oldest first; the others are history.
fn needed(layers: &LayerMap) -> impl Iterator<Item = &Run> {
    let covered = layers.cells().map(|cell| cell.image.map_or(Lsn::ZERO, |image| image.meta.through)).min();
    let covered = covered.unwrap_or(Lsn::ZERO);
    layers.runs().iter().filter(move |run| run.through > covered)
}

/// Whether more than `most` runs of level 0 are still to be merged. History is not: nothing ever merges it,
/// so that who waited for it to become less would wait until the horizon passes it.
pub(crate) fn is_behind(layers: &LayerMap, most: usize) -> bool {
    let at_level_0 = |run: &&Run| run.level == 0;
    // Mostly there are few altogether.
    layers.runs().iter().filter(at_level_0).count() > most && needed(layers).filter(at_level_0).count() > most
}

/// The next job, if any is worth its writes.
pub(crate) fn pick(layers: &LayerMap, limits: &Limits) -> Option<Job> {
    let runs: Vec<&Run> = needed(layers).collect();
    let levels = runs.iter().map(|run| run.level).max().unwrap_or(0);
    for level in 0..=levels {
        let here: Vec<&Run> = runs.iter().copied().filter(|run| run.level == level).collect();
        if here.len() < 2 {
            continue;
        }
        if here.iter().map(|run| run.size_bytes()).sum::<u64>() >= limits.of_level(level) {
            return Some(merge(&here, level.saturating_add(1)));
        }
        if here.len() >= MANY_RUNS {
            return Some(merge(young(&here), level));
        }
    }
    deepest_cell(layers, &runs, limits)
}

fn merge(runs: &[&Run], into: u8) -> Job {
    let ends = runs.first().zip(runs.last()).expect("a merge is of two runs or more");
    let layers = runs.iter().flat_map(|run| &run.layers).map(|layer| layer.meta.name.clone()).collect();
    Job::Merge { into, after: ends.0.after, through: ends.1.through, layers }
}

/// Rule 2: the youngest runs that are worth merging, of a level's runs, oldest first.
fn young<'a, 'b>(runs: &'a [&'b Run]) -> &'a [&'b Run] {
    let mut from = runs.len();
    let mut bytes = 0;
    for (number, run) in runs.iter().enumerate().rev() {
        if runs.len() - from >= 2 && run.size_bytes() > 2 * bytes {
            break;
        }
        bytes += run.size_bytes();
        from = number;
    }
    &runs[from..]
}

/// Rule 3.
fn deepest_cell(layers: &LayerMap, runs: &[&Run], limits: &Limits) -> Option<Job> {
    let at = runs.last()?.through;
    let cells: Vec<_> = layers.cells().collect();
    let mut best: Option<(usize, Job)> = None;
    for cell in &cells {
        let (imaged, image_bytes) =
            cell.image.map_or((Lsn::ZERO, 0), |image| (image.meta.through, image.meta.size_bytes));
        let (mut depth, mut bytes) = (0, 0);
        for run in runs.iter().filter(|run| run.through > imaged) {
            let mut here = run.overlapping(cell.lo.clone(), cell.hi.cloned()).peekable();
            depth += usize::from(here.peek().is_some());
            // A layer that lies over several cells is shared out among them.
            bytes += here
                .map(|layer| {
                    let from = cells.partition_point(|cell| cell.hi.is_some_and(|hi| *hi <= layer.meta.lo));
                    let to = match &layer.meta.hi {
                        Some(hi) => cells.partition_point(|cell| cell.lo < hi),
                        None => cells.len(),
                    };
                    layer.meta.size_bytes / to.saturating_sub(from).max(1) as u64
                })
                .sum::<u64>();
        }
        let worth = bytes.saturating_mul(100) >= image_bytes.saturating_mul(limits.image_delta_percent);
        if depth >= DEEP && worth && best.as_ref().is_none_or(|(most, _)| depth > *most) {
            best = Some((depth, Job::Image { lo: cell.lo.clone(), hi: cell.hi.cloned(), at }));
        }
    }
    best.map(|(_, job)| job)
}
