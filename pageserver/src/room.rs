//! Whether the object store has room for what a shard writes. While it has none the log's leader is told, and refuses
//! commits: what cannot be written cannot be ingested for long either, and then reads would wait.

use parking_lot::Mutex;
use shardforge_common::{Error, is_disk_full};

/// What a shard puts into the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Put {
    /// Layers, and what makes them readable.
    Flush,
    /// A manifest, on anyone's behalf.
    Manifest,
    /// Layers made of others, when there are too many for ingest to go on.
    Compaction,
}

/// Why the last attempt at each failed, while it was for lack of room.
#[derive(Debug, Default)]
pub(crate) struct StoreRoom(Mutex<[Option<String>; 3]>);

impl StoreRoom {
    /// An attempt failed. Says whether it is news that there is no room.
    pub(crate) fn failed(&self, put: Put, error: &Error) -> bool {
        if !is_disk_full(error) {
            return false;
        }
        self.0.lock()[put as usize].replace(error.to_string()).is_none()
    }

    /// An attempt succeeded. Says whether it is news that there is room.
    pub(crate) fn succeeded(&self, put: Put) -> bool {
        self.0.lock()[put as usize].take().is_some()
    }

    /// Why there is no room, while there is none.
    pub(crate) fn full(&self) -> Option<String> {
        self.0.lock().iter().flatten().next().cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn a_small_put_that_succeeds_does_not_say_that_a_large_one_would() {
        let full = Error::unavailable("creating").with_source(io::Error::from(io::ErrorKind::StorageFull));
        let room = StoreRoom::default();
        assert!(!room.failed(Put::Flush, &Error::unavailable("no answer")) && room.full().is_none());
        assert!(room.failed(Put::Flush, &full) && !room.failed(Put::Flush, &full));
        assert!(room.failed(Put::Manifest, &full));
        assert!(room.succeeded(Put::Manifest) && room.full().is_some());
        assert!(room.succeeded(Put::Flush) && room.full().is_none());
    }
}
