//! The control plane as a service: the journal's shell around the pure state.

use crate::placement::place_branch;
use crate::state::State;
use async_trait::async_trait;
use parking_lot::Mutex;
use shardforge_common::random::Random;
use shardforge_common::{BranchRef, Error, GroupId, NodeId, Result};
use shardforge_proto::control::{BranchInfo, ControlService, Registration, ShardPlacement};
use shardforge_store::journal::{FIRST, Journal, Published};
use shardforge_store::{ObjectStore, paths};
use std::sync::Arc;

/// The tenant of a single-node installation.
pub const DEFAULT_TENANT: &str = "default";
/// The first branch of a tenant.
pub const DEFAULT_BRANCH: &str = "main";

/// How many old entries of the journal are kept, for people who want to know what happened.
const KEPT_ENTRIES: usize = 100;
/// How often a change is tried again when others publish at the same time.
const ATTEMPTS: usize = 20;

/// A control plane over the journal in an object store.
pub struct ControlPlane {
    journal: Journal,
    random: Random,
    /// The latest entry that we know of, with its number.
    known: Mutex<(u64, Arc<State>)>,
    /// One change at a time from this process; others are superseded by the journal.
    changing: tokio::sync::Mutex<()>,
}

impl ControlPlane {
    /// Reads the latest state; an empty journal is an empty state.
    pub async fn open(store: Arc<dyn ObjectStore>, random: Random) -> Result<Arc<ControlPlane>> {
        let journal = Journal::new(store, paths::control_plane_state(), random.clone());
        let plane = ControlPlane {
            journal,
            random,
            known: Mutex::new((FIRST - 1, Arc::new(State::default()))),
            changing: tokio::sync::Mutex::new(()),
        };
        plane.refresh().await?;
        Ok(Arc::new(plane))
    }

    /// The state as last read or written here, with the number of its journal entry.
    pub fn state(&self) -> (u64, Arc<State>) {
        self.known.lock().clone()
    }

    /// Reads the latest state.
    pub async fn refresh(&self) -> Result<()> {
        if let Some(entry) = self.journal.latest().await? {
            let state =
                State::from_json(&entry.payload()).map_err(|e| e.context(self.journal.path(entry.number)))?;
            *self.known.lock() = (entry.number, Arc::new(state));
        }
        Ok(())
    }

    /// Makes the branch of that name, unless there is one.
    pub async fn ensure_branch(&self, tenant: &str, name: &str) -> Result<BranchInfo> {
        let ids = (self.random.tenant_id(), self.random.branch_id());
        self.change(|state| {
            let id = place_branch(state, tenant, name, ids)?;
            state.info(id).ok_or_else(|| Error::internal("a branch that was just placed is missing"))
        })
        .await
    }

    /// Publishes a change of the state, decided anew each time someone else was faster. A change
    /// that changes nothing publishes nothing.
    async fn change<T>(&self, decide: impl Fn(&mut State) -> Result<T>) -> Result<T> {
        let _one = self.changing.lock().await;
        for _ in 0..ATTEMPTS {
            let (number, before) = self.state();
            let mut state = State::clone(&before);
            let answer = decide(&mut state)?;
            if state == *before {
                return Ok(answer);
            }
            state.validate()?;
            match self.journal.publish(number + 1, &state.to_json()).await {
                Ok(Published::Counted) => {
                    *self.known.lock() = (number + 1, Arc::new(state));
                    if number.is_multiple_of(KEPT_ENTRIES as u64)
                        && let Err(error) = self.journal.clean_up(KEPT_ENTRIES).await
                    {
                        tracing::warn!(%error, "could not remove old entries of the control-plane journal");
                    }
                    return Ok(answer);
                }
                Ok(Published::Superseded) => self.refresh().await?,
                Err(error) => {
                    // It may have been published all the same; what counts is what is there now.
                    self.refresh().await?;
                    return Err(error);
                }
            }
        }
        Err(Error::unavailable("other control planes change the state all the time"))
    }
}

#[async_trait]
impl ControlService for ControlPlane {
    async fn resolve(&self, tenant: Option<&str>, branch: Option<&str>) -> Result<BranchInfo> {
        let (tenant, branch) = (tenant.unwrap_or(DEFAULT_TENANT), branch.unwrap_or(DEFAULT_BRANCH));
        let find = || {
            let (_, state) = self.state();
            state.branch_named(tenant, branch).and_then(|id| state.info(id))
        };
        if let Some(info) = find() {
            return Ok(info);
        }
        self.refresh().await?;
        find().ok_or_else(|| Error::not_found(format!("branch \"{branch}\" does not exist")))
    }

    async fn register(&self, registration: Registration) -> Result<NodeId> {
        self.change(|state| Ok(state.register(registration.clone()))).await
    }

    async fn attach_all(&self, node: NodeId) -> Result<Vec<(BranchRef, ShardPlacement)>> {
        self.change(|state| Ok(state.attach_all(node))).await
    }

    async fn branches_of(&self, group: GroupId) -> Result<Vec<BranchRef>> {
        self.refresh().await?;
        let (_, state) = self.state();
        let of_group = state.branches.iter().filter(|(_, branch)| branch.group == group);
        Ok(of_group.map(|(id, branch)| BranchRef { tenant: branch.tenant, branch: *id }).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shardforge_common::disk::RealDisk;
    use shardforge_proto::control::Role;
    use shardforge_store::LocalFolder;

    fn store(dir: &std::path::Path) -> Arc<dyn ObjectStore> {
        Arc::new(LocalFolder::open(Arc::new(RealDisk), dir).unwrap())
    }

    async fn plane(dir: &std::path::Path, seed: u64) -> Arc<ControlPlane> {
        ControlPlane::open(store(dir), Random::from_seed(seed)).await.unwrap()
    }

    fn node(role: Role) -> Registration {
        Registration { name: "here".to_string(), role, address: None }
    }

    #[tokio::test]
    async fn placement_survives_a_restart_and_each_attach_gets_a_higher_generation() {
        let dir = tempfile::tempdir().unwrap();
        let first = plane(dir.path(), 1).await;
        assert!(first.ensure_branch("default", "main").await.is_err(), "there is no node yet");
        first.register(node(Role::Safekeeper)).await.unwrap();
        let pageserver = first.register(node(Role::Pageserver)).await.unwrap();
        let branch = first.ensure_branch("default", "main").await.unwrap();
        let before = first.attach_all(pageserver).await.unwrap();

        let second = plane(dir.path(), 2).await;
        assert_eq!(second.register(node(Role::Pageserver)).await.unwrap(), pageserver);
        assert_eq!(second.ensure_branch("default", "main").await.unwrap().id, branch.id);
        let after = second.attach_all(pageserver).await.unwrap();
        assert!(after[0].1.generation > before[0].1.generation);
        assert_eq!(second.resolve(None, None).await.unwrap().id, branch.id);
        assert!(second.resolve(None, Some("nope")).await.is_err());
    }

    #[tokio::test]
    async fn two_control_planes_never_give_the_same_id_twice() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (plane(dir.path(), 1).await, plane(dir.path(), 2).await);
        let mut ids = Vec::new();
        for round in 0..5 {
            for plane in [&a, &b] {
                let name = format!("{round}{}", ids.len());
                let registration = Registration { name, role: Role::Compute, address: None };
                ids.push(plane.register(registration).await.unwrap());
            }
        }
        let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
        assert_eq!(distinct.len(), ids.len());
        a.refresh().await.unwrap();
        b.refresh().await.unwrap();
        assert_eq!(a.state(), b.state());
    }
}
