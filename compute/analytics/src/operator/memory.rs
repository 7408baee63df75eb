//! What operators hold, accounted to the pool of all reports.

use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use shardforge_types::Datum;

/// Memory that a run of an operator holds; given back when dropped.
#[derive(Debug)]
pub(crate) struct Held(MemoryReservation);

impl Held {
    /// Nothing yet.
    pub(crate) fn new(name: &'static str, context: &TaskContext) -> Self {
        Self(MemoryConsumer::new(name).register(context.memory_pool()))
    }

    /// So many bytes more; an error when there are not so many.
    pub(crate) fn grow(&self, bytes: usize) -> Result<()> {
        self.0.try_grow(bytes)
    }

    /// So many bytes in all.
    pub(crate) fn set(&self, bytes: usize) -> Result<()> {
        self.0.try_resize(bytes)
    }
}

/// About how many bytes a row of values takes.
pub(crate) fn row_bytes(row: &[Datum]) -> usize {
    size_of_val(row) + row.iter().map(datum_heap).sum::<usize>() + size_of::<Vec<Datum>>()
}

fn datum_heap(datum: &Datum) -> usize {
    match datum {
        Datum::Text(text) => text.as_str().len(),
        Datum::Bytea(bytes) => bytes.len(),
        Datum::Numeric(_) => 24,
        Datum::Array(array) => array.values.iter().map(|value| size_of::<Datum>() + datum_heap(value)).sum(),
        Datum::Record(fields) => {
            fields.iter().map(|field| size_of_val(field) + datum_heap(&field.value)).sum()
        }
        _ => 0,
    }
}
