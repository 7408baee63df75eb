//! The ways in which a table can be read for a predicate, with what each reads as far as one can know.

use super::terms::{Says, Term};
use super::{Access, Bounds, Given, Values};
use crate::SqlResult;
use crate::report::BoundOp;
use crate::row_exec::expr::{Scope, compile};
use crate::row_exec::storage::{KeyColumn, TableCodec};
use crate::sql::bound::{Expr, ExprKind};
use smallvec::SmallVec;

/// Rows of a table of which nothing is known.
pub(crate) const UNKNOWN_ROWS: f64 = 10_000.0;
/// Rows that one value of an index has, where nothing is known, at most.
const FAN_OUT: f64 = 10.0;
/// Elements of a list whose length is a parameter's.
const UNKNOWN_LIST: f64 = 10.0;
/// What a row costs when it is found through an index: its entry, then itself.
const THROUGH_INDEX: f64 = 2.0;

/// A column of an order that is asked for, by its position in the table.
#[derive(Debug, Clone, Copy)]
pub(in crate::row_exec) struct OrderColumn {
    pub(in crate::row_exec) column: usize,
    pub(in crate::row_exec) desc: bool,
    pub(in crate::row_exec) nulls_first: bool,
}

/// One way to read a table: its own key, or an index, with the terms that bound it.
#[derive(Debug)]
pub(in crate::row_exec) struct Candidate<'t, 'e> {
    index: Option<usize>,
    given: SmallVec<[(KeyColumn, &'t Term<'e>); 4]>,
    range: Option<Range<'t, 'e>>,
    pub(in crate::row_exec) point: bool,
    points: bool,
    /// Rows that it reads.
    pub(in crate::row_exec) rows: f64,
    /// Conjuncts that every row it reads satisfies.
    pub(in crate::row_exec) covered: SmallVec<[usize; 8]>,
}

#[derive(Debug)]
struct Range<'t, 'e> {
    column: KeyColumn,
    low: Option<&'t Term<'e>>,
    high: Option<&'t Term<'e>>,
}

impl Says<'_> {
    fn is_equality(&self) -> bool {
        match self {
            Says::Compares(op, _) => *op == BoundOp::Eq,
            Says::InArray(_) | Says::OneOf(_) | Says::IsNull => true,
            Says::NotNull => false,
        }
    }

    /// Whether the column has one value.
    fn is_single(&self) -> bool {
        matches!(self, Says::Compares(BoundOp::Eq, _) | Says::IsNull)
    }

    fn is_list(&self) -> bool {
        self.is_equality() && !self.is_single()
    }

    /// How many values it gives.
    fn values(&self) -> f64 {
        match self {
            Says::OneOf(values) => values.len() as f64,
            Says::InArray(array) => match &array.kind {
                ExprKind::Array { elements, .. } => elements.len() as f64,
                ExprKind::Const(shardforge_types::Datum::Array(array)) => array.values.len() as f64,
                _ => UNKNOWN_LIST,
            },
            Says::Compares(..) | Says::IsNull | Says::NotNull => 1.0,
        }
    }
}

fn constant(term: Option<&Term<'_>>) -> Option<f64> {
    match term?.says {
        Says::Compares(_, Expr { kind: ExprKind::Const(value), .. }) => value.as_i64().map(|n| n as f64),
        _ => None,
    }
}

/// All ways to read a table, its own key first. `table_rows` is how many it has.
pub(in crate::row_exec) fn candidates<'t, 'e>(
    codec: &TableCodec,
    terms: &'t [Term<'e>],
    table_rows: f64,
) -> Vec<Candidate<'t, 'e>> {
    let own = candidate(None, codec.key(), true, terms, table_rows);
    let others = codec
        .indexes()
        .iter()
        .enumerate()
        .map(|(n, index)| candidate(Some(n), index.columns(), index.unique(), terms, table_rows));
    std::iter::once(own).chain(others).collect()
}

fn candidate<'t, 'e>(
    index: Option<usize>,
    columns: &[KeyColumn],
    unique: bool,
    terms: &'t [Term<'e>],
    table_rows: f64,
) -> Candidate<'t, 'e> {
    let mut out = Candidate {
        index,
        given: SmallVec::new(),
        range: None,
        point: false,
        points: false,
        rows: table_rows,
        covered: SmallVec::new(),
    };
    // Keys of several lists are their product, which may become too large at run time: then the columns after
    // the first list are left to the filter.
    let mut lists = 0;
    for key in columns {
        let of_column = || terms.iter().filter(|term| term.column == key.column);
        let equal = of_column()
            .find(|term| term.says.is_single())
            .or_else(|| of_column().find(|term| term.says.is_equality()));
        if let Some(term) = equal {
            lists += usize::from(term.says.is_list());
            if lists < 2 {
                out.covered.push(term.conjunct);
            }
            out.given.push((*key, term));
            continue;
        }
        let bound = |ops: [BoundOp; 2]| {
            of_column().find(|term| matches!(term.says, Says::Compares(op, _) if ops.contains(&op)))
        };
        let (low, high) = (bound([BoundOp::Gt, BoundOp::Ge]), bound([BoundOp::Lt, BoundOp::Le]));
        let not_null = of_column().find(|term| matches!(term.says, Says::NotNull));
        if low.is_some() || high.is_some() || not_null.is_some() {
            if lists < 2 {
                out.covered.extend(low.into_iter().chain(high).chain(not_null).map(|term| term.conjunct));
            }
            out.range = Some(Range { column: *key, low, high });
        }
        break;
    }
    let null = out.given.iter().any(|(_, term)| matches!(term.says, Says::IsNull));
    // Entries with a null in them are not unique.
    let whole = unique && !null && out.given.len() == columns.len();
    out.point = whole && lists == 0;
    out.points = whole && lists == 1;
    out.rows = out.estimate(columns.len(), unique, whole, null, table_rows);
    out
}

impl<'t, 'e> Candidate<'t, 'e> {
    fn estimate(&self, width: usize, unique: bool, whole: bool, null: bool, table_rows: f64) -> f64 {
        let table_rows = table_rows.max(1.0);
        let values: f64 = self.given.iter().map(|(_, term)| term.says.values()).product();
        if whole {
            return values.min(table_rows);
        }
        let mut rows = if self.given.is_empty() {
            table_rows
        } else if !unique && self.given.len() == width {
            (table_rows * 0.005).clamp(1.0, FAN_OUT)
        } else {
            // Each column of a key tells its share of the rows apart, and the first ones the most.
            table_rows.powf(0.6 * (1.0 - self.given.len() as f64 / width.max(1) as f64)).max(1.0)
        };
        if null {
            rows *= 10.0;
        }
        if let Some(range) = &self.range {
            let apart = constant(range.high).zip(constant(range.low)).map(|(high, low)| high - low + 1.0);
            let last = unique && self.given.len() + 1 == width;
            rows = match (range.low.is_some(), range.high.is_some(), apart) {
                (true, true, Some(apart)) if last => rows.min(apart.max(0.0)),
                (true, true, _) => (rows * 0.05).clamp(1.0, 500.0),
                (false, false, _) => rows,
                _ => rows / 3.0,
            };
        }
        (rows * values).min(table_rows)
    }

    /// What it costs to read everything that it reads.
    pub(in crate::row_exec) fn cost(&self) -> f64 {
        if self.index.is_some() { self.rows * THROUGH_INDEX } else { self.rows }
    }

    /// Whether nothing bounds the rows: the whole table is read.
    pub(in crate::row_exec) fn is_full(&self) -> bool {
        self.given.is_empty()
            && self.range.as_ref().is_none_or(|range| range.low.is_none() && range.high.is_none())
    }

    /// How well it is bounded, to decide between equals.
    pub(in crate::row_exec) fn bounds(&self) -> usize {
        let range = self.range.as_ref();
        self.given.len() * 2
            + range.map_or(0, |range| usize::from(range.low.is_some()) + usize::from(range.high.is_some()))
    }

    /// Whether rows come in an order; `Some(true)` when they do backward. With `exact`, several rows may follow
    /// from one that is read, so that what is sorted by after a whole unique key still matters.
    pub(in crate::row_exec) fn provides(
        &self,
        codec: &TableCodec,
        order: &[OrderColumn],
        exact: bool,
    ) -> Option<bool> {
        if self.point && !exact {
            return Some(false);
        }
        let own = codec.key();
        let columns: SmallVec<[KeyColumn; 8]> = match self.index {
            None => own.iter().copied().collect(),
            // Entries of equal values lie in the order of their rows' keys.
            Some(index) if !codec.indexes()[index].unique() => {
                codec.indexes()[index].columns().iter().chain(own).copied().collect()
            }
            Some(index) => codec.indexes()[index].columns().iter().copied().collect(),
        };
        let unique = self.index.is_none_or(|index| !codec.indexes()[index].unique());
        let fixed = self.given.iter().take_while(|(_, term)| term.says.is_single()).count();
        let mut rest = columns[fixed..].iter();
        let mut backward = None;
        for wanted in order {
            let position = wanted.column;
            if columns[..fixed].iter().any(|column| column.column == position) {
                continue;
            }
            let Some(column) = rest.next() else {
                // The whole of a unique key decides: what is sorted by after it cannot matter.
                if unique && !exact {
                    break;
                }
                return None;
            };
            let not_null = codec.table().columns.get(position).is_none_or(|column| column.not_null);
            let turned = column.order.desc != wanted.desc;
            let nulls_fit = not_null || (column.order.nulls_first == wanted.nulls_first) != turned;
            if column.column != position || !nulls_fit || backward.is_some_and(|b| b != turned) {
                return None;
            }
            backward = Some(turned);
        }
        Some(backward.unwrap_or(false))
    }

    /// The access itself; `scope` has the columns of the rows that are at hand.
    pub(in crate::row_exec) fn build(&self, scope: &Scope) -> SqlResult<Access> {
        let given = self.given.iter().map(|(column, term)| {
            let values = match &term.says {
                Says::Compares(_, value) => Values::One(compile(value, scope)?),
                Says::InArray(array) => Values::Elements(compile(array, scope)?),
                Says::OneOf(values) => {
                    Values::Each(values.iter().map(|value| compile(value, scope)).collect::<SqlResult<_>>()?)
                }
                Says::IsNull | Says::NotNull => Values::Null,
            };
            Ok(Given { column: *column, values })
        });
        let given = given.collect::<SqlResult<Vec<_>>>()?;
        let bound = |term: Option<&'t Term<'e>>| match term.map(|term| &term.says) {
            Some(Says::Compares(op, value)) => {
                let inclusive = matches!(op, BoundOp::Le | BoundOp::Ge);
                Ok(Some((compile(value, scope)?, inclusive)))
            }
            _ => SqlResult::Ok(None),
        };
        let range = match &self.range {
            Some(range) => {
                Some(Bounds { column: range.column, low: bound(range.low)?, high: bound(range.high)? })
            }
            None => None,
        };
        Ok(Access { index: self.index, given, range, point: self.point, points: self.points })
    }
}
