//! The settings of a safekeeper.

use crate::log::LogConfig;
use crate::sequencer::CoreConfig;
use shardforge_common::{GroupId, NodeId};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// How a safekeeper runs.
#[derive(Debug, Clone)]
pub struct SafekeeperConfig {
    /// Which node it is; never used again after its disk is lost.
    pub node: NodeId,
    /// The WAL group it belongs to.
    pub group: GroupId,
    /// Its folder.
    pub dir: PathBuf,
    /// The members with which the group begins, and their addresses. They must be the same for all.
    pub members: BTreeMap<NodeId, String>,
    /// The log on disk.
    pub log: LogConfig,
    /// A leader says so often that it is there.
    pub heartbeat: Duration,
    /// A follower waits so long for a leader before it stands for election, and up to twice as long.
    pub election_timeout: Duration,
    /// Memory and size bounds of the sequencer.
    pub core: CoreConfig,
    /// How many Raft entries may be in flight. In a group of one a second one only makes batches smaller.
    pub pipeline_depth: usize,
    /// The log is written and synced by a thread of its own, and not by the group's. In a group with
    /// other members it always is.
    pub own_log_thread: bool,
    /// How long the sole-writer lease lasts after each renewal; `None`: there is none (S2).
    pub lease: Option<Duration>,
    /// A staged transaction of which nothing was heard for so long is aborted (C6).
    pub staged_lease: Duration,
    /// Between two looks at what can be archived and trimmed.
    pub trim_interval: Duration,
    /// Records are archived while the log takes more than this on disk, in bytes: before that, layers
    /// are expected to hold them soon.
    pub archive_above_bytes: u64,
    /// An archived segment holds about so much, in bytes.
    pub archive_segment_bytes: usize,
}

impl SafekeeperConfig {
    /// The settings of a group of one.
    pub fn single(node: NodeId, group: GroupId, dir: PathBuf) -> Self {
        Self {
            node,
            group,
            dir,
            members: BTreeMap::from([(node, String::new())]),
            log: LogConfig::default(),
            heartbeat: Duration::from_millis(150),
            election_timeout: Duration::from_millis(1000),
            core: CoreConfig { window_bytes: 64 << 20, max_batch_bytes: 4 << 20 },
            pipeline_depth: 1,
            own_log_thread: false,
            lease: Some(Duration::from_secs(2)),
            staged_lease: Duration::from_secs(600),
            trim_interval: Duration::from_secs(1),
            archive_above_bytes: 1 << 30,
            archive_segment_bytes: 32 << 20,
        }
    }
}
