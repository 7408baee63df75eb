//! What authentication asks of the catalog, before a session has a statement.

use super::access;
use super::stored::{DatabaseNameRow, DatabaseRow, RoleNameRow, RoleRow, Stored};
use crate::SqlResult;
use crate::txn::Txn;

/// A role by its name.
pub async fn role(txn: &mut Txn, name: &str) -> SqlResult<Option<RoleRow>> {
    match access::get::<RoleNameRow>(txn, &[name.to_owned().to_datum()]).await? {
        Some(entry) => access::get(txn, &[entry.oid.to_datum()]).await,
        None => Ok(None),
    }
}

/// The SCRAM-SHA-256 verifier of a role that may log in, in PostgreSQL's form; `None` when there is no
/// such role, or it has no password.
pub async fn verifier(txn: &mut Txn, name: &str) -> SqlResult<Option<String>> {
    Ok(role(txn, name).await?.filter(|role| role.can_login).and_then(|role| role.password))
}

/// A database by its name.
pub async fn database(txn: &mut Txn, name: &str) -> SqlResult<Option<DatabaseRow>> {
    match access::get::<DatabaseNameRow>(txn, &[name.to_owned().to_datum()]).await? {
        Some(entry) => access::get(txn, &[entry.oid.to_datum()]).await,
        None => Ok(None),
    }
}
