//! Scalar expressions: natively where Arrow's meaning is PostgreSQL's, else through the row executor's
//! evaluator.

use super::Lowering;
use super::compare::{Compared, compared, comparison};
use super::native::{is_expr_volatile, may_fail};
use super::physical::{is_like, is_text_of_char, physical_literal};
use crate::kernel::{RowExpr, int_arith, is_int_arith, order_key};
use crate::physical::Physical;
use crate::values::{Form, data_type, form, needs_order_key, to_scalar};
use arrow::datatypes::DataType;
use datafusion::logical_expr::expr::Case;
use datafusion::logical_expr::{BinaryExpr, Expr as DfExpr, Operator, cast};
use shardforge_compute::SqlResult;
use shardforge_compute::catalog::builtin;
use shardforge_compute::row_exec::expr::{Env, Scope, compile, is_constant};
use shardforge_compute::sql::bound::{BoolTest, ColId, Expr, ExprKind};
use shardforge_types::{Datum, Oid, PgType, oids};

impl Lowering {
    /// An expression without subqueries.
    pub(super) fn expr(&self, expr: &Expr) -> SqlResult<DfExpr> {
        if let Some(value) = self.constant(expr) {
            return Ok(DfExpr::Literal(to_scalar(expr.ty, &value)?, None));
        }
        match self.native(expr)? {
            Some(native) => Ok(native),
            None => self.row_expr(expr),
        }
    }

    /// The value of an expression that is the same for every row; `None` if it is not, or if computing it
    /// is an error, which then is one for a row that reaches it.
    pub(super) fn constant(&self, expr: &Expr) -> Option<Datum> {
        if let ExprKind::Const(value) = &expr.kind {
            return Some(value.clone());
        }
        if matches!(expr.kind, ExprKind::Col(_)) || !is_constant(expr) || is_context_bound(expr) {
            return None;
        }
        let report = &self.env.report;
        compile(expr, &Scope::new()).ok()?.eval(&Env::new(&[], &report.params, &report.session)).ok()
    }

    /// An expression that Arrow understands as PostgreSQL does.
    fn native(&self, expr: &Expr) -> SqlResult<Option<DfExpr>> {
        Ok(Some(match &expr.kind {
            ExprKind::Col(id) => self.column(*id, expr.ty),
            ExprKind::And(args) | ExprKind::Or(args) => {
                // Arrow computes all parts for all rows.
                if args.iter().skip(1).any(may_fail) {
                    return Ok(None);
                }
                let op = if matches!(expr.kind, ExprKind::And(_)) { Operator::And } else { Operator::Or };
                let args = args.iter().map(|arg| self.expr(arg)).collect::<SqlResult<Vec<_>>>()?;
                let Some(all) = args.into_iter().reduce(|a, b| binary(a, op, b)) else { return Ok(None) };
                all
            }
            ExprKind::Not(arg) => DfExpr::Not(Box::new(self.expr(arg)?)),
            ExprKind::IsNull { arg, negated } if arg.ty.oid != oids::RECORD => {
                let arg = Box::new(self.expr(arg)?);
                if *negated { DfExpr::IsNotNull(arg) } else { DfExpr::IsNull(arg) }
            }
            ExprKind::BoolTest { arg, test } => {
                let arg = Box::new(self.expr(arg)?);
                match test {
                    BoolTest::True => DfExpr::IsTrue(arg),
                    BoolTest::NotTrue => DfExpr::IsNotTrue(arg),
                    BoolTest::False => DfExpr::IsFalse(arg),
                    BoolTest::NotFalse => DfExpr::IsNotFalse(arg),
                    BoolTest::Unknown => DfExpr::IsUnknown(arg),
                    BoolTest::NotUnknown => DfExpr::IsNotUnknown(arg),
                }
            }
            ExprKind::Call { func, args } => match &**args {
                [text, pattern] if is_like(*func).is_some() => return self.like(*func, text, pattern),
                [arg] if is_text_of_char(*func, arg.ty) => match self.physical(arg)? {
                    Some((trimmed, Physical::Trimmed { .. })) => trimmed,
                    _ => return Ok(None),
                },
                [a, b] if comparison(*func).is_some() => return self.comparison(*func, a, b),
                [a, b] if is_int_arith(*func) => {
                    let ty = data_type(expr.ty);
                    let (a, b) = (widen(self.expr(a)?, a.ty, &ty), widen(self.expr(b)?, b.ty, &ty));
                    return Ok(int_arith(*func, expr.ty, a, b));
                }
                [a] if widens(*func) => cast(self.expr(a)?, data_type(expr.ty)),
                _ => return Ok(None),
            },
            ExprKind::Case { operand: None, arms, otherwise } => {
                let parts = arms.iter().flat_map(|arm| [&arm.when, &arm.then]).chain(otherwise.as_deref());
                // Arrow may compute an arm for rows that take another one.
                if parts.into_iter().any(may_fail) {
                    return Ok(None);
                }
                let mut whens = Vec::with_capacity(arms.len());
                for arm in arms {
                    whens.push((Box::new(self.expr(&arm.when)?), Box::new(self.expr(&arm.then)?)));
                }
                let otherwise = otherwise.as_deref().map(|expr| self.expr(expr)).transpose()?;
                DfExpr::Case(Case::new(None, whens, otherwise.map(Box::new)))
            }
            ExprKind::Relabel(arg) => {
                let same = form(arg.ty) == form(expr.ty) && form(arg.ty) != Form::Wire;
                let blanks = |ty: PgType| ty.oid == oids::BPCHAR;
                if !same || blanks(arg.ty) != blanks(expr.ty) || expr.ty.oid == oids::NAME {
                    return Ok(None);
                }
                self.expr(arg)?
            }
            ExprKind::Distinct { eq, args, negated } => {
                let [a, b] = &**args;
                if comparison(*eq) != Some(Operator::Eq) {
                    return Ok(None);
                }
                let Some((a, b)) = self.operands(a, b)? else { return Ok(None) };
                binary(a, if *negated { Operator::IsNotDistinctFrom } else { Operator::IsDistinctFrom }, b)
            }
            ExprKind::ScalarArray { func, all, args } => {
                return self.in_list(*func, *all, &args[0], &args[1]);
            }
            _ => return Ok(None),
        }))
    }

    fn comparison(&self, func: Oid, a: &Expr, b: &Expr) -> SqlResult<Option<DfExpr>> {
        let Some(op) = comparison(func) else { return Ok(None) };
        Ok(self.operands(a, b)?.map(|(a, b)| binary(a, op, b)))
    }

    /// Two operands in a form in which Arrow compares them rightly.
    fn operands(&self, a: &Expr, b: &Expr) -> SqlResult<Option<(DfExpr, DfExpr)>> {
        if let Some(operands) = self.physical_operands(a, b)? {
            return Ok(Some(operands));
        }
        let Some(how) = compared(a.ty, b.ty) else { return Ok(None) };
        let (x, y) = (self.expr(a)?, self.expr(b)?);
        Ok(Some(match how {
            Compared::Plain => (x, y),
            Compared::Widened(ty) => (widen(x, a.ty, &ty), widen(y, b.ty, &ty)),
            Compared::ByKey => (order_key(a.ty, x), order_key(b.ty, y)),
        }))
    }

    /// `x = ANY (constants)` and `x <> ALL (constants)`.
    fn in_list(&self, func: Oid, all: bool, value: &Expr, array: &Expr) -> SqlResult<Option<DfExpr>> {
        let negated = match (comparison(func), all) {
            (Some(Operator::Eq), false) => false,
            (Some(Operator::NotEq), true) => true,
            _ => return Ok(None),
        };
        let Some(element) = array.ty.oid.element_type().map(PgType::new) else { return Ok(None) };
        let Some(Datum::Array(array)) = self.constant(array) else { return Ok(None) };
        if array.is_empty() {
            return Ok(None);
        }
        if let Some((value, form)) = self.physical(value)? {
            let list: Option<Vec<DfExpr>> =
                array.values.iter().map(|item| physical_literal(item, element, form)).collect();
            return Ok(list.map(|list| value.in_list(list, negated)));
        }
        if needs_order_key(value.ty) || compared(value.ty, element) != Some(Compared::Plain) {
            return Ok(None);
        }
        let list = array
            .values
            .iter()
            .map(|item| Ok(DfExpr::Literal(to_scalar(element, item)?, None)))
            .collect::<SqlResult<Vec<_>>>()?;
        Ok(Some(self.expr(value)?.in_list(list, negated)))
    }

    /// Any expression, row by row.
    fn row_expr(&self, expr: &Expr) -> SqlResult<DfExpr> {
        let mut columns: Vec<(ColId, PgType)> = Vec::new();
        expr.any(&mut |expr| {
            if let ExprKind::Col(id) = expr.kind
                && !columns.iter().any(|(known, _)| *known == id)
            {
                columns.push((id, expr.ty));
            }
            false
        });
        let mut scope = Scope::new();
        for (slot, (id, _)) in columns.iter().enumerate() {
            scope.add(*id, slot);
        }
        let evaluator = compile(expr, &scope)?;
        let args = columns.into_iter().map(|(id, ty)| (self.column(id, ty), ty)).collect();
        let name = name_of(expr);
        Ok(RowExpr::call(self.number(), name, evaluator, args, is_expr_volatile(expr), self.env.clone()))
    }
}

/// Whether an expression has a part that only has a value inside of the one around it.
pub(super) fn is_context_bound(expr: &Expr) -> bool {
    fn bound(expr: &Expr, case: bool, element: bool) -> bool {
        let mut found = false;
        match &expr.kind {
            ExprKind::CaseOperand => return !case,
            ExprKind::Element => return !element,
            ExprKind::Case { operand: Some(operand), arms, otherwise } => {
                found |= bound(operand, case, element);
                for arm in arms {
                    found |= bound(&arm.when, true, element) || bound(&arm.then, true, element);
                }
                found |= otherwise.iter().any(|expr| bound(expr, true, element));
            }
            ExprKind::ArrayCast { arg, element: cast } => {
                found |= bound(arg, case, element) || bound(cast, case, true);
            }
            _ => expr.for_each_child(&mut |child| found |= bound(child, case, element)),
        }
        found
    }
    bound(expr, false, false)
}

pub(super) fn binary(left: DfExpr, op: Operator, right: DfExpr) -> DfExpr {
    DfExpr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)))
}

fn widen(expr: DfExpr, from: PgType, to: &DataType) -> DfExpr {
    if data_type(from) == *to { expr } else { cast(expr, to.clone()) }
}

/// Whether a function is a cast of an integer to a wider one.
fn widens(func: Oid) -> bool {
    builtin::proc(func).is_some_and(|entry| {
        matches!((entry.name, &*entry.args), ("int4", [oids::INT2]) | ("int8", [oids::INT2 | oids::INT4]))
    })
}

/// What an expression is called in a plan.
fn name_of(expr: &Expr) -> String {
    match &expr.kind {
        ExprKind::Call { func, .. } => builtin::proc(*func).map_or("call", |entry| entry.name).to_owned(),
        ExprKind::Case { .. } => "case".to_owned(),
        ExprKind::And(_) => "and".to_owned(),
        ExprKind::Or(_) => "or".to_owned(),
        ExprKind::IoCast(_) | ExprKind::Relabel(_) | ExprKind::ArrayCast { .. } => "cast".to_owned(),
        ExprKind::Coalesce(_) => "coalesce".to_owned(),
        ExprKind::ScalarArray { all, .. } => if *all { "all" } else { "any" }.to_owned(),
        _ => "expression".to_owned(),
    }
}
