//! The first packets of a connection, before it has messages with tags.
//!
//! ```text
//! packet  = length (4, big endian, itself included)  code (4)  body
//! code    = 196608 start-up (version 3.0)   80877103 SSL   80877104 GSSAPI   80877102 cancel
//! body    = (name string  value string)*  0        of a start-up
//!         = process id (4)  secret (4)             of a cancel
//! ```

use super::message::violation;
use crate::SqlError;
use shardforge_types::SqlState;

/// The largest start-up packet PostgreSQL takes, in bytes.
pub const MAX_STARTUP_LEN: usize = 10_000;

/// A first packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Startup {
    /// The client asks for TLS.
    Ssl,
    /// The client asks for GSSAPI encryption.
    Gss,
    /// The client wants a statement of another connection cancelled.
    Cancel {
        /// The other connection.
        pid: i32,
        /// What proves that it may.
        secret: i32,
    },
    /// A session.
    Session(Parameters),
}

/// What a client says of the session it wants.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Parameters {
    /// The role.
    pub user: String,
    /// The database's name, as it stands in the catalog.
    pub database: String,
    /// The branch's name; `None` is the default branch.
    pub branch: Option<String>,
    /// Settings, in the order given.
    pub settings: Vec<(String, String)>,
    /// The minor protocol version asked for.
    pub minor_version: u16,
    /// Protocol options (`_pq_.…`) that we do not know.
    pub unknown_options: Vec<String>,
}

/// Reads a first packet, without its length.
pub fn parse(packet: &[u8]) -> Result<Startup, SqlError> {
    let i32_at = |at: usize| {
        let bytes = packet.get(at..at + 4).ok_or_else(|| violation("incomplete startup packet"))?;
        Ok::<i32, SqlError>(i32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    };
    match i32_at(0)? {
        80_877_103 => Ok(Startup::Ssl),
        80_877_104 => Ok(Startup::Gss),
        80_877_102 => Ok(Startup::Cancel { pid: i32_at(4)?, secret: i32_at(8)? }),
        code if code >> 16 == 3 => parameters(&packet[4..], (code & 0xffff) as u16).map(Startup::Session),
        code => Err(SqlError::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            format!(
                "unsupported frontend protocol {}.{}: server supports 3.0 to 3.0",
                code >> 16,
                code & 0xffff
            ),
        )),
    }
}

fn parameters(mut body: &[u8], minor_version: u16) -> Result<Parameters, SqlError> {
    let mut out = Parameters { minor_version, ..Parameters::default() };
    let mut string = || -> Result<String, SqlError> {
        let end = body
            .iter()
            .position(|byte| *byte == 0)
            .ok_or_else(|| violation("invalid startup packet layout: expected terminator as last byte"))?;
        let text = std::str::from_utf8(&body[..end]).map_err(|_| {
            SqlError::new(SqlState::CHARACTER_NOT_IN_REPERTOIRE, "the startup packet is not UTF-8")
        })?;
        body = &body[end + 1..];
        Ok(text.to_string())
    };
    let mut database = None;
    loop {
        let name = string()?;
        if name.is_empty() {
            break;
        }
        let value = string()?;
        match name.as_str() {
            "user" => out.user = value,
            "database" => database = Some(value),
            "options" => out.settings.extend(options(&value)?),
            "replication" if !matches!(value.as_str(), "false" | "off" | "no" | "0") => {
                return Err(SqlError::not_supported("the replication protocol"));
            }
            "replication" => {}
            name if name.starts_with("_pq_.") => out.unknown_options.push(name.to_string()),
            _ => out.settings.push((name, value)),
        }
    }
    if out.user.is_empty() {
        return Err(SqlError::new(
            SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
            "no PostgreSQL user name specified in startup packet",
        ));
    }
    let named = database.filter(|name| !name.is_empty()).unwrap_or_else(|| out.user.clone());
    (out.database, out.branch) = split_branch(&named)?;
    if let Some(at) = out.settings.iter().position(|(name, _)| name == "shardforge.branch") {
        let (_, branch) = out.settings.remove(at);
        out.branch.get_or_insert(branch);
    }
    Ok(out)
}

/// `database@branch`; `@@` is an `@` of the database's own name.
pub fn split_branch(name: &str) -> Result<(String, Option<String>), SqlError> {
    let mut database = String::new();
    let mut rest = name.chars().peekable();
    while let Some(c) = rest.next() {
        if c != '@' {
            database.push(c);
        } else if rest.next_if_eq(&'@').is_some() {
            database.push('@');
        } else {
            let branch: String = rest.collect();
            if database.is_empty() || branch.is_empty() {
                return Err(SqlError::new(
                    SqlState::INVALID_CATALOG_NAME,
                    format!("\"{name}\" does not name a database and a branch as database@branch"),
                ));
            }
            return Ok((database, Some(branch)));
        }
    }
    Ok((database, None))
}

/// `-c name=value --name=value`, with backslash as the escape, as `options` of libpq has it.
fn options(text: &str) -> Result<Vec<(String, String)>, SqlError> {
    let mut words = vec![];
    let (mut word, mut chars) = (String::new(), text.chars());
    while let Some(c) = chars.next() {
        match c {
            '\\' => word.extend(chars.next()),
            c if c.is_whitespace() => words.push(std::mem::take(&mut word)),
            c => word.push(c),
        }
    }
    words.push(word);
    let mut out = vec![];
    let mut words = words.into_iter().filter(|word| !word.is_empty());
    while let Some(word) = words.next() {
        let pair = if word == "-c" {
            words.next().unwrap_or_default()
        } else if let Some(rest) = word.strip_prefix("--") {
            rest.to_string()
        } else if let Some(rest) = word.strip_prefix("-c") {
            rest.to_string()
        } else {
            return Err(SqlError::new(
                SqlState::SYNTAX_ERROR,
                format!("invalid command-line argument for server process: {word}"),
            ));
        };
        let (name, value) = pair.split_once('=').ok_or_else(|| {
            SqlError::new(
                SqlState::SYNTAX_ERROR,
                format!("option \"{pair}\" in the startup packet has no value"),
            )
        })?;
        out.push((name.replace('-', "_").to_lowercase(), value.to_string()));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(pairs: &[(&str, &str)]) -> Vec<u8> {
        let mut out = 196_608i32.to_be_bytes().to_vec();
        for (name, value) in pairs {
            out.extend([name.as_bytes(), b"\0", value.as_bytes(), b"\0"].concat());
        }
        out.push(0);
        out
    }

    #[test]
    fn the_branch_comes_from_the_database_name_or_the_options() {
        let session = |pairs: &[_]| match parse(&packet(pairs)).unwrap() {
            Startup::Session(parameters) => parameters,
            other => panic!("{other:?}"),
        };
        let plain = session(&[("user", "ann")]);
        assert_eq!((plain.database.as_str(), plain.branch), ("ann", None));
        let named = session(&[("user", "ann"), ("database", "app@dev")]);
        assert_eq!((named.database.as_str(), named.branch.as_deref()), ("app", Some("dev")));
        let escaped = session(&[("user", "ann"), ("database", "a@@b")]);
        assert_eq!((escaped.database.as_str(), escaped.branch), ("a@b", None));
        let option =
            session(&[("user", "ann"), ("options", "-c shardforge.branch=dev -c a\\ b=1 --time-zone=UTC")]);
        assert_eq!(option.branch.as_deref(), Some("dev"));
        let settings = [("a b".to_string(), "1".to_string()), ("time_zone".to_string(), "UTC".to_string())];
        assert_eq!(option.settings, settings);
    }

    #[test]
    fn broken_packets_are_refused() {
        assert!(parse(b"").is_err());
        assert!(parse(&packet(&[("database", "x")])).is_err(), "no user");
        assert!(parse(&packet(&[("user", "a"), ("database", "app@")])).is_err());
        assert!(parse(&packet(&[("user", "a"), ("replication", "database")])).is_err());
        assert!(parse(&131_072i32.to_be_bytes()).is_err(), "protocol 2.0");
        let whole = packet(&[("user", "ann"), ("database", "app")]);
        for cut in 4..whole.len() {
            let _ = parse(&whole[..cut]); // any answer but a panic
        }
    }
}
