//! `has_..._privilege`. There are no grants yet: whoever is connected may do everything, and so these
//! answer true for objects that exist; a name that does not is an error, an OID that does not is null.

use super::args::body;
use super::call::{Call, ScalarFunction, stable};
use super::catalog_access::ObjectClass;
use super::text_io::find_object;
use crate::SqlResult;
use shardforge_types::{Oid, oids};

fn relation(call: &Call<'_>, oid: Oid) -> Option<bool> {
    let catalog = call.context.catalog.as_ref()?;
    catalog.relation(oid).map(|_| true)
}

fn relation_named(call: &Call<'_>, name: &str) -> SqlResult<bool> {
    find_object(name, oids::REGCLASS, call.context, true).map(|_| true)
}

fn object(call: &Call<'_>, class: ObjectClass, oid: Oid) -> Option<bool> {
    let catalog = call.context.catalog.as_ref()?;
    catalog.object_name(class, oid).map(|_| true)
}

fn schema_named(call: &Call<'_>, name: &str) -> SqlResult<bool> {
    find_object(&super::text_io::quote_ident(name), oids::REGNAMESPACE, call.context, true).map(|_| true)
}

/// The functions of this file.
pub(super) const FUNCTIONS: &[ScalarFunction] = &[
    stable(
        1922,
        "has_table_privilege",
        body!(call |_user: &str, name: &str, _p: &str| relation_named(call, name)),
    ),
    stable(1923, "has_table_privilege", body!(call |_user: &str, oid: Oid, _p: &str| relation(call, oid))),
    stable(
        1924,
        "has_table_privilege",
        body!(call |_user: Oid, name: &str, _p: &str| relation_named(call, name)),
    ),
    stable(1925, "has_table_privilege", body!(call |_user: Oid, oid: Oid, _p: &str| relation(call, oid))),
    stable(1926, "has_table_privilege", body!(call |name: &str, _p: &str| relation_named(call, name))),
    stable(1927, "has_table_privilege", body!(call |oid: Oid, _p: &str| relation(call, oid))),
    stable(2185, "has_sequence_privilege", body!(call |_user: Oid, oid: Oid, _p: &str| relation(call, oid))),
    stable(2186, "has_sequence_privilege", body!(call |oid: Oid, _p: &str| relation(call, oid))),
    stable(3028, "has_any_column_privilege", body!(call |name: &str, _p: &str| relation_named(call, name))),
    stable(3029, "has_any_column_privilege", body!(call |oid: Oid, _p: &str| relation(call, oid))),
    stable(
        3020,
        "has_column_privilege",
        body!(call |name: &str, _c: &str, _p: &str| relation_named(call, name)),
    ),
    stable(
        3021,
        "has_column_privilege",
        body!(call |name: &str, _c: i16, _p: &str| relation_named(call, name)),
    ),
    stable(3022, "has_column_privilege", body!(call |oid: Oid, _c: &str, _p: &str| relation(call, oid))),
    stable(3023, "has_column_privilege", body!(call |oid: Oid, _c: i16, _p: &str| relation(call, oid))),
    stable(
        2268,
        "has_schema_privilege",
        body!(call |_user: &str, name: &str, _p: &str| schema_named(call, name)),
    ),
    stable(
        2269,
        "has_schema_privilege",
        body!(call |_user: &str, oid: Oid, _p: &str| object(call, ObjectClass::Schema, oid)),
    ),
    stable(
        2271,
        "has_schema_privilege",
        body!(call |_user: Oid, oid: Oid, _p: &str| object(call, ObjectClass::Schema, oid)),
    ),
    stable(2272, "has_schema_privilege", body!(call |name: &str, _p: &str| schema_named(call, name))),
    stable(
        2273,
        "has_schema_privilege",
        body!(call |oid: Oid, _p: &str| object(call, ObjectClass::Schema, oid)),
    ),
    stable(2250, "has_database_privilege", body!(|_user: &str, _name: &str, _p: &str| true)),
    stable(
        2251,
        "has_database_privilege",
        body!(call |_user: &str, oid: Oid, _p: &str| object(call, ObjectClass::Database, oid)),
    ),
    stable(2254, "has_database_privilege", body!(|_name: &str, _p: &str| true)),
    stable(
        2255,
        "has_database_privilege",
        body!(call |oid: Oid, _p: &str| object(call, ObjectClass::Database, oid)),
    ),
    stable(
        2261,
        "has_function_privilege",
        body!(call |oid: Oid, _p: &str| object(call, ObjectClass::Function, oid)),
    ),
    stable(3143, "has_type_privilege", body!(call |oid: Oid, _p: &str| object(call, ObjectClass::Type, oid))),
    stable(2395, "has_tablespace_privilege", body!(|_oid: Oid, _p: &str| true)),
    stable(2705, "pg_has_role", body!(|_user: &str, _role: &str, _p: &str| true)),
    stable(2708, "pg_has_role", body!(|_user: Oid, _role: Oid, _p: &str| true)),
    stable(2709, "pg_has_role", body!(|_role: &str, _p: &str| true)),
    stable(2710, "pg_has_role", body!(|_role: Oid, _p: &str| true)),
];
