//! WITH: a query that is read once stands in place of its reference; others are made once and kept.

use super::walk::{free_columns, is_query_volatile, references};
use super::{CteEntry, Lowering, ok};
use crate::cte::{CteBody, CteProvider, CteRows, SharedCte, Work};
use datafusion::logical_expr::LogicalPlan;
use shardforge_compute::sql::bound::{ColDef, Cte, CteId, Query, Rel};
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
        let outer = |this: &Self, query: &Query| !free_columns(query, &this.ctes).is_empty();
        let Some((step, all)) = &cte.recursive else {
            let correlated = outer(self, &cte.query);
            let inline = references == 1 && cte.materialized != Some(true) && !is_query_volatile(&cte.query);
            if inline || references == 1 && correlated {
                return Ok(CteEntry::Inline(Arc::new(cte.query.clone())));
            }
            if correlated {
                return Err(SqlError::not_supported(
                    "a WITH query that uses columns of an outer query and is read more than once",
                ));
            }
            let plan = self.nested(&[]).output(&cte.query)?;
            let body = CteBody::Plan(ok(self.env.state.optimize(&plan))?);
            return Ok(self.shared(cte, body, references > 1 || self.is_nested));
        };
        if outer(self, &cte.query) || outer(self, step) {
            return Err(SqlError::not_supported("WITH RECURSIVE that uses columns of an outer query"));
        }
        let base = self.nested(&[]).output(&cte.query)?;
        let work = Arc::new(Work::default());
        let mut inner = self.nested(&[]);
        inner.ctes.insert(cte.id, CteEntry::Rows(CteRows::Work(work.clone())));
        let step = inner.output(step)?;
        let body = CteBody::Recursive {
            base: ok(self.env.state.optimize(&base))?,
            step: ok(self.env.state.optimize(&step))?,
            work,
            all: *all,
        };
        // Read once at the top it can be endless, as long as a LIMIT ends it.
        Ok(self.shared(cte, body, references > 1 || self.is_nested))
    }

    fn shared(&self, cte: &Cte, body: CteBody, kept: bool) -> CteEntry {
        CteEntry::Rows(CteRows::Shared(Arc::new(SharedCte {
            name: cte.name.clone(),
            types: cte.query.output.iter().map(|column| column.ty).collect(),
            body,
            env: self.env.clone(),
            kept,
            rows: OnceCell::new(),
        })))
    }

    pub(super) fn cte_ref(&mut self, cte: CteId, columns: &[ColDef]) -> SqlResult<LogicalPlan> {
        match self.ctes.get(&cte).cloned() {
            Some(CteEntry::Inline(query)) => self.output_as(&query, columns),
            Some(CteEntry::Rows(rows)) => self.scan_provider(Arc::new(CteProvider::new(rows, columns))),
            None => Err(SqlError::internal("a reference to a WITH query that is not there")),
        }
    }
}
