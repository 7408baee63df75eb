//! Expressions.

use super::{Ident, Loc, ObjectName, Query};

/// An expression.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Its own place: of an operator the operator, of `x::t` the `::`.
    pub loc: Loc,
    /// Where its leftmost part begins.
    pub start: Loc,
}

/// An operator, possibly qualified by a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OpName {
    /// `OPERATOR(schema.op)`.
    pub schema: Option<String>,
    /// The operator.
    pub name: String,
}

impl OpName {
    /// Without a schema.
    pub(crate) fn plain(name: &str) -> Self {
        Self { schema: None, name: name.to_owned() }
    }
}

/// What an expression is.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)] // the names are those of SQL
pub(crate) enum ExprKind {
    Null,
    Bool(bool),
    Int(i32),
    /// A number that is no int4.
    Number(String),
    /// A string literal.
    Str(String),
    /// A bit string: `b` or `x`, and the digits.
    Bits(u8, String),
    /// `$1` is 1.
    Param(u32),
    /// `a`, `t.a`, `s.t.a`.
    Column(Vec<String>),
    /// `*`, `t.*`, `s.t.*`.
    Star(Vec<String>),
    /// What follows an expression: `(x).field`, `x[1]`, `x[1:2]`, `(x).*`.
    Indirection {
        arg: Box<Expr>,
        items: Vec<Indirection>,
    },
    /// `a op b`, or `op b`.
    Op {
        op: OpName,
        left: Option<Box<Expr>>,
        right: Box<Expr>,
    },
    /// `a op ANY (array)` or ALL.
    OpArray {
        op: OpName,
        all: bool,
        left: Box<Expr>,
        right: Box<Expr>,
    },
    /// `a op ANY (SELECT ...)` or ALL.
    OpQuery {
        op: OpName,
        all: bool,
        left: Box<Expr>,
        query: Box<Query>,
    },
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Not(Box<Expr>),
    IsNull {
        arg: Box<Expr>,
        negated: bool,
    },
    BoolTest {
        arg: Box<Expr>,
        test: BoolTest,
    },
    IsDistinct {
        left: Box<Expr>,
        right: Box<Expr>,
        negated: bool,
    },
    In {
        left: Box<Expr>,
        list: Vec<Expr>,
        negated: bool,
    },
    InQuery {
        left: Box<Expr>,
        query: Box<Query>,
        negated: bool,
    },
    Like {
        kind: LikeKind,
        left: Box<Expr>,
        pattern: Box<Expr>,
        escape: Option<Box<Expr>>,
        negated: bool,
    },
    Between {
        arg: Box<Expr>,
        low: Box<Expr>,
        high: Box<Expr>,
        symmetric: bool,
        negated: bool,
    },
    Cast {
        arg: Box<Expr>,
        ty: TypeName,
    },
    Collate {
        arg: Box<Expr>,
        name: ObjectName,
    },
    Func(Box<FuncCall>),
    Case {
        operand: Option<Box<Expr>>,
        arms: Vec<(Expr, Expr)>,
        otherwise: Option<Box<Expr>>,
    },
    Coalesce(Vec<Expr>),
    MinMax {
        greatest: bool,
        args: Vec<Expr>,
    },
    NullIf(Box<Expr>, Box<Expr>),
    Array(Vec<Expr>),
    ArrayQuery(Box<Query>),
    Row {
        fields: Vec<Expr>,
        explicit: bool,
    },
    Subquery(Box<Query>),
    Exists(Box<Query>),
    /// `CURRENT_DATE`, `CURRENT_USER` and their kin, in lower case, with the precision where one is given.
    SessionValue {
        name: &'static str,
        precision: Option<i32>,
    },
    /// `DEFAULT`, where a value may stand.
    Default,
    /// Parsed, but not built: the message's subject.
    Unsupported(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub(crate) enum LikeKind {
    Like,
    ILike,
    Similar,
}

pub(crate) use crate::sql::bound::BoolTest;

/// One step into a value.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub(crate) enum Indirection {
    Field(Ident),
    Star,
    Index(Expr),
    Slice(Option<Expr>, Option<Expr>),
}

/// A call.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FuncCall {
    /// Its name.
    pub name: ObjectName,
    /// The arguments.
    pub args: Vec<Arg>,
    /// `f(*)`.
    pub star: bool,
    /// `f(DISTINCT ...)`.
    pub distinct: bool,
    /// `f(VARIADIC array)`.
    pub variadic: bool,
    /// ORDER BY inside the call.
    pub order_by: Vec<SortBy>,
    /// WITHIN GROUP (ORDER BY ...).
    pub within_group: Vec<SortBy>,
    /// FILTER (WHERE ...).
    pub filter: Option<Expr>,
    /// OVER.
    pub over: Option<WindowSpec>,
    /// Written with keywords of its own, such as EXTRACT: the name is resolved in `pg_catalog`.
    pub keyword_syntax: bool,
}

/// An argument.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Arg {
    /// `name => value`.
    pub name: Option<Ident>,
    /// The value.
    pub value: Expr,
}

/// ORDER BY item.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SortBy {
    /// By this.
    pub expr: Expr,
    /// DESC.
    pub desc: bool,
    /// NULLS FIRST or LAST, when written.
    pub nulls_first: Option<bool>,
    /// USING operator.
    pub using: Option<(OpName, Loc)>,
}

/// OVER (...), or OVER name.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct WindowSpec {
    /// OVER name, or the name that a specification refines.
    pub base: Option<Ident>,
    /// Only a name.
    pub is_name: bool,
    /// PARTITION BY.
    pub partition_by: Vec<Expr>,
    /// ORDER BY.
    pub order_by: Vec<SortBy>,
    /// A frame clause other than the default one stands here.
    pub frame: Option<Loc>,
    /// Where.
    pub loc: Loc,
}

/// A type as it is written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TypeName {
    /// SQL's own names are already `pg_catalog`'s.
    pub names: Vec<String>,
    /// Modifiers.
    pub mods: Vec<Expr>,
    /// Whether `[]` or ARRAY follows.
    pub array: bool,
    /// SETOF.
    pub setof: bool,
    /// Where.
    pub loc: Loc,
    /// `name%TYPE`.
    pub percent_type: bool,
}
