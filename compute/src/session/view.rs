//! What statements see of their session: the catalog by its search path, and what functions may ask. Both
//! depend on settings and catalog alone, so they are kept from statement to statement; only the times in
//! them move on.

use super::Session;
use super::settings::SessionSettings;
use crate::SqlResult;
use crate::catalog::{DatabaseCatalog, SessionCatalog};
use crate::functions::{EvalContext, SessionAccess, SessionInfo};
use parking_lot::Mutex;
use std::sync::Arc;

/// What is kept, and what it was made of.
pub(super) struct View {
    settings_version: u64,
    catalog: Arc<DatabaseCatalog>,
    lookup: Arc<SessionCatalog>,
    context: Arc<EvalContext>,
}

impl Session {
    /// What functions may ask, as of a statement that starts now.
    pub(super) fn eval_context(&mut self, catalog: &Arc<DatabaseCatalog>) -> Arc<EvalContext> {
        let (transaction_time, statement_time) = match &self.transaction {
            // The first statement starts with its transaction.
            Some(transaction) if !transaction.block => (transaction.started, transaction.started),
            Some(transaction) => (transaction.started, self.now()),
            None => {
                let now = self.now();
                (now, now)
            }
        };
        let snapshot = self.transaction.as_ref().and_then(|transaction| transaction.snapshot);
        let last_commit = self.last_commit.get();
        let view = self.view(catalog);
        // Copied only while an earlier statement, an open portal's say, still looks at it.
        let context = Arc::make_mut(&mut view.context);
        context.statement_time = statement_time;
        context.snapshot = snapshot;
        context.last_commit = last_commit;
        if context.transaction_time != transaction_time {
            context.transaction_time = transaction_time;
            Arc::make_mut(&mut context.session).settings.now = transaction_time;
        }
        view.context.clone()
    }

    /// The catalog as names of the session's next statement are looked up in it.
    pub(super) fn lookup(&mut self, catalog: &Arc<DatabaseCatalog>) -> Arc<SessionCatalog> {
        self.view(catalog).lookup.clone()
    }

    fn view(&mut self, catalog: &Arc<DatabaseCatalog>) -> &mut View {
        let version = self.settings.lock().version();
        let kept = self
            .view
            .take()
            .filter(|view| view.settings_version == version && Arc::ptr_eq(&view.catalog, catalog));
        let view = kept.unwrap_or_else(|| self.new_view(version, catalog));
        self.view.insert(view)
    }

    fn new_view(&self, settings_version: u64, catalog: &Arc<DatabaseCatalog>) -> View {
        let settings = self.settings.lock();
        let path = settings.search_path(&self.user);
        let lookup = Arc::new(
            SessionCatalog::new(catalog.clone(), &path, &self.user)
                .with_activity(self.branch.activity.clone()),
        );
        let parts = self.compute.parts();
        let info = SessionInfo {
            settings: settings.forms().clone(),
            user: self.user.clone(),
            session_user: self.user.clone(),
            database: self.database_name.clone(),
            database_oid: self.database,
            search_path: path.into_iter().filter(|name| catalog.namespace_oid(name).is_some()).collect(),
            backend_pid: self.pid,
            clock: parts.clock.clone(),
            random: parts.random.clone(),
        };
        let context = EvalContext {
            transaction_time: info.settings.now,
            statement_time: info.settings.now,
            session: Arc::new(info),
            catalog: Some(lookup.clone()),
            access: Some(Arc::new(SettingsAccess(self.settings.clone()))),
            sequences: Some(self.sequences.clone()),
            snapshot: None,
            last_commit: None,
        };
        View { settings_version, catalog: catalog.clone(), lookup, context: Arc::new(context) }
    }
}

/// What functions reach of the session's settings.
struct SettingsAccess(Arc<Mutex<SessionSettings>>);

impl SessionAccess for SettingsAccess {
    fn setting(&self, name: &str) -> Option<String> {
        self.0.lock().get(name).map(str::to_string)
    }

    fn set_setting(&self, name: &str, value: Option<&str>, local: bool) -> SqlResult<String> {
        let mut settings = self.0.lock();
        settings.set(name, value, local)?;
        settings.show(name).map(str::to_string)
    }
}
