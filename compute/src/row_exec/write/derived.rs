//! Writes whose rows only the report engine can find: `UPDATE ... FROM`, `DELETE ... USING`, subqueries.
//!
//! Such a write is made two: a query that gives, for each row to be written, its key columns (the hidden row
//! id, [`crate::row_exec::ROW_ID`], for a table without a primary key), the new values, and what RETURNING
//! uses of other tables; and a write that takes these rows in. Both run in one statement, at one snapshot.
//! A row that the query gives twice is written once, by the first, as in PostgreSQL.

use super::update::decode_in_place;
use crate::row_exec::ExecEnv;
use crate::row_exec::stop::Step;
use crate::row_exec::storage::{KeyColumn, ROW_ID, TableCodec};
use crate::sql::bound::{ColDef, ColId, Cte, Expr, Join, JoinKind, OutputColumn, Query, Rel, TableScan};
use crate::txn::{LockGrant, LockMode, Visibility};
use ahash::AHashSet;
use bytes::Bytes;
use shardforge_types::Datum;
use std::collections::VecDeque;
use std::sync::Arc;

/// How fed rows name the rows of a table.
#[derive(Debug)]
pub(in crate::row_exec) struct FedTarget {
    pub(in crate::row_exec) codec: Arc<TableCodec>,
    pub(in crate::row_exec) columns: Vec<usize>,
    pub(in crate::row_exec) mode: LockMode,
}

/// Fed rows, and the one at hand.
#[derive(Default)]
pub(in crate::row_exec) struct FedRows {
    rows: VecDeque<Vec<Datum>>,
    seen: AHashSet<Vec<u8>>,
    have: bool,
    pub(in crate::row_exec) key: Vec<u8>,
    pub(in crate::row_exec) value: Bytes,
    pub(in crate::row_exec) rest: Vec<Datum>,
}

impl FedRows {
    pub(in crate::row_exec) fn reset(&mut self) {
        self.rows.clear();
        self.seen.clear();
        self.have = false;
    }

    pub(in crate::row_exec) fn feed(&mut self, rows: impl IntoIterator<Item = Vec<Datum>>) {
        self.rows.extend(rows);
    }

    /// The next row: locked, read, and decoded into its places.
    pub(in crate::row_exec) fn next(
        &mut self,
        target: &FedTarget,
        env: &mut ExecEnv<'_>,
        row: &mut Vec<Datum>,
    ) -> Step<bool> {
        loop {
            if !self.have {
                let Some(fed) = self.rows.pop_front() else { return Ok(false) };
                let key_len = target.codec.key().len();
                target.codec.encode_key_values(&fed, &mut self.key)?;
                if !self.seen.insert(self.key.clone()) {
                    continue;
                }
                self.rest = fed;
                self.rest.drain(..key_len);
                self.have = true;
            }
            if env.txn.lock_row(&self.key, target.mode, env.lock_wait)? == LockGrant::Skipped {
                self.have = false;
                continue;
            }
            let found = env.txn.get(&self.key, Visibility::Statement)?;
            let Some(found) = found else {
                self.have = false;
                continue;
            };
            self.value = found.value;
            let (key, value) = (std::mem::take(&mut self.key), self.value.clone());
            let decoded = decode_in_place(
                &target.codec,
                env,
                &key,
                &value,
                &target.columns,
                Visibility::Statement,
                row,
            );
            self.key = key;
            decoded?;
            self.have = false;
            return Ok(true);
        }
    }
}

/// Column ids for what the derived query adds: the binder numbers from 0 up, these go down.
struct NewIds(u32);

impl NewIds {
    fn next(&mut self) -> ColId {
        self.0 -= 1;
        ColId(self.0)
    }
}

/// A part of a write, as far as the derived query needs it.
pub(in crate::row_exec) struct WriteParts<'a> {
    pub(in crate::row_exec) codec: &'a TableCodec,
    pub(in crate::row_exec) alias: &'a str,
    pub(in crate::row_exec) cols: &'a [(ColDef, usize)],
    /// WITH.
    pub(in crate::row_exec) ctes: &'a [Cte],
    /// FROM or USING.
    pub(in crate::row_exec) other: Option<&'a Rel>,
    pub(in crate::row_exec) predicate: Option<&'a Expr>,
    /// The new values.
    pub(in crate::row_exec) values: Vec<&'a Expr>,
    /// Columns that RETURNING uses of `other`.
    pub(in crate::row_exec) extra: Vec<ColDef>,
}

/// The query that finds the rows of a write: their key columns, then `values`, then `extra`.
pub(in crate::row_exec) fn derived_query(parts: WriteParts<'_>) -> Query {
    let mut ids = NewIds(u32::MAX);
    let mut cols = parts.cols.to_vec();
    let mut key = Vec::new();
    for KeyColumn { column, ty, .. } in parts.codec.key() {
        let found = cols.iter().find(|(_, position)| position == column).map(|(col, _)| col.clone());
        key.push(found.unwrap_or_else(|| {
            let name = if *column == ROW_ID { "row id" } else { "key" };
            let col = ColDef { id: ids.next(), ty: *ty, name: name.to_owned() };
            cols.push((col.clone(), *column));
            col
        }));
    }
    let table = parts.codec.table().clone();
    let mut rel = Rel::Table(TableScan { table, alias: parts.alias.to_owned(), cols, as_of: None });
    if let Some(other) = parts.other {
        let right = other.clone();
        rel = Rel::Join(Box::new(Join { kind: JoinKind::Inner, left: rel, right, lateral: false, on: None }));
    }
    if let Some(predicate) = parts.predicate {
        rel = Rel::Filter { input: Box::new(rel), predicate: predicate.clone() };
    }
    let wrap = |rel: Rel| match parts.ctes {
        [] => rel,
        ctes => Rel::With { ctes: ctes.to_vec(), body: Box::new(rel) },
    };
    let key = key.into_iter().map(|col| (col.name.clone(), Expr::col(col.id, col.ty)));
    let values = parts.values.into_iter().map(|expr| ("value".to_owned(), expr.clone()));
    let extra = parts.extra.into_iter().map(|col| (col.name.clone(), Expr::col(col.id, col.ty)));
    let mut exprs = Vec::new();
    let mut output = Vec::new();
    for (name, expr) in key.chain(values).chain(extra) {
        let col = ColDef { id: ids.next(), ty: expr.ty, name: name.clone() };
        output.push(OutputColumn { id: col.id, name, ty: expr.ty, origin: None });
        exprs.push((col, expr));
    }
    Query { rel: wrap(Rel::Project { input: Box::new(rel), exprs }), output }
}
