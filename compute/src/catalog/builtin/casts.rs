//! `pg_cast`.

use super::types::oid;
use super::{rows, type_by_oid};
use shardforge_types::{Oid, oids};
use std::collections::HashMap;
use std::sync::LazyLock;

/// Where a cast may be taken without being written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CastContext {
    /// Anywhere.
    Implicit,
    /// When a value is stored into a column.
    Assignment,
    /// Only where it is written.
    Explicit,
}

/// How a cast is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CastMethod {
    /// By this function, of one argument (or with the type modifier, or with whether it is explicit too).
    Function(Oid),
    /// The values are the same.
    Binary,
    /// Through the text form.
    InOut,
}

/// A built-in cast.
#[derive(Debug, Clone, Copy)]
pub struct CastEntry {
    /// `castsource`.
    pub source: Oid,
    /// `casttarget`; the same as the source for a length coercion.
    pub target: Oid,
    /// `castcontext`.
    pub context: CastContext,
    /// `castmethod` and `castfunc`.
    pub method: CastMethod,
}

static CASTS: LazyLock<HashMap<(Oid, Oid), CastEntry>> = LazyLock::new(|| {
    let catalog = rows("pg_cast").expect("pg_cast is one of the files");
    let columns = ["castsource", "casttarget", "castfunc", "castcontext", "castmethod"];
    let entries = catalog.raw(columns).map(|f| CastEntry {
        source: oid(f[0]),
        target: oid(f[1]),
        context: match f[3] {
            "i" => CastContext::Implicit,
            "a" => CastContext::Assignment,
            _ => CastContext::Explicit,
        },
        method: match f[4] {
            "f" => CastMethod::Function(oid(f[2])),
            "b" => CastMethod::Binary,
            _ => CastMethod::InOut,
        },
    });
    entries.map(|entry| ((entry.source, entry.target), entry)).collect()
});

/// The cast from a type to another; from a type to itself, its length coercion.
pub fn cast(source: Oid, target: Oid) -> Option<&'static CastEntry> {
    CASTS.get(&(source, target))
}

/// All casts from a type.
pub fn casts_from(source: Oid) -> impl Iterator<Item = &'static CastEntry> {
    CASTS.values().filter(move |entry| entry.source == source)
}

/// Whether values of one type are values of the other as they are, without being asked.
pub fn is_binary_coercible(source: Oid, target: Oid) -> bool {
    if source == target || matches!(target, oids::ANY | oids::ANYELEMENT | oids::ANYCOMPATIBLE) {
        return true;
    }
    let source = super::base_type(source);
    if source == target {
        return true;
    }
    let kind = type_by_oid(source);
    let is_array = kind.is_some_and(|entry| entry.is_array);
    let of_kind = |letter| kind.is_some_and(|entry| entry.kind == letter);
    match target {
        oids::ANYARRAY | oids::ANYCOMPATIBLEARRAY if is_array => return true,
        oids::ANYNONARRAY | oids::ANYCOMPATIBLENONARRAY if !is_array => return true,
        oids::ANYENUM if of_kind(b'e') => return true,
        oids::ANYRANGE | oids::ANYCOMPATIBLERANGE if of_kind(b'r') => return true,
        oids::ANYMULTIRANGE | oids::ANYCOMPATIBLEMULTIRANGE if of_kind(b'm') => return true,
        oids::RECORD if of_kind(b'c') => return true,
        oids::RECORD_ARRAY
            if is_array && kind.is_some_and(|e| type_by_oid(e.element).is_some_and(|e| e.kind == b'c')) =>
        {
            return true;
        }
        _ => {}
    }
    cast(source, target)
        .is_some_and(|entry| entry.method == CastMethod::Binary && entry.context == CastContext::Implicit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn casts_between_types() {
        assert_eq!(cast(oids::INT4, oids::INT8).unwrap().context, CastContext::Implicit);
        assert_eq!(cast(oids::INT8, oids::INT4).unwrap().context, CastContext::Assignment);
        assert!(cast(oids::INT4, oids::TEXT).is_none());
        assert!(is_binary_coercible(oids::VARCHAR, oids::TEXT));
        assert!(!is_binary_coercible(oids::BPCHAR, oids::TEXT));
        assert!(is_binary_coercible(oids::INT4_ARRAY, oids::ANYARRAY));
        assert!(matches!(cast(oids::VARCHAR, oids::VARCHAR).unwrap().method, CastMethod::Function(_)));
    }
}
