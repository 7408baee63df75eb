//! From tokens to syntax trees, by recursive descent over PostgreSQL's grammar.
//!
//! The parser is our own, not a general one's: positions of operators and casts, the keyword classes,
//! operator precedence and the token that a syntax error names are parts of what clients see, and a
//! general parser keeps none of them.

mod call;
mod ddl;
mod dml;
mod expr;
mod index;
mod primary;
mod query;
mod role;
mod sequence;
mod table;
mod types;
mod utility;

use super::ast::{Ident, Loc, ObjectName, Span, Statement};
use super::lex::{Keyword, KeywordClass, Token, TokenKind, tokenize};
use super::stack::StackBase;
use crate::{SqlError, SqlResult};
use shardforge_types::SqlState;

/// A statement with its extent in the text.
pub(super) struct RawStatement {
    pub statement: Statement,
    pub span: Span,
}

/// Parses all statements of a text.
pub(super) fn parse_statements(text: &str) -> SqlResult<Vec<RawStatement>> {
    let tokens = tokenize(text)?;
    let mut parser = Parser { text, tokens: &tokens, at: 0, stack: StackBase::here() };
    let mut out = Vec::new();
    loop {
        while parser.accept_char(b';') {}
        if parser.at_end() {
            return Ok(out);
        }
        let start = parser.loc();
        let statement = parser.statement()?;
        out.push(RawStatement { statement, span: start..parser.prev_end() });
        if !parser.at_end() && !parser.is_char(b';') {
            return Err(parser.unexpected());
        }
    }
}

/// Parses a text that is one expression.
pub(super) fn parse_expression(text: &str) -> SqlResult<super::ast::Expr> {
    let tokens = tokenize(text)?;
    let mut parser = Parser { text, tokens: &tokens, at: 0, stack: StackBase::here() };
    let expr = parser.expr()?;
    if parser.at_end() { Ok(expr) } else { Err(parser.unexpected()) }
}

/// Parses a text that is one type name, such as the argument of `regtype` input.
pub(super) fn parse_type(text: &str) -> SqlResult<super::ast::TypeName> {
    let tokens = tokenize(text)?;
    let mut parser = Parser { text, tokens: &tokens, at: 0, stack: StackBase::here() };
    let ty = parser.type_name()?;
    if parser.at_end() { Ok(ty) } else { Err(parser.unexpected()) }
}

/// 42601 at a token.
pub(super) fn syntax_error_at(text: &str, start: usize, mut end: usize) -> SqlError {
    while end < text.len() && !text.is_char_boundary(end) {
        end += 1;
    }
    let position = text[..start].chars().count() as u32 + 1;
    let message = match &text[start..end] {
        "" => "syntax error at end of input".to_owned(),
        token => format!("syntax error at or near \"{token}\""),
    };
    SqlError::new(SqlState::SYNTAX_ERROR, message).at(Some(position))
}

pub(super) struct Parser<'a> {
    text: &'a str,
    tokens: &'a [Token],
    at: usize,
    stack: StackBase,
}

impl<'a> Parser<'a> {
    fn token(&self) -> &'a Token {
        &self.tokens[self.at]
    }

    fn kind(&self) -> &'a TokenKind {
        &self.tokens[self.at].kind
    }

    fn kind_at(&self, ahead: usize) -> &'a TokenKind {
        &self.tokens[(self.at + ahead).min(self.tokens.len() - 1)].kind
    }

    fn loc(&self) -> Loc {
        self.token().start
    }

    /// Where the last token ended.
    fn prev_end(&self) -> Loc {
        self.at.checked_sub(1).map_or(0, |at| self.tokens[at].end)
    }

    fn advance(&mut self) {
        if self.at + 1 < self.tokens.len() {
            self.at += 1;
        }
    }

    fn at_end(&self) -> bool {
        *self.kind() == TokenKind::End
    }

    /// The error that the current token cannot stand here.
    fn unexpected(&self) -> SqlError {
        self.unexpected_at(0)
    }

    fn unexpected_at(&self, ahead: usize) -> SqlError {
        let token = &self.tokens[(self.at + ahead).min(self.tokens.len() - 1)];
        syntax_error_at(self.text, token.start as usize, token.end as usize)
    }

    /// An error at a place.
    fn error(&self, state: SqlState, message: impl Into<String>, loc: Loc) -> SqlError {
        SqlError::new(state, message).at(Some(self.text[..loc as usize].chars().count() as u32 + 1))
    }

    fn is_char(&self, c: u8) -> bool {
        *self.kind() == TokenKind::Char(c)
    }

    fn is_char_at(&self, ahead: usize, c: u8) -> bool {
        *self.kind_at(ahead) == TokenKind::Char(c)
    }

    fn accept_char(&mut self, c: u8) -> bool {
        let found = self.is_char(c);
        if found {
            self.advance();
        }
        found
    }

    fn expect_char(&mut self, c: u8) -> SqlResult<()> {
        if self.accept_char(c) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn is_pair(&self, pair: &str) -> bool {
        matches!(self.kind(), TokenKind::Pair(found) if *found == pair)
    }

    /// Whether the current token is this keyword.
    fn is_kw(&self, word: &str) -> bool {
        self.is_kw_at(0, word)
    }

    fn is_kw_at(&self, ahead: usize, word: &str) -> bool {
        matches!(self.kind_at(ahead), TokenKind::Word(found, _) if **found == *word)
    }

    fn is_any_kw(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.is_kw(word))
    }

    /// The keyword at hand, for matching.
    fn word(&self) -> &'a str {
        match self.kind() {
            TokenKind::Word(word, _) => word,
            _ => "",
        }
    }

    fn keyword(&self) -> Option<Keyword> {
        match self.kind() {
            TokenKind::Word(_, keyword) => *keyword,
            _ => None,
        }
    }

    fn accept_kw(&mut self, word: &str) -> bool {
        let found = self.is_kw(word);
        if found {
            self.advance();
        }
        found
    }

    /// All of these, or none.
    fn accept_kws(&mut self, words: &[&str]) -> bool {
        let found = words.iter().enumerate().all(|(ahead, word)| self.is_kw_at(ahead, word));
        if found {
            self.at += words.len();
        }
        found
    }

    fn expect_kw(&mut self, word: &str) -> SqlResult<()> {
        if self.accept_kw(word) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn expect_kws(&mut self, words: &[&str]) -> SqlResult<()> {
        words.iter().try_for_each(|word| self.expect_kw(word))
    }

    fn if_exists(&mut self) -> SqlResult<bool> {
        if !self.accept_kw("if") {
            return Ok(false);
        }
        self.expect_kw("exists")?;
        Ok(true)
    }

    fn if_not_exists(&mut self) -> SqlResult<bool> {
        if !self.accept_kw("if") {
            return Ok(false);
        }
        self.expect_kws(&["not", "exists"])?;
        Ok(true)
    }

    /// CASCADE or RESTRICT.
    fn drop_behavior(&mut self) -> bool {
        let cascade = self.accept_kw("cascade");
        if !cascade {
            self.accept_kw("restrict");
        }
        cascade
    }

    /// The name at hand, if its class is one of these.
    fn name_of(&self, ahead: usize, classes: &[KeywordClass]) -> Option<&'a str> {
        match self.kind_at(ahead) {
            TokenKind::Quoted(name) | TokenKind::Word(name, None) => Some(name),
            TokenKind::Word(name, Some(keyword)) if classes.contains(&keyword.class) => Some(name),
            _ => None,
        }
    }

    fn take_name(&mut self, classes: &[KeywordClass]) -> Option<Ident> {
        let name = self.name_of(0, classes)?.to_owned();
        let loc = self.loc();
        self.advance();
        Some(Ident { name, loc })
    }

    /// A name of a column, table or alias.
    fn col_id(&mut self) -> SqlResult<Ident> {
        self.take_name(COL_ID).ok_or_else(|| self.unexpected())
    }

    fn is_col_id(&self) -> bool {
        self.name_of(0, COL_ID).is_some()
    }

    /// Any word.
    fn col_label(&mut self) -> SqlResult<Ident> {
        self.take_name(ANY_WORD).ok_or_else(|| self.unexpected())
    }

    /// A label without AS.
    fn bare_label(&mut self) -> Option<Ident> {
        if self.keyword().is_some_and(|keyword| !keyword.bare_label) {
            return None;
        }
        self.take_name(ANY_WORD)
    }

    /// A word that is not reserved.
    fn non_reserved(&mut self) -> SqlResult<Ident> {
        self.take_name(NON_RESERVED).ok_or_else(|| self.unexpected())
    }

    fn comma_list<T>(&mut self, mut item: impl FnMut(&mut Self) -> SqlResult<T>) -> SqlResult<Vec<T>> {
        let mut out = vec![item(self)?];
        while self.accept_char(b',') {
            out.push(item(self)?);
        }
        Ok(out)
    }

    /// `(item, item)`.
    fn paren_list<T>(&mut self, item: impl FnMut(&mut Self) -> SqlResult<T>) -> SqlResult<Vec<T>> {
        self.expect_char(b'(')?;
        let out = self.comma_list(item)?;
        self.expect_char(b')')?;
        Ok(out)
    }

    /// `name`, `schema.name`, `database.schema.name`.
    fn object_name(&mut self) -> SqlResult<ObjectName> {
        let first = self.col_id()?;
        self.object_name_after(first)
    }

    fn object_name_after(&mut self, first: Ident) -> SqlResult<ObjectName> {
        let mut parts = vec![first.name];
        while self.accept_char(b'.') {
            parts.push(self.col_label()?.name);
        }
        if parts.len() > 3 {
            let message = format!("improper qualified name (too many dotted names): {}", parts.join("."));
            return Err(self.error(SqlState::SYNTAX_ERROR, message, first.loc));
        }
        Ok(ObjectName { parts, loc: first.loc })
    }

    fn string(&mut self) -> SqlResult<String> {
        match self.kind() {
            TokenKind::Str(value) => {
                self.advance();
                Ok(value.to_string())
            }
            _ => Err(self.unexpected()),
        }
    }

    /// One statement.
    fn statement(&mut self) -> SqlResult<Statement> {
        match self.kind() {
            TokenKind::Char(b'(') => return self.query_statement(),
            TokenKind::Word(_, Some(_)) => {}
            _ => return Err(self.unexpected()),
        }
        match self.word() {
            "select" | "values" | "table" => self.query_statement(),
            "with" | "insert" | "update" | "delete" => {
                let statement = self.dml_or_query()?;
                self.with_as_of(statement)
            }
            "copy" => self.copy(),
            "create" => self.create(),
            "drop" => self.drop(),
            "alter" => self.alter(),
            "truncate" => self.truncate(),
            _ => self.utility(),
        }
    }

    /// A query, and AS OF behind it.
    fn query_statement(&mut self) -> SqlResult<Statement> {
        let query = Statement::Query(Box::new(self.query()?));
        self.with_as_of(query)
    }

    fn with_as_of(&mut self, statement: Statement) -> SqlResult<Statement> {
        let Statement::Query(query) = statement else { return Ok(statement) };
        Ok(match self.as_of()? {
            Some(point) => Statement::QueryAsOf(query, point),
            None => Statement::Query(query),
        })
    }

    /// The rest of a statement that is not built, up to its semicolon.
    fn skip_statement(&mut self) {
        while !self.at_end() && !self.is_char(b';') {
            self.advance();
        }
    }

    fn unsupported(&mut self, what: impl Into<String>) -> Statement {
        self.skip_statement();
        Statement::Unsupported(what.into())
    }
}

const COL_ID: &[KeywordClass] = &[KeywordClass::Unreserved, KeywordClass::ColumnName];
const TYPE_FUNCTION: &[KeywordClass] = &[KeywordClass::Unreserved, KeywordClass::TypeOrFunction];
const NON_RESERVED: &[KeywordClass] =
    &[KeywordClass::Unreserved, KeywordClass::ColumnName, KeywordClass::TypeOrFunction];
const ANY_WORD: &[KeywordClass] = &[
    KeywordClass::Unreserved,
    KeywordClass::ColumnName,
    KeywordClass::TypeOrFunction,
    KeywordClass::Reserved,
];
