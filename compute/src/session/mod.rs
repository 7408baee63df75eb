//! A session: one client's transaction, settings, prepared statements and portals.
//!
//! # What is guaranteed
//!
//! 1. A statement that fails leaves nothing behind: its writes are undone, and in a block everything
//!    but the block's end is refused until then (25P02).
//! 2. Statements outside a block that come in one simple query, or before one Sync, are one
//!    transaction.
//! 3. What was answered to a COMMIT is what happened: a commit is never cancelled half way.
//!
//! # The life of a statement
//!
//! 1. [`Session::parse`] (or a simple query) cuts the text; binding waits until there is a snapshot.
//! 2. [`prepared`] keeps the bound tree and binds again when schema or settings have changed.
//! 3. [`run`] begins what must be begun, and hands the tree to an executor: [`execute`].
//! 4. [`rows`] writes what comes back; a portal with a row limit keeps the rest.
//! 5. [`transaction`] commits at the end of the query, at Sync, or at COMMIT.
//!
//! What it does not do: it never decides a type, and never touches a page.

mod blocks;
mod copy;
mod copy_input;
mod deadline;
mod durations;
mod execute;
mod executions;
mod explain;
mod history;
mod plan_cache;
mod prepared;
mod row_run;
mod rows;
mod run;
pub mod settings;
mod source;
mod transaction;
mod view;

use crate::catalog::roles;
use crate::catalog::stored::RoleRow;
use crate::node::{Compute, OpenBranch};
use crate::pgwire::cancel::Cancel;
use crate::pgwire::scram::Verifier;
use crate::pgwire::startup::Parameters;
use crate::pgwire::writer::{Severity, TransactionStatus, Writer};
use crate::sequence::SessionSequences;
use crate::txn::{Txn, TxnOptions};
use crate::{SqlError, SqlResult};
pub(crate) use blocks::{StopFlag, StopOnDrop, TableBlocks, threads};
pub use deadline::Deadline;
use history::LastCommit;
use parking_lot::Mutex;
use prepared::{Portals, Prepared};
use settings::SessionSettings;
use shardforge_types::{Oid, SqlState};
use std::collections::HashMap;
use std::sync::Arc;
use transaction::{Idle, Transaction};

/// Microseconds between 1970-01-01 and 2000-01-01, where PostgreSQL's time begins.
const POSTGRES_EPOCH_MICROS: i64 = 946_684_800_000_000;

/// A notice or warning for the client.
#[derive(Debug, Clone)]
struct Notice(Severity, SqlError);

/// One client's session.
pub struct Session {
    compute: Arc<Compute>,
    branch: Arc<OpenBranch>,
    database: Oid,
    database_name: String,
    user: String,
    role: Oid,
    pid: i32,
    cancel: Arc<Cancel>,
    settings: Arc<Mutex<SessionSettings>>,
    sequences: Arc<SessionSequences>,
    last_commit: LastCommit,
    transaction: Option<Transaction>,
    /// How many have ended: a portal belongs to the one it was made in.
    transactions_ended: u64,
    statements: HashMap<String, Arc<Prepared>, ahash::RandomState>,
    portals: Portals,
    notices: Vec<Notice>,
    /// What statements see of the session: made anew when settings or catalog have changed.
    view: Option<view::View>,
    /// Plans of simple queries.
    plan_cache: plan_cache::PlanCache,
    /// Executions of the plans that ran last, and their buffers.
    executions: executions::Executions,
    /// What the next transaction begins in.
    idle: Option<Idle>,
}

impl Session {
    /// Opens the branch and the database that the client wants; who it is, is proved later.
    pub async fn open(
        compute: Arc<Compute>,
        parameters: &Parameters,
        pid: i32,
        cancel: Arc<Cancel>,
    ) -> SqlResult<Session> {
        let branch = compute.open_branch(parameters.branch.as_deref()).await?;
        let mut settings = SessionSettings::default();
        settings.configure(&compute.parts().autovacuum);
        for (name, value) in &parameters.settings {
            settings.start_with(name, value)?;
        }
        settings.fix("session_authorization", &parameters.user);
        let mut txn = Txn::begin(&branch.branch, TxnOptions { read_only: true, ..TxnOptions::default() });
        txn.begin_statement().await?;
        let database = roles::database(&mut txn, &parameters.database).await?.ok_or_else(|| {
            SqlError::new(
                SqlState::INVALID_CATALOG_NAME,
                format!("database \"{}\" does not exist", parameters.database),
            )
        })?;
        txn.rollback();
        Ok(Session {
            sequences: Arc::new(SessionSequences::new(branch.sequences.clone(), database.oid)),
            last_commit: LastCommit::default(),
            compute,
            branch,
            database: database.oid,
            database_name: parameters.database.clone(),
            user: parameters.user.clone(),
            role: Oid(0),
            pid,
            cancel,
            settings: Arc::new(Mutex::new(settings)),
            transaction: None,
            transactions_ended: 0,
            statements: HashMap::default(),
            portals: Portals::default(),
            notices: Vec::new(),
            view: None,
            plan_cache: plan_cache::PlanCache::default(),
            executions: executions::Executions::default(),
            idle: None,
        })
    }

    /// The stored verifier of a role's password; `None` without a role that may log in by one.
    pub async fn password_verifier(&mut self, user: &str) -> SqlResult<Option<Verifier>> {
        let role = self.role(user).await?;
        let verifier = role.filter(|role| role.can_login).and_then(|role| role.password);
        verifier.map(|text| Verifier::from_text(&text).map_err(SqlError::from)).transpose()
    }

    /// Whether the role exists and may log in.
    pub async fn authorize(&mut self) -> SqlResult<()> {
        let Some(role) = self.role(&self.user.clone()).await? else {
            return Err(SqlError::new(
                SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
                format!("role \"{}\" does not exist", self.user),
            ));
        };
        if !role.can_login {
            return Err(SqlError::new(
                SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
                format!("role \"{}\" is not permitted to log in", self.user),
            ));
        }
        self.role = role.oid;
        self.settings.lock().fix("is_superuser", if role.superuser { "on" } else { "off" });
        Ok(())
    }

    async fn role(&mut self, name: &str) -> SqlResult<Option<RoleRow>> {
        let mut txn =
            Txn::begin(&self.branch.branch, TxnOptions { read_only: true, ..TxnOptions::default() });
        txn.begin_statement().await?;
        let role = roles::role(&mut txn, name).await?;
        txn.rollback();
        Ok(role)
    }

    /// Tells the client the settings it wants to know of.
    pub fn write_parameters(&self, writer: &mut Writer) {
        self.settings.lock().reported().for_each(|(name, value)| writer.parameter_status(name, value));
    }

    /// Writes the settings that have changed since the client was last told: before ReadyForQuery, so
    /// that it hears of what has lasted.
    pub fn write_changed_settings(&mut self, writer: &mut Writer) {
        for (name, value) in self.settings.lock().take_changed() {
            writer.parameter_status(name, &value);
        }
    }

    /// Writes the notices that have gathered.
    pub fn write_notices(&mut self, writer: &mut Writer) {
        if self.notices.is_empty() {
            return;
        }
        let notices = std::mem::take(&mut self.notices);
        let settings = self.settings.lock();
        let quiet = settings.get("client_min_messages").unwrap_or("notice").to_string();
        for Notice(severity, notice) in notices {
            let shown = match severity {
                Severity::Notice => !matches!(quiet.as_str(), "warning" | "error"),
                _ => quiet != "error",
            };
            if shown {
                writer.error(severity, &notice);
            }
        }
    }

    fn notice(&mut self, message: impl Into<String>) {
        self.notices.push(Notice(Severity::Notice, SqlError::new(SqlState::SUCCESSFUL_COMPLETION, message)));
    }

    fn notice_with(&mut self, notice: &crate::Notice) {
        let notice = SqlError::new(notice.sqlstate, notice.message.clone());
        self.notices.push(Notice(Severity::Notice, notice));
    }

    fn warning(&mut self, sqlstate: SqlState, message: impl Into<String>) {
        self.notices.push(Notice(Severity::Warning, SqlError::new(sqlstate, message)));
    }

    /// Whether a transaction is open.
    pub fn status(&self) -> TransactionStatus {
        match &self.transaction {
            Some(transaction) if transaction.failed => TransactionStatus::Failed,
            Some(transaction) if transaction.block => TransactionStatus::Open,
            _ => TransactionStatus::Idle,
        }
    }

    /// How long the client may stay silent from now on.
    pub fn idle_limit(&self) -> Deadline {
        let settings = self.settings.lock();
        Deadline::after(match self.status() {
            TransactionStatus::Idle => settings.limits().idle_session,
            _ => settings.limits().idle_in_transaction,
        })
    }

    /// The error for a client that was silent for longer.
    pub fn idle_too_long(&self) -> SqlError {
        match self.status() {
            TransactionStatus::Idle => SqlError::new(
                SqlState::IDLE_SESSION_TIMEOUT,
                "terminating connection due to idle-session timeout",
            ),
            _ => SqlError::new(
                SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
                "terminating connection due to idle-in-transaction timeout",
            ),
        }
    }

    /// The number by which clients know the session.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// What reaches the session from outside.
    pub fn cancel(&self) -> Arc<Cancel> {
        self.cancel.clone()
    }

    /// The client is gone: what it had open is rolled back.
    pub async fn close(&mut self) {
        self.portals.clear();
        if let Some(transaction) = self.transaction.take() {
            transaction.rollback().await;
        }
    }

    /// Microseconds since 2000-01-01 UTC.
    fn now(&self) -> i64 {
        self.compute.parts().clock.wall_micros() - POSTGRES_EPOCH_MICROS
    }
}
