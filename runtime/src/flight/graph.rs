//! Which flight depends on which, over all caches of the process: keeps callers from waiting in a circle.
//!
//! A caller works for a flight while it runs or polls its body; bodies nest, so a caller may work for
//! several. What it waits for then, all of those wait for. A caller that works for no flight can close no
//! circle and never comes here.
//!
//! A task is recognised by the flights set around each poll, wherever it is polled. What a body hands to
//! another thread or task is not seen.

use std::cell::RefCell;
use std::collections::HashMap;

use smallvec::SmallVec;

use crate::sync::Mutex;

/// A flight's table, by address, and its number there; unique while it is in the air.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FlightId {
    table: usize,
    number: u64,
}

impl FlightId {
    pub(super) fn new<T>(table: &T, number: u64) -> Self {
        Self { table: std::ptr::from_ref(table).addr(), number }
    }
}

/// The flights a caller works for, outermost first.
pub(super) type Held = SmallVec<[FlightId; 4]>;

/// Says, while it lives, that the current thread works for a flight.
#[must_use]
pub(crate) struct Working(FlightId);

impl Working {
    pub(crate) fn on(flight: FlightId) -> Self {
        with_held(|held| held.push(flight));
        Self(flight)
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        with_held(|held| {
            // What began last nearly always ends first.
            if held.last() == Some(&self.0) {
                held.pop();
            } else if let Some(at) = held.iter().rposition(|flight| *flight == self.0) {
                held.remove(at);
            }
        });
    }
}

/// Says, while it lives, that the current thread works for one flight and for nothing else: an executor polls the
/// body wherever it likes, also inside another's.
#[must_use]
pub(crate) struct WorkingOnly(Held);

impl WorkingOnly {
    pub(crate) fn on(flight: FlightId) -> Self {
        let mut others = Held::new();
        with_held(|held| others = std::mem::replace(held, smallvec::smallvec![flight]));
        Self(others)
    }
}

impl Drop for WorkingOnly {
    fn drop(&mut self) {
        with_held(|held| *held = std::mem::take(&mut self.0));
    }
}

/// The flights that the current thread works for now.
pub(super) fn held() -> Held {
    let mut current = Held::new();
    with_held(|held| current.clone_from(held));
    current
}

#[cfg(not(larder_shuttle))]
thread_local! {
    static HELD: RefCell<Held> = RefCell::new(Held::new());
}
#[cfg(larder_shuttle)]
shuttle::thread_local! {
    static HELD: RefCell<Held> = RefCell::new(Held::new());
}

/// A thread whose thread-locals are gone works for nothing that could be seen.
fn with_held(visit: impl FnOnce(&mut Held)) {
    let _ = HELD.try_with(|held| visit(&mut held.borrow_mut()));
}

/// Notes that all of `held` wait for `target`; `false`, and nothing is noted, if `target` depends on one of
/// them already.
pub(super) fn add(held: &[FlightId], target: FlightId) -> bool {
    if held.is_empty() {
        return true;
    }
    with_graph(|graph| graph.add(held, target))
}

/// Takes back one [`add`]: a waiter gave up.
pub(super) fn remove(held: &[FlightId], target: FlightId) {
    if !held.is_empty() {
        with_graph(|graph| graph.remove(held, target));
    }
}

/// Forgets all waits for `target`: it is over.
pub(super) fn cut(target: FlightId) {
    with_graph(|graph| graph.cut(target));
}

/// The edges, both ways. An edge stands once for each waiter.
#[derive(Default)]
struct Graph {
    /// What each flight waits for.
    targets: HashMap<FlightId, Held>,
    /// What waits for each flight.
    sources: HashMap<FlightId, Vec<FlightId>>,
}

impl Graph {
    fn add(&mut self, held: &[FlightId], target: FlightId) -> bool {
        if self.depends(target, held) {
            return false;
        }
        for &flight in held {
            self.targets.entry(flight).or_default().push(target);
        }
        self.sources.entry(target).or_default().extend_from_slice(held);
        true
    }

    /// Whether `flight` waits, through any chain, for one of `held`, or is one.
    fn depends(&self, flight: FlightId, held: &[FlightId]) -> bool {
        let mut seen = Vec::new();
        let mut next = vec![flight];
        while let Some(flight) = next.pop() {
            if held.contains(&flight) {
                return true;
            }
            if seen.contains(&flight) {
                continue;
            }
            seen.push(flight);
            next.extend(self.targets.get(&flight).into_iter().flatten());
        }
        false
    }

    fn remove(&mut self, held: &[FlightId], target: FlightId) {
        let Some(sources) = self.sources.get_mut(&target) else { return };
        for flight in held {
            if let Some(at) = sources.iter().position(|source| source == flight) {
                sources.swap_remove(at);
                drop_one(&mut self.targets, *flight, target);
            }
        }
        if sources.is_empty() {
            self.sources.remove(&target);
        }
    }

    fn cut(&mut self, target: FlightId) {
        for flight in self.sources.remove(&target).unwrap_or_default() {
            drop_one(&mut self.targets, flight, target);
        }
    }
}

fn drop_one(targets: &mut HashMap<FlightId, Held>, flight: FlightId, target: FlightId) {
    let Some(list) = targets.get_mut(&flight) else { return };
    if let Some(at) = list.iter().position(|other| *other == target) {
        list.swap_remove(at);
    }
    if list.is_empty() {
        targets.remove(&flight);
    }
}

#[cfg(not(larder_shuttle))]
fn with_graph<R>(visit: impl FnOnce(&mut Graph) -> R) -> R {
    static GRAPH: Mutex<Option<Graph>> = Mutex::new(None);
    visit(GRAPH.lock().get_or_insert_default())
}

/// Under the models each execution needs a graph of its own.
#[cfg(larder_shuttle)]
fn with_graph<R>(visit: impl FnOnce(&mut Graph) -> R) -> R {
    shuttle::lazy_static! {
        static ref GRAPH: Mutex<Graph> = Mutex::new(Graph::default());
    }
    visit(&mut GRAPH.lock())
}

#[cfg(all(test, not(larder_shuttle)))]
mod tests {
    use super::*;

    fn id(number: u64) -> FlightId {
        FlightId { table: 0, number }
    }

    #[test]
    fn a_circle_of_any_length_is_seen_and_a_tree_is_none() {
        let mut graph = Graph::default();
        let mut add =
            |held: &[u64], target| graph.add(&held.iter().copied().map(id).collect::<Held>(), id(target));
        assert!(add(&[1], 2));
        assert!(add(&[2], 3));
        assert!(add(&[4, 5], 3));
        assert!(!add(&[3], 1));
        assert!(!add(&[6, 3], 5));
        assert!(!add(&[7], 7));
        assert!(add(&[3], 8));
    }

    #[test]
    fn what_is_over_leaves_no_edge() {
        let mut graph = Graph::default();
        assert!(graph.add(&[id(1), id(2)], id(3)));
        assert!(graph.add(&[id(1)], id(3)));
        graph.remove(&[id(1)], id(3));
        assert!(!graph.add(&[id(3)], id(1)), "the other waiter is still there");
        graph.cut(id(3));
        assert!(graph.targets.is_empty() && graph.sources.is_empty());
        assert!(graph.add(&[id(3)], id(1)));
    }
}
