//! ANALYZE: what tables hold is looked at, and kept as rows of the catalog.
//!
//! Every plan is made anew with it, as after a change of the schema; but it is none, and no transaction fails
//! for it: its rows are checked by nobody, and the version of the schema is written as a new value of a row that
//! is there, of which SERIALIZABLE transactions take no notice ([`crate::catalog::CatalogCache`]).

use super::{DdlContext, DdlOutcome};
use crate::SqlResult;
use crate::catalog::stored::{
    ColumnStatisticRow, Stored, StoredRow, TableStatisticRow, VersionRow, key_of, prefix_range,
};
use crate::catalog::{DatabaseCatalog, TableDef, TableKind, access};
use crate::row_exec::TableCodec;
use crate::statistics::{ColumnStatistics, Pace, TableStatistics, analyze as look_at};
use crate::txn::{Checked, Txn};
use bytes::Bytes;
use shardforge_common::random;
use shardforge_types::row::body::encode_body;
use shardforge_types::{Datum, Oid};
use std::sync::Arc;

/// The longest least or greatest value that is kept, in bytes.
const MAX_END_LEN: usize = 256;

/// When a table was looked at, and whether anyone had asked for it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    /// Microseconds since 1970.
    pub(crate) at: i64,
    pub(crate) automatic: bool,
}

/// ANALYZE of some tables, or of all of the database.
pub(super) async fn analyze(
    tag: &'static str,
    tables: &[Arc<TableDef>],
    txn: &mut Txn,
    context: DdlContext<'_>,
) -> SqlResult<DdlOutcome> {
    let catalog = context.load(txn).await?;
    let all: Vec<Arc<TableDef>>;
    let tables = if tables.is_empty() {
        all = catalog.tables().cloned().collect();
        &all
    } else {
        tables
    };
    for table in tables.iter().filter(|table| table.kind == TableKind::Table) {
        let written = context.activity.written(table);
        let known =
            look_at(&txn.reader(), &Arc::new(TableCodec::new(table.clone())), Pace::unhurried()).await?;
        let look = Look { at: context.eval.session.clock.wall_micros(), automatic: false };
        keep_statistics(txn, &catalog, table, &known, look).await?;
        context.activity.looked(table, Some(look.at), known.rows, written);
    }
    Ok(DdlOutcome::tag(tag))
}

/// Writes what was found of a table, in place of what was found before.
pub(crate) async fn keep_statistics(
    txn: &mut Txn,
    catalog: &DatabaseCatalog,
    table: &TableDef,
    known: &TableStatistics,
    look: Look,
) -> SqlResult<()> {
    let (database, relation) = (catalog.database(), table.oid);
    let key = [database.to_datum(), relation.to_datum()];
    let before = access::peek_all::<TableStatisticRow>(txn, &key).await?.pop();
    let mut row = TableStatisticRow {
        database,
        relation,
        rows: known.rows as i64,
        pages: known.pages as i64,
        analyzed_at: before.as_ref().and_then(|row| row.analyzed_at),
        analyzed: before.as_ref().and_then(|row| row.analyzed),
        autoanalyzed_at: before.as_ref().and_then(|row| row.autoanalyzed_at),
        autoanalyzed: before.as_ref().and_then(|row| row.autoanalyzed),
    };
    let (at, times) = match look.automatic {
        true => (&mut row.autoanalyzed_at, &mut row.autoanalyzed),
        false => (&mut row.analyzed_at, &mut row.analyzed),
    };
    *at = Some(look.at);
    *times = Some(times.unwrap_or(0) + 1);
    access::put_unchecked(txn, &row).await?;
    let mut stale = access::peek_all::<ColumnStatisticRow>(txn, &key).await?;
    for (position, column) in known.columns.iter().enumerate() {
        if let Some(column) = column {
            let row = stored(database, relation, position as i16 + 1, column);
            stale.retain(|before| before.number != row.number);
            access::put_unchecked(txn, &row).await?;
        }
    }
    for row in stale {
        let key = row.key();
        access::complete(txn, |txn| txn.delete(key.clone(), Checked::No)).await?;
    }
    // A new value of a row that is there: no change of the schema.
    let version = VersionRow { database, txn: txn.id(), nonce: random::u64() as i64 };
    let (key, value) = (version.key(), version.value()?);
    access::complete(txn, |txn| txn.update(key.clone(), value.clone(), Checked::No)).await
}

/// Removes what is known of a table that goes or is emptied, whoever looks at it meanwhile: that look is not
/// kept, since the table is not the same any more.
pub(super) async fn forget(database: Oid, table: Oid, txn: &mut Txn) -> SqlResult<()> {
    let key = [database.to_datum(), table.to_datum()];
    let (start, end) = prefix_range::<ColumnStatisticRow>(&key);
    access::complete(txn, |txn| txn.delete_range(start.clone(), end.clone(), Checked::No)).await?;
    let row = key_of::<TableStatisticRow>(&key);
    access::complete(txn, |txn| txn.delete(row.clone(), Checked::No)).await
}

fn stored(database: Oid, relation: Oid, number: i16, known: &ColumnStatistics) -> ColumnStatisticRow {
    let end = |value: &Datum| {
        let mut body = Vec::new();
        encode_body(&mut body, value);
        (!value.is_null() && body.len() <= MAX_END_LEN).then(|| Bytes::from(body))
    };
    ColumnStatisticRow {
        database,
        relation,
        number,
        null_millionths: (known.null_fraction * 1e6) as i32,
        width: known.width as i32,
        distinct: known.distinct as i64,
        least: end(&known.min),
        greatest: end(&known.max),
    }
}
