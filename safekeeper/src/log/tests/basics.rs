use super::*;
use shardforge_common::ErrorKind;
use shardforge_common::disk::RealDisk;
use std::sync::mpsc;

fn wait(act: impl FnOnce(Done)) -> Result<()> {
    let (send, receive) = mpsc::channel();
    act(Box::new(move |result| send.send(result).expect("the test waits")));
    receive.recv().expect("every completion is called")
}

#[test]
fn on_a_real_disk_with_its_threads_everything_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let config = LogConfig { segment_bytes: 256 << 10, cache_bytes: 64 << 10, ..LogConfig::default() };
    let open = || Log::open(Arc::new(RealDisk), &dir.path().join("wal"), config.clone());
    let log = open().unwrap();
    wait(|done| log.save_vote(G, Bytes::from_static(b"vote 1"), done)).unwrap();
    let payload = vec![7; 10_000];
    for index in 1..=100 {
        let result = wait(|done| log.append(G, vec![entry(index, &payload)], done));
        result.unwrap();
    }
    // Larger than a segment.
    wait(|done| log.append(G, vec![entry(101, &vec![8; 1 << 20])], done)).unwrap();
    log.save_committed(G, Bytes::from_static(b"c"));
    log.purge_to(G, 50, Bytes::from_static(b"p50"));
    log.stop().unwrap();
    assert!(log.stopped().is_some());
    drop(log);
    let log = open().unwrap();
    assert_eq!(log.vote(G).unwrap(), "vote 1");
    assert_eq!(log.committed(G).unwrap(), "c");
    assert_eq!(log.purged(G).unwrap(), (50, Bytes::from_static(b"p50")));
    assert_eq!(log.last(G).unwrap(), (101, Bytes::from_static(b"term-101")));
    assert_eq!(log.read(G, 50..60, 1 << 20).unwrap_err().kind(), ErrorKind::NotFound);
    let read = log.read(G, 51..1000, usize::MAX).unwrap();
    assert_eq!(read.iter().map(|e| e.index).collect::<Vec<_>>(), (51..=101).collect::<Vec<_>>());
    assert_eq!(read[0], entry(51, &payload));
    assert_eq!(read[50], entry(101, &vec![8; 1 << 20]));
    assert!(log.stats().first_epoch > 1, "nothing was freed");
}

#[test]
fn many_callers_share_a_sync() {
    let dir = tempfile::tempdir().unwrap();
    let log = Log::open(
        Arc::new(RealDisk),
        dir.path(),
        LogConfig { segment_bytes: 1 << 20, ..LogConfig::default() },
    )
    .unwrap();
    let (send, receive) = mpsc::channel();
    let (groups, each) = (100, 20);
    for index in 1..=each {
        for group in 0..groups {
            let send = send.clone();
            let done = Box::new(move |result: Result<()>| send.send(result).expect("the test waits"));
            log.append(GroupId(group), vec![entry(index, b"x")], done);
        }
    }
    for _ in 0..groups * each {
        receive.recv().unwrap().unwrap();
    }
    assert!(log.stats().batches < groups * each / 4, "{:?}", log.stats());
}

#[test]
fn entries_are_read_before_they_are_durable_and_from_disk_once_forgotten() {
    let disk = PowerLossDisk::new(1);
    let (log, mut pump) = open(&disk, &small()).unwrap();
    let done = Outcome::default();
    log.append(G, (1..=20).map(|i| entry(i, &[i as u8; 100])).collect(), done.done());
    assert_eq!(log.read(G, 1..3, usize::MAX).unwrap().len(), 2);
    assert!(done.get().is_none());
    while pump.step() {}
    assert!(done.is_ok());
    assert_eq!(log.stats().disk_reads, 0);
    let all = log.read(G, 1..21, usize::MAX).unwrap();
    assert_eq!(all, (1..=20).map(|i| entry(i, &[i as u8; 100])).collect::<Vec<_>>());
    assert!(log.stats().disk_reads > 0 && log.stats().cached_bytes <= small().cache_bytes);
    let before = log.stats().disk_reads;
    log.read(G, 20..21, usize::MAX).unwrap();
    assert_eq!(log.stats().disk_reads, before, "the newest entry should be in memory");
    // A limit on bytes still gives one entry.
    assert_eq!(log.read(G, 3..9, 0).unwrap().len(), 1);
    assert_eq!(log.read(G, 21..30, 0).unwrap(), []);
    log.validate();
}

#[test]
fn gaps_are_refused_and_change_nothing() {
    let disk = PowerLossDisk::new(1);
    let (log, mut pump) = open(&disk, &small()).unwrap();
    let append = |index| {
        let done = Outcome::default();
        log.append(G, vec![entry(index, b"x")], done.done());
        done
    };
    append(5); // a group may begin anywhere
    assert_eq!(append(7).get().unwrap().unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(append(5).get().unwrap().unwrap_err().kind(), ErrorKind::Invalid);
    append(6);
    log.purge_to(G, 10, Bytes::new()); // a snapshot was installed
    assert_eq!(append(7).get().unwrap().unwrap_err().kind(), ErrorKind::Invalid);
    let last = append(11);
    pump.finish();
    assert!(last.is_ok());
    let (log, _pump) = open(&disk, &small()).unwrap();
    assert_eq!((log.last(G).unwrap().0, log.purged(G).unwrap().0), (11, 10));
}

#[test]
fn the_head_of_the_last_entry_survives_truncation_and_restart() {
    let disk = PowerLossDisk::new(1);
    let (log, mut pump) = open(&disk, &small()).unwrap();
    log.append(G, (1..=30).map(|i| entry(i, &[0; 100])).collect(), Outcome::default().done());
    while pump.step() {}
    log.truncate_from(G, 5, Outcome::default().done());
    assert_eq!(log.last(G).unwrap(), (4, Bytes::from_static(b"term-4")));
    pump.finish();
    let (log, _pump) = open(&disk, &small()).unwrap();
    assert_eq!(log.last(G).unwrap(), (4, Bytes::from_static(b"term-4")));
}

#[test]
fn segments_that_no_group_needs_are_used_again() {
    let disk = PowerLossDisk::new(1);
    let (log, mut pump) = open(&disk, &small()).unwrap();
    let other = GroupId(2);
    log.append(other, vec![entry(1, b"stays")], Outcome::default().done());
    log.save_vote(GroupId(3), Bytes::from_static(b"v"), Outcome::default().done());
    let mut next = 1;
    let mut fill = |log: &Log, pump: &mut LogPump| {
        for _ in 0..100 {
            log.append(G, vec![entry(next, &[1; 200])], Outcome::default().done());
            next += 1;
            pump.step();
            pump.prepare_spare();
        }
        log.purge_to(G, next - 2, Bytes::from_static(b"p"));
        while pump.step() {}
    };
    fill(&log, &mut pump);
    assert_eq!(log.stats().first_epoch, 1, "the other group's entry lies in segment 1");
    log.purge_to(other, 1, Bytes::from_static(b"o"));
    while pump.step() {}
    assert_eq!(log.stats().segments, 1);
    let files = disk.files().len();
    for _ in 0..5 {
        fill(&log, &mut pump);
    }
    assert!(disk.files().len() <= files.max(3), "{:?}", disk.files().len());
    pump.finish();
    drop((log, pump));
    let (log, _pump) = open(&disk, &small()).unwrap();
    assert_eq!(log.vote(GroupId(3)).unwrap(), "v", "a checkpoint carries the votes on");
    assert_eq!(log.purged(other).unwrap(), (1, Bytes::from_static(b"o")));
    assert_eq!(log.last(G).unwrap().0, next - 1);
    assert_eq!(log.read(G, next - 1..next, 9).unwrap(), [entry(next - 1, &[1; 200])]);
}

#[test]
fn an_idle_log_marks_its_end_and_saves_what_is_committed() {
    let disk = PowerLossDisk::new(1);
    let config = LogConfig { idle_mark_after: std::time::Duration::from_millis(1), ..small() };
    let log = Log::open(Arc::new(disk.clone()), Path::new("/wal"), config.clone()).unwrap();
    wait(|done| log.append(G, vec![entry(1, b"x")], done)).unwrap();
    log.save_committed(G, Bytes::from_static(b"c"));
    loop {
        let (copy, _pump) = open(&disk.fork(1), &config).unwrap();
        if copy.committed(G).is_some() {
            break;
        }
        std::thread::yield_now();
    }
    log.stop().unwrap();
    let refused = wait(|done| log.append(G, vec![entry(2, b"x")], done)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
}
