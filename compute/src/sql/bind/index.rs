//! CREATE INDEX: its columns and their order. The names of indexes are looked up when the statement runs.

use super::Binder;
use crate::catalog::{IndexKey, TableDef, TableKind};
use crate::sql::ast::{CreateIndex, IndexElement, ObjectName};
use crate::sql::bound::{self, Ddl};
use crate::{Notice, SqlError, SqlResult};
use shardforge_types::{PgType, SqlState, oids};

/// The most columns an index can have.
const MAX_INDEX_COLUMNS: usize = 32;

/// Access methods of PostgreSQL's that are not built.
const OTHER_METHODS: &[&str] = &["hash", "gist", "gin", "spgist", "brin"];

impl Binder<'_> {
    pub(super) fn create_index(&mut self, create: &CreateIndex) -> SqlResult<Ddl> {
        let table = self.lookup_table(&create.table)?;
        match table.kind {
            TableKind::Table => {}
            TableKind::Catalog => {
                let message = format!("permission denied: \"{}\" is a system catalog", table.name);
                return Err(SqlError::new(SqlState::INSUFFICIENT_PRIVILEGE, message));
            }
            TableKind::Virtual | TableKind::Sequence => {
                let message = format!("cannot create index on relation \"{}\"", table.name);
                let kind = if table.kind == TableKind::Virtual { "views" } else { "sequences" };
                return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message)
                    .detail(format!("This operation is not supported for {kind}.")));
            }
        }
        if let Some(method) = create.method.as_ref().filter(|method| method.name != "btree") {
            if OTHER_METHODS.contains(&method.name.as_str()) {
                return Err(SqlError::not_supported(format!("CREATE INDEX USING {}", method.name)));
            }
            let message = format!("access method \"{}\" does not exist", method.name);
            return Err(SqlError::new(SqlState::UNDEFINED_OBJECT, message));
        }
        if let Some(what) = &create.unsupported {
            return Err(SqlError::not_supported(what));
        }
        if create.columns.len() > MAX_INDEX_COLUMNS {
            let message = format!("cannot use more than {MAX_INDEX_COLUMNS} columns in an index");
            return Err(SqlError::new(SqlState::TOO_MANY_COLUMNS, message));
        }
        let keys = create.columns.iter().map(|element| self.index_key(&table, element));
        let keys = keys.collect::<SqlResult<_>>()?;
        Ok(Ddl::CreateIndex(bound::CreateIndex {
            name: create.name.as_ref().map(|name| name.name.clone()),
            unique: create.unique,
            nulls_not_distinct: create.unique && create.nulls_not_distinct,
            keys,
            if_not_exists: create.if_not_exists,
            concurrently: create.concurrently,
            notices: self.index_notices(create)?,
            table,
        }))
    }

    fn index_key(&self, table: &TableDef, element: &IndexElement) -> SqlResult<IndexKey> {
        let name = &element.column.name;
        let column = table.column(name).ok_or_else(|| {
            SqlError::new(SqlState::UNDEFINED_COLUMN, format!("column \"{name}\" does not exist"))
        })?;
        let ty = table.columns[column].ty;
        if let Some(collation) = &element.collation {
            self.check_collation(collation, collation.loc)?;
            // All text is ordered by its bytes; another collation's name would be lost in the definition.
            if collation.name() != "default" {
                return Err(SqlError::not_supported("COLLATE in an index"));
            }
        }
        match &element.class {
            // A class that is named need not be the default one, but it must be known.
            Some(class) if !is_default_class(ty, class) => {
                let what = format!("operator class \"{}\" in an index", class.display());
                return Err(SqlError::not_supported(what));
            }
            _ => self.need_key_type(ty)?,
        }
        Ok(IndexKey { column, desc: element.desc, nulls_first: element.nulls_first.unwrap_or(element.desc) })
    }

    fn index_notices(&self, create: &CreateIndex) -> SqlResult<Vec<Notice>> {
        let of_btree = |name: &str| matches!(name, "fillfactor" | "deduplicate_items");
        match create.options.iter().find(|option| !of_btree(&option.name)) {
            Some(option) => {
                let message = format!("unrecognized parameter \"{}\"", option.name);
                Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message))
            }
            None => {
                let names = create.options.iter().map(|option| &option.name);
                Ok(names
                    .map(|name| format!("storage parameter \"{name}\" has no meaning here").into())
                    .collect())
            }
        }
    }

    pub(super) fn drop_index(
        &mut self,
        names: &[ObjectName],
        if_exists: bool,
        concurrently: bool,
    ) -> SqlResult<Ddl> {
        let names = names.iter().map(|name| self.index_name(name)).collect::<SqlResult<_>>()?;
        Ok(Ddl::DropIndex { names, if_exists, concurrently })
    }

    /// A name as it stands: schema, name.
    pub(super) fn index_name(&self, name: &ObjectName) -> SqlResult<(Option<String>, String)> {
        self.check_database(name)?;
        Ok((name.schema().map(str::to_owned), name.name().to_owned()))
    }
}

/// Whether an operator class is the type's default for btree.
fn is_default_class(ty: PgType, class: &ObjectName) -> bool {
    let expected = match ty.oid {
        oids::BOOL => "bool_ops",
        oids::INT2 => "int2_ops",
        oids::INT4 => "int4_ops",
        oids::INT8 => "int8_ops",
        oids::FLOAT4 => "float4_ops",
        oids::FLOAT8 => "float8_ops",
        oids::NUMERIC => "numeric_ops",
        oids::TEXT => "text_ops",
        oids::VARCHAR => return matches!(class.name(), "varchar_ops" | "text_ops"),
        oids::BPCHAR => "bpchar_ops",
        oids::BYTEA => "bytea_ops",
        oids::DATE => "date_ops",
        oids::TIME => "time_ops",
        oids::TIMESTAMP => "timestamp_ops",
        oids::TIMESTAMPTZ => "timestamptz_ops",
        oids::INTERVAL => "interval_ops",
        oids::UUID => "uuid_ops",
        _ => return false,
    };
    class.name() == expected
}
