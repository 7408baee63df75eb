//! The built-in rows of a catalog as values.

use super::definitions;
use crate::catalog::builtin;
use crate::catalog::database::PG_CATALOG;
use parking_lot::Mutex;
use shardforge_types::{Datum, Oid, PgType, Settings, oids, text};
use std::collections::HashMap;
use std::sync::LazyLock;

/// Rows, each with a value for each column of its catalog.
pub(crate) type StaticRows = &'static [Vec<Datum>];

static ROWS: LazyLock<Mutex<HashMap<&'static str, StaticRows>>> = LazyLock::new(Mutex::default);

/// The built-in rows of a catalog; read once, when first asked for.
pub(crate) fn builtin_rows(catalog: &str) -> StaticRows {
    let Some(source) = builtin::rows(catalog) else { return &[] };
    let mut all = ROWS.lock();
    all.entry(source.name).or_insert_with(|| Box::leak(read(source).into_boxed_slice()))
}

fn read(source: &'static builtin::CatalogRows) -> Vec<Vec<Datum>> {
    let table = definitions::relation_by_name(PG_CATALOG, source.name).and_then(definitions::table);
    let table = table.expect("the built-in catalogs are tables of pg_catalog");
    let settings = Settings::default();
    let value = |ty: PgType, field: Option<std::borrow::Cow<'static, str>>| match field {
        None => Datum::Null,
        Some(field) => datum(&field, ty, &settings),
    };
    let row = |fields: Vec<_>| {
        table.columns.iter().zip(fields).map(|(column, field)| value(column.ty, field)).collect()
    };
    source.iter().map(row).collect()
}

/// A field of the files. They write every column that holds an OID as a number, whatever its type.
fn datum(field: &str, ty: PgType, settings: &Settings) -> Datum {
    let fits = "the files hold values of their columns' types";
    match ty.oid {
        oid if oid.is_oid_like() => Datum::Oid(Oid(field.parse().expect(fits))),
        oids::CHAR => Datum::Char(field.bytes().next().unwrap_or(0)),
        oids::PG_NODE_TREE => Datum::text(field),
        _ => text::input(field, ty, settings).expect(fits),
    }
}

/// The OID of a role that PostgreSQL predefines.
pub(crate) fn predefined_role_by_name(name: &str) -> Option<Oid> {
    predefined_roles().find(|(_, role)| *role == name).map(|(oid, _)| oid)
}

/// The name of a role that PostgreSQL predefines.
pub(crate) fn predefined_role_name(oid: Oid) -> Option<&'static str> {
    predefined_roles().find(|(role, _)| *role == oid).map(|(_, name)| name)
}

fn predefined_roles() -> impl Iterator<Item = (Oid, &'static str)> {
    builtin_rows("pg_authid").iter().filter_map(|row| match (&row[0], &row[1]) {
        (Datum::Oid(oid), Datum::Text(name)) if name.starts_with("pg_") => Some((*oid, name.as_str())),
        _ => None,
    })
}
