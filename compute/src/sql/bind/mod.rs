//! From a syntax tree to a bound tree: names through the catalog, types by PostgreSQL's rules.
//!
//! Expressions are bound bottom up. A string literal or `$n` has the type `unknown` until something
//! needs it to have another ([`coerce`]); operators and functions are chosen by the rules of
//! [`resolve`]. A query is bound clause by clause in the order in which PostgreSQL looks at them, so
//! that the same mistake is found first.

mod aggregate;
mod alter_table;
mod array;
mod calls;
mod coerce;
mod common;
mod copy;
mod create_table;
mod ddl;
mod dml;
mod expr;
mod from;
mod function;
mod index;
mod operator;
mod polymorphic;
mod query;
mod regtype;
mod resolve;
mod role;
mod scope;
mod select;
mod sequence;
mod setop;
mod sort;
mod subquery;
mod types;
mod utility;
mod walk;
mod window;

use super::ast::{Loc, Statement};
use super::bound::{Bound, BoundStatement, ColDef, ColId, CteId, Expr};
use super::stack::StackBase;
use super::{BindContext, parse};
use crate::catalog::TableDef;
use crate::{SqlError, SqlResult};
use aggregate::Level;
use scope::Scope;
use shardforge_types::{PgType, SqlState, oids};
use std::sync::Arc;

/// The most parameters a statement can have.
const MAX_PARAMS: u32 = 65_535;

pub(super) struct Binder<'a> {
    ctx: &'a BindContext<'a>,
    /// The whole text that positions count in.
    source: &'a str,
    ascii: bool,
    next_col: u32,
    next_cte: u32,
    /// Types of `$1`, ...: `unknown` until decided.
    params: Vec<PgType>,
    /// The query level at hand: what aggregates and windows it has.
    level: Level,
    stack: StackBase,
}

/// Binds one statement.
pub(super) fn bind_statement(source: &str, statement: &Statement, ctx: &BindContext<'_>) -> SqlResult<Bound> {
    let mut binder = Binder::new(source, ctx);
    let mut bound = binder.statement(statement)?;
    walk::prune_scans(&mut bound);
    let params = binder.finish_params(&mut bound)?;
    Ok(Bound { statement: bound, params })
}

/// Binds an expression that stands alone, converted to a type as an assignment to a column.
pub(super) fn bind_default(text: &str, ty: PgType, column: &str, ctx: &BindContext<'_>) -> SqlResult<Expr> {
    let ast = parse::parse_expression(text)?;
    let mut binder = Binder::new(text, ctx);
    binder.default_value(&ast, ty, column)
}

/// Binds a CHECK constraint over a table's columns.
pub(super) fn bind_check(
    text: &str,
    table: &Arc<TableDef>,
    ctx: &BindContext<'_>,
) -> SqlResult<(Expr, Vec<(ColDef, usize)>)> {
    let ast = parse::parse_expression(text)?;
    let mut binder = Binder::new(text, ctx);
    let (item, cols) = binder.table_item(table, &table.name);
    let scope = Scope::with_tables(None, vec![item]);
    let expr = binder.check_condition(&ast, &scope)?;
    Ok((expr, cols))
}

impl<'a> Binder<'a> {
    fn new(source: &'a str, ctx: &'a BindContext<'a>) -> Self {
        let params = ctx.param_types.iter().map(|ty| ty.unwrap_or(PgType::UNKNOWN)).collect();
        Self {
            ctx,
            source,
            ascii: source.is_ascii(),
            next_col: 0,
            next_cte: 0,
            params,
            level: Level::default(),
            stack: StackBase::here(),
        }
    }

    /// The position that a client is told for a byte of the text.
    fn position(&self, loc: Loc) -> Option<u32> {
        if self.ascii {
            return Some(loc + 1);
        }
        self.source.get(..loc as usize).map(|before| before.chars().count() as u32 + 1)
    }

    /// An error at a place.
    fn error(&self, state: SqlState, message: impl Into<String>, loc: Loc) -> SqlError {
        SqlError::new(state, message).at(self.position(loc))
    }

    /// 0A000 at a place.
    fn unsupported(&self, what: impl std::fmt::Display, loc: Loc) -> SqlError {
        SqlError::not_supported(what).at(self.position(loc))
    }

    fn new_col(&mut self) -> ColId {
        self.next_col += 1;
        ColId(self.next_col)
    }

    fn new_cte(&mut self) -> CteId {
        self.next_cte += 1;
        CteId(self.next_cte)
    }

    /// The type of `$n`, which may be `unknown` yet.
    fn param_type(&mut self, number: u32, loc: Loc) -> SqlResult<PgType> {
        if number == 0 || number > MAX_PARAMS {
            return Err(self.error(
                SqlState::UNDEFINED_PARAMETER,
                format!("there is no parameter ${number}"),
                loc,
            ));
        }
        let index = number as usize - 1;
        if self.params.len() <= index {
            self.params.resize(index + 1, PgType::UNKNOWN);
        }
        Ok(self.params[index])
    }

    /// Decides the type of a parameter that was `unknown` where it stands.
    fn decide_param(&mut self, index: u16, ty: PgType, position: Option<u32>) -> SqlResult<()> {
        let known = &mut self.params[usize::from(index)];
        if known.oid == oids::UNKNOWN {
            *known = PgType::new(ty.oid);
            return Ok(());
        }
        if known.oid == ty.oid {
            return Ok(());
        }
        let number = index + 1;
        let detail = format!("{} versus {}", types::type_name(known.oid), types::type_name(ty.oid));
        Err(SqlError::new(
            SqlState::AMBIGUOUS_PARAMETER,
            format!("inconsistent types deduced for parameter ${number}"),
        )
        .detail(detail)
        .at(position))
    }

    /// Every parameter must have a type by now, and the same wherever it stands.
    fn finish_params(&mut self, bound: &mut BoundStatement) -> SqlResult<Vec<PgType>> {
        let params = std::mem::take(&mut self.params);
        let mut problem = None;
        walk::statement_exprs(bound, &mut |expr| {
            if let super::bound::ExprKind::Param(index) = expr.kind {
                let number = index + 1;
                let decided = params.get(usize::from(index)).copied().unwrap_or(PgType::UNKNOWN);
                if expr.ty.oid == oids::UNKNOWN && decided.oid != oids::UNKNOWN {
                    // It was compared as `unknown` first and decided later: as if decided first.
                    expr.ty = decided;
                }
                if decided.oid == oids::UNKNOWN && problem.is_none() {
                    problem = Some(number);
                }
            }
        });
        if let Some(number) = problem {
            let message = format!("could not determine data type of parameter ${number}");
            return Err(SqlError::new(SqlState::INDETERMINATE_DATATYPE, message));
        }
        if let Some(index) = params.iter().position(|ty| ty.oid == oids::UNKNOWN) {
            let message = format!("could not determine data type of parameter ${}", index + 1);
            return Err(SqlError::new(SqlState::INDETERMINATE_DATATYPE, message));
        }
        Ok(params)
    }

    fn statement(&mut self, statement: &Statement) -> SqlResult<BoundStatement> {
        let scope = Scope::empty();
        Ok(match statement {
            Statement::Query(query) | Statement::QueryAsOf(query, _) => {
                BoundStatement::Query(self.top_query(query, &scope)?)
            }
            Statement::Insert(insert) => BoundStatement::Insert(self.insert(insert)?),
            Statement::Update(update) => BoundStatement::Update(self.update(update)?),
            Statement::Delete(delete) => BoundStatement::Delete(self.delete(delete)?),
            Statement::Copy(copy) => BoundStatement::Copy(self.copy(copy)?),
            Statement::CreateTable(_)
            | Statement::CreateTableAs(_)
            | Statement::CreateSchema { .. }
            | Statement::CreateDatabase { .. }
            | Statement::DropTable { .. }
            | Statement::DropSchema { .. }
            | Statement::DropDatabase { .. }
            | Statement::Truncate { .. }
            | Statement::CreateIndex(_)
            | Statement::DropIndex { .. }
            | Statement::RenameIndex { .. }
            | Statement::Reindex { .. }
            | Statement::CreateSequence { .. }
            | Statement::AlterSequence { .. }
            | Statement::DropSequence { .. }
            | Statement::CreateRole { .. }
            | Statement::AlterRole { .. }
            | Statement::DropRole { .. }
            | Statement::AlterTable { .. } => BoundStatement::Ddl(self.ddl(statement)?),
            other => return self.utility(other),
        })
    }
}
