//! CREATE, ALTER and DROP ROLE; USER and GROUP are other words for it.

use super::{ANY_WORD, Parser};
use crate::SqlResult;
use crate::sql::ast::{Ident, RoleFlag, RoleOption, RoleOptionKind, Statement};
use crate::sql::lex::TokenKind;
use shardforge_types::SqlState;

/// The words that turn a flag on; with `no` before them they turn it off.
const FLAGS: &[(&str, RoleFlag)] = &[
    ("superuser", RoleFlag::Superuser),
    ("createdb", RoleFlag::CreateDb),
    ("createrole", RoleFlag::CreateRole),
    ("inherit", RoleFlag::Inherit),
    ("login", RoleFlag::Login),
    ("replication", RoleFlag::Replication),
    ("bypassrls", RoleFlag::BypassRls),
];

impl Parser<'_> {
    pub(super) fn create_role(&mut self) -> SqlResult<Statement> {
        let user = self.is_kw("user");
        self.advance();
        let name = self.role_name()?;
        let loc = self.loc();
        self.accept_kw("with");
        let mut options = self.role_options(true)?;
        let says_login =
            |option: &RoleOption| matches!(option.kind, RoleOptionKind::Flag(RoleFlag::Login, _));
        if user && !options.iter().any(says_login) {
            options.push(RoleOption { kind: RoleOptionKind::Flag(RoleFlag::Login, true), loc });
        }
        Ok(Statement::CreateRole { name, options })
    }

    pub(super) fn alter_role(&mut self) -> SqlResult<Statement> {
        let group = self.is_kw("group");
        self.advance();
        if self.is_kw("all") {
            return Ok(self.unsupported("ALTER ROLE SET"));
        }
        let name = self.role_name()?;
        if self.is_kw("rename") {
            return Ok(self.unsupported("ALTER ROLE RENAME"));
        }
        if self.is_any_kw(&["set", "reset", "in"]) {
            return Ok(self.unsupported("ALTER ROLE SET"));
        }
        if group {
            if self.is_any_kw(&["add", "drop"]) {
                return Ok(self.unsupported("ALTER GROUP"));
            }
            return Err(self.unexpected());
        }
        self.accept_kw("with");
        let options = self.role_options(false)?;
        Ok(Statement::AlterRole { name, options })
    }

    pub(super) fn drop_role(&mut self) -> SqlResult<Statement> {
        self.advance();
        let if_exists = self.if_exists()?;
        let names = self.comma_list(Self::role_name)?;
        Ok(Statement::DropRole { names, if_exists })
    }

    /// A role that exists or will: words that mean the user at hand are not built here, and `public`
    /// and `none` name no role.
    fn role_name(&mut self) -> SqlResult<Ident> {
        if self.is_any_kw(&["current_user", "current_role", "session_user"]) {
            let what = format!("{} as the name of a role", self.word().to_uppercase());
            return Err(crate::SqlError::not_supported(what));
        }
        let loc = self.loc();
        let reserved = match self.kind() {
            TokenKind::Word(word, _) | TokenKind::Quoted(word) => matches!(&**word, "public" | "none"),
            _ => false,
        };
        if reserved {
            let message = match self.kind() {
                TokenKind::Word(word, _) | TokenKind::Quoted(word) => {
                    format!("role name \"{word}\" is reserved")
                }
                _ => return Err(self.unexpected()),
            };
            return Err(self.error(SqlState::RESERVED_NAME, message, loc));
        }
        self.take_name(super::NON_RESERVED).ok_or_else(|| self.unexpected())
    }

    fn role_options(&mut self, create: bool) -> SqlResult<Vec<RoleOption>> {
        let mut options = Vec::new();
        while !self.at_end() && !self.is_char(b';') {
            let loc = self.loc();
            let kind = self.role_option(create)?;
            options.push(RoleOption { kind, loc });
        }
        Ok(options)
    }

    fn role_option(&mut self, create: bool) -> SqlResult<RoleOptionKind> {
        let (loc, at) = (self.loc(), self.at);
        let word = self.take_name(ANY_WORD).ok_or_else(|| self.unexpected())?.name;
        let flag = |word: &str| FLAGS.iter().find(|(name, _)| *name == word).map(|(_, flag)| *flag);
        if let Some(flag) = flag(&word) {
            return Ok(RoleOptionKind::Flag(flag, true));
        }
        if let Some(flag) = word.strip_prefix("no").and_then(flag) {
            return Ok(RoleOptionKind::Flag(flag, false));
        }
        match word.as_str() {
            "connection" => {
                self.expect_kw("limit")?;
                let value = self.option_value()?;
                let limit = value.parse().map_err(|_| {
                    let message = format!("invalid connection limit: {value}");
                    self.error(SqlState::INVALID_PARAMETER_VALUE, message, loc)
                })?;
                Ok(RoleOptionKind::ConnectionLimit(limit))
            }
            "encrypted" => {
                self.expect_kw("password")?;
                Ok(RoleOptionKind::Password(Some(self.string()?)))
            }
            "password" if self.accept_kw("null") => Ok(RoleOptionKind::Password(None)),
            "password" => Ok(RoleOptionKind::Password(Some(self.string()?))),
            "valid" => {
                self.expect_kw("until")?;
                Ok(RoleOptionKind::ValidUntil(self.string()?))
            }
            "in" if create && self.is_any_kw(&["role", "group"]) => self.members("IN ROLE"),
            "role" | "user" if create => {
                self.at -= 1;
                self.members("ROLE")
            }
            "admin" if create => {
                self.at -= 1;
                self.members("ADMIN")
            }
            "sysid" if create => {
                self.option_value()?;
                Ok(RoleOptionKind::Unsupported("SYSID"))
            }
            _ => {
                self.at = at;
                if matches!(self.kind(), TokenKind::Word(_, None)) {
                    let message = format!("unrecognized role option \"{word}\"");
                    return Err(self.error(SqlState::SYNTAX_ERROR, message, loc));
                }
                Err(self.unexpected())
            }
        }
    }

    /// Memberships: read over, not built.
    fn members(&mut self, what: &'static str) -> SqlResult<RoleOptionKind> {
        self.advance();
        self.comma_list(Self::role_name)?;
        Ok(RoleOptionKind::Unsupported(what))
    }
}
