//! Views over sequences.

use super::rows::{RowBuilder, yes_or_no};
use super::shared::role_name;
use crate::catalog::database::DatabaseCatalog;
use crate::catalog::{SequenceDef, TableDef, bootstrap};
use shardforge_types::oid::format_type;
use shardforge_types::{Datum, Oid, oids};

fn owner(catalog: &DatabaseCatalog, sequence: &SequenceDef) -> Oid {
    catalog.relation(sequence.oid).map_or(bootstrap::SUPERUSER, |relation| relation.owner)
}

/// A row of `pg_sequences` but for its last column, `last_value`, which no catalog holds.
pub(crate) fn pg_sequences_row(catalog: &DatabaseCatalog, sequence: &SequenceDef) -> Vec<Datum> {
    let rules = &sequence.rules;
    vec![
        Datum::text(catalog.namespace_name(sequence.schema).unwrap_or_default()),
        Datum::text(sequence.name.as_str()),
        Datum::text(role_name(catalog, owner(catalog, sequence)).unwrap_or_default()),
        Datum::Oid(rules.ty),
        Datum::Int8(rules.start),
        Datum::Int8(rules.min),
        Datum::Int8(rules.max),
        Datum::Int8(rules.increment),
        Datum::Bool(rules.cycle),
        Datum::Int8(rules.cache),
    ]
}

/// `pg_sequences` where no session reads the positions: nobody knows the last values.
pub(super) fn pg_sequences(catalog: &DatabaseCatalog) -> Vec<Vec<Datum>> {
    let row = |sequence: &std::sync::Arc<SequenceDef>| {
        let mut row = pg_sequences_row(catalog, sequence);
        row.push(Datum::Null);
        row
    };
    catalog.sequences().map(row).collect()
}

/// `information_schema.sequences`: those of identity columns are no sequences to the standard.
pub(super) fn sequences(table: &TableDef, catalog: &DatabaseCatalog) -> Vec<Vec<Datum>> {
    let of_standard =
        |sequence: &&std::sync::Arc<SequenceDef>| sequence.owner.is_none_or(|owner| !owner.identity);
    let row = |sequence: &std::sync::Arc<SequenceDef>| {
        let rules = &sequence.rules;
        let precision = match rules.ty {
            oids::INT2 => 16,
            oids::INT4 => 32,
            _ => 64,
        };
        RowBuilder::new(table)
            .col("sequence_catalog", catalog.name())
            .col("sequence_schema", catalog.namespace_name(sequence.schema))
            .col("sequence_name", sequence.name.as_str())
            .col("data_type", format_type(rules.ty, -1))
            .col("numeric_precision", precision)
            .col("numeric_precision_radix", 2)
            .col("numeric_scale", 0)
            .col("start_value", rules.start.to_string())
            .col("minimum_value", rules.min.to_string())
            .col("maximum_value", rules.max.to_string())
            .col("increment", rules.increment.to_string())
            .col("cycle_option", yes_or_no(rules.cycle))
            .finish()
    };
    catalog.sequences().filter(of_standard).map(row).collect()
}
