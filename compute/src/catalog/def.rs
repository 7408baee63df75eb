//! Definitions of tables as executors use them: decoded from catalog rows once, then shared.

use crate::sequence::SequenceRules;
use shardforge_common::StorageId;
use shardforge_types::{Datum, Oid, PgType};

/// What stands behind a table's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TableKind {
    /// A user's table.
    Table,
    /// A table of `pg_catalog`: rows in the branch, preceded by rows that are part of the program.
    Catalog,
    /// A view of the program's own, such as those of `information_schema`, computed when read.
    Virtual,
    /// A sequence, read as a table of one row.
    Sequence,
}

/// A table.
#[derive(Debug, Clone, PartialEq)]
pub struct TableDef {
    /// `pg_class.oid`.
    pub oid: Oid,
    /// OID of its schema.
    pub schema: Oid,
    /// Name of its schema.
    pub schema_name: String,
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: TableKind,
    /// Where its rows are.
    pub storage: StorageId,
    /// Raised by each change of the definition; stands in every row.
    pub schema_version: u32,
    /// In order of their permanent numbers (`columns[i].attnum == i + 1`), dropped ones included.
    pub columns: Vec<ColumnDef>,
    /// The primary key. Without one, rows are stored under a hidden 64-bit row id, ascending.
    pub primary_key: Option<IndexDef>,
    /// Secondary indexes, unique ones included.
    pub indexes: Vec<IndexDef>,
    /// CHECK constraints.
    pub checks: Vec<CheckDef>,
    /// `StorageId` of the big values' chunks.
    pub value_storage: StorageId,
}

/// A column.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnDef {
    /// Its permanent number, from 1.
    pub attnum: i16,
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: PgType,
    /// NOT NULL.
    pub not_null: bool,
    /// DEFAULT, as source text.
    pub default: Option<String>,
    /// What rows older than the column have in it: the default as it was evaluated by ADD COLUMN.
    pub missing: Datum,
    /// Dropped: it keeps its number, and nobody sees it.
    pub dropped: bool,
    /// GENERATED AS IDENTITY.
    pub identity: Option<IdentityDef>,
}

/// Where an identity column's values come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdentityDef {
    /// ALWAYS instead of BY DEFAULT.
    pub always: bool,
    /// OID of its sequence.
    pub sequence: Oid,
}

/// A sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SequenceDef {
    /// `pg_class.oid`.
    pub oid: Oid,
    /// OID of its schema.
    pub schema: Oid,
    /// Its name.
    pub name: String,
    /// What it was declared with.
    pub rules: SequenceRules,
    /// OWNED BY.
    pub owner: Option<SequenceOwner>,
}

/// The column that a sequence goes with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SequenceOwner {
    /// The table.
    pub table: Oid,
    /// The column's number.
    pub column: i16,
    /// Whether it is the column's by GENERATED AS IDENTITY.
    pub identity: bool,
}

/// An index, or the order of the table itself.
#[derive(Debug, Clone, PartialEq)]
pub struct IndexDef {
    /// `pg_class.oid` of the index.
    pub oid: Oid,
    /// Its name.
    pub name: String,
    /// Where its entries are; for a primary key the table's own storage.
    pub storage: StorageId,
    /// Whether two rows may not have the same key.
    pub unique: bool,
    /// Whether two nulls are the same key in a unique index.
    pub nulls_not_distinct: bool,
    /// Its columns.
    pub keys: Vec<IndexKey>,
    /// OID of the constraint behind it, if there is one.
    pub constraint: Option<Oid>,
}

/// One column of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexKey {
    /// Position in [`TableDef::columns`].
    pub column: usize,
    /// Descending.
    pub desc: bool,
    /// Nulls before the others.
    pub nulls_first: bool,
}

/// A CHECK constraint.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckDef {
    /// `pg_constraint.oid`.
    pub oid: Oid,
    /// Its name.
    pub name: String,
    /// The expression's source text, over the table's columns.
    pub expression: String,
}

impl TableDef {
    /// The columns that people see, with their positions.
    pub fn visible_columns(&self) -> impl Iterator<Item = (usize, &ColumnDef)> {
        self.columns.iter().enumerate().filter(|(_, column)| !column.dropped)
    }

    /// The position of a column by its name.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.visible_columns().find(|(_, column)| column.name == name).map(|(position, _)| position)
    }
}
