//! Pools whose objects never leave a thread: what others ask of such a pool, and how it hears of it.
//!
//! Only its thread may touch what waits in it. So the domain knows a stand-in, which holds figures and requests and nothing
//! of the user's. Who asks shuts the gate of the pool; the thread finds it shut at its next operation, and does what was
//! asked then. Not here: what that is.

use std::ptr::NonNull;
use std::sync::Arc;

use super::PoolCore;
use super::core::{Dropped, Price};
use super::magazine::{Gate, Magazine};
use super::tenant::{Figures, Instance};
use crate::curve::Curve;
use crate::instances::Ranked;
use crate::stats::Count;
use crate::sync::{AtomicU32, AtomicU64, AtomicUsize, Mutex, Ordering};
use crate::tenant::{Claim, Need, ScopeId};
use crate::time::{NEVER, Nanos};

/// What stands for a pool that is bound to its thread.
pub(super) struct StandIn {
    state: Mutex<State>,
    price: Price,
    /// Its place among the tenant's instances.
    rank: AtomicU32,
}

struct State {
    /// Of the pool; `None` when it is gone.
    watched: Option<Watched>,
    requests: Requests,
    /// What each byte of its coldest object saved when its thread said so last.
    density: f64,
}

/// The parts of a pool that are no thread's alone: all of them atomics.
struct Watched {
    gate: NonNull<Gate>,
    nodes: NonNull<AtomicU64>,
    members: NonNull<AtomicU64>,
    uncharged: NonNull<AtomicU64>,
    max: NonNull<AtomicU64>,
    in_depot: NonNull<AtomicUsize>,
    in_magazines: Vec<NonNull<AtomicU32>>,
}

// SAFETY: they point to atomics, which are there as long as the state says so: a magazine, and the pool, take theirs out,
// under the state's lock, before they go.
unsafe impl Send for Watched {}

impl Watched {
    fn of<T>(core: &PoolCore<T>) -> Self {
        Self {
            gate: NonNull::from(&core.gate),
            nodes: NonNull::from(&core.nodes),
            members: NonNull::from(&core.members),
            uncharged: NonNull::from(&core.uncharged),
            max: NonNull::from(&core.max),
            in_depot: NonNull::from(core.depot.len_word()),
            in_magazines: Vec::new(),
        }
    }

    fn figures(&self) -> Figures {
        let word = |at: &NonNull<AtomicU64>| {
            // SAFETY: it is there while it is watched.
            unsafe { at.as_ref() }.load(Ordering::Relaxed)
        };
        // SAFETY: as above.
        let mut idle = unsafe { self.in_depot.as_ref() }.load(Ordering::Relaxed) as u64;
        for len in &self.in_magazines {
            // SAFETY: as above.
            idle += u64::from(unsafe { len.as_ref() }.load(Ordering::Relaxed));
        }
        Figures {
            members: word(&self.members),
            leased: word(&self.nodes).saturating_sub(idle),
            uncharged: word(&self.uncharged),
            max: word(&self.max),
        }
    }
}

/// What others asked of a pool since it was heeded last.
#[derive(Default)]
pub(super) struct Requests {
    /// To give so many bytes.
    bytes: u64,
    /// To drop all that is idle, because memory is short.
    drops_idle: bool,
    /// The same, because the user says so.
    clears: bool,
    follows_mode: bool,
    /// To look for what is too old.
    swept: Option<Nanos>,
    /// Scopes of tests that ended.
    left: Vec<ScopeId>,
}

impl StandIn {
    /// For this pool, which says so before [it ends](Self::end).
    fn new<T>(core: &PoolCore<T>) -> Self {
        let state = State { watched: Some(Watched::of(core)), requests: Requests::default(), density: 0.0 };
        Self { state: Mutex::new(state), price: Price::new(), rank: AtomicU32::new(0) }
    }

    /// The pool goes: nobody can ask for anything any more.
    pub(super) fn end(&self) {
        self.state.lock().watched = None;
        self.price.set(f64::INFINITY);
    }

    /// The pool has this magazine from here on.
    pub(super) fn watch<T>(&self, magazine: &Magazine<T>) {
        if let Some(watched) = &mut self.state.lock().watched {
            watched.in_magazines.push(NonNull::from(magazine.len_word()));
        }
    }

    /// It is about to go.
    pub(super) fn forget<T>(&self, magazine: &Magazine<T>) {
        if let Some(watched) = &mut self.state.lock().watched {
            let word = NonNull::from(magazine.len_word());
            watched.in_magazines.retain(|other| *other != word);
        }
    }

    fn ask(&self, ask: impl FnOnce(&mut Requests)) {
        let mut state = self.state.lock();
        if let State { watched: Some(watched), requests, .. } = &mut *state {
            ask(requests);
            // SAFETY: it is there while it is watched, and the state is locked.
            unsafe { watched.gate.as_ref() }.shut(Gate::ASKED);
        }
    }

    /// What was asked, once.
    fn take(&self, gate: &Gate) -> Requests {
        let mut state = self.state.lock();
        gate.open(Gate::ASKED);
        std::mem::take(&mut state.requests)
    }

    /// What the thread knows now.
    fn note(&self, density: f64, price: f64) {
        let mut state = self.state.lock();
        state.density = density;
        // Until the thread has heeded what was asked there is nothing more to be had.
        let has_promised = state.requests.bytes > 0;
        self.price.set(if has_promised { f64::INFINITY } else { price });
    }
}

impl Ranked for StandIn {
    fn set_place(&self, place: u32) {
        self.rank.store(place, Ordering::Relaxed);
    }

    fn place(&self) -> u32 {
        self.rank.load(Ordering::Relaxed)
    }

    fn credit(&self) -> f64 {
        self.price.get()
    }

    fn due(&self) -> Nanos {
        NEVER
    }
}

impl Instance for StandIn {
    fn density(&self) -> f64 {
        self.state.lock().density
    }

    /// Only the thread could count what it lends.
    fn learn(&self) -> Option<Curve> {
        None
    }

    /// Asks for the bytes; they come later, so nothing is promised.
    fn reclaim(&self, claim: Claim, _why: Count) -> Dropped {
        self.ask(|requests| requests.bytes = requests.bytes.saturating_add(claim.bytes.max(1)));
        self.price.set(f64::INFINITY);
        Dropped::default()
    }

    fn sweep(&self, now: Nanos) -> u64 {
        self.ask(|requests| requests.swept = Some(now));
        0
    }

    fn drop_idle(&self) -> u64 {
        self.ask(|requests| requests.drops_idle = true);
        0
    }

    fn clear(&self) {
        self.ask(|requests| requests.clears = true);
    }

    fn follow_mode(&self) {
        self.ask(|requests| requests.follows_mode = true);
    }

    fn leave(&self, scope: ScopeId) {
        self.ask(|requests| requests.left.push(scope));
    }

    fn figures(&self) -> Figures {
        self.state.lock().watched.as_ref().map_or_else(Figures::default, Watched::figures)
    }
}

/// Binds a new pool to its thread; the domain hears of the stand-in alone.
pub(super) fn stand_in<T>(core: &Arc<PoolCore<T>>) -> Arc<dyn Instance> {
    Arc::clone(core.stand_in.get_or_init(|| Arc::new(StandIn::new(core)))) as Arc<dyn Instance>
}

impl<T> PoolCore<T> {
    /// Does what others asked of a pool that is bound to its thread; whether they asked anything.
    ///
    /// The user's `Drop` runs here, so no lock may be held.
    #[inline]
    pub(super) fn heed(&self) -> bool {
        self.gate.has(Gate::ASKED) && self.heed_requests()
    }

    #[cold]
    fn heed_requests(&self) -> bool {
        let Some(stand_in) = self.stand_in.get() else { return false };
        let requests = stand_in.take(&self.gate);
        if requests.follows_mode {
            self.follow_mode();
        }
        for scope in requests.left {
            self.leave_scope(scope);
        }
        if requests.clears {
            self.clear_idle();
        }
        if requests.drops_idle {
            self.drop_all_idle();
        } else if requests.bytes > 0 {
            let claim = Claim {
                bytes: requests.bytes,
                upto: f64::INFINITY,
                level: f64::INFINITY,
                need: Need::Others,
            };
            self.reclaim_idle(claim, Count::Reclaims);
            // What was asked for is for others, who look at what is spent.
            self.card.reservation.release_credit();
        }
        if let Some(now) = requests.swept {
            self.sweep_idle(now);
        }
        self.tell();
        true
    }

    /// Tells the tenant, and the stand-in, if there is one, how things are.
    pub(super) fn tell(&self) {
        let Some(stand_in) = self.stand_in.get() else { return self.tenant.publish(self) };
        stand_in.note(self.density_of(self.typical()), self.price.get());
        self.tenant.publish(&**stand_in);
    }
}
