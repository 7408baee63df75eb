//! Statements through parser, binder, plans and a real transaction over services in memory. The scripts say
//! which behaviour; `session: > SQL` runs a statement on a session of its own, with `[explain]` before it the
//! plan alone. A statement that waits for a lock is gone on with by `session: resume`.

mod cases;
mod conformance;
mod functions;
mod script;
mod world;

use script::Script;

macro_rules! scripts {
    ($($name:ident)*) => {$(
        #[test]
        fn $name() {
            let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/row_exec/tests/scripts/", stringify!($name));
            goldenscript::run(&mut Script::new(), path).unwrap();
        }
    )*};
}

scripts! {
    select_by_key
    insert_and_constraints
    update_and_delete
    on_conflict
    unique_indexes
    big_values
    tables_without_primary_key
    order_limit_and_aggregates
    writers_of_one_row_wait
    reads_by_index
    joins_by_key
    locks_through_an_index
    a_lock_keeps_the_definition
    anomaly_phantom_in_an_index
    indexes_are_built_over_rows
    writers_of_one_unique_key_wait
    schema_changes_and_writers
}
