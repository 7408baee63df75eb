//! Tables read whole, and written anew under another key.

use super::DdlContext;
use crate::catalog::stored::RelationRow;
use crate::catalog::{DatabaseCatalog, TableDef};
use crate::txn::Txn;
use crate::{SqlError, SqlResult};

pub(super) async fn has_rows(_table: &TableDef, _txn: &mut Txn) -> SqlResult<bool> {
    Err(SqlError::not_supported("reading a table for ALTER TABLE"))
}

pub(super) async fn has_nulls(_table: &TableDef, _column: usize, _txn: &mut Txn) -> SqlResult<bool> {
    Err(SqlError::not_supported("reading a table for ALTER TABLE"))
}

pub(super) async fn add_primary_key(
    _table: &TableDef,
    _relation: &mut RelationRow,
    _catalog: &DatabaseCatalog,
    _columns: &[usize],
    _name: &str,
    _txn: &mut Txn,
    _context: DdlContext<'_>,
) -> SqlResult<()> {
    Err(SqlError::not_supported("ALTER TABLE ADD PRIMARY KEY"))
}
