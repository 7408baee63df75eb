use super::*;
use shardforge_common::ErrorKind;
use shardforge_common::disk::{FaultyDisk, Operation};

struct Faulty {
    disk: FaultyDisk,
    config: LogConfig,
}

impl Faulty {
    fn new() -> Self {
        let config = LogConfig { segment_bytes: 64 << 10, batch_bytes: 64 << 10, ..small() };
        Self { disk: FaultyDisk::new(Arc::new(PowerLossDisk::new(1))), config }
    }

    fn open(&self) -> Result<(Log, LogPump)> {
        Log::open_without_thread(Arc::new(self.disk.clone()), Path::new("/wal"), self.config.clone())
    }
}

fn append(log: &Log, group: GroupId, index: u64, size: usize) -> Outcome {
    let done = Outcome::default();
    log.append(group, vec![entry(index, &vec![1; size])], done.done());
    done
}

fn vote(log: &Log, group: GroupId) -> Outcome {
    let done = Outcome::default();
    log.save_vote(group, Bytes::from_static(b"vote"), done.done());
    done
}

#[test]
fn a_full_disk_refuses_appends_and_nothing_else() {
    let faulty = Faulty::new();
    let (log, mut pump) = faulty.open().unwrap();
    pump.prepare_spare();
    faulty.disk.limit_space(8 << 10);
    let mut index = 1;
    let refused = loop {
        let done = append(&log, G, index, 1000);
        pump.step();
        pump.prepare_spare();
        match done.get().unwrap() {
            Ok(()) => index += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    assert!(refused.message().contains("disk is full"), "{refused}");
    assert_eq!(log.check_room(1000).unwrap_err().kind(), ErrorKind::Unavailable);
    assert!(index > 100, "both segments should have been filled, not {index} entries");
    assert_eq!(log.last(G).unwrap().0, index - 1, "a refused entry must not be seen");
    assert!(log.stats().full.is_some());
    for _ in 0..10 {
        let saved = vote(&log, GroupId(2));
        pump.step();
        assert!(saved.is_ok(), "votes go on");
    }
    assert_eq!(log.read(G, 1..2, 9).unwrap().len(), 1);

    // A start on the full disk, as after a crash.
    drop((log, pump));
    let (log, mut pump) = faulty.open().unwrap();
    pump.prepare_spare();
    assert_eq!(log.last(G).unwrap().0, index - 1);
    assert_eq!(append(&log, G, index, 4000).get().unwrap().unwrap_err().kind(), ErrorKind::Unavailable);

    // A purge gives a segment back, and with it room.
    log.purge_to(G, index - 1, Bytes::new());
    while pump.step() {}
    let done = append(&log, G, index, 4000);
    while pump.step() {}
    assert!(done.is_ok(), "{:?}", done.get());
    assert!(log.stats().full.is_none());
}

#[test]
fn appends_that_were_taken_wait_for_space_while_others_vote() {
    let faulty = Faulty::new();
    let (log, mut pump) = faulty.open().unwrap();
    faulty.disk.limit_space(0);
    // Nobody knows yet that the disk is full: all of this is taken.
    let first = append(&log, G, 1, 50_000);
    let second = append(&log, G, 2, 50_000);
    let own_vote = vote(&log, G);
    let other_vote = vote(&log, GroupId(2));
    while pump.step() {}
    assert!(first.is_ok() && other_vote.is_ok());
    assert!(second.get().is_none() && own_vote.get().is_none(), "within a group the order stays");
    assert_eq!(append(&log, GroupId(3), 1, 10).get().unwrap().unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(log.read(G, 2..3, 9).unwrap().len(), 1, "it can be read all the same");
    // A purge of what is durable passes too; here it frees nothing yet, since the segment is the current one.
    log.purge_to(G, 1, Bytes::new());
    while pump.step() {}
    assert!(second.get().is_none());
    faulty.disk.unlimit_space();
    while pump.step() {}
    assert!(second.is_ok() && own_vote.is_ok());
    log.validate();
    drop((log, pump));
    let (log, _pump) = faulty.open().unwrap();
    assert_eq!((log.last(G).unwrap().0, log.purged(G).unwrap().0), (2, 1));
}

#[test]
fn an_oversized_append_without_space_does_not_keep_votes_from_a_spare() {
    let faulty = Faulty::new();
    let (log, mut pump) = faulty.open().unwrap();
    pump.prepare_spare();
    faulty.disk.limit_space(0);
    let big = append(&log, G, 1, 200_000);
    let mut votes = 0;
    // More votes than the current segment holds: they go on into the spare.
    while log.stats().last_epoch < 2 {
        let saved = vote(&log, GroupId(2));
        while pump.step() {}
        assert!(saved.is_ok(), "after {votes} votes: {:?}", log.stopped());
        votes += 1;
    }
    assert!(big.get().is_none());
    faulty.disk.unlimit_space();
    while pump.step() {}
    assert!(big.is_ok());
}

#[test]
fn a_failed_sync_stops_the_log_for_good() {
    for operation in [Operation::SyncData, Operation::Write] {
        let faulty = Faulty::new();
        let (log, mut pump) = faulty.open().unwrap();
        pump.prepare_spare();
        let first = append(&log, G, 1, 10);
        pump.step();
        faulty.disk.fail_nth(operation, 1);
        let second = append(&log, G, 2, 10);
        pump.step();
        assert!(first.is_ok());
        assert_eq!(second.get().unwrap().unwrap_err().kind(), ErrorKind::Unavailable);
        assert!(log.stopped().is_some());
        let third = append(&log, G, 3, 10);
        assert!(!pump.step(), "no second try");
        assert!(third.get().unwrap().is_err() && vote(&log, G).get().unwrap().is_err());
        pump.finish();
        assert!(log.stop().is_err());
        drop((log, pump));
        let (log, _pump) = faulty.open().unwrap();
        assert!(log.last(G).unwrap().0 >= 1);
    }
}

#[test]
fn a_folder_that_cannot_be_written_is_one_clear_error() {
    let faulty = Faulty::new();
    drop(faulty.open().unwrap());
    faulty.disk.set_read_only(true);
    let error = faulty.open().map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("/wal/0000000000000001.wal"), "{error}");
    let error = Faulty {
        disk: {
            let fresh = Faulty::new();
            fresh.disk.limit_space(0);
            fresh.disk
        },
        ..Faulty::new()
    }
    .open()
    .map(|_| ())
    .unwrap_err();
    assert!(error.to_string().contains("reserve space"), "{error}");
}

#[test]
fn many_oversized_entries_on_a_nearly_full_disk_come_back_or_were_refused() {
    let faulty = Faulty::new();
    let (log, mut pump) = faulty.open().unwrap();
    faulty.disk.limit_space(600 << 10);
    let mut kept = Vec::new();
    for index in 1..=20 {
        let done = append(&log, G, index, 100_000);
        pump.step();
        pump.prepare_spare();
        match done.get() {
            Some(Ok(())) => kept.push(index),
            _ => break,
        }
    }
    assert!((2..20).contains(&kept.len()), "{kept:?}");
    drop((log, pump));
    let (log, _pump) = faulty.open().unwrap();
    assert_eq!(log.read(G, 0..99, usize::MAX).unwrap().iter().map(|e| e.index).collect::<Vec<_>>(), kept);
}
