//! Operands: constants, names, things in parentheses, CASE and ARRAY.

use super::expr::{leaf, node};
use super::{Parser, TYPE_FUNCTION};
use crate::SqlResult;
use crate::sql::ast::{Expr, ExprKind, Indirection, Loc};
use crate::sql::lex::{KeywordClass, TokenKind};
use shardforge_types::SqlState;

impl Parser<'_> {
    /// Whether a query stands here, possibly in more parentheses.
    pub(super) fn is_query_start(&self) -> bool {
        let mut ahead = 0;
        while self.is_char_at(ahead, b'(') {
            ahead += 1;
        }
        let starts = ["select", "values", "table", "with"].iter().any(|word| self.is_kw_at(ahead, word));
        // `((SELECT 1) + 1)` is an expression: look behind the parenthesis that closes the query.
        starts && (ahead == 0 || self.closes_as_query(ahead))
    }

    /// Whether the parentheses opened here hold a query alone: what follows the innermost one's end
    /// continues a query, and does not make it an operand.
    fn closes_as_query(&self, open: usize) -> bool {
        let mut depth = open;
        let mut ahead = open;
        loop {
            match self.kind_at(ahead) {
                TokenKind::Char(b'(') => depth += 1,
                TokenKind::Char(b')') => {
                    depth -= 1;
                    if depth < open {
                        let next = ahead + 1;
                        let goes_on =
                            ["union", "intersect", "except", "order", "limit", "offset", "fetch", "for"];
                        return depth == 0
                            || self.is_char_at(next, b')')
                            || goes_on.iter().any(|word| self.is_kw_at(next, word));
                    }
                }
                TokenKind::End => return true,
                _ => {}
            }
            ahead += 1;
        }
    }

    /// An operand: a constant, a name, a call, something in parentheses.
    pub(super) fn primary(&mut self) -> SqlResult<Expr> {
        let loc = self.loc();
        let kind = match self.kind() {
            TokenKind::Int(value) => ExprKind::Int(*value),
            TokenKind::Number(text) => ExprKind::Number(text.to_string()),
            TokenKind::Str(text) => ExprKind::Str(text.to_string()),
            TokenKind::Bits(base, digits) => ExprKind::Bits(*base, digits.to_string()),
            TokenKind::Param(number) => {
                self.advance();
                return self.indirection(leaf(ExprKind::Param(*number), loc));
            }
            TokenKind::Char(b'(') => return self.parenthesized(),
            TokenKind::Char(b'*') => return Err(self.unexpected()),
            TokenKind::Word(..) | TokenKind::Quoted(_) => return self.word_primary(),
            _ => return Err(self.unexpected()),
        };
        self.advance();
        Ok(leaf(kind, loc))
    }

    fn parenthesized(&mut self) -> SqlResult<Expr> {
        let loc = self.loc();
        self.advance();
        if self.is_query_start() {
            let query = self.query()?;
            self.expect_char(b')')?;
            return self.indirection(leaf(ExprKind::Subquery(Box::new(query)), loc));
        }
        let first = self.expr()?;
        if self.is_char(b',') {
            let mut fields = vec![first];
            while self.accept_char(b',') {
                fields.push(self.expr()?);
            }
            self.expect_char(b')')?;
            return Ok(leaf(ExprKind::Row { fields, explicit: false }, loc));
        }
        self.expect_char(b')')?;
        self.indirection(first)
    }

    /// `.field`, `[i]`, `[i:j]` behind an operand.
    pub(super) fn indirection(&mut self, arg: Expr) -> SqlResult<Expr> {
        let items = self.indirection_items()?;
        if items.is_empty() {
            return Ok(arg);
        }
        let (loc, start) = (arg.loc, arg.start);
        Ok(node(ExprKind::Indirection { arg: Box::new(arg), items }, loc, start))
    }

    fn indirection_items(&mut self) -> SqlResult<Vec<Indirection>> {
        let mut items = Vec::new();
        loop {
            if self.accept_char(b'.') {
                items.push(if self.accept_char(b'*') {
                    Indirection::Star
                } else {
                    Indirection::Field(self.col_label()?)
                });
            } else if self.accept_char(b'[') {
                let low = if self.is_char(b':') { None } else { Some(self.expr()?) };
                items.push(match (self.accept_char(b':'), low) {
                    (true, low) => {
                        let high = if self.is_char(b']') { None } else { Some(self.expr()?) };
                        Indirection::Slice(low, high)
                    }
                    (false, Some(index)) => Indirection::Index(index),
                    (false, None) => return Err(self.unexpected()),
                });
                self.expect_char(b']')?;
            } else {
                return Ok(items);
            }
        }
    }

    fn word_primary(&mut self) -> SqlResult<Expr> {
        let loc = self.loc();
        if let Some(keyword) = self.keyword() {
            if let Some(expr) = self.keyword_primary()? {
                return Ok(expr);
            }
            // A type that SQL names with keywords, in front of a literal.
            let at = self.at;
            if let Some(mut ty) = self.sql_type(true)? {
                let interval = ty.names[1] == "interval";
                let mut precision = false;
                if interval && self.is_char(b'(') {
                    self.interval_mods(&mut ty)?;
                    precision = true;
                }
                if let TokenKind::Str(text) = self.kind() {
                    let arg = Box::new(leaf(ExprKind::Str(text.to_string()), self.loc()));
                    self.advance();
                    if interval && !precision {
                        self.interval_mods(&mut ty)?;
                    }
                    return Ok(leaf(ExprKind::Cast { arg, ty }, loc));
                }
                if self.at > at + 1 {
                    return Err(self.unexpected());
                }
                self.at = at;
            }
            if keyword.class == KeywordClass::Reserved {
                return Err(self.unexpected());
            }
        }
        self.name_primary()
    }

    /// A column, a call, or a literal of a named type.
    fn name_primary(&mut self) -> SqlResult<Expr> {
        let loc = self.loc();
        let function_name = self.name_of(0, TYPE_FUNCTION).is_some();
        let column_name = self.is_col_id();
        let first = self.non_reserved()?;
        if !column_name
            && !self.is_char(b'(')
            && !self.is_char(b'.')
            && !matches!(self.kind(), TokenKind::Str(_))
        {
            return Err(self.unexpected());
        }
        let mut parts = vec![first.name];
        let mut star = false;
        while self.is_char(b'.') {
            self.advance();
            if self.accept_char(b'*') {
                star = true;
                break;
            }
            parts.push(self.col_label()?.name);
        }
        if star {
            return Ok(leaf(ExprKind::Star(parts), loc));
        }
        let callable = function_name || parts.len() > 1;
        if self.is_char(b'(') && callable {
            return self.call_or_typed_literal(parts, loc);
        }
        if let (TokenKind::Str(text), true) = (self.kind(), callable) {
            let ty = self.named_type(parts, Vec::new(), loc);
            let arg = Box::new(leaf(ExprKind::Str(text.to_string()), self.loc()));
            self.advance();
            return Ok(leaf(ExprKind::Cast { arg, ty }, loc));
        }
        self.indirection(leaf(ExprKind::Column(parts), loc))
    }

    /// The keywords that begin an expression of their own.
    fn keyword_primary(&mut self) -> SqlResult<Option<Expr>> {
        let loc = self.loc();
        let kind = match self.word() {
            "null" => ExprKind::Null,
            "true" => ExprKind::Bool(true),
            "false" => ExprKind::Bool(false),
            "default" => ExprKind::Default,
            "case" => return self.case().map(Some),
            "exists" if self.is_char_at(1, b'(') => {
                self.at += 2;
                let query = self.query()?;
                self.expect_char(b')')?;
                return Ok(Some(leaf(ExprKind::Exists(Box::new(query)), loc)));
            }
            "array" => {
                self.advance();
                let out = if self.accept_char(b'(') {
                    let query = self.query()?;
                    self.expect_char(b')')?;
                    leaf(ExprKind::ArrayQuery(Box::new(query)), loc)
                } else {
                    self.array_literal(loc)?
                };
                return self.indirection(out).map(Some);
            }
            "row" if self.is_char_at(1, b'(') => {
                self.at += 2;
                let fields = if self.is_char(b')') { Vec::new() } else { self.comma_list(Self::expr)? };
                self.expect_char(b')')?;
                return self.indirection(leaf(ExprKind::Row { fields, explicit: true }, loc)).map(Some);
            }
            "cast" if self.is_char_at(1, b'(') => {
                self.at += 2;
                let arg = Box::new(self.expr()?);
                self.expect_kw("as")?;
                let ty = self.type_name()?;
                self.expect_char(b')')?;
                return Ok(Some(leaf(ExprKind::Cast { arg, ty }, loc)));
            }
            _ => return self.keyword_call(),
        };
        self.advance();
        Ok(Some(leaf(kind, loc)))
    }

    /// `[a, b]` and `[[a], [b]]`.
    fn array_literal(&mut self, loc: Loc) -> SqlResult<Expr> {
        self.stack.check()?;
        self.expect_char(b'[')?;
        let mut elements = Vec::new();
        if !self.is_char(b']') {
            elements = self.comma_list(|parser| {
                if parser.is_char(b'[') {
                    let at = parser.loc();
                    parser.array_literal(at)
                } else {
                    parser.expr()
                }
            })?;
        }
        self.expect_char(b']')?;
        Ok(leaf(ExprKind::Array(elements), loc))
    }

    fn case(&mut self) -> SqlResult<Expr> {
        let loc = self.loc();
        self.advance();
        let operand = if self.is_kw("when") { None } else { Some(Box::new(self.expr()?)) };
        let mut arms = Vec::new();
        while self.accept_kw("when") {
            let when = self.expr()?;
            self.expect_kw("then")?;
            arms.push((when, self.expr()?));
        }
        if arms.is_empty() {
            return Err(self.unexpected());
        }
        let otherwise = if self.accept_kw("else") { Some(Box::new(self.expr()?)) } else { None };
        self.expect_kw("end")?;
        Ok(leaf(ExprKind::Case { operand, arms, otherwise }, loc))
    }

    /// A name of anything, such as a collation.
    pub(super) fn any_name(&mut self) -> SqlResult<crate::sql::ast::ObjectName> {
        let first = self.col_id()?;
        self.object_name_after(first)
    }

    /// An integer that must be a literal.
    pub(super) fn int_literal(&mut self) -> SqlResult<i32> {
        match self.kind() {
            TokenKind::Int(value) => {
                self.advance();
                Ok(*value)
            }
            TokenKind::Number(_) => {
                Err(self.error(SqlState::SYNTAX_ERROR, "integer out of range", self.loc()))
            }
            _ => Err(self.unexpected()),
        }
    }
}
