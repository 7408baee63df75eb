//! Definitions written back as SQL, as PostgreSQL's `pg_get_indexdef` and `pg_get_constraintdef` do.

use super::database::DatabaseCatalog;
use super::stored::{ConstraintRow, IndexRow};
use crate::functions::text_io::quote_ident;
use shardforge_types::Oid;

/// `CREATE INDEX` for an index of a user's table; `None` when there is no such index.
pub fn index_definition(catalog: &DatabaseCatalog, oid: Oid) -> Option<String> {
    let index = catalog.index(oid)?;
    let relation = catalog.relation(oid)?;
    let table = catalog.relation(index.table)?;
    let schema = catalog.namespace_name(table.namespace)?;
    Some(format!(
        "CREATE {}INDEX {} ON {}.{} USING btree ({}){}",
        if index.unique { "UNIQUE " } else { "" },
        quote_ident(&relation.name),
        quote_ident(schema),
        quote_ident(&table.name),
        index_columns(catalog, index),
        if index.nulls_not_distinct == Some(true) { " NULLS NOT DISTINCT" } else { "" }
    ))
}

fn index_columns(catalog: &DatabaseCatalog, index: &IndexRow) -> String {
    let columns = index.columns.iter().zip(&index.options).map(|(number, option)| {
        let mut text = column_name(catalog, index.table, *number);
        let (desc, nulls_first) = (option & IndexRow::DESC != 0, option & IndexRow::NULLS_FIRST != 0);
        text.push_str(match (desc, nulls_first) {
            (false, false) => "",
            (false, true) => " NULLS FIRST",
            (true, true) => " DESC",
            (true, false) => " DESC NULLS LAST",
        });
        text
    });
    columns.collect::<Vec<_>>().join(", ")
}

fn column_name(catalog: &DatabaseCatalog, table: Oid, number: i16) -> String {
    let column = catalog.columns(table).iter().find(|column| column.number == number);
    column.map_or_else(|| "?".to_owned(), |column| quote_ident(&column.name))
}

/// A constraint as it stands in CREATE TABLE.
pub fn constraint_definition(catalog: &DatabaseCatalog, constraint: &ConstraintRow) -> String {
    let columns = || {
        let names = constraint
            .columns
            .iter()
            .flatten()
            .map(|number| column_name(catalog, constraint.relation, *number));
        names.collect::<Vec<_>>().join(", ")
    };
    match constraint.kind {
        b'p' => format!("PRIMARY KEY ({})", columns()),
        b'u' => {
            let index = catalog.index(constraint.index);
            let nulls = index.is_some_and(|index| index.nulls_not_distinct == Some(true));
            format!("UNIQUE {}({})", if nulls { "NULLS NOT DISTINCT " } else { "" }, columns())
        }
        _ => format!("CHECK ({})", parenthesized(constraint.expression.as_deref().unwrap_or_default())),
    }
}

/// PostgreSQL writes `CHECK ((a > 0))`: the expression in parentheses of its own.
fn parenthesized(expression: &str) -> String {
    let text = expression.trim();
    if is_enclosed(text) { text.to_owned() } else { format!("({text})") }
}

/// Whether one pair of parentheses holds the whole text.
fn is_enclosed(text: &str) -> bool {
    if !text.starts_with('(') || !text.ends_with(')') {
        return false;
    }
    let (mut depth, mut quote) = (0, None);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '(') => depth += 1,
            (None, ')') => {
                depth -= 1;
                if depth == 0 && at + 1 < text.len() {
                    return false;
                }
            }
            _ => {}
        }
    }
    depth == 0
}

/// The DEFAULT of a column that takes its values from a sequence, as it is kept: by the sequence's OID.
pub fn sequence_default(sequence: Oid) -> String {
    format!("nextval('{sequence}'::regclass)")
}

/// The sequences that a DEFAULT as it is kept takes values from.
pub fn default_sequences(default: &str) -> Vec<Oid> {
    let mut found = Vec::new();
    replace_nextval(default, |name| {
        found.extend(name.parse().ok().map(Oid));
        None
    });
    found
}

/// Replaces the name in each `nextval('name')` of an expression's text, where the replacement is given with
/// its quotes and its type.
pub fn replace_nextval(text: &str, mut replacement: impl FnMut(&str) -> Option<String>) -> String {
    const CALL: &str = "nextval('";
    let (mut out, mut rest) = (String::new(), text);
    while let Some(at) = rest.to_ascii_lowercase().find(CALL) {
        let (before, after) = rest.split_at(at + CALL.len() - 1);
        out.push_str(before);
        rest = after;
        let Some((name, tail)) = after[1..].split_once('\'') else { break };
        let tail = tail.strip_prefix("::regclass").unwrap_or(tail);
        if tail.starts_with(')')
            && let Some(new) = replacement(name)
        {
            out.push_str(&new);
            rest = tail;
        }
    }
    out.push_str(rest);
    out
}
