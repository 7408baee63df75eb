//! Types by oid: the numbers, what is fixed about each built-in type, and how a type is written in SQL.

mod format;
pub mod oids;
mod table;

pub(crate) use format::{INTERVAL_FULL_PRECISION, INTERVAL_FULL_RANGE};
pub use format::{format_type, parse_type_name, type_name};

use std::fmt;
use std::sync::LazyLock;

/// The number by which PostgreSQL's catalogs name things. Zero is no object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Oid(pub u32);

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What is fixed about a built-in type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TypeInfo {
    /// Its oid.
    pub oid: Oid,
    /// Its name in `pg_type`.
    pub name: &'static str,
    /// Its name in SQL, as `format_type` gives it without a modifier.
    pub sql_name: &'static str,
    /// The type of arrays of it, or zero.
    pub array: Oid,
    /// What subscripting a value gives (arrays, vectors, `name` and points), or zero.
    pub element: Oid,
    /// `typlen`: bytes of a fixed type, -1 for variable ones, -2 for C strings.
    pub len: i16,
    /// `typcategory`.
    pub category: u8,
}

impl Oid {
    /// No object.
    pub const INVALID: Oid = Oid(0);

    /// What is fixed about the type, when it is built in and no array.
    pub fn type_info(self) -> Option<TypeInfo> {
        let index = table::TYPES.binary_search_by_key(&self, |row| row.0).ok()?;
        Some(table::row_info(&table::TYPES[index]))
    }

    /// The type of arrays of this type.
    pub fn array_type(self) -> Option<Oid> {
        if self == oids::RECORD {
            return Some(oids::RECORD_ARRAY);
        }
        self.type_info().map(|info| info.array).filter(|array| *array != Oid::INVALID)
    }

    /// The type of the elements, when this is the type of arrays (`int2vector` and `oidvector` are not).
    pub fn element_type(self) -> Option<Oid> {
        static ARRAYS: LazyLock<Vec<(Oid, Oid)>> = LazyLock::new(|| {
            let arrays = table::TYPES.iter().filter(|row| row.3 != Oid::INVALID).map(|row| (row.3, row.0));
            let mut arrays: Vec<_> = arrays.chain([(oids::RECORD_ARRAY, oids::RECORD)]).collect();
            arrays.sort();
            arrays
        });
        let index = ARRAYS.binary_search_by_key(&self, |pair| pair.0).ok()?;
        Some(ARRAYS[index].1)
    }

    /// Whether values of the type are numbers of objects: `oid`, the `reg` types, `xid`, `cid`.
    pub fn is_oid_like(self) -> bool {
        matches!(
            self,
            oids::OID
                | oids::XID
                | oids::CID
                | oids::REGPROC
                | oids::REGPROCEDURE
                | oids::REGOPER
                | oids::REGOPERATOR
                | oids::REGCLASS
                | oids::REGTYPE
                | oids::REGCONFIG
                | oids::REGDICTIONARY
                | oids::REGNAMESPACE
                | oids::REGROLE
                | oids::REGCOLLATION
        )
    }

    /// Whether values of the type are strings: [`crate::Datum::Text`].
    pub fn is_text_like(self) -> bool {
        matches!(
            self,
            oids::TEXT
                | oids::VARCHAR
                | oids::BPCHAR
                | oids::NAME
                | oids::UNKNOWN
                | oids::CSTRING
                | oids::JSON
                | oids::PG_NODE_TREE
        )
    }

    /// Every built-in type that is not an array.
    pub fn built_in() -> impl Iterator<Item = TypeInfo> {
        table::TYPES.iter().map(table::row_info)
    }
}

/// A type with its modifier: `numeric(10,2)` is the oid of `numeric` and the modifier of `(10,2)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PgType {
    /// The type.
    pub oid: Oid,
    /// Its modifier; -1 for none.
    pub typmod: i32,
}

/// What PostgreSQL adds to each length and precision in a modifier: the size of a value's header.
pub const VARHDRSZ: i32 = 4;

impl PgType {
    /// `boolean`.
    pub const BOOL: PgType = PgType::new(oids::BOOL);
    /// `smallint`.
    pub const INT2: PgType = PgType::new(oids::INT2);
    /// `integer`.
    pub const INT4: PgType = PgType::new(oids::INT4);
    /// `bigint`.
    pub const INT8: PgType = PgType::new(oids::INT8);
    /// `text`.
    pub const TEXT: PgType = PgType::new(oids::TEXT);
    /// `numeric` of any precision.
    pub const NUMERIC: PgType = PgType::new(oids::NUMERIC);
    /// `double precision`.
    pub const FLOAT8: PgType = PgType::new(oids::FLOAT8);
    /// `unknown`: a literal whose type is not decided.
    pub const UNKNOWN: PgType = PgType::new(oids::UNKNOWN);

    /// A type without a modifier.
    pub const fn new(oid: Oid) -> Self {
        Self { oid, typmod: -1 }
    }

    /// A type with a modifier as the catalogs store it.
    pub const fn with_typmod(oid: Oid, typmod: i32) -> Self {
        Self { oid, typmod }
    }

    /// `numeric(precision, scale)`; the scale may be negative.
    pub const fn numeric(precision: i32, scale: i32) -> Self {
        Self { oid: oids::NUMERIC, typmod: ((precision << 16) | (scale & 0x7ff)) + VARHDRSZ }
    }

    /// `varchar(n)`, in characters.
    pub const fn varchar(n: i32) -> Self {
        Self { oid: oids::VARCHAR, typmod: n + VARHDRSZ }
    }

    /// `char(n)`, in characters.
    pub const fn bpchar(n: i32) -> Self {
        Self { oid: oids::BPCHAR, typmod: n + VARHDRSZ }
    }

    /// Precision and scale of a `numeric` that has them.
    pub const fn numeric_precision_scale(self) -> Option<(i32, i32)> {
        if self.typmod < VARHDRSZ {
            return None;
        }
        let packed = self.typmod - VARHDRSZ;
        Some(((packed >> 16) & 0xffff, ((packed & 0x7ff) ^ 1024) - 1024))
    }

    /// The length of a `varchar` or `char` that has one, in characters.
    pub const fn char_len(self) -> Option<i32> {
        if self.typmod < VARHDRSZ { None } else { Some(self.typmod - VARHDRSZ) }
    }

    /// The element type of an array type, under the array's modifier.
    pub fn element(self) -> Option<PgType> {
        self.oid.element_type().map(|oid| PgType { oid, typmod: self.typmod })
    }
}

impl fmt::Display for PgType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format_type(self.oid, self.typmod))
    }
}
