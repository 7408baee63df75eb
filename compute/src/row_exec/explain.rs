//! EXPLAIN, in PostgreSQL's words.

use super::ops::nested_loop::LoopKind;
use super::ops::scan::ScanPlan;
use super::ops::sort::SortColumn;
use super::query::Node;
use super::statement::{PlanKind, RowPlan};
use super::storage::ROW_ID;
use super::write::update::Target;

/// The lines so far.
#[derive(Default)]
struct Lines {
    lines: Vec<String>,
    /// Whether columns need their table's name.
    qualify: bool,
}

impl RowPlan {
    /// The plan, a line each, for EXPLAIN.
    pub fn explain(&self) -> Vec<String> {
        let mut out = Lines::default();
        match &self.kind {
            PlanKind::Query(node) => {
                out.qualify = node.has_loop();
                out.node(node, 0, &[]);
            }
            PlanKind::Insert(plan) => {
                out.line(0, format!("Insert on {}", plan.codec.table().name));
                out.qualify = plan.source.has_loop();
                out.node(&plan.source, 1, &[]);
            }
            PlanKind::Update(plan) => {
                out.line(0, format!("Update on {}", plan.change.codec.table().name));
                out.target(&plan.target);
            }
            PlanKind::Delete(plan) => {
                out.line(0, format!("Delete on {}", plan.codec.table().name));
                out.target(&plan.target);
            }
        }
        for init in &self.init {
            out.lines.push(format!("  InitPlan (returns ${})", init.number()));
            out.lines.extend(init.plan.explain().into_iter().map(|line| format!("    ->  {line}")));
        }
        out.lines
    }
}

impl Lines {
    fn line(&mut self, depth: usize, text: String) {
        let arrow = if depth > 0 { format!("{}->  ", " ".repeat(depth * 6 - 4)) } else { String::new() };
        self.lines.push(format!("{arrow}{text}"));
    }

    fn detail(&mut self, depth: usize, what: &str, text: &str) {
        self.lines.push(format!("{}{what}: {text}", " ".repeat(depth * 6 + 2)));
    }

    fn target(&mut self, target: &Target) {
        match target {
            Target::Scan(scan) => {
                self.scan(scan, 1, &[]);
            }
            Target::Fed(_) => self.line(1, "Rows of a report".to_owned()),
        }
    }

    /// Adds the lines of a scan, and gives the names of its rows' columns. `outer` are those before them.
    fn scan(&mut self, plan: &ScanPlan, depth: usize, outer: &[String]) -> Vec<String> {
        let table = plan.codec.table();
        let own = |position: usize| match table.columns.get(position) {
            Some(column) if self.qualify => format!("{}.{}", plan.alias, column.name),
            Some(column) => column.name.clone(),
            None => "row id".to_owned(),
        };
        let mut names = outer.to_vec();
        if plan.in_place {
            names.extend((0..table.columns.len()).map(own));
        } else {
            names.extend(plan.columns.iter().map(|position| own(*position)));
        }
        if plan.with_key {
            names.push("key".to_owned());
        }
        let of = if plan.alias == table.name {
            table.name.clone()
        } else {
            format!("{} {}", table.name, plan.alias)
        };
        let index = match plan.access.index {
            Some(index) => table.indexes.get(index).map(|index| index.name.as_str()),
            None => table.primary_key.as_ref().map(|index| index.name.as_str()),
        };
        let whole = plan.access.is_whole_table() && !plan.ordered && !plan.reverse;
        let text = match index {
            Some(index) if !whole => {
                let backward = if plan.reverse { " Backward" } else { "" };
                format!("Index Scan{backward} using {index} on {of}")
            }
            _ => format!("Seq Scan{} on {of}", if plan.reverse { " Backward" } else { "" }),
        };
        let conditions = plan.access.conditions(
            &|position| if position == ROW_ID { "row id".to_owned() } else { own(position) },
            outer,
        );
        self.line(depth, text);
        match &conditions[..] {
            [] => {}
            [one] => self.detail(depth, "Index Cond", &format!("({one})")),
            all => {
                let all: Vec<String> = all.iter().map(|one| format!("({one})")).collect();
                self.detail(depth, "Index Cond", &format!("({})", all.join(" AND ")));
            }
        }
        if let Some(filter) = &plan.filter {
            self.detail(depth, "Filter", &filter.describe(&names));
        }
        names
    }

    /// Adds the lines of an operator, and gives the names of its rows' columns.
    fn node(&mut self, node: &Node, depth: usize, outer: &[String]) -> Vec<String> {
        match node {
            Node::OneRow => {
                self.line(depth, "Result".to_owned());
                outer.to_vec()
            }
            Node::Values(rows) => {
                self.line(depth, "Values Scan".to_owned());
                let width = rows.first().map_or(0, Vec::len);
                outer.iter().cloned().chain((1..=width).map(|n| format!("column{n}"))).collect()
            }
            Node::Fed => {
                self.line(depth, "Rows of a report".to_owned());
                outer.to_vec()
            }
            Node::Scan(plan) => self.scan(plan, depth, outer),
            Node::Function(_) => {
                self.line(depth, "Function Scan".to_owned());
                outer.to_vec()
            }
            // A projection is no line of its own, as in PostgreSQL.
            Node::Project(input, exprs) => {
                let names = self.node(input, depth, outer);
                exprs.iter().map(|expr| expr.describe(&names)).collect()
            }
            Node::Filter(input, predicate) => {
                self.line(depth, "Result".to_owned());
                let at = self.lines.len();
                let names = self.node(input, depth + 1, outer);
                let text = format!("{}Filter: {}", " ".repeat(depth * 6 + 2), predicate.describe(&names));
                self.lines.insert(at, text);
                names
            }
            Node::Sort(input, keys) => {
                self.line(depth, "Sort".to_owned());
                let at = self.lines.len();
                let names = self.node(input, depth + 1, outer);
                let keys: Vec<String> = keys.iter().map(|key| sort_key(key, &names)).collect();
                let text = format!("{}Sort Key: {}", " ".repeat(depth * 6 + 2), keys.join(", "));
                self.lines.insert(at, text);
                names
            }
            Node::Limit(input, _) => {
                self.line(depth, "Limit".to_owned());
                self.node(input, depth + 1, outer)
            }
            Node::Aggregate(input, plan) => {
                self.line(
                    depth,
                    if plan.groups.is_empty() { "Aggregate" } else { "HashAggregate" }.to_owned(),
                );
                let names = self.node(input, depth + 1, outer);
                let groups = plan.groups.iter().map(|group| group.describe(&names));
                let calls = plan.calls.iter().map(|call| {
                    let args: Vec<String> = call.args.iter().map(|arg| arg.describe(&names)).collect();
                    format!(
                        "{}({})",
                        call.function.name,
                        if args.is_empty() { "*".to_owned() } else { args.join(", ") }
                    )
                });
                outer.iter().cloned().chain(groups).chain(calls).collect()
            }
            Node::NestedLoop(plan) => {
                let kind = match plan.kind {
                    LoopKind::Inner => "Nested Loop",
                    LoopKind::Left | LoopKind::Single => "Nested Loop Left Join",
                    LoopKind::Semi => "Nested Loop Semi Join",
                    LoopKind::Anti => "Nested Loop Anti Join",
                };
                self.line(depth, kind.to_owned());
                let names = self.node(&plan.outer, depth + 1, outer);
                let inner = self.node(&plan.inner, depth + 1, &names);
                if matches!(plan.kind, LoopKind::Semi | LoopKind::Anti) { names } else { inner }
            }
            Node::DistinctOn(input, _) => {
                self.line(depth, "Unique".to_owned());
                self.node(input, depth + 1, outer)
            }
            Node::Lock(input, _) => {
                self.line(depth, "LockRows".to_owned());
                self.node(input, depth + 1, outer)
            }
        }
    }
}

fn sort_key(key: &SortColumn, names: &[String]) -> String {
    let mut text = key.value.describe(names);
    if key.desc {
        text.push_str(" DESC");
    }
    if key.nulls_first != key.desc {
        text.push_str(if key.nulls_first { " NULLS FIRST" } else { " NULLS LAST" });
    }
    text
}
