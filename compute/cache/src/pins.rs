//! Which snapshots are being read: the floor stays at or below them while memory permits (R4).

use parking_lot::Mutex;
use shardforge_common::Lsn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The pins of a branch. Taking one allocates only when more are out than ever before.
#[derive(Default)]
pub(crate) struct Pins {
    slots: Mutex<Slots>,
}

#[derive(Default)]
struct Slots {
    all: Vec<Arc<AtomicU64>>,
    free: Vec<Arc<AtomicU64>>,
}

impl Pins {
    pub(crate) fn take(self: &Arc<Self>) -> Pin {
        let mut slots = self.slots.lock();
        let slot = slots.free.pop().unwrap_or_else(|| {
            let slot = Arc::new(AtomicU64::new(u64::MAX));
            slots.all.push(slot.clone());
            slot
        });
        Pin { slot, pins: self.clone() }
    }

    /// The lowest pinned LSN; [`Lsn::MAX`] without pins.
    pub(crate) fn lowest(&self) -> Lsn {
        let slots = self.slots.lock();
        Lsn(slots.all.iter().map(|slot| slot.load(Ordering::Relaxed)).min().unwrap_or(u64::MAX))
    }
}

/// Holds the floor at or below an LSN. A preference, not a promise: a reader that the floor has
/// passed reads around the cache.
pub struct Pin {
    slot: Arc<AtomicU64>,
    pins: Arc<Pins>,
}

impl Pin {
    pub(crate) fn set(&self, lsn: Lsn) {
        self.slot.store(lsn.0, Ordering::Relaxed);
    }

    pub(crate) fn clear(&self) {
        self.set(Lsn::MAX);
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        self.clear();
        self.pins.slots.lock().free.push(self.slot.clone());
    }
}
