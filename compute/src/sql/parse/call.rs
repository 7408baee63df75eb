//! Calls: those with a syntax of their own, and all others.

use super::expr::leaf;
use super::{Parser, TYPE_FUNCTION};
use crate::SqlResult;
use crate::sql::ast::{Arg, Expr, ExprKind, FuncCall, Loc, ObjectName, SortBy, TypeName, WindowSpec};
use crate::sql::lex::TokenKind;
use shardforge_types::SqlState;

fn function(name: ObjectName, args: Vec<Arg>) -> FuncCall {
    FuncCall {
        name,
        args,
        star: false,
        distinct: false,
        variadic: false,
        order_by: Vec::new(),
        within_group: Vec::new(),
        filter: None,
        over: None,
        keyword_syntax: false,
    }
}

/// A call of a function of `pg_catalog` for which SQL has a syntax.
pub(super) fn system_call(name: &str, args: Vec<Expr>, loc: Loc, start: Loc) -> Expr {
    let name = ObjectName { parts: vec!["pg_catalog".to_owned(), name.to_owned()], loc };
    let args = args.into_iter().map(|value| Arg { name: None, value }).collect();
    let call = FuncCall { keyword_syntax: true, ..function(name, args) };
    Expr { kind: ExprKind::Func(Box::new(call)), loc, start: start.min(loc) }
}

impl Parser<'_> {
    /// The keywords that begin a call with a syntax of its own, and those that are calls without
    /// parentheses.
    pub(super) fn keyword_call(&mut self) -> SqlResult<Option<Expr>> {
        let loc = self.loc();
        let session = |parser: &mut Self, name| {
            parser.advance();
            Ok(Some(leaf(ExprKind::SessionValue { name, precision: None }, loc)))
        };
        match self.word() {
            "current_date" => return session(self, "current_date"),
            "current_user" => return session(self, "current_user"),
            "session_user" => return session(self, "session_user"),
            "current_role" => return session(self, "current_role"),
            "user" => return session(self, "user"),
            "current_catalog" => return session(self, "current_catalog"),
            "current_schema" if !self.is_char_at(1, b'(') => return session(self, "current_schema"),
            "current_timestamp" => return self.session_time("current_timestamp").map(Some),
            "current_time" => return self.session_time("current_time").map(Some),
            "localtimestamp" => return self.session_time("localtimestamp").map(Some),
            "localtime" => return self.session_time("localtime").map(Some),
            _ => {}
        }
        if !self.is_char_at(1, b'(') {
            return Ok(None);
        }
        let word = self.word();
        let system = |name: &str, args| Ok(Some(system_call(name, args, loc, loc)));
        match word {
            "coalesce" | "greatest" | "least" => {
                self.advance();
                let args = self.paren_list(Self::expr)?;
                let kind = match word {
                    "coalesce" => ExprKind::Coalesce(args),
                    _ => ExprKind::MinMax { greatest: word == "greatest", args },
                };
                Ok(Some(leaf(kind, loc)))
            }
            "nullif" => {
                self.at += 2;
                let a = self.expr()?;
                self.expect_char(b',')?;
                let b = self.expr()?;
                self.expect_char(b')')?;
                Ok(Some(leaf(ExprKind::NullIf(Box::new(a), Box::new(b)), loc)))
            }
            "extract" => {
                self.at += 2;
                let at = self.loc();
                let field = match self.kind() {
                    TokenKind::Str(text) => {
                        self.advance();
                        text.to_string()
                    }
                    _ => self.col_label()?.name,
                };
                self.expect_kw("from")?;
                let arg = self.expr()?;
                self.expect_char(b')')?;
                system("extract", vec![leaf(ExprKind::Str(field), at), arg])
            }
            "position" => {
                self.at += 2;
                let needle = self.simple_expr()?;
                self.expect_kw("in")?;
                let text = self.simple_expr()?;
                self.expect_char(b')')?;
                system("position", vec![text, needle])
            }
            "overlay" => {
                self.at += 2;
                let mut args = vec![self.expr()?];
                if self.is_char(b',') {
                    return self.plain_call_rest("overlay", args, loc).map(Some);
                }
                self.expect_kw("placing")?;
                args.push(self.expr()?);
                self.expect_kw("from")?;
                args.push(self.expr()?);
                if self.accept_kw("for") {
                    args.push(self.expr()?);
                }
                self.expect_char(b')')?;
                system("overlay", args)
            }
            "substring" => self.substring(loc).map(Some),
            "trim" => self.trim(loc).map(Some),
            "grouping" => {
                self.at += 1;
                self.paren_list(Self::expr)?;
                Ok(Some(leaf(ExprKind::Unsupported("GROUPING".to_owned()), loc)))
            }
            "normalize" | "treat" | "xmlconcat" | "xmlelement" | "xmlexists" | "xmlforest" | "xmlparse"
            | "xmlpi" | "xmlroot" | "xmlserialize" => {
                self.advance();
                self.skip_parentheses()?;
                Ok(Some(leaf(ExprKind::Unsupported(word.to_uppercase()), loc)))
            }
            _ => Ok(None),
        }
    }

    /// Past a parenthesis and all that it encloses.
    pub(super) fn skip_parentheses(&mut self) -> SqlResult<()> {
        self.expect_char(b'(')?;
        let mut depth = 1;
        while depth > 0 {
            match self.kind() {
                TokenKind::Char(b'(') => depth += 1,
                TokenKind::Char(b')') => depth -= 1,
                TokenKind::End => return Err(self.unexpected()),
                _ => {}
            }
            self.advance();
        }
        Ok(())
    }

    fn session_time(&mut self, name: &'static str) -> SqlResult<Expr> {
        let loc = self.loc();
        self.advance();
        let mut precision = None;
        if self.accept_char(b'(') {
            precision = Some(self.int_literal()?);
            self.expect_char(b')')?;
        }
        Ok(leaf(ExprKind::SessionValue { name, precision }, loc))
    }

    /// The rest of `f(a` with plain arguments.
    fn plain_call_rest(&mut self, name: &str, mut args: Vec<Expr>, loc: Loc) -> SqlResult<Expr> {
        while self.accept_char(b',') {
            args.push(self.expr()?);
        }
        self.expect_char(b')')?;
        let name = ObjectName { parts: vec![name.to_owned()], loc };
        let args = args.into_iter().map(|value| Arg { name: None, value }).collect();
        Ok(leaf(ExprKind::Func(Box::new(function(name, args))), loc))
    }

    fn substring(&mut self, loc: Loc) -> SqlResult<Expr> {
        self.at += 2;
        let text = self.expr()?;
        if self.is_char(b',') || self.is_char(b')') {
            return self.plain_call_rest("substring", vec![text], loc);
        }
        let mut args = vec![text];
        if self.accept_kw("similar") {
            args.push(self.expr()?);
            self.expect_kw("escape")?;
            args.push(self.expr()?);
            self.expect_char(b')')?;
            return Ok(system_call("substring", args, loc, loc));
        }
        if self.accept_kw("for") {
            let count = self.expr()?;
            let from =
                if self.accept_kw("from") { self.expr()? } else { super::types::int_expr(1, count.loc) };
            // The length is converted to int4, so that `FOR 2` alone means the function of integers.
            args.extend([from, count]);
        } else {
            self.expect_kw("from")?;
            args.push(self.expr()?);
            if self.accept_kw("for") {
                args.push(self.expr()?);
            }
        }
        self.expect_char(b')')?;
        Ok(system_call("substring", args, loc, loc))
    }

    fn trim(&mut self, loc: Loc) -> SqlResult<Expr> {
        self.at += 2;
        let name = match self.word() {
            "leading" => "ltrim",
            "trailing" => "rtrim",
            _ => "btrim",
        };
        if self.is_any_kw(&["leading", "trailing", "both"]) {
            self.advance();
        }
        let mut args = Vec::new();
        if self.accept_kw("from") {
            args = self.comma_list(Self::expr)?;
        } else {
            let first = self.expr()?;
            if self.accept_kw("from") {
                args = self.comma_list(Self::expr)?;
                args.push(first);
            } else {
                args.push(first);
                while self.accept_char(b',') {
                    args.push(self.expr()?);
                }
            }
        }
        self.expect_char(b')')?;
        Ok(system_call(name, args, loc, loc))
    }

    pub(super) fn named_type(&self, names: Vec<String>, mods: Vec<Expr>, loc: Loc) -> TypeName {
        TypeName { names, mods, array: false, setof: false, loc, percent_type: false }
    }

    /// `name(...)`: a call, or with a string behind it a literal of a type with modifiers.
    pub(super) fn call_or_typed_literal(&mut self, parts: Vec<String>, loc: Loc) -> SqlResult<Expr> {
        let call = self.call(ObjectName { parts, loc })?;
        if let (TokenKind::Str(text), None, false) = (self.kind(), &call.over, call.star || call.distinct)
            && call.filter.is_none()
            && call.within_group.is_empty()
        {
            let arg = Box::new(leaf(ExprKind::Str(text.to_string()), self.loc()));
            self.advance();
            let mods = call.args.into_iter().map(|arg| arg.value).collect();
            let ty = self.named_type(call.name.parts, mods, loc);
            return Ok(leaf(ExprKind::Cast { arg, ty }, loc));
        }
        let expr = leaf(ExprKind::Func(Box::new(call)), loc);
        self.indirection(expr)
    }

    /// From the parenthesis behind a function's name to the end of the call.
    pub(super) fn call(&mut self, name: ObjectName) -> SqlResult<FuncCall> {
        let mut call = function(name, Vec::new());
        self.expect_char(b'(')?;
        if self.is_char(b'*') && self.is_char_at(1, b')') {
            self.advance();
            call.star = true;
        } else if !self.is_char(b')') {
            call.distinct = self.accept_kw("distinct");
            if !call.distinct {
                self.accept_kw("all");
            }
            loop {
                if self.accept_kw("variadic") {
                    call.variadic = true;
                }
                call.args.push(self.arg()?);
                if call.variadic || !self.accept_char(b',') {
                    break;
                }
            }
            call.order_by = self.order_by()?;
        }
        self.expect_char(b')')?;
        if self.is_kw("within") && self.is_kw_at(1, "group") {
            self.at += 2;
            self.expect_char(b'(')?;
            call.within_group = self.order_by()?;
            if call.within_group.is_empty() {
                return Err(self.unexpected());
            }
            self.expect_char(b')')?;
        }
        if self.is_kw("filter") && self.is_char_at(1, b'(') {
            self.at += 2;
            self.expect_kw("where")?;
            call.filter = Some(self.expr()?);
            self.expect_char(b')')?;
        }
        if self.is_kw("over") {
            self.advance();
            call.over = Some(if self.is_char(b'(') { self.window_spec()? } else { self.window_name()? });
        }
        Ok(call)
    }

    fn arg(&mut self) -> SqlResult<Arg> {
        let named = self.name_of(0, TYPE_FUNCTION).is_some()
            && matches!(self.kind_at(1), TokenKind::Pair("=>" | ":="));
        if !named {
            return Ok(Arg { name: None, value: self.expr()? });
        }
        let name = self.col_label()?;
        self.advance();
        Ok(Arg { name: Some(name), value: self.expr()? })
    }

    fn window_name(&mut self) -> SqlResult<WindowSpec> {
        let base = self.col_id()?;
        let loc = base.loc;
        Ok(WindowSpec {
            base: Some(base),
            is_name: true,
            partition_by: Vec::new(),
            order_by: Vec::new(),
            frame: None,
            loc,
        })
    }

    /// `(name PARTITION BY ... ORDER BY ... frame)`.
    pub(super) fn window_spec(&mut self) -> SqlResult<WindowSpec> {
        let loc = self.loc();
        self.expect_char(b'(')?;
        let mut base = None;
        if self.is_col_id() && !self.is_any_kw(&["partition", "range", "rows", "groups"]) {
            base = Some(self.col_id()?);
        }
        let mut partition_by = Vec::new();
        if self.accept_kw("partition") {
            self.expect_kw("by")?;
            partition_by = self.comma_list(Self::expr)?;
        }
        let order_by = self.order_by()?;
        let frame = self.frame()?;
        self.expect_char(b')')?;
        Ok(WindowSpec { base, is_name: false, partition_by, order_by, frame, loc })
    }

    /// A frame clause: `None` for the default one, else where it stands.
    fn frame(&mut self) -> SqlResult<Option<Loc>> {
        let loc = self.loc();
        if !self.is_any_kw(&["range", "rows", "groups"]) {
            return Ok(None);
        }
        let range = self.is_kw("range");
        let default = range
            && (self.is_kw_at(1, "unbounded") && self.is_kw_at(2, "preceding") && self.is_char_at(3, b')')
                || ["between", "unbounded", "preceding", "and", "current", "row"]
                    .iter()
                    .enumerate()
                    .all(|(ahead, word)| self.is_kw_at(ahead + 1, word))
                    && self.is_char_at(7, b')'));
        let mut depth = 0;
        while !(depth == 0 && self.is_char(b')')) {
            match self.kind() {
                TokenKind::Char(b'(') => depth += 1,
                TokenKind::Char(b')') => depth -= 1,
                TokenKind::End | TokenKind::Char(b';') => return Err(self.unexpected()),
                _ => {}
            }
            self.advance();
        }
        Ok((!default).then_some(loc))
    }

    /// ORDER BY, or nothing.
    pub(super) fn order_by(&mut self) -> SqlResult<Vec<SortBy>> {
        if !self.is_kw("order") {
            return Ok(Vec::new());
        }
        self.advance();
        self.expect_kw("by")?;
        self.comma_list(Self::sort_by)
    }

    fn sort_by(&mut self) -> SqlResult<SortBy> {
        let expr = self.expr()?;
        let mut using = None;
        let mut desc = false;
        if self.accept_kw("using") {
            using = Some(self.operator()?);
        } else if self.accept_kw("desc") {
            desc = true;
        } else {
            self.accept_kw("asc");
        }
        let mut nulls_first = None;
        if self.is_kw("nulls") {
            self.advance();
            nulls_first = Some(match self.word() {
                "first" => true,
                "last" => false,
                _ => return Err(self.unexpected()),
            });
            self.advance();
        }
        Ok(SortBy { expr, desc, nulls_first, using })
    }

    /// 42601 for what the grammar accepts and then refuses.
    pub(super) fn refused(&self, message: &str, loc: Loc) -> crate::SqlError {
        self.error(SqlState::SYNTAX_ERROR, message, loc)
    }
}
