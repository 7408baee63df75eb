//! The sole-writer lease: two computes, elections, clocks that run at different speeds.

use super::tests::{Bench, CONFIG, LEASE, LeaseAnswer, branch, compute, put};
use super::*;
use shardforge_common::random::Random;
use shardforge_common::{ComputeId, Lsn};
use shardforge_proto::wal::{CommitOutcome, LeaseGrant};
use std::time::Duration;

#[test]
fn a_lease_is_in_the_log_once_and_keeps_others_out() {
    let mut bench = Bench::new(1);
    let (a, b) = (compute(1), compute(2));
    bench.submit_from(a, 1, 0, vec![], put(1));
    let first = bench.lease(a);
    assert_eq!(bench.apply(), Some(1));
    assert!(first.lock().is_none(), "not told before its record is applied");
    assert_eq!(bench.apply(), Some(1), "the record");
    let granted = first.lock().take().expect("told when its record is applied").unwrap();
    assert_eq!(granted, Some(LeaseGrant { lsn: Lsn(1), duration: LEASE }));
    for _ in 0..10 {
        bench.clock.advance(LEASE / 4);
        assert!(matches!(*bench.lease(a).lock(), Some(Ok(Some(_)))));
    }
    assert_eq!(bench.apply(), None, "renewals are not in the log");
    bench.answers();
    bench.submit_from(b, 2, 0, vec![], put(2));
    assert!(matches!(bench.answers()[..], [(2, CommitOutcome::Retry { .. })]));
    assert!(matches!(*bench.lease(a).lock(), Some(Ok(None))), "someone waits, so no more time is given");
    bench.sequencer.enqueue(Request::GiveBack { branch: branch(), holder: a });
    let leased = |bench: &Bench| bench.state.read().branches[&branch().branch].lease;
    assert_eq!(leased(&bench).map(|lease| lease.holder), Some(a));
    bench.apply_all();
    assert_eq!(leased(&bench), None);
    bench.submit_from(b, 2, 1, vec![], put(2));
    bench.apply_all();
    assert_eq!(bench.committed(), [(2, 2)]);
}

/// What two computes show to their clients is never less than what anyone was shown before.
#[test]
fn under_leases_nobody_reads_the_past() {
    let mut leased_reads = 0;
    for seed in 0..300 {
        let mut world = World::new(seed);
        for _ in 0..300 {
            world.step();
        }
        leased_reads += world.leased_reads;
    }
    assert!(leased_reads > 1000, "only {leased_reads} reads under a lease show little");
}

/// A compute as the rules want it: see `compute/src/txn/lease.rs`.
struct Holder {
    id: ComputeId,
    /// How fast its clock runs, in thousandths.
    speed: u32,
    applied: Lsn,
    until: Option<Duration>,
    /// Sent at this moment, with the place of the answer.
    asked: Option<(Duration, Arc<Mutex<Option<LeaseAnswer>>>)>,
}

struct World {
    bench: Bench,
    random: Random,
    holders: Vec<Holder>,
    term: u64,
    next_txn: u8,
    /// The newest state that any client was shown.
    shown: Lsn,
    leased_reads: u32,
}

impl World {
    fn new(seed: u64) -> Self {
        let random = Random::from_seed(seed);
        let holder = |number: u8| Holder {
            id: compute(number),
            // Within what the margin allows.
            speed: random.range(930..1070) as u32,
            applied: Lsn::ZERO,
            until: None,
            asked: None,
        };
        let holders = vec![holder(1), holder(2)];
        let bench = Bench::new(2);
        Self { bench, random, holders, term: 1, next_txn: 0, shown: Lsn::ZERO, leased_reads: 0 }
    }

    fn now(&self, who: usize) -> Duration {
        self.bench.clock.boottime() * self.holders[who].speed / 1000
    }

    fn committed(&self) -> Lsn {
        self.bench.state.read().branches[&branch().branch].committed
    }

    fn step(&mut self) {
        // The first one is at work more often, so that it has the branch to itself at times.
        let who = usize::from(self.random.range(0..8) == 0);
        match self.random.range(0..12) {
            0 | 1 => self.bench.clock.advance(LEASE / 10 * self.random.range(0..12) as u32),
            2 => drop(self.bench.apply()),
            3 | 4 => self.commit(who),
            5..=7 => self.read(who),
            // The feed comes late, and all at once.
            8 => self.holders[who].applied = self.committed(),
            9 if self.holders[who].asked.is_none() => {
                let sent = self.now(who);
                self.holders[who].asked = Some((sent, self.bench.lease(self.holders[who].id)));
            }
            9 | 10 => self.hear(who),
            _ if self.random.range(0..6) == 0 => self.elect(),
            _ => {}
        }
    }

    fn commit(&mut self, who: usize) {
        self.next_txn = self.next_txn.wrapping_add(1);
        self.bench.submit_from(self.holders[who].id, self.next_txn, 0, vec![], put(self.next_txn));
        // Its client hears of it when it is applied there.
        self.bench.apply_all();
        for (_, outcome) in self.bench.answers() {
            if let CommitOutcome::Committed { lsn, .. } = outcome {
                self.holders[who].applied = self.holders[who].applied.max(lsn);
                self.shown = self.shown.max(lsn);
            }
        }
    }

    fn read(&mut self, who: usize) {
        let (now, committed) = (self.now(who), self.committed());
        let holder = &mut self.holders[who];
        if holder.until.is_some_and(|until| now < until) {
            self.leased_reads += 1;
        } else {
            // A confirmed snapshot, as the service gives it.
            let lease = self.bench.sequencer.leases.of(branch().branch);
            if lease.lock().admit(holder.id, self.bench.clock.boottime()).is_err() {
                return;
            }
            holder.applied = committed;
        }
        let lsn = holder.applied;
        assert!(lsn >= self.shown, "compute {who} shows {lsn} after {} was shown", self.shown);
        self.shown = lsn;
    }

    fn hear(&mut self, who: usize) {
        let Some((sent, answer)) = self.holders[who].asked.take() else { return };
        let heard = answer.lock().take();
        let holder = &mut self.holders[who];
        match heard {
            Some(Ok(Some(grant))) => {
                holder.applied = holder.applied.max(grant.lsn);
                holder.until = Some(sent + grant.duration);
            }
            Some(Ok(None)) if holder.until.take().is_some() => {
                let holder = holder.id;
                self.bench.sequencer.enqueue(Request::GiveBack { branch: branch(), holder });
            }
            Some(_) => {}
            None => holder.asked = Some((sent, answer)),
        }
    }

    /// Another leader, or the same one in another term. Of what was in flight, some made it.
    fn elect(&mut self) {
        self.bench.sequencer.stand_down(None, "an election");
        self.bench.answers();
        while self.random.range(0..2) == 0 && self.bench.apply().is_some() {}
        self.bench.log.0.lock().clear();
        self.term += 1;
        self.bench.lead(self.term, CONFIG);
    }
}
