//! What authentication asks of the catalog, before a session has a statement.

use super::access;
use super::bootstrap::SUPERUSER_NAME;
use super::stored::{DatabaseNameRow, DatabaseRow, RoleNameRow, RoleRow, Stored};
use crate::SqlResult;
use crate::pgwire::scram::Verifier;
use crate::txn::{Branch, Txn, TxnOptions};
use shardforge_common::random::Random;
use std::sync::Arc;

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

/// Gives the first role the password of the configuration; nothing is written when it has it already.
pub async fn ensure_password(branch: &Arc<Branch>, password: &str, random: &Random) -> SqlResult<()> {
    loop {
        let mut txn = Txn::begin(branch, TxnOptions::default());
        txn.begin_statement().await?;
        // Someone may have dropped or renamed it: then there is nobody to give it to.
        let Some(mut row) = role(&mut txn, SUPERUSER_NAME).await? else { return Ok(()) };
        let wanted = Verifier::of_setting(password, &random.bytes16());
        let stored = row.password.as_deref().map(Verifier::from_text).transpose()?;
        if stored == wanted || stored.is_some_and(|stored| stored.matches(password)) {
            return Ok(());
        }
        row.password = wanted.map(|verifier| verifier.to_text());
        access::update(&mut txn, &row).await?;
        match txn.commit().await {
            Err(error) if error.is_conflict() => {}
            Err(error) => return Err(error.into()),
            Ok(_) => return Ok(()),
        }
    }
}

/// A database by its name.
pub async fn database(txn: &mut Txn, name: &str) -> SqlResult<Option<DatabaseRow>> {
    match access::get::<DatabaseNameRow>(txn, &[name.to_owned().to_datum()]).await? {
        Some(entry) => access::get(txn, &[entry.oid.to_datum()]).await,
        None => Ok(None),
    }
}
