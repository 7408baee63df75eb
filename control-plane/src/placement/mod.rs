//! Where a new branch goes: a pure decision over the state.

use crate::state::{Branch, Group, Shard, State, Tenant};
use shardforge_common::{BranchId, Error, Generation, GroupId, Result, SlotRange, TenantId};
use shardforge_proto::control::Role;

/// Members of a WAL group when there are enough safekeepers.
const GROUP_SIZE: usize = 3;

/// Adds a branch that has no parent, with its tenant and WAL group where they are missing. The
/// group is the one that carries the fewest branches; the pageserver the one with the fewest shards.
pub(crate) fn place_branch(
    state: &mut State,
    tenant: &str,
    name: &str,
    ids: (TenantId, BranchId),
) -> Result<BranchId> {
    if let Some(existing) = state.branch_named(tenant, name) {
        return Ok(existing);
    }
    let tenant_id = match state.tenant_named(tenant) {
        Some(id) => id,
        None => {
            state.tenants.insert(ids.0, Tenant { name: tenant.to_string() });
            ids.0
        }
    };
    let group = group_for_branch(state)?;
    let shards_of =
        |node| state.branches.values().flat_map(|b| &b.shards).filter(|shard| shard.node == node).count();
    let node = state
        .nodes_of(Role::Pageserver)
        .min_by_key(|node| shards_of(*node))
        .ok_or_else(|| Error::unavailable("no pageserver has registered: start one"))?;
    state.last_generation = Generation(state.last_generation.0 + 1);
    let shard = Shard { slots: SlotRange::ALL, node, generation: state.last_generation };
    let branch = Branch { tenant: tenant_id, name: name.to_string(), group, shards: vec![shard] };
    state.branches.insert(ids.1, branch);
    Ok(ids.1)
}

fn group_for_branch(state: &mut State) -> Result<GroupId> {
    let carried = |group| state.branches.values().filter(|branch| branch.group == group).count();
    if let Some(group) = state.groups.keys().copied().min_by_key(|group| carried(*group)) {
        return Ok(group);
    }
    let mut members: Vec<_> = state.nodes_of(Role::Safekeeper).take(GROUP_SIZE).collect();
    if members.is_empty() {
        return Err(Error::unavailable("no safekeeper has registered: start one"));
    }
    // An even number of voters survives no more losses than one fewer, and waits for one more.
    if members.len() % 2 == 0 {
        members.pop();
    }
    state.last_group = GroupId(state.last_group.0 + 1);
    state.groups.insert(state.last_group, Group { members });
    Ok(state.last_group)
}
