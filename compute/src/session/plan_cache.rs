//! Plans of simple queries, by their text with the literals taken out ([`lift`]).
//!
//! The cache is the session's own, so database, role and search path need not be in its key; a plan serves while
//! the settings that it was bound under hold, and while the last schema change is the one it was bound at. What
//! cannot be planned from the lifted text, or whose literals are not values of the types found, is left to the
//! common way, which knows the whole text and says what is wrong with it, and where. So is what the row executor
//! does not run whole: a report takes longer than its planning, and may be planned better with its literals.

use super::Session;
use super::prepared::Prepared;
use crate::sql::lift::{Class, Literal, lift, statement_of};
use crate::{SqlError, SqlResult};
use shardforge_types::{Datum, PgType, oids, text};
use std::collections::HashMap;
use std::sync::Arc;

/// How many plans a session keeps: the texts are at most 4 KiB each.
const KEPT: usize = 64;

/// The plans of one session.
#[derive(Default)]
pub(super) struct PlanCache {
    plans: HashMap<Box<str>, Entry, ahash::RandomState>,
    uses: u64,
    /// The key of the query at hand; its memory is used again.
    key: String,
}

struct Entry {
    prepared: Arc<Prepared>,
    /// Whether it is run from here; else it is kept to tell so.
    serves: bool,
    last_use: u64,
}

impl PlanCache {
    fn find(&mut self, key: &str) -> Option<(Arc<Prepared>, bool)> {
        self.uses += 1;
        let entry = self.plans.get_mut(key)?;
        entry.last_use = self.uses;
        Some((entry.prepared.clone(), entry.serves))
    }

    fn keep(&mut self, key: &str, prepared: Arc<Prepared>, serves: bool) {
        if self.plans.len() >= KEPT && !self.plans.contains_key(key) {
            let oldest = self.plans.iter().min_by_key(|(_, entry)| entry.last_use);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                self.plans.remove(&oldest);
            }
        }
        self.plans.insert(key.into(), Entry { prepared, serves, last_use: self.uses });
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.plans.clear();
    }
}

impl Session {
    /// The plan of a simple query and the values of its literals, when the cache can give them.
    pub(super) async fn cached_plan(&mut self, text: &str) -> Option<(Arc<Prepared>, Arc<[Datum]>)> {
        let mut key = std::mem::take(&mut self.plan_cache.key);
        let mut literals = Vec::new();
        let found = match lift(text, &mut key, &mut literals) {
            // An error here is found again, with its place, on the common way.
            true => self.plan_lifted(&key, &literals).await.unwrap_or_default(),
            false => None,
        };
        self.plan_cache.key = key;
        found
    }

    async fn plan_lifted(
        &mut self,
        key: &str,
        literals: &[Literal<'_>],
    ) -> SqlResult<Option<(Arc<Prepared>, Arc<[Datum]>)>> {
        let kept = self.plan_cache.find(key);
        let prepared = match kept {
            Some((prepared, false)) if self.holds_now(&prepared.plan()) => return Ok(None),
            Some((prepared, true)) if self.still_valid(&prepared).await? => prepared,
            _ => {
                let types = literals.iter().map(|literal| match literal.class {
                    Class::Int4 => Some(PgType::INT4),
                    Class::Int8 => Some(PgType::INT8),
                    Class::Numeric => Some(PgType::new(oids::NUMERIC)),
                    Class::Unknown => None,
                });
                let prepared = Arc::new(self.prepare(statement_of(key), types.collect()).await?);
                let plan = prepared.plan();
                // Names of objects are read with the catalog of their statement: not worth a plan.
                let serves =
                    !plan.shows_objects && plan.bound.params.len() == literals.len() && plan.is_light();
                self.plan_cache.keep(key, prepared.clone(), serves);
                if !serves {
                    return Ok(None);
                }
                prepared
            }
        };
        let plan = prepared.plan();
        let started = self.transaction.as_ref().map(|transaction| transaction.started);
        let mut settings = self.settings.lock();
        if let Some(now) = started {
            settings.forms_mut().now = now;
        }
        let value = |(literal, ty): (&Literal<'_>, &PgType)| match literal.class {
            Class::Int4 => number(&literal.text).map(Datum::Int4),
            Class::Int8 => number(&literal.text).map(Datum::Int8),
            Class::Numeric | Class::Unknown => Ok(text::input(&literal.text, *ty, settings.forms())?),
        };
        let params = literals.iter().zip(&plan.bound.params).map(value).collect::<SqlResult<Arc<[_]>>>()?;
        drop(settings);
        Ok(Some((prepared, params)))
    }
}

fn number<T: std::str::FromStr>(text: &str) -> SqlResult<T> {
    text.parse().map_err(|_| SqlError::internal("a literal is not of its class"))
}
