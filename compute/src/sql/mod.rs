//! From text to a bound tree: parsing, names, types. Every unknown literal, `$n`, SQLSTATE and
//! error position is decided here and nowhere else.
//!
//! # Life of a statement's text
//!
//! 1. [`parse()`] cuts the text into statements and gives each a syntax tree, without looking anything up.
//! 2. [`bind()`] resolves names through a [`CatalogLookup`] and types through the tables in
//!    [`crate::catalog::builtin`], by the rules of chapter 10 of PostgreSQL's manual.
//! 3. The [`bound`] tree goes to an executor. What is not built is refused here, with 0A000 and its name.
//!
//! # Invariants
//!
//! 1. Parsing looks at nothing but the text; binding changes nothing.
//! 2. Positions in errors count characters of the whole text given to [`parse()`], from 1.

mod ast;
mod bind;
pub mod bound;
pub mod explain_bound;
mod lex;
pub mod lift;
mod parse;
mod stack;

use crate::SqlResult;
use crate::catalog::{SequenceDef, TableDef};
use bound::{Bound, ColDef, Expr};
use shardforge_types::{Oid, PgType, Settings};
use std::ops::Range;
use std::sync::Arc;

/// What the binder asks of the catalog, at the snapshot of the statement.
pub trait CatalogLookup {
    /// A table by its name; without a schema, the first of that name along the search path
    /// (`pg_catalog` first, unless the path names it). `None` when there is none.
    fn table(&self, schema: Option<&str>, name: &str) -> SqlResult<Option<Arc<TableDef>>>;

    /// OID of any relation, indexes included, found as in [`CatalogLookup::table`].
    fn relation(&self, schema: Option<&str>, name: &str) -> SqlResult<Option<Oid>> {
        Ok(self.table(schema, name)?.map(|table| table.oid))
    }

    /// OID of a schema.
    fn schema(&self, name: &str) -> SqlResult<Option<Oid>>;

    /// OID of a role.
    fn role(&self, name: &str) -> SqlResult<Option<Oid>>;

    /// Where a table without a schema is created: the first schema of the search path that exists;
    /// 3F000 when there is none.
    fn creation_schema(&self) -> SqlResult<(Oid, String)>;

    /// A sequence.
    fn sequence(&self, _oid: Oid) -> Option<Arc<SequenceDef>> {
        None
    }

    /// The sequences that go with a table's columns.
    fn sequences_of(&self, _table: Oid) -> Vec<Arc<SequenceDef>> {
        Vec::new()
    }

    /// The name of the database.
    fn database(&self) -> &str;

    /// How many rows a table has, as far as statistics know.
    fn table_rows(&self, _table: Oid) -> Option<f64> {
        None
    }
}

/// What binding depends on beside the text.
#[derive(Clone, Copy)]
pub struct BindContext<'a> {
    /// Names of tables and schemas.
    pub catalog: &'a dyn CatalogLookup,
    /// How literals are read.
    pub settings: &'a Settings,
    /// The types that the client gave for `$1`, `$2`, ...; `None` and those left out are found by
    /// the binder.
    pub param_types: &'a [Option<PgType>],
}

/// One statement of a text, with its syntax tree.
#[derive(Debug, Clone)]
pub struct ParsedStatement {
    source: Arc<str>,
    span: Range<usize>,
    ast: Arc<ast::Statement>,
}

impl ParsedStatement {
    /// The statement's own text, without the semicolon.
    pub fn text(&self) -> &str {
        &self.source[self.span.clone()]
    }

    /// Where the statement stands in the text given to [`parse()`], in bytes.
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// Whether an aborted transaction accepts it: COMMIT, ROLLBACK, ROLLBACK TO.
    pub fn ends_aborted_transaction(&self) -> bool {
        use bound::TransactionStatement as T;
        matches!(
            *self.ast,
            ast::Statement::Transaction(T::Commit { .. } | T::Rollback { .. } | T::RollbackTo(_))
        )
    }

    /// The point of history at which it reads, when it says one.
    pub(crate) fn as_of(&self) -> Option<&bound::AsOf> {
        match &*self.ast {
            ast::Statement::QueryAsOf(_, point) => Some(point),
            _ => None,
        }
    }

    /// Whether it can be bound and run without a snapshot of the data: transaction control, settings.
    pub fn needs_no_snapshot(&self) -> bool {
        matches!(
            *self.ast,
            ast::Statement::Transaction(_)
                | ast::Statement::Setting(_)
                | ast::Statement::Deallocate(_)
                | ast::Statement::Discard(_)
                | ast::Statement::Checkpoint
                | ast::Statement::Unsupported(_)
        )
    }
}

/// Cuts a text into statements, empty ones left out, and parses them all: a syntax error anywhere
/// is the only result.
pub fn parse(text: &str) -> SqlResult<Vec<ParsedStatement>> {
    let source: Arc<str> = text.into();
    let statements = parse::parse_statements(text)?.into_iter().map(|raw| ParsedStatement {
        source: source.clone(),
        span: raw.span.start as usize..raw.span.end as usize,
        ast: Arc::new(raw.statement),
    });
    Ok(statements.collect())
}

/// Resolves the names and types of a statement.
pub fn bind(statement: &ParsedStatement, ctx: &BindContext<'_>) -> SqlResult<Bound> {
    bind::bind_statement(&statement.source, &statement.ast, ctx)
}

/// Binds the source text of a column's DEFAULT, converted to the column's type as an assignment.
pub fn bind_default(text: &str, ty: PgType, column: &str, ctx: &BindContext<'_>) -> SqlResult<Expr> {
    bind::bind_default(text, ty, column, ctx)
}

/// Binds the source text of a CHECK constraint: a boolean over all columns of the table, with the
/// name of each in it and its position.
pub fn bind_check(
    text: &str,
    table: &Arc<TableDef>,
    ctx: &BindContext<'_>,
) -> SqlResult<(Expr, Vec<(ColDef, usize)>)> {
    bind::bind_check(text, table, ctx)
}
