//! Magazines: what one thread keeps of one pool, so that a lease and its return touch nothing that threads share.
//!
//! A magazine is a short stack of places. The colder half of a full one goes to the depot as a whole, and an empty one gets a
//! batch from there. So threads meet at the depot once for each batch, whatever they do.
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
use std::ptr::{self, NonNull};
use std::sync::{Arc, Weak};

use super::PoolCore;
use super::node::{List, Node, Own};
use crate::sync::{AtomicBool, AtomicU32, AtomicU64, Ordering, barrier, fork, pause};

/// Most objects in a magazine.
pub(super) const PLACES_OF_ONE: usize = 32;
/// No magazine keeps more bytes than this, because no object in it weighs more than its share.
pub(super) const BYTES: u64 = 4 << 20;

/// Whether the owner's side of the usual lease and return needs no fence. Where the system turns out to have no barrier
/// for all cores, gates are never quite open, so that what is usual is not done.
const IS_LIGHT: bool = cfg!(all(target_os = "linux", not(larder_shuttle), not(larder_fences)));

/// What one thread keeps of one pool.
///
/// In this order, because nobody else's memory is to share a line of cache with what its owner writes: in front are the
/// counters of the `Arc` and what is seldom written, behind are places that are seldom reached. An alignment would cost as
/// much, and leave open what the allocator takes for it.
#[repr(C)]
pub(crate) struct Magazine<T> {
    /// Those of the leases that were counted for the pool, and for its curve, and what a sweep found. Written under the lock
    /// of the pool's list.
    pub(super) counted: AtomicU64,
    pub(super) learned: AtomicU64,
    pub(super) swept: AtomicU64,
    /// The depot's shard that this thread goes to.
    pub(super) home: usize,
    core: Weak<PoolCore<T>>,
    /// Leases from here that nobody counted yet, and those that were counted when they were lent; written by the owner alone.
    hits: AtomicU64,
    looked: AtomicU64,
    /// How many of the places are taken: written like them, read by all.
    len: AtomicU32,
    /// How many there are.
    most: u32,
    /// The owner is at the places.
    busy: AtomicBool,
    /// The first `len` hold objects, the warmest last. The owner's while it is busy and the gate is open; whoever shut the
    /// gate has them while the owner is not busy.
    places: UnsafeCell<[*mut Node<T>; PLACES_OF_ONE]>,
}

// SAFETY: the places are used by one thread at a time, as the protocol above says; their nodes may move between threads
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
    /// With so many places, of which there is at least one.
    pub(super) fn new(core: Weak<PoolCore<T>>, most: u32, home: usize) -> Self {
        Self {
            busy: AtomicBool::new(false),
            len: AtomicU32::new(0),
            most: most.clamp(1, PLACES_OF_ONE as u32),
            hits: AtomicU64::new(0),
            looked: AtomicU64::new(0),
            places: UnsafeCell::new([ptr::null_mut(); PLACES_OF_ONE]),
            counted: AtomicU64::new(0),
            learned: AtomicU64::new(0),
            swept: AtomicU64::new(0),
            home,
            core,
        }
    }

    /// Where [`len`](Self::len) is kept.
    pub(super) fn len_word(&self) -> &AtomicU32 {
        &self.len
    }

    pub(super) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed) as usize
    }

    pub(super) fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }

    /// Leases from here, however they were counted.
    pub(super) fn leases(&self) -> u64 {
        self.hits().wrapping_add(self.looked.load(Ordering::Relaxed))
    }

    /// Whether the owner may use the places now; [`leave`](Self::leave) ends that, whatever this says. Only for the owner.
    ///
    /// # Safety
    ///
    /// The gate is there. It is not looked at afterwards: an object that is pushed may be the last that keeps its pool.
    unsafe fn enter(&self, gate: *const Gate) -> bool {
        self.busy.store(true, Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe {
            barrier::often((*gate).light);
            // Acquire: what was done behind a shut gate comes before.
            (*gate).is_open()
        }
    }

    /// [`enter`](Self::enter) for what is usual: only where nothing at all is to be looked at.
    ///
    /// # Safety
    ///
    /// The same.
    #[cfg_attr(not(debug_assertions), inline(always))]
    unsafe fn enter_near(&self, gate: *const Gate) -> bool {
        self.busy.store(true, Ordering::Relaxed);
        barrier::often(IS_LIGHT);
        // SAFETY: the caller's promise.
        unsafe { (*gate).is_clear() }
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn leave(&self) {
        // Release: who finds us not busy finds what we did.
        self.busy.store(false, Ordering::Release);
    }

    /// Where a place is.
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn place(&self, at: u32) -> *mut *mut Node<T> {
        debug_assert!((at as usize) < PLACES_OF_ONE);
        // SAFETY: callers keep below `most`.
        unsafe { self.places.get().cast::<*mut Node<T>>().add(at as usize) }
    }

    /// Takes the warmest.
    ///
    /// # Safety
    ///
    /// The places are the caller's.
    #[cfg_attr(not(debug_assertions), inline(always))]
    unsafe fn take_warmest(&self) -> Option<Own<T>> {
        let at = self.len.load(Ordering::Relaxed).checked_sub(1)?;
        // SAFETY: a place below `len` has an object, which is nobody else's.
        let own = unsafe { Own::from_raw(NonNull::new_unchecked(*self.place(at))) };
        self.len.store(at, Ordering::Relaxed);
        Some(own)
    }

    /// The object that came back last, if nothing at all is to be looked at. Only for the owner.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn pop_near(&self, gate: &Gate) -> Option<Own<T>> {
        // SAFETY: the gate is borrowed. Where it is clear, whoever shuts it from here on waits for us.
        let popped = unsafe { if self.enter_near(gate) { self.take_warmest() } else { None } };
        if popped.is_some() {
            self.hits.store(self.hits.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        }
        self.leave();
        popped
    }

    /// The object that came back last; the caller counts it for the pool. Only for the owner.
    pub(super) fn pop(&self, gate: &Gate) -> Option<Own<T>> {
        // SAFETY: the gate is borrowed. Where it is open, whoever shuts it from here on waits for us.
        let popped = unsafe { if self.enter(gate) { self.take_warmest() } else { None } };
        if popped.is_some() {
            self.looked.store(self.looked.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        }
        self.leave();
        popped
    }

    /// Keeps an object that came back, if nothing at all is to be looked at. Only for the owner.
    ///
    /// # Errors
    ///
    /// Gives it back.
    ///
    /// # Safety
    ///
    /// The gate is there for as long as the caller, or `own`, keeps the pool.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) unsafe fn push_near(&self, gate: *const Gate, own: Own<T>) -> Result<(), Own<T>> {
        // SAFETY: `own` is still the caller's.
        if unsafe { self.enter_near(gate) } {
            // From here on the places are ours: whoever shuts the gate waits for us.
            let len = self.len.load(Ordering::Relaxed);
            if len < self.most {
                // SAFETY: the place is ours, and free.
                unsafe { *self.place(len) = own.into_raw() };
                self.len.store(len + 1, Ordering::Relaxed);
                self.leave();
                return Ok(());
            }
        }
        self.leave();
        Err(own)
    }

    /// Keeps an object that came back. Only for the owner.
    ///
    /// # Safety
    ///
    /// The gate is there for as long as the caller, or `own`, keeps the pool.
    pub(super) unsafe fn push(&self, gate: *const Gate, own: Own<T>) -> Pushed<T> {
        // SAFETY: `own` is still the caller's.
        if !unsafe { self.enter(gate) } {
            self.leave();
            return Pushed::Refused(own);
        }
        // From here on the places are ours: the gate was open and we are busy, and whoever shuts it waits for us.
        let mut spilled = List::new();
        let mut len = self.len.load(Ordering::Relaxed);
        if len >= self.most {
            let cold = (self.most / 2).max(1);
            for at in 0..cold {
                // SAFETY: the places are ours, and this one has an object, which is the list's from here on.
                spilled.push_warm(unsafe { Own::from_raw(NonNull::new_unchecked(*self.place(at))) });
            }
            len -= cold;
            // SAFETY: the places are ours; what moves is below `most`.
            unsafe { ptr::copy(self.place(cold), self.place(0), len as usize) };
        }
        // SAFETY: as above; one place at least is free.
        unsafe { *self.place(len) = own.into_raw() };
        self.len.store(len + 1, Ordering::Relaxed);
        self.leave();
        if spilled.len() == 0 { Pushed::Kept } else { Pushed::Spilled(spilled) }
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
        // The places are ours: the gate is shut and their owner is not busy, so it stays out until the gate opens; the lock
        // keeps others who shut it out.
        let mut all = List::new();
        for at in 0..self.len.load(Ordering::Relaxed) {
            // SAFETY: the places are ours, and this one has an object, which is the list's from here on.
            all.push_warm(unsafe { Own::from_raw(NonNull::new_unchecked(*self.place(at))) });
        }
        self.len.store(0, Ordering::Relaxed);
        Some(all)
    }
}

/// Whether owners may use their magazines, and whether there is anything else to look at before a lease or a return.
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
    /// Others asked something of a pool that is bound to its thread.
    pub(super) const ASKED: u32 = 1 << 5;
    /// Objects are looked at whenever they are lent or come back. Like those below it keeps nobody out, but from what is
    /// usual.
    const LOOKS: u32 = 1 << 6;
    /// Calls are not to be taken as documented: pooling is off, or a scope of a test lives somewhere.
    const MODED: u32 = 1 << 7;
    /// The owner has to fence, because the system has no barrier for all cores.
    const FENCED: u32 = 1 << 8;
    /// All that keeps owners out.
    const SHUT: u32 = Self::LOOKS - 1;

    /// Of a pool that looks at its objects whenever they come and go, or does not.
    pub(super) fn new(looks: bool) -> Self {
        let light = barrier::is_available();
        let looks = if looks { Self::LOOKS } else { 0 };
        let fenced = if IS_LIGHT && !light { Self::FENCED } else { 0 };
        Self { word: AtomicU32::new(looks | fenced), light }
    }

    /// Whether owners may use their magazines.
    pub(super) fn is_open(&self) -> bool {
        self.word.load(Ordering::Acquire) & Self::SHUT == 0
    }

    /// Whether there is nothing at all to be looked at.
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn is_clear(&self) -> bool {
        // Acquire: what was done behind a shut gate comes before.
        self.word.load(Ordering::Acquire) == 0
    }

    /// Says whether calls are to be taken as documented. Several may do so at once: each asks again after it wrote, so the
    /// last to write wrote what is so.
    pub(super) fn follow(&self, is_normal: impl Fn() -> bool) {
        loop {
            let normal = is_normal();
            if normal {
                self.open(Self::MODED);
            } else {
                self.shut(Self::MODED);
            }
            if is_normal() == normal {
                return;
            }
        }
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
    magazine: NonNull<()>,
    /// Gives the magazine back: the thread ends, or another pool has the index now.
    retire: unsafe fn(NonNull<()>),
}

/// The magazines of one thread, by the index of their pool.
#[derive(Default)]
struct Seats(RefCell<Vec<Option<Seat>>>);

impl Drop for Seats {
    fn drop(&mut self) {
        let _ = HERE.try_with(|here| here.set((ptr::null(), 0)));
        near::forget();
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

/// The magazines that a thread used last, each where its pool's index says: found without asking how long the thread's
/// list is. Pools beyond so many share places.
///
/// A place is told to be a pool's by the pool's address. That is no other pool's for as long as the thread has a seat for it,
/// because the magazine in the seat keeps the address taken; and whatever takes the seat takes the place, too.
///
/// What comes back is nearly always of the pool that lent last. Looking there first is not for fewer steps: where the place
/// is then depends on nothing that the object says, so a processor need not wait for the object to know what it writes to.
#[cfg(not(larder_shuttle))]
mod near {
    use std::cell::Cell;
    use std::ptr::{self, NonNull};

    const PLACES: usize = 64;

    struct Nears {
        /// How far behind the first place that of the pool is that lent last, in bytes; always that of a place.
        last: Cell<usize>,
        places: [Near; PLACES],
    }

    struct Near {
        pool: Cell<*const ()>,
        /// In one of the thread's seats, while that is the pool's.
        magazine: Cell<NonNull<()>>,
    }

    thread_local! {
        static NEAR: Nears = const {
            Nears {
                last: Cell::new(0),
                places: [const { Near { pool: Cell::new(ptr::null()), magazine: Cell::new(NonNull::dangling()) } }; PLACES],
            }
        };
    }

    impl Nears {
        /// # Safety
        ///
        /// The offset is one of [`offset`].
        #[cfg_attr(not(debug_assertions), inline(always))]
        unsafe fn at(&self, offset: usize) -> &Near {
            // SAFETY: the offset is that of a place.
            unsafe { &*self.places.as_ptr().byte_add(offset) }
        }
    }

    impl Near {
        #[cfg_attr(not(debug_assertions), inline(always))]
        fn of(&self, pool: *const ()) -> Option<NonNull<()>> {
            if self.pool.get() == pool { Some(self.magazine.get()) } else { None }
        }
    }

    /// How far behind the first place that of a pool is, in bytes.
    pub(super) fn offset(index: usize) -> usize {
        index % PLACES * size_of::<Near>()
    }

    /// # Safety
    ///
    /// The offset is one of [`offset`].
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) unsafe fn find(offset: usize, pool: *const ()) -> Option<NonNull<()>> {
        // SAFETY: the caller's promise.
        NEAR.with(|near| unsafe { near.at(offset) }.of(pool))
    }

    /// The same, for who is about to lend.
    ///
    /// # Safety
    ///
    /// The offset is one of [`offset`].
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) unsafe fn find_to_lend(offset: usize, pool: *const ()) -> Option<NonNull<()>> {
        NEAR.with(|near| {
            near.last.set(offset);
            // SAFETY: the caller's promise.
            unsafe { near.at(offset) }.of(pool)
        })
    }

    /// The pool's, if it lent last.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn find_last(pool: *const ()) -> Option<NonNull<()>> {
        // SAFETY: all that is noted there is the offset of a place.
        NEAR.with(|near| unsafe { near.at(near.last.get()) }.of(pool))
    }

    /// # Safety
    ///
    /// The offset is one of [`offset`].
    pub(super) unsafe fn note(offset: usize, pool: *const (), magazine: NonNull<()>) {
        NEAR.with(|near| {
            // SAFETY: as above.
            let near = unsafe { near.at(offset) };
            near.pool.set(pool);
            near.magazine.set(magazine);
        });
    }

    /// The thread's seats go.
    pub(super) fn forget() {
        NEAR.with(|near| near.places.iter().for_each(|near| near.pool.set(ptr::null())));
    }
}
/// Under the models each look goes to the list, which the model knows.
#[cfg(larder_shuttle)]
mod near {
    use std::ptr::NonNull;

    pub(super) fn offset(_: usize) -> usize {
        0
    }

    pub(super) unsafe fn find(_: usize, _: *const ()) -> Option<NonNull<()>> {
        None
    }

    pub(super) unsafe fn find_to_lend(_: usize, _: *const ()) -> Option<NonNull<()>> {
        None
    }

    pub(super) fn find_last(_: *const ()) -> Option<NonNull<()>> {
        None
    }

    pub(super) unsafe fn note(_: usize, _: *const (), _: NonNull<()>) {}

    pub(super) fn forget() {}
}

/// Where threads keep their magazines of one pool.
#[derive(Debug)]
pub(super) struct Place {
    /// Of this pool alone.
    id: u64,
    /// Used again after the pool is gone, so that lists stay short.
    index: usize,
    /// What follows from it.
    near: usize,
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
        Self { id, index, near: near::offset(index) }
    }

    /// This thread's magazine of the pool, if it has one.
    ///
    /// # Safety
    ///
    /// The place is this pool's, and the pool is in its `Arc`.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) unsafe fn find<T>(&self, core: &PoolCore<T>) -> Option<&Magazine<T>> {
        // SAFETY: the offset was made for that.
        let near = unsafe { near::find(self.near, ptr::from_ref(core).cast()) };
        // SAFETY: the caller's promise.
        unsafe { self.or_seat(core, near) }
    }

    /// The same, for who is about to lend.
    ///
    /// # Safety
    ///
    /// The same.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) unsafe fn find_to_lend<T>(&self, core: &PoolCore<T>) -> Option<&Magazine<T>> {
        // SAFETY: as above.
        let near = unsafe { near::find_to_lend(self.near, ptr::from_ref(core).cast()) };
        // SAFETY: the caller's promise.
        unsafe { self.or_seat(core, near) }
    }

    /// The same, if the thread's last lease was of this pool.
    ///
    /// # Safety
    ///
    /// The same.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) unsafe fn find_last<T>(&self, core: &PoolCore<T>) -> Option<&Magazine<T>> {
        // SAFETY: as in `or_seat`.
        near::find_last(ptr::from_ref(core).cast())
            .map(|magazine| unsafe { magazine.cast::<Magazine<T>>().as_ref() })
    }

    /// What is near, or else what the list says.
    ///
    /// # Safety
    ///
    /// The same, and what is near is the pool's.
    #[cfg_attr(not(debug_assertions), inline(always))]
    unsafe fn or_seat<T>(&self, core: &PoolCore<T>, near: Option<NonNull<()>>) -> Option<&Magazine<T>> {
        match near {
            // SAFETY: the magazine is in a seat of this pool's, whose magazines are of `T`s; the seat keeps it alive for as long
            // as the thread has it, and only the thread itself, in `sit` or at its end, gives it up: then the place is
            // another's, or nobody's.
            Some(magazine) => Some(unsafe { magazine.cast::<Magazine<T>>().as_ref() }),
            // SAFETY: the caller's promise.
            None => unsafe { self.find_seat(core) },
        }
    }

    /// The same by the thread's list.
    ///
    /// # Safety
    ///
    /// The same.
    #[cold]
    #[inline(never)]
    unsafe fn find_seat<T>(&self, core: &PoolCore<T>) -> Option<&Magazine<T>> {
        let (seats, len) = HERE.try_with(Cell::get).unwrap_or((ptr::null(), 0));
        if self.index >= len {
            return None;
        }
        // SAFETY: the thread's list has so many seats, and is there as long as `HERE` says so.
        let seat = unsafe { &*seats.add(self.index) }.as_ref()?;
        if seat.pool != self.id {
            return None;
        }
        // SAFETY: the offset was made for that.
        unsafe { near::note(self.near, ptr::from_ref(core).cast(), seat.magazine) };
        // SAFETY: the id says that the seat is this pool's, whose magazines are of `T`s; the seat keeps it alive for as
        // long as the thread has it, and only the thread itself, in `sit` or at its end, gives it up.
        Some(unsafe { seat.magazine.cast::<Magazine<T>>().as_ref() })
    }

    /// Gives this thread a magazine; `false` where the thread is about to end.
    pub(super) fn sit<T: 'static>(&self, magazine: &Arc<Magazine<T>>) -> bool {
        unsafe fn retire<T: 'static>(magazine: NonNull<()>) {
            // SAFETY: it was leaked in `sit`, once, and comes back once.
            let magazine = unsafe { Arc::from_raw(magazine.cast::<Magazine<T>>().as_ptr()) };
            if let Some(core) = magazine.core.upgrade() {
                core.retire(&magazine);
            }
        }
        // SAFETY: an `Arc` points to something.
        let here = unsafe { NonNull::new_unchecked(Arc::into_raw(Arc::clone(magazine)).cast_mut()) }.cast();
        let seat = Seat { pool: self.id, magazine: here, retire: retire::<T> };
        let mut seat = Some(seat);
        let before = SEATS.try_with(|seats| {
            let mut seats = seats.0.try_borrow_mut().ok()?;
            if seats.len() <= self.index {
                seats.resize_with(self.index + 1, || None);
            }
            let before = std::mem::replace(&mut seats[self.index], seat.take());
            HERE.with(|here| here.set((seats.as_ptr(), seats.len())));
            // Before the seat of whoever had the index goes: the place may be its.
            // SAFETY: the offset was made for that, and the weak pointer has the pool's address.
            unsafe { near::note(self.near, magazine.core.as_ptr().cast(), here) };
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
