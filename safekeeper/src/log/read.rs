//! Reads entries back from segment files, each verified by its record's checksum (I11).

use super::LogEntry;
use super::format::{RECORD_HEADER_LEN, RecordKind, damaged, decode_record};
use super::shared::ReadFile;
use super::visible::{Found, Slot};
use bytes::Bytes;
use shardforge_common::{Error, GroupId, Result};
use std::collections::BTreeMap;

/// Entries that lie this near to one another, in bytes, are read at once: batch headers and small records of
/// other groups are read over.
const NEAR: u64 = 4096;
/// No single read exceeds this, unless one entry does; in bytes.
const LONGEST: u64 = 1 << 20;

/// The files that an answer needs.
pub(crate) fn files_of(found: &[Found], files: &BTreeMap<u64, ReadFile>) -> BTreeMap<u64, ReadFile> {
    let epochs = found.iter().filter_map(|part| match part {
        Found::OnDisk(_, slot) => Some(u64::from(slot.segment)),
        Found::Cached(_) => None,
    });
    epochs.filter_map(|epoch| Some((epoch, files.get(&epoch)?.clone()))).collect()
}

/// Puts an answer together.
pub(crate) fn entries(
    group: GroupId,
    found: &[Found],
    files: &BTreeMap<u64, ReadFile>,
) -> Result<Vec<LogEntry>> {
    let mut out = Vec::with_capacity(found.len());
    let mut rest = found;
    while let Some(part) = rest.first() {
        let (index, slot) = match part {
            Found::Cached(entry) => {
                out.push(entry.clone());
                rest = &rest[1..];
                continue;
            }
            Found::OnDisk(index, slot) => (*index, *slot),
        };
        let file = files
            .get(&u64::from(slot.segment))
            .ok_or_else(|| Error::internal(format!("entry {index} of group {group}: its segment is gone")))?;
        let run: Vec<(u64, Slot)> = run_of(rest);
        let start = u64::from(slot.offset);
        let end = run.last().map_or(start, |(_, last)| u64::from(last.offset) + u64::from(last.len));
        let mut bytes = vec![0; (end - start) as usize];
        file.file.read_exact_at(&mut bytes, start).map_err(|e| match e.kind() {
            std::io::ErrorKind::UnexpectedEof => damaged(&file.name, start, "the file is cut short"),
            _ => Error::unavailable(format!("cannot read {} at offset {start}", file.name)).with_source(e),
        })?;
        let bytes = Bytes::from(bytes);
        for (index, slot) in &run {
            let offset = u64::from(slot.offset);
            let at = (offset - start) as usize;
            let record_bytes = bytes.slice(at..at + slot.len as usize);
            let bad = |what: &str| damaged(&file.name, offset, what);
            let (record, _) = decode_record(&record_bytes, file.seed, offset).map_err(|e| bad(&e))?;
            if (record.kind, record.group, record.index) != (RecordKind::Entry, group, *index) {
                return Err(bad("another entry than the index says"));
            }
            let head_end = RECORD_HEADER_LEN + record.head.len();
            out.push(LogEntry {
                index: *index,
                head: Bytes::copy_from_slice(record.head),
                payload: record_bytes.slice(head_end..),
            });
        }
        rest = &rest[run.len()..];
    }
    Ok(out)
}

/// The entries at the head of an answer that are read at once.
fn run_of(found: &[Found]) -> Vec<(u64, Slot)> {
    let mut run: Vec<(u64, Slot)> = Vec::new();
    for part in found {
        let Found::OnDisk(index, slot) = part else { break };
        if let (Some((_, first)), Some((_, last))) = (run.first(), run.last()) {
            let end = u64::from(last.offset) + u64::from(last.len);
            let start = u64::from(slot.offset);
            let near = slot.segment == first.segment && (end..=end + NEAR).contains(&start);
            if !near || start + u64::from(slot.len) - u64::from(first.offset) > LONGEST {
                break;
            }
        }
        run.push((*index, *slot));
    }
    run
}
