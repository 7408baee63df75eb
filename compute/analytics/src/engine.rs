//! The engine: threads, memory, and one task for each report.

use crate::error::from_datafusion;
use crate::lower::Lowering;
use crate::results::{Results, pump};
use crate::session::session_state;
use async_trait::async_trait;
use datafusion::execution::session_state::SessionState;
use datafusion::physical_plan::{ExecutionPlan, displayable, execute_stream};
use shardforge_common::task::spawn_on;
use shardforge_compute::report::{ReportContext, ReportEngine, RowStream};
use shardforge_compute::sql::bound::Query;
use shardforge_compute::{SqlError, SqlResult};
use std::sync::Arc;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::{mpsc, oneshot};

/// What reports may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineConfig {
    /// Threads, and parts in which a plan runs.
    pub threads: usize,
    /// Memory of all reports together.
    pub memory_bytes: usize,
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
        Arc::new(QueryEnv { state: self.state.clone(), report })
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

async fn physical_plan(env: &Arc<QueryEnv>, query: &Query) -> SqlResult<Arc<dyn ExecutionPlan>> {
    let plan = Lowering::new(env.clone()).output(query)?;
    env.state.create_physical_plan(&plan).await.map_err(from_datafusion)
}

fn stopped() -> SqlError {
    SqlError::new(shardforge_types::SqlState::ADMIN_SHUTDOWN, "the report engine has stopped")
}

#[async_trait]
impl ReportEngine for DataFusionEngine {
    async fn run(&self, query: Arc<Query>, context: ReportContext) -> SqlResult<Box<dyn RowStream>> {
        let env = self.env(context);
        let (started, start) = oneshot::channel();
        let (batches, queue) = mpsc::channel(QUEUED_BATCHES);
        let types = query.output.iter().map(|column| column.ty).collect();
        let task = spawn_on(&self.handle, "report", async move {
            let stream = async {
                let plan = physical_plan(&env, &query).await?;
                execute_stream(plan, env.state.task_ctx()).map_err(from_datafusion)
            };
            match stream.await {
                Ok(stream) => {
                    if started.send(Ok(())).is_ok() {
                        pump(stream, batches).await;
                    }
                }
                // Whoever asked has gone.
                Err(error) => drop(started.send(Err(error))),
            }
        });
        let results = Results::new(types, queue, task.abort_handle());
        start.await.unwrap_or_else(|_| Err(stopped()))?;
        Ok(Box::new(results))
    }

    async fn explain(&self, query: Arc<Query>, context: ReportContext) -> SqlResult<Vec<String>> {
        let env = self.env(context);
        let task = spawn_on(&self.handle, "explain", async move {
            let plan = physical_plan(&env, &query).await?;
            let text = displayable(plan.as_ref()).indent(false).to_string();
            Ok(text.lines().map(str::to_owned).collect())
        });
        task.await.unwrap_or_else(|_| Err(stopped()))
    }
}
