//! Operators that DataFusion lacks, each in its file, behind one logical and one physical node.
//!
//! An [`Operator`] says what it needs of its inputs and makes batches of theirs. The nodes around it know
//! DataFusion: [`node`] carries it through the optimizer with the expressions it evaluates, [`exec`] runs it.
//!
//! # Invariants
//!
//! 1. An operator keeps no state between runs: what a run remembers lives in its stream, or, for all parts of
//!    one execution, in the [`Once`] that its physical node hands to each.
//! 2. What an operator holds beyond a batch is accounted to the memory pool.

mod apply;
mod apply_join;
mod distinct_on;
mod exec;
mod function;
mod group;
mod memory;
mod node;
mod set_op;
mod subplan;
mod window;

pub(crate) use apply::{Apply, ApplyKind};
pub(crate) use apply_join::ApplyJoin;
pub(crate) use distinct_on::DistinctOn;
pub(crate) use function::{Called, FunctionRows, FunctionRowsCall};
pub(crate) use group::{Group, GroupCall, GroupKey};
pub(crate) use memory::Held;
pub(crate) use node::{OperatorPlanner, operator_plan};
pub(crate) use set_op::SetOperation;
pub(crate) use subplan::{OuterValue, Subplan};
pub(crate) use window::{WindowColumn, WindowFunction, WindowOp};

use arrow::datatypes::SchemaRef;
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::SendableRecordBatchStream;
use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;

/// What an operator needs of the rows it is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Nothing: it runs in as many parts as its input has.
    Any,
    /// All rows in one part, in the order in which they come.
    Single,
    /// Rows for which these of the expressions are equal in one part.
    Together(Range<usize>),
}

/// A value that all parts of an execution share, computed by the first that needs it.
pub(crate) type Once = Arc<tokio::sync::OnceCell<shardforge_types::Datum>>;

/// One run of an operator over one part.
pub(crate) struct Run {
    /// The rows of each input.
    pub(crate) inputs: Vec<SendableRecordBatchStream>,
    /// The operator's expressions over the first input's batches.
    pub(crate) exprs: Vec<Arc<dyn PhysicalExpr>>,
    /// What the batches it makes look like.
    pub(crate) schema: SchemaRef,
    /// For what is computed once.
    pub(crate) once: Once,
    /// Memory and settings.
    pub(crate) context: Arc<TaskContext>,
}

/// What an operator does.
pub(crate) trait Operator: Debug + Send + Sync + 'static {
    /// Its name in a plan.
    fn name(&self) -> &'static str;

    /// More about it, for a plan.
    fn describe(&self) -> String {
        String::new()
    }

    /// How its input must lie.
    fn needs(&self) -> Needs;

    /// Whether its rows are the input's, in order, with columns appended.
    fn appends(&self) -> bool {
        false
    }

    /// Whether a filter on the input's columns may be applied before instead of after.
    fn lets_filters_through(&self) -> bool {
        self.appends()
    }

    /// Starts a run.
    fn run(self: Arc<Self>, run: Run) -> Result<SendableRecordBatchStream>;
}

/// Evaluates expressions over a batch.
pub(crate) fn evaluate_all(
    exprs: &[Arc<dyn PhysicalExpr>],
    batch: &arrow::record_batch::RecordBatch,
) -> Result<Vec<arrow::array::ArrayRef>> {
    exprs.iter().map(|expr| expr.evaluate(batch)?.into_array(batch.num_rows())).collect()
}
