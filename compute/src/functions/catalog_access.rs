//! What functions over object OIDs (`regclass`, `pg_get_indexdef`, `pg_table_is_visible`) ask of the
//! catalog. Answers come from memory: a function cannot wait.

use crate::catalog::TableDef;
use crate::statistics::Activity;
use shardforge_types::{Oid, PgType};
use std::sync::Arc;

/// Kinds of rows in `pg_class`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelationKind {
    /// `r`
    Table,
    /// `i`
    Index,
    /// `S`
    Sequence,
    /// `v`
    View,
}

/// A row of `pg_class`, as far as functions need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelationInfo {
    /// Its OID.
    pub oid: Oid,
    /// OID of its schema.
    pub schema: Oid,
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: RelationKind,
}

/// `pg_constraint.contype`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConstraintKind {
    /// `p`
    PrimaryKey,
    /// `u`
    Unique,
    /// `u`, over an index for which two nulls are the same.
    UniqueNullsNotDistinct,
    /// `c`
    Check,
    /// `f`
    ForeignKey,
}

/// A row of `pg_constraint`, as far as functions need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConstraintInfo {
    /// What it is.
    pub kind: ConstraintKind,
    /// The names of its columns, in order; none for CHECK.
    pub columns: Vec<String>,
    /// CHECK's expression, as source text.
    pub expression: Option<String>,
    /// A foreign key's other end: the table's name as it is shown, and its columns.
    pub references: Option<(String, Vec<String>)>,
}

/// Classes of objects that have a name in a schema or a comment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // the names say it
pub enum ObjectClass {
    Relation,
    Type,
    Function,
    Operator,
    OperatorClass,
    OperatorFamily,
    Collation,
    Conversion,
    Schema,
    Role,
    Database,
    Tablespace,
    Constraint,
}

/// The catalog as functions see it, at one snapshot.
pub trait CatalogAccess: Send + Sync {
    /// A table's definition.
    fn table(&self, oid: Oid) -> Option<Arc<TableDef>>;
    /// A relation of any kind.
    fn relation(&self, oid: Oid) -> Option<RelationInfo>;
    /// The OID of a relation: in a schema, or the first on the search path.
    fn find_relation(&self, schema: Option<&str>, name: &str) -> Option<Oid>;
    /// The table that an index belongs to, and the index's place: `None` is the primary key, else the
    /// position in [`TableDef::indexes`].
    fn index(&self, oid: Oid) -> Option<(Arc<TableDef>, Option<usize>)>;
    /// The sequence that goes with a column.
    fn owned_sequence(&self, table: Oid, column: i16) -> Option<Oid>;
    /// A constraint.
    fn constraint(&self, oid: Oid) -> Option<ConstraintInfo>;
    /// The name of an object that is no relation, with its schema's OID when it lives in one.
    fn object_name(&self, class: ObjectClass, oid: Oid) -> Option<(Option<Oid>, String)>;
    /// The OIDs of the objects of a class with this name, in a schema or anywhere.
    fn find_objects(&self, class: ObjectClass, schema: Option<&str>, name: &str) -> Vec<Oid>;
    /// A user's or built-in type's name as SQL writes it; `None` when there is no such type.
    fn type_name(&self, ty: PgType) -> Option<String>;
    /// The comment on an object, or on a column of a relation when `column` is not 0.
    fn comment(&self, catalog: Oid, object: Oid, column: i32) -> Option<String>;
    /// How large a table is by now, and how much of it has changed since it was last analyzed, as far as it is known.
    fn table_activity(&self, table: &TableDef) -> Option<Activity>;
    /// Bytes that a relation takes, its indexes left out, as far as they are known.
    fn relation_size(&self, oid: Oid) -> Option<i64>;
}
