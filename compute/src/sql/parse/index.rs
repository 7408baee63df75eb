//! CREATE INDEX, DROP INDEX, ALTER INDEX, REINDEX.

use super::Parser;
use crate::SqlResult;
use crate::sql::ast::{CreateIndex, IndexElement, Statement};
use crate::sql::lex::TokenKind;

impl Parser<'_> {
    /// From INDEX on.
    pub(super) fn create_index(&mut self, unique: bool) -> SqlResult<Statement> {
        self.advance();
        let concurrently = self.accept_kw("concurrently");
        let if_not_exists = self.if_not_exists()?;
        let name = if if_not_exists || !self.is_kw("on") { Some(self.col_id()?) } else { None };
        self.expect_kw("on")?;
        self.accept_kw("only");
        let table = self.object_name()?;
        let method = if self.accept_kw("using") { Some(self.col_id()?) } else { None };
        let mut unsupported = None;
        let columns = self.paren_list(|parser| parser.index_element(&mut unsupported))?;
        if self.accept_kw("include") {
            unsupported.get_or_insert("CREATE INDEX with INCLUDE");
            self.paren_list(|parser| parser.index_element(&mut None))?;
        }
        let mut nulls_not_distinct = false;
        if self.accept_kw("nulls") {
            nulls_not_distinct = self.accept_kw("not");
            self.expect_kw("distinct")?;
        }
        let options = match self.accept_kw("with") {
            true => self.paren_list(Self::storage_option)?,
            false => Vec::new(),
        };
        if self.accept_kw("tablespace") && self.col_id()?.name != "pg_default" {
            unsupported.get_or_insert("TABLESPACE");
        }
        if self.accept_kw("where") {
            self.expr()?;
            unsupported.get_or_insert("a partial index");
        }
        Ok(Statement::CreateIndex(Box::new(CreateIndex {
            name,
            table,
            unique,
            concurrently,
            if_not_exists,
            nulls_not_distinct,
            columns,
            options,
            method,
            unsupported: unsupported.map(str::to_owned),
        })))
    }

    /// A column with its order; an expression is read and noted as not built.
    fn index_element(&mut self, unsupported: &mut Option<&'static str>) -> SqlResult<IndexElement> {
        let is_call = matches!(self.kind_at(1), TokenKind::Char(b'(' | b'.'));
        let column = if self.is_char(b'(') || is_call || !self.is_col_id() {
            unsupported.get_or_insert("an index over an expression");
            let loc = self.loc();
            self.simple_expr()?;
            crate::sql::ast::Ident { name: "expr".to_owned(), loc }
        } else {
            self.col_id()?
        };
        let collation = if self.accept_kw("collate") { Some(self.any_name()?) } else { None };
        let class = if self.is_col_id() && !self.is_any_kw(&["nulls"]) {
            let class = self.any_name()?;
            if self.is_char(b'(') {
                unsupported.get_or_insert("parameters of an operator class");
                self.skip_parentheses()?;
            }
            Some(class)
        } else {
            None
        };
        let desc = self.accept_kw("desc");
        if !desc {
            self.accept_kw("asc");
        }
        let mut nulls_first = None;
        if self.accept_kw("nulls") {
            let first = self.accept_kw("first");
            if !first {
                self.expect_kw("last")?;
            }
            nulls_first = Some(first);
        }
        Ok(IndexElement { column, collation, class, desc, nulls_first })
    }

    /// From INDEX on.
    pub(super) fn drop_index(&mut self) -> SqlResult<Statement> {
        self.advance();
        let concurrently = self.accept_kw("concurrently");
        let if_exists = self.if_exists()?;
        let names = self.comma_list(Self::object_name)?;
        Ok(Statement::DropIndex { names, if_exists, cascade: self.drop_behavior(), concurrently })
    }

    /// From INDEX on.
    pub(super) fn alter_index(&mut self) -> SqlResult<Statement> {
        self.advance();
        if self.is_kw("all") {
            return Ok(self.unsupported("ALTER INDEX ALL IN TABLESPACE"));
        }
        let if_exists = self.if_exists()?;
        let name = self.object_name()?;
        if !self.accept_kw("rename") {
            let what = format!("ALTER INDEX {}", self.word().to_uppercase());
            return Ok(self.unsupported(what));
        }
        self.expect_kw("to")?;
        Ok(Statement::RenameIndex { name, if_exists, to: self.col_id()? })
    }

    pub(super) fn reindex(&mut self) -> SqlResult<Statement> {
        self.advance();
        let mut concurrently = false;
        if self.is_char(b'(') {
            self.paren_list(|parser| {
                let option = parser.col_label()?;
                let on = match parser.is_char(b',') || parser.is_char(b')') {
                    true => true,
                    false => !matches!(parser.option_value()?.as_str(), "false" | "off" | "0"),
                };
                match option.name.as_str() {
                    "concurrently" => concurrently = on,
                    "verbose" if !on => {}
                    other => {
                        let what = format!("REINDEX with {}", other.to_uppercase());
                        return Err(crate::SqlError::not_supported(what));
                    }
                }
                Ok(())
            })?;
        }
        let table = match self.word() {
            "index" => false,
            "table" => true,
            "schema" | "database" | "system" => {
                let what = format!("REINDEX {}", self.word().to_uppercase());
                return Ok(self.unsupported(what));
            }
            _ => return Err(self.unexpected()),
        };
        self.advance();
        concurrently |= self.accept_kw("concurrently");
        Ok(Statement::Reindex { name: self.object_name()?, table, concurrently })
    }
}
