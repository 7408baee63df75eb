//! Expressions as text, for EXPLAIN.

use super::eval::{Evaluator, Node};
use crate::catalog::builtin;
use shardforge_types::{Datum, Settings, text};

impl Evaluator {
    /// The expression over columns of these names, roughly as it was written.
    pub fn describe(&self, names: &[String]) -> String {
        describe(&self.node, names)
    }
}

fn constant(datum: &Datum) -> String {
    if datum.is_null() {
        return "NULL".to_owned();
    }
    let plain = datum.as_i64().is_some() || matches!(datum, Datum::Bool(_));
    let text = text::output_string(datum, datum.natural_type(), &Settings::default());
    match text {
        Some(text) if plain => text,
        Some(text) => format!("'{}'", text.replace('\'', "''")),
        None => "NULL".to_owned(),
    }
}

fn list(nodes: &[Node], between: &str, names: &[String]) -> String {
    nodes.iter().map(|node| describe(node, names)).collect::<Vec<_>>().join(between)
}

fn describe(node: &Node, names: &[String]) -> String {
    match node {
        Node::Const(datum) => constant(datum),
        Node::Param(n) => format!("${}", n + 1),
        Node::Slot(slot) => names.get(*slot).cloned().unwrap_or_else(|| format!("column {slot}")),
        Node::Call(call) => {
            let operator = builtin::operator_of(call.function.oid).map(|operator| operator.name);
            match (operator, &call.args[..]) {
                (Some(name), [a, b]) => format!("({} {name} {})", describe(a, names), describe(b, names)),
                (Some(name), [a]) => format!("({name} {})", describe(a, names)),
                _ => format!("{}({})", call.function.name, list(&call.args, ", ", names)),
            }
        }
        Node::Relabel(arg, _) | Node::IoCast { arg, .. } => describe(arg, names),
        Node::And(args) => format!("({})", list(args, " AND ", names)),
        Node::Or(args) => format!("({})", list(args, " OR ", names)),
        Node::Not(arg) => format!("(NOT {})", describe(arg, names)),
        Node::IsNull { arg, negated } => {
            format!("({} IS {}NULL)", describe(arg, names), if *negated { "NOT " } else { "" })
        }
        Node::Array { elements, .. } => format!("ARRAY[{}]", list(elements, ", ", names)),
        Node::ScalarArray { test, all, args } => {
            let operator = builtin::operator_of(test.function.oid).map_or(test.function.name, |o| o.name);
            let which = if *all { "ALL" } else { "ANY" };
            format!("({} {operator} {which} ({}))", describe(&args[0], names), describe(&args[1], names))
        }
        Node::Coalesce(args) => format!("COALESCE({})", list(args, ", ", names)),
        Node::Case { .. } => "CASE".to_owned(),
        _ => "(...)".to_owned(),
    }
}
