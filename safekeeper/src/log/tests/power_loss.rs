use super::model::{Action, Harness, action};
use super::*;
use bytes::Bytes;
use proptest::prelude::*;
use shardforge_common::disk::SyncKind;
use std::sync::atomic::Ordering;

proptest! {
    /// Whatever happens, a start finds all that was done, and nothing that was not asked for.
    #[test]
    fn what_was_done_survives_power_loss(
        seed in any::<u64>(),
        actions in prop::collection::vec(action(), 1..80),
    ) {
        let mut harness = Harness::new(PowerLossDisk::new(seed), small());
        if let Err(violation) = harness.run(&actions) {
            prop_assert!(false, "{}", violation);
        }
    }
}

/// A life with everything in it that syncs: first segment, batches, rotation into a fresh file and into one
/// used again, a process that dies, a torn tail, marks.
fn life() -> Vec<Action> {
    use Action::*;
    let mut actions = vec![Vote(1), Step, PrepareSpare];
    for _ in 0..2 {
        for group in [1, 2] {
            actions.extend([Append(group, 2, 700), Step, Append(group, 2, 700), Vote(group), Step]);
        }
        actions.extend([Purge(1, 0), Purge(2, 1), Step, PrepareSpare, Committed(1), MarkEnd]);
    }
    actions.extend([Append(1, 1, 900), Step, Append(2, 1, 900), Step, Append(1, 2, 500), Step]);
    actions
}

/// Every sync of the life, in order, by what it is for.
fn syncs_of_the_life() -> Vec<&'static str> {
    let disk = PowerLossDisk::new(1);
    let calls = Arc::new(Mutex::new(Vec::new()));
    let to = calls.clone();
    let mut harness = Harness::new(disk.clone(), small());
    let crashed = harness.crashed.clone();
    disk.skip_syncs(Some(Box::new(move |kind, path| {
        if !crashed.load(Ordering::Relaxed) {
            to.lock().push((kind, path.extension().is_some_and(|extension| extension == "tmp")));
        }
        false
    })));
    harness.run(&life()).unwrap();
    let calls = calls.lock();
    let next_is_folder = calls.iter().skip(1).map(|(kind, _)| *kind == SyncKind::Dir).chain([false]);
    let label = |((kind, of_spare), before_folder): (&(SyncKind, bool), bool)| match (kind, of_spare) {
        (SyncKind::Dir, _) => "folder",
        (SyncKind::File, false) => "batch",
        (SyncKind::File, true) if before_folder => "header of a segment",
        (SyncKind::File, true) => "zeros of a spare",
    };
    calls.iter().zip(next_is_folder).map(label).collect()
}

/// Runs the life with one of its syncs left out, up to some moment at which the power goes. After the
/// power loss nothing is left out.
fn goes_wrong(skipped: Option<u64>, cut: u64, seed: u64) -> bool {
    let disk = PowerLossDisk::new(seed);
    let mut harness = Harness::new(disk.clone(), small());
    let crashed = harness.crashed.clone();
    let mut at = 0;
    disk.skip_syncs(Some(Box::new(move |_, _| {
        at += 1;
        !crashed.load(Ordering::Relaxed) && skipped == Some(at - 1)
    })));
    disk.cut_power_after(cut);
    harness.run(&life()).is_err()
}

/// A build that leaves out one fsync fails: each is left out alone. The only ones not needed are those
/// of a spare's zeros, whose bytes are never believed: they reserve space, ahead of need.
#[test]
fn each_single_sync_is_needed() {
    let goes_wrong = |skipped, seeds: u64| {
        (0..seeds).any(|seed| (0..180).any(|cut| goes_wrong(skipped, cut, seed * 1000 + cut)))
    };
    assert!(!goes_wrong(None, 2));
    let syncs = syncs_of_the_life();
    assert!(syncs.len() > 25 && syncs.iter().filter(|label| **label == "header of a segment").count() > 3);
    for (i, label) in syncs.iter().enumerate() {
        let needed = *label != "zeros of a spare";
        let seeds = if needed { 20 } else { 1 };
        assert_eq!(goes_wrong(Some(i as u64), seeds), needed, "sync {i} of {syncs:?}");
    }
}

/// A process that dies leaves bytes and names that no power loss has tested yet: a start that leaves out
/// one of its syncs shows what a later power loss takes back.
#[test]
fn each_sync_of_a_start_is_needed() {
    let goes_wrong = |skipped: Option<u64>, then: &[Action], cut, seed| {
        let disk = PowerLossDisk::new(seed);
        let mut harness = Harness::new(disk.clone(), small());
        harness.only_dies = true;
        let died = harness.crashed.clone();
        let mut at = 0;
        disk.skip_syncs(Some(Box::new(move |_, _| {
            at += u64::from(died.load(Ordering::Relaxed));
            skipped == Some(at)
        })));
        disk.cut_power_after(cut);
        let mut actions = life();
        actions.push(Action::Kill);
        actions.extend_from_slice(then);
        harness.run(&actions).is_err()
    };
    let any = |skipped, then: &[Action], seeds| {
        (0..seeds).any(|seed| (0..150).any(|cut| goes_wrong(skipped, then, cut, seed * 1000 + cut)))
    };
    assert!(!any(None, &[Action::Vote(1), Action::Step], 2));
    // What the start showed must stay, though nothing is written after it.
    assert!(any(Some(1), &[], 20), "the sync of the last segment");
    // A batch goes into a segment whose name is not durable.
    assert!(any(Some(2), &[Action::Vote(1), Action::Step], 20), "the sync of the folder");
}

/// The thread, its group commit and the thread that makes spares, under several writers.
#[test]
fn what_the_thread_reported_done_survives_power_loss() {
    for seed in 0..8 {
        let disk = PowerLossDisk::new(seed);
        let config = LogConfig { cache_bytes: 16 << 10, batch_bytes: 64 << 10, ..small() };
        let log = Log::open(Arc::new(disk.clone()), Path::new("/wal"), config.clone()).unwrap();
        disk.cut_power_after(60 + 40 * seed);
        let writers: Vec<_> = (1..=4)
            .map(|group| {
                let log = log.clone();
                let write = move || {
                    let done: Vec<Outcome> = (1..)
                        .map(|index| {
                            let outcome = Outcome::default();
                            log.append(
                                GroupId(group),
                                vec![entry(index, &[group as u8; 300])],
                                outcome.done(),
                            );
                            let mut voted = false;
                            while outcome.get().is_none() && index % 3 == 0 {
                                // A disk without power looks full until something is written.
                                if !voted && log.stats().full.is_some() {
                                    voted = true;
                                    log.save_vote(GroupId(9), Bytes::from_static(b"vote"), Box::new(drop));
                                }
                                std::thread::yield_now();
                            }
                            outcome
                        })
                        .take_while(|outcome| !matches!(outcome.get(), Some(Err(_))))
                        .collect();
                    (group, done.iter().rposition(Outcome::is_ok).map_or(0, |at| at as u64 + 1))
                };
                shardforge_common::task::spawn_thread("writer", write).unwrap()
            })
            .collect();
        let done: Vec<(u64, u64)> = writers.into_iter().map(|writer| writer.join().unwrap()).collect();
        drop(log);
        disk.crash();
        let (log, _pump) = open(&disk, &config).unwrap();
        for (group, done) in done {
            let read = log.read(GroupId(group), 1..u64::MAX, usize::MAX).unwrap();
            assert!(read.len() as u64 >= done, "seed {seed} group {group}: {} of {done}", read.len());
            assert!(read.iter().zip(1..).all(|(found, index)| *found == entry(index, &[group as u8; 300])));
        }
    }
}
