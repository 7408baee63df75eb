//! The choice among functions or operators of one name by the types of their arguments: what
//! chapter 10 of PostgreSQL's manual lays down, step by step.

use super::coerce::can_coerce;
use super::types::category;
use crate::catalog::builtin::{CastContext, base_type};
use shardforge_types::{Oid, oids};

/// Leaves the candidates whose arguments these types can be converted to without being asked.
pub(super) fn convertible<C: Candidate>(candidates: Vec<C>, actual: &[Oid]) -> Vec<C> {
    let fits = |candidate: &C| can_coerce(actual, candidate.args(), CastContext::Implicit);
    candidates.into_iter().filter(fits).collect()
}

/// What is chosen among.
pub(super) trait Candidate: Clone {
    /// The types declared, one for each actual argument.
    fn args(&self) -> &[Oid];
}

/// Keeps the candidates that match best by `score`; all when none matches at all.
fn keep_best<C: Candidate>(candidates: Vec<C>, score: impl Fn(&C) -> usize) -> Vec<C> {
    let best = candidates.iter().map(&score).max().unwrap_or(0);
    candidates.into_iter().filter(|candidate| score(candidate) == best).collect()
}

/// The one best candidate among convertible ones; `None` when it cannot be told.
pub(super) fn best<C: Candidate>(candidates: Vec<C>, actual: &[Oid]) -> Option<C> {
    let known: Vec<Oid> = actual.iter().map(|ty| base_type(*ty)).collect();
    let unknowns = known.iter().filter(|ty| **ty == oids::UNKNOWN).count();

    // Most exact matches.
    let exact = |candidate: &C| {
        let pairs = candidate.args().iter().zip(&known);
        pairs.filter(|(declared, ty)| **ty != oids::UNKNOWN && declared == ty).count()
    };
    let candidates = keep_best(candidates, exact);
    if candidates.len() == 1 {
        return candidates.into_iter().next();
    }

    // Most exact matches or preferred types of the argument's own category.
    let preferred = |candidate: &C| {
        let pairs = candidate.args().iter().zip(&known);
        let good = |(declared, ty): &(&Oid, &Oid)| {
            let (own, _) = category(**ty);
            **ty != oids::UNKNOWN && (declared == ty || category(**declared) == (own, true))
        };
        pairs.filter(good).count()
    };
    let mut candidates = keep_best(candidates, preferred);
    if candidates.len() == 1 {
        return candidates.into_iter().next();
    }
    if unknowns == 0 {
        return None;
    }

    // A category for each unknown argument: string if any candidate takes one, else the one that
    // all candidates share.
    if let Some(slots) = unknown_slots(&candidates, &known) {
        let fits = |candidate: &&C| {
            slots.iter().all(|slot| {
                let (own, is_preferred) = category(candidate.args()[slot.index]);
                own == slot.category && (is_preferred || !slot.has_preferred)
            })
        };
        let kept: Vec<C> = candidates.iter().filter(fits).cloned().collect();
        if !kept.is_empty() {
            candidates = kept;
        }
        if candidates.len() == 1 {
            return candidates.into_iter().next();
        }
    }

    // When all known arguments have one type, the unknown ones may have it too.
    let mut types = known.iter().filter(|ty| **ty != oids::UNKNOWN);
    let first = *types.next()?;
    if types.any(|ty| *ty != first) {
        return None;
    }
    let assumed = vec![first; known.len()];
    let mut fitting = candidates
        .into_iter()
        .filter(|candidate| can_coerce(&assumed, candidate.args(), CastContext::Implicit));
    let only = fitting.next()?;
    if fitting.next().is_some() { None } else { Some(only) }
}

struct Slot {
    index: usize,
    category: u8,
    has_preferred: bool,
}

fn unknown_slots<C: Candidate>(candidates: &[C], known: &[Oid]) -> Option<Vec<Slot>> {
    let mut slots = Vec::new();
    for (index, ty) in known.iter().enumerate() {
        if *ty != oids::UNKNOWN {
            continue;
        }
        let mut slot: Option<Slot> = None;
        let mut conflict = false;
        for candidate in candidates {
            let (own, is_preferred) = category(candidate.args()[index]);
            match &mut slot {
                None => slot = Some(Slot { index, category: own, has_preferred: is_preferred }),
                Some(slot) if slot.category == own => slot.has_preferred |= is_preferred,
                Some(slot) if own == b'S' => {
                    slot.category = own;
                    slot.has_preferred = is_preferred;
                }
                Some(_) => conflict = true,
            }
        }
        let slot = slot?;
        if conflict && slot.category != b'S' {
            return None;
        }
        slots.push(slot);
    }
    Some(slots)
}
