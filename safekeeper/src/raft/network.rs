//! Between members: one call and its answer, whatever carries it.
//!
//! A [`Transport`] takes a [`PeerRequest`] to another member, whose [`Member::handle`](super::Member)
//! answers it. In one process, and in the simulation, requests are handed over as they are, batches
//! shared; a transport over a network serializes them.

use super::type_config::{Snapshot, SnapshotMeta, TypeConfig, Vote};
use bytes::Bytes;
use futures::future::BoxFuture;
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Timeout, Unreachable};
use openraft::network::{RPCOption, RPCTypes};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::{BasicNode, OptionalSend, RaftNetworkFactory, RaftNetworkV2};
use shardforge_common::{Error, NodeId, Result};
use std::future::Future;
use std::sync::Arc;

/// What one member asks of another.
#[derive(Debug, Clone)]
pub enum PeerRequest {
    /// Entries, or a heartbeat.
    Append(AppendEntriesRequest<TypeConfig>),
    /// A vote.
    Vote(VoteRequest<TypeConfig>),
    /// Whether it would give its vote.
    PreVote(VoteRequest<TypeConfig>),
    /// A whole snapshot, for one who is too far behind.
    Snapshot {
        /// The sender's vote.
        vote: Vote,
        /// What the snapshot covers.
        meta: SnapshotMeta,
        /// The state.
        state: Bytes,
    },
    /// Leadership is handed over.
    Transfer(TransferLeaderRequest<TypeConfig>),
}

/// The answers to them.
#[derive(Debug, Clone)]
pub enum PeerResponse {
    /// To [`PeerRequest::Append`].
    Append(AppendEntriesResponse<TypeConfig>),
    /// To both kinds of vote.
    Vote(VoteResponse<TypeConfig>),
    /// To [`PeerRequest::Snapshot`].
    Snapshot(SnapshotResponse<TypeConfig>),
    /// To [`PeerRequest::Transfer`].
    Transfer(TransferLeaderResponse<TypeConfig>),
}

/// Carries requests to other members.
pub trait Transport: Send + Sync + 'static {
    /// Asks another member, and waits for its answer. May fail, or never answer; the caller gives up by
    /// dropping the future.
    fn call(&self, to: NodeId, request: PeerRequest) -> BoxFuture<'static, Result<PeerResponse>>;
}

/// The transport of a group of one.
pub struct NoPeers;

impl Transport for NoPeers {
    fn call(&self, to: NodeId, _request: PeerRequest) -> BoxFuture<'static, Result<PeerResponse>> {
        Box::pin(async move { Err(Error::unavailable(format!("this group has one member; {to} is not it"))) })
    }
}

/// Makes a link to each peer.
pub(super) struct Links {
    pub(super) own: NodeId,
    pub(super) transport: Arc<dyn Transport>,
}

impl RaftNetworkFactory<TypeConfig> for Links {
    type Network = Link;

    async fn new_client(&mut self, target: u64, _node: &BasicNode) -> Link {
        Link { own: self.own, to: NodeId(target), transport: self.transport.clone() }
    }
}

/// The way to one peer.
pub(super) struct Link {
    own: NodeId,
    to: NodeId,
    transport: Arc<dyn Transport>,
}

impl Link {
    async fn call(
        &self,
        action: RPCTypes,
        request: PeerRequest,
        option: &RPCOption,
    ) -> Result<PeerResponse, RPCError<TypeConfig>> {
        let limit = option.soft_ttl();
        match shardforge_common::task::timeout(limit, self.transport.call(self.to, request)).await {
            Some(Ok(response)) => Ok(response),
            Some(Err(e)) => Err(RPCError::Unreachable(Unreachable::new(&e))),
            None => {
                Err(RPCError::Timeout(Timeout { action, id: self.own.0, target: self.to.0, timeout: limit }))
            }
        }
    }
}

fn unexpected(response: &PeerResponse) -> RPCError<TypeConfig> {
    let error = Error::internal(format!("a peer answered another question: {response:?}"));
    RPCError::Network(NetworkError::new(&error))
}

impl RaftNetworkV2<TypeConfig> for Link {
    type SnapshotData = Bytes;

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RPCError<TypeConfig>> {
        match self.call(RPCTypes::AppendEntries, PeerRequest::Append(rpc), &option).await? {
            PeerResponse::Append(response) => Ok(response),
            other => Err(unexpected(&other)),
        }
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        match self.call(RPCTypes::Vote, PeerRequest::Vote(rpc), &option).await? {
            PeerResponse::Vote(response) => Ok(response),
            other => Err(unexpected(&other)),
        }
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        match self.call(RPCTypes::Vote, PeerRequest::PreVote(rpc), &option).await? {
            PeerResponse::Vote(response) => Ok(response),
            other => Err(unexpected(&other)),
        }
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        let request = PeerRequest::Snapshot { vote, meta: snapshot.meta, state: snapshot.snapshot };
        let call = self.call(RPCTypes::InstallSnapshot, request, &option);
        match futures::future::select(Box::pin(call), Box::pin(cancel)).await {
            futures::future::Either::Left((Ok(PeerResponse::Snapshot(response)), _)) => Ok(response),
            futures::future::Either::Left((Ok(other), _)) => {
                let error = Error::internal(format!("a peer answered another question: {other:?}"));
                Err(StreamingError::Network(NetworkError::new(&error)))
            }
            futures::future::Either::Left((Err(RPCError::Timeout(e)), _)) => Err(StreamingError::Timeout(e)),
            futures::future::Either::Left((Err(RPCError::Unreachable(e)), _)) => {
                Err(StreamingError::Unreachable(e))
            }
            futures::future::Either::Left((Err(e), _)) => Err(StreamingError::Network(NetworkError::new(&e))),
            futures::future::Either::Right((closed, _)) => Err(StreamingError::Closed(closed)),
        }
    }

    async fn transfer_leader(
        &mut self,
        req: TransferLeaderRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<TypeConfig>, RPCError<TypeConfig>> {
        match self.call(RPCTypes::TransferLeader, PeerRequest::Transfer(req), &option).await? {
            PeerResponse::Transfer(response) => Ok(response),
            other => Err(unexpected(&other)),
        }
    }
}
