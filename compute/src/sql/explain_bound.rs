//! A bound statement as an indented text, for tests and for looking at: one relation a line, columns
//! as `#n:name`, functions by name with their arguments' types where a name has several meanings.

use super::bound::{
    AggregateCall, BoolTest, Bound, BoundStatement, ColDef, CopyWhat, Cte, Expr, ExprKind, Query, Rel,
    Returning, SortKey, SubqueryKind, TableScan,
};
use crate::catalog::builtin;
use shardforge_types::{Oid, PgType, Settings, text};
use std::fmt::Write;

/// The statement as text, its parameters first.
pub fn explain_bound(bound: &Bound) -> String {
    let mut out = Printer { out: String::new(), depth: 0 };
    if !bound.params.is_empty() {
        let params: Vec<String> = bound.params.iter().map(PgType::to_string).collect();
        out.line(format!("params: {}", params.join(", ")));
    }
    out.statement(&bound.statement);
    out.out
}

/// An expression as text.
pub fn explain_expr(expr: &Expr) -> String {
    Printer { out: String::new(), depth: 0 }.expr(expr)
}

struct Printer {
    out: String,
    depth: usize,
}

fn proc_name(func: Oid) -> String {
    builtin::proc(func).map_or_else(|| format!("function {func}"), |proc| proc.name.to_owned())
}

fn col(col: &ColDef) -> String {
    format!("#{}:{} {}", col.id.0, col.name, col.ty)
}

fn cols(list: &[ColDef]) -> String {
    list.iter().map(col).collect::<Vec<_>>().join(", ")
}

impl Printer {
    fn line(&mut self, text: impl AsRef<str>) {
        let indent = "  ".repeat(self.depth);
        let _ = writeln!(self.out, "{indent}{}", text.as_ref());
    }

    fn inside(&mut self, f: impl FnOnce(&mut Self)) {
        self.depth += 1;
        f(self);
        self.depth -= 1;
    }

    fn statement(&mut self, statement: &BoundStatement) {
        match statement {
            BoundStatement::Query(query) => self.query("query", query),
            BoundStatement::Insert(insert) => {
                self.line(format!("insert {} columns {:?}", insert.table.name, insert.columns));
                self.inside(|p| p.query("source", &insert.source));
                if let Some(conflict) = &insert.on_conflict {
                    self.line(format!("on conflict {:?}", conflict.index.map(|oid| oid.0)));
                    if let Some(update) = &conflict.update {
                        self.scan_cols("existing", &update.existing);
                        self.scan_cols("excluded", &update.excluded);
                        self.assignments(&update.assignments, update.predicate.as_ref());
                    }
                }
                self.returning(insert.returning.as_ref());
            }
            BoundStatement::Update(update) => {
                self.line(format!("update {} as {}", update.table.name, update.alias));
                self.scan_cols("cols", &update.cols);
                self.ctes(&update.ctes);
                if let Some(from) = &update.from {
                    self.inside(|p| p.rel(from));
                }
                self.assignments(&update.assignments, update.predicate.as_ref());
                self.returning(update.returning.as_ref());
            }
            BoundStatement::Delete(delete) => {
                self.line(format!("delete {} as {}", delete.table.name, delete.alias));
                self.scan_cols("cols", &delete.cols);
                self.ctes(&delete.ctes);
                if let Some(using) = &delete.using {
                    self.inside(|p| p.rel(using));
                }
                self.assignments(&[], delete.predicate.as_ref());
                self.returning(delete.returning.as_ref());
            }
            BoundStatement::Copy(copy) => {
                match &copy.what {
                    CopyWhat::From { table, columns, defaults, predicate, .. } => {
                        self.line(format!("copy {} from stdin columns {columns:?}", table.name));
                        self.assignments(defaults, predicate.as_ref());
                    }
                    CopyWhat::To(query) => self.query("copy to stdout", query),
                }
                self.line(format!("{:?}", copy.format));
            }
            BoundStatement::Explain(explain) => {
                self.line(format!(
                    "explain analyze={} verbose={} costs={}",
                    explain.analyze, explain.verbose, explain.costs
                ));
                self.inside(|p| p.statement(&explain.statement));
            }
            BoundStatement::LockTable { tables, mode, nowait } => {
                let names: Vec<&str> = tables.iter().map(|table| table.name.as_str()).collect();
                self.line(format!("lock {} in {mode} nowait={nowait}", names.join(", ")));
            }
            BoundStatement::Ddl(ddl) => self.ddl(ddl),
            other => self.line(format!("{other:?}")),
        }
    }

    fn ddl(&mut self, ddl: &super::bound::Ddl) {
        use super::bound::Ddl;
        let names = |tables: &[std::sync::Arc<crate::catalog::TableDef>]| {
            tables.iter().map(|table| table.name.clone()).collect::<Vec<_>>().join(", ")
        };
        match ddl {
            Ddl::CreateTableAs { table, query, no_data } => {
                self.line(format!("create {table:?} no_data={no_data}"));
                self.inside(|p| p.query("as", query));
            }
            Ddl::DropTable { tables, missing, cascade } => {
                self.line(format!("drop table {} missing {missing:?} cascade={cascade}", names(tables)));
            }
            Ddl::Truncate { tables, restart_identity, cascade } => {
                self.line(format!("truncate {} restart={restart_identity} cascade={cascade}", names(tables)));
            }
            Ddl::Analyze { tag, tables } => self.line(format!("{tag} with statistics of {}", names(tables))),
            Ddl::AlterTable { table, actions } => {
                self.line(format!("alter table {} {actions:?}", table.name))
            }
            Ddl::CreateIndex(index) => {
                let keys: Vec<String> = index
                    .keys
                    .iter()
                    .map(|key| format!("@{} desc={} nulls_first={}", key.column, key.desc, key.nulls_first))
                    .collect();
                self.line(format!(
                    "create index {:?} on {} ({}) unique={} nulls_not_distinct={} if_not_exists={} concurrently={} {:?}",
                    index.name,
                    index.table.name,
                    keys.join(", "),
                    index.unique,
                    index.nulls_not_distinct,
                    index.if_not_exists,
                    index.concurrently,
                    index.notices
                ));
            }
            other => self.line(format!("{other:?}")),
        }
    }

    fn ctes(&mut self, ctes: &[Cte]) {
        for cte in ctes {
            self.inside(|p| {
                p.query(&format!("cte {} {}", cte.id.0, cte.name), &cte.query);
                if let Some((query, all)) = &cte.recursive {
                    p.query(if *all { "then, all" } else { "then, distinct" }, query);
                }
            });
        }
    }

    fn scan_cols(&mut self, label: &str, list: &[(ColDef, usize)]) {
        let list: Vec<String> = list.iter().map(|(def, at)| format!("{}@{at}", col(def))).collect();
        self.inside(|p| p.line(format!("{label}: {}", list.join(", "))));
    }

    fn assignments(&mut self, list: &[(usize, Expr)], predicate: Option<&Expr>) {
        for (at, expr) in list {
            let text = self.expr(expr);
            self.inside(|p| p.line(format!("set @{at} = {text}")));
        }
        if let Some(predicate) = predicate {
            let text = self.expr(predicate);
            self.inside(|p| p.line(format!("where {text}")));
        }
    }

    fn returning(&mut self, returning: Option<&Returning>) {
        let Some(returning) = returning else { return };
        self.scan_cols("returning", &returning.cols);
        for ((id, expr), column) in returning.exprs.iter().zip(&returning.output) {
            let text = self.expr(expr);
            self.inside(|p| p.line(format!("#{}:{} {} = {text}", id.0, column.name, column.ty)));
        }
    }

    fn query(&mut self, label: &str, query: &Query) {
        let output: Vec<String> = query
            .output
            .iter()
            .map(|column| format!("#{}:{} {}", column.id.0, column.name, column.ty))
            .collect();
        self.line(format!("{label} ({})", output.join(", ")));
        self.inside(|p| p.rel(&query.rel));
    }

    fn scan(&mut self, scan: &TableScan) {
        let list: Vec<String> = scan.cols.iter().map(|(def, at)| format!("{}@{at}", col(def))).collect();
        self.line(format!(
            "table {}.{} as {} [{}]",
            scan.table.schema_name,
            scan.table.name,
            scan.alias,
            list.join(", ")
        ));
    }

    fn keys(&mut self, keys: &[SortKey]) -> String {
        let key = |key: &SortKey| {
            let direction = if key.desc { " desc" } else { "" };
            let nulls = if key.nulls_first == key.desc {
                ""
            } else if key.nulls_first {
                " nulls first"
            } else {
                " nulls last"
            };
            format!("{}{direction}{nulls}", self.expr(&key.expr))
        };
        keys.iter().map(key).collect::<Vec<_>>().join(", ")
    }

    fn exprs(&mut self, list: &[Expr]) -> String {
        list.iter().map(|expr| self.expr(expr)).collect::<Vec<_>>().join(", ")
    }

    fn aggregate(&mut self, call: &AggregateCall) -> String {
        let mut text = format!("{}({}", proc_name(call.func), if call.distinct { "distinct " } else { "" });
        text += &self.exprs(&call.args);
        if !call.order_by.is_empty() {
            text += &format!(" order by {}", self.keys(&call.order_by));
        }
        text.push(')');
        if let Some(filter) = &call.filter {
            text += &format!(" filter {}", self.expr(filter));
        }
        text
    }

    fn rel(&mut self, rel: &Rel) {
        match rel {
            Rel::OneRow => self.line("one row"),
            Rel::Values { cols: defs, rows } => {
                self.line(format!("values [{}]", cols(defs)));
                for row in rows {
                    let text = self.exprs(row);
                    self.inside(|p| p.line(format!("({text})")));
                }
            }
            Rel::Table(scan) => self.scan(scan),
            Rel::Function(scan) => {
                let calls: Vec<String> = scan
                    .calls
                    .iter()
                    .map(|call| {
                        format!("{}({}) [{}]", proc_name(call.func), self.exprs(&call.args), cols(&call.cols))
                    })
                    .collect();
                let ordinality =
                    scan.ordinality.as_ref().map_or(String::new(), |def| format!(" ordinality {}", col(def)));
                self.line(format!("function {}{ordinality}", calls.join(", ")));
            }
            Rel::Filter { input, predicate } => {
                let text = self.expr(predicate);
                self.line(format!("filter {text}"));
                self.inside(|p| p.rel(input));
            }
            Rel::Project { input, exprs } => {
                self.line("project");
                for (def, expr) in exprs {
                    let text = self.expr(expr);
                    self.inside(|p| p.line(format!("{} = {text}", col(def))));
                }
                self.inside(|p| p.rel(input));
            }
            Rel::Join(join) => {
                let lateral = if join.lateral { " lateral" } else { "" };
                let on = join.on.as_ref().map_or(String::new(), |on| format!(" on {}", self.expr(on)));
                self.line(format!("join {:?}{lateral}{on}", join.kind).to_lowercase());
                self.inside(|p| {
                    p.rel(&join.left);
                    p.rel(&join.right);
                });
            }
            Rel::Aggregate(aggregate) => {
                self.line("aggregate");
                for (def, expr) in &aggregate.groups {
                    let text = self.expr(expr);
                    self.inside(|p| p.line(format!("group {} = {text}", col(def))));
                }
                for (def, call) in &aggregate.calls {
                    let text = self.aggregate(call);
                    self.inside(|p| p.line(format!("{} = {text}", col(def))));
                }
                self.inside(|p| p.rel(&aggregate.input));
            }
            Rel::Window(window) => {
                let partition = self.exprs(&window.partition_by);
                let order = self.keys(&window.order_by);
                self.line(format!("window partition by ({partition}) order by ({order})"));
                for (def, call) in &window.calls {
                    let args = self.exprs(&call.args);
                    self.inside(|p| p.line(format!("{} = {}({args})", col(def), proc_name(call.func))));
                }
                self.inside(|p| p.rel(&window.input));
            }
            Rel::Distinct(input) => {
                self.line("distinct");
                self.inside(|p| p.rel(input));
            }
            Rel::DistinctOn { input, keys } => {
                let keys = self.exprs(keys);
                self.line(format!("distinct on {keys}"));
                self.inside(|p| p.rel(input));
            }
            Rel::SetOp(op) => {
                let all = if op.all { " all" } else { "" };
                self.line(format!("{}{all} [{}]", format!("{:?}", op.kind).to_lowercase(), cols(&op.cols)));
                self.inside(|p| {
                    p.query("left", &op.left);
                    p.query("right", &op.right);
                });
            }
            Rel::Sort { input, keys } => {
                let keys = self.keys(keys);
                self.line(format!("sort {keys}"));
                self.inside(|p| p.rel(input));
            }
            Rel::Limit { input, limit, offset } => {
                let limit = limit.as_ref().map_or("all".to_owned(), |expr| self.expr(expr));
                let offset = offset.as_ref().map_or("0".to_owned(), |expr| self.expr(expr));
                self.line(format!("limit {limit} offset {offset}"));
                self.inside(|p| p.rel(input));
            }
            Rel::With { ctes, body } => {
                self.line("with");
                self.ctes(ctes);
                self.inside(|p| p.rel(body));
            }
            Rel::CteRef { cte, cols: defs } => self.line(format!("cte {} [{}]", cte.0, cols(defs))),
            Rel::Lock { input, clauses } => {
                let clauses: Vec<String> = clauses
                    .iter()
                    .map(|lock| format!("{} {:?} {:?}", lock.alias, lock.strength, lock.wait))
                    .collect();
                self.line(format!("lock {}", clauses.join(", ")));
                self.inside(|p| p.rel(input));
            }
        }
    }

    fn expr(&mut self, expr: &Expr) -> String {
        let ty = expr.ty;
        match &expr.kind {
            ExprKind::Const(value) => match text::output_string(value, ty, &Settings::default()) {
                Some(text) => format!("'{text}'::{ty}"),
                None => format!("null::{ty}"),
            },
            ExprKind::Param(index) => format!("${}::{ty}", index + 1),
            ExprKind::Col(id) => format!("#{}", id.0),
            ExprKind::Call { func, args } => format!("{}({})::{ty}", proc_name(*func), self.exprs(args)),
            ExprKind::Relabel(arg) => format!("relabel({})::{ty}", self.expr(arg)),
            ExprKind::IoCast(arg) => format!("io({})::{ty}", self.expr(arg)),
            ExprKind::ArrayCast { arg, element } => {
                format!("each({}, {})::{ty}", self.expr(arg), self.expr(element))
            }
            ExprKind::Element => "element".to_owned(),
            ExprKind::And(args) => format!("and({})", self.exprs(args)),
            ExprKind::Or(args) => format!("or({})", self.exprs(args)),
            ExprKind::Not(arg) => format!("not({})", self.expr(arg)),
            ExprKind::IsNull { arg, negated } => {
                format!("{}({})", if *negated { "is_not_null" } else { "is_null" }, self.expr(arg))
            }
            ExprKind::BoolTest { arg, test } => {
                let test = match test {
                    BoolTest::True => "is_true",
                    BoolTest::NotTrue => "is_not_true",
                    BoolTest::False => "is_false",
                    BoolTest::NotFalse => "is_not_false",
                    BoolTest::Unknown => "is_unknown",
                    BoolTest::NotUnknown => "is_not_unknown",
                };
                format!("{test}({})", self.expr(arg))
            }
            ExprKind::Distinct { eq, args, negated } => {
                let name = if *negated { "not_distinct" } else { "distinct" };
                format!("{name}[{}]({})", proc_name(*eq), self.exprs(&args[..]))
            }
            ExprKind::NullIf { eq, args } => {
                format!("nullif[{}]({})", proc_name(*eq), self.exprs(&args[1..]))
            }
            ExprKind::Case { operand, arms, otherwise } => {
                let mut out = "case".to_owned();
                if let Some(operand) = operand {
                    out += &format!(" {}", self.expr(operand));
                }
                for arm in arms {
                    out += &format!(" when {} then {}", self.expr(&arm.when), self.expr(&arm.then));
                }
                if let Some(otherwise) = otherwise {
                    out += &format!(" else {}", self.expr(otherwise));
                }
                format!("({out})::{ty}")
            }
            ExprKind::CaseOperand => "operand".to_owned(),
            ExprKind::Coalesce(args) => format!("coalesce({})::{ty}", self.exprs(args)),
            ExprKind::MinMax { greatest, args } => {
                format!("{}({})::{ty}", if *greatest { "greatest" } else { "least" }, self.exprs(args))
            }
            ExprKind::Array { elements, .. } => format!("array[{}]::{ty}", self.exprs(elements)),
            ExprKind::Subscript { array, indexes } => {
                format!("{}[{}]", self.expr(array), self.exprs(indexes))
            }
            ExprKind::Slice { array, bounds } => {
                let bound = |p: &mut Self, expr: &Option<Expr>| {
                    expr.as_ref().map_or(String::new(), |expr| p.expr(expr))
                };
                let list: Vec<String> = bounds
                    .iter()
                    .map(|(low, high)| format!("{}:{}", bound(self, low), bound(self, high)))
                    .collect();
                format!("{}[{}]", self.expr(array), list.join(", "))
            }
            ExprKind::ScalarArray { func, all, args } => {
                let name = if *all { "all" } else { "any" };
                format!("{name}[{}]({})", proc_name(*func), self.exprs(&args[..]))
            }
            ExprKind::Row(fields) => format!("row({})", self.exprs(fields)),
            ExprKind::Field { arg, index } => format!("{}.{index}", self.expr(arg)),
            ExprKind::Subquery { kind, query } => {
                let (name, test) = match kind {
                    SubqueryKind::Exists => ("exists", None),
                    SubqueryKind::Scalar => ("scalar", None),
                    SubqueryKind::Any { test } => ("any", Some(test)),
                    SubqueryKind::All { test } => ("all", Some(test)),
                    SubqueryKind::Array => ("array", None),
                };
                let test = test.map_or(String::new(), |test| format!(" {}", self.expr(test)));
                let mut inner = Printer { out: String::new(), depth: self.depth + 2 };
                inner.query("query", query);
                format!("{name}{test} (\n{}{})", inner.out, "  ".repeat(self.depth + 1))
            }
            ExprKind::SessionValue(name) => (*name).to_owned(),
        }
    }
}
