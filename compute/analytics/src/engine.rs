//! The engine: threads, memory, and one task for each report.

use crate::error::from_datafusion;
use crate::exact::Attempt;
use crate::lower::Lowering;
use crate::results::{Item, Pumped, Results, pump};
use crate::session::session_state;
use async_trait::async_trait;
use datafusion::execution::session_state::SessionState;
use datafusion::physical_plan::{ExecutionPlan, displayable, execute_stream};
use shardforge_common::task::spawn_on;
use shardforge_compute::report::{ReportContext, ReportEngine, RowStream};
use shardforge_compute::sql::bound::Query;
use shardforge_compute::{SqlError, SqlResult};
use shardforge_types::SqlState;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::{mpsc, oneshot};

/// What reports may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineConfig {
    /// Threads, and parts in which a plan runs.
    pub threads: usize,
    /// Memory of all reports together.
    pub memory_bytes: usize,
    /// A folder for what sorts and groups do not hold in memory; without one they end with 53200 instead.
    pub spill_dir: Option<PathBuf>,
}

/// Batches that wait for the client.
const QUEUED_BATCHES: usize = 4;

/// Runs reports on DataFusion.
pub struct DataFusionEngine {
    /// Taken when the engine is dropped.
    runtime: Option<Runtime>,
    handle: Handle,
    state: Arc<SessionState>,
}

/// What one query runs in.
#[derive(Clone)]
pub(crate) struct QueryEnv {
    pub(crate) state: Arc<SessionState>,
    pub(crate) report: ReportContext,
    /// Set when nobody wants the rows any more. A task that is ended ends where it waits; what computes for
    /// long without waiting asks here.
    pub(crate) stop: Arc<AtomicBool>,
}

impl QueryEnv {
    /// 57014 when nobody wants the rows any more.
    pub(crate) fn check_stop(&self) -> SqlResult<()> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(SqlError::new(SqlState::QUERY_CANCELED, "canceling statement due to user request"));
        }
        Ok(())
    }
}

impl std::fmt::Debug for QueryEnv {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("QueryEnv")
    }
}

impl DataFusionEngine {
    /// Starts the engine's threads.
    pub fn start(config: EngineConfig) -> SqlResult<Self> {
        let state = Arc::new(session_state(&config)?);
        let runtime = Builder::new_multi_thread()
            .worker_threads(config.threads.max(1))
            .thread_name("shardforge-report")
            .enable_time()
            .build()
            .map_err(|error| SqlError::internal(format!("cannot start the threads of reports: {error}")))?;
        Ok(Self { handle: runtime.handle().clone(), runtime: Some(runtime), state })
    }

    fn env(&self, report: ReportContext) -> Arc<QueryEnv> {
        Arc::new(QueryEnv { state: self.state.clone(), report, stop: Arc::default() })
    }
}

impl Drop for DataFusionEngine {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Waiting for threads is forbidden on a thread of another runtime.
            runtime.shutdown_background();
        }
    }
}

async fn physical_plan(
    env: &Arc<QueryEnv>,
    query: &Query,
    attempt: Arc<Attempt>,
) -> SqlResult<Arc<dyn ExecutionPlan>> {
    let mut lowering = Lowering::new(env.clone(), attempt);
    let query = lowering.folded(query);
    let plan = lowering.output(&query)?;
    env.state.create_physical_plan(&plan).await.map_err(from_datafusion)
}

fn stopped() -> SqlError {
    SqlError::new(SqlState::ADMIN_SHUTDOWN, "the report engine has stopped")
}

#[async_trait]
impl ReportEngine for DataFusionEngine {
    async fn run(&self, query: Arc<Query>, context: ReportContext) -> SqlResult<Box<dyn RowStream>> {
        let env = self.env(context);
        let (started, start) = oneshot::channel();
        let (batches, queue) = mpsc::channel(QUEUED_BATCHES);
        let types = query.output.iter().map(|column| column.ty).collect();
        let stop = env.stop.clone();
        let task = spawn_on(&self.handle, "report", async move {
            let start = async |attempt: Arc<Attempt>| {
                let plan = physical_plan(&env, &query, attempt).await?;
                execute_stream(plan, env.state.task_ctx()).map_err(from_datafusion)
            };
            let attempt = Arc::new(Attempt::default());
            let stream = match start(attempt.clone()).await {
                Ok(stream) => stream,
                // Whoever asked has gone.
                Err(error) => return drop(started.send(Err(error))),
            };
            if started.send(Ok(())).is_err() {
                return;
            }
            if pump(stream, &batches, attempt.could_give_up()).await == Pumped::GaveUp {
                match start(Arc::new(Attempt::exact())).await {
                    Ok(stream) => drop(pump(stream, &batches, false).await),
                    Err(error) => drop(batches.send(Item::Failed(error)).await),
                }
            }
        });
        let results = Results::new(types, queue, task.abort_handle(), stop);
        start.await.unwrap_or_else(|_| Err(stopped()))?;
        Ok(Box::new(results))
    }

    async fn explain(&self, query: Arc<Query>, context: ReportContext) -> SqlResult<Vec<String>> {
        let env = self.env(context);
        let task = spawn_on(&self.handle, "explain", async move {
            let plan = physical_plan(&env, &query, Arc::default()).await?;
            let text = displayable(plan.as_ref()).indent(false).to_string();
            Ok(text.lines().map(str::to_owned).collect())
        });
        task.await.unwrap_or_else(|_| Err(stopped()))
    }
}
