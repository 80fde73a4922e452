//! Waiting for a flight: a thread blocks, a task registers its waker. Both look at the same state.
//!
//! Who waits no longer than some time is woken by an alarm, too. A thread that does so waits as a task would, with
//! a bell for its waker.

use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use super::graph::{self, Held};
use super::{Flight, Outcome, State};
use crate::domain::DomainCore;
use crate::sync::{Condvar, Mutex};
use crate::time::{AlarmId, Nanos};

/// A caller that found a flight to wait for. Counted among the flight's callers until it is dropped.
pub(crate) struct Waiter<V> {
    flight: Arc<Flight<V>>,
    until: Until,
}

/// What a waiter waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
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
    /// It took too long: look, then run the body, alone.
    Overdue,
}

/// How long a caller waits: until an instant of its domain's clock.
#[derive(Clone, Copy)]
pub(crate) struct Patience<'a> {
    core: &'a DomainCore,
    deadline: Nanos,
}

impl<'a> Patience<'a> {
    /// So long from now on.
    pub(crate) fn starting_now(core: &'a DomainCore, most: Duration) -> Self {
        Self { core, deadline: core.now().saturating_add(crate::time::nanos(most)) }
    }

    fn left(&self) -> Option<Duration> {
        let left = self.deadline.saturating_sub(self.core.now());
        (left > 0).then(|| Duration::from_nanos(left))
    }
}

impl<V> Waiter<V> {
    pub(super) fn new(flight: Arc<Flight<V>>, until: Until) -> Self {
        Self { flight, until }
    }

    /// Blocks until the flight ends or patience does, unless the flight depends on what the caller works for.
    /// `clone` copies the leader's value.
    pub(crate) fn wait(self, patience: Option<Patience<'_>>, clone: impl Fn(&V) -> V) -> Waited<V> {
        match patience {
            Some(patience) => self.wait_in_time(patience, &clone),
            None => self.wait_long(clone),
        }
    }

    fn wait_long(self, clone: impl FnOnce(&V) -> V) -> Waited<V> {
        let held = graph::held();
        let mut state = self.flight.state.lock();
        if self.must_wait(&state) {
            if !graph::add(&held, self.flight.id) {
                return Waited::Cycle;
            }
            while self.must_wait(&state) {
                self.flight.changed.wait(&mut state);
            }
        }
        drop(state);
        self.outcome(clone)
    }

    fn wait_in_time(self, patience: Patience<'_>, clone: &impl Fn(&V) -> V) -> Waited<V> {
        let bell = Arc::new(Bell::default());
        let waker = Waker::from(Arc::clone(&bell));
        // Where time passes by itself the thread watches it; a clock that is moved by hand has to ring.
        let alarm = if patience.core.clock.is_manual() { Alarm::Unset } else { Alarm::Unneeded };
        let mut waiting = self.waiting(Some(patience));
        waiting.alarm = alarm;
        let context = Context::from_waker(&waker);
        loop {
            match waiting.poll(&context, clone) {
                Poll::Ready(waited) => return waited,
                Poll::Pending => bell.wait(patience),
            }
        }
    }

    /// [`wait`](Self::wait) for a task.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future takes the waiter out of the flight and out of the graph.
    pub(crate) async fn wait_async(
        self,
        patience: Option<Patience<'_>>,
        clone: impl Fn(&V) -> V,
    ) -> Waited<V> {
        let mut waiting = self.waiting(patience);
        std::future::poll_fn(move |context| waiting.poll(context, &clone)).await
    }

    /// [`wait_async`](Self::wait_async) for a future that has a name, to be polled.
    pub(crate) fn waiting(self, patience: Option<Patience<'_>>) -> Waiting<'_, V> {
        Waiting { waiter: self, held: None, number: None, patience, alarm: Alarm::Unset }
    }

    fn must_wait(&self, state: &State) -> bool {
        state.outcome == Outcome::Pending
    }

    /// What came of a flight that is over. With no lock held: `clone` is the user's.
    fn outcome(&self, clone: impl FnOnce(&V) -> V) -> Waited<V> {
        match self.flight.value.get() {
            Some(value) if self.until == Until::Value => Waited::Value(clone(value)),
            _ => Waited::Retry,
        }
    }
}

impl<V> Drop for Waiter<V> {
    fn drop(&mut self) {
        self.flight.part();
    }
}

/// A task that waits. Dropping it takes the waiter out of the flight and out of the graph.
pub(crate) struct Waiting<'a, V> {
    waiter: Waiter<V>,
    /// What the task works for, once it is in the graph with it.
    held: Option<Held>,
    /// Under which its waker is known.
    number: Option<u64>,
    patience: Option<Patience<'a>>,
    alarm: Alarm,
}

/// What wakes who waits no longer than some time.
#[derive(Clone, Copy)]
enum Alarm {
    /// Nothing yet.
    Unset,
    /// The domain's clock.
    Set(AlarmId),
    /// Who waits looks at the time itself.
    Unneeded,
}

impl<V> Waiting<'_, V> {
    pub(crate) fn poll(&mut self, context: &Context<'_>, clone: &impl Fn(&V) -> V) -> Poll<Waited<V>> {
        let flight = Arc::clone(&self.waiter.flight);
        let mut state = flight.state.lock();
        if self.waiter.must_wait(&state) {
            if self.held.is_none() {
                let held = graph::held();
                if !graph::add(&held, flight.id) {
                    return Poll::Ready(Waited::Cycle);
                }
                self.held = Some(held);
            }
            let number = self.number.unwrap_or(state.next);
            state.next = state.next.max(number + 1);
            let old = state.register(number, context.waker());
            self.number = Some(number);
            drop(state);
            // Dropping a waker may run the executor's code: outside the lock.
            drop(old);
            return if self.is_overdue(context.waker()) {
                Poll::Ready(Waited::Overdue)
            } else {
                Poll::Pending
            };
        }
        // Whoever ended the flight has cut its edges.
        self.held = None;
        self.number = None;
        drop(state);
        Poll::Ready(self.waiter.outcome(clone))
    }

    /// Whether it has waited long enough; if not, it is woken when it has.
    fn is_overdue(&mut self, waker: &Waker) -> bool {
        let Some(Patience { core, deadline }) = self.patience else { return false };
        self.alarm = match self.alarm {
            Alarm::Unset => Alarm::Set(core.set_alarm(deadline, None, waker)),
            Alarm::Set(id) => Alarm::Set(core.set_alarm(deadline, Some(id), waker)),
            Alarm::Unneeded => Alarm::Unneeded,
        };
        // Read after the alarm is set: whoever moved the clock before has not seen it.
        core.now() >= deadline
    }
}

impl State {
    /// The waker of a task that waits no more, to be dropped with no lock held.
    fn forget(&mut self, number: u64) -> Option<Waker> {
        let at = self.wakers.iter().position(|(other, _)| *other == number)?;
        Some(self.wakers.swap_remove(at).1)
    }

    /// Notes by which waker a task is woken; returns the one before, to be dropped with no lock held.
    fn register(&mut self, number: u64, waker: &Waker) -> Option<Waker> {
        match self.wakers.iter_mut().find(|(other, _)| *other == number) {
            Some((_, known)) if known.will_wake(waker) => None,
            Some((_, known)) => Some(std::mem::replace(known, waker.clone())),
            None => {
                self.wakers.push((number, waker.clone()));
                None
            }
        }
    }
}

impl<V> Drop for Waiting<'_, V> {
    /// Over, or cancelled: nobody must be woken, and nothing must be thought to wait.
    fn drop(&mut self) {
        if let (Some(patience), Alarm::Set(id)) = (self.patience, self.alarm) {
            patience.core.clock.alarms().cancel(patience.deadline, id);
        }
        let Some(number) = self.number else { return };
        let mut state = self.waiter.flight.state.lock();
        let waker = state.forget(number);
        if self.waiter.must_wait(&state) {
            graph::remove(self.held.as_deref().unwrap_or_default(), self.waiter.flight.id);
        }
        drop(state);
        // Dropping a waker may run the executor's code: outside the lock.
        drop(waker);
    }
}

/// Wakes a thread that waits as tasks do.
#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Bell {
    /// Blocks until it rings. Where time passes by itself, no longer than patience lasts.
    fn wait(&self, patience: Patience<'_>) {
        let mut rung = self.rung.lock();
        while !*rung {
            if patience.core.clock.is_manual() {
                self.changed.wait(&mut rung);
            } else {
                let Some(left) = patience.left() else { break };
                self.changed.wait_for(&mut rung, left);
            }
        }
        *rung = false;
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        *self.rung.lock() = true;
        self.changed.notify_all();
    }
}
