//! Conversions between types: which exist where, and how each is written into the tree.

use super::types::{category, element_type, type_name};
use super::{Binder, polymorphic};
use crate::catalog::builtin::{self, CastContext, CastMethod, base_type, type_by_oid};
use crate::sql::bound::{Expr, ExprKind};
use crate::{SqlError, SqlResult};
use shardforge_types::{Datum, Oid, PgType, SqlState, oids};

/// How values of one type become values of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pathway {
    /// They are the same values.
    Relabel,
    /// By a function.
    Function(Oid),
    /// Element by element.
    Array,
    /// Through text.
    InOut,
}

/// The way from a type to another in a context, if there is one.
pub(super) fn pathway(target: Oid, source: Oid, context: CastContext) -> Option<Pathway> {
    let (source, target) = (base_type(source), base_type(target));
    if source == target {
        return Some(Pathway::Relabel);
    }
    if let Some(cast) = builtin::cast(source, target) {
        return (context >= cast.context).then_some(match cast.method {
            CastMethod::Function(func) => Pathway::Function(func),
            CastMethod::Binary => Pathway::Relabel,
            CastMethod::InOut => Pathway::InOut,
        });
    }
    if let (Some(to), Some(from)) = (element_type(target), element_type(source))
        && !matches!(target, oids::OIDVECTOR | oids::INT2VECTOR)
        && pathway(to, from, context).is_some()
    {
        return Some(Pathway::Array);
    }
    let into_text = context >= CastContext::Assignment && category(target).0 == b'S';
    let out_of_text = context >= CastContext::Explicit && category(source).0 == b'S';
    (into_text || out_of_text).then_some(Pathway::InOut)
}

/// Whether values of these types can be given where those are declared.
pub(super) fn can_coerce(sources: &[Oid], targets: &[Oid], context: CastContext) -> bool {
    let mut generic = false;
    for (&source, &target) in sources.iter().zip(targets) {
        if source == target || target == oids::ANY {
            continue;
        }
        if polymorphic::is_polymorphic(target) {
            generic = true;
            continue;
        }
        if source == oids::UNKNOWN || pathway(target, source, context).is_some() {
            continue;
        }
        let is_composite = |oid| type_by_oid(oid).is_some_and(|entry| entry.kind == b'c');
        if target == oids::RECORD && is_composite(source) {
            continue;
        }
        if target == oids::RECORD_ARRAY && element_type(source).is_some_and(is_composite) {
            continue;
        }
        return false;
    }
    !generic || polymorphic::consistent(sources, targets)
}

impl Binder<'_> {
    /// An expression as a value of another type with its modifier; `None` when the context does not
    /// allow it.
    pub(super) fn coerce(
        &mut self,
        expr: Expr,
        target: PgType,
        context: CastContext,
    ) -> SqlResult<Option<Expr>> {
        if !can_coerce(&[expr.ty.oid], &[target.oid], context) {
            return Ok(None);
        }
        let expr = self.coerce_type(expr, target, context)?;
        self.coerce_typmod(expr, target, context).map(Some)
    }

    /// The conversion of the type alone, which must be possible. The modifier is used where a literal is
    /// read with it (intervals) or a function takes it.
    pub(super) fn coerce_type(
        &mut self,
        expr: Expr,
        target: PgType,
        context: CastContext,
    ) -> SqlResult<Expr> {
        let source = expr.ty.oid;
        if source == target.oid || target.oid == oids::ANY || polymorphic::is_polymorphic(target.oid) {
            return Ok(expr);
        }
        if source == oids::UNKNOWN {
            return self.coerce_unknown(expr, target);
        }
        let Some(pathway) = pathway(target.oid, source, context) else {
            return Ok(Expr {
                ty: PgType::new(target.oid),
                position: expr.position,
                kind: ExprKind::Relabel(Box::new(expr)),
            });
        };
        self.convert(expr, target, pathway, context)
    }

    fn convert(
        &mut self,
        expr: Expr,
        target: PgType,
        pathway: Pathway,
        context: CastContext,
    ) -> SqlResult<Expr> {
        let position = expr.position;
        let plain = PgType::new(target.oid);
        let made = |kind, ty| Expr { kind, ty, position };
        Ok(match pathway {
            Pathway::Relabel => match expr.kind {
                // Integers and object numbers have forms of their own.
                ExprKind::Const(value) => {
                    made(ExprKind::Const(crate::functions::relabel(value, plain)), plain)
                }
                _ => made(ExprKind::Relabel(Box::new(expr)), plain),
            },
            Pathway::InOut => made(ExprKind::IoCast(Box::new(expr)), plain),
            Pathway::Function(func) => {
                let declared = builtin::proc(func).map_or(1, |proc| proc.args.len());
                let mut ty = plain;
                let mut args = vec![expr];
                if declared >= 2 {
                    ty.typmod = target.typmod;
                    args.push(Expr::constant(Datum::Int4(target.typmod), PgType::INT4));
                }
                if declared >= 3 {
                    let explicit = context == CastContext::Explicit;
                    args.push(Expr::constant(Datum::Bool(explicit), PgType::BOOL));
                }
                // The function's argument may be declared as another, binary compatible type.
                if let Some(declared) = builtin::proc(func).and_then(|proc| proc.args.first().copied()) {
                    let arg = args.remove(0);
                    args.insert(0, relabel(arg, PgType::new(declared)));
                }
                let call = ExprKind::Call { func, args };
                match builtin::proc(func).map(|proc| proc.result) {
                    // From smallint to oid leads int4(int2): an integer's form is not an object number's.
                    Some(made_of) if made_of == oids::INT4 && target.oid.is_oid_like() => {
                        relabel(made(call, PgType::new(made_of)), ty)
                    }
                    _ => made(call, ty),
                }
            }
            Pathway::Array => {
                let to = element_type(target.oid).unwrap_or(oids::UNKNOWN);
                let from = element_type(expr.ty.oid).unwrap_or(oids::UNKNOWN);
                let element = Expr::new(ExprKind::Element, PgType::new(from));
                let to = PgType::with_typmod(to, target.typmod);
                let element = self.coerce_type(element, to, context)?;
                let element = self.coerce_typmod(element, to, context)?;
                let kind = ExprKind::ArrayCast { arg: Box::new(expr), element: Box::new(element) };
                made(kind, target)
            }
        })
    }

    /// A literal or parameter whose type was open.
    fn coerce_unknown(&mut self, expr: Expr, target: PgType) -> SqlResult<Expr> {
        let position = expr.position;
        match expr.kind {
            ExprKind::Const(Datum::Null) => {
                Ok(Expr { kind: expr.kind, ty: PgType::new(target.oid), position })
            }
            ExprKind::Const(Datum::Text(text)) => {
                let value = self.literal(&text, target).map_err(|error| error.at(position))?;
                // An interval's modifier is applied as it is read; others have a conversion of their own.
                let typmod = if target.oid == oids::INTERVAL { target.typmod } else { -1 };
                Ok(Expr {
                    kind: ExprKind::Const(value),
                    ty: PgType::with_typmod(target.oid, typmod),
                    position,
                })
            }
            ExprKind::Param(index) => {
                self.decide_param(index, target, position)?;
                let decided = self.params[usize::from(index)];
                Ok(Expr { kind: ExprKind::Param(index), ty: decided, position })
            }
            // A subquery's column whose type stayed open is text.
            _ => Ok(Expr {
                kind: ExprKind::IoCast(Box::new(Expr { ty: PgType::TEXT, ..expr })),
                ty: PgType::new(target.oid),
                position,
            }),
        }
    }

    /// The value of a literal as its type's input function reads it.
    fn literal(&mut self, text: &str, target: PgType) -> SqlResult<Datum> {
        let base = base_type(target.oid);
        if let Some(value) = self.reg_literal(text, base)? {
            return Ok(value);
        }
        let typmod = if base == oids::INTERVAL { target.typmod } else { -1 };
        Ok(shardforge_types::text::input(text, PgType::with_typmod(base, typmod), self.ctx.settings)?)
    }

    /// Applies a type's modifier, by its length coercion function where it has one.
    pub(super) fn coerce_typmod(
        &mut self,
        expr: Expr,
        target: PgType,
        context: CastContext,
    ) -> SqlResult<Expr> {
        if expr.ty.typmod == target.typmod {
            return Ok(expr);
        }
        let position = expr.position;
        if target.typmod < 0 {
            return Ok(match expr.kind {
                ExprKind::Const(_) => Expr { ty: PgType::new(expr.ty.oid), ..expr },
                _ => Expr { ty: PgType::new(expr.ty.oid), position, kind: ExprKind::Relabel(Box::new(expr)) },
            });
        }
        if matches!(expr.kind, ExprKind::Const(Datum::Null)) {
            return Ok(Expr { ty: PgType::with_typmod(expr.ty.oid, target.typmod), ..expr });
        }
        if let Some(element) = element_type(target.oid) {
            let inner = Expr::new(ExprKind::Element, PgType::new(element));
            let to = PgType::with_typmod(element, target.typmod);
            let inner = self.coerce_typmod(inner, to, context)?;
            let kind = ExprKind::ArrayCast { arg: Box::new(expr), element: Box::new(inner) };
            return Ok(Expr { kind, ty: target, position });
        }
        let ty = PgType::with_typmod(expr.ty.oid, target.typmod);
        let function = builtin::cast(target.oid, target.oid).map(|cast| cast.method);
        match function {
            Some(CastMethod::Function(func)) => {
                self.convert(expr, ty, Pathway::Function(func), context).map(|done| Expr { ty, ..done })
            }
            _ => Ok(Expr { kind: ExprKind::Relabel(Box::new(expr)), ty, position }),
        }
    }

    /// An expression where a truth value is wanted.
    pub(super) fn coerce_bool(&mut self, expr: Expr, construct: &str) -> SqlResult<Expr> {
        self.coerce_specific(expr, PgType::BOOL, construct)
    }

    /// An expression where a type is wanted, assigned as to a column of it.
    pub(super) fn coerce_specific(&mut self, expr: Expr, target: PgType, construct: &str) -> SqlResult<Expr> {
        let (source, position) = (expr.ty.oid, expr.position);
        self.coerce(expr, target, CastContext::Assignment)?.ok_or_else(|| {
            let message = format!(
                "argument of {construct} must be type {}, not type {}",
                type_name(target.oid),
                type_name(source)
            );
            SqlError::new(SqlState::DATATYPE_MISMATCH, message).at(position)
        })
    }

    /// A cast that was written.
    pub(super) fn explicit_cast(
        &mut self,
        expr: Expr,
        target: PgType,
        position: Option<u32>,
    ) -> SqlResult<Expr> {
        let source = expr.ty.oid;
        self.coerce(expr, target, CastContext::Explicit)?.ok_or_else(|| {
            let message = format!("cannot cast type {} to {}", type_name(source), type_name(target.oid));
            SqlError::new(SqlState::CANNOT_COERCE, message).at(position)
        })
    }

    /// What is still `unknown` when nothing else wants it is text.
    pub(super) fn settle_unknown(&mut self, expr: Expr) -> SqlResult<Expr> {
        if expr.ty.oid == oids::UNKNOWN { self.coerce_unknown(expr, PgType::TEXT) } else { Ok(expr) }
    }
}

/// The same value under a binary compatible type.
pub(super) fn relabel(expr: Expr, ty: PgType) -> Expr {
    if expr.ty.oid == ty.oid || ty.oid == oids::ANY || polymorphic::is_polymorphic(ty.oid) {
        return expr;
    }
    let position = expr.position;
    match expr.kind {
        ExprKind::Const(value) => Expr { kind: ExprKind::Const(value), ty, position },
        _ => Expr { kind: ExprKind::Relabel(Box::new(expr)), ty, position },
    }
}
