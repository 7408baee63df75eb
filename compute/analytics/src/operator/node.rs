//! An operator in a logical plan, and its way into a physical one.

use super::Operator;
use super::exec::OperatorExec;
use crate::error::to_datafusion;
use datafusion::catalog::Session;
use datafusion::common::DFSchemaRef;
use datafusion::error::Result;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{
    Expr, Extension, LogicalPlan, UserDefinedLogicalNode, UserDefinedLogicalNodeCore,
};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{ExtensionPlanner, PhysicalPlanner};
use shardforge_compute::SqlError;
use std::cmp::Ordering;
use std::collections::HashSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// An operator with its inputs and the expressions it evaluates over the first.
#[derive(Debug, Clone)]
pub(crate) struct OperatorNode {
    operator: Arc<dyn Operator>,
    exprs: Vec<Expr>,
    inputs: Vec<LogicalPlan>,
    schema: DFSchemaRef,
}

/// A plan that is one operator over others.
pub(crate) fn operator_plan(
    operator: Arc<dyn Operator>,
    exprs: Vec<Expr>,
    inputs: Vec<LogicalPlan>,
    schema: DFSchemaRef,
) -> LogicalPlan {
    LogicalPlan::Extension(Extension { node: Arc::new(OperatorNode { operator, exprs, inputs, schema }) })
}

impl PartialEq for OperatorNode {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.operator, &other.operator)
            && self.exprs == other.exprs
            && self.inputs == other.inputs
    }
}

impl Eq for OperatorNode {}

impl Hash for OperatorNode {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.operator.name().hash(state);
        self.exprs.hash(state);
        self.inputs.hash(state);
    }
}

impl PartialOrd for OperatorNode {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (self == other).then_some(Ordering::Equal)
    }
}

impl UserDefinedLogicalNodeCore for OperatorNode {
    fn name(&self) -> &str {
        self.operator.name()
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        self.inputs.iter().collect()
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        self.exprs.clone()
    }

    fn prevent_predicate_push_down_columns(&self) -> HashSet<String> {
        // With several inputs a filter would have to be taken apart.
        let passed = match &*self.inputs {
            [input] if self.operator.lets_filters_through() => input.schema().fields().len(),
            _ => 0,
        };
        self.schema.fields().iter().skip(passed).map(|field| field.name().clone()).collect()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.operator.name(), self.operator.describe())
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        if exprs.len() != self.exprs.len() || inputs.len() != self.inputs.len() {
            return Err(to_datafusion(SqlError::internal(format!(
                "the optimizer changed the shape of {}",
                self.operator.name()
            ))));
        }
        Ok(Self { operator: self.operator.clone(), exprs, inputs, schema: self.schema.clone() })
    }
}

/// Plans [`OperatorNode`]s.
pub(crate) struct OperatorPlanner;

#[async_trait::async_trait]
impl ExtensionPlanner for OperatorPlanner {
    async fn plan_extension(
        &self,
        planner: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        logical_inputs: &[&LogicalPlan],
        physical_inputs: &[Arc<dyn ExecutionPlan>],
        session: &dyn Session,
        planning_ctx: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let Some(node) = node.as_any().downcast_ref::<OperatorNode>() else { return Ok(None) };
        let exprs = match logical_inputs.first() {
            Some(input) => node
                .exprs
                .iter()
                .map(|expr| planner.create_physical_expr(expr, input.schema(), session, planning_ctx))
                .collect::<Result<Vec<_>>>()?,
            None => Vec::new(),
        };
        let schema = Arc::new(node.schema.as_arrow().clone());
        let exec = OperatorExec::new(node.operator.clone(), exprs, physical_inputs.to_vec(), schema);
        Ok(Some(Arc::new(exec)))
    }
}
