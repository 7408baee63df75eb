//! The order in which the relations of a FROM are joined, each read over the rows of those before it.
//!
//! A table comes next when a key or index of it is given by what is there already, the one with the fewest rows
//! first. What is joined in other ways (left joins, subqueries) waits until its columns are there, and is taken
//! earlier only when without it nothing but a whole table could be read. Each table is tried as the first;
//! the sequence that is expected to read least is planned.

use super::block::{Block, Joined, Other};
use super::needed::Needed;
use super::scan::{SELECTIVITY, Wanted, filter_of};
use super::subquery::existence;
use super::{Hint, Over, Plan, Planned, Planner};
use crate::row_exec::ops::nested_loop::LoopKind;
use crate::row_exec::query::Node;
use crate::row_exec::storage::TableCodec;
use crate::sql::bound::{ColId, Expr, ExprKind, Rel};
use ahash::AHashSet;
use shardforge_types::PgType;
use shardforge_types::key::is_key_type;
use std::sync::Arc;

/// More relations than this in one FROM are the report engine's.
const MAX_RELATIONS: usize = 8;
/// What it is expected to cost to look for rows of something else than a table.
const OTHER_COST: f64 = 2.0;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Table(usize),
    Other(usize),
    /// The rows of an IN's subquery, each once.
    Leading(usize),
}

/// A sequence of steps with what it is expected to read.
struct Sequence {
    steps: Vec<Step>,
    cost: f64,
}

/// A block on its way to a plan.
struct Joining<'b, 'q> {
    block: &'b Block<'q>,
    codecs: Vec<Arc<TableCodec>>,
    made: AHashSet<ColId>,
    hint: &'b Hint,
}

impl Joining<'_, '_> {
    /// Whether all columns of the block that are used are there.
    fn there(&self, uses: &AHashSet<ColId>, bound: &AHashSet<ColId>, own: &[ColId]) -> bool {
        uses.iter().all(|id| !self.made.contains(id) || bound.contains(id) || own.contains(id))
    }

    /// The conditions that can be evaluated with a table's columns, and not before.
    fn conditions_at(&self, table: Option<usize>, bound: &AHashSet<ColId>, done: &[bool]) -> Vec<usize> {
        let own: Vec<ColId> = table.map_or_else(Vec::new, |table| {
            self.block.tables[table].cols.iter().map(|(column, _)| column.id).collect()
        });
        let open = self.block.conditions.iter().enumerate().filter(|(n, condition)| {
            !done[*n] && !condition.volatile && self.there(&condition.columns, bound, &own)
        });
        open.map(|(n, _)| n).collect()
    }

    fn exact(&self) -> bool {
        self.block.tables.len() + self.block.others.len() > 1
    }
}

impl Planner<'_> {
    pub(super) fn block(&mut self, rel: &Rel, needed: &Needed, over: Over<'_>, hint: &Hint) -> Plan {
        let Some(block) = Block::of(rel) else { return Ok(None) };
        if block.tables.len() + block.others.len() > MAX_RELATIONS {
            return Ok(None);
        }
        let Some(codecs) = block.tables.iter().map(|scan| self.codec_of(scan)).collect() else {
            return Ok(None);
        };
        let joining = Joining { made: block.made(), block: &block, codecs, hint };
        let mut needed = needed.clone();
        needed.and(block.used());
        let starts = (0..block.tables.len()).map(Some).chain(block.tables.is_empty().then_some(None));
        let mut best: Option<Sequence> = None;
        for start in starts {
            if let Some(sequence) = self.sequence(&joining, start)
                && best.as_ref().is_none_or(|best| sequence.cost < best.cost)
            {
                best = Some(sequence);
            }
        }
        match best {
            Some(sequence) => self.join_all(&joining, &sequence.steps, &needed, over),
            None => Ok(None),
        }
    }

    /// The steps that begin with a table, as far as that can be.
    fn sequence(&self, joining: &Joining<'_, '_>, start: Option<usize>) -> Option<Sequence> {
        let block = joining.block;
        let mut bound = AHashSet::new();
        let mut done = vec![false; block.conditions.len()];
        let mut tables: Vec<usize> = (0..block.tables.len()).collect();
        let mut others: Vec<usize> = (0..block.others.len()).collect();
        let (mut steps, mut rows, mut cost) = (Vec::new(), 1.0f64, 0.0f64);
        let (mut limited, mut begun) = (true, false);
        while !(tables.is_empty() && others.is_empty()) {
            let ready = |other: &Joined<'_>| joining.there(&other.uses, &bound, &other.makes);
            // What only keeps rows away is asked as soon as it can be; what has one value for all rows first.
            let early = others.iter().copied().find(|n| {
                let other = &block.others[*n];
                match other.what {
                    Other::Exists(_) => (begun || tables.is_empty()) && ready(other),
                    Other::Scalar(_) => !begun && ready(other),
                    Other::Rel(_) | Other::Left { .. } => false,
                }
            });
            if let Some(n) = early {
                others.retain(|other| *other != n);
                bound.extend(&block.others[n].makes);
                cost += rows.max(1.0) * OTHER_COST;
                if matches!(block.others[n].what, Other::Exists(_)) {
                    rows *= 0.5;
                }
                steps.push(Step::Other(n));
                continue;
            }
            let measured = tables.iter().map(|table| {
                let conditions = joining.conditions_at(Some(*table), &bound, &done);
                let parts: Vec<&Expr> = conditions.iter().map(|n| &block.conditions[*n].expr).collect();
                // Columns that are no table's of this block belong to an outer row, which is there.
                let there = |id: ColId| !joining.made.contains(&id) || bound.contains(&id);
                let wanted = match begun {
                    false => Wanted::of(block.tables[*table], joining.hint, joining.exact()),
                    true => Wanted::nothing(),
                };
                let scan = block.tables[*table];
                (*table, self.measure(scan, &joining.codecs[*table], &parts, &there, &wanted))
            });
            let next = match start.filter(|start| tables.contains(start)) {
                Some(start) => measured.into_iter().find(|(table, _)| *table == start),
                None => measured.reduce(|a, b| if b.1.cost < a.1.cost { b } else { a }),
            };
            let waiting = others.iter().copied().find_map(|n| {
                let other = &block.others[n];
                if ready(other) && !matches!(other.what, Other::Exists(_)) {
                    return Some(Step::Other(n));
                }
                let leads = other.leads.as_ref()?;
                joining.there(leads, &bound, &[]).then_some(Step::Leading(n))
            });
            match (next, waiting) {
                (Some((table, measure)), waiting) if waiting.is_none() || !measure.full => {
                    let conditions = joining.conditions_at(Some(table), &bound, &done);
                    conditions.into_iter().for_each(|n| done[n] = true);
                    cost += rows.max(1.0) * measure.cost;
                    rows *= measure.rows;
                    limited &= begun || measure.ordered.is_some();
                    begun = true;
                    tables.retain(|other| *other != table);
                    bound.extend(block.tables[table].cols.iter().map(|(column, _)| column.id));
                    steps.push(Step::Table(table));
                }
                (_, Some(step)) => {
                    let (Step::Other(n) | Step::Leading(n) | Step::Table(n)) = step;
                    let other = &block.others[n];
                    others.retain(|other| *other != n);
                    bound.extend(&other.makes);
                    if step == Step::Leading(n)
                        && let Other::Exists(part) = &other.what
                    {
                        bound.extend(existence(part)?.query.output.iter().map(|column| column.id));
                    }
                    cost += rows.max(1.0) * OTHER_COST;
                    // The order of a table that comes later is not that of the rows.
                    limited &=
                        begun || matches!(other.what, Other::Scalar(_)) || joining.hint.order.is_empty();
                    begun |= !matches!(other.what, Other::Scalar(_));
                    let conditions = joining.conditions_at(None, &bound, &done);
                    conditions.into_iter().for_each(|n| {
                        done[n] = true;
                        rows *= SELECTIVITY;
                    });
                    steps.push(step);
                }
                (Some(_), None) | (None, None) => return None,
            }
        }
        if let Some(limit) = joining.hint.limit.filter(|_| limited) {
            cost *= (limit / rows.max(1.0)).min(1.0);
        }
        Some(Sequence { steps, cost })
    }

    /// Carries out a sequence.
    fn join_all(
        &mut self,
        joining: &Joining<'_, '_>,
        steps: &[Step],
        needed: &Needed,
        over: Over<'_>,
    ) -> Plan {
        let block = joining.block;
        let mut bound = AHashSet::new();
        let mut done = vec![false; block.conditions.len()];
        let mut current = Planned::over(over, Node::OneRow);
        let mut begun = false;
        for step in steps {
            let next = match *step {
                Step::Table(table) => {
                    let conditions = joining.conditions_at(Some(table), &bound, &done);
                    let parts: Vec<&Expr> = conditions.iter().map(|n| &block.conditions[*n].expr).collect();
                    let scan = block.tables[table];
                    let wanted = match begun {
                        false => Wanted::of(scan, joining.hint, joining.exact()),
                        true => Wanted::nothing(),
                    };
                    let codec = joining.codecs[table].clone();
                    let inner = {
                        let over = Over { scope: &current.scope, width: current.width };
                        self.scan(scan, codec, &parts, needed, over, &wanted)?
                    };
                    let Some(inner) = inner else { return Ok(None) };
                    conditions.into_iter().for_each(|n| done[n] = true);
                    bound.extend(scan.cols.iter().map(|(column, _)| column.id));
                    let ordered = if begun { current.ordered } else { inner.ordered && current.single };
                    begun = true;
                    Planned { ordered, ..self.looped(current, inner, LoopKind::Inner) }
                }
                Step::Other(n) => {
                    let other = &block.others[n];
                    let first = !begun && matches!(other.what, Other::Rel(_) | Other::Left { .. });
                    begun |= first;
                    let Some(next) = self.join_other(current, other, needed)? else { return Ok(None) };
                    bound.extend(&other.makes);
                    // An order that is asked for is that of a table.
                    let ordered = if first { joining.hint.order.is_empty() } else { next.ordered };
                    Planned { ordered: ordered || next.single, ..next }
                }
                Step::Leading(n) => {
                    let Other::Exists(part) = &block.others[n].what else { return Ok(None) };
                    let Some(exists) = existence(part) else { return Ok(None) };
                    let output = &exists.query.output;
                    if !output.iter().all(|column| is_key_type(column.ty)) {
                        return Ok(None);
                    }
                    begun = true;
                    let ids = Needed::these(output.iter().map(|column| column.id));
                    let columns: Vec<_> = output.iter().map(|column| (column.id, column.ty)).collect();
                    let inner = {
                        let over = Over { scope: &current.scope, width: current.width };
                        let rel = &exists.query.rel;
                        match self.apart(|planner| planner.relation(rel, &ids, over, &Hint::default()))? {
                            Some(rows) => self.dedupe(rows, &columns, over)?,
                            None => return Ok(None),
                        }
                    };
                    bound.extend(output.iter().map(|column| column.id));
                    let ordered = joining.hint.order.is_empty() || current.single && inner.single;
                    Planned { ordered, ..self.looped(current, inner, LoopKind::Inner) }
                }
            };
            current = next;
            let ready = joining.conditions_at(None, &bound, &done);
            let parts: Vec<&Expr> = ready.iter().map(|n| &block.conditions[*n].expr).collect();
            let filter = filter_of(&parts, &current.scope)?;
            current = current.filter(filter);
            ready.into_iter().for_each(|n| done[n] = true);
        }
        // What changes from one evaluation to the next is asked of whole rows; the test of a subquery that was
        // asked for each row has been.
        let left = block.conditions.iter().enumerate();
        let left = left.filter(|(n, c)| {
            let tested = c.of.is_some_and(|of| !steps.contains(&Step::Leading(of)));
            !done[*n] && !tested
        });
        let left: Vec<&Expr> = left.map(|(_, condition)| &condition.expr).collect();
        let filter = filter_of(&left, &current.scope)?;
        Ok(Some(current.filter(filter)))
    }

    fn join_other(&mut self, current: Planned, other: &Joined<'_>, needed: &Needed) -> Plan {
        let nothing = Hint::default();
        let (inner, kind) = {
            let over = Over { scope: &current.scope, width: current.width };
            match &other.what {
                Other::Rel(rel) => {
                    (self.apart(|planner| planner.relation(rel, needed, over, &nothing))?, LoopKind::Inner)
                }
                Other::Left { right, on: None } => {
                    (self.apart(|planner| planner.relation(right, needed, over, &nothing))?, LoopKind::Left)
                }
                Other::Left { right, on: Some(on) } => {
                    let rel = filtered((*right).clone(), (*on).clone());
                    (self.apart(|planner| planner.relation(&rel, needed, over, &nothing))?, LoopKind::Left)
                }
                Other::Exists(part) => {
                    let Some(exists) = existence(part) else { return Ok(None) };
                    let kind = if exists.anti { LoopKind::Anti } else { LoopKind::Semi };
                    let rel = exists.rows();
                    let none = Needed::these([]);
                    (self.apart(|planner| planner.relation(&rel, &none, over, &nothing))?, kind)
                }
                Other::Scalar(query) => return self.with_scalar(current, query),
            }
        };
        Ok(inner.map(|inner| self.looped(current, inner, kind)))
    }
}

/// The rows of a relation for which a condition holds too.
fn filtered(rel: Rel, condition: Expr) -> Rel {
    match rel {
        Rel::Filter { input, predicate } => {
            let both = ExprKind::And(vec![predicate, condition]);
            Rel::Filter { input, predicate: Expr::new(both, PgType::BOOL) }
        }
        rel => Rel::Filter { input: Box::new(rel), predicate: condition },
    }
}
