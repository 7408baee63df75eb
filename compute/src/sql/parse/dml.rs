//! INSERT, UPDATE, DELETE, COPY.

use super::Parser;
use super::expr::leaf;
use crate::SqlResult;
use crate::sql::ast::{
    Alias, Assignment, ConflictTarget, Copy, CopyOption, CopyPlace, CopySource, CopyValue, Delete, ExprKind,
    Ident, Insert, InsertColumn, OnConflict, Overriding, Statement, Target, Update, With,
};
use crate::sql::lex::TokenKind;

impl Parser<'_> {
    /// What may begin with WITH.
    pub(super) fn dml_or_query(&mut self) -> SqlResult<Statement> {
        let with = self.with()?;
        match self.word() {
            "insert" => self.insert(with),
            "update" => self.update(with),
            "delete" => self.delete(with),
            _ => Ok(Statement::Query(Box::new(self.query_after_with(with)?))),
        }
    }

    fn insert_column(&mut self) -> SqlResult<InsertColumn> {
        let name = self.col_id()?;
        let mut indirection = false;
        while self.is_char(b'.') || self.is_char(b'[') {
            indirection = true;
            if self.accept_char(b'.') {
                self.col_label()?;
            } else {
                self.advance();
                self.expr()?;
                self.expect_char(b']')?;
            }
        }
        Ok(InsertColumn { name, indirection })
    }

    fn insert(&mut self, with: Option<With>) -> SqlResult<Statement> {
        self.expect_kw("insert")?;
        self.expect_kw("into")?;
        let table = self.object_name()?;
        let alias = if self.accept_kw("as") { Some(self.col_id()?) } else { None };
        let mut columns = Vec::new();
        if self.is_char(b'(') && !self.is_query_start() {
            columns = self.paren_list(Self::insert_column)?;
        }
        let mut overriding = None;
        if self.is_kw("overriding") {
            self.advance();
            let user = self.accept_kw("user");
            if !user {
                self.expect_kw("system")?;
            }
            overriding = Some(if user { Overriding::User } else { Overriding::System });
            self.expect_kw("value")?;
        }
        let source = if columns.is_empty() && self.is_kw("default") {
            self.advance();
            self.expect_kw("values")?;
            None
        } else {
            Some(Box::new(self.query()?))
        };
        let on_conflict = if self.is_kw("on") { Some(self.on_conflict()?) } else { None };
        let returning = self.returning()?;
        let insert = Insert { with, table, alias, columns, overriding, source, on_conflict, returning };
        Ok(Statement::Insert(Box::new(insert)))
    }

    fn on_conflict(&mut self) -> SqlResult<OnConflict> {
        let loc = self.loc();
        self.expect_kws(&["on", "conflict"])?;
        let mut target = None;
        if self.is_char(b'(') {
            let exprs = self.paren_list(|parser| {
                let expr = parser.simple_expr()?;
                if parser.accept_kw("collate") {
                    parser.any_name()?;
                }
                Ok(expr)
            })?;
            let filter = self.where_clause()?;
            target = Some(ConflictTarget::Columns { exprs, filter });
        } else if self.accept_kw("on") {
            self.expect_kw("constraint")?;
            target = Some(ConflictTarget::Constraint(self.col_id()?));
        }
        self.expect_kw("do")?;
        if self.accept_kw("nothing") {
            return Ok(OnConflict { target, update: None, loc });
        }
        self.expect_kws(&["update", "set"])?;
        let assignments = self.comma_list(Self::assignment)?;
        let filter = self.where_clause()?;
        Ok(OnConflict { target, update: Some((assignments, filter)), loc })
    }

    /// `a = x`, or `(a, b) = row`.
    fn assignment(&mut self) -> SqlResult<Assignment> {
        let multi = self.is_char(b'(');
        let columns = if multi { self.paren_list(Self::insert_column)? } else { vec![self.insert_column()?] };
        self.expect_char(b'=')?;
        Ok(Assignment { columns, multi, value: self.expr()? })
    }

    /// RETURNING, or nothing.
    fn returning(&mut self) -> SqlResult<Vec<Target>> {
        if self.accept_kw("returning") { self.targets() } else { Ok(Vec::new()) }
    }

    /// The alias of a written table: SET is not one.
    fn target_alias(&mut self) -> SqlResult<Option<Alias>> {
        if !self.accept_kw("as") && (!self.is_col_id() || self.is_kw("set")) {
            return Ok(None);
        }
        Ok(Some(Alias { name: self.col_id()?, columns: Vec::new() }))
    }

    fn update(&mut self, with: Option<With>) -> SqlResult<Statement> {
        self.expect_kw("update")?;
        let table = self.relation_name()?;
        let alias = self.target_alias()?;
        self.expect_kw("set")?;
        let assignments = self.comma_list(Self::assignment)?;
        let from = if self.accept_kw("from") { self.comma_list(Self::table_ref)? } else { Vec::new() };
        let filter = self.where_or_current_of()?;
        let returning = self.returning()?;
        Ok(Statement::Update(Box::new(Update { with, table, alias, assignments, from, filter, returning })))
    }

    fn delete(&mut self, with: Option<With>) -> SqlResult<Statement> {
        self.expect_kws(&["delete", "from"])?;
        let table = self.relation_name()?;
        let alias = self.target_alias()?;
        let using = if self.accept_kw("using") { self.comma_list(Self::table_ref)? } else { Vec::new() };
        let filter = self.where_or_current_of()?;
        let returning = self.returning()?;
        Ok(Statement::Delete(Box::new(Delete { with, table, alias, using, filter, returning })))
    }

    fn where_or_current_of(&mut self) -> SqlResult<Option<crate::sql::ast::Expr>> {
        let loc = self.loc();
        if self.accept_kws(&["where", "current", "of"]) {
            self.col_id()?;
            return Ok(Some(leaf(ExprKind::Unsupported("WHERE CURRENT OF".to_owned()), loc)));
        }
        self.where_clause()
    }

    pub(super) fn copy(&mut self) -> SqlResult<Statement> {
        self.expect_kw("copy")?;
        let mut options = Vec::new();
        if self.is_kw("binary") {
            let loc = self.loc();
            self.advance();
            options.push(option("format", CopyValue::Text("binary".to_owned()), loc));
        }
        let what = if self.is_char(b'(') {
            self.advance();
            let write = [("insert", "INSERT"), ("update", "UPDATE"), ("delete", "DELETE")];
            let what = match write.iter().find(|(word, _)| self.is_kw(word)) {
                Some((_, name)) => {
                    self.dml_or_query()?;
                    CopySource::Other(name)
                }
                None => CopySource::Query(Box::new(self.query()?)),
            };
            self.expect_char(b')')?;
            what
        } else {
            let table = self.object_name()?;
            let columns = if self.is_char(b'(') { self.paren_list(Self::col_id)? } else { Vec::new() };
            CopySource::Table(table, columns)
        };
        let from = self.is_kw("from");
        if !from && !self.is_kw("to") || from && !matches!(what, CopySource::Table(..)) {
            return Err(self.unexpected());
        }
        self.advance();
        let program = self.accept_kw("program");
        let place = match self.kind() {
            TokenKind::Str(_) if program => CopyPlace::Program,
            TokenKind::Str(_) => CopyPlace::File,
            _ if !program && (self.is_kw("stdin") || self.is_kw("stdout")) => CopyPlace::Stdio,
            _ => return Err(self.unexpected()),
        };
        self.advance();
        if self.is_kw("delimiters") || (self.is_kw("using") && self.is_kw_at(1, "delimiters")) {
            self.accept_kw("using");
            let loc = self.loc();
            self.advance();
            options.push(option("delimiter", CopyValue::Text(self.string()?), loc));
        }
        self.accept_kw("with");
        if self.accept_char(b'(') {
            options.extend(self.comma_list(Self::copy_option)?);
            self.expect_char(b')')?;
        } else {
            self.old_copy_options(&mut options)?;
        }
        let filter = self.where_clause()?;
        if let (Some(filter), false) = (&filter, from) {
            let at = filter.start;
            return Err(self.refused("WHERE clause not allowed with COPY TO", at));
        }
        Ok(Statement::Copy(Box::new(Copy { what, from, place, options, filter })))
    }

    fn copy_option(&mut self) -> SqlResult<CopyOption> {
        let name = self.col_label()?;
        let value = match self.kind() {
            TokenKind::Char(b',' | b')') => CopyValue::None,
            TokenKind::Char(b'*') => {
                self.advance();
                CopyValue::Star
            }
            TokenKind::Char(b'(') => CopyValue::List(self.paren_list(Self::col_label)?),
            _ => CopyValue::Text(self.option_value()?),
        };
        Ok(CopyOption { name, value })
    }

    /// The options of COPY as they were written before there were parentheses.
    fn old_copy_options(&mut self, options: &mut Vec<CopyOption>) -> SqlResult<()> {
        loop {
            let loc = self.loc();
            let word = self.word();
            match word {
                "binary" | "csv" => {
                    self.advance();
                    options.push(option("format", CopyValue::Text(word.to_owned()), loc));
                }
                "freeze" | "header" => {
                    self.advance();
                    options.push(option(word, CopyValue::None, loc));
                }
                "delimiter" | "null" | "quote" | "escape" => {
                    self.advance();
                    self.accept_kw("as");
                    options.push(option(word, CopyValue::Text(self.string()?), loc));
                }
                "encoding" => {
                    self.advance();
                    options.push(option(word, CopyValue::Text(self.string()?), loc));
                }
                "force" => {
                    self.advance();
                    let name = if self.accept_kw("quote") {
                        "force_quote"
                    } else if self.accept_kw("null") {
                        "force_null"
                    } else {
                        self.expect_kws(&["not", "null"])?;
                        "force_not_null"
                    };
                    let value = if self.accept_char(b'*') {
                        CopyValue::Star
                    } else {
                        CopyValue::List(self.comma_list(Self::col_id)?)
                    };
                    options.push(option(name, value, loc));
                }
                _ => return Ok(()),
            }
        }
    }
}

fn option(name: &str, value: CopyValue, loc: u32) -> CopyOption {
    CopyOption { name: Ident { name: name.to_owned(), loc }, value }
}
