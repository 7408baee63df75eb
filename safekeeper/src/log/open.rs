//! Opens a log: finds its segments, recovers, makes what was found durable, and cuts the torn tail.

use super::drive::Bell;
use super::files::{Folder, SPARES_KEPT, Spare, io_error};
use super::format::{SEGMENT_HEADER_LEN, SegmentHeader};
use super::handle::LogConfig;
use super::pump::{Current, LogPump};
use super::recovery::{Recovery, Segment, Tail, check_sequence, freed_mark};
use super::shared::{Counters, Inner, ReadFile, Shared};
use super::state::State;
use super::visible::Visible;
use parking_lot::{Condvar, Mutex};
use shardforge_common::disk::{Disk, DiskFile};
use shardforge_common::{Error, Result, random};
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::Arc;

/// The smallest segment that makes sense, in bytes.
const LEAST_SEGMENT: u64 = 4096;

pub(crate) fn open(disk: Arc<dyn Disk>, dir: &Path, config: LogConfig) -> Result<LogPump> {
    if !(LEAST_SEGMENT..=1 << 31).contains(&config.segment_bytes) {
        return Err(Error::invalid(format!(
            "a WAL segment of {} bytes: between 4 KiB and 2 GiB are possible",
            config.segment_bytes
        )));
    }
    let folder = Folder::open(disk, dir)?;
    let listing = folder.list()?;
    let next_spare = listing.spares.last().map_or(0, |last| last + 1);
    let mut spares: Vec<Spare> = Vec::new();
    for number in listing.spares {
        if spares.len() < SPARES_KEPT {
            spares.extend(folder.adopt_spare(number, config.segment_bytes));
        } else {
            folder.adopt_spare(number, u64::MAX);
        }
    }
    let mut opened = match listing.segments.last() {
        Some(&last) => recover(&folder, &config, &listing.segments, last)?,
        None => create(&folder, &config, &mut spares, next_spare)?,
    };
    let shared = Arc::new(Shared {
        inner: Mutex::new(Inner {
            visible: std::mem::take(&mut opened.visible),
            queue: VecDeque::new(),
            waiting_bytes: 0,
            committed: BTreeMap::new(),
            files: opened.files,
            disk_bytes: opened.lens.values().sum(),
            counters: Counters::default(),
            want_spare: spares.is_empty(),
            spares,
            next_spare: next_spare + 1,
            preparing: false,
            spare_rests: false,
            full: None,
            stalled: false,
            room: 0,
            deep_sleep: false,
            stopping: false,
            stopped: None,
        }),
        bell: Bell::default(),
        spare: Condvar::new(),
    });
    let pump = LogPump {
        shared: shared.clone(),
        folder,
        config,
        state: opened.state,
        current: opened.current,
        lens: opened.lens,
        at_rest: opened.at_rest,
    };
    pump.note_room(&mut shared.inner.lock());
    Ok(pump)
}

struct Opened {
    state: State,
    visible: Visible,
    current: Current,
    lens: BTreeMap<u64, u64>,
    files: BTreeMap<u64, ReadFile>,
    at_rest: bool,
}

fn read_file_of(folder: &Folder, header: &SegmentHeader, file: Arc<dyn DiskFile>) -> ReadFile {
    let name = folder.segment_path(header.epoch).display().to_string().into();
    ReadFile { file, seed: header.seed(), name }
}

/// A new log: its first segment.
fn create(folder: &Folder, config: &LogConfig, spares: &mut Vec<Spare>, number: u64) -> Result<Opened> {
    let spare = match spares.pop() {
        Some(spare) => spare,
        None => folder.make_spare(number, config.segment_bytes)?,
    };
    let salt = random::thread().bytes16();
    let header = SegmentHeader { epoch: 1, previous_end: 0, freed: 0, len: spare.len, salt };
    let file = folder.activate(&spare, &header)?;
    let offset = SEGMENT_HEADER_LEN as u64;
    Ok(Opened {
        state: State::default(),
        visible: Visible::new(config.cache_bytes),
        files: BTreeMap::from([(1, read_file_of(folder, &header, file.clone()))]),
        current: Current { epoch: 1, seed: header.seed(), file, len: spare.len, offset },
        lens: BTreeMap::from([(1, spare.len)]),
        at_rest: true,
    })
}

/// A log that exists.
fn recover(folder: &Folder, config: &LogConfig, segments: &[u64], last: u64) -> Result<Opened> {
    let last = folder.read_segment(last)?;
    let freed = freed_mark(&last)?;
    let mut recovery = Recovery::new(freed, Visible::new(config.cache_bytes));
    let (mut lens, mut files) = (BTreeMap::new(), BTreeMap::new());
    let live: Vec<u64> = segments.iter().copied().filter(|epoch| *epoch > freed).collect();
    check_sequence(&folder.name(), freed, &live)?;
    for pair in live.windows(2) {
        let segment = folder.read_segment(pair[0])?;
        let next = if pair[1] == last.header.epoch { last.header } else { folder.read_header(pair[1])? };
        recovery.segment(&segment, Some(&next))?;
        lens.insert(pair[0], segment.bytes.len() as u64);
        files.insert(pair[0], read_file_of(folder, &segment.header, folder.open_segment(pair[0])?));
    }
    let tail = recovery.segment(&last, None)?;
    let (state, visible) = recovery.finish()?;
    let file = folder.open_segment(last.header.epoch)?;
    settle(folder, &last, &tail, &*file)?;
    lens.insert(last.header.epoch, last.bytes.len() as u64);
    files.insert(last.header.epoch, read_file_of(folder, &last.header, file.clone()));
    // Only now is it durable that they are not needed.
    for epoch in segments.iter().filter(|epoch| **epoch <= freed) {
        folder.remove_segment(*epoch)?;
    }
    let current = Current {
        epoch: last.header.epoch,
        seed: last.header.seed(),
        file,
        len: last.bytes.len() as u64,
        offset: tail.offset,
    };
    Ok(Opened { state, visible, current, lens, files, at_rest: tail.at_rest || tail.last_frame.is_none() })
}

/// Makes what was read durable, and cuts the torn tail, before anything is built upon it.
///
/// A process that was killed, and not its machine, finds bytes that were never synced, and a name
/// whose folder was not. After a failed sync, the operating system may show the last batch, or the
/// header, though the disk never got it and nothing would write it again: so it is written again.
fn settle(folder: &Folder, last: &Segment, tail: &Tail, file: &dyn DiskFile) -> Result<()> {
    let path = folder.segment_path(last.header.epoch);
    let failed = |e| io_error("repair the end of", &path, e);
    let rewrite = match tail.last_frame {
        Some(_) if tail.at_rest && tail.cut_to == tail.offset => None,
        Some(frame) => Some(frame as usize..tail.offset as usize),
        None => Some(0..SEGMENT_HEADER_LEN),
    };
    if let Some(range) = rewrite {
        file.write_all_at(&last.bytes[range.clone()], range.start as u64).map_err(failed)?;
    }
    if tail.cut_to > tail.offset {
        tracing::info!(
            "{}: cutting {} bytes of a batch that was being written at offset {}",
            path.display(),
            tail.cut_to - tail.offset,
            tail.offset
        );
        let zeros = vec![0; 1 << 20];
        let mut at = tail.offset;
        while at < tail.cut_to {
            let part = (tail.cut_to - at).min(zeros.len() as u64) as usize;
            if last.bytes[at as usize..at as usize + part].iter().any(|byte| *byte != 0) {
                file.write_all_at(&zeros[..part], at).map_err(failed)?;
            }
            at += part as u64;
        }
    }
    file.sync_data().map_err(failed)?;
    folder.sync()
}
