//! Memory that is no cache's and no pool's, and counts in the budget all the same: models, maps, what foreign libraries
//! hold.
//!
//! All that is tracked under one name is one tenant. It makes caches smaller and is never refused; what finds no room
//! counts as uncharged, like a lease. A thing that is shared is known by a weak reference, and is off the books once
//! somebody finds it gone: a tick, who needs room, or `cleanup`. Not here: how large anything is, which the user says.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::{Domain, DomainCore};
use crate::budget::Refused;
use crate::descriptor::Kind;
use crate::stats::{Count, TenantStats};
use crate::sync::{Mutex, fork};
use crate::tenant::{Card, Claim, Given, ScopeId, Tenant, Terms, arc};
use crate::time::Nanos;
use crate::weight::weigh::allocation;

/// Gives memory back: is told how many bytes are wanted, and says how many went.
type Reclaim = Arc<dyn Fn(u64) -> u64 + Send + Sync>;
type IsAlive = Box<dyn Fn() -> bool + Send + Sync>;

/// The resources of one domain, by name.
#[derive(Default)]
pub(super) struct Resources(Mutex<Vec<Arc<Resource>>>);

/// What is tracked under one name.
struct Resource {
    name: Box<str>,
    card: Arc<Card>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    entries: Vec<Entry>,
    next: u64,
    /// Bytes of the list that are charged.
    list: u64,
}

struct Entry {
    id: u64,
    bytes: u64,
    /// Those of them that there was room for.
    charged: u64,
    /// Whether what it stands for is still there; where there is none, its handle says so when it goes.
    is_alive: Option<IsAlive>,
    reclaim: Option<Reclaim>,
}

impl Resources {
    /// The resource of this name, made on first use.
    fn find(&self, domain: &Arc<DomainCore>, name: &str) -> Arc<Resource> {
        let mut list = self.0.lock();
        if let Some(found) = list.iter().find(|resource| *resource.name == *name) {
            return Arc::clone(found);
        }
        let terms = Terms {
            name: name.to_owned(),
            kind: Kind::Tracked,
            descriptor: None,
            priority: 1.0,
            floor: 0,
            ceiling: u64::MAX,
        };
        let card = domain.enroll(terms);
        card.add_base(arc::<Resource>() + allocation(name.len()));
        let resource =
            Arc::new(Resource { name: name.into(), card: Arc::clone(&card), state: Mutex::default() });
        list.push(Arc::clone(&resource));
        drop(list);
        domain.cover(&card);
        let tenant: Arc<dyn Tenant> = Arc::clone(&resource) as _;
        domain.admit(&card, Arc::downgrade(&tenant));
        resource
    }

    /// Drops resources that nothing is tracked under any more.
    fn forget_unused(&self) {
        let mut unused = Vec::new();
        let mut list = self.0.lock();
        // Nobody else has one that is here alone, and nobody gets one without the lock.
        list.retain(|resource| {
            let stays = Arc::strong_count(resource) > 1 || !resource.state.lock().entries.is_empty();
            if !stays {
                unused.push(Arc::clone(resource));
            }
            stays
        });
        if list.is_empty() {
            *list = Vec::new();
        }
    }

    /// Drops what is gone; returns the bytes.
    fn clean(&self) -> u64 {
        let all: Vec<_> = self.0.lock().clone();
        let bytes = all.iter().map(|resource| resource.drop_gone().bytes).sum();
        drop(all);
        self.forget_unused();
        bytes
    }
}

impl Resource {
    /// Charges so many bytes, making room for them; `0` where that can't be done.
    fn charge(&self, domain: &DomainCore, bytes: u64) -> u64 {
        let mut futile = 0;
        while futile < 8 {
            match self.card.reservation.try_grow(bytes, self.card.ceiling()) {
                Ok(()) => return bytes,
                Err(Refused::Ceiling { .. }) => return 0,
                Err(Refused::Budget { short }) => {
                    let freed = domain.relief().make_room(domain, &self.card, short);
                    futile += u32::from(freed == 0);
                }
            }
        }
        0
    }

    fn add(&self, domain: &DomainCore, bytes: u64, is_alive: Option<IsAlive>) -> u64 {
        let charged = self.charge(domain, bytes);
        let mut state = self.state.lock();
        let id = state.next;
        state.next += 1;
        state.entries.push(Entry { id, bytes, charged, is_alive, reclaim: None });
        self.settle(&mut state);
        id
    }

    /// Charges the list as it is now, as far as there is room, and says whether there may be anything to be had.
    fn settle(&self, state: &mut State) {
        if state.entries.len() * 4 < state.entries.capacity() {
            let keep = state.entries.len();
            state.entries.shrink_to(keep);
        }
        let list = allocation(state.entries.capacity() * size_of::<Entry>());
        if list <= state.list {
            self.card.reservation.shrink(state.list - list);
            state.list = list;
        } else if self.card.reservation.try_grow(list - state.list, self.card.ceiling()).is_ok() {
            state.list = list;
        }
        let gives = state.entries.iter().any(|entry| entry.is_alive.is_some() || entry.reclaim.is_some());
        // What is gone is worth nothing to anybody, so this is asked first; it says so when there is nothing.
        self.card.publish(if gives { 0.0 } else { f64::INFINITY });
    }

    /// Takes out the entries that are meant, and their bytes off the books.
    fn take_out(&self, is_meant: impl Fn(&Entry) -> bool) -> Given {
        let mut state = self.state.lock();
        let gone: Vec<Entry> = state.entries.extract_if(.., |entry| is_meant(entry)).collect();
        let bytes = gone.iter().map(|entry| entry.charged).sum();
        self.card.reservation.shrink(bytes);
        if !gone.is_empty() {
            self.settle(&mut state);
        }
        drop(state);
        // The user's callbacks, and what they hold, go here: outside the lock.
        Given { bytes, entries: gone.len() as u64, waiting: 0 }
    }

    fn drop_gone(&self) -> Given {
        self.take_out(|entry| entry.is_alive.as_ref().is_some_and(|is_alive| !is_alive()))
    }

    fn set_bytes(&self, domain: &DomainCore, id: u64, bytes: u64) {
        let charged =
            |state: &State| state.entries.iter().find(|entry| entry.id == id).map(|entry| entry.charged);
        let Some(before) = charged(&self.state.lock()) else { return };
        let more = bytes.saturating_sub(before);
        // Without the lock: others may have to make room.
        let got = if more > 0 { self.charge(domain, more) } else { 0 };
        let mut state = self.state.lock();
        let mut surplus = got;
        if let Some(entry) = state.entries.iter_mut().find(|entry| entry.id == id) {
            let held = entry.charged + got;
            (entry.bytes, entry.charged) = (bytes, held.min(bytes));
            surplus = held - entry.charged;
        }
        self.card.reservation.shrink(surplus);
    }

    fn offer(&self, id: u64, reclaim: Reclaim) {
        let mut state = self.state.lock();
        let entry = state.entries.iter_mut().find(|entry| entry.id == id);
        let old = entry.and_then(|entry| entry.reclaim.replace(reclaim));
        self.settle(&mut state);
        drop(state);
        drop(old);
    }

    /// Asks those who offered to give memory back.
    fn ask(&self, bytes: u64) -> Given {
        let offer = |entry: &Entry| Some((entry.id, Arc::clone(entry.reclaim.as_ref()?)));
        let offers: Vec<(u64, Reclaim)> = self.state.lock().entries.iter().filter_map(offer).collect();
        let mut given = Given::default();
        for (id, reclaim) in offers {
            if given.bytes >= bytes {
                break;
            }
            let wanted = bytes - given.bytes;
            // The user's code, with no lock held. One that panics gave nothing.
            let freed = catch_unwind(AssertUnwindSafe(|| reclaim(wanted))).unwrap_or(0);
            let mut state = self.state.lock();
            if let Some(entry) = state.entries.iter_mut().find(|entry| entry.id == id) {
                entry.bytes -= freed.min(entry.bytes);
                let surplus = entry.charged.saturating_sub(entry.bytes);
                entry.charged -= surplus;
                self.card.reservation.shrink(surplus);
                given.bytes += surplus;
                given.entries += u64::from(surplus > 0);
            }
        }
        given
    }
}

impl Tenant for Resource {
    fn card(&self) -> &Card {
        &self.card
    }

    fn reclaim(&self, claim: Claim) -> Given {
        let mut given = self.drop_gone();
        if given.bytes < claim.bytes {
            let asked = self.ask(claim.bytes - given.bytes);
            given.bytes += asked.bytes;
            given.entries += asked.entries;
        }
        self.card.tally.add(Count::Reclaims, given.entries);
        if given.entries == 0 {
            // Until something comes, or the next tick.
            self.card.publish(f64::INFINITY);
        }
        given
    }

    fn sweep(&self, _now: Nanos) -> u64 {
        if fork::forked() && self.state.try_lock().is_none() {
            return 0;
        }
        let given = self.drop_gone();
        self.settle(&mut self.state.lock());
        given.bytes
    }

    fn drop_idle(&self) -> u64 {
        self.drop_gone().bytes
    }

    fn clear(&self) {
        self.drop_gone();
    }

    fn follow_mode(&self) {}

    fn leave(&self, _scope: ScopeId) {}

    fn marginal(&self) -> f64 {
        0.0
    }

    fn stats(&self) -> TenantStats {
        let mut stats = TenantStats::empty(self.card.name.to_string(), self.card.kind);
        let state = self.state.lock();
        stats.entries = state.entries.len() as u64;
        let uncharged: u64 = state.entries.iter().map(|entry| entry.bytes - entry.charged).sum();
        stats.uncharged = uncharged + self.card.uncovered();
        stats
    }
}

impl Drop for Resource {
    fn drop(&mut self) {
        self.card.close();
    }
}

/// Where one thing is on the books.
#[derive(Clone)]
struct Place {
    /// There until it is dropped.
    resource: Option<Arc<Resource>>,
    domain: Arc<DomainCore>,
    id: u64,
}

impl Place {
    fn new(domain: &Arc<DomainCore>, name: &str, bytes: u64, is_alive: Option<IsAlive>) -> Self {
        let domain = domain.here();
        let resource = domain.tracked.find(&domain, name);
        let id = resource.add(&domain, bytes, is_alive);
        Self { resource: Some(resource), domain, id }
    }

    fn set_bytes(&self, bytes: u64) {
        if let Some(resource) = &self.resource {
            resource.set_bytes(&self.domain, self.id, bytes);
        }
    }

    fn bytes(&self) -> u64 {
        let Some(resource) = &self.resource else { return 0 };
        let state = resource.state.lock();
        state.entries.iter().find(|entry| entry.id == self.id).map_or(0, |entry| entry.bytes)
    }

    fn offer(&self, reclaim: impl Fn(u64) -> u64 + Send + Sync + 'static) {
        if let Some(resource) = &self.resource {
            resource.offer(self.id, Arc::new(reclaim));
        }
    }

    fn take_out(&self) {
        if let Some(resource) = &self.resource {
            resource.take_out(|entry| entry.id == self.id);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.resource = None;
        self.domain.tracked.forget_unused();
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.resource.as_ref().map(|resource| &resource.name);
        f.debug_struct("Place").field("name", &name).field("bytes", &self.bytes()).finish()
    }
}

/// A number of bytes on the books, for as long as this is held; made by [`Domain::charge`].
#[derive(Debug)]
#[must_use = "the bytes are charged until this is dropped"]
pub struct Charge(Place);

impl Charge {
    /// Changes how many bytes it stands for. More of them make others smaller, and are never refused.
    pub fn set(&self, bytes: u64) {
        self.0.set_bytes(bytes);
    }

    /// Bytes that it stands for.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.0.bytes()
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.0.take_out();
    }
}

/// Something shared that is on the books until the last of its owners is gone; made by [`Domain::track`].
///
/// Dropping this ends nothing: it only serves to change what is known.
#[derive(Clone, Debug)]
pub struct Tracking(Place);

impl Tracking {
    /// Changes how many bytes it stands for.
    pub fn set_bytes(&self, bytes: u64) -> &Self {
        self.0.set_bytes(bytes);
        self
    }

    /// Bytes that it stands for; 0 once it was found gone.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.0.bytes()
    }

    /// Offers to give memory back where others need it, before anything of a cache or a pool goes: `reclaim` is told how many
    /// bytes are wanted, and says how many went.
    ///
    /// It runs on the thread that needs room, with no lock held. What it returns is taken off the books.
    pub fn on_reclaim(&self, reclaim: impl Fn(u64) -> u64 + Send + Sync + 'static) -> &Self {
        self.0.offer(reclaim);
        self
    }
}

/// A value whose bytes are on the books for as long as it is here.
///
/// # Examples
///
/// ```
/// use larder_runtime::{Domain, Tracked};
///
/// let domain = Domain::builder().limit_bytes(1 << 20).manual().build();
/// let model = Tracked::new_in(&domain, "model", 300_000, vec![0_u8; 300_000]);
/// assert_eq!((model.len(), domain.stats().tenant("model").unwrap().entries), (300_000, 1));
/// drop(model);
/// assert_eq!(domain.budget().used(), 0);
/// ```
#[derive(Debug)]
pub struct Tracked<T> {
    value: T,
    charge: Charge,
}

impl<T> Tracked<T> {
    /// Puts `bytes` for this value on the books of a domain, under a name.
    pub fn new_in(domain: &Domain, name: &str, bytes: u64, value: T) -> Self {
        Self { value, charge: domain.charge(name, bytes) }
    }

    /// Changes how many bytes it stands for: it has grown or shrunk.
    pub fn set_bytes(tracked: &Self, bytes: u64) {
        tracked.charge.set(bytes);
    }

    /// Bytes that it stands for.
    #[must_use]
    pub fn bytes(tracked: &Self) -> u64 {
        tracked.charge.bytes()
    }

    /// The value, off the books.
    #[must_use]
    pub fn into_inner(tracked: Self) -> T {
        tracked.value
    }
}

impl<T> Deref for Tracked<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Tracked<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl Domain {
    /// Counts `bytes` for something shared, under a name, until the last of its owners is gone.
    ///
    /// It is known by a weak reference. That it is gone is found by a tick, by whoever needs room, and by
    /// [`cleanup`](Self::cleanup). What there is no room for counts as uncharged; nothing is ever refused.
    pub fn track<T>(&self, name: &str, bytes: u64, shared: &Arc<T>) -> Tracking
    where
        T: Send + Sync + ?Sized + 'static,
    {
        let weak = Arc::downgrade(shared);
        Tracking(Place::new(&self.core, name, bytes, Some(Box::new(move || weak.strong_count() > 0))))
    }

    /// Counts `bytes` under a name, for as long as the result is held.
    pub fn charge(&self, name: &str, bytes: u64) -> Charge {
        Charge(Place::new(&self.core, name, bytes, None))
    }

    /// Takes off the books what was [tracked](Self::track) and is gone; returns the bytes.
    pub fn cleanup(&self) -> u64 {
        let core = self.core.here();
        core.tracked.clean()
    }
}
