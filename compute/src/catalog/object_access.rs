//! What functions over OIDs ask ([`CatalogAccess`]), answered from a session's catalog.

use super::database::{INFORMATION_SCHEMA, PG_CATALOG};
use super::session::SessionCatalog;
use super::{TableDef, TableKind, builtin, system};
use crate::functions::text_io::quote_ident;
use crate::functions::{
    CatalogAccess, ConstraintInfo, ConstraintKind, ObjectClass, RelationInfo, RelationKind,
};
use crate::statistics::Activity;
use shardforge_types::oid::format_type;
use shardforge_types::{Datum, Oid, PgType};
use std::sync::Arc;

impl CatalogAccess for SessionCatalog {
    fn table(&self, oid: Oid) -> Option<Arc<TableDef>> {
        self.table_by_oid(oid)
    }

    fn relation(&self, oid: Oid) -> Option<RelationInfo> {
        if let Some((schema, name)) = system::relation_name(oid) {
            let kind = match system::table(oid).map(|table| table.kind) {
                None => RelationKind::Index,
                Some(TableKind::Virtual) => RelationKind::View,
                Some(_) => RelationKind::Table,
            };
            return Some(RelationInfo { oid, schema, name: name.to_owned(), kind });
        }
        let row = self.database_catalog().relation(oid)?;
        let kind = match row.kind {
            b'i' => RelationKind::Index,
            b'S' => RelationKind::Sequence,
            _ => RelationKind::Table,
        };
        Some(RelationInfo { oid, schema: row.namespace, name: row.name.clone(), kind })
    }

    fn find_relation(&self, schema: Option<&str>, name: &str) -> Option<Oid> {
        SessionCatalog::find_relation(self, schema, name)
    }

    fn index(&self, oid: Oid) -> Option<(Arc<TableDef>, Option<usize>)> {
        let catalog = self.database_catalog();
        let table = catalog.table(catalog.index(oid)?.table)?;
        if table.primary_key.as_ref().is_some_and(|index| index.oid == oid) {
            return Some((table.clone(), None));
        }
        let place = table.indexes.iter().position(|index| index.oid == oid)?;
        Some((table.clone(), Some(place)))
    }

    fn owned_sequence(&self, table: Oid, column: i16) -> Option<Oid> {
        let mut of_table = self.database_catalog().sequences_of(table);
        let of_column = of_table.find(|sequence| sequence.owner.is_some_and(|owner| owner.column == column));
        of_column.map(|sequence| sequence.oid)
    }

    fn constraint(&self, oid: Oid) -> Option<ConstraintInfo> {
        let catalog = self.database_catalog();
        let row = catalog.constraint(oid)?;
        let columns = catalog.columns(row.relation);
        let name =
            |number: &i16| columns.iter().find(|column| column.number == *number).map(|c| c.name.clone());
        let kind = match row.kind {
            b'p' => ConstraintKind::PrimaryKey,
            b'u' => match catalog.index(row.index) {
                Some(index) if index.nulls_not_distinct == Some(true) => {
                    ConstraintKind::UniqueNullsNotDistinct
                }
                _ => ConstraintKind::Unique,
            },
            _ => ConstraintKind::Check,
        };
        let is_check = kind == ConstraintKind::Check;
        Some(ConstraintInfo {
            kind,
            columns: row.columns.iter().flatten().filter(|_| !is_check).filter_map(name).collect(),
            expression: row.expression.clone(),
            references: None,
        })
    }

    fn object_name(&self, class: ObjectClass, oid: Oid) -> Option<(Option<Oid>, String)> {
        let catalog = self.database_catalog();
        match class {
            ObjectClass::Relation => {
                CatalogAccess::relation(self, oid).map(|relation| (Some(relation.schema), relation.name))
            }
            ObjectClass::Type => match catalog.type_row(oid) {
                Some(row) => Some((Some(row.namespace), row.name.clone())),
                None => builtin::type_by_oid(oid).map(|entry| (Some(entry.namespace), entry.name.to_owned())),
            },
            ObjectClass::Schema => catalog.namespace_name(oid).map(|name| (None, name.to_owned())),
            ObjectClass::Role => {
                let stored =
                    catalog.roles().iter().find(|role| role.oid == oid).map(|role| role.name.as_str());
                stored.or_else(|| system::predefined_role_name(oid)).map(|name| (None, name.to_owned()))
            }
            ObjectClass::Database => {
                let database = catalog.databases().iter().find(|database| database.oid == oid)?;
                Some((None, database.name.clone()))
            }
            ObjectClass::Constraint => {
                catalog.constraint(oid).map(|row| (Some(row.namespace), row.name.clone()))
            }
            ObjectClass::Function => {
                builtin::proc(oid).map(|entry| (Some(entry.namespace), entry.name.to_owned()))
            }
            ObjectClass::Operator => {
                builtin::operator_by_oid(oid).map(|entry| (Some(PG_CATALOG), entry.name.to_owned()))
            }
            other => builtin_object(other, |row, _| matches!(row[0], Datum::Oid(row) if row == oid))
                .next()
                .map(|(_, schema, name)| (schema, name)),
        }
    }

    fn find_objects(&self, class: ObjectClass, schema: Option<&str>, name: &str) -> Vec<Oid> {
        let catalog = self.database_catalog();
        let schema_oid = match schema {
            Some(schema) => match catalog.namespace_oid(schema) {
                Some(oid) => Some(oid),
                None => return Vec::new(),
            },
            None => None,
        };
        let in_schema = |of: Oid| schema_oid.is_none_or(|schema| schema == of);
        match class {
            ObjectClass::Relation => SessionCatalog::find_relation(self, schema, name).into_iter().collect(),
            ObjectClass::Type => {
                let path = match &schema_oid {
                    Some(schema) => std::slice::from_ref(schema),
                    None => self.path(),
                };
                let in_one = |schema: &Oid| {
                    let built_in = builtin::type_by_name(*schema, name).map(|entry| entry.oid);
                    built_in.or_else(|| catalog.type_oid(*schema, name))
                };
                path.iter().filter_map(in_one).collect()
            }
            ObjectClass::Schema => catalog.namespace_oid(name).into_iter().collect(),
            ObjectClass::Role => {
                let stored = catalog.roles().iter().find(|role| role.name == name).map(|role| role.oid);
                stored.or_else(|| system::predefined_role_by_name(name)).into_iter().collect()
            }
            ObjectClass::Database => catalog
                .databases()
                .iter()
                .filter(|database| database.name == name)
                .map(|row| row.oid)
                .collect(),
            ObjectClass::Constraint => {
                let found = catalog.constraints().filter(|row| row.name == name && in_schema(row.namespace));
                found.map(|row| row.oid).collect()
            }
            ObjectClass::Function => {
                let found = builtin::procs_by_name(name).iter().filter(|entry| in_schema(entry.namespace));
                found.map(|entry| entry.oid).collect()
            }
            ObjectClass::Operator if in_schema(PG_CATALOG) => {
                builtin::operators(name).iter().map(|entry| entry.oid).collect()
            }
            ObjectClass::Operator => Vec::new(),
            other => builtin_object(other, |row, name_at| row[name_at].as_str() == Some(name))
                .filter(|(_, schema, _)| schema.is_none_or(in_schema))
                .map(|(oid, ..)| oid)
                .collect(),
        }
    }

    fn type_name(&self, ty: PgType) -> Option<String> {
        let catalog = self.database_catalog();
        if let Some(row) = catalog.type_row(ty.oid) {
            if row.kind == b'b' {
                let element = self.type_name(PgType::with_typmod(row.element, ty.typmod))?;
                return Some(format!("{element}[]"));
            }
            return self.qualified(row.namespace, &row.name);
        }
        let entry = builtin::type_by_oid(ty.oid)?;
        if entry.namespace == INFORMATION_SCHEMA {
            return self.qualified(entry.namespace, entry.name);
        }
        Some(format_type(ty.oid, ty.typmod))
    }

    fn comment(&self, class: Oid, object: Oid, column: i32) -> Option<String> {
        self.database_catalog().description(class, object, column).map(str::to_owned)
    }

    fn table_activity(&self, table: &TableDef) -> Option<Activity> {
        self.activity(table)
    }

    fn relation_size(&self, _oid: Oid) -> Option<i64> {
        None
    }
}

impl SessionCatalog {
    /// A type's name as SQL needs it here: with its schema, unless the path leads to it.
    fn qualified(&self, schema: Oid, name: &str) -> Option<String> {
        let visible = self.find_objects(ObjectClass::Type, None, name).first().copied();
        let own = self.find_objects(ObjectClass::Type, self.database_catalog().namespace_name(schema), name);
        if own.first().copied() == visible {
            return Some(quote_ident(name));
        }
        let schema = self.database_catalog().namespace_name(schema)?;
        Some(format!("{}.{}", quote_ident(schema), quote_ident(name)))
    }
}

/// The built-in objects of a class that a test on the row, and the place of its name, finds: OID, schema,
/// name.
fn builtin_object(
    class: ObjectClass,
    test: impl Fn(&[Datum], usize) -> bool,
) -> impl Iterator<Item = (Oid, Option<Oid>, String)> {
    let (catalog, name, namespace) = match class {
        ObjectClass::OperatorClass => ("pg_opclass", "opcname", Some("opcnamespace")),
        ObjectClass::OperatorFamily => ("pg_opfamily", "opfname", Some("opfnamespace")),
        ObjectClass::Collation => ("pg_collation", "collname", Some("collnamespace")),
        ObjectClass::Tablespace => ("pg_tablespace", "spcname", None),
        // No conversions between encodings: there is UTF8 alone.
        _ => ("", "", None),
    };
    let places = builtin::rows(catalog).and_then(|source| {
        Some((source.column(name)?, namespace.and_then(|namespace| source.column(namespace))))
    });
    system::builtin_rows(catalog).iter().filter_map(move |row| {
        let (name_at, namespace_at) = places?;
        if !test(row, name_at) {
            return None;
        }
        let oid = |at: usize| if let Datum::Oid(oid) = row[at] { Some(oid) } else { None };
        Some((oid(0)?, namespace_at.and_then(oid), row[name_at].as_str()?.to_owned()))
    })
}
