//! What belongs together under one budget: books, clock, pressure level, live tenants.
//!
//! [`DomainCore`] is what tenants know of their domain. Who decides about tenants (the coordinator) is
//! injected as `dyn Relief` when the domain is built; tenants call it on miss paths only, with no lock
//! held. Building a domain is not here, because the builder knows the coordinator.

pub(crate) mod named;
pub(crate) mod namespace;
pub(crate) mod scope;
mod tracked;

pub use namespace::{Namespace, ShareError};
pub use tracked::{Charge, Tracked, Tracking};

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock, Weak};
use std::task::Waker;
use std::time::Duration;

use crate::budget::{Ledger, Refused};
use crate::pressure::{Auto, Level};
use crate::stats::{BudgetStats, Explanation, Snapshot, TenantStats};
use crate::sync::{AtomicBool, AtomicU8, AtomicU64, Ordering, RwLock, fork};
use crate::tenant::{Card, Mode, Tenant, Terms};
use crate::time::{AlarmId, Clock, Nanos};

/// What an executor is given to run: a detached load, see [`Domain::set_executor`].
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Hands a task to an executor.
#[derive(Clone)]
pub(crate) struct Executor(Arc<dyn Fn(Task) + Send + Sync>);

impl Executor {
    pub(crate) fn new(spawn: impl Fn(Task) + Send + Sync + 'static) -> Self {
        Self(Arc::new(spawn))
    }

    pub(crate) fn spawn(&self, task: Task) {
        (self.0)(task);
    }
}

impl fmt::Debug for Executor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Executor")
    }
}

/// Asks an allocator to give back what it keeps.
#[derive(Clone)]
pub(crate) struct Purge(Arc<dyn Fn() + Send + Sync>);

impl Purge {
    pub(crate) fn new(purge: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Arc::new(purge))
    }

    pub(crate) fn run(&self) {
        (self.0)();
    }
}

impl fmt::Debug for Purge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Purge")
    }
}

/// So many times room is made for a new tenant: others may take each time what was freed.
const COVERS: usize = 8;

/// Makes room among all tenants of a domain. The coordinator, seen from below.
pub(crate) trait Relief: Send + Sync {
    /// Frees about `bytes` for `asker`, from whoever's next victim is worth least; returns what was freed.
    fn make_room(&self, core: &DomainCore, asker: &Card, bytes: u64) -> u64;

    /// Brings usage back within what is allowed, after that was lowered.
    fn fit(&self, core: &DomainCore);

    /// Does what a background thread would do: expiry, pressure, growth.
    fn tick(&self, core: &DomainCore);

    /// Evicts about `bytes` for the user, of all tenants or of those in one namespace.
    fn trim(&self, core: &DomainCore, bytes: u64, among: Option<&str>) -> Trimmed;

    fn snapshot(&self, core: &DomainCore) -> Snapshot;

    fn explain(&self, core: &DomainCore) -> Explanation;

    /// A tenant came: background work is needed from now on.
    fn enrolled(&self, core: &Arc<DomainCore>);

    /// Somebody set an alarm that is sooner than those the background thread knows of.
    fn rouse(&self);

    /// Something says that memory gets short: the background thread looks at once.
    fn hasten(&self);

    /// Whether it has not looked since.
    fn is_pressed(&self) -> bool;

    /// How long the background thread waits until the next tick.
    fn pause(&self) -> Duration;

    /// Whether there may be threads beside the one that ticks.
    #[cfg(feature = "tiers")]
    fn has_workers(&self) -> bool;

    /// Has the limit follow memory, or (`None`) stay what it is.
    fn follow(&self, core: &DomainCore, auto: Option<Auto>);

    /// Stops background work; `false` when it did not stop in time.
    fn stop(&self, timeout: Duration) -> bool;

    /// A domain like `core`, without tenants and without a thread, by this clock: for a scope of a test.
    fn twin(&self, core: &DomainCore, clock: Clock) -> Arc<DomainCore>;
}

/// What tenants know of their domain.
pub(crate) struct DomainCore {
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) clock: Clock,
    level: AtomicU8,
    /// Every cache and pool is turned off.
    bypass: AtomicBool,
    /// Stands for another domain in a scope of a test; scopes do not reach it.
    twin: bool,
    /// Bits of the level that eviction has reached: credits start here, so that what was useful long ago
    /// ages. Only rises.
    inflation: AtomicU64,
    tenants: RwLock<Vec<Member>>,
    namespaces: namespace::Namespaces,
    relief: OnceLock<Box<dyn Relief>>,
    executor: RwLock<Option<Executor>>,
    purge: RwLock<Option<Purge>>,
    /// Memory that is no cache's.
    tracked: tracked::Resources,
    /// Who waits for disks.
    #[cfg(feature = "tiers")]
    pub(crate) below: Arc<crate::tier::Workers>,
}

/// A tenant in the list: its figures, and itself while it lives.
#[derive(Clone)]
pub(crate) struct Member {
    pub(crate) card: Arc<Card>,
    /// `None` while it is about to join: its name is taken, and nobody can ask it for anything yet.
    tenant: Option<Weak<dyn Tenant>>,
}

impl Member {
    fn is_gone(&self) -> bool {
        match &self.tenant {
            Some(tenant) => tenant.strong_count() == 0,
            None => Arc::strong_count(&self.card) == 1,
        }
    }

    fn tenant(&self) -> Option<Arc<dyn Tenant>> {
        self.tenant.as_ref().and_then(Weak::upgrade)
    }
}

impl DomainCore {
    pub(crate) fn new(limit: u64, clock: Clock, relief: Box<dyn Relief>) -> Arc<Self> {
        fork::watch();
        let core = Self::build(limit, clock, relief, false);
        scope::register(&core);
        core
    }

    /// A domain that stands for another in a scope of a test.
    pub(crate) fn new_twin(limit: u64, clock: Clock, relief: Box<dyn Relief>) -> Arc<Self> {
        Self::build(limit, clock, relief, true)
    }

    fn build(limit: u64, clock: Clock, relief: Box<dyn Relief>, twin: bool) -> Arc<Self> {
        let core = Self {
            ledger: Arc::new(Ledger::new(limit)),
            clock,
            level: AtomicU8::new(Level::Normal as u8),
            bypass: AtomicBool::new(false),
            twin,
            inflation: AtomicU64::new(0.0_f64.to_bits()),
            // The first tenants do not pay for more than their own places.
            tenants: RwLock::new(Vec::with_capacity(16)),
            namespaces: namespace::Namespaces::default(),
            relief: OnceLock::new(),
            executor: RwLock::new(None),
            purge: RwLock::new(None),
            tracked: tracked::Resources::default(),
            #[cfg(feature = "tiers")]
            below: Arc::default(),
        };
        let _ = core.relief.set(relief);
        Arc::new(core)
    }

    /// Whether it stands for another in a scope of a test.
    #[cfg(feature = "tiers")]
    pub(crate) fn is_twin(&self) -> bool {
        self.twin
    }

    /// Has what waits to be written outlive the process; `false` where that was not possible in time.
    pub(crate) fn flush(&self, timeout: Duration) -> bool {
        #[cfg(feature = "tiers")]
        {
            let now = std::time::Instant::now();
            let until = now.checked_add(timeout).unwrap_or(now + Duration::from_secs(86_400));
            // All of them, whatever becomes of the first.
            self.live().iter().filter(|tenant| !tenant.flush(until)).count() == 0
        }
        #[cfg(not(feature = "tiers"))]
        {
            let _ = timeout;
            true
        }
    }

    pub(crate) fn relief(&self) -> &dyn Relief {
        self.relief.get().expect("`new` is the only constructor and sets it").as_ref()
    }

    pub(crate) fn now(&self) -> Nanos {
        self.clock.now()
    }

    /// Has `waker` woken at a time of the clock, or renews the alarm `id` for it.
    pub(crate) fn set_alarm(&self, at: Nanos, id: Option<AlarmId>, waker: &Waker) -> AlarmId {
        let (id, sooner) = self.clock.set_alarm(at, id, waker);
        if sooner {
            self.relief().rouse();
        }
        id
    }

    /// Who runs detached bodies, if somebody said so.
    pub(crate) fn executor(&self) -> Option<Executor> {
        self.executor.read().clone()
    }

    pub(crate) fn set_executor(&self, executor: Executor) {
        let old = self.executor.write().replace(executor);
        // What it captured is the user's to drop: outside the lock.
        drop(old);
    }

    /// What asks the allocator to give memory back, if somebody said so; in the child of a fork, perhaps nothing.
    pub(crate) fn purge(&self) -> Option<Purge> {
        fork::read(&self.purge)?.clone()
    }

    pub(crate) fn set_purge(&self, purge: Purge) {
        let old = self.purge.write().replace(purge);
        // What it captured is the user's to drop: outside the lock.
        drop(old);
    }

    pub(crate) fn level(&self) -> Level {
        Level::from_u8(self.level.load(Ordering::Acquire))
    }

    pub(crate) fn set_level(&self, level: Level) {
        self.level.store(level as u8, Ordering::Release);
    }

    /// The level that eviction has reached.
    #[inline]
    pub(crate) fn inflation(&self) -> f64 {
        f64::from_bits(self.inflation.load(Ordering::Relaxed))
    }

    /// Something worth `price` went for want of room: what stays and what comes is measured from there.
    pub(crate) fn raise_inflation(&self, price: f64) {
        // Bits of floats from 0 up order as the floats do.
        if price.is_finite() && price > self.inflation() {
            self.inflation.fetch_max(price.to_bits(), Ordering::Relaxed);
        }
    }

    /// A card for a new tenant. The second living tenant of a name gets `#2` after it, and so on.
    pub(crate) fn enroll(&self, mut terms: Terms) -> Arc<Card> {
        let mut tenants = self.tenants.write();
        // The list keeps the cards of tenants that are gone until somebody looks; their names are free.
        tenants.retain(|member| !member.is_gone());
        let taken = |name: &str| tenants.iter().any(|member| *member.card.name == *name);
        let numbered = (2..).map(|number| format!("{}#{number}", terms.name));
        let free = std::iter::once(terms.name.clone()).chain(numbered).find(|name| !taken(name));
        terms.name = free.unwrap_or(terms.name);
        let card = Arc::new(Card::new(terms, &self.ledger));
        card.set_namespace(self.namespaces.number_of(&card.name));
        // Each tenant pays for its place here, so there are few that nobody has.
        if tenants.len() == tenants.capacity() {
            let more = (tenants.len() / 16).max(4);
            tenants.reserve_exact(more);
        }
        tenants.push(Member { card: Arc::clone(&card), tenant: None });
        card.add_base(size_of::<Member>() as u64);
        card
    }

    /// Puts a tenant on the list: from now on it can be asked to shrink. Charges what it takes while it is empty,
    /// if anybody can make way for that; if not, its first entry tries again.
    pub(crate) fn admit(self: &Arc<Self>, card: &Arc<Card>, tenant: Weak<dyn Tenant>) {
        let mut tenants = self.tenants.write();
        if let Some(member) = tenants.iter_mut().find(|member| Arc::ptr_eq(&member.card, card)) {
            member.tenant = Some(tenant);
        }
        self.ledger.divide(tenants.len());
        drop(tenants);
        self.relief().enrolled(self);
    }

    /// Charges what a tenant takes while it is empty, making way for it; `false` when nobody could.
    pub(crate) fn cover(&self, card: &Card) -> bool {
        for _ in 0..COVERS {
            match card.cover() {
                Ok(()) => {
                    // An empty tenant may stay empty: it holds no credit for entries to come.
                    card.reservation.release_credit();
                    return true;
                }
                Err(Refused::Budget { short }) if self.relief().make_room(self, card, short) > 0 => {}
                Err(_) => return false,
            }
        }
        false
    }

    /// Reads all tenants' figures; no tenant is called.
    pub(crate) fn with_cards<R>(&self, read: impl FnOnce(&mut dyn Iterator<Item = &Card>) -> R) -> R {
        read(&mut self.tenants.read().iter().map(|member| &*member.card))
    }

    /// The tenant at this place in the order of [`with_cards`](Self::with_cards), if it still lives.
    pub(crate) fn tenant_at(&self, at: usize) -> Option<Arc<dyn Tenant>> {
        self.tenants.read().get(at).and_then(Member::tenant)
    }

    /// Whether the list of tenants can be read; not always in the child of a fork.
    pub(crate) fn is_readable(&self) -> bool {
        fork::read(&self.tenants).is_some()
    }

    /// All living tenants.
    pub(crate) fn live(&self) -> Vec<Arc<dyn Tenant>> {
        self.tenants.read().iter().filter_map(Member::tenant).collect()
    }

    /// A tenant's stats, with what its card knows.
    pub(crate) fn stats_of(&self, tenant: &dyn Tenant) -> TenantStats {
        let card = tenant.card();
        let limit = self.ledger.limit();
        let mut stats = tenant.stats();
        stats.live = true;
        stats.bytes = card.reservation.spent();
        stats.reserved = card.reservation.held();
        stats.share = if limit == 0 { 0.0 } else { stats.reserved as f64 / limit as f64 };
        stats.min_bytes = card.floor();
        stats.max_bytes = (card.ceiling() < u64::MAX).then_some(card.ceiling());
        stats.target = Some(card.target()).filter(|target| *target < u64::MAX);
        stats.priority = card.priority();
        stats.price = tenant.marginal();
        stats.estimated = card.is_estimated();
        card.tally.fill(&mut stats);
        stats
    }

    /// What the mode word of each tenant is to say.
    pub(crate) fn mode(&self) -> Mode {
        let scoped = !self.twin && scope::any();
        Mode::new(self.bypass.load(Ordering::SeqCst), scoped)
    }

    fn set_bypass(&self, bypass: bool) {
        self.bypass.store(bypass, Ordering::SeqCst);
        for tenant in self.live() {
            tenant.follow_mode();
        }
    }

    /// The domain that calls of this thread are meant for: this one, or its twin in the scope of a test.
    pub(crate) fn here(self: &Arc<Self>) -> Arc<Self> {
        match scope::current() {
            Some(scope) if !self.twin => scope.twin_of(self),
            _ => Arc::clone(self),
        }
    }
}

impl fmt::Debug for DomainCore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DomainCore")
            .field("ledger", &self.ledger)
            .field("level", &self.level())
            .finish_non_exhaustive()
    }
}

/// A budget, the tenants under it, a clock and a pressure source.
///
/// A process has one global domain, which annotated items and [`Cache::builder`](crate::Cache::builder)
/// use. A test makes its own, with a [`ManualClock`](crate::testing::ManualClock) and no background thread.
/// Dropping a domain does not drop its caches: they keep working inside the same budget.
///
/// # Examples
///
/// ```
/// use larder_runtime::{Cache, Domain};
///
/// let domain = Domain::builder().limit_bytes(1 << 20).manual().build();
/// let squares: Cache<u64, u64> = Cache::builder("squares").build_in(&domain)?;
/// assert_eq!(squares.get_or_insert_with(12, || 144), 144);
/// assert!(domain.budget().used() <= domain.budget().limit());
/// # Ok::<(), larder_runtime::BuildError>(())
/// ```
#[derive(Debug)]
pub struct Domain {
    pub(crate) core: Arc<DomainCore>,
    budget: Budget,
}

impl Domain {
    pub(crate) fn from_core(core: Arc<DomainCore>) -> Self {
        Self { budget: Budget { core: Arc::clone(&core) }, core }
    }

    /// The budget that all tenants of this domain share.
    #[must_use]
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// All numbers at this moment. Live tenants only: declared items belong to the global domain.
    #[must_use]
    pub fn stats(&self) -> Snapshot {
        let core = self.core.here();
        core.relief().snapshot(&core)
    }

    /// Where the bytes are, what they earn, and why they are there: who would give next, what a megabyte more would save
    /// each tenant, and the last decisions with their reasons. For people, and as data.
    ///
    /// What is saved in a second is measured between ticks, and from one of these calls to the next.
    ///
    /// # Examples
    ///
    /// ```
    /// use larder_runtime::{Cache, Cause, Domain};
    ///
    /// let domain = Domain::builder().limit_bytes(1 << 20).manual().build();
    /// let blobs: Cache<u64, Vec<u8>> = Cache::builder("blobs").build_in(&domain)?;
    /// blobs.insert(1, vec![0; 100_000]);
    /// let _ = domain.trim(50_000);
    ///
    /// let explanation = domain.explain();
    /// assert_eq!(explanation.decisions[0].cause, Cause::Trim);
    /// assert_eq!(explanation.decisions[0].gave[0].0, "blobs");
    /// println!("{explanation}");
    /// # Ok::<(), larder_runtime::BuildError>(())
    /// ```
    #[must_use]
    pub fn explain(&self) -> Explanation {
        let core = self.core.here();
        core.relief().explain(&core)
    }

    /// Does what the background thread would do: wakes tasks whose `wait_at_most` is over, drops what is expired,
    /// samples the pressure source, and shrinks or grows accordingly. Needed in a domain built with `manual()`,
    /// harmless elsewhere.
    ///
    /// In the child of a `fork`, which has no background thread, it passes over what another thread of the parent
    /// held locked, and does nothing if that thread was in a tick or a trim.
    pub fn tick(&self) {
        let core = self.core.here();
        core.relief().tick(&core);
    }

    /// Evicts about `bytes`, cheapest first over all tenants, never below their floors. From inside a trim, where a
    /// value that is dropped calls it, it does nothing.
    #[must_use = "it says how much was freed, and whose"]
    pub fn trim(&self, bytes: u64) -> Trimmed {
        let core = self.core.here();
        core.relief().trim(&core, bytes, None)
    }

    /// Empties every cache and drops every idle pooled object.
    pub fn clear_all(&self) {
        for tenant in self.core.here().live() {
            tenant.clear();
        }
    }

    /// Turns every cache and pool of the domain off (`true`) or on again. Off means: look-ups find nothing,
    /// nothing is stored, bodies run each time; what is stored stays, and counts in the budget. An insert
    /// meanwhile removes what it would have replaced, which would be an older value afterwards.
    pub fn set_bypass(&self, bypass: bool) {
        self.core.here().set_bypass(bypass);
    }

    /// Says who runs detached loads: those of functions with the option `detach`, and of
    /// [`Cache::get_or_insert_detached`](crate::Cache::get_or_insert_detached). Replaces an earlier one.
    ///
    /// `spawn` starts the task and returns. It runs on the thread of the caller that misses, inside that caller's
    /// poll. An executor may drop a task: its body then goes on in the future of the caller that began it. One that
    /// keeps a task without ever polling it keeps its callers waiting.
    ///
    /// # Examples
    ///
    /// ```
    /// # use larder_runtime::Domain;
    /// # mod tokio { pub fn spawn(task: larder_runtime::Task) { drop(task) } }
    /// let domain = Domain::builder().limit_bytes(1 << 20).manual().build();
    /// domain.set_executor(|task| {
    ///     tokio::spawn(task);
    /// });
    /// ```
    pub fn set_executor(&self, spawn: impl Fn(Task) + Send + Sync + 'static) {
        self.core.here().set_executor(Executor::new(spawn));
    }

    /// Says how the allocator of this program is asked to give back memory that it keeps: after an emergency, and after a trim.
    /// Without it glibc's is asked, on Linux with glibc, and no other.
    ///
    /// `purge` runs on the thread of the tick or of the trim, with no lock held. Replaces an earlier one.
    ///
    /// # Examples
    ///
    /// mimalloc, with the feature `extended` of `libmimalloc-sys`:
    ///
    /// ```
    /// # use larder_runtime::Domain;
    /// # mod libmimalloc_sys { pub unsafe fn mi_collect(_force: bool) {} }
    /// let domain = Domain::builder().limit_bytes(1 << 20).manual().build();
    /// // SAFETY: may be called at any time.
    /// domain.set_purge(|| unsafe { libmimalloc_sys::mi_collect(true) });
    /// ```
    ///
    /// jemalloc, all arenas, with `tikv-jemalloc-sys`:
    ///
    /// ```
    /// # use larder_runtime::Domain;
    /// # mod tikv_jemalloc_sys {
    /// #     use std::ffi::{c_char, c_int, c_void};
    /// #     pub unsafe fn mallctl(_: *const c_char, _: *mut c_void, _: *mut usize, _: *mut c_void, _: usize) -> c_int { 0 }
    /// # }
    /// use std::ptr::null_mut;
    ///
    /// # let domain = Domain::builder().limit_bytes(1 << 20).manual().build();
    /// domain.set_purge(|| {
    ///     // SAFETY: a name that ends with a zero, and nothing to read or write.
    ///     unsafe {
    ///         tikv_jemalloc_sys::mallctl(c"arena.4096.purge".as_ptr(), null_mut(), null_mut(), null_mut(), 0)
    ///     };
    /// });
    /// ```
    pub fn set_purge(&self, purge: impl Fn() + Send + Sync + 'static) {
        self.core.here().set_purge(Purge::new(purge));
    }

    /// The pressure level in force.
    #[must_use]
    pub fn pressure(&self) -> Level {
        self.core.here().level()
    }
}

/// The one number of a domain: how many bytes all its tenants may hold together.
#[derive(Debug)]
pub struct Budget {
    core: Arc<DomainCore>,
}

impl Budget {
    /// The limit that was set, in bytes.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.core.here().ledger.limit()
    }

    /// Bytes that tenants hold, unspent credit included. Never above [`limit`](Self::limit), except after the limit
    /// was lowered: for a moment, by leased objects until they come back, and by entries that are
    /// [pinned](crate::Cache::pin). A lease that finds no room is never
    /// refused; it goes out uncharged, and the stats show it.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.core.here().ledger.used()
    }

    /// Sets the limit, in bytes. When it is below what is used, this call evicts until it is not, cheapest
    /// first; only leased objects, pinned entries and what other threads insert meanwhile can stand in its way. Floors hold as
    /// far as the limit leaves room for them. Called from a drop inside a tick or a trim, it evicts when that
    /// ends.
    ///
    /// A limit of 0 stores nothing: every value goes back to its caller.
    pub fn set_limit(&self, bytes: u64) {
        let core = self.core.here();
        // What is said counts, and is not moved again.
        core.relief().follow(&core, None);
        core.ledger.set_limit(bytes);
        core.ledger.divide(core.with_cards(|cards| cards.count()));
        core.relief().fit(&core);
    }

    /// Has the limit follow memory: at each tick it is what the container, or the host, has up to where pressure ends,
    /// less the most that the rest of the process needed in the last ten minutes. Until [`set_limit`](Self::set_limit).
    ///
    /// The limit falls as soon as the rest needs more, and grows by steps of a tenth, not while the rest grows. On a host
    /// that others use, half of what is free stays free. Without a pressure source, as with `LARDER_PRESSURE=off`, it stays
    /// what it is, within the bounds of `auto`.
    ///
    /// # Examples
    ///
    /// ```
    /// larder_runtime::budget().set_auto(larder_runtime::Auto::default().most_mb(2048));
    /// ```
    pub fn set_auto(&self, auto: Auto) {
        let core = self.core.here();
        core.relief().follow(&core, Some(auto));
    }

    /// Sets the limit in megabytes of 1,048,576 bytes; see [`set_limit`](Self::set_limit).
    pub fn set_limit_mb(&self, megabytes: u64) {
        self.set_limit(megabytes.saturating_mul(1 << 20));
    }

    pub(crate) fn stats(core: &DomainCore) -> BudgetStats {
        let ledger = &core.ledger;
        BudgetStats {
            limit: ledger.limit(),
            allowed: ledger.allowed(),
            used: ledger.used(),
            peak: ledger.peak(),
            over_released: ledger.over_released(),
        }
    }
}

/// What a trim achieved, in bytes.
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Trimmed {
    /// What was asked for.
    pub asked: u64,
    /// What left the budget.
    pub freed: u64,
    /// Resident memory of the process before, where the system says.
    pub rss_before: Option<u64>,
    /// Resident memory after; allocators keep freed memory for a while, so this may not have moved.
    pub rss_after: Option<u64>,
    /// Who gave how much, most first.
    pub by_tenant: Vec<(String, u64)>,
}
