//! The manifest's format, and owners that race for it.

use super::keeper::ManifestKeeper;
use super::*;
use proptest::prelude::*;
use shardforge_common::ErrorKind;
use shardforge_common::disk::{FaultyDisk, Operation, PowerLossDisk};
use shardforge_common::random::Random;
use shardforge_store::{LocalFolder, ObjectStore, paths};
use std::sync::Arc;

fn place() -> (BranchRef, SlotRange) {
    let branch = BranchRef { tenant: TenantId::from_bytes([1; 16]), branch: BranchId::from_bytes([2; 16]) };
    (branch, SlotRange { first: 0, last: 0x3fff })
}

fn layer(name: &str, after: u64, through: u64) -> LayerMeta {
    LayerMeta {
        name: LayerName::new(name, Generation(3)),
        kind: LayerKind::Delta,
        level: 1,
        lo: Bytes::from_static(b"a"),
        hi: through.is_multiple_of(2).then(|| Bytes::from_static(b"z")),
        after: Lsn(after),
        through: Lsn(through),
        size_bytes: 70_000,
        index_offset: 69_000,
        versions: 300,
    }
}

fn golden() -> Manifest {
    let (branch, slots) = place();
    Manifest {
        branch,
        slots,
        generation: Generation(3),
        uploaded: Lsn(20),
        horizon: Lsn(4),
        pins: vec![Lsn(2), Lsn(3)],
        layers: vec![layer("01A", 0, 10), layer("01B", 10, 19)],
    }
}

#[test]
#[allow(clippy::disallowed_methods, reason = "golden files lie beside the source")]
fn the_golden_file_of_version_1_is_read() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/golden/manifest-v1.bin");
    if std::env::var_os("UPDATE_GOLDENFILES").is_some() {
        std::fs::write(path, golden().encode()).unwrap();
    }
    let stored = Bytes::from(std::fs::read(path).unwrap());
    assert_eq!(Manifest::decode(&stored).unwrap(), golden());
    assert_eq!(stored, golden().encode(), "what is written is what was");
}

proptest! {
    /// The journal's checksum stands before this; but even without it nothing panics.
    #[test]
    fn damaged_manifests_never_panic(at in 0usize..400, byte in any::<u8>(), cut in 0usize..400) {
        let mut bytes = golden().encode().to_vec();
        let len = bytes.len();
        bytes[at % len] = byte;
        let _ = Manifest::decode(&bytes.clone().into());
        bytes.truncate(cut % len);
        prop_assert!(Manifest::decode(&bytes.into()).is_err());
    }
}

fn store(disk: &PowerLossDisk) -> Arc<dyn ObjectStore> {
    Arc::new(LocalFolder::open(Arc::new(disk.clone()), "/store").unwrap())
}

async fn attach(store: &Arc<dyn ObjectStore>, generation: u64) -> shardforge_common::Result<ManifestKeeper> {
    let (branch, slots) = place();
    let random = Random::from_seed(generation);
    ManifestKeeper::attach(Arc::clone(store), branch, slots, Generation(generation), random).await
}

fn add(manifest: &mut Manifest, layer: &LayerMeta) {
    if manifest.layers.iter().all(|known| known.name != layer.name) {
        manifest.layers.push(layer.clone());
    }
    manifest.uploaded = manifest.uploaded.max(layer.through);
}

#[tokio::test]
async fn the_old_owner_is_fenced_and_the_new_one_has_all_it_published() {
    let store = store(&PowerLossDisk::new(1));
    let mut old = attach(&store, 1).await.unwrap();
    old.edit(|_| true, |m| add(m, &layer("01A", 0, 10))).await.unwrap();
    let mut new = attach(&store, 2).await.unwrap();
    assert_eq!(new.manifest().uploaded, Lsn(10));
    let late = old.edit(|_| true, |m| add(m, &layer("01B", 10, 20))).await;
    assert_eq!(late.unwrap_err().kind(), ErrorKind::Fenced);
    new.edit(|_| true, |m| add(m, &layer("01C", 10, 30))).await.unwrap();
    let third = attach(&store, 3).await.unwrap();
    let names: Vec<_> = third.manifest().layers.iter().map(|layer| layer.name.as_str()).collect();
    assert!(names[0].starts_with("01A") && names[1].starts_with("01C") && names.len() == 2);
    for generation in 1..=3 {
        assert_eq!(attach(&store, generation).await.err().unwrap().kind(), ErrorKind::Fenced);
    }
}

#[tokio::test]
async fn only_unnamed_layers_of_lower_generations_are_swept() {
    let store = store(&PowerLossDisk::new(1));
    let (branch, slots) = place();
    let folder = paths::layers(branch, slots);
    for name in ["01A", "01B"] {
        for generation in [2, 3, 4, 5] {
            let path = folder.join(LayerName::new(name, Generation(generation)).as_str()).unwrap();
            store.put(&path, Bytes::from_static(b"layer")).await.unwrap();
        }
    }
    let mut owner = attach(&store, 4).await.unwrap();
    owner.edit(|_| true, |m| add(m, &layer("01A", 0, 10))).await.unwrap();
    assert_eq!(owner.sweep().await.unwrap(), 3, "of generations 2 and 3, but not the named one");
    assert_eq!(store.list(&folder).await.unwrap().len(), 5);
}

#[tokio::test]
async fn an_edit_whose_answer_was_lost_is_settled_before_it_returns() {
    let kinds = [Operation::Write, Operation::SyncData, Operation::SyncDir];
    for (kind, nth) in kinds.into_iter().flat_map(|kind| [(kind, 1), (kind, 2)]) {
        let faulty = FaultyDisk::new(Arc::new(PowerLossDisk::new(1)));
        let store: Arc<dyn ObjectStore> =
            Arc::new(LocalFolder::open(Arc::new(faulty.clone()), "/store").unwrap());
        let mut owner = attach(&store, 1).await.unwrap();
        owner.edit(|_| true, |m| add(m, &layer("01A", 0, 10))).await.unwrap();
        // A folder whose sync fails after the link is an answer that is lost.
        faulty.fail_nth(kind, nth);
        owner.edit(|_| false, |m| add(m, &layer("01B", 10, 20))).await.unwrap();
        owner.edit(|_| false, |m| add(m, &layer("01C", 20, 30))).await.unwrap();
        let next = attach(&store, 2).await.unwrap();
        let through: Vec<_> = next.manifest().layers.iter().map(|layer| layer.through.0).collect();
        assert_eq!(through, [10, 20, 30], "failure of {kind:?} number {nth}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_racing_owners_the_highest_generation_wins_and_nothing_counted_is_lost() {
    for round in 0..8u64 {
        let store = store(&PowerLossDisk::new(round));
        let owners = (1..=4u64).map(|generation| {
            let store = Arc::clone(&store);
            async move {
                let mut counted = Vec::new();
                let Ok(mut owner) = attach(&store, generation).await else { return counted };
                for number in 0..6 {
                    let through = owner.manifest().uploaded.0;
                    let layer = layer(&format!("{generation:02}{number:02}"), through, through + 1);
                    match owner.edit(|_| true, |m| add(m, &layer)).await {
                        Ok(()) => counted.push(layer.name.clone()),
                        Err(error) => {
                            assert_eq!(error.kind(), ErrorKind::Fenced);
                            break;
                        }
                    }
                }
                counted
            }
        });
        let tasks: Vec<_> = owners.map(|owner| shardforge_common::task::spawn("owner", owner)).collect();
        let mut counted = Vec::new();
        for task in tasks {
            counted.extend(task.await.unwrap());
        }
        let last = attach(&store, 9).await.unwrap();
        for name in &counted {
            assert!(last.manifest().layers.iter().any(|layer| layer.name == *name), "{name} is lost");
        }
        assert_eq!(counted.iter().filter(|name| name.as_str().starts_with("04")).count(), 6);
        // An edit that did not count may still be in the chain, each on top of the one before.
        let layers = &last.manifest().layers;
        assert!(layers.windows(2).all(|pair| pair[0].through <= pair[1].after));
    }
}
