//! Magazines: what one thread keeps of one pool, so that a lease and its return touch nothing that threads share.
//!
//! A magazine is two short stacks. The thread pushes to and pops from the first; a full one becomes the second, and what
//! was the second goes to the depot as a whole; an empty one takes the second's place, and then a batch from the depot.
//! So threads meet at the depot once for each batch, whatever they do.
//!
//! ```text
//!   owner                          somebody else (one at a time)
//!   busy = true                    gate = shut
//!   barrier, often                 barrier, rarely
//!   gate open?  push or pop        until not busy: wait
//!   busy = false                   take what is there; gate = open
//! ```
//!
//! Either the owner sees the gate shut and goes to the depot, or the other sees it busy and waits for it: for a few
//! instructions, because no user code runs in between. So what waits in a magazine can be counted, moved and freed by any
//! thread, and nothing is stranded with a thread that sleeps. Not here: what the depot is.

use std::cell::{Cell, RefCell, UnsafeCell};
use std::ptr;
use std::sync::{Arc, Weak};

use super::PoolCore;
use super::node::{List, Own, Stack};
use crate::sync::{AtomicBool, AtomicU32, AtomicU64, Ordering, barrier, fork, pause};

/// No magazine keeps more bytes than this, and none an object of more than an eighth of it.
pub(super) const BYTES: u64 = 2 << 20;

/// What one thread keeps of one pool.
#[repr(align(128))]
pub(crate) struct Magazine<T> {
    /// The owner is at the stacks.
    busy: AtomicBool,
    /// The owner's while it is busy and the gate is open; whoever shut the gate has them while the owner is not busy.
    stacks: UnsafeCell<Stacks<T>>,
    /// How many wait here: written with the stacks, read by all.
    len: AtomicU32,
    /// Leases from here, written by the owner alone.
    hits: AtomicU64,
    /// Those of them that were counted for the pool, and what a sweep found. Written under the lock of the pool's list.
    pub(super) counted: AtomicU64,
    pub(super) swept: AtomicU64,
    /// The depot's shard that this thread goes to.
    pub(super) home: usize,
    core: Weak<PoolCore<T>>,
}

struct Stacks<T> {
    first: Stack<T>,
    second: Stack<T>,
}

// SAFETY: the stacks are used by one thread at a time, as the protocol above says; their nodes may move between threads
// because the objects may.
unsafe impl<T: Send> Send for Magazine<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Magazine<T> {}

/// What became of an object that came back.
pub(super) enum Pushed<T> {
    /// It waits here.
    Kept,
    /// It waits here, and these have to go to the depot.
    Spilled(List<T>),
    /// There is no room for it here, or the gate is shut.
    Refused(Own<T>),
}

impl<T> Magazine<T> {
    pub(super) fn new(core: Weak<PoolCore<T>>, home: usize) -> Self {
        Self {
            busy: AtomicBool::new(false),
            stacks: UnsafeCell::new(Stacks { first: Stack::new(), second: Stack::new() }),
            len: AtomicU32::new(0),
            hits: AtomicU64::new(0),
            counted: AtomicU64::new(0),
            swept: AtomicU64::new(0),
            home,
            core,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed) as usize
    }

    pub(super) fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }

    /// The last lease is counted elsewhere. Only for the owner.
    pub(super) fn uncount(&self) {
        self.hits.store(self.hits.load(Ordering::Relaxed) - 1, Ordering::Relaxed);
    }

    /// Whether the owner may use the stacks now; [`leave`](Self::leave) ends that, whatever this says. Only for the owner.
    ///
    /// # Safety
    ///
    /// The gate is there. It is not looked at afterwards: an object that is pushed may be the last that keeps its pool.
    #[inline(always)]
    unsafe fn enter(&self, gate: *const Gate) -> bool {
        self.busy.store(true, Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe {
            barrier::often((*gate).light);
            // Acquire: what was done behind a shut gate comes before.
            (*gate).is_open()
        }
    }

    #[inline(always)]
    fn leave(&self) {
        // Release: who finds us not busy finds what we did.
        self.busy.store(false, Ordering::Release);
    }

    #[inline(always)]
    fn note_len(&self, stacks: &Stacks<T>) {
        self.len.store(stacks.first.len + stacks.second.len, Ordering::Relaxed);
    }

    /// The object that came back last. Only for the owner.
    #[inline(always)]
    pub(super) fn pop(&self, gate: &Gate) -> Option<Own<T>> {
        let mut popped = None;
        // SAFETY: the gate is borrowed.
        if unsafe { self.enter(gate) } {
            // SAFETY: the gate was open and we are busy: whoever shuts it from here on waits for us.
            let stacks = unsafe { &mut *self.stacks.get() };
            if stacks.first.head.is_null() {
                std::mem::swap(&mut stacks.first, &mut stacks.second);
            }
            if let Some(own) = stacks.first.pop() {
                self.note_len(stacks);
                self.hits.store(self.hits.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
                popped = Some(own);
            }
        }
        self.leave();
        popped
    }

    /// Keeps an object that came back; `half` is how many each stack may hold. Only for the owner.
    ///
    /// # Safety
    ///
    /// The gate is there for as long as the caller, or `own`, keeps the pool.
    #[inline(always)]
    pub(super) unsafe fn push(&self, gate: *const Gate, half: u32, own: Own<T>) -> Pushed<T> {
        // SAFETY: `own` is still the caller's.
        if !unsafe { self.enter(gate) } {
            self.leave();
            return Pushed::Refused(own);
        }
        // SAFETY: the gate was open and we are busy: whoever shuts it from here on waits for us.
        let stacks = unsafe { &mut *self.stacks.get() };
        if stacks.first.bytes + stacks.second.bytes + own.weight() > BYTES {
            self.leave();
            return Pushed::Refused(own);
        }
        let mut spilled = ptr::null_mut();
        if stacks.first.len >= half {
            spilled = stacks.second.take().head;
            stacks.second = stacks.first.take();
        }
        stacks.first.push(own);
        self.note_len(stacks);
        self.leave();
        if spilled.is_null() {
            return Pushed::Kept;
        }
        // SAFETY: the chain left the stacks, and is nobody else's.
        Pushed::Spilled(unsafe { List::of_chain(spilled) })
    }

    /// Takes what is here, with the gate shut, the barrier passed and the list of magazines locked. `None` where the owner
    /// will never be done, because it stayed in the parent of this forked process.
    pub(super) fn empty(&self) -> Option<List<T>> {
        let mut attempt = 0;
        // Acquire: what the owner did comes before.
        while self.busy.load(Ordering::Acquire) {
            if fork::forked() {
                return None;
            }
            attempt += 1;
            pause(attempt);
        }
        // SAFETY: the gate is shut and its owner is not busy, so it stays out until the gate opens; the lock keeps others
        // who shut it out.
        let stacks = unsafe { &mut *self.stacks.get() };
        let (first, second) = (stacks.first.take(), stacks.second.take());
        self.note_len(stacks);
        // SAFETY: both chains left the stacks.
        let (first, mut all) = unsafe { (List::of_chain(first.head), List::of_chain(second.head)) };
        all.put_warm(first);
        Some(all)
    }
}

/// Whether owners may use their magazines: zero is open.
#[derive(Debug)]
pub(super) struct Gate {
    word: AtomicU32,
    light: bool,
}

impl Gate {
    /// Somebody empties the magazines, or has them counted.
    pub(super) const DRAINED: u32 = 1;
    /// Objects were wanted that lay with other threads: for a while all go through the depot.
    pub(super) const SCARCE: u32 = 1 << 1;
    /// The pool takes nothing back any more.
    pub(super) const CLOSED: u32 = 1 << 2;
    /// What comes back has to be looked at: nothing was idle when somebody asked, there are more than there may be, or
    /// memory is short.
    pub(super) const ALERT: u32 = 1 << 3;
    /// Somebody waits for what comes back.
    pub(super) const WAITED: u32 = 1 << 4;

    pub(super) fn new() -> Self {
        Self { word: AtomicU32::new(0), light: barrier::is_available() }
    }

    #[inline(always)]
    pub(super) fn is_open(&self) -> bool {
        self.word.load(Ordering::Acquire) == 0
    }

    pub(super) fn has(&self, bit: u32) -> bool {
        self.word.load(Ordering::SeqCst) & bit != 0
    }

    /// Sets a bit; whether it was clear.
    pub(super) fn shut(&self, bit: u32) -> bool {
        self.word.fetch_or(bit, Ordering::SeqCst) & bit == 0
    }

    pub(super) fn open(&self, bit: u32) {
        self.word.fetch_and(!bit, Ordering::SeqCst);
    }

    /// After a bit was set, before [`Magazine::empty`]. `false` where nothing can be said about who is inside.
    pub(super) fn settle(&self) -> bool {
        barrier::rarely(self.light)
    }
}

/// A thread's magazine for the pool of some index.
struct Seat {
    /// Of one pool alone, ever.
    pool: u64,
    magazine: *const (),
    /// Gives the magazine back: the thread ends, or another pool has the index now.
    retire: unsafe fn(*const ()),
}

/// The magazines of one thread, by the index of their pool.
#[derive(Default)]
struct Seats(RefCell<Vec<Option<Seat>>>);

impl Drop for Seats {
    fn drop(&mut self) {
        let _ = HERE.try_with(|here| here.set((ptr::null(), 0)));
        for seat in self.0.get_mut().drain(..).flatten() {
            // SAFETY: the seat is taken out, so its magazine is retired once.
            unsafe { (seat.retire)(seat.magazine) };
        }
    }
}

#[cfg(not(larder_shuttle))]
thread_local! {
    static SEATS: Seats = Seats::default();
    /// Where this thread's list is, and how long, for calls that have no time to ask whether it is still there.
    static HERE: Cell<(*const Option<Seat>, usize)> = const { Cell::new((ptr::null(), 0)) };
}
#[cfg(larder_shuttle)]
shuttle::thread_local! {
    static SEATS: Seats = Seats::default();
    static HERE: Cell<(*const Option<Seat>, usize)> = Cell::new((ptr::null(), 0));
}

/// Where threads keep their magazines of one pool.
#[derive(Debug)]
pub(super) struct Place {
    /// Of this pool alone.
    id: u64,
    /// Used again after the pool is gone, so that lists stay short.
    index: usize,
}

struct Places {
    free: Vec<usize>,
    next: usize,
    ids: u64,
}

static PLACES: parking_lot::Mutex<Places> =
    parking_lot::Mutex::new(Places { free: Vec::new(), next: 0, ids: 0 });

impl Place {
    pub(super) fn new() -> Self {
        let mut places = PLACES.lock();
        places.ids += 1;
        let id = places.ids;
        let index = places.free.pop().unwrap_or_else(|| {
            places.next += 1;
            places.next - 1
        });
        Self { id, index }
    }

    /// This thread's magazine of the pool, if it has one.
    ///
    /// # Safety
    ///
    /// The pool of this place is one of `T`s.
    #[inline(always)]
    pub(super) unsafe fn find<T>(&self) -> Option<&Magazine<T>> {
        #[cfg(not(larder_shuttle))]
        let (seats, len) = HERE.with(Cell::get);
        #[cfg(larder_shuttle)]
        let (seats, len) = HERE.try_with(Cell::get).unwrap_or((ptr::null(), 0));
        if self.index >= len {
            return None;
        }
        // SAFETY: the thread's list has so many seats, and is there as long as `HERE` says so.
        let seat = unsafe { &*seats.add(self.index) }.as_ref()?;
        // SAFETY: the id says that the seat is this pool's, whose magazines are of `T`s; the seat keeps it alive for as
        // long as the thread has it, and only the thread itself, in `sit` or at its end, gives it up.
        (seat.pool == self.id).then(|| unsafe { &*seat.magazine.cast::<Magazine<T>>() })
    }

    /// Gives this thread a magazine; `false` where the thread is about to end.
    pub(super) fn sit<T: Send + 'static>(&self, magazine: &Arc<Magazine<T>>) -> bool {
        unsafe fn retire<T: Send + 'static>(magazine: *const ()) {
            // SAFETY: it was leaked in `sit`, once, and comes back once.
            let magazine = unsafe { Arc::from_raw(magazine.cast::<Magazine<T>>()) };
            if let Some(core) = magazine.core.upgrade() {
                core.retire(&magazine);
            }
        }
        let seat =
            Seat { pool: self.id, magazine: Arc::into_raw(Arc::clone(magazine)).cast(), retire: retire::<T> };
        let mut seat = Some(seat);
        let before = SEATS.try_with(|seats| {
            let mut seats = seats.0.try_borrow_mut().ok()?;
            if seats.len() <= self.index {
                seats.resize_with(self.index + 1, || None);
            }
            let before = std::mem::replace(&mut seats[self.index], seat.take());
            HERE.with(|here| here.set((seats.as_ptr(), seats.len())));
            before
        });
        let sits = seat.is_none();
        // Outside the list's borrow: it may be the last trace of a pool that is gone.
        for gone in [before.ok().flatten(), seat].into_iter().flatten() {
            // SAFETY: the seat is in no list any more.
            unsafe { (gone.retire)(gone.magazine) };
        }
        sits
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        PLACES.lock().free.push(self.index);
    }
}
