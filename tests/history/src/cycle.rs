//! The shortest cycle of a graph, preferring one that needs no real time.

use crate::moments::{Graph, Why};
use std::collections::VecDeque;

/// A cycle: each node with the edge that leaves it for the next.
pub type Cycle = Vec<(usize, Why)>;

/// A shortest cycle; one without [`Why::RealTime`] if there is any.
pub fn shortest(graph: &Graph) -> Option<Cycle> {
    let data = |why: &Why| !matches!(why, Why::RealTime);
    shortest_of(graph, data).or_else(|| shortest_of(graph, |_| true))
}

fn shortest_of(graph: &Graph, allowed: impl Fn(&Why) -> bool + Copy) -> Option<Cycle> {
    let component = components(graph, allowed);
    let mut best: Option<Cycle> = None;
    for start in 0..graph.edges.len() {
        if component[start].is_none() {
            continue;
        }
        let limit = best.as_ref().map_or(usize::MAX, Vec::len);
        if let Some(cycle) = around(graph, start, &component, allowed, limit) {
            best = Some(cycle);
        }
    }
    best
}

/// The shortest way from a node back to itself within its component, if it is below a limit.
fn around(
    graph: &Graph,
    start: usize,
    component: &[Option<usize>],
    allowed: impl Fn(&Why) -> bool,
    limit: usize,
) -> Option<Cycle> {
    let mut from: std::collections::HashMap<usize, (usize, Why, usize)> = std::collections::HashMap::new();
    let mut next = VecDeque::from([(start, 0)]);
    while let Some((node, depth)) = next.pop_front() {
        if depth + 1 >= limit {
            return None;
        }
        for (to, why) in graph.edges[node].iter().filter(|(_, why)| allowed(why)) {
            if *to == start {
                let mut cycle = vec![(node, *why)];
                let mut at = node;
                while at != start {
                    let (previous, why, _) = from[&at];
                    cycle.push((previous, why));
                    at = previous;
                }
                cycle.reverse();
                return Some(cycle);
            }
            if component[*to] == component[start] && !from.contains_key(to) {
                from.insert(*to, (node, *why, depth + 1));
                next.push_back((*to, depth + 1));
            }
        }
    }
    None
}

/// For each node on a cycle the number of its strongly connected component (Tarjan, without recursion).
fn components(graph: &Graph, allowed: impl Fn(&Why) -> bool) -> Vec<Option<usize>> {
    const UNSEEN: usize = usize::MAX;
    let count = graph.edges.len();
    let (mut index, mut low) = (vec![UNSEEN; count], vec![0; count]);
    let (mut on_stack, mut stack) = (vec![false; count], Vec::new());
    let mut component = vec![None; count];
    let (mut clock, mut components) = (0, 0);
    for root in 0..count {
        if index[root] != UNSEEN {
            continue;
        }
        let mut work = vec![(root, 0)];
        while let Some((node, edge)) = work.pop() {
            if edge == 0 && index[node] == UNSEEN {
                (index[node], low[node]) = (clock, clock);
                clock += 1;
                stack.push(node);
                on_stack[node] = true;
            }
            if let Some((to, why)) = graph.edges[node].get(edge) {
                work.push((node, edge + 1));
                if allowed(why) {
                    if index[*to] == UNSEEN {
                        work.push((*to, 0));
                    } else if on_stack[*to] {
                        low[node] = low[node].min(index[*to]);
                    }
                }
                continue;
            }
            if low[node] == index[node] {
                let at = stack.iter().rposition(|member| *member == node).expect("it is on the stack");
                let members = stack.split_off(at);
                for member in &members {
                    on_stack[*member] = false;
                    component[*member] = (members.len() > 1).then_some(components);
                }
                components += 1;
            }
            if let Some((parent, _)) = work.last() {
                low[*parent] = low[*parent].min(low[node]);
            }
        }
    }
    component
}
