//! Names of types.

use super::{Parser, TYPE_FUNCTION};
use crate::SqlResult;
use crate::sql::ast::{Expr, ExprKind, TypeName};
use crate::sql::lex::TokenKind;
use shardforge_types::SqlState;

/// What a modifier of `interval` says of the fields that are kept.
const INTERVAL_FIELDS: &[(&[&str], i32)] = &[
    (&["year", "to", "month"], (1 << 2) | (1 << 1)),
    (&["day", "to", "hour"], (1 << 3) | (1 << 10)),
    (&["day", "to", "minute"], (1 << 3) | (1 << 10) | (1 << 11)),
    (&["day", "to", "second"], (1 << 3) | (1 << 10) | (1 << 11) | (1 << 12)),
    (&["hour", "to", "minute"], (1 << 10) | (1 << 11)),
    (&["hour", "to", "second"], (1 << 10) | (1 << 11) | (1 << 12)),
    (&["minute", "to", "second"], (1 << 11) | (1 << 12)),
    (&["year"], 1 << 2),
    (&["month"], 1 << 1),
    (&["day"], 1 << 3),
    (&["hour"], 1 << 10),
    (&["minute"], 1 << 11),
    (&["second"], 1 << 12),
];

const INTERVAL_FULL_RANGE: i32 = 0x7fff;

impl Parser<'_> {
    /// A type, arrays and SETOF included.
    pub(super) fn type_name(&mut self) -> SqlResult<TypeName> {
        let loc = self.loc();
        let setof = self.accept_kw("setof");
        let mut ty = self.simple_type()?;
        ty.setof = setof;
        ty.loc = loc;
        if self.accept_kw("array") {
            ty.array = true;
            if self.accept_char(b'[') {
                self.array_bound()?;
            }
        } else {
            while self.accept_char(b'[') {
                ty.array = true;
                self.array_bound()?;
            }
        }
        Ok(ty)
    }

    fn array_bound(&mut self) -> SqlResult<()> {
        if let TokenKind::Int(_) = self.kind() {
            self.advance();
        }
        self.expect_char(b']')
    }

    fn system(&self, name: &str, loc: u32) -> TypeName {
        let names = vec!["pg_catalog".to_owned(), name.to_owned()];
        TypeName { names, mods: Vec::new(), array: false, setof: false, loc, percent_type: false }
    }

    /// A type without array bounds.
    fn simple_type(&mut self) -> SqlResult<TypeName> {
        if let Some(ty) = self.sql_type(false)? {
            return Ok(ty);
        }
        let Some(first) = self.take_name(TYPE_FUNCTION) else {
            return Err(self.unexpected());
        };
        let loc = first.loc;
        let mut names = vec![first.name];
        while self.accept_char(b'.') {
            names.push(self.col_label()?.name);
        }
        let mut ty =
            TypeName { names, mods: Vec::new(), array: false, setof: false, loc, percent_type: false };
        if self.is_char(b'%') && self.is_kw_at(1, "type") {
            self.at += 2;
            ty.percent_type = true;
        } else if self.is_char(b'(') {
            ty.mods = self.paren_list(Self::expr)?;
        }
        Ok(ty)
    }

    /// A type that SQL spells with keywords. In front of a literal (`constant`), CHAR and VARCHAR
    /// without a length have none.
    pub(super) fn sql_type(&mut self, constant: bool) -> SqlResult<Option<TypeName>> {
        let loc = self.loc();
        if self.keyword().is_none() {
            return Ok(None);
        }
        let plain = match self.word() {
            "int" | "integer" => "int4",
            "smallint" => "int2",
            "bigint" => "int8",
            "real" => "float4",
            "boolean" => "bool",
            "double" if self.is_kw_at(1, "precision") => {
                self.advance();
                "float8"
            }
            "float" => return self.float_type().map(Some),
            "decimal" | "dec" | "numeric" => {
                self.advance();
                let mut ty = self.system("numeric", loc);
                if self.is_char(b'(') {
                    ty.mods = self.paren_list(Self::expr)?;
                }
                return Ok(Some(ty));
            }
            "bit" => {
                self.advance();
                let varying = self.accept_kw("varying");
                let mut ty = self.system(if varying { "varbit" } else { "bit" }, loc);
                if self.is_char(b'(') {
                    ty.mods = self.paren_list(Self::expr)?;
                } else if !varying && !constant {
                    ty.mods = vec![int_expr(1, loc)];
                }
                return Ok(Some(ty));
            }
            "character" | "char" | "varchar" | "nchar" | "national" => {
                return self.character_type(constant).map(Some);
            }
            "timestamp" | "time" => return self.time_type().map(Some),
            "interval" => {
                self.advance();
                let mut ty = self.system("interval", loc);
                if !constant {
                    self.interval_mods(&mut ty)?;
                }
                return Ok(Some(ty));
            }
            _ => return Ok(None),
        };
        self.advance();
        Ok(Some(self.system(plain, loc)))
    }

    fn float_type(&mut self) -> SqlResult<TypeName> {
        let loc = self.loc();
        self.advance();
        let mut name = "float8";
        if self.accept_char(b'(') {
            let at = self.loc();
            let TokenKind::Int(bits) = *self.kind() else {
                return Err(self.unexpected());
            };
            self.advance();
            self.expect_char(b')')?;
            name = match bits {
                ..1 => {
                    let message = "precision for type float must be at least 1 bit";
                    return Err(self.error(SqlState::INVALID_PARAMETER_VALUE, message, at));
                }
                1..=24 => "float4",
                25..=53 => "float8",
                _ => {
                    let message = "precision for type float must be less than 54 bits";
                    return Err(self.error(SqlState::INVALID_PARAMETER_VALUE, message, at));
                }
            };
        }
        Ok(self.system(name, loc))
    }

    fn character_type(&mut self, constant: bool) -> SqlResult<TypeName> {
        let loc = self.loc();
        if self.accept_kw("national") && !self.is_any_kw(&["character", "char"]) {
            return Err(self.unexpected());
        }
        let varying = self.is_kw("varchar") || self.is_kw_at(1, "varying");
        if !self.is_kw("varchar") && varying {
            self.advance();
        }
        self.advance();
        let mut ty = self.system(if varying { "varchar" } else { "bpchar" }, loc);
        if self.accept_char(b'(') {
            let at = self.loc();
            let TokenKind::Int(len) = *self.kind() else {
                return Err(self.unexpected());
            };
            self.advance();
            self.expect_char(b')')?;
            ty.mods = vec![int_expr(len, at)];
        } else if !varying && !constant {
            // In a declaration CHAR alone is CHAR(1).
            ty.mods = vec![int_expr(1, loc)];
        }
        Ok(ty)
    }

    fn time_type(&mut self) -> SqlResult<TypeName> {
        let loc = self.loc();
        let stamp = self.is_kw("timestamp");
        self.advance();
        let mut mods = Vec::new();
        if self.accept_char(b'(') {
            let at = self.loc();
            let TokenKind::Int(precision) = *self.kind() else {
                return Err(self.unexpected());
            };
            self.advance();
            self.expect_char(b')')?;
            mods.push(int_expr(precision, at));
        }
        let with_zone = self.accept_kws(&["with", "time", "zone"]);
        if !with_zone {
            self.accept_kws(&["without", "time", "zone"]);
        }
        let name = match (stamp, with_zone) {
            (true, true) => "timestamptz",
            (true, false) => "timestamp",
            (false, true) => "timetz",
            (false, false) => "time",
        };
        let mut ty = self.system(name, loc);
        ty.mods = mods;
        Ok(ty)
    }

    /// `YEAR TO MONTH`, `(3)`, `SECOND(3)` behind INTERVAL.
    pub(super) fn interval_mods(&mut self, ty: &mut TypeName) -> SqlResult<()> {
        let loc = self.loc();
        let precision = |parser: &mut Self| -> SqlResult<Option<Expr>> {
            if !parser.accept_char(b'(') {
                return Ok(None);
            }
            let at = parser.loc();
            let TokenKind::Int(precision) = *parser.kind() else {
                return Err(parser.unexpected());
            };
            parser.advance();
            parser.expect_char(b')')?;
            Ok(Some(int_expr(precision, at)))
        };
        if let Some(digits) = precision(self)? {
            ty.mods = vec![int_expr(INTERVAL_FULL_RANGE, loc), digits];
            return Ok(());
        }
        for (words, mask) in INTERVAL_FIELDS {
            if self.accept_kws(words) {
                ty.mods = vec![int_expr(*mask, loc)];
                if words.last() == Some(&"second") {
                    ty.mods.extend(precision(self)?);
                }
                break;
            }
        }
        Ok(())
    }
}

pub(super) fn int_expr(value: i32, loc: u32) -> Expr {
    Expr { kind: ExprKind::Int(value), loc, start: loc }
}
