//! Who wants to be woken at a time of a clock.
//!
//! Only the list: a clock that is moved by hand rings when it is moved, the system's is watched by the background
//! threads of domains.

use std::collections::VecDeque;
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
    /// Soonest first. A new one mostly goes to the end, and one that is done with comes from the front.
    wakers: VecDeque<((Nanos, AlarmId), Waker)>,
    next: AlarmId,
}

impl Set {
    fn find(&self, at: Nanos, id: AlarmId) -> Result<usize, usize> {
        self.wakers.binary_search_by(|(key, _)| key.cmp(&(at, id)))
    }
}

/// The list is whole whenever its lock is free.
impl RefUnwindSafe for Alarms {}

impl Alarms {
    /// Sets an alarm, or renews one with another waker; `true` beside it if it is the soonest.
    pub(super) fn set(&self, at: Nanos, id: Option<AlarmId>, waker: &Waker) -> (AlarmId, bool) {
        let mut set = self.set.lock();
        let id = id.unwrap_or(set.next);
        set.next = set.next.max(id + 1);
        let (place, old) = match set.find(at, id) {
            Ok(place) => (place, Some(std::mem::replace(&mut set.wakers[place].1, waker.clone()))),
            Err(place) => {
                set.wakers.insert(place, ((at, id), waker.clone()));
                (place, None)
            }
        };
        self.count.store(set.wakers.len(), Ordering::Release);
        drop(set);
        // Dropping a waker may run the executor's code: outside the lock.
        drop(old);
        (id, place == 0)
    }

    pub(crate) fn cancel(&self, at: Nanos, id: AlarmId) {
        let mut set = self.set.lock();
        let waker = set.find(at, id).ok().and_then(|place| set.wakers.remove(place));
        self.count.store(set.wakers.len(), Ordering::Release);
        drop(set);
        drop(waker);
    }

    /// The soonest.
    pub(super) fn next(&self) -> Option<Nanos> {
        if self.is_empty() {
            return None;
        }
        self.set.lock().wakers.front().map(|((at, _), _)| *at)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count.load(Ordering::Acquire) == 0
    }

    /// Wakes whoever is due, with no lock held.
    pub(super) fn ring(&self, now: Nanos) {
        let mut set = self.set.lock();
        let due = set.wakers.partition_point(|((at, _), _)| *at <= now);
        let later = set.wakers.split_off(due);
        let due = std::mem::replace(&mut set.wakers, later);
        self.count.store(set.wakers.len(), Ordering::Release);
        drop(set);
        for (_, waker) in due {
            waker.wake();
        }
    }
}
