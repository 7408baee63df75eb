//! Scripts for the pure core: segments are bytes in memory, written as the pump writes them.
//!
//! Commands: `segment` begins the next segment; `batch` writes one frame of its arguments in order
//! (`entry=GROUP/INDEX`, `truncate=GROUP/INDEX`, `purge=GROUP/INDEX`, `vote=GROUP/TEXT`,
//! `committed=GROUP/TEXT`, `end`), and frees what it may; `tear segment=N frame=K` loses the second half of
//! a frame, `flip` flips one byte in it, `drop segment=N` removes the file; `recover` reads everything
//! back.

use crate::log::format::{Frame, FrameBuilder, RawRecord, RecordKind, SEGMENT_HEADER_LEN, SegmentHeader};
use crate::log::recovery::{Recovery, Segment, check_sequence, freed_mark};
use crate::log::state::State;
use crate::log::visible::Visible;
use goldenscript::Argument;
use shardforge_common::{GroupId, Result};
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;

const SEGMENT_LEN: usize = 2048;

#[derive(Default)]
struct Core {
    state: State,
    segments: BTreeMap<u64, Vec<u8>>,
    end: u64,
}

impl Core {
    fn epoch(&self) -> u64 {
        self.segments.keys().next_back().copied().unwrap_or_default()
    }

    fn header(&self, epoch: u64) -> SegmentHeader {
        SegmentHeader::decode(&self.segments[&epoch], "test", epoch).expect("written by this test")
    }

    fn begin_segment(&mut self) -> String {
        let epoch = self.epoch() + 1;
        let header = SegmentHeader {
            epoch,
            previous_end: self.end,
            freed: self.state.freed,
            len: SEGMENT_LEN as u64,
            salt: [epoch as u8; 16],
        };
        let mut bytes = header.encode().to_vec();
        bytes.resize(SEGMENT_LEN, 0);
        self.segments.insert(epoch, bytes);
        self.end = SEGMENT_HEADER_LEN as u64;
        format!("segment {epoch}, after {} and freed {}\n", header.previous_end, header.freed)
    }

    fn batch(&mut self, args: Vec<&Argument>) -> Result<String, Box<dyn Error>> {
        let epoch = self.epoch();
        let mut frame = FrameBuilder::new(self.header(epoch).seed(), epoch, self.end, 0);
        let mut out = String::new();
        if self.end == SEGMENT_HEADER_LEN as u64 {
            self.state.push_checkpoint(&mut frame);
            writeln!(out, "checkpoint of {} groups", self.state.groups.len())?;
        }
        let mut purged = false;
        for arg in args {
            let (kind, value) = match arg {
                Argument::KeyValue(kind, value) => (kind.as_str(), value.as_str()),
                Argument::Positional(kind) => (kind.as_str(), "0/0"),
                _ => return Err("an argument of a new kind".into()),
            };
            let (group, value) = value.split_once('/').ok_or("GROUP/VALUE wanted")?;
            let group = GroupId(group.parse()?);
            let bare = |kind, index| RawRecord::bare(kind, group, index);
            let record = match kind {
                "entry" => {
                    RawRecord { head: b"h", payload: b"payload", ..bare(RecordKind::Entry, value.parse()?) }
                }
                "truncate" => bare(RecordKind::Truncate, value.parse()?),
                "purge" => RawRecord { payload: b"m", ..bare(RecordKind::Purge, value.parse()?) },
                "vote" => RawRecord { payload: value.as_bytes(), ..bare(RecordKind::Vote, 0) },
                "committed" => RawRecord { payload: value.as_bytes(), ..bare(RecordKind::Committed, 0) },
                "end" => bare(RecordKind::End, 0),
                other => return Err(format!("unknown record {other}").into()),
            };
            purged |= kind == "purge";
            self.state.apply(&record, epoch)?;
            frame.push(&record);
        }
        let freed = self.state.first_needed(epoch) - 1;
        if purged && freed > self.state.freed {
            let record = RawRecord::bare(RecordKind::Freed, GroupId(0), freed);
            self.state.apply(&record, epoch)?;
            frame.push(&record);
            writeln!(out, "freed up to segment {freed}")?;
        }
        self.state.validate();
        let bytes = frame.finish(self.end);
        let start = self.end as usize;
        let file = self.segments.get_mut(&epoch).ok_or("no segment")?;
        file[start..start + bytes.len()].copy_from_slice(&bytes);
        self.end += bytes.len() as u64;
        writeln!(out, "frame at {start}, {} bytes", bytes.len())?;
        Ok(out)
    }

    /// Where a frame, counted from 1, starts and ends.
    fn frame(&self, epoch: u64, number: usize) -> Result<(usize, usize), Box<dyn Error>> {
        let (bytes, seed) = (&self.segments[&epoch], self.header(epoch).seed());
        let mut offset = SEGMENT_HEADER_LEN as u64;
        for at in 1.. {
            let frame = Frame::read(bytes, seed, epoch, offset)?;
            if at == number {
                return Ok((offset as usize, frame.end() as usize));
            }
            offset = frame.end();
        }
        unreachable!("the loop ends at a bad frame")
    }

    fn recover(&self) -> Result<String> {
        let segment = |epoch: u64| Segment {
            name: format!("{epoch}.wal"),
            header: self.header(epoch),
            bytes: self.segments[&epoch].clone(),
        };
        let last = segment(self.epoch());
        let freed = freed_mark(&last)?;
        let live: Vec<u64> = self.segments.keys().copied().filter(|epoch| *epoch > freed).collect();
        check_sequence("wal", freed, &live)?;
        let mut recovery = Recovery::new(freed, Visible::new(0));
        for pair in live.windows(2) {
            recovery.segment(&segment(pair[0]), Some(&self.header(pair[1])))?;
        }
        let tail = recovery.segment(&last, None)?;
        let (state, visible) = recovery.finish()?;
        visible.validate();
        let mut out = format!("segments {live:?}, next frame at {}", tail.offset);
        if tail.at_rest {
            out += ", at rest";
        }
        if tail.cut_to > tail.offset {
            out += &format!(", cutting up to {}", tail.cut_to);
        }
        out.push('\n');
        out += &print(&state);
        Ok(out)
    }
}

fn print(state: &State) -> String {
    let mut out = String::new();
    for (id, group) in &state.groups {
        out += &format!("group {id}:");
        for (name, text) in [("vote", &group.vote), ("committed", &group.committed)] {
            if let Some(text) = text {
                out += &format!(" {name}={}", String::from_utf8_lossy(text));
            }
        }
        if let Some((index, _)) = &group.purged {
            out += &format!(" purged={index}");
        }
        for run in &group.runs {
            out += &format!(" {}..@{}", run.first, run.segment);
        }
        if let Some(last) = group.last {
            out += &format!(" last={last}");
        }
        out.push('\n');
    }
    out
}

impl goldenscript::Runner for Core {
    type Command = goldenscript::Command;

    fn run(
        &mut self,
        command: &goldenscript::Command,
        _: &goldenscript::Context,
    ) -> Result<String, Box<dyn Error>> {
        let mut args = command.consume_args();
        let number =
            |args: &mut goldenscript::ArgumentConsumer<'_>, key: &str| -> Result<u64, Box<dyn Error>> {
                Ok(args.take_key(key).ok_or(format!("{key}= wanted"))?.parse()?)
            };
        match command.name.as_str() {
            "segment" => Ok(self.begin_segment()),
            "batch" => self.batch(args.collect()),
            "state" => Ok(print(&self.state)),
            "tear" | "flip" => {
                let (epoch, frame) = (number(&mut args, "segment")?, number(&mut args, "frame")?);
                let (start, end) = self.frame(epoch, frame as usize)?;
                let bytes = self.segments.get_mut(&epoch).ok_or("no such segment")?;
                let middle = (start + end) / 2;
                if command.name == "tear" {
                    bytes[middle..end].fill(0);
                } else {
                    bytes[middle] ^= 1;
                }
                Ok(String::new())
            }
            "drop" => {
                self.segments.remove(&number(&mut args, "segment")?);
                Ok(String::new())
            }
            "recover" => Ok(self.recover().unwrap_or_else(|error| format!("{:?}: {error}\n", error.kind()))),
            other => Err(format!("unknown command {other}").into()),
        }
    }
}

macro_rules! scripts {
    ($($name:ident)*) => {$(
        #[test]
        fn $name() {
            let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/src/log/tests/scripts/");
            let path = format!("{dir}{}", stringify!($name));
            goldenscript::run(&mut Core::default(), path).unwrap();
        }
    )*};
}

scripts! {
    a_checkpoint_carries_groups_past_freed_segments
    a_torn_tail_is_cut
    an_end_mark_guards_the_last_batch
    damage_is_told_from_a_torn_tail
    truncation_reaches_below_freed_segments
}
