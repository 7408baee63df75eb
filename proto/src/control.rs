//! The service of the control plane, as the other parts see it.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use shardforge_common::{BranchRef, Generation, GroupId, NodeId, Result, SlotRange};
use std::net::SocketAddr;

/// What a node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Keeps the log.
    Safekeeper,
    /// Serves pages.
    Pageserver,
    /// Runs SQL.
    Compute,
}

/// A node as it registers itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// A name that survives restarts: the same name gets the same id while its disk is the same.
    pub name: String,
    /// What it does.
    pub role: Role,
    /// Where it listens; `None` when it is part of the control plane's own process.
    pub address: Option<SocketAddr>,
}

/// One shard of a branch and who serves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardPlacement {
    /// Its slots.
    pub slots: SlotRange,
    /// The pageserver.
    pub node: NodeId,
    /// Given at the last attach.
    pub generation: Generation,
}

/// A branch, with everything that is needed to open it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BranchInfo {
    /// Its id and its tenant's.
    pub id: BranchRef,
    /// Its tenant's name.
    pub tenant: String,
    /// Its name.
    pub name: String,
    /// The WAL group that carries its log.
    pub group: GroupId,
    /// Its shards, which together cover all slots.
    pub shards: Vec<ShardPlacement>,
}

/// A control plane.
#[async_trait]
pub trait ControlService: Send + Sync {
    /// The branch of that name, of the default tenant unless one is named. `NotFound` without one.
    async fn resolve(&self, tenant: Option<&str>, branch: Option<&str>) -> Result<BranchInfo>;

    /// Makes a node known, and gives it its id.
    async fn register(&self, registration: Registration) -> Result<NodeId>;

    /// The shards that a pageserver is to attach now, each with a new generation: every process
    /// start is an attach (P1).
    async fn attach_all(&self, node: NodeId) -> Result<Vec<(BranchRef, ShardPlacement)>>;

    /// The branches whose log a group carries.
    async fn branches_of(&self, group: GroupId) -> Result<Vec<BranchRef>>;
}
