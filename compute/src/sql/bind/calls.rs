//! Calls: plain functions, casts that look like calls, aggregates, set-returning functions.

use super::Binder;
use super::aggregate::Clause;
use super::function::{Callee, Match};
use super::polymorphic;
use super::scope::Scope;
use super::types::{array_type, type_name};
use crate::catalog::builtin::{self, CastContext, ProcEntry};
use crate::sql::ast::{self, ExprKind as Ast, FuncCall, Loc};
use crate::sql::bound::{AggregateCall, ColDef, ColId, Expr, ExprKind, FunctionCall, FunctionScan};
use crate::sql::parse;
use crate::{SqlError, SqlResult};
use shardforge_types::{Oid, PgType, SqlState, oids};

/// `pg_typeof(any)`.
const PG_TYPEOF: Oid = Oid(1619);

/// A function with its arguments as it declares them.
pub(super) struct BoundCall {
    pub proc: &'static ProcEntry,
    pub args: Vec<Expr>,
    pub result: Oid,
}

impl Binder<'_> {
    /// A call in an expression.
    pub(super) fn call(&mut self, call: &FuncCall, start: Loc, scope: &Scope<'_>) -> SqlResult<Expr> {
        let position = self.position(start);
        if call.over.is_some() {
            self.check_window(self.position(call.name.loc))?;
        }
        if !call.within_group.is_empty() {
            return Err(self.unsupported("WITHIN GROUP", call.name.loc));
        }
        let args = self.call_args(call, scope)?;
        let bound = match self.resolve_call(call, args, scope)? {
            Ok(bound) => bound,
            Err(cast) => return Ok(cast),
        };
        let loc = call.name.loc;
        match bound.proc.kind {
            b'a' if call.over.is_some() => self.window_call(call, bound, position, scope),
            b'a' => self.aggregate(call, bound, position, scope),
            b'w' => {
                if call.over.is_none() {
                    let message = format!("window function {} requires an OVER clause", call.name.display());
                    return Err(self.error(SqlState::WRONG_OBJECT_TYPE, message, loc));
                }
                self.window_call(call, bound, position, scope)
            }
            b'p' => {
                let message = format!("{} is a procedure", signature(call, &bound));
                Err(self
                    .error(SqlState::WRONG_OBJECT_TYPE, message, loc)
                    .hint("To call a procedure, use CALL."))
            }
            _ => {
                self.refuse_aggregate_syntax(call)?;
                if bound.proc.returns_set {
                    return self.set_in_expression(bound, position, loc);
                }
                let ty = PgType::new(bound.result);
                Ok(Expr { kind: ExprKind::Call { func: bound.proc.oid, args: bound.args }, ty, position })
            }
        }
    }

    /// The arguments of a call, bound.
    fn call_args(&mut self, call: &FuncCall, scope: &Scope<'_>) -> SqlResult<Vec<Expr>> {
        // Whether it is an aggregate is known by name alone; what stands in it is checked as such.
        let procs = builtin::procs_by_name(call.name.name());
        let aggregate = !procs.is_empty() && procs.iter().all(|proc| proc.kind == b'a');
        let (in_aggregate, in_window) = (self.level.in_aggregate, self.level.in_window);
        if call.over.is_some() {
            self.level.in_window = true;
        } else if aggregate {
            self.check_aggregate(self.position(call.name.loc))?;
            self.level.in_aggregate = true;
        }
        let args = call.args.iter().map(|arg| self.expr(&arg.value, scope)).collect();
        (self.level.in_aggregate, self.level.in_window) = (in_aggregate, in_window);
        args
    }

    /// Chooses the function and converts the arguments; `Err` is a cast that was written as a call.
    fn resolve_call(
        &mut self,
        call: &FuncCall,
        args: Vec<Expr>,
        _scope: &Scope<'_>,
    ) -> SqlResult<Result<BoundCall, Expr>> {
        let loc = call.name.loc;
        let names: Vec<Option<&str>> =
            call.args.iter().map(|arg| arg.name.as_ref().map(|name| name.name.as_str())).collect();
        if let Some(index) = names.iter().position(Option::is_some)
            && let Some(late) = names[index..].iter().position(Option::is_none)
        {
            let at = call.args[index + late].value.start;
            let message = "positional argument cannot follow named argument";
            return Err(self.error(SqlState::SYNTAX_ERROR, message, at));
        }
        let types: Vec<Oid> = args.iter().map(|arg| arg.ty.oid).collect();
        let found = match self.find_function(&call.name, &types, &names, call.variadic, loc)? {
            Callee::Cast(target) => {
                self.refuse_aggregate_syntax(call)?;
                let arg =
                    args.into_iter().next().ok_or_else(|| SqlError::internal("a cast lost its operand"))?;
                return Ok(Err(self.explicit_cast(arg, PgType::new(target), self.position(loc))?));
            }
            Callee::Function(found) => found,
        };
        if call.star {
            if found.proc.kind != b'a' {
                let name = call.name.display();
                let message = format!("{name}(*) specified, but {name} is not an aggregate function");
                return Err(self.error(SqlState::WRONG_OBJECT_TYPE, message, loc));
            }
        } else if found.proc.kind == b'a' && args.is_empty() {
            let name = call.name.display();
            let message = format!("{name}(*) must be used to call a parameterless aggregate function");
            return Err(self.error(SqlState::WRONG_OBJECT_TYPE, message, loc));
        }
        let aggregate = builtin::aggregate(found.proc.oid);
        if aggregate.is_some_and(|aggregate| aggregate.kind != b'n') {
            if call.over.is_some() {
                return Err(self.unsupported("an ordered-set aggregate with OVER", loc));
            }
            let message = format!("WITHIN GROUP is required for ordered-set aggregate {}", call.name.name());
            return Err(self.error(SqlState::WRONG_OBJECT_TYPE, message, loc));
        }
        self.match_args(found, args, loc).map(Ok)
    }

    /// Arguments in declared order with defaults, converted, the variadic ones gathered.
    pub(super) fn match_args(&mut self, found: Match, args: Vec<Expr>, loc: Loc) -> SqlResult<BoundCall> {
        let Match { proc, args: _, variadic, defaults, order } = found;
        let mut args = self.order_args(proc, args, defaults, order)?;
        let mut declared: Vec<Oid> = proc.args.to_vec();
        if variadic > 0 {
            declared.truncate(declared.len() - 1);
            declared.extend(std::iter::repeat_n(proc.variadic, variadic));
        }
        if proc.variadic == oids::ANY {
            self.mark_variadic_any(&mut args, variadic)?;
        }
        let actual: Vec<Oid> = args.iter().map(|arg| arg.ty.oid).collect();
        let result = polymorphic::resolve(&actual, &mut declared, proc.result)
            .map_err(|e| e.at(self.position(loc)))?;
        // `pg_typeof` tells that a literal is still `unknown`: it alone does not settle it.
        let literal = |arg: &Expr| matches!(arg.kind, ExprKind::Const(_)) && arg.ty.oid == oids::UNKNOWN;
        if !(proc.oid == PG_TYPEOF && args.iter().all(literal)) {
            args = self.convert_args(args, &declared)?;
        }
        if variadic > 0 && proc.variadic != oids::ANY {
            let elements = args.split_off(args.len() - variadic);
            let element = declared[declared.len() - 1];
            let array = array_type(element).ok_or_else(|| {
                let message = format!("could not find array type for data type {}", type_name(element));
                self.error(SqlState::UNDEFINED_OBJECT, message, loc)
            })?;
            let position = elements.first().and_then(|first| first.position);
            let kind = ExprKind::Array { elements, nested: false };
            args.push(Expr { kind, ty: PgType::new(array), position });
        }
        Ok(BoundCall { proc, args, result })
    }

    /// Tells `f(VARIADIC array)` from `f(array)`, where f takes any values: to its body, a lone array is
    /// VARIADIC's, and one that is a value among others comes as its text.
    fn mark_variadic_any(&mut self, args: &mut Vec<Expr>, elements: usize) -> SqlResult<()> {
        let Some(last) = args.last() else { return Ok(()) };
        let is_array = last.ty.oid.element_type().is_some();
        let position = last.position;
        if elements == 0 && !is_array {
            let message = "VARIADIC argument must be an array";
            return Err(SqlError::new(SqlState::DATATYPE_MISMATCH, message).at(position));
        }
        if elements == 1
            && is_array
            && let Some(array) = args.pop()
        {
            args.push(self.explicit_cast(array, PgType::TEXT, position)?);
        }
        Ok(())
    }

    fn order_args(
        &mut self,
        proc: &'static ProcEntry,
        args: Vec<Expr>,
        defaults: usize,
        order: Option<Vec<Option<usize>>>,
    ) -> SqlResult<Vec<Expr>> {
        if defaults == 0 && order.is_none() {
            return Ok(args);
        }
        let declared = proc.args.len();
        let first_default = declared - proc.default_count;
        let order = order.unwrap_or_else(|| {
            let given = args.len();
            (0..declared).map(|place| (place < given).then_some(place)).collect()
        });
        // The defaults' text is a list: parsed as the fields of a row.
        let text = proc.defaults.unwrap_or_default();
        let values = match parse::parse_expression(&format!("ROW({text})"))?.kind {
            Ast::Row { fields, .. } => fields,
            _ => Vec::new(),
        };
        let mut args: Vec<Option<Expr>> = args.into_iter().map(Some).collect();
        let mut out = Vec::with_capacity(declared);
        for (place, given) in order.into_iter().enumerate() {
            let value = match given {
                Some(index) => args.get_mut(index).and_then(Option::take),
                None => {
                    let default = place.checked_sub(first_default).and_then(|index| values.get(index));
                    default.map(|default| self.expr(default, &Scope::empty())).transpose()?
                }
            };
            let mut value = value.ok_or_else(|| SqlError::internal("a default of a function is missing"))?;
            if given.is_none() {
                super::walk::deep(&mut value, &mut |expr| expr.position = None);
            }
            out.push(value);
        }
        Ok(out)
    }

    /// DISTINCT, ORDER BY, FILTER and OVER belong to aggregates.
    fn refuse_aggregate_syntax(&self, call: &FuncCall) -> SqlResult<()> {
        let name = call.name.display();
        let what = if call.distinct {
            format!("DISTINCT specified, but {name} is not an aggregate function")
        } else if !call.order_by.is_empty() {
            format!("ORDER BY specified, but {name} is not an aggregate function")
        } else if call.filter.is_some() && call.over.is_none() {
            format!("FILTER specified, but {name} is not an aggregate function")
        } else if call.over.is_some() {
            format!("OVER specified, but {name} is not a window function nor an aggregate function")
        } else {
            return Ok(());
        };
        Err(self.error(SqlState::WRONG_OBJECT_TYPE, what, call.name.loc))
    }

    fn aggregate(
        &mut self,
        call: &FuncCall,
        bound: BoundCall,
        position: Option<u32>,
        scope: &Scope<'_>,
    ) -> SqlResult<Expr> {
        self.check_aggregate(self.position(call.name.loc))?;
        if call.distinct {
            for arg in &bound.args {
                self.need_equality(arg.ty.oid, arg.position)?;
            }
        }
        let filter = call.filter.as_ref().map(|filter| {
            self.in_clause(Clause::Filter, |binder| {
                let filter = binder.expr(filter, scope)?;
                binder.coerce_bool(filter, "FILTER")
            })
        });
        let filter = filter.transpose()?;
        self.level.in_aggregate = true;
        let order_by = self.sort_keys_plain(&call.order_by, scope);
        self.level.in_aggregate = false;
        let order_by = order_by?;
        if call.distinct
            && !order_by.iter().all(|key| bound.args.iter().any(|arg| super::aggregate::same(arg, &key.expr)))
        {
            let message = "in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list";
            let at = order_by.first().and_then(|key| key.expr.position);
            return Err(SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message).at(at));
        }
        let ty = PgType::new(bound.result);
        let made = AggregateCall {
            func: bound.proc.oid,
            args: bound.args,
            distinct: call.distinct,
            order_by,
            filter,
        };
        self.check_level(&made, scope, call.name.loc)?;
        Ok(self.set_aside(made, ty, bound.proc.name, position))
    }

    /// An aggregate over columns of an outer query alone, queries inside it included, belongs to that query: not built.
    fn check_level(&self, call: &AggregateCall, scope: &Scope<'_>, loc: Loc) -> SqlResult<()> {
        let (mut own, mut outer) = (false, false);
        for mut part in call.args.iter().chain(&call.filter).cloned() {
            super::walk::deep(&mut part, &mut |expr| {
                if let ExprKind::Col(id) = expr.kind {
                    own |= scope.owns(id);
                    outer |= scope.is_outer(id);
                }
            });
        }
        if outer && !own { Err(self.unsupported("an aggregate of an outer query", loc)) } else { Ok(()) }
    }

    /// A function that makes rows, in the select list: its rows are joined in below the projection.
    fn set_in_expression(&mut self, bound: BoundCall, position: Option<u32>, loc: Loc) -> SqlResult<Expr> {
        self.check_set(self.position(loc))?;
        if self.level.clause != Clause::Select {
            return Err(self.unsupported("a set-returning function here", loc));
        }
        if has_columns(bound.proc) || bound.result == oids::RECORD {
            return Err(self.unsupported("a function that returns rows in a select list", loc));
        }
        let ty = PgType::new(bound.result);
        let col = ColDef { id: self.new_col(), ty, name: bound.proc.name.to_owned() };
        let expr = Expr { kind: ExprKind::Col(col.id), ty, position };
        // Side by side with the others, but after those whose rows its arguments use.
        let uses = |scan: &FunctionScan| {
            let made: Vec<ColId> = scan.columns().map(|col| col.id).collect();
            let is_made = &mut |expr: &Expr| matches!(expr.kind, ExprKind::Col(id) if made.contains(&id));
            bound.args.iter().any(|arg| arg.any(is_made))
        };
        let depth = self.level.sets.iter().rposition(uses).map_or(0, |at| at + 1);
        let call = FunctionCall { func: bound.proc.oid, args: bound.args, cols: vec![col] };
        match self.level.sets.get_mut(depth) {
            Some(scan) => scan.calls.push(call),
            None => self.level.sets.push(FunctionScan { calls: vec![call], ordinality: None }),
        }
        Ok(expr)
    }

    /// A call in FROM: the function with its arguments, or a plain value.
    pub(super) fn call_in_from(
        &mut self,
        call: &FuncCall,
        scope: &Scope<'_>,
    ) -> SqlResult<Result<BoundCall, Expr>> {
        let loc = call.name.loc;
        if call.over.is_some() {
            let message = "window functions are not allowed in functions in FROM";
            return Err(self.error(SqlState::WINDOWING_ERROR, message, loc));
        }
        let args = self.call_args(call, scope)?;
        let bound = match self.resolve_call(call, args, scope)? {
            Ok(bound) => bound,
            Err(cast) => return Ok(Err(cast)),
        };
        match bound.proc.kind {
            b'a' => Err(self
                .check_aggregate(self.position(loc))
                .err()
                .unwrap_or_else(|| SqlError::internal("an aggregate in FROM"))),
            b'f' => {
                self.refuse_aggregate_syntax(call)?;
                Ok(Ok(bound))
            }
            b'w' => {
                let message = format!("window function {} requires an OVER clause", call.name.display());
                Err(self.error(SqlState::WRONG_OBJECT_TYPE, message, loc))
            }
            _ => Err(self.unsupported("a procedure in FROM", loc)),
        }
    }

    /// A call that the binder makes itself, by the function's name and the types of its arguments.
    pub(super) fn call_by_name(&mut self, name: &str, args: Vec<Expr>, loc: Loc) -> SqlResult<Expr> {
        let types: Vec<Oid> = args.iter().map(|arg| arg.ty.oid).collect();
        let names = vec![None; args.len()];
        let position = self.position(loc);
        let object = ast::ObjectName { parts: vec!["pg_catalog".to_owned(), name.to_owned()], loc };
        match self.find_function(&object, &types, &names, false, loc)? {
            Callee::Cast(target) => {
                let arg =
                    args.into_iter().next().ok_or_else(|| SqlError::internal("a cast lost its operand"))?;
                let cast = self.coerce(arg, PgType::new(target), CastContext::Explicit)?;
                cast.ok_or_else(|| SqlError::internal("a cast by name does not exist"))
            }
            Callee::Function(found) => {
                let bound = self.match_args(found, args, loc)?;
                let ty = PgType::new(bound.result);
                Ok(Expr { kind: ExprKind::Call { func: bound.proc.oid, args: bound.args }, ty, position })
            }
        }
    }

    /// 42883 for a type that has no equality.
    pub(super) fn need_equality(&self, ty: Oid, position: Option<u32>) -> SqlResult<()> {
        if builtin::ordering(ty).is_some() || ty == oids::UNKNOWN {
            return Ok(());
        }
        let message = format!("could not identify an equality operator for type {}", type_name(ty));
        Err(SqlError::new(SqlState::UNDEFINED_FUNCTION, message).at(position))
    }

    /// 42883 for a type that has no order.
    pub(super) fn need_order(&self, ty: Oid, position: Option<u32>) -> SqlResult<()> {
        if builtin::ordering(ty).is_some_and(|ordering| ordering.lt != Oid::INVALID) {
            return Ok(());
        }
        let message = format!("could not identify an ordering operator for type {}", type_name(ty));
        Err(SqlError::new(SqlState::UNDEFINED_FUNCTION, message)
            .hint("Use an explicit ordering operator or modify the query.")
            .at(position))
    }
}

/// Whether a function's result has several columns by its own declaration.
pub(super) fn has_columns(proc: &ProcEntry) -> bool {
    let outputs = proc
        .all_args
        .iter()
        .flat_map(|all| all.iter())
        .filter(|(_, mode)| matches!(mode, b'o' | b'b' | b't'));
    outputs.count() > 1
}

fn signature(call: &FuncCall, bound: &BoundCall) -> String {
    let args: Vec<String> = bound.args.iter().map(|arg| type_name(arg.ty.oid)).collect();
    format!("{}({})", call.name.display(), args.join(", "))
}
