//! Equal page requests that run at the same time share one answer.

use crate::need::PageNeed;
use bytes::Bytes;
use parking_lot::Mutex;
use shardforge_proto::page::Direction;
use std::collections::HashMap;
use std::sync::Arc;

type RequestKey = (u16, bool, Bytes);

/// The requests that run. Whoever holds a request's lock asks; the others wait for it and then look
/// into the cache. A future that is dropped lets go of its lock, so nobody waits for the dead.
#[derive(Default)]
pub(crate) struct Inflight {
    running: Mutex<HashMap<RequestKey, Arc<tokio::sync::Mutex<()>>>>,
}

/// The right to ask.
pub(crate) struct Turn<'a> {
    owner: &'a Inflight,
    key: RequestKey,
    guard: Option<tokio::sync::OwnedMutexGuard<()>>,
    /// Whether someone else asked meanwhile.
    pub(crate) waited: bool,
}

impl Inflight {
    pub(crate) async fn turn(&self, need: &PageNeed) -> Turn<'_> {
        let key = (need.slots.first, need.direction == Direction::Backward, need.key.clone());
        let lock = self.running.lock().entry(key.clone()).or_default().clone();
        let (guard, waited) = match lock.clone().try_lock_owned() {
            Ok(guard) => (guard, false),
            Err(_) => (lock.lock_owned().await, true),
        };
        Turn { owner: self, key, guard: Some(guard), waited }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut running = self.owner.running.lock();
        self.guard = None;
        // The map's own, and none of a waiter: no one needs the entry any more.
        if running.get(&self.key).is_some_and(|lock| Arc::strong_count(lock) == 1) {
            running.remove(&self.key);
        }
    }
}
