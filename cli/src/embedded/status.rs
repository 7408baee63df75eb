//! Asks each part of this process how it fares.

use async_trait::async_trait;
use serde_json::json;
use shardforge_common::clock::Clock;
use shardforge_common::{BranchRef, Result, task};
use shardforge_compute::pgwire::server::Server;
use shardforge_control_plane::ControlPlane;
use shardforge_control_plane::api::{PartStatus, Status, StatusSource};
use shardforge_pageserver::PageServer;
use shardforge_proto::page::PageService;
use shardforge_proto::wal::WalService;
use shardforge_safekeeper::Safekeeper;
use shardforge_store::{ObjectStore, paths};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// A part that has not answered by then is not healthy.
const PATIENCE: Duration = Duration::from_secs(5);

/// The parts to ask.
pub(super) struct Parts {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) started: Duration,
    pub(super) plane: Arc<ControlPlane>,
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) safekeeper: Arc<Safekeeper>,
    pub(super) pageserver: Arc<PageServer>,
    pub(super) server: Arc<Server>,
    pub(super) sql: SocketAddr,
}

/// One line, and particulars.
type Answer = Result<(String, serde_json::Value)>;

async fn ask(part: &str, answer: impl Future<Output = Answer>) -> PartStatus {
    let answered = match task::timeout(PATIENCE, answer).await {
        Some(answer) => answer.map_err(|error| error.to_string()),
        None => Err(format!("no answer within {} s", PATIENCE.as_secs())),
    };
    let (healthy, (summary, detail)) = match answered {
        Ok(answer) => (true, answer),
        Err(error) => (false, (error, json!({}))),
    };
    PartStatus { part: part.to_string(), healthy, summary, detail }
}

#[async_trait]
impl StatusSource for Parts {
    async fn status(&self) -> Status {
        let (store, plane, safekeeper, pageserver, compute) = tokio::join!(
            ask("object-store", self.store()),
            ask("control-plane", self.plane()),
            ask("safekeeper", self.safekeeper()),
            ask("pageserver", self.pageserver()),
            ask("compute", self.compute()),
        );
        let parts = vec![store, plane, safekeeper, pageserver, compute];
        Status {
            version: env!("CARGO_PKG_VERSION").to_string(),
            healthy: parts.iter().all(|part| part.healthy),
            uptime_seconds: self.clock.boottime().saturating_sub(self.started).as_secs(),
            parts,
        }
    }
}

impl Parts {
    fn branches(&self) -> Vec<(String, BranchRef)> {
        let (_, state) = self.plane.state();
        let name = |branch: &shardforge_control_plane::Branch| {
            let tenant = state.tenants.get(&branch.tenant).map_or("?", |tenant| tenant.name.as_str());
            format!("{tenant}/{}", branch.name)
        };
        let all = state.branches.iter();
        all.map(|(id, branch)| (name(branch), BranchRef { tenant: branch.tenant, branch: *id })).collect()
    }

    async fn store(&self) -> Answer {
        let entries = self.store.list(&paths::control_plane_state()).await?;
        Ok((self.store.describe(), json!({ "control_plane_entries": entries.len() })))
    }

    async fn plane(&self) -> Answer {
        self.plane.refresh().await?;
        let (number, state) = self.plane.state();
        let summary =
            format!("{} branches, {} nodes, journal entry {number}", state.branches.len(), state.nodes.len());
        Ok((
            summary,
            json!({ "journal_entry": number, "branches": state.branches.len(), "nodes": state.nodes.len() }),
        ))
    }

    async fn safekeeper(&self) -> Answer {
        let group = self.safekeeper.group_status().await?;
        if let Some(reason) = group.stopped {
            return Err(shardforge_common::Error::unavailable(format!("the log has stopped: {reason}")));
        }
        if let Some(reason) = group.full {
            let message = format!("writes are refused until there is room on the disk: {reason}");
            return Err(shardforge_common::Error::unavailable(message));
        }
        let mut branches = serde_json::Map::new();
        for (name, branch) in self.branches() {
            let status = self.safekeeper.branch_status(branch).await?;
            branches.insert(
                name,
                json!({
                    "committed": status.committed.0,
                    "uploaded": status.uploaded.0,
                    "ingested": status.ingested.0,
                    "first_available": status.first_available.0,
                }),
            );
        }
        let leader = group.leader.map_or("no leader".to_string(), |leader| format!("leader {leader}"));
        let summary = format!("{leader}, term {}, {} MiB of log", group.term, group.log_bytes >> 20);
        let detail = json!({
            "node": group.node.0,
            "leader": group.leader.map(|node| node.0),
            "term": group.term,
            "durable_index": group.durable_index,
            "applied_index": group.applied_index,
            "log_bytes": group.log_bytes,
            "log_segments": group.log_segments,
            "branches": branches,
        });
        Ok((summary, detail))
    }

    async fn pageserver(&self) -> Answer {
        let shards = self.pageserver.shards().await?;
        let layers: u64 = shards.iter().map(|shard| shard.layers).sum();
        let bytes: u64 = shards.iter().map(|shard| shard.layer_bytes).sum();
        let summary = format!("{} shards, {layers} layers, {} MiB", shards.len(), bytes >> 20);
        let detail: Vec<_> = shards
            .iter()
            .map(|shard| {
                json!({
                    "branch": shard.branch.to_string(),
                    "slots": shard.slots.to_string(),
                    "ingested": shard.ingested.0,
                    "uploaded": shard.uploaded.0,
                    "manifest": shard.manifest,
                    "layers": shard.layers,
                    "layer_bytes": shard.layer_bytes,
                    "memtable_bytes": shard.memtable_bytes,
                })
            })
            .collect();
        Ok((summary, json!({ "shards": detail })))
    }

    /// Connects as a client would: a listener that does not accept is not healthy.
    async fn compute(&self) -> Answer {
        tokio::net::TcpStream::connect(self.sql).await.map_err(|error| {
            shardforge_common::Error::unavailable(format!("SQL does not answer on {}: {error}", self.sql))
        })?;
        let connections = self.server.connection_count();
        Ok((format!("SQL on {}, {connections} connections", self.sql), json!({ "connections": connections })))
    }
}
