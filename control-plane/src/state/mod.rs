//! Desired state, as the journal has it: plain values, changed by pure functions.

use serde::{Deserialize, Serialize};
use shardforge_common::{
    BranchId, BranchRef, Error, Generation, GroupId, NodeId, Result, SlotRange, TenantId,
};
use shardforge_proto::control::{BranchInfo, Registration, Role, ShardPlacement};
use std::collections::BTreeMap;

/// The format of the journal's payload.
const FORMAT: u32 = 1;

/// Everything the control plane wants to be true.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// The payload's format; a higher one than ours is refused.
    pub format: u32,
    /// Nodes that have ever registered.
    pub nodes: BTreeMap<NodeId, Node>,
    /// WAL groups.
    pub groups: BTreeMap<GroupId, Group>,
    /// Tenants.
    pub tenants: BTreeMap<TenantId, Tenant>,
    /// Branches.
    pub branches: BTreeMap<BranchId, Branch>,
    /// The last number given to a node; numbers are never used again.
    pub last_node: NodeId,
    /// The last number given to a group.
    pub last_group: GroupId,
    /// The last generation given to any shard.
    pub last_generation: Generation,
}

/// A node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// What it does.
    pub role: Role,
    /// Where it listens; `None` when it is part of the control plane's process.
    pub address: Option<std::net::SocketAddr>,
}

/// A WAL group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// The safekeepers that vote in it.
    pub members: Vec<NodeId>,
}

/// A tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tenant {
    /// Its name, unique.
    pub name: String,
}

/// A branch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Branch {
    /// Its tenant.
    pub tenant: TenantId,
    /// Its name, unique in its tenant.
    pub name: String,
    /// The group that carries its log.
    pub group: GroupId,
    /// Its shards.
    pub shards: Vec<Shard>,
}

/// A shard of a branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shard {
    /// Its slots.
    pub slots: SlotRange,
    /// The pageserver that serves it.
    pub node: NodeId,
    /// Given at the last attach.
    pub generation: Generation,
}

impl Default for State {
    fn default() -> Self {
        Self {
            format: FORMAT,
            nodes: BTreeMap::new(),
            groups: BTreeMap::new(),
            tenants: BTreeMap::new(),
            branches: BTreeMap::new(),
            last_node: NodeId(0),
            last_group: GroupId(0),
            last_generation: Generation(0),
        }
    }
}

impl State {
    /// Reads a journal entry's payload.
    pub fn from_json(bytes: &[u8]) -> Result<State> {
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let corrupt = |e: serde_json::Error| Error::corrupt(format!("control-plane state: {e}"));
        let Format { format } = serde_json::from_slice(bytes).map_err(corrupt)?;
        if format > FORMAT {
            return Err(Error::invalid(format!(
                "the control-plane state has format {format}; this program reads up to {FORMAT}: use a newer one"
            )));
        }
        let state: State = serde_json::from_slice(bytes).map_err(corrupt)?;
        state.validate()?;
        Ok(state)
    }

    /// The payload of a journal entry.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).expect("plain values serialize")
    }

    /// Checks what must hold of every state (invariants 2 and 3 of the crate).
    pub fn validate(&self) -> Result<()> {
        let wrong = |what: String| Err(Error::corrupt(format!("control-plane state: {what}")));
        if self.nodes.keys().any(|id| *id > self.last_node)
            || self.groups.keys().any(|id| *id > self.last_group)
        {
            return wrong("an id above the last one given".to_string());
        }
        for (id, branch) in &self.branches {
            let mut next = 0u32;
            for shard in &branch.shards {
                if u32::from(shard.slots.first) != next || shard.slots.last < shard.slots.first {
                    return wrong(format!("the shards of branch {id} do not cover all slots once"));
                }
                if shard.generation > self.last_generation || !self.nodes.contains_key(&shard.node) {
                    return wrong(format!("shard {} of branch {id} has no valid owner", shard.slots));
                }
                next = u32::from(shard.slots.last) + 1;
            }
            if next != 1 << 16 {
                return wrong(format!("the shards of branch {id} do not cover all slots once"));
            }
            if !self.tenants.contains_key(&branch.tenant) || !self.groups.contains_key(&branch.group) {
                return wrong(format!("branch {id} belongs to nobody"));
            }
        }
        Ok(())
    }

    /// The node of a registration: the one of the same name and role, or a new one.
    pub fn register(&mut self, registration: Registration) -> NodeId {
        let Registration { name, role, address } = registration;
        let known = self.nodes.iter_mut().find(|(_, node)| node.name == name && node.role == role);
        if let Some((id, node)) = known {
            node.address = address;
            return *id;
        }
        self.last_node = NodeId(self.last_node.0 + 1);
        self.nodes.insert(self.last_node, Node { name, role, address });
        self.last_node
    }

    /// Nodes of a role.
    pub fn nodes_of(&self, role: Role) -> impl Iterator<Item = NodeId> {
        self.nodes.iter().filter(move |(_, node)| node.role == role).map(|(id, _)| *id)
    }

    /// A tenant by its name.
    pub fn tenant_named(&self, name: &str) -> Option<TenantId> {
        self.tenants.iter().find(|(_, tenant)| tenant.name == name).map(|(id, _)| *id)
    }

    /// A branch by the names of its tenant and itself.
    pub fn branch_named(&self, tenant: &str, name: &str) -> Option<BranchId> {
        let tenant = self.tenant_named(tenant)?;
        self.branches
            .iter()
            .find(|(_, branch)| branch.tenant == tenant && branch.name == name)
            .map(|(id, _)| *id)
    }

    /// What is needed to open a branch.
    pub fn info(&self, id: BranchId) -> Option<BranchInfo> {
        let branch = self.branches.get(&id)?;
        Some(BranchInfo {
            id: BranchRef { tenant: branch.tenant, branch: id },
            tenant: self.tenants.get(&branch.tenant)?.name.clone(),
            name: branch.name.clone(),
            group: branch.group,
            shards: branch.shards.iter().map(Shard::placement).collect(),
        })
    }

    /// Gives each shard of a pageserver a new generation, and lists them.
    pub fn attach_all(&mut self, node: NodeId) -> Vec<(BranchRef, ShardPlacement)> {
        let mut attached = Vec::new();
        for (id, branch) in &mut self.branches {
            let of_node = branch.shards.iter_mut().filter(|shard| shard.node == node);
            for shard in of_node {
                self.last_generation = Generation(self.last_generation.0 + 1);
                shard.generation = self.last_generation;
                attached.push((BranchRef { tenant: branch.tenant, branch: *id }, shard.placement()));
            }
        }
        attached
    }
}

impl Shard {
    /// The shard as other parts know it.
    pub fn placement(&self) -> ShardPlacement {
        ShardPlacement { slots: self.slots, node: self.node, generation: self.generation }
    }
}
