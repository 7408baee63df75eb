//! Bound statements.

use super::{ColDef, ColId, Cte, Expr, OutputColumn, Query, Rel};
use crate::Notice;
use crate::catalog::{IndexKey, SequenceDef, TableDef};
use crate::sequence::SequenceOptions;
use shardforge_types::{Oid, PgType};
use std::sync::Arc;

/// A statement, with the types of its parameters.
#[derive(Debug, Clone, PartialEq)]
pub struct Bound {
    /// What it does.
    pub statement: BoundStatement,
    /// The type of `$1`, `$2`, ...; decided by the binder, or given by the client.
    pub params: Vec<PgType>,
}

/// What a statement does.
#[derive(Debug, Clone, PartialEq)]
pub enum BoundStatement {
    /// SELECT, VALUES, TABLE.
    Query(Query),
    /// INSERT.
    Insert(Insert),
    /// UPDATE.
    Update(Update),
    /// DELETE.
    Delete(Delete),
    /// COPY.
    Copy(Copy),
    /// A schema change.
    Ddl(Ddl),
    /// BEGIN, COMMIT, SAVEPOINT and their kin.
    Transaction(TransactionStatement),
    /// SET, SHOW, RESET.
    Setting(SettingStatement),
    /// EXPLAIN.
    Explain(Explain),
    /// PREPARE, EXECUTE, DEALLOCATE.
    Prepared(PreparedStatement),
    /// Taken with a notice, because it has no meaning here: VACUUM, ANALYZE, CHECKPOINT.
    Notice {
        /// The command tag.
        tag: &'static str,
        /// The notice's text.
        message: String,
    },
    /// DISCARD ALL and its kin: the session's own state is dropped.
    Discard(&'static str),
    /// LOCK TABLE, kept as what it asks for.
    LockTable {
        /// The tables.
        tables: Vec<Arc<TableDef>>,
        /// The mode, in upper case.
        mode: String,
        /// NOWAIT.
        nowait: bool,
    },
}

/// INSERT: the source's columns are the values of `columns`, defaults and casts included.
#[derive(Debug, Clone, PartialEq)]
pub struct Insert {
    /// The table.
    pub table: Arc<TableDef>,
    /// Makes the rows: one output column for each of `columns`, in order.
    pub source: Query,
    /// Positions in [`TableDef::columns`]: every column of the table that is not dropped.
    pub columns: Vec<usize>,
    /// ON CONFLICT.
    pub on_conflict: Option<OnConflict>,
    /// RETURNING.
    pub returning: Option<Returning>,
}

/// ON CONFLICT.
#[derive(Debug, Clone, PartialEq)]
pub struct OnConflict {
    /// OID of the unique index that is meant; `None` is any.
    pub index: Option<Oid>,
    /// DO UPDATE; `None` is DO NOTHING.
    pub update: Option<OnConflictUpdate>,
}

/// DO UPDATE SET ... WHERE ...
#[derive(Debug, Clone, PartialEq)]
pub struct OnConflictUpdate {
    /// The existing row's columns, as expressions name them, with their positions.
    pub existing: Vec<(ColDef, usize)>,
    /// The row proposed for insertion (EXCLUDED), likewise.
    pub excluded: Vec<(ColDef, usize)>,
    /// Position of the column and its new value.
    pub assignments: Vec<(usize, Expr)>,
    /// WHERE.
    pub predicate: Option<Expr>,
}

/// RETURNING.
#[derive(Debug, Clone, PartialEq)]
pub struct Returning {
    /// The written (for DELETE: the removed) row's columns, as `exprs` name them, with their positions.
    pub cols: Vec<(ColDef, usize)>,
    /// What is returned; the ids in `output` are those of the expressions, in the same order.
    pub exprs: Vec<(ColId, Expr)>,
    /// How the client sees it.
    pub output: Vec<OutputColumn>,
}

/// UPDATE.
#[derive(Debug, Clone, PartialEq)]
pub struct Update {
    /// The table.
    pub table: Arc<TableDef>,
    /// Its alias.
    pub alias: String,
    /// WITH.
    pub ctes: Vec<Cte>,
    /// The old row's columns, as expressions name them, with their positions: all columns.
    pub cols: Vec<(ColDef, usize)>,
    /// FROM: joined with the table on `predicate`.
    pub from: Option<Rel>,
    /// WHERE.
    pub predicate: Option<Expr>,
    /// Position of the column and its new value.
    pub assignments: Vec<(usize, Expr)>,
    /// RETURNING; may use columns of `from` too.
    pub returning: Option<Returning>,
}

/// DELETE.
#[derive(Debug, Clone, PartialEq)]
pub struct Delete {
    /// The table.
    pub table: Arc<TableDef>,
    /// Its alias.
    pub alias: String,
    /// WITH.
    pub ctes: Vec<Cte>,
    /// The row's columns, as expressions name them, with their positions: all columns.
    pub cols: Vec<(ColDef, usize)>,
    /// USING: joined with the table on `predicate`.
    pub using: Option<Rel>,
    /// WHERE.
    pub predicate: Option<Expr>,
    /// RETURNING; may use columns of `using` too.
    pub returning: Option<Returning>,
}

/// COPY, to or from the client.
#[derive(Debug, Clone, PartialEq)]
pub struct Copy {
    /// What is copied.
    pub what: CopyWhat,
    /// Text or CSV, with its options.
    pub format: CopyFormat,
}

/// What COPY copies.
#[derive(Debug, Clone, PartialEq)]
pub enum CopyWhat {
    /// COPY table FROM STDIN.
    From {
        /// The table.
        table: Arc<TableDef>,
        /// Positions of the columns that the data has, in order.
        columns: Vec<usize>,
        /// The default of every other column that has one.
        defaults: Vec<(usize, Expr)>,
        /// WHERE, over `cols`.
        predicate: Option<Expr>,
        /// The row's columns, as `predicate` names them, with their positions.
        cols: Vec<(ColDef, usize)>,
    },
    /// COPY ... TO STDOUT.
    To(Query),
}

/// COPY's format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyFormat {
    /// Binary; nothing else here matters then.
    pub binary: bool,
    /// CSV instead of text.
    pub csv: bool,
    /// One byte.
    pub delimiter: u8,
    /// What stands for null.
    pub null: String,
    /// A first line with the names; MATCH checks them.
    pub header: CopyHeader,
    /// CSV's quote.
    pub quote: u8,
    /// CSV's escape.
    pub escape: u8,
    /// FORCE_QUOTE, as positions in the copied columns.
    pub force_quote: Vec<usize>,
    /// FORCE_NOT_NULL, likewise.
    pub force_not_null: Vec<usize>,
    /// FORCE_NULL, likewise.
    pub force_null: Vec<usize>,
}

/// The header line of COPY.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // the names say it
pub enum CopyHeader {
    Absent,
    Present,
    Match,
}

/// A schema change, names resolved as far as they must exist.
#[derive(Debug, Clone, PartialEq)]
pub enum Ddl {
    /// CREATE DATABASE.
    CreateDatabase {
        /// Its name.
        name: String,
    },
    /// DROP DATABASE.
    DropDatabase {
        /// Its name.
        name: String,
        /// IF EXISTS.
        if_exists: bool,
    },
    /// CREATE SCHEMA.
    CreateSchema {
        /// Its name.
        name: String,
        /// IF NOT EXISTS.
        if_not_exists: bool,
    },
    /// DROP SCHEMA.
    DropSchema {
        /// Their names.
        names: Vec<String>,
        /// IF EXISTS.
        if_exists: bool,
        /// CASCADE.
        cascade: bool,
    },
    /// CREATE TABLE.
    CreateTable(CreateTable),
    /// CREATE TABLE AS: the table, then its rows.
    CreateTableAs {
        /// The table; its columns come from the query.
        table: CreateTable,
        /// The query.
        query: Query,
        /// WITH NO DATA.
        no_data: bool,
    },
    /// DROP TABLE.
    DropTable {
        /// The tables found.
        tables: Vec<Arc<TableDef>>,
        /// Names that IF EXISTS passed over, for the notice.
        missing: Vec<String>,
        /// CASCADE.
        cascade: bool,
    },
    /// TRUNCATE.
    Truncate {
        /// The tables.
        tables: Vec<Arc<TableDef>>,
        /// RESTART IDENTITY.
        restart_identity: bool,
        /// CASCADE.
        cascade: bool,
    },
    /// ALTER TABLE.
    AlterTable {
        /// The table.
        table: Arc<TableDef>,
        /// What changes, in order.
        actions: Vec<AlterTableAction>,
    },
    /// CREATE INDEX.
    CreateIndex(CreateIndex),
    /// DROP INDEX.
    DropIndex {
        /// The names as they stand: schema, name.
        names: Vec<(Option<String>, String)>,
        /// IF EXISTS.
        if_exists: bool,
        /// CONCURRENTLY, which no transaction block may hold.
        concurrently: bool,
    },
    /// ALTER INDEX RENAME.
    RenameIndex {
        /// The schema as it stands, and the name.
        name: (Option<String>, String),
        /// IF EXISTS.
        if_exists: bool,
        /// The new name.
        to: String,
    },
    /// REINDEX INDEX, or of all indexes of a table.
    Reindex {
        /// The schema as it stands, and the name.
        name: (Option<String>, String),
        /// The name is a table's.
        table: bool,
        /// CONCURRENTLY, which no transaction block may hold.
        concurrently: bool,
    },
    /// CREATE SEQUENCE.
    CreateSequence(CreateSequence),
    /// ALTER SEQUENCE.
    AlterSequence {
        /// The sequence.
        sequence: Arc<SequenceDef>,
        /// What changes.
        options: SequenceOptions,
    },
    /// ALTER SEQUENCE RENAME TO.
    RenameSequence {
        /// The sequence.
        sequence: Arc<SequenceDef>,
        /// The new name.
        name: String,
    },
    /// DROP SEQUENCE.
    DropSequence {
        /// The sequences found.
        sequences: Vec<Arc<SequenceDef>>,
        /// Names that IF EXISTS passed over, for the notice.
        missing: Vec<String>,
        /// CASCADE.
        cascade: bool,
    },
    /// CREATE ROLE, CREATE USER.
    CreateRole(RoleOptions),
    /// ALTER ROLE, ALTER USER.
    AlterRole(RoleOptions),
    /// DROP ROLE, DROP USER.
    DropRole {
        /// Their names.
        names: Vec<String>,
        /// IF EXISTS.
        if_exists: bool,
    },
    /// ANALYZE, VACUUM (ANALYZE).
    Analyze {
        /// The command tag.
        tag: &'static str,
        /// The tables; none are all of the database.
        tables: Vec<Arc<TableDef>>,
    },
    /// Left out by IF \[NOT\] EXISTS: the tag, and the notices that say so.
    Nothing {
        /// The command tag.
        tag: &'static str,
        /// What the client is told.
        notices: Vec<Notice>,
    },
}

/// A role with the options that a statement names; `None` leaves one as it is, or at its default.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RoleOptions {
    /// The role's name.
    pub name: String,
    /// SUPERUSER.
    pub superuser: Option<bool>,
    /// CREATEDB.
    pub create_db: Option<bool>,
    /// CREATEROLE.
    pub create_role: Option<bool>,
    /// INHERIT.
    pub inherit: Option<bool>,
    /// LOGIN; CREATE USER means it.
    pub login: Option<bool>,
    /// REPLICATION.
    pub replication: Option<bool>,
    /// BYPASSRLS.
    pub bypass_rls: Option<bool>,
    /// CONNECTION LIMIT.
    pub connection_limit: Option<i32>,
    /// PASSWORD; the inner `None` is PASSWORD NULL.
    pub password: Option<Option<String>>,
    /// VALID UNTIL, microseconds since 2000-01-01 UTC.
    pub valid_until: Option<i64>,
}

/// CREATE TABLE.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateTable {
    /// OID of the schema.
    pub schema: Oid,
    /// The name.
    pub name: String,
    /// The columns.
    pub columns: Vec<NewColumn>,
    /// PRIMARY KEY: name of the constraint, and positions in `columns`.
    pub primary_key: Option<(String, Vec<usize>)>,
    /// UNIQUE constraints, over positions in `columns`.
    pub unique: Vec<NewUnique>,
    /// CHECK constraints: name, source text of the expression.
    pub checks: Vec<(String, String)>,
    /// Notices about options that have no meaning here (fillfactor).
    pub notices: Vec<Notice>,
}

/// A UNIQUE constraint to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewUnique {
    /// The name of the constraint and its index; `None` is made up when it is known what is taken.
    pub name: Option<String>,
    /// Positions of the columns.
    pub columns: Vec<usize>,
    /// NULLS NOT DISTINCT: two nulls are equal.
    pub nulls_not_distinct: bool,
}

/// CREATE INDEX.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateIndex {
    /// The table.
    pub table: Arc<TableDef>,
    /// The name; `None` is made up when it is known what is taken.
    pub name: Option<String>,
    /// UNIQUE.
    pub unique: bool,
    /// NULLS NOT DISTINCT: two nulls are equal.
    pub nulls_not_distinct: bool,
    /// The columns, by positions in [`TableDef::columns`].
    pub keys: Vec<IndexKey>,
    /// IF NOT EXISTS.
    pub if_not_exists: bool,
    /// CONCURRENTLY, which no transaction block may hold.
    pub concurrently: bool,
    /// Notices about options that have no meaning here (fillfactor).
    pub notices: Vec<Notice>,
}

/// CREATE SEQUENCE.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateSequence {
    /// OID of the schema.
    pub schema: Oid,
    /// The name.
    pub name: String,
    /// What it is to be like.
    pub options: SequenceOptions,
}

/// The sequence of a column to be.
#[derive(Debug, Clone, PartialEq)]
pub struct NewSequence {
    /// GENERATED AS IDENTITY, ALWAYS or not; `None` is serial, which is a DEFAULT.
    pub identity: Option<bool>,
    /// Its schema and name; made up when none is given.
    pub name: Option<(Oid, String)>,
    /// What it is to be like.
    pub options: SequenceOptions,
}

/// A column to be.
#[derive(Debug, Clone, PartialEq)]
pub struct NewColumn {
    /// The name.
    pub name: String,
    /// The type.
    pub ty: PgType,
    /// NOT NULL.
    pub not_null: bool,
    /// DEFAULT, as source text that binds to the column's type.
    pub default: Option<String>,
    /// serial, or GENERATED AS IDENTITY.
    pub sequence: Option<NewSequence>,
}

/// One action of ALTER TABLE.
#[derive(Debug, Clone, PartialEq)]
pub enum AlterTableAction {
    /// Left out by IF \[NOT\] EXISTS, or without a meaning here.
    Skipped(Notice),
    /// ADD PRIMARY KEY: name of the constraint, and positions in [`TableDef::columns`].
    AddPrimaryKey {
        /// The constraint's name.
        name: String,
        /// Positions of the key columns.
        columns: Vec<usize>,
    },
    /// ADD UNIQUE.
    AddUnique(NewUnique),
    /// DROP CONSTRAINT.
    DropConstraint {
        /// Its name.
        name: String,
        /// IF EXISTS.
        if_exists: bool,
    },
    /// RENAME CONSTRAINT.
    RenameConstraint {
        /// Its name.
        name: String,
        /// The new name.
        to: String,
    },
    /// ADD COLUMN.
    AddColumn(NewColumn),
    /// DROP COLUMN.
    DropColumn {
        /// Its position.
        column: usize,
    },
    /// RENAME TO.
    Rename {
        /// The new name.
        name: String,
    },
    /// RENAME COLUMN.
    RenameColumn {
        /// Its position.
        column: usize,
        /// The new name.
        name: String,
    },
    /// SET or DROP NOT NULL.
    SetNotNull {
        /// Its position.
        column: usize,
        /// SET.
        not_null: bool,
    },
    /// ADD GENERATED AS IDENTITY.
    AddIdentity {
        /// Its position.
        column: usize,
        /// Its sequence.
        sequence: NewSequence,
    },
    /// SET GENERATED, and options of the identity's sequence.
    SetIdentity {
        /// Its position.
        column: usize,
        /// ALWAYS or BY DEFAULT.
        always: Option<bool>,
        /// What changes of the sequence.
        options: SequenceOptions,
    },
    /// DROP IDENTITY.
    DropIdentity {
        /// Its position.
        column: usize,
    },
    /// SET or DROP DEFAULT.
    SetDefault {
        /// Its position.
        column: usize,
        /// The source text; `None` drops it.
        default: Option<String>,
    },
}

/// BEGIN, COMMIT and their kin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransactionStatement {
    /// BEGIN, START TRANSACTION.
    Begin {
        /// What it says of the transaction.
        modes: TransactionModes,
        /// Whether it was spelled START TRANSACTION: the tag repeats it.
        start: bool,
    },
    /// COMMIT, END; AND CHAIN.
    Commit {
        /// AND CHAIN.
        chain: bool,
    },
    /// ROLLBACK, ABORT; AND CHAIN.
    Rollback {
        /// AND CHAIN.
        chain: bool,
    },
    /// SAVEPOINT.
    Savepoint(String),
    /// RELEASE SAVEPOINT.
    Release(String),
    /// ROLLBACK TO SAVEPOINT.
    RollbackTo(String),
    /// SET TRANSACTION.
    SetTransaction(TransactionModes),
    /// BEGIN ... AS OF.
    BeginAsOf(TransactionModes, AsOf),
    /// SET TRANSACTION AS OF.
    SetAsOf(AsOf),
    /// SET SESSION CHARACTERISTICS AS TRANSACTION.
    SetSession(TransactionModes),
}

/// A point of the branch's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AsOf {
    /// After this commit.
    Lsn(u64),
    /// As it was at a moment: the source text of an expression of type timestamptz.
    Time(String),
}

/// The modes that a statement names; `None` leaves one as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TransactionModes {
    /// ISOLATION LEVEL.
    pub isolation: Option<IsolationLevel>,
    /// READ ONLY.
    pub read_only: Option<bool>,
    /// DEFERRABLE.
    pub deferrable: Option<bool>,
}

/// Isolation levels as PostgreSQL names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // the names say it
pub enum IsolationLevel {
    ReadUncommitted,
    ReadCommitted,
    RepeatableRead,
    Serializable,
}

/// SET, SHOW, RESET.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SettingStatement {
    /// SET \[LOCAL\]; `None` is DEFAULT.
    Set {
        /// The setting, in lower case.
        name: String,
        /// Its new value, as text.
        value: Option<String>,
        /// LOCAL.
        local: bool,
    },
    /// SHOW; `all` is a name.
    Show {
        /// The setting.
        name: String,
    },
    /// RESET; `None` is ALL.
    Reset {
        /// The setting.
        name: Option<String>,
    },
}

/// EXPLAIN.
#[derive(Debug, Clone, PartialEq)]
pub struct Explain {
    /// Of this.
    pub statement: Box<BoundStatement>,
    /// ANALYZE: run it, and tell what happened.
    pub analyze: bool,
    /// VERBOSE.
    pub verbose: bool,
    /// COSTS.
    pub costs: bool,
}

/// SQL's own prepared statements.
#[derive(Debug, Clone, PartialEq)]
pub enum PreparedStatement {
    /// PREPARE name (types) AS text.
    Prepare {
        /// Its name.
        name: String,
        /// The types given.
        params: Vec<PgType>,
        /// The statement's text.
        text: String,
    },
    /// EXECUTE name (expressions).
    Execute {
        /// Its name.
        name: String,
        /// Constant expressions, not yet of the parameters' types.
        args: Vec<Expr>,
    },
    /// DEALLOCATE; `None` is ALL.
    Deallocate(Option<String>),
}
