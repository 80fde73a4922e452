//! Waiting for a flight: a thread blocks, a task registers its waker. Both look at the same state.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::graph::{self, Held};
use super::{Flight, Outcome, State};

/// A caller that found a flight to wait for.
pub(crate) struct Waiter<V> {
    flight: Arc<Flight<V>>,
    until: Until,
}

/// What a waiter waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// The key to be known again; nothing more, the flight may be another key's.
    Looked,
    /// The value of the same key.
    Value,
    /// The end, without the value: the flight may be another key's.
    Landed,
}

/// How waiting ended.
pub(crate) enum Waited<V> {
    /// The leader's value.
    Value(V),
    /// Look, and join, again.
    Retry,
    /// The leader waits for us: run the body, alone.
    Cycle,
}

impl<V> Waiter<V> {
    pub(super) fn new(flight: Arc<Flight<V>>, until: Until) -> Self {
        Self { flight, until }
    }

    /// Blocks until the flight ends, unless it depends on what the caller works for. `clone` copies the
    /// leader's value.
    pub(crate) fn wait(self, clone: impl FnOnce(&V) -> V) -> Waited<V> {
        let held = graph::held();
        let mut state = self.flight.state.lock();
        if self.must_wait(&state) {
            if !graph::add(&held, self.flight.id()) {
                return Waited::Cycle;
            }
            while self.must_wait(&state) {
                self.flight.changed.wait(&mut state);
            }
            self.part(&held);
        }
        self.outcome(&state, clone)
    }

    /// [`wait`](Self::wait) for a task.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future takes the waiter out of the flight and out of the graph.
    pub(crate) async fn wait_async(self, clone: impl Fn(&V) -> V) -> Waited<V> {
        let mut task = Task { waiter: self, held: None, number: None };
        std::future::poll_fn(move |context| task.poll(context, &clone)).await
    }

    fn must_wait(&self, state: &State<V>) -> bool {
        match state.outcome {
            Outcome::Looking => true,
            Outcome::Pending => self.until != Until::Looked,
            Outcome::Value(_) | Outcome::Retry => false,
        }
    }

    /// The wait is over. Where the flight is over too, it has cut its edges itself.
    fn part(&self, held: &[graph::FlightId]) {
        if self.until == Until::Looked {
            graph::remove(held, self.flight.id());
        }
    }

    fn outcome(&self, state: &State<V>, clone: impl FnOnce(&V) -> V) -> Waited<V> {
        match &state.outcome {
            Outcome::Value(Some(value)) if self.until == Until::Value => Waited::Value(clone(value)),
            _ => Waited::Retry,
        }
    }
}

/// A task that waits.
struct Task<V> {
    waiter: Waiter<V>,
    /// What the task works for, once it is in the graph with it.
    held: Option<Held>,
    /// Under which its waker is known.
    number: Option<u64>,
}

impl<V> Task<V> {
    fn poll(&mut self, context: &Context<'_>, clone: &impl Fn(&V) -> V) -> Poll<Waited<V>> {
        let flight = Arc::clone(&self.waiter.flight);
        let mut state = flight.state.lock();
        if self.waiter.must_wait(&state) {
            if self.held.is_none() {
                let held = graph::held();
                if !graph::add(&held, flight.id()) {
                    return Poll::Ready(Waited::Cycle);
                }
                self.held = Some(held);
            }
            let number = self.number.unwrap_or(state.next);
            state.next = state.next.max(number + 1);
            state.register(number, context.waker());
            self.number = Some(number);
            return Poll::Pending;
        }
        if let Some(held) = self.held.take() {
            self.waiter.part(&held);
        }
        self.number = None;
        Poll::Ready(self.waiter.outcome(&state, clone))
    }
}

impl<V> State<V> {
    fn register(&mut self, number: u64, waker: &Waker) {
        match self.wakers.iter_mut().find(|(other, _)| *other == number) {
            Some((_, old)) => old.clone_from(waker),
            None => self.wakers.push((number, waker.clone())),
        }
    }
}

impl<V> Drop for Task<V> {
    /// Cancelled: nobody must be woken, and nothing must be thought to wait.
    fn drop(&mut self) {
        let Some(number) = self.number else { return };
        let mut state = self.waiter.flight.state.lock();
        let waker = state.wakers.iter().position(|(other, _)| *other == number);
        let waker = waker.map(|at| state.wakers.swap_remove(at));
        if self.waiter.must_wait(&state) {
            graph::remove(self.held.as_deref().unwrap_or_default(), self.waiter.flight.id());
        }
        drop(state);
        // Dropping a waker may run the executor's code: outside the lock.
        drop(waker);
    }
}
