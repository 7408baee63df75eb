//! `pg_operator`, and the operators that order and compare each type by default.

use super::types::{oid, type_by_oid};
use super::{is_binary_coercible, rows};
use shardforge_types::{Oid, oids};
use std::collections::HashMap;
use std::sync::LazyLock;

/// A built-in operator.
#[derive(Debug, Clone, Copy)]
pub struct OperatorEntry {
    /// `oid`.
    pub oid: Oid,
    /// `oprname`.
    pub name: &'static str,
    /// `oprleft`, zero for a prefix operator.
    pub left: Oid,
    /// `oprright`.
    pub right: Oid,
    /// `oprresult`.
    pub result: Oid,
    /// `oprcode`: the function behind it.
    pub func: Oid,
    /// `oprcom`, or zero.
    pub commutator: Oid,
    /// `oprnegate`, or zero.
    pub negator: Oid,
}

struct Operators {
    by_name: HashMap<&'static str, Vec<OperatorEntry>>,
    by_oid: HashMap<Oid, OperatorEntry>,
}

static OPERATORS: LazyLock<Operators> = LazyLock::new(|| {
    let catalog = rows("pg_operator").expect("pg_operator is one of the files");
    let columns = ["oid", "oprname", "oprleft", "oprright", "oprresult", "oprcode", "oprcom", "oprnegate"];
    let mut by_name: HashMap<&'static str, Vec<OperatorEntry>> = HashMap::new();
    let mut by_oid = HashMap::new();
    for f in catalog.raw(columns) {
        let entry = OperatorEntry {
            oid: oid(f[0]),
            name: f[1],
            left: oid(f[2]),
            right: oid(f[3]),
            result: oid(f[4]),
            func: oid(f[5]),
            commutator: oid(f[6]),
            negator: oid(f[7]),
        };
        by_name.entry(entry.name).or_default().push(entry);
        by_oid.insert(entry.oid, entry);
    }
    Operators { by_name, by_oid }
});

/// All operators of a name.
pub fn operators(name: &str) -> &'static [OperatorEntry] {
    OPERATORS.by_name.get(name).map_or(&[], Vec::as_slice)
}

/// An operator by its OID.
pub fn operator_by_oid(oid: Oid) -> Option<&'static OperatorEntry> {
    OPERATORS.by_oid.get(&oid)
}

/// An operator that a function stands behind.
pub fn operator_of(func: Oid) -> Option<&'static OperatorEntry> {
    let found = OPERATORS.by_oid.values().filter(|entry| entry.func == func);
    found.min_by_key(|entry| entry.oid)
}

/// The operator of a name with exactly these operand types; zero on the left for a prefix operator.
pub fn operator(name: &str, left: Oid, right: Oid) -> Option<&'static OperatorEntry> {
    operators(name).iter().find(|entry| entry.left == left && entry.right == right)
}

/// The operators that order a type by default; a type that can only be compared for equality has
/// `lt` and `gt` zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ordering {
    /// The type whose operators they are: the type itself, or one that it is binary coercible to.
    pub operand: Oid,
    /// `<`, or zero.
    pub lt: Oid,
    /// `=`.
    pub eq: Oid,
    /// `>`, or zero.
    pub gt: Oid,
}

const BTREE: &str = "403";
const HASH: &str = "405";

static ORDERINGS: LazyLock<HashMap<Oid, Ordering>> = LazyLock::new(|| {
    let classes = rows("pg_opclass").expect("pg_opclass is one of the files");
    let members = rows("pg_amop").expect("pg_amop is one of the files");
    let mut by_family: HashMap<(&str, &str, &str), Oid> = HashMap::new();
    for [family, left, right, strategy, op] in
        members.raw(["amopfamily", "amoplefttype", "amoprighttype", "amopstrategy", "amopopr"])
    {
        if left == right {
            by_family.insert((family, left, strategy), oid(op));
        }
    }
    let mut out = HashMap::new();
    for access_method in [HASH, BTREE] {
        for [method, family, input, default] in
            classes.raw(["opcmethod", "opcfamily", "opcintype", "opcdefault"])
        {
            if method != access_method || default != "t" {
                continue;
            }
            let find = |strategy| by_family.get(&(family, input, strategy)).copied().unwrap_or(Oid::INVALID);
            let (lt, eq, gt) = if method == BTREE {
                (find("1"), find("3"), find("5"))
            } else {
                (Oid::INVALID, find("1"), Oid::INVALID)
            };
            out.insert(oid(input), Ordering { operand: oid(input), lt, eq, gt });
        }
    }
    out
});

/// The default order of a type, or its equality alone; `None` for types without either.
pub fn ordering(ty: Oid) -> Option<Ordering> {
    let ty = super::base_type(ty);
    if let Some(found) = ORDERINGS.get(&ty) {
        return Some(*found);
    }
    let entry = type_by_oid(ty)?;
    if entry.is_array {
        ordering(entry.element)?;
        return ORDERINGS.get(&oids::ANYARRAY).copied();
    }
    let preferred = |found: &&Ordering| type_by_oid(found.operand).is_some_and(|entry| entry.preferred);
    match entry.kind {
        b'c' => ORDERINGS.get(&oids::RECORD).copied(),
        b'r' => ORDERINGS.get(&oids::ANYRANGE).copied(),
        b'm' => ORDERINGS.get(&Oid(4537)).copied(),
        b'e' => ORDERINGS.get(&oids::ANYENUM).copied(),
        _ => {
            let mut found: Vec<_> =
                ORDERINGS.values().filter(|o| is_binary_coercible(ty, o.operand)).collect();
            found.sort_by_key(|o| (!preferred(o), o.operand));
            found.first().map(|o| **o)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_orders() {
        let of = |ty| ordering(ty).map(|o| operator_by_oid(o.eq).map(|e| (e.name, e.left)));
        assert_eq!(of(oids::INT4), Some(Some(("=", oids::INT4))));
        assert_eq!(of(oids::VARCHAR), Some(Some(("=", oids::TEXT))));
        assert_eq!(of(oids::INT4_ARRAY), Some(Some(("=", oids::ANYARRAY))));
        assert_eq!(of(oids::REGCLASS), Some(Some(("=", oids::OID))));
        assert_eq!(ordering(oids::XID).unwrap().lt, Oid::INVALID);
        assert_eq!(of(oids::JSON), None);
        assert_eq!(operator("-", Oid::INVALID, oids::INT4).unwrap().result, oids::INT4);
    }
}
