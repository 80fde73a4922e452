//! Whom to evict: an order over slots, computed from facts, without keys, values, locks or clocks.
//!
//! A policy turns a slot's facts into a rank; the slot of lowest rank is the next victim. Ranks only rise
//! while a slot is used, so a queue may keep an old rank and look again when the slot comes to its front:
//! see [`Queue`]. Comparing tenants with each other is not here; a policy only publishes what its next
//! victim is worth (its *credit*), on a scale that all tenants share.
//!
//! Credit follows GreedyDual-Size-Frequency (Cherkasova, 1998): an inflation clock that rises with each
//! eviction, plus frequency x cost / size. Sharing one inflation clock makes credits of different tenants
//! comparable, as CAMP (Ghandeharizadeh et al., Middleware 2014) does inside one cache.

mod hybrid;
mod lru;
mod queue;
mod touch;

use std::fmt;
use std::str::FromStr;

pub(crate) use queue::{Positions, Queue};
pub(crate) use touch::Touch;

/// How a cache picks its victims.
///
/// # Examples
///
/// ```
/// use larder_runtime::Policy;
///
/// assert_eq!("hybrid".parse::<Policy>(), Ok(Policy::Hybrid));
/// assert!("lfru".parse::<Policy>().is_err());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "lowercase"))]
#[non_exhaustive]
pub enum Policy {
    /// The least recently used entry goes first.
    Lru,
    /// The entry that saves the least compute time for each byte goes first: recency, frequency, measured
    /// cost and size together.
    #[default]
    Hybrid,
}

impl Policy {
    /// Every policy of this version, in the order of the docs.
    pub const ALL: [Self; 2] = [Self::Lru, Self::Hybrid];

    /// The name that [`FromStr`] reads.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lru => "lru",
            Self::Hybrid => "hybrid",
        }
    }

    /// The order of eviction; the lowest goes first.
    pub(crate) fn rank(self, facts: &Facts, credit: f64) -> u64 {
        match self {
            Self::Lru => lru::rank(facts),
            Self::Hybrid => hybrid::rank(credit),
        }
    }

    /// Whether evicting by the cache's own bound also ages what stays. A policy that orders by age alone
    /// needs no other ageing.
    pub(crate) fn ages_by_eviction(self) -> bool {
        match self {
            Self::Lru => false,
            Self::Hybrid => true,
        }
    }
}

/// What a policy knows of a slot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    /// What a miss would cost, in nanoseconds; at least 1.
    pub(crate) cost: u64,
    /// Bytes the entry occupies; at least 1.
    pub(crate) weight: u64,
    /// Uses since the entry came, the first included.
    pub(crate) uses: u32,
    /// When it was last used, in the cache's own ticks.
    pub(crate) stamp: u64,
}

/// What keeping a slot is worth on the tenants' shared scale: nanoseconds saved for each byte, above the
/// level that eviction has reached by now.
pub(crate) fn credit(inflation: f64, facts: &Facts) -> f64 {
    inflation + density(facts)
}

/// Nanoseconds of compute that a byte of the slot saves, at the frequency seen.
pub(crate) fn density(facts: &Facts) -> f64 {
    f64::from(facts.uses) * facts.cost as f64 / facts.weight as f64
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Policy {
    type Err = UnknownPolicy;

    fn from_str(name: &str) -> Result<Self, UnknownPolicy> {
        Self::ALL
            .into_iter()
            .find(|policy| policy.as_str() == name)
            .ok_or_else(|| UnknownPolicy { name: name.to_owned() })
    }
}

/// A policy name that this version does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownPolicy {
    name: String,
}

impl fmt::Display for UnknownPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown policy `{}`: write one of", self.name)?;
        for (position, policy) in Policy::ALL.iter().enumerate() {
            let separator = if position == 0 { " " } else { ", " };
            write!(f, "{separator}\"{policy}\"")?;
        }
        Ok(())
    }
}

impl std::error::Error for UnknownPolicy {}

#[cfg(all(test, not(larder_shuttle)))]
mod tests;
