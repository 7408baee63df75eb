//! How DataFusion is set up: which of its rules run, and who plans our operators.

use crate::EngineConfig;
use crate::error::from_datafusion;
use crate::kernel::LazyFilters;
use crate::operator::OperatorPlanner;
use datafusion::catalog::Session;
use datafusion::error::Result;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::{Optimizer, OptimizerRule};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::DefaultPhysicalPlanner;
use datafusion::prelude::SessionConfig;
use shardforge_compute::SqlResult;
use std::num::NonZeroUsize;
use std::sync::Arc;

/// Rules of DataFusion's that are left out.
///
/// Subqueries are gone before its optimizer sees a plan, so the rules for them find nothing. Common
/// subexpressions and unions as filters compute an expression for rows that a filter beside it would have
/// kept away from it: `b <> 0 and a / b > 1` must not divide by zero.
const LEFT_OUT: &[&str] = &[
    "rewrite_set_comparison",
    "decorrelate_predicate_subquery",
    "scalar_subquery_to_join",
    "decorrelate_lateral_join",
    "common_sub_expression_eliminate",
    "unions_to_filter",
];

fn optimizer_rules() -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    Optimizer::new().rules.into_iter().filter(|rule| !LEFT_OUT.contains(&rule.name())).collect()
}

/// Plans the nodes that DataFusion does not know.
#[derive(Debug)]
struct Planner;

#[async_trait::async_trait]
impl datafusion::execution::context::QueryPlanner for Planner {
    async fn create_physical_plan(
        &self,
        plan: &LogicalPlan,
        session: &dyn Session,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        use datafusion::physical_planner::PhysicalPlanner;
        DefaultPhysicalPlanner::with_extension_planners(vec![Arc::new(OperatorPlanner)])
            .create_physical_plan(plan, session)
            .await
    }
}

/// What each thread of a sort keeps aside for merging what it spilled, in bytes: DataFusion's default, or less where
/// that would leave nothing for the rows themselves. A plan may hold several sorts.
fn sort_reserve(config: &EngineConfig, default: usize) -> usize {
    default.min(config.memory_bytes / config.threads.max(1) / 8)
}

/// The state that every query of an engine is planned and run in.
pub(crate) fn session_state(config: &EngineConfig) -> SqlResult<SessionState> {
    let spill = match &config.spill_dir {
        Some(dir) => DiskManagerMode::Directories(vec![dir.clone()]),
        None => DiskManagerMode::Disabled,
    };
    let top = NonZeroUsize::new(3).expect("three is not zero");
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(TrackConsumersPool::new(FairSpillPool::new(config.memory_bytes), top)))
        .with_disk_manager_builder(DiskManagerBuilder::default().with_mode(spill))
        .build_arc()
        .map_err(from_datafusion)?;
    let mut session = SessionConfig::new()
        .with_target_partitions(config.threads.max(1))
        .with_information_schema(false)
        .with_create_default_catalog_and_schema(false);
    let options = session.options_mut();
    // A rule that fails is a defect to be seen.
    options.optimizer.skip_failed_rules = false;
    options.execution.sort_spill_reservation_bytes =
        sort_reserve(config, options.execution.sort_spill_reservation_bytes);
    Ok(SessionStateBuilder::new()
        .with_config(session)
        .with_runtime_env(runtime)
        .with_analyzer_rules(Vec::new())
        .with_optimizer_rules(optimizer_rules())
        .with_query_planner(Arc::new(Planner))
        .with_physical_optimizer_rule(Arc::new(LazyFilters))
        .build())
}
