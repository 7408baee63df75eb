//! WITH: a query that is read once stands in place of its reference; others are made once and kept.

use super::walk::{free_columns, is_query_volatile, references};
use super::{CteEntry, Lowering, ok};
use crate::cte::{CteBody, CteProvider, CteRows, SharedCte, Work};
use datafusion::logical_expr::LogicalPlan;
use shardforge_compute::sql::bound::{ColDef, Cte, CteId, Rel};
use shardforge_compute::{SqlError, SqlResult};
use std::sync::Arc;
use tokio::sync::OnceCell;

impl Lowering {
    pub(super) fn with(&mut self, ctes: &[Cte], body: &Rel) -> SqlResult<LogicalPlan> {
        for (at, cte) in ctes.iter().enumerate() {
            let later = ctes[at + 1..].iter().flat_map(|cte| {
                std::iter::once(&cte.query).chain(cte.recursive.iter().map(|(query, _)| query))
            });
            let references = references(cte.id, body, later);
            if references == 0 {
                continue;
            }
            let entry = self.cte(cte, references)?;
            self.ctes.insert(cte.id, entry);
        }
        self.rel(body)
    }

    fn cte(&mut self, cte: &Cte, references: usize) -> SqlResult<CteEntry> {
        let step = cte.recursive.as_ref().map(|(step, _)| step);
        let mut outer = free_columns(&cte.query, &self.ctes);
        outer.extend(step.iter().flat_map(|step| free_columns(step, &self.ctes)));
        if step.is_none() && references == 1 {
            let kept = cte.materialized == Some(true) || is_query_volatile(&cte.query);
            if !kept || !outer.is_empty() {
                return Ok(CteEntry::Inline(Arc::new(cte.query.clone())));
            }
        }
        // Inside a plan that runs for each set of outer values these are placeholders, here as there.
        if outer.iter().any(|(id, _)| !self.outer.contains_key(id)) {
            return Err(SqlError::not_supported(if step.is_some() {
                "WITH RECURSIVE that uses columns of an outer query"
            } else {
                "a WITH query that uses columns of an outer query and is read more than once"
            }));
        }
        let made = self.nested(&outer).output(&cte.query)?;
        let made = ok(self.env.state.optimize(&made))?;
        let body = match &cte.recursive {
            None => CteBody::Plan(made),
            Some((step, all)) => {
                let work = Arc::new(Work::default());
                let mut inner = self.nested(&outer);
                inner.ctes.insert(cte.id, CteEntry::Rows(CteRows::Work(work.clone())));
                let step = inner.output(step)?;
                CteBody::Recursive { base: made, step: ok(self.env.state.optimize(&step))?, work, all: *all }
            }
        };
        // Read once at the top it can be endless, as long as a LIMIT ends it.
        Ok(CteEntry::Rows(CteRows::Shared(Arc::new(SharedCte {
            name: cte.name.clone(),
            types: cte.query.output.iter().map(|column| column.ty).collect(),
            body,
            env: self.env.clone(),
            kept: references > 1 || self.is_nested,
            correlated: !outer.is_empty(),
            rows: OnceCell::new(),
        }))))
    }

    pub(super) fn cte_ref(&mut self, cte: CteId, columns: &[ColDef]) -> SqlResult<LogicalPlan> {
        match self.ctes.get(&cte).cloned() {
            Some(CteEntry::Inline(query)) => self.output_as(&query, columns),
            Some(CteEntry::Rows(rows)) => self.scan_provider(Arc::new(CteProvider::new(rows, columns))),
            None => Err(SqlError::internal("a reference to a WITH query that is not there")),
        }
    }
}
