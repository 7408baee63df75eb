//! The layer map: which layers a read at a key and an LSN needs. Immutable; a new version replaces
//! it whole, and a reader keeps the one that it started with.
//!
//! # How the layers of a shard lie
//!
//! ```text
//!   LSN ^   | delta level 0 |   each flush wrote one, over all keys; LSN ranges touch, none overlap
//!       |   | delta level 0 |
//!       |   [image][image  ][  image  ]   at one LSN each; any number of them over a key
//!       |   | delta level 1 | delta level 1 |   a run: one LSN range, split by key
//!       |   |  level 2 | level 2 | level 2  |   an older, larger run
//!       +------------------------------------> key
//! ```
//!
//! # Invariants
//!
//! 1. The LSN ranges of runs (and of level-0 deltas, each a run of its own) do not overlap, and
//!    together reach from zero to the manifest's uploaded LSN where they hold anything.
//! 2. A run's layers are disjoint in keys.
//! 3. A read of a key at p needs the newest image at or below p, and every delta that covers an LSN
//!    above that image and at most p.

use crate::layer::{Layer, LayerKind};
use bytes::Bytes;
use shardforge_common::Lsn;
use std::sync::Arc;

/// Where a read of a key may end, and the image beneath it.
#[derive(Debug)]
pub(crate) struct Segment<'a> {
    /// The segment's least key.
    pub(crate) lo: &'a Bytes,
    /// The least key above it; `None` is above every key.
    pub(crate) hi: Option<&'a Bytes>,
    /// The newest image at or below the read's LSN.
    pub(crate) image: Option<&'a Arc<Layer>>,
}

/// A run: deltas of one LSN range, disjoint in keys, in key order.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) level: u8,
    pub(crate) after: Lsn,
    pub(crate) through: Lsn,
    pub(crate) layers: Vec<Arc<Layer>>,
}

impl Run {
    /// Size of its layers, in bytes.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.layers.iter().map(|layer| layer.meta.size_bytes).sum()
    }

    /// Its layers that meet `[lo, hi)`.
    pub(crate) fn overlapping(&self, lo: Bytes, hi: Option<Bytes>) -> impl Iterator<Item = &Arc<Layer>> {
        let from = self.layers.partition_point(|l| l.meta.hi.as_ref().is_some_and(|hi| *hi <= lo));
        self.layers[from..].iter().take_while(move |l| l.meta.overlaps(&lo, hi.as_deref()))
    }
}

/// The layers of a shard, found by key and LSN.
#[derive(Debug)]
pub(crate) struct LayerMap {
    layers: Vec<Arc<Layer>>,
    /// Least key of each elementary segment between image borders, with the images over it, newest
    /// first. The first segment begins at the empty key.
    segments: Vec<(Bytes, Vec<Arc<Layer>>)>,
    /// Oldest first.
    runs: Vec<Run>,
}

impl LayerMap {
    /// The map of these layers.
    pub(crate) fn new(layers: Vec<Arc<Layer>>) -> LayerMap {
        let (images, deltas): (Vec<_>, Vec<_>) =
            layers.iter().cloned().partition(|layer| layer.meta.kind == LayerKind::Image);
        let mut runs: Vec<Run> = Vec::new();
        for layer in deltas {
            let (level, after, through) = (layer.meta.level, layer.meta.after, layer.meta.through);
            match runs.iter_mut().find(|r| (r.level, r.after, r.through) == (level, after, through)) {
                Some(run) => run.layers.push(layer),
                None => runs.push(Run { level, after, through, layers: vec![layer] }),
            }
        }
        runs.sort_by_key(|run| (run.after, run.through));
        for run in &mut runs {
            run.layers.sort_by(|a, b| a.meta.lo.cmp(&b.meta.lo));
        }
        let map = LayerMap { layers, segments: segments(images), runs };
        #[cfg(debug_assertions)]
        map.validate();
        map
    }

    /// Every layer.
    pub(crate) fn layers(&self) -> &[Arc<Layer>] {
        &self.layers
    }

    /// Every run, oldest first.
    pub(crate) fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// Every segment between image borders, with the newest image over it, in key order.
    pub(crate) fn cells(&self) -> impl Iterator<Item = Segment<'_>> {
        (0..self.segments.len()).map(|index| self.segment_at(index, Lsn::MAX))
    }

    /// The segment of a key (or, when `including` is not set, of the keys just below it).
    pub(crate) fn segment(&self, key: &[u8], including: bool, at: Lsn) -> Segment<'_> {
        let index = if including {
            self.segments.partition_point(|(lo, _)| &lo[..] <= key)
        } else {
            self.segments.partition_point(|(lo, _)| &lo[..] < key)
        };
        self.segment_at(index.saturating_sub(1), at)
    }

    fn segment_at(&self, index: usize, at: Lsn) -> Segment<'_> {
        let (lo, images) = &self.segments[index];
        Segment {
            lo,
            hi: self.segments.get(index + 1).map(|(hi, _)| hi),
            image: images.iter().find(|image| image.meta.through <= at),
        }
    }

    /// The runs that a read at `at` over an image of `above` needs, oldest first.
    pub(crate) fn runs_between(&self, above: Lsn, at: Lsn) -> impl Iterator<Item = &Run> {
        self.runs.iter().filter(move |run| run.through > above && run.after < at)
    }

    /// Panics where an invariant of the module's head does not hold.
    #[cfg(any(test, debug_assertions))]
    pub(crate) fn validate(&self) {
        for pair in self.runs.windows(2) {
            assert!(
                pair[0].through <= pair[1].after,
                "runs {}..{} and {}..{} overlap",
                pair[0].after,
                pair[0].through,
                pair[1].after,
                pair[1].through
            );
        }
        for run in &self.runs {
            for pair in run.layers.windows(2) {
                let disjoint = pair[0].meta.hi.as_ref().is_some_and(|hi| *hi <= pair[1].meta.lo);
                assert!(disjoint, "layers {} and {} of a run overlap", pair[0].meta.name, pair[1].meta.name);
            }
        }
    }
}

/// Cuts the key space at every image's borders.
fn segments(mut images: Vec<Arc<Layer>>) -> Vec<(Bytes, Vec<Arc<Layer>>)> {
    let mut cuts: Vec<Bytes> = vec![Bytes::new()];
    for image in &images {
        cuts.push(image.meta.lo.clone());
        cuts.extend(image.meta.hi.clone());
    }
    cuts.sort();
    cuts.dedup();
    images.sort_by(|a, b| a.meta.lo.cmp(&b.meta.lo));
    let mut waiting = images.into_iter().peekable();
    let mut over: Vec<Arc<Layer>> = Vec::new();
    let mut segments = Vec::with_capacity(cuts.len());
    for lo in cuts {
        over.retain(|image| image.meta.hi.as_ref().is_none_or(|hi| lo < *hi));
        while let Some(image) = waiting.next_if(|image| image.meta.lo <= lo) {
            over.push(image);
        }
        let mut here = over.clone();
        here.sort_by_key(|image| std::cmp::Reverse(image.meta.through));
        segments.push((lo, here));
    }
    segments
}
