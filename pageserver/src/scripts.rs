//! Runs the scripts of `testscripts/`: what the layer map finds, what the picker picks, and what the
//! garbage collector lets go, over layers that exist by description alone.

use crate::compaction::picker::{Job, Limits, is_behind, pick};
use crate::gc::unneeded;
use crate::layer::{Layer, LayerKind, LayerMeta, LayerName};
use crate::layer_map::LayerMap;
use bytes::Bytes;
use goldenscript::Context;
use shardforge_common::{Generation, Lsn};
use shardforge_store::ObjectPath;
use std::error::Error;
use std::fmt::Write as _;
use std::sync::Arc;

#[derive(goldenscript::Command)]
enum Command {
    /// Adds a delta of `(after, through]` and `[lo, hi)`; without `hi` it has no end.
    Delta {
        name: String,
        #[arg(key)]
        after: u64,
        #[arg(key)]
        through: u64,
        #[arg(key, optional)]
        level: u8,
        #[arg(key, optional)]
        lo: String,
        #[arg(key)]
        hi: Option<String>,
        #[arg(key)]
        mb: Option<u64>,
    },
    /// Adds an image of `[lo, hi)`.
    Image {
        name: String,
        #[arg(key)]
        at: u64,
        #[arg(key, optional)]
        lo: String,
        #[arg(key)]
        hi: Option<String>,
        #[arg(key)]
        mb: Option<u64>,
    },
    /// Shows every layer, in rows by LSN.
    Map,
    /// Which layers a read of a key at an LSN needs.
    Read(String, u64),
    /// The next job; `apply` does it, as far as sizes and bounds go.
    Pick {
        #[arg(key, optional)]
        apply: bool,
    },
    /// Adds flushes of so many MB each, and after each does every job there is; shows the jobs.
    Flush {
        count: u64,
        #[arg(key)]
        mb: u64,
    },
    /// Whether ingest waits for compaction, when it may leave `most` runs of level 0.
    Behind {
        #[arg(key)]
        most: usize,
    },
    /// The layers that no read at or above the horizon, and no pin, needs.
    Collect {
        #[arg(key)]
        horizon: u64,
        #[arg(optional)]
        pins: Vec<u64>,
    },
}

#[derive(Default)]
struct Runner {
    layers: Vec<LayerMeta>,
    made: u64,
}

const LIMITS: Limits = Limits { level_0_bytes: 256 << 20, level_ratio: 4, image_delta_percent: 50 };

fn meta(
    name: &str,
    kind: LayerKind,
    after: u64,
    through: u64,
    lo: &str,
    hi: Option<String>,
    mb: u64,
) -> LayerMeta {
    LayerMeta {
        name: LayerName::new(name, Generation(1)),
        kind,
        level: 0,
        lo: Bytes::copy_from_slice(lo.as_bytes()),
        hi: hi.map(Bytes::from),
        after: Lsn(after),
        through: Lsn(through),
        size_bytes: mb << 20,
        index_offset: 0,
        versions: 0,
    }
}

fn short(meta: &LayerMeta) -> String {
    meta.name.as_str().split('-').next().unwrap_or_default().to_string()
}

impl Runner {
    fn map(&self) -> LayerMap {
        let folder = ObjectPath::new("layers").unwrap();
        LayerMap::new(self.layers.iter().map(|meta| Arc::new(Layer::new(meta.clone(), &folder))).collect())
    }

    /// What the job would leave: a merge is as large as its inputs, and an image grows by a fifth of
    /// the deltas over it.
    fn apply(&mut self, job: &Job) {
        self.made += 1;
        match job {
            Job::Merge { into, after, through, layers } => {
                let (gone, kept): (Vec<_>, Vec<_>) =
                    self.layers.drain(..).partition(|layer| layers.contains(&layer.name));
                self.layers = kept;
                let size_bytes = gone.iter().map(|layer| layer.size_bytes).sum();
                let name = format!("m{}", self.made);
                let merged = meta(&name, LayerKind::Delta, after.0, through.0, "", None, 0);
                self.layers.push(LayerMeta { level: *into, size_bytes, ..merged });
            }
            Job::Image { lo, hi, at } => {
                let map = self.map();
                let below = map.segment(lo, true, *at).image;
                let (base, above) =
                    below.map_or((0, Lsn::ZERO), |image| (image.meta.size_bytes, image.meta.through));
                let deltas: u64 = map.runs_between(above, *at).map(|run| run.size_bytes()).sum();
                let hi = hi.as_ref().map(|hi| String::from_utf8_lossy(hi).into_owned());
                let lo = String::from_utf8_lossy(lo).into_owned();
                let image = meta(&format!("i{}", self.made), LayerKind::Image, at.0 - 1, at.0, &lo, hi, 0);
                self.layers.push(LayerMeta { size_bytes: base + deltas / 5, ..image });
            }
        }
    }
}

impl goldenscript::Runner for Runner {
    type Command = Command;

    fn run(&mut self, command: &Command, _: &Context) -> Result<String, Box<dyn Error>> {
        let mut out = String::new();
        match command {
            Command::Delta { name, after, through, level, lo, hi, mb } => {
                let delta = meta(name, LayerKind::Delta, *after, *through, lo, hi.clone(), mb.unwrap_or(1));
                self.layers.push(LayerMeta { level: *level, ..delta });
            }
            Command::Image { name, at, lo, hi, mb } => {
                self.layers.push(meta(name, LayerKind::Image, at - 1, *at, lo, hi.clone(), mb.unwrap_or(1)));
            }
            Command::Map => {
                let mut rows: Vec<&LayerMeta> = self.layers.iter().collect();
                rows.sort_by(|a, b| (b.through, &a.lo).cmp(&(a.through, &b.lo)));
                for layer in rows {
                    let hi = layer.hi.as_ref().map_or("end".into(), |hi| hi.escape_ascii().to_string());
                    let lsns = match layer.kind {
                        LayerKind::Image => format!("at {}", layer.through),
                        LayerKind::Delta => {
                            format!("level {} ({}, {}]", layer.level, layer.after, layer.through)
                        }
                    };
                    let (name, lo, mb) = (short(layer), layer.lo.escape_ascii(), layer.size_bytes >> 20);
                    writeln!(out, "{name}: {} {lsns} [{lo}, {hi}) {mb} MB", layer.kind)?;
                }
            }
            Command::Read(key, at) => {
                let (map, key) = (self.map(), Bytes::from(key.clone()));
                let segment = map.segment(&key, true, Lsn(*at));
                let above = segment.image.map_or(Lsn::ZERO, |image| image.meta.through);
                let mut needed: Vec<String> = segment.image.iter().map(|image| short(&image.meta)).collect();
                let end = Bytes::from([&key[..], &[0]].concat());
                for run in map.runs_between(above, Lsn(*at)) {
                    needed.extend(run.overlapping(key.clone(), Some(end.clone())).map(|l| short(&l.meta)));
                }
                let hi = segment.hi.map_or("end".into(), |hi| hi.escape_ascii().to_string());
                write!(out, "{} in [{}, {hi})", needed.join(" "), segment.lo.escape_ascii())?;
            }
            Command::Pick { apply } => match pick(&self.map(), &LIMITS) {
                None => write!(out, "nothing")?,
                Some(job) => {
                    write!(out, "{job}")?;
                    if *apply {
                        self.apply(&job);
                    }
                }
            },
            Command::Flush { count, mb } => {
                for _ in 0..*count {
                    let after = self.layers.iter().map(|layer| layer.through.0).max().unwrap_or(0);
                    self.made += 1;
                    let name = format!("f{}", self.made);
                    self.layers.push(meta(&name, LayerKind::Delta, after, after + 10, "", None, *mb));
                    while let Some(job) = pick(&self.map(), &LIMITS) {
                        writeln!(out, "{job}")?;
                        self.apply(&job);
                    }
                }
                let newest = self.map();
                let depth = newest.cells().map(|cell| {
                    let above = cell.image.map_or(Lsn::ZERO, |image| image.meta.through);
                    newest.runs_between(above, Lsn::MAX).count()
                });
                write!(out, "a read opens {} deltas", depth.max().unwrap_or(0))?;
            }
            Command::Behind { most } => {
                let waits = is_behind(&self.map(), *most);
                write!(out, "{}", if waits { "ingest waits" } else { "ingest goes on" })?;
            }
            Command::Collect { horizon, pins } => {
                let metas: Vec<&LayerMeta> = self.layers.iter().collect();
                let pins: Vec<Lsn> = pins.iter().copied().map(Lsn).collect();
                let gone: Vec<String> =
                    unneeded(&metas, Lsn(*horizon), &pins).iter().map(|m| short(m)).collect();
                write!(out, "{}", if gone.is_empty() { "nothing".into() } else { gone.join(" ") })?;
            }
        }
        Ok(out)
    }
}

fn run_all(folder: &str) {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("testscripts").join(folder);
    #[allow(clippy::disallowed_methods, reason = "a test lists its scripts")]
    let scripts = std::fs::read_dir(folder).unwrap();
    for script in scripts {
        goldenscript::run(&mut Runner::default(), script.unwrap().path()).unwrap();
    }
}

#[test]
fn layer_map() {
    run_all("layer_map");
}

#[test]
fn compaction() {
    run_all("compaction");
}

#[test]
fn gc() {
    run_all("gc");
}
