//! Queries.

use super::{Expr, FuncCall, Ident, Loc, ObjectName, SortBy, TypeName, WindowSpec};
use crate::sql::bound::{JoinKind, LockStrength, LockWait, SetOpKind};

/// SELECT, VALUES, TABLE or a set operation, with what may stand around it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Query {
    /// WITH.
    pub with: Option<With>,
    /// The query proper.
    pub body: QueryBody,
    /// ORDER BY.
    pub order_by: Vec<SortBy>,
    /// LIMIT or FETCH.
    pub limit: Option<Expr>,
    /// FETCH ... WITH TIES.
    pub with_ties: Option<Loc>,
    /// OFFSET.
    pub offset: Option<Expr>,
    /// FOR UPDATE and its kin.
    pub locking: Vec<Locking>,
    /// Where it begins.
    pub loc: Loc,
}

/// The query proper.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub(crate) enum QueryBody {
    Select(Box<Select>),
    Values(Vec<Vec<Expr>>),
    SetOp { kind: SetOpKind, all: bool, left: Box<Query>, right: Box<Query>, loc: Loc },
}

/// WITH.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub(crate) struct With {
    pub recursive: bool,
    pub ctes: Vec<CommonTable>,
}

/// One query of WITH.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub(crate) struct CommonTable {
    pub name: Ident,
    pub columns: Vec<Ident>,
    pub materialized: Option<bool>,
    /// `Err` names a statement that is not built here.
    pub query: Result<Box<Query>, &'static str>,
}

/// SELECT.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub(crate) struct Select {
    pub distinct: Distinct,
    pub targets: Vec<Target>,
    pub into: Option<Loc>,
    pub from: Vec<TableRef>,
    pub filter: Option<Expr>,
    pub group_by: Vec<Expr>,
    pub having: Option<Expr>,
    pub windows: Vec<(Ident, WindowSpec)>,
}

/// DISTINCT.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub(crate) enum Distinct {
    No,
    Yes,
    On(Vec<Expr>),
}

/// An item of the select list.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub(crate) struct Target {
    pub expr: Expr,
    pub alias: Option<String>,
}

/// Where rows come from.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub(crate) enum TableRef {
    Table {
        name: ObjectName,
        alias: Option<Alias>,
        sample: Option<Loc>,
    },
    Function {
        lateral: bool,
        call: Box<FuncCall>,
        loc: Loc,
        ordinality: bool,
        alias: Option<Alias>,
        columns: Vec<(Ident, TypeName)>,
    },
    /// A call without parentheses or with a syntax of its own: CURRENT_DATE.
    Value {
        expr: Box<Expr>,
        ordinality: bool,
        alias: Option<Alias>,
    },
    Subquery {
        lateral: bool,
        query: Box<Query>,
        alias: Option<Alias>,
        loc: Loc,
    },
    Join(Box<JoinRef>),
    Unsupported {
        what: &'static str,
        loc: Loc,
    },
}

/// A join.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub(crate) struct JoinRef {
    pub kind: JoinKind,
    pub left: TableRef,
    pub right: TableRef,
    pub condition: JoinCondition,
    pub alias: Option<Alias>,
    pub loc: Loc,
}

/// What joins two sides.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub(crate) enum JoinCondition {
    Cross,
    Natural,
    On(Expr),
    Using(Vec<Ident>, Option<Ident>),
}

/// AS name (columns).
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub(crate) struct Alias {
    pub name: Ident,
    pub columns: Vec<Ident>,
}

/// FOR UPDATE and its kin.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub(crate) struct Locking {
    pub strength: LockStrength,
    pub of: Vec<ObjectName>,
    pub wait: LockWait,
    pub loc: Loc,
}
