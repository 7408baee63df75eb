//! SQL's words for values of the session that are no function calls in `pg_proc`.

use crate::functions::{EvalContext, clock};
use crate::{SqlError, SqlResult};
use shardforge_types::datetime::arithmetic::{timestamp_to_date, timestamp_to_time};
use shardforge_types::typmod::{Coercion, coerce};
use shardforge_types::{Datum, PgType};

/// The value of `CURRENT_DATE` and its kin, by upper-case name; a precision is in the type's modifier.
pub(super) fn session_value(name: &str, ty: PgType, context: &EvalContext) -> SqlResult<Datum> {
    let now = context.transaction_time;
    let value = match name {
        "CURRENT_USER" | "CURRENT_ROLE" | "USER" => Datum::text(context.session.user.as_str()),
        "SESSION_USER" => Datum::text(context.session.session_user.as_str()),
        "CURRENT_CATALOG" => Datum::text(context.session.database.as_str()),
        "CURRENT_SCHEMA" => {
            context.session.search_path.first().map_or(Datum::Null, |s| Datum::text(s.as_str()))
        }
        "CURRENT_TIMESTAMP" => Datum::TimestampTz(now),
        "LOCALTIMESTAMP" => Datum::Timestamp(clock::to_local(now, context)),
        "CURRENT_DATE" => Datum::Date(timestamp_to_date(clock::to_local(now, context))),
        "LOCALTIME" => timestamp_to_time(clock::to_local(now, context)).map_or(Datum::Null, Datum::Time),
        other => return Err(SqlError::not_supported(other)),
    };
    Ok(coerce(value, ty, Coercion::Explicit)?)
}
