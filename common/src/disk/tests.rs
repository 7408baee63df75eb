use super::*;
use std::collections::BTreeSet;

fn write(disk: &dyn Disk, path: &str, bytes: &[u8]) -> Arc<dyn DiskFile> {
    let file = disk.open(Path::new(path), OpenMode::CreateNew).unwrap();
    file.write_all_at(bytes, 0).unwrap();
    file
}

fn read(disk: &dyn Disk, path: &str) -> Option<Vec<u8>> {
    read_file(disk, Path::new(path)).ok()
}

/// What a run leaves behind over many seeds.
fn outcomes(run: impl Fn(&PowerLossDisk)) -> BTreeSet<Option<Vec<u8>>> {
    (0..200)
        .map(|seed| {
            let disk = PowerLossDisk::new(seed);
            run(&disk);
            disk.crash();
            read(&disk, "/f")
        })
        .collect()
}

#[test]
fn what_was_synced_survives() {
    let found = outcomes(|disk| {
        write(disk, "/f", &[7; 1000]).sync_data().unwrap();
        disk.sync_dir(Path::new("/")).unwrap();
    });
    assert_eq!(found, BTreeSet::from([Some(vec![7; 1000])]));
}

#[test]
fn an_unsynced_name_may_be_lost() {
    let found = outcomes(|disk| write(disk, "/f", &[7; 10]).sync_data().unwrap());
    assert_eq!(found, BTreeSet::from([None, Some(vec![7; 10])]));
}

#[test]
fn unsynced_sectors_are_kept_lost_or_torn_in_any_order() {
    let found = outcomes(|disk| {
        let file = write(disk, "/f", &[1; 1024]);
        file.sync_data().unwrap();
        disk.sync_dir(Path::new("/")).unwrap();
        file.write_all_at(&[2; 1024], 0).unwrap();
    });
    let sectors = |a: u8, b: u8| Some([[a; 512], [b; 512]].concat());
    assert_eq!(found, BTreeSet::from([sectors(1, 1), sectors(1, 2), sectors(2, 1), sectors(2, 2)]));
}

#[test]
fn an_unsynced_length_may_come_without_its_bytes() {
    let found = outcomes(|disk| {
        write(disk, "/f", &[7; 512]);
        disk.sync_dir(Path::new("/")).unwrap();
    });
    assert_eq!(found, BTreeSet::from([Some(vec![]), Some(vec![0; 512]), Some(vec![7; 512])]));
}

#[test]
fn a_rename_leaves_the_file_under_one_of_its_names() {
    for seed in 0..100 {
        let disk = PowerLossDisk::new(seed);
        write(&disk, "/old", b"new").sync_data().unwrap();
        write(&disk, "/f", b"before").sync_data().unwrap();
        disk.sync_dir(Path::new("/")).unwrap();
        disk.rename(Path::new("/old"), Path::new("/f")).unwrap();
        disk.crash();
        match read(&disk, "/f").unwrap().as_slice() {
            b"before" => assert_eq!(read(&disk, "/old").unwrap(), b"new"),
            b"new" => assert_eq!(read(&disk, "/old"), None),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_sync_that_is_left_out_claims_success() {
    let found = outcomes(|disk| {
        disk.skip_syncs(Some(Box::new(|kind, _| kind == SyncKind::Dir)));
        write(disk, "/f", &[7; 10]).sync_data().unwrap();
        disk.sync_dir(Path::new("/")).unwrap();
    });
    assert!(found.contains(&None));
}

#[test]
fn handles_die_with_the_power() {
    let disk = PowerLossDisk::new(1);
    let file = write(&disk, "/f", b"x");
    disk.sync_dir(Path::new("/")).unwrap();
    disk.cut_power_after(1);
    file.write_all_at(b"y", 0).unwrap();
    assert!(file.write_all_at(b"z", 0).is_err());
    assert!(disk.open(Path::new("/f"), OpenMode::Read).is_err());
    disk.crash();
    assert!(file.len().is_err());
    assert!(disk.open(Path::new("/f"), OpenMode::Read).is_ok());
}

#[test]
fn a_full_disk_refuses_new_blocks_only_and_removal_gives_them_back() {
    let disk = FaultyDisk::new(Arc::new(PowerLossDisk::new(1)));
    disk.limit_space(8192);
    let file = write(&disk, "/f", &[1; 8192]);
    let full = file.write_all_at(&[1], 8192).unwrap_err();
    assert_eq!(full.kind(), io::ErrorKind::StorageFull);
    file.write_all_at(&[2; 8192], 0).unwrap();
    file.set_len(1 << 20).unwrap(); // holes take no space, yet
    assert!(file.write_all_at(&[1], 100_000).is_err());
    disk.remove_file(Path::new("/f")).unwrap();
    write(&disk, "/g", &[1; 8192]);
}

#[test]
fn the_nth_call_fails_and_the_next_one_does_not() {
    let disk = FaultyDisk::new(Arc::new(PowerLossDisk::new(1)));
    let file = write(&disk, "/f", b"x");
    disk.fail_nth(Operation::SyncData, 2);
    file.sync_data().unwrap();
    assert!(file.sync_data().is_err());
    file.sync_data().unwrap();
    disk.set_read_only(true);
    assert_eq!(file.write_all_at(b"y", 0).unwrap_err().kind(), io::ErrorKind::ReadOnlyFilesystem);
    assert_eq!(read(&disk, "/f").unwrap(), b"x");
}

#[test]
fn the_real_disk_and_the_one_in_memory_agree() {
    let real_dir = tempfile::tempdir().unwrap();
    let check = |disk: &dyn Disk, root: &Path| {
        let at = |name: &str| root.join(name);
        disk.create_dir_all(&at("a/b")).unwrap();
        disk.create_dir_all(&at("a/b")).unwrap();
        let file = disk.open(&at("a/f"), OpenMode::CreateNew).unwrap();
        assert_eq!(
            disk.open(&at("a/f"), OpenMode::CreateNew).err().unwrap().kind(),
            io::ErrorKind::AlreadyExists
        );
        assert_eq!(
            disk.open(&at("a/none"), OpenMode::ReadWrite).err().unwrap().kind(),
            io::ErrorKind::NotFound
        );
        assert!(disk.open(&at("no/f"), OpenMode::CreateNew).is_err());
        file.write_all_at(b"hello", 3).unwrap();
        file.set_len(6).unwrap();
        file.sync_data().unwrap();
        assert_eq!(read_file(disk, &at("a/f")).unwrap(), b"\0\0\0hel");
        assert_eq!(file.read_exact_at(&mut [0; 4], 3).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        disk.hard_link(&at("a/f"), &at("a/g")).unwrap();
        assert_eq!(disk.hard_link(&at("a/f"), &at("a/g")).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        disk.rename(&at("a/g"), &at("a/b/h")).unwrap();
        disk.sync_dir(&at("a")).unwrap();
        assert_eq!(disk.read_dir(&at("a")).unwrap(), [("b".into(), true), ("f".into(), false)]);
        assert!(disk.remove_dir(&at("a/b")).is_err());
        disk.remove_file(&at("a/b/h")).unwrap();
        disk.remove_dir(&at("a/b")).unwrap();
        assert!(exists(disk, &at("a/f")).unwrap());
        assert!(!exists(disk, &at("a/b/h")).unwrap());
    };
    check(&RealDisk, real_dir.path());
    check(&PowerLossDisk::new(1), Path::new("/"));
    check(&FaultyDisk::new(Arc::new(PowerLossDisk::new(1))), Path::new("/"));
}

#[test]
fn a_folder_has_one_holder() {
    let dir = tempfile::tempdir().unwrap();
    let held = DirLock::acquire(dir.path()).unwrap();
    let refused = DirLock::acquire(dir.path()).unwrap_err();
    assert!(refused.message().contains(&format!("in use by process {}", std::process::id())), "{refused}");
    drop(held);
    DirLock::acquire(dir.path()).unwrap();
}

#[test]
fn durable_appends_read_as_written_whatever_their_length_and_place() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let random = crate::random::Random::from_seed(7);
    // Its end is not that of a block.
    const LEN: usize = 3_000_001;
    let file = RealDisk.open(&path, OpenMode::CreateNew).unwrap();
    file.write_all_at(&vec![9; LEN], 0).unwrap();
    file.sync_data().unwrap();
    let mut expected: Vec<u8> = Vec::new();
    let mut kinds = BTreeSet::new();
    while expected.len() < LEN {
        let longest = match random.u64() % 8 {
            0 => 300 << 10,
            1 => 20_000,
            _ => 700,
        };
        let len = (1 + random.u64() as usize % longest).min(LEN - expected.len());
        let bytes: Vec<u8> = (0..len).map(|_| random.u64() as u8).collect();
        let plain = random.u64().is_multiple_of(10);
        if plain {
            file.write_all_at(&bytes, expected.len() as u64).unwrap();
        } else {
            file.append_durably(&bytes, expected.len() as u64).unwrap();
        }
        kinds.insert((plain, len > 256 << 10, expected.len().is_multiple_of(4096)));
        expected.extend(bytes);
        // Through the page cache, from a little before the last piece.
        let from = expected.len().saturating_sub(len + 5000);
        let mut found = vec![0; expected.len() - from];
        file.read_exact_at(&mut found, from as u64).unwrap();
        assert!(found == expected[from..], "{} bytes up to {}", found.len(), expected.len());
    }
    assert!(kinds.len() >= 4, "the mix has little in it: {kinds:?}");
    assert_eq!(file.len().unwrap(), LEN as u64);
    drop(file);
    assert!(read_file(&RealDisk, &path).unwrap() == expected);
}
