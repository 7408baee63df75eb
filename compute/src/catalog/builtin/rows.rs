//! The data files as rows of text.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

/// The rows of one system catalog as text, in the form of COPY.
#[derive(Debug)]
pub struct CatalogRows {
    /// The catalog's name.
    pub name: &'static str,
    /// Its columns' names, in order.
    pub columns: Vec<&'static str>,
    lines: Vec<&'static str>,
}

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("data/", $name, ".tsv")))),*]
    };
}

const FILES: &[(&str, &str)] = files![
    "pg_aggregate",
    "pg_am",
    "pg_amop",
    "pg_amproc",
    "pg_attribute",
    "pg_authid",
    "pg_cast",
    "pg_class",
    "pg_collation",
    "pg_constraint",
    "pg_index",
    "pg_language",
    "pg_namespace",
    "pg_opclass",
    "pg_operator",
    "pg_opfamily",
    "pg_proc",
    "pg_range",
    "pg_tablespace",
    "pg_type",
];

static CATALOGS: LazyLock<HashMap<&'static str, CatalogRows>> = LazyLock::new(|| {
    let catalogs = FILES.iter().map(|(name, text)| (*name, CatalogRows::parse(name, text)));
    catalogs.collect()
});

/// The built-in rows of a system catalog; `None` for catalogs that have none.
pub fn rows(catalog: &str) -> Option<&'static CatalogRows> {
    CATALOGS.get(catalog)
}

/// The names of the catalogs that have built-in rows.
pub fn catalogs() -> impl Iterator<Item = &'static str> {
    FILES.iter().map(|(name, _)| *name)
}

impl CatalogRows {
    fn parse(name: &'static str, text: &'static str) -> Self {
        let mut lines = text.lines();
        let columns = lines.next().unwrap_or_default().split('\t').collect();
        Self { name, columns, lines: lines.collect() }
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The position of a column.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| *column == name)
    }

    /// The rows: a value for each column, as its type's input function reads it.
    pub fn iter(&self) -> impl Iterator<Item = Vec<Option<Cow<'static, str>>>> + '_ {
        self.lines.iter().map(|line| line.split('\t').map(unescape).collect())
    }

    /// The rows with the named columns alone, not unescaped, `\N` for null: the cheap way in for
    /// columns that hold numbers, names and flags.
    pub(super) fn raw<const N: usize>(
        &self,
        columns: [&str; N],
    ) -> impl Iterator<Item = [&'static str; N]> + '_ {
        let places = columns.map(|name| self.column(name).expect("the files have the columns that we read"));
        self.lines.iter().map(move |line| {
            let fields: Vec<&'static str> = line.split('\t').collect();
            places.map(|place| fields[place])
        })
    }
}

/// One field of COPY's text form.
fn unescape(field: &'static str) -> Option<Cow<'static, str>> {
    if field == "\\N" {
        return None;
    }
    if !field.contains('\\') {
        return Some(Cow::Borrowed(field));
    }
    let mut out = String::with_capacity(field.len());
    let mut chars = field.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('r') => out.push('\r'),
            Some('b') => out.push('\u{8}'),
            Some('f') => out.push('\u{c}'),
            Some('v') => out.push('\u{b}'),
            Some(other) => out.push(other),
            None => out.push('\\'),
        }
    }
    Some(Cow::Owned(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_a_field_for_each_column() {
        for name in catalogs() {
            let catalog = rows(name).unwrap();
            assert!(!catalog.is_empty(), "{name}");
            for row in catalog.iter() {
                assert_eq!(row.len(), catalog.columns.len(), "{name}: {row:?}");
            }
        }
    }

    #[test]
    fn columns_are_those_that_pg_attribute_lists() {
        let class: HashMap<_, _> =
            rows("pg_class").unwrap().raw(["relname", "oid"]).map(|[name, oid]| (name, oid)).collect();
        for name in catalogs() {
            let attributes = rows("pg_attribute").unwrap();
            let mut columns: Vec<(i16, &str)> = attributes
                .raw(["attrelid", "attnum", "attname"])
                .filter(|[relation, ..]| *relation == class[name])
                .map(|[_, number, column]| (number.parse().unwrap(), column))
                .collect();
            columns.sort();
            let columns: Vec<_> = columns.into_iter().map(|(_, column)| column).collect();
            assert_eq!(columns, rows(name).unwrap().columns, "{name}");
        }
    }
}
