//! Plans of whole statements.

use super::expr::{Scope, compile, has_subquery};
use super::init_plan::{Extraction, InitPlan, locks};
use super::ops::lock::RowLock;
use super::ops::scan::{ScanPlan, Split};
use super::plan::{Executor, ScanChoice, TableRows, choose_scan, filter_of, plan_query, plan_source};
use super::query::Node;
use super::storage::TableCodec;
use super::write::conflict::{ConflictPlan, ConflictUpdate};
use super::write::constraints::Constraints;
use super::write::delete::DeletePlan;
use super::write::derived::{FedTarget, WriteParts, derived_query};
use super::write::insert::InsertPlan;
use super::write::returning::{ReturningPlan, columns_of};
use super::write::update::{ChangePlan, Target, UpdatePlan};
use crate::catalog::{TableDef, TableKind};
use crate::sql::BindContext;
use crate::sql::bound::{
    BoundStatement, ColDef, ColId, Copy, CopyWhat, Delete, Expr, Insert, OnConflict, Query, Rel, Returning,
    Update,
};
use crate::txn::{LockMode, LockWait};
use crate::{SqlError, SqlResult};
use ahash::AHashSet;
use shardforge_types::{Oid, SqlState};
use std::sync::Arc;

/// A statement as the row executor runs it: immutable, and shared by all its executions.
#[derive(Debug)]
pub struct RowPlan {
    pub(super) kind: PlanKind,
    /// Rows that the report engine must find first, to be fed ([`super::Execution::feed`]).
    pub(super) feed: Option<Arc<Query>>,
    /// Tables whose definition must still hold at COMMIT: those that it writes or locks rows of.
    pub(super) changed_tables: Vec<Oid>,
    /// Queries that run before it, whose rows are its last parameters.
    pub(super) init: Vec<InitPlan>,
    /// How the row executor finds the rows of `feed`, when what ran before leaves few to read.
    pub(super) feed_row: Option<Arc<RowPlan>>,
}

#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "a plan is made once, lies in an Arc and never moves")]
pub(super) enum PlanKind {
    Query(Node),
    Insert(InsertPlan),
    Update(UpdatePlan),
    Delete(DeletePlan),
}

/// Plans a statement. `None`: it is a query for the report engine, or no statement over rows at all.
///
/// Writes are always planned here; when their rows need the report engine, [`RowPlan::feed`] says
/// which query it is to run.
pub fn plan_row(
    statement: &BoundStatement,
    bind: &BindContext<'_>,
    executor: Executor,
) -> SqlResult<Option<RowPlan>> {
    plan_with_init(statement, bind, executor, &mut None)
}

/// The same; `next` counts the parameters that queries run before it give.
fn plan_with_init(
    statement: &BoundStatement,
    bind: &BindContext<'_>,
    executor: Executor,
    next: &mut Option<u16>,
) -> SqlResult<Option<RowPlan>> {
    let Some((rest, extracted)) = Extraction::of(statement, next)? else {
        return plan_rows(statement, bind, executor);
    };
    let mut init = Vec::with_capacity(extracted.len());
    for part in extracted {
        let query = BoundStatement::Query(part.query.clone());
        let plan = match plan_with_init(&query, bind, Executor::Auto, next)? {
            Some(plan) => plan,
            None => RowPlan::reported(part.query.clone())?,
        };
        init.push(part.planned(plan));
    }
    let mut plan = match rest {
        // Without locks of its own it may turn out to be too large here, when those of the others are taken.
        BoundStatement::Query(query) if !locks(&query.rel) => RowPlan::reported(query)?,
        rest => match (plan_rows(&rest, bind, executor)?, rest) {
            (Some(plan), _) => plan,
            (None, BoundStatement::Query(query)) => RowPlan::reported(query)?,
            (None, _) => return Ok(None),
        },
    };
    if let Some(query) = &plan.feed {
        let rows = |table: &TableDef| bind.catalog.table_rows(table.oid);
        let row = plan_query(query, &rows, Executor::Auto)?;
        plan.feed_row = row.map(|node| Arc::new(RowPlan::query(node)));
    }
    plan.init = init;
    Ok(Some(plan))
}

fn plan_rows(
    statement: &BoundStatement,
    bind: &BindContext<'_>,
    executor: Executor,
) -> SqlResult<Option<RowPlan>> {
    let rows = |table: &TableDef| bind.catalog.table_rows(table.oid);
    Ok(match statement {
        BoundStatement::Query(query) => plan_query(query, &rows, executor)?.map(RowPlan::query),
        BoundStatement::Insert(insert) => Some(plan_insert(insert, bind, &rows)?),
        BoundStatement::Update(update) => Some(plan_update(update, bind, &rows)?),
        BoundStatement::Delete(delete) => Some(plan_delete(delete, &rows)?),
        BoundStatement::Copy(Copy { what: what @ CopyWhat::From { .. }, .. }) => Some(plan_copy(what, bind)?),
        _ => None,
    })
}

impl RowPlan {
    fn new(kind: PlanKind, feed: Option<Arc<Query>>) -> Self {
        let changed_tables = match &kind {
            PlanKind::Query(node) => {
                let mut tables = Vec::new();
                node.locked_tables(&mut tables);
                tables
            }
            PlanKind::Insert(plan) => {
                let mut tables = vec![plan.codec.table().oid];
                plan.source.locked_tables(&mut tables);
                tables
            }
            PlanKind::Update(plan) => vec![plan.change.codec.table().oid],
            PlanKind::Delete(plan) => vec![plan.codec.table().oid],
        };
        Self { kind, feed, changed_tables, init: Vec::new(), feed_row: None }
    }

    /// A query of which the report engine finds all rows; it cannot lock any.
    fn reported(query: Query) -> SqlResult<Self> {
        if locks(&query.rel) {
            return Err(SqlError::not_supported(
                "FOR UPDATE or FOR SHARE over more than single tables read by key",
            ));
        }
        Ok(Self::new(PlanKind::Query(Node::Fed), Some(Arc::new(query))))
    }

    fn query(node: Node) -> Self {
        Self::new(PlanKind::Query(node), None)
    }

    /// The query whose rows the report engine is to find for this write.
    pub fn feed(&self) -> Option<&Arc<Query>> {
        self.feed.as_ref()
    }

    /// How the row executor finds those rows, if it can.
    pub(crate) fn feed_row(&self) -> Option<&Arc<RowPlan>> {
        self.feed_row.as_ref()
    }

    /// Queries that lock rows, to be run before it.
    pub fn init(&self) -> &[InitPlan] {
        &self.init
    }

    /// Whether an execution needs nothing else to be run first.
    pub fn is_whole(&self) -> bool {
        self.feed.is_none() && self.init.is_empty()
    }

    /// Whether it writes.
    pub fn is_write(&self) -> bool {
        !matches!(self.kind, PlanKind::Query(_))
    }

    /// Whether it takes new row ids: an execution then needs [`super::RowIds`].
    pub fn needs_row_ids(&self) -> bool {
        matches!(&self.kind, PlanKind::Insert(plan) if plan.codec.has_row_ids())
    }

    /// Whether rows come back: a query, or RETURNING.
    pub fn returns_rows(&self) -> bool {
        match &self.kind {
            PlanKind::Query(_) => true,
            PlanKind::Insert(plan) => plan.returning.is_some(),
            PlanKind::Update(plan) => plan.returning.is_some(),
            PlanKind::Delete(plan) => plan.returning.is_some(),
        }
    }
}

fn writable(table: &TableDef, verb: &str) -> SqlResult<()> {
    match table.kind {
        TableKind::Table => Ok(()),
        TableKind::Catalog => Err(SqlError::new(
            SqlState::INSUFFICIENT_PRIVILEGE,
            format!("permission denied: \"{}\" is a system catalog", table.name),
        )),
        TableKind::Sequence => {
            let message = format!("cannot change sequence \"{}\"", table.name);
            Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message))
        }
        TableKind::Virtual => {
            let message = format!("cannot {verb} view \"{}\"", table.name);
            Err(SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message))
        }
    }
}

fn returning(
    returning: &Option<Returning>,
    width: usize,
    extra: &[ColId],
) -> SqlResult<Option<ReturningPlan>> {
    returning.as_ref().map(|returning| ReturningPlan::new(returning, width, extra)).transpose()
}

fn plan_insert(insert: &Insert, bind: &BindContext<'_>, rows: &TableRows<'_>) -> SqlResult<RowPlan> {
    writable(&insert.table, "insert into")?;
    let codec = Arc::new(TableCodec::new(insert.table.clone()));
    let constraints = Constraints::new(&insert.table, None, bind)?;
    let on_conflict =
        insert.on_conflict.as_ref().map(|conflict| plan_conflict(conflict, &codec, bind)).transpose()?;
    let (source, feed) = match plan_source(&insert.source, rows)? {
        Some(node) => (node, None),
        None => (Node::Fed, Some(Arc::new(insert.source.clone()))),
    };
    let plan = InsertPlan {
        returning: returning(&insert.returning, insert.table.columns.len(), &[])?,
        source,
        columns: insert.columns.clone(),
        defaults: Vec::new(),
        filter: None,
        constraints,
        on_conflict,
        codec,
    };
    Ok(RowPlan::new(PlanKind::Insert(plan), feed))
}

fn plan_conflict(
    conflict: &OnConflict,
    codec: &Arc<TableCodec>,
    bind: &BindContext<'_>,
) -> SqlResult<ConflictPlan> {
    let table = codec.table();
    let index = match conflict.index {
        None => None,
        Some(oid) if table.primary_key.as_ref().is_some_and(|key| key.oid == oid) => Some(None),
        Some(oid) => {
            let at = table.indexes.iter().position(|index| index.oid == oid);
            Some(Some(at.ok_or_else(|| SqlError::internal("ON CONFLICT names an index of another table"))?))
        }
    };
    let Some(update) = &conflict.update else { return Ok(ConflictPlan { index, update: None }) };
    let width = table.columns.len();
    let mut scope = Scope::new();
    scope.add_table(&update.existing, 0);
    scope.add_table(&update.excluded, width);
    let exprs = update.assignments.iter().map(|(_, expr)| expr).chain(&update.predicate);
    if exprs.into_iter().any(has_subquery) {
        return Err(SqlError::not_supported("a subquery in ON CONFLICT DO UPDATE"));
    }
    let assignments = update.assignments.iter().map(|(column, expr)| Ok((*column, compile(expr, &scope)?)));
    let assignments = assignments.collect::<SqlResult<Vec<_>>>()?;
    let changed: Vec<usize> = assignments.iter().map(|(column, _)| *column).collect();
    let constraints = Constraints::new(table, Some(&changed), bind)?;
    let update = ConflictUpdate {
        change: ChangePlan::new(codec.clone(), changed, constraints),
        predicate: update.predicate.as_ref().map(|predicate| compile(predicate, &scope)).transpose()?,
        assignments,
    };
    Ok(ConflictPlan { index, update: Some(update) })
}

/// A scan that finds, and locks, the rows of a write.
fn scan_target(
    codec: &Arc<TableCodec>,
    alias: &str,
    cols: &[(ColDef, usize)],
    predicate: Option<&Expr>,
    mode: LockMode,
    mut columns: AHashSet<usize>,
    rows: &TableRows<'_>,
) -> SqlResult<ScanPlan> {
    let position = |id: ColId| cols.iter().find(|(column, _)| column.id == id).map(|(_, position)| *position);
    let ScanChoice { access, rest } = choose_scan(codec, predicate, &position, rows(codec.table()))?;
    let mut scope = Scope::new();
    scope.add_table(cols, 0);
    let mut judged = AHashSet::new();
    rest.iter().for_each(|expr| add_positions(expr, cols, &mut judged));
    columns.extend(&judged);
    let filter = filter_of(&rest, &scope)?;
    let mut columns: Vec<usize> = columns.into_iter().collect();
    columns.sort_unstable();
    let lock = Some(RowLock { mode, wait: LockWait::Forever, explicit: false });
    let split = match &filter {
        Some(_) => {
            let places = columns.iter().map(|column| (*column, *column));
            Split::new(places, codec.table().columns.len(), |column| judged.contains(&column))
        }
        None => Split::default(),
    };
    Ok(ScanPlan {
        split,
        codec: codec.clone(),
        access,
        columns,
        in_place: true,
        filter,
        lock,
        reverse: false,
        step: 0,
        ordered: false,
        with_key: false,
        alias: alias.to_owned(),
        budget: u64::MAX,
    })
}

/// Adds the positions of the columns that an expression uses.
fn add_positions(expr: &Expr, cols: &[(ColDef, usize)], out: &mut AHashSet<usize>) {
    expr.any(&mut |e| {
        if let crate::sql::bound::ExprKind::Col(id) = e.kind {
            out.extend(cols.iter().find(|(column, _)| column.id == id).map(|(_, position)| *position));
        }
        false
    });
}

/// Columns that RETURNING uses of the other tables of a write.
fn extra_columns(returning: &Option<Returning>, other: Option<&Rel>) -> Vec<ColDef> {
    let (Some(returning), Some(other)) = (returning, other) else { return Vec::new() };
    let used = columns_of(returning);
    let own: AHashSet<ColId> = returning.cols.iter().map(|(column, _)| column.id).collect();
    other.columns().into_iter().filter(|c| used.contains(&c.id) && !own.contains(&c.id)).collect()
}

fn plan_update(update: &Update, bind: &BindContext<'_>, rows: &TableRows<'_>) -> SqlResult<RowPlan> {
    writable(&update.table, "update")?;
    let codec = Arc::new(TableCodec::new(update.table.clone()));
    let changed: Vec<usize> = update.assignments.iter().map(|(column, _)| *column).collect();
    let constraints = Constraints::new(&update.table, Some(&changed), bind)?;
    let change = ChangePlan::new(codec.clone(), changed, constraints);
    let mode = if change.identity_changes() { LockMode::Update } else { LockMode::NoKeyUpdate };
    let exprs = update.assignments.iter().map(|(_, expr)| expr).chain(&update.predicate);
    let needs_report =
        update.from.is_some() || !update.ctes.is_empty() || exprs.into_iter().any(has_subquery);
    let extra = extra_columns(&update.returning, update.from.as_ref());
    let extra_ids: Vec<ColId> = extra.iter().map(|column| column.id).collect();
    let returning = returning(&update.returning, update.table.columns.len(), &extra_ids)?;
    let mut columns: AHashSet<usize> = change.columns().into_iter().collect();
    columns.extend(returning.iter().flat_map(|returning| &returning.columns));
    let (target, assignments, feed) = if needs_report {
        let query = derived_query(WriteParts {
            codec: &codec,
            alias: &update.alias,
            cols: &update.cols,
            ctes: &update.ctes,
            other: update.from.as_ref(),
            predicate: update.predicate.as_ref(),
            values: update.assignments.iter().map(|(_, expr)| expr).collect(),
            extra,
        });
        let target = FedTarget { codec: codec.clone(), columns: columns.into_iter().collect(), mode };
        let assignments = update.assignments.iter().map(|(column, _)| (*column, None)).collect();
        (Target::Fed(target), assignments, Some(Arc::new(query)))
    } else {
        let mut scope = Scope::new();
        scope.add_table(&update.cols, 0);
        for (_, expr) in &update.assignments {
            add_positions(expr, &update.cols, &mut columns);
        }
        let target =
            scan_target(&codec, &update.alias, &update.cols, update.predicate.as_ref(), mode, columns, rows)?;
        let assignments =
            update.assignments.iter().map(|(column, expr)| Ok((*column, Some(compile(expr, &scope)?))));
        (Target::Scan(Box::new(target)), assignments.collect::<SqlResult<Vec<_>>>()?, None)
    };
    Ok(RowPlan::new(PlanKind::Update(UpdatePlan { change, target, assignments, returning }), feed))
}

fn plan_delete(delete: &Delete, rows: &TableRows<'_>) -> SqlResult<RowPlan> {
    writable(&delete.table, "delete from")?;
    let codec = Arc::new(TableCodec::new(delete.table.clone()));
    let extra = extra_columns(&delete.returning, delete.using.as_ref());
    let extra_ids: Vec<ColId> = extra.iter().map(|column| column.id).collect();
    let returning = returning(&delete.returning, delete.table.columns.len(), &extra_ids)?;
    let mut columns: AHashSet<usize> =
        codec.indexes().iter().flat_map(|index| index.columns()).map(|key| key.column).collect();
    columns.extend(returning.iter().flat_map(|returning| &returning.columns));
    let needs_report = delete.using.is_some()
        || !delete.ctes.is_empty()
        || delete.predicate.as_ref().is_some_and(has_subquery);
    let (target, feed) = if needs_report {
        let query = derived_query(WriteParts {
            codec: &codec,
            alias: &delete.alias,
            cols: &delete.cols,
            ctes: &delete.ctes,
            other: delete.using.as_ref(),
            predicate: delete.predicate.as_ref(),
            values: Vec::new(),
            extra,
        });
        let columns = columns.into_iter().collect();
        (
            Target::Fed(FedTarget { codec: codec.clone(), columns, mode: LockMode::Update }),
            Some(Arc::new(query)),
        )
    } else {
        let predicate = delete.predicate.as_ref();
        (
            Target::Scan(Box::new(scan_target(
                &codec,
                &delete.alias,
                &delete.cols,
                predicate,
                LockMode::Update,
                columns,
                rows,
            )?)),
            None,
        )
    };
    Ok(RowPlan::new(PlanKind::Delete(DeletePlan { codec, target, returning }), feed))
}

fn plan_copy(what: &CopyWhat, bind: &BindContext<'_>) -> SqlResult<RowPlan> {
    let CopyWhat::From { table, columns, defaults, predicate, cols } = what else {
        return Err(SqlError::internal("COPY TO writes no rows"));
    };
    writable(table, "copy to")?;
    if predicate.as_ref().is_some_and(has_subquery) {
        return Err(SqlError::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            "cannot use subquery in COPY FROM WHERE condition",
        ));
    }
    let none = Scope::new();
    let mut scope = Scope::new();
    scope.add_table(cols, 0);
    let plan = InsertPlan {
        codec: Arc::new(TableCodec::new(table.clone())),
        source: Node::Fed,
        columns: columns.clone(),
        defaults: defaults
            .iter()
            .map(|(column, expr)| Ok((*column, compile(expr, &none)?)))
            .collect::<SqlResult<_>>()?,
        filter: predicate.as_ref().map(|predicate| compile(predicate, &scope)).transpose()?,
        constraints: Constraints::new(table, None, bind)?,
        on_conflict: None,
        returning: None,
    };
    Ok(RowPlan::new(PlanKind::Insert(plan), None))
}
