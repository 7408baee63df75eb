//! SELECT, VALUES, TABLE, set operations, WITH.

use super::Parser;
use crate::SqlResult;
use crate::sql::ast::{
    CommonTable, Distinct, Expr, ExprKind, Locking, ObjectName, Query, QueryBody, Select, TableRef, Target,
    With,
};
use crate::sql::bound::{LockStrength, LockWait, SetOpKind};
use crate::sql::lex::TokenKind;
use crate::sql::stack::Chain;

impl Parser<'_> {
    /// A query with everything around it.
    pub(super) fn query(&mut self) -> SqlResult<Query> {
        self.stack.check()?;
        let with = self.with()?;

        self.query_after_with(with)
    }

    pub(super) fn query_after_with(&mut self, with: Option<With>) -> SqlResult<Query> {
        let mut query = self.set_operations(1)?;
        self.query_tail(&mut query)?;
        if with.is_some() {
            if query.with.is_some() {
                return Err(self.refused("multiple WITH clauses not allowed", query.loc));
            }
            query.with = with;
        }
        Ok(query)
    }

    /// WITH, or nothing.
    pub(super) fn with(&mut self) -> SqlResult<Option<With>> {
        if !self.accept_kw("with") {
            return Ok(None);
        }
        let recursive = self.accept_kw("recursive");
        let ctes = self.comma_list(Self::common_table)?;
        Ok(Some(With { recursive, ctes }))
    }

    fn common_table(&mut self) -> SqlResult<CommonTable> {
        let name = self.col_id()?;
        let columns = if self.is_char(b'(') { self.paren_list(Self::col_id)? } else { Vec::new() };
        self.expect_kw("as")?;
        let materialized = if self.accept_kws(&["not", "materialized"]) {
            Some(false)
        } else {
            self.accept_kw("materialized").then_some(true)
        };
        if !self.is_char(b'(') {
            return Err(self.unexpected());
        }
        let writes = [("insert", "INSERT"), ("update", "UPDATE"), ("delete", "DELETE")];
        let write = writes.iter().find(|(word, _)| self.is_kw_at(1, word));
        let query = match write {
            Some((_, name)) => {
                self.skip_parentheses()?;
                Err(*name)
            }
            None => {
                self.advance();
                let query = self.query()?;
                self.expect_char(b')')?;
                Ok(Box::new(query))
            }
        };
        if self.is_any_kw(&["search", "cycle"]) {
            return Err(crate::SqlError::not_supported("SEARCH and CYCLE"));
        }
        Ok(CommonTable { name, columns, materialized, query })
    }

    /// UNION and EXCEPT bind less tightly (1) than INTERSECT (2).
    fn set_operations(&mut self, min: u8) -> SqlResult<Query> {
        let mut left = self.query_primary()?;
        let mut chain = Chain::default();
        loop {
            chain.link()?;
            let loc = self.loc();
            let (kind, level) = match self.word() {
                "union" => (SetOpKind::Union, 1),
                "except" => (SetOpKind::Except, 1),
                "intersect" => (SetOpKind::Intersect, 2),
                _ => return Ok(left),
            };
            if level < min {
                return Ok(left);
            }
            self.advance();
            let all = self.accept_kw("all");
            if !all {
                self.accept_kw("distinct");
            }
            let right = self.set_operations(level + 1)?;
            let start = left.loc;
            let body = QueryBody::SetOp { kind, all, left: Box::new(left), right: Box::new(right), loc };
            left = plain(body, start);
        }
    }

    fn query_primary(&mut self) -> SqlResult<Query> {
        let loc = self.loc();
        match self.word() {
            "select" => {
                let select = self.select()?;
                Ok(plain(QueryBody::Select(Box::new(select)), loc))
            }
            "values" => {
                self.advance();
                let rows = self.comma_list(|parser| parser.paren_list(Self::expr))?;
                Ok(plain(QueryBody::Values(rows), loc))
            }
            "table" => {
                self.advance();
                let (name, at) = {
                    let at = self.loc();
                    (self.relation_name()?, at)
                };
                let star = Expr { kind: ExprKind::Star(Vec::new()), loc: at, start: at };
                let select = Select {
                    distinct: Distinct::No,
                    targets: vec![Target { expr: star, alias: None }],
                    into: None,
                    from: vec![TableRef::Table { name, alias: None, sample: None }],
                    filter: None,
                    group_by: Vec::new(),
                    having: None,
                    windows: Vec::new(),
                };
                Ok(plain(QueryBody::Select(Box::new(select)), loc))
            }
            _ if self.is_char(b'(') => {
                self.advance();
                let query = self.query()?;
                self.expect_char(b')')?;
                Ok(query)
            }
            _ => Err(self.unexpected()),
        }
    }

    /// `name`, `name *`, `ONLY name`.
    pub(super) fn relation_name(&mut self) -> SqlResult<ObjectName> {
        if self.accept_kw("only") {
            if self.accept_char(b'(') {
                let name = self.object_name()?;
                self.expect_char(b')')?;
                return Ok(name);
            }
            return self.object_name();
        }
        let name = self.object_name()?;
        self.accept_char(b'*');
        Ok(name)
    }

    fn select(&mut self) -> SqlResult<Select> {
        self.expect_kw("select")?;
        let mut distinct = Distinct::No;
        if self.accept_kw("distinct") {
            distinct =
                if self.accept_kw("on") { Distinct::On(self.paren_list(Self::expr)?) } else { Distinct::Yes };
        } else {
            self.accept_kw("all");
        }
        let ends = [
            "from",
            "where",
            "group",
            "having",
            "union",
            "intersect",
            "except",
            "order",
            "limit",
            "offset",
            "fetch",
            "for",
            "window",
            "into",
        ];
        let empty = self.at_end() || self.is_char(b')') || self.is_char(b';') || self.is_any_kw(&ends);
        let targets = if empty && distinct == Distinct::No { Vec::new() } else { self.targets()? };
        let mut into = None;
        if self.is_kw("into") {
            into = Some(self.loc());
            self.advance();
            let _ = self.accept_kw("temporary") || self.accept_kw("temp") || self.accept_kw("unlogged");
            self.accept_kw("table");
            self.object_name()?;
        }
        let from = if self.accept_kw("from") { self.comma_list(Self::table_ref)? } else { Vec::new() };
        let filter = self.where_clause()?;
        let mut group_by = Vec::new();
        if self.accept_kw("group") {
            self.expect_kw("by")?;
            let _ = self.accept_kw("all") || self.accept_kw("distinct");
            group_by = self.comma_list(Self::group_item)?;
        }
        let having = if self.accept_kw("having") { Some(self.expr()?) } else { None };
        let mut windows = Vec::new();
        if self.accept_kw("window") {
            windows = self.comma_list(|parser| {
                let name = parser.col_id()?;
                parser.expect_kw("as")?;
                Ok((name, parser.window_spec()?))
            })?;
        }
        Ok(Select { distinct, targets, into, from, filter, group_by, having, windows })
    }

    /// WHERE, or nothing.
    pub(super) fn where_clause(&mut self) -> SqlResult<Option<Expr>> {
        if self.accept_kw("where") { self.expr().map(Some) } else { Ok(None) }
    }

    fn group_item(&mut self) -> SqlResult<Expr> {
        let loc = self.loc();
        let unsupported = |what: &str| Expr { kind: ExprKind::Unsupported(what.to_owned()), loc, start: loc };
        if self.is_any_kw(&["rollup", "cube"]) && self.is_char_at(1, b'(') {
            let what = self.word().to_uppercase();
            self.advance();
            self.skip_parentheses()?;
            return Ok(unsupported(&what));
        }
        if self.is_kw("grouping") && self.is_kw_at(1, "sets") {
            self.at += 2;
            self.skip_parentheses()?;
            return Ok(unsupported("GROUPING SETS"));
        }
        if self.is_char(b'(') && self.is_char_at(1, b')') {
            self.at += 2;
            return Ok(Expr { kind: ExprKind::Row { fields: Vec::new(), explicit: false }, loc, start: loc });
        }
        self.expr()
    }

    /// A select list, or RETURNING's.
    pub(super) fn targets(&mut self) -> SqlResult<Vec<Target>> {
        self.comma_list(|parser| {
            if parser.is_char(b'*') {
                let loc = parser.loc();
                parser.advance();
                let expr = Expr { kind: ExprKind::Star(Vec::new()), loc, start: loc };
                return Ok(Target { expr, alias: None });
            }
            let expr = parser.expr()?;
            let alias = if parser.is_as_of() {
                None
            } else if parser.accept_kw("as") {
                Some(parser.col_label()?)
            } else {
                parser.bare_label()
            };
            Ok(Target { expr, alias: alias.map(|alias| alias.name) })
        })
    }

    /// ORDER BY, LIMIT, OFFSET, FETCH, FOR, in any order the grammar allows.
    fn query_tail(&mut self, query: &mut Query) -> SqlResult<()> {
        if self.is_kw("order") {
            if !query.order_by.is_empty() {
                return Err(self.refused("multiple ORDER BY clauses not allowed", self.loc()));
            }
            query.order_by = self.order_by()?;
        }
        self.locking(query)?;
        let (mut limited, mut skipped) = (false, false);
        loop {
            let loc = self.loc();
            match self.word() {
                "limit" if !limited => {
                    limited = true;
                    self.advance();
                    if query.limit.is_some() {
                        return Err(self.refused("multiple LIMIT clauses not allowed", loc));
                    }
                    if !self.accept_kw("all") {
                        query.limit = Some(self.expr()?);
                    }
                    if self.is_char(b',') {
                        return Err(self
                            .refused("LIMIT #,# syntax is not supported", loc)
                            .hint("Use separate LIMIT and OFFSET clauses."));
                    }
                }
                "offset" if !skipped => {
                    skipped = true;
                    self.advance();
                    if query.offset.is_some() {
                        return Err(self.refused("multiple OFFSET clauses not allowed", loc));
                    }
                    query.offset = Some(self.expr()?);
                    let _ = self.accept_kw("rows") || self.accept_kw("row");
                }
                "fetch" if !limited => {
                    limited = true;
                    self.advance();
                    if !(self.accept_kw("first") || self.accept_kw("next")) {
                        return Err(self.unexpected());
                    }
                    query.limit = Some(if self.is_any_kw(&["row", "rows"]) {
                        super::types::int_expr(1, loc)
                    } else {
                        self.fetch_count()?
                    });
                    if !(self.accept_kw("rows") || self.accept_kw("row")) {
                        return Err(self.unexpected());
                    }
                    if self.is_kw("with") {
                        query.with_ties = Some(self.loc());
                        self.advance();
                        self.expect_kw("ties")?;
                    } else {
                        self.expect_kw("only")?;
                    }
                }
                _ => break,
            }
        }
        self.locking(query)
    }

    fn fetch_count(&mut self) -> SqlResult<Expr> {
        match self.kind() {
            TokenKind::Int(_)
            | TokenKind::Number(_)
            | TokenKind::Param(_)
            | TokenKind::Char(b'(' | b'+' | b'-') => {
                let loc = self.loc();
                let negative = self.accept_char(b'-');
                if !negative {
                    self.accept_char(b'+');
                }
                match self.kind() {
                    TokenKind::Int(value) => {
                        self.advance();
                        Ok(super::types::int_expr(if negative { -value } else { *value }, loc))
                    }
                    _ if self.is_char(b'(') => {
                        self.advance();
                        let out = self.expr()?;
                        self.expect_char(b')')?;
                        Ok(out)
                    }
                    _ => self.simple_expr(),
                }
            }
            _ => Err(self.unexpected()),
        }
    }

    fn locking(&mut self, query: &mut Query) -> SqlResult<()> {
        while self.is_kw("for") {
            let loc = self.loc();
            self.advance();
            if self.accept_kws(&["read", "only"]) {
                continue;
            }
            let strengths: [(&[&str], LockStrength); 4] = [
                (&["update"], LockStrength::Update),
                (&["no", "key", "update"], LockStrength::NoKeyUpdate),
                (&["share"], LockStrength::Share),
                (&["key", "share"], LockStrength::KeyShare),
            ];
            let Some((_, strength)) = strengths.iter().find(|(words, _)| self.accept_kws(words)) else {
                return Err(self.unexpected());
            };
            let of = if self.accept_kw("of") { self.comma_list(Self::object_name)? } else { Vec::new() };
            let wait = if self.accept_kw("nowait") {
                LockWait::NoWait
            } else if self.accept_kws(&["skip", "locked"]) {
                LockWait::SkipLocked
            } else {
                LockWait::Wait
            };
            query.locking.push(Locking { strength: *strength, of, wait, loc });
        }
        Ok(())
    }
}

fn plain(body: QueryBody, loc: u32) -> Query {
    Query {
        with: None,
        body,
        order_by: Vec::new(),
        limit: None,
        with_ties: None,
        offset: None,
        locking: Vec::new(),
        loc,
    }
}
