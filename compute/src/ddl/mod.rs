//! Schema changes: rows of the catalog, written in the session's own transaction.
//!
//! A bound [`Ddl`] becomes inserts, updates and deletes of stored rows ([`crate::catalog::stored`]) through
//! the transaction like any others, so ROLLBACK undoes it, branches and `AS OF` cover it, and it becomes
//! visible with the commit. A table that is changed is locked first: its writers in this compute have ended
//! by then, and new ones wait; those of other computes are found at COMMIT.
//!
//! # What a change writes, and what it checks
//!
//! 1. The rows of the objects themselves. A new name is an insert of its key in a `_name` table, so that
//!    of two transactions that take the same name one fails.
//! 2. The relation row of each changed table. Every transaction that used the table checks it (C2).
//! 3. The version row of the database, unchecked, with a value nobody else has: it tells caches that
//!    there is another catalog.
//! 4. What the change relies on is checked at COMMIT: that the schema still exists, that nobody made
//!    something in a schema that is dropped, that nobody wrote a table that was read whole.
//!
//! # Invariants
//!
//! 1. Storage that a change makes has an id nobody had before, and is marked as made by this
//!    transaction. Storage that it abandons is removed by a DeleteRange (H4).
//! 2. A definition that changes raises its table's schema version.
//!
//! What is not built is refused with 0A000: privileges on objects, DROP TABLE CASCADE of a table whose row
//! type is used, indexes over expressions or a part of the rows.

mod alter_table;
mod analyze;
mod columns;
mod create_table;
mod database;
mod drop_table;
mod fill;
mod index;
mod index_build;
mod names;
mod rewrite;
mod role;
mod schema;
mod sequence;
#[cfg(test)]
mod tests;
mod truncate;

pub(crate) use analyze::{Look, keep_statistics};

use crate::catalog::stored::{DatabaseRow, VersionRow};
use crate::catalog::{
    CatalogCache, DatabaseCatalog, IdAllocator, SessionCatalog, TableDef, access, change_table,
};
use crate::functions::EvalContext;
use crate::sequence::SequenceBlocks;
use crate::sql::bound::{Ddl, Insert};
use crate::statistics::TableActivity;
use crate::txn::{LockWait, Txn};
use crate::{Notice, SqlError, SqlResult};
use shardforge_common::mutation::Aspects;
use shardforge_common::random;
use shardforge_types::{Oid, SqlState};
use std::sync::Arc;

/// What a schema change is told beside its statement.
#[derive(Clone, Copy)]
pub struct DdlContext<'a> {
    /// The branch's catalogs.
    pub cache: &'a CatalogCache,
    /// The branch's ids.
    pub ids: &'a IdAllocator,
    /// The catalog that the statement was bound with.
    pub catalog: &'a SessionCatalog,
    /// What functions in defaults may ask of the session.
    pub eval: &'a EvalContext,
    /// What happens to the branch's tables.
    pub activity: &'a TableActivity,
    /// The compute's blocks of the branch's sequences.
    pub sequences: &'a SequenceBlocks,
    /// The role that will own what is made.
    pub owner: Oid,
    /// How long another transaction's lock on a table is waited for.
    pub lock_wait: LockWait,
    /// Whether a transaction block is open.
    pub in_transaction_block: bool,
}

/// What a schema change answers.
#[derive(Debug, Default)]
pub struct DdlOutcome {
    /// The command tag, for CREATE TABLE AS with rows replaced by that of the insert.
    pub tag: &'static str,
    /// What the client is told.
    pub notices: Vec<Notice>,
    /// CREATE TABLE AS: to be run next in the same transaction.
    pub insert: Option<Box<Insert>>,
}

impl DdlOutcome {
    fn tag(tag: &'static str) -> Self {
        Self { tag, ..Self::default() }
    }
}

/// Carries a schema change out, up to what COMMIT does.
pub async fn execute(ddl: &Ddl, txn: &mut Txn, context: DdlContext<'_>) -> SqlResult<DdlOutcome> {
    match ddl {
        Ddl::CreateDatabase { name } => database::create(name, txn, context).await,
        Ddl::DropDatabase { name, if_exists } => database::drop(name, *if_exists, txn, context).await,
        Ddl::CreateSchema { name, if_not_exists } => schema::create(name, *if_not_exists, txn, context).await,
        Ddl::DropSchema { names, if_exists, cascade } => {
            schema::drop(names, *if_exists, *cascade, txn, context).await
        }
        Ddl::CreateTable(table) => create_table::create(table, txn, context).await,
        Ddl::CreateTableAs { table, query, no_data } => {
            create_table::create_as(table, query, *no_data, txn, context).await
        }
        Ddl::DropTable { tables, missing, cascade } => {
            drop_table::drop(tables, missing, *cascade, txn, context).await
        }
        Ddl::Truncate { tables, restart_identity, .. } => {
            truncate::truncate(tables, *restart_identity, txn, context).await
        }
        Ddl::AlterTable { table, actions } => alter_table::alter(table, actions, txn, context).await,
        Ddl::CreateIndex(index) => index::create(index, txn, context).await,
        Ddl::DropIndex { names, if_exists, concurrently } => {
            index::drop(names, *if_exists, *concurrently, txn, context).await
        }
        Ddl::RenameIndex { name, if_exists, to } => index::rename(name, *if_exists, to, txn, context).await,
        Ddl::Reindex { name, table, concurrently } => {
            index::reindex(name, *table, *concurrently, txn, context).await
        }
        Ddl::CreateSequence(new) => sequence::create(new, txn, context).await,
        Ddl::AlterSequence { sequence, options } => sequence::alter(sequence, options, txn, context).await,
        Ddl::RenameSequence { sequence, name } => sequence::rename(sequence, name, txn, context).await,
        Ddl::DropSequence { sequences, missing, cascade } => {
            sequence::drop(sequences, missing, *cascade, txn, context).await
        }
        Ddl::CreateRole(options) => role::create(options, txn, context).await,
        Ddl::AlterRole(options) => role::alter(options, txn, context).await,
        Ddl::DropRole { names, if_exists } => role::drop(names, *if_exists, txn, context).await,
        Ddl::Analyze { tag, tables } => analyze::analyze(tag, tables, txn, context).await,
        Ddl::Nothing { tag, notices } => {
            Ok(DdlOutcome { tag, notices: notices.clone(), ..DdlOutcome::default() })
        }
    }
}

impl DdlContext<'_> {
    fn database(&self) -> Oid {
        self.catalog.database_catalog().database()
    }

    /// The catalog as the transaction sees it now, its own changes included.
    async fn load(&self, txn: &mut Txn) -> SqlResult<Arc<DatabaseCatalog>> {
        self.cache.load(txn, self.database()).await
    }

    /// Has a table for itself. A definition that another transaction changed since the statement was bound
    /// is a conflict: the statement is to be bound again.
    async fn lock(&self, table: &TableDef, txn: &mut Txn) -> SqlResult<()> {
        let database = self.database();
        change_table(txn, database, table.oid, self.lock_wait).await?;
        let catalog = self.load(txn).await?;
        match catalog.table(table.oid) {
            Some(now) if now.schema_version == table.schema_version => Ok(()),
            // Dropped, or changed: by this transaction itself only if the statement saw it.
            _ => Err(SqlError::new(
                SqlState::T_R_SERIALIZATION_FAILURE,
                format!("table \"{}\" was changed by another transaction", table.name),
            )
            .hint("The transaction might succeed if retried.")),
        }
    }

    /// Says that the schema of this database changed.
    async fn changed(&self, txn: &mut Txn) -> SqlResult<()> {
        mark_changed(txn, self.database()).await
    }
}

async fn mark_changed(txn: &mut Txn, database: Oid) -> SqlResult<()> {
    let version = VersionRow { database, txn: txn.id(), nonce: random::u64() as i64 };
    access::put_unchecked(txn, &version).await
}

/// Says that what all databases share changed, and demands that no database is made meanwhile: its
/// catalog would not notice.
async fn mark_shared_changed(txn: &mut Txn, databases: &[DatabaseRow]) -> SqlResult<()> {
    let (start, end) = crate::catalog::stored::prefix_range::<DatabaseRow>(&[]);
    txn.check_range(start, end, Aspects::EXISTENCE);
    for database in databases {
        mark_changed(txn, database.oid).await?;
    }
    Ok(())
}

/// 25001 inside a transaction block.
fn forbid_in_block(context: DdlContext<'_>, statement: &str) -> SqlResult<()> {
    if context.in_transaction_block {
        let message = format!("{statement} cannot run inside a transaction block");
        return Err(SqlError::new(SqlState::ACTIVE_SQL_TRANSACTION, message));
    }
    Ok(())
}
