//! CREATE, DROP, ALTER, TRUNCATE.

use super::Parser;
use crate::SqlResult;
use crate::sql::ast::{
    AlterAction, ColumnConstraint, ColumnDef, ConstraintKind, CreateTable, CreateTableAs, Expr, Ident,
    ObjectName, Span, Statement, StorageOption, TableConstraint,
};
use crate::sql::lex::TokenKind;

/// What a statement may make, change or drop beside tables, schemas and databases.
const KINDS: &[&[&str]] = &[
    &["access", "method"],
    &["aggregate"],
    &["cast"],
    &["collation"],
    &["conversion"],
    &["default", "privileges"],
    &["domain"],
    &["event", "trigger"],
    &["extension"],
    &["foreign", "data", "wrapper"],
    &["foreign", "table"],
    &["function"],
    &["group"],
    &["index"],
    &["language"],
    &["large", "object"],
    &["materialized", "view"],
    &["operator", "class"],
    &["operator", "family"],
    &["operator"],
    &["owned"],
    &["policy"],
    &["procedure"],
    &["publication"],
    &["role"],
    &["routine"],
    &["rule"],
    &["server"],
    &["statistics"],
    &["subscription"],
    &["system"],
    &["tablespace"],
    &["text", "search"],
    &["transform"],
    &["trigger"],
    &["type"],
    &["user", "mapping"],
    &["user"],
    &["view"],
    &["database"],
    &["schema"],
    &["table"],
];

impl Parser<'_> {
    /// A statement of this verb that is not built, named by what it is about; words that may stand
    /// between are skipped.
    fn unsupported_kind(&mut self, verb: &str) -> SqlResult<Statement> {
        let between = [
            "or",
            "replace",
            "temporary",
            "temp",
            "local",
            "global",
            "unlogged",
            "recursive",
            "unique",
            "trusted",
            "procedural",
            "constraint",
        ];
        while self.is_any_kw(&between) {
            self.advance();
        }
        let Some(kind) =
            KINDS.iter().find(|words| words.iter().enumerate().all(|(i, word)| self.is_kw_at(i, word)))
        else {
            return Err(self.unexpected());
        };
        let name = format!("{verb} {}", kind.join(" ").to_uppercase());
        Ok(self.unsupported(name))
    }

    pub(super) fn create(&mut self) -> SqlResult<Statement> {
        self.expect_kw("create")?;
        let persistence = match self.word() {
            "temporary" | "temp" if self.is_kw_at(1, "sequence") => {
                return Ok(self.unsupported("CREATE TEMPORARY SEQUENCE"));
            }
            "unlogged" if self.is_kw_at(1, "sequence") => {
                return Ok(self.unsupported("CREATE UNLOGGED SEQUENCE"));
            }
            "temporary" | "temp" => Some("TEMPORARY TABLE"),
            "unlogged" => Some("UNLOGGED TABLE"),
            "local" | "global" if self.is_kw_at(1, "temporary") || self.is_kw_at(1, "temp") => {
                self.advance();
                Some("TEMPORARY TABLE")
            }
            _ => None,
        };
        if persistence.is_some() && self.is_kw_at(1, "table") {
            self.advance();
        }
        match self.word() {
            "table" => self.create_table(persistence.map(|what| format!("CREATE {what}"))),
            "schema" => self.create_schema(),
            "sequence" => self.create_sequence(),
            "database" => self.create_database(),
            "index" => self.create_index(false),
            "unique" if self.is_kw_at(1, "index") => {
                self.advance();
                self.create_index(true)
            }
            "role" | "user" | "group" if !self.is_kw_at(1, "mapping") => self.create_role(),
            _ => self.unsupported_kind("CREATE"),
        }
    }

    fn create_schema(&mut self) -> SqlResult<Statement> {
        self.advance();
        let if_not_exists = self.if_not_exists()?;
        if self.is_kw("authorization") {
            return Ok(self.unsupported("CREATE SCHEMA AUTHORIZATION"));
        }
        let name = self.object_name()?;
        if self.is_kw("authorization") {
            return Ok(self.unsupported("CREATE SCHEMA AUTHORIZATION"));
        }
        if self.is_any_kw(&["create", "grant"]) {
            return Ok(self.unsupported("CREATE SCHEMA with elements"));
        }
        Ok(Statement::CreateSchema { name, if_not_exists })
    }

    fn create_database(&mut self) -> SqlResult<Statement> {
        self.advance();
        let name = self.col_id()?;
        self.accept_kw("with");
        let mut options = Vec::new();
        while !self.at_end() && !self.is_char(b';') {
            let mut option = self.col_label()?;
            if option.name == "connection" && self.accept_kw("limit") {
                option.name = "connection limit".to_owned();
            }
            self.accept_char(b'=');
            let value = if self.accept_kw("default") { None } else { Some(self.option_value()?) };
            options.push((option, value));
        }
        Ok(Statement::CreateDatabase { name, options })
    }

    fn create_table(&mut self, mut unsupported: Option<String>) -> SqlResult<Statement> {
        self.advance();
        let if_not_exists = self.if_not_exists()?;
        let name = self.object_name()?;
        if self.is_kw("as")
            || self.is_kw("with")
            || self.is_kw("on")
            || self.is_kw("tablespace")
            || self.is_kw("using")
        {
            return self.create_table_as(name, if_not_exists, Vec::new(), unsupported);
        }
        if self.is_kw("of") || self.is_kw("partition") {
            let what = if self.is_kw("of") { "CREATE TABLE OF" } else { "CREATE TABLE PARTITION OF" };
            return Ok(self.unsupported(what));
        }
        if self.is_char(b'(') && self.names_only() {
            let columns = self.paren_list(Self::col_id)?;
            return self.create_table_as(name, if_not_exists, columns, unsupported);
        }
        self.expect_char(b'(')?;
        let (mut columns, mut constraints) = (Vec::new(), Vec::new());
        if !self.is_char(b')') {
            loop {
                if self.is_kw("like") {
                    unsupported.get_or_insert_with(|| "CREATE TABLE LIKE".to_owned());
                    self.advance();
                    self.object_name()?;
                    while self.is_any_kw(&["including", "excluding"]) {
                        self.at += 2;
                    }
                } else if self.is_any_kw(&["constraint", "primary", "unique", "check", "foreign", "exclude"])
                {
                    constraints.push(self.table_constraint()?);
                } else {
                    columns.push(self.column_def()?);
                }
                if !self.accept_char(b',') {
                    break;
                }
            }
        }
        self.expect_char(b')')?;
        if self.is_kw("inherits") {
            unsupported.get_or_insert_with(|| "CREATE TABLE INHERITS".to_owned());
            self.advance();
            self.paren_list(Self::object_name)?;
        }
        if self.is_kw("partition") {
            return Ok(self.unsupported("CREATE TABLE PARTITION BY"));
        }
        let options = self.table_options(&mut unsupported)?;
        if self.is_kw("as") {
            return Err(self.unexpected());
        }
        let table = CreateTable { name, if_not_exists, columns, constraints, options, unsupported };
        Ok(Statement::CreateTable(Box::new(table)))
    }

    /// Whether the parenthesis here holds names alone: CREATE TABLE t (a, b) AS.
    fn names_only(&self) -> bool {
        matches!(self.kind_at(2), TokenKind::Char(b',' | b')')) && !self.is_char_at(1, b')')
    }

    fn create_table_as(
        &mut self,
        name: ObjectName,
        if_not_exists: bool,
        columns: Vec<Ident>,
        mut unsupported: Option<String>,
    ) -> SqlResult<Statement> {
        let options = self.table_options(&mut unsupported)?;
        self.expect_kw("as")?;
        if self.is_kw("execute") {
            return Ok(self.unsupported("CREATE TABLE AS EXECUTE"));
        }
        let query = Box::new(self.query()?);
        let mut no_data = false;
        if self.is_kw("with") {
            self.advance();
            no_data = self.accept_kw("no");
            self.expect_kw("data")?;
        }
        let table = CreateTableAs { name, if_not_exists, columns, options, query, no_data, unsupported };
        Ok(Statement::CreateTableAs(Box::new(table)))
    }

    /// USING, WITH (...), ON COMMIT, TABLESPACE.
    fn table_options(&mut self, unsupported: &mut Option<String>) -> SqlResult<Vec<StorageOption>> {
        let mut options = Vec::new();
        if self.accept_kw("using") {
            let method = self.col_id()?;
            if method.name != "heap" {
                unsupported.get_or_insert_with(|| "CREATE TABLE USING".to_owned());
            }
        }
        if self.is_kw("with") && self.is_char_at(1, b'(') {
            self.advance();
            options = self.paren_list(Self::storage_option)?;
        } else {
            self.accept_kws(&["without", "oids"]);
        }
        if self.is_kw("on") && self.is_kw_at(1, "commit") {
            self.at += 2;
            if !self.accept_kws(&["preserve", "rows"]) {
                unsupported.get_or_insert_with(|| "ON COMMIT".to_owned());
                if !self.accept_kws(&["delete", "rows"]) {
                    self.expect_kw("drop")?;
                }
            }
        }
        if self.accept_kw("tablespace") {
            let space = self.col_id()?;
            if space.name != "pg_default" {
                unsupported.get_or_insert_with(|| "TABLESPACE".to_owned());
            }
        }
        Ok(options)
    }

    pub(super) fn storage_option(&mut self) -> SqlResult<StorageOption> {
        let first = self.col_label()?;
        let mut name = first.name;
        if self.accept_char(b'.') {
            name = format!("{name}.{}", self.col_label()?.name);
        }
        let value = if self.accept_char(b'=') { Some(self.option_value()?) } else { None };
        Ok(StorageOption { name, value, loc: first.loc })
    }

    fn column_def(&mut self) -> SqlResult<ColumnDef> {
        let name = self.col_id()?;
        let ty = self.type_name()?;
        let mut constraints = Vec::new();
        let mut collation = None;
        loop {
            let loc = self.loc();
            let mut constraint_name = None;
            if self.accept_kw("collate") {
                collation = Some(self.any_name()?);
                continue;
            }
            if self.accept_kw("constraint") {
                constraint_name = Some(self.col_id()?.name);
            }
            let Some(kind) = self.column_constraint()? else {
                if constraint_name.is_some() {
                    return Err(self.unexpected());
                }
                return Ok(ColumnDef { name, ty, constraints, collation });
            };
            constraints.push(ColumnConstraint { name: constraint_name, kind, loc });
        }
    }

    /// An expression with its extent in the text.
    fn spanned(&mut self, parse: impl FnOnce(&mut Self) -> SqlResult<Expr>) -> SqlResult<(Expr, Span)> {
        let start = self.loc();
        let expr = parse(self)?;
        Ok((expr, start..self.prev_end()))
    }

    fn column_constraint(&mut self) -> SqlResult<Option<ConstraintKind>> {
        Ok(Some(match self.word() {
            "not" if self.is_kw_at(1, "null") => {
                self.at += 2;
                ConstraintKind::NotNull
            }
            "null" => {
                self.advance();
                ConstraintKind::Null
            }
            "default" => {
                self.advance();
                let (expr, span) = self.spanned(Self::simple_expr)?;
                ConstraintKind::Default { expr, span }
            }
            "generated" => {
                self.advance();
                let always = self.accept_kw("always");
                if !always {
                    self.expect_kws(&["by", "default"])?;
                }
                self.expect_kw("as")?;
                if self.accept_kw("identity") {
                    ConstraintKind::Identity { always, options: self.identity_options()? }
                } else {
                    self.skip_parentheses()?;
                    self.expect_kw("stored")?;
                    ConstraintKind::Unsupported("GENERATED ALWAYS AS")
                }
            }
            "references" => {
                self.advance();
                self.references()?;
                ConstraintKind::Unsupported("FOREIGN KEY")
            }
            "deferrable" | "initially" => return Err(crate::SqlError::not_supported("DEFERRABLE")),
            "not" if self.is_kw_at(1, "deferrable") => {
                self.at += 2;
                return self.column_constraint();
            }
            _ => match self.shared_constraint()? {
                Some((kind, _)) => kind,
                None => return Ok(None),
            },
        }))
    }

    /// PRIMARY KEY, UNIQUE and CHECK, with the columns where a list may stand.
    fn shared_constraint(&mut self) -> SqlResult<Option<(ConstraintKind, Vec<Ident>)>> {
        let kind = match self.word() {
            "primary" => {
                self.advance();
                self.expect_kw("key")?;
                ConstraintKind::PrimaryKey
            }
            "unique" => {
                self.advance();
                let mut nulls_not_distinct = false;
                if self.accept_kw("nulls") {
                    nulls_not_distinct = self.accept_kw("not");
                    self.expect_kw("distinct")?;
                }
                ConstraintKind::Unique { nulls_not_distinct }
            }
            "check" => {
                self.advance();
                self.expect_char(b'(')?;
                let (expr, span) = self.spanned(Self::expr)?;
                self.expect_char(b')')?;
                if self.accept_kws(&["no", "inherit"]) {
                    return Err(crate::SqlError::not_supported("NO INHERIT"));
                }
                return Ok(Some((ConstraintKind::Check { expr, span }, Vec::new())));
            }
            _ => return Ok(None),
        };
        let columns = if self.is_char(b'(') { self.paren_list(Self::col_id)? } else { Vec::new() };
        if self.is_kw("include") {
            return Err(crate::SqlError::not_supported("INCLUDE"));
        }
        if self.is_kw("using") && self.is_kw_at(1, "index") {
            if self.is_kw_at(2, "tablespace") {
                return Err(crate::SqlError::not_supported("USING INDEX TABLESPACE"));
            }
            return Err(crate::SqlError::not_supported("ADD CONSTRAINT USING INDEX"));
        }
        if self.is_kw("with") && self.is_char_at(1, b'(') {
            self.advance();
            self.skip_parentheses()?;
        }
        if self.is_any_kw(&["deferrable", "initially"]) {
            return Err(crate::SqlError::not_supported("DEFERRABLE"));
        }
        self.accept_kws(&["not", "deferrable"]);
        Ok(Some((kind, columns)))
    }

    fn references(&mut self) -> SqlResult<()> {
        self.object_name()?;
        if self.is_char(b'(') {
            self.paren_list(Self::col_id)?;
        }
        loop {
            if self.accept_kw("match") {
                self.col_label()?;
            } else if self.is_kw("on") && (self.is_kw_at(1, "delete") || self.is_kw_at(1, "update")) {
                self.at += 2;
                let _ = self.accept_kws(&["no", "action"])
                    || self.accept_kws(&["set", "null"])
                    || self.accept_kws(&["set", "default"])
                    || self.accept_kw("cascade")
                    || self.accept_kw("restrict");
            } else if self.accept_kw("deferrable")
                || self.accept_kws(&["not", "deferrable"])
                || self.accept_kws(&["initially", "deferred"])
                || self.accept_kws(&["initially", "immediate"])
                || self.accept_kws(&["not", "valid"])
            {
            } else {
                return Ok(());
            }
        }
    }

    fn table_constraint(&mut self) -> SqlResult<TableConstraint> {
        let loc = self.loc();
        let name = if self.accept_kw("constraint") { Some(self.col_id()?.name) } else { None };
        if self.accept_kws(&["foreign", "key"]) {
            let columns = self.paren_list(Self::col_id)?;
            self.expect_kw("references")?;
            self.references()?;
            return Ok(TableConstraint {
                name,
                kind: ConstraintKind::Unsupported("FOREIGN KEY"),
                columns,
                loc,
            });
        }
        if self.is_kw("exclude") {
            return Err(crate::SqlError::not_supported("EXCLUDE"));
        }
        match self.shared_constraint()? {
            Some((kind, columns)) => {
                if columns.is_empty() && !matches!(kind, ConstraintKind::Check { .. }) {
                    return Err(self.unexpected());
                }
                if self.accept_kws(&["not", "valid"]) {
                    return Err(crate::SqlError::not_supported("NOT VALID"));
                }
                Ok(TableConstraint { name, kind, columns, loc })
            }
            None => Err(self.unexpected()),
        }
    }

    pub(super) fn drop(&mut self) -> SqlResult<Statement> {
        self.expect_kw("drop")?;
        match self.word() {
            "table" => {
                self.advance();
                let if_exists = self.if_exists()?;
                let names = self.comma_list(Self::object_name)?;
                Ok(Statement::DropTable { names, if_exists, cascade: self.drop_behavior() })
            }
            "sequence" => {
                self.advance();
                let if_exists = self.if_exists()?;
                let names = self.comma_list(Self::object_name)?;
                Ok(Statement::DropSequence { names, if_exists, cascade: self.drop_behavior() })
            }
            "schema" => {
                self.advance();
                let if_exists = self.if_exists()?;
                let names = self.comma_list(Self::object_name)?;
                Ok(Statement::DropSchema { names, if_exists, cascade: self.drop_behavior() })
            }
            "database" => {
                self.advance();
                let if_exists = self.if_exists()?;
                let name = self.col_id()?;
                let mut force = false;
                self.accept_kw("with");
                if self.is_char(b'(') {
                    self.paren_list(|parser| parser.expect_kw("force"))?;
                    force = true;
                }
                Ok(Statement::DropDatabase { name, if_exists, force })
            }
            "index" => self.drop_index(),
            "role" | "user" | "group" if !self.is_kw_at(1, "mapping") => self.drop_role(),
            _ => self.unsupported_kind("DROP"),
        }
    }

    pub(super) fn truncate(&mut self) -> SqlResult<Statement> {
        self.expect_kw("truncate")?;
        self.accept_kw("table");
        let names = self.comma_list(Self::relation_name)?;
        let restart_identity = self.accept_kws(&["restart", "identity"]);
        if !restart_identity {
            self.accept_kws(&["continue", "identity"]);
        }
        Ok(Statement::Truncate { names, restart_identity, cascade: self.drop_behavior() })
    }

    pub(super) fn alter(&mut self) -> SqlResult<Statement> {
        self.expect_kw("alter")?;
        if self.is_any_kw(&["role", "user", "group"]) && !self.is_kw_at(1, "mapping") {
            return self.alter_role();
        }
        if self.is_kw("index") {
            return self.alter_index();
        }
        if self.is_kw("sequence") {
            return self.alter_sequence();
        }
        if !self.is_kw("table") {
            return self.unsupported_kind("ALTER");
        }
        self.advance();
        if self.is_kw("all") {
            return Ok(self.unsupported("ALTER TABLE ALL IN TABLESPACE"));
        }
        let if_exists = self.if_exists()?;
        let name = self.relation_name()?;
        if self.accept_kw("rename") {
            if self.accept_kw("to") {
                let actions = vec![AlterAction::Rename(self.col_id()?)];
                return Ok(Statement::AlterTable { name, if_exists, actions });
            }
            if self.accept_kw("constraint") {
                let from = self.col_id()?;
                self.expect_kw("to")?;
                let actions = vec![AlterAction::RenameConstraint { from, to: self.col_id()? }];
                return Ok(Statement::AlterTable { name, if_exists, actions });
            }
            self.accept_kw("column");
            let from = self.col_id()?;
            self.expect_kw("to")?;
            let actions = vec![AlterAction::RenameColumn { from, to: self.col_id()? }];
            return Ok(Statement::AlterTable { name, if_exists, actions });
        }
        let actions = self.comma_list(Self::alter_action)?;
        Ok(Statement::AlterTable { name, if_exists, actions })
    }

    fn alter_action(&mut self) -> SqlResult<AlterAction> {
        match self.word() {
            "add" => {
                self.advance();
                if self.is_any_kw(&["constraint", "primary", "unique", "check", "foreign", "exclude"]) {
                    return Ok(AlterAction::AddConstraint(self.table_constraint()?));
                }
                self.accept_kw("column");
                let if_not_exists = self.if_not_exists()?;
                Ok(AlterAction::AddColumn { column: self.column_def()?, if_not_exists })
            }
            "drop" => {
                self.advance();
                if self.accept_kw("constraint") {
                    let if_exists = self.if_exists()?;
                    let name = self.col_id()?;
                    return Ok(AlterAction::DropConstraint {
                        name,
                        if_exists,
                        cascade: self.drop_behavior(),
                    });
                }
                self.accept_kw("column");
                let if_exists = self.if_exists()?;
                let name = self.col_id()?;
                Ok(AlterAction::DropColumn { name, if_exists, cascade: self.drop_behavior() })
            }
            "alter" if !self.is_kw_at(1, "constraint") => {
                self.advance();
                self.accept_kw("column");
                let column = self.col_id()?;
                if self.accept_kws(&["set", "not", "null"]) {
                    return Ok(AlterAction::SetNotNull { column, not_null: true });
                }
                if self.accept_kws(&["drop", "not", "null"]) {
                    return Ok(AlterAction::SetNotNull { column, not_null: false });
                }
                if self.accept_kws(&["drop", "default"]) {
                    return Ok(AlterAction::SetDefault { column, default: None });
                }
                if self.accept_kws(&["set", "default"]) {
                    let default = Some(self.spanned(Self::expr)?);
                    return Ok(AlterAction::SetDefault { column, default });
                }
                if let Some(action) = self.alter_identity(column)? {
                    return Ok(action);
                }
                Ok(self.unsupported_action(if self.is_kw("type") || self.is_kw_at(1, "data") {
                    "ALTER TABLE ALTER COLUMN TYPE"
                } else {
                    "ALTER TABLE ALTER COLUMN"
                }))
            }
            "set" if self.is_char_at(1, b'(') => {
                self.advance();
                Ok(AlterAction::SetOptions(self.paren_list(Self::storage_option)?))
            }
            "reset" if self.is_char_at(1, b'(') => {
                self.advance();
                Ok(AlterAction::SetOptions(self.paren_list(Self::storage_option)?))
            }
            "owner" | "set" | "attach" | "detach" | "enable" | "disable" | "inherit" | "no" | "of"
            | "not" | "cluster" | "validate" | "replica" | "force" | "alter" | "reset" => {
                let name = format!("ALTER TABLE {}", self.word().to_uppercase());
                Ok(self.unsupported_action(&name))
            }
            _ => Err(self.unexpected()),
        }
    }

    fn unsupported_action(&mut self, what: &str) -> AlterAction {
        self.skip_statement();
        AlterAction::Unsupported(what.to_owned())
    }
}
