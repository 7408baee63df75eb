//! What is read, for EXPLAIN.

use super::{Access, Values};

impl Access {
    /// Whether nothing bounds the rows: the whole table is read.
    pub(in crate::row_exec) fn is_whole_table(&self) -> bool {
        self.given.is_empty() && self.range.is_none()
    }

    /// What the keys say, a condition each. `column` names a column of the table, `outer` are the names of the
    /// columns at hand.
    pub(in crate::row_exec) fn conditions(
        &self,
        column: &dyn Fn(usize) -> String,
        outer: &[String],
    ) -> Vec<String> {
        let mut out = Vec::new();
        for given in &self.given {
            let name = column(given.column.column);
            out.push(match &given.values {
                Values::One(value) => format!("{name} = {}", value.describe(outer)),
                Values::Elements(array) => format!("{name} = ANY ({})", array.describe(outer)),
                Values::Each(values) => {
                    let values: Vec<String> = values.iter().map(|value| value.describe(outer)).collect();
                    format!("{name} = ANY (ARRAY[{}])", values.join(", "))
                }
                Values::Null => format!("{name} IS NULL"),
            });
        }
        if let Some(range) = &self.range {
            let name = column(range.column.column);
            for (bound, op) in [(&range.low, ">"), (&range.high, "<")] {
                if let Some((value, inclusive)) = bound {
                    let equal = if *inclusive { "=" } else { "" };
                    out.push(format!("{name} {op}{equal} {}", value.describe(outer)));
                }
            }
            if range.low.is_none() && range.high.is_none() {
                out.push(format!("{name} IS NOT NULL"));
            }
        }
        out
    }
}
