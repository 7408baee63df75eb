//! Random histories of many clients on the real server, some of them across `kill -9`.

use crate::Case;
use crate::histories::indexed::indexed;
use crate::histories::{
    bank::bank,
    list_append::{broken_promise, list_append},
    registers::registers,
    unique::unique,
};
use shardforge_history::Level;

pub const CASES: &[Case] = &[
    Case { name: "histories_of_lists_keep_what_each_level_promises", tools: &[], run: lists },
    Case { name: "serializable_histories_of_lists_are_strictly_serializable", tools: &[], run: serializable },
    Case { name: "histories_of_lists_keep_their_promises_across_kill_9", tools: &[], run: killed_lists },
    Case { name: "a_history_that_had_less_than_it_was_promised_is_found_out", tools: &[], run: broken },
    Case { name: "transfers_keep_the_total_across_kill_9", tools: &[], run: transfers },
    Case { name: "histories_of_registers_keep_what_each_level_promises", tools: &[], run: register },
    Case { name: "an_index_and_its_table_agree_across_kill_9", tools: &[], run: index },
    Case { name: "unique_inserts_are_neither_lost_nor_doubled_across_kill_9", tools: &[], run: inserts },
];

fn lists() {
    list_append("lists", &Level::ALL, 0);
}

fn serializable() {
    list_append("serializable lists", &[Level::Serializable], 0);
}

fn broken() {
    broken_promise("broken promise");
}

fn killed_lists() {
    list_append("killed lists", &Level::ALL, 2);
}

fn transfers() {
    bank("bank", 1);
}

fn register() {
    registers("registers", 1);
}

fn index() {
    indexed("indexed", 1);
}

fn inserts() {
    unique("unique inserts", 2);
}
