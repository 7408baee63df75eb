//! `shardforge.toml`: what a process is told, with a default for everything.
//!
//! A value comes from, the later winning: the default, the file, the environment
//! (`SHARDFORGE_<SECTION>_<KEY>`, upper case), a flag. An unknown key or a bad value is an error
//! that names file, line and key; nothing is guessed.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Name of the configuration file in a data folder.
pub const FILE_NAME: &str = "shardforge.toml";

/// A number of bytes, written with a unit: `64MiB`, `256KiB`, `1GiB`, or a plain number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

impl FromStr for ByteSize {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.find(|c: char| !c.is_ascii_digit() && c != '_').unwrap_or(text.len());
        let number: u64 = text[..digits].replace('_', "").parse().map_err(|_| {
            format!("\"{text}\" is not a size: write a whole number with a unit, such as 64MiB")
        })?;
        let unit = match text[digits..].trim() {
            "" | "B" => 1,
            "KiB" | "kB" => 1 << 10,
            "MiB" | "MB" => 1 << 20,
            "GiB" | "GB" => 1 << 30,
            "TiB" | "TB" => 1 << 40,
            other => return Err(format!("\"{other}\" is not a unit of size: write B, KiB, MiB, GiB or TiB")),
        };
        number.checked_mul(unit).map(ByteSize).ok_or_else(|| format!("\"{text}\" is above 64 bits"))
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (shift, unit) in [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")] {
            if self.0 != 0 && self.0.is_multiple_of(1 << shift) {
                return write!(f, "{}{unit}", self.0 >> shift);
            }
        }
        write!(f, "{}", self.0)
    }
}

impl Serialize for ByteSize {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = ByteSize;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size such as \"64MiB\"")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<ByteSize, E> {
                text.parse().map_err(E::custom)
            }
            fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<ByteSize, E> {
                u64::try_from(value).map(ByteSize).map_err(|_| E::custom("a size is not negative"))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

macro_rules! sections {
    ($($(#[$doc:meta])* $section:ident: $name:ident { $($(#[$field_doc:meta])* $field:ident: $ty:ty = $default:expr, $comment:literal;)* })*) => {
        /// The whole configuration.
        #[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct Config {
            $($(#[$doc])* pub $section: $name,)*
        }

        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
            #[serde(default, deny_unknown_fields)]
            pub struct $name {
                $(#[doc = $comment] pub $field: $ty,)*
            }

            impl Default for $name {
                fn default() -> Self {
                    Self { $($field: $default,)* }
                }
            }
        )*

        impl Config {
            /// The file that `shardforge init` writes: every key with its default and its meaning.
            pub fn commented_default() -> String {
                let mut out = String::from(
                    "# ShardForge's configuration. Each value here is the default; a line may be removed.\n\
                     # The environment (SHARDFORGE_<SECTION>_<KEY>) and flags win over this file.\n",
                );
                $(
                    out.push_str(concat!("\n[", stringify!($section), "]\n"));
                    let section = $name::default();
                    $(
                        let comment: &str = $comment;
                        comment.trim().lines().for_each(|line| { out.push_str("# "); out.push_str(line.trim()); out.push('\n'); });
                        let value = toml::Value::try_from(&section.$field).expect("defaults are plain values");
                        out.push_str(&format!("{} = {}\n", stringify!($field), value));
                    )*
                )*
                out
            }

            /// The sections with their keys, for the environment.
            fn keys() -> Vec<(&'static str, &'static str)> {
                vec![$($((stringify!($section), stringify!($field)),)*)*]
            }
        }
    };
}

sections! {
    /// Logs and files of this process.
    node: NodeConfig {
        data_dir: PathBuf = PathBuf::from("data"), "Folder of the log, the local caches and, by default, the object store. A relative path is relative to this file.";
        log_level: String = "info,openraft=warn".to_string(), "error, warn, info, debug, trace, or a filter such as \"info,shardforge_pageserver=debug\".";
        log_format: LogFormat = LogFormat::Text, "text or json.";
    }
    /// Where durable state lives.
    object_store: ObjectStoreConfig {
        url: String = String::new(), "Empty: the folder \"objects\" in the data folder. Or s3://bucket/prefix, with endpoint and region as
            s3://bucket/prefix?endpoint=http://127.0.0.1:9000&region=us-east-1; credentials come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.";
    }
    /// The SQL front end.
    sql: SqlConfig {
        listen: SocketAddr = SocketAddr::from(([127, 0, 0, 1], 5432)), "Address for PostgreSQL clients. Connections from other machines than this one need a role's password.";
        max_connections: usize = 1000, "Connections at a time.";
        threads: usize = 0, "Threads that serve connections; 0 is one for each core.";
        password: String = String::new(), "Password of the role postgres, set at each start when it is not empty.";
        trust_loopback: bool = true, "Whether connections from this machine need no password. Say false where others use the machine too, or a proxy on it passes connections on.";
    }
    /// REST API, health and metrics.
    http: HttpConfig {
        listen: SocketAddr = SocketAddr::from(([127, 0, 0, 1], 8432)), "Address of the REST API, /health, /ready and /metrics.";
    }
    /// The log.
    safekeeper: SafekeeperConfig {
        segment_bytes: ByteSize = ByteSize(64 << 20), "Size of a log segment.";
        log_cache_bytes: ByteSize = ByteSize(64 << 20), "Memory for recent log entries.";
        certifier_bytes: ByteSize = ByteSize(64 << 20), "Memory for recent writes that commits are checked against.";
        lease_ms: u64 = 2000, "How long a compute that has a branch to itself may read without asking, in milliseconds; 0: it always asks. Turn it off where machines can be frozen with their clocks.";
    }
    /// Pages and layers.
    pageserver: PageserverConfig {
        memtable_bytes: ByteSize = ByteSize(64 << 20), "Memory of a shard's newest changes before they become a layer.";
        page_bytes: ByteSize = ByteSize(16 << 10), "Size of a page, about.";
        block_cache_bytes: ByteSize = ByteSize(256 << 20), "Memory for blocks of layers.";
        local_cache_bytes: ByteSize = ByteSize(10 << 30), "Disk space for layers kept beside the object store.";
        flush_after_ms: u64 = 60_000, "A memtable is written after this time even when it is not full, in milliseconds.";
    }
    /// SQL's memory.
    compute: ComputeConfig {
        cache_bytes: ByteSize = ByteSize(1 << 30), "Memory for pages and recent writes.";
        transaction_bytes: ByteSize = ByteSize(64 << 20), "Memory of one transaction's own writes before they go to disk.";
        report_bytes: ByteSize = ByteSize(2 << 30), "Memory for reports (sorts, joins and groups of large queries).";
        report_threads: usize = 0, "Threads for reports; 0 is one for each core.";
    }
    /// ANALYZE of tables that have changed, in the background.
    autovacuum: AutovacuumConfig {
        enabled: bool = true, "Whether tables are analyzed without being asked for: PostgreSQL's autovacuum. There is nothing to vacuum here.";
        naptime_ms: u64 = 60_000, "Time between two looks at what has changed, in milliseconds: autovacuum_naptime.";
        analyze_threshold: u64 = 50, "A table is analyzed after so many of its rows have been written, and ...: autovacuum_analyze_threshold.";
        analyze_scale_factor: f64 = 0.1, "... besides this part of its rows: autovacuum_analyze_scale_factor.";
    }
}

impl Config {
    /// Reads a file and the environment. Without a path, only defaults and the environment.
    pub fn load(path: Option<&Path>, env: impl Iterator<Item = (String, String)>) -> Result<Config> {
        let mut table = match path {
            None => toml::Table::new(),
            Some(path) => {
                #[allow(clippy::disallowed_methods)] // read once at the start, before there is a disk seam
                let text = std::fs::read_to_string(path).map_err(|e| {
                    Error::invalid(format!(
                        "cannot read {}: {e}; `shardforge init --data-dir DIR` writes one",
                        path.display()
                    ))
                })?;
                // Checked by itself first, so that an error shows the line.
                toml::from_str::<Config>(&text).map_err(|e| {
                    Error::invalid(format!("{}: {}", path.display(), e.to_string().trim_end()))
                })?;
                text.parse().map_err(|e| Error::invalid(format!("{}: {e}", path.display())))?
            }
        };
        for (name, value) in env {
            if let Some((section, key)) = Self::keys().into_iter().find(|(section, key)| {
                name == format!("SHARDFORGE_{}_{}", section.to_uppercase(), key.to_uppercase())
            }) {
                let given = value;
                let value = scalar(&given);
                let entry = table.entry(section).or_insert_with(|| toml::Value::Table(toml::Table::new()));
                let mut probe = toml::Table::new();
                probe.insert(
                    section.to_string(),
                    toml::Value::Table([(key.to_string(), value.clone())].into_iter().collect()),
                );
                // A number may be wanted as text (a password of digits), so the other form is tried too.
                let fits = |probe: &toml::Table| Config::deserialize(toml::Value::Table(probe.clone()));
                let value = match fits(&probe) {
                    Ok(_) => value,
                    Err(first) => {
                        let text = toml::Value::String(given);
                        probe.insert(
                            section.to_string(),
                            toml::Value::Table([(key.to_string(), text.clone())].into_iter().collect()),
                        );
                        fits(&probe).map_err(|_| {
                            Error::invalid(format!("{name}: {}", first.to_string().trim_end()))
                        })?;
                        text
                    }
                };
                if let toml::Value::Table(entry) = entry {
                    entry.insert(key.to_string(), value);
                }
            }
        }
        let mut config = Config::deserialize(toml::Value::Table(table))
            .map_err(|e| Error::invalid(format!("configuration: {}", e.to_string().trim_end())))?;
        if let Some(folder) = path.and_then(Path::parent)
            && config.node.data_dir.is_relative()
        {
            config.node.data_dir = folder.join(&config.node.data_dir);
        }
        config.check()?;
        Ok(config)
    }

    /// Names of the environment that look like settings of a section and are none: a slip of the pen has no effect,
    /// and its author should hear of it. Not an error, as others put such names there too (a container platform adds
    /// the addresses of a service called `shardforge-sql` as `SHARDFORGE_SQL_PORT`).
    pub fn not_settings<'a>(env: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
        let keys = Self::keys();
        let upper = |section: &str, key: &str| {
            format!("SHARDFORGE_{}_{}", section.to_uppercase(), key.to_uppercase())
        };
        env.filter(|name| *name != "SHARDFORGE_SQL_URL")
            .filter(|name| keys.iter().any(|(section, _)| name.starts_with(&upper(section, ""))))
            .filter(|name| !keys.iter().any(|(section, key)| *name == upper(section, key)))
            .collect()
    }

    /// Refuses values that no part could work with.
    pub fn check(&self) -> Result<()> {
        let at_least = |key: &str, value: u64, least: u64| {
            if value < least {
                return Err(Error::invalid(format!(
                    "{key} = {value} is too small: at least {least} is needed"
                )));
            }
            Ok(())
        };
        at_least("safekeeper.segment_bytes", self.safekeeper.segment_bytes.0, 64 << 10)?;
        at_least("pageserver.memtable_bytes", self.pageserver.memtable_bytes.0, 16 << 10)?;
        at_least("pageserver.page_bytes", self.pageserver.page_bytes.0, 512)?;
        if self.pageserver.page_bytes.0 > 32 << 10 {
            return Err(Error::invalid(
                "pageserver.page_bytes is too large: at most 32KiB, as no page may exceed 64KiB",
            ));
        }
        at_least("compute.cache_bytes", self.compute.cache_bytes.0, 256 << 10)?;
        at_least("compute.transaction_bytes", self.compute.transaction_bytes.0, 64 << 10)?;
        at_least("autovacuum.naptime_ms", self.autovacuum.naptime_ms, 1)?;
        if !(0.0..=100.0).contains(&self.autovacuum.analyze_scale_factor) {
            return Err(Error::invalid("autovacuum.analyze_scale_factor is not between 0 and 100"));
        }
        at_least("sql.max_connections", self.sql.max_connections as u64, 1)?;
        Ok(())
    }
}

/// A value of the environment as TOML would have it: a number or a truth value when it looks like one.
fn scalar(text: &str) -> toml::Value {
    if let Ok(number) = text.parse::<i64>() {
        toml::Value::Integer(number)
    } else if let Ok(truth) = text.parse::<bool>() {
        toml::Value::Boolean(truth)
    } else {
        toml::Value::String(text.to_string())
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests write files of their own")]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> impl Iterator<Item = (String, String)> {
        pairs
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect::<Vec<_>>()
            .into_iter()
    }

    #[test]
    fn the_commented_file_is_the_default() {
        let text = Config::commented_default();
        assert_eq!(toml::from_str::<Config>(&text).unwrap(), Config::default(), "{text}");
    }

    #[test]
    fn the_environment_wins_over_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE_NAME);
        std::fs::write(&path, "[sql]\nlisten = \"127.0.0.1:1\"\nmax_connections = 7\n").unwrap();
        let set =
            [("SHARDFORGE_SQL_LISTEN", "127.0.0.1:2"), ("SHARDFORGE_SQL_PASSWORD", "007"), ("OTHER", "x")];
        let config = Config::load(Some(&path), env(&set)).unwrap();
        assert_eq!((config.sql.listen.port(), config.sql.max_connections), (2, 7));
        assert_eq!(config.sql.password, "007", "digits of a text are kept as they are");
        assert_eq!(config.node.data_dir, dir.path().join("data"));
    }

    #[test]
    fn mistakes_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE_NAME);
        for (text, wanted) in [
            ("[sql]\nlisen = \"x\"\n", "lisen"),
            ("[sql]\nlisten = \"nowhere\"\n", "listen"),
            ("[pageserver]\nmemtable_bytes = \"64 potatoes\"\n", "potatoes"),
            ("[pageserver]\npage_bytes = \"1MiB\"\n", "page_bytes"),
            ("[nonsense]\n", "nonsense"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = Config::load(Some(&path), env(&[])).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
        let error = Config::load(None, env(&[("SHARDFORGE_SQL_LISTEN", "x")])).unwrap_err().to_string();
        assert!(error.contains("SHARDFORGE_SQL_LISTEN"), "{error}");
    }

    #[test]
    fn the_environment_s_slips_are_found() {
        let names =
            ["SHARDFORGE_SQL_LISEN", "SHARDFORGE_SQL_LISTEN", "SHARDFORGE_SQL_URL", "SHARDFORGE_URL", "PATH"];
        assert_eq!(Config::not_settings(names.into_iter()), ["SHARDFORGE_SQL_LISEN"]);
    }

    #[test]
    fn sizes_are_read_and_written_with_units() {
        assert_eq!("64MiB".parse(), Ok(ByteSize(64 << 20)));
        assert_eq!("1_000".parse(), Ok(ByteSize(1000)));
        assert_eq!(ByteSize(256 << 10).to_string(), "256KiB");
        assert!("12 apples".parse::<ByteSize>().is_err());
        assert!("99999999999TiB".parse::<ByteSize>().is_err());
    }
}
