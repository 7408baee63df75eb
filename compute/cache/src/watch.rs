//! The last write under some keys, without a lookup: how a compute knows that the schema is still the one that
//! its plans were made for.

use bytes::Bytes;
use shardforge_common::Lsn;
use shardforge_common::key::prefix_end;
use shardforge_common::mutation::Mutation;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Keys with one beginning, and the LSN of their last write.
#[derive(Default)]
pub(crate) struct Watched {
    pub(crate) prefix: OnceLock<Bytes>,
    pub(crate) last: AtomicU64,
}

impl Watched {
    /// Looks at a mutation of the feed.
    pub(crate) fn see(&self, mutation: &Mutation<'_>, lsn: Lsn) {
        let Some(prefix) = self.prefix.get() else { return };
        let hit = match mutation {
            Mutation::Touch { .. } => false,
            Mutation::DeleteRange { start, end } => {
                *end > &prefix[..] && prefix_end(prefix).is_none_or(|beyond| *start < &beyond[..])
            }
            other => other.key().starts_with(prefix),
        };
        if hit {
            self.rise(lsn);
        }
    }

    pub(crate) fn rise(&self, lsn: Lsn) {
        self.last.fetch_max(lsn.0, Ordering::AcqRel);
    }
}
