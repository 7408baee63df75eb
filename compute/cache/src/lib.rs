//! A compute's memory of one branch: recent writes over cached pages. A compute never has to ask
//! whether it is fresh.
//!
//! # What is guaranteed
//!
//! A read at an LSN that was applied sees exactly the effects of the commits up to it, whatever was
//! fetched, folded or let go meanwhile (R1 to R5 of the protocol rules).
//!
//! # How data flows
//!
//! 1. The feed calls [`BranchCache::apply`]: each mutation enters *recent writes*, a map by key and
//!    LSN; the applied LSN is published last.
//! 2. A [`ReadView`] answers [`ReadView::get`] and [`ReadView::range`] from memory, at once, or
//!    names the page that it lacks.
//! 3. [`ReadView::fetch`] asks a pageserver for it, at any LSN between the *floor* and the snapshot.
//! 4. When recent writes grow, [`BranchCache::begin_fold`] raises the floor and folds what lies
//!    below into the cached pages.
//! 5. Pages that are not read leave when the cache is full.
//! 6. A commit too large for recent writes raises the floor of the keys that it wrote, and of no others:
//!    they are read from pages at or above it.
//!
//! # Invariants
//!
//! 1. `floor <= applied`, and both only rise.
//! 2. Recent writes hold every mutation above the floor and at or below the applied LSN.
//! 3. A cached page at LSN p holds every row of its interval and shard at p; in its interval nothing
//!    happened between p and the floor that is not in recent writes.
//!    Where a range has a floor of its own, that counts for both.
//! 4. Cached pages of a shard are disjoint.
//!
//! # What it does not do
//!
//! It knows nothing of transactions, locks and SQL, and never writes. It does not follow the feed by
//! itself: whoever owns it subscribes, gives credit, and runs the background work that
//! [`BranchCache::wait_work`] calls for.

mod activity;
mod batch;
mod cache;
mod config;
mod fences;
mod fetch;
mod filter;
mod floors;
mod fold;
mod held;
mod inflight;
mod merge;
mod need;
mod pages;
mod pins;
mod read;
mod recent;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod view;
mod watch;

pub use activity::Written;
pub use batch::{PageRun, RowBatch, RowBytes, RunRow};
pub use cache::BranchCache;
pub use config::CacheConfig;
pub use fold::Fold;
pub use need::PageNeed;
pub use pins::Pin;
pub use view::{Lookup, Range, RangeStep, ReadView};
