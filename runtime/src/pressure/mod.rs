//! How full memory is: levels, the watermarks between them, and where the figures come from.
//!
//! Everything here is pure but the sources. Not here: reading the system (`monitor`) and what is done about a
//! level (`coordinator`).

mod auto;
#[cfg(unix)]
mod trigger;

pub use auto::Auto;
#[cfg(unix)]
pub(crate) use trigger::Heard;
#[cfg(unix)]
pub use trigger::Trigger;

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use crate::sync::Mutex;

#[cfg(all(test, not(larder_shuttle)))]
mod tests;

/// How full memory is, as a decision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[repr(u8)]
pub enum Level {
    /// There is room: the budget is what was set.
    #[default]
    Normal,
    /// Memory is getting short: the budget shrinks, and does not grow.
    High,
    /// The process may be killed soon: tenants go down to their floors.
    Emergency,
}

impl Level {
    /// `"normal"`, `"high"` or `"emergency"`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::High => "high",
            Self::Emergency => "emergency",
        }
    }

    /// The level that was stored as `level as u8`.
    pub(crate) fn from_u8(level: u8) -> Self {
        match level {
            0 => Self::Normal,
            1 => Self::High,
            _ => {
                debug_assert_eq!(level, Self::Emergency as u8, "only levels are stored");
                Self::Emergency
            }
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The fullness at which each level is entered, and the lower one at which it is left.
///
/// Between the two a level stays what it is, so that a figure that trembles does not make the level tremble.
///
/// # Examples
///
/// ```
/// use larder_runtime::{Level, Watermarks};
///
/// let marks = Watermarks::default();
/// assert_eq!(marks.next(Level::Normal, 0.78), Level::Normal);
/// assert_eq!(marks.next(Level::Normal, 0.80), Level::High);
/// assert_eq!(marks.next(Level::High, 0.78), Level::High);
/// assert_eq!(marks.next(Level::High, 0.74), Level::Normal);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Watermarks {
    /// `0 < high_exit < high < emergency <= 1` and `high_exit <= emergency_exit < emergency`.
    high: f64,
    high_exit: f64,
    emergency: f64,
    emergency_exit: f64,
}

impl Watermarks {
    /// How far below its entry a level is left, unless it is said: for High.
    const HIGH_BAND: f64 = 0.05;
    /// How far below its entry a level is left, unless it is said: for Emergency.
    const EMERGENCY_BAND: f64 = 0.10;

    /// Watermarks that enter High at `high` and Emergency at `emergency`, and leave them 0.05 and 0.10 below,
    /// or at half the entry where that is too low for it.
    ///
    /// # Errors
    ///
    /// Unless `0 < high < emergency <= 1`.
    pub fn new(high: f64, emergency: f64) -> Result<Self, WatermarksError> {
        let high_exit = (high - Self::HIGH_BAND).max(high / 2.0);
        let emergency_exit = (emergency - Self::EMERGENCY_BAND).max(emergency / 2.0).max(high_exit);
        Self { high, high_exit, emergency, emergency_exit }.checked()
    }

    /// The same entries, with other exits.
    ///
    /// # Errors
    ///
    /// Unless each exit is above 0 and below its entry, and `high_exit <= emergency_exit`.
    pub fn with_exits(self, high_exit: f64, emergency_exit: f64) -> Result<Self, WatermarksError> {
        Self { high_exit, emergency_exit, ..self }.checked()
    }

    fn checked(self) -> Result<Self, WatermarksError> {
        // Written so that a NaN fails each comparison.
        let entries = 0.0 < self.high && self.high < self.emergency && self.emergency <= 1.0;
        let exits = 0.0 < self.high_exit
            && self.high_exit < self.high
            && self.high_exit <= self.emergency_exit
            && self.emergency_exit < self.emergency;
        if entries && exits { Ok(self) } else { Err(WatermarksError { refused: self }) }
    }

    /// Fullness from which on the level is High.
    #[must_use]
    pub fn high(&self) -> f64 {
        self.high
    }

    /// Fullness below which High ends.
    #[must_use]
    pub fn high_exit(&self) -> f64 {
        self.high_exit
    }

    /// Fullness from which on the level is Emergency.
    #[must_use]
    pub fn emergency(&self) -> f64 {
        self.emergency
    }

    /// Fullness below which Emergency ends.
    #[must_use]
    pub fn emergency_exit(&self) -> f64 {
        self.emergency_exit
    }

    /// The level after `current`, now that memory is `fullness` full.
    ///
    /// A `fullness` that is not a number changes nothing.
    #[must_use]
    pub fn next(&self, current: Level, fullness: f64) -> Level {
        if fullness.is_nan() {
            return current;
        }
        // A level holds on to what is between its exit and its entry.
        let emergency = if current == Level::Emergency { self.emergency_exit } else { self.emergency };
        let high = if current == Level::Normal { self.high } else { self.high_exit };
        if fullness >= emergency {
            Level::Emergency
        } else if fullness >= high {
            Level::High
        } else {
            Level::Normal
        }
    }
}

impl Default for Watermarks {
    /// High from 0.80 to below 0.75, Emergency from 0.95 to below 0.85.
    fn default() -> Self {
        Self { high: 0.80, high_exit: 0.75, emergency: 0.95, emergency_exit: 0.85 }
    }
}

/// Why [`Watermarks`] were refused.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct WatermarksError {
    refused: Watermarks,
}

impl fmt::Display for WatermarksError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Watermarks { high, high_exit, emergency, emergency_exit } = self.refused;
        write!(
            f,
            "watermarks must be fractions with high < emergency, each exit below its entry, and the exits in order; \
             got high {high} (exit {high_exit}), emergency {emergency} (exit {emergency_exit}); \
             the defaults are 0.80 (0.75) and 0.95 (0.85)"
        )
    }
}

impl Error for WatermarksError {}

/// What a pressure source saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemorySample {
    /// Bytes in use that the system cannot take back at will.
    pub used: u64,
    /// Bytes at which something breaks; 0 when it is not known.
    pub limit: u64,
}

impl MemorySample {
    /// `used / limit`: 0 when there is no limit, above 1 when it is exceeded.
    #[must_use]
    pub fn fullness(&self) -> f64 {
        if self.limit == 0 { 0.0 } else { self.used as f64 / self.limit as f64 }
    }
}

/// Where a domain learns how full memory is.
///
/// Write one for a platform or a runtime that this crate cannot read, or for a device's memory.
///
/// # Examples
///
/// ```
/// use larder_runtime::{MemorySample, PressureSource};
///
/// /// An arena of fixed size.
/// #[derive(Debug)]
/// struct Arena;
///
/// impl PressureSource for Arena {
///     fn sample(&self) -> Option<MemorySample> {
///         Some(MemorySample { used: 3 << 20, limit: 4 << 20 })
///     }
///     fn name(&self) -> &str {
///         "arena"
///     }
/// }
///
/// assert_eq!(Arena.sample().map(|sample| sample.fullness()), Some(0.75));
/// ```
pub trait PressureSource: Send + Sync + fmt::Debug {
    /// What memory looks like now; `None` when it cannot be told, which changes nothing.
    ///
    /// Called from the background thread or `tick()`, with no lock held. May read files; must not wait.
    fn sample(&self) -> Option<MemorySample>;

    /// What is looked at, in a word or two, for `stats()`.
    fn name(&self) -> &str;

    /// Bytes of this process that are in memory. With that the coordinator finds out whether what it frees goes back to the
    /// system, or stays with the allocator; `None`, unless implemented, and nothing is found out.
    ///
    /// Called as [`sample`](Self::sample) is.
    fn resident(&self) -> Option<u64> {
        None
    }

    /// Whether others than this process, or its container, use the memory that is looked at: a host. `false` unless implemented.
    fn is_shared(&self) -> bool {
        false
    }

    /// How often memory was at its limit so far, as the system counts; what comes to it are near misses in the statistics.
    /// `None` unless implemented.
    ///
    /// Called as [`sample`](Self::sample) is.
    fn at_limit(&self) -> Option<u64> {
        None
    }

    /// What says when memory gets short, beside samples: each that fires has the domain look at once, and shrink as under high
    /// pressure. None, unless implemented.
    ///
    /// Asked once, with the first tenant, by a domain that has a background thread.
    #[cfg(unix)]
    fn triggers(&self) -> Vec<Trigger> {
        Vec::new()
    }
}

impl<S: PressureSource + ?Sized> PressureSource for Arc<S> {
    fn sample(&self) -> Option<MemorySample> {
        (**self).sample()
    }

    fn name(&self) -> &str {
        (**self).name()
    }

    fn resident(&self) -> Option<u64> {
        (**self).resident()
    }

    fn is_shared(&self) -> bool {
        (**self).is_shared()
    }

    fn at_limit(&self) -> Option<u64> {
        (**self).at_limit()
    }

    #[cfg(unix)]
    fn triggers(&self) -> Vec<Trigger> {
        (**self).triggers()
    }
}

/// A pressure source that says what it was told; clones share it.
///
/// For tests, and for programs that get their figures elsewhere.
///
/// # Examples
///
/// ```
/// use larder_runtime::{Domain, Level, testing::FixedPressure};
///
/// let memory = FixedPressure::new(10, 100);
/// let domain = Domain::builder().limit_bytes(1 << 20).pressure(memory.clone()).manual().build();
/// memory.set(85, 100);
/// domain.tick();
/// assert_eq!(domain.pressure(), Level::High);
/// ```
#[derive(Clone, Debug)]
pub struct FixedPressure(Arc<Mutex<Fixed>>);

#[derive(Debug)]
struct Fixed {
    sample: Option<MemorySample>,
    resident: Option<u64>,
    shared: bool,
}

impl FixedPressure {
    /// A source that says `used` of `limit` bytes until it is told otherwise.
    #[must_use]
    pub fn new(used: u64, limit: u64) -> Self {
        let sample = Some(MemorySample { used, limit });
        Self(Arc::new(Mutex::new(Fixed { sample, resident: None, shared: false })))
    }

    /// From now on it says `used` of `limit` bytes.
    pub fn set(&self, used: u64, limit: u64) {
        self.0.lock().sample = Some(MemorySample { used, limit });
    }

    /// From now on it cannot tell.
    pub fn set_unknown(&self) {
        self.0.lock().sample = None;
    }

    /// From now on it says that so many bytes of the process are in memory.
    pub fn set_resident(&self, bytes: u64) {
        self.0.lock().resident = Some(bytes);
    }

    /// From now on it says whether others use the same memory.
    pub fn set_shared(&self, shared: bool) {
        self.0.lock().shared = shared;
    }
}

impl PressureSource for FixedPressure {
    fn sample(&self) -> Option<MemorySample> {
        self.0.lock().sample
    }

    fn name(&self) -> &'static str {
        "fixed"
    }

    fn resident(&self) -> Option<u64> {
        self.0.lock().resident
    }

    fn is_shared(&self) -> bool {
        self.0.lock().shared
    }
}
