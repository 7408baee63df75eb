//! The bound tree: what a statement means, typed by PostgreSQL OID and typmod.
//!
//! The binder makes it; the row executor runs it, and the report engine lowers it to DataFusion.
//! Both see the same tree, so that a statement means the same on either.
//!
//! # Invariants
//!
//! 1. A [`ColId`] names one column of one relation, and is unique in the statement. A column that is
//!    used but not produced below the place of its use is a correlated reference to an outer query.
//! 2. Every conversion is explicit: an operator's or function's arguments have exactly the types
//!    that its `pg_proc` row declares (polymorphic ones resolved).
//! 3. Nothing refers to a name any more: tables are definitions, functions are `pg_proc` OIDs.

mod expr;
mod rel;
mod statement;

pub use expr::{BoolTest, CaseArm, Expr, ExprKind, SubqueryKind};
pub use rel::{
    Aggregate, AggregateCall, ColDef, Cte, CteId, FunctionCall, FunctionScan, Join, JoinKind, LockClause,
    LockStrength, LockWait, OutputColumn, Query, Rel, SetOp, SetOpKind, SortKey, TableScan, Window,
    WindowCall,
};
pub use statement::*;

/// One column of one relation in a bound statement, unique in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ColId(pub u32);
