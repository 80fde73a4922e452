//! Whom to evict: an order over slots, computed from facts, without keys, values, locks or clocks.
//!
//! Each shard has one [`Order`]; which one, a [`Policy`] names. An order never hears of a hit: a hit writes the
//! slot's [`Touch`], and the order looks there when the slot comes up as a victim. That is what makes a hit cheap,
//! and it is exact for every order in which a used slot only moves away from the front.
//!
//! Comparing tenants with each other is not here; an order only says what its next victim is worth (its *credit*),
//! on a scale that all tenants share.
//!
//! Credit follows GreedyDual-Size-Frequency (Cherkasova, 1998): an inflation clock that rises with each
//! eviction, plus frequency x cost / size. Sharing one inflation clock makes credits of different tenants
//! comparable, as CAMP (Ghandeharizadeh et al., Middleware 2014) does inside one cache.

mod custom;
mod evict;
mod fifo;
mod ghosts;
mod history;
mod hybrid;
mod lfu;
mod lists;
mod lru;
mod order;
mod queue;
mod random;
mod ranked;
mod s3fifo;
mod scale;
mod slots;
mod touch;
mod utility;

use std::fmt;
use std::str::FromStr;

pub(crate) use evict::Factory;
pub use evict::{EntryFacts, Evict, Uses};
pub(crate) use order::Order;
pub(crate) use slots::{Facts, Front, Moment, Node, Replaced, Slots, density, load_of};
pub(crate) use touch::{Noted, Touch, is_round};

/// How a cache picks its victims.
///
/// | policy | who goes first | for | after |
/// |---|---|---|---|
/// | `hybrid` | what saves the least time for each byte it takes, the longer unused the less; new entries prove themselves in a window first | everything, unless there is a reason | LIRS (Jiang, Zhang 2002) for who comes back, S3-FIFO (Yang et al. 2023) for lazy lists, GreedyDual-Size-Frequency (Cherkasova 1998) for the price; ghosts at the margin set the window |
/// | `lru` | the least recently used | recency alone decides; easy to foretell | |
/// | `lfu` | the least often used, where old uses fade as others are evicted | the same keys stay popular for long | LFU with dynamic ageing (Arlitt et al. 1999) |
/// | `fifo` | the oldest | each entry is to stay equally long | |
/// | `random` | anyone | loops, and attackers who know the other policies | |
/// | `s3fifo` | new entries that were not used soon, then the oldest that were not used since | many keys that are asked for once; equal costs and sizes | S3-FIFO |
/// | `utility` | what saves the least time for each byte it takes, by all uses of its life | costs or sizes that differ by orders of magnitude, uses that are steady | GreedyDual-Size-Frequency |
/// | your own | whom your [`Evict`] names | what is known of the keys beforehand | |
///
/// "Time" is what a miss costs, measured or said, times the factor that
/// [`Builder::utility`](crate::Builder::utility) gives; only `hybrid` and `utility` look at it, at sizes and at that
/// factor. Under every policy a hit writes at most one word, and nothing once that has counted enough.
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
    /// The entry that saves the least compute time for each byte goes first: recency, frequency, measured
    /// cost and size together, behind a window in which new entries prove themselves.
    #[default]
    Hybrid,
    /// The least recently used entry goes first. Exact with one shard; with several, each is exact to about as many
    /// insertions as there are shards.
    Lru,
    /// The least frequently used entry goes first; what was used often long ago ages with each eviction.
    Lfu,
    /// The oldest entry goes first, however much it is used. An entry that is overwritten keeps its age.
    Fifo,
    /// Any entry may go, each as likely as the others.
    Random,
    /// Small, main and ghost queues: what is not used soon after it came goes first. Ignores costs.
    S3Fifo,
    /// The entry with the least frequency x cost / size x utility goes first; what was worth much long ago ages with
    /// each eviction.
    Utility,
    /// An order of the user's own, which [`Builder::policy_with`](crate::Builder::policy_with) makes. For the statistics to
    /// say so; its name cannot be parsed, and [`Builder::policy`](crate::Builder::policy) does not take it, because a name
    /// alone does not make one.
    Custom,
}

impl Policy {
    /// Every policy that a name is enough for, in the order of the docs.
    pub const ALL: [Self; 7] =
        [Self::Hybrid, Self::Lru, Self::Lfu, Self::Fifo, Self::Random, Self::S3Fifo, Self::Utility];

    /// The name that [`FromStr`] reads.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hybrid => "hybrid",
            Self::Lru => "lru",
            Self::Lfu => "lfu",
            Self::Fifo => "fifo",
            Self::Random => "random",
            Self::S3Fifo => "s3fifo",
            Self::Utility => "utility",
            Self::Custom => "custom",
        }
    }

    /// What a hit notes in the slot's word.
    pub(crate) const fn noted(self) -> Noted {
        match self {
            Self::Hybrid => Noted::uses(hybrid::USES as u8),
            Self::S3Fifo => Noted::uses(s3fifo::USES as u8),
            Self::Lfu | Self::Utility | Self::Custom => Noted::uses(touch::MOST),
            Self::Lru => Noted::LAST,
            Self::Fifo | Self::Random => Noted::NOTHING,
        }
    }

    /// Whether victims go in the order of what they are worth to the tenant.
    pub(crate) const fn is_by_credit(self) -> bool {
        matches!(self, Self::Utility)
    }

    /// Whether ranks say only how heavy shards are: then any of the heaviest may give way.
    pub(crate) const fn is_balanced(self) -> bool {
        matches!(self, Self::Hybrid | Self::Random | Self::S3Fifo | Self::Custom)
    }

    /// Whether evicting by the cache's own bound also ages what stays. A policy that orders by age alone, or by
    /// nothing, needs no other ageing.
    pub(crate) const fn ages_by_eviction(self) -> bool {
        match self {
            Self::Hybrid | Self::S3Fifo | Self::Lfu | Self::Utility | Self::Custom => true,
            Self::Lru | Self::Fifo | Self::Random => false,
        }
    }
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
