//! Does compaction jobs: streams layers into new ones, uploads these, and swaps them in.

use super::picker::Job;
use super::stream::{Entry, Stream};
use crate::ingest::flush::upload;
use crate::layer::file::{Index, LayerWriter};
use crate::layer::{Layer, LayerKind, LayerMeta, Tombstone};
use crate::layer_map::LayerMap;
use crate::read::{Outcome, Part, Want};
use crate::shard::Shard;
use bytes::Bytes;
use shardforge_common::{Error, Lsn, Result};
use std::sync::Arc;

/// Does a job that was picked over `layers`.
pub(crate) async fn run(shard: &Shard, layers: &LayerMap, job: &Job) -> Result<()> {
    let mut output = Output::new(shard, job);
    let (made, inputs) = match job {
        Job::Merge { layers: names, .. } => {
            let inputs: Vec<Arc<Layer>> =
                layers.layers().iter().filter(|layer| names.contains(&layer.meta.name)).cloned().collect();
            if inputs.len() != names.len() {
                return Err(Error::internal(format!("{job}: some of them are not in the layer map")));
            }
            (merge(&mut output, &inputs).await, inputs)
        }
        Job::Image { lo, hi, at } => (image(&mut output, layers, lo, hi, *at).await, Vec::new()),
    };
    if let Err(error) = made {
        // No manifest names them. What cannot be deleted now, the next owner sweeps.
        for layer in &output.done {
            let _ = shard.store.delete(&layer.path).await;
        }
        return Err(error);
    }
    shard.publish_swap(output.done, &inputs).await
}

/// Makes one run of level 0 of layers that hold the commits of one LSN range, whatever their keys. Of one key and
/// LSN the version of the first layer stays. The caller publishes them.
pub(crate) async fn join(
    shard: &Shard,
    inputs: &[Arc<Layer>],
    after: Lsn,
    through: Lsn,
) -> Result<Vec<Arc<Layer>>> {
    let mut output = Output::new(shard, &Job::Merge { into: 0, after, through, layers: Vec::new() });
    let made = merge(&mut output, inputs).await;
    if made.is_err() {
        shard.unlinked.lock().append(&mut output.done);
    }
    made.map(|()| output.done)
}

/// Every version of the inputs, as one run.
async fn merge(output: &mut Output<'_>, inputs: &[Arc<Layer>]) -> Result<()> {
    let sources = open(output.shard, inputs).await?;
    let lo = inputs.iter().map(|layer| layer.meta.lo.clone()).min().unwrap_or_default();
    let his = inputs.iter().map(|layer| layer.meta.hi.clone());
    // `None` is above every key, and compares below.
    let hi = his.reduce(|a, b| a.zip(b).map(|(a, b)| a.max(b))).flatten();
    output.tombstones = sources.iter().flat_map(|(_, index)| index.tombstones.iter().cloned()).collect();
    output.tombstones.sort_by(|a, b| (&a.start, &a.end, a.lsn).cmp(&(&b.start, &b.end, b.lsn)));
    output.tombstones.dedup();
    output.start = lo.clone();
    let mut stream = Stream::new(&output.shard.reader, sources, lo, hi.clone());
    while let Some(entry) = stream.next().await? {
        output.push(entry).await?;
    }
    output.end(hi).await
}

/// The newest versions at `at` of a key range, as images.
async fn image(
    output: &mut Output<'_>,
    layers: &LayerMap,
    lo: &Bytes,
    hi: &Option<Bytes>,
    at: Lsn,
) -> Result<()> {
    let below = layers.segment(lo, true, at).image;
    let above = below.map_or(Lsn::ZERO, |image| image.meta.through);
    let mut inputs: Vec<Arc<Layer>> = below.into_iter().cloned().collect();
    for run in layers.runs_between(above, at) {
        inputs.extend(run.overlapping(lo.clone(), hi.clone()).cloned());
    }
    let sources = open(output.shard, &inputs).await?;
    let tombstones: Vec<Tombstone> = sources
        .iter()
        .flat_map(|(_, index)| index.tombstones.iter().filter(|t| t.lsn <= at))
        .filter_map(|t| t.clip(lo, hi.as_deref()))
        .collect();
    output.start = lo.clone();
    let mut stream = Stream::new(&output.shard.reader, sources, lo.clone(), hi.clone());
    let mut last: Option<Bytes> = None;
    while let Some(entry) = stream.next().await? {
        if entry.lsn > at || last.as_ref() == Some(&entry.key) {
            continue;
        }
        last = Some(entry.key.clone());
        let hidden = tombstones.iter().any(|t| t.lsn > entry.lsn && t.hides(&entry.key, at));
        if entry.value.is_some() && !hidden {
            output.push(entry).await?;
        }
    }
    output.end(hi.clone()).await
}

async fn open(shard: &Shard, layers: &[Arc<Layer>]) -> Result<Vec<(Arc<Layer>, Arc<Index>)>> {
    let step = |pins: &mut crate::blocks::Pins<'_>| {
        let (mut opened, mut wants) = (Vec::new(), Vec::new());
        for layer in layers {
            match pins.index(layer) {
                Some(index) => opened.push((Arc::clone(layer), index)),
                None => wants.push(Want { layer: Arc::clone(layer), part: Part::Index }),
            }
        }
        Ok(if wants.is_empty() { Outcome::Done(opened) } else { Outcome::Need(wants) })
    };
    shard.reader.run(step).await
}

/// Cuts what a job puts out into layers that share their borders, and uploads each as it is full.
struct Output<'a> {
    shard: &'a Shard,
    kind: LayerKind,
    level: u8,
    after: Lsn,
    through: Lsn,
    writer: LayerWriter,
    /// The least key that the layer being written may hold.
    start: Bytes,
    /// Of a merge: what each layer takes its part of.
    tombstones: Vec<Tombstone>,
    done: Vec<Arc<Layer>>,
}

impl<'a> Output<'a> {
    fn new(shard: &'a Shard, job: &Job) -> Output<'a> {
        let (kind, level, after, through) = match *job {
            Job::Merge { into, after, through, .. } => (LayerKind::Delta, into, after, through),
            Job::Image { at, .. } => (LayerKind::Image, 0, at.prev(), at),
        };
        let writer = Self::writer(shard, kind);
        Output {
            shard,
            kind,
            level,
            after,
            through,
            writer,
            start: Bytes::new(),
            tombstones: Vec::new(),
            done: Vec::new(),
        }
    }

    fn writer(shard: &Shard, kind: LayerKind) -> LayerWriter {
        LayerWriter::new(kind, shard.config.page_bytes, shard.random.bytes16())
    }

    async fn push(&mut self, entry: Entry) -> Result<()> {
        // A key's versions stay together: a run's layers are disjoint in keys.
        if self.writer.size_estimate() as u64 >= self.shard.config.layer_bytes
            && self.writer.last_key().is_some_and(|last| last != entry.key)
        {
            self.cut(Some(entry.key.clone())).await?;
        }
        self.writer.push(&entry.key, entry.lsn, entry.value);
        Ok(())
    }

    /// Ends the layer being written at `hi`, where the next one starts.
    async fn cut(&mut self, hi: Option<Bytes>) -> Result<()> {
        let mut writer = std::mem::replace(&mut self.writer, Self::writer(self.shard, self.kind));
        let lo = std::mem::replace(&mut self.start, hi.clone().unwrap_or_default());
        for part in self.tombstones.iter().filter_map(|t| t.clip(&lo, hi.as_deref())) {
            writer.push_tombstone(part);
        }
        let file = writer.finish();
        let meta = LayerMeta {
            name: self.shard.new_layer_name(),
            kind: self.kind,
            level: self.level,
            lo,
            hi,
            after: self.after,
            through: self.through,
            size_bytes: file.bytes.len() as u64,
            index_offset: file.index_offset,
            versions: file.versions,
        };
        self.done.push(upload(self.shard, meta, file).await?);
        Ok(())
    }

    /// Ends the last layer: of an image even when it holds nothing, since that is what it says.
    async fn end(&mut self, hi: Option<Bytes>) -> Result<()> {
        self.cut(hi).await
    }
}
