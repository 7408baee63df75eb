//! How a type is written in SQL, and the type that a name in SQL means.

use super::{Oid, PgType, VARHDRSZ, oids};

/// The SQL name of a type with its modifier, as the function of that name gives it; `???` for a type
/// that is not built in.
pub fn format_type(oid: Oid, typmod: i32) -> String {
    if let Some(element) = oid.element_type() {
        return format!("{}[]", format_type(element, typmod));
    }
    let Some(info) = oid.type_info() else {
        return if oid == Oid::INVALID { "-".to_owned() } else { "???".to_owned() };
    };
    if typmod < 0 {
        // In SQL `character` and `bit` mean a length of one, so without a length they are spelled otherwise.
        return match oid {
            oids::BPCHAR => "bpchar".to_owned(),
            oids::BIT => "\"bit\"".to_owned(),
            _ => info.sql_name.to_owned(),
        };
    }
    let ty = PgType { oid, typmod };
    match oid {
        oids::BPCHAR | oids::VARCHAR => format!("{}({})", info.sql_name, typmod.saturating_sub(VARHDRSZ)),
        oids::NUMERIC => match ty.numeric_precision_scale() {
            Some((precision, scale)) => format!("numeric({precision},{scale})"),
            None => info.sql_name.to_owned(),
        },
        oids::TIME => format!("time({typmod}) without time zone"),
        oids::TIMETZ => format!("time({typmod}) with time zone"),
        oids::TIMESTAMP => format!("timestamp({typmod}) without time zone"),
        oids::TIMESTAMPTZ => format!("timestamp({typmod}) with time zone"),
        oids::BIT => format!("bit({typmod})"),
        oids::VARBIT => format!("bit varying({typmod})"),
        oids::INTERVAL => format_interval(typmod),
        _ => format!("{}({typmod})", info.sql_name),
    }
}

/// The SQL name of a type alone, as error messages give it (`character`, `numeric`, `integer[]`).
pub fn type_name(oid: Oid) -> String {
    match oid.element_type() {
        Some(element) => format!("{}[]", type_name(element)),
        None => oid.type_info().map_or_else(|| format_type(oid, -1), |info| info.sql_name.to_owned()),
    }
}

/// Precision of an interval modifier that leaves it open.
pub(crate) const INTERVAL_FULL_PRECISION: i32 = 0xffff;
/// Fields of an interval modifier that leaves them open.
pub(crate) const INTERVAL_FULL_RANGE: i32 = 0x7fff;

fn format_interval(typmod: i32) -> String {
    const YEAR: i32 = 1 << 2;
    const MONTH: i32 = 1 << 1;
    const DAY: i32 = 1 << 3;
    const HOUR: i32 = 1 << 10;
    const MINUTE: i32 = 1 << 11;
    const SECOND: i32 = 1 << 12;
    let fields = match (typmod >> 16) & INTERVAL_FULL_RANGE {
        YEAR => " year",
        MONTH => " month",
        DAY => " day",
        HOUR => " hour",
        MINUTE => " minute",
        SECOND => " second",
        f if f == YEAR | MONTH => " year to month",
        f if f == DAY | HOUR => " day to hour",
        f if f == DAY | HOUR | MINUTE => " day to minute",
        f if f == DAY | HOUR | MINUTE | SECOND => " day to second",
        f if f == HOUR | MINUTE => " hour to minute",
        f if f == HOUR | MINUTE | SECOND => " hour to second",
        f if f == MINUTE | SECOND => " minute to second",
        _ => "",
    };
    match typmod & 0xffff {
        INTERVAL_FULL_PRECISION => format!("interval{fields}"),
        precision => format!("interval{fields}({precision})"),
    }
}

/// The built-in type that a name means, in `pg_type`'s spelling or SQL's (`int4`, `integer`, `character
/// varying`, `float8[]`, `_text`), in lower case and without a modifier.
pub fn parse_type_name(name: &str) -> Option<Oid> {
    let name = name.trim();
    if let Some(element) = name.strip_suffix("[]") {
        return parse_type_name(element.trim_end_matches("[]"))?.array_type();
    }
    if let Some(element) = name.strip_prefix('_') {
        return Oid::built_in().find(|info| info.name == element)?.oid.array_type();
    }
    let alias = match name {
        "int" => oids::INT4,
        "decimal" | "dec" => oids::NUMERIC,
        "float" => oids::FLOAT8,
        "char" | "nchar" => oids::BPCHAR,
        "char varying" | "national character varying" => oids::VARCHAR,
        "time without time zone" => oids::TIME,
        _ => {
            return Oid::built_in()
                .find(|info| info.name == name || info.sql_name == name)
                .map(|info| info.oid);
        }
    };
    Some(alias)
}
