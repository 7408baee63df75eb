//! CREATE ROLE and ALTER ROLE: each option once, each value as its type reads it.

use super::Binder;
use crate::SqlResult;
use crate::sql::ast::{Ident, RoleFlag, RoleOption, RoleOptionKind};
use crate::sql::bound::RoleOptions;
use shardforge_types::{Datum, PgType, SqlState, oids};

impl Binder<'_> {
    pub(super) fn role_options(&self, name: &Ident, options: &[RoleOption]) -> SqlResult<RoleOptions> {
        let mut out = RoleOptions { name: name.name.clone(), ..RoleOptions::default() };
        for RoleOption { kind, loc } in options {
            let twice = match kind {
                RoleOptionKind::Flag(flag, on) => {
                    let slot = match flag {
                        RoleFlag::Superuser => &mut out.superuser,
                        RoleFlag::CreateDb => &mut out.create_db,
                        RoleFlag::CreateRole => &mut out.create_role,
                        RoleFlag::Inherit => &mut out.inherit,
                        RoleFlag::Login => &mut out.login,
                        RoleFlag::Replication => &mut out.replication,
                        RoleFlag::BypassRls => &mut out.bypass_rls,
                    };
                    slot.replace(*on).is_some()
                }
                RoleOptionKind::ConnectionLimit(limit) => {
                    if *limit < -1 {
                        let message = format!("invalid connection limit: {limit}");
                        return Err(crate::SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
                    }
                    out.connection_limit.replace(*limit).is_some()
                }
                RoleOptionKind::Password(password) => out.password.replace(password.clone()).is_some(),
                RoleOptionKind::ValidUntil(text) => {
                    let ty = PgType::new(oids::TIMESTAMPTZ);
                    match shardforge_types::text::input(text, ty, self.ctx.settings)? {
                        Datum::TimestampTz(until) => out.valid_until.replace(until).is_some(),
                        _ => return Err(crate::SqlError::internal("a moment that is none")),
                    }
                }
                RoleOptionKind::Unsupported(what) => return Err(self.unsupported(what, *loc)),
            };
            if twice {
                return Err(self.error(SqlState::SYNTAX_ERROR, "conflicting or redundant options", *loc));
            }
        }
        Ok(out)
    }
}
