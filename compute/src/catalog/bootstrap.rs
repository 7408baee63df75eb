//! What a fresh branch is given in its first commit: the counters, the role and the databases that
//! every PostgreSQL has.
//!
//! Any compute that opens a branch calls [`ensure`]. The format row is inserted with a check that it
//! does not exist, so that of two computes one loses, looks again, and finds the work done.

use super::access;
use super::database::PUBLIC;
use super::ids::first_counters;
use super::stored::{
    DatabaseNameRow, DatabaseRow, DescriptionRow, FormatRow, NamespaceNameRow, NamespaceRow, RoleNameRow,
    RoleRow, VersionRow,
};
use crate::txn::{Branch, Txn, TxnOptions};
use crate::{SqlError, SqlResult};
use shardforge_common::random;
use shardforge_types::Oid;
use std::sync::Arc;

/// The version of the stored rows that this program writes, and the only one that it reads. Version 1 had
/// no sequences, no statistics and no NULLS NOT DISTINCT; no release wrote it.
pub const FORMAT: i32 = 2;
/// The role that owns everything at first.
pub const SUPERUSER: Oid = Oid(10);
/// The name of [`SUPERUSER`].
pub const SUPERUSER_NAME: &str = "postgres";
/// The predefined role that owns the schema `public`.
pub const DATABASE_OWNER: Oid = Oid(6171);
/// The database that others are made from.
pub const TEMPLATE1: Oid = Oid(1);
const TEMPLATE0: Oid = Oid(4);
/// The database that clients connect to when they name none.
pub const POSTGRES: Oid = Oid(5);
/// `pg_database`, as a class of commented objects.
const PG_DATABASE: Oid = Oid(1262);
/// `pg_namespace`, likewise.
const PG_NAMESPACE: Oid = Oid(2615);

/// Makes the catalog's first rows, unless they are there. Refuses a catalog of another version.
pub async fn ensure(branch: &Arc<Branch>) -> SqlResult<()> {
    loop {
        let mut txn = Txn::begin(branch, TxnOptions::default());
        txn.begin_statement().await?;
        if let Some(format) = access::get::<FormatRow>(&mut txn, &[]).await? {
            return if format.version == FORMAT {
                Ok(())
            } else {
                Err(SqlError::not_supported(format!(
                    "a catalog of version {} by this program, which reads version {FORMAT},",
                    format.version
                )))
            };
        }
        write_first_rows(&mut txn).await?;
        match txn.commit().await {
            Err(error) if !error.is_conflict() => return Err(error.into()),
            // Committed, or lost to another compute: look again.
            _ => {}
        }
    }
}

async fn write_first_rows(txn: &mut Txn) -> SqlResult<()> {
    access::insert(txn, &FormatRow { version: FORMAT }).await?;
    for counter in first_counters() {
        access::insert(txn, &counter).await?;
    }
    let role = RoleRow {
        oid: SUPERUSER,
        name: SUPERUSER_NAME.to_owned(),
        superuser: true,
        inherit: true,
        create_role: true,
        create_db: true,
        can_login: true,
        replication: true,
        bypass_rls: true,
        connection_limit: -1,
        password: None,
        valid_until: None,
    };
    access::insert(txn, &role).await?;
    access::insert(txn, &RoleNameRow { name: role.name, oid: role.oid }).await?;

    let comments = [
        (TEMPLATE1, "template1", "default template for new databases"),
        (TEMPLATE0, "template0", "unmodifiable empty database"),
        (POSTGRES, SUPERUSER_NAME, "default administrative connection database"),
    ];
    for (oid, name, comment) in comments {
        let template = oid != POSTGRES;
        let database = DatabaseRow {
            oid,
            name: name.to_owned(),
            owner: SUPERUSER,
            is_template: template,
            allow_connections: oid != TEMPLATE0,
            connection_limit: -1,
            acl: template.then(|| vec!["=c/postgres".to_owned(), "postgres=CTc/postgres".to_owned()]),
        };
        write_database(txn, &database).await?;
        write_public_schema(txn, oid).await?;
        let description = DescriptionRow {
            database: Oid::INVALID,
            class: PG_DATABASE,
            object: oid,
            column: 0,
            text: comment.to_owned(),
        };
        access::insert(txn, &description).await?;
    }
    Ok(())
}

/// A database's own rows: its name, and the first version of its schema.
pub(crate) async fn write_database(txn: &mut Txn, database: &DatabaseRow) -> SqlResult<()> {
    access::insert(txn, database).await?;
    access::insert(txn, &DatabaseNameRow { name: database.name.clone(), oid: database.oid }).await?;
    let version = VersionRow { database: database.oid, txn: txn.id(), nonce: random::u64() as i64 };
    access::insert(txn, &version).await
}

/// The schema that every new database has.
pub(crate) async fn write_public_schema(txn: &mut Txn, database: Oid) -> SqlResult<()> {
    let acl = ["pg_database_owner=UC/pg_database_owner", "=U/pg_database_owner"];
    let schema = NamespaceRow {
        database,
        oid: PUBLIC,
        name: "public".to_owned(),
        owner: DATABASE_OWNER,
        acl: Some(acl.map(str::to_owned).to_vec()),
    };
    access::insert(txn, &schema).await?;
    access::insert(txn, &NamespaceNameRow { database, name: schema.name, oid: PUBLIC }).await?;
    let description = DescriptionRow {
        database,
        class: PG_NAMESPACE,
        object: PUBLIC,
        column: 0,
        text: "standard public schema".to_owned(),
    };
    access::insert(txn, &description).await
}
