//! Views of the session and of the server.

use super::rows::RowBuilder;
use crate::catalog::TableDef;
use crate::catalog::database::DatabaseCatalog;
use crate::functions::EvalContext;
use crate::session::settings;
use shardforge_types::{Datum, Oid};

/// The settings that there are, as this session has them.
pub(super) fn pg_settings(table: &TableDef, context: &EvalContext) -> Vec<Vec<Datum>> {
    let Some(access) = &context.access else { return Vec::new() };
    let row = |name: &'static str| {
        let value = access.setting(name)?;
        let row = RowBuilder::new(table)
            .col("name", name)
            .col("setting", value)
            .nulls(&["unit", "category", "short_desc", "extra_desc"])
            .col("context", "user")
            .col("vartype", "string")
            .col("source", "session")
            .nulls(&["min_val", "max_val", "enumvals"])
            .nulls(&["boot_val", "reset_val", "sourcefile", "sourceline"])
            .col("pending_restart", false);
        Some(row.finish())
    };
    settings::names().filter_map(row).collect()
}

/// The session that asks; of others this view does not know.
pub(super) fn pg_stat_activity(
    table: &TableDef,
    catalog: &DatabaseCatalog,
    context: &EvalContext,
) -> Vec<Vec<Datum>> {
    let session = &context.session;
    let role = catalog.roles().iter().find(|role| role.name == session.user).map(|role| role.oid);
    let application = context.access.as_ref().and_then(|access| access.setting("application_name"));
    let row = RowBuilder::new(table)
        .col("datid", catalog.database())
        .col("datname", catalog.name())
        .col("pid", session.backend_pid)
        .col("leader_pid", ())
        .col("usesysid", role)
        .col("usename", session.user.as_str())
        .col("application_name", application.unwrap_or_default())
        .nulls(&["client_addr", "client_hostname", "client_port", "backend_start"])
        .col("xact_start", Datum::TimestampTz(context.transaction_time))
        .col("query_start", Datum::TimestampTz(context.statement_time))
        .col("state_change", Datum::TimestampTz(context.statement_time))
        .nulls(&["wait_event_type", "wait_event"])
        .col("state", "active")
        .col("backend_xid", None::<Oid>)
        .nulls(&["backend_xmin", "query_id", "query"])
        .col("backend_type", "client backend");
    vec![row.finish()]
}
