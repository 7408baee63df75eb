//! FROM: tables, functions, subqueries, joins.

use super::{Parser, TYPE_FUNCTION};
use crate::SqlResult;
use crate::sql::ast::{Alias, ExprKind, Ident, JoinCondition, JoinRef, TableRef, TypeName};
use crate::sql::bound::JoinKind;
use crate::sql::stack::Chain;

/// Columns of a function that returns records, with their types.
type TypedColumns = Vec<(Ident, TypeName)>;

impl Parser<'_> {
    /// One item of FROM, joins included.
    pub(super) fn table_ref(&mut self) -> SqlResult<TableRef> {
        self.stack.check()?;
        let left = self.table_primary()?;

        self.joins(left)
    }

    /// The joins behind an item.
    fn joins(&mut self, mut left: TableRef) -> SqlResult<TableRef> {
        let mut chain = Chain::default();
        loop {
            chain.link()?;
            let loc = self.loc();
            let natural = self.is_kw("natural");
            let ahead = usize::from(natural);
            if !natural && self.is_kw("cross") {
                self.advance();
                self.expect_kw("join")?;
                let right = self.table_primary()?;
                left = join(JoinKind::Inner, left, right, JoinCondition::Cross, loc);
                continue;
            }
            let kind = match () {
                () if self.is_kw_at(ahead, "join") => Some(JoinKind::Inner),
                () if self.is_kw_at(ahead, "inner") => Some(JoinKind::Inner),
                () if self.is_kw_at(ahead, "left") => Some(JoinKind::Left),
                () if self.is_kw_at(ahead, "right") => Some(JoinKind::Right),
                () if self.is_kw_at(ahead, "full") => Some(JoinKind::Full),
                () => None,
            };
            let Some(kind) = kind else {
                return if natural { Err(self.unexpected_at(1)) } else { Ok(left) };
            };
            self.at += ahead;
            if !self.accept_kw("join") {
                self.advance();
                if kind != JoinKind::Inner {
                    self.accept_kw("outer");
                }
                self.expect_kw("join")?;
            }
            if natural {
                let right = self.table_primary()?;
                left = join(kind, left, right, JoinCondition::Natural, loc);
                continue;
            }
            let right = self.joined_right()?;
            let condition = self.join_condition()?;
            left = join(kind, left, right, condition, loc);
        }
    }

    /// `a JOIN b JOIN c ON x ON y`: the right side may be a join that has its condition already.
    fn joined_right(&mut self) -> SqlResult<TableRef> {
        let right = self.table_primary()?;
        self.joins(right)
    }

    fn join_condition(&mut self) -> SqlResult<JoinCondition> {
        if self.accept_kw("on") {
            return self.expr().map(JoinCondition::On);
        }
        self.expect_kw("using")?;
        let columns = self.paren_list(Self::col_id)?;
        let alias = if self.accept_kw("as") { Some(self.col_id()?) } else { None };
        Ok(JoinCondition::Using(columns, alias))
    }

    fn table_primary(&mut self) -> SqlResult<TableRef> {
        let loc = self.loc();
        let lateral = self.accept_kw("lateral");
        if self.is_char(b'(') {
            if self.is_query_start_in_from() {
                self.advance();
                let query = Box::new(self.query()?);
                self.expect_char(b')')?;
                let alias = self.alias()?;
                return Ok(TableRef::Subquery { lateral, query, alias, loc });
            }
            if lateral {
                return Err(self.unexpected());
            }
            self.advance();
            let mut inner = self.table_ref()?;
            self.expect_char(b')')?;
            let alias = self.alias()?;
            match &mut inner {
                TableRef::Join(join) if alias.is_some() => {
                    join.alias = alias;
                }
                _ if alias.is_some() => return Err(self.unexpected()),
                _ => {}
            }
            return Ok(inner);
        }
        if self.is_kw("rows") && self.is_kw_at(1, "from") && self.is_char_at(2, b'(') {
            self.at += 2;
            self.skip_parentheses()?;
            self.accept_kws(&["with", "ordinality"]);
            self.alias()?;
            return Ok(TableRef::Unsupported { what: "ROWS FROM", loc });
        }
        if self.is_any_kw(&["xmltable", "json_table"]) && self.is_char_at(1, b'(') {
            self.advance();
            self.skip_parentheses()?;
            self.alias()?;
            return Ok(TableRef::Unsupported { what: "XMLTABLE", loc });
        }
        self.table_or_function(lateral)
    }

    /// Whether the parenthesis here opens a query, not a join.
    fn is_query_start_in_from(&self) -> bool {
        let mut ahead = 0;
        while self.is_char_at(ahead, b'(') {
            ahead += 1;
        }
        ["select", "values", "table", "with"].iter().any(|word| self.is_kw_at(ahead, word))
            && (ahead == 1 || self.is_query_start())
    }

    fn table_or_function(&mut self, lateral: bool) -> SqlResult<TableRef> {
        let loc = self.loc();
        let at = self.at;
        if let Some(expr) = if self.keyword().is_some() { self.keyword_call()? } else { None } {
            let ordinality = self.accept_kws(&["with", "ordinality"]);
            let alias = self.alias()?;
            if let ExprKind::Func(call) = expr.kind {
                return Ok(TableRef::Function { lateral, call, loc, ordinality, alias, columns: Vec::new() });
            }
            return Ok(TableRef::Value { expr: Box::new(expr), ordinality, alias });
        }
        self.at = at;
        if self.name_of(0, TYPE_FUNCTION).is_some() || self.is_col_id() {
            // A call: a name, possibly qualified, with a parenthesis behind it.
            let mut ahead = 1;
            while self.is_char_at(ahead, b'.') {
                ahead += 2;
            }
            if self.is_char_at(ahead, b'(') && (ahead > 1 || self.name_of(0, TYPE_FUNCTION).is_some()) {
                let first = self.non_reserved()?;
                let name = self.object_name_after(first)?;
                let call = Box::new(self.call(name)?);
                let ordinality = self.accept_kws(&["with", "ordinality"]);
                let (alias, columns) = self.function_alias()?;
                return Ok(TableRef::Function { lateral, call, loc, ordinality, alias, columns });
            }
        }
        if lateral {
            return Err(self.unexpected());
        }
        let name = self.relation_name()?;
        let alias = self.alias()?;
        let mut sample = None;
        if self.is_kw("tablesample") {
            sample = Some(self.loc());
            self.advance();
            self.object_name()?;
            self.skip_parentheses()?;
            if self.accept_kw("repeatable") {
                self.skip_parentheses()?;
            }
        }
        Ok(TableRef::Table { name, alias, sample })
    }

    /// `AS name (columns)`, `name (columns)`, or nothing.
    pub(super) fn alias(&mut self) -> SqlResult<Option<Alias>> {
        if self.is_as_of() || !self.accept_kw("as") && !self.is_col_id() {
            return Ok(None);
        }
        let name = self.col_id()?;
        let columns = if self.is_char(b'(') { self.paren_list(Self::col_id)? } else { Vec::new() };
        Ok(Some(Alias { name, columns }))
    }

    /// The alias of a function, which may give its columns types.
    fn function_alias(&mut self) -> SqlResult<(Option<Alias>, TypedColumns)> {
        let explicit = !self.is_as_of() && self.accept_kw("as");
        let name = if self.is_col_id() {
            Some(self.col_id()?)
        } else if explicit && self.is_char(b'(') {
            None
        } else if explicit {
            return Err(self.unexpected());
        } else {
            return Ok((None, Vec::new()));
        };
        if !self.is_char(b'(') {
            return Ok((name.map(|name| Alias { name, columns: Vec::new() }), Vec::new()));
        }
        let mut typed = Vec::new();
        let columns = self.paren_list(|parser| {
            let column = parser.col_id()?;
            if !parser.is_char(b',') && !parser.is_char(b')') {
                typed.push((column.clone(), parser.type_name()?));
            }
            Ok(column)
        })?;
        let columns = if typed.is_empty() { columns } else { Vec::new() };
        Ok((name.map(|name| Alias { name, columns }), typed))
    }
}

fn join(kind: JoinKind, left: TableRef, right: TableRef, condition: JoinCondition, loc: u32) -> TableRef {
    TableRef::Join(Box::new(JoinRef { kind, left, right, condition, alias: None, loc }))
}
