//! Prepared statements and portals: what is kept between Parse, Bind and Execute.

use super::execute::{Outcome, RowPlan};
use super::settings::spelling;
use super::{Session, rows};
use crate::catalog::{DatabaseCatalog, SessionCatalog, TableDef};
use crate::functions::text_io;
use crate::pgwire::message::{self, Bind, format_at};
use crate::pgwire::writer::Writer;
use crate::row_exec::expr::{Env, Scope, compile};
use crate::sql::bound::{Bound, BoundStatement, Expr, OutputColumn, PreparedStatement, SettingStatement};
use crate::sql::{self, BindContext, CatalogLookup, ParsedStatement};
use crate::{SqlError, SqlResult};
use parking_lot::Mutex;
use shardforge_types::{Datum, Oid, PgType, Settings, SqlState, binary, oids, text};
use std::sync::Arc;

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
    /// The catalog it was bound with; `None` when it needs none.
    catalog: Option<Arc<DatabaseCatalog>>,
    settings_version: u64,
}

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
            let path = self.settings.lock().search_path(&self.user);
            let session = SessionCatalog::new(catalog.clone(), &path, &self.user);
            (Some(catalog), Some(session))
        };
        let (forms, settings_version) = {
            let settings = self.settings.lock();
            (settings.forms().clone(), settings.version())
        };
        let forms = Settings { now: self.transaction.as_ref().map_or(0, |t| t.started), ..forms };
        let lookup: &dyn CatalogLookup = session_catalog.as_ref().map_or(&NoCatalog, |catalog| catalog);
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
        Ok(Arc::new(Plan { bound, row, output, catalog, settings_version }))
    }

    /// The plan of a prepared statement, bound again when the schema or a setting has changed.
    pub(super) async fn valid_plan(&mut self, prepared: &Prepared) -> SqlResult<Arc<Plan>> {
        let plan = prepared.plan.lock().clone();
        let Some(statement) = &prepared.statement else { return Ok(plan) };
        let same_settings = plan.settings_version == self.settings.lock().version();
        let same_catalog = match &plan.catalog {
            None => true,
            Some(of) => {
                self.refuse_when_aborted(statement)?;
                self.enter_as_of(statement).await?;
                Arc::ptr_eq(of, &self.statement_catalog().await?)
            }
        };
        if same_settings && same_catalog {
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

    fn portal(&self, name: &str) -> SqlResult<&Portal> {
        self.portals.get(name).ok_or_else(|| no_portal(name))
    }

    /// Takes a portal out, to run it.
    pub(super) fn take_portal(&mut self, name: &str) -> SqlResult<Portal> {
        self.portals.remove(name).ok_or_else(|| no_portal(name))
    }

    /// Bind: a portal of a statement, its parameters read.
    pub fn bind(&mut self, bind: &Bind<'_>) -> SqlResult<()> {
        let prepared = self.prepared(bind.statement)?;
        let plan = prepared.plan.lock().clone();
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
        if !bind.portal.is_empty() && self.portals.contains_key(bind.portal) {
            return Err(SqlError::new(
                SqlState::DUPLICATE_CURSOR,
                format!("cursor \"{}\" already exists", bind.portal),
            ));
        }
        let objects = self.object_names(&plan);
        let params = {
            let settings = self.settings.lock();
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
                            Some(context) if rows::names_objects(*ty) => {
                                text_io::from_text(text, *ty, context)
                            }
                            _ => Ok(text::input(text, *ty, settings.forms())?),
                        }
                    }
                    1 => Ok(binary::input(bytes, *ty)?),
                    other => Err(SqlError::new(
                        SqlState::INVALID_PARAMETER_VALUE,
                        format!("unsupported format code: {other}"),
                    )),
                }
            };
            bind.params()
                .zip(&plan.bound.params)
                .enumerate()
                .map(read)
                .collect::<SqlResult<Arc<[Datum]>>>()?
        };
        let formats = bind.result_formats.to_vec();
        let moment = self.transaction.as_ref().map_or(0, |transaction| transaction.moment());
        let portal = Portal { prepared, plan, params, formats, state: PortalState::Fresh, moment };
        self.portals.insert(bind.portal.to_string(), portal);
        Ok(())
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
        let portal = self.portal(name)?;
        if matches!(portal.state, PortalState::Fresh) {
            // What is told now is what Execute will send, or refuse.
            let prepared = portal.prepared.clone();
            let plan = self.valid_plan(&prepared).await?;
            self.portals.get_mut(name).ok_or_else(|| no_portal(name))?.plan = plan;
        }
        let portal = self.portal(name)?;
        rows::write_description(&portal.plan, &portal.formats, writer);
        Ok(())
    }

    /// Close of a statement; closing what does not exist is no error.
    pub fn close_statement(&mut self, name: &str) {
        self.statements.remove(name);
    }

    /// Close of a portal.
    pub fn close_portal(&mut self, name: &str) {
        self.portals.remove(name);
    }
}

impl Plan {
    /// Whether it answers with rows: a query does without any column too (`SELECT`).
    pub(super) fn returns_rows(&self) -> bool {
        !self.output.is_empty() || matches!(self.bound.statement, BoundStatement::Query(_))
    }

    fn empty() -> Self {
        Plan {
            bound: Bound {
                statement: BoundStatement::Notice { tag: "", message: String::new() },
                params: Vec::new(),
            },
            row: None,
            output: Vec::new(),
            catalog: None,
            settings_version: 0,
        }
    }

    /// The catalog it was bound with.
    pub(super) fn catalog(&self) -> Option<&Arc<DatabaseCatalog>> {
        self.catalog.as_ref()
    }
}

fn no_portal(name: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_CURSOR_NAME, format!("portal \"{name}\" does not exist"))
}
