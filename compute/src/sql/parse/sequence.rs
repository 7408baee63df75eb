//! CREATE, ALTER and DROP SEQUENCE; the options of identity columns.

use super::Parser;
use crate::SqlResult;
use crate::sql::ast::{AlterAction, AlterSequence, Ident, SequenceOption, SequenceOptionKind, Statement};
use crate::sql::lex::TokenKind;

impl Parser<'_> {
    pub(super) fn create_sequence(&mut self) -> SqlResult<Statement> {
        self.advance();
        let if_not_exists = self.if_not_exists()?;
        let name = self.object_name()?;
        let options = self.sequence_options()?;
        Ok(Statement::CreateSequence { name, if_not_exists, options })
    }

    pub(super) fn alter_sequence(&mut self) -> SqlResult<Statement> {
        self.advance();
        let if_exists = self.if_exists()?;
        let name = self.object_name()?;
        let action = if self.accept_kws(&["rename", "to"]) {
            AlterSequence::Rename(self.col_id()?)
        } else if self.is_kw("owner") && self.is_kw_at(1, "to") {
            self.skip_statement();
            AlterSequence::Unsupported("ALTER SEQUENCE OWNER TO")
        } else if self.is_kw("set") && self.is_kw_at(1, "schema") {
            self.skip_statement();
            AlterSequence::Unsupported("ALTER SEQUENCE SET SCHEMA")
        } else if self.is_kw("set") && (self.is_kw_at(1, "logged") || self.is_kw_at(1, "unlogged")) {
            self.skip_statement();
            AlterSequence::Unsupported("ALTER SEQUENCE SET LOGGED")
        } else {
            let options = self.sequence_options()?;
            if options.is_empty() {
                return Err(self.unexpected());
            }
            AlterSequence::Options(options)
        };
        Ok(Statement::AlterSequence { name, if_exists, action })
    }

    /// Options in parentheses after IDENTITY, if there are any.
    pub(super) fn identity_options(&mut self) -> SqlResult<Vec<SequenceOption>> {
        if !self.accept_char(b'(') {
            return Ok(Vec::new());
        }
        let options = self.sequence_options()?;
        if options.is_empty() {
            return Err(self.unexpected());
        }
        self.expect_char(b')')?;
        Ok(options)
    }

    /// What ALTER TABLE ... ALTER COLUMN says of an identity; `None` when it says something else.
    pub(super) fn alter_identity(&mut self, column: Ident) -> SqlResult<Option<AlterAction>> {
        if self.accept_kws(&["drop", "identity"]) {
            return Ok(Some(AlterAction::DropIdentity { column, if_exists: self.if_exists()? }));
        }
        if self.accept_kws(&["add", "generated"]) {
            let always = self.generated()?;
            self.expect_kws(&["as", "identity"])?;
            let options = self.identity_options()?;
            return Ok(Some(AlterAction::AddIdentity { column, always, options }));
        }
        let (mut always, mut options) = (None, Vec::new());
        loop {
            if self.accept_kws(&["set", "generated"]) {
                always = Some(self.generated()?);
                continue;
            }
            let is_set = self.is_kw("set") && !self.is_kw_at(1, "data");
            if !is_set && !self.is_kw("restart") {
                break;
            }
            let at = self.at;
            if is_set {
                self.advance();
            }
            match self.sequence_option()? {
                Some(option) => options.push(option),
                None => {
                    self.at = at;
                    break;
                }
            }
        }
        let any = always.is_some() || !options.is_empty();
        Ok(any.then_some(AlterAction::SetIdentity { column, always, options }))
    }

    /// ALWAYS or BY DEFAULT.
    pub(super) fn generated(&mut self) -> SqlResult<bool> {
        let always = self.accept_kw("always");
        if !always {
            self.expect_kws(&["by", "default"])?;
        }
        Ok(always)
    }

    fn sequence_options(&mut self) -> SqlResult<Vec<SequenceOption>> {
        let mut options = Vec::new();
        while let Some(option) = self.sequence_option()? {
            options.push(option);
        }
        Ok(options)
    }

    fn sequence_option(&mut self) -> SqlResult<Option<SequenceOption>> {
        use SequenceOptionKind as Kind;
        let loc = self.loc();
        let kind = if self.accept_kw("as") {
            Kind::As(self.type_name()?)
        } else if self.accept_kw("cache") {
            Kind::Cache(self.signed_number()?)
        } else if self.accept_kw("cycle") {
            Kind::Cycle(true)
        } else if self.accept_kws(&["no", "cycle"]) {
            Kind::Cycle(false)
        } else if self.accept_kw("increment") {
            self.accept_kw("by");
            Kind::Increment(self.signed_number()?)
        } else if self.accept_kw("maxvalue") {
            Kind::Max(Some(self.signed_number()?))
        } else if self.accept_kw("minvalue") {
            Kind::Min(Some(self.signed_number()?))
        } else if self.accept_kws(&["no", "maxvalue"]) {
            Kind::Max(None)
        } else if self.accept_kws(&["no", "minvalue"]) {
            Kind::Min(None)
        } else if self.accept_kws(&["owned", "by"]) {
            Kind::OwnedBy(self.any_name()?)
        } else if self.accept_kws(&["sequence", "name"]) {
            Kind::Name(self.any_name()?)
        } else if self.accept_kw("start") {
            self.accept_kw("with");
            Kind::Start(self.signed_number()?)
        } else if self.accept_kw("restart") {
            let given = self.accept_kw("with") || self.is_number();
            Kind::Restart(if given { Some(self.signed_number()?) } else { None })
        } else {
            return Ok(None);
        };
        Ok(Some(SequenceOption { kind, loc }))
    }

    fn is_number(&self) -> bool {
        self.is_char(b'-')
            || self.is_char(b'+')
            || matches!(self.kind(), TokenKind::Int(_) | TokenKind::Number(_))
    }

    /// A whole number with a sign.
    fn signed_number(&mut self) -> SqlResult<i64> {
        let negative = self.accept_char(b'-');
        if !negative {
            self.accept_char(b'+');
        }
        let loc = self.loc();
        let text = match self.kind() {
            TokenKind::Int(value) => value.to_string(),
            TokenKind::Number(text) => text.to_string(),
            _ => return Err(self.unexpected()),
        };
        let sign = if negative { "-" } else { "" };
        let number = format!("{sign}{text}").parse().map_err(|_| {
            let message = format!("value \"{text}\" is out of range for type bigint");
            self.error(shardforge_types::SqlState::NUMERIC_VALUE_OUT_OF_RANGE, message, loc)
        })?;
        self.advance();
        Ok(number)
    }
}
