//! The stored tables' rows, field by field.

use super::codec::{Stored, StoredRow};
use bytes::Bytes;
use shardforge_common::{StorageId, TxnId};
use shardforge_types::{Datum, Oid, PgType};

macro_rules! stored_rows {
    ($(
        $(#[$doc:meta])*
        $name:ident = $storage:literal {
            key { $($(#[$key_doc:meta])* $key:ident: $key_ty:ty,)* }
            value { $($(#[$value_doc:meta])* $value:ident: $value_ty:ty,)* }
        }
    )*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name {
            $($(#[$key_doc])* pub $key: $key_ty,)*
            $($(#[$value_doc])* pub $value: $value_ty,)*
        }

        impl StoredRow for $name {
            const STORAGE: StorageId = StorageId($storage);
            const KEY: &'static [PgType] = &[$(<$key_ty as Stored>::TYPE),*];
            const VALUE: &'static [PgType] = &[$(<$value_ty as Stored>::TYPE),*];

            fn key_columns(&self) -> Vec<Datum> {
                vec![$(self.$key.to_datum()),*]
            }

            fn value_columns(&self) -> Vec<Datum> {
                vec![$(self.$value.to_datum()),*]
            }

            fn from_columns(key: &[Datum], value: &[Datum]) -> Option<Self> {
                #[allow(unused_mut, reason = "a table of one row has no key columns")]
                let (mut key, mut value) = (key.iter(), value.iter());
                let row = Self {
                    $($key: Stored::from_datum(key.next()?)?,)*
                    $($value: Stored::from_datum(value.next()?)?,)*
                };
                let _ = (key, value);
                Some(row)
            }
        }
    )*};
}

stored_rows! {
    /// The branch's format: there is one such row in a branch that was bootstrapped.
    FormatRow = 1 {
        key {}
        value {
            /// Of the catalog's rows.
            version: i32,
        }
    }

    /// A counter from which blocks of ids are reserved.
    CounterRow = 2 {
        key {
            /// What it counts.
            name: String,
        }
        value {
            /// The first number that no one has reserved.
            next: i64,
        }
    }

    /// The version of a database's schema: each schema change writes another one.
    VersionRow = 3 {
        key {
            /// The database.
            database: Oid,
        }
        value {
            /// The transaction that changed the schema last.
            txn: TxnId,
            /// Another one for each change.
            nonce: i64,
        }
    }

    /// A database.
    DatabaseRow = 4 {
        key {
            /// Its OID.
            oid: Oid,
        }
        value {
            /// Its name.
            name: String,
            /// Its owner.
            owner: Oid,
            /// Whether anyone may copy it.
            is_template: bool,
            /// Whether one can connect to it.
            allow_connections: bool,
            /// -1 for none.
            connection_limit: i32,
            /// Access privileges, as PostgreSQL writes them.
            acl: Option<Vec<String>>,
        }
    }

    /// The database of a name.
    DatabaseNameRow = 5 {
        key {
            /// The name.
            name: String,
        }
        value {
            /// Whose it is.
            oid: Oid,
        }
    }

    /// A role.
    RoleRow = 6 {
        key {
            /// Its OID.
            oid: Oid,
        }
        value {
            /// Its name.
            name: String,
            /// SUPERUSER.
            superuser: bool,
            /// INHERIT.
            inherit: bool,
            /// CREATEROLE.
            create_role: bool,
            /// CREATEDB.
            create_db: bool,
            /// LOGIN.
            can_login: bool,
            /// REPLICATION.
            replication: bool,
            /// BYPASSRLS.
            bypass_rls: bool,
            /// CONNECTION LIMIT; -1 for none.
            connection_limit: i32,
            /// The SCRAM-SHA-256 verifier, in PostgreSQL's form; never a password.
            password: Option<String>,
            /// VALID UNTIL, microseconds since 2000-01-01 UTC.
            valid_until: Option<i64>,
        }
    }

    /// The role of a name.
    RoleNameRow = 7 {
        key {
            /// The name.
            name: String,
        }
        value {
            /// Whose it is.
            oid: Oid,
        }
    }

    /// A schema.
    NamespaceRow = 8 {
        key {
            /// Its database.
            database: Oid,
            /// Its OID.
            oid: Oid,
        }
        value {
            /// Its name.
            name: String,
            /// Its owner.
            owner: Oid,
            /// Access privileges, as PostgreSQL writes them.
            acl: Option<Vec<String>>,
        }
    }

    /// The schema of a name.
    NamespaceNameRow = 9 {
        key {
            /// Its database.
            database: Oid,
            /// The name.
            name: String,
        }
        value {
            /// Whose it is.
            oid: Oid,
        }
    }

    /// A table or an index.
    RelationRow = 10 {
        key {
            /// Its database.
            database: Oid,
            /// Its OID.
            oid: Oid,
        }
        value {
            /// Its name.
            name: String,
            /// Its schema.
            namespace: Oid,
            /// `pg_class.relkind`: `r`, `i` or `S`.
            kind: u8,
            /// Its owner.
            owner: Oid,
            /// Its row type; 0 for an index or a sequence.
            row_type: Oid,
            /// Where its rows are; 0 for the index of a primary key, which is the table itself.
            storage: StorageId,
            /// Where its big values are; 0 for an index.
            value_storage: StorageId,
            /// Raised by each change of the definition.
            schema_version: i32,
        }
    }

    /// The relation of a name.
    RelationNameRow = 11 {
        key {
            /// Its database.
            database: Oid,
            /// Its schema.
            namespace: Oid,
            /// The name.
            name: String,
        }
        value {
            /// Whose it is.
            oid: Oid,
        }
    }

    /// A column of a table; dropped ones too.
    ColumnRow = 12 {
        key {
            /// Its database.
            database: Oid,
            /// Its table.
            relation: Oid,
            /// Its permanent number, from 1.
            number: i16,
        }
        value {
            /// Its name.
            name: String,
            /// Its type; kept when it is dropped, because old rows hold values of it.
            type_oid: Oid,
            /// Its type's modifier.
            typmod: i32,
            /// NOT NULL.
            not_null: bool,
            /// OID of its row in `pg_attrdef`; 0 without a default.
            default_oid: Oid,
            /// DEFAULT, as source text.
            default: Option<String>,
            /// What rows older than the column have in it, as the body of a row's value.
            missing: Option<Bytes>,
            /// Whether it is dropped.
            dropped: bool,
            /// `pg_attribute.attidentity`: `a` for GENERATED ALWAYS AS IDENTITY, `d` for BY DEFAULT.
            identity: Option<u8>,
        }
    }

    /// A constraint.
    ConstraintRow = 13 {
        key {
            /// Its database.
            database: Oid,
            /// Its OID.
            oid: Oid,
        }
        value {
            /// Its name.
            name: String,
            /// Its schema.
            namespace: Oid,
            /// `pg_constraint.contype`: `p`, `u`, `c`.
            kind: u8,
            /// Its table.
            relation: Oid,
            /// The index behind it; 0 for CHECK.
            index: Oid,
            /// Numbers of its columns.
            columns: Option<Vec<i16>>,
            /// CHECK's expression, as source text.
            expression: Option<String>,
        }
    }

    /// What an index is, beside a relation.
    IndexRow = 14 {
        key {
            /// Its database.
            database: Oid,
            /// Its OID.
            oid: Oid,
        }
        value {
            /// Its table.
            table: Oid,
            /// Whether two rows may not have the same key.
            unique: bool,
            /// Whether it is the primary key's.
            primary: bool,
            /// Numbers of its columns.
            columns: Vec<i16>,
            /// Of each column: 1 for descending, 2 for nulls first.
            options: Vec<i16>,
            /// Whether two nulls are the same key; absent is no.
            nulls_not_distinct: Option<bool>,
        }
    }

    /// A type that is not built in: a table's row type, or an array of one.
    TypeRow = 15 {
        key {
            /// Its database.
            database: Oid,
            /// Its OID.
            oid: Oid,
        }
        value {
            /// Its name.
            name: String,
            /// Its schema.
            namespace: Oid,
            /// Its owner.
            owner: Oid,
            /// `pg_type.typtype`: `c` for a row type, `b` for an array.
            kind: u8,
            /// The table whose rows it describes; 0 for an array.
            relation: Oid,
            /// The type of the elements; 0 for a row type.
            element: Oid,
            /// The type of arrays of it; 0 for an array.
            array: Oid,
        }
    }

    /// The type of a name.
    TypeNameRow = 16 {
        key {
            /// Its database.
            database: Oid,
            /// Its schema.
            namespace: Oid,
            /// The name.
            name: String,
        }
        value {
            /// Whose it is.
            oid: Oid,
        }
    }

    /// A comment.
    DescriptionRow = 17 {
        key {
            /// The database.
            database: Oid,
            /// OID of the catalog that the object is in.
            class: Oid,
            /// The object.
            object: Oid,
            /// The column's number; 0 for the whole object.
            column: i32,
        }
        value {
            /// The comment.
            text: String,
        }
    }

    /// What a sequence is, beside a relation.
    SequenceRow = 18 {
        key {
            /// Its database.
            database: Oid,
            /// Its OID.
            oid: Oid,
        }
        value {
            /// AS: the type whose range it has.
            type_oid: Oid,
            /// START.
            start: i64,
            /// INCREMENT.
            increment: i64,
            /// MINVALUE.
            min: i64,
            /// MAXVALUE.
            max: i64,
            /// CACHE.
            cache: i64,
            /// CYCLE.
            cycle: bool,
            /// OWNED BY: the table; 0 for none.
            owner_table: Oid,
            /// OWNED BY: the column's number; 0 for none.
            owner_column: i16,
            /// `pg_depend.deptype` of the ownership: `a`, or `i` when it is an identity column's.
            owner_kind: u8,
        }
    }

    /// How far a sequence has been reserved. Written outside of transactions, so it belongs to no version
    /// of the schema.
    PositionRow = 19 {
        key {
            /// Its database.
            database: Oid,
            /// The sequence.
            sequence: Oid,
        }
        value {
            /// Raised when the position is set: blocks of another version are void.
            version: i64,
            /// The last number reserved; the next one when `called` is false.
            last: i64,
            /// Whether `last` has been reserved.
            called: bool,
        }
    }

    /// What ANALYZE found of a table.
    TableStatisticRow = 30 {
        key {
            /// The database.
            database: Oid,
            /// The table.
            relation: Oid,
        }
        value {
            /// Its rows.
            rows: i64,
            /// Its pages.
            pages: i64,
            /// When ANALYZE was last run by hand, in microseconds since 1970.
            analyzed_at: Option<i64>,
            /// How often it was.
            analyzed: Option<i64>,
            /// When it was last run by the background.
            autoanalyzed_at: Option<i64>,
            /// How often it was.
            autoanalyzed: Option<i64>,
        }
    }

    /// What ANALYZE found of a column.
    ColumnStatisticRow = 31 {
        key {
            /// The database.
            database: Oid,
            /// The table.
            relation: Oid,
            /// The column's number.
            number: i16,
        }
        value {
            /// Of a million values, how many are null.
            null_millionths: i32,
            /// Average bytes of a value.
            width: i32,
            /// Different values.
            distinct: i64,
            /// The least one's body.
            least: Option<Bytes>,
            /// The greatest one's body.
            greatest: Option<Bytes>,
        }
    }
}

impl IndexRow {
    /// The bit of an option: descending.
    pub const DESC: i16 = 1;
    /// The bit of an option: nulls first.
    pub const NULLS_FIRST: i16 = 2;
}
