//! Bound scalar expressions.

use super::{ColId, Query, SortKey};
use shardforge_types::{Datum, Oid, PgType};

/// An expression with its type.
#[derive(Debug, Clone, PartialEq)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Its type.
    pub ty: PgType,
    /// Where it stands in the query text, in characters from 1, for errors at run time.
    pub position: Option<u32>,
}

/// What an expression is.
#[derive(Debug, Clone, PartialEq)]
pub enum ExprKind {
    /// A value of the expression's type.
    Const(Datum),
    /// `$1` is 0.
    Param(u16),
    /// A column of a relation, of this query or of an outer one.
    Col(ColId),
    /// A function or operator, by its `pg_proc` OID. Length coercions such as `varchar(varchar,
    /// int4, bool)` are calls too. A variadic call has its last arguments gathered in an array, but those of
    /// `VARIADIC "any"` (`concat`, `format`), whose types differ, stand one by one: there, a lone array is
    /// the caller's `VARIADIC array`, and a lone value that is an array comes as text.
    Call {
        /// `pg_proc.oid`.
        func: Oid,
        /// Of exactly the declared types.
        args: Vec<Expr>,
    },
    /// The same value under another, binary-compatible type.
    Relabel(Box<Expr>),
    /// A conversion through the text form: output function of one type, input function of the other.
    IoCast(Box<Expr>),
    /// An array converted element by element: `element` says how, in terms of [`ExprKind::Element`].
    ArrayCast {
        /// The array.
        arg: Box<Expr>,
        /// The conversion of one element.
        element: Box<Expr>,
    },
    /// The element at hand, inside [`ExprKind::ArrayCast`].
    Element,
    /// All are true; unknown as in SQL.
    And(Vec<Expr>),
    /// One is true; unknown as in SQL.
    Or(Vec<Expr>),
    /// Not true.
    Not(Box<Expr>),
    /// `IS [NOT] NULL`. For a row value: all (none) of its fields are null.
    IsNull {
        /// What is tested.
        arg: Box<Expr>,
        /// `IS NOT NULL`.
        negated: bool,
    },
    /// `IS [NOT] TRUE | FALSE | UNKNOWN`.
    BoolTest {
        /// What is tested.
        arg: Box<Expr>,
        /// Which test.
        test: BoolTest,
    },
    /// `IS [NOT] DISTINCT FROM`, by the equality function of the operands' type.
    Distinct {
        /// `pg_proc.oid` of `=`.
        eq: Oid,
        /// The operands.
        args: Box<[Expr; 2]>,
        /// `IS NOT DISTINCT FROM`.
        negated: bool,
    },
    /// `NULLIF(a, b)`, by the equality function of its operands. The type is that of `a`.
    NullIf {
        /// `pg_proc.oid` of `=`.
        eq: Oid,
        /// `a` as it is returned, then `a` and `b` as they are compared.
        args: Box<[Expr; 3]>,
    },
    /// `CASE`. With an operand, the arms' conditions compare [`ExprKind::CaseOperand`].
    Case {
        /// Evaluated once.
        operand: Option<Box<Expr>>,
        /// Tried in order.
        arms: Vec<CaseArm>,
        /// `ELSE`, null when absent.
        otherwise: Option<Box<Expr>>,
    },
    /// The value of the innermost `CASE operand`.
    CaseOperand,
    /// The first that is not null.
    Coalesce(Vec<Expr>),
    /// `GREATEST` or `LEAST` over non-null arguments, by the default order of the type.
    MinMax {
        /// `GREATEST`.
        greatest: bool,
        /// All of the expression's type.
        args: Vec<Expr>,
    },
    /// `ARRAY[...]`. With `nested`, the elements are arrays and become a dimension.
    Array {
        /// The elements.
        elements: Vec<Expr>,
        /// Whether the elements are arrays themselves.
        nested: bool,
    },
    /// `a[i]`, `a[i][j]`.
    Subscript {
        /// The array.
        array: Box<Expr>,
        /// int4 each.
        indexes: Vec<Expr>,
    },
    /// `a[i:j]`; a bound left out is the array's own.
    Slice {
        /// The array.
        array: Box<Expr>,
        /// int4 each, per dimension.
        bounds: Vec<(Option<Expr>, Option<Expr>)>,
    },
    /// `x op ANY (array)` or `x op ALL (array)`; `IN (list)` too, over [`ExprKind::Array`].
    ScalarArray {
        /// `pg_proc.oid` of the operator: (x, element) to bool.
        func: Oid,
        /// `ALL`.
        all: bool,
        /// x, then the array.
        args: Box<[Expr; 2]>,
    },
    /// `ROW(...)`.
    Row(Vec<Expr>),
    /// A field of a row value, from 0.
    Field {
        /// The row value.
        arg: Box<Expr>,
        /// Which field.
        index: usize,
    },
    /// A query inside an expression.
    Subquery {
        /// How its rows become a value.
        kind: SubqueryKind,
        /// The query; columns of outer queries appear in it as plain [`ExprKind::Col`].
        query: Box<Query>,
    },
    /// `CURRENT_TIMESTAMP`, `CURRENT_USER` and their kin are calls of the functions that
    /// PostgreSQL has for them, or for those without one, this, by its upper-case name.
    SessionValue(&'static str),
}

/// `IS ... ` for booleans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // the names say it
pub enum BoolTest {
    True,
    NotTrue,
    False,
    NotFalse,
    Unknown,
    NotUnknown,
}

/// `WHEN condition THEN result`.
#[derive(Debug, Clone, PartialEq)]
pub struct CaseArm {
    /// A boolean.
    pub when: Expr,
    /// Of the CASE's type.
    pub then: Expr,
}

/// How a subquery's rows become a value.
#[derive(Debug, Clone, PartialEq)]
pub enum SubqueryKind {
    /// Whether there is a row.
    Exists,
    /// The one value of the one row; null without a row, 21000 with more than one.
    Scalar,
    /// `left op ANY (query)`: `IN` is `= ANY`. One comparison for each output column, which are
    /// combined with AND.
    Any {
        /// A boolean for each column, over `left` columns and the query's own output columns.
        test: Box<Expr>,
    },
    /// `left op ALL (query)`.
    All {
        /// A boolean over outer columns and the query's own output columns.
        test: Box<Expr>,
    },
    /// `ARRAY(query)`, in the query's order.
    Array,
}

impl Expr {
    /// An expression without a place in the text.
    pub fn new(kind: ExprKind, ty: PgType) -> Self {
        Self { kind, ty, position: None }
    }

    /// A constant.
    pub fn constant(value: Datum, ty: PgType) -> Self {
        Self::new(ExprKind::Const(value), ty)
    }

    /// A column.
    pub fn col(id: ColId, ty: PgType) -> Self {
        Self::new(ExprKind::Col(id), ty)
    }

    /// Calls `visit` with each direct operand. Queries inside are not entered; the tests of
    /// `ANY` and `ALL` are.
    pub fn for_each_child<'a>(&'a self, visit: &mut dyn FnMut(&'a Expr)) {
        match &self.kind {
            ExprKind::Const(_)
            | ExprKind::Param(_)
            | ExprKind::Col(_)
            | ExprKind::Element
            | ExprKind::CaseOperand
            | ExprKind::SessionValue(_) => {}
            ExprKind::Relabel(arg)
            | ExprKind::IoCast(arg)
            | ExprKind::Not(arg)
            | ExprKind::IsNull { arg, .. }
            | ExprKind::BoolTest { arg, .. }
            | ExprKind::Field { arg, .. } => visit(arg),
            ExprKind::ArrayCast { arg, element } => {
                visit(arg);
                visit(element);
            }
            ExprKind::Call { args, .. }
            | ExprKind::And(args)
            | ExprKind::Or(args)
            | ExprKind::Coalesce(args)
            | ExprKind::MinMax { args, .. }
            | ExprKind::Array { elements: args, .. }
            | ExprKind::Row(args) => args.iter().for_each(visit),
            ExprKind::Distinct { args, .. } | ExprKind::ScalarArray { args, .. } => {
                args.iter().for_each(visit)
            }
            ExprKind::NullIf { args, .. } => args.iter().for_each(visit),
            ExprKind::Case { operand, arms, otherwise } => {
                operand.iter().for_each(|e| visit(e));
                for arm in arms {
                    visit(&arm.when);
                    visit(&arm.then);
                }
                otherwise.iter().for_each(|e| visit(e));
            }
            ExprKind::Subscript { array, indexes } => {
                visit(array);
                indexes.iter().for_each(visit);
            }
            ExprKind::Slice { array, bounds } => {
                visit(array);
                for (low, high) in bounds {
                    low.iter().for_each(&mut *visit);
                    high.iter().for_each(&mut *visit);
                }
            }
            ExprKind::Subquery { kind, .. } => match kind {
                SubqueryKind::Any { test } | SubqueryKind::All { test } => visit(test),
                SubqueryKind::Exists | SubqueryKind::Scalar | SubqueryKind::Array => {}
            },
        }
    }

    /// [`Self::for_each_child`] for operands that may be changed.
    pub fn for_each_child_mut(&mut self, visit: &mut dyn FnMut(&mut Expr)) {
        match &mut self.kind {
            ExprKind::Const(_)
            | ExprKind::Param(_)
            | ExprKind::Col(_)
            | ExprKind::Element
            | ExprKind::CaseOperand
            | ExprKind::SessionValue(_) => {}
            ExprKind::Relabel(arg)
            | ExprKind::IoCast(arg)
            | ExprKind::Not(arg)
            | ExprKind::IsNull { arg, .. }
            | ExprKind::BoolTest { arg, .. }
            | ExprKind::Field { arg, .. } => visit(arg),
            ExprKind::ArrayCast { arg, element } => {
                visit(arg);
                visit(element);
            }
            ExprKind::Call { args, .. }
            | ExprKind::And(args)
            | ExprKind::Or(args)
            | ExprKind::Coalesce(args)
            | ExprKind::MinMax { args, .. }
            | ExprKind::Array { elements: args, .. }
            | ExprKind::Row(args) => args.iter_mut().for_each(visit),
            ExprKind::Distinct { args, .. } | ExprKind::ScalarArray { args, .. } => {
                args.iter_mut().for_each(visit)
            }
            ExprKind::NullIf { args, .. } => args.iter_mut().for_each(visit),
            ExprKind::Case { operand, arms, otherwise } => {
                operand.iter_mut().for_each(|e| visit(e));
                for arm in arms {
                    visit(&mut arm.when);
                    visit(&mut arm.then);
                }
                otherwise.iter_mut().for_each(|e| visit(e));
            }
            ExprKind::Subscript { array, indexes } => {
                visit(array);
                indexes.iter_mut().for_each(visit);
            }
            ExprKind::Slice { array, bounds } => {
                visit(array);
                for (low, high) in bounds {
                    low.iter_mut().for_each(&mut *visit);
                    high.iter_mut().for_each(&mut *visit);
                }
            }
            ExprKind::Subquery { kind, .. } => match kind {
                SubqueryKind::Any { test } | SubqueryKind::All { test } => visit(test),
                SubqueryKind::Exists | SubqueryKind::Scalar | SubqueryKind::Array => {}
            },
        }
    }

    /// Whether the expression, subqueries aside, satisfies `test` anywhere.
    pub fn any(&self, test: &mut dyn FnMut(&Expr) -> bool) -> bool {
        if test(self) {
            return true;
        }
        let mut found = false;
        self.for_each_child(&mut |child| found = found || child.any(test));
        found
    }
}

impl From<&Expr> for SortKey {
    fn from(expr: &Expr) -> Self {
        SortKey { expr: expr.clone(), desc: false, nulls_first: false }
    }
}
