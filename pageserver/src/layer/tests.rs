//! The layer format: golden file, damage, and the cursor against a plain search.

use super::file::{LayerFile, LayerWriter, verify};
use super::*;
use crate::blocks::LayerReader;
use crate::blocks::local_cache::LocalCache;
use crate::metrics::Metrics;
use crate::read::cursor::LayerCursor;
use crate::read::{MemRow, Outcome, Part, Want};
use proptest::prelude::*;
use shardforge_common::ErrorKind;
use shardforge_common::disk::PowerLossDisk;
use shardforge_store::{LocalFolder, ObjectStore};
use std::sync::Arc;

fn golden() -> LayerFile {
    let mut writer = LayerWriter::new(LayerKind::Delta, 200, [7; 16]);
    for number in 0..40u64 {
        let key = [&number.to_be_bytes()[..], b"key"].concat();
        for version in (0..1 + number % 3).rev() {
            let value = format!("value {number} of version {version}, and some more of it");
            let deleted = number % 7 == 3 && version > 0;
            let value = (!deleted).then(|| Bytes::from(value));
            writer.push(&key, Lsn(100 + 10 * version), value);
        }
    }
    writer.push_tombstone(Tombstone {
        start: Bytes::from_static(b"\0\0\0\0\0\0\0\x05"),
        end: Bytes::from_static(b"\0\0\0\0\0\0\0\x09"),
        lsn: Lsn(115),
    });
    writer.finish()
}

#[test]
#[allow(clippy::disallowed_methods, reason = "golden files lie beside the source")]
fn the_golden_file_of_version_1_is_read() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/golden/layer-v1.bin");
    let written = golden();
    if std::env::var_os("UPDATE_GOLDENFILES").is_some() {
        std::fs::write(path, &written.bytes).unwrap();
    }
    let stored = Bytes::from(std::fs::read(path).unwrap());
    let index = verify(&stored).unwrap();
    assert_eq!(index.tombstones, written.index.tombstones);
    assert_eq!((index.kind, index.lowest, index.highest), (LayerKind::Delta, Lsn(100), Lsn(120)));
    let contents = |file: &Bytes, index: &super::file::Index| -> Vec<(Bytes, Lsn, Option<Bytes>)> {
        let mut all = Vec::new();
        for entry in &index.blocks {
            let frame = file.slice(entry.offset as usize..entry.offset as usize + entry.frame_bytes as usize);
            let block = block::Block::parse(block::open_frame(&frame, entry.offset, None).unwrap()).unwrap();
            for group in 0..block.len() {
                let key = block.share(block.key(group));
                all.extend(block.versions(group).map(|(l, v)| (key.clone(), l, v.map(|v| block.share(v)))));
            }
        }
        all
    };
    assert_eq!(contents(&stored, &index), contents(&written.bytes, &written.index));
}

#[test]
fn any_flipped_byte_of_a_layer_is_corrupt() {
    let file = golden().bytes;
    assert!(verify(&file).is_ok());
    for at in 0..file.len() {
        let mut bad = file.to_vec();
        bad[at] ^= 0x04;
        let error = verify(&bad.into()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "byte {at}: {error}");
    }
    for len in 0..file.len() {
        assert_eq!(verify(&file.slice(..len)).unwrap_err().kind(), ErrorKind::Corrupt, "cut to {len}");
    }
}

#[test]
fn a_block_of_another_file_is_not_taken() {
    let mut other = LayerWriter::new(LayerKind::Delta, 200, [8; 16]);
    other.push(b"\0\0\0\0\0\0\0\0kez", Lsn(100), Some(Bytes::from_static(b"x")));
    let (own, other) = (golden(), other.finish());
    let (mine, theirs) = (&own.index.blocks[0], &other.index.blocks[0]);
    assert_eq!(mine.offset, theirs.offset);
    let frame =
        other.bytes.slice(theirs.offset as usize..theirs.offset as usize + theirs.frame_bytes as usize);
    assert!(block::open_frame(&frame, mine.offset, Some(theirs.crc)).is_ok());
    assert!(block::open_frame(&frame, mine.offset, Some(mine.crc)).is_err());
    assert!(block::open_frame(&frame, mine.offset + 1, Some(theirs.crc)).is_err(), "another place");
}

type Versions = std::collections::BTreeMap<(Vec<u8>, std::cmp::Reverse<u64>), Option<Vec<u8>>>;

/// What a cursor gives over a layer that is in a store.
async fn walk(versions: &Versions, lo: &[u8], hi: Option<&[u8]>, at: Lsn) -> Vec<MemRow> {
    let mut writer = LayerWriter::new(LayerKind::Delta, 60, [1; 16]);
    for ((key, lsn), value) in versions {
        writer.push(key, Lsn(lsn.0), value.clone().map(Bytes::from));
    }
    let file = writer.finish();
    let meta = LayerMeta {
        name: LayerName::new("L", Generation(1)),
        kind: LayerKind::Delta,
        level: 0,
        lo: Bytes::new(),
        hi: None,
        after: Lsn::ZERO,
        through: Lsn(1000),
        size_bytes: file.bytes.len() as u64,
        index_offset: file.index_offset,
        versions: file.versions,
    };
    let layer = Arc::new(Layer::new(meta, &ObjectPath::new("layers").unwrap()));
    let store: Arc<dyn ObjectStore> =
        Arc::new(LocalFolder::open(Arc::new(PowerLossDisk::new(1)), "/store").unwrap());
    store.put(&layer.path, file.bytes).await.unwrap();
    // A cache that holds nothing: what is seen is held by the read alone.
    let reader = LayerReader::new(store, LocalCache::none(), 0, Arc::new(Metrics::new()));
    let step = |pins: &mut crate::blocks::Pins<'_>| {
        let Some(index) = pins.index(&layer) else {
            return Ok(Outcome::Need(vec![Want { layer: Arc::clone(&layer), part: Part::Index }]));
        };
        let mut cursor = LayerCursor::new(Arc::clone(&layer), index, lo, hi, at);
        let mut rows = Vec::new();
        while let Some(row) = crate::read::ready!(cursor.next(pins)?) {
            rows.push(row);
        }
        Ok(Outcome::Done(rows))
    };
    reader.run(step).await.unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// Keys with one version and with many, over many small blocks.
    #[test]
    fn a_cursor_finds_the_newest_version_of_each_key(
        versions in proptest::collection::btree_map(
            (proptest::collection::vec(0u8..4, 1..3), (0u64..40).prop_map(std::cmp::Reverse)),
            proptest::option::of(proptest::collection::vec(any::<u8>(), 0..20)),
            1..120,
        ),
        bounds in (proptest::collection::vec(0u8..4, 0..3), proptest::option::of(proptest::collection::vec(0u8..5, 1..3))),
        at in 0u64..42,
    ) {
        let (lo, hi) = bounds;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let rows = runtime.block_on(walk(&versions, &lo, hi.as_deref(), Lsn(at)));
        let mut expected: Vec<MemRow> = Vec::new();
        for ((key, lsn), value) in &versions {
            let inside = *key >= lo && hi.as_ref().is_none_or(|hi| key < hi);
            if inside && lsn.0 <= at && expected.last().is_none_or(|last| last.key != key) {
                let value = value.clone().map(Bytes::from);
                expected.push(MemRow { key: Bytes::copy_from_slice(key), lsn: Lsn(lsn.0), value });
            }
        }
        prop_assert_eq!(rows, expected);
    }
}
