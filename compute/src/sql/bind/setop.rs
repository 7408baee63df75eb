//! UNION, INTERSECT, EXCEPT: both sides take common types, column by column.

use super::Binder;
use super::coerce::can_coerce;
use crate::SqlError;
use crate::SqlResult;
use crate::catalog::builtin::CastContext;
use crate::sql::bound::{ColDef, Expr, OutputColumn, Query, Rel, SetOp, SetOpKind};
use shardforge_types::{Oid, PgType, SqlState, oids};

fn name(kind: SetOpKind) -> &'static str {
    match kind {
        SetOpKind::Union => "UNION",
        SetOpKind::Intersect => "INTERSECT",
        SetOpKind::Except => "EXCEPT",
    }
}

impl Binder<'_> {
    pub(super) fn set_operation(
        &mut self,
        kind: SetOpKind,
        all: bool,
        mut left: Query,
        mut right: Query,
    ) -> SqlResult<Query> {
        let context = name(kind);
        if left.output.len() != right.output.len() {
            let message = format!("each {context} query must have the same number of columns");
            let position = first_position(&right);
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message).at(position));
        }
        if left.output.is_empty() && kind != SetOpKind::Union {
            return Err(SqlError::not_supported(format!("{context} of rows without columns")));
        }
        let mut types = Vec::new();
        for index in 0..left.output.len() {
            let place = |query: &Query| Expr {
                position: output_position(&query.rel, query.output[index].id),
                ..Expr::col(query.output[index].id, query.output[index].ty)
            };
            let exprs = [place(&left), place(&right)];
            let ty = self.common_type(exprs.iter(), context)?;
            for query in [&mut left, &mut right] {
                if query.output[index].ty.oid == oids::UNKNOWN {
                    self.retype_output(query, index, ty)?;
                }
            }
            if !all {
                self.need_equality(ty.oid, exprs[0].position)?;
            }
            types.push(ty);
        }
        let names: Vec<String> = left.output.iter().map(|column| column.name.clone()).collect();
        let left = self.project_as(left, &types, context)?;
        let right = self.project_as(right, &types, context)?;
        let mut cols = Vec::new();
        for (name, ty) in names.into_iter().zip(&types) {
            cols.push(ColDef { id: self.new_col(), ty: *ty, name });
        }
        let output = cols
            .iter()
            .map(|col| OutputColumn { id: col.id, name: col.name.clone(), ty: col.ty, origin: None })
            .collect();
        Ok(Query { rel: Rel::SetOp(Box::new(SetOp { kind, all, left, right, cols })), output })
    }

    /// A query with its output converted to these types.
    pub(super) fn project_as(&mut self, query: Query, types: &[PgType], context: &str) -> SqlResult<Query> {
        if query.output.iter().zip(types).all(|(column, ty)| column.ty.oid == ty.oid) {
            return Ok(query);
        }
        let mut exprs = Vec::new();
        let mut output = Vec::new();
        for (column, ty) in query.output.iter().zip(types) {
            let position = output_position(&query.rel, column.id);
            let expr = Expr { position, ..Expr::col(column.id, column.ty) };
            let expr = self.coerce_common(expr, *ty, context)?;
            let col = ColDef { id: self.new_col(), ty: expr.ty, name: column.name.clone() };
            output.push(OutputColumn { id: col.id, ty: expr.ty, origin: None, name: column.name.clone() });
            exprs.push((col, expr));
        }
        Ok(Query { rel: Rel::Project { input: Box::new(query.rel), exprs }, output })
    }

    /// The type that two output columns have in common.
    pub(super) fn common_output_type(&self, a: &OutputColumn, b: &OutputColumn) -> SqlResult<Oid> {
        let exprs = [Expr::col(a.id, a.ty), Expr::col(b.id, b.ty)];
        let ty = self.common_type(exprs.iter(), "UNION")?;
        let fits = [a, b].iter().all(|column| can_coerce(&[column.ty.oid], &[ty.oid], CastContext::Implicit));
        if fits { Ok(ty.oid) } else { Err(SqlError::internal("a common type that a column has no way to")) }
    }
}

/// Where the expression that makes a column stands in the text.
pub(super) fn output_position(rel: &Rel, id: crate::sql::bound::ColId) -> Option<u32> {
    match rel {
        Rel::Project { exprs, .. } => {
            exprs.iter().find(|(col, _)| col.id == id).and_then(|(_, expr)| expr.position)
        }
        Rel::Values { cols, rows } => {
            let index = cols.iter().position(|col| col.id == id)?;
            rows.first().and_then(|row| row[index].position)
        }
        Rel::Filter { input, .. }
        | Rel::Distinct(input)
        | Rel::DistinctOn { input, .. }
        | Rel::Sort { input, .. }
        | Rel::Limit { input, .. }
        | Rel::Lock { input, .. } => output_position(input, id),
        Rel::With { body, .. } => output_position(body, id),
        Rel::SetOp(op) => {
            let index = op.cols.iter().position(|col| col.id == id)?;
            output_position(&op.left.rel, op.left.output.get(index)?.id)
        }
        _ => None,
    }
}

fn first_position(query: &Query) -> Option<u32> {
    query.output.first().and_then(|column| output_position(&query.rel, column.id))
}
