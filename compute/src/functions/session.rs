//! Who and where: functions over the session.

use super::args::{TimestampTz, body};
use super::call::{Call, ScalarFunction, stable, volatile};
use crate::{SqlError, SqlResult};
use shardforge_types::{Datum, Numeric, SqlState, oids};

use crate::session::settings::SERVER_VERSION;

fn version() -> String {
    format!(
        "PostgreSQL {SERVER_VERSION} (ShardForge {}) on {}",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::ARCH
    )
}

fn setting(call: &Call<'_>, name: &str, missing_ok: bool) -> SqlResult<Option<String>> {
    match call.context.access.as_ref().and_then(|session| session.setting(name)) {
        Some(value) => Ok(Some(value)),
        None if missing_ok => Ok(None),
        None => {
            let message = format!("unrecognized configuration parameter \"{name}\"");
            Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message))
        }
    }
}

fn set_config(args: &[Datum], call: &Call<'_>) -> SqlResult<Datum> {
    let [name, value, local] = args else { return Err(super::args::wrong_arguments(args)) };
    let Some(name) = name.as_str() else {
        return Err(SqlError::new(SqlState::NULL_VALUE_NOT_ALLOWED, "SET requires parameter name"));
    };
    let Some(session) = &call.context.access else {
        return Err(SqlError::internal("set_config was called outside a session"));
    };
    let local = local.as_bool().unwrap_or(false);
    Ok(Datum::text(session.set_setting(name, value.as_str(), local)?))
}

/// `current_schemas(implicit)`: the search path, with `pg_catalog` before it when asked for.
fn current_schemas(call: &Call<'_>, implicit: bool) -> Datum {
    let path = &call.context.session.search_path;
    let catalog = (implicit && !path.iter().any(|schema| schema == "pg_catalog")).then_some("pg_catalog");
    let names = catalog.into_iter().chain(path.iter().map(String::as_str)).map(Datum::text);
    Datum::array(oids::NAME, names.collect())
}

fn uuid(call: &Call<'_>) -> super::args::Uuid {
    let mut bytes = call.context.session.random.bytes16();
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    super::args::Uuid(bytes)
}

/// Bytes as people read them: `pg_size_pretty`.
fn size_pretty(bytes: i128) -> String {
    const UNITS: [&str; 6] = ["bytes", "kB", "MB", "GB", "TB", "PB"];
    // A unit is left when the number passes ten thousand of it; halves are rounded away from zero.
    let mut value = bytes;
    let mut unit = 0;
    if value.abs() < 10 * 1024 {
        return format!("{value} bytes");
    }
    // One bit more than needed is kept, to round by.
    value >>= 9;
    unit += 1;
    while value.abs() >= 20 * 1024 - 1 && unit + 1 < UNITS.len() {
        value >>= 10;
        unit += 1;
    }
    let rounded = if value < 0 { (value - 1) / 2 } else { (value + 1) / 2 };
    format!("{rounded} {}", UNITS[unit])
}

fn size_pretty_numeric(bytes: &Numeric) -> SqlResult<String> {
    let whole = bytes.trunc(0)?;
    match whole.as_unscaled() {
        Some((value, 0)) => Ok(size_pretty(value)),
        _ => Err(SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value is out of range")),
    }
}

fn size_bytes(text: &str) -> SqlResult<i64> {
    let bad = || {
        SqlError::new(SqlState::INVALID_PARAMETER_VALUE, format!("invalid size: \"{text}\""))
            .hint("Valid units are \"bytes\", \"kB\", \"MB\", \"GB\", \"TB\", and \"PB\".")
    };
    let trimmed = text.trim();
    let end = trimmed
        .find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '-' | '+')))
        .unwrap_or(trimmed.len());
    let number: Numeric = trimmed[..end].trim().parse().map_err(|_| bad())?;
    let power = match trimmed[end..].trim().to_ascii_lowercase().as_str() {
        "" | "bytes" | "b" => 0,
        "kb" => 1,
        "mb" => 2,
        "gb" => 3,
        "tb" => 4,
        "pb" => 5,
        _ => return Err(bad()),
    };
    Ok(number.mul(&Numeric::from(1i64 << (10 * power)))?.to_i64()?)
}

/// The functions of this file.
pub(super) const FUNCTIONS: &[ScalarFunction] = &[
    stable(745, "current_user", body!(call || call.context.session.user.as_str())),
    stable(746, "session_user", body!(call || call.context.session.session_user.as_str())),
    stable(710, "getpgusername", body!(call || call.context.session.user.as_str())),
    stable(861, "current_database", body!(call || call.context.session.database.as_str())),
    stable(
        1402,
        "current_schema",
        body!(call || call.context.session.search_path.first().map(String::as_str)),
    ),
    stable(1403, "current_schemas", body!(call |implicit: bool| current_schemas(call, implicit))),
    stable(89, "version", body!(|| version())),
    stable(2026, "pg_backend_pid", body!(call || call.context.session.backend_pid)),
    stable(2077, "current_setting", body!(call |name: &str| setting(call, name, false))),
    stable(
        3294,
        "current_setting",
        body!(call |name: &str, missing_ok: bool| setting(call, name, missing_ok)?),
    ),
    volatile(2078, "set_config", set_config).non_strict(),
    stable(810, "pg_client_encoding", body!(|| "UTF8")),
    stable(1039, "getdatabaseencoding", body!(|| "UTF8")),
    stable(2560, "pg_postmaster_start_time", body!(call || TimestampTz(call.context.statement_time))),
    stable(2034, "pg_conf_load_time", body!(call || TimestampTz(call.context.statement_time))),
    volatile(3432, "gen_random_uuid", body!(call || uuid(call))),
    super::call::strict(2288, "pg_size_pretty", body!(|bytes: i64| size_pretty(bytes.into()))),
    super::call::strict(3166, "pg_size_pretty", body!(|bytes: &Numeric| size_pretty_numeric(bytes))),
    super::call::strict(3334, "pg_size_bytes", body!(|text: &str| size_bytes(text))),
    volatile(315, "pg_jit_available", body!(|| false)),
    stable(
        1269,
        "pg_column_size",
        body!(|value: &Datum| {
            let mut bytes = Vec::new();
            shardforge_types::row::body::encode_body(&mut bytes, value);
            bytes.len() as i32
        }),
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_written_as_postgresql_does() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (10239, "10239 bytes"),
            (10240, "10 kB"),
            (10485247, "10239 kB"),
            (10485248, "10 MB"),
            (1 << 40, "1024 GB"),
            (-20480, "-20 kB"),
        ] {
            assert_eq!(size_pretty(bytes), text);
        }
        assert_eq!(size_bytes("1.5 MB").unwrap(), 1_572_864);
        assert!(size_bytes("1 x").is_err());
    }
}
