//! An operator in a physical plan.

use super::{Needs, Once, Operator, Run};
use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::physical_expr::{
    Distribution, EquivalenceProperties, LexRequirement, OrderingRequirements, PhysicalExpr,
};
use datafusion::physical_plan::execution_plan::{
    Boundedness, ChildrenPropertiesMode, EmissionType, ReplaceChildrenOptions,
};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, Partitioning, PlanProperties,
    SendableRecordBatchStream,
};
use std::fmt;
use std::sync::Arc;

/// Runs an [`Operator`] over its inputs.
#[derive(Debug)]
pub(crate) struct OperatorExec {
    operator: Arc<dyn Operator>,
    exprs: Vec<Arc<dyn PhysicalExpr>>,
    inputs: Vec<Arc<dyn ExecutionPlan>>,
    properties: Arc<PlanProperties>,
    /// The order in which rows come, for an operator that depends on it. Without it, DataFusion would take
    /// a sort below away.
    order: Option<OrderingRequirements>,
    /// A physical plan is executed once, so this is the execution's.
    once: Once,
}

impl OperatorExec {
    pub(crate) fn new(
        operator: Arc<dyn Operator>,
        exprs: Vec<Arc<dyn PhysicalExpr>>,
        inputs: Vec<Arc<dyn ExecutionPlan>>,
        schema: SchemaRef,
    ) -> Self {
        let ordering = inputs.first().and_then(|input| input.output_ordering().cloned());
        let order = ordering
            .clone()
            .filter(|_| operator.needs() == Needs::Single)
            .map(|order| OrderingRequirements::new(LexRequirement::from(order)));
        Self::with_order(operator, exprs, inputs, schema, order, Once::default())
    }

    fn with_order(
        operator: Arc<dyn Operator>,
        exprs: Vec<Arc<dyn PhysicalExpr>>,
        inputs: Vec<Arc<dyn ExecutionPlan>>,
        schema: SchemaRef,
        order: Option<OrderingRequirements>,
        once: Once,
    ) -> Self {
        let equivalence = match inputs.first().and_then(|input| input.output_ordering()) {
            // The input's columns keep their places.
            Some(order) if operator.appends() => {
                EquivalenceProperties::new_with_orderings(schema, [order.clone()])
            }
            _ => EquivalenceProperties::new(schema),
        };
        let partitions = match operator.needs() {
            Needs::Single => 1,
            Needs::Any | Needs::Together(_) => {
                inputs.first().map_or(1, |input| input.output_partitioning().partition_count())
            }
        };
        let properties = PlanProperties::new(
            equivalence,
            Partitioning::UnknownPartitioning(partitions),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self { operator, exprs, inputs, properties: Arc::new(properties), order, once }
    }
}

impl DisplayAs for OperatorExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.operator.name())?;
        let description = self.operator.describe();
        if !description.is_empty() {
            write!(f, ": {description}")?;
        }
        Ok(())
    }
}

impl ExecutionPlan for OperatorExec {
    fn name(&self) -> &str {
        self.operator.name()
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.inputs.iter().collect()
    }

    fn required_input_distribution(&self) -> Vec<Distribution> {
        let first = match self.operator.needs() {
            Needs::Any => Distribution::UnspecifiedDistribution,
            Needs::Single => Distribution::SinglePartition,
            Needs::Together(keys) => Distribution::KeyPartitioned(self.exprs[keys].to_vec()),
        };
        let mut out = vec![Distribution::SinglePartition; self.inputs.len()];
        if let Some(slot) = out.first_mut() {
            *slot = first;
        }
        out
    }

    fn required_input_ordering(&self) -> Vec<Option<OrderingRequirements>> {
        let mut out = vec![None; self.inputs.len()];
        if let Some(slot) = out.first_mut() {
            *slot = self.order.clone();
        }
        out
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        // An operator that depends on its input's order says no, although it keeps it: otherwise DataFusion
        // would sort below it for what is above, and so take its own order away.
        vec![self.operator.appends() && self.order.is_none(); self.inputs.len()]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![matches!(self.operator.needs(), Needs::Together(_)); self.inputs.len()]
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        for expr in &self.exprs {
            if f(expr)? == TreeNodeRecursion::Stop {
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self::with_order(
            self.operator.clone(),
            self.exprs.clone(),
            children,
            self.schema(),
            self.order.clone(),
            self.once.clone(),
        )))
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let inputs = self
            .inputs
            .iter()
            .enumerate()
            // Inputs after the first are in one part.
            .map(|(at, input)| input.execute(if at == 0 { partition } else { 0 }, context.clone()))
            .collect::<Result<Vec<_>>>()?;
        self.operator.clone().run(Run {
            inputs,
            exprs: self.exprs.clone(),
            schema: self.schema(),
            once: self.once.clone(),
            context,
        })
    }
}
