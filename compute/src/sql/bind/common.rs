//! The common type of several expressions: UNION, CASE, VALUES, COALESCE, ARRAY and their kin.

use super::Binder;
use super::coerce::can_coerce;
use super::types::{category, type_name};
use crate::catalog::builtin::{CastContext, base_type};
use crate::sql::bound::Expr;
use crate::{SqlError, SqlResult};
use shardforge_types::{Oid, PgType, SqlState, oids};

/// The common type, or the place of the first type that does not fit the ones before it.
fn common(types: &[Oid]) -> Result<Oid, (usize, Oid)> {
    let first = types.first().copied().unwrap_or(oids::UNKNOWN);
    if first != oids::UNKNOWN && types.iter().all(|ty| *ty == first) {
        return Ok(first);
    }
    let mut chosen = base_type(first);
    let (mut chosen_category, mut chosen_preferred) = category(chosen);
    for (index, ty) in types.iter().enumerate().skip(1) {
        let ty = base_type(*ty);
        if ty == oids::UNKNOWN || ty == chosen {
            continue;
        }
        let (ty_category, ty_preferred) = category(ty);
        let implicit = |from, to| can_coerce(&[from], &[to], CastContext::Implicit);
        if chosen == oids::UNKNOWN
            || (ty_category == chosen_category
                && !chosen_preferred
                && implicit(chosen, ty)
                && !implicit(ty, chosen))
        {
            (chosen, chosen_category, chosen_preferred) = (ty, ty_category, ty_preferred);
        } else if ty_category != chosen_category {
            return Err((index, chosen));
        }
    }
    Ok(if chosen == oids::UNKNOWN { oids::TEXT } else { chosen })
}

/// The common type of known types, to which all must be convertible.
pub(super) fn common_type_of(types: &[Oid]) -> Option<Oid> {
    let chosen = common(types).ok()?;
    types.iter().all(|ty| can_coerce(&[*ty], &[chosen], CastContext::Implicit)).then_some(chosen)
}

impl Binder<'_> {
    /// The common type of expressions; `context` names the construct in the message.
    pub(super) fn common_type<'e>(
        &self,
        exprs: impl Iterator<Item = &'e Expr> + Clone,
        context: &str,
    ) -> SqlResult<PgType> {
        let types: Vec<Oid> = exprs.clone().map(|expr| expr.ty.oid).collect();
        let oid = common(&types).map_err(|(index, chosen)| {
            let other = exprs.clone().nth(index);
            let message = format!(
                "{context} types {} and {} cannot be matched",
                type_name(chosen),
                type_name(types[index])
            );
            SqlError::new(SqlState::DATATYPE_MISMATCH, message).at(other.and_then(|expr| expr.position))
        })?;
        // The modifier stays when all agree on it.
        let mut typmods = exprs.map(|expr| if expr.ty.oid == oid { expr.ty.typmod } else { -1 });
        let first = typmods.next().unwrap_or(-1);
        let typmod = if typmods.all(|typmod| typmod == first) { first } else { -1 };
        Ok(PgType::with_typmod(oid, typmod))
    }

    /// An expression as the common type.
    pub(super) fn coerce_common(&mut self, expr: Expr, target: PgType, context: &str) -> SqlResult<Expr> {
        if expr.ty.oid == target.oid {
            return Ok(expr);
        }
        if !can_coerce(&[expr.ty.oid], &[target.oid], CastContext::Implicit) {
            let message = format!(
                "{context} could not convert type {} to {}",
                type_name(expr.ty.oid),
                type_name(target.oid)
            );
            return Err(SqlError::new(SqlState::CANNOT_COERCE, message).at(expr.position));
        }
        self.coerce_type(expr, PgType::new(target.oid), CastContext::Implicit)
    }

    /// All expressions as their common type.
    pub(super) fn coerce_all(&mut self, exprs: Vec<Expr>, context: &str) -> SqlResult<(Vec<Expr>, PgType)> {
        let ty = self.common_type(exprs.iter(), context)?;
        let exprs =
            exprs.into_iter().map(|expr| self.coerce_common(expr, ty, context)).collect::<SqlResult<_>>()?;
        Ok((exprs, ty))
    }
}
