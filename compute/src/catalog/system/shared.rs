//! Rows of the catalogs that all databases of a branch share, and the views of roles.

use super::builtin_rows::builtin_rows;
use super::rows::{RowBuilder, acl, array};
use crate::catalog::TableDef;
use crate::catalog::database::DatabaseCatalog;
use crate::catalog::stored::{DatabaseRow, RoleRow};
use shardforge_types::{Datum, Oid, oids};

/// `pg_encoding` of UTF8.
const UTF8: i32 = 6;
/// `pg_tablespace.oid` of `pg_default`.
const DEFAULT_TABLESPACE: Oid = Oid(1663);
/// What every database collates by.
const COLLATION: &str = "C.UTF-8";
/// What a password looks like in the views that hide it.
const HIDDEN: &str = "********";

pub(super) fn pg_database(table: &TableDef, catalog: &DatabaseCatalog) -> Vec<Vec<Datum>> {
    let row = |row: &DatabaseRow| {
        RowBuilder::new(table)
            .col("oid", row.oid)
            .col("datname", &row.name)
            .col("datdba", row.owner)
            .col("encoding", UTF8)
            .col("datlocprovider", b'c')
            .col("datistemplate", row.is_template)
            .col("datallowconn", row.allow_connections)
            .col("datconnlimit", row.connection_limit)
            .col("datfrozenxid", Oid::INVALID)
            .col("datminmxid", Oid::INVALID)
            .col("dattablespace", DEFAULT_TABLESPACE)
            .col("datcollate", COLLATION)
            .col("datctype", COLLATION)
            .nulls(&["daticulocale", "datcollversion"])
            .col("datacl", acl(&row.acl))
            .finish()
    };
    catalog.databases().iter().map(row).collect()
}

/// The stored roles; the predefined ones are built-in rows.
pub(super) fn pg_authid(table: &TableDef, catalog: &DatabaseCatalog) -> Vec<Vec<Datum>> {
    let row = |role: &RoleRow| {
        RowBuilder::new(table)
            .col("oid", role.oid)
            .col("rolname", &role.name)
            .col("rolsuper", role.superuser)
            .col("rolinherit", role.inherit)
            .col("rolcreaterole", role.create_role)
            .col("rolcreatedb", role.create_db)
            .col("rolcanlogin", role.can_login)
            .col("rolreplication", role.replication)
            .col("rolbypassrls", role.bypass_rls)
            .col("rolconnlimit", role.connection_limit)
            .col("rolpassword", role.password.as_ref())
            .col("rolvaliduntil", valid_until(role))
            .finish()
    };
    catalog.roles().iter().map(row).collect()
}

fn valid_until(role: &RoleRow) -> Option<Datum> {
    role.valid_until.map(Datum::TimestampTz)
}

/// The rows of `pg_authid` that are part of PostgreSQL. The server they were taken from has a role
/// `postgres` too; ours is stored.
pub(super) fn predefined_roles() -> impl Iterator<Item = &'static Vec<Datum>> {
    builtin_rows("pg_authid").iter().filter(|row| row[1].as_str().is_some_and(|name| name.starts_with("pg_")))
}

/// All roles as rows of `pg_authid`, by OID.
fn all_roles(catalog: &DatabaseCatalog) -> Vec<Vec<Datum>> {
    let authid =
        super::relation_by_name(crate::catalog::database::PG_CATALOG, "pg_authid").and_then(super::table);
    let authid = authid.expect("pg_authid is one of the built-in relations");
    let mut rows = pg_authid(authid, catalog);
    rows.extend(predefined_roles().cloned());
    rows
}

pub(super) fn pg_roles(table: &TableDef, catalog: &DatabaseCatalog) -> Vec<Vec<Datum>> {
    let row = |role: Vec<Datum>| {
        let [
            oid,
            name,
            superuser,
            inherit,
            create_role,
            create_db,
            login,
            replication,
            bypass,
            limit,
            _,
            until,
        ] = <[Datum; 12]>::try_from(role).expect("pg_authid has twelve columns");
        RowBuilder::new(table)
            .col("rolname", name)
            .col("rolsuper", superuser)
            .col("rolinherit", inherit)
            .col("rolcreaterole", create_role)
            .col("rolcreatedb", create_db)
            .col("rolcanlogin", login)
            .col("rolreplication", replication)
            .col("rolconnlimit", limit)
            .col("rolpassword", HIDDEN)
            .col("rolvaliduntil", until)
            .col("rolbypassrls", bypass)
            .col("rolconfig", ())
            .col("oid", oid)
            .finish()
    };
    all_roles(catalog).into_iter().map(row).collect()
}

/// `pg_shadow`, and with hidden passwords `pg_user`: the roles that can log in.
pub(super) fn pg_shadow(table: &TableDef, catalog: &DatabaseCatalog, hide: bool) -> Vec<Vec<Datum>> {
    let row = |role: &RoleRow| {
        RowBuilder::new(table)
            .col("usename", &role.name)
            .col("usesysid", role.oid)
            .col("usecreatedb", role.create_db)
            .col("usesuper", role.superuser)
            .col("userepl", role.replication)
            .col("usebypassrls", role.bypass_rls)
            .col("passwd", if hide { Some(HIDDEN) } else { role.password.as_deref() })
            .col("valuntil", valid_until(role))
            .col("useconfig", ())
            .finish()
    };
    catalog.roles().iter().filter(|role| role.can_login).map(row).collect()
}

/// `pg_group`: the roles that cannot log in.
pub(super) fn pg_group(table: &TableDef, catalog: &DatabaseCatalog) -> Vec<Vec<Datum>> {
    let members = |group: &Datum| {
        let of_group = memberships().filter(|(role, _)| matches!(group, Datum::Oid(group) if group == role));
        array(oids::OID, of_group.map(|(_, member)| member))
    };
    let groups = all_roles(catalog).into_iter().filter(|role| matches!(role[6], Datum::Bool(false)));
    groups
        .map(|role| {
            RowBuilder::new(table)
                .col("groname", role[1].clone())
                .col("grosysid", role[0].clone())
                .col("grolist", members(&role[0]))
                .finish()
        })
        .collect()
}

/// Who belongs to whom among the predefined roles: `pg_monitor` to three others.
fn memberships() -> impl Iterator<Item = (Oid, Oid)> {
    [3374, 3375, 3377].into_iter().map(|role| (Oid(role), Oid(3373)))
}

pub(super) fn pg_auth_members(table: &TableDef) -> Vec<Vec<Datum>> {
    memberships()
        .map(|(role, member)| {
            RowBuilder::new(table)
                .col("roleid", role)
                .col("member", member)
                .col("grantor", crate::catalog::bootstrap::SUPERUSER)
                .col("admin_option", false)
                .finish()
        })
        .collect()
}

pub(super) fn pg_shdescription(table: &TableDef, catalog: &DatabaseCatalog) -> Vec<Vec<Datum>> {
    let row = |(class, object, _, text): (Oid, Oid, i32, &str)| {
        RowBuilder::new(table).col("objoid", object).col("classoid", class).col("description", text).finish()
    };
    catalog.shared_descriptions().map(row).collect()
}

/// The name of a role, predefined ones included.
pub(super) fn role_name(catalog: &DatabaseCatalog, oid: Oid) -> Option<&str> {
    let stored = catalog.roles().iter().find(|role| role.oid == oid).map(|role| role.name.as_str());
    stored.or_else(|| super::predefined_role_name(oid))
}
