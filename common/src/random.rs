//! The randomness seam: a handle that a simulation seeds, and per-thread functions over one.

#![allow(clippy::disallowed_methods, reason = "this is where the seam meets the operating system")]

use crate::{BranchId, TenantId, TxnId};
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;

/// A source of random numbers; clones share it.
#[derive(Clone)]
pub struct Random(Arc<Mutex<StdRng>>);

impl Random {
    /// Seeded by the operating system.
    pub fn from_os() -> Self {
        Self(Arc::new(Mutex::new(rand::make_rng())))
    }

    /// The same numbers for the same seed.
    pub fn from_seed(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(StdRng::seed_from_u64(seed))))
    }

    /// Any 64 bits.
    pub fn u64(&self) -> u64 {
        self.0.lock().next_u64()
    }

    /// A number in a range that is not empty.
    pub fn range(&self, range: Range<u64>) -> u64 {
        self.0.lock().random_range(range)
    }

    /// In `[0, 1)`.
    pub fn f64(&self) -> f64 {
        self.0.lock().random()
    }

    /// Fills with random bytes.
    pub fn fill(&self, bytes: &mut [u8]) {
        self.0.lock().fill_bytes(bytes);
    }

    /// Sixteen random bytes: a salt, a nonce, an id.
    pub fn bytes16(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        self.fill(&mut bytes);
        bytes
    }

    /// A new transaction id.
    pub fn txn_id(&self) -> TxnId {
        TxnId(uuid::Builder::from_random_bytes(self.bytes16()).into_uuid())
    }

    /// A new branch id.
    pub fn branch_id(&self) -> BranchId {
        BranchId(uuid::Builder::from_random_bytes(self.bytes16()).into_uuid())
    }

    /// A new tenant id.
    pub fn tenant_id(&self) -> TenantId {
        TenantId(uuid::Builder::from_random_bytes(self.bytes16()).into_uuid())
    }

    /// A ULID: 26 characters that sort by time (milliseconds since 1970), then 80 random bits.
    pub fn ulid(&self, millis: u64) -> String {
        const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
        let noise = u128::from_le_bytes(self.bytes16()) & ((1 << 80) - 1);
        let value = u128::from(millis & ((1 << 48) - 1)) << 80 | noise;
        (0..26).rev().map(|digit| char::from(DIGITS[(value >> (5 * digit)) as usize & 31])).collect()
    }
}

thread_local! {
    static THREAD: RefCell<Random> = RefCell::new(Random::from_os());
}

/// From now on this thread's functions below follow a seed: a simulation replays.
pub fn seed_thread(seed: u64) {
    THREAD.with(|random| *random.borrow_mut() = Random::from_seed(seed));
}

/// This thread's source.
pub fn thread() -> Random {
    THREAD.with(|random| random.borrow().clone())
}

/// A new transaction id.
pub fn txn_id() -> TxnId {
    thread().txn_id()
}

/// A new branch id.
pub fn branch_id() -> BranchId {
    thread().branch_id()
}

/// A new tenant id.
pub fn tenant_id() -> TenantId {
    thread().tenant_id()
}

/// Any 64 bits.
pub fn u64() -> u64 {
    thread().u64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_replays_and_sources_differ() {
        let draw = |random: Random| (random.u64(), random.txn_id(), random.range(0..1000));
        assert_eq!(draw(Random::from_seed(7)), draw(Random::from_seed(7)));
        assert_ne!(draw(Random::from_os()), draw(Random::from_os()));
        seed_thread(7);
        let first = txn_id();
        seed_thread(7);
        assert_eq!(first, txn_id());
    }

    #[test]
    fn ulids_sort_by_time() {
        let random = Random::from_seed(1);
        assert!(random.ulid(1) < random.ulid(2));
        assert_eq!(random.ulid(0).len(), 26);
        assert!(random.ulid(0).starts_with("0000000000"));
    }
}
