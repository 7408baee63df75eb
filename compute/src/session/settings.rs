//! A session's settings: PostgreSQL's names and defaults, SET and SET LOCAL, and which of them the
//! client is told of.
//!
//! A setting either has its PostgreSQL meaning here, or is one that has no meaning in this system
//! (memory of a sort, say): the second kind is kept, shown, and answered with a notice. A name that
//! PostgreSQL does not have either is refused.

use super::durations;
use crate::row_exec::Executor;
use crate::sql::bound::IsolationLevel;
use crate::statistics::AutovacuumConfig;
use crate::{SqlError, SqlResult};
use shardforge_types::SqlState;
use shardforge_types::settings::{ByteaOutput, DateOrder, DateStyle, IntervalStyle, Settings};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// The version we present ourselves as: clients change their queries by it.
pub const SERVER_VERSION: &str = "15.13";
/// The same as a number.
pub const SERVER_VERSION_NUM: &str = "150013";

/// What a setting means here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It has its meaning.
    Live,
    /// It cannot be changed.
    ReadOnly,
    /// The server's configuration says it.
    Server,
    /// It can be set, and changes nothing here.
    NoEffect,
}

struct Definition {
    name: &'static str,
    default: &'static str,
    kind: Kind,
    /// Whether changes are told to the client (ParameterStatus).
    reported: bool,
}

const fn define(name: &'static str, default: &'static str, kind: Kind, reported: bool) -> Definition {
    Definition { name, default, kind, reported }
}

/// Every setting, by PostgreSQL's spelling.
static DEFINITIONS: &[Definition] = &[
    define("application_name", "", Kind::Live, true),
    define("autovacuum", "on", Kind::Server, false),
    define("autovacuum_analyze_scale_factor", "0.1", Kind::Server, false),
    define("autovacuum_analyze_threshold", "50", Kind::Server, false),
    define("autovacuum_naptime", "1min", Kind::Server, false),
    define("backslash_quote", "safe_encoding", Kind::NoEffect, false),
    define("block_size", "8192", Kind::ReadOnly, false),
    define("bytea_output", "hex", Kind::Live, false),
    define("check_function_bodies", "on", Kind::NoEffect, false),
    define("client_encoding", "UTF8", Kind::Live, true),
    define("client_min_messages", "notice", Kind::Live, false),
    define("DateStyle", "ISO, MDY", Kind::Live, true),
    define("default_statistics_target", "100", Kind::NoEffect, false),
    define("default_table_access_method", "heap", Kind::NoEffect, false),
    define("default_tablespace", "", Kind::NoEffect, false),
    define("default_transaction_deferrable", "off", Kind::Live, false),
    define("default_transaction_isolation", "read committed", Kind::Live, false),
    define("default_transaction_read_only", "off", Kind::Live, true),
    define("effective_cache_size", "4GB", Kind::NoEffect, false),
    define("enable_seqscan", "on", Kind::NoEffect, false),
    define("enable_hashjoin", "on", Kind::NoEffect, false),
    define("enable_mergejoin", "on", Kind::NoEffect, false),
    define("enable_nestloop", "on", Kind::NoEffect, false),
    define("extra_float_digits", "1", Kind::Live, false),
    define("idle_in_transaction_session_timeout", "0", Kind::Live, false),
    define("idle_session_timeout", "0", Kind::Live, false),
    define("in_hot_standby", "off", Kind::ReadOnly, true),
    define("integer_datetimes", "on", Kind::ReadOnly, true),
    define("IntervalStyle", "postgres", Kind::Live, true),
    define("is_superuser", "on", Kind::ReadOnly, true),
    define("jit", "off", Kind::NoEffect, false),
    define("lc_collate", "C.UTF-8", Kind::ReadOnly, false),
    define("lc_ctype", "C.UTF-8", Kind::ReadOnly, false),
    define("lc_messages", "C.UTF-8", Kind::NoEffect, false),
    define("lc_monetary", "C.UTF-8", Kind::NoEffect, false),
    define("lc_numeric", "C.UTF-8", Kind::NoEffect, false),
    define("lc_time", "C.UTF-8", Kind::NoEffect, false),
    define("lock_timeout", "0", Kind::Live, false),
    define("maintenance_work_mem", "64MB", Kind::NoEffect, false),
    define("max_identifier_length", "63", Kind::ReadOnly, false),
    define("max_index_keys", "32", Kind::ReadOnly, false),
    define("plan_cache_mode", "auto", Kind::NoEffect, false),
    define("random_page_cost", "4", Kind::NoEffect, false),
    define("row_security", "on", Kind::NoEffect, false),
    define("search_path", "\"$user\", public", Kind::Live, false),
    define("server_encoding", "UTF8", Kind::ReadOnly, true),
    define("server_version", SERVER_VERSION, Kind::ReadOnly, true),
    define("server_version_num", SERVER_VERSION_NUM, Kind::ReadOnly, false),
    define("session_authorization", "postgres", Kind::ReadOnly, true),
    define("shardforge.executor", "auto", Kind::Live, false),
    define("standard_conforming_strings", "on", Kind::ReadOnly, true),
    define("statement_timeout", "0", Kind::Live, false),
    define("synchronize_seqscans", "on", Kind::NoEffect, false),
    define("temp_buffers", "8MB", Kind::NoEffect, false),
    define("TimeZone", "UTC", Kind::Live, true),
    define("transaction_deferrable", "off", Kind::ReadOnly, false),
    define("transaction_isolation", "read committed", Kind::ReadOnly, false),
    define("transaction_read_only", "off", Kind::ReadOnly, false),
    define("work_mem", "4MB", Kind::NoEffect, false),
    define("xmloption", "content", Kind::NoEffect, false),
];

/// A duration with the largest unit that gives a whole number, as PostgreSQL shows it.
fn duration_text(duration: Duration) -> String {
    let millis = duration.as_millis();
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1000, "s"), (1, "ms")];
    let fits = |(unit, _): &(u128, &str)| millis.is_multiple_of(*unit);
    let (unit, name) = units.into_iter().find(fits).unwrap_or((1, "ms"));
    format!("{}{name}", millis / unit)
}

fn definition(name: &str) -> Option<&'static Definition> {
    DEFINITIONS.iter().find(|definition| definition.name.eq_ignore_ascii_case(name))
}

/// The names of all settings, in PostgreSQL's spelling.
pub fn names() -> impl Iterator<Item = &'static str> {
    DEFINITIONS.iter().map(|definition| definition.name)
}

/// Values by the setting's spelling in [`DEFINITIONS`], or by lower-case name for `class.name` ones.
type Values = HashMap<String, String, ahash::RandomState>;

/// The settings that each transaction or statement asks for. `None` is no limit.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// `statement_timeout`.
    pub statement: Option<Duration>,
    /// `lock_timeout`.
    pub lock: Option<Duration>,
    /// `idle_session_timeout`.
    pub idle_session: Option<Duration>,
    /// `idle_in_transaction_session_timeout`.
    pub idle_in_transaction: Option<Duration>,
    /// `default_transaction_isolation`.
    pub level: IsolationLevel,
    /// `default_transaction_read_only`.
    pub read_only: bool,
    /// `default_transaction_deferrable`.
    pub deferrable: bool,
}

impl Limits {
    fn of(values: &Values) -> Self {
        let get = |name: &str| values.get(name).map(String::as_str);
        let millis =
            |name| get(name).and_then(|text| durations::millis(text).ok()).filter(|millis| *millis > 0);
        let limit = |name| millis(name).map(|millis| Duration::from_millis(millis.unsigned_abs().into()));
        Self {
            statement: limit("statement_timeout"),
            lock: limit("lock_timeout"),
            idle_session: limit("idle_session_timeout"),
            idle_in_transaction: limit("idle_in_transaction_session_timeout"),
            level: level_of(get("default_transaction_isolation")),
            read_only: get("default_transaction_read_only") == Some("on"),
            deferrable: get("default_transaction_deferrable") == Some("on"),
        }
    }
}

/// The settings of one session.
#[derive(Debug, Clone)]
pub struct SessionSettings {
    /// What RESET goes back to: the defaults and what the start-up packet said.
    initial: Values,
    /// Shared with `before_transaction` until something changes: most transactions change nothing.
    current: Arc<Values>,
    /// What held before the open transaction's changes, to undo them on ROLLBACK.
    before_transaction: Option<Arc<Values>>,
    /// What SET LOCAL has changed, to undo it at the transaction's end: value before, if any.
    local: Vec<(String, Option<String>)>,
    /// The settings that values' forms depend on, decoded.
    forms: Settings,
    /// What each transaction or statement asks for, decoded.
    limits: Limits,
    /// Raised by each change that binding depends on.
    version: u64,
    /// Reported settings that changed since the client was last told.
    changed: Vec<&'static str>,
}

/// All values at one moment.
#[derive(Debug, Clone)]
pub struct SettingsMark {
    values: Arc<Values>,
    /// How many SET LOCAL there were.
    local: usize,
}

impl Default for SessionSettings {
    fn default() -> Self {
        let initial: Values =
            DEFINITIONS.iter().map(|d| (d.name.to_string(), d.default.to_string())).collect();
        Self {
            limits: Limits::of(&initial),
            current: Arc::new(initial.clone()),
            initial,
            before_transaction: None,
            local: Vec::new(),
            forms: Settings::default(),
            version: 0,
            changed: Vec::new(),
        }
    }
}

impl SessionSettings {
    /// Takes a setting of the start-up packet: it becomes what RESET goes back to.
    pub fn start_with(&mut self, name: &str, value: &str) -> SqlResult<()> {
        self.set(name, Some(value), false)?;
        let name = spelling(name);
        self.initial.insert(name.clone(), self.current[&name].clone());
        Ok(())
    }

    /// Fixes a read-only setting, such as the session's role.
    pub fn fix(&mut self, name: &str, value: &str) {
        let held = |values: &Values| values.get(name).is_some_and(|held| held == value);
        if held(&self.initial) && held(&self.current) {
            return;
        }
        self.initial.insert(spelling(name), value.to_string());
        Arc::make_mut(&mut self.current).insert(spelling(name), value.to_string());
    }

    /// Takes what the server's configuration says.
    pub(super) fn configure(&mut self, autovacuum: &AutovacuumConfig) {
        if *autovacuum == AutovacuumConfig::default() {
            return;
        }
        self.fix("autovacuum", if autovacuum.enabled { "on" } else { "off" });
        self.fix("autovacuum_analyze_scale_factor", &autovacuum.analyze_scale_factor.to_string());
        self.fix("autovacuum_analyze_threshold", &autovacuum.analyze_threshold.to_string());
        self.fix("autovacuum_naptime", &duration_text(autovacuum.naptime));
    }

    /// SET \[LOCAL\]. The answer is a notice when the setting has no effect here.
    pub fn set(&mut self, name: &str, value: Option<&str>, local: bool) -> SqlResult<Option<String>> {
        let key = spelling(name);
        let kind = match definition(name) {
            Some(definition) => definition.kind,
            None if name.contains('.') => Kind::Live, // a custom one: kept for whoever asks
            None => return Err(unrecognized(name)),
        };
        if kind == Kind::Server {
            return Err(SqlError::new(
                SqlState::CANT_CHANGE_RUNTIME_PARAM,
                format!("parameter \"{}\" cannot be changed now", spelling(name)),
            ));
        }
        if kind == Kind::ReadOnly {
            let same = value.is_some_and(|value| value.eq_ignore_ascii_case(&self.current[&key]));
            if same {
                return Ok(None);
            }
            return Err(SqlError::new(
                SqlState::CANT_CHANGE_RUNTIME_PARAM,
                format!("parameter \"{}\" cannot be changed", spelling(name)),
            ));
        }
        let value = match value {
            Some(value) => value.to_string(),
            None => self.initial.get(&key).cloned().unwrap_or_default(),
        };
        let value = check(&key, value, &mut self.forms)?;
        if local {
            self.local.push((key.clone(), self.current.get(&key).cloned()));
        }
        self.put(key, value);
        Ok((kind == Kind::NoEffect).then(|| format!("parameter \"{name}\" has no effect here")))
    }

    fn put(&mut self, key: String, value: String) {
        if self.current.get(&key) == Some(&value) {
            return;
        }
        if let Some(definition) = definition(&key).filter(|definition| definition.reported) {
            self.changed.retain(|name| *name != definition.name);
            self.changed.push(definition.name);
        }
        self.version += 1;
        Arc::make_mut(&mut self.current).insert(key, value);
        self.limits = Limits::of(&self.current);
    }

    /// RESET; `None` is ALL.
    pub fn reset(&mut self, name: Option<&str>) -> SqlResult<()> {
        if let Some(name) = name {
            return self.set(name, None, false).map(|_| ());
        }
        let initial = self.initial.clone();
        self.restore(&initial);
        Ok(())
    }

    fn restore(&mut self, values: &Values) {
        for (key, value) in values {
            check(key, value.clone(), &mut self.forms).expect("a value that was taken before is taken again");
            self.put(key.clone(), value.clone());
        }
        if self.current.keys().any(|key| !values.contains_key(key)) {
            Arc::make_mut(&mut self.current).retain(|key, _| values.contains_key(key));
        }
    }

    /// The values as they are now, for a savepoint.
    pub fn mark(&self) -> SettingsMark {
        SettingsMark { values: self.current.clone(), local: self.local.len() }
    }

    /// Back to how they were: ROLLBACK TO.
    pub fn restore_mark(&mut self, mark: &SettingsMark) {
        self.local.truncate(mark.local);
        if !Arc::ptr_eq(&mark.values, &self.current) {
            self.restore(&mark.values);
        }
    }

    /// A transaction begins: what is SET in it is undone when it rolls back.
    pub fn transaction_begins(&mut self) {
        self.before_transaction.get_or_insert_with(|| self.current.clone());
    }

    /// A transaction ends.
    pub fn transaction_ends(&mut self, committed: bool) {
        let local = std::mem::take(&mut self.local);
        match self.before_transaction.take() {
            // Nothing was changed when both are still the same.
            Some(before) if !committed => {
                if !Arc::ptr_eq(&before, &self.current) {
                    self.restore(&before);
                }
            }
            _ => {
                for (key, before) in local.into_iter().rev() {
                    match before {
                        Some(value) => {
                            check(&key, value.clone(), &mut self.forms).expect("the value held before");
                            self.put(key, value);
                        }
                        None => drop(Arc::make_mut(&mut self.current).remove(&key)),
                    }
                }
            }
        }
    }

    /// SHOW: the value of a setting.
    pub fn show(&self, name: &str) -> SqlResult<&str> {
        self.get(name).ok_or_else(|| unrecognized(name))
    }

    /// The value of a setting, if there is one of that name.
    pub fn get(&self, name: &str) -> Option<&str> {
        // Nearly everyone asks by the right spelling, which needs no search.
        self.current.get(name).or_else(|| self.current.get(&spelling(name))).map(String::as_str)
    }

    /// SHOW ALL: names and values, in name order.
    pub fn all(&self) -> Vec<(&str, &str)> {
        let mut all: Vec<_> =
            self.current.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        all.sort_by_key(|(name, _)| name.to_lowercase());
        all
    }

    /// What values' forms depend on.
    pub fn forms(&self) -> &Settings {
        &self.forms
    }

    /// The same, to set the transaction's start time.
    pub fn forms_mut(&mut self) -> &mut Settings {
        &mut self.forms
    }

    /// Raised by each change: a plan bound under another version is bound again.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Who runs queries.
    pub fn executor(&self) -> Executor {
        match self.get("shardforge.executor") {
            Some("row") => Executor::Row,
            Some("report") => Executor::Report,
            _ => Executor::Auto,
        }
    }

    /// The schemas of `search_path`, `$user` replaced.
    pub fn search_path(&self, user: &str) -> Vec<String> {
        let path = self.get("search_path").unwrap_or_default();
        split_identifiers(path)
            .into_iter()
            .map(|name| if name == "$user" { user.to_string() } else { name })
            .collect()
    }

    /// What each transaction or statement asks for.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The settings to tell the client at the start.
    pub fn reported(&self) -> impl Iterator<Item = (&'static str, &str)> {
        DEFINITIONS.iter().filter(|d| d.reported).map(|d| (d.name, self.current[d.name].as_str()))
    }

    /// Reported settings that changed since this was last asked.
    pub fn take_changed(&mut self) -> Vec<(&'static str, String)> {
        let changed = std::mem::take(&mut self.changed);
        changed.into_iter().map(|name| (name, self.current[name].clone())).collect()
    }
}

/// The isolation level of a name; READ COMMITTED for none.
pub(super) fn level_of(name: Option<&str>) -> IsolationLevel {
    match name {
        Some("serializable") => IsolationLevel::Serializable,
        Some("repeatable read") => IsolationLevel::RepeatableRead,
        Some("read uncommitted") => IsolationLevel::ReadUncommitted,
        _ => IsolationLevel::ReadCommitted,
    }
}

/// A value as the setting would hold it.
pub(super) fn checked(setting: &str, value: &str) -> SqlResult<String> {
    check(setting, value.to_string(), &mut Settings::default())
}

fn unrecognized(name: &str) -> SqlError {
    SqlError::new(SqlState::UNDEFINED_OBJECT, format!("unrecognized configuration parameter \"{name}\""))
}

/// A setting's name as PostgreSQL spells it.
pub(super) fn spelling(name: &str) -> String {
    definition(name).map_or_else(|| name.to_lowercase(), |definition| definition.name.to_string())
}

/// Identifiers separated by commas, as in `search_path`.
fn split_identifiers(text: &str) -> Vec<String> {
    let mut out = vec![];
    let mut chars = text.chars().peekable();
    loop {
        while chars.next_if(|c| c.is_whitespace() || *c == ',').is_some() {}
        match chars.peek() {
            None => return out,
            Some('"') => {
                chars.next();
                let mut name = String::new();
                while let Some(c) = chars.next() {
                    if c != '"' {
                        name.push(c);
                    } else if chars.next_if_eq(&'"').is_some() {
                        name.push('"');
                    } else {
                        break;
                    }
                }
                out.push(name);
            }
            Some(_) => {
                let mut name = String::new();
                while let Some(c) = chars.next_if(|c| *c != ',') {
                    name.push(c);
                }
                out.push(name.trim().to_lowercase());
            }
        }
    }
}

fn truth(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "on" | "true" | "yes" | "1" | "t" | "y" => Some(true),
        "off" | "false" | "no" | "0" | "f" | "n" => Some(false),
        _ => None,
    }
}

/// Checks a value, puts it in its canonical form, and takes over what values' forms depend on.
fn check(name: &str, value: String, forms: &mut Settings) -> SqlResult<String> {
    let invalid = || {
        SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("invalid value for parameter \"{name}\": \"{value}\""),
        )
    };
    match name {
        "TimeZone" => {
            let (zone, canonical) = time_zone(&value).ok_or_else(invalid)?;
            forms.time_zone = zone;
            forms.time_zone_name.clone_from(&canonical);
            Ok(canonical)
        }
        "DateStyle" => {
            for word in value.split(',').map(|word| word.trim().to_lowercase()) {
                match word.as_str() {
                    "iso" => forms.date_style = DateStyle::Iso,
                    "sql" => forms.date_style = DateStyle::Sql,
                    "postgres" => forms.date_style = DateStyle::Postgres,
                    "german" => forms.date_style = DateStyle::German,
                    "mdy" | "us" | "noneuro" | "noneuropean" => forms.date_order = DateOrder::Mdy,
                    "dmy" | "euro" | "european" => forms.date_order = DateOrder::Dmy,
                    "ymd" => forms.date_order = DateOrder::Ymd,
                    _ => return Err(invalid()),
                }
            }
            let style = match forms.date_style {
                DateStyle::Iso => "ISO",
                DateStyle::Sql => "SQL",
                DateStyle::Postgres => "Postgres",
                DateStyle::German => "German",
            };
            let order = match forms.date_order {
                DateOrder::Mdy => "MDY",
                DateOrder::Dmy => "DMY",
                DateOrder::Ymd => "YMD",
            };
            Ok(format!("{style}, {order}"))
        }
        "IntervalStyle" => {
            let value = value.to_lowercase();
            forms.interval_style = match value.as_str() {
                "postgres" => IntervalStyle::Postgres,
                "postgres_verbose" => IntervalStyle::PostgresVerbose,
                "sql_standard" => IntervalStyle::SqlStandard,
                "iso_8601" => IntervalStyle::Iso8601,
                _ => return Err(invalid()),
            };
            Ok(value)
        }
        "bytea_output" => {
            let value = value.to_lowercase();
            forms.bytea_output = match value.as_str() {
                "hex" => ByteaOutput::Hex,
                "escape" => ByteaOutput::Escape,
                _ => return Err(invalid()),
            };
            Ok(value)
        }
        "extra_float_digits" => {
            forms.extra_float_digits =
                value.trim().parse().ok().filter(|digits| (-15..=3).contains(digits)).ok_or_else(invalid)?;
            Ok(forms.extra_float_digits.to_string())
        }
        "client_encoding" => match encoding_name(&value).as_str() {
            "UTF8" | "UNICODE" => Ok("UTF8".to_string()),
            // Every ASCII text is the same text in UTF-8.
            "SQLASCII" => Ok("SQL_ASCII".to_string()),
            _ => Err(SqlError::not_supported(format!("client_encoding \"{value}\""))
                .hint("Only UTF8 is supported; set client_encoding to UTF8.")),
        },
        "client_min_messages" => match value.to_lowercase().as_str() {
            "debug5" | "debug4" | "debug3" | "debug2" | "debug1" | "debug" | "log" | "notice" | "warning"
            | "error" => Ok(value.to_lowercase()),
            _ => Err(invalid()),
        },
        "shardforge.executor" => match value.to_lowercase().as_str() {
            "auto" | "row" | "report" => Ok(value.to_lowercase()),
            _ => Err(invalid().hint("Available values: auto, row, report.")),
        },
        "default_transaction_isolation" | "transaction_isolation" => match value.to_lowercase().as_str() {
            "read uncommitted" | "read committed" | "repeatable read" | "serializable" => {
                Ok(value.to_lowercase())
            }
            _ => Err(invalid()),
        },
        "default_transaction_read_only"
        | "default_transaction_deferrable"
        | "transaction_read_only"
        | "transaction_deferrable" => {
            Ok(if truth(&value).ok_or_else(invalid)? { "on" } else { "off" }.to_string())
        }
        "statement_timeout"
        | "lock_timeout"
        | "idle_in_transaction_session_timeout"
        | "idle_session_timeout" => durations::check(name, &value),
        "application_name" => {
            Ok(value.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).collect())
        }
        _ => Ok(value),
    }
}

fn time_zone(text: &str) -> Option<(jiff::tz::TimeZone, String)> {
    if ["utc", "default", "local"].iter().any(|name| text.eq_ignore_ascii_case(name)) {
        return Some((jiff::tz::TimeZone::UTC, "UTC".to_string()));
    }
    shardforge_types::datetime::zone::parse_setting(text).ok()
}

/// An encoding's name as PostgreSQL compares names: upper case, letters and digits only. Drivers rely on it
/// (one of them says `'utf-8'`, with the quotes).
fn encoding_name(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rolled_back_transaction_takes_its_settings_with_it() {
        let mut settings = SessionSettings::default();
        settings.set("timezone", Some("Europe/Berlin"), false).unwrap();
        settings.transaction_begins();
        settings.set("TimeZone", Some("UTC"), false).unwrap();
        settings.set("extra_float_digits", Some("3"), true).unwrap();
        settings.transaction_ends(false);
        assert_eq!(settings.show("timezone").unwrap(), "Europe/Berlin");
        assert_eq!(settings.forms().time_zone_name, "Europe/Berlin");
        settings.transaction_begins();
        settings.set("TimeZone", Some("UTC"), false).unwrap();
        settings.set("extra_float_digits", Some("3"), true).unwrap();
        settings.transaction_ends(true);
        assert_eq!(settings.show("timezone").unwrap(), "UTC");
        assert_eq!(settings.forms().extra_float_digits, 1, "SET LOCAL ends with its transaction");
    }

    #[test]
    fn what_the_client_is_told_is_told_once() {
        let mut settings = SessionSettings::default();
        settings.set("application_name", Some("psql"), false).unwrap();
        settings.set("work_mem", Some("1GB"), false).unwrap().expect("a notice");
        assert_eq!(settings.take_changed(), vec![("application_name", "psql".to_string())]);
        assert_eq!(settings.take_changed(), vec![]);
    }

    #[test]
    fn unknown_names_and_values_are_refused() {
        let mut settings = SessionSettings::default();
        let state =
            |result: SqlResult<_>| result.map(|_: Option<String>| ()).unwrap_err().sqlstate().to_string();
        assert_eq!(state(settings.set("no_such_thing", Some("1"), false)), "42704");
        assert_eq!(state(settings.set("timezone", Some("Mars/Base"), false)), "22023");
        assert_eq!(state(settings.set("timezone", Some("PST"), false)), "22023");
        for (zone, shown) in [
            ("+02:00", "+02:00"),
            ("gmt+2", "GMT+2"),
            ("3.5", "<+03:30>-03:30"),
            ("cst7cdt,M4.1.0,M10.5.0", "CST7CDT,M4.1.0,M10.5.0"),
        ] {
            settings.set("timezone", Some(zone), false).unwrap();
            assert_eq!(settings.show("timezone").unwrap(), shown);
        }
        assert_eq!(state(settings.set("server_version", Some("9"), false)), "55P02");
        assert_eq!(state(settings.set("client_encoding", Some("LATIN1"), false)), "0A000");
        for name in ["utf-8", "'utf-8'", "Utf_8", "unicode"] {
            assert!(settings.set("client_encoding", Some(name), false).is_ok(), "{name}");
        }
        assert!(settings.set("my.setting", Some("1"), false).unwrap().is_none());
        assert_eq!(settings.search_path("ann"), ["ann", "public"]);
    }
}
