//! `golden/` holds bytes of each format version for ever: they must be read, the newest must be what
//! is written now, and any flipped byte of a format with a checksum must be found.
//!
//! `UPDATE_GOLDENFILES=1` writes them, for a new version.

#![allow(clippy::disallowed_methods, reason = "golden files are the repository's")]

use bytes::{Bytes, BytesMut};
use shardforge_common::file_header::FileKind;
use shardforge_common::key::{marker, slot_of, storage_prefix};
use shardforge_common::mutation::{Mutation, MutationList, MutationListBuilder};
use shardforge_common::page::{Page, PageBuilder};
use shardforge_common::wal::{Record, RecordHeader, RecordKind};
use shardforge_common::{BranchId, ErrorKind, Lsn, Result, SlotRange, StorageId, TxnId};
use std::path::PathBuf;

/// The golden bytes of this name, which must be what is written now.
fn golden(name: &str, now: &[u8]) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden").join(name);
    if std::env::var_os("UPDATE_GOLDENFILES").is_some() {
        std::fs::write(&path, now).expect("the folder of golden files can be written");
    }
    let bytes = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    assert!(bytes == now, "{name}: the format has changed, it needs a new version");
    bytes
}

/// Flips every byte, every bit of it in turn.
fn all_flips_are_corrupt<T>(name: &str, bytes: &[u8], read: impl Fn(Bytes) -> Result<T>) {
    read(Bytes::copy_from_slice(bytes)).unwrap_or_else(|e| panic!("{name}: {e}"));
    for at in 0..bytes.len() * 8 {
        let mut bad = bytes.to_vec();
        bad[at / 8] ^= 1 << (at % 8);
        match read(Bytes::from(bad)) {
            Ok(_) => panic!("{name}: bit {at} flipped, and nobody noticed"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt, "{name}, bit {at}: {error}"),
        }
    }
    for len in 0..bytes.len() {
        let cut = read(Bytes::copy_from_slice(&bytes[..len]));
        assert_eq!(cut.err().map(|e| e.kind()), Some(ErrorKind::Corrupt), "{name} cut to {len}");
    }
}

/// Keys with a column of each kind of marker.
fn keys() -> Vec<Vec<u8>> {
    let key = |id: u64, columns: &[&[u8]]| [&storage_prefix(StorageId(id)), &columns.concat()[..]].concat();
    vec![
        key(1, &[]),
        key(1, &[&[marker::NULL_FIRST]]),
        key(1, &[&[marker::NULL_LAST], &[marker::FIXED_ASC]]),
        key(2, &[&[marker::FIXED_ASC + 3, 0x80, 0, 0, 7]]),
        key(2, &[&[marker::FIXED_ASC + 4, 0x80, 0, 0, 0, 0, 0, 0, 7], &[marker::FIXED_DESC + 1, 9]]),
        key(3, &[&[marker::VARIABLE_ASC, b'a', 0x00, 0xff, b'b', 0x00, 0x01], &[marker::NULL_FIRST]]),
        key(3, &[&[marker::VARIABLE_DESC, !b'a', 0xff, 0x00, !b'b', 0xff, 0xfe]]),
        key(4, &[&[marker::NESTED_ASC, marker::FIXED_ASC + 1, 5, 0x00, 0x01]]),
        key(4, &[&[marker::NESTED_DESC, !(marker::FIXED_ASC + 1), !5, 0xff, 0xfe]]),
    ]
}

#[test]
fn keys_and_their_slots() {
    let mut now = String::new();
    for key in keys() {
        let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        now += &format!("{hex} slot {:04x}\n", slot_of(&key).unwrap());
    }
    golden("keys-v1.txt", now.as_bytes());
}

fn mutations() -> MutationList {
    let keys = keys();
    let mut list = MutationListBuilder::new();
    list.push(Mutation::Insert { key: &keys[3], value: b"inserted" });
    list.push(Mutation::Update { key: &keys[3], value: &[7; 200] });
    list.push(Mutation::Put { key: &keys[5], value: b"" });
    list.push(Mutation::Delete { key: &keys[4] });
    list.push(Mutation::DeleteRange { start: &keys[1], end: &keys[3] });
    list.push(Mutation::Touch { key: &keys[6] });
    list.push(Mutation::Merge { key: &keys[7], operator: 3, operand: b"operand" });
    list.finish()
}

#[test]
fn mutation_lists() {
    let list = mutations();
    let bytes = golden("mutations-v1.bin", list.as_bytes());
    let all = |bytes: &[u8]| -> Result<Vec<String>> {
        let list = MutationList::from_bytes(Bytes::copy_from_slice(bytes));
        list.iter().map(|mutation| mutation.map(|m| format!("{m:?}"))).collect()
    };
    assert_eq!(all(&bytes).unwrap(), all(list.as_bytes()).unwrap());
    assert_eq!(all(&bytes).unwrap().len(), 7);
    // A list has no checksum of its own; but no byte of it may do worse than an error.
    for at in 0..bytes.len() {
        let mut bad = bytes.clone();
        bad[at] ^= 0x81;
        if let Err(error) = all(&bad) {
            assert_eq!(error.kind(), ErrorKind::Corrupt, "byte {at}");
        }
    }
}

#[test]
fn wal_records() {
    let header = |kind, lsn, fragment| RecordHeader {
        kind,
        last: kind != RecordKind::Fragment,
        branch: BranchId::from_bytes([0xb1; 16]),
        lsn: Lsn(lsn),
        prev_lsn: Lsn(lsn.saturating_sub(1)),
        time_micros: 1_700_000_000_123_456,
        txn: TxnId::from_bytes([0x7a; 16]),
        fragment,
        attempt: 2,
    };
    use RecordKind::*;
    let kinds = [
        (Commit, "commit"),
        (Fragment, "fragment"),
        (Abort, "abort"),
        (Seal, "seal"),
        (Open, "open"),
        (Lease, "lease"),
        (Horizon, "horizon"),
        (Message, "message"),
    ];
    for (kind, name) in kinds {
        let body = match kind {
            Commit | Fragment => mutations().as_bytes().clone(),
            Abort | Seal => Bytes::new(),
            _ => Bytes::from(format!("the body of {name}")),
        };
        let header = header(kind, if kind == Fragment { 0 } else { 41 }, 3);
        let mut now = BytesMut::new();
        header.encode(&body, &mut now);
        let name = format!("wal-record-v1-{name}.bin");
        let bytes = golden(&name, &now);
        let read = Record::decode(&mut Bytes::from(bytes.clone())).unwrap();
        assert_eq!(read, Record { header, body });
        all_flips_are_corrupt(&name, &bytes, |mut bytes| Record::decode(&mut bytes));
    }
}

#[test]
fn pages() {
    let key =
        |n: u32| [&storage_prefix(StorageId(2))[..], &[marker::FIXED_ASC + 3], &n.to_be_bytes()].concat();
    let slots = SlotRange { first: 0x4000, last: 0x7fff };
    let mut builder = PageBuilder::new();
    for n in [1, 2, 300, 70_000] {
        builder.push(&key(n), Lsn(u64::from(n) % 40), Bytes::from(format!("value {n}")));
    }
    let full = builder.finish(slots, &key(0), Some(&key(100_000)), Lsn(50));
    let empty = PageBuilder::new().finish(SlotRange::ALL, b"", None, Lsn(0));
    for (name, page) in [("page-v1.bin", full), ("page-v1-empty.bin", empty)] {
        let bytes = golden(name, page.as_bytes());
        let read = Page::from_bytes(Bytes::from(bytes.clone())).unwrap();
        read.validate();
        assert_eq!((read.len(), read.lsn(), read.slots()), (page.len(), page.lsn(), page.slots()));
        assert_eq!((read.lo(), read.hi()), (page.lo(), page.hi()));
        for i in 0..read.len() {
            assert_eq!((read.key(i), read.row(i)), (page.key(i), page.row(i)));
        }
        all_flips_are_corrupt(name, &bytes, Page::from_bytes);
    }
}

#[test]
fn file_headers() {
    let kind = FileKind { magic: *b"SFGOLDEN", version: 1, features: 0 };
    let bytes = golden("file-header-v1.bin", &kind.header([0x5a; 16]));
    assert_eq!(kind.read(&bytes, "golden").unwrap().salt, [0x5a; 16]);
    all_flips_are_corrupt("file-header-v1.bin", &bytes, |bytes| kind.read(&bytes, "golden"));
}
