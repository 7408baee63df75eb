//! Building rows column by column, each named, so that a row cannot slip out of step with its
//! catalog's definition.

use crate::catalog::TableDef;
use shardforge_types::{ArrayDim, ArrayValue, Datum, Oid, oids};
use std::sync::Arc;

/// A row in the making.
pub(super) struct RowBuilder<'a> {
    table: &'a TableDef,
    values: Vec<Datum>,
}

impl<'a> RowBuilder<'a> {
    pub(super) fn new(table: &'a TableDef) -> Self {
        Self { table, values: Vec::with_capacity(table.columns.len()) }
    }

    /// The next column's value. Its name is checked in debug builds, and so by the tests.
    pub(super) fn col(mut self, name: &str, value: impl Cell) -> Self {
        debug_assert_eq!(
            self.table.columns.get(self.values.len()).map(|column| column.name.as_str()),
            Some(name),
            "the next column of {}",
            self.table.name
        );
        self.values.push(value.cell());
        self
    }

    /// The next columns, all null.
    pub(super) fn nulls(mut self, names: &[&str]) -> Self {
        for name in names {
            self = self.col(name, ());
        }
        self
    }

    pub(super) fn finish(self) -> Vec<Datum> {
        debug_assert_eq!(self.values.len(), self.table.columns.len(), "columns of {}", self.table.name);
        self.values
    }
}

/// What a column's value is given as.
pub(super) trait Cell {
    fn cell(self) -> Datum;
}

macro_rules! cells {
    ($($ty:ty: $value:ident => $datum:expr;)*) => {$(
        impl Cell for $ty {
            fn cell(self) -> Datum {
                let $value = self;
                $datum
            }
        }
    )*};
}

cells! {
    (): _none => Datum::Null;
    Datum: value => value;
    Oid: value => Datum::Oid(value);
    bool: value => Datum::Bool(value);
    i16: value => Datum::Int2(value);
    i32: value => Datum::Int4(value);
    i64: value => Datum::Int8(value);
    f32: value => Datum::Float4(value);
    u8: value => Datum::Char(value);
    &str: value => Datum::text(value);
    String: value => Datum::text(value);
    &String: value => Datum::text(value.as_str());
}

impl<T: Cell> Cell for Option<T> {
    fn cell(self) -> Datum {
        self.map_or(Datum::Null, Cell::cell)
    }
}

/// An `int2[]`, a `text[]`, ...: subscripts from 1.
pub(super) fn array<T: Cell>(element: Oid, values: impl IntoIterator<Item = T>) -> Datum {
    Datum::array(element, values.into_iter().map(Cell::cell).collect())
}

/// An `int2vector` or `oidvector`: subscripts from 0.
pub(super) fn vector<T: Cell>(element: Oid, values: impl IntoIterator<Item = T>) -> Datum {
    let values: Vec<Datum> = values.into_iter().map(Cell::cell).collect();
    let dim = ArrayDim { len: values.len() as i32, lower: 0 };
    Datum::Array(Arc::new(ArrayValue { element, dims: std::iter::once(dim).collect(), values }))
}

/// An `aclitem[]`, from the text of its items.
pub(super) fn acl(items: &Option<Vec<String>>) -> Datum {
    items.as_ref().map_or(Datum::Null, |items| array(oids::ACLITEM, items))
}

/// `YES` or `NO`, as `information_schema` says it.
pub(super) fn yes_or_no(value: bool) -> &'static str {
    if value { "YES" } else { "NO" }
}
