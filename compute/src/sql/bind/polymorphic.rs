//! Polymorphic types: `anyelement` and its kin, which must agree, and `anycompatible` and its kin,
//! which take a common type.

use super::common::common_type_of;
use super::types::{array_type, element_type, type_name};
use crate::catalog::builtin::{base_type, type_by_oid};
use crate::{SqlError, SqlResult};
use shardforge_types::{Oid, SqlState, oids};

/// Whether a declared type stands for others.
pub(super) fn is_polymorphic(oid: Oid) -> bool {
    is_any(oid) || is_compatible(oid)
}

fn is_any(oid: Oid) -> bool {
    matches!(
        oid,
        oids::ANYELEMENT
            | oids::ANYARRAY
            | oids::ANYNONARRAY
            | oids::ANYENUM
            | oids::ANYRANGE
            | oids::ANYMULTIRANGE
    )
}

fn is_compatible(oid: Oid) -> bool {
    matches!(
        oid,
        oids::ANYCOMPATIBLE
            | oids::ANYCOMPATIBLEARRAY
            | oids::ANYCOMPATIBLENONARRAY
            | oids::ANYCOMPATIBLERANGE
            | oids::ANYCOMPATIBLEMULTIRANGE
    )
}

fn is_array_or_vector(oid: Oid) -> Option<Oid> {
    match oid {
        oids::ANYARRAY => Some(oids::ANYELEMENT),
        oids::INT2VECTOR => Some(oids::INT2),
        oids::OIDVECTOR => Some(oids::OID),
        _ => element_type(oid),
    }
}

/// What the polymorphic types of one call stand for.
#[derive(Debug, Default, Clone, Copy)]
struct Meaning {
    element: Option<Oid>,
    array: Option<Oid>,
    range: Option<Oid>,
    compatible: Option<Oid>,
}

/// `Err` holds why they cannot agree.
fn meaning(actual: &[Oid], declared: &[Oid]) -> Result<Meaning, (SqlState, String)> {
    let mut out = Meaning::default();
    let mut compatible = Vec::new();
    let (mut nonarray, mut enumeration) = (false, false);
    let (mut compatible_nonarray, mut has_compatible) = (false, false);
    let mismatch = |message: String| (SqlState::DATATYPE_MISMATCH, message);
    let agree = |slot: &mut Option<Oid>, ty: Oid, what: &str| match *slot {
        Some(known) if known != ty => {
            Err(mismatch(format!("arguments declared \"{what}\" are not all alike")))
        }
        _ => {
            *slot = Some(ty);
            Ok(())
        }
    };
    for (&ty, &decl) in actual.iter().zip(declared) {
        has_compatible |= is_compatible(decl);
        nonarray |= decl == oids::ANYNONARRAY;
        enumeration |= decl == oids::ANYENUM;
        compatible_nonarray |= decl == oids::ANYCOMPATIBLENONARRAY;
        if ty == oids::UNKNOWN {
            continue;
        }
        match decl {
            oids::ANYELEMENT | oids::ANYNONARRAY | oids::ANYENUM => {
                agree(&mut out.element, ty, "anyelement")?
            }
            oids::ANYARRAY => agree(&mut out.array, base_type(ty), "anyarray")?,
            oids::ANYRANGE | oids::ANYMULTIRANGE => agree(&mut out.range, base_type(ty), "anyrange")?,
            oids::ANYCOMPATIBLE | oids::ANYCOMPATIBLENONARRAY => compatible.push(ty),
            oids::ANYCOMPATIBLEARRAY => match is_array_or_vector(base_type(ty)) {
                Some(element) => compatible.push(element),
                None => {
                    return Err(mismatch(format!(
                        "argument declared anycompatiblearray is not an array but type {}",
                        type_name(ty)
                    )));
                }
            },
            oids::ANYCOMPATIBLERANGE | oids::ANYCOMPATIBLEMULTIRANGE => {
                agree(&mut out.range, base_type(ty), "anycompatiblerange")?
            }
            _ => {}
        }
    }
    if let Some(range) = out.range
        && type_by_oid(range).is_none_or(|entry| !matches!(entry.kind, b'r' | b'm'))
    {
        return Err(mismatch(format!(
            "argument declared anyrange is not a range type but type {}",
            type_name(range)
        )));
    }
    if let Some(array) = out.array {
        let Some(element) = is_array_or_vector(array) else {
            return Err(mismatch(format!(
                "argument declared anyarray is not an array but type {}",
                type_name(array)
            )));
        };
        if array != oids::ANYARRAY {
            match out.element {
                None => out.element = Some(element),
                Some(known) if known != element => {
                    return Err((
                        SqlState::DATATYPE_MISMATCH,
                        "argument declared anyarray is not consistent with argument declared anyelement"
                            .to_owned(),
                    ));
                }
                Some(_) => {}
            }
        } else if out.element.is_none() {
            out.element = Some(oids::ANYELEMENT);
        }
    }
    if let (true, Some(element)) = (enumeration, out.element)
        && type_by_oid(element).is_none_or(|entry| entry.kind != b'e')
    {
        return Err(mismatch(format!("type matched to anyenum is not an enum type: {}", type_name(element))));
    }
    if let (true, Some(element)) = (nonarray, out.element)
        && element_type(element).is_some()
    {
        return Err(mismatch(format!(
            "type matched to anynonarray is an array type: {}",
            type_name(element)
        )));
    }
    if has_compatible {
        let common = if compatible.is_empty() { Some(oids::TEXT) } else { common_type_of(&compatible) };
        let Some(common) = common else {
            return Err(mismatch(
                "arguments of anycompatible family cannot be cast to a common type".to_owned(),
            ));
        };
        if compatible_nonarray && element_type(common).is_some() {
            return Err(mismatch(format!(
                "type matched to anycompatiblenonarray is an array type: {}",
                type_name(common)
            )));
        }
        out.compatible = Some(common);
    }
    Ok(out)
}

/// Whether actual types can stand for the polymorphic ones among the declared.
pub(super) fn consistent(actual: &[Oid], declared: &[Oid]) -> bool {
    meaning(actual, declared).is_ok()
}

/// Replaces the polymorphic types among the declared by what they stand for, and gives the result's type.
pub(super) fn resolve(actual: &[Oid], declared: &mut [Oid], result: Oid) -> SqlResult<Oid> {
    if !declared.iter().any(|oid| is_polymorphic(*oid)) && !is_polymorphic(result) {
        return Ok(result);
    }
    let meaning = meaning(actual, declared).map_err(|(state, message)| SqlError::new(state, message))?;
    let open = || {
        SqlError::new(
            SqlState::DATATYPE_MISMATCH,
            "could not determine polymorphic type because input has type unknown",
        )
    };
    let stands_for = |decl: Oid| -> SqlResult<Oid> {
        let array_of = |element: Oid| {
            array_type(element).ok_or_else(|| {
                let message = format!("could not find array type for data type {}", type_name(element));
                SqlError::new(SqlState::UNDEFINED_OBJECT, message)
            })
        };
        match decl {
            oids::ANYELEMENT | oids::ANYNONARRAY | oids::ANYENUM => meaning.element.ok_or_else(open),
            oids::ANYARRAY => match meaning.array {
                Some(array) => Ok(array),
                None => array_of(meaning.element.ok_or_else(open)?),
            },
            oids::ANYRANGE
            | oids::ANYMULTIRANGE
            | oids::ANYCOMPATIBLERANGE
            | oids::ANYCOMPATIBLEMULTIRANGE => meaning.range.ok_or_else(open),
            oids::ANYCOMPATIBLE | oids::ANYCOMPATIBLENONARRAY => meaning.compatible.ok_or_else(open),
            oids::ANYCOMPATIBLEARRAY => array_of(meaning.compatible.ok_or_else(open)?),
            other => Ok(other),
        }
    };
    for decl in declared.iter_mut() {
        *decl = stands_for(*decl)?;
    }
    stands_for(result)
}
