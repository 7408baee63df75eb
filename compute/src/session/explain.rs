//! EXPLAIN: which executor runs a statement, and how.

use super::Session;
use super::execute::{Outcome, Statement, Tag};
use crate::sql::bound::{Bound, BoundStatement, Explain};
use crate::{SqlError, SqlResult};
use shardforge_types::Datum;

impl Session {
    pub(super) async fn explain(&mut self, explain: &Explain, statement: &Statement) -> SqlResult<Outcome> {
        let inner = &*explain.statement;
        let lookup = self.lookup(&statement.catalog);
        let bound = Bound { statement: inner.clone(), params: Vec::new() };
        let row = self.plan_row(&bound, &*lookup, statement.context.settings())?;
        let mut lines = match (&row, inner) {
            (Some(row), _) => {
                let mut lines = row.explain();
                if let Some(feed) = row.feed_row() {
                    lines.extend(feed.explain().into_iter().map(|line| format!("  ->  {line}")));
                } else if let Some(query) = row.feed() {
                    let context = self.report_context(statement).await?;
                    let source = self.compute.parts().reports.explain(query.clone(), context).await?;
                    lines.extend(source.into_iter().map(|line| format!("  ->  {line}")));
                }
                lines
            }
            (None, BoundStatement::Query(query)) => {
                let context = self.report_context(statement).await?;
                self.compute.parts().reports.explain(query.clone().into(), context).await?
            }
            (None, _) => return Err(SqlError::not_supported("EXPLAIN of this statement")),
        };
        if explain.analyze {
            let clock = self.compute.parts().clock.clone();
            let began = clock.boottime();
            let mut outcome = Box::pin(self.start_bound(inner, row.as_ref(), statement)).await?;
            let mut rows = 0u64;
            while outcome.next_row().await?.is_some() {
                rows += 1;
            }
            let took = clock.boottime().saturating_sub(began);
            lines.push(format!("Rows: {}", rows.max(outcome.affected())));
            lines.push(format!("Execution Time: {:.3} ms", took.as_secs_f64() * 1000.0));
        }
        let rows = lines.into_iter().map(|line| vec![Datum::text(line)]).collect();
        Ok(Outcome::rows(rows, Tag::Plain("EXPLAIN")))
    }
}
