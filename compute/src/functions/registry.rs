//! The one list of all families, and the look-up by OID.

use super::AggregateFunction;
use super::call::{ScalarFunction, SetFunction, Volatility};
use ahash::AHashMap;
use shardforge_types::Oid;
use std::sync::LazyLock;

/// Every family of scalar functions.
const FAMILIES: &[&[ScalarFunction]] = &[
    super::int::FUNCTIONS,
    super::float::FUNCTIONS,
    super::numeric::FUNCTIONS,
    super::math::FUNCTIONS,
    super::compare::FUNCTIONS,
    super::cast::FUNCTIONS,
    super::text::FUNCTIONS,
    super::pattern::FUNCTIONS,
    super::regex::FUNCTIONS,
    super::bytea::FUNCTIONS,
    super::datetime::FUNCTIONS,
    super::datetime_format::FUNCTIONS,
    super::number_format::FUNCTIONS,
    super::array::FUNCTIONS,
    super::format::FUNCTIONS,
    super::session::FUNCTIONS,
    super::sequence::FUNCTIONS,
    super::history::FUNCTIONS,
    super::catalog_info::FUNCTIONS,
    super::privileges::FUNCTIONS,
];

static SCALARS: LazyLock<AHashMap<Oid, &'static ScalarFunction>> =
    LazyLock::new(|| FAMILIES.iter().copied().flatten().map(|function| (function.oid, function)).collect());

static SETS: LazyLock<AHashMap<Oid, &'static SetFunction>> =
    LazyLock::new(|| super::sets::FUNCTIONS.iter().map(|function| (function.oid, function)).collect());

static AGGREGATES: LazyLock<AHashMap<Oid, &'static AggregateFunction>> =
    LazyLock::new(|| super::aggregates::functions().map(|function| (function.oid, function)).collect());

/// The scalar function or operator with this `pg_proc` OID; `None` when it is not built.
pub fn scalar(oid: Oid) -> Option<&'static ScalarFunction> {
    SCALARS.get(&oid).copied()
}

/// The set-returning function with this `pg_proc` OID; `None` when it is not built.
pub fn set(oid: Oid) -> Option<&'static SetFunction> {
    SETS.get(&oid).copied()
}

/// The aggregate with this `pg_proc` OID; `None` when it is not built.
pub fn aggregate(oid: Oid) -> Option<&'static AggregateFunction> {
    AGGREGATES.get(&oid).copied()
}

/// Every scalar function that is built.
pub fn scalars() -> impl Iterator<Item = &'static ScalarFunction> {
    FAMILIES.iter().copied().flatten()
}

/// Whether a function's result may change within a statement. An unknown function counts as such.
pub fn is_volatile(oid: Oid) -> bool {
    match (scalar(oid), set(oid)) {
        (Some(function), _) => function.volatility == Volatility::Volatile,
        (None, Some(function)) => function.volatility == Volatility::Volatile,
        (None, None) => aggregate(oid).is_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_oid_is_registered_twice() {
        let all = FAMILIES.iter().map(|family| family.len()).sum::<usize>();
        let mut seen = std::collections::BTreeMap::new();
        for function in scalars() {
            if let Some(other) = seen.insert(function.oid, function.name) {
                panic!("{} is both {other} and {}", function.oid, function.name);
            }
        }
        assert_eq!(SCALARS.len(), all);
        assert_eq!(SETS.len(), super::super::sets::FUNCTIONS.len());
    }

    #[test]
    fn functions_agree_with_pg_proc() {
        let mut wrong = Vec::new();
        let mut check =
            |oid: Oid, name: &str, strict: Option<bool>, volatility: Option<Volatility>, set: bool| {
                let Some(entry) = crate::catalog::builtin::proc(oid) else {
                    wrong.push(format!("{oid} {name}: not in pg_proc"));
                    return;
                };
                let declared = match entry.volatility {
                    b'i' => Volatility::Immutable,
                    b's' => Volatility::Stable,
                    _ => Volatility::Volatile,
                };
                let plain = |name: &str| name.replace('_', "");
                if plain(entry.name) != plain(name) && entry.source != name
                    || strict.is_some_and(|strict| strict != entry.strict)
                    || volatility.is_some_and(|volatility| volatility != declared)
                    || set != entry.returns_set
                {
                    wrong.push(format!(
                        "{oid} {name} {strict:?} {volatility:?} is {} strict={} {declared:?}",
                        entry.name, entry.strict
                    ));
                }
            };
        for f in scalars() {
            check(f.oid, f.name, Some(f.strict), Some(f.volatility), false);
        }
        for f in super::super::sets::FUNCTIONS {
            check(f.oid, f.name, Some(f.strict), Some(f.volatility), true);
        }
        for f in super::super::aggregates::functions() {
            check(f.oid, f.name, None, None, false);
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
