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
//! # The table
//!
//! Most loads are nobody's but their leader's, and bodies may be short. So a flight is an entry in the table, under
//! one lock, and nothing else until somebody joins: only then it gets a state that can be waited for.
//!
//! The key is needed to recognise the flight and to store the value afterwards. It is not cloned: it moves from the
//! leader into the table and back. A caller that meets a flight of its hash whose key is out to be stored cannot
//! compare; it waits for the landing and looks again.
//!
//! Who finds no flight looks into the store before it leads, still under the table's lock: whoever landed since it
//! missed has linked its value before it left the table.
//!
//! Who writes or invalidates a key marks its flights in the table, which stay there until they land: nobody joins
//! them, and they store nothing. A leader that is about to store need not look for its mark, as long as the number of
//! marks ever set is the one that it saw when it began.
//!
//! # Locks
//!
//! A shard's lock, then the table's; a flight's state, then the graph. None is held while a body runs or is polled, a
//! waker is called, or the budget is asked. Who has the table locked looks into the store as a reader, who takes no lock.

mod graph;
mod index;
mod wait;

pub(crate) use graph::{Working, WorkingOnly};
pub(crate) use wait::{Patience, Waited, Waiter, Waiting};

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, OnceLock};
use std::task::Waker;
use std::time::Duration;

use graph::FlightId;
use index::Index;
use wait::Until;

use crate::sync::{AtomicBool, AtomicU32, AtomicUsize, Condvar, Mutex, Ordering, fence};

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
    /// How many flights may still store a value; lets writers skip the table when there are none. Changed with the
    /// table locked.
    count: AtomicU32,
    /// How often one was marked as superseded. Changed with the table locked.
    marks: AtomicU32,
}

/// The flights in the air.
struct Table<K, V> {
    /// Nearly always there is no other.
    first: Option<Pending<K, V>>,
    /// Nothing while there are none, because every empty cache would pay for it.
    others: Option<Box<Others<K, V>>>,
    /// The number of the next flight.
    next: u64,
}

/// Flights beside the first, at the places that the index gives them.
struct Others<K, V> {
    index: Index,
    list: Vec<Option<Pending<K, V>>>,
}

/// A flight in the table, from when its body may run until its value is stored.
struct Pending<K, V> {
    hash: u64,
    /// Tells it from the others that are in the table.
    number: u64,
    key: Key<K>,
    /// From when the first caller waits.
    flight: Option<Arc<Flight<V>>>,
}

/// Where a flight's key is.
enum Key<K> {
    /// Here; the body runs.
    Known(K),
    /// With the leader, who stores the value.
    Landing,
    /// With a caller who computes alone: only writers look for it.
    Alone,
    /// Written or invalidated meanwhile: the value is not stored, and nobody joins.
    Superseded,
}

impl<K> Key<K> {
    /// Whether a write of some key is, or may be, one of this flight's.
    fn may_be(&self, eq: impl FnOnce(&K) -> bool) -> bool {
        match self {
            Self::Known(key) => eq(key),
            Self::Landing | Self::Alone => true,
            Self::Superseded => false,
        }
    }
}

/// Keys of flights that were superseded: the user's, to be dropped with no lock held.
pub(crate) struct Superseded<K>(Vec<Key<K>>);

impl<K> Superseded<K> {
    #[inline]
    pub(crate) fn new() -> Self {
        Self(Vec::new())
    }
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self { first: None, others: None, next: 0 }
    }
}

impl<K, V> Table<K, V> {
    /// Enters a flight; returns its number.
    fn enter(&mut self, hash: u64, key: Key<K>) -> u64 {
        let number = self.next;
        self.next += 1;
        let pending = Pending { hash, number, key, flight: None };
        if self.first.is_none() {
            self.first = Some(pending);
            return number;
        }
        let others =
            self.others.get_or_insert_with(|| Box::new(Others { index: Index::default(), list: Vec::new() }));
        let place = others.index.enter(hash);
        if place == others.list.len() {
            others.list.push(Some(pending));
        } else {
            others.list[place] = Some(pending);
        }
        number
    }

    /// The first flight of this hash that `is` the one.
    fn find(&mut self, hash: u64, is: impl Fn(&Pending<K, V>) -> bool) -> Option<&mut Pending<K, V>> {
        let is = |pending: &Pending<K, V>| pending.hash == hash && is(pending);
        match &mut self.first {
            Some(first) if is(first) => Some(first),
            _ => {
                let Others { index, list } = &mut **self.others.as_mut()?;
                let place = index.find(hash, &mut |place| list[place].as_ref().is_some_and(&is))?;
                list[place].as_mut()
            }
        }
    }

    fn of(&mut self, hash: u64, number: u64) -> Option<&mut Pending<K, V>> {
        self.find(hash, |pending| pending.number == number)
    }

    fn remove(&mut self, hash: u64, number: u64) -> Option<Pending<K, V>> {
        if self.first.as_ref().is_some_and(|first| first.number == number) {
            return self.first.take();
        }
        let Others { index, list } = &mut **self.others.as_mut()?;
        let is = |pending: &Pending<K, V>| pending.number == number;
        let place = index.leave(hash, &mut |place| list[place].as_ref().is_some_and(is))?;
        list[place].take()
    }

    /// Takes out what the others leave behind that are gone.
    fn unused(&mut self) -> Option<Box<Others<K, V>>> {
        self.others.take_if(|others| others.index.is_empty())
    }

    #[cfg(any(test, feature = "__validate"))]
    fn is_empty(&self) -> bool {
        self.first.is_none() && self.others.is_none()
    }
}

/// One computation that others wait for.
struct Flight<V> {
    id: FlightId,
    /// Callers who wait, or are about to. Raised under the table's lock, so it only falls once the flight left the
    /// table.
    callers: AtomicUsize,
    /// The body is an executor's: it ends when nobody waits any more.
    detached: AtomicBool,
    /// Nobody waited any more. Set with the outcome, under the state's lock.
    abandoned: AtomicBool,
    /// The leader's value, there before the flight has landed if anybody waited: whoever waits clones it with no lock held.
    value: OnceLock<V>,
    state: Mutex<State>,
    /// Wakes threads; tasks are woken by their wakers.
    changed: Condvar,
}

struct State {
    outcome: Outcome,
    /// One for each waiting task, by the number it was given.
    wakers: Vec<(u64, Waker)>,
    /// The number of the next task.
    next: u64,
    /// Wakes the task that runs a detached body.
    runner: Option<Waker>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// The body runs, or its value is being stored.
    Pending,
    /// The leader has its value.
    Landed,
    /// There is no value to be had from this flight: look, and join, again.
    Retry,
}

/// What a caller who misses turns out to be.
pub(crate) enum Joined<'a, K, V> {
    /// Runs the body, then lands or drops the lead.
    Leader(Lead<K, V, &'a Flights<K, V>>),
    /// Waits for another caller's flight; has its key back.
    Waiter(Waiter<V>, K),
    /// The value is there by now; has its key back.
    Stored(K),
}

impl<K, V> Flights<K, V> {
    pub(crate) fn new() -> Self {
        Self { table: Mutex::new(Table::default()), count: AtomicU32::new(0), marks: AtomicU32::new(0) }
    }

    /// Takes part in the flight for this key, or starts it, unless it `is_stored`. That and `eq` run under the
    /// table's lock.
    pub(crate) fn join(
        &self,
        hash: u64,
        key: K,
        eq: impl Fn(&K, &K) -> bool,
        is_stored: impl FnOnce(&K) -> bool,
    ) -> Joined<'_, K, V> {
        // A key is the user's to drop, also where this panics: outside the lock.
        let mut abandoned = None;
        let mut table = self.table.lock();
        let joins = |pending: &Pending<K, V>| match &pending.key {
            Key::Known(other) => eq(other, &key),
            Key::Landing => true,
            Key::Alone | Key::Superseded => false,
        };
        if let Some(pending) = table.find(hash, joins) {
            let flight = self.share(pending);
            if !flight.abandoned.load(Ordering::Acquire) {
                let known = matches!(pending.key, Key::Known(_));
                let until = if known { Until::Value } else { Until::Landed };
                flight.callers.fetch_add(1, Ordering::AcqRel);
                return Joined::Waiter(Waiter::new(flight, until), key);
            }
            // Its executor has not dropped it yet.
            abandoned = Some(self.mark(pending));
        }
        if is_stored(&key) {
            return Joined::Stored(key);
        }
        let lead = self.enter(&mut table, hash, Key::Known(key));
        drop(table);
        drop(abandoned);
        Joined::Leader(lead)
    }

    /// Notes a caller who computes outside any flight, until what it returns is dropped.
    pub(crate) fn alone(&self, hash: u64) -> Lead<K, V, &Self> {
        self.enter(&mut self.table.lock(), hash, Key::Alone)
    }

    fn enter(&self, table: &mut Table<K, V>, hash: u64, key: Key<K>) -> Lead<K, V, &Self> {
        let number = table.enter(hash, key);
        // Raised under the table's lock: a writer that saw 0 came before this flight.
        self.count.store(self.count.load(Ordering::Relaxed) + 1, Ordering::Release);
        // With the fence in `supersede`: either who invalidates sees this flight, or its body sees what was written
        // before the invalidation.
        fence(Ordering::SeqCst);
        let marks = self.marks.load(Ordering::Relaxed);
        Lead { flights: self, hash, number, marks, aloft: true, flight: None, key: PhantomData }
    }

    /// What callers of a flight wait for. The table is locked.
    fn share(&self, pending: &mut Pending<K, V>) -> Arc<Flight<V>> {
        let id = FlightId::new(self, pending.number);
        Arc::clone(pending.flight.get_or_insert_with(|| Arc::new(Flight::new(id))))
    }

    /// Marks a flight as superseded; returns its key, the user's to drop. The table is locked.
    fn mark(&self, pending: &mut Pending<K, V>) -> Key<K> {
        self.marks.store(self.marks.load(Ordering::Relaxed).wrapping_add(1), Ordering::Release);
        self.count.store(self.count.load(Ordering::Relaxed) - 1, Ordering::Release);
        std::mem::replace(&mut pending.key, Key::Superseded)
    }

    /// The key was written or invalidated: its flight's value is not stored, and nobody joins it any more.
    pub(crate) fn supersede(&self, hash: u64, eq: impl Fn(&K) -> bool) {
        self.supersede_into(hash, eq, &mut Superseded::new());
    }

    /// [`supersede`](Self::supersede) by who has a shard locked, and drops the keys later.
    #[inline]
    pub(crate) fn supersede_into(&self, hash: u64, eq: impl Fn(&K) -> bool, keys: &mut Superseded<K>) {
        fence(Ordering::SeqCst);
        if self.count.load(Ordering::Acquire) > 0 {
            self.supersede_some(hash, eq, keys);
        }
    }

    #[cold]
    fn supersede_some(&self, hash: u64, eq: impl Fn(&K) -> bool, keys: &mut Superseded<K>) {
        let mut table = self.table.lock();
        while let Some(pending) = table.find(hash, |pending| pending.key.may_be(&eq)) {
            keys.0.push(self.mark(pending));
        }
    }

    /// Whether nobody computes anything.
    #[cfg(any(test, feature = "__validate"))]
    pub(crate) fn is_empty(&self) -> bool {
        let none = self.table.lock().is_empty();
        assert!(!none || self.count.load(Ordering::Acquire) == 0, "flights are counted that are gone");
        none
    }

    /// [`supersede`](Self::supersede) for all keys.
    pub(crate) fn supersede_all(&self) {
        fence(Ordering::SeqCst);
        let mut keys = Vec::new();
        let mut table = self.table.lock();
        let Table { first, others, .. } = &mut *table;
        let mut mark = |pending: &mut Pending<K, V>| {
            if !matches!(pending.key, Key::Superseded) {
                keys.push(self.mark(pending));
            }
        };
        if let Some(first) = first {
            mark(first);
        }
        if let Some(others) = others {
            for pending in &mut others.list {
                let Some(pending) = pending else { continue };
                mark(pending);
            }
        }
        drop(table);
        drop(keys);
    }
}

/// The right and the duty to run the body. Dropped without landing (the body failed or panicked), it sends
/// the waiters back to join again.
///
/// A caller who computes alone has one too, which nobody joins.
pub(crate) struct Lead<K, V, F: Deref<Target = Flights<K, V>>> {
    flights: F,
    hash: u64,
    number: u64,
    /// The marks ever set when this flight was last known to have none.
    marks: u32,
    /// It is in the table.
    aloft: bool,
    /// What callers wait for, as far as it is known here.
    flight: Option<Arc<Flight<V>>>,
    key: PhantomData<fn() -> K>,
}

/// A lead that does not borrow the table.
pub(crate) type OwnLead<K, V> = Lead<K, V, Arc<Flights<K, V>>>;

impl<K, V> Lead<K, V, &Flights<K, V>> {
    /// From here on the body is an executor's, and the caller waits like the others: the flight is over when all of
    /// them are gone.
    pub(crate) fn detach(mut self, flights: &Arc<Flights<K, V>>) -> (OwnLead<K, V>, Waiter<V>) {
        let (hash, number, marks) = (self.hash, self.number, self.marks);
        let mut table = self.flights.table.lock();
        let flight = match table.of(hash, number) {
            Some(pending) => self.flights.share(pending),
            None => unreachable!("a flight is in the table until it lands"),
        };
        flight.callers.fetch_add(1, Ordering::AcqRel);
        drop(table);
        flight.detached.store(true, Ordering::Release);
        // The other lead goes on.
        self.aloft = false;
        let waiter = Waiter::new(Arc::clone(&flight), Until::Value);
        let (flights, flight) = (Arc::clone(flights), Some(flight));
        (Lead { flights, hash, number, marks, aloft: true, flight, key: PhantomData }, waiter)
    }
}

impl<K, V, F: Deref<Target = Flights<K, V>>> Lead<K, V, F> {
    /// The flight as the graph knows it: whoever works for it says so while it does.
    pub(crate) fn id(&self) -> FlightId {
        FlightId::new(&*self.flights, self.number)
    }

    /// Whether anybody still waits for a detached body; if so, `runner` is woken when that changes.
    pub(crate) fn is_wanted(&self, runner: &Waker) -> bool {
        let Some(flight) = &self.flight else { return true };
        let mut state = flight.state.lock();
        if flight.abandoned.load(Ordering::Acquire) {
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

    /// Takes the key out, to store the value under it: the flight is landing. `None` when the flight was
    /// superseded: then the value must not be stored.
    pub(crate) fn take_key(&mut self) -> Option<K> {
        let mut table = self.flights.table.lock();
        let pending = table.of(self.hash, self.number)?;
        if !matches!(pending.key, Key::Known(_)) {
            return None;
        }
        match std::mem::replace(&mut pending.key, Key::Landing) {
            Key::Known(key) => Some(key),
            Key::Landing | Key::Alone | Key::Superseded => None,
        }
    }

    /// Whether the key is that one; not once it was superseded. `is` runs under the table's lock.
    #[cfg(feature = "tiers")]
    pub(crate) fn is_of(&self, is: impl FnOnce(&K) -> bool) -> bool {
        let mut table = self.flights.table.lock();
        match table.of(self.hash, self.number).map(|pending| &pending.key) {
            Some(Key::Known(key)) => is(key),
            _ => false,
        }
    }

    /// Counts the marks ever set on the cache's flights.
    pub(crate) fn marks(&self) -> &AtomicU32 {
        &self.flights.marks
    }

    /// How many there were when this flight was known to have none.
    pub(crate) fn marks_seen(&self) -> u32 {
        self.marks
    }

    /// Looks for a mark of this flight: `None` when it has one, otherwise how many there are by now.
    pub(crate) fn look_for_mark(&self) -> Option<u32> {
        let mut table = self.flights.table.lock();
        let pending = table.of(self.hash, self.number)?;
        let free = !matches!(pending.key, Key::Superseded);
        free.then(|| self.flights.marks.load(Ordering::Relaxed))
    }

    /// Ends the flight and hands the value to whoever waits; `value` is asked only if somebody does.
    pub(crate) fn land(mut self, value: impl FnOnce() -> V) {
        self.leave();
        let Some(flight) = &self.flight else { return };
        let waited = flight.callers.load(Ordering::Acquire) > 0;
        // Should this panic, those who wait join again.
        if waited {
            // Landed once, so nobody was here before.
            let _ = flight.value.set(value());
        }
        flight.settle(Outcome::Landed);
        self.flight = None;
    }

    /// Takes the flight out of the table: nobody joins it from here on.
    fn leave(&mut self) {
        if !std::mem::take(&mut self.aloft) {
            return;
        }
        let mut table = self.flights.table.lock();
        let gone = table.remove(self.hash, self.number);
        let unused = table.unused();
        let storing = gone.as_ref().is_some_and(|gone| !matches!(gone.key, Key::Superseded));
        let count = &self.flights.count;
        count.store(count.load(Ordering::Relaxed) - u32::from(storing), Ordering::Release);
        drop(table);
        drop(unused);
        if let Some(gone) = gone {
            self.flight = gone.flight;
            // A key that was never taken is the user's to drop: outside the lock.
            drop(gone.key);
        }
    }
}

impl<K, V, F: Deref<Target = Flights<K, V>>> Drop for Lead<K, V, F> {
    fn drop(&mut self) {
        self.leave();
        if let Some(flight) = self.flight.take() {
            flight.settle(Outcome::Retry);
        }
    }
}

impl<V> Flight<V> {
    fn new(id: FlightId) -> Self {
        Self {
            id,
            callers: AtomicUsize::new(0),
            detached: AtomicBool::new(false),
            abandoned: AtomicBool::new(false),
            value: OnceLock::new(),
            state: Mutex::new(State { outcome: Outcome::Pending, wakers: Vec::new(), next: 0, runner: None }),
            changed: Condvar::new(),
        }
    }

    /// Publishes the outcome, cuts the edges of the graph that end here, and wakes all who wait.
    fn settle(&self, outcome: Outcome) {
        let mut state = self.state.lock();
        state.outcome = outcome;
        if self.callers.load(Ordering::Acquire) > 0 {
            // Under the state's lock: an edge stands exactly while its flight is pending, so the graph
            // never shows a wait that is over.
            graph::cut(self.id);
            self.wake(state);
        }
    }

    fn wake(&self, mut state: impl DerefMut<Target = State>) {
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
        let flies = state.outcome == Outcome::Pending;
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
}

#[cfg(all(test, larder_shuttle))]
mod models;
