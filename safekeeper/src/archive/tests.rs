//! The segment's bytes, and what reports allow.

use super::*;
use bytes::Bytes;
use shardforge_common::wal::{Record, RecordHeader, RecordKind};
use shardforge_common::{BranchId, BranchRef, ErrorKind, Generation, Lsn, SlotRange, TenantId, TxnId};
use shardforge_proto::wal::IngestReport;

fn branch() -> BranchRef {
    BranchRef { tenant: TenantId::from_bytes([1; 16]), branch: BranchId::from_bytes([2; 16]) }
}

fn record(lsn: u64, kind: RecordKind, fragment: u32) -> Record {
    let header = RecordHeader {
        kind,
        last: kind == RecordKind::Commit,
        branch: branch().branch,
        lsn: Lsn(lsn),
        prev_lsn: Lsn(lsn - 1),
        time_micros: 77,
        txn: TxnId::from_bytes([lsn as u8; 16]),
        fragment,
        attempt: 0,
    };
    Record { header, body: Bytes::from(format!("body {lsn} {fragment}")) }
}

fn records() -> Vec<Record> {
    vec![
        record(5, RecordKind::Commit, 0),
        record(6, RecordKind::Fragment, 0),
        record(6, RecordKind::Fragment, 1),
        record(6, RecordKind::Commit, 2),
    ]
}

#[test]
fn a_segment_comes_back_and_any_flipped_byte_is_corrupt() {
    let bytes = encode_segment(branch(), Lsn(5), Lsn(6), &records(), [3; 16]);
    let segment = Segment { branch: branch(), first: Lsn(5), last: Lsn(6), records: records() };
    assert_eq!(decode_segment(&bytes, "s").unwrap(), segment);
    for at in 0..bytes.len() {
        let mut bad = bytes.to_vec();
        bad[at] ^= 0x10;
        let error = decode_segment(&bad.into(), "s").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "byte {at}: {error}");
        assert!(error.message().contains('s') && error.message().contains("offset"), "{error}");
    }
    for len in 0..bytes.len() {
        assert_eq!(decode_segment(&bytes.slice(..len), "s").unwrap_err().kind(), ErrorKind::Corrupt);
    }
    let gap = [record(5, RecordKind::Commit, 0), record(7, RecordKind::Commit, 0)];
    assert!(decode_segment(&encode_segment(branch(), Lsn(5), Lsn(7), &gap, [3; 16]), "s").is_err());
    let short = encode_segment(branch(), Lsn(5), Lsn(8), &records(), [3; 16]);
    assert!(decode_segment(&short, "s").is_err(), "it says 8 and ends with 6");
}

/// Version 1, for ever.
#[test]
fn golden_segment() {
    let bytes = encode_segment(branch(), Lsn(5), Lsn(6), &records(), [3; 16]);
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(
        hex,
        include_str!("golden/segment-v1.hex").trim(),
        "the format changed: it needs a new version"
    );
}

fn report(first: u16, last: u16, generation: u64, uploaded: u64) -> IngestReport {
    IngestReport {
        branch: branch(),
        slots: SlotRange { first, last },
        generation: Generation(generation),
        manifest: uploaded,
        uploaded: Lsn(uploaded),
        ingested: Lsn(uploaded + 1),
        full: None,
    }
}

#[test]
fn a_slot_without_a_report_holds_everything_up() {
    let mut reports = Reports::default();
    reports.take(report(0, 0x7fff, 1, 10));
    assert_eq!(reports.uploaded(branch()), Lsn::ZERO);
    reports.take(report(0x8001, 0xffff, 1, 10));
    assert_eq!(reports.uploaded(branch()), Lsn::ZERO, "one slot in the middle is missing");
    reports.take(report(0x8000, 0x8000, 1, 7));
    assert_eq!((reports.uploaded(branch()), reports.ingested(branch())), (Lsn(7), Lsn(8)));
    let other = BranchRef { branch: BranchId::from_bytes([8; 16]), ..branch() };
    assert_eq!(reports.uploaded(other), Lsn::ZERO);
}

#[test]
fn an_older_owner_is_not_believed_and_a_split_counts_when_all_children_spoke() {
    let mut reports = Reports::default();
    reports.take(report(0, 0xffff, 3, 20));
    reports.take(report(0, 0xffff, 2, 90));
    assert_eq!(reports.uploaded(branch()), Lsn(20), "a lower generation says nothing");
    // The parent splits; one child has spoken, and the other half is unknown: keep.
    reports.take(report(0, 0x7fff, 4, 30));
    assert_eq!(reports.uploaded(branch()), Lsn::ZERO);
    reports.take(report(0x8000, 0xffff, 4, 25));
    assert_eq!(reports.uploaded(branch()), Lsn(25));
    reports.take(report(0, 0xffff, 3, 21));
    assert_eq!(reports.uploaded(branch()), Lsn(25), "the parent, speaking late");
}

#[test]
fn overlapping_segments_reach_as_far_as_the_longest() {
    let disk = std::sync::Arc::new(shardforge_common::disk::PowerLossDisk::new(1));
    let store = shardforge_store::LocalFolder::open(disk, "/objects").unwrap();
    let index = ArchiveIndex::new(std::sync::Arc::new(store));
    assert_eq!(index.safe_through(branch(), Lsn(4)), Lsn(4));
    for (first, last) in [(1, 10), (5, 20), (7, 9), (22, 30)] {
        index.add(branch(), Lsn(first), Lsn(last));
    }
    assert_eq!(index.safe_through(branch(), Lsn(0)), Lsn(20), "21 is missing");
    assert_eq!(index.safe_through(branch(), Lsn(21)), Lsn(30), "layers hold 21");
    assert_eq!(index.segment_with(branch(), Lsn(8)), Some((Lsn(5), Lsn(20))));
    assert_eq!(index.covered(branch(), Lsn(10)), [(Lsn(1), Lsn(10)), (Lsn(7), Lsn(9))]);
}
