//! From a bound expression to its compiled form.

use super::eval::{CallNode, Env, Evaluator, Node, Test};
use crate::catalog::builtin;
use crate::functions::{EvalContext, ScalarFunction, Volatility, scalar};
use crate::sql::bound::{ColDef, ColId, Expr, ExprKind};
use crate::{SqlError, SqlResult};
use ahash::AHashMap;
use shardforge_types::{Oid, PgType, oids};
use std::sync::LazyLock;

/// Where each column lies in the row that expressions are evaluated over.
#[derive(Debug, Clone, Default)]
pub struct Scope(AHashMap<ColId, usize>);

impl Scope {
    /// No columns.
    pub fn new() -> Self {
        Self::default()
    }

    /// Columns that lie in the row in this order.
    pub fn of<'a>(columns: impl IntoIterator<Item = &'a ColDef>) -> Self {
        Self(columns.into_iter().enumerate().map(|(slot, column)| (column.id, slot)).collect())
    }

    /// Columns of a table's row, each at its position in the table's definition plus `base`.
    pub fn add_table(&mut self, columns: &[(ColDef, usize)], base: usize) {
        self.0.extend(columns.iter().map(|(column, position)| (column.id, base + position)));
    }

    /// A column at a place.
    pub fn add(&mut self, column: ColId, slot: usize) {
        self.0.insert(column, slot);
    }

    /// The place of a column.
    pub fn slot(&self, column: ColId) -> Option<usize> {
        self.0.get(&column).copied()
    }
}

/// Whether an expression has a subquery in it.
pub fn has_subquery(expr: &Expr) -> bool {
    expr.any(&mut |e| matches!(e.kind, ExprKind::Subquery { .. }))
}

/// Whether an expression has the same value for every row of a statement: no columns, subqueries, or
/// volatile functions.
pub fn is_constant(expr: &Expr) -> bool {
    !expr.any(&mut |e| match &e.kind {
        ExprKind::Col(_) | ExprKind::Subquery { .. } => true,
        ExprKind::Call { func, .. } => crate::functions::is_volatile(*func),
        _ => false,
    })
}

/// Compiles an expression over rows laid out by `scope`.
pub fn compile(expr: &Expr, scope: &Scope) -> SqlResult<Evaluator> {
    Ok(Evaluator { node: node(expr, scope)?, ty: expr.ty })
}

/// For constants: immutable functions ask nothing of it.
static NO_SESSION: LazyLock<EvalContext> = LazyLock::new(|| EvalContext::detached(0));

fn function(oid: Oid) -> SqlResult<&'static ScalarFunction> {
    scalar(oid).ok_or_else(|| match builtin::proc(oid) {
        Some(entry) => SqlError::not_supported(format!("function {}()", entry.name)),
        None => SqlError::internal(format!("there is no function {oid}")),
    })
}

fn test(func: Oid, a: &Expr, b: PgType) -> SqlResult<Test> {
    Ok(Test { function: function(func)?, types: [a.ty, b] })
}

fn nodes(exprs: &[Expr], scope: &Scope) -> SqlResult<Box<[Node]>> {
    exprs.iter().map(|expr| node(expr, scope)).collect()
}

fn boxed(expr: &Expr, scope: &Scope) -> SqlResult<Box<Node>> {
    node(expr, scope).map(Box::new)
}

/// `pg_typeof`: decided by the argument's static type, whatever its value.
const PG_TYPEOF: Oid = Oid(1619);

/// Whether values of a type convert from and to text alike in every session.
fn plain_text_form(ty: PgType) -> bool {
    matches!(
        ty.oid,
        oids::BOOL
            | oids::INT2
            | oids::INT4
            | oids::INT8
            | oids::NUMERIC
            | oids::TEXT
            | oids::VARCHAR
            | oids::BPCHAR
            | oids::NAME
            | oids::UUID
            | oids::UNKNOWN
    )
}

fn node(expr: &Expr, scope: &Scope) -> SqlResult<Node> {
    let mut foldable = true;
    let node = match &expr.kind {
        // A literal may stand under a binary-compatible type: an integer as an object's number.
        ExprKind::Const(datum) => return Ok(Node::Const(crate::functions::relabel(datum.clone(), expr.ty))),
        ExprKind::Param(n) => return Ok(Node::Param((*n).into())),
        ExprKind::Col(id) => {
            let slot = scope.slot(*id);
            return slot
                .map(Node::Slot)
                .ok_or_else(|| SqlError::internal(format!("column {} is not in the row at hand", id.0)));
        }
        ExprKind::Element => return Ok(Node::Element),
        ExprKind::CaseOperand => return Ok(Node::CaseOperand),
        ExprKind::SessionValue(name) => return Ok(Node::Session { name, ty: expr.ty }),
        ExprKind::Call { func: PG_TYPEOF, args } => {
            let ty = args.first().map_or(oids::UNKNOWN, |arg| arg.ty.oid);
            return Ok(Node::Const(shardforge_types::Datum::Oid(ty)));
        }
        ExprKind::Call { func, args } => {
            let function = function(*func)?;
            foldable = function.volatility == Volatility::Immutable;
            Node::Call(Box::new(CallNode {
                function,
                arg_types: args.iter().map(|arg| arg.ty).collect(),
                args: nodes(args, scope)?,
                result: expr.ty,
            }))
        }
        ExprKind::Relabel(arg) => Node::Relabel(boxed(arg, scope)?, expr.ty),
        ExprKind::IoCast(arg) => {
            foldable = plain_text_form(arg.ty) && plain_text_form(expr.ty);
            Node::IoCast { arg: boxed(arg, scope)?, from: arg.ty, to: expr.ty }
        }
        ExprKind::ArrayCast { arg, element } => {
            foldable = false;
            Node::ArrayCast { arg: boxed(arg, scope)?, element: boxed(element, scope)?, to: expr.ty }
        }
        ExprKind::And(args) => Node::And(nodes(args, scope)?),
        ExprKind::Or(args) => Node::Or(nodes(args, scope)?),
        ExprKind::Not(arg) => Node::Not(boxed(arg, scope)?),
        ExprKind::IsNull { arg, negated } => Node::IsNull { arg: boxed(arg, scope)?, negated: *negated },
        ExprKind::BoolTest { arg, test } => Node::BoolTest { arg: boxed(arg, scope)?, test: *test },
        ExprKind::Distinct { eq, args, negated } => Node::Distinct {
            eq: test(*eq, &args[0], args[1].ty)?,
            args: Box::new([node(&args[0], scope)?, node(&args[1], scope)?]),
            negated: *negated,
        },
        ExprKind::NullIf { eq, args } => Node::NullIf {
            eq: test(*eq, &args[1], args[2].ty)?,
            args: Box::new([node(&args[0], scope)?, node(&args[1], scope)?, node(&args[2], scope)?]),
        },
        ExprKind::Case { operand, arms, otherwise } => {
            foldable = false;
            Node::Case {
                operand: operand.as_ref().map(|operand| boxed(operand, scope)).transpose()?,
                arms: arms
                    .iter()
                    .map(|arm| Ok((node(&arm.when, scope)?, node(&arm.then, scope)?)))
                    .collect::<SqlResult<_>>()?,
                otherwise: otherwise.as_ref().map(|otherwise| boxed(otherwise, scope)).transpose()?,
            }
        }
        ExprKind::Coalesce(args) => Node::Coalesce(nodes(args, scope)?),
        ExprKind::MinMax { greatest, args } => {
            Node::MinMax { greatest: *greatest, args: nodes(args, scope)?, ty: expr.ty }
        }
        ExprKind::Array { elements, nested } => {
            Node::Array { elements: nodes(elements, scope)?, nested: *nested, ty: expr.ty }
        }
        ExprKind::Subscript { array, indexes } => {
            Node::Subscript { array: boxed(array, scope)?, indexes: nodes(indexes, scope)? }
        }
        ExprKind::Slice { array, bounds } => {
            let bound = |bound: &Option<Expr>| bound.as_ref().map(|bound| node(bound, scope)).transpose();
            Node::Slice {
                array: boxed(array, scope)?,
                bounds: bounds
                    .iter()
                    .map(|(low, high)| Ok((bound(low)?, bound(high)?)))
                    .collect::<SqlResult<_>>()?,
            }
        }
        ExprKind::ScalarArray { func, all, args } => {
            let element = args[1].ty.oid.element_type().map_or(args[1].ty, PgType::new);
            Node::ScalarArray {
                test: test(*func, &args[0], element)?,
                all: *all,
                args: Box::new([node(&args[0], scope)?, node(&args[1], scope)?]),
            }
        }
        ExprKind::Row(fields) => Node::Row(
            fields.iter().map(|field| Ok((node(field, scope)?, field.ty))).collect::<SqlResult<_>>()?,
        ),
        ExprKind::Field { arg, index } => Node::Field { arg: boxed(arg, scope)?, index: *index },
        ExprKind::Subquery { .. } => {
            return Err(SqlError::internal("a subquery was given to the row executor"));
        }
    };
    Ok(if foldable && operands_are_constant(&node) { fold(node, expr.ty) } else { node })
}

/// Whether the operands of a node that was just compiled are constants.
fn operands_are_constant(node: &Node) -> bool {
    let constant = |node: &Node| matches!(node, Node::Const(_));
    match node {
        Node::Call(call) => call.args.iter().all(constant),
        Node::Relabel(arg, _)
        | Node::IoCast { arg, .. }
        | Node::Not(arg)
        | Node::IsNull { arg, .. }
        | Node::BoolTest { arg, .. }
        | Node::Field { arg, .. } => constant(arg),
        Node::And(args) | Node::Or(args) | Node::Coalesce(args) | Node::MinMax { args, .. } => {
            args.iter().all(constant)
        }
        Node::Array { elements, .. } => elements.iter().all(constant),
        Node::Distinct { args, eq, .. } => {
            eq.function.volatility == Volatility::Immutable && args.iter().all(constant)
        }
        Node::NullIf { args, eq } => {
            eq.function.volatility == Volatility::Immutable && args.iter().all(constant)
        }
        Node::ScalarArray { args, test, .. } => {
            test.function.volatility == Volatility::Immutable && args.iter().all(constant)
        }
        Node::Subscript { array, indexes } => constant(array) && indexes.iter().all(constant),
        Node::Row(fields) => fields.iter().all(|(field, _)| constant(field)),
        _ => false,
    }
}

/// The constant that a node is; the node itself where that would be an error.
fn fold(node: Node, ty: PgType) -> Node {
    let evaluator = Evaluator { node, ty };
    match evaluator.eval(&Env::new(&[], &[], &NO_SESSION)) {
        Ok(datum) => Node::Const(datum),
        Err(_) => evaluator.node,
    }
}
