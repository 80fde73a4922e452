//! Who wants to be woken at a time of a clock.
//!
//! Only the list: a clock that is moved by hand rings when it is moved, the system's is watched by the background
//! threads of domains.

use std::collections::BTreeMap;
use std::panic::RefUnwindSafe;
use std::task::Waker;

use super::Nanos;
use crate::sync::{AtomicUsize, Mutex, Ordering};

/// Tells one alarm from another.
pub(crate) type AlarmId = u64;

/// The alarms of one clock, soonest first.
#[derive(Debug, Default)]
pub(crate) struct Alarms {
    set: Mutex<Set>,
    /// How many there are, so that who finds none takes no lock. Written under it.
    count: AtomicUsize,
}

#[derive(Debug, Default)]
struct Set {
    wakers: BTreeMap<(Nanos, AlarmId), Waker>,
    next: AlarmId,
}

/// The list is whole whenever its lock is free.
impl RefUnwindSafe for Alarms {}

impl Alarms {
    /// Sets an alarm, or renews one with another waker; `true` beside it if it is the soonest.
    pub(super) fn set(&self, at: Nanos, id: Option<AlarmId>, waker: &Waker) -> (AlarmId, bool) {
        let mut set = self.set.lock();
        let id = id.unwrap_or(set.next);
        set.next = set.next.max(id + 1);
        let old = set.wakers.insert((at, id), waker.clone());
        let first = set.wakers.first_key_value().is_some_and(|(key, _)| *key == (at, id));
        self.count.store(set.wakers.len(), Ordering::Release);
        drop(set);
        // Dropping a waker may run the executor's code: outside the lock.
        drop(old);
        (id, first)
    }

    pub(crate) fn cancel(&self, at: Nanos, id: AlarmId) {
        let mut set = self.set.lock();
        let waker = set.wakers.remove(&(at, id));
        self.count.store(set.wakers.len(), Ordering::Release);
        drop(set);
        drop(waker);
    }

    /// The soonest.
    pub(super) fn next(&self) -> Option<Nanos> {
        if self.is_empty() {
            return None;
        }
        self.set.lock().wakers.first_key_value().map(|((at, _), _)| *at)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count.load(Ordering::Acquire) == 0
    }

    /// Wakes whoever is due, with no lock held.
    pub(super) fn ring(&self, now: Nanos) {
        let mut set = self.set.lock();
        let later = set.wakers.split_off(&(now.saturating_add(1), 0));
        let due = std::mem::replace(&mut set.wakers, later);
        self.count.store(set.wakers.len(), Ordering::Release);
        drop(set);
        for waker in due.into_values() {
            waker.wake();
        }
    }
}
