//! Rows of `pg_class` and its kin for users' tables.

use super::builtin_rows::builtin_rows;
use super::rows::{RowBuilder, acl, array, vector};
use crate::catalog::builtin;
use crate::catalog::database::DatabaseCatalog;
use crate::catalog::stored::{ColumnRow, IndexRow, RelationRow};
use crate::catalog::{SequenceDef, TableDef, deparse};
use shardforge_types::{Datum, Oid, oids};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

/// `pg_am.oid` of heap: what every table says it is stored by.
const HEAP: Oid = Oid(2);
/// `pg_am.oid` of btree.
const BTREE: Oid = Oid(403);

/// What `pg_attribute` repeats of a column's type.
#[derive(Clone, Copy)]
struct TypeShape {
    len: i16,
    by_value: bool,
    align: u8,
    storage: u8,
    collation: Oid,
}

static SHAPES: LazyLock<HashMap<Oid, TypeShape>> = LazyLock::new(|| {
    let catalog = builtin::rows("pg_type").expect("pg_type is one of the files");
    let at = |name| catalog.column(name).expect("the files have the columns of PostgreSQL 15");
    let [oid, len, by_value, align, storage, collation] =
        ["oid", "typlen", "typbyval", "typalign", "typstorage", "typcollation"].map(at);
    let shape = |row: &Vec<Datum>| match (
        &row[oid],
        &row[len],
        &row[by_value],
        &row[align],
        &row[storage],
        &row[collation],
    ) {
        (
            Datum::Oid(oid),
            Datum::Int2(len),
            Datum::Bool(by_value),
            Datum::Char(align),
            Datum::Char(storage),
            Datum::Oid(collation),
        ) => Some((
            *oid,
            TypeShape {
                len: *len,
                by_value: *by_value,
                align: *align,
                storage: *storage,
                collation: *collation,
            },
        )),
        _ => None,
    };
    builtin_rows("pg_type").iter().filter_map(shape).collect()
});

/// The shape of a type; row types and their arrays are of variable length.
fn shape(ty: Oid) -> TypeShape {
    let composite =
        TypeShape { len: -1, by_value: false, align: b'd', storage: b'x', collation: Oid::INVALID };
    SHAPES.get(&ty).copied().unwrap_or(composite)
}

pub(super) fn pg_class(table: &TableDef, catalog: &DatabaseCatalog) -> Vec<Vec<Datum>> {
    let row = |relation: &RelationRow| {
        let is_table = relation.kind == b'r';
        let columns = match catalog.index(relation.oid) {
            Some(index) => index.columns.len(),
            None => match catalog.sequence_table(relation.oid) {
                Some(sequence) => sequence.columns.len(),
                None => catalog.columns(relation.oid).len(),
            },
        };
        let access_method = match relation.kind {
            b'r' => HEAP,
            b'S' => Oid::INVALID,
            _ => BTREE,
        };
        let known = catalog.statistics(relation.oid);
        let checks = catalog.constraints_of(relation.oid).filter(|row| row.kind == b'c').count();
        RowBuilder::new(table)
            .col("oid", relation.oid)
            .col("relname", &relation.name)
            .col("relnamespace", relation.namespace)
            .col("reltype", relation.row_type)
            .col("reloftype", Oid::INVALID)
            .col("relowner", relation.owner)
            .col("relam", access_method)
            .col("relfilenode", relation.oid)
            .col("reltablespace", Oid::INVALID)
            .col("relpages", known.map_or(0, |known| i32::try_from(known.pages).unwrap_or(i32::MAX)))
            // -1 is never analyzed.
            .col("reltuples", known.map_or(-1.0_f32, |known| known.rows as f32))
            .col("relallvisible", 0)
            .col("reltoastrelid", Oid::INVALID)
            .col("relhasindex", is_table && catalog.indexes_of(relation.oid).next().is_some())
            .col("relisshared", false)
            .col("relpersistence", b'p')
            .col("relkind", relation.kind)
            .col("relnatts", columns as i16)
            .col("relchecks", checks as i16)
            .col("relhasrules", false)
            .col("relhastriggers", false)
            .col("relhassubclass", false)
            .col("relrowsecurity", false)
            .col("relforcerowsecurity", false)
            .col("relispopulated", true)
            .col("relreplident", if is_table { b'd' } else { b'n' })
            .col("relispartition", false)
            .col("relrewrite", Oid::INVALID)
            .col("relfrozenxid", Oid::INVALID)
            .col("relminmxid", Oid::INVALID)
            .nulls(&["relacl", "reloptions", "relpartbound"])
            .finish()
    };
    catalog.relations().map(row).collect()
}

pub(super) fn pg_attribute(table: &TableDef, catalog: &DatabaseCatalog) -> Vec<Vec<Datum>> {
    let mut rows = Vec::new();
    for relation in catalog.relations() {
        match catalog.index(relation.oid) {
            None => {
                let columns = catalog.columns(relation.oid).iter();
                rows.extend(columns.map(|column| attribute(table, relation.oid, column)));
                if let Some(sequence) = catalog.sequence_table(relation.oid) {
                    rows.extend(sequence_attributes(table, sequence));
                }
            }
            Some(index) => rows.extend(index_attributes(table, catalog, index)),
        }
    }
    rows
}

/// The columns of a sequence, which are not stored.
fn sequence_attributes<'a>(
    table: &'a TableDef,
    sequence: &'a TableDef,
) -> impl Iterator<Item = Vec<Datum>> + 'a {
    sequence.columns.iter().map(move |column| {
        let stored = ColumnRow {
            database: Oid::INVALID,
            relation: sequence.oid,
            number: column.attnum,
            name: column.name.clone(),
            type_oid: column.ty.oid,
            typmod: column.ty.typmod,
            not_null: true,
            default_oid: Oid::INVALID,
            default: None,
            missing: None,
            dropped: false,
            identity: None,
        };
        attribute(table, sequence.oid, &stored)
    })
}

/// The columns of an index are named and typed like the table's, and have nothing else of them.
fn index_attributes<'a>(
    table: &'a TableDef,
    catalog: &'a DatabaseCatalog,
    index: &'a IndexRow,
) -> impl Iterator<Item = Vec<Datum>> + 'a {
    let columns = catalog.columns(index.table);
    index.columns.iter().zip(1..).filter_map(move |(number, place)| {
        let column = columns.iter().find(|column| column.number == *number)?;
        let plain = ColumnRow {
            number: place,
            not_null: false,
            default_oid: Oid::INVALID,
            default: None,
            missing: None,
            identity: None,
            ..column.clone()
        };
        Some(attribute(table, index.oid, &plain))
    })
}

fn attribute(table: &TableDef, relation: Oid, column: &ColumnRow) -> Vec<Datum> {
    let shape = shape(column.type_oid);
    let name = if column.dropped {
        format!("........pg.dropped.{}........", column.number)
    } else {
        column.name.clone()
    };
    let is_array = builtin::type_by_oid(column.type_oid).is_some_and(|entry| entry.is_array);
    RowBuilder::new(table)
        .col("attrelid", relation)
        .col("attname", name)
        .col("atttypid", if column.dropped { Oid::INVALID } else { column.type_oid })
        .col("attstattarget", -1)
        .col("attlen", shape.len)
        .col("attnum", column.number)
        .col("attndims", i32::from(is_array && !column.dropped))
        .col("attcacheoff", -1)
        .col("atttypmod", column.typmod)
        .col("attbyval", shape.by_value)
        .col("attalign", shape.align)
        .col("attstorage", shape.storage)
        .col("attcompression", 0_u8)
        .col("attnotnull", column.not_null && !column.dropped)
        .col("atthasdef", column.default.is_some() && !column.dropped)
        .col("atthasmissing", column.missing.is_some() && !column.dropped)
        .col("attidentity", column.identity.filter(|_| !column.dropped).unwrap_or(0))
        .col("attgenerated", 0_u8)
        .col("attisdropped", column.dropped)
        .col("attislocal", true)
        .col("attinhcount", 0)
        .col("attcollation", shape.collation)
        .nulls(&["attacl", "attoptions", "attfdwoptions", "attmissingval"])
        .finish()
}

pub(super) fn pg_attrdef(table: &TableDef, catalog: &DatabaseCatalog) -> Vec<Vec<Datum>> {
    let columns = catalog.relations().flat_map(|relation| catalog.columns(relation.oid));
    let row = |column: &ColumnRow| {
        let default = column.default.as_ref().filter(|_| !column.dropped)?;
        let row = RowBuilder::new(table)
            .col("oid", column.default_oid)
            .col("adrelid", column.relation)
            .col("adnum", column.number)
            // An expression is kept, and shown by pg_get_expr, as its source text.
            .col("adbin", default);
        Some(row.finish())
    };
    columns.filter_map(row).collect()
}

pub(super) fn pg_sequence(table: &TableDef, catalog: &DatabaseCatalog) -> Vec<Vec<Datum>> {
    let row = |sequence: &Arc<SequenceDef>| {
        let rules = &sequence.rules;
        RowBuilder::new(table)
            .col("seqrelid", sequence.oid)
            .col("seqtypid", rules.ty)
            .col("seqstart", rules.start)
            .col("seqincrement", rules.increment)
            .col("seqmax", rules.max)
            .col("seqmin", rules.min)
            .col("seqcache", rules.cache)
            .col("seqcycle", rules.cycle)
            .finish()
    };
    catalog.sequences().map(row).collect()
}

pub(super) fn pg_index(table: &TableDef, catalog: &DatabaseCatalog) -> Vec<Vec<Datum>> {
    let row = |index: &IndexRow| {
        let columns = catalog.columns(index.table);
        let types: Vec<Oid> = index
            .columns
            .iter()
            .filter_map(|number| columns.iter().find(|column| column.number == *number))
            .map(|column| column.type_oid)
            .collect();
        RowBuilder::new(table)
            .col("indexrelid", index.oid)
            .col("indrelid", index.table)
            .col("indnatts", index.columns.len() as i16)
            .col("indnkeyatts", index.columns.len() as i16)
            .col("indisunique", index.unique)
            .col("indnullsnotdistinct", index.nulls_not_distinct == Some(true))
            .col("indisprimary", index.primary)
            .col("indisexclusion", false)
            .col("indimmediate", true)
            .col("indisclustered", false)
            .col("indisvalid", true)
            .col("indcheckxmin", false)
            .col("indisready", true)
            .col("indislive", true)
            .col("indisreplident", false)
            .col("indkey", vector(oids::INT2, index.columns.iter().copied()))
            .col("indcollation", vector(oids::OID, types.iter().map(|ty| shape(*ty).collation)))
            .col("indclass", vector(oids::OID, types.iter().map(|ty| operator_class(*ty))))
            .col("indoption", vector(oids::INT2, index.options.iter().copied()))
            .nulls(&["indexprs", "indpred"])
            .finish()
    };
    catalog.indexes().map(row).collect()
}

/// The default B-tree operator class of a type; 0 when it has no order.
fn operator_class(ty: Oid) -> Oid {
    static CLASSES: LazyLock<HashMap<Oid, Oid>> = LazyLock::new(|| {
        let catalog = builtin::rows("pg_opclass").expect("pg_opclass is one of the files");
        let at = |name| catalog.column(name).expect("the files have the columns of PostgreSQL 15");
        let [oid, method, input, default] = ["oid", "opcmethod", "opcintype", "opcdefault"].map(at);
        let class = |row: &Vec<Datum>| match (&row[oid], &row[method], &row[input], &row[default]) {
            (Datum::Oid(oid), Datum::Oid(BTREE), Datum::Oid(input), Datum::Bool(true)) => {
                Some((*input, *oid))
            }
            _ => None,
        };
        builtin_rows("pg_opclass").iter().filter_map(class).collect()
    });
    builtin::ordering(ty).and_then(|ordering| CLASSES.get(&ordering.operand).copied()).unwrap_or_default()
}

pub(super) fn pg_constraint(table: &TableDef, catalog: &DatabaseCatalog) -> Vec<Vec<Datum>> {
    let row = |constraint: &crate::catalog::stored::ConstraintRow| {
        let columns = constraint.columns.as_ref();
        RowBuilder::new(table)
            .col("oid", constraint.oid)
            .col("conname", &constraint.name)
            .col("connamespace", constraint.namespace)
            .col("contype", constraint.kind)
            .col("condeferrable", false)
            .col("condeferred", false)
            .col("convalidated", true)
            .col("conrelid", constraint.relation)
            .col("contypid", Oid::INVALID)
            .col("conindid", constraint.index)
            .col("conparentid", Oid::INVALID)
            .col("confrelid", Oid::INVALID)
            .col("confupdtype", b' ')
            .col("confdeltype", b' ')
            .col("confmatchtype", b' ')
            .col("conislocal", true)
            .col("coninhcount", 0)
            .col("connoinherit", constraint.kind != b'c')
            .col("conkey", columns.map(|columns| array(oids::INT2, columns.iter().copied())))
            .nulls(&["confkey", "conpfeqop", "conppeqop", "conffeqop", "confdelsetcols", "conexclop"])
            .col("conbin", constraint.expression.as_ref())
            .finish()
    };
    catalog.constraints().map(row).collect()
}

pub(super) fn pg_type(table: &TableDef, catalog: &DatabaseCatalog) -> Vec<Vec<Datum>> {
    let function = |name: &str| builtin::procs_by_name(name).first().map_or(Oid::INVALID, |entry| entry.oid);
    let (record, array) = (
        ["record_in", "record_out", "record_recv", "record_send"],
        ["array_in", "array_out", "array_recv", "array_send"],
    );
    let row = |ty: &crate::catalog::stored::TypeRow| {
        let is_array = ty.kind == b'b';
        let [input, output, receive, send] = (if is_array { array } else { record }).map(function);
        let of_array = |name| if is_array { function(name) } else { Oid::INVALID };
        RowBuilder::new(table)
            .col("oid", ty.oid)
            .col("typname", &ty.name)
            .col("typnamespace", ty.namespace)
            .col("typowner", ty.owner)
            .col("typlen", -1_i16)
            .col("typbyval", false)
            .col("typtype", ty.kind)
            .col("typcategory", if is_array { b'A' } else { b'C' })
            .col("typispreferred", false)
            .col("typisdefined", true)
            .col("typdelim", b',')
            .col("typrelid", ty.relation)
            .col("typsubscript", of_array("array_subscript_handler"))
            .col("typelem", ty.element)
            .col("typarray", ty.array)
            .col("typinput", input)
            .col("typoutput", output)
            .col("typreceive", receive)
            .col("typsend", send)
            .col("typmodin", Oid::INVALID)
            .col("typmodout", Oid::INVALID)
            .col("typanalyze", of_array("array_typanalyze"))
            .col("typalign", b'd')
            .col("typstorage", b'x')
            .col("typnotnull", false)
            .col("typbasetype", Oid::INVALID)
            .col("typtypmod", -1)
            .col("typndims", 0)
            .col("typcollation", Oid::INVALID)
            .nulls(&["typdefaultbin", "typdefault", "typacl"])
            .finish()
    };
    catalog.types().map(row).collect()
}

pub(super) fn pg_namespace(table: &TableDef, catalog: &DatabaseCatalog) -> Vec<Vec<Datum>> {
    let row = |row: &crate::catalog::stored::NamespaceRow| {
        RowBuilder::new(table)
            .col("oid", row.oid)
            .col("nspname", &row.name)
            .col("nspowner", row.owner)
            .col("nspacl", acl(&row.acl))
            .finish()
    };
    catalog.namespaces().map(row).collect()
}

pub(super) fn pg_description(table: &TableDef, catalog: &DatabaseCatalog) -> Vec<Vec<Datum>> {
    let row = |(class, object, column, text): (Oid, Oid, i32, &str)| {
        RowBuilder::new(table)
            .col("objoid", object)
            .col("classoid", class)
            .col("objsubid", column)
            .col("description", text)
            .finish()
    };
    catalog.descriptions().map(row).collect()
}

/// What depends on what, as far as DROP would follow it.
pub(super) fn pg_depend(table: &TableDef, catalog: &DatabaseCatalog) -> Vec<Vec<Datum>> {
    const TYPE: Oid = Oid(1247);
    const CLASS: Oid = Oid(1259);
    const ATTRDEF: Oid = Oid(2604);
    const CONSTRAINT: Oid = Oid(2606);
    const NAMESPACE: Oid = Oid(2615);
    let mut rows = Vec::new();
    let mut depend = |(class, object): (Oid, Oid), (on_class, on, on_column): (Oid, Oid, i32), kind: u8| {
        let row = RowBuilder::new(table)
            .col("classid", class)
            .col("objid", object)
            .col("objsubid", 0)
            .col("refclassid", on_class)
            .col("refobjid", on)
            .col("refobjsubid", on_column)
            .col("deptype", kind);
        rows.push(row.finish());
    };
    for relation in catalog.relations() {
        match catalog.index(relation.oid) {
            None => {
                depend((CLASS, relation.oid), (NAMESPACE, relation.namespace, 0), b'n');
                if relation.row_type != Oid::INVALID {
                    depend((TYPE, relation.row_type), (CLASS, relation.oid, 0), b'i');
                }
            }
            Some(index) => match catalog.constraints_of(index.table).find(|row| row.index == index.oid) {
                Some(constraint) => depend((CLASS, index.oid), (CONSTRAINT, constraint.oid, 0), b'i'),
                None => {
                    for column in &index.columns {
                        depend((CLASS, index.oid), (CLASS, index.table, i32::from(*column)), b'a');
                    }
                }
            },
        }
        for column in catalog.columns(relation.oid).iter().filter(|column| column.default.is_some()) {
            depend((ATTRDEF, column.default_oid), (CLASS, relation.oid, i32::from(column.number)), b'a');
            for sequence in deparse::default_sequences(column.default.as_deref().unwrap_or_default()) {
                depend((ATTRDEF, column.default_oid), (CLASS, sequence, 0), b'n');
            }
        }
    }
    for sequence in catalog.sequences() {
        if let Some(owner) = sequence.owner {
            let kind = if owner.identity { b'i' } else { b'a' };
            depend((CLASS, sequence.oid), (CLASS, owner.table, i32::from(owner.column)), kind);
        }
    }
    for constraint in catalog.constraints() {
        for column in constraint.columns.iter().flatten() {
            depend((CONSTRAINT, constraint.oid), (CLASS, constraint.relation, i32::from(*column)), b'a');
        }
    }
    for ty in catalog.types().filter(|ty| ty.kind == b'b') {
        depend((TYPE, ty.oid), (TYPE, ty.element, 0), b'i');
    }
    rows
}
