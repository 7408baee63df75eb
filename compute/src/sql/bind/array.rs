//! Arrays: constructors and subscripts.

use super::Binder;
use super::scope::Scope;
use super::types::{array_type, element_type, type_name};
use crate::catalog::builtin::CastContext;
use crate::sql::ast::{self, ExprKind as Ast, Indirection};
use crate::sql::bound::{Expr, ExprKind};
use crate::{SqlError, SqlResult};
use shardforge_types::array::MAX_DIMS;
use shardforge_types::{PgType, SqlState, oids};

impl Binder<'_> {
    /// `ARRAY[...]`; `element` is what a cast around it wants.
    pub(super) fn array(
        &mut self,
        elements: &[ast::Expr],
        element: Option<PgType>,
        position: Option<u32>,
        scope: &Scope<'_>,
    ) -> SqlResult<Expr> {
        let mut nested = false;
        let mut bound = Vec::with_capacity(elements.len());
        for item in elements {
            if let Ast::Array(inner) = &item.kind {
                nested = true;
                let position = self.position(item.start);
                bound.push(self.array(inner, element, position, scope)?);
            } else {
                let item = self.expr(item, scope)?;
                // A vector is one value, not a row of an array.
                let vector = matches!(item.ty.oid, oids::INT2VECTOR | oids::OIDVECTOR);
                nested |= !vector && element_type(item.ty.oid).is_some();
                bound.push(item);
            }
        }
        if let Some(element) = element {
            let array = array_type(element.oid).ok_or_else(|| no_array_type(element).at(position))?;
            let target = if nested { PgType::with_typmod(array, element.typmod) } else { element };
            let convert = |item: Expr| {
                let (ty, position) = (item.ty.oid, item.position);
                self.coerce(item, target, CastContext::Explicit)?.ok_or_else(|| {
                    let message = format!("cannot cast type {} to {}", type_name(ty), type_name(target.oid));
                    SqlError::new(SqlState::CANNOT_COERCE, message).at(position)
                })
            };
            let elements = bound.into_iter().map(convert).collect::<SqlResult<_>>()?;
            let ty = PgType::with_typmod(array, element.typmod);
            return Ok(Expr { kind: ExprKind::Array { elements, nested }, ty, position });
        }
        if bound.is_empty() {
            return Err(SqlError::new(
                SqlState::INDETERMINATE_DATATYPE,
                "cannot determine type of empty array",
            )
            .hint("Explicitly cast to the desired type, for example ARRAY[]::integer[].")
            .at(position));
        }
        let (elements, common) = self.coerce_all(bound, "ARRAY")?;
        let ty = if nested {
            if element_type(common.oid).is_none() {
                let message = format!("could not find element type for data type {}", type_name(common.oid));
                return Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message).at(position));
            }
            common
        } else {
            let array = array_type(common.oid).ok_or_else(|| no_array_type(common).at(position))?;
            PgType::with_typmod(array, common.typmod)
        };
        Ok(Expr { kind: ExprKind::Array { elements, nested }, ty, position })
    }

    /// `x[1]`, `x[1][2]`, `x[1:2]`.
    pub(super) fn subscript(
        &mut self,
        array: Expr,
        items: &[Indirection],
        scope: &Scope<'_>,
    ) -> SqlResult<Expr> {
        let position = array.position;
        let element = match array.ty.oid {
            oids::INT2VECTOR => Some(oids::INT2),
            oids::OIDVECTOR => Some(oids::OID),
            ty => element_type(ty),
        };
        let Some(element) = element else {
            let ty = array.ty.oid;
            if matches!(ty, oids::JSONB | oids::NAME) {
                return Err(
                    SqlError::not_supported(format!("a subscript of type {}", type_name(ty))).at(position)
                );
            }
            let message =
                format!("cannot subscript type {} because it does not support subscripting", type_name(ty));
            return Err(SqlError::new(SqlState::DATATYPE_MISMATCH, message).at(position));
        };
        if items.len() > MAX_DIMS {
            let message = format!(
                "number of array dimensions ({}) exceeds the maximum allowed ({MAX_DIMS})",
                items.len()
            );
            return Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, message));
        }
        if items.iter().any(|item| matches!(item, Indirection::Slice(..))) {
            let mut bounds = Vec::new();
            for item in items {
                bounds.push(match item {
                    Indirection::Slice(low, high) => {
                        let low = low.as_ref().map(|low| self.index(low, scope)).transpose()?;
                        let high = high.as_ref().map(|high| self.index(high, scope)).transpose()?;
                        (low, high)
                    }
                    // A single subscript among slices means from 1 to it.
                    Indirection::Index(index) => {
                        let one = Expr::constant(shardforge_types::Datum::Int4(1), PgType::INT4);
                        (Some(one), Some(self.index(index, scope)?))
                    }
                    Indirection::Field(_) | Indirection::Star => {
                        return Err(SqlError::internal("a field among subscripts"));
                    }
                });
            }
            let ty = array.ty;
            return Ok(Expr { kind: ExprKind::Slice { array: Box::new(array), bounds }, ty, position });
        }
        let mut indexes = Vec::new();
        for item in items {
            if let Indirection::Index(index) = item {
                indexes.push(self.index(index, scope)?);
            }
        }
        let ty = PgType::with_typmod(element, array.ty.typmod);
        Ok(Expr { kind: ExprKind::Subscript { array: Box::new(array), indexes }, ty, position })
    }

    fn index(&mut self, index: &ast::Expr, scope: &Scope<'_>) -> SqlResult<Expr> {
        let index = self.expr(index, scope)?;
        let position = index.position;
        self.coerce(index, PgType::INT4, CastContext::Assignment)?.ok_or_else(|| {
            SqlError::new(SqlState::DATATYPE_MISMATCH, "array subscript must have type integer").at(position)
        })
    }
}

fn no_array_type(element: PgType) -> SqlError {
    let message = format!("could not find array type for data type {}", type_name(element.oid));
    SqlError::new(SqlState::UNDEFINED_OBJECT, message)
}
