//! Literals that name objects: `'pg_class'::regclass`, `'int4'::regtype` and their kin.

use super::Binder;
use super::types::PG_CATALOG;
use crate::catalog::builtin::{operators, procs_by_name};
use crate::sql::parse;
use crate::{SqlError, SqlResult};
use shardforge_types::{Datum, Oid, SqlState, oids};

impl Binder<'_> {
    /// The value of a literal of a `reg` type; `None` for any other type.
    pub(super) fn reg_literal(&self, text: &str, ty: Oid) -> SqlResult<Option<Datum>> {
        let known = matches!(
            ty,
            oids::REGCLASS
                | oids::REGTYPE
                | oids::REGPROC
                | oids::REGPROCEDURE
                | oids::REGOPER
                | oids::REGOPERATOR
                | oids::REGNAMESPACE
                | oids::REGROLE
                | oids::REGCOLLATION
        );
        if !known {
            return Ok(None);
        }
        if text == "-" {
            return Ok(Some(Datum::Oid(Oid::INVALID)));
        }
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
            let number = text.parse().map_err(|_| {
                let message = format!("value \"{text}\" is out of range for type oid");
                SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, message)
            })?;
            return Ok(Some(Datum::Oid(Oid(number))));
        }
        let found = match ty {
            oids::REGTYPE => {
                self.resolve_type(&parse::parse_type(text).map_err(unplaced)?).map_err(unplaced)?.oid
            }
            oids::REGCLASS => self.reg_class(text)?,
            oids::REGNAMESPACE => {
                let name = one_name(text)?;
                let found = self.ctx.catalog.schema(&name)?;
                found.ok_or_else(|| {
                    SqlError::new(SqlState::INVALID_SCHEMA_NAME, format!("schema \"{name}\" does not exist"))
                })?
            }
            oids::REGROLE => {
                let name = one_name(text)?;
                let found = self.ctx.catalog.role(&name)?;
                found.ok_or_else(|| {
                    SqlError::new(SqlState::UNDEFINED_OBJECT, format!("role \"{name}\" does not exist"))
                })?
            }
            oids::REGPROC => self.reg_proc(text)?,
            oids::REGPROCEDURE => self.reg_procedure(text)?,
            oids::REGOPER => {
                let found = operators(text.strip_prefix("pg_catalog.").unwrap_or(text));
                match found {
                    [only] => only.oid,
                    [] => {
                        return Err(SqlError::new(
                            SqlState::UNDEFINED_FUNCTION,
                            format!("operator does not exist: {text}"),
                        ));
                    }
                    _ => {
                        return Err(SqlError::new(
                            SqlState::AMBIGUOUS_FUNCTION,
                            format!("more than one operator named {text}"),
                        ));
                    }
                }
            }
            _ => {
                return Err(SqlError::not_supported(format!(
                    "a literal of type {}",
                    super::types::type_name(ty)
                )));
            }
        };
        Ok(Some(Datum::Oid(found)))
    }

    fn reg_class(&self, text: &str) -> SqlResult<Oid> {
        let names = split_names(text)?;
        let (schema, name) = match names.as_slice() {
            [name] => (None, name),
            [.., schema, name] => (Some(schema.as_str()), name),
            [] => return Err(invalid_name()),
        };
        self.ctx.catalog.relation(schema, name)?.ok_or_else(|| {
            SqlError::new(
                SqlState::UNDEFINED_TABLE,
                format!("relation \"{}\" does not exist", names.join(".")),
            )
        })
    }

    fn reg_proc(&self, text: &str) -> SqlResult<Oid> {
        let names = split_names(text)?;
        let name = names.last().ok_or_else(invalid_name)?;
        let mut found =
            procs_by_name(name).iter().filter(|proc| names.len() == 1 || proc.namespace == PG_CATALOG);
        match (found.next(), found.next()) {
            (Some(proc), None) => Ok(proc.oid),
            (Some(_), Some(_)) => Err(SqlError::new(
                SqlState::AMBIGUOUS_FUNCTION,
                format!("more than one function named \"{text}\""),
            )),
            _ => Err(SqlError::new(
                SqlState::UNDEFINED_FUNCTION,
                format!("function \"{text}\" does not exist"),
            )),
        }
    }

    /// `name(type, type)`.
    fn reg_procedure(&self, text: &str) -> SqlResult<Oid> {
        let missing =
            || SqlError::new(SqlState::UNDEFINED_FUNCTION, format!("function \"{text}\" does not exist"));
        let (name, rest) = text.split_once('(').ok_or_else(|| {
            SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, "expected a left parenthesis")
        })?;
        let args = rest.strip_suffix(')').ok_or_else(|| {
            SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, "expected a right parenthesis")
        })?;
        let mut types = Vec::new();
        for arg in args.split(',').filter(|arg| !arg.trim().is_empty()) {
            types.push(self.resolve_type(&parse::parse_type(arg).map_err(unplaced)?).map_err(unplaced)?.oid);
        }
        let names = split_names(name)?;
        let name = names.last().ok_or_else(invalid_name)?;
        let found = procs_by_name(name).iter().find(|proc| *proc.args == *types);
        found.map(|proc| proc.oid).ok_or_else(missing)
    }
}

/// A place inside the literal is no place in the query.
fn unplaced(mut error: SqlError) -> SqlError {
    error.fields_mut().position = None;
    error
}

fn invalid_name() -> SqlError {
    SqlError::new(SqlState::INVALID_NAME, "invalid name syntax")
}

fn one_name(text: &str) -> SqlResult<String> {
    let mut names = split_names(text)?;
    match (names.pop(), names.is_empty()) {
        (Some(name), true) => Ok(name),
        _ => Err(invalid_name()),
    }
}

/// `a.b."C"` as its parts, folded as SQL folds names.
fn split_names(text: &str) -> SqlResult<Vec<String>> {
    let mut names = Vec::new();
    let mut rest = text.trim();
    loop {
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut name = String::new();
            let mut chars = quoted.char_indices().peekable();
            let mut end = None;
            while let Some((at, c)) = chars.next() {
                if c != '"' {
                    name.push(c);
                } else if chars.next_if(|(_, c)| *c == '"').is_some() {
                    name.push('"');
                } else {
                    end = Some(at + 1);
                    break;
                }
            }
            let end = end.ok_or_else(invalid_name)?;
            names.push(name);
            rest = quoted[end..].trim_start();
        } else {
            let end = rest.find(['.', '"']).unwrap_or(rest.len());
            let name = rest[..end].trim();
            if name.is_empty() || name.contains(char::is_whitespace) {
                return Err(invalid_name());
            }
            names.push(name.to_ascii_lowercase());
            rest = &rest[end..];
        }
        match rest.strip_prefix('.') {
            Some(more) => rest = more.trim_start(),
            None if rest.is_empty() => return Ok(names),
            None => return Err(invalid_name()),
        }
    }
}
