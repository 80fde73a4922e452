//! Waiting for an object: a queue, first come first served, for threads and tasks alike.
//!
//! Who waits has a ticket in the queue. Whatever comes free, an object or a place to make one, goes to the front ticket
//! and to nobody else; a ticket that is dropped hands on what it was given. Not here: what comes free.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use super::node::Own;
use super::{PoolCore, Room};
use crate::sync::{AtomicUsize, Condvar, Mutex, MutexGuard, Ordering};
use crate::time::{AlarmId, NEVER, Nanos};

/// What came free.
pub(super) enum Gift<T> {
    Object(Own<T>),
    /// A place among the pool's objects.
    Room(Room<T>),
    /// The pool was closed.
    Nothing,
}

/// Who waits, longest first.
pub(super) struct Queue<T> {
    waiting: Mutex<VecDeque<Arc<Waiter<T>>>>,
    /// Written under the lock, read without it: who comes after looks whether anybody came before.
    len: AtomicUsize,
}

impl<T> Queue<T> {
    pub(super) fn new() -> Self {
        Self { waiting: Mutex::new(VecDeque::new()), len: AtomicUsize::new(0) }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn len(&self) -> usize {
        self.len.load(Ordering::SeqCst)
    }

    pub(super) fn lock(&self) -> Waiting<'_, T> {
        Waiting { waiting: self.waiting.lock(), len: &self.len }
    }
}

/// The queue, locked.
pub(super) struct Waiting<'a, T> {
    waiting: MutexGuard<'a, VecDeque<Arc<Waiter<T>>>>,
    len: &'a AtomicUsize,
}

impl<T> Waiting<'_, T> {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn push(&mut self, waiter: Arc<Waiter<T>>) {
        self.waiting.push_back(waiter);
        self.count();
    }

    pub(super) fn pop(&mut self) -> Option<Arc<Waiter<T>>> {
        let first = self.waiting.pop_front();
        if self.waiting.is_empty() {
            // Nothing is kept by a pool for which nobody waits.
            *self.waiting = VecDeque::new();
        }
        self.count();
        first
    }

    fn remove(&mut self, waiter: &Arc<Waiter<T>>) {
        self.waiting.retain(|other| !Arc::ptr_eq(other, waiter));
        self.count();
    }

    fn count(&self) {
        self.len.store(self.waiting.len(), Ordering::SeqCst);
    }
}

/// One that waits.
pub(super) struct Waiter<T>(Mutex<State<T>>);

enum State<T> {
    /// With whom to wake.
    Waits(Option<Waker>),
    Given(Gift<T>),
    /// Nobody is there any more to be given anything.
    Gone,
}

impl<T> Waiter<T> {
    /// Gives it what came free.
    ///
    /// # Errors
    ///
    /// Gives it back when the waiter is gone.
    pub(super) fn give(&self, gift: Gift<T>) -> Result<(), Gift<T>> {
        let mut state = self.0.lock();
        let State::Waits(waker) = &mut *state else { return Err(gift) };
        let waker = waker.take();
        *state = State::Given(gift);
        drop(state);
        // Waking runs the executor's code: outside the lock.
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(())
    }
}

/// A place in the queue; whoever drops it waits no longer.
pub(super) struct Ticket<T> {
    waiter: Arc<Waiter<T>>,
    core: Arc<PoolCore<T>>,
    /// By the domain's clock.
    deadline: Nanos,
    alarm: Option<AlarmId>,
}

impl<T> Ticket<T> {
    /// Takes a place at the end of the queue.
    pub(super) fn new(core: Arc<PoolCore<T>>, deadline: Nanos) -> Self {
        let waiter = Arc::new(Waiter(Mutex::new(State::Waits(None))));
        core.queue_up(&waiter);
        Self { waiter, core, deadline, alarm: None }
    }

    /// Blocks the thread; `None` when the deadline came first.
    pub(super) fn wait(mut self) -> Option<Gift<T>> {
        let bell = Arc::new(Bell::default());
        let waker = Waker::from(Arc::clone(&bell));
        let context = Context::from_waker(&waker);
        // Where time passes by itself the thread watches it; a clock that is moved by hand has to ring.
        let rings = self.core.domain.clock.is_manual();
        loop {
            match self.poll(&context, rings) {
                Poll::Ready(given) => return given,
                Poll::Pending => bell.wait(&self.core, if rings { NEVER } else { self.deadline }),
            }
        }
    }

    /// [`wait`](Self::wait) for a task.
    pub(super) async fn wait_async(mut self) -> Option<Gift<T>> {
        poll_fn(move |context| self.poll(context, true)).await
    }

    fn poll(&mut self, context: &Context<'_>, rings: bool) -> Poll<Option<Gift<T>>> {
        let mut state = self.waiter.0.lock();
        match std::mem::replace(&mut *state, State::Gone) {
            State::Given(gift) => Poll::Ready(Some(gift)),
            State::Gone => Poll::Ready(None),
            State::Waits(old) => {
                *state = State::Waits(Some(context.waker().clone()));
                drop(state);
                // Dropping a waker may run the executor's code: outside the lock.
                drop(old);
                if self.deadline == NEVER {
                    return Poll::Pending;
                }
                if rings {
                    let alarm = self.core.domain.set_alarm(self.deadline, self.alarm, context.waker());
                    self.alarm = Some(alarm);
                }
                // Read after the alarm is set: whoever moved the clock before has not seen it.
                if self.core.domain.now() < self.deadline {
                    return Poll::Pending;
                }
                // What was given in the last moment counts.
                Poll::Ready(self.leave())
            }
        }
    }

    /// Waits no longer; returns what it was given all the same.
    fn leave(&mut self) -> Option<Gift<T>> {
        let state = std::mem::replace(&mut *self.waiter.0.lock(), State::Gone);
        match state {
            State::Given(gift) => Some(gift),
            State::Gone => None,
            State::Waits(waker) => {
                drop(waker);
                self.core.queue.lock().remove(&self.waiter);
                // The next in the queue may be the last.
                self.core.serve();
                None
            }
        }
    }
}

impl<T> Drop for Ticket<T> {
    fn drop(&mut self) {
        if let Some(alarm) = self.alarm {
            self.core.domain.clock.alarms().cancel(self.deadline, alarm);
        }
        match self.leave() {
            Some(Gift::Object(own)) => self.core.stow_back(own),
            // A place that is given up goes to the next.
            Some(Gift::Room(room)) => drop(room),
            Some(Gift::Nothing) | None => {}
        }
    }
}

/// Wakes a thread that waits as tasks do.
#[derive(Default)]
struct Bell {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Bell {
    /// Blocks until it rings or the deadline comes.
    fn wait<T>(&self, core: &PoolCore<T>, deadline: Nanos) {
        let mut rung = self.rung.lock();
        while !*rung {
            if deadline == NEVER {
                self.changed.wait(&mut rung);
            } else {
                let left = deadline.saturating_sub(core.domain.now());
                if left == 0 {
                    break;
                }
                self.changed.wait_for(&mut rung, std::time::Duration::from_nanos(left));
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
