//! Queries inside expressions.

use super::Binder;
use super::scope::Scope;
use super::types::{array_type, element_type, type_name};
use crate::sql::ast::{self, ExprKind as Ast, Loc, OpName};
use crate::sql::bound::{Expr, ExprKind, Query, SubqueryKind};
use crate::{SqlError, SqlResult};
use shardforge_types::{PgType, SqlState, oids};

fn subquery(kind: SubqueryKind, query: Query, ty: PgType, position: Option<u32>) -> Expr {
    Expr { kind: ExprKind::Subquery { kind, query: Box::new(query) }, ty, position }
}

impl Binder<'_> {
    pub(super) fn exists(
        &mut self,
        query: &ast::Query,
        position: Option<u32>,
        scope: &Scope<'_>,
    ) -> SqlResult<Expr> {
        let query = self.closed_query(query, scope)?;
        Ok(subquery(SubqueryKind::Exists, query, PgType::BOOL, position))
    }

    /// The query must have one column.
    fn one_column(
        &mut self,
        query: &ast::Query,
        position: Option<u32>,
        scope: &Scope<'_>,
    ) -> SqlResult<Query> {
        let query = self.closed_query(query, scope)?;
        match query.output.len() {
            1 => Ok(query),
            0 => Err(SqlError::new(SqlState::SYNTAX_ERROR, "subquery must return a column").at(position)),
            _ => {
                Err(SqlError::new(SqlState::SYNTAX_ERROR, "subquery must return only one column")
                    .at(position))
            }
        }
    }

    pub(super) fn scalar_query(
        &mut self,
        query: &ast::Query,
        position: Option<u32>,
        scope: &Scope<'_>,
    ) -> SqlResult<Expr> {
        let query = self.one_column(query, position, scope)?;
        let ty = query.output[0].ty;
        Ok(subquery(SubqueryKind::Scalar, query, ty, position))
    }

    pub(super) fn array_query(
        &mut self,
        query: &ast::Query,
        position: Option<u32>,
        scope: &Scope<'_>,
    ) -> SqlResult<Expr> {
        let query = self.one_column(query, position, scope)?;
        let element = query.output[0].ty;
        // Arrays gather into an array of one dimension more, of the same type.
        let array =
            if element_type(element.oid).is_some() { Some(element.oid) } else { array_type(element.oid) };
        let array = array.ok_or_else(|| {
            let message = format!("could not find array type for data type {}", type_name(element.oid));
            SqlError::new(SqlState::UNDEFINED_OBJECT, message).at(position)
        })?;
        Ok(subquery(SubqueryKind::Array, query, PgType::with_typmod(array, element.typmod), position))
    }

    /// `left op ANY (query)`, `left op ALL (query)`, `left IN (query)`.
    pub(super) fn quantified_query(
        &mut self,
        op: &OpName,
        all: bool,
        left: &ast::Expr,
        query: &ast::Query,
        loc: Loc,
        scope: &Scope<'_>,
    ) -> SqlResult<Expr> {
        let position = self.position(left.start);
        let query = self.closed_query(query, scope)?;
        let left = match &left.kind {
            Ast::Row { fields, .. } => self.exprs(fields, scope)?,
            _ => vec![self.expr(left, scope)?],
        };
        let test = self.test_against(op, left, &query, loc)?;
        let kind = if all { SubqueryKind::All { test } } else { SubqueryKind::Any { test } };
        Ok(subquery(kind, query, PgType::BOOL, position))
    }

    fn test_against(
        &mut self,
        op: &OpName,
        left: Vec<Expr>,
        query: &Query,
        loc: Loc,
    ) -> SqlResult<Box<Expr>> {
        if left.len() != query.output.len() {
            let message = if left.len() < query.output.len() {
                "subquery has too many columns"
            } else {
                "subquery has too few columns"
            };
            return Err(self.error(SqlState::SYNTAX_ERROR, message, loc));
        }
        let right: Vec<Expr> = query.output.iter().map(|column| Expr::col(column.id, column.ty)).collect();
        let test = self.compare_rows(op, left, right, loc)?;
        if test.ty.oid != oids::BOOL {
            let message = format!(
                "row comparison operator must yield type boolean, not type {}",
                type_name(test.ty.oid)
            );
            return Err(self.error(SqlState::DATATYPE_MISMATCH, message, loc));
        }
        Ok(Box::new(test))
    }

    /// `(a, b) op (SELECT c, d ...)`: compared with the one row, null without it.
    pub(super) fn row_against_query(
        &mut self,
        _op: &OpName,
        _left: &ast::Expr,
        _query: &ast::Query,
        loc: Loc,
        _scope: &Scope<'_>,
    ) -> SqlResult<Expr> {
        Err(self.unsupported("a row compared with a subquery", loc))
    }
}
