//! Desired against observed: a pure diff that says what is still to be done.

use crate::state::State;
use shardforge_common::{BranchRef, GroupId, NodeId, SlotRange};
use shardforge_proto::control::ShardPlacement;
use std::collections::BTreeSet;

/// What the parts were seen to have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    /// Branches whose log a group carries.
    pub logs: BTreeSet<(GroupId, BranchRef)>,
    /// Shards that a pageserver has attached.
    pub shards: BTreeSet<(NodeId, BranchRef, SlotRange)>,
}

/// One step towards the desired state. Every step may be done twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Open the branch's log in its group.
    CreateLog(GroupId, BranchRef),
    /// Have the pageserver attach the shard.
    Attach(BranchRef, ShardPlacement),
}

/// What is to be done, logs before shards, since a shard follows its branch's log.
pub fn diff(desired: &State, observed: &Observed) -> Vec<Action> {
    let branches: Vec<_> = desired.branches.keys().filter_map(|id| desired.info(*id)).collect();
    let logs = branches
        .iter()
        .filter(|branch| !observed.logs.contains(&(branch.group, branch.id)))
        .map(|branch| Action::CreateLog(branch.group, branch.id));
    let shards = branches.iter().flat_map(|branch| {
        branch
            .shards
            .iter()
            .filter(|shard| !observed.shards.contains(&(shard.node, branch.id, shard.slots)))
            .map(|shard| Action::Attach(branch.id, *shard))
    });
    logs.chain(shards).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::placement::place_branch;
    use shardforge_common::{BranchId, TenantId};
    use shardforge_proto::control::{Registration, Role};

    #[test]
    fn what_is_there_is_not_done_again() {
        let mut state = State::default();
        for role in [Role::Safekeeper, Role::Pageserver] {
            state.register(Registration { name: "n".to_string(), role, address: None });
        }
        let ids = (TenantId::from_bytes([1; 16]), BranchId::from_bytes([2; 16]));
        let id = place_branch(&mut state, "t", "main", ids).unwrap();
        let info = state.info(id).unwrap();
        let mut observed = Observed::default();
        let all = diff(&state, &observed);
        assert_eq!(all, [Action::CreateLog(info.group, info.id), Action::Attach(info.id, info.shards[0])]);
        observed.logs.insert((info.group, info.id));
        assert_eq!(diff(&state, &observed), all[1..]);
        observed.shards.insert((info.shards[0].node, info.id, info.shards[0].slots));
        assert_eq!(diff(&state, &observed), []);
    }
}
