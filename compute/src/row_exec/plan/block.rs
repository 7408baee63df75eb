//! A FROM with its WHERE, taken apart: the tables that are joined, what else is joined to them, and the
//! conditions, each of which holds as soon as its columns are there.

use super::needed::{add_columns, add_columns_of};
use super::subquery::{existence, hoist};
use crate::row_exec::access::conjuncts;
use crate::row_exec::expr::has_subquery;
use crate::sql::bound::{ColId, Expr, ExprKind, JoinKind, Query, Rel, TableScan};
use ahash::AHashSet;

/// What is joined beside tables.
pub(super) enum Other<'q> {
    /// Any relation, by an inner join.
    Rel(&'q Rel),
    /// The right side of a left join.
    Left { right: &'q Rel, on: Option<&'q Expr> },
    /// A condition about the existence of rows.
    Exists(Expr),
    /// A scalar subquery of a condition.
    Scalar(Query),
}

/// Something that is joined, with the columns that it needs and those that it makes.
pub(super) struct Joined<'q> {
    pub(super) what: Other<'q>,
    pub(super) uses: AHashSet<ColId>,
    pub(super) makes: Vec<ColId>,
    /// For `x IN (query)`, where the query does not use the rows of this FROM: its own rows can come first,
    /// each once. Columns that the query itself uses.
    pub(super) leads: Option<AHashSet<ColId>>,
}

/// A condition without subqueries.
pub(super) struct Condition {
    pub(super) expr: Expr,
    pub(super) columns: AHashSet<ColId>,
    /// It is evaluated once for each row of the result.
    pub(super) volatile: bool,
    /// The test of this [`Joined`], which counts only when its rows come first.
    pub(super) of: Option<usize>,
}

/// A FROM with its WHERE.
#[derive(Default)]
pub(super) struct Block<'q> {
    pub(super) tables: Vec<&'q TableScan>,
    pub(super) others: Vec<Joined<'q>>,
    pub(super) conditions: Vec<Condition>,
}

fn columns_of(expr: &Expr) -> AHashSet<ColId> {
    let mut columns = AHashSet::new();
    add_columns(expr, &mut columns);
    columns
}

fn condition(expr: Expr, of: Option<usize>) -> Condition {
    let volatile = expr.any(&mut |e| match &e.kind {
        ExprKind::Call { func, .. } => crate::functions::is_volatile(*func),
        _ => false,
    });
    Condition { columns: columns_of(&expr), volatile, expr, of }
}

impl<'q> Block<'q> {
    /// Takes a relation apart; `None` when something in it has no place here.
    pub(super) fn of(rel: &'q Rel) -> Option<Self> {
        let mut block = Block::default();
        block.add(rel)?;
        Some(block)
    }

    fn add(&mut self, rel: &'q Rel) -> Option<()> {
        match rel {
            Rel::OneRow => {}
            Rel::Table(scan) => self.tables.push(scan),
            Rel::Filter { input, predicate } => {
                self.add(input)?;
                self.add_conditions(predicate)?;
            }
            Rel::Join(join) => match join.kind {
                JoinKind::Inner => {
                    self.add(&join.left)?;
                    self.add(&join.right)?;
                    if let Some(on) = &join.on {
                        self.add_conditions(on)?;
                    }
                }
                JoinKind::Left => {
                    self.add(&join.left)?;
                    self.add_left(&join.right, join.on.as_ref());
                }
                JoinKind::Right if !join.lateral => {
                    self.add(&join.right)?;
                    self.add_left(&join.left, join.on.as_ref());
                }
                JoinKind::Right | JoinKind::Full => return None,
            },
            Rel::Lock { .. } | Rel::With { .. } | Rel::CteRef { .. } | Rel::SetOp(_) => return None,
            rel => {
                let mut uses = AHashSet::new();
                add_columns_of(rel, &mut uses);
                self.push(Other::Rel(rel), uses, ids(rel));
            }
        }
        Some(())
    }

    fn add_left(&mut self, right: &'q Rel, on: Option<&'q Expr>) {
        let mut uses = AHashSet::new();
        add_columns_of(right, &mut uses);
        on.iter().for_each(|on| add_columns(on, &mut uses));
        self.push(Other::Left { right, on }, uses, ids(right));
    }

    fn push(&mut self, what: Other<'q>, uses: AHashSet<ColId>, makes: Vec<ColId>) {
        self.others.push(Joined { what, uses, makes, leads: None });
    }

    fn add_conditions(&mut self, predicate: &Expr) -> Option<()> {
        for part in conjuncts(Some(predicate)) {
            if !has_subquery(part) {
                self.conditions.push(condition(part.clone(), None));
            } else if let Some(exists) = existence(part) {
                let mut inside = AHashSet::new();
                add_columns_of(&exists.query.rel, &mut inside);
                let test = exists.test.cloned();
                // Its own output, which the test is about, is not an outer column.
                let mut uses = columns_of(part);
                exists.query.output.iter().for_each(|column| {
                    uses.remove(&column.id);
                });
                self.push(Other::Exists(part.clone()), uses, Vec::new());
                if let Some(test) = test {
                    let at = self.others.len() - 1;
                    self.others[at].leads = Some(inside);
                    self.conditions.push(condition(test, Some(at)));
                }
            } else {
                let (part, queries) = hoist(part)?;
                for query in queries {
                    let mut uses = AHashSet::new();
                    add_columns_of(&query.rel, &mut uses);
                    let makes = query.output.first().map(|column| column.id).into_iter().collect();
                    self.push(Other::Scalar(query), uses, makes);
                }
                self.conditions.push(condition(part, None));
            }
        }
        Some(())
    }

    /// All columns that its own relations make.
    pub(super) fn made(&self) -> AHashSet<ColId> {
        let tables = self.tables.iter().flat_map(|scan| scan.cols.iter().map(|(column, _)| column.id));
        let others = self.others.iter().flat_map(|other| other.makes.iter().copied());
        let leading = self.others.iter().filter(|other| other.leads.is_some());
        let leading = leading.filter_map(|other| match &other.what {
            Other::Exists(part) => existence(part),
            _ => None,
        });
        let outputs = leading.flat_map(|exists| exists.query.output.iter().map(|column| column.id));
        tables.chain(others).chain(outputs.collect::<Vec<_>>()).collect()
    }

    /// All columns that its conditions and relations use.
    pub(super) fn used(&self) -> AHashSet<ColId> {
        let conditions = self.conditions.iter().flat_map(|condition| &condition.columns);
        conditions.chain(self.others.iter().flat_map(|other| &other.uses)).copied().collect()
    }
}

fn ids(rel: &Rel) -> Vec<ColId> {
    rel.columns().iter().map(|column| column.id).collect()
}
