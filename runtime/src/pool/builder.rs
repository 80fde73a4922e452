//! Configuring a pool at run time: options, their checks, and what may stand against a lease.

use std::convert::Infallible;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use super::recipe::keep;
use super::tenant::PoolTenant;
use super::{Options, Order, Pool, PoolCore, PoolProof, Recipe, ResetOutcome, poolable, poolable_on_thread};
use crate::descriptor::{Descriptor, Exhausted, Kind};
use crate::domain::Domain;
use crate::tenant::Terms;
use crate::weight::{Weigher, known};

/// Of a pool whose leases can't fail: its constructor returns an object, and it makes another or waits when all are lent.
#[derive(Debug)]
pub enum Always {}

/// Of a pool that may refuse: its constructor returns `E`, or it has a bound that it keeps.
#[derive(Debug)]
pub enum Sometimes<E = Infallible> {
    #[doc(hidden)]
    _Of(Infallible, PhantomData<fn() -> E>),
}

/// What may stand against a lease: [`Always`] or [`Sometimes`].
pub trait Refuses: sealed::Sealed {
    /// The error of the constructor.
    type Error: Send + 'static;
}

impl Refuses for Always {
    type Error = Infallible;
}

impl<E: Send + 'static> Refuses for Sometimes<E> {
    type Error = E;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Always {}
    impl<E> Sealed for super::Sometimes<E> {}
}

/// Configures a [`Pool`]; made by [`Pool::builder`] and [`Pool::try_builder`].
#[must_use = "a builder does nothing until `build` or `build_in`"]
pub struct PoolBuilder<T, R = Always> {
    name: String,
    options: Options,
    max_bytes: Option<u64>,
    priority: f64,
    recipe: Recipe<T>,
    trims: bool,
    /// The annotated item that it is made for, if any.
    descriptor: Option<&'static Descriptor>,
    _refuses: PhantomData<fn() -> R>,
}

impl<T> Pool<T> {
    /// Configures a pool whose objects are made by `make`.
    pub fn builder(name: impl Into<String>, make: impl Fn() -> T + Send + Sync + 'static) -> PoolBuilder<T> {
        PoolBuilder::of(name.into(), Recipe::new(make))
    }
}

impl<T, E: Send + 'static> Pool<T, Sometimes<E>> {
    /// Configures a pool whose objects are made by `make`, which may fail.
    ///
    /// # Examples
    ///
    /// ```
    /// use larder_runtime::{AcquireError, Domain, Pool};
    ///
    /// let domain = Domain::builder().limit_bytes(1 << 20).manual().build();
    /// let ports = Pool::try_builder("ports", || "eighty".parse::<u16>()).build_in(&domain)?;
    /// assert!(matches!(ports.try_acquire(), Err(AcquireError::Failed(_))));
    /// # Ok::<(), larder_runtime::PoolError>(())
    /// ```
    pub fn try_builder(
        name: impl Into<String>,
        make: impl Fn() -> Result<T, E> + Send + Sync + 'static,
    ) -> PoolBuilder<T, Sometimes<E>> {
        PoolBuilder::of(name.into(), Recipe::trying(make))
    }
}

impl<T> PoolBuilder<T, Always> {
    /// At most so long a caller waits when all objects are lent; then it gets an error.
    pub fn wait_at_most(mut self, most: Duration) -> PoolBuilder<T, Sometimes> {
        self.options.exhausted = Exhausted::Wait(Some(most));
        self.refusing()
    }

    /// When all objects are lent, callers get an error.
    pub fn fail_when_exhausted(mut self) -> PoolBuilder<T, Sometimes> {
        self.options.exhausted = Exhausted::Fail;
        self.refusing()
    }
}

impl<T, E: Send + 'static> PoolBuilder<T, Sometimes<E>> {
    /// At most so long a caller waits when all objects are lent; then it gets an error.
    pub fn wait_at_most(mut self, most: Duration) -> Self {
        self.options.exhausted = Exhausted::Wait(Some(most));
        self
    }

    /// When all objects are lent, callers get an error.
    pub fn fail_when_exhausted(mut self) -> Self {
        self.options.exhausted = Exhausted::Fail;
        self
    }
}

impl<T, R> PoolBuilder<T, R> {
    fn of(name: String, recipe: Recipe<T>) -> Self {
        let options = Options::default();
        Self {
            name,
            options,
            max_bytes: None,
            priority: 1.0,
            recipe,
            trims: false,
            descriptor: None,
            _refuses: PhantomData,
        }
    }

    fn refusing<S>(self) -> PoolBuilder<T, S> {
        let Self { name, options, max_bytes, priority, recipe, trims, descriptor, _refuses } = self;
        PoolBuilder { name, options, max_bytes, priority, recipe, trims, descriptor, _refuses: PhantomData }
    }

    /// When all objects are lent, callers wait until one comes back, instead of making one more.
    pub fn wait(mut self) -> Self {
        self.options.exhausted = Exhausted::Wait(None);
        self
    }

    /// Most objects, idle and lent.
    pub fn max(mut self, objects: u64) -> Self {
        self.options.max = objects;
        self
    }

    /// Most objects that wait.
    pub fn max_idle(mut self, objects: u64) -> Self {
        self.options.max_idle = objects;
        self
    }

    /// So many objects are made ahead: before the first lease, and again at ticks. Their age alone does not end those, but
    /// for [`idle`](Self::idle) and [`lifetime`](Self::lifetime); short memory does.
    pub fn min_idle(mut self, objects: u64) -> Self {
        self.options.min_idle = objects;
        self
    }

    /// Most megabytes of 1,048,576 bytes, idle and lent.
    pub fn max_mb(self, megabytes: u64) -> Self {
        self.max_bytes(megabytes.saturating_mul(1 << 20))
    }

    /// Most bytes, idle and lent.
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = Some(bytes);
        self
    }

    /// Most kilobytes of 1,024 bytes of one object's heap when it comes back: what is larger is shrunk by
    /// [`trim_to`](Self::trim_to), or goes.
    pub fn max_kb(mut self, kilobytes: u64) -> Self {
        self.options.max_object = kilobytes.saturating_mul(1 << 10);
        self
    }

    /// Shrinks an object that has grown beyond `max_kb`; it is given the bytes of heap that the object may keep.
    pub fn trim_to(mut self, trim: impl Fn(&mut T, u64) + Send + Sync + 'static) -> Self {
        self.recipe = self.recipe.trim(trim);
        self.trims = true;
        self
    }

    /// How much dearer this pool's bytes are than those of other tenants; 1.0 unless set.
    pub fn priority(mut self, priority: f64) -> Self {
        self.priority = priority;
        self
    }

    /// Runs on an object that comes back. `false` and `Err` drop it.
    pub fn reset<O: ResetOutcome>(mut self, reset: impl Fn(&mut T) -> O + Send + Sync + 'static) -> Self {
        self.recipe = self.recipe.reset(move |object| keep(reset(object)));
        self
    }

    /// Whether an object that came back, and was reset, is fit for another lease; the others are dropped.
    pub fn validate(mut self, validate: impl Fn(&T) -> bool + Send + Sync + 'static) -> Self {
        self.recipe = self.recipe.validate(validate);
        self
    }

    /// Asks [`validate`](Self::validate) before an idle object is lent, too: for what breaks while it waits.
    pub fn validate_on_acquire(mut self) -> Self {
        self.options.validate_on_acquire = true;
        self
    }

    /// How long an object may wait: older ones are dropped at the next tick, and never lent.
    pub fn idle(mut self, most: Duration) -> Self {
        self.options.idle = Some(most);
        self
    }

    /// The same for those beyond [`min_idle`](Self::min_idle), at ticks.
    pub fn idle_soft(mut self, most: Duration) -> Self {
        self.options.idle_soft = Some(most);
        self
    }

    /// How long an object lives, counted from when it was made; one that is lent goes when it comes back.
    pub fn lifetime(mut self, most: Duration) -> Self {
        self.options.lifetime = Some(most);
        self
    }

    /// Which part of the lifetime is spread over the objects, 0 to 1, so that they do not end together.
    pub fn jitter(mut self, part: f64) -> Self {
        self.options.jitter = part;
        self
    }

    /// In which order idle objects are lent; [`Order::Lifo`] unless set.
    pub fn order(mut self, order: Order) -> Self {
        self.options.order = order;
        self
    }

    /// What an object weighs in bytes, itself included. Without it, types of the standard library are known, and others count
    /// with their size alone.
    pub fn weigh(mut self, weigh: impl Fn(&T) -> u64 + Send + Sync + 'static) -> Self {
        self.recipe = self.recipe.weigh(weigh);
        self
    }

    /// An object weighs the same as long as it lives.
    pub(super) fn constant(mut self) -> Self {
        self.recipe = self.recipe.constant();
        self
    }

    /// It is a part of this annotated item.
    pub(super) fn declared(self, descriptor: Option<&'static Descriptor>) -> Self {
        Self { descriptor, ..self }
    }

    fn check(&self) -> Result<(), PoolError> {
        let Options { max, max_idle, min_idle, jitter, lifetime, .. } = self.options;
        if max == 0 || self.max_bytes == Some(0) || self.options.max_object == 0 {
            return Err(PoolError::ZeroCapacity);
        }
        if min_idle > max_idle.min(max) {
            return Err(PoolError::MinAboveMax { min_idle, max: max_idle.min(max) });
        }
        if !(self.priority.is_finite() && self.priority > 0.0) {
            return Err(PoolError::Priority(self.priority));
        }
        if !(0.0..=1.0).contains(&jitter) {
            return Err(PoolError::Jitter(jitter));
        }
        if jitter > 0.0 && lifetime.is_none() {
            return Err(PoolError::JitterWithoutLifetime);
        }
        let unbounded = max == u64::MAX && self.max_bytes.is_none();
        if unbounded && self.options.exhausted != Exhausted::Create {
            return Err(PoolError::NeverExhausted);
        }
        if self.trims && self.options.max_object == u64::MAX {
            return Err(PoolError::TrimWithoutMax);
        }
        Ok(())
    }
}

impl<T: Send + 'static, R> PoolBuilder<T, R> {
    /// Builds the pool under a domain's budget.
    ///
    /// # Errors
    ///
    /// When options contradict each other or make no sense; the error says which.
    pub fn build_in(self, domain: &Domain) -> Result<Pool<T, R>, PoolError> {
        self.build_with(domain, poolable::<T>())
    }
}

impl<T: 'static, R> PoolBuilder<T, R> {
    /// Builds a pool for the thread that calls this, under a domain's budget: for objects that may not leave their thread.
    ///
    /// Its objects are charged, bounded and counted like those of other pools. Only the thread itself can drop them: when
    /// memory is short, time has passed, or somebody clears everything, they go at its next operation on the pool. What a
    /// thread keeps that never comes back to its pool is bounded by `max_idle` and `max_bytes`, and reported.
    ///
    /// # Errors
    ///
    /// When options contradict each other or make no sense; the error says which. A lease that would wait for objects to
    /// come back would wait for its own thread, so there is no rule that says so.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::rc::Rc;
    /// use larder_runtime::{Domain, Pool};
    ///
    /// let domain = Domain::builder().limit_bytes(1 << 20).manual().build();
    /// let trees = Pool::builder("trees", || Rc::new(Vec::<u32>::new())).build_on_thread_in(&domain)?;
    /// drop(trees.acquire());
    /// assert_eq!(trees.idle(), 1);
    /// # Ok::<(), larder_runtime::PoolError>(())
    /// ```
    pub fn build_on_thread_in(self, domain: &Domain) -> Result<Pool<T, R>, PoolError> {
        if let Exhausted::Wait(_) = self.options.exhausted {
            return Err(PoolError::WaitOnThread);
        }
        self.build_with(domain, poolable_on_thread::<T>().0)
    }

    fn build_with(self, domain: &Domain, proof: PoolProof<T>) -> Result<Pool<T, R>, PoolError> {
        self.check()?;
        let Self { name, options, max_bytes, priority, recipe, descriptor, .. } = self;
        let weigher = known::<T>().unwrap_or(Weigher::shallow());
        let terms = Terms {
            name,
            kind: Kind::Pool,
            descriptor,
            priority,
            floor: 0,
            ceiling: max_bytes.unwrap_or(u64::MAX),
        };
        let recipe = Arc::new(recipe.or_weighed(weigher));
        let tenant = PoolTenant::new(&domain.core, terms);
        Ok(Pool::from_core(PoolCore::new(&tenant, options, recipe, proof)))
    }
}

impl<T, R> fmt::Debug for PoolBuilder<T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolBuilder")
            .field("name", &self.name)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// Why a pool could not be built.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum PoolError {
    /// `max`, `max_bytes` or `max_kb` is 0.
    ZeroCapacity,
    /// `min_idle` asks for more objects than there may be.
    MinAboveMax {
        /// What `min_idle` asks for.
        min_idle: u64,
        /// What `max` or `max_idle` allows.
        max: u64,
    },
    /// `priority` is not a finite number above 0.
    Priority(f64),
    /// `jitter` is not a number from 0 to 1.
    Jitter(f64),
    /// `jitter` has nothing to spread.
    JitterWithoutLifetime,
    /// A rule for when all objects are lent, and no bound on them.
    NeverExhausted,
    /// `trim_to` without `max_kb`.
    TrimWithoutMax,
    /// A pool of one thread that waits for objects to come back.
    WaitOnThread,
    /// An alignment that is no power of two.
    Alignment(usize),
}

impl fmt::Display for PoolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ZeroCapacity => f.write_str(
                "a pool with room for nothing: set `max`, `max_bytes` and `max_kb` above 0, or leave them out",
            ),
            Self::MinAboveMax { min_idle, max } => write!(
                f,
                "`min_idle` wants {min_idle} objects, but there may be {max}: lower the one or raise the other"
            ),
            Self::Priority(priority) => write!(
                f,
                "`priority` is {priority}, but it multiplies a price: use a number above 0, as in 2.0"
            ),
            Self::Jitter(jitter) => write!(
                f,
                "`jitter` is {jitter}, but it is the part of the `lifetime` to spread: use a number from 0 to 1, as in 0.1"
            ),
            Self::JitterWithoutLifetime => {
                f.write_str("`jitter` spreads the ends of a `lifetime`, and there is none: set `lifetime` too")
            }
            Self::NeverExhausted => f.write_str(
                "a pool without a bound is never exhausted: set `max` or `max_bytes`, or leave out what happens then",
            ),
            Self::Alignment(align) => {
                write!(f, "memory can't be aligned to {align} bytes: use a power of two, as in 4096")
            }
            Self::WaitOnThread => f.write_str(
                "a pool of one thread can't wait for objects to come back, because the thread would wait for itself: fail when it is \
                 exhausted, or let it make more; tasks can wait with `acquire_async`",
            ),
            Self::TrimWithoutMax => {
                f.write_str("`trim_to` shrinks what is above `max_kb`, and there is none: set `max_kb` too")
            }
        }
    }
}

impl std::error::Error for PoolError {}
