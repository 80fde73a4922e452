//! How long entries live, and who is due: the rules of age and idleness, and a wheel over slots.
//!
//! Pure bookkeeping in nanoseconds. No clock is read here and no key or value is seen; whose deadline has
//! passed is still checked at each look-up, so that the wheel decides only when bytes go back.

mod wheel;

pub(crate) use wheel::{Turned, Wheel};

use std::time::Duration;

use crate::time::{NEVER, Nanos, nanos};

/// How the entries of a store expire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expires {
    /// Not at all: no clock, no wheel.
    Never,
    /// At a deadline that was set when they were written.
    ByAge,
    /// At that deadline, or earlier if they were not used for so long.
    ByUse(Nanos),
}

/// The rules of one cache. Where several apply, the earliest deadline wins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lifetime {
    /// From the write on; `NEVER` without such a bound.
    ttl: Nanos,
    /// From the last use on; `NEVER` without such a bound.
    tti: Nanos,
    /// The part of the time from the write on that is spread over the keys: 0 to 1.
    jitter: f64,
}

impl Lifetime {
    /// The rules, or `None` if nothing ever expires. `by_entry` says that entries may bring a bound of their own.
    pub(crate) fn new(
        ttl: Option<Duration>,
        tti: Option<Duration>,
        jitter: Option<f64>,
        by_entry: bool,
    ) -> Option<Self> {
        let bound = |duration: Option<Duration>| duration.map_or(NEVER, nanos);
        let rules = Self { ttl: bound(ttl), tti: bound(tti), jitter: jitter.unwrap_or(0.0) };
        (by_entry || rules.ttl != NEVER || rules.tti != NEVER).then_some(rules)
    }

    pub(crate) fn expires(&self) -> Expires {
        if self.tti == NEVER { Expires::ByAge } else { Expires::ByUse(self.tti) }
    }

    /// When an entry written `now` is too old, however much it is used. `own` is its own bound.
    pub(crate) fn deadline(&self, now: Nanos, hash: u64, own: Option<Duration>) -> Nanos {
        let lasting = own.map_or(self.ttl, |own| self.ttl.min(nanos(own)));
        if lasting == NEVER {
            return NEVER;
        }
        now.saturating_add(lasting - self.cut(lasting, hash))
    }

    /// What jitter takes off: earlier only, because a bound on age is a promise, and the same for a key each
    /// time. Never all of it.
    fn cut(&self, lasting: Nanos, hash: u64) -> Nanos {
        if self.jitter == 0.0 || lasting == 0 {
            return 0;
        }
        // Shards are picked by bits of the hash; each should be spread over all the time.
        let mixed = (hash ^ (hash >> 32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let part = (mixed >> 11) as f64 / (1_u64 << 53) as f64;
        ((lasting as f64 * self.jitter * part) as u64).min(lasting - 1)
    }
}

#[cfg(all(test, not(larder_shuttle)))]
mod tests;
