//! Names that objects get when nobody gives them one, as PostgreSQL makes them up.

/// The longest identifier, in bytes.
pub const MAX_NAME_LEN: usize = 63;

/// `table_column_label`, with a number behind it when it is not 0; the longer of table and column is cut
/// until the name fits.
pub fn made_up_name(table: &str, column: &str, label: &str, number: u32) -> String {
    let label = if number == 0 { label.to_owned() } else { format!("{label}{number}") };
    let room = MAX_NAME_LEN - label.len() - 1 - usize::from(!column.is_empty());
    let (mut table, mut column) = (table, column);
    while table.len() + column.len() > room {
        let longer = if table.len() > column.len() { &mut table } else { &mut column };
        let end = longer.char_indices().next_back().map_or(0, |(at, _)| at);
        *longer = &longer[..end];
    }
    if column.is_empty() { format!("{table}_{label}") } else { format!("{table}_{column}_{label}") }
}

/// The part of an index's name that says its columns: their names, joined. A column that comes again is
/// counted.
pub fn index_columns_part(columns: &[&str]) -> String {
    let mut names: Vec<String> = Vec::with_capacity(columns.len());
    for column in columns {
        let mut name = (*column).to_owned();
        let mut number = 0;
        while names.contains(&name) {
            number += 1;
            let suffix = number.to_string();
            name = format!("{}{suffix}", &column[..column.floor_char_boundary(MAX_NAME_LEN - suffix.len())]);
        }
        names.push(name);
    }
    let mut part = names.join("_");
    part.truncate(part.floor_char_boundary(MAX_NAME_LEN));
    part
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_postgresql() {
        assert_eq!(made_up_name("t", "a_b", "idx", 0), "t_a_b_idx");
        assert_eq!(made_up_name("t", "", "pkey", 1), "t_pkey1");
        assert_eq!(index_columns_part(&["a", "b", "a"]), "a_b_a1");
        let (table, column) = ("t".repeat(60), "c".repeat(10));
        assert_eq!(made_up_name(&table, &column, "key", 0), format!("{}_{column}_key", "t".repeat(48)));
        // A character is not cut through.
        assert_eq!(made_up_name(&"\u{e9}".repeat(40), "", "idx", 0), format!("{}_idx", "\u{e9}".repeat(29)));
    }
}
