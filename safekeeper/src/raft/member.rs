//! One member of a group, as the rest of the crate sees it.

use super::log_store::LogStore;
use super::network::{Links, PeerRequest, PeerResponse, Transport};
use super::snapshot_file::SnapshotFile;
use super::state_machine::{Snapshots, StateMachine};
use super::type_config::{Callback, Committed, TypeConfig};
use crate::group::Batch;
use bytes::Bytes;
use futures::FutureExt;
use openraft::async_runtime::WatchReceiver;
use openraft::{BasicNode, Raft, ReadPolicy, SnapshotPolicy};
use shardforge_common::disk::Disk;
use shardforge_common::random::Random;
use shardforge_common::{Error, NodeId, Result};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// What committed entries are applied to. All calls come from one thread, in log order.
pub trait Machine: Send + Sync + 'static {
    /// Applies a batch.
    fn apply(&self, index: u64, term: u64, batch: &Batch);
    /// Passes an entry of Raft's own.
    fn pass(&self, index: u64, term: u64);
    /// The state as of the last entry applied, for [`Machine::restore`].
    fn snapshot(&self) -> Bytes;
    /// Puts a snapshot in the place of the state.
    fn restore(&self, snapshot: &[u8]) -> Result<()>;
}

/// How a member takes part.
#[derive(Debug, Clone)]
pub struct MemberConfig {
    /// Which member it is.
    pub node: NodeId,
    /// The voters with which a group that has no log yet begins, and where each can be reached.
    pub members: BTreeMap<NodeId, String>,
    /// The folder for its snapshots.
    pub dir: PathBuf,
    /// A leader says so often that it is there.
    pub heartbeat: Duration,
    /// A follower waits so long before it stands for election, and up to twice as long.
    pub election_timeout: Duration,
}

/// What a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoleChange {
    /// It leads, in this term.
    Leading(u64),
    /// It does not; this one may.
    Following(Option<NodeId>),
    /// It takes no part any more.
    Stopped,
}

/// Where a member stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberStatus {
    /// The leader it knows of.
    pub leader: Option<NodeId>,
    /// Its term.
    pub term: u64,
    /// Index of the last applied entry.
    pub applied_index: u64,
    /// Whether it is the only voter.
    pub single_voter: bool,
    /// Index covered by its snapshot.
    pub snapshot_index: Option<u64>,
    /// Index up to which the log was purged.
    pub purged_index: Option<u64>,
    /// Why it has stopped, if it has.
    pub stopped: Option<String>,
}

/// A running member.
pub struct Member {
    raft: Raft<TypeConfig, StateMachine>,
    node: NodeId,
    snapshots: Snapshots,
}

fn stopped(error: impl std::fmt::Display) -> Error {
    Error::unavailable(format!("the group's member has stopped: {error}"))
}

impl Member {
    /// Starts a member, on the current Tokio runtime: all of openraft's tasks run there. Returns when
    /// the machine has everything that was known to be committed.
    pub async fn start(
        config: MemberConfig,
        disk: Arc<dyn Disk>,
        store: LogStore,
        machine: Arc<dyn Machine>,
        transport: Arc<dyn Transport>,
        random: Random,
    ) -> Result<Member> {
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).max(1);
        let raft_config = openraft::Config {
            cluster_name: "shardforge".into(),
            heartbeat_interval: millis(config.heartbeat),
            election_timeout_min: millis(config.election_timeout),
            election_timeout_max: millis(config.election_timeout) * 2,
            install_snapshot_timeout: 60_000,
            snapshot_policy: SnapshotPolicy::Never,
            // Nothing is purged but by our own word (L1).
            max_in_snapshot_log_to_keep: u64::MAX,
            replication_lag_threshold: u64::MAX,
            enable_pre_vote: Some(true),
            enable_leader_restore: Some(false),
            ..openraft::Config::default()
        };
        let raft_config =
            raft_config.validate().map_err(|e| Error::invalid(format!("the group's settings: {e}")))?;
        // Verified here for the sake of the message: a damaged snapshot must name its file.
        let snapshots = Snapshots::new(SnapshotFile::open(disk, &config.dir)?);
        let state_machine = StateMachine::new(machine, store.clone(), snapshots.clone(), random);
        let links = Links { own: config.node, transport };
        let raft = Raft::new(config.node.0, Arc::new(raft_config), links, store, state_machine)
            .await
            .map_err(|e| Error::internal(format!("the group's member cannot start: {e}")))?;
        let member = Member { raft, node: config.node, snapshots };
        if member.raft.is_initialized().await.map_err(stopped)? {
            if member.is_single_voter() {
                member.raft.trigger().elect(false).await.map_err(stopped)?;
            }
        } else if !config.members.is_empty() {
            let members: BTreeMap<u64, BasicNode> =
                config.members.iter().map(|(node, address)| (node.0, BasicNode::new(address))).collect();
            match member.raft.initialize(members).await {
                Ok(()) => {}
                // Another member was quicker: the group exists.
                Err(e) if member.raft.is_initialized().await.map_err(stopped)? => {
                    tracing::debug!("the group was made by another member: {e}");
                }
                Err(e) => return Err(Error::internal(format!("the group cannot be made: {e}"))),
            }
        }
        Ok(member)
    }

    fn is_single_voter(&self) -> bool {
        self.raft.voter_ids().eq([self.node.0])
    }

    /// Proposes a batch under its term. Does not block. `lost` is called when the batch is not known to
    /// have been applied from this proposal, with the reason; else it is dropped.
    pub fn propose(&self, batch: Batch, lost: impl FnOnce(String) + Send + 'static) {
        let term = batch.term;
        let callback = Callback::new(move |answer| match answer {
            Some(Ok(_)) => {}
            Some(Err(e)) => lost(format!("{e}")),
            None => lost("the group's member has stopped".into()),
        });
        let request = self.raft.write(batch).with_leader(Committed::new(term)).responder(callback);
        // The channel is far longer than the number of entries in flight, so there is nothing to wait
        // for; and when it is closed, or were full, dropping the request calls `lost`.
        if let Some(Err(e)) = tokio::task::unconstrained(request.into_future()).now_or_never() {
            tracing::debug!("a batch was not proposed: {e}");
        }
    }

    /// Confirms with a quorum, in a round begun after this call, that this member leads, and waits until
    /// everything committed before has been applied here (S1).
    pub async fn confirm_leadership(&self) -> Result<()> {
        match self.raft.ensure_linearizable(ReadPolicy::ReadIndex).await {
            Ok(_) => Ok(()),
            Err(e) => Err(Error::retry(format!("leadership is not confirmed: {e}"))),
        }
    }

    /// Where it stands.
    pub fn status(&self) -> MemberStatus {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        MemberStatus {
            leader: metrics.current_leader.map(NodeId),
            term: metrics.current_term,
            applied_index: metrics.last_applied.as_ref().map_or(0, |id| id.index),
            single_voter: metrics.membership_config.membership().voter_ids().eq([self.node.0]),
            snapshot_index: metrics.snapshot.as_ref().map(|id| id.index),
            purged_index: metrics.purged.as_ref().map(|id| id.index),
            stopped: metrics.running_state.as_ref().err().map(ToString::to_string),
        }
    }

    /// What it is now.
    pub fn role(&self) -> RoleChange {
        // A core that has died leaves its last role standing.
        if self.raft.metrics().borrow_watched().running_state.is_err() {
            return RoleChange::Stopped;
        }
        let metrics = self.raft.server_metrics();
        let metrics = metrics.borrow_watched();
        if metrics.state.is_leader()
            && metrics.vote.committed
            && metrics.vote.leader_id.voted_for == self.node.0
        {
            RoleChange::Leading(metrics.vote.leader_id.term)
        } else {
            RoleChange::Following(metrics.current_leader.map(NodeId))
        }
    }

    /// Waits until the role may have changed. False when the member has stopped.
    pub async fn role_changed(&self, seen: RoleChange) -> bool {
        let mut metrics = self.raft.server_metrics();
        while self.role() == seen {
            if metrics.changed().await.is_err() {
                return false;
            }
        }
        true
    }

    /// Writes a snapshot of the state as it is, and waits until Raft counts on it. When it cannot be written,
    /// nothing has changed.
    pub async fn snapshot(&self, timeout: Duration) -> Result<u64> {
        let view = self.raft.with_state_machine(|machine: &mut StateMachine| {
            let view = machine.view();
            Box::pin(std::future::ready(view))
        });
        let view = view.await.map_err(stopped)?;
        let covered = view.index();
        self.snapshots.write(view).await?;
        self.raft.trigger().snapshot().await.map_err(stopped)?;
        let wait = self.raft.wait(Some(timeout));
        let known = wait.metrics(
            |metrics| metrics.snapshot.as_ref().is_some_and(|id| id.index >= covered),
            "the snapshot is known",
        );
        let metrics =
            known.await.map_err(|e| Error::unavailable(format!("the snapshot is not known yet: {e}")))?;
        Ok(metrics.snapshot.as_ref().map_or(0, |id| id.index))
    }

    /// The length of the current snapshot; `None` when there is none.
    pub fn snapshot_bytes(&self) -> Option<u64> {
        self.snapshots.len_bytes()
    }

    /// Drops log entries up to `index`, as far as the snapshot covers them. It may take a while.
    pub async fn purge(&self, index: u64) -> Result<()> {
        self.raft.trigger().purge_log(index).await.map_err(stopped)
    }

    /// Answers another member.
    pub async fn handle(&self, request: PeerRequest) -> Result<PeerResponse> {
        Ok(match request {
            PeerRequest::Append(rpc) => {
                PeerResponse::Append(self.raft.append_entries(rpc).await.map_err(stopped)?)
            }
            PeerRequest::Vote(rpc) => PeerResponse::Vote(self.raft.vote(rpc).await.map_err(stopped)?),
            PeerRequest::PreVote(rpc) => PeerResponse::Vote(self.raft.pre_vote(rpc).await.map_err(stopped)?),
            PeerRequest::Snapshot { vote, meta, state } => {
                let snapshot = openraft::Snapshot { meta, snapshot: state };
                let response = self.raft.install_full_snapshot(vote, snapshot).await.map_err(stopped)?;
                PeerResponse::Snapshot(response)
            }
            PeerRequest::Transfer(rpc) => {
                PeerResponse::Transfer(self.raft.handle_transfer_leader(rpc).await.map_err(stopped)?)
            }
        })
    }

    /// Stops the member; nothing is applied after it.
    pub async fn shutdown(&self) {
        if let Err(e) = self.raft.shutdown().await {
            tracing::warn!("a group's member did not stop in order: {e}");
        }
    }
}
