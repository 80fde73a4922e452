//! When a store that fails is left alone, and when it is tried again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::tier::StoreError;
use crate::time::{Nanos, nanos};

/// So many look-ups in a row that fail, or take too long, and the store is left alone.
const FAILURES: u32 = 3;
/// For so long at first, and twice as long each time.
const FIRST: Duration = Duration::from_secs(1);
/// For no longer than this.
const LAST: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
struct State {
    /// Look-ups that failed in a row.
    failures: u32,
    open: Option<Open>,
    /// The next pause.
    pause: Duration,
    times: u64,
}

#[derive(Clone, Debug)]
struct Open {
    until: Nanos,
    why: StoreError,
}

/// Whether a store is asked.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    /// A hint of the state, for those who ask often.
    open: AtomicBool,
    state: Mutex<State>,
}

impl Breaker {
    /// The store is left alone.
    pub(super) fn is_open(&self) -> bool {
        self.open.load(Ordering::Acquire)
    }

    /// A look-up went well.
    pub(super) fn fine(&self) {
        if self.state.lock().failures > 0 {
            self.state.lock().failures = 0;
        }
    }

    /// A look-up failed. Says whether the store is left alone from now on.
    pub(super) fn failed(&self, why: &StoreError, now: Nanos) -> bool {
        let mut state = self.state.lock();
        state.failures += 1;
        state.failures >= FAILURES && self.trip(&mut state, why, now)
    }

    /// Nothing can be written. Says whether that is new.
    pub(super) fn broke(&self, why: &StoreError, now: Nanos) -> bool {
        self.trip(&mut self.state.lock(), why, now)
    }

    fn trip(&self, state: &mut State, why: &StoreError, now: Nanos) -> bool {
        let is_new = state.open.is_none();
        let pause = state.pause.clamp(FIRST, LAST);
        state.pause = (pause * 2).min(LAST);
        state.open = Some(Open { until: now.saturating_add(nanos(pause)), why: why.clone() });
        state.times += u64::from(is_new);
        self.open.store(true, Ordering::Release);
        is_new
    }

    /// It is time to try the store again.
    pub(super) fn is_due(&self, now: Nanos) -> bool {
        self.state.lock().open.as_ref().is_some_and(|open| open.until <= now)
    }

    /// How long until then.
    pub(super) fn pause(&self, now: Nanos) -> Option<Duration> {
        let state = self.state.lock();
        state.open.as_ref().map(|open| Duration::from_nanos(open.until.saturating_sub(now)))
    }

    /// The store works again. Says whether it did not before.
    pub(super) fn mended(&self) -> bool {
        let mut state = self.state.lock();
        state.failures = 0;
        self.open.store(false, Ordering::Release);
        state.open.take().is_some()
    }

    /// It worked for a while: the next pause is a short one.
    pub(super) fn worked(&self) {
        let mut state = self.state.lock();
        if state.open.is_none() {
            state.pause = FIRST;
        }
    }

    /// Why it is left alone.
    pub(super) fn trouble(&self) -> Option<StoreError> {
        self.state.lock().open.as_ref().map(|open| open.why.clone())
    }

    /// How often it was.
    pub(super) fn times(&self) -> u64 {
        self.state.lock().times
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Nanos = 1_000_000_000;

    #[test]
    fn it_opens_after_three_failures_in_a_row_and_waits_twice_as_long_each_time() {
        let breaker = Breaker::default();
        let why = StoreError::Full;
        assert!(!breaker.failed(&why, 0) && !breaker.failed(&why, 0));
        breaker.fine();
        assert!(!breaker.failed(&why, 0) && !breaker.failed(&why, 0) && breaker.failed(&why, 0));
        assert!(breaker.is_open() && !breaker.is_due(SECOND - 1) && breaker.is_due(SECOND));
        assert!(!breaker.broke(&why, SECOND), "it is open already");
        assert!(!breaker.is_due(3 * SECOND - 1) && breaker.is_due(3 * SECOND));
        for _ in 0..10 {
            breaker.broke(&why, 0);
        }
        assert!(!breaker.is_due(60 * SECOND - 1) && breaker.is_due(60 * SECOND));
        assert!(breaker.mended() && !breaker.is_open() && !breaker.mended());
        breaker.worked();
        assert!(breaker.broke(&why, 0));
        assert!(breaker.is_due(SECOND));
        assert_eq!((breaker.times(), breaker.trouble()), (2, Some(StoreError::Full)));
    }
}
