//! Transactions, settings, EXPLAIN, PREPARE, maintenance, and the names of what is not built.

use super::Parser;
use crate::SqlResult;
use crate::sql::ast::{Explain, Ident, Statement};
use crate::sql::bound::{AsOf, IsolationLevel, SettingStatement, TransactionModes, TransactionStatement};
use crate::sql::lex::TokenKind;

/// Statements that are not built and whose name is their first words.
const UNSUPPORTED: &[&[&str]] = &[
    &["analyse"],
    &["call"],
    &["close"],
    &["cluster"],
    &["comment"],
    &["declare"],
    &["do"],
    &["fetch"],
    &["grant"],
    &["import", "foreign", "schema"],
    &["listen"],
    &["load"],
    &["merge"],
    &["move"],
    &["notify"],
    &["reassign", "owned"],
    &["refresh", "materialized", "view"],
    &["revoke"],
    &["security", "label"],
    &["unlisten"],
];

impl Parser<'_> {
    pub(super) fn utility(&mut self) -> SqlResult<Statement> {
        match self.word() {
            "begin" | "start" | "commit" | "end" | "rollback" | "abort" | "savepoint" | "release" => {
                self.transaction()
            }
            "set" => self.set(),
            "show" => self.show(),
            "reset" => self.reset(),
            "explain" => self.explain(),
            "prepare" => self.prepare(),
            "execute" => {
                self.advance();
                let name = self.col_id()?;
                let args = if self.is_char(b'(') { self.paren_list(Self::expr)? } else { Vec::new() };
                Ok(Statement::Execute { name, args })
            }
            "deallocate" => {
                self.advance();
                self.accept_kw("prepare");
                Ok(Statement::Deallocate(if self.accept_kw("all") { None } else { Some(self.col_id()?) }))
            }
            "vacuum" => self.maintain("VACUUM"),
            "analyze" | "analyse" => self.maintain("ANALYZE"),
            "checkpoint" => {
                self.advance();
                Ok(Statement::Checkpoint)
            }
            "discard" => {
                self.advance();
                let what = match self.word() {
                    "all" => "DISCARD ALL",
                    "plans" => "DISCARD PLANS",
                    "sequences" => "DISCARD SEQUENCES",
                    "temp" | "temporary" => "DISCARD TEMP",
                    _ => return Err(self.unexpected()),
                };
                self.advance();
                Ok(Statement::Discard(what))
            }
            "lock" => self.lock(),
            "reindex" => self.reindex(),
            _ => {
                let Some(words) = UNSUPPORTED
                    .iter()
                    .find(|words| words.iter().enumerate().all(|(i, word)| self.is_kw_at(i, word)))
                else {
                    return Err(self.unexpected());
                };
                Ok(self.unsupported(words.join(" ").to_uppercase()))
            }
        }
    }

    fn transaction(&mut self) -> SqlResult<Statement> {
        let word = self.word();
        self.advance();
        let block = |parser: &mut Self| {
            let _ = parser.accept_kw("work") || parser.accept_kw("transaction");
        };
        let statement = match word {
            "begin" => {
                block(self);
                self.begin_modes(false)?
            }
            "start" => {
                self.expect_kw("transaction")?;
                self.begin_modes(true)?
            }
            "commit" if self.is_kw("prepared") => return Ok(self.unsupported("COMMIT PREPARED")),
            "rollback" if self.is_kw("prepared") => return Ok(self.unsupported("ROLLBACK PREPARED")),
            "commit" | "end" => {
                block(self);
                TransactionStatement::Commit { chain: self.and_chain()? }
            }
            "savepoint" => TransactionStatement::Savepoint(self.col_id()?.name),
            "release" => {
                self.accept_kw("savepoint");
                TransactionStatement::Release(self.col_id()?.name)
            }
            _ => {
                block(self);
                if word == "rollback" && self.accept_kw("to") {
                    self.accept_kw("savepoint");
                    TransactionStatement::RollbackTo(self.col_id()?.name)
                } else {
                    TransactionStatement::Rollback { chain: self.and_chain()? }
                }
            }
        };
        Ok(Statement::Transaction(statement))
    }

    fn and_chain(&mut self) -> SqlResult<bool> {
        if !self.accept_kw("and") {
            return Ok(false);
        }
        let chain = !self.accept_kw("no");
        self.expect_kw("chain")?;
        Ok(chain)
    }

    /// The modes of BEGIN, and AS OF.
    fn begin_modes(&mut self, start: bool) -> SqlResult<TransactionStatement> {
        let modes = self.transaction_modes()?;
        Ok(match self.as_of()? {
            Some(point) => TransactionStatement::BeginAsOf(modes, point),
            None => TransactionStatement::Begin { modes, start },
        })
    }

    /// Whether AS here begins AS OF LSN or AS OF TIMESTAMP, and is no alias.
    pub(super) fn is_as_of(&self) -> bool {
        self.is_kw("as")
            && self.is_kw_at(1, "of")
            && ["lsn", "timestamp", "timestamptz"].iter().any(|word| self.is_kw_at(2, word))
    }

    /// AS OF LSN n, AS OF TIMESTAMP expression.
    pub(super) fn as_of(&mut self) -> SqlResult<Option<AsOf>> {
        if !self.is_as_of() {
            return Ok(None);
        }
        self.at += 2;
        if self.accept_kw("lsn") {
            let lsn = match self.kind() {
                TokenKind::Int(value) => u64::try_from(*value).ok(),
                TokenKind::Number(text) => text.parse().ok(),
                _ => return Err(self.unexpected()),
            };
            let lsn = lsn.ok_or_else(|| self.unexpected())?;
            self.advance();
            return Ok(Some(AsOf::Lsn(lsn)));
        }
        self.advance();
        let start = self.loc();
        self.expr()?;
        let text = self.text.get(start as usize..self.prev_end() as usize);
        Ok(Some(AsOf::Time(text.unwrap_or_default().to_owned())))
    }

    fn transaction_modes(&mut self) -> SqlResult<TransactionModes> {
        let mut modes = TransactionModes::default();
        let mut first = true;
        loop {
            let comma = !first && self.accept_char(b',');
            first = false;
            if self.accept_kws(&["isolation", "level"]) {
                modes.isolation = Some(if self.accept_kws(&["read", "uncommitted"]) {
                    IsolationLevel::ReadUncommitted
                } else if self.accept_kws(&["read", "committed"]) {
                    IsolationLevel::ReadCommitted
                } else if self.accept_kws(&["repeatable", "read"]) {
                    IsolationLevel::RepeatableRead
                } else if self.accept_kw("serializable") {
                    IsolationLevel::Serializable
                } else {
                    return Err(self.unexpected());
                });
            } else if self.accept_kws(&["read", "only"]) {
                modes.read_only = Some(true);
            } else if self.accept_kws(&["read", "write"]) {
                modes.read_only = Some(false);
            } else if self.accept_kw("deferrable") {
                modes.deferrable = Some(true);
            } else if self.accept_kws(&["not", "deferrable"]) {
                modes.deferrable = Some(false);
            } else if comma {
                return Err(self.unexpected());
            } else {
                return Ok(modes);
            }
        }
    }

    fn set(&mut self) -> SqlResult<Statement> {
        self.advance();
        if self.is_kw("constraints") {
            return Ok(self.unsupported("SET CONSTRAINTS"));
        }
        if self.accept_kws(&["session", "characteristics", "as", "transaction"]) {
            let modes = self.required_modes()?;
            return Ok(Statement::Transaction(TransactionStatement::SetSession(modes)));
        }
        let mut local = false;
        if self.is_kw("local") && !self.is_setting_end(1) {
            self.advance();
            local = true;
        } else if self.is_kw("session") && !self.is_setting_end(1) && !self.is_kw_at(1, "authorization") {
            self.advance();
        }
        if self.is_kw("transaction") && !self.is_setting_end(1) {
            self.advance();
            if self.is_kw("snapshot") {
                return Ok(self.unsupported("SET TRANSACTION SNAPSHOT"));
            }
            if let Some(point) = self.as_of()? {
                return Ok(Statement::Transaction(TransactionStatement::SetAsOf(point)));
            }
            return Ok(Statement::Transaction(TransactionStatement::SetTransaction(self.required_modes()?)));
        }
        let setting = |name: &str, value| {
            Ok(Statement::Setting(SettingStatement::Set { name: name.to_owned(), value, local }))
        };
        if self.accept_kws(&["time", "zone"]) {
            return setting("timezone", self.zone_value()?);
        }
        if self.accept_kw("names") {
            let value = if self.accept_kw("default") || self.at_end() || self.is_char(b';') {
                None
            } else {
                Some(self.string()?)
            };
            return setting("client_encoding", value);
        }
        if self.accept_kw("schema") {
            return setting("search_path", Some(self.string()?));
        }
        if self.accept_kw("catalog") {
            return Ok(self.unsupported("SET CATALOG"));
        }
        if self.accept_kw("role") {
            let value = if self.accept_kw("none") { "none".to_owned() } else { self.option_value()? };
            return setting("role", Some(value));
        }
        if self.accept_kws(&["session", "authorization"]) {
            let value = if self.accept_kw("default") { None } else { Some(self.option_value()?) };
            return setting("session_authorization", value);
        }
        if self.is_kw("xml") {
            return Ok(self.unsupported("SET XML OPTION"));
        }
        let name = self.setting_name()?;
        if self.is_kw("from") {
            return Ok(self.unsupported("SET FROM CURRENT"));
        }
        if !self.accept_kw("to") && !self.accept_char(b'=') {
            return Err(self.unexpected());
        }
        if self.accept_kw("default") {
            return setting(&name, None);
        }
        let quoted = matches!(name.as_str(), "search_path" | "datestyle" | "temp_tablespaces");
        let several = self.comma_list(|parser| {
            let value = parser.option_value()?;
            Ok(if quoted && matches!(name.as_str(), "search_path" | "temp_tablespaces") {
                quote_if_needed(&value)
            } else {
                value
            })
        })?;
        setting(&name, Some(several.join(", ")))
    }

    fn is_setting_end(&self, ahead: usize) -> bool {
        self.is_kw_at(ahead, "to") || self.is_char_at(ahead, b'=') || self.is_char_at(ahead, b'.')
    }

    fn required_modes(&mut self) -> SqlResult<TransactionModes> {
        let modes = self.transaction_modes()?;
        if modes == TransactionModes::default() { Err(self.unexpected()) } else { Ok(modes) }
    }

    fn zone_value(&mut self) -> SqlResult<Option<String>> {
        if self.accept_kw("default") || self.accept_kw("local") {
            return Ok(None);
        }
        if self.accept_kw("interval") {
            let value = self.string()?;
            let mut ty = self.named_type(Vec::new(), Vec::new(), self.loc());
            self.interval_mods(&mut ty)?;
            return Ok(Some(value));
        }
        self.option_value().map(Some)
    }

    fn setting_name(&mut self) -> SqlResult<String> {
        let mut name = self.col_id()?.name;
        while self.accept_char(b'.') {
            name = format!("{name}.{}", self.col_id()?.name);
        }
        Ok(name.to_lowercase())
    }

    /// A word, a string or a number, as an option's value.
    pub(super) fn option_value(&mut self) -> SqlResult<String> {
        let sign = if self.accept_char(b'-') {
            "-"
        } else {
            self.accept_char(b'+');
            ""
        };
        let value = match self.kind() {
            TokenKind::Int(value) => format!("{sign}{value}"),
            TokenKind::Number(value) => format!("{sign}{value}"),
            TokenKind::Str(value) if sign.is_empty() => value.to_string(),
            TokenKind::Word(value, _) | TokenKind::Quoted(value) if sign.is_empty() => value.to_string(),
            _ => return Err(self.unexpected()),
        };
        self.advance();
        Ok(value)
    }

    fn show(&mut self) -> SqlResult<Statement> {
        self.advance();
        let name = if self.accept_kws(&["time", "zone"]) {
            "timezone".to_owned()
        } else if self.accept_kws(&["transaction", "isolation", "level"]) {
            "transaction_isolation".to_owned()
        } else if self.accept_kws(&["session", "authorization"]) {
            "session_authorization".to_owned()
        } else if self.accept_kw("all") {
            "all".to_owned()
        } else {
            self.setting_name()?
        };
        Ok(Statement::Setting(SettingStatement::Show { name }))
    }

    fn reset(&mut self) -> SqlResult<Statement> {
        self.advance();
        let name = if self.accept_kws(&["time", "zone"]) {
            Some("timezone".to_owned())
        } else if self.accept_kws(&["transaction", "isolation", "level"]) {
            Some("transaction_isolation".to_owned())
        } else if self.accept_kws(&["session", "authorization"]) {
            Some("session_authorization".to_owned())
        } else if self.accept_kw("all") {
            None
        } else {
            Some(self.setting_name()?)
        };
        Ok(Statement::Setting(SettingStatement::Reset { name }))
    }

    fn explain(&mut self) -> SqlResult<Statement> {
        self.advance();
        let mut options = Vec::new();
        if self.is_char(b'(') && !self.is_query_start() {
            options = self.paren_list(|parser| {
                let name = parser.col_label()?;
                let end = parser.is_char(b',') || parser.is_char(b')');
                let value = if end { None } else { Some(parser.option_value()?) };
                Ok((name, value))
            })?;
        } else {
            for word in ["analyze", "verbose"] {
                let loc = self.loc();
                if self.accept_kw(word) || (word == "analyze" && self.accept_kw("analyse")) {
                    options.push((Ident { name: word.to_owned(), loc }, None));
                }
            }
        }
        let explainable = [
            "select", "values", "table", "with", "insert", "update", "delete", "create", "execute",
            "declare", "refresh", "merge",
        ];
        if !self.is_char(b'(') && !self.is_any_kw(&explainable) {
            return Err(self.unexpected());
        }
        self.stack.check()?;
        let statement = self.statement()?;
        Ok(Statement::Explain(Box::new(Explain { statement, options })))
    }

    fn prepare(&mut self) -> SqlResult<Statement> {
        self.advance();
        if self.is_kw("transaction") && matches!(self.kind_at(1), TokenKind::Str(_)) {
            return Ok(self.unsupported("PREPARE TRANSACTION"));
        }
        let name = self.col_id()?;
        let types = if self.is_char(b'(') { self.paren_list(Self::type_name)? } else { Vec::new() };
        self.expect_kw("as")?;
        if !self.is_char(b'(')
            && !self.is_any_kw(&["select", "values", "table", "with", "insert", "update", "delete"])
        {
            return Err(self.unexpected());
        }
        let start = self.loc();
        let statement = Box::new(self.statement()?);
        Ok(Statement::Prepare { name, types, statement, body: start..self.prev_end() })
    }

    /// VACUUM and ANALYZE, with options of either spelling.
    fn maintain(&mut self, tag: &'static str) -> SqlResult<Statement> {
        self.advance();
        let mut analyze = tag == "ANALYZE";
        if self.is_char(b'(') {
            let options = self.paren_list(|parser| {
                let on = parser.is_any_kw(&["analyze", "analyse"]);
                parser.col_label()?;
                if parser.is_char(b',') || parser.is_char(b')') {
                    return Ok(on);
                }
                let off = parser.is_any_kw(&["off", "false"]);
                parser.option_value()?;
                Ok(on && !off)
            })?;
            analyze |= options.contains(&true);
        } else {
            while self.is_any_kw(&["full", "freeze", "verbose", "analyze", "analyse"]) {
                analyze |= self.is_any_kw(&["analyze", "analyse"]);
                self.advance();
            }
        }
        let mut tables = Vec::new();
        if !self.at_end() && !self.is_char(b';') {
            tables = self.comma_list(|parser| {
                let name = parser.object_name()?;
                if parser.is_char(b'(') {
                    parser.paren_list(Self::col_id)?;
                }
                Ok(name)
            })?;
        }
        Ok(Statement::Maintain { tag, analyze, tables })
    }

    fn lock(&mut self) -> SqlResult<Statement> {
        self.advance();
        self.accept_kw("table");
        let names = self.comma_list(Self::relation_name)?;
        let mut mode = "ACCESS EXCLUSIVE".to_owned();
        if self.accept_kw("in") {
            let modes: [&[&str]; 8] = [
                &["access", "share"],
                &["row", "share"],
                &["row", "exclusive"],
                &["share", "update", "exclusive"],
                &["share", "row", "exclusive"],
                &["share"],
                &["exclusive"],
                &["access", "exclusive"],
            ];
            let Some(words) = modes.iter().find(|words| self.accept_kws(words)) else {
                return Err(self.unexpected());
            };
            mode = words.join(" ").to_uppercase();
            self.expect_kw("mode")?;
        }
        Ok(Statement::Lock { names, mode, nowait: self.accept_kw("nowait") })
    }
}

/// A schema's name as it stands in a search path.
fn quote_if_needed(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}
