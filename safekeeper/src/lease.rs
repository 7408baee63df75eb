//! The sole-writer lease as the leader keeps it (S2): who may be served, and who may have the lease.
//!
//! While a compute holds a branch's lease, no other gets a snapshot or a commit, so the holder knows the
//! newest LSN by itself. A wrong lease could make a read stale, never a commit wrong: commits are certified
//! with or without one.
//!
//! # What is guaranteed
//!
//! 1. From the holder's sending of a request on, for as long as the answer said, nobody else is served:
//!    the leader counts the same time from the request's *arrival*, and a margin for clocks that run at
//!    different speeds.
//! 2. A grant is told when its record is applied, a renewal when a quorum has confirmed the leader after
//!    the request came: so no other leader had been elected when the holder sent it, and a later one counts the
//!    whole time, and the margin, from its own election, for each grant that its log has and no release.
//! 3. A holder that lived in this safekeeper's process is gone when the process is another: its lease ends
//!    with it, and a restart waits for nothing.
//!
//! # How it passes on
//!
//! A compute that is refused is *seen*. From then on the holder's renewals are refused, it gives the lease
//! back, and everyone gets confirmed snapshots (S1). Only when one compute alone was seen for a while, it
//! can have the lease. So two computes at work never throw it back and forth.
//!
//! [`Lease`] is pure: time comes in as a number. [`Leases`] has one for each branch.

use crate::group::{GroupState, LeaseState, Process};
use parking_lot::{Mutex, RwLock};
use shardforge_common::{BranchId, ComputeId};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Clocks of two machines differ by less than one part in so many, as one of them runs.
const DRIFT: u32 = 8;

/// What the holder of a lease of this length can take at most, by our clock.
fn with_margin(duration: Duration) -> Duration {
    duration + duration / DRIFT + Duration::from_millis(1)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Held {
    holder: ComputeId,
    /// Nobody else is served before this moment.
    until: Duration,
}

/// What is done about a wish for the lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// It is granted once a record of it is in the log.
    Grant,
    /// The asker holds it already, and holds it for longer now.
    Renewed,
    /// Not now.
    Refused,
}

/// One branch's lease.
#[derive(Debug, Default)]
pub struct Lease {
    held: Option<Held>,
    /// When each compute last asked for something. Few: those of longer ago are dropped.
    seen: Vec<(ComputeId, Duration)>,
}

impl Lease {
    fn see(&mut self, who: ComputeId, now: Duration) {
        match self.seen.iter_mut().find(|(known, _)| *known == who) {
            Some((_, at)) => *at = now,
            None => self.seen.push((who, now)),
        }
    }

    /// May this compute have a snapshot or a commit? `Err` says how long the lease of another lasts.
    pub fn admit(&mut self, who: ComputeId, now: Duration) -> Result<(), Duration> {
        self.see(who, now);
        match self.held {
            Some(held) if held.holder != who && now < held.until => Err(held.until - now),
            // It ran out. Whoever had it must ask anew, and is told what happened since.
            Some(held) if held.holder != who => {
                self.held = None;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// A compute wishes to have the lease for `duration`.
    pub fn wish(&mut self, who: ComputeId, duration: Duration, now: Duration) -> Wish {
        let mine = self.is_held_by(who);
        // Another's lease that has not run out, or another that was at work a short while ago.
        let refused = self.admit(who, now).is_err();
        self.seen.retain(|(_, at)| now.saturating_sub(*at) < 2 * duration);
        if refused || self.seen.iter().any(|(known, _)| *known != who) {
            return Wish::Refused;
        }
        self.held = Some(Held { holder: who, until: now + with_margin(duration) });
        if mine { Wish::Renewed } else { Wish::Grant }
    }

    /// Whether this compute has it: another one may be served all the same once it has run out.
    pub fn is_held_by(&self, who: ComputeId) -> bool {
        self.held.is_some_and(|held| held.holder == who)
    }

    /// A compute wishes to have the lease, which nobody can be granted now.
    pub fn pass_by(&mut self, who: ComputeId, now: Duration) -> Wish {
        self.see(who, now);
        Wish::Refused
    }

    /// The holder has stopped using it. False when it did not hold it.
    pub fn give_back(&mut self, who: ComputeId) -> bool {
        let mine = self.is_held_by(who);
        if mine {
            self.held = None;
        }
        mine
    }

    /// A grant that a new leader found in its log.
    fn inherit(lease: &LeaseState, now: Duration) -> Self {
        let until = now + with_margin(lease.duration);
        Self { held: Some(Held { holder: lease.holder, until }), seen: Vec::new() }
    }
}

/// The leases of all branches of a group.
pub struct Leases {
    /// For how long leases are granted; `None` when they are turned off.
    duration: Option<Duration>,
    /// This process.
    process: Process,
    branches: RwLock<HashMap<BranchId, Arc<Mutex<Lease>>, ahash::RandomState>>,
}

impl Leases {
    /// None yet.
    pub fn new(duration: Option<Duration>, process: Process) -> Self {
        Self { duration, process, branches: RwLock::default() }
    }

    /// For how long leases are granted; `None` when they are turned off.
    pub fn duration(&self) -> Option<Duration> {
        self.duration
    }

    /// This process, for holders that live in it.
    pub fn process(&self) -> Process {
        self.process
    }

    /// A branch's lease.
    pub fn of(&self, branch: BranchId) -> Arc<Mutex<Lease>> {
        if let Some(lease) = self.branches.read().get(&branch) {
            return lease.clone();
        }
        self.branches.write().entry(branch).or_default().clone()
    }

    /// A new leadership: what was known before is forgotten, and unreleased grants count from now.
    pub fn begin(&self, state: &GroupState, now: Duration) {
        let unreleased = state.branches.iter().filter_map(|(id, branch)| {
            let lease = branch.lease.filter(|lease| !self.died_with_its_process(lease))?;
            Some((*id, Arc::new(Mutex::new(Lease::inherit(&lease, now)))))
        });
        let unreleased = unreleased.collect();
        *self.branches.write() = unreleased;
    }

    /// Only one process at a time has a safekeeper's data folder, so an earlier one of this node is gone.
    fn died_with_its_process(&self, lease: &LeaseState) -> bool {
        lease.within.is_some_and(|within| within.node == self.process.node && within != self.process)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn compute(number: u8) -> ComputeId {
        ComputeId::from_bytes([number; 16])
    }

    #[test]
    fn while_one_holds_it_nobody_else_is_served() {
        let (a, b) = (compute(1), compute(2));
        let mut lease = Lease::default();
        assert_eq!(lease.wish(a, SECOND, Duration::ZERO), Wish::Grant);
        assert_eq!(lease.admit(a, SECOND / 2), Ok(()));
        assert!(lease.admit(b, SECOND / 2).is_err());
        assert!(lease.admit(b, SECOND).is_err(), "the holder's clock may be slower than ours");
        assert_eq!(lease.admit(b, SECOND * 2), Ok(()), "it ran out");
        assert_eq!(lease.wish(a, SECOND, SECOND * 2), Wish::Refused, "another is at work");
    }

    #[test]
    fn a_holder_that_another_waits_for_is_not_given_more_time() {
        let (a, b) = (compute(1), compute(2));
        let mut lease = Lease::default();
        assert_eq!(lease.wish(a, SECOND, Duration::ZERO), Wish::Grant);
        assert_eq!(lease.wish(a, SECOND, SECOND / 3), Wish::Renewed);
        let left = lease.admit(b, SECOND / 2).unwrap_err();
        assert_eq!(lease.wish(a, SECOND, SECOND), Wish::Refused);
        assert_eq!(lease.admit(b, SECOND).unwrap_err(), left - SECOND / 2, "no longer than before");
        assert!(lease.give_back(a) && !lease.give_back(a));
        assert_eq!(lease.admit(b, SECOND), Ok(()));
        assert_eq!(lease.wish(b, SECOND, SECOND), Wish::Refused, "the other was at work a moment ago");
        assert_eq!(lease.wish(b, SECOND, SECOND * 4), Wish::Grant, "alone for a while");
    }

    #[test]
    fn one_that_comes_back_late_finds_its_lease_only_if_nobody_was_served_meanwhile() {
        let (a, b) = (compute(1), compute(2));
        let mut lease = Lease::default();
        assert_eq!(lease.wish(a, SECOND, Duration::ZERO), Wish::Grant);
        assert_eq!(lease.wish(a, SECOND, SECOND * 9), Wish::Renewed);
        assert_eq!(lease.admit(b, SECOND * 20), Ok(()));
        assert_eq!(lease.wish(a, SECOND, SECOND * 30), Wish::Grant, "a new one, with a record");
    }

    #[test]
    fn a_new_leader_waits_unless_the_holder_died_with_its_own_process() {
        let process = |node, run| Process { node: shardforge_common::NodeId(node), incarnation: [run; 16] };
        let branch = BranchId::from_bytes([1; 16]);
        let state = |within| {
            let open = crate::group::OpenBody {
                tenant: shardforge_common::TenantId::from_bytes([1; 16]),
                lsn: shardforge_common::Lsn::ZERO,
                time_micros: 0,
            };
            let mut known = crate::group::BranchState::new(&open);
            known.lease = Some(LeaseState { holder: compute(1), duration: SECOND, within });
            let mut state = GroupState::default();
            state.branches.insert(branch, known);
            state
        };
        let table = Leases::new(Some(SECOND), process(1, 7));
        let now = SECOND * 100;
        for (within, waits) in [
            (None, true),
            (Some(process(2, 7)), true),
            (Some(process(1, 7)), true),
            (Some(process(1, 6)), false),
        ] {
            table.begin(&state(within), now);
            let admitted = table.of(branch).lock().admit(compute(2), now);
            assert_eq!(admitted.is_err(), waits, "{within:?}");
            assert_eq!(table.of(branch).lock().admit(compute(1), now), Ok(()));
            assert_eq!(table.of(branch).lock().admit(compute(2), now + SECOND * 2), Ok(()));
        }
    }
}
