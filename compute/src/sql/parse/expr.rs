//! Expressions, by precedence climbing over the grammar's table of precedences.

use super::Parser;
use super::types::int_expr;
use crate::SqlResult;
use crate::sql::ast::{BoolTest, Expr, ExprKind, LikeKind, Loc, OpName};
use crate::sql::lex::TokenKind;
use crate::sql::stack::Chain;

const OR: u8 = 1;
const AND: u8 = 2;
const NOT: u8 = 3;
const IS: u8 = 4;
const COMPARE: u8 = 5;
const LIKE: u8 = 6;
const OP: u8 = 8;
const ADD: u8 = 9;
const MUL: u8 = 10;
const POW: u8 = 11;
const AT: u8 = 12;
const COLLATE: u8 = 13;
const NEGATE: u8 = 14;

/// An expression that begins at its own place.
pub(super) fn leaf(kind: ExprKind, loc: Loc) -> Expr {
    Expr { kind, loc, start: loc }
}

pub(super) fn node(kind: ExprKind, loc: Loc, start: Loc) -> Expr {
    Expr { kind, loc, start: start.min(loc) }
}

impl Parser<'_> {
    /// Any expression.
    pub(super) fn expr(&mut self) -> SqlResult<Expr> {
        self.climb(OR, false)
    }

    /// An expression without AND, OR, NOT, tests, IN, LIKE and BETWEEN: where one of these words
    /// may follow, as in DEFAULT and the lower bound of BETWEEN.
    pub(super) fn simple_expr(&mut self) -> SqlResult<Expr> {
        self.climb(OR, true)
    }

    fn climb(&mut self, min: u8, simple: bool) -> SqlResult<Expr> {
        self.stack.check()?;
        let left = self.prefix(simple)?;

        self.infix(left, min, simple)
    }

    fn prefix(&mut self, simple: bool) -> SqlResult<Expr> {
        let loc = self.loc();
        match self.kind() {
            TokenKind::Word(word, Some(_)) if **word == *"not" && !simple => {
                self.advance();
                let arg = self.climb(NOT, false)?;
                Ok(leaf(ExprKind::Not(Box::new(arg)), loc))
            }
            TokenKind::Char(sign @ (b'+' | b'-')) => {
                self.advance();
                let arg = self.climb(NEGATE, simple)?;
                Ok(if *sign == b'-' { negate(arg, loc) } else { unary("+", arg, loc) })
            }
            TokenKind::Op(_) => {
                let (op, _) = self.operator()?;
                let right = Box::new(self.climb(ADD, simple)?);
                Ok(leaf(ExprKind::Op { op, left: None, right }, loc))
            }
            TokenKind::Word(word, Some(_)) if **word == *"operator" && self.is_char_at(1, b'(') => {
                let (op, _) = self.operator()?;
                let right = Box::new(self.climb(ADD, simple)?);
                Ok(leaf(ExprKind::Op { op, left: None, right }, loc))
            }
            _ => {
                let primary = self.primary()?;
                self.casts(primary)
            }
        }
    }

    /// `::type`, as often as it follows.
    fn casts(&mut self, mut arg: Expr) -> SqlResult<Expr> {
        let mut chain = Chain::default();
        while self.is_pair("::") {
            chain.link()?;
            let (loc, start) = (self.loc(), arg.start);
            self.advance();
            let ty = self.type_name()?;
            arg = node(ExprKind::Cast { arg: Box::new(arg), ty }, loc, start);
        }
        Ok(arg)
    }

    /// The operator at hand as an infix one, with its precedence.
    fn infix_operator(&self) -> Option<u8> {
        Some(match self.kind() {
            TokenKind::Char(b'<' | b'>' | b'=') | TokenKind::Pair("<=" | ">=" | "<>") => COMPARE,
            TokenKind::Char(b'+' | b'-') => ADD,
            TokenKind::Char(b'*' | b'/' | b'%') => MUL,
            TokenKind::Char(b'^') => POW,
            TokenKind::Op(_) => OP,
            TokenKind::Word(word, Some(_)) if **word == *"operator" && self.is_char_at(1, b'(') => OP,
            _ => return None,
        })
    }

    /// An operator's name, `OPERATOR(schema.op)` included.
    pub(super) fn operator(&mut self) -> SqlResult<(OpName, Loc)> {
        let loc = self.loc();
        if self.accept_kw("operator") {
            self.expect_char(b'(')?;
            let mut schema = None;
            while let Some(part) = self.take_name(super::COL_ID) {
                schema = Some(part.name);
                self.expect_char(b'.')?;
            }
            let (op, _) = self.operator()?;
            self.expect_char(b')')?;
            return Ok((OpName { schema, name: op.name }, loc));
        }
        let name = match self.kind() {
            TokenKind::Op(op) => op.to_string(),
            TokenKind::Pair(pair @ ("<=" | ">=" | "<>")) => (*pair).to_owned(),
            TokenKind::Char(c @ (b'+' | b'-' | b'*' | b'/' | b'%' | b'^' | b'<' | b'>' | b'=')) => {
                char::from(*c).to_string()
            }
            _ => return Err(self.unexpected()),
        };
        self.advance();
        Ok((OpName { schema: None, name }, loc))
    }

    fn infix(&mut self, mut left: Expr, min: u8, simple: bool) -> SqlResult<Expr> {
        // An operator that does not associate lowers this: what follows must bind less tightly.
        let mut max = u8::MAX;
        let mut chain = Chain::default();
        loop {
            chain.link()?;
            if let Some(level) = self.infix_operator() {
                if level < min || level > max {
                    return Ok(left);
                }
                let (op, loc) = self.operator()?;
                let start = left.start;
                if !simple && self.is_any_kw(&["any", "some", "all"]) && self.is_char_at(1, b'(') {
                    left = self.quantified(left, op, loc)?;
                } else {
                    let right = self.climb(level + 1, simple)?;
                    let kind = ExprKind::Op { op, left: Some(Box::new(left)), right: Box::new(right) };
                    left = node(kind, loc, start);
                }
                max = if level == COMPARE { COMPARE - 1 } else { u8::MAX };
                continue;
            }
            if self.keyword().is_none() {
                return Ok(left);
            }
            let (loc, start) = (self.loc(), left.start);
            match self.word() {
                "is" => {
                    if IS < min || IS > max {
                        return Ok(left);
                    }
                    let Some(next) = self.is_test(left, simple)? else {
                        return Err(self.unexpected_at(1));
                    };
                    max = if matches!(next.kind, ExprKind::IsDistinct { .. }) { IS - 1 } else { u8::MAX };
                    left = next;
                }
                _ if simple => return Ok(left),
                "or" if min <= OR && OR <= max => {
                    left = self.logic(left, "or", AND, ExprKind::Or, loc)?;
                }
                "and" if min <= AND && AND <= max => {
                    left = self.logic(left, "and", NOT, ExprKind::And, loc)?;
                }
                word @ ("isnull" | "notnull") if min <= IS && IS <= max => {
                    self.advance();
                    let kind = ExprKind::IsNull { arg: Box::new(left), negated: word == "notnull" };
                    left = node(kind, loc, start);
                    max = u8::MAX;
                }
                "at" if min <= AT && AT <= max && self.is_kw_at(1, "time") => {
                    self.advance();
                    self.expect_kws(&["time", "zone"])?;
                    let zone = self.climb(AT + 1, false)?;
                    left = super::call::system_call("timezone", vec![zone, left], loc, start);
                    max = u8::MAX;
                }
                "collate" if min <= COLLATE && COLLATE <= max => {
                    self.advance();
                    let name = self.any_name()?;
                    left = node(ExprKind::Collate { arg: Box::new(left), name }, loc, start);
                    max = u8::MAX;
                }
                "not" if self.is_negatable(1) && min <= LIKE && LIKE <= max => {
                    self.advance();
                    left = self.like_in_between(left, true, loc)?;
                    max = LIKE - 1;
                }
                _ if self.is_negatable(0) && min <= LIKE && LIKE <= max => {
                    left = self.like_in_between(left, false, loc)?;
                    max = LIKE - 1;
                }
                "overlaps" if matches!(left.kind, ExprKind::Row { .. }) => {
                    self.advance();
                    let right = self.climb(ADD, false)?;
                    let (ExprKind::Row { fields: a, .. }, ExprKind::Row { fields: b, .. }) =
                        (left.kind, right.kind)
                    else {
                        return Err(self.unexpected());
                    };
                    left = super::call::system_call("overlaps", a.into_iter().chain(b).collect(), loc, start);
                }
                _ => return Ok(left),
            }
        }
    }

    fn is_negatable(&self, ahead: usize) -> bool {
        ["between", "in", "like", "ilike"].iter().any(|word| self.is_kw_at(ahead, word))
            || (self.is_kw_at(ahead, "similar") && self.is_kw_at(ahead + 1, "to"))
    }

    /// AND and OR: a chain of them is one node.
    fn logic(
        &mut self,
        left: Expr,
        word: &str,
        operand: u8,
        kind: fn(Vec<Expr>) -> ExprKind,
        loc: Loc,
    ) -> SqlResult<Expr> {
        let start = left.start;
        let mut args = vec![left];
        while self.accept_kw(word) {
            args.push(self.climb(operand, false)?);
        }
        Ok(node(kind(args), loc, start))
    }

    fn is_test(&mut self, left: Expr, simple: bool) -> SqlResult<Option<Expr>> {
        let (loc, start) = (self.loc(), left.start);
        let negated = self.is_kw_at(1, "not");
        let ahead = 1 + usize::from(negated);
        let test = |yes, no| if negated { no } else { yes };
        let word = match self.kind_at(ahead) {
            TokenKind::Word(word, Some(_)) => &**word,
            _ => "",
        };
        let arg = Box::new(left);
        let kind = match word {
            "distinct" => {
                self.at += ahead + 1;
                self.expect_kw("from")?;
                let right = Box::new(self.climb(COMPARE, simple)?);
                return Ok(Some(node(ExprKind::IsDistinct { left: arg, right, negated }, loc, start)));
            }
            _ if simple => {
                self.at += ahead - 1;
                return Ok(None);
            }
            "null" => ExprKind::IsNull { arg, negated },
            "true" => ExprKind::BoolTest { arg, test: test(BoolTest::True, BoolTest::NotTrue) },
            "false" => ExprKind::BoolTest { arg, test: test(BoolTest::False, BoolTest::NotFalse) },
            "unknown" => ExprKind::BoolTest { arg, test: test(BoolTest::Unknown, BoolTest::NotUnknown) },
            "document" => ExprKind::Unsupported("IS DOCUMENT".to_owned()),
            "normalized" | "nfc" | "nfd" | "nfkc" | "nfkd" => {
                ExprKind::Unsupported("IS NORMALIZED".to_owned())
            }
            _ => {
                self.at += ahead - 1;
                return Ok(None);
            }
        };
        self.at += ahead + 1;
        if matches!(word, "nfc" | "nfd" | "nfkc" | "nfkd") {
            self.expect_kw("normalized")?;
        }
        Ok(Some(node(kind, loc, start)))
    }

    /// `op ANY (...)`, `op ALL (...)`.
    fn quantified(&mut self, left: Expr, op: OpName, loc: Loc) -> SqlResult<Expr> {
        let all = self.is_kw("all");
        self.at += 2;
        let start = left.start;
        let left = Box::new(left);
        let kind = if self.is_query_start() {
            let query = Box::new(self.query()?);
            ExprKind::OpQuery { op, all, left, query }
        } else {
            let right = Box::new(self.expr()?);
            ExprKind::OpArray { op, all, left, right }
        };
        self.expect_char(b')')?;
        Ok(node(kind, loc, start))
    }

    fn like_in_between(&mut self, left: Expr, negated: bool, loc: Loc) -> SqlResult<Expr> {
        let start = left.start;
        let word = self.word();
        self.advance();
        let kind = match word {
            "between" => {
                let symmetric = self.accept_kw("symmetric");
                if !symmetric {
                    self.accept_kw("asymmetric");
                }
                let low = Box::new(self.simple_expr()?);
                self.expect_kw("and")?;
                let high = Box::new(self.climb(LIKE + 1, false)?);
                ExprKind::Between { arg: Box::new(left), low, high, symmetric, negated }
            }
            "in" => {
                self.expect_char(b'(')?;
                let kind = if self.is_query_start() {
                    ExprKind::InQuery { left: Box::new(left), query: Box::new(self.query()?), negated }
                } else {
                    ExprKind::In { left: Box::new(left), list: self.comma_list(Self::expr)?, negated }
                };
                self.expect_char(b')')?;
                kind
            }
            _ => {
                let kind = match word {
                    "like" => LikeKind::Like,
                    "ilike" => LikeKind::ILike,
                    _ => {
                        self.expect_kw("to")?;
                        LikeKind::Similar
                    }
                };
                if kind != LikeKind::Similar
                    && self.is_any_kw(&["any", "some", "all"])
                    && self.is_char_at(1, b'(')
                {
                    let op = match (kind, negated) {
                        (LikeKind::Like, false) => "~~",
                        (LikeKind::Like, true) => "!~~",
                        (_, false) => "~~*",
                        (_, true) => "!~~*",
                    };
                    return self.quantified(left, OpName::plain(op), loc);
                }
                let pattern = Box::new(self.climb(LIKE + 1, false)?);
                let escape = if self.accept_kw("escape") {
                    Some(Box::new(self.climb(LIKE + 1, false)?))
                } else {
                    None
                };
                ExprKind::Like { kind, left: Box::new(left), pattern, escape, negated }
            }
        };
        Ok(node(kind, loc, start))
    }
}

fn unary(op: &str, arg: Expr, loc: Loc) -> Expr {
    leaf(ExprKind::Op { op: OpName::plain(op), left: None, right: Box::new(arg) }, loc)
}

/// A minus in front of a literal belongs to it.
fn negate(arg: Expr, loc: Loc) -> Expr {
    match &arg.kind {
        ExprKind::Int(value) => match value.checked_neg() {
            Some(value) => int_expr(value, loc),
            None => leaf(ExprKind::Number(format!("{}", -i64::from(*value))), loc),
        },
        ExprKind::Number(text) => {
            let text = text.strip_prefix('-').map_or_else(|| format!("-{text}"), str::to_owned);
            leaf(ExprKind::Number(text), loc)
        }
        _ => unary("-", arg, loc),
    }
}
