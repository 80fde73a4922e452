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
//! # The key
//!
//! The leader needs the key to look once more before it computes and to store the value afterwards; in
//! between, callers need it to recognise the flight. It is not cloned: it moves from the leader into the
//! table and back. A caller that meets a flight of its hash whose key is with the leader cannot compare;
//! it waits for that moment to pass and looks again.
//!
//! # Locks
//!
//! A stripe's lock, then a flight's state, then the graph. None is held while a body runs or is polled, a
//! shard is locked, a waker is called, or the budget is asked.

mod graph;
mod wait;

pub(crate) use graph::Working;
pub(crate) use wait::{Waited, Waiter};

use std::sync::Arc;
use std::task::Waker;

use hashbrown::HashTable;

use graph::FlightId;
use wait::Until;

use crate::sync::{AtomicBool, AtomicUsize, Condvar, Mutex, Ordering};

/// Locks over which the flights of one cache are spread, by hash.
const STRIPES: usize = 4;

/// The flights of one cache.
pub(crate) struct Flights<K, V> {
    stripes: [Mutex<HashTable<Pending<K, V>>>; STRIPES],
    /// How many are in the air; lets writers skip the stripes when none is.
    count: AtomicUsize,
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
}

impl<K> Key<K> {
    /// Whether the flight is, or may be, the one for a key.
    fn may_be(&self, eq: impl FnOnce(&K) -> bool) -> bool {
        match self {
            Self::Known(key) => eq(key),
            Self::Looking | Self::Landing => true,
        }
    }
}

/// One computation that others may wait for.
struct Flight<V> {
    /// Raised under the stripe's lock, and final once the flight left the table.
    waiting: AtomicUsize,
    /// Somebody wrote or invalidated the key since the leader started: its value is not stored.
    superseded: AtomicBool,
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
pub(crate) enum Joined<'a, K, V> {
    /// Runs the body, then lands or drops the lead.
    Leader(Lead<'a, K, V>),
    /// Waits for another caller's flight; has its key back.
    Waiter(Waiter<V>, K),
}

impl<K, V> Flights<K, V> {
    pub(crate) fn new() -> Self {
        Self { stripes: std::array::from_fn(|_| Mutex::new(HashTable::new())), count: AtomicUsize::new(0) }
    }

    /// Takes part in the flight for this key, or starts it. `eq` runs under the stripe's lock.
    pub(crate) fn join(&self, hash: u64, key: K, eq: impl Fn(&K, &K) -> bool) -> Joined<'_, K, V> {
        let mut pending = self.stripe(hash).lock();
        let found =
            pending.find(hash, |pending| pending.hash == hash && pending.key.may_be(|other| eq(other, &key)));
        if let Some(found) = found {
            let flight = Arc::clone(&found.flight);
            let until = match found.key {
                Key::Looking => Until::Looked,
                Key::Known(_) => Until::Value,
                Key::Landing => Until::Landed,
            };
            flight.waiting.fetch_add(1, Ordering::AcqRel);
            return Joined::Waiter(Waiter::new(flight, until), key);
        }
        let flight = Arc::new(Flight {
            waiting: AtomicUsize::new(0),
            superseded: AtomicBool::new(false),
            state: Mutex::new(State { outcome: Outcome::Looking, wakers: Vec::new(), next: 0 }),
            changed: Condvar::new(),
        });
        let entry = Pending { hash, key: Key::Looking, flight: Arc::clone(&flight) };
        pending.insert_unique(hash, entry, |pending| pending.hash);
        // Raised under the stripe's lock: a writer that saw 0 came before this flight.
        self.count.fetch_add(1, Ordering::AcqRel);
        Joined::Leader(Lead { flights: self, hash, key: Some(key), flight, landed: false })
    }

    /// The key was written or invalidated: its flight's value is not stored, and nobody joins it any more.
    pub(crate) fn supersede(&self, hash: u64, eq: impl Fn(&K) -> bool) {
        if self.count.load(Ordering::Acquire) == 0 {
            return;
        }
        let matches = |pending: &Pending<K, V>| pending.hash == hash && pending.key.may_be(&eq);
        // Keys are the user's to drop: outside the lock.
        let mut gone = Vec::new();
        let mut pending = self.stripe(hash).lock();
        while let Ok(found) = pending.find_entry(hash, matches) {
            let (superseded, _) = found.remove();
            superseded.flight.superseded.store(true, Ordering::Release);
            self.count.fetch_sub(1, Ordering::AcqRel);
            gone.push(superseded);
        }
        drop(pending);
    }

    /// [`supersede`](Self::supersede) for all keys.
    pub(crate) fn supersede_all(&self) {
        for stripe in &self.stripes {
            let gone = std::mem::take(&mut *stripe.lock());
            self.count.fetch_sub(gone.len(), Ordering::AcqRel);
            for pending in &gone {
                pending.flight.superseded.store(true, Ordering::Release);
            }
        }
    }

    fn stripe(&self, hash: u64) -> &Mutex<HashTable<Pending<K, V>>> {
        &self.stripes[(hash >> 48) as usize % STRIPES]
    }
}

/// The right and the duty to run the body. Dropped without landing (the body failed or panicked), it sends
/// the waiters back to join again.
pub(crate) struct Lead<'a, K, V> {
    flights: &'a Flights<K, V>,
    hash: u64,
    /// There until [`begin`](Self::begin).
    key: Option<K>,
    flight: Arc<Flight<V>>,
    landed: bool,
}

impl<K, V> Lead<'_, K, V> {
    /// Whether `look` finds the value, which may have come since the caller missed.
    pub(crate) fn look<R>(&self, look: impl FnOnce(&K) -> Option<R>) -> Option<R> {
        self.key.as_ref().and_then(look)
    }

    /// The body runs from here on: others recognise the flight by its key.
    pub(crate) fn begin(&mut self) {
        let Some(key) = self.key.take() else { return };
        let mut pending = self.flights.stripe(self.hash).lock();
        let Some(entry) = self.find(&mut pending) else {
            drop(pending);
            // Superseded: the key is not needed again, and it is the user's to drop.
            return drop(key);
        };
        entry.key = Key::Known(key);
        let watched = self.flight.waiting.load(Ordering::Acquire) > 0;
        drop(pending);
        if watched {
            self.flight.become_pending();
        }
    }

    /// Takes the key out, to store the value under it: the flight is landing. `None` when the flight was
    /// superseded: then the value must not be stored.
    pub(crate) fn take_key(&mut self) -> Option<K> {
        let mut pending = self.flights.stripe(self.hash).lock();
        let entry = self.find(&mut pending)?;
        match std::mem::replace(&mut entry.key, Key::Landing) {
            Key::Known(key) => Some(key),
            Key::Looking | Key::Landing => None,
        }
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
        self.leave();
        let waited = self.flight.waiting.load(Ordering::Acquire) > 0;
        let value = waited.then(value);
        self.landed = true;
        self.flight.settle(Outcome::Value(value));
    }

    /// Leaves the table: nobody joins from here on.
    fn leave(&self) {
        let mut pending = self.flights.stripe(self.hash).lock();
        let flight = &self.flight;
        if let Ok(found) = pending.find_entry(self.hash, |pending| Arc::ptr_eq(&pending.flight, flight)) {
            let (gone, _) = found.remove();
            self.flights.count.fetch_sub(1, Ordering::AcqRel);
            drop(pending);
            // A key that was never taken is the user's to drop: outside the lock.
            drop(gone);
        }
    }
}

impl<K, V> Drop for Lead<'_, K, V> {
    fn drop(&mut self) {
        if !self.landed {
            self.leave();
            self.flight.settle(Outcome::Retry);
        }
    }
}

impl<V> Flight<V> {
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
        if self.waiting.load(Ordering::Acquire) > 0 {
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

    /// Identifies the flight in the graph while it lives.
    fn id(self: &Arc<Self>) -> FlightId {
        Arc::as_ptr(self).cast::<()>() as FlightId
    }
}

#[cfg(all(test, larder_shuttle))]
mod models;
