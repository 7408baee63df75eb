//! Operators: which one is meant, and the call that it is.

use super::coerce::relabel;
use super::resolve::{Candidate, best, convertible};
use super::types::type_name;
use super::{Binder, polymorphic};
use crate::catalog::builtin::{self, CastContext, OperatorEntry, base_type};
use crate::sql::ast::{Loc, OpName};
use crate::sql::bound::{Expr, ExprKind};
use crate::{SqlError, SqlResult};
use shardforge_types::{Oid, PgType, SqlState, oids};

#[derive(Clone)]
struct Operator {
    entry: &'static OperatorEntry,
    args: Vec<Oid>,
}

impl Candidate for Operator {
    fn args(&self) -> &[Oid] {
        &self.args
    }
}

impl Binder<'_> {
    /// The operator that a name means between these types.
    pub(super) fn find_operator(
        &self,
        op: &OpName,
        types: &[Oid],
        loc: Loc,
    ) -> SqlResult<&'static OperatorEntry> {
        if let Some(schema) = &op.schema
            && schema != "pg_catalog"
        {
            if self.ctx.catalog.schema(schema)?.is_none() {
                let message = format!("schema \"{schema}\" does not exist");
                return Err(self.error(SqlState::INVALID_SCHEMA_NAME, message, loc));
            }
            return Err(self.operator_error(op, types, loc, false));
        }
        let named = builtin::operators(&op.name);
        if let Some(entry) = exact(named, types) {
            return Ok(entry);
        }
        let prefix = types.len() == 1;
        let of_arity = named.iter().filter(|entry| (entry.left == Oid::INVALID) == prefix);
        let all: Vec<Operator> = of_arity
            .map(|entry| Operator {
                entry,
                args: if prefix { vec![entry.right] } else { vec![entry.left, entry.right] },
            })
            .collect();
        let fitting = convertible(all, types);
        match fitting.as_slice() {
            [] => Err(self.operator_error(op, types, loc, false)),
            [only] => Ok(only.entry),
            _ => best(fitting, types)
                .map(|found| found.entry)
                .ok_or_else(|| self.operator_error(op, types, loc, true)),
        }
    }

    fn operator_error(&self, op: &OpName, types: &[Oid], loc: Loc, ambiguous: bool) -> SqlError {
        let name =
            op.schema.as_ref().map_or_else(|| op.name.clone(), |schema| format!("{schema}.{}", op.name));
        let shown = match types {
            [right] => format!("{name} {}", type_name(*right)),
            [left, right] => format!("{} {name} {}", type_name(*left), type_name(*right)),
            _ => name,
        };
        if ambiguous {
            return self
                .error(SqlState::AMBIGUOUS_FUNCTION, format!("operator is not unique: {shown}"), loc)
                .hint(
                    "Could not choose a best candidate operator. You might need to add explicit type casts.",
                );
        }
        let hint = if types.len() == 1 {
            "No operator matches the given name and argument type. You might need to add an explicit type cast."
        } else {
            "No operator matches the given name and argument types. You might need to add explicit type casts."
        };
        self.error(SqlState::UNDEFINED_FUNCTION, format!("operator does not exist: {shown}"), loc).hint(hint)
    }

    /// `left op right`, or `op right`.
    pub(super) fn operate(
        &mut self,
        op: &OpName,
        left: Option<Expr>,
        right: Expr,
        loc: Loc,
    ) -> SqlResult<Expr> {
        let args: Vec<Expr> = left.into_iter().chain([right]).collect();
        let types: Vec<Oid> = args.iter().map(|arg| arg.ty.oid).collect();
        let entry = self.find_operator(op, &types, loc)?;
        let position = args.iter().filter_map(|arg| arg.position).chain(self.position(loc)).min();
        let (args, result) = self.operator_args(entry, args, loc)?;
        Ok(Expr { kind: ExprKind::Call { func: entry.func, args }, ty: PgType::new(result), position })
    }

    /// Arguments converted to what an operator declares, and its result's type.
    pub(super) fn operator_args(
        &mut self,
        entry: &OperatorEntry,
        args: Vec<Expr>,
        loc: Loc,
    ) -> SqlResult<(Vec<Expr>, Oid)> {
        let actual: Vec<Oid> = args.iter().map(|arg| arg.ty.oid).collect();
        let mut declared = if args.len() == 1 { vec![entry.right] } else { vec![entry.left, entry.right] };
        let result = polymorphic::resolve(&actual, &mut declared, entry.result)
            .map_err(|e| e.at(self.position(loc)))?;
        Ok((self.convert_args(args, &declared)?, result))
    }

    /// Arguments as a function declares them.
    pub(super) fn convert_args(&mut self, args: Vec<Expr>, declared: &[Oid]) -> SqlResult<Vec<Expr>> {
        let convert = |(arg, declared): (Expr, &Oid)| {
            if *declared == oids::ANY {
                return self.settle_unknown(arg);
            }
            let arg =
                if base_type(arg.ty.oid) == *declared { relabel(arg, PgType::new(*declared)) } else { arg };
            self.coerce_type(arg, PgType::new(*declared), CastContext::Implicit)
        };
        args.into_iter().zip(declared).map(convert).collect()
    }

    /// The equality of two expressions, as the function behind `=` and the converted operands.
    pub(super) fn equality(
        &mut self,
        left: Expr,
        right: Expr,
        loc: Loc,
        construct: &str,
    ) -> SqlResult<(Oid, Expr, Expr)> {
        let op = OpName::plain("=");
        let entry = self.find_operator(&op, &[left.ty.oid, right.ty.oid], loc)?;
        if entry.result != oids::BOOL {
            let message = format!("{construct} requires = operator to yield boolean");
            return Err(self.error(SqlState::DATATYPE_MISMATCH, message, loc));
        }
        let (args, _) = self.operator_args(entry, vec![left, right], loc)?;
        let mut args = args.into_iter();
        match (args.next(), args.next()) {
            (Some(left), Some(right)) => Ok((entry.func, left, right)),
            _ => Err(SqlError::internal("an operator lost its operands")),
        }
    }

    /// `x op ANY (array)`, `x op ALL (array)`.
    pub(super) fn operate_array(
        &mut self,
        op: &OpName,
        all: bool,
        left: Expr,
        right: Expr,
        loc: Loc,
    ) -> SqlResult<Expr> {
        let position = left.position.or(self.position(loc));
        let element = if right.ty.oid == oids::UNKNOWN {
            oids::UNKNOWN
        } else {
            super::types::element_type(right.ty.oid)
                .or(match right.ty.oid {
                    oids::OIDVECTOR => Some(oids::OID),
                    oids::INT2VECTOR => Some(oids::INT2),
                    _ => None,
                })
                .ok_or_else(|| {
                    let message = "op ANY/ALL (array) requires array on right side";
                    self.error(SqlState::WRONG_OBJECT_TYPE, message, loc)
                })?
        };
        let entry = self.find_operator(op, &[left.ty.oid, element], loc)?;
        let mut declared = [entry.left, entry.right];
        let actual = [left.ty.oid, element];
        let result = polymorphic::resolve(&actual, &mut declared, entry.result)
            .map_err(|e| e.at(self.position(loc)))?;
        if result != oids::BOOL {
            let message = "op ANY/ALL (array) requires operator to yield boolean";
            return Err(self.error(SqlState::WRONG_OBJECT_TYPE, message, loc));
        }
        // The array is converted as a whole: to the array type over what the operator takes.
        let array = super::types::array_type(declared[1]).ok_or_else(|| {
            let message = format!("could not find array type for data type {}", type_name(declared[1]));
            self.error(SqlState::UNDEFINED_OBJECT, message, loc)
        })?;
        let left = self.convert_args(vec![left], &declared[..1])?.remove(0);
        let right = match right.ty.oid {
            oids::OIDVECTOR | oids::INT2VECTOR if declared[1] == element => right,
            _ => self.coerce_type(right, PgType::new(array), CastContext::Implicit)?,
        };
        let kind = ExprKind::ScalarArray { func: entry.func, all, args: Box::new([left, right]) };
        Ok(Expr { kind, ty: PgType::BOOL, position })
    }
}

/// The operator for exactly these types; an unknown side is taken for the other's type.
fn exact(named: &'static [OperatorEntry], types: &[Oid]) -> Option<&'static OperatorEntry> {
    let find = |left: Oid, right: Oid| named.iter().find(|entry| entry.left == left && entry.right == right);
    match *types {
        [right] => find(Oid::INVALID, right),
        [left, right] => {
            let (left, right) = match (left == oids::UNKNOWN, right == oids::UNKNOWN) {
                (true, false) => (right, right),
                (false, true) => (left, left),
                _ => (left, right),
            };
            find(left, right).or_else(|| {
                let base = base_type(left);
                (base != left && types.contains(&oids::UNKNOWN)).then(|| find(base, base)).flatten()
            })
        }
        _ => None,
    }
}
