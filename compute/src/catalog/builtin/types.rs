//! `pg_type`.

use super::rows;
use shardforge_types::{Oid, PgType};
use std::collections::HashMap;
use std::sync::LazyLock;

/// A built-in type.
#[derive(Debug, Clone, Copy)]
pub struct TypeEntry {
    /// `oid`.
    pub oid: Oid,
    /// `typname`.
    pub name: &'static str,
    /// `typnamespace`.
    pub namespace: Oid,
    /// `typlen`.
    pub len: i16,
    /// `typtype`: `b`ase, `c`omposite, `d`omain, `p`seudo, `r`ange, `m`ultirange.
    pub kind: u8,
    /// `typcategory`.
    pub category: u8,
    /// `typispreferred`.
    pub preferred: bool,
    /// `typrelid`.
    pub relation: Oid,
    /// `typelem`.
    pub element: Oid,
    /// `typarray`.
    pub array: Oid,
    /// Whether values are arrays proper: `typsubscript` is `array_subscript_handler`, of variable length.
    pub is_array: bool,
    /// `typinput`.
    pub input: Oid,
    /// `typoutput`.
    pub output: Oid,
    /// `typmodin`: zero for types without modifiers.
    pub modifier_input: Oid,
    /// `typcollation`: zero for types that have no collation.
    pub collation: Oid,
    /// `typbasetype`, of a domain.
    pub base: Oid,
    /// `typtypmod`, of a domain.
    pub typmod: i32,
}

struct Types {
    entries: Vec<TypeEntry>,
    by_oid: HashMap<Oid, usize>,
    by_name: HashMap<(Oid, &'static str), usize>,
}

/// `pg_proc.oid` of `array_subscript_handler`.
const ARRAY_SUBSCRIPT_HANDLER: &str = "6179";

static TYPES: LazyLock<Types> = LazyLock::new(|| {
    let catalog = rows("pg_type").expect("pg_type is one of the files");
    let columns = [
        "oid",
        "typname",
        "typnamespace",
        "typlen",
        "typtype",
        "typcategory",
        "typispreferred",
        "typrelid",
        "typelem",
        "typarray",
        "typsubscript",
        "typinput",
        "typoutput",
        "typmodin",
        "typcollation",
        "typbasetype",
        "typtypmod",
    ];
    let entries: Vec<TypeEntry> = catalog
        .raw(columns)
        .map(|f| TypeEntry {
            oid: oid(f[0]),
            name: f[1],
            namespace: oid(f[2]),
            len: number(f[3]),
            kind: f[4].as_bytes()[0],
            category: f[5].as_bytes()[0],
            preferred: f[6] == "t",
            relation: oid(f[7]),
            element: oid(f[8]),
            array: oid(f[9]),
            is_array: f[10] == ARRAY_SUBSCRIPT_HANDLER && f[3] == "-1",
            input: oid(f[11]),
            output: oid(f[12]),
            modifier_input: oid(f[13]),
            collation: oid(f[14]),
            base: oid(f[15]),
            typmod: number(f[16]),
        })
        .collect();
    let by_oid = entries.iter().enumerate().map(|(place, entry)| (entry.oid, place)).collect();
    let by_name =
        entries.iter().enumerate().map(|(place, entry)| ((entry.namespace, entry.name), place)).collect();
    Types { entries, by_oid, by_name }
});

/// All built-in types, by OID.
pub fn types() -> &'static [TypeEntry] {
    &TYPES.entries
}

/// A type by its OID.
pub fn type_by_oid(oid: Oid) -> Option<&'static TypeEntry> {
    TYPES.by_oid.get(&oid).map(|place| &TYPES.entries[*place])
}

/// A type by the OID of its schema and its name in `pg_type`.
pub fn type_by_name(namespace: Oid, name: &str) -> Option<&'static TypeEntry> {
    TYPES.by_name.get(&(namespace, name)).map(|place| &TYPES.entries[*place])
}

/// The type that a domain stands for; any other type is its own.
pub fn base_type(mut oid: Oid) -> Oid {
    while let Some(entry) = type_by_oid(oid).filter(|entry| entry.kind == b'd') {
        oid = entry.base;
    }
    oid
}

/// The type that a domain stands for, with the modifier the domain gives it; any other type is its own.
pub fn domain_base(mut ty: PgType) -> PgType {
    while let Some(entry) = type_by_oid(ty.oid).filter(|entry| entry.kind == b'd') {
        ty = PgType::with_typmod(entry.base, entry.typmod);
    }
    ty
}

pub(super) fn oid(field: &str) -> Oid {
    Oid(number(field))
}

pub(super) fn number<T: std::str::FromStr>(field: &str) -> T {
    field.parse().ok().expect("the files hold numbers where the catalogs do")
}

/// The numbers of an array or a vector: `{1,2}` or `1 2`.
pub(super) fn oids(field: &str) -> Box<[Oid]> {
    let inner = field.trim_start_matches('{').trim_end_matches('}');
    inner.split([',', ' ']).filter(|part| !part.is_empty()).map(oid).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_by_number_and_name() {
        let int4 = type_by_oid(Oid(23)).unwrap();
        assert_eq!((int4.name, int4.category, int4.array), ("int4", b'N', Oid(1007)));
        assert!(type_by_oid(Oid(1007)).unwrap().is_array);
        assert!(!type_by_oid(Oid(30)).unwrap().is_array || type_by_oid(Oid(30)).unwrap().name == "oidvector");
        assert_eq!(type_by_name(Oid(11), "text").unwrap().oid, Oid(25));
        let domain = types().iter().find(|entry| entry.name == "sql_identifier").unwrap();
        assert_eq!(base_type(domain.oid), Oid(19));
    }
}
