//! Single-flight: many callers want one missing value, one of them computes it.
//!
//! The first caller becomes the *leader* and runs the body; the others *wait*. A leader that finishes
//! hands its value to the waiters. A leader that fails, panics or is cancelled sends them back to join
//! again, and the first of them leads. Threads and tasks take part in the same flights: only how they wait
//! differs (see [`Waiter`]).
//!
//! Before a caller waits, the graph of flights is walked: if the flight depends, through any chain, on one
//! that the caller is working for, waiting would last for ever, and the caller runs its own body instead.
//!
//! A *detached* flight's body runs as a task of an executor's. It goes on while any caller waits for it, and is
//! dropped when the last one is gone: the flight is *abandoned* then, and whoever comes next starts another.
//!
//! Whoever computes *alone*, outside any flight, is in the table too, so that writers find everybody who may
//! store something older; nobody joins it.
//!
//! # The key
//!
//! The leader needs the key to look once more before it computes and to store the value afterwards; in
//! between, callers need it to recognise the flight. It is not cloned: it moves from the leader into the
//! table and back. A caller that meets a flight of its hash whose key is with the leader cannot compare;
//! it waits for that moment to pass and looks again.
//!
//! # Locks
//!
//! The table's lock, then a flight's state, then the graph. None is held while a body runs or is polled, a
//! shard is locked, a waker is called, or the budget is asked.

mod graph;
mod wait;

pub(crate) use graph::{Working, WorkingOnly};
pub(crate) use wait::{Patience, Waited, Waiter};

use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use hashbrown::HashTable;

use graph::FlightId;
use wait::Until;

use crate::sync::{AtomicBool, AtomicUsize, Condvar, Mutex, Ordering, fence};

/// How the callers of one missing value share its computation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sharing {
    /// Whether they do at all.
    pub(crate) single_flight: bool,
    /// How long a caller waits for another's, in all.
    pub(crate) wait_at_most: Option<Duration>,
}

impl Default for Sharing {
    fn default() -> Self {
        Self { single_flight: true, wait_at_most: None }
    }
}

/// The flights of one cache.
pub(crate) struct Flights<K, V> {
    /// One lock for all keys is enough: it is held for moments beside a body's run, and every empty cache has it.
    table: Mutex<Table<K, V>>,
    /// How many are in the air; lets writers skip the table when none is.
    count: AtomicUsize,
}

/// The flights by hash; nothing while there are none, because nobody is to pay for an empty table.
struct Table<K, V>(Option<Box<HashTable<Pending<K, V>>>>);

impl<K, V> Table<K, V> {
    fn made(&mut self) -> &mut HashTable<Pending<K, V>> {
        self.0.get_or_insert_default()
    }

    /// Takes away a table in which nothing is left: it is freed outside the lock.
    fn unused(&mut self) -> Option<Box<HashTable<Pending<K, V>>>> {
        self.0.take_if(|table| table.is_empty())
    }
}

/// A flight in the table.
struct Pending<K, V> {
    hash: u64,
    key: Key<K>,
    flight: Arc<Flight<V>>,
}

/// Where a flight's key is.
enum Key<K> {
    /// With the leader, who looks whether the value came meanwhile.
    Looking,
    /// Here; the body runs.
    Known(K),
    /// With the leader, who stores the value.
    Landing,
    /// With a caller who computes alone: only writers look for it.
    Alone,
}

impl<K> Key<K> {
    /// Whether the flight is, or may be, the one for a key.
    fn may_be(&self, eq: impl FnOnce(&K) -> bool) -> bool {
        match self {
            Self::Known(key) => eq(key),
            Self::Looking | Self::Landing | Self::Alone => true,
        }
    }
}

/// One computation that others may wait for.
struct Flight<V> {
    /// Callers who wait, or are about to. Raised under the table's lock, so it only falls once the flight left the
    /// table.
    callers: AtomicUsize,
    /// Somebody wrote or invalidated the key since the leader started: its value is not stored.
    superseded: AtomicBool,
    /// The body is an executor's: it ends when nobody waits any more.
    detached: AtomicBool,
    /// Nobody waited any more. Set with the outcome, under the state's lock.
    abandoned: AtomicBool,
    state: Mutex<State<V>>,
    /// Wakes threads; tasks are woken by their wakers.
    changed: Condvar,
}

struct State<V> {
    outcome: Outcome<V>,
    /// One for each waiting task, by the number it was given.
    wakers: Vec<(u64, Waker)>,
    /// The number of the next task.
    next: u64,
    /// Wakes the task that runs a detached body.
    runner: Option<Waker>,
}

enum Outcome<V> {
    /// The leader looks whether the value came meanwhile, or it found nobody to tell that it is done.
    Looking,
    /// The leader runs the body.
    Pending,
    /// The leader's value, there if anybody waited.
    Value(Option<V>),
    /// There is no value to be had from this flight: look, and join, again.
    Retry,
}

/// What a caller who misses turns out to be.
pub(crate) enum Joined<K, V> {
    /// Runs the body, then lands or drops the lead.
    Leader(Lead<K, V>),
    /// Waits for another caller's flight; has its key back.
    Waiter(Waiter<V>, K),
}

impl<K, V> Flights<K, V> {
    pub(crate) fn new() -> Self {
        Self { table: Mutex::new(Table(None)), count: AtomicUsize::new(0) }
    }

    /// Takes part in the flight for this key, or starts it. `eq` runs under the table's lock.
    pub(crate) fn join(self: &Arc<Self>, hash: u64, key: K, eq: impl Fn(&K, &K) -> bool) -> Joined<K, V> {
        let mut table = self.table.lock();
        let joins = |pending: &Pending<K, V>| {
            pending.hash == hash
                && !matches!(pending.key, Key::Alone)
                && pending.key.may_be(|other| eq(other, &key))
        };
        let mut gone = None;
        if let Ok(found) = table.made().find_entry(hash, joins) {
            let flight = &found.get().flight;
            if !flight.abandoned.load(Ordering::Acquire) {
                let until = match found.get().key {
                    Key::Known(_) => Until::Value,
                    Key::Landing => Until::Landed,
                    Key::Looking | Key::Alone => Until::Looked,
                };
                flight.callers.fetch_add(1, Ordering::AcqRel);
                return Joined::Waiter(Waiter::new(Arc::clone(flight), until), key);
            }
            // Its executor has not dropped it yet. Writers do not find it any more, so it stores nothing.
            flight.superseded.store(true, Ordering::Release);
            gone = Some(found.remove().0);
            self.count.fetch_sub(1, Ordering::AcqRel);
        }
        let flight = self.enter(table.made(), hash, Key::Looking);
        drop(table);
        // Its key is the user's to drop: outside the lock.
        drop(gone);
        Joined::Leader(Lead { flights: Arc::clone(self), hash, key: Some(key), flight, landed: false })
    }

    /// Notes a caller who computes outside any flight, until what it returns is dropped.
    pub(crate) fn alone(self: &Arc<Self>, hash: u64) -> Alone<K, V> {
        let flight = self.enter(self.table.lock().made(), hash, Key::Alone);
        Alone { flights: Arc::clone(self), hash, flight }
    }

    fn enter(&self, pending: &mut HashTable<Pending<K, V>>, hash: u64, key: Key<K>) -> Arc<Flight<V>> {
        let flight = Arc::new(Flight::new());
        let entry = Pending { hash, key, flight: Arc::clone(&flight) };
        pending.insert_unique(hash, entry, |pending| pending.hash);
        // Raised under the table's lock: a writer that saw 0 came before this flight.
        self.count.fetch_add(1, Ordering::AcqRel);
        // With the fence in `supersede`: either who invalidates sees this flight, or its body sees what was written
        // before the invalidation.
        fence(Ordering::SeqCst);
        flight
    }

    /// Takes a flight out of the table, if it is still there: nobody joins it from here on.
    fn leave(&self, hash: u64, flight: &Arc<Flight<V>>) {
        let mut table = self.table.lock();
        let same = |pending: &Pending<K, V>| Arc::ptr_eq(&pending.flight, flight);
        if let Ok(found) = table.made().find_entry(hash, same) {
            let (gone, _) = found.remove();
            self.count.fetch_sub(1, Ordering::AcqRel);
            let unused = table.unused();
            drop(table);
            drop(unused);
            // A key that was never taken is the user's to drop: outside the lock.
            drop(gone);
        }
    }

    /// The key was written or invalidated: its flight's value is not stored, and nobody joins it any more.
    pub(crate) fn supersede(&self, hash: u64, eq: impl Fn(&K) -> bool) {
        fence(Ordering::SeqCst);
        if self.count.load(Ordering::Acquire) == 0 {
            return;
        }
        let matches = |pending: &Pending<K, V>| pending.hash == hash && pending.key.may_be(&eq);
        // Keys are the user's to drop: outside the lock.
        let mut gone = Vec::new();
        let mut table = self.table.lock();
        while let Ok(found) = table.made().find_entry(hash, matches) {
            let (superseded, _) = found.remove();
            superseded.flight.superseded.store(true, Ordering::Release);
            self.count.fetch_sub(1, Ordering::AcqRel);
            gone.push(superseded);
        }
        let unused = table.unused();
        drop(table);
        drop(unused);
    }

    /// [`supersede`](Self::supersede) for all keys.
    pub(crate) fn supersede_all(&self) {
        fence(Ordering::SeqCst);
        let mut table = self.table.lock();
        let Some(gone) = table.0.take() else { return };
        self.count.fetch_sub(gone.len(), Ordering::AcqRel);
        // Before anybody can start the next flight of a key: its value must not find an older one in its place.
        for pending in &*gone {
            pending.flight.superseded.store(true, Ordering::Release);
        }
        drop(table);
    }
}

/// The right and the duty to run the body. Dropped without landing (the body failed or panicked), it sends
/// the waiters back to join again.
pub(crate) struct Lead<K, V> {
    flights: Arc<Flights<K, V>>,
    hash: u64,
    /// There until [`begin`](Self::begin).
    key: Option<K>,
    flight: Arc<Flight<V>>,
    landed: bool,
}

impl<K, V> Lead<K, V> {
    /// Whether `look` finds the value, which may have come since the caller missed.
    pub(crate) fn look<R>(&self, look: impl FnOnce(&K) -> Option<R>) -> Option<R> {
        self.key.as_ref().and_then(look)
    }

    /// The body runs from here on: others recognise the flight by its key.
    pub(crate) fn begin(&mut self) {
        let Some(key) = self.key.take() else { return };
        let mut table = self.flights.table.lock();
        let Some(entry) = self.find(table.made()) else {
            drop(table);
            // Superseded: the key is not needed again, and it is the user's to drop.
            return drop(key);
        };
        entry.key = Key::Known(key);
        let watched = self.flight.callers.load(Ordering::Acquire) > 0;
        drop(table);
        if watched {
            self.flight.become_pending();
        }
    }

    /// Takes the key out, to store the value under it: the flight is landing. `None` when the flight was
    /// superseded: then the value must not be stored.
    pub(crate) fn take_key(&mut self) -> Option<K> {
        let mut table = self.flights.table.lock();
        let entry = self.find(table.made())?;
        match std::mem::replace(&mut entry.key, Key::Landing) {
            Key::Known(key) => Some(key),
            Key::Looking | Key::Landing | Key::Alone => None,
        }
    }

    /// From here on the body is an executor's, and the caller waits like the others: the flight is over when all of
    /// them are gone.
    pub(crate) fn detach(&self) -> Waiter<V> {
        self.flight.callers.fetch_add(1, Ordering::AcqRel);
        self.flight.detached.store(true, Ordering::Release);
        Waiter::new(Arc::clone(&self.flight), Until::Value)
    }

    /// Whether anybody still waits for a detached body; if so, `runner` is woken when that changes.
    pub(crate) fn is_wanted(&self, runner: &Waker) -> bool {
        let mut state = self.flight.state.lock();
        if self.flight.abandoned.load(Ordering::Acquire) {
            return false;
        }
        let new = match &state.runner {
            Some(known) if known.will_wake(runner) => return true,
            _ => runner.clone(),
        };
        let old = state.runner.replace(new);
        drop(state);
        // Dropping a waker may run the executor's code: outside the lock.
        drop(old);
        true
    }

    fn find<'t>(&self, pending: &'t mut HashTable<Pending<K, V>>) -> Option<&'t mut Pending<K, V>> {
        pending.find_mut(self.hash, |pending| Arc::ptr_eq(&pending.flight, &self.flight))
    }

    /// Set when somebody wrote or invalidated the key meanwhile.
    pub(crate) fn superseded(&self) -> &AtomicBool {
        &self.flight.superseded
    }

    /// The flight as the graph knows it: whoever works for it says so while it does.
    pub(crate) fn id(&self) -> FlightId {
        self.flight.id()
    }

    /// Ends the flight and hands the value to whoever waits; `value` is asked only if somebody does.
    pub(crate) fn land(mut self, value: impl FnOnce() -> V) {
        self.flights.leave(self.hash, &self.flight);
        let waited = self.flight.callers.load(Ordering::Acquire) > 0;
        let value = waited.then(value);
        self.landed = true;
        self.flight.settle(Outcome::Value(value));
    }
}

impl<K, V> Drop for Lead<K, V> {
    fn drop(&mut self) {
        if !self.landed {
            self.flights.leave(self.hash, &self.flight);
            self.flight.settle(Outcome::Retry);
        }
    }
}

/// A caller who computes outside any flight. See [`Flights::alone`].
pub(crate) struct Alone<K, V> {
    flights: Arc<Flights<K, V>>,
    hash: u64,
    flight: Arc<Flight<V>>,
}

impl<K, V> Alone<K, V> {
    /// Set when somebody wrote or invalidated the key meanwhile.
    pub(crate) fn superseded(&self) -> &AtomicBool {
        &self.flight.superseded
    }
}

impl<K, V> Drop for Alone<K, V> {
    fn drop(&mut self) {
        self.flights.leave(self.hash, &self.flight);
    }
}

impl<V> Flight<V> {
    fn new() -> Self {
        Self {
            callers: AtomicUsize::new(0),
            superseded: AtomicBool::new(false),
            detached: AtomicBool::new(false),
            abandoned: AtomicBool::new(false),
            state: Mutex::new(State { outcome: Outcome::Looking, wakers: Vec::new(), next: 0, runner: None }),
            changed: Condvar::new(),
        }
    }

    /// The body runs: whoever waited only for that looks again.
    fn become_pending(&self) {
        let mut state = self.state.lock();
        state.outcome = Outcome::Pending;
        self.wake(state);
    }

    /// Publishes the outcome, cuts the edges of the graph that end here, and wakes all who wait.
    fn settle(self: &Arc<Self>, outcome: Outcome<V>) {
        let mut state = self.state.lock();
        state.outcome = outcome;
        if self.callers.load(Ordering::Acquire) > 0 {
            // Under the state's lock: an edge stands exactly while its flight is pending, so the graph
            // never shows a wait that is over.
            graph::cut(self.id());
            self.wake(state);
        }
    }

    fn wake(&self, mut state: impl std::ops::DerefMut<Target = State<V>>) {
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        self.changed.notify_all();
        for (_, waker) in wakers {
            waker.wake();
        }
    }

    /// A caller does not wait any more. The last one of a detached flight ends it.
    fn part(&self) {
        if self.callers.fetch_sub(1, Ordering::AcqRel) > 1 || !self.detached.load(Ordering::Acquire) {
            return;
        }
        let mut state = self.state.lock();
        let flies = matches!(state.outcome, Outcome::Looking | Outcome::Pending);
        // Another may have come since. One that comes later finds the flight over, and starts the next.
        if !flies || self.callers.load(Ordering::Acquire) > 0 {
            return;
        }
        state.outcome = Outcome::Retry;
        self.abandoned.store(true, Ordering::Release);
        let runner = state.runner.take();
        self.wake(state);
        if let Some(runner) = runner {
            runner.wake();
        }
    }

    /// Identifies the flight in the graph while it lives.
    fn id(self: &Arc<Self>) -> FlightId {
        Arc::as_ptr(self).cast::<()>() as FlightId
    }
}

#[cfg(all(test, larder_shuttle))]
mod models;
