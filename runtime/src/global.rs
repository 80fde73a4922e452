//! The process's own domain, built on first use, and the functions that speak of it.
//!
//! Globals are only default arguments: everything here forwards to [`Domain`]. Settings come from code,
//! then the environment, then the attributes' defaults; a bad variable is ignored with a warning in the
//! snapshot, and reported in full by [`init`].

use std::fmt;
use std::hash::Hash;
use std::sync::OnceLock;
use std::time::Duration;

use crate::cache::{BuildError, Builder, Cache};
use crate::domain::{Budget, Domain, Task, Trimmed};
use crate::monitor::SystemPressure;
use crate::registry;
use crate::settings::{SettingError, Settings, SettingsError};
use crate::stats::Snapshot;

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
        if let Some(bytes) = settings.budget {
            builder = builder.limit_bytes(bytes);
        }
        if let Some(interval) = settings.interval {
            builder = builder.interval(interval);
        }
        if settings.pressure != Some(false) {
            builder = builder.pressure(SystemPressure::new());
        }
        if settings.threads == Some(0) {
            builder = builder.manual();
        }
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
    /// Builds the cache under the process's budget.
    ///
    /// # Errors
    ///
    /// When options contradict each other or make no sense; the error says which.
    pub fn build(self) -> Result<Cache<K, V>, BuildError> {
        self.build_in(domain())
    }
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

/// The budget of the process: 500 MB by default, at most a quarter of what the machine or container has.
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

/// Evicts about `bytes` over all caches and pools of the process; see [`Domain::trim`].
#[must_use = "it says how much was freed, and whose"]
pub fn trim(bytes: u64) -> Trimmed {
    domain().trim(bytes)
}

/// Empties every cache and drops every idle pooled object of the process.
pub fn clear_all() {
    domain().clear_all();
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

/// Does what the background thread would do; for processes that run without one.
pub fn tick() {
    domain().tick();
}

/// Waits until everything that must be written outside the process is written.
///
/// All data of this version lives in memory, so there is nothing to wait for.
///
/// # Errors
///
/// When that takes longer than `timeout`.
pub fn flush(_timeout: Duration) -> Result<(), TimedOut> {
    Ok(())
}

/// [`flush`]es and stops the background thread. Caches keep working; nothing is sampled or swept any more
/// unless [`tick`] is called.
///
/// # Errors
///
/// When that takes longer than `timeout`; the thread still ends when its work at hand is done.
pub fn shutdown(timeout: Duration) -> Result<(), TimedOut> {
    flush(timeout)?;
    if domain().core.here().relief().stop(timeout) { Ok(()) } else { Err(TimedOut { timeout }) }
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
