//! The lock table's decisions: who holds, who waits, who is granted next, who would wait for ever.
//! Pure: no clock, no task.
//!
//! # Invariants
//!
//! 1. Holders of one key do not conflict with one another.
//! 2. Nobody is granted while someone who came before and conflicts with them still waits, except
//!    who strengthens a lock that they hold: they go first, or they would wait for themselves.
//! 3. Waits never form a cycle: whoever would close one is refused instead.
//! 4. Who has a storage as a whole is alone there: nobody holds a key of it, and who wants one waits.
//! 5. Beyond twice the limit an owner gets entries for rows only where others hold or want the same row.
//!
//! # Many locks
//!
//! An entry for each row would make a transaction's memory as large as what it writes. An owner that has as many
//! as the limit gets the whole storage of the key that it asks for, if nobody else holds or waits for a key there,
//! and its entries for single keys go ([`LockCore::widen`]). While somebody is there, it is tried again now and then,
//! until the owner has twice the limit: from then on what it asks for is not entered, if it is free
//! ([`Answer::Omitted`]), and those who write the same are told apart by the certifier, as between two computes.
//!
//! Keys under which there is no row yet are not entered as soon as the limit is reached
//! ([`LockCore::acquire_new`]): a load should not keep others from adding rows, which hardly ever are the same.
//! Tables are locked by [`LockCore::acquire_single`], whatever the number: a change of the schema relies on it.

use super::LockMode;
use bytes::Bytes;
use shardforge_common::key::STORAGE_ID_LEN;
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
    /// Free and not entered: others do not learn of it. See the [module](self).
    Omitted,
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
    /// How many the owner was granted before this one.
    number: usize,
    /// What the owner held of the key before.
    before: Option<LockMode>,
}

#[derive(Default)]
struct Owner {
    /// In the order they were granted.
    held: Vec<Held>,
    granted: usize,
    waits_for: Option<Bytes>,
    /// With so many locks it tries again to get a whole storage; below the limit it does not.
    widens_at: usize,
}

impl Owner {
    fn push(&mut self, key: Bytes, before: Option<LockMode>) {
        self.held.push(Held { key, number: self.granted, before });
        self.granted += 1;
    }
}

/// A map that is this much larger than what is in it gives memory back.
const SPARE: usize = 8;
/// A map of so many entries is kept as it is.
const SMALL: usize = 4096;

/// The table.
pub(crate) struct LockCore {
    keys: HashMap<Bytes, Entry, ahash::RandomState>,
    owners: HashMap<OwnerId, Owner, ahash::RandomState>,
    /// Storages that one owner has as a whole.
    wide: Vec<(Bytes, OwnerId)>,
    /// Locks of one owner beyond which they are no longer entered one by one.
    limit: usize,
}

fn storage_of(key: &[u8]) -> &[u8] {
    &key[..key.len().min(STORAGE_ID_LEN)]
}

impl LockCore {
    /// An empty table.
    pub(crate) fn new(limit: usize) -> Self {
        Self { keys: HashMap::default(), owners: HashMap::default(), wide: Vec::new(), limit }
    }

    /// Who has the storage of a key as a whole.
    fn wide_over(&self, key: &[u8]) -> Option<OwnerId> {
        let storage = storage_of(key);
        self.wide.iter().find(|(wide, _)| wide == storage).map(|(_, owner)| *owner)
    }

    /// Whether an owner has so many entries. The table's number says no at once where there are few.
    fn has(&self, owner: OwnerId, count: usize) -> bool {
        self.keys.len() >= count && self.owners.get(&owner).is_some_and(|owner| owner.held.len() >= count)
    }

    fn is_free(&self, key: &[u8]) -> bool {
        !self.keys.contains_key(key) && self.wide_over(key).is_none()
    }

    /// Gives an owner the whole storage of a key, if nobody else is there and much of what it holds is.
    fn widen(&mut self, owner: OwnerId, key: &[u8]) -> bool {
        let Some(state) = self.owners.get_mut(&owner) else { return false };
        let held = state.held.len();
        if held < state.widens_at {
            return false;
        }
        state.widens_at = held + (held / 4).max(1);
        let storage = storage_of(key);
        let alone =
            |entry: &Entry| entry.queue.is_empty() && entry.holders.iter().all(|(who, _)| *who == owner);
        let mut count = 0;
        for (_, entry) in self.keys.iter().filter(|(key, _)| storage_of(key) == storage) {
            if !alone(entry) {
                return false;
            }
            count += 1;
        }
        if count * SPARE < held {
            return false;
        }
        state.held.retain(|held| storage_of(&held.key) != storage);
        state.held.shrink_to_fit();
        state.widens_at = 0;
        self.wide.push((Bytes::copy_from_slice(storage), owner));
        self.keys.retain(|key, _| storage_of(key) != storage);
        self.give_back();
        true
    }

    fn give_back(&mut self) {
        if self.keys.capacity() > SMALL && self.keys.capacity() / SPARE > self.keys.len() {
            self.keys.shrink_to(2 * self.keys.len());
        }
    }

    /// Asks for a row's key, as one of very many perhaps.
    pub(crate) fn acquire(&mut self, owner: OwnerId, key: &[u8], mode: LockMode, may_wait: bool) -> Answer {
        if self.has(owner, self.limit) && self.is_free(key) {
            if self.widen(owner, key) {
                return Answer::Granted;
            }
            if self.has(owner, self.limit.saturating_mul(2)) {
                return Answer::Omitted;
            }
        }
        self.acquire_single(owner, key, mode, may_wait)
    }

    /// Asks for a key that is known to be absent, to put a row there. Of very many, those that are free are not
    /// entered.
    pub(crate) fn acquire_new(&mut self, owner: OwnerId, key: &[u8], may_wait: bool) -> Answer {
        if self.has(owner, self.limit) && self.is_free(key) {
            return Answer::Omitted;
        }
        self.acquire_single(owner, key, LockMode::Update, may_wait)
    }

    /// Asks for a key, which gets an entry of its own unless the owner has its whole storage.
    pub(crate) fn acquire_single(
        &mut self,
        owner: OwnerId,
        key: &[u8],
        mode: LockMode,
        may_wait: bool,
    ) -> Answer {
        let wide = self.wide_over(key);
        if wide == Some(owner) {
            return Answer::Held;
        }
        let Some(entry) = self.keys.get_mut(key) else {
            if wide.is_some() && !may_wait {
                return Answer::WouldWait;
            }
            let key = Bytes::copy_from_slice(key);
            if wide.is_some() {
                // Of a storage that someone has as a whole, only those who wait have entries.
                self.keys.insert(key.clone(), Entry::default());
                return self.queue(owner, key, mode, false);
            }
            let entry = Entry { holders: SmallVec::from_iter([(owner, mode)]), queue: VecDeque::new() };
            self.keys.insert(key.clone(), entry);
            self.owners.entry(owner).or_default().push(key, None);
            return Answer::Granted;
        };
        let own = entry.holders.iter().position(|(holder, _)| *holder == owner);
        if own.is_some_and(|own| entry.holders[own].1 >= mode) {
            return Answer::Held;
        }
        if entry.queue.iter().any(|(waiter, _)| *waiter == owner) {
            return Answer::Queued;
        }
        let held_back = wide.is_some()
            || entry.holders.iter().any(|(holder, held)| *holder != owner && held.conflicts(mode))
            || (own.is_none() && entry.queue.iter().any(|(_, waits)| waits.conflicts(mode)));
        if held_back && !may_wait {
            return Answer::WouldWait;
        }
        let before = match own {
            _ if held_back => None,
            Some(own) => Some(std::mem::replace(&mut entry.holders[own].1, mode)),
            None => {
                entry.holders.push((owner, mode));
                None
            }
        };
        let key = self.keys.get_key_value(key).expect("just found").0.clone();
        if held_back {
            return self.queue(owner, key, mode, own.is_some());
        }
        self.owners.entry(owner).or_default().push(key, before);
        Answer::Granted
    }

    /// Puts an owner into a key's queue, unless it would wait for itself.
    fn queue(&mut self, owner: OwnerId, key: Bytes, mode: LockMode, strengthens: bool) -> Answer {
        let queue = &mut self.keys.get_mut(&key).expect("the caller has its entry").queue;
        if strengthens {
            queue.push_front((owner, mode))
        } else {
            queue.push_back((owner, mode))
        }
        self.owners.entry(owner).or_default().waits_for = Some(key.clone());
        if self.closes_cycle(owner) {
            self.dequeue(owner);
            self.forget_empty(&key);
            return Answer::Deadlock;
        }
        Answer::Queued
    }

    /// Whether an owner is in a queue.
    pub(crate) fn is_waiting(&self, owner: OwnerId) -> bool {
        self.owners.get(&owner).is_some_and(|owner| owner.waits_for.is_some())
    }

    /// How many entries an owner was granted, those included that it gave up: a mark for [`LockCore::release_from`].
    pub(crate) fn held(&self, owner: OwnerId) -> usize {
        self.owners.get(&owner).map_or(0, |owner| owner.granted)
    }

    /// Whether nothing is held at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.wide.is_empty()
    }

    /// Whether an owner holds a key.
    pub(crate) fn holds(&self, owner: OwnerId, key: &[u8]) -> bool {
        self.wide_over(key) == Some(owner) || self.holders(key).any(|(holder, _)| holder == owner)
    }

    /// Who holds a key by itself.
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
        let (given_up, kept): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.wide).into_iter().partition(|(_, who)| *who == owner);
        self.wide = kept;
        if !given_up.is_empty() {
            let freed = |key: &&Bytes| given_up.iter().any(|(storage, _)| storage_of(key) == storage);
            let mut waited_for: Vec<Bytes> = self.keys.keys().filter(freed).cloned().collect();
            waited_for.sort();
            waited_for.iter().for_each(|key| self.promote(key, &mut granted));
        }
        self.give_back();
        granted
    }

    /// Gives up the locks granted after the first `mark`; what was only strengthened is what it was. A storage
    /// that the owner has as a whole stays its own.
    pub(crate) fn release_from(&mut self, owner: OwnerId, mark: usize) -> Vec<OwnerId> {
        let Some(state) = self.owners.get_mut(&owner) else { return Vec::new() };
        let released = state.held.split_off(state.held.partition_point(|held| held.number < mark));
        let mut granted = Vec::new();
        for Held { key, before, .. } in released.into_iter().rev() {
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
        let wide = self.wide_over(key).is_some();
        let Some(entry) = self.keys.get_mut(key) else { return };
        let mut waiting: VecDeque<(OwnerId, LockMode)> = VecDeque::new();
        for (waiter, mode) in std::mem::take(&mut entry.queue) {
            let free = !wide
                && entry.holders.iter().all(|(holder, held)| *holder == waiter || !held.conflicts(mode))
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
            owner.push(key.clone(), before);
            granted.push(waiter);
        }
        entry.queue = waiting;
        self.forget_empty(key);
    }

    fn forget_empty(&mut self, key: &Bytes) {
        if self.keys.get(key).is_some_and(|entry| entry.holders.is_empty() && entry.queue.is_empty()) {
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
        blockers.extend(self.wide_over(key));
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
        for (id, owner) in &self.owners {
            assert!(owner.held.is_sorted_by_key(|held| held.number), "{id:?} gave up the wrong locks");
        }
        for (key, entry) in &self.keys {
            match self.wide_over(key) {
                Some(_) => assert!(entry.holders.is_empty() && !entry.queue.is_empty()),
                None => assert!(!entry.holders.is_empty(), "a queue without a holder"),
            }
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
