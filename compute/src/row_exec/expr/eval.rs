//! The compiled form of an expression, and its evaluation.

use super::arrays;
use super::session_value::session_value;
use crate::functions::text_io::io_cast;
use crate::functions::{Call, EvalContext, ScalarFunction, relabel};
use crate::sql::bound::BoolTest;
use crate::{SqlError, SqlResult};
use shardforge_types::{Datum, PgType, RecordField, compare};
use smallvec::SmallVec;
use std::cmp::Ordering;
use std::ops::Deref;

/// What an expression is evaluated over.
#[derive(Clone, Copy)]
pub struct Env<'a> {
    /// The row, as the [`super::Scope`] laid it out.
    pub row: &'a [Datum],
    /// `$1`, `$2`, ...
    pub params: &'a [Datum],
    /// The session.
    pub context: &'a EvalContext,
    case: Option<&'a Datum>,
    element: Option<&'a Datum>,
}

impl<'a> Env<'a> {
    /// An environment for one row.
    pub fn new(row: &'a [Datum], params: &'a [Datum], context: &'a EvalContext) -> Self {
        Self { row, params, context, case: None, element: None }
    }

    /// The same, over another row.
    #[must_use]
    pub fn with_row<'b>(&self, row: &'b [Datum]) -> Env<'b>
    where
        'a: 'b,
    {
        Env { row, ..*self }
    }
}

/// A compiled expression.
#[derive(Debug, Clone)]
pub struct Evaluator {
    pub(super) node: Node,
    /// The type of its value.
    pub ty: PgType,
}

/// A value that an evaluation borrows where it can.
pub(super) enum Value<'a> {
    Ref(&'a Datum),
    Owned(Datum),
}

impl Deref for Value<'_> {
    type Target = Datum;
    fn deref(&self) -> &Datum {
        match self {
            Value::Ref(datum) => datum,
            Value::Owned(datum) => datum,
        }
    }
}

impl Value<'_> {
    fn into_datum(self) -> Datum {
        match self {
            Value::Ref(datum) => datum.clone(),
            Value::Owned(datum) => datum,
        }
    }
}

/// A call with its types.
#[derive(Debug, Clone)]
pub(super) struct CallNode {
    pub(super) function: &'static ScalarFunction,
    pub(super) args: Box<[Node]>,
    pub(super) arg_types: Box<[PgType]>,
    pub(super) result: PgType,
}

/// A function of two operands that gives a boolean.
#[derive(Debug, Clone)]
pub(super) struct Test {
    pub(super) function: &'static ScalarFunction,
    pub(super) types: [PgType; 2],
}

impl Test {
    fn call(&self, a: &Datum, b: &Datum, env: &Env<'_>) -> SqlResult<Option<bool>> {
        let call = Call { context: env.context, arg_types: &self.types, result: PgType::BOOL };
        truth(&self.function.call(&[a.clone(), b.clone()], &call)?)
    }
}

#[derive(Debug, Clone)]
pub(super) enum Node {
    Const(Datum),
    Param(usize),
    Slot(usize),
    CaseOperand,
    Element,
    Call(Box<CallNode>),
    Relabel(Box<Node>, PgType),
    IoCast { arg: Box<Node>, from: PgType, to: PgType },
    ArrayCast { arg: Box<Node>, element: Box<Node>, to: PgType },
    And(Box<[Node]>),
    Or(Box<[Node]>),
    Not(Box<Node>),
    IsNull { arg: Box<Node>, negated: bool },
    BoolTest { arg: Box<Node>, test: BoolTest },
    Distinct { eq: Test, args: Box<[Node; 2]>, negated: bool },
    NullIf { eq: Test, args: Box<[Node; 3]> },
    Case { operand: Option<Box<Node>>, arms: Box<[(Node, Node)]>, otherwise: Option<Box<Node>> },
    Coalesce(Box<[Node]>),
    MinMax { greatest: bool, args: Box<[Node]>, ty: PgType },
    Array { elements: Box<[Node]>, nested: bool, ty: PgType },
    Subscript { array: Box<Node>, indexes: Box<[Node]> },
    Slice { array: Box<Node>, bounds: Box<[(Option<Node>, Option<Node>)]> },
    ScalarArray { test: Test, all: bool, args: Box<[Node; 2]> },
    Row(Box<[(Node, PgType)]>),
    Field { arg: Box<Node>, index: usize },
    Session { name: &'static str, ty: PgType },
}

/// The truth value of a boolean; `None` is unknown.
fn truth(datum: &Datum) -> SqlResult<Option<bool>> {
    match datum {
        Datum::Bool(value) => Ok(Some(*value)),
        Datum::Null => Ok(None),
        _ => Err(SqlError::internal("a condition is no boolean")),
    }
}

fn three_valued(value: Option<bool>) -> Datum {
    value.map_or(Datum::Null, Datum::Bool)
}

impl Evaluator {
    /// The value for a row.
    pub fn eval(&self, env: &Env<'_>) -> SqlResult<Datum> {
        self.node.eval(env)
    }

    /// Whether the value is true; unknown is not.
    pub fn is_true(&self, env: &Env<'_>) -> SqlResult<bool> {
        Ok(truth(&*self.node.value(env)?)? == Some(true))
    }

    /// Whether the value is false; unknown is not. What CHECK asks.
    pub fn is_false(&self, env: &Env<'_>) -> SqlResult<bool> {
        Ok(truth(&*self.node.value(env)?)? == Some(false))
    }

    /// The value, if it is known without a row.
    pub fn as_const(&self) -> Option<&Datum> {
        match &self.node {
            Node::Const(datum) => Some(datum),
            _ => None,
        }
    }

    /// The value at a place of the row, whatever its type.
    pub fn slot(slot: usize) -> Self {
        Evaluator { node: Node::Slot(slot), ty: PgType::UNKNOWN }
    }

    /// The place in the row whose value this is, if it is one.
    pub fn as_slot(&self) -> Option<usize> {
        match &self.node {
            Node::Slot(slot) => Some(*slot),
            _ => None,
        }
    }
}

impl Node {
    /// The value, borrowed from row, parameters or plan where it lies there.
    fn value<'a>(&'a self, env: &Env<'a>) -> SqlResult<Value<'a>> {
        let missing = |what: &str| SqlError::internal(format!("a plan uses {what} that is not there"));
        Ok(Value::Ref(match self {
            Node::Const(datum) => datum,
            Node::Param(n) => env.params.get(*n).ok_or_else(|| missing("a parameter"))?,
            Node::Slot(n) => env.row.get(*n).ok_or_else(|| missing("a column"))?,
            Node::CaseOperand => env.case.ok_or_else(|| missing("a CASE operand"))?,
            Node::Element => env.element.ok_or_else(|| missing("an array element"))?,
            _ => return self.compute(env).map(Value::Owned),
        }))
    }

    fn eval(&self, env: &Env<'_>) -> SqlResult<Datum> {
        Ok(self.value(env)?.into_datum())
    }

    fn truth(&self, env: &Env<'_>) -> SqlResult<Option<bool>> {
        truth(&*self.value(env)?)
    }

    fn compute(&self, env: &Env<'_>) -> SqlResult<Datum> {
        Ok(match self {
            Node::Call(node) => return node.call(env),
            Node::Relabel(arg, to) => relabel(arg.eval(env)?, *to),
            Node::IoCast { arg, from, to } => {
                let call = Call { context: env.context, arg_types: &[*from], result: *to };
                return io_cast(&*arg.value(env)?, *from, &call);
            }
            Node::ArrayCast { arg, element, to } => {
                return arrays::convert(&*arg.value(env)?, *to, |value| {
                    element.eval(&Env { element: Some(value), ..*env })
                });
            }
            Node::And(args) => return connect(args, env, false),
            Node::Or(args) => return connect(args, env, true),
            Node::Not(arg) => three_valued(arg.truth(env)?.map(|value| !value)),
            Node::IsNull { arg, negated } => Datum::Bool(is_null(&*arg.value(env)?, *negated)),
            Node::BoolTest { arg, test } => {
                let value = arg.truth(env)?;
                Datum::Bool(match test {
                    BoolTest::True => value == Some(true),
                    BoolTest::NotTrue => value != Some(true),
                    BoolTest::False => value == Some(false),
                    BoolTest::NotFalse => value != Some(false),
                    BoolTest::Unknown => value.is_none(),
                    BoolTest::NotUnknown => value.is_some(),
                })
            }
            Node::Distinct { eq, args, negated } => {
                let (a, b) = (args[0].value(env)?, args[1].value(env)?);
                let same = match (a.is_null(), b.is_null()) {
                    (true, true) => true,
                    (false, false) => eq.call(&a, &b, env)? == Some(true),
                    _ => false,
                };
                Datum::Bool(same == *negated)
            }
            Node::NullIf { eq, args } => {
                let value = args[0].eval(env)?;
                let (a, b) = (args[1].value(env)?, args[2].value(env)?);
                if eq.call(&a, &b, env)? == Some(true) { Datum::Null } else { value }
            }
            Node::Case { operand, arms, otherwise } => {
                let operand = operand.as_ref().map(|operand| operand.eval(env)).transpose()?;
                let inner = Env { case: operand.as_ref().or(env.case), ..*env };
                for (when, then) in arms {
                    if when.truth(&inner)? == Some(true) {
                        return then.eval(env);
                    }
                }
                match otherwise {
                    Some(otherwise) => return otherwise.eval(env),
                    None => Datum::Null,
                }
            }
            Node::Coalesce(args) => {
                for arg in args {
                    let value = arg.value(env)?;
                    if !value.is_null() {
                        return Ok(value.into_datum());
                    }
                }
                Datum::Null
            }
            Node::MinMax { greatest, args, ty } => {
                let better = if *greatest { Ordering::Greater } else { Ordering::Less };
                let mut best = Datum::Null;
                for arg in args {
                    let value = arg.value(env)?;
                    if !value.is_null() && (best.is_null() || compare::compare(&value, &best, *ty) == better)
                    {
                        best = value.into_datum();
                    }
                }
                best
            }
            Node::Array { elements, nested, ty } => {
                let values =
                    elements.iter().map(|element| element.eval(env)).collect::<SqlResult<Vec<_>>>()?;
                return arrays::build(values, *nested, *ty);
            }
            Node::Subscript { array, indexes } => {
                let array = array.value(env)?;
                let indexes = ints(indexes, env)?;
                match (&*array, indexes) {
                    (Datum::Array(array), Some(indexes)) => {
                        array.get(&indexes).cloned().unwrap_or(Datum::Null)
                    }
                    _ => Datum::Null,
                }
            }
            Node::Slice { array, bounds } => {
                let array = array.value(env)?;
                let mut limits: SmallVec<[(Option<i32>, Option<i32>); 2]> = SmallVec::new();
                for (low, high) in bounds {
                    let (Some(low), Some(high)) = (bound(low, env)?, bound(high, env)?) else {
                        return Ok(Datum::Null);
                    };
                    limits.push((low, high));
                }
                match &*array {
                    Datum::Array(array) => arrays::slice(array, &limits),
                    _ => Datum::Null,
                }
            }
            Node::ScalarArray { test, all, args } => {
                let (value, array) = (args[0].value(env)?, args[1].value(env)?);
                let Datum::Array(array) = &*array else { return Ok(Datum::Null) };
                if array.is_empty() {
                    return Ok(Datum::Bool(*all));
                }
                if value.is_null() && test.function.strict {
                    return Ok(Datum::Null);
                }
                let mut unknown = false;
                for element in &array.values {
                    match test.call(&value, element, env)? {
                        Some(result) if result != *all => return Ok(Datum::Bool(result)),
                        Some(_) => {}
                        None => unknown = true,
                    }
                }
                if unknown { Datum::Null } else { Datum::Bool(*all) }
            }
            Node::Row(fields) => {
                let fields =
                    fields.iter().map(|(node, ty)| Ok(RecordField { ty: *ty, value: node.eval(env)? }));
                Datum::Record(fields.collect::<SqlResult<Vec<_>>>()?.into())
            }
            Node::Field { arg, index } => match &*arg.value(env)? {
                Datum::Record(fields) => fields.get(*index).map_or(Datum::Null, |field| field.value.clone()),
                _ => Datum::Null,
            },
            Node::Session { name, ty } => return session_value(name, *ty, env.context),
            Node::Const(_) | Node::Param(_) | Node::Slot(_) | Node::CaseOperand | Node::Element => {
                return self.eval(env);
            }
        })
    }
}

impl CallNode {
    fn call(&self, env: &Env<'_>) -> SqlResult<Datum> {
        let call = Call { context: env.context, arg_types: &self.arg_types, result: self.result };
        match &*self.args {
            [a] => self.function.call(&[a.eval(env)?], &call),
            [a, b] => self.function.call(&[a.eval(env)?, b.eval(env)?], &call),
            args => {
                let args =
                    args.iter().map(|arg| arg.eval(env)).collect::<SqlResult<SmallVec<[Datum; 4]>>>()?;
                self.function.call(&args, &call)
            }
        }
    }
}

/// AND (`decisive` is false) or OR (it is true): the first decisive value ends it.
fn connect(args: &[Node], env: &Env<'_>, decisive: bool) -> SqlResult<Datum> {
    let mut unknown = false;
    for arg in args {
        match arg.truth(env)? {
            Some(value) if value == decisive => return Ok(Datum::Bool(decisive)),
            Some(_) => {}
            None => unknown = true,
        }
    }
    Ok(if unknown { Datum::Null } else { Datum::Bool(!decisive) })
}

/// `IS NULL`, or `IS NOT NULL` when `negated`: a row value is (not) null when all its fields are (not).
fn is_null(datum: &Datum, negated: bool) -> bool {
    match datum {
        Datum::Record(fields) => fields.iter().all(|field| field.value.is_null() != negated),
        other => other.is_null() != negated,
    }
}

/// Subscripts; `None` when one is null.
fn ints(nodes: &[Node], env: &Env<'_>) -> SqlResult<Option<SmallVec<[i32; 2]>>> {
    let mut out = SmallVec::new();
    for node in nodes {
        match &*node.value(env)? {
            Datum::Int4(value) => out.push(*value),
            _ => return Ok(None),
        }
    }
    Ok(Some(out))
}

/// A bound of a slice: `Some(None)` was left out, `None` is null.
fn bound(node: &Option<Node>, env: &Env<'_>) -> SqlResult<Option<Option<i32>>> {
    let Some(node) = node else { return Ok(Some(None)) };
    Ok(match &*node.value(env)? {
        Datum::Int4(value) => Some(Some(*value)),
        _ => None,
    })
}
