//! COPY and its options.

use super::Binder;
use super::aggregate::Clause;
use super::scope::Scope;
use crate::catalog::TableDef;
use crate::sql::ast::{self, CopyOption, CopyPlace, CopySource, CopyValue, Ident};
use crate::sql::bound::{Copy, CopyFormat, CopyHeader, CopyWhat, OutputColumn, Query, Rel, TableScan};
use crate::{SqlError, SqlResult};
use shardforge_types::{Oid, SqlState};

/// The options as they are written, before what depends on the format is filled in.
#[derive(Default)]
struct Options<'o> {
    format: Option<&'o CopyOption>,
    freeze: bool,
    delimiter: Option<&'o str>,
    null: Option<&'o str>,
    header: Option<CopyHeader>,
    quote: Option<&'o str>,
    escape: Option<&'o str>,
    force_quote: Option<&'o CopyValue>,
    force_not_null: Option<&'o CopyValue>,
    force_null: Option<&'o CopyValue>,
}

impl Binder<'_> {
    pub(super) fn copy(&mut self, copy: &ast::Copy) -> SqlResult<Copy> {
        match copy.place {
            CopyPlace::Stdio => {}
            CopyPlace::File => {
                let what = if copy.from { "COPY FROM a file" } else { "COPY TO a file" };
                return Err(SqlError::not_supported(what).hint("psql's \\copy command may be used instead."));
            }
            CopyPlace::Program => return Err(SqlError::not_supported("COPY with PROGRAM")),
        }
        let options = self.copy_options(&copy.options)?;
        let (what, names) = match &copy.what {
            CopySource::Other(name) => return Err(SqlError::not_supported(format!("COPY ({name} ...)"))),
            CopySource::Query(query) => {
                let query = self.top_query(query, &Scope::empty())?;
                let names = query.output.iter().map(|column| column.name.clone()).collect();
                (CopyWhat::To(query), names)
            }
            CopySource::Table(name, columns) => {
                let table = self.lookup_table(name)?;
                let positions = self.copy_columns(&table, columns)?;
                let names: Vec<String> =
                    positions.iter().map(|position| table.columns[*position].name.clone()).collect();
                if copy.from {
                    (self.copy_from(&table, positions, copy.filter.as_ref())?, names)
                } else {
                    (self.copy_table_to(&table, &positions), names)
                }
            }
        };
        let format = self.copy_format(&options, copy.from, &names)?;
        Ok(Copy { what, format })
    }

    fn copy_columns(&self, table: &TableDef, columns: &[Ident]) -> SqlResult<Vec<usize>> {
        if columns.is_empty() {
            return Ok(table.visible_columns().map(|(position, _)| position).collect());
        }
        let mut out: Vec<usize> = Vec::new();
        for name in columns {
            let position = table.column(&name.name).ok_or_else(|| {
                let message =
                    format!("column \"{}\" of relation \"{}\" does not exist", name.name, table.name);
                SqlError::new(SqlState::UNDEFINED_COLUMN, message)
            })?;
            if out.contains(&position) {
                let message = format!("column \"{}\" specified more than once", name.name);
                return Err(SqlError::new(SqlState::DUPLICATE_COLUMN, message));
            }
            out.push(position);
        }
        Ok(out)
    }

    fn copy_from(
        &mut self,
        table: &std::sync::Arc<TableDef>,
        columns: Vec<usize>,
        filter: Option<&ast::Expr>,
    ) -> SqlResult<CopyWhat> {
        if table.kind != crate::catalog::TableKind::Table {
            let message = format!("cannot copy to \"{}\": it is not a table of users", table.name);
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message));
        }
        let mut defaults = Vec::new();
        for (position, column) in table.visible_columns() {
            let has_default = column.default.is_some() || column.identity.is_some();
            if !columns.contains(&position) && has_default {
                defaults.push((position, self.column_default(table, position)?));
            }
        }
        let (item, cols) = self.table_item(table, &table.name);
        let scope = Scope::with_tables(None, vec![item]);
        let predicate =
            filter.map(|filter| self.condition(filter, Clause::CopyWhere, "WHERE", &scope)).transpose()?;
        Ok(CopyWhat::From { table: table.clone(), columns, defaults, predicate, cols })
    }

    fn copy_table_to(&mut self, table: &std::sync::Arc<TableDef>, positions: &[usize]) -> CopyWhat {
        let (_, cols) = self.table_item(table, &table.name);
        let output = positions.iter().filter_map(|position| {
            let (col, _) = cols.iter().find(|(_, place)| place == position)?;
            let origin: Option<(Oid, i16)> = Some((table.oid, table.columns[*position].attnum));
            Some(OutputColumn { id: col.id, name: col.name.clone(), ty: col.ty, origin })
        });
        let output: Vec<OutputColumn> = output.collect();
        let scan = TableScan { table: table.clone(), alias: table.name.clone(), cols, as_of: None };
        CopyWhat::To(Query { rel: Rel::Table(scan), output })
    }

    fn copy_options<'o>(&self, options: &'o [CopyOption]) -> SqlResult<Options<'o>> {
        let mut out = Options::default();
        let mut seen: Vec<&str> = Vec::new();
        for option in options {
            let name = option.name.name.as_str();
            if seen.contains(&name) {
                return Err(self.error(
                    SqlState::SYNTAX_ERROR,
                    "conflicting or redundant options",
                    option.name.loc,
                ));
            }
            seen.push(name);
            match name {
                "format" => out.format = Some(option),
                "freeze" => out.freeze = self.copy_bool(option)?,
                "delimiter" => out.delimiter = Some(self.copy_text(option)?),
                "null" => out.null = Some(self.copy_text(option)?),
                "header" => {
                    let text = match &option.value {
                        CopyValue::Text(text) => text.as_str(),
                        _ => "",
                    };
                    out.header = Some(if text.eq_ignore_ascii_case("match") {
                        CopyHeader::Match
                    } else if self.copy_bool(option)? {
                        CopyHeader::Present
                    } else {
                        CopyHeader::Absent
                    });
                }
                "quote" => out.quote = Some(self.copy_text(option)?),
                "escape" => out.escape = Some(self.copy_text(option)?),
                "force_quote" => out.force_quote = Some(&option.value),
                "force_not_null" => out.force_not_null = Some(&option.value),
                "force_null" => out.force_null = Some(&option.value),
                "encoding" => {
                    let encoding = self.copy_text(option)?;
                    let plain: String = encoding.chars().filter(char::is_ascii_alphanumeric).collect();
                    if !matches!(plain.to_ascii_lowercase().as_str(), "utf8" | "unicode") {
                        return Err(self.unsupported(format!("encoding \"{encoding}\""), option.name.loc));
                    }
                }
                _ => {
                    let message = format!("option \"{name}\" not recognized");
                    return Err(self.error(SqlState::SYNTAX_ERROR, message, option.name.loc));
                }
            }
        }
        Ok(out)
    }

    fn copy_text<'o>(&self, option: &'o CopyOption) -> SqlResult<&'o str> {
        match &option.value {
            CopyValue::Text(text) => Ok(text),
            _ => {
                let message = format!("{} requires a parameter", option.name.name);
                Err(self.error(SqlState::SYNTAX_ERROR, message, option.name.loc))
            }
        }
    }

    fn copy_bool(&self, option: &CopyOption) -> SqlResult<bool> {
        let text = match &option.value {
            CopyValue::None => return Ok(true),
            CopyValue::Text(text) => text.to_ascii_lowercase(),
            _ => String::new(),
        };
        match text.as_str() {
            "true" | "on" | "1" => Ok(true),
            "false" | "off" | "0" => Ok(false),
            _ => {
                let kind = if option.name.name == "header" {
                    "a Boolean value or \"match\""
                } else {
                    "a Boolean value"
                };
                let message = format!("{} requires {kind}", option.name.name);
                Err(SqlError::new(SqlState::SYNTAX_ERROR, message))
            }
        }
    }

    fn copy_format(&self, options: &Options<'_>, from: bool, names: &[String]) -> SqlResult<CopyFormat> {
        let (csv, binary) = match options.format {
            None => (false, false),
            Some(option) => match self.copy_text(option)? {
                "text" => (false, false),
                "csv" => (true, false),
                "binary" => (false, true),
                other => {
                    let message = format!("COPY format \"{other}\" not recognized");
                    return Err(self.error(SqlState::INVALID_PARAMETER_VALUE, message, option.name.loc));
                }
            },
        };
        let invalid = |message: &str| Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
        let refused = |message: &str| Err(SqlError::new(SqlState::FEATURE_NOT_SUPPORTED, message));
        for (given, name) in [(options.delimiter, "DELIMITER"), (options.null, "NULL")] {
            if binary && given.is_some() {
                let message = format!("cannot specify {name} in BINARY mode");
                return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
            }
        }
        if options.freeze && !from {
            return refused("COPY freeze only available using COPY FROM");
        }
        let delimiter = options.delimiter.unwrap_or(if csv { "," } else { "\t" });
        let [delimiter] = *delimiter.as_bytes() else {
            return refused("COPY delimiter must be a single one-byte character");
        };
        if matches!(delimiter, b'\n' | b'\r') {
            return invalid("COPY delimiter cannot be newline or carriage return");
        }
        let null = options.null.unwrap_or(if csv { "" } else { "\\N" });
        if null.contains(['\n', '\r']) {
            return invalid("COPY null representation cannot use newline or carriage return");
        }
        if !csv && b"\\.abcdefghijklmnopqrstuvwxyz0123456789".contains(&delimiter) {
            return invalid(&format!("COPY delimiter cannot be \"{}\"", char::from(delimiter)));
        }
        if !csv && options.quote.is_some() {
            return refused("COPY quote available only in CSV mode");
        }
        if !csv && options.escape.is_some() {
            return refused("COPY escape available only in CSV mode");
        }
        let [quote] = *options.quote.unwrap_or("\"").as_bytes() else {
            return refused("COPY quote must be a single one-byte character");
        };
        if csv && quote == delimiter {
            return invalid("COPY delimiter and quote must be different");
        }
        let escape = match options.escape {
            None => quote,
            Some(text) => match *text.as_bytes() {
                [escape] => escape,
                _ => return refused("COPY escape must be a single one-byte character"),
            },
        };
        if options.force_quote.is_some() && !csv {
            return refused("COPY force quote available only in CSV mode");
        }
        if options.force_quote.is_some() && from {
            return refused("COPY force quote only available using COPY TO");
        }
        if options.force_not_null.is_some() && !csv {
            return refused("COPY force not null available only in CSV mode");
        }
        if options.force_not_null.is_some() && !from {
            return refused("COPY force not null only available using COPY FROM");
        }
        if options.force_null.is_some() && !csv {
            return refused("COPY force null available only in CSV mode");
        }
        if options.force_null.is_some() && !from {
            return refused("COPY force null only available using COPY FROM");
        }
        if null.as_bytes().contains(&delimiter) {
            return refused("COPY delimiter must not appear in the NULL specification");
        }
        if csv && null.as_bytes().contains(&quote) {
            return refused("CSV quote character must not appear in the NULL specification");
        }
        let header = options.header.unwrap_or(CopyHeader::Absent);
        if binary && header != CopyHeader::Absent {
            return refused("cannot specify HEADER in BINARY mode");
        }
        if header == CopyHeader::Match && !from {
            return refused("cannot use \"match\" with HEADER in COPY TO");
        }
        Ok(CopyFormat {
            binary,
            csv,
            delimiter,
            null: null.to_owned(),
            header,
            quote,
            escape,
            force_quote: forced(options.force_quote, names, "FORCE_QUOTE")?,
            force_not_null: forced(options.force_not_null, names, "FORCE_NOT_NULL")?,
            force_null: forced(options.force_null, names, "FORCE_NULL")?,
        })
    }
}

/// The columns of a FORCE option, as positions among the copied ones.
fn forced(value: Option<&CopyValue>, names: &[String], option: &str) -> SqlResult<Vec<usize>> {
    let list = match value {
        None => return Ok(Vec::new()),
        Some(CopyValue::Star) => return Ok((0..names.len()).collect()),
        Some(CopyValue::List(list)) => list,
        Some(_) => {
            let message =
                format!("argument to option \"{}\" must be a list of column names", option.to_lowercase());
            return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
        }
    };
    let place = |name: &Ident| {
        names.iter().position(|known| *known == name.name).ok_or_else(|| {
            let message = format!("{option} column \"{}\" not referenced by COPY", name.name);
            SqlError::new(SqlState::INVALID_COLUMN_REFERENCE, message)
        })
    };
    list.iter().map(place).collect()
}
