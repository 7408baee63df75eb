//! CREATE ROLE, ALTER ROLE, DROP ROLE. A password is never kept: what is stored is its SCRAM verifier.

use super::{DdlContext, DdlOutcome, mark_shared_changed};
use crate::catalog::stored::{RoleNameRow, RoleRow, Stored};
use crate::catalog::{DatabaseCatalog, access, roles, system};
use crate::pgwire::scram::Verifier;
use crate::sql::bound::RoleOptions;
use crate::txn::Txn;
use crate::{SqlError, SqlResult};
use shardforge_types::SqlState;

/// CREATE ROLE.
pub(super) async fn create(
    options: &RoleOptions,
    txn: &mut Txn,
    context: DdlContext<'_>,
) -> SqlResult<DdlOutcome> {
    let catalog = require_superuser(txn, context).await?;
    let name = &options.name;
    if name.starts_with("pg_") {
        return Err(SqlError::new(SqlState::RESERVED_NAME, format!("role name \"{name}\" is reserved"))
            .detail("Role names starting with \"pg_\" are reserved."));
    }
    if roles::role(txn, name).await?.is_some() {
        return Err(SqlError::new(SqlState::DUPLICATE_OBJECT, format!("role \"{name}\" already exists")));
    }
    let mut row = RoleRow {
        oid: context.ids.oid().await?,
        name: name.clone(),
        superuser: false,
        inherit: true,
        create_role: false,
        create_db: false,
        can_login: false,
        replication: false,
        bypass_rls: false,
        connection_limit: -1,
        password: None,
        valid_until: None,
    };
    apply(options, &mut row, context);
    access::insert(txn, &row).await?;
    access::insert(txn, &RoleNameRow { name: name.clone(), oid: row.oid }).await?;
    mark_shared_changed(txn, catalog.databases()).await?;
    Ok(DdlOutcome::tag("CREATE ROLE"))
}

/// ALTER ROLE.
pub(super) async fn alter(
    options: &RoleOptions,
    txn: &mut Txn,
    context: DdlContext<'_>,
) -> SqlResult<DdlOutcome> {
    let catalog = require_superuser(txn, context).await?;
    let mut row = roles::role(txn, &options.name).await?.ok_or_else(|| missing(&options.name))?;
    apply(options, &mut row, context);
    access::update(txn, &row).await?;
    mark_shared_changed(txn, catalog.databases()).await?;
    Ok(DdlOutcome::tag("ALTER ROLE"))
}

/// DROP ROLE.
pub(super) async fn drop(
    names: &[String],
    if_exists: bool,
    txn: &mut Txn,
    context: DdlContext<'_>,
) -> SqlResult<DdlOutcome> {
    let mut outcome = DdlOutcome::tag("DROP ROLE");
    let catalog = require_superuser(txn, context).await?;
    for name in names {
        let Some(row) = roles::role(txn, name).await? else {
            if if_exists && system::predefined_role_by_name(name).is_none() {
                outcome.notices.push(format!("role \"{name}\" does not exist, skipping").into());
                continue;
            }
            return Err(missing(name));
        };
        if *name == context.eval.session.user {
            return Err(SqlError::new(SqlState::OBJECT_IN_USE, "current user cannot be dropped"));
        }
        if owns_anything(&row, &catalog) {
            let message = format!("role \"{name}\" cannot be dropped because some objects depend on it");
            return Err(SqlError::new(SqlState::DEPENDENT_OBJECTS_STILL_EXIST, message));
        }
        access::delete::<RoleRow>(txn, &[row.oid.to_datum()]).await?;
        access::delete::<RoleNameRow>(txn, &[row.name.to_datum()]).await?;
    }
    mark_shared_changed(txn, catalog.databases()).await?;
    Ok(outcome)
}

/// Whether a role owns a database, or anything in this one.
fn owns_anything(role: &RoleRow, catalog: &DatabaseCatalog) -> bool {
    catalog.databases().iter().any(|row| row.owner == role.oid)
        || catalog.namespaces().any(|row| row.owner == role.oid)
        || catalog.relations().any(|row| row.owner == role.oid)
}

/// 42501 for anyone else: finer privileges are not built.
async fn require_superuser(
    txn: &mut Txn,
    context: DdlContext<'_>,
) -> SqlResult<std::sync::Arc<DatabaseCatalog>> {
    let catalog = context.load(txn).await?;
    let user = catalog.roles().iter().find(|role| role.oid == context.owner);
    if user.is_none_or(|role| !role.superuser) {
        return Err(SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, "permission denied to change roles"));
    }
    Ok(catalog)
}

fn missing(name: &str) -> SqlError {
    SqlError::new(SqlState::UNDEFINED_OBJECT, format!("role \"{name}\" does not exist"))
}

fn apply(options: &RoleOptions, row: &mut RoleRow, context: DdlContext<'_>) {
    row.superuser = options.superuser.unwrap_or(row.superuser);
    row.inherit = options.inherit.unwrap_or(row.inherit);
    row.create_role = options.create_role.unwrap_or(row.create_role);
    row.create_db = options.create_db.unwrap_or(row.create_db);
    row.can_login = options.login.unwrap_or(row.can_login);
    row.replication = options.replication.unwrap_or(row.replication);
    row.bypass_rls = options.bypass_rls.unwrap_or(row.bypass_rls);
    row.connection_limit = options.connection_limit.unwrap_or(row.connection_limit);
    if let Some(password) = &options.password {
        let salt = context.eval.session.random.bytes16();
        let verifier = password.as_ref().and_then(|text| Verifier::of_setting(text, &salt));
        row.password = verifier.map(|verifier| verifier.to_text());
    }
    row.valid_until = options.valid_until.or(row.valid_until);
}
