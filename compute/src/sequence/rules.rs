//! From the options of CREATE and ALTER SEQUENCE to rules, with PostgreSQL's checks in its order.

use super::{Position, SequenceRules};
use crate::{SqlError, SqlResult};
use shardforge_types::{Oid, SqlState, oids};

/// What a statement says of a sequence; `None` is nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SequenceOptions {
    /// AS.
    pub ty: Option<Oid>,
    /// INCREMENT.
    pub increment: Option<i64>,
    /// MINVALUE; the inner `None` is NO MINVALUE.
    pub min: Option<Option<i64>>,
    /// MAXVALUE, likewise.
    pub max: Option<Option<i64>>,
    /// START.
    pub start: Option<i64>,
    /// RESTART; the inner `None` is at START.
    pub restart: Option<Option<i64>>,
    /// CACHE.
    pub cache: Option<i64>,
    /// CYCLE.
    pub cycle: Option<bool>,
    /// OWNED BY: table, and number of the column; the inner `None` is NONE.
    pub owned_by: Option<Option<(Oid, i16)>>,
}

/// The rules of a new sequence, and where it starts.
pub fn new_rules(options: &SequenceOptions, identity: bool) -> SqlResult<(SequenceRules, Position)> {
    let ty = options.ty.unwrap_or(oids::INT8);
    check_type(ty, identity)?;
    let blank = SequenceRules { ty, start: 0, increment: 1, min: 0, max: 0, cache: 1, cycle: false };
    let fill = SequenceOptions {
        min: options.min.or(Some(None)),
        max: options.max.or(Some(None)),
        ..options.clone()
    };
    let mut rules = bounds(&fill, blank)?;
    rules.start = options.start.unwrap_or(if rules.increment > 0 { rules.min } else { rules.max });
    check_start(&rules)?;
    rules.cache = cache(options, &rules)?;
    Ok((rules, Position { version: 1, last: rules.start, called: false }))
}

/// The rules of a sequence after ALTER, and its position when that is set anew.
pub fn altered_rules(
    options: &SequenceOptions,
    old: &SequenceRules,
    position: Position,
    identity: bool,
) -> SqlResult<(SequenceRules, Option<Position>)> {
    let mut rules = *old;
    let mut options = options.clone();
    if let Some(ty) = options.ty {
        check_type(ty, identity)?;
        // Bounds that were those of the old type become those of the new one.
        let (min, max) = range(old.ty);
        if old.max == max {
            options.max = options.max.or(Some(None));
        }
        if old.min == min {
            options.min = options.min.or(Some(None));
        }
        rules.ty = ty;
    }
    rules = bounds(&options, rules)?;
    rules.start = options.start.unwrap_or(rules.start);
    check_start(&rules)?;
    let moved = options.restart.map(|at| position.set(at.unwrap_or(rules.start), false));
    let now = moved.unwrap_or(position);
    check_within("RESTART", now.last, &rules)?;
    rules.cache = cache(&options, &rules)?;
    Ok((rules, moved))
}

fn check_type(ty: Oid, identity: bool) -> SqlResult<()> {
    if matches!(ty, oids::INT2 | oids::INT4 | oids::INT8) {
        return Ok(());
    }
    let what = if identity { "identity column" } else { "sequence" };
    invalid(format!("{what} type must be smallint, integer, or bigint"))
}

/// The numbers of an integer type.
fn range(ty: Oid) -> (i64, i64) {
    match ty {
        oids::INT2 => (i16::MIN.into(), i16::MAX.into()),
        oids::INT4 => (i32::MIN.into(), i32::MAX.into()),
        _ => (i64::MIN, i64::MAX),
    }
}

/// CYCLE, INCREMENT, MAXVALUE and MINVALUE.
fn bounds(options: &SequenceOptions, mut rules: SequenceRules) -> SqlResult<SequenceRules> {
    let (low, high) = range(rules.ty);
    rules.cycle = options.cycle.unwrap_or(rules.cycle);
    rules.increment = options.increment.unwrap_or(rules.increment);
    if rules.increment == 0 {
        return invalid("INCREMENT must not be zero");
    }
    let up = rules.increment > 0;
    if let Some(max) = options.max {
        rules.max = max.unwrap_or(if up { high } else { -1 });
    }
    let ty = shardforge_types::oid::type_name(rules.ty);
    if !(low..=high).contains(&rules.max) {
        return invalid(format!("MAXVALUE ({}) is out of range for sequence data type {ty}", rules.max));
    }
    if let Some(min) = options.min {
        rules.min = min.unwrap_or(if up { 1 } else { low });
    }
    if !(low..=high).contains(&rules.min) {
        return invalid(format!("MINVALUE ({}) is out of range for sequence data type {ty}", rules.min));
    }
    if rules.min >= rules.max {
        return invalid(format!("MINVALUE ({}) must be less than MAXVALUE ({})", rules.min, rules.max));
    }
    Ok(rules)
}

fn check_start(rules: &SequenceRules) -> SqlResult<()> {
    check_within("START", rules.start, rules)
}

fn check_within(what: &str, value: i64, rules: &SequenceRules) -> SqlResult<()> {
    if value < rules.min {
        return invalid(format!("{what} value ({value}) cannot be less than MINVALUE ({})", rules.min));
    }
    if value > rules.max {
        return invalid(format!("{what} value ({value}) cannot be greater than MAXVALUE ({})", rules.max));
    }
    Ok(())
}

fn cache(options: &SequenceOptions, rules: &SequenceRules) -> SqlResult<i64> {
    match options.cache {
        Some(cache) if cache <= 0 => invalid(format!("CACHE ({cache}) must be greater than zero")),
        cache => Ok(cache.unwrap_or(rules.cache)),
    }
}

fn invalid<T>(message: impl Into<String>) -> SqlResult<T> {
    Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message))
}
