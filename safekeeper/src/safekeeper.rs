//! A running safekeeper: its parts, started in order and stopped in the opposite one.

use crate::archive::{ArchiveIndex, ArchiveReader, Archiver, Reports, Trim};
use crate::config::SafekeeperConfig;
use crate::feed::{CatchUp, Hub};
use crate::group::{GroupState, Process};
use crate::history::History;
use crate::housekeeping::{self, Chore, Simple};
use crate::lease::Leases;
use crate::log::{Log, LogStats};
use crate::lone::LoneCommits;
use crate::machine::GroupMachine;
use crate::raft::{
    LogStore, Machine, Member, MemberConfig, NoPeers, PeerRequest, PeerResponse, RaftThread, Transport,
};
use crate::read_index::ReadIndex;
use crate::sequencer::Sequencer;
use crate::supervisor::{MemberProposer, Supervisor};
use parking_lot::{Mutex, RwLock};
use shardforge_common::clock::Clock;
use shardforge_common::disk::Disk;
use shardforge_common::{Error, NodeId, Result, random, task};
use shardforge_store::ObjectStore;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tokio::sync::watch;

/// How long a start waits for a group of one to be ready.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// A member of a WAL group, at work.
pub struct Safekeeper {
    pub(crate) config: SafekeeperConfig,
    pub(crate) state: Arc<RwLock<GroupState>>,
    pub(crate) sequencer: Arc<Sequencer>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) history: Arc<History>,
    pub(crate) member: Arc<Member>,
    pub(crate) read_index: ReadIndex,
    pub(crate) leases: Arc<Leases>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) log: Log,
    pub(crate) reports: Arc<Mutex<Reports>>,
    /// In a group of one.
    pub(crate) lone: Option<LoneCommits>,
    raft_thread: RaftThread,
    tasks: Mutex<Tasks>,
}

#[derive(Default)]
struct Tasks {
    stopped: bool,
    threads: Vec<std::thread::JoinHandle<()>>,
    supervisor: Option<task::JoinHandle<()>>,
    housekeeping: Option<(watch::Sender<bool>, task::JoinHandle<()>)>,
}

impl Safekeeper {
    /// Starts a member of a group of one, in the folder of its configuration. Returns when everything
    /// that was committed before is there again, and commits are taken.
    pub async fn start(
        config: SafekeeperConfig,
        disk: Arc<dyn Disk>,
        store: Arc<dyn ObjectStore>,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Safekeeper>> {
        let safekeeper = Self::start_member(config, disk, store, clock, Arc::new(NoPeers)).await?;
        let ready = async {
            while safekeeper.sequencer.leading_term().is_none() {
                if let Some(reason) = safekeeper.member.status().stopped.or_else(|| safekeeper.log.stopped())
                {
                    return Err(Error::unavailable(format!("the safekeeper has stopped: {reason}")));
                }
                task::sleep(Duration::from_millis(1)).await;
            }
            Ok(())
        };
        let ready = task::timeout(READY_WITHIN, ready).await;
        match ready.unwrap_or_else(|| Err(Error::unavailable("the safekeeper found no leader in its group")))
        {
            Ok(()) => Ok(safekeeper),
            Err(e) => {
                safekeeper.shutdown().await;
                Err(e)
            }
        }
    }

    /// Starts a member of a group that reaches the others by a transport. Returns when everything that
    /// this member knew to be committed is there again; who leads is seen later.
    pub async fn start_member(
        config: SafekeeperConfig,
        disk: Arc<dyn Disk>,
        store: Arc<dyn ObjectStore>,
        clock: Arc<dyn Clock>,
        transport: Arc<dyn Transport>,
    ) -> Result<Arc<Safekeeper>> {
        // Alone, this member's thread has nothing better to do than to sync; beside others, its sync must
        // not hold up what is sent to them.
        let alone = config.members.keys().eq([&config.node]) && !config.own_log_thread;
        let (log, pump) = {
            let (disk, dir, settings) = (disk.clone(), config.dir.join("log"), config.log.clone());
            let opened = task::spawn_blocking("open-log", move || {
                disk.create_dir_all(&dir).map_err(|e| {
                    Error::unavailable(format!("cannot make the folder {}", dir.display())).with_source(e)
                })?;
                if alone {
                    Log::open_for_task(disk, &dir, settings).map(|(log, pump)| (log, Some(pump)))
                } else {
                    Log::open(disk, &dir, settings).map(|log| (log, None))
                }
            });
            opened.await.map_err(|e| Error::internal("opening the log panicked").with_source(e))??
        };
        let state = Arc::new(RwLock::new(GroupState::default()));
        let process = Process { node: config.node, incarnation: random::thread().bytes16() };
        let leases = Arc::new(Leases::new(config.lease, process));
        let sequencer =
            Arc::new(Sequencer::new(state.clone(), clock.clone(), leases.clone(), config.pipeline_depth));
        let hub = Arc::new(Hub::default());
        let machine: Arc<dyn Machine> =
            Arc::new(GroupMachine { state: state.clone(), hub: hub.clone(), sequencer: sequencer.clone() });
        let raft_thread = RaftThread::start(pump)?;
        let member_config = MemberConfig {
            node: config.node,
            members: config.members.clone(),
            dir: config.dir.join("groups").join(config.group.to_string()),
            heartbeat: config.heartbeat,
            election_timeout: config.election_timeout,
        };
        let log_store = LogStore::new(log.clone(), config.group);
        let start = Member::start(member_config, disk, log_store, machine, transport, random::thread());
        let started = raft_thread.executor().spawn("start-member", start).await;
        let member = match started.map_err(|e| Error::internal("starting the member panicked").with_source(e))
        {
            Ok(Ok(member)) => Arc::new(member),
            Ok(Err(e)) | Err(e) => {
                raft_thread.stop();
                // The first error tells what is wrong; a log that cannot stop says the same once more.
                let _ = log.stop();
                return Err(e);
            }
        };
        let purged = log.purged(config.group).map_or(0, |(index, _)| index);
        state.write().forget_below(purged);
        let index = Arc::new(ArchiveIndex::new(store));
        let reports: Arc<Mutex<Reports>> = Arc::default();
        let archive = ArchiveReader::new(index.clone(), tokio::runtime::Handle::current());
        let history = Arc::new(History::new(state.clone(), log.clone(), config.group, archive));
        let (lost_sender, lost) = tokio::sync::mpsc::unbounded_channel();
        sequencer.connect(Arc::new(MemberProposer {
            member: member.clone(),
            log: log.clone(),
            lost: lost_sender,
        }));
        let single_voter = Arc::new(AtomicBool::new(false));
        let supervisor = Supervisor {
            member: member.clone(),
            sequencer: sequencer.clone(),
            history: history.clone(),
            state: state.clone(),
            clock: clock.clone(),
            core: config.core,
            single_voter: single_voter.clone(),
            lost,
        };
        let supervisor = task::spawn_on(raft_thread.handle(), "leadership", supervisor.run());
        let catch_up = CatchUp::new(hub.clone(), history.clone());
        let catch_up = task::spawn_thread("feed-catch-up", move || catch_up.run())
            .map_err(|e| Error::unavailable("cannot start a thread").with_source(e))?;
        let read_index = ReadIndex::new(member.clone(), raft_thread.handle().clone(), single_voter);
        let (leads, lease) = (sequencer.clone(), (sequencer.clone(), config.staged_lease));
        let measured = (log.clone(), hub.clone());
        let chores: Vec<Box<dyn Chore>> = vec![
            Box::new(Simple("expire staged transactions", move || lease.0.expire_staged(lease.1))),
            Box::new(Archiver {
                index: index.clone(),
                reports: reports.clone(),
                state: state.clone(),
                history: history.clone(),
                leads: Box::new(move || leads.leading_term().is_some()),
                above_bytes: config.archive_above_bytes,
                segment_bytes: config.archive_segment_bytes,
            }),
            Box::new(Trim {
                index,
                reports: reports.clone(),
                state: state.clone(),
                member: member.clone(),
                log: log.clone(),
                group: config.group,
                segment_bytes: config.log.segment_bytes,
            }),
            Box::new(Simple("measure", move || measure(&measured.0, &measured.1))),
        ];
        let (stop, stopped) = watch::channel(false);
        let housekeeping =
            task::spawn("wal-housekeeping", housekeeping::run(chores, config.trim_interval, stopped));
        let tasks = Tasks {
            stopped: false,
            threads: vec![catch_up],
            supervisor: Some(supervisor),
            housekeeping: Some((stop, housekeeping)),
        };
        Ok(Arc::new(Safekeeper {
            config,
            state,
            sequencer,
            hub,
            history,
            member,
            read_index,
            leases,
            clock,
            log,
            reports,
            lone: alone.then(|| LoneCommits::new(raft_thread.executor().clone())),
            raft_thread,
            tasks: Mutex::new(tasks),
        }))
    }

    /// Which node it is.
    pub fn node(&self) -> NodeId {
        self.config.node
    }

    /// Whether it takes commits now: it leads, a quorum has confirmed that, and the certifier is ready.
    pub fn is_leading(&self) -> bool {
        self.sequencer.leading_term().is_some()
    }

    /// What the log on disk is doing.
    pub fn log_stats(&self) -> LogStats {
        self.log.stats()
    }

    /// Answers another member of the group.
    pub async fn handle_peer(&self, request: PeerRequest) -> Result<PeerResponse> {
        self.member.handle(request).await
    }

    /// Stops: no more commits, feeds ended, the log's end marked. Calling it again does nothing.
    pub async fn shutdown(&self) {
        let (threads, supervisor, housekeeping) = {
            let mut tasks = self.tasks.lock();
            if std::mem::replace(&mut tasks.stopped, true) {
                return;
            }
            (std::mem::take(&mut tasks.threads), tasks.supervisor.take(), tasks.housekeeping.take())
        };
        if let Some((stop, task)) = housekeeping {
            stop.send_replace(true);
            // If it panicked, that was logged.
            let _ = task.await;
        }
        self.sequencer.stand_down(None, "the safekeeper is stopping");
        self.member.shutdown().await;
        if let Some(supervisor) = supervisor {
            // It ends with the member; if it panicked, that was logged.
            let _ = supervisor.await;
        }
        self.hub.close(&Error::unavailable("the safekeeper is stopping"));
        let (log, raft_thread) = (self.log.clone(), self.raft_thread.clone());
        let stopped = task::spawn_blocking("stop-safekeeper", move || {
            for thread in threads {
                // A panic there was logged where it happened.
                let _ = thread.join();
            }
            raft_thread.stop();
            log.stop()
        });
        match stopped.await {
            Ok(Ok(())) => {}
            Ok(Err(e)) => tracing::warn!("the log did not stop in order: {e}"),
            Err(e) => tracing::warn!("the safekeeper did not stop in order: {e}"),
        }
    }
}

/// Gauges of what is not counted where it happens.
fn measure(log: &Log, hub: &Hub) {
    let stats = log.stats();
    metrics::gauge!("shardforge_safekeeper_log_bytes").set(stats.disk_bytes as f64);
    metrics::gauge!("shardforge_safekeeper_log_segments").set(stats.segments as f64);
    metrics::gauge!("shardforge_safekeeper_log_entries").set(stats.entries as f64);
    metrics::counter!("shardforge_safekeeper_fsyncs_total").absolute(stats.batches);
    metrics::counter!("shardforge_safekeeper_log_written_bytes_total").absolute(stats.written_bytes);
    metrics::counter!("shardforge_safekeeper_log_disk_reads_total").absolute(stats.disk_reads);
    metrics::gauge!("shardforge_safekeeper_feed_lag_commits").set(hub.lag() as f64);
}
