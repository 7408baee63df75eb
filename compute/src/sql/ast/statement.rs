//! Statements.

use super::{Alias, Expr, Ident, Loc, ObjectName, Query, Span, TableRef, Target, TypeName, With};
use crate::sql::bound::{AsOf, SettingStatement, TransactionStatement};

/// A statement.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub(crate) enum Statement {
    Query(Box<Query>),
    /// A query of the past.
    QueryAsOf(Box<Query>, AsOf),
    Insert(Box<Insert>),
    Update(Box<Update>),
    Delete(Box<Delete>),
    Copy(Box<Copy>),
    CreateTable(Box<CreateTable>),
    CreateTableAs(Box<CreateTableAs>),
    CreateSchema {
        name: ObjectName,
        if_not_exists: bool,
    },
    CreateDatabase {
        name: Ident,
        options: Vec<(Ident, Option<String>)>,
    },
    DropTable {
        names: Vec<ObjectName>,
        if_exists: bool,
        cascade: bool,
    },
    DropSchema {
        names: Vec<ObjectName>,
        if_exists: bool,
        cascade: bool,
    },
    DropDatabase {
        name: Ident,
        if_exists: bool,
        force: bool,
    },
    Truncate {
        names: Vec<ObjectName>,
        restart_identity: bool,
        cascade: bool,
    },
    AlterTable {
        name: ObjectName,
        if_exists: bool,
        actions: Vec<AlterAction>,
    },
    CreateIndex(Box<CreateIndex>),
    DropIndex {
        names: Vec<ObjectName>,
        if_exists: bool,
        cascade: bool,
        concurrently: bool,
    },
    RenameIndex {
        name: ObjectName,
        if_exists: bool,
        to: Ident,
    },
    Reindex {
        name: ObjectName,
        table: bool,
        concurrently: bool,
    },
    CreateSequence {
        name: ObjectName,
        if_not_exists: bool,
        options: Vec<SequenceOption>,
    },
    AlterSequence {
        name: ObjectName,
        if_exists: bool,
        action: AlterSequence,
    },
    DropSequence {
        names: Vec<ObjectName>,
        if_exists: bool,
        cascade: bool,
    },
    CreateRole {
        name: Ident,
        options: Vec<RoleOption>,
    },
    AlterRole {
        name: Ident,
        options: Vec<RoleOption>,
    },
    DropRole {
        names: Vec<Ident>,
        if_exists: bool,
    },
    Transaction(TransactionStatement),
    Setting(SettingStatement),
    Explain(Box<Explain>),
    Prepare {
        name: Ident,
        types: Vec<TypeName>,
        statement: Box<Statement>,
        body: Span,
    },
    Execute {
        name: Ident,
        args: Vec<Expr>,
    },
    Deallocate(Option<Ident>),
    /// VACUUM or ANALYZE, with the tables it names.
    Maintain {
        tag: &'static str,
        /// ANALYZE, or VACUUM with that option.
        analyze: bool,
        tables: Vec<ObjectName>,
    },
    Checkpoint,
    Discard(&'static str),
    Lock {
        names: Vec<ObjectName>,
        mode: String,
        nowait: bool,
    },
    /// Not built: its name.
    Unsupported(String),
}

#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub(crate) struct Insert {
    pub with: Option<With>,
    pub table: ObjectName,
    pub alias: Option<Ident>,
    pub columns: Vec<InsertColumn>,
    pub overriding: Option<Overriding>,
    /// `None` is DEFAULT VALUES.
    pub source: Option<Box<Query>>,
    pub on_conflict: Option<OnConflict>,
    pub returning: Vec<Target>,
}

/// OVERRIDING ... VALUE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub(crate) enum Overriding {
    System,
    User,
}

/// One option of a sequence.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SequenceOption {
    pub kind: SequenceOptionKind,
    pub loc: Loc,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum SequenceOptionKind {
    As(TypeName),
    Increment(i64),
    /// `None` is NO MINVALUE.
    Min(Option<i64>),
    /// `None` is NO MAXVALUE.
    Max(Option<i64>),
    Start(i64),
    /// `None` is at START.
    Restart(Option<i64>),
    Cache(i64),
    Cycle(bool),
    /// `table.column`, or NONE.
    OwnedBy(ObjectName),
    /// The name of an identity column's sequence.
    Name(ObjectName),
}

/// What ALTER SEQUENCE does.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum AlterSequence {
    Options(Vec<SequenceOption>),
    Rename(Ident),
    /// Not built: its name.
    Unsupported(&'static str),
}

#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub(crate) struct InsertColumn {
    pub name: Ident,
    /// Fields or subscripts follow.
    pub indirection: bool,
}

#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub(crate) struct OnConflict {
    pub target: Option<ConflictTarget>,
    pub update: Option<(Vec<Assignment>, Option<Expr>)>,
    pub loc: Loc,
}

#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub(crate) enum ConflictTarget {
    Columns { exprs: Vec<Expr>, filter: Option<Expr> },
    Constraint(Ident),
}

/// `a = x`, or `(a, b) = row`.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub(crate) struct Assignment {
    pub columns: Vec<InsertColumn>,
    /// Written with parentheses.
    pub multi: bool,
    pub value: Expr,
}

#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub(crate) struct Update {
    pub with: Option<With>,
    pub table: ObjectName,
    pub alias: Option<Alias>,
    pub assignments: Vec<Assignment>,
    pub from: Vec<TableRef>,
    pub filter: Option<Expr>,
    pub returning: Vec<Target>,
}

#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub(crate) struct Delete {
    pub with: Option<With>,
    pub table: ObjectName,
    pub alias: Option<Alias>,
    pub using: Vec<TableRef>,
    pub filter: Option<Expr>,
    pub returning: Vec<Target>,
}

#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub(crate) struct Copy {
    pub what: CopySource,
    pub from: bool,
    pub place: CopyPlace,
    pub options: Vec<CopyOption>,
    pub filter: Option<Expr>,
}

#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub(crate) enum CopySource {
    Table(ObjectName, Vec<Ident>),
    Query(Box<Query>),
    /// A statement that COPY cannot have yet.
    Other(&'static str),
}

#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub(crate) enum CopyPlace {
    Stdio,
    File,
    Program,
}

#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub(crate) struct CopyOption {
    pub name: Ident,
    pub value: CopyValue,
}

#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub(crate) enum CopyValue {
    None,
    Text(String),
    Star,
    List(Vec<Ident>),
}

#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub(crate) struct CreateTable {
    pub name: ObjectName,
    pub if_not_exists: bool,
    pub columns: Vec<ColumnDef>,
    pub constraints: Vec<TableConstraint>,
    pub options: Vec<StorageOption>,
    /// A clause that is not built, by its name.
    pub unsupported: Option<String>,
}

/// An item of WITH (...).
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub(crate) struct StorageOption {
    pub name: String,
    pub value: Option<String>,
    pub loc: Loc,
}

#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub(crate) struct ColumnDef {
    pub name: Ident,
    pub ty: TypeName,
    pub constraints: Vec<ColumnConstraint>,
    pub collation: Option<ObjectName>,
}

#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub(crate) struct ColumnConstraint {
    pub name: Option<String>,
    pub kind: ConstraintKind,
    pub loc: Loc,
}

#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub(crate) enum ConstraintKind {
    Null,
    NotNull,
    Default {
        expr: Expr,
        span: Span,
    },
    PrimaryKey,
    Unique {
        nulls_not_distinct: bool,
    },
    Check {
        expr: Expr,
        span: Span,
    },
    /// GENERATED AS IDENTITY.
    Identity {
        always: bool,
        options: Vec<SequenceOption>,
    },
    Unsupported(&'static str),
}

#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub(crate) struct TableConstraint {
    pub name: Option<String>,
    pub kind: ConstraintKind,
    pub columns: Vec<Ident>,
    pub loc: Loc,
}

#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub(crate) struct CreateTableAs {
    pub name: ObjectName,
    pub if_not_exists: bool,
    pub columns: Vec<Ident>,
    pub options: Vec<StorageOption>,
    pub query: Box<Query>,
    pub no_data: bool,
    pub unsupported: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub(crate) struct CreateIndex {
    pub name: Option<Ident>,
    pub table: ObjectName,
    pub unique: bool,
    pub concurrently: bool,
    pub if_not_exists: bool,
    pub nulls_not_distinct: bool,
    pub columns: Vec<IndexElement>,
    pub options: Vec<StorageOption>,
    /// USING.
    pub method: Option<Ident>,
    /// Not built: its name.
    pub unsupported: Option<String>,
}

/// One column of CREATE INDEX.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub(crate) struct IndexElement {
    pub column: Ident,
    pub collation: Option<ObjectName>,
    pub class: Option<ObjectName>,
    pub desc: bool,
    pub nulls_first: Option<bool>,
}

#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub(crate) enum AlterAction {
    AddConstraint(TableConstraint),
    DropConstraint {
        name: Ident,
        if_exists: bool,
        cascade: bool,
    },
    RenameConstraint {
        from: Ident,
        to: Ident,
    },
    AddColumn {
        column: ColumnDef,
        if_not_exists: bool,
    },
    DropColumn {
        name: Ident,
        if_exists: bool,
        cascade: bool,
    },
    Rename(Ident),
    RenameColumn {
        from: Ident,
        to: Ident,
    },
    SetNotNull {
        column: Ident,
        not_null: bool,
    },
    SetDefault {
        column: Ident,
        default: Option<(Expr, Span)>,
    },
    SetOptions(Vec<StorageOption>),
    AddIdentity {
        column: Ident,
        always: bool,
        options: Vec<SequenceOption>,
    },
    /// SET GENERATED, SET options, RESTART of an identity column.
    SetIdentity {
        column: Ident,
        always: Option<bool>,
        options: Vec<SequenceOption>,
    },
    DropIdentity {
        column: Ident,
        if_exists: bool,
    },
    Unsupported(String),
}

#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub(crate) struct Explain {
    pub statement: Statement,
    pub options: Vec<(Ident, Option<String>)>,
}

/// One option of CREATE ROLE or ALTER ROLE.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RoleOption {
    pub kind: RoleOptionKind,
    pub loc: Loc,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum RoleOptionKind {
    Flag(RoleFlag, bool),
    ConnectionLimit(i32),
    /// `None` is PASSWORD NULL.
    Password(Option<String>),
    ValidUntil(String),
    /// Not built: its name.
    Unsupported(&'static str),
}

/// What a role may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RoleFlag {
    Superuser,
    CreateDb,
    CreateRole,
    Inherit,
    Login,
    Replication,
    BypassRls,
}
