//! The clock of a domain: the system's monotonic one, or one that a test advances by hand.
//!
//! Instants are nanoseconds since the clock was made, in a `u64` that lasts 584 years. There is no wall
//! time here: steps of the system's date never reach a cache.
//!
//! Two readings, one time. `now` is exact, for deadlines and for what a miss costs; `recent` is what a hit
//! asks, never ahead of `now` and behind it by at most one tick of the system. Beside them a clock tells how long the
//! current thread has been computing, which sleep and waits do not add to.

mod alarms;
mod direct;
#[cfg(any(
    target_os = "linux",
    target_os = "android",
    target_os = "freebsd",
    target_os = "dragonfly",
    target_os = "netbsd",
    target_os = "openbsd",
    target_vendor = "apple"
))]
mod posix;
mod processor;

pub(crate) use alarms::{AlarmId, Alarms};

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use crate::sync::{AtomicU64, Ordering};
use direct::Direct;

/// Nanoseconds since a clock's origin.
pub(crate) type Nanos = u64;

/// An instant that never comes.
pub(crate) const NEVER: Nanos = u64::MAX;

/// How far `recent` may be behind `now`, in nanoseconds: a timer tick of the slowest kernels, 10 ms. A system
/// whose cheap clock ticks more slowly is asked for the exact time instead.
const TICK: Nanos = 10_000_000;

/// Where a domain reads the time.
#[derive(Clone)]
pub struct Clock(Source);

#[derive(Clone)]
enum Source {
    /// The system's monotonic clock, counted from `origin`, or from the moment after that `direct` began.
    Real { origin: Instant, direct: Option<Direct>, alarms: Arc<Alarms> },
    /// Stands still until somebody advances it.
    Manual(ManualClock),
}

impl Clock {
    /// The system's monotonic clock.
    ///
    /// Deadlines are set by its exact time. A hit in a cache whose entries expire reads the time of the
    /// system's last timer tick instead, where that is cheaper (Linux): such a value may be returned for one
    /// tick, at most 10 ms, after its deadline, and counts as used up to one tick earlier than it was.
    #[must_use]
    pub fn real() -> Self {
        Self(Source::Real { origin: Instant::now(), direct: Direct::start(), alarms: Arc::default() })
    }

    /// The exact time.
    pub(crate) fn now(&self) -> Nanos {
        match &self.0 {
            Source::Real { origin, direct, .. } => match direct.and_then(Direct::exact) {
                Some(elapsed) => elapsed,
                None => nanos(origin.elapsed()),
            },
            Source::Manual(clock) => clock.now(),
        }
    }

    /// The time up to one tick ago, read as cheaply as the system allows; exact on a manual clock.
    #[inline]
    pub(crate) fn recent(&self) -> Nanos {
        match &self.0 {
            Source::Real { origin, direct, .. } => match direct.and_then(Direct::coarse) {
                Some(elapsed) => elapsed,
                None => nanos(origin.elapsed()),
            },
            Source::Manual(clock) => clock.now(),
        }
    }

    /// How long the current thread has been computing, since it began; `None` where the system does not tell.
    pub(crate) fn computed(&self) -> Option<Nanos> {
        match &self.0 {
            Source::Real { .. } => processor::computed(),
            Source::Manual(_) => COMPUTED.try_with(Cell::get).ok(),
        }
    }

    /// Whether time stands still unless somebody moves it.
    pub(crate) fn is_manual(&self) -> bool {
        matches!(self.0, Source::Manual(_))
    }

    pub(crate) fn alarms(&self) -> &Alarms {
        match &self.0 {
            Source::Real { alarms, .. } => alarms,
            Source::Manual(clock) => &clock.0.alarms,
        }
    }

    /// Has `waker` woken at a time, or renews the alarm `id` for it. A manual clock rings by itself; for the real
    /// one the second part says that whoever watches it has to look [earlier](Self::until_alarm) than before.
    pub(crate) fn set_alarm(&self, at: Nanos, id: Option<AlarmId>, waker: &Waker) -> (AlarmId, bool) {
        let (id, first) = self.alarms().set(at, id, waker);
        (id, first && !self.is_manual())
    }

    /// Wakes whoever is due. Reads the time only if there are alarms.
    pub(crate) fn ring(&self) {
        if !self.alarms().is_empty() {
            self.alarms().ring(self.now());
        }
    }

    /// How long until the next alarm, where somebody has to watch for it.
    pub(crate) fn until_alarm(&self) -> Option<Duration> {
        let at = if self.is_manual() { None } else { self.alarms().next() };
        at.map(|at| Duration::from_nanos(at.saturating_sub(self.now())))
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
/// use larder_runtime::{Domain, testing::ManualClock};
///
/// let clock = ManualClock::new();
/// let domain = Domain::builder().limit_bytes(1 << 20).clock(clock.clone()).manual().build();
/// clock.advance(Duration::from_secs(5));
/// # drop(domain);
/// ```
#[derive(Clone, Debug, Default)]
pub struct ManualClock(Arc<Face>);

thread_local! {
    /// How long this thread has computed by manual clocks, all of them together: processor time is a thread's, whoever
    /// asks for it.
    static COMPUTED: Cell<Nanos> = const { Cell::new(0) };
}

#[derive(Debug, Default)]
struct Face {
    now: AtomicU64,
    reads: AtomicU64,
    alarms: Alarms,
}

impl ManualClock {
    /// A clock at its origin.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Moves time forward; at the end of the range (584 years) it stops. Callers whose `wait_at_most` is over by
    /// then are woken.
    pub fn advance(&self, by: Duration) {
        let later = |now: Nanos| now.saturating_add(nanos(by)).min(NEVER - 1);
        let _ = self.0.now.fetch_update(Ordering::AcqRel, Ordering::Acquire, |now| Some(later(now)));
        // Who sets an alarm looks at the time afterwards: either we see the alarm, or they see the time.
        self.0.alarms.ring(self.0.now.load(Ordering::Acquire));
    }

    /// Moves time forward by work of the current thread: what it computes meanwhile has taken so much processor time.
    /// Beside this, no time on a manual clock is spent computing.
    pub fn compute(&self, by: Duration) {
        let _ = COMPUTED.try_with(|computed| computed.set(computed.get().saturating_add(nanos(by))));
        self.advance(by);
    }

    /// How often the time was asked for, by every domain that has this clock. With it a test shows that a
    /// piece of code needs no clock.
    #[must_use]
    pub fn reads(&self) -> u64 {
        self.0.reads.load(Ordering::Relaxed)
    }

    fn now(&self) -> Nanos {
        self.0.reads.fetch_add(1, Ordering::Relaxed);
        self.0.now.load(Ordering::Acquire)
    }
}

/// A duration in nanoseconds; what does not fit in 584 years is as good as never.
pub(crate) fn nanos(duration: Duration) -> Nanos {
    u64::try_from(duration.as_nanos()).unwrap_or(NEVER)
}

#[cfg(all(test, not(larder_shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn recent_is_never_ahead_and_one_tick_behind_at_most() {
        // A machine that stops a virtual processor for a while delays its ticks, too.
        const PATIENCE: Nanos = 50 * TICK;
        let clock = Clock::real();
        let mut last = 0;
        while clock.now() < 50_000_000 {
            let before = clock.now();
            let recent = clock.recent();
            let after = clock.now();
            assert!(recent <= after, "{recent} is ahead of {after}");
            assert!(recent + TICK + PATIENCE >= before, "{recent} is far behind {before}");
            assert!(recent >= last, "{recent} is before {last}");
            last = recent;
        }
        assert!(last > 0);
    }

    #[test]
    fn a_thread_that_sleeps_does_not_compute() {
        let clock = Clock::real();
        let Some(before) = clock.computed() else { return };
        let (mut now, mut mixed) = (before, 1_u64);
        // As long as it takes: only that it takes an end is shown.
        while now < before + 2_000_000 {
            mixed = std::hint::black_box(mixed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            now = clock.computed().expect("it told a moment ago");
        }
        let (wall, computed) = (clock.now(), clock.computed().expect("as above"));
        while clock.now() < wall + 40_000_000 {
            std::thread::park_timeout(Duration::from_millis(40));
        }
        let slept = clock.computed().expect("as above") - computed;
        assert!(slept < 40_000_000, "{slept} ns computed in 40 ms of sleep");
    }

    #[test]
    fn on_a_manual_clock_only_what_is_said_to_compute_does() {
        let manual = ManualClock::new();
        let clock = Clock::from(manual.clone());
        let before = clock.computed().expect("a thread that runs");
        manual.advance(Duration::from_nanos(7));
        manual.compute(Duration::from_nanos(5));
        std::thread::scope(|scope| scope.spawn(|| manual.compute(Duration::from_nanos(3))).join())
            .expect("no panic");
        assert_eq!((clock.now(), clock.computed()), (15, Some(before + 5)));
    }

    #[test]
    fn a_manual_clock_counts_its_reads_and_stops_at_the_end() {
        let manual = ManualClock::new();
        let clock = Clock::from(manual.clone());
        manual.advance(Duration::from_nanos(5));
        assert_eq!((clock.now(), clock.recent(), manual.reads()), (5, 5, 2));
        manual.advance(Duration::MAX);
        manual.advance(Duration::MAX);
        assert_eq!(clock.now(), NEVER - 1);
    }
}
