//! The process's own domain, built on first use, and the functions that speak of it.
//!
//! Globals are only default arguments: everything here forwards to [`Domain`]. Settings come from code,
//! then the environment, then the attributes' defaults; a bad variable is ignored with a warning in the
//! snapshot, and reported in full by [`init`].

use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::cache::{BuildError, Builder, Cache};
use crate::domain::{Budget, Charge, Domain, Namespace, Task, Tracked, Tracking, Trimmed};
use crate::monitor::SystemPressure;
use crate::pool::{BufferPool, BufferPoolBuilder, Pool, PoolBuilder, PoolError};
use crate::pressure::Auto;
use crate::registry;
use crate::settings::{SettingError, Settings, SettingsError};
use crate::stats::{Explanation, Snapshot};

struct Global {
    domain: Domain,
    /// Variables that were ignored.
    ignored: Vec<SettingError>,
}

static GLOBAL: OnceLock<Global> = OnceLock::new();

fn global() -> &'static Global {
    GLOBAL.get_or_init(|| {
        let (settings, ignored) = Settings::from_env();
        let mut builder = Domain::builder().watermarks(settings.watermarks.unwrap_or_default());
        match settings {
            // A number is more than a wish.
            Settings { budget: Some(bytes), .. } => builder = builder.limit_bytes(bytes),
            Settings { auto: true, .. } => builder = builder.auto(Auto::default()),
            Settings { .. } => {}
        }
        if let Some(interval) = settings.interval {
            builder = builder.interval(interval);
        }
        if settings.pressure != Some(false) {
            builder = builder.pressure(SystemPressure::new());
        }
        builder = match settings.threads {
            Some(0) => builder.manual(),
            Some(1) => builder.one_thread(),
            _ => builder,
        };
        Global { domain: builder.build(), ignored }
    })
}

pub(crate) fn domain() -> &'static Domain {
    &global().domain
}

impl Domain {
    /// The process's domain: annotated items and caches built with [`Builder::build`] live here.
    #[must_use]
    pub fn global() -> &'static Self {
        domain()
    }
}

impl<K, V> Builder<K, V>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Builds the cache under the process's budget, or in the [domain](Self::domain) that was said.
    ///
    /// # Errors
    ///
    /// When options contradict each other or make no sense, and when there is no such domain; the error says which.
    pub fn build(self) -> Result<Cache<K, V>, BuildError> {
        match self.named_domain()? {
            Some(named) => self.build_in(&named),
            None => self.build_in(domain()),
        }
    }
}

impl<T: Send + 'static, R> PoolBuilder<T, R> {
    /// Builds the pool under the process's budget.
    ///
    /// # Errors
    ///
    /// When options contradict each other or make no sense; the error says which.
    pub fn build(self) -> Result<Pool<T, R>, PoolError> {
        self.build_in(domain())
    }
}

impl<T: 'static, R> PoolBuilder<T, R> {
    /// Builds a pool for the thread that calls this, under the process's budget; see
    /// [`build_on_thread_in`](Self::build_on_thread_in).
    ///
    /// # Errors
    ///
    /// When options contradict each other or make no sense; the error says which.
    pub fn build_on_thread(self) -> Result<Pool<T, R>, PoolError> {
        self.build_on_thread_in(domain())
    }
}

impl BufferPoolBuilder {
    /// Builds the pool under the process's budget.
    ///
    /// # Errors
    ///
    /// When options make no sense; the error says which.
    pub fn build(self) -> Result<BufferPool, PoolError> {
        self.build_in(domain())
    }
}

/// The buffers of the process: a pool of all sizes, made on first use.
///
/// # Examples
///
/// ```
/// # use larder_runtime as larder;
/// let mut buffer = larder::buffers().acquire(10_000);
/// buffer.extend_from_slice(b"to be or not");
/// assert_eq!((buffer.len(), buffer.capacity()), (12, 16_384));
/// ```
#[must_use]
pub fn buffers() -> &'static BufferPool {
    static BUFFERS: OnceLock<BufferPool> = OnceLock::new();
    BUFFERS.get_or_init(|| match BufferPool::builder("larder::buffers").build() {
        Ok(pool) => pool,
        Err(error) => unreachable!("the defaults are sound: {error}"),
    })
}

impl<T> Tracked<T> {
    /// Puts `bytes` for this value on the books of the process, under a name.
    pub fn new(name: &str, bytes: u64, value: T) -> Self {
        Self::new_in(domain(), name, bytes, value)
    }
}

/// Counts `bytes` of the process's budget for something shared, until the last of its owners is gone; see
/// [`Domain::track`].
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// # use larder_runtime as larder;
///
/// let model = Arc::new(vec![0_u8; 1 << 20]);
/// larder::track("model", model.len() as u64, &model);
/// assert_eq!(larder::stats().tenant("model").unwrap().entries, 1);
/// drop(model);
/// assert_eq!(larder::cleanup(), 1 << 20);
/// ```
pub fn track<T>(name: &str, bytes: u64, shared: &Arc<T>) -> Tracking
where
    T: Send + Sync + ?Sized + 'static,
{
    domain().track(name, bytes, shared)
}

/// Counts `bytes` of the process's budget, for as long as the result is held; see [`Domain::charge`].
pub fn charge(name: &str, bytes: u64) -> Charge {
    domain().charge(name, bytes)
}

/// Takes off the books what was [`track`]ed and is gone; returns the bytes.
pub fn cleanup() -> u64 {
    domain().cleanup()
}

/// Reads the environment and builds the global domain, which otherwise happens on first use.
///
/// # Errors
///
/// When a `LARDER_` variable makes no sense; the error lists all of them, with the accepted forms. The
/// domain works all the same, as if those variables were not set.
pub fn init() -> Result<(), SettingsError> {
    SettingsError::from_errors(global().ignored.clone())
}

/// The budget of the process: 500 MB by default, at most a quarter of what the machine or container has. With
/// `LARDER_BUDGET=auto`, or [`Budget::set_auto`], it follows what the rest of the process leaves.
#[must_use]
pub fn budget() -> &'static Budget {
    domain().budget()
}

/// All numbers of the process at this moment; every annotated item is listed, called or not.
#[must_use]
pub fn stats() -> Snapshot {
    let mut snapshot = registry::snapshot(&domain().core.here());
    snapshot.warnings.extend(global().ignored.iter().map(|error| format!("ignored: {error}")));
    snapshot
}

/// Where the bytes of the process are, what they earn, and why; see [`Domain::explain`].
#[must_use]
pub fn explain() -> Explanation {
    domain().explain()
}

/// Evicts about `bytes` over all caches and pools of the process; see [`Domain::trim`].
#[must_use = "it says how much was freed, and whose"]
pub fn trim(bytes: u64) -> Trimmed {
    domain().trim(bytes)
}

/// Empties every cache and drops every idle pooled object of the process.
pub fn clear_all() {
    domain().clear_all();
}

/// The caches and pools of the process whose names begin with a path: a `namespace`, or a module; see
/// [`Domain::namespace`].
#[must_use]
pub fn namespace(name: impl Into<String>) -> Namespace {
    domain().namespace(name)
}

/// Turns every cache and pool of the process off, or on again; see [`Domain::set_bypass`].
pub fn set_bypass(bypass: bool) {
    domain().set_bypass(bypass);
}

/// Says who runs detached loads of the process; see [`Domain::set_executor`].
///
/// Functions with the option `detach` need it before their first miss:
///
/// ```
/// # mod tokio { pub fn spawn(task: larder_runtime::Task) { drop(task) } }
/// # use larder_runtime as larder;
/// larder::set_executor(|task| {
///     tokio::spawn(task);
/// });
/// ```
pub fn set_executor(spawn: impl Fn(Task) + Send + Sync + 'static) {
    domain().set_executor(spawn);
}

/// Says how the allocator of this program gives memory back; see [`Domain::set_purge`].
pub fn set_purge(purge: impl Fn() + Send + Sync + 'static) {
    domain().set_purge(purge);
}

/// Does what the background thread would do; for processes that run without one.
pub fn tick() {
    domain().tick();
}

/// Waits until everything that must be written outside the process is written: what tiers on disk have been given, and
/// with their option `persist` what is in memory, too. It outlives the process then, and the machine.
///
/// What was removed before is removed there, and what was replaced is.
///
/// # Errors
///
/// When that takes longer than `timeout`, or a disk fails meanwhile: then a later process may find what was removed.
pub fn flush(timeout: Duration) -> Result<(), TimedOut> {
    domain().flush(timeout)
}

impl Domain {
    /// [`flush`] for the caches of this domain.
    ///
    /// # Errors
    ///
    /// As of [`flush`].
    pub fn flush(&self, timeout: Duration) -> Result<(), TimedOut> {
        if self.core.here().flush(timeout) { Ok(()) } else { Err(TimedOut { timeout }) }
    }

    /// [`shutdown`] for this domain.
    ///
    /// # Errors
    ///
    /// As of [`shutdown`].
    pub fn shutdown(&self, timeout: Duration) -> Result<(), TimedOut> {
        let flushed = self.flush(timeout);
        let core = self.core.here();
        #[cfg(feature = "tiers")]
        let below = core.below.stop(timeout);
        #[cfg(not(feature = "tiers"))]
        let below = true;
        if core.relief().stop(timeout) && below { flushed } else { Err(TimedOut { timeout }) }
    }
}

/// [`flush`]es and stops the background thread. Caches keep working; nothing is sampled or swept any more
/// unless [`tick`] is called.
///
/// # Errors
///
/// When that takes longer than `timeout`; the thread still ends when its work at hand is done.
pub fn shutdown(timeout: Duration) -> Result<(), TimedOut> {
    domain().shutdown(timeout)
}

/// Background work did not end in the time it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimedOut {
    timeout: Duration,
}

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "background work did not end within {:?}: allow more time, or let the process exit",
            self.timeout
        )
    }
}

impl std::error::Error for TimedOut {}
