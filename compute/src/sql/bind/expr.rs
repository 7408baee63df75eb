//! Scalar expressions.

use super::Binder;
use super::function::exact_function;
use super::scope::Scope;
use super::types::type_name;
use crate::catalog::builtin::CastContext;
use crate::sql::ast::{self, ExprKind as Ast, Indirection, LikeKind, Loc, OpName};
use crate::sql::bound::{CaseArm, Expr, ExprKind};
use crate::{SqlError, SqlResult};
use shardforge_types::{Datum, PgType, SqlState, oids};

impl Binder<'_> {
    /// An expression. String literals and parameters nobody has claimed yet are `unknown`.
    pub(super) fn expr(&mut self, ast: &ast::Expr, scope: &Scope<'_>) -> SqlResult<Expr> {
        self.stack.check()?;

        self.expr_inner(ast, scope)
    }

    fn expr_inner(&mut self, ast: &ast::Expr, scope: &Scope<'_>) -> SqlResult<Expr> {
        let position = self.position(ast.start);
        let constant = |value, ty| Ok(Expr { kind: ExprKind::Const(value), ty, position });
        let loc = ast.loc;
        if let Ast::Subquery(_)
        | Ast::Exists(_)
        | Ast::ArrayQuery(_)
        | Ast::InQuery { .. }
        | Ast::OpQuery { .. } = ast.kind
            && let Some(message) = self.level.clause.forbids_queries()
        {
            return Err(self.error(SqlState::FEATURE_NOT_SUPPORTED, message, loc));
        }
        match &ast.kind {
            Ast::Null => constant(Datum::Null, PgType::UNKNOWN),
            Ast::Bool(value) => constant(Datum::Bool(*value), PgType::BOOL),
            Ast::Int(value) => constant(Datum::Int4(*value), PgType::INT4),
            Ast::Number(text) => self.number(text, position),
            Ast::Str(text) => constant(Datum::text(text.as_str()), PgType::UNKNOWN),
            Ast::Bits(..) => Err(self.unsupported("a bit string", loc)),
            Ast::Param(number) => {
                let ty = self.param_type(*number, loc)?;
                Ok(Expr { kind: ExprKind::Param((*number - 1) as u16), ty, position })
            }
            Ast::Column(parts) => self.column(parts, scope, loc),
            Ast::Star(parts) if !parts.is_empty() => {
                Err(self.unsupported("a row as a value (whole-row reference)", loc))
            }
            Ast::Star(_) => {
                Err(self.error(SqlState::SYNTAX_ERROR, "row expansion via \"*\" is not supported here", loc))
            }
            Ast::Indirection { arg, items } => self.indirection(arg, items, scope),
            Ast::Op { op, left, right } => self.op(op, left.as_deref(), right, loc, scope),
            Ast::OpArray { op, all, left, right } => {
                let left = self.expr(left, scope)?;
                let right = self.expr(right, scope)?;
                self.operate_array(op, *all, left, right, loc)
            }
            Ast::OpQuery { op, all, left, query } => self.quantified_query(op, *all, left, query, loc, scope),
            Ast::And(args) => self.logic(args, "AND", ExprKind::And, position, scope),
            Ast::Or(args) => self.logic(args, "OR", ExprKind::Or, position, scope),
            Ast::Not(arg) => {
                let arg = self.expr(arg, scope)?;
                let arg = self.coerce_bool(arg, "NOT")?;
                Ok(Expr { kind: ExprKind::Not(Box::new(arg)), ty: PgType::BOOL, position })
            }
            Ast::IsNull { arg, negated } => {
                // A parameter that is only tested for null stays without a type: 42P18 in the end.
                let mut arg = self.expr(arg, scope)?;
                if !matches!(arg.kind, ExprKind::Param(_)) {
                    arg = self.settle_unknown(arg)?;
                }
                Ok(Expr {
                    kind: ExprKind::IsNull { arg: Box::new(arg), negated: *negated },
                    ty: PgType::BOOL,
                    position,
                })
            }
            Ast::BoolTest { arg, test } => {
                use ast::BoolTest as T;
                let construct = match test {
                    T::True => "IS TRUE",
                    T::NotTrue => "IS NOT TRUE",
                    T::False => "IS FALSE",
                    T::NotFalse => "IS NOT FALSE",
                    T::Unknown => "IS UNKNOWN",
                    T::NotUnknown => "IS NOT UNKNOWN",
                };
                let arg = self.expr(arg, scope)?;
                let arg = Box::new(self.coerce_bool(arg, construct)?);
                Ok(Expr { kind: ExprKind::BoolTest { arg, test: *test }, ty: PgType::BOOL, position })
            }
            Ast::IsDistinct { left, right, negated } => self.is_distinct(left, right, *negated, loc, scope),
            Ast::In { left, list, negated } => self.in_list(left, list, *negated, loc, scope),
            Ast::InQuery { left, query, negated } => {
                let found = self.quantified_query(&OpName::plain("="), false, left, query, loc, scope)?;
                Ok(if *negated { not(found) } else { found })
            }
            Ast::Like { kind, left, pattern, escape, negated } => {
                self.like(*kind, left, pattern, escape.as_deref(), *negated, loc, scope)
            }
            Ast::Between { .. } => self.between(&ast.kind, loc, scope),
            Ast::Cast { arg, ty } => self.cast(arg, ty, loc, scope),
            Ast::Collate { arg, name } => {
                self.check_collation(name, loc)?;
                let arg = self.expr(arg, scope)?;
                let arg = self.settle_unknown(arg)?;
                let entry = crate::catalog::builtin::type_by_oid(arg.ty.oid);
                if entry.is_some_and(|entry| entry.collation.0 == 0) {
                    let message = format!("collations are not supported by type {}", type_name(arg.ty.oid));
                    return Err(self.error(SqlState::DATATYPE_MISMATCH, message, loc));
                }
                Ok(arg)
            }
            Ast::Func(call) => self.call(call, ast.start, scope),
            Ast::Case { operand, arms, otherwise } => {
                self.case(operand.as_deref(), arms, otherwise.as_deref(), position, scope)
            }
            Ast::Coalesce(args) => {
                let args = self.exprs(args, scope)?;
                let (args, ty) = self.coerce_all(args, "COALESCE")?;
                Ok(Expr { kind: ExprKind::Coalesce(args), ty, position })
            }
            Ast::MinMax { greatest, args } => {
                let args = self.exprs(args, scope)?;
                let (args, ty) = self.coerce_all(args, if *greatest { "GREATEST" } else { "LEAST" })?;
                self.need_order(ty.oid, position)?;
                Ok(Expr { kind: ExprKind::MinMax { greatest: *greatest, args }, ty, position })
            }
            Ast::NullIf(a, b) => {
                let (a, b) = (self.expr(a, scope)?, self.expr(b, scope)?);
                let (eq, a, b) = self.equality(a, b, loc, "NULLIF")?;
                let ty = a.ty;
                Ok(Expr { kind: ExprKind::NullIf { eq, args: Box::new([a.clone(), a, b]) }, ty, position })
            }
            Ast::Array(elements) => self.array(elements, None, position, scope),
            Ast::ArrayQuery(query) => self.array_query(query, position, scope),
            Ast::Row { fields, .. } => {
                let fields = self.exprs(fields, scope)?;
                let fields =
                    fields.into_iter().map(|field| self.settle_unknown(field)).collect::<SqlResult<_>>()?;
                Ok(Expr { kind: ExprKind::Row(fields), ty: PgType::new(oids::RECORD), position })
            }
            Ast::Subquery(query) => self.scalar_query(query, position, scope),
            Ast::Exists(query) => self.exists(query, position, scope),
            Ast::SessionValue { name, precision } => self.session_value(name, *precision, position),
            Ast::Default => {
                Err(self.error(SqlState::SYNTAX_ERROR, "DEFAULT is not allowed in this context", loc))
            }
            Ast::Unsupported(what) => Err(self.unsupported(what, loc)),
        }
    }

    pub(super) fn exprs(&mut self, list: &[ast::Expr], scope: &Scope<'_>) -> SqlResult<Vec<Expr>> {
        list.iter().map(|expr| self.expr(expr, scope)).collect()
    }

    fn column(&mut self, parts: &[String], scope: &Scope<'_>, loc: Loc) -> SqlResult<Expr> {
        if let Some(message) = self.level.clause.forbids_columns() {
            return Err(self.error(SqlState::FEATURE_NOT_SUPPORTED, message, loc));
        }
        self.column_reference(parts, scope, loc)
    }

    /// int4 if it fits, else int8 if it fits, else numeric.
    fn number(&mut self, text: &str, position: Option<u32>) -> SqlResult<Expr> {
        let (value, ty) = match (text.parse::<i32>(), text.parse::<i64>()) {
            (Ok(value), _) => (Datum::Int4(value), PgType::INT4),
            (_, Ok(value)) => (Datum::Int8(value), PgType::INT8),
            _ => {
                let value = shardforge_types::text::input(text, PgType::NUMERIC, self.ctx.settings)
                    .map_err(|error| SqlError::from(error).at(position))?;
                (value, PgType::NUMERIC)
            }
        };
        Ok(Expr { kind: ExprKind::Const(value), ty, position })
    }

    fn logic(
        &mut self,
        args: &[ast::Expr],
        construct: &str,
        kind: fn(Vec<Expr>) -> ExprKind,
        position: Option<u32>,
        scope: &Scope<'_>,
    ) -> SqlResult<Expr> {
        let bind = |arg| {
            let arg = self.expr(arg, scope)?;
            self.coerce_bool(arg, construct)
        };
        let args = args.iter().map(bind).collect::<SqlResult<_>>()?;
        Ok(Expr { kind: kind(args), ty: PgType::BOOL, position })
    }

    fn op(
        &mut self,
        op: &OpName,
        left: Option<&ast::Expr>,
        right: &ast::Expr,
        loc: Loc,
        scope: &Scope<'_>,
    ) -> SqlResult<Expr> {
        if let Some(left) = left {
            match (&left.kind, &right.kind) {
                (Ast::Row { fields: a, .. }, Ast::Row { fields: b, .. }) => {
                    let (a, b) = (self.exprs(a, scope)?, self.exprs(b, scope)?);
                    return self.compare_rows(op, a, b, loc);
                }
                (Ast::Row { .. }, Ast::Subquery(query)) => {
                    return self.row_against_query(op, left, query, loc, scope);
                }
                _ => {}
            }
        }
        let left = left.map(|left| self.expr(left, scope)).transpose()?;
        let right = self.expr(right, scope)?;
        self.operate(op, left, right, loc)
    }

    /// `(a, b) op (c, d)`, field by field.
    pub(super) fn compare_rows(
        &mut self,
        op: &OpName,
        a: Vec<Expr>,
        b: Vec<Expr>,
        loc: Loc,
    ) -> SqlResult<Expr> {
        if a.len() != b.len() {
            return Err(self.error(
                SqlState::SYNTAX_ERROR,
                "unequal number of entries in row expressions",
                loc,
            ));
        }
        if a.is_empty() {
            return Err(self.error(
                SqlState::FEATURE_NOT_SUPPORTED,
                "cannot compare rows of zero length",
                loc,
            ));
        }
        let position = self.position(loc);
        let whole = |kind| Expr { kind, ty: PgType::BOOL, position };
        let mut pairs: Vec<(Expr, Expr)> = a.into_iter().zip(b).collect();
        if pairs.len() == 1 {
            let (a, b) = pairs.remove(0);
            return self.operate(op, Some(a), b, loc);
        }
        match op.name.as_str() {
            "=" | "<>" => {
                let tests = pairs
                    .into_iter()
                    .map(|(a, b)| self.operate(op, Some(a), b, loc))
                    .collect::<SqlResult<_>>()?;
                Ok(whole(if op.name == "=" { ExprKind::And(tests) } else { ExprKind::Or(tests) }))
            }
            "<" | ">" | "<=" | ">=" => {
                // a < c, or a = c and the rest compares so.
                let strict = OpName { schema: op.schema.clone(), name: op.name[..1].to_owned() };
                let equal = OpName { schema: op.schema.clone(), name: "=".to_owned() };
                let mut out: Option<Expr> = None;
                for (a, b) in pairs.into_iter().rev() {
                    out = Some(match out {
                        None => self.operate(op, Some(a), b, loc)?,
                        Some(rest) => {
                            let less = self.operate(&strict, Some(a.clone()), b.clone(), loc)?;
                            let same = self.operate(&equal, Some(a), b, loc)?;
                            whole(ExprKind::Or(vec![less, whole(ExprKind::And(vec![same, rest]))]))
                        }
                    });
                }
                out.ok_or_else(|| SqlError::internal("rows without fields were compared"))
            }
            name => {
                let message = format!("could not determine interpretation of row comparison operator {name}");
                Err(self
                    .error(SqlState::FEATURE_NOT_SUPPORTED, message, loc)
                    .hint("Row comparison operators must be associated with btree operator families."))
            }
        }
    }

    fn is_distinct(
        &mut self,
        left: &ast::Expr,
        right: &ast::Expr,
        negated: bool,
        loc: Loc,
        scope: &Scope<'_>,
    ) -> SqlResult<Expr> {
        let position = self.position(left.start);
        if let (Ast::Row { fields: a, .. }, Ast::Row { fields: b, .. }) = (&left.kind, &right.kind) {
            if a.len() != b.len() {
                return Err(self.error(
                    SqlState::SYNTAX_ERROR,
                    "unequal number of entries in row expressions",
                    loc,
                ));
            }
            let mut tests = Vec::new();
            for (a, b) in a.iter().zip(b) {
                tests.push(self.is_distinct(a, b, false, loc, scope)?);
            }
            let any = Expr { kind: ExprKind::Or(tests), ty: PgType::BOOL, position };
            return Ok(if negated { not(any) } else { any });
        }
        let null_test = |binder: &mut Self, arg| -> SqlResult<Expr> {
            let arg = binder.expr(arg, scope)?;
            let arg = Box::new(binder.settle_unknown(arg)?);
            Ok(Expr { kind: ExprKind::IsNull { arg, negated: !negated }, ty: PgType::BOOL, position })
        };
        if left.kind == Ast::Null {
            return null_test(self, right);
        }
        if right.kind == Ast::Null {
            return null_test(self, left);
        }
        let (left, right) = (self.expr(left, scope)?, self.expr(right, scope)?);
        let (eq, left, right) = self.equality(left, right, loc, "IS DISTINCT FROM")?;
        let kind = ExprKind::Distinct { eq, args: Box::new([left, right]), negated };
        Ok(Expr { kind, ty: PgType::BOOL, position })
    }

    fn in_list(
        &mut self,
        left: &ast::Expr,
        list: &[ast::Expr],
        negated: bool,
        loc: Loc,
        scope: &Scope<'_>,
    ) -> SqlResult<Expr> {
        let op = OpName::plain(if negated { "<>" } else { "=" });
        let position = self.position(left.start);
        let mut tests = Vec::new();
        if let Ast::Row { fields, .. } = &left.kind {
            let fields = self.exprs(fields, scope)?;
            for item in list {
                let Ast::Row { fields: other, .. } = &item.kind else {
                    let other = self.expr(item, scope)?;
                    let row =
                        Expr { kind: ExprKind::Row(fields.clone()), ty: PgType::new(oids::RECORD), position };
                    tests.push(self.operate(&op, Some(row), other, loc)?);
                    continue;
                };
                let other = self.exprs(other, scope)?;
                tests.push(self.compare_rows(&op, fields.clone(), other, loc)?);
            }
        } else {
            let left = self.expr(left, scope)?;
            let mut constants = Vec::new();
            let mut others = Vec::new();
            for item in self.exprs(list, scope)? {
                let has_column =
                    item.any(&mut |expr| matches!(expr.kind, ExprKind::Col(_) | ExprKind::Subquery { .. }));
                if has_column { others.push(item) } else { constants.push(item) }
            }
            // Several constants of one type are an array, compared with in one step.
            if constants.len() > 1 {
                match self.in_array(&left, &mut constants, &op, negated, loc)? {
                    Some(test) => tests.push(test),
                    None => others.splice(0..0, std::mem::take(&mut constants)).for_each(drop),
                }
            } else {
                others.splice(0..0, std::mem::take(&mut constants)).for_each(drop);
            }
            for item in others {
                let test = self.operate(&op, Some(left.clone()), item, loc)?;
                tests.push(self.coerce_bool(test, "IN")?);
            }
        }
        Ok(match tests.len() {
            1 => tests.remove(0),
            _ => {
                let kind = if negated { ExprKind::And(tests) } else { ExprKind::Or(tests) };
                Expr { kind, ty: PgType::BOOL, position }
            }
        })
    }

    fn in_array(
        &mut self,
        left: &Expr,
        constants: &mut Vec<Expr>,
        op: &OpName,
        negated: bool,
        loc: Loc,
    ) -> SqlResult<Option<Expr>> {
        let all = std::iter::once(left).chain(constants.iter());
        let Ok(common) = self.common_type(all, "IN") else {
            return Ok(None);
        };
        let Some(array) = super::types::array_type(common.oid).filter(|_| common.oid != oids::RECORD) else {
            return Ok(None);
        };
        let position = constants.first().and_then(|first| first.position);
        let element = PgType::new(common.oid);
        let elements = std::mem::take(constants)
            .into_iter()
            .map(|item| self.coerce_common(item, element, "IN"))
            .collect::<SqlResult<_>>()?;
        let kind = ExprKind::Array { elements, nested: false };
        let array = Expr { kind, ty: PgType::new(array), position };
        self.operate_array(op, negated, left.clone(), array, loc).map(Some)
    }

    #[allow(clippy::too_many_arguments)] // the parts of one LIKE
    fn like(
        &mut self,
        kind: LikeKind,
        left: &ast::Expr,
        pattern: &ast::Expr,
        escape: Option<&ast::Expr>,
        negated: bool,
        loc: Loc,
        scope: &Scope<'_>,
    ) -> SqlResult<Expr> {
        let name = match (kind, negated) {
            (LikeKind::Similar, false) => "~",
            (LikeKind::Similar, true) => "!~",
            (LikeKind::Like, false) => "~~",
            (LikeKind::Like, true) => "!~~",
            (LikeKind::ILike, false) => "~~*",
            (LikeKind::ILike, true) => "!~~*",
        };
        let left = self.expr(left, scope)?;
        let mut pattern = self.expr(pattern, scope)?;
        // SIMILAR TO is a regular expression, rewritten; without ESCAPE too.
        let rewrite = if kind == LikeKind::Similar { "similar_to_escape" } else { "like_escape" };
        if let Some(escape) = escape {
            let escape = self.expr(escape, scope)?;
            pattern = self.call_by_name(rewrite, vec![pattern, escape], loc)?;
        } else if kind == LikeKind::Similar {
            pattern = self.call_by_name(rewrite, vec![pattern], loc)?;
        }
        self.operate(&OpName::plain(name), Some(left), pattern, loc)
    }

    fn between(&mut self, ast: &Ast, loc: Loc, scope: &Scope<'_>) -> SqlResult<Expr> {
        let Ast::Between { arg, low, high, symmetric, negated } = ast else {
            return Err(SqlError::internal("not a BETWEEN"));
        };
        let position = self.position(arg.start);
        let arg = self.expr(arg, scope)?;
        let (low, high) = (self.expr(low, scope)?, self.expr(high, scope)?);
        let (above, below) = if *negated { ("<", ">") } else { (">=", "<=") };
        let mut range = |low: Expr, high: Expr| -> SqlResult<Expr> {
            let low = self.operate(&OpName::plain(above), Some(arg.clone()), low, loc)?;
            let high = self.operate(&OpName::plain(below), Some(arg.clone()), high, loc)?;
            let kind = if *negated { ExprKind::Or(vec![low, high]) } else { ExprKind::And(vec![low, high]) };
            Ok(Expr { kind, ty: PgType::BOOL, position })
        };
        if !symmetric {
            return range(low, high);
        }
        let tests = vec![range(low.clone(), high.clone())?, range(high, low)?];
        let kind = if *negated { ExprKind::And(tests) } else { ExprKind::Or(tests) };
        Ok(Expr { kind, ty: PgType::BOOL, position })
    }

    fn cast(&mut self, arg: &ast::Expr, ty: &ast::TypeName, loc: Loc, scope: &Scope<'_>) -> SqlResult<Expr> {
        let target = self.resolve_value_type(ty, None)?;
        if let (Ast::Array(elements), Some(element)) = (&arg.kind, super::types::element_type(target.oid)) {
            let position = self.position(arg.start);
            let array =
                self.array(elements, Some(PgType::with_typmod(element, target.typmod)), position, scope)?;
            return self.explicit_cast(array, target, self.position(loc));
        }
        let arg = self.expr(arg, scope)?;
        self.explicit_cast(arg, target, self.position(loc))
    }

    fn case(
        &mut self,
        operand: Option<&ast::Expr>,
        arms: &[(ast::Expr, ast::Expr)],
        otherwise: Option<&ast::Expr>,
        position: Option<u32>,
        scope: &Scope<'_>,
    ) -> SqlResult<Expr> {
        let operand = operand.map(|operand| {
            let operand = self.expr(operand, scope)?;
            self.settle_unknown(operand)
        });
        let operand = operand.transpose()?;
        let mut conditions = Vec::new();
        let mut results = Vec::new();
        for (when, then) in arms {
            let loc = when.loc;
            let mut condition = self.expr(when, scope)?;
            if let Some(operand) = &operand {
                let value = Expr { kind: ExprKind::CaseOperand, ty: operand.ty, position: None };
                condition = self.operate(&OpName::plain("="), Some(value), condition, loc)?;
            }
            conditions.push(self.coerce_bool(condition, "CASE/WHEN")?);
            results.push(self.expr(then, scope)?);
        }
        let has_else = otherwise.is_some();
        let default = match otherwise {
            Some(expr) => self.expr(expr, scope)?,
            None => Expr::constant(Datum::Null, PgType::UNKNOWN),
        };
        let ty = self.common_type(std::iter::once(&default).chain(&results), "CASE")?;
        let default = self.coerce_common(default, ty, "CASE/ELSE")?;
        let mut out = Vec::new();
        for (when, then) in conditions.into_iter().zip(results) {
            out.push(CaseArm { when, then: self.coerce_common(then, ty, "CASE/WHEN")? });
        }
        let otherwise = has_else.then(|| Box::new(default));
        Ok(Expr {
            kind: ExprKind::Case { operand: operand.map(Box::new), arms: out, otherwise },
            ty,
            position,
        })
    }

    /// `(x).field`, `x[1]`, `x[1:2]`.
    fn indirection(&mut self, arg: &ast::Expr, items: &[Indirection], scope: &Scope<'_>) -> SqlResult<Expr> {
        let mut out = self.expr(arg, scope)?;
        let mut rest = items;
        while let Some(first) = rest.first() {
            match first {
                Indirection::Field(name) => {
                    out = self.field(out, name)?;
                    rest = &rest[1..];
                }
                Indirection::Star => {
                    return Err(self.error(
                        SqlState::SYNTAX_ERROR,
                        "row expansion via \"*\" is not supported here",
                        arg.loc,
                    ));
                }
                Indirection::Index(_) | Indirection::Slice(..) => {
                    let count = rest
                        .iter()
                        .take_while(|item| !matches!(item, Indirection::Field(_) | Indirection::Star))
                        .count();
                    out = self.subscript(out, &rest[..count], scope)?;
                    rest = &rest[count..];
                }
            }
        }
        Ok(out)
    }

    fn field(&mut self, arg: Expr, name: &ast::Ident) -> SqlResult<Expr> {
        let entry = crate::catalog::builtin::type_by_oid(arg.ty.oid);
        if arg.ty.oid != oids::RECORD && entry.is_none_or(|entry| entry.kind != b'c') {
            let message = format!(
                "column notation .{} applied to type {}, which is not a composite type",
                name.name,
                type_name(arg.ty.oid)
            );
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message).at(arg.position));
        }
        let message = format!("could not identify column \"{}\" in record data type", name.name);
        Err(SqlError::new(SqlState::UNDEFINED_COLUMN, message).at(arg.position))
    }

    fn session_value(
        &mut self,
        name: &str,
        precision: Option<i32>,
        position: Option<u32>,
    ) -> SqlResult<Expr> {
        let named = |function: &str| -> SqlResult<Expr> {
            let proc = exact_function(function, &[])?;
            Ok(Expr {
                kind: ExprKind::Call { func: proc.oid, args: Vec::new() },
                ty: PgType::new(proc.result),
                position,
            })
        };
        let time = match name {
            "current_date" => oids::DATE,
            "current_timestamp" => oids::TIMESTAMPTZ,
            "current_time" => oids::TIMETZ,
            "localtimestamp" => oids::TIMESTAMP,
            "localtime" => oids::TIME,
            "current_catalog" => return named("current_database"),
            "current_schema" => return named("current_schema"),
            "session_user" => return named("session_user"),
            _ => return named("current_user"),
        };
        let now = named("now")?;
        let ty = PgType::with_typmod(time, precision.map_or(-1, |digits| digits.min(6)));
        let cast = self.coerce(now, ty, CastContext::Explicit)?;
        cast.ok_or_else(|| SqlError::internal("a time has no cast from now()"))
    }
}

pub(super) fn not(expr: Expr) -> Expr {
    let position = expr.position;
    Expr { kind: ExprKind::Not(Box::new(expr)), ty: PgType::BOOL, position }
}
