//! Configuring a run-time cache: options, their checks, and what follows from them.

use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use super::instance::Core;
use super::ops::{HeapOf, Ops};
use super::{Cache, CacheTenant, CostOf, OnRemove, TtlOf, UtilityOf, WeightOf};
use crate::cost::Measure;
use crate::descriptor::{Descriptor, Kind};
use crate::domain::{Domain, DomainCore, named};
use crate::expiry::Lifetime;
use crate::flight::Sharing;
use crate::policy::{Evict, Factory, Policy};
use crate::removal::RemovalCause;
use crate::tenant::Terms;
#[cfg(feature = "tiers")]
use crate::tier::Tiers;
use crate::weight::known;

/// Shards of a cache that says nothing of them: their places take a quarter of a kilobyte.
const SHARDS: usize = 8;
/// No cache has more.
const MOST_SHARDS: usize = 64;

/// The bounds and wishes of one cache, whoever wrote them down.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    pub(crate) policy: Policy,
    pub(crate) max_bytes: Option<u64>,
    pub(crate) max_entries: Option<u64>,
    pub(crate) min_bytes: u64,
    pub(crate) priority: f64,
    pub(crate) ttl: Option<Duration>,
    pub(crate) tti: Option<Duration>,
    pub(crate) jitter: Option<f64>,
    /// Entries may bring a bound of their own.
    pub(crate) ttl_by: bool,
    /// How many locks the entries are spread over, if the user said so.
    pub(crate) shards: Option<usize>,
    pub(crate) sharing: Sharing,
    pub(crate) measure: Measure,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            max_bytes: None,
            max_entries: None,
            min_bytes: 0,
            priority: 1.0,
            ttl: None,
            tti: None,
            jitter: None,
            ttl_by: false,
            shards: None,
            sharing: Sharing::default(),
            measure: Measure::default(),
        }
    }
}

impl From<&Descriptor> for Options {
    fn from(descriptor: &Descriptor) -> Self {
        Self {
            policy: descriptor.policy.unwrap_or_default(),
            max_bytes: descriptor.max_bytes,
            max_entries: descriptor.max_entries,
            min_bytes: descriptor.min_bytes,
            priority: descriptor.priority,
            ttl: descriptor.ttl,
            tti: descriptor.tti,
            jitter: descriptor.jitter,
            ttl_by: descriptor.ttl_by,
            shards: None,
            sharing: Sharing {
                single_flight: descriptor.single_flight,
                wait_at_most: descriptor.wait_at_most,
            },
            measure: descriptor.measure,
        }
    }
}

impl Options {
    fn check(&self) -> Result<(), BuildError> {
        if self.max_bytes == Some(0) || self.max_entries == Some(0) {
            return Err(BuildError::ZeroCapacity);
        }
        // What is pinned has no floor in bytes: it keeps whatever it has.
        let floor = if self.min_bytes == u64::MAX { 0 } else { self.min_bytes };
        if let Some(max) = self.max_bytes.filter(|&max| max < floor) {
            return Err(BuildError::FloorAboveCeiling { min_bytes: self.min_bytes, max_bytes: max });
        }
        if !(self.priority.is_finite() && self.priority > 0.0) {
            return Err(BuildError::Priority(self.priority));
        }
        if self.ttl == Some(Duration::ZERO) {
            return Err(BuildError::ZeroTtl);
        }
        if self.tti == Some(Duration::ZERO) {
            return Err(BuildError::ZeroTti);
        }
        if let Some(jitter) = self.jitter {
            if !(0.0..=1.0).contains(&jitter) {
                return Err(BuildError::Jitter(jitter));
            }
            if self.ttl.is_none() && !self.ttl_by {
                return Err(BuildError::JitterWithoutTtl);
            }
        }
        match self.sharing {
            Sharing { wait_at_most: Some(Duration::ZERO), .. } => Err(BuildError::ZeroWait),
            Sharing { wait_at_most: Some(_), single_flight: false } => Err(BuildError::WaitWithoutFlight),
            _ => Ok(()),
        }
    }

    /// Enough shards that threads seldom meet at one, but none so small that it would hold only a handful, and not
    /// more than an empty cache can keep places for.
    pub(crate) fn shards(&self) -> usize {
        if let Some(shards) = self.shards {
            return shards.clamp(1, MOST_SHARDS).next_power_of_two();
        }
        // An order of eviction sees only its own shard, and below this that costs hits.
        const ENTRIES: u64 = 256;
        const BYTES: u64 = 256 * 1024;
        let cores = std::thread::available_parallelism().map_or(4, std::num::NonZero::get);
        let wanted = (4 * cores).next_power_of_two().min(SHARDS) as u64;
        let by_entries = self.max_entries.map_or(wanted, |max| max / ENTRIES);
        let by_bytes = self.max_bytes.map_or(wanted, |max| max / BYTES);
        let shards = wanted.min(by_entries).min(by_bytes).max(1);
        // A power of two that is not above the bound.
        1 << shards.ilog2()
    }

    /// A tenant of the domain with these options; `alone`, if there will be one instance only.
    pub(crate) fn tenant(
        &self,
        name: String,
        descriptor: Option<&'static Descriptor>,
        core: &Arc<DomainCore>,
        alone: bool,
    ) -> Arc<CacheTenant> {
        let terms = Terms {
            name,
            kind: Kind::Cache,
            descriptor,
            priority: self.priority,
            floor: self.min_bytes,
            ceiling: self.max_bytes.unwrap_or(u64::MAX),
        };
        let lifetime = Lifetime::new(self.ttl, self.tti, self.jitter, self.ttl_by);
        let card = core.enroll(terms);
        CacheTenant::new(core, card, self.policy, self.max_entries, lifetime, self.measure, alone)
    }
}

/// Configures a [`Cache`]; made by [`Cache::builder`].
#[must_use = "a builder does nothing until `build` or `build_in`"]
pub struct Builder<K, V> {
    name: String,
    options: Options,
    /// By whose name it is charged elsewhere.
    domain: Option<String>,
    /// Heap bytes of a key and a value.
    weigh: Option<WeightOf<K, V>>,
    cost: Option<CostOf<K, V>>,
    ttl_by: Option<TtlOf<K, V>>,
    utility: Option<UtilityOf<K, V>>,
    own: Option<Box<Factory>>,
    on_remove: Option<OnRemove<K, V>>,
    #[cfg(feature = "tiers")]
    tiers: Option<Tiers<K, V>>,
}

impl<K, V> Builder<K, V> {
    pub(super) fn new(name: String) -> Self {
        let options = Options::default();
        Self {
            name,
            options,
            domain: None,
            weigh: None,
            cost: None,
            ttl_by: None,
            utility: None,
            own: None,
            on_remove: None,
            #[cfg(feature = "tiers")]
            tiers: None,
        }
    }

    /// The domain that [`build`](Self::build) puts it in: that of the device which is
    /// registered (`Device::register`) under this name, as in `"gpu:0"`; the process's own unless set. For values
    /// that live there, such as `Arc<Resident<_>>`: they are charged to the device, and evicted for what else needs room on it.
    ///
    /// [`build_in`](Self::build_in) is told a domain itself, and does not look at this.
    pub fn domain(mut self, name: impl Into<String>) -> Self {
        self.domain = Some(name.into());
        self
    }

    /// What [`domain`](Self::domain) said.
    pub(crate) fn named_domain(&self) -> Result<Option<Arc<Domain>>, BuildError> {
        let Some(name) = &self.domain else { return Ok(None) };
        match named::find(name) {
            Some(found) => Ok(Some(found.domain)),
            None => Err(BuildError::NoDomain { name: name.clone(), registered: named::names() }),
        }
    }

    /// How victims are picked; [`Policy::Hybrid`] unless set. [`Policy::Custom`] needs an order, which
    /// [`policy_with`](Self::policy_with) takes: here it is an error when the cache is built.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.options.policy = policy;
        self
    }

    /// Victims are picked by an order of your own: this function makes one for each shard, when its first entry
    /// comes. See [`Evict`], with an example.
    ///
    /// Takes the place of [`policy`](Self::policy), which the statistics then give as [`Policy::Custom`]. The last
    /// one that is called counts.
    pub fn policy_with<E: Evict>(mut self, order: impl Fn() -> E + Send + Sync + 'static) -> Self {
        self.options.policy = Policy::Custom;
        self.own = Some(Box::new(move || Box::new(order())));
        self
    }

    /// At most so many entries, exactly.
    pub fn max_entries(mut self, entries: u64) -> Self {
        self.options.max_entries = Some(entries);
        self
    }

    /// At most so many bytes, everything included.
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.options.max_bytes = Some(bytes);
        self
    }

    /// At most so many megabytes of 1,048,576 bytes.
    pub fn max_mb(self, megabytes: u64) -> Self {
        self.max_bytes(megabytes.saturating_mul(1 << 20))
    }

    /// Other tenants may not take the last so many bytes from this cache.
    pub fn min_bytes(mut self, bytes: u64) -> Self {
        // The largest number of all stands for what is pinned, which is no floor in bytes.
        self.options.min_bytes = bytes.min(u64::MAX - 1);
        self
    }

    /// Other tenants may not take the last so many megabytes, of 1,048,576 bytes, from this cache.
    pub fn min_mb(self, megabytes: u64) -> Self {
        self.min_bytes(megabytes.saturating_mul(1 << 20))
    }

    /// Nobody takes anything of what it holds: its floor is whatever it has. It still makes room for its own entries, and gives
    /// way to a limit that is lowered below it.
    ///
    /// Bound it, or leave room for the others: they can only have what it does not. One entry is pinned by
    /// [`Cache::pin`].
    pub fn pinned(mut self) -> Self {
        self.options.min_bytes = u64::MAX;
        self
    }

    /// Multiplies what this cache's bytes are worth against other tenants'; 1.0 unless set. Below a millionth
    /// and above a million it counts as that.
    pub fn priority(mut self, priority: f64) -> Self {
        self.options.priority = priority;
        self
    }

    /// Spreads the entries over so many locks, rounded up to a power of two, from 1 to 64; unless set, up to 8.
    ///
    /// For a large cache that many cores use at once. With one, a [`Policy::Lru`] cache is exact.
    ///
    /// # Cost
    ///
    /// Each takes 32 bytes, also while the cache is empty, and some 500 with its first entry.
    pub fn shards(mut self, shards: usize) -> Self {
        self.options.shards = Some(shards);
        self
    }

    /// Bytes of a key and a value together, themselves included.
    ///
    /// Without it, common std types are weighed with their heap; other types count their shallow size, and
    /// the cache is marked `estimated` if they may own heap. For types that implement
    /// [`Weigh`](crate::Weigh), pass [`weigh::entry`](crate::weigh::entry).
    pub fn weigh(mut self, weigh: impl Fn(&K, &V) -> u64 + Send + Sync + 'static) -> Self {
        // The slot already has room for key and value themselves.
        let inline = const { (size_of::<K>() + size_of::<V>()) as u64 };
        self.weigh = Some(Box::new(move |key, value| weigh(key, value).saturating_sub(inline)));
        self
    }

    /// What a miss costs, instead of the time that the load took.
    pub fn cost(mut self, cost: impl Fn(&K, &V) -> Duration + Send + Sync + 'static) -> Self {
        self.cost = Some(Box::new(cost));
        self
    }

    /// What a miss costs is the processor time of its load, and not the time that passes meanwhile: who waits for a disk,
    /// a network or a lock computes nothing.
    ///
    /// It is the time of the thread that runs the load, or of all that poll it, summed over the polls; what others
    /// compute for it, in a pool of threads or in tasks of their own, is not in it. [`cost`](Self::cost) goes first.
    /// [`load_time`](crate::TenantStats::load_time) stays the time that passes. Where the system does not tell processor
    /// time (it does on Linux, Android, Apple's systems and the BSDs), the time that passes is the cost.
    ///
    /// # Cost
    ///
    /// Two calls of the system for each load, and for each poll of one; none for a hit.
    pub fn cpu_cost(mut self) -> Self {
        self.options.measure = Measure::Computed;
        self
    }

    /// How much more a value is worth than what a miss costs: a factor for that, 1.0 for most. For what the cost does
    /// not tell, such as who is waiting.
    ///
    /// [`Policy::Hybrid`] and [`Policy::Utility`] keep what has a higher factor longer, in the cache and against other
    /// tenants; the other policies only do the latter. Statistics of time saved do not count it.
    ///
    /// Runs at each write, outside all locks. The factor is kept in steps of an eighth of an octave, from 1/65,536 to
    /// 60,000: what is below or not above 0 counts as the least, what is above as the most, and a NaN as 1.0.
    ///
    /// # Examples
    ///
    /// ```
    /// use larder_runtime::{Cache, Domain};
    ///
    /// let domain = Domain::builder().limit_bytes(1 << 20).manual().build();
    /// let answers = Cache::<(u32, bool), String>::builder("answers")
    ///     .utility(|(_, paying), _| if *paying { 4.0 } else { 1.0 })
    ///     .build_in(&domain)?;
    /// # Ok::<(), larder_runtime::BuildError>(())
    /// ```
    pub fn utility(mut self, factor: impl Fn(&K, &V) -> f64 + Send + Sync + 'static) -> Self {
        self.utility = Some(Box::new(factor));
        self
    }

    /// How long a value lives after it was written, however much it is used.
    ///
    /// With [`ttl_by`](Self::ttl_by) or [`tti`](Self::tti) beside it the earliest deadline wins. An expired value
    /// is never returned: to the nanosecond with a [`ManualClock`](crate::testing::ManualClock), with the real
    /// [`Clock`](crate::Clock) up to one tick of the system late. Its bytes go back when it is looked up, when
    /// the cache needs room, a few at each insert, and all at a tick of the domain.
    ///
    /// # Cost
    ///
    /// Eight bytes an entry, and four more in small caches. A hit reads the clock; without `ttl`, `tti` and
    /// `ttl_by` it does not.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.options.ttl = Some(ttl);
        self
    }

    /// How long a value lives after it was last used: a hit counts as a use and so does writing it,
    /// `peek` and `contains` do not.
    ///
    /// # Cost
    ///
    /// Eight bytes an entry more than a `ttl`. A hit writes the time of the use when the clock has moved since the last one.
    pub fn tti(mut self, tti: Duration) -> Self {
        self.options.tti = Some(tti);
        self
    }

    /// How long each value lives after it was written, by its key and itself. [`Duration::MAX`] sets no bound; a
    /// value with no time at all is not stored, and counted as a rejection.
    ///
    /// Runs at each write, outside all locks. Beside a [`ttl`](Self::ttl) the shorter time holds.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use larder_runtime::{Cache, Domain, testing::ManualClock};
    ///
    /// let clock = ManualClock::new();
    /// let domain = Domain::builder().limit_bytes(1 << 20).clock(clock.clone()).manual().build();
    /// // What was not found is asked for again sooner.
    /// let users = Cache::<u64, Option<String>>::builder("users")
    ///     .ttl_by(|_, user| Duration::from_secs(if user.is_some() { 600 } else { 5 }))
    ///     .build_in(&domain)?;
    /// users.insert(1, Some("Ada".to_owned()));
    /// users.insert(2, None);
    /// clock.advance(Duration::from_secs(5));
    /// assert_eq!((users.contains(1), users.contains(2)), (true, false));
    /// # Ok::<(), larder_runtime::BuildError>(())
    /// ```
    pub fn ttl_by(mut self, ttl: impl Fn(&K, &V) -> Duration + Send + Sync + 'static) -> Self {
        self.options.ttl_by = true;
        self.ttl_by = Some(Box::new(ttl));
        self
    }

    /// Spreads the ends of values that were written together: each lives up to this part of its
    /// [`ttl`](Self::ttl) or [`ttl_by`](Self::ttl_by) shorter, 0.1 for up to a tenth. Never longer, and the same
    /// for a key each time. [`tti`](Self::tti) is spread by the uses already and stays as it is.
    pub fn jitter(mut self, fraction: f64) -> Self {
        self.options.jitter = Some(fraction);
        self
    }

    /// Says who hears of entries that leave: `listener` gets each of them, once, and why it left.
    ///
    /// Every entry that was stored leaves once: evicted, reclaimed, expired, invalidated, replaced, or with the cache,
    /// when its last handle is dropped; [`RemovalCause`] tells these apart. The caches of annotated functions are
    /// never dropped. A value that was returned and not stored is no entry, and nobody hears of it.
    ///
    /// The entry is the listener's: it may keep it, or write it somewhere. It is called on the thread whose call
    /// removed the entry, before that call returns. Only where somebody is reading the entry at that moment, it is
    /// called when that is over: by whoever changes something beside it next, or by the next
    /// [`tick`](crate::Domain::tick). For one key the order of calls is that of the removals, unless several threads are
    /// at it.
    ///
    /// A panic in the listener is caught and counted ([`TenantStats::listener_panics`](crate::TenantStats)). The
    /// listener may use the cache. What leaves by that is told when its call is over; so one that stores something for
    /// each entry that leaves a full cache never comes to an end.
    ///
    /// # Locking
    ///
    /// None: calls run outside all locks, several at a time if several threads remove.
    ///
    /// # Cost
    ///
    /// Some 100 bytes, once. What entries without anything to drop (numbers, say) save otherwise, a listener has them
    /// pay: their bytes do not wait to be given back together, and a hit has a fence more. Without a listener
    /// nothing changes.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::mpsc;
    /// use larder_runtime::{Cache, Domain, RemovalCause};
    ///
    /// let domain = Domain::builder().limit_bytes(1 << 20).manual().build();
    /// let (gone, log) = mpsc::channel();
    /// let files = Cache::<u32, String>::builder("files")
    ///     .max_entries(1)
    ///     .on_remove(move |id, name, cause| _ = gone.send((id, name, cause)))
    ///     .build_in(&domain)?;
    /// files.insert(1, "a".to_owned());
    /// files.insert(2, "b".to_owned());
    /// assert_eq!(log.try_recv(), Ok((1, "a".to_owned(), RemovalCause::Evicted)));
    /// # Ok::<(), larder_runtime::BuildError>(())
    /// ```
    pub fn on_remove(mut self, listener: impl Fn(K, V, RemovalCause) + Send + Sync + 'static) -> Self {
        self.on_remove = Some(Box::new(listener));
        self
    }

    /// Entries that make room go on living below, as bytes, and come up again when they are used: see [`Tiers`].
    ///
    /// Only what makes room goes down, evicted or reclaimed, where it is worth its bytes there: what it costs to compute
    /// against what it takes. What is written or removed by any way is gone in all tiers when the call returns, and what
    /// expires here expires there. A look-up, a load and [`Cache::compute`] find what is below; `len`, `iter` and bounds on
    /// entries are of values only, and a listener hears of an entry whenever it leaves these. A miss here counts as a miss
    /// also where a tier has it: the tier's own figures are in [`TenantStats::tiers`](crate::TenantStats::tiers).
    ///
    /// Values that share something (an `Arc` with a lock in it) come back as others, which share nothing.
    ///
    /// # Locking
    ///
    /// The codec runs with no lock held: on the thread that evicts, and on the one that misses.
    ///
    /// # Cost
    ///
    /// Some 4 KB while the cache is empty, and 60 bytes for each record beside its own. An insert that evicts encodes what it
    /// evicts. A hit costs what it did, but for a fence more where entries have nothing to drop.
    #[cfg(feature = "tiers")]
    pub fn tiers(mut self, tiers: Tiers<K, V>) -> Self {
        self.tiers = Some(tiers);
        self
    }

    /// How long a caller waits, in all, for a value that another computes. When that is over it runs its own body;
    /// of the values then computed the first one is stored. Without it a caller waits as long as the other takes.
    ///
    /// For loads that may hang, and for those that wait in ways that cannot be seen from here, such as a body that
    /// blocks on a thread pool whose threads all wait for that body.
    ///
    /// The time is the domain's clock's. A waiting thread wakes by itself. A waiting task is woken by the domain's
    /// background thread: on time, or as late as what that thread does at the moment takes, an expiry or a trim.
    /// Where there is no such thread (`LARDER_THREADS=0`, `manual()`, after `shutdown`) the next
    /// [`tick`](crate::Domain::tick) wakes it. With a [`ManualClock`](crate::testing::ManualClock) both are woken by
    /// `advance`.
    pub fn wait_at_most(mut self, most: Duration) -> Self {
        self.options.sharing.wait_at_most = Some(most);
        self
    }

    /// Whether callers that miss the same key at the same time share one computation, as they do unless this says
    /// `false`. Then each runs its own body and nobody waits; the first value is stored, and what is invalidated or
    /// written meanwhile wins as ever.
    pub fn single_flight(mut self, shared: bool) -> Self {
        self.options.sharing.single_flight = shared;
        self
    }
}

impl<K, V> Builder<K, V>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Builds the cache under a domain's budget.
    ///
    /// # Errors
    ///
    /// When options contradict each other or make no sense; the error says which.
    pub fn build_in(self, domain: &Domain) -> Result<Cache<K, V>, BuildError> {
        let Self { name, options, weigh, cost, ttl_by, utility, own, on_remove, .. } = self;
        options.check()?;
        if options.policy == Policy::Custom && own.is_none() {
            return Err(BuildError::CustomPolicy);
        }
        // Said before `policy` took its place.
        let own = own.filter(|_| options.policy == Policy::Custom);
        let limit = domain.core.ledger.limit();
        if options.min_bytes > limit && options.min_bytes < u64::MAX {
            return Err(BuildError::FloorAboveBudget { min_bytes: options.min_bytes, limit });
        }
        let tenant = options.tenant(name, None, &domain.core, true);
        let (heap, exact) = match weigh {
            Some(heap) => (HeapOf::Both(heap), true),
            None => heap_from_types(),
        };
        tenant.card.set_estimated(!exact);
        let ops = Ops::new(Box::new(|a: &K, b: &K| a == b), V::clone, heap, |core| core)
            .with(cost, ttl_by)
            .evicting(utility, own)
            .telling(on_remove)
            .sharing(options.sharing);
        #[cfg(feature = "tiers")]
        let ops = ops.above(self.tiers);
        let core = Core::new(&tenant, options.shards(), Arc::new(ops));
        #[cfg(feature = "tiers")]
        core.open_below().map_err(BuildError::Store)?;
        Ok(Cache::from_core(core))
    }
}

/// Weighs types that are known by identity; the flag says whether nothing is hidden.
fn heap_from_types<K: 'static, V: 'static>() -> (HeapOf<K, V>, bool) {
    let (key, value) = (known::<K>(), known::<V>());
    let exact = key.is_some() && value.is_some();
    (HeapOf::Types(key.map(|weigher| weigher.heap), value.map(|weigher| weigher.heap)), exact)
}

impl<K, V> fmt::Debug for Builder<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("name", &self.name)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// Why a cache could not be built.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum BuildError {
    /// `max_entries` or `max_bytes` is 0.
    ZeroCapacity,
    /// `min_mb` or `min_bytes` asks for more than `max_bytes` allows.
    FloorAboveCeiling {
        /// What `min_mb` or `min_bytes` asks for.
        min_bytes: u64,
        /// What `max_mb` or `max_bytes` allows.
        max_bytes: u64,
    },
    /// `min_mb` or `min_bytes` asks for more than the whole budget.
    FloorAboveBudget {
        /// What `min_mb` or `min_bytes` asks for.
        min_bytes: u64,
        /// The domain's limit, in bytes.
        limit: u64,
    },
    /// `priority` is not a finite number above 0.
    Priority(f64),
    /// [`Policy::Custom`] without an order of one's own.
    CustomPolicy,
    /// `ttl` is zero.
    ZeroTtl,
    /// `tti` is zero.
    ZeroTti,
    /// `jitter` is not a number from 0 to 1.
    Jitter(f64),
    /// `jitter` has nothing to spread.
    JitterWithoutTtl,
    /// `wait_at_most` is zero.
    ZeroWait,
    /// `wait_at_most` beside `single_flight(false)`.
    WaitWithoutFlight,
    /// A tier that outlives the process cannot be opened.
    #[cfg(feature = "tiers")]
    Store(crate::tier::StoreError),
    /// No device is registered under the name that `domain` says.
    NoDomain {
        /// What `domain` says.
        name: String,
        /// The names of those that are.
        registered: Vec<String>,
    },
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ZeroCapacity => f.write_str(
                "a cache with room for nothing: set `max_entries` or `max_bytes` above 0, or leave it out",
            ),
            Self::FloorAboveCeiling { min_bytes, max_bytes } => write!(
                f,
                "`min_mb` keeps {min_bytes} bytes, but `max_bytes` allows {max_bytes}: lower the one or raise the other"
            ),
            Self::FloorAboveBudget { min_bytes, limit } => write!(
                f,
                "`min_mb` keeps {min_bytes} bytes, but the whole budget is {limit}: lower it, or raise the budget first"
            ),
            Self::Priority(priority) => {
                write!(
                    f,
                    "`priority` is {priority}, but it multiplies a price: use a number above 0, as in 2.0"
                )
            }
            Self::CustomPolicy => f.write_str(
                "`Policy::Custom` names an order of your own, and none is here: use `policy_with`, or another policy",
            ),
            Self::ZeroTtl => f.write_str("a `ttl` of zero expires at once: use a longer one, or no cache"),
            Self::ZeroTti => f.write_str("a `tti` of zero expires at once: use a longer one, or no cache"),
            Self::Jitter(jitter) => write!(
                f,
                "`jitter` is {jitter}, but it is the part of the `ttl` to spread: use a number from 0 to 1, as in 0.1"
            ),
            Self::JitterWithoutTtl => f.write_str(
                "`jitter` spreads the ends of a `ttl`, and there is none: set `ttl` or `ttl_by` too",
            ),
            Self::ZeroWait => f.write_str(
                "a `wait_at_most` of zero waits for nobody: use a longer one, or `single_flight(false)`",
            ),
            Self::WaitWithoutFlight => f.write_str(
                "`wait_at_most` bounds the wait for another's load, and without `single_flight` nobody waits: keep one",
            ),
            #[cfg(feature = "tiers")]
            Self::Store(error) => write!(f, "the tier on disk cannot be opened: {error}"),
            Self::NoDomain { name, registered } => named::write_missing(f, name, registered),
        }
    }
}

impl std::error::Error for BuildError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            #[cfg(feature = "tiers")]
            Self::Store(error) => Some(error),
            _ => None,
        }
    }
}
