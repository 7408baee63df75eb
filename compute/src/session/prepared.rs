//! Prepared statements and portals: what is kept between Parse, Bind and Execute.

use super::execute::{Outcome, RowPlan};
use super::rows::Description;
use super::settings::spelling;
use super::{Session, rows};
use crate::catalog::{DatabaseCatalog, TableDef};
use crate::functions::text_io;
use crate::pgwire::message::{self, Bind, format_at};
use crate::pgwire::writer::Writer;
use crate::row_exec::expr::{Env, Scope, compile};
use crate::sql::bound::{
    Bound, BoundStatement, Expr, IsolationLevel, OutputColumn, PreparedStatement, SettingStatement,
};
use crate::sql::{self, BindContext, CatalogLookup, ParsedStatement};
use crate::{SqlError, SqlResult};
use parking_lot::Mutex;
use shardforge_types::{Datum, Oid, PgType, Settings, SqlState, binary, oids, text};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The most parameters a statement can have: the wire counts them in 16 bits.
const MAX_PARAMS: usize = 65_535;

/// A prepared statement.
pub(super) struct Prepared {
    /// `None` for an empty text.
    pub(super) statement: Option<ParsedStatement>,
    /// The plan as last made.
    plan: Mutex<Arc<Plan>>,
}

/// A bound statement, with what it was bound under.
pub(super) struct Plan {
    /// The tree.
    pub(super) bound: Bound,
    /// How the row executor runs it, when it can.
    pub(super) row: Option<Arc<RowPlan>>,
    /// What it returns.
    pub(super) output: Vec<OutputColumn>,
    /// The same as a message.
    pub(super) description: Description,
    /// Whether rows or parameters have values that are shown by an object's name.
    pub(super) shows_objects: bool,
    /// Whether a parameter can be a word such as `now`.
    params_have_times: bool,
    /// The catalog it was bound with; `None` when it needs none.
    catalog: Option<Arc<DatabaseCatalog>>,
    /// While this is the last change of the branch's schema, the catalog is the same.
    schema_at: AtomicU64,
    settings_version: u64,
}

/// For a plan that no LSN vouches for: its catalog must be compared.
const NO_LSN: u64 = u64::MAX;

/// A portal: a plan with its parameters, perhaps half run.
pub(super) struct Portal {
    pub(super) prepared: Arc<Prepared>,
    pub(super) plan: Arc<Plan>,
    pub(super) params: Arc<[Datum]>,
    /// Format codes of the result columns, as the wire has them.
    pub(super) formats: Vec<u8>,
    pub(super) state: PortalState,
    /// How many savepoints its transaction had made when it was made.
    pub(super) moment: u64,
}

/// The open portals. The unnamed one, which nearly every client uses, is made over and over in the same
/// memory.
#[derive(Default)]
pub(super) struct Portals {
    unnamed: Option<Portal>,
    named: HashMap<String, Portal>,
    spare: Option<Portal>,
}

impl Portals {
    fn get(&self, name: &str) -> SqlResult<&Portal> {
        let found = if name.is_empty() { self.unnamed.as_ref() } else { self.named.get(name) };
        found.ok_or_else(|| no_portal(name))
    }

    fn get_mut(&mut self, name: &str) -> SqlResult<&mut Portal> {
        let found = if name.is_empty() { self.unnamed.as_mut() } else { self.named.get_mut(name) };
        found.ok_or_else(|| no_portal(name))
    }

    /// Takes a portal out, to run it.
    pub(super) fn take(&mut self, name: &str) -> SqlResult<Portal> {
        let found = if name.is_empty() { self.unnamed.take() } else { self.named.remove(name) };
        found.ok_or_else(|| no_portal(name))
    }

    /// Puts a portal in, or back in; an unnamed one takes the place of the last.
    pub(super) fn put(&mut self, name: &str, portal: Portal) {
        if name.is_empty() {
            self.unnamed = Some(portal);
        } else {
            self.named.insert(name.to_string(), portal);
        }
    }

    /// A portal has ended: its memory is kept for the next.
    pub(super) fn retire(&mut self, mut portal: Portal) {
        portal.state = PortalState::Done;
        self.spare = Some(portal);
    }

    /// Closes a portal, if it is open.
    pub(super) fn close(&mut self, name: &str) {
        if name.is_empty() {
            self.unnamed.take().into_iter().for_each(|portal| self.retire(portal));
        } else {
            self.named.remove(name);
        }
    }

    /// Closes the portals that were made at this moment of their transaction or later.
    pub(super) fn close_from(&mut self, moment: u64) {
        if self.unnamed.as_ref().is_some_and(|portal| portal.moment >= moment) {
            self.close("");
        }
        self.named.retain(|_, portal| portal.moment < moment);
    }

    /// Closes all portals.
    pub(super) fn clear(&mut self) {
        self.close("");
        self.named.clear();
    }
}

/// How far a portal is.
pub(super) enum PortalState {
    /// Not run yet.
    Fresh,
    /// Suspended by a row limit, with the number of rows already sent.
    Suspended(Outcome, u64),
    /// Run to its end.
    Done,
}

/// A catalog for statements that name nothing.
struct NoCatalog;

impl CatalogLookup for NoCatalog {
    fn table(&self, _: Option<&str>, _: &str) -> SqlResult<Option<Arc<TableDef>>> {
        Ok(None)
    }
    fn schema(&self, _: &str) -> SqlResult<Option<Oid>> {
        Ok(None)
    }
    fn role(&self, _: &str) -> SqlResult<Option<Oid>> {
        Ok(None)
    }
    fn creation_schema(&self) -> SqlResult<(Oid, String)> {
        Err(SqlError::internal("a statement without a catalog asked for a schema"))
    }
    fn database(&self) -> &str {
        ""
    }
}

impl Session {
    /// Parse: cuts, binds, and keeps a statement.
    pub async fn parse(&mut self, name: &str, text: &str, types: &[u8]) -> SqlResult<()> {
        if name.is_empty() {
            // The unnamed one is replaced, even by a text that turns out to be wrong.
            self.statements.remove(name);
        } else if self.statements.contains_key(name) {
            return Err(SqlError::new(
                SqlState::DUPLICATE_PSTATEMENT,
                format!("prepared statement \"{name}\" already exists"),
            ));
        }
        let given = types.chunks_exact(4).map(|oid| {
            let oid = Oid(u32::from_be_bytes([oid[0], oid[1], oid[2], oid[3]]));
            (oid != Oid(0) && oid != oids::UNKNOWN).then(|| PgType::new(oid))
        });
        let prepared = self.prepare(text, given.collect()).await?;
        self.statements.insert(name.to_string(), Arc::new(prepared));
        Ok(())
    }

    /// A prepared statement of a text of one statement.
    pub(super) async fn prepare(&mut self, text: &str, given: Vec<Option<PgType>>) -> SqlResult<Prepared> {
        let mut statements = sql::parse(text)?;
        if statements.len() > 1 {
            return Err(SqlError::new(
                SqlState::SYNTAX_ERROR,
                "cannot insert multiple commands into a prepared statement",
            ));
        }
        let statement = statements.pop();
        let plan = match &statement {
            Some(statement) => self.plan(statement, &given).await?,
            None => Arc::new(Plan::empty()),
        };
        Ok(Prepared { statement, plan: Mutex::new(plan) })
    }

    /// Binds a statement under the catalog and the settings of now.
    pub(super) async fn plan(
        &mut self,
        statement: &ParsedStatement,
        given: &[Option<PgType>],
    ) -> SqlResult<Arc<Plan>> {
        self.refuse_when_aborted(statement)?;
        self.enter_as_of(statement).await?;
        let (catalog, session_catalog) = if statement.needs_no_snapshot() {
            (None, None)
        } else {
            let catalog = self.statement_catalog().await?;
            let session = self.lookup(&catalog);
            (Some(catalog), Some(session))
        };
        let (forms, settings_version) = {
            let settings = self.settings.lock();
            (settings.forms().clone(), settings.version())
        };
        let forms = Settings { now: self.transaction.as_ref().map_or(0, |t| t.started), ..forms };
        let lookup: &dyn CatalogLookup =
            session_catalog.as_ref().map_or(&NoCatalog as &dyn CatalogLookup, |catalog| &**catalog);
        let ctx = BindContext { catalog: lookup, settings: &forms, param_types: given };
        let bound = sql::bind(statement, &ctx)?;
        if bound.params.len() > MAX_PARAMS {
            return Err(SqlError::new(
                SqlState::TOO_MANY_ARGUMENTS,
                "a statement has at most 65535 parameters",
            ));
        }
        let row = match &catalog {
            Some(_) => self.plan_row(&bound, lookup, &forms)?,
            None => None,
        };
        let output = self.output_of(&bound.statement)?;
        let types = || output.iter().map(|column| column.ty).chain(bound.params.iter().copied());
        Ok(Arc::new(Plan {
            shows_objects: types().any(rows::names_objects),
            params_have_times: bound.params.iter().any(|ty| reads_clock(*ty)),
            description: Description::new(&output),
            schema_at: AtomicU64::new(catalog.as_ref().map_or(NO_LSN, |_| self.schema_lsn())),
            bound,
            row,
            output,
            catalog,
            settings_version,
        }))
    }

    /// The last change of the schema, when the running statement sees exactly what it left; else [`NO_LSN`].
    fn schema_lsn(&self) -> u64 {
        let Some(transaction) = &self.transaction else { return NO_LSN };
        // The order matters: what was applied when the snapshot was taken has been heard of by now.
        let Some(snapshot) = transaction.snapshot else { return NO_LSN };
        let last = self.branch.branch.cache().watched();
        // A SERIALIZABLE transaction reads the version of the schema, so that it is checked at COMMIT.
        let apart = transaction.changed_schema
            || transaction.as_of.is_some()
            || transaction.level == IsolationLevel::Serializable;
        if apart || last > snapshot { NO_LSN } else { last.0 }
    }

    /// The plan of a prepared statement, bound again when the schema or a setting has changed.
    pub(super) async fn valid_plan(&mut self, prepared: &Prepared) -> SqlResult<Arc<Plan>> {
        let plan = prepared.plan();
        let Some(statement) = &prepared.statement else { return Ok(plan) };
        if self.still_valid(prepared).await? {
            return Ok(plan);
        }
        // The types of parameters stay as they were told to the client, whatever the schema is now.
        let params: Vec<_> = plan.bound.params.iter().copied().map(Some).collect();
        let again = self.plan(statement, &params).await?;
        let shape = |plan: &Plan| {
            plan.output.iter().map(|column| (column.name.clone(), column.ty)).collect::<Vec<_>>()
        };
        if shape(&again) != shape(&plan) {
            return Err(SqlError::new(
                SqlState::FEATURE_NOT_SUPPORTED,
                "cached plan must not change result type",
            ));
        }
        *prepared.plan.lock() = again.clone();
        Ok(again)
    }

    /// Begins the next statement, and says whether a plan may run as it: no setting and no schema has changed
    /// since it was bound.
    pub(super) async fn still_valid(&mut self, prepared: &Prepared) -> SqlResult<bool> {
        let plan = prepared.plan();
        let Some(statement) = &prepared.statement else { return Ok(true) };
        let same_settings = plan.settings_version == self.settings.lock().version();
        let same_catalog = match &plan.catalog {
            None => true,
            Some(of) => {
                self.refuse_when_aborted(statement)?;
                self.enter_as_of(statement).await?;
                self.begin_statement().await?;
                self.sees(of, &plan.schema_at).await?
            }
        };
        Ok(same_settings && same_catalog)
    }

    /// Whether the running statement sees a catalog, for which an LSN may vouch.
    async fn sees(&mut self, catalog: &Arc<DatabaseCatalog>, schema_at: &AtomicU64) -> SqlResult<bool> {
        let lsn = self.schema_lsn();
        if lsn == NO_LSN || schema_at.load(Ordering::Relaxed) != lsn {
            if !Arc::ptr_eq(catalog, &self.load_catalog().await?) {
                return Ok(false);
            }
            if lsn != NO_LSN {
                schema_at.store(lsn, Ordering::Relaxed);
            }
        }
        let transaction = self.transaction();
        if transaction.catalog.as_ref().is_none_or(|seen| !Arc::ptr_eq(seen, catalog)) {
            transaction.catalog = Some(catalog.clone());
        }
        Ok(true)
    }

    /// Whether a plan still holds for whoever looks now, without a snapshot: no settings and no schema have
    /// changed as far as this compute has heard. What is described by it is what runs, or is refused.
    pub(super) fn holds_now(&self, plan: &Plan) -> bool {
        let unchanged = match &self.transaction {
            Some(transaction) => {
                !transaction.failed && !transaction.changed_schema && transaction.as_of.is_none()
            }
            None => true,
        };
        let lsn = self.branch.branch.cache().watched().0;
        unchanged
            && plan.settings_version == self.settings.lock().version()
            && (plan.catalog.is_none() || plan.schema_at.load(Ordering::Relaxed) == lsn)
    }

    /// What a statement returns.
    fn output_of(&self, statement: &BoundStatement) -> SqlResult<Vec<OutputColumn>> {
        let text = |name: &str| OutputColumn {
            id: crate::sql::bound::ColId(0),
            name: name.to_string(),
            ty: PgType::new(oids::TEXT),
            origin: None,
        };
        Ok(match statement {
            BoundStatement::Query(query) => query.output.clone(),
            BoundStatement::Insert(insert) => {
                insert.returning.as_ref().map(|r| r.output.clone()).unwrap_or_default()
            }
            BoundStatement::Update(update) => {
                update.returning.as_ref().map(|r| r.output.clone()).unwrap_or_default()
            }
            BoundStatement::Delete(delete) => {
                delete.returning.as_ref().map(|r| r.output.clone()).unwrap_or_default()
            }
            BoundStatement::Explain(_) => vec![text("QUERY PLAN")],
            BoundStatement::Setting(SettingStatement::Show { name }) if name == "all" => {
                ["name", "setting", "description"].map(text).into()
            }
            BoundStatement::Setting(SettingStatement::Show { name }) => vec![text(&spelling(name))],
            BoundStatement::Prepared(PreparedStatement::Execute { name, .. }) => {
                self.prepared(name)?.plan.lock().output.clone()
            }
            _ => Vec::new(),
        })
    }

    /// A prepared statement by its name.
    pub(super) fn prepared(&self, name: &str) -> SqlResult<Arc<Prepared>> {
        self.statements.get(name).cloned().ok_or_else(|| {
            let message = match name {
                "" => "unnamed prepared statement does not exist".to_string(),
                name => format!("prepared statement \"{name}\" does not exist"),
            };
            SqlError::new(SqlState::INVALID_SQL_STATEMENT_NAME, message)
        })
    }

    /// EXECUTE: the statement of a name, and its parameters. A value of another type is converted
    /// through its text form.
    pub(super) async fn execute_arguments(
        &mut self,
        name: &str,
        args: &[Expr],
    ) -> SqlResult<(Arc<Prepared>, Arc<[Datum]>)> {
        let prepared = self.prepared(name)?;
        let types = prepared.plan.lock().bound.params.clone();
        if types.len() != args.len() {
            return Err(SqlError::new(
                SqlState::SYNTAX_ERROR,
                format!("wrong number of parameters for prepared statement \"{name}\""),
            )
            .detail(format!("Expected {} parameters but got {}.", types.len(), args.len())));
        }
        let catalog = self.statement_catalog().await?;
        let context = self.eval_context(&catalog);
        let value = |(arg, ty): (&Expr, &PgType)| {
            let value = compile(arg, &Scope::new())?.eval(&Env::new(&[], &[], &context))?;
            if arg.ty.oid == ty.oid || value.is_null() {
                return Ok(value);
            }
            let text = text::output_string(&value, arg.ty, context.settings()).unwrap_or_default();
            Ok(text::input(&text, *ty, context.settings())?)
        };
        let params = args.iter().zip(&types).map(value).collect::<SqlResult<Arc<[Datum]>>>()?;
        Ok((prepared, params))
    }

    /// Bind: a portal of a statement, its parameters read.
    pub fn bind(&mut self, bind: &Bind<'_>) -> SqlResult<()> {
        let prepared = self.prepared(bind.statement)?;
        let plan = prepared.plan();
        if let Some(statement) = &prepared.statement {
            self.refuse_when_aborted(statement)?;
        }
        let wanted = plan.bound.params.len();
        if bind.param_count != wanted {
            return Err(message::violation(format!(
                "bind message supplies {} parameters, but prepared statement \"{}\" requires {wanted}",
                bind.param_count, bind.statement
            )));
        }
        let result_formats = bind.result_formats.len() / 2;
        if result_formats > 1 && result_formats != plan.output.len() {
            return Err(message::violation(format!(
                "bind message has {result_formats} result formats but query has {} columns",
                plan.output.len()
            )));
        }
        if let Some(code) = bind.result_formats.chunks_exact(2).find(|code| !matches!(code, [0, 0 | 1])) {
            return Err(unknown_format(i16::from_be_bytes([code[0], code[1]])));
        }
        if !bind.portal.is_empty() && self.portals.named.contains_key(bind.portal) {
            return Err(SqlError::new(
                SqlState::DUPLICATE_CURSOR,
                format!("cursor \"{}\" already exists", bind.portal),
            ));
        }
        let moment = self.transaction.as_ref().map_or(0, |transaction| transaction.moment());
        let mut portal = match self.portals.spare.take() {
            Some(portal) => Portal { prepared, plan, moment, ..portal },
            None => Portal {
                prepared,
                plan,
                params: Arc::new([]),
                formats: Vec::new(),
                state: PortalState::Fresh,
                moment,
            },
        };
        self.read_params(bind, &portal.plan, &mut portal.params)?;
        portal.formats.clear();
        portal.formats.extend_from_slice(bind.result_formats);
        portal.state = PortalState::Fresh;
        self.portals.close(bind.portal);
        self.portals.put(bind.portal, portal);
        Ok(())
    }

    /// Reads the parameters of a Bind; `out` is filled in place when nobody else holds it.
    fn read_params(&mut self, bind: &Bind<'_>, plan: &Plan, out: &mut Arc<[Datum]>) -> SqlResult<()> {
        let objects = self.object_names(plan);
        let now = plan
            .params_have_times
            .then(|| self.transaction.as_ref().map_or_else(|| self.now(), |transaction| transaction.started));
        let mut settings = self.settings.lock();
        if let Some(now) = now {
            settings.forms_mut().now = now;
        }
        let forms = settings.forms();
        let read = |(index, (value, ty)): (usize, (Option<&[u8]>, &PgType))| {
            let Some(bytes) = value else { return Ok(Datum::Null) };
            match format_at(bind.param_formats, index) {
                0 => {
                    let text = std::str::from_utf8(bytes).map_err(|_| {
                        SqlError::new(
                            SqlState::CHARACTER_NOT_IN_REPERTOIRE,
                            format!("parameter ${} is not valid UTF-8", index + 1),
                        )
                    })?;
                    match &objects {
                        Some(context) if rows::names_objects(*ty) => text_io::from_text(text, *ty, context),
                        _ => Ok(text::input(text, *ty, forms)?),
                    }
                }
                1 => Ok(binary::input(bytes, *ty)?),
                other => Err(unknown_format(other)),
            }
        };
        let mut values = bind.params().zip(&plan.bound.params).enumerate().map(read);
        match Arc::get_mut(out).filter(|kept| kept.len() == bind.param_count) {
            Some(kept) => kept.iter_mut().try_for_each(|place| {
                *place = values.next().unwrap_or(Ok(Datum::Null))?;
                Ok(())
            }),
            None => {
                *out = values.collect::<SqlResult<Arc<[Datum]>>>()?;
                Ok(())
            }
        }
    }

    /// Describe of a statement.
    pub async fn describe_statement(&mut self, name: &str, writer: &mut Writer) -> SqlResult<()> {
        let prepared = self.prepared(name)?;
        let plan = self.valid_plan(&prepared).await?;
        writer.parameter_description(plan.bound.params.iter().map(|ty| ty.oid));
        rows::write_description(&plan, &[], writer);
        Ok(())
    }

    /// Describe of a portal.
    pub async fn describe_portal(&mut self, name: &str, writer: &mut Writer) -> SqlResult<()> {
        let portal = self.portals.get(name)?;
        if matches!(portal.state, PortalState::Fresh) && !self.holds_now(&portal.plan) {
            // What is told now is what Execute will send, or refuse.
            let prepared = portal.prepared.clone();
            let plan = self.valid_plan(&prepared).await?;
            self.portals.get_mut(name)?.plan = plan;
        }
        let portal = self.portals.get(name)?;
        rows::write_description(&portal.plan, &portal.formats, writer);
        Ok(())
    }

    /// Close of a statement; closing what does not exist is no error.
    pub fn close_statement(&mut self, name: &str) {
        self.statements.remove(name);
    }

    /// Close of a portal.
    pub fn close_portal(&mut self, name: &str) {
        self.portals.close(name);
    }
}

impl Prepared {
    /// The plan as last made.
    pub(super) fn plan(&self) -> Arc<Plan> {
        self.plan.lock().clone()
    }
}

impl Plan {
    /// Whether it answers with rows: a query does without any column too (`SELECT`).
    pub(super) fn returns_rows(&self) -> bool {
        !self.output.is_empty() || matches!(self.bound.statement, BoundStatement::Query(_))
    }

    /// Whether the report engine has no part in it.
    pub(super) fn is_light(&self) -> bool {
        match &self.row {
            Some(row) => row.is_whole(),
            None => matches!(self.bound.statement, BoundStatement::Transaction(_)),
        }
    }

    fn empty() -> Self {
        Plan {
            bound: Bound {
                statement: BoundStatement::Notice { tag: "", message: String::new() },
                params: Vec::new(),
            },
            row: None,
            output: Vec::new(),
            description: Description::default(),
            shows_objects: false,
            params_have_times: false,
            catalog: None,
            schema_at: AtomicU64::new(NO_LSN),
            settings_version: 0,
        }
    }

    /// The catalog it was bound with.
    pub(super) fn catalog(&self) -> Option<&Arc<DatabaseCatalog>> {
        self.catalog.as_ref()
    }
}

/// Whether text of a type may mean the time at which it is read.
fn reads_clock(ty: PgType) -> bool {
    let oid = ty.oid.element_type().unwrap_or(ty.oid);
    [oids::DATE, oids::TIME, oids::TIMESTAMP, oids::TIMESTAMPTZ].contains(&oid)
}

fn no_portal(name: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_CURSOR_NAME, format!("portal \"{name}\" does not exist"))
}

fn unknown_format(code: i16) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("unsupported format code: {code}"))
}
