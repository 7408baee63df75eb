//! ANALYZE: what tables hold is looked at, and kept as rows of the catalog.
//!
//! It is a change of the catalog like others, so that every plan is made anew with it.

use super::{DdlContext, DdlOutcome};
use crate::SqlResult;
use crate::catalog::stored::{ColumnStatisticRow, Stored, TableStatisticRow};
use crate::catalog::{TableDef, TableKind, access};
use crate::row_exec::TableCodec;
use crate::statistics::{ColumnStatistics, analyze as look_at};
use crate::txn::Txn;
use bytes::Bytes;
use shardforge_types::row::body::encode_body;
use shardforge_types::{Datum, Oid};
use std::sync::Arc;

/// The longest least or greatest value that is kept, in bytes.
const MAX_END_LEN: usize = 256;

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
        let known = look_at(&mut txn.reader(), &TableCodec::new(table.clone())).await?;
        forget(context.database(), table.oid, txn).await?;
        let (rows, pages) = (known.rows as i64, known.pages as i64);
        let (database, relation) = (context.database(), table.oid);
        access::put_unchecked(txn, &TableStatisticRow { database, relation, rows, pages }).await?;
        for (position, column) in known.columns.iter().enumerate() {
            if let Some(column) = column {
                let row = stored(database, relation, position as i16 + 1, column);
                access::put_unchecked(txn, &row).await?;
            }
        }
    }
    context.changed(txn).await?;
    Ok(DdlOutcome::tag(tag))
}

/// Removes what is known of a table.
pub(super) async fn forget(database: Oid, table: Oid, txn: &mut Txn) -> SqlResult<()> {
    let key = [database.to_datum(), table.to_datum()];
    access::delete_all::<TableStatisticRow>(txn, &key).await?;
    access::delete_all::<ColumnStatisticRow>(txn, &key).await
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
