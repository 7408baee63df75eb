//! A plan that runs many times, each time with other values of outer columns in it.
//!
//! It is lowered and optimized once, with a placeholder for each outer value; a run puts the values in and
//! plans it physically, because a physical plan holds the state of one execution.

use crate::cte::Values;
use crate::engine::QueryEnv;
use crate::error::from_datafusion;
use crate::results::batch_to_rows;
use crate::values::to_scalar;
use datafusion::common::ParamValues;
use datafusion::common::metadata::ScalarAndMetadata;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::{SendableRecordBatchStream, execute_stream};
use futures::StreamExt;
use shardforge_compute::SqlResult;
use shardforge_compute::report::Rows;
use shardforge_types::{Datum, PgType};
use std::collections::HashMap;
use std::sync::Arc;

/// An outer column as the plan names it.
#[derive(Debug, Clone)]
pub(crate) struct OuterValue {
    /// Its placeholder, without the dollar sign.
    pub(crate) name: String,
    /// Its type.
    pub(crate) ty: PgType,
}

/// The plan.
#[derive(Debug)]
pub(crate) struct Subplan {
    pub(crate) plan: LogicalPlan,
    /// The types of its columns.
    pub(crate) types: Vec<PgType>,
    pub(crate) outer: Vec<OuterValue>,
    pub(crate) env: Arc<QueryEnv>,
}

impl Subplan {
    /// Starts a run.
    pub(crate) async fn start(&self, values: &[Datum]) -> SqlResult<SendableRecordBatchStream> {
        let mut plan = self.plan.clone();
        if !self.outer.is_empty() {
            let mut params = HashMap::new();
            for (outer, value) in self.outer.iter().zip(values) {
                params.insert(outer.name.clone(), ScalarAndMetadata::from(to_scalar(outer.ty, value)?));
            }
            plan = Values::default().put(plan, &ParamValues::Map(params)).map_err(from_datafusion)?;
        }
        let state = &self.env.state;
        let physical =
            state.query_planner().create_physical_plan(&plan, &**state).await.map_err(from_datafusion)?;
        execute_stream(physical, state.task_ctx()).map_err(from_datafusion)
    }

    /// The rows of a run; it stops when there are `enough`.
    pub(crate) async fn rows(&self, values: &[Datum], enough: usize) -> SqlResult<Rows> {
        let mut stream = self.start(values).await?;
        let mut rows = Rows::new();
        while rows.len() < enough
            && let Some(batch) = stream.next().await
        {
            rows.extend(batch_to_rows(&batch.map_err(from_datafusion)?, &self.types)?);
        }
        Ok(rows)
    }
}
