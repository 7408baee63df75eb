//! Every part in one process: the same parts, protocols and files as on many machines, talking by
//! direct calls.
//!
//! # The data folder
//!
//! ```text
//! shardforge.toml   configuration, when `init` wrote it here
//! FORMAT            format version of the folder; a newer one than ours is refused
//! LOCK              held by the process that has the folder open
//! safekeeper/       the log, and NODE: who this safekeeper is, as long as its log is here
//! pageserver/       caches; may be deleted while nothing runs
//! compute/          what large transactions spill; emptied at each start
//! objects/          the object store, unless object_store.url names another
//! ```
//!
//! # The order of a start, and backwards of a stop
//!
//! 1. The folder is locked and its format checked.
//! 2. The object store is opened, and the control plane's journal read.
//! 3. The safekeeper recovers its log; branches that it does not carry yet are opened in it.
//! 4. The pageserver attaches its shards, each under a new generation.
//! 5. The compute listens, then the REST API: whoever sees the API ready can connect.

mod folder;
mod status;

use anyhow::{Context, Result, anyhow, bail};
use metrics_exporter_prometheus::PrometheusHandle;
use shardforge_analytics::{DataFusionEngine, EngineConfig};
use shardforge_common::clock::{Clock, SystemClock};
use shardforge_common::config::Config;
use shardforge_common::disk::{Disk, RealDisk};
use shardforge_common::random::Random;
use shardforge_common::{NodeId, task};
use shardforge_compute::node::{Compute, ComputeParts};
use shardforge_compute::pgwire::server::{Server, ServerLimits};
use shardforge_compute::statistics::AutovacuumConfig;
use shardforge_compute::txn::BranchConfig;
use shardforge_control_plane::reconcile::{Action, Observed, diff};
use shardforge_control_plane::{ControlPlane, ControlService, DEFAULT_BRANCH, DEFAULT_TENANT, api};
use shardforge_pageserver::{PageServer, Parts};
use shardforge_proto::control::{Registration, Role};
use shardforge_proto::page::PageService;
use shardforge_proto::wal::WalService;
use shardforge_safekeeper::{Safekeeper, SafekeeperConfig};
use shardforge_store::ObjectStore;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// How long running statements may take to end after a signal.
const GRACE: Duration = Duration::from_secs(5);

/// A running ShardForge.
pub(crate) struct Embedded {
    folder: folder::DataFolder,
    server: Arc<Server>,
    pageserver: Arc<PageServer>,
    safekeeper: Arc<Safekeeper>,
    stop_api: watch::Sender<bool>,
    api: task::JoinHandle<()>,
    listener: task::JoinHandle<()>,
    /// Where SQL is served: the port that was really taken.
    pub(crate) sql: SocketAddr,
    /// Where the REST API is.
    pub(crate) http: SocketAddr,
    /// Where durable state is, for a person.
    pub(crate) store: String,
}

impl Embedded {
    /// Starts everything; returns when clients can connect. The pageserver's work is done on runtimes of its own.
    pub(crate) async fn start(
        config: &Config,
        metrics: PrometheusHandle,
        (ingest, background): (&tokio::runtime::Handle, &tokio::runtime::Handle),
    ) -> Result<Embedded> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let started = clock.boottime();
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let random = Random::from_os();
        // Ports first: a mistake there is found before anything is touched.
        let sql =
            listen(config.sql.listen, "SQL", "sql.listen, --sql-listen or SHARDFORGE_SQL_LISTEN").await?;
        let http = listen(
            config.http.listen,
            "the REST API",
            "http.listen, --http-listen or SHARDFORGE_HTTP_LISTEN",
        )
        .await?;
        let (sql_address, http_address) = (sql.local_addr()?, http.local_addr()?);
        let folder = folder::DataFolder::open(&config.node.data_dir, &random)?;

        let store = open_store(config, &folder, disk.clone())?;
        let plane = ControlPlane::open(store.clone(), random.clone()).await.context("control plane")?;
        let here = |role, name: &str| Registration { name: name.to_string(), role, address: None };
        let safekeeper_node = plane.register(here(Role::Safekeeper, &folder.safekeeper_name)).await?;
        let pageserver_node = plane.register(here(Role::Pageserver, "local")).await?;
        plane.register(here(Role::Compute, "local")).await?;
        let main = plane.ensure_branch(DEFAULT_TENANT, DEFAULT_BRANCH).await?;
        refuse_strange_log(&plane, safekeeper_node)?;

        let mut settings = SafekeeperConfig::single(safekeeper_node, main.group, folder.safekeeper.clone());
        settings.log.segment_bytes = config.safekeeper.segment_bytes.0;
        settings.log.cache_bytes = config.safekeeper.log_cache_bytes.0;
        settings.lease =
            (config.safekeeper.lease_ms > 0).then(|| Duration::from_millis(config.safekeeper.lease_ms));
        settings.core.window_bytes = usize::try_from(config.safekeeper.certifier_bytes.0)?;
        let safekeeper = Safekeeper::start(settings, disk.clone(), store.clone(), clock.clone())
            .await
            .context("safekeeper")?;

        let parts = Parts {
            wal: safekeeper.clone(),
            store: store.clone(),
            disk: disk.clone(),
            folder: folder.pageserver.clone(),
            clock: clock.clone(),
            random: random.clone(),
            ingest: ingest.clone(),
            background: background.clone(),
        };
        let pageserver = PageServer::start(pageserver_config(config)?, parts).context("pageserver")?;
        reconcile(&plane, &safekeeper, &pageserver, pageserver_node).await?;

        let compute = Compute::new(ComputeParts {
            control: plane.clone(),
            wal: safekeeper.clone(),
            pages: pageserver.clone(),
            disk: disk.clone(),
            clock: clock.clone(),
            random: random.clone(),
            reports: Arc::new(report_engine(config, &folder)?),
            branch: branch_config(config, &folder)?,
            autovacuum: autovacuum_config(config),
            password: config.sql.password.clone(),
        });
        // Opened now, so that a branch that cannot be read fails the start and not the first client.
        compute.open_branch(None).await.map_err(|error| anyhow!("{error}")).context("compute")?;
        let limits = ServerLimits {
            max_connections: config.sql.max_connections,
            threads: threads(config.sql.threads),
            trust_loopback: config.sql.trust_loopback,
        };
        let server = Server::start(compute.clone(), limits)?;
        let listener = task::spawn("sql listener", server.clone().run(sql));

        let source = status::Parts {
            clock,
            started,
            plane: plane.clone(),
            store: store.clone(),
            safekeeper: safekeeper.clone(),
            pageserver: pageserver.clone(),
            server: server.clone(),
            sql: sql_address,
        };
        let router = api::router(api::Api { plane, status: Arc::new(source), metrics });
        let (stop_api, mut stopping) = watch::channel(false);
        let api = task::spawn("rest api", async move {
            let stopped = async move {
                // A sender that is gone stops it too.
                let _ = stopping.wait_for(|stop| *stop).await;
            };
            if let Err(error) = axum::serve(http, router).with_graceful_shutdown(stopped).await {
                tracing::error!(%error, "the REST API ended");
            }
        });
        Ok(Embedded {
            folder,
            server,
            pageserver,
            safekeeper,
            stop_api,
            api,
            listener,
            sql: sql_address,
            http: http_address,
            store: store.describe(),
        })
    }

    /// Waits until a part can no longer do its work.
    pub(crate) async fn failed(&self) -> String {
        loop {
            task::sleep(Duration::from_millis(500)).await;
            if let Ok(status) = self.safekeeper.group_status().await
                && let Some(reason) = status.stopped
            {
                return reason;
            }
        }
    }

    /// Stops cleanly: clients first, the log last.
    pub(crate) async fn stop(self) {
        self.server.shutdown(GRACE).await;
        self.stop_api.send_replace(true);
        self.pageserver.shutdown().await;
        self.safekeeper.shutdown().await;
        self.listener.abort();
        self.api.abort();
        drop(self.folder);
    }
}

async fn listen(address: SocketAddr, what: &str, setting: &str) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            anyhow!("{address} is in use, so {what} cannot listen there: stop what uses it, or choose another port with {setting}")
        }
        _ => anyhow!("{what} cannot listen on {address}: {error}; choose another address with {setting}"),
    })
}

fn open_store(
    config: &Config,
    folder: &folder::DataFolder,
    disk: Arc<dyn Disk>,
) -> Result<Arc<dyn ObjectStore>> {
    let url = match config.object_store.url.as_str() {
        "" => {
            let path = folder.root.join("objects");
            let absolute = std::path::absolute(&path).with_context(|| format!("{}", path.display()))?;
            format!("file://{}", absolute.display())
        }
        url => url.to_string(),
    };
    shardforge_store::open(&url, disk).context("object store (object_store.url)")
}

/// A log lives on one disk only; another folder with the same object store must not go on without it.
fn refuse_strange_log(plane: &ControlPlane, node: NodeId) -> Result<()> {
    let (_, state) = plane.state();
    for (id, group) in &state.groups {
        if !group.members.contains(&node) {
            let members: Vec<_> =
                group.members.iter().map(|member| state.nodes[member].name.clone()).collect();
            bail!(
                "the log of this object store (group {id}) is kept by safekeeper {}, and this data folder has another \
                 one: start with the data folder that has it; without it, commits that were not yet in the object \
                 store would be lost",
                members.join(", ")
            );
        }
    }
    Ok(())
}

fn pageserver_config(config: &Config) -> Result<shardforge_pageserver::Config> {
    let from = &config.pageserver;
    // Beside a local folder, a local copy of a layer would only take space.
    let local = if config.object_store.url.is_empty() { 0 } else { from.local_cache_bytes.0 };
    Ok(shardforge_pageserver::Config {
        memtable_bytes: from.memtable_bytes.0,
        idle_flush_millis: from.flush_after_ms,
        page_bytes: usize::try_from(from.page_bytes.0)?,
        cache_bytes: from.block_cache_bytes.0,
        local_cache_bytes: local,
        layer_bytes: from.memtable_bytes.0,
        level_0_bytes: 4 * from.memtable_bytes.0,
        ..shardforge_pageserver::Config::default()
    })
}

fn branch_config(config: &Config, folder: &folder::DataFolder) -> Result<BranchConfig> {
    let cache = usize::try_from(config.compute.cache_bytes.0)?;
    Ok(BranchConfig {
        cache_bytes: cache - cache / 4,
        recent_bytes: cache / 4,
        page_bytes: usize::try_from(config.pageserver.page_bytes.0)?,
        spill_bytes: usize::try_from(config.compute.transaction_bytes.0)?,
        spill_dir: folder.compute.clone(),
        in_process: true,
        background: Some(tokio::runtime::Handle::current()),
        ..BranchConfig::default()
    })
}

fn autovacuum_config(config: &Config) -> AutovacuumConfig {
    let from = &config.autovacuum;
    AutovacuumConfig {
        enabled: from.enabled,
        naptime: Duration::from_millis(from.naptime_ms),
        analyze_threshold: from.analyze_threshold,
        analyze_scale_factor: from.analyze_scale_factor,
    }
}

/// A number of threads as it is configured: 0 is one for each core.
fn threads(configured: usize) -> usize {
    match configured {
        0 => std::thread::available_parallelism().map_or(2, std::num::NonZero::get),
        threads => threads,
    }
}

fn report_engine(config: &Config, folder: &folder::DataFolder) -> Result<DataFusionEngine> {
    let threads = threads(config.compute.report_threads);
    let memory_bytes = usize::try_from(config.compute.report_bytes.0)?;
    // Beside what transactions spill, in a folder that each start empties.
    let spill_dir = Some(folder.compute.join("reports"));
    DataFusionEngine::start(EngineConfig { threads, memory_bytes, spill_dir })
        .map_err(|error| anyhow!("{error}"))
        .context("reports")
}

/// Makes desired state true in the parts of this process.
async fn reconcile(
    plane: &ControlPlane,
    safekeeper: &Arc<Safekeeper>,
    pageserver: &Arc<PageServer>,
    node: NodeId,
) -> Result<()> {
    // Every process start is an attach: new generations, which fence off whoever had the shards.
    plane.attach_all(node).await?;
    let (_, desired) = plane.state();
    let mut observed = Observed::default();
    for (id, branch) in &desired.branches {
        let branch_ref = shardforge_common::BranchRef { tenant: branch.tenant, branch: *id };
        if safekeeper.branch_status(branch_ref).await.is_ok() {
            observed.logs.insert((branch.group, branch_ref));
        }
    }
    for shard in pageserver.shards().await? {
        observed.shards.insert((node, shard.branch, shard.slots));
    }
    for action in diff(&desired, &observed) {
        match action {
            Action::CreateLog(_, branch) => {
                safekeeper.create_branch(branch).await.context("opening a branch's log")?
            }
            Action::Attach(branch, shard) => {
                pageserver
                    .attach(branch, shard.slots, shard.generation)
                    .await
                    .context("attaching a shard")?;
            }
        }
    }
    Ok(())
}
