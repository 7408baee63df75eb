//! From a predicate to the keys that can satisfy it: which index, which of its columns are given, and in
//! what range. Deciding ([`choose`]) is done once for a plan; the keys themselves ([`Access::ranges`]) are
//! computed for each execution, from its parameters.

use super::expr::{Env, Evaluator, Scope, compile, is_constant};
use super::storage::{KeyColumn, TableCodec};
use crate::SqlResult;
use crate::functions::comparison;
use crate::report::BoundOp;
use crate::sql::bound::{ColId, Expr, ExprKind};
use shardforge_common::key::{prefix_end, storage_prefix, storage_range};
use shardforge_types::key::encode_key_column;
use shardforge_types::{Datum, Oid, PgType, oids};

/// How the rows that a statement wants are found.
#[derive(Debug)]
pub(super) struct Access {
    /// Position in [`TableCodec::indexes`]; `None` is the table's own key.
    pub(super) index: Option<usize>,
    /// The leading columns of the key that are given.
    given: Vec<Given>,
    /// Bounds of the column after them.
    range: Option<Bounds>,
    /// Whether the whole key of a unique index is given, without a list: at most one row.
    pub(super) point: bool,
}

/// A key column with the values it may have.
#[derive(Debug)]
struct Given {
    column: KeyColumn,
    value: Evaluator,
    /// The value is an array, and the column is one of its elements.
    any: bool,
}

#[derive(Debug)]
struct Bounds {
    column: KeyColumn,
    low: Option<(Evaluator, bool)>,
    high: Option<(Evaluator, bool)>,
}

/// Keys to read: `[start, end)` each, in key order and disjoint.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct KeyRange {
    pub(super) start: Vec<u8>,
    pub(super) end: Vec<u8>,
}

/// One comparison of a column with something that is the same for all rows.
struct Term<'e> {
    column: usize,
    op: BoundOp,
    value: &'e Expr,
    any: bool,
    /// Which conjunct it is.
    conjunct: usize,
}

/// The conjuncts of a predicate.
pub(super) fn conjuncts(predicate: Option<&Expr>) -> Vec<&Expr> {
    fn flatten<'e>(expr: &'e Expr, out: &mut Vec<&'e Expr>) {
        match &expr.kind {
            ExprKind::And(args) => args.iter().for_each(|arg| flatten(arg, out)),
            _ => out.push(expr),
        }
    }
    let mut out = Vec::new();
    if let Some(predicate) = predicate {
        flatten(predicate, &mut out);
    }
    out
}

/// Whether a column's key order compares it with values of another type as the operator between them does.
fn comparable(column: PgType, value: PgType) -> bool {
    let integer = |oid: Oid| matches!(oid, oids::INT2 | oids::INT4 | oids::INT8);
    let text = |oid: Oid| matches!(oid, oids::TEXT | oids::VARCHAR | oids::NAME);
    column.oid == value.oid
        || integer(column.oid) && integer(value.oid)
        || text(column.oid) && text(value.oid)
        || column.oid.is_oid_like() && value.oid.is_oid_like()
}

/// The table column that an expression is, under another name of its type perhaps.
fn column_of(expr: &Expr, position: &dyn Fn(ColId) -> Option<usize>) -> Option<usize> {
    match &expr.kind {
        ExprKind::Col(id) => position(*id),
        ExprKind::Relabel(inner) if comparable(inner.ty, expr.ty) => column_of(inner, position),
        _ => None,
    }
}

fn flip(op: BoundOp) -> BoundOp {
    match op {
        BoundOp::Lt => BoundOp::Gt,
        BoundOp::Le => BoundOp::Ge,
        BoundOp::Eq => BoundOp::Eq,
        BoundOp::Ge => BoundOp::Le,
        BoundOp::Gt => BoundOp::Lt,
    }
}

fn term<'e>(
    conjunct: usize,
    expr: &'e Expr,
    codec: &TableCodec,
    position: &dyn Fn(ColId) -> Option<usize>,
) -> Option<Term<'e>> {
    let usable = |column: usize, value: PgType| {
        codec.table().columns.get(column).is_some_and(|column| comparable(column.ty, value))
    };
    match &expr.kind {
        ExprKind::Call { func, args } => {
            let op = comparison(*func)?;
            let [a, b] = &args[..] else { return None };
            if let Some(column) = column_of(a, position)
                && usable(column, b.ty)
                && is_constant(b)
            {
                return Some(Term { column, op, value: b, any: false, conjunct });
            }
            let column = column_of(b, position)?;
            (usable(column, a.ty) && is_constant(a)).then_some(Term {
                column,
                op: flip(op),
                value: a,
                any: false,
                conjunct,
            })
        }
        ExprKind::ScalarArray { func, all: false, args } if comparison(*func) == Some(BoundOp::Eq) => {
            let [a, array] = &**args;
            let column = column_of(a, position)?;
            let element = array.ty.oid.element_type()?;
            (usable(column, PgType::new(element)) && is_constant(array)).then_some(Term {
                column,
                op: BoundOp::Eq,
                value: array,
                any: true,
                conjunct,
            })
        }
        _ => None,
    }
}

/// The best access for a predicate, and the conjuncts that it leaves to a filter.
pub(super) fn choose<'e>(
    codec: &TableCodec,
    predicate: Option<&'e Expr>,
    position: &dyn Fn(ColId) -> Option<usize>,
) -> SqlResult<(Access, Vec<&'e Expr>)> {
    let parts = conjuncts(predicate);
    let terms: Vec<Term<'e>> =
        parts.iter().enumerate().filter_map(|(n, expr)| term(n, expr, codec, position)).collect();
    let mut best: Option<(u32, Access, Vec<usize>)> = None;
    let own = std::iter::once((None, codec.key(), true));
    let others =
        codec.indexes().iter().enumerate().map(|(n, index)| (Some(n), index.columns(), index.unique()));
    for (index, columns, unique) in own.chain(others) {
        let (access, covered) = match_key(codec, index, columns, unique, &terms)?;
        let lists = access.given.iter().filter(|given| given.any).count() as u32;
        // A point is best, then as many columns as possible; the table's own key wins a tie.
        let score = u32::from(access.point) * 10_000 + (access.given.len() as u32) * 100 - lists * 10
            + access
                .range
                .as_ref()
                .map_or(0, |range| 20 * (u32::from(range.low.is_some()) + u32::from(range.high.is_some())));
        if best.as_ref().is_none_or(|(other, ..)| score > *other) {
            best = Some((score, access, covered));
        }
    }
    let (_, access, covered) = best.expect("the table's own key is always there");
    let rest =
        parts.into_iter().enumerate().filter(|(n, _)| !covered.contains(n)).map(|(_, expr)| expr).collect();
    Ok((access, rest))
}

fn match_key(
    codec: &TableCodec,
    index: Option<usize>,
    columns: &[KeyColumn],
    unique: bool,
    terms: &[Term<'_>],
) -> SqlResult<(Access, Vec<usize>)> {
    // Values of rows are not at hand when keys are computed, and terms have none in them.
    let scope = Scope::new();
    let mut access = Access { index, given: Vec::new(), range: None, point: false };
    let mut covered = Vec::new();
    for key in columns {
        let equal =
            |any: bool| terms.iter().find(|t| t.column == key.column && t.op == BoundOp::Eq && t.any == any);
        if let Some(term) = equal(false).or_else(|| equal(true)) {
            access.given.push(Given { column: *key, value: compile(term.value, &scope)?, any: term.any });
            covered.push(term.conjunct);
            continue;
        }
        let find = |ops: [BoundOp; 2]| {
            terms.iter().find(|term| term.column == key.column && !term.any && ops.contains(&term.op))
        };
        let (low, high) = (find([BoundOp::Gt, BoundOp::Ge]), find([BoundOp::Lt, BoundOp::Le]));
        if low.is_some() || high.is_some() {
            // With one bound alone the range may hold nulls at its other end: the filter keeps the conjunct.
            let no_nulls = codec.table().columns.get(key.column).is_none_or(|column| column.not_null);
            if no_nulls || low.is_some() && high.is_some() {
                covered.extend(low.into_iter().chain(high).map(|term| term.conjunct));
            }
            let bound = |term: Option<&Term<'_>>| -> SqlResult<Option<(Evaluator, bool)>> {
                term.map(|t| Ok((compile(t.value, &scope)?, matches!(t.op, BoundOp::Le | BoundOp::Ge))))
                    .transpose()
            };
            access.range = Some(Bounds { column: *key, low: bound(low)?, high: bound(high)? });
        }
        break;
    }
    access.point =
        unique && access.given.len() == columns.len() && !access.given.iter().any(|given| given.any);
    Ok((access, covered))
}

/// Where a value stands among those of a column's type.
enum Placed {
    /// It is one of them.
    Value(Datum),
    /// Below all of them.
    Below,
    /// Above all of them.
    Above,
    /// Null: nothing compares with it.
    Unknown,
}

fn place(datum: Datum, column: PgType) -> Placed {
    if datum.is_null() {
        return Placed::Unknown;
    }
    let Some(value) = datum.as_i64() else { return Placed::Value(datum) };
    let narrow = match column.oid {
        oids::INT2 => i16::try_from(value).ok().map(Datum::Int2),
        oids::INT4 => i32::try_from(value).ok().map(Datum::Int4),
        oids::INT8 => Some(Datum::Int8(value)),
        _ => return Placed::Value(datum),
    };
    match narrow {
        Some(datum) => Placed::Value(datum),
        None if value < 0 => Placed::Below,
        None => Placed::Above,
    }
}

impl Access {
    /// Whether nothing bounds the rows: the whole table is read.
    pub(super) fn is_full(&self) -> bool {
        self.given.is_empty() && self.range.is_none()
    }

    /// Whether it reads few rows as far as one can know: a key's leading columns, or both ends of a range.
    pub(super) fn is_short(&self) -> bool {
        !self.given.is_empty()
            || self.range.as_ref().is_some_and(|range| range.low.is_some() && range.high.is_some())
    }

    /// How many leading key columns have one value, so that rows come in the order of the next ones.
    pub(super) fn fixed_columns(&self) -> usize {
        self.given.iter().take_while(|given| !given.any).count()
    }

    /// For EXPLAIN: what is read.
    pub(super) fn describe(&self, codec: &TableCodec) -> String {
        let table = &codec.table().name;
        let what = match (self.index, self.point, self.is_full()) {
            (None, true, _) => format!("Point Get on {table}"),
            (None, _, true) => format!("Full Scan on {table}"),
            (None, ..) => format!("Key Range Scan on {table}"),
            (Some(index), true, _) => {
                format!("Unique Index Get using {} on {table}", codec.table().indexes[index].name)
            }
            (Some(index), ..) => format!("Index Scan using {} on {table}", codec.table().indexes[index].name),
        };
        let columns: Vec<&str> = self
            .given
            .iter()
            .map(|given| given.column)
            .chain(self.range.iter().map(|range| range.column))
            .filter_map(|key| codec.table().columns.get(key.column).map(|column| column.name.as_str()))
            .collect();
        if columns.is_empty() { what } else { format!("{what} by ({})", columns.join(", ")) }
    }

    /// Computes the one key of a point into `out`; false when no row can have it.
    pub(super) fn point_key(&self, codec: &TableCodec, env: &Env<'_>, out: &mut Vec<u8>) -> SqlResult<bool> {
        out.clear();
        out.extend_from_slice(&storage_prefix(self.storage(codec)));
        for given in &self.given {
            match place(given.value.eval(env)?, given.column.ty) {
                Placed::Value(datum) => encode_key_column(out, &datum, given.column.ty, given.column.order)?,
                _ => return Ok(false),
            }
        }
        Ok(true)
    }

    fn storage(&self, codec: &TableCodec) -> shardforge_common::StorageId {
        match self.index {
            None => codec.table().storage,
            Some(index) => codec.indexes()[index].storage(),
        }
    }

    /// The ranges to read, in key order.
    pub(super) fn ranges(&self, codec: &TableCodec, env: &Env<'_>) -> SqlResult<Vec<KeyRange>> {
        let storage = self.storage(codec);
        let mut prefixes = vec![storage_prefix(storage).to_vec()];
        for given in &self.given {
            let value = given.value.eval(env)?;
            let values = match value {
                Datum::Array(array) if given.any => array.values.clone(),
                Datum::Null => return Ok(Vec::new()),
                value => vec![value],
            };
            let mut encoded = Vec::with_capacity(values.len());
            for value in values {
                if let Placed::Value(datum) = place(value, given.column.ty) {
                    let mut part = Vec::with_capacity(10);
                    encode_key_column(&mut part, &datum, given.column.ty, given.column.order)?;
                    encoded.push(part);
                }
            }
            encoded.sort_unstable();
            encoded.dedup();
            prefixes = prefixes
                .iter()
                .flat_map(|prefix| encoded.iter().map(move |part| [&prefix[..], part].concat()))
                .collect();
        }
        let Some(range) = &self.range else {
            let whole = |start: Vec<u8>| {
                let end = prefix_end(&start).unwrap_or_else(|| storage_range(storage).1);
                KeyRange { start, end }
            };
            return Ok(prefixes.into_iter().map(whole).collect());
        };
        let bound = |bound: &Option<(Evaluator, bool)>| -> SqlResult<Option<(Placed, bool)>> {
            bound
                .as_ref()
                .map(|(value, inclusive)| Ok((place(value.eval(env)?, range.column.ty), *inclusive)))
                .transpose()
        };
        let (low, high) = match (bound(&range.low)?, bound(&range.high)?) {
            (Some((Placed::Unknown | Placed::Above, _)), _)
            | (_, Some((Placed::Unknown | Placed::Below, _))) => {
                return Ok(Vec::new());
            }
            (low, high) => (low, high),
        };
        let value = |bound: Option<(Placed, bool)>| match bound {
            Some((Placed::Value(datum), inclusive)) => Some((datum, inclusive)),
            _ => None,
        };
        let (low, high) = (value(low), value(high));
        let (first, last) = if range.column.order.desc { (high, low) } else { (low, high) };
        let mut out = Vec::with_capacity(prefixes.len());
        for prefix in prefixes {
            let edge = |value: &Option<(Datum, bool)>, after: bool| -> SqlResult<Vec<u8>> {
                let mut key = prefix.clone();
                let beyond = match value {
                    Some((datum, inclusive)) => {
                        encode_key_column(&mut key, datum, range.column.ty, range.column.order)?;
                        *inclusive == after
                    }
                    None => after,
                };
                Ok(if beyond { prefix_end(&key).unwrap_or_else(|| storage_range(storage).1) } else { key })
            };
            let (start, end) = (edge(&first, false)?, edge(&last, true)?);
            if start < end {
                out.push(KeyRange { start, end });
            }
        }
        Ok(out)
    }
}
