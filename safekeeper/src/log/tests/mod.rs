//! Tests of the log as a whole. Those without a thread are driven by hand, and replay.

mod basics;
mod damage;
mod full_disk;
mod model;
mod power_loss;
mod scripts;

use super::*;
use bytes::Bytes;
use parking_lot::Mutex;
use shardforge_common::disk::{Disk, PowerLossDisk};
use shardforge_common::{GroupId, Result};
use std::path::Path;
use std::sync::Arc;

/// Small segments, so that everything that can happen happens.
pub(super) fn small() -> LogConfig {
    LogConfig { segment_bytes: 4096, cache_bytes: 1024, batch_bytes: 2048, ..LogConfig::default() }
}

pub(super) fn open(disk: &PowerLossDisk, config: &LogConfig) -> Result<(Log, LogPump)> {
    Log::open_without_thread(Arc::new(disk.clone()) as Arc<dyn Disk>, Path::new("/wal"), config.clone())
}

pub(super) fn entry(index: u64, payload: &[u8]) -> LogEntry {
    LogEntry { index, head: Bytes::from(format!("term-{index}")), payload: Bytes::copy_from_slice(payload) }
}

/// What a completion said, once it has been called.
#[derive(Clone, Default)]
pub(super) struct Outcome(Arc<Mutex<Option<Result<()>>>>);

impl Outcome {
    pub(super) fn done(&self) -> Done {
        let to = self.0.clone();
        Box::new(move |result| assert!(to.lock().replace(result).is_none(), "completed twice"))
    }

    pub(super) fn get(&self) -> Option<Result<()>> {
        self.0.lock().clone()
    }

    pub(super) fn is_ok(&self) -> bool {
        matches!(self.get(), Some(Ok(())))
    }
}

pub(super) const G: GroupId = GroupId(1);
