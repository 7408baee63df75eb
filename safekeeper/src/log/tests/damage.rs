use super::*;
use crate::log::format::{Frame, SEGMENT_HEADER_LEN, SegmentHeader};
use proptest::prelude::*;
use shardforge_common::{ErrorKind, random};
use std::path::PathBuf;

/// Three segments, two groups, a little of everything, and what it holds.
fn written(disk: &PowerLossDisk, mark: bool) -> Vec<LogEntry> {
    random::seed_thread(42);
    let (log, mut pump) = open(disk, &small()).unwrap();
    let mut index = 1;
    while log.stats().last_epoch < 3 {
        log.append(G, vec![entry(index, &[index as u8; 200])], Outcome::default().done());
        log.save_vote(GroupId(2), Bytes::from(format!("vote {index}")), Outcome::default().done());
        pump.step();
        index += 1;
    }
    log.save_committed(G, Bytes::from_static(b"committed"));
    log.append(G, vec![entry(index, &[index as u8; 200])], Outcome::default().done());
    pump.step();
    let all = log.read(G, 1..100, usize::MAX).unwrap();
    if mark {
        pump.finish();
    }
    all
}

fn segments(disk: &PowerLossDisk) -> Vec<(PathBuf, Vec<u8>)> {
    disk.files().into_iter().filter(|(path, _)| path.extension().is_some_and(|e| e == "wal")).collect()
}

/// Where each frame of a segment starts, and where the last one ends.
fn frames(bytes: &[u8], epoch: u64) -> Vec<u64> {
    let seed = SegmentHeader::decode(bytes, "test", epoch).unwrap().seed();
    let mut starts = vec![SEGMENT_HEADER_LEN as u64];
    while let Ok(frame) = Frame::read(bytes, seed, epoch, *starts.last().unwrap()) {
        starts.push(frame.end());
    }
    starts
}

fn check_named(error: &shardforge_common::Error, path: &Path) {
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    let text = error.to_string();
    assert!(text.contains(&path.display().to_string()) && text.contains("offset"), "{text}");
}

/// Flips every byte of every segment in turn; gives for each what opening did.
fn flip_each(disk: &PowerLossDisk, mut check: impl FnMut(u64, usize, &Path, Result<Log>)) {
    for (epoch, (path, bytes)) in segments(disk).into_iter().enumerate() {
        for at in 0..bytes.len() {
            let copy = disk.fork(1);
            let mut bad = bytes.clone();
            bad[at] ^= 1 << (at % 8);
            copy.set_file(&path, bad);
            let opened = open(&copy, &small()).map(|(log, _pump)| log);
            check(epoch as u64 + 1, at, &path, opened);
        }
    }
}

#[test]
fn every_flipped_byte_of_a_log_at_rest_is_found_or_does_not_matter() {
    let disk = PowerLossDisk::new(1);
    let all = written(&disk, true);
    let files = segments(&disk);
    assert_eq!(files.len(), 3);
    let frames: Vec<Vec<u64>> =
        files.iter().zip(1..).map(|((_, bytes), epoch)| frames(bytes, epoch)).collect();
    flip_each(&disk, |epoch, at, path, opened| {
        let ends = &frames[epoch as usize - 1];
        // The end mark holds nothing, and nothing counts after the last frame.
        let matters = if epoch == 3 { ends[ends.len() - 2] } else { ends[ends.len() - 1] };
        match opened {
            Err(error) => {
                assert!((at as u64) < matters, "{path:?} byte {at}: {error}");
                check_named(&error, path);
            }
            Ok(log) => {
                assert!(at as u64 >= matters, "{path:?} byte {at}: not found");
                assert_eq!(log.read(G, 1..100, usize::MAX).unwrap(), all);
                assert_eq!(log.committed(G).unwrap(), "committed");
            }
        }
    });
}

#[test]
fn without_an_end_mark_only_the_last_batch_can_pass_for_torn() {
    let disk = PowerLossDisk::new(1);
    let all = written(&disk, false);
    let files = segments(&disk);
    let ends = frames(&files[2].1, 3);
    let (last_frame, end) = (ends[ends.len() - 2], ends[ends.len() - 1]);
    flip_each(&disk, |epoch, at, path, opened| {
        let at = at as u64;
        match opened {
            Err(error) => {
                assert!(epoch < 3 || at < last_frame, "{path:?} byte {at}: {error}");
                check_named(&error, path);
            }
            Ok(log) => {
                let read = log.read(G, 1..100, usize::MAX).unwrap();
                let cut = epoch == 3 && (last_frame..end).contains(&at);
                let expected = if cut { &all[..all.len() - 1] } else { &all[..] };
                assert_eq!(read, expected, "{path:?} byte {at}");
            }
        }
    });
}

#[test]
fn a_byte_that_rots_while_the_log_runs_is_found_when_it_is_read() {
    let disk = PowerLossDisk::new(1);
    let (log, mut pump) = open(&disk, &small()).unwrap();
    for index in 1..=8 {
        log.append(G, vec![entry(index, &[index as u8; 400])], Outcome::default().done());
        pump.step();
    }
    let (path, mut bytes) = segments(&disk).remove(0);
    let at = bytes.windows(3).position(|window| window == [1, 1, 1]).unwrap();
    bytes[at] ^= 1;
    disk.set_file(&path, bytes);
    check_named(&log.read(G, 1..2, 9).unwrap_err(), &path);
    assert_eq!(log.read(G, 2..3, 9).unwrap(), [entry(2, &[2; 400])]);
}

#[test]
fn a_file_that_is_missing_cut_or_another_ones_is_found() {
    let disk = PowerLossDisk::new(1);
    written(&disk, true);
    let files = segments(&disk);
    let open_with = |change: &dyn Fn(&PowerLossDisk)| {
        let copy = disk.fork(1);
        change(&copy);
        let error = open(&copy, &small()).map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        error.to_string()
    };
    let missing = open_with(&|disk| disk.remove_file(&files[1].0).unwrap());
    assert!(missing.contains("0000000000000002.wal"), "{missing}");
    open_with(&|disk| disk.remove_file(&files[0].0).unwrap());
    open_with(&|disk| disk.set_file(&files[1].0, files[1].1[..600].to_vec()));
    open_with(&|disk| disk.set_file(&files[1].0, Vec::new()));
    let cut = open_with(&|disk| disk.set_file(&files[2].0, files[2].1[..4000].to_vec()));
    assert!(cut.contains("offset 4000"), "{cut}");
    open_with(&|disk| disk.set_file(&files[2].0, files[1].1.clone()));
    // The same file with an epoch of its own, but the salt of another: as if it were copied and renamed.
    open_with(&|disk| {
        let header = SegmentHeader::decode(&files[1].1, "", 2).unwrap();
        let mut bytes = files[2].1.clone();
        bytes[..SEGMENT_HEADER_LEN].copy_from_slice(&SegmentHeader { epoch: 3, ..header }.encode());
        disk.set_file(&files[2].0, bytes);
        // An empty last segment is possible, so what shows is that the entries are gone from the middle.
        disk.set_file(&files[1].0, files[0].1.clone());
    });
}

proptest! {
    /// Any damage at all: an error, or entries that were written, in order from the first one on.
    #[test]
    fn no_damage_makes_it_panic_or_gives_wrong_entries(
        edits in prop::collection::vec((0..3usize, 0..4096usize, any::<u8>(), 1..600usize), 1..6),
        cut in prop::option::of((0..3usize, 0..4096usize)),
    ) {
        let disk = PowerLossDisk::new(1);
        let all = written(&disk, true);
        let files = segments(&disk);
        for (file, at, value, len) in edits {
            let (path, _) = &files[file];
            let (_, mut bytes) = segments(&disk).remove(file);
            let end = (at + len).min(bytes.len());
            bytes[at..end].fill(value);
            disk.set_file(path, bytes);
        }
        if let Some((file, len)) = cut {
            let (path, mut bytes) = segments(&disk).remove(file);
            bytes.truncate(len);
            disk.set_file(&path, bytes);
        }
        if let Ok((log, _pump)) = open(&disk, &small()) {
            let read = log.read(G, 1..100, usize::MAX).unwrap();
            prop_assert_eq!(&all[..read.len()], &read[..]);
        }
    }
}

/// `safekeeper/golden/` holds a segment of each format version for ever: it must be read, and the newest one
/// is what is written now. `UPDATE_GOLDENFILES=1` writes it, for a new version.
#[test]
fn the_golden_segment_is_read_and_is_what_is_written() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/golden/wal-segment-v1.wal");
    let disk = PowerLossDisk::new(1);
    let name = Path::new("/wal/0000000000000001.wal");
    random::seed_thread(7);
    {
        let (log, mut pump) = open(&disk, &small()).unwrap();
        log.save_vote(G, Bytes::from_static(b"vote"), Outcome::default().done());
        log.append(G, (1..=5).map(|i| entry(i, &[i as u8; 9])).collect(), Outcome::default().done());
        pump.step();
        log.truncate_from(G, 5, Outcome::default().done());
        log.purge_to(G, 2, Bytes::from_static(b"marker"));
        log.save_committed(G, Bytes::from_static(b"committed"));
        log.append(GroupId(9), vec![entry(77, b"")], Outcome::default().done());
        pump.finish();
    }
    let now = disk.files().into_iter().find(|(path, _)| path == name).unwrap().1;
    #[allow(clippy::disallowed_methods, reason = "golden files are the repository's")]
    let golden = {
        if std::env::var_os("UPDATE_GOLDENFILES").is_some() {
            std::fs::write(path, &now).unwrap();
        }
        std::fs::read(path).unwrap()
    };
    assert!(golden == now, "the format of segments has changed: it needs a new version");
    disk.set_file(name, golden);
    let (log, _pump) = open(&disk, &small()).unwrap();
    assert_eq!(log.vote(G).unwrap(), "vote");
    assert_eq!(log.committed(G).unwrap(), "committed");
    assert_eq!(log.purged(G).unwrap(), (2, Bytes::from_static(b"marker")));
    assert_eq!(log.read(G, 3..9, 999).unwrap(), [entry(3, &[3; 9]), entry(4, &[4; 9])]);
    assert_eq!(log.last(GroupId(9)).unwrap(), (77, Bytes::from_static(b"term-77")));
}
