//! Type names, modifiers and the words of error messages.

use super::Binder;
use crate::catalog::builtin::{self, base_type, type_by_oid};
use crate::sql::ast::{Expr, ExprKind, Loc, TypeName};
use crate::{SqlError, SqlResult};
use shardforge_types::oid::VARHDRSZ;
use shardforge_types::{Oid, PgType, SqlState, oids};

/// `pg_namespace.oid` of `pg_catalog`.
pub(super) const PG_CATALOG: Oid = Oid(11);

/// A type's name in messages.
pub(super) fn type_name(oid: Oid) -> String {
    let name = shardforge_types::oid::type_name(oid);
    match type_by_oid(oid) {
        Some(entry) if name == "???" => match type_by_oid(entry.element).filter(|_| entry.is_array) {
            Some(element) => format!("{}[]", element.name),
            None => entry.name.to_owned(),
        },
        _ => name,
    }
}

/// Category of a type after domains are seen through, and whether it is the preferred one in it.
pub(super) fn category(oid: Oid) -> (u8, bool) {
    type_by_oid(oid).map_or((b'X', false), |entry| (entry.category, entry.preferred))
}

/// The element type of a true array type.
pub(super) fn element_type(oid: Oid) -> Option<Oid> {
    type_by_oid(base_type(oid)).filter(|entry| entry.is_array).map(|entry| entry.element)
}

/// The array type over an element type.
pub(super) fn array_type(oid: Oid) -> Option<Oid> {
    type_by_oid(oid).map(|entry| entry.array).filter(|array| *array != Oid::INVALID)
}

/// Types that a column or a cast can have: the others are there for their names only.
fn is_pseudo(oid: Oid) -> bool {
    type_by_oid(oid).is_some_and(|entry| entry.kind == b'p')
}

impl Binder<'_> {
    /// A type by its name, with its modifier.
    pub(super) fn resolve_type(&self, ty: &TypeName) -> SqlResult<PgType> {
        if ty.percent_type {
            return Err(self.unsupported("%TYPE", ty.loc));
        }
        let missing = || {
            let mut name = ty.names.join(".");
            if ty.array {
                name.push_str("[]");
            }
            self.error(SqlState::UNDEFINED_OBJECT, format!("type \"{name}\" does not exist"), ty.loc)
        };
        let found = match ty.names.as_slice() {
            [name] => builtin::type_by_name(PG_CATALOG, name),
            [.., schema, name] => {
                let namespace = match schema.as_str() {
                    "pg_catalog" => PG_CATALOG,
                    schema => self.ctx.catalog.schema(schema)?.ok_or_else(|| {
                        self.error(
                            SqlState::INVALID_SCHEMA_NAME,
                            format!("schema \"{schema}\" does not exist"),
                            ty.loc,
                        )
                    })?,
                };
                let mut found = builtin::type_by_name(namespace, name);
                if found.is_none() && schema == "information_schema" {
                    found = builtin::types()
                        .iter()
                        .find(|entry| entry.namespace != PG_CATALOG && entry.name == name);
                }
                found
            }
            [] => None,
        };
        let entry = found.ok_or_else(missing)?;
        let typmod = self.type_modifier(entry.oid, ty)?;
        let oid = if ty.array {
            // The element of an array of arrays is the element itself.
            if entry.is_array { entry.oid } else { array_type(entry.oid).ok_or_else(missing)? }
        } else {
            entry.oid
        };
        Ok(PgType::with_typmod(oid, typmod))
    }

    /// A type of a value that is stored or computed: no pseudo-type.
    pub(super) fn resolve_value_type(&self, ty: &TypeName, column: Option<&str>) -> SqlResult<PgType> {
        if ty.setof {
            let message = column.map_or_else(
                || "cast to SETOF is not allowed".to_owned(),
                |column| format!("column \"{column}\" cannot be declared SETOF"),
            );
            return Err(self.error(SqlState::INVALID_TABLE_DEFINITION, message, ty.loc));
        }
        let resolved = self.resolve_type(ty)?;
        if let (Some(column), true) = (column, is_pseudo(resolved.oid) || resolved.oid == oids::UNKNOWN) {
            let message = format!("column \"{column}\" has pseudo-type {}", type_name(resolved.oid));
            return Err(SqlError::new(SqlState::INVALID_TABLE_DEFINITION, message));
        }
        Ok(resolved)
    }

    /// The modifier that a type's own rules make of the numbers behind it.
    fn type_modifier(&self, oid: Oid, ty: &TypeName) -> SqlResult<i32> {
        if ty.mods.is_empty() {
            return Ok(-1);
        }
        let mods = ty.mods.iter().map(|expr| self.modifier_value(expr)).collect::<SqlResult<Vec<i32>>>()?;
        let fail = |state, message: String| Err(self.error(state, message, ty.loc));
        let invalid = |message: String| fail(SqlState::INVALID_PARAMETER_VALUE, message);
        match oid {
            oids::VARCHAR | oids::BPCHAR | oids::BIT | oids::VARBIT => {
                let name = match oid {
                    oids::VARCHAR => "varchar",
                    oids::BPCHAR => "char",
                    oids::BIT => "bit",
                    _ => "varbit",
                };
                let [len] = mods[..] else { return invalid("invalid type modifier".to_owned()) };
                if len < 1 {
                    let spelled = if oid == oids::VARBIT { "bit varying" } else { name };
                    return invalid(format!("length for type {spelled} must be at least 1"));
                }
                let text = matches!(oid, oids::VARCHAR | oids::BPCHAR);
                let max = if text { 10_485_760 } else { 83_886_080 };
                if len > max {
                    return invalid(format!("length for type {name} cannot exceed {max}"));
                }
                Ok(if text { len + VARHDRSZ } else { len })
            }
            oids::NUMERIC => {
                let (precision, scale) = match mods[..] {
                    [precision] => (precision, 0),
                    [precision, scale] => (precision, scale),
                    _ => return invalid("invalid NUMERIC type modifier".to_owned()),
                };
                if !(1..=1000).contains(&precision) {
                    return invalid(format!("NUMERIC precision {precision} must be between 1 and 1000"));
                }
                if !(-1000..=1000).contains(&scale) {
                    return invalid(format!("NUMERIC scale {scale} must be between -1000 and 1000"));
                }
                Ok(PgType::numeric(precision, scale).typmod)
            }
            oids::TIME | oids::TIMETZ | oids::TIMESTAMP | oids::TIMESTAMPTZ => {
                let [precision] = mods[..] else { return invalid("invalid type modifier".to_owned()) };
                if precision < 0 {
                    let zone =
                        if matches!(oid, oids::TIMETZ | oids::TIMESTAMPTZ) { " WITH TIME ZONE" } else { "" };
                    let name = if matches!(oid, oids::TIME | oids::TIMETZ) { "TIME" } else { "TIMESTAMP" };
                    return invalid(format!("{name}({precision}){zone} precision must not be negative"));
                }
                Ok(precision.min(6))
            }
            oids::INTERVAL => Ok(match mods[..] {
                [fields] => (fields << 16) | 0xffff,
                [fields, precision] => (fields << 16) | precision.clamp(0, 6),
                _ => return invalid("invalid INTERVAL type modifier".to_owned()),
            }),
            _ => fail(
                SqlState::SYNTAX_ERROR,
                format!(
                    "type modifier is not allowed for type \"{}\"",
                    ty.names.last().map_or("", String::as_str)
                ),
            ),
        }
    }

    fn modifier_value(&self, expr: &Expr) -> SqlResult<i32> {
        match &expr.kind {
            ExprKind::Int(value) => Ok(*value),
            ExprKind::Number(text) | ExprKind::Str(text) => text.parse().map_err(|_| {
                let message = format!("invalid input syntax for type integer: \"{text}\"");
                self.error(SqlState::INVALID_TEXT_REPRESENTATION, message, expr.loc)
            }),
            _ => {
                let message = "type modifiers must be simple constants or identifiers";
                Err(self.error(SqlState::SYNTAX_ERROR, message, expr.loc))
            }
        }
    }

    /// A collation that compares by bytes, as ours do; others are refused.
    pub(super) fn check_collation(&self, name: &crate::sql::ast::ObjectName, loc: Loc) -> SqlResult<()> {
        if let Some(schema) = name.schema().filter(|schema| *schema != "pg_catalog")
            && self.ctx.catalog.schema(schema)?.is_none()
        {
            let message = format!("schema \"{schema}\" does not exist");
            return Err(self.error(SqlState::INVALID_SCHEMA_NAME, message, loc));
        }
        match name.name() {
            "C" | "POSIX" | "default" | "C.UTF-8" | "C.utf8" | "ucs_basic" => Ok(()),
            _ => {
                let message =
                    format!("collation \"{}\" for encoding \"UTF8\" does not exist", name.display());
                Err(self.error(SqlState::UNDEFINED_OBJECT, message, loc))
            }
        }
    }
}
