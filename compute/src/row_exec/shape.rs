//! What whoever runs a plan may ask of it.

use super::query::Node;
use super::statement::{PlanKind, RowPlan};

impl RowPlan {
    /// Whether it only reads, and takes no locks: then it never begins again, and its rows may be sent while
    /// others are still to come.
    pub fn only_reads(&self) -> bool {
        self.init.is_empty() && matches!(&self.kind, PlanKind::Query(node) if !node.locks())
    }

    /// Whether an execution holds next to nothing once it has ended, however many rows there were.
    pub fn keeps_little(&self) -> bool {
        match &self.kind {
            PlanKind::Query(node) => streams(node),
            PlanKind::Insert(insert) => self.feed.is_none() && streams(&insert.source),
            PlanKind::Update(_) | PlanKind::Delete(_) => self.feed.is_none(),
        }
    }
}

fn streams(node: &Node) -> bool {
    match node {
        Node::OneRow | Node::Values(_) | Node::Scan(_) | Node::Function(_) => true,
        Node::Filter(input, _) | Node::Project(input, _) | Node::Limit(input, _) => streams(input),
        _ => false,
    }
}
