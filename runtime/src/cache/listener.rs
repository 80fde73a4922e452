//! Who hears of entries that leave: each of them once, with no lock held, and whatever the listener does.
//!
//! Why an entry leaves is noted where it is unlinked, and it comes here when nobody reads it any more. A listener may use
//! the cache it listens to. What leaves by that, on the same thread, is told when the call under way is over: so calls
//! do not nest however long the chain of removals is.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::removal::RemovalCause;
use crate::store::Departed;
use crate::sync::{AtomicU64, Mutex, Ordering};
use crate::unwind::discard;
use crate::weight::weigh::allocation;

/// A user's function that hears of entries that left.
pub(crate) type OnRemove<K, V> = Box<dyn Fn(K, V, RemovalCause) + Send + Sync>;

/// The function, and what it does not know of yet.
pub(super) struct Listener<K, V> {
    tell: OnRemove<K, V>,
    panics: AtomicU64,
    /// Nearly always empty.
    deferred: Mutex<Deferred<K, V>>,
}

/// What left in a call of a listener, with the thread that is in it.
type Deferred<K, V> = Vec<(usize, Departed<K, V>)>;

/// Listeners that a thread is in, by address; nearly always one.
type Stack = RefCell<Vec<usize>>;

#[cfg(not(larder_shuttle))]
thread_local! {
    static TELLING: Stack = const { RefCell::new(Vec::new()) };
}
#[cfg(larder_shuttle)]
shuttle::thread_local! {
    static TELLING: Stack = RefCell::new(Vec::new());
}

/// This thread is in a listener.
struct Telling {
    /// Tells threads apart that are in listeners at the same time; 0 for one that is ending, and keeps no stack.
    thread: usize,
}

impl Telling {
    /// # Errors
    ///
    /// The thread, where it is in this listener already.
    fn start(listener: usize) -> Result<Self, usize> {
        let pushed = TELLING.try_with(|stack| {
            let thread = std::ptr::from_ref(stack).addr();
            let mut stack = stack.borrow_mut();
            if stack.contains(&listener) {
                return Err(thread);
            }
            stack.push(listener);
            Ok(Self { thread })
        });
        // Made only if it is needed: its drop takes one off the stack.
        pushed.unwrap_or_else(|_| Ok(Self { thread: 0 }))
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        let _ = TELLING.try_with(|stack| stack.borrow_mut().pop());
    }
}

impl<K, V> Listener<K, V> {
    pub(super) fn new(tell: OnRemove<K, V>) -> Self {
        Self { tell, panics: AtomicU64::new(0), deferred: Mutex::new(Vec::new()) }
    }

    /// Bytes that it takes, without what is deferred for a moment.
    pub(super) fn bytes(&self) -> u64 {
        allocation(size_of_val(self)) + allocation(size_of_val(&*self.tell))
    }

    /// How many of its calls panicked.
    pub(super) fn panics(&self) -> u64 {
        self.panics.load(Ordering::Relaxed)
    }

    /// Tells of entries that left; or lets the call do so that this thread is in.
    #[cold]
    pub(super) fn tell(&self, departed: Departed<K, V>) {
        let telling = match Telling::start(std::ptr::from_ref(self).addr()) {
            Ok(telling) => telling,
            Err(thread) => return self.deferred.lock().push((thread, departed)),
        };
        self.tell_each(departed);
        // Until nothing leaves any more by what it does.
        while let Some(departed) = self.take_deferred(telling.thread) {
            self.tell_each(departed);
        }
    }

    fn take_deferred(&self, thread: usize) -> Option<Departed<K, V>> {
        let mut deferred = self.deferred.lock();
        // The first: in the order in which they left.
        let mut at = 0;
        while deferred.get(at)?.0 != thread {
            at += 1;
        }
        Some(deferred.remove(at).1)
    }

    fn tell_each(&self, departed: Departed<K, V>) {
        for (key, value, cause, _) in departed {
            // The entry is the listener's: nobody sees what a panic leaves half done.
            let told = catch_unwind(AssertUnwindSafe(|| (self.tell)(key, value, cause)));
            if let Err(panic) = told {
                self.panics.fetch_add(1, Ordering::Relaxed);
                discard(panic);
            }
        }
    }
}
