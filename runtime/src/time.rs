//! The clock of a domain: the system's monotonic one, or one that a test advances by hand.
//!
//! Instants are nanoseconds since the clock was made, in a `u64` that lasts 584 years. There is no wall
//! time here: steps of the system's date never reach a cache.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::sync::{AtomicU64, Ordering};

/// Nanoseconds since a clock's origin.
pub(crate) type Nanos = u64;

/// An instant that never comes.
pub(crate) const NEVER: Nanos = u64::MAX;

/// Where a domain reads the time.
#[derive(Clone)]
pub struct Clock(Source);

#[derive(Clone)]
enum Source {
    /// The system's monotonic clock, counted from `origin`.
    Real { origin: Instant },
    /// Stands still until somebody advances it.
    Manual(ManualClock),
}

impl Clock {
    /// The system's monotonic clock.
    #[must_use]
    pub fn real() -> Self {
        Self(Source::Real { origin: Instant::now() })
    }

    pub(crate) fn now(&self) -> Nanos {
        match &self.0 {
            Source::Real { origin } => nanos(origin.elapsed()),
            Source::Manual(clock) => clock.now(),
        }
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::real()
    }
}

impl From<ManualClock> for Clock {
    fn from(clock: ManualClock) -> Self {
        Self(Source::Manual(clock))
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Source::Real { .. } => "Clock::real",
            Source::Manual(_) => "Clock::manual",
        })
    }
}

/// A clock that stands still until [`advance`](Self::advance) moves it; clones share one time.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use larder_runtime::{Domain, ManualClock};
///
/// let clock = ManualClock::new();
/// let domain = Domain::builder().limit_bytes(1 << 20).clock(clock.clone()).manual().build();
/// clock.advance(Duration::from_secs(5));
/// # drop(domain);
/// ```
#[derive(Clone, Debug, Default)]
pub struct ManualClock(Arc<AtomicU64>);

impl ManualClock {
    /// A clock at its origin.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Moves time forward; at the end of the range (584 years) it stops.
    pub fn advance(&self, by: Duration) {
        let _ = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, |now| {
            Some(now.saturating_add(nanos(by)).min(NEVER - 1))
        });
    }

    fn now(&self) -> Nanos {
        self.0.load(Ordering::Acquire)
    }
}

/// A duration in nanoseconds; what does not fit in 584 years is as good as never.
pub(crate) fn nanos(duration: Duration) -> Nanos {
    u64::try_from(duration.as_nanos()).unwrap_or(NEVER)
}
