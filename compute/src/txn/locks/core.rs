//! The lock table's decisions: who holds, who waits, who is granted next, who would wait for ever.
//! Pure: no clock, no task.
//!
//! # Invariants
//!
//! 1. Holders of one key do not conflict with one another.
//! 2. Nobody is granted while someone who came before and conflicts with them still waits, except
//!    who strengthens a lock that they hold: they go first, or they would wait for themselves.
//! 3. Waits never form a cycle: whoever would close one is refused instead.

use super::LockMode;
use bytes::Bytes;
use smallvec::SmallVec;
use std::collections::{HashMap, VecDeque};

/// One transaction, as the table knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct OwnerId(pub(crate) u64);

impl LockMode {
    /// Whether two owners cannot hold a key in these modes at once. PostgreSQL's table of row locks
    /// is the sum of the strengths.
    pub fn conflicts(self, other: LockMode) -> bool {
        self as u8 + other as u8 >= 3
    }
}

/// What came of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Granted,
    /// Held before, in this mode or a stronger one.
    Held,
    /// In the queue: the owner is named in a later release or cancellation.
    Queued,
    /// It would have to wait, and may not.
    WouldWait,
    /// Waiting would close a cycle.
    Deadlock,
}

#[derive(Default)]
struct Entry {
    holders: SmallVec<[(OwnerId, LockMode); 1]>,
    queue: VecDeque<(OwnerId, LockMode)>,
}

/// A lock that was granted: a new one, or one that is stronger than before.
struct Held {
    key: Bytes,
    /// What the owner held of the key before.
    before: Option<LockMode>,
}

#[derive(Default)]
struct Owner {
    /// In the order they were granted.
    held: Vec<Held>,
    waits_for: Option<Bytes>,
}

/// The table.
#[derive(Default)]
pub(crate) struct LockCore {
    keys: HashMap<Bytes, Entry, ahash::RandomState>,
    owners: HashMap<OwnerId, Owner, ahash::RandomState>,
}

impl LockCore {
    /// Asks for a key.
    pub(crate) fn acquire(&mut self, owner: OwnerId, key: &[u8], mode: LockMode, may_wait: bool) -> Answer {
        let Some(entry) = self.keys.get_mut(key) else {
            let key = Bytes::copy_from_slice(key);
            let entry = Entry { holders: SmallVec::from_iter([(owner, mode)]), queue: VecDeque::new() };
            self.keys.insert(key.clone(), entry);
            self.owners.entry(owner).or_default().held.push(Held { key, before: None });
            return Answer::Granted;
        };
        let own = entry.holders.iter().position(|(holder, _)| *holder == owner);
        if own.is_some_and(|own| entry.holders[own].1 >= mode) {
            return Answer::Held;
        }
        if entry.queue.iter().any(|(waiter, _)| *waiter == owner) {
            return Answer::Queued;
        }
        let held_back = entry.holders.iter().any(|(holder, held)| *holder != owner && held.conflicts(mode))
            || (own.is_none() && entry.queue.iter().any(|(_, waits)| waits.conflicts(mode)));
        if !held_back {
            let before = match own {
                Some(own) => Some(std::mem::replace(&mut entry.holders[own].1, mode)),
                None => {
                    entry.holders.push((owner, mode));
                    None
                }
            };
            let key = self.keys.get_key_value(key).expect("just found").0.clone();
            self.owners.entry(owner).or_default().held.push(Held { key, before });
            return Answer::Granted;
        }
        if !may_wait {
            return Answer::WouldWait;
        }
        if own.is_some() {
            entry.queue.push_front((owner, mode))
        } else {
            entry.queue.push_back((owner, mode))
        }
        let key = self.keys.get_key_value(key).expect("just found").0.clone();
        self.owners.entry(owner).or_default().waits_for = Some(key);
        if self.closes_cycle(owner) {
            self.dequeue(owner);
            return Answer::Deadlock;
        }
        Answer::Queued
    }

    /// Whether an owner is in a queue.
    pub(crate) fn is_waiting(&self, owner: OwnerId) -> bool {
        self.owners.get(&owner).is_some_and(|owner| owner.waits_for.is_some())
    }

    /// How many locks an owner was granted: a mark for [`LockCore::release_from`].
    pub(crate) fn held(&self, owner: OwnerId) -> usize {
        self.owners.get(&owner).map_or(0, |owner| owner.held.len())
    }

    /// Whether anything is held at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether an owner holds a key.
    pub(crate) fn holds(&self, owner: OwnerId, key: &[u8]) -> bool {
        self.holders(key).any(|(holder, _)| holder == owner)
    }

    /// Who holds a key.
    pub(crate) fn holders(&self, key: &[u8]) -> impl Iterator<Item = (OwnerId, LockMode)> {
        self.keys.get(key).into_iter().flat_map(|entry| entry.holders.iter().copied())
    }

    /// The keys that are held, with their holders.
    pub(crate) fn held_keys(&self) -> impl Iterator<Item = (&Bytes, &[(OwnerId, LockMode)])> {
        self.keys.iter().map(|(key, entry)| (key, &entry.holders[..]))
    }

    /// Gives up waiting. Answers who is granted by that.
    pub(crate) fn cancel(&mut self, owner: OwnerId) -> Vec<OwnerId> {
        let mut granted = Vec::new();
        if let Some(key) = self.dequeue(owner) {
            self.promote(&key, &mut granted);
        }
        granted
    }

    /// Gives up everything. Answers who is granted by that.
    pub(crate) fn release(&mut self, owner: OwnerId) -> Vec<OwnerId> {
        let mut granted = self.cancel(owner);
        granted.extend(self.release_from(owner, 0));
        self.owners.remove(&owner);
        granted
    }

    /// Gives up the locks granted after the first `mark`; what was only strengthened is what it was.
    pub(crate) fn release_from(&mut self, owner: OwnerId, mark: usize) -> Vec<OwnerId> {
        let Some(state) = self.owners.get_mut(&owner) else { return Vec::new() };
        let mark = mark.min(state.held.len());
        let released = state.held.split_off(mark);
        let mut granted = Vec::new();
        for Held { key, before } in released.into_iter().rev() {
            if let Some(entry) = self.keys.get_mut(&key) {
                match before {
                    Some(mode) => entry
                        .holders
                        .iter_mut()
                        .filter(|(holder, _)| *holder == owner)
                        .for_each(|h| h.1 = mode),
                    None => entry.holders.retain(|(holder, _)| *holder != owner),
                }
            }
            self.promote(&key, &mut granted);
        }
        granted
    }

    fn dequeue(&mut self, owner: OwnerId) -> Option<Bytes> {
        let key = self.owners.get_mut(&owner)?.waits_for.take()?;
        if let Some(entry) = self.keys.get_mut(&key) {
            entry.queue.retain(|(waiter, _)| *waiter != owner);
        }
        Some(key)
    }

    /// Grants a key to those who need wait no longer, first come first.
    fn promote(&mut self, key: &Bytes, granted: &mut Vec<OwnerId>) {
        let Some(entry) = self.keys.get_mut(key) else { return };
        let mut waiting: VecDeque<(OwnerId, LockMode)> = VecDeque::new();
        for (waiter, mode) in std::mem::take(&mut entry.queue) {
            let free = entry.holders.iter().all(|(holder, held)| *holder == waiter || !held.conflicts(mode))
                && waiting.iter().all(|(_, waits)| !waits.conflicts(mode));
            if !free {
                waiting.push_back((waiter, mode));
                continue;
            }
            let owner = self.owners.entry(waiter).or_default();
            owner.waits_for = None;
            let before = match entry.holders.iter_mut().find(|(holder, _)| *holder == waiter) {
                Some((_, held)) => Some(std::mem::replace(held, mode)),
                None => {
                    entry.holders.push((waiter, mode));
                    None
                }
            };
            owner.held.push(Held { key: key.clone(), before });
            granted.push(waiter);
        }
        entry.queue = waiting;
        if entry.holders.is_empty() && entry.queue.is_empty() {
            self.keys.remove(key);
        }
    }

    /// Who an owner waits for: conflicting holders, and conflicting waiters ahead.
    fn blockers(&self, owner: OwnerId) -> SmallVec<[OwnerId; 4]> {
        let mut blockers = SmallVec::new();
        let Some(key) = self.owners.get(&owner).and_then(|owner| owner.waits_for.as_ref()) else {
            return blockers;
        };
        let Some(entry) = self.keys.get(key) else { return blockers };
        let Some(at) = entry.queue.iter().position(|(waiter, _)| *waiter == owner) else { return blockers };
        let mode = entry.queue[at].1;
        let ahead = entry.holders.iter().chain(entry.queue.iter().take(at));
        blockers
            .extend(ahead.filter(|(who, held)| *who != owner && held.conflicts(mode)).map(|(who, _)| *who));
        blockers
    }

    fn closes_cycle(&self, start: OwnerId) -> bool {
        let mut seen = Vec::new();
        let mut next = self.blockers(start);
        while let Some(owner) = next.pop() {
            if owner == start {
                return true;
            }
            if !seen.contains(&owner) {
                seen.push(owner);
                next.extend(self.blockers(owner));
            }
        }
        false
    }

    /// Panics unless the invariants hold.
    #[cfg(test)]
    pub(crate) fn validate(&self) {
        for (key, entry) in &self.keys {
            assert!(!entry.holders.is_empty(), "a queue without a holder");
            for (i, (owner, mode)) in entry.holders.iter().enumerate() {
                assert!(entry.holders[..i].iter().all(|(_, other)| !other.conflicts(*mode)));
                assert!(self.owners[owner].held.iter().any(|held| held.key == *key));
            }
            for (owner, _) in &entry.queue {
                assert_eq!(self.owners[owner].waits_for.as_ref(), Some(key));
                assert!(!self.blockers(*owner).is_empty(), "{owner:?} waits for nobody");
                assert!(!self.closes_cycle(*owner), "{owner:?} waits for itself");
            }
        }
    }
}
