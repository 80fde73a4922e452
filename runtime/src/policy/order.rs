//! The contract between a shard and its order of eviction.
//!
//! A shard owns slots, numbered in 32 bits, and keeps a [`Node`] for the order in each: 16 bytes that only the order
//! reads, so that an order of lists has no array of its own that would have to grow in one piece. The order sees slots
//! through [`Slots`], and nothing of keys and values.
//!
//! # Operations
//!
//! * Before a new entry comes, [`try_reserve_one`](Order::try_reserve_one), after
//!   [`allocated_for_one_more`](Order::allocated_for_one_more) bytes were reserved. Nothing else allocates: what makes
//!   room must not need any.
//! * [`push`](Order::push) for a new entry. [`replaced`](Order::replaced) when an entry got another value, another
//!   weight, or another slot with these. [`renamed`](Order::renamed) when it only moved.
//! * [`victim`](Order::victim) settles what was used, with bounded work, and names who goes next; it stays in until
//!   [`evict`](Order::evict), which leaves a ghost, or [`remove`](Order::remove), which does not.
//! * [`stay`](Order::stay), for who wants to know of any slot in the order how far from the front it stands.
//! * A slot that must not go is not in the order: it is removed for that time, and pushed again.
//!
//! All under the shard's exclusive lock; only [`Touch`] is written beside it.

use super::custom::Custom;
use super::evict::Factory;
use super::hybrid::Hybrid;
use super::random::Random;
use super::ranked::{By, Ranked};
use super::s3fifo::S3Fifo;
use super::{Policy, Touch, density};

/// What an order keeps of a slot. Its meaning is the order's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Node(pub(super) [u32; 4]);

/// The slots as an order sees them. Implemented by the shard, whose types the orders so know nothing of: they are compiled
/// once, and not for each pair of types.
pub(crate) trait Slots {
    fn node(&self, slot: u32) -> &Node;
    fn node_mut(&mut self, slot: u32) -> &mut Node;
    fn facts(&self, slot: u32) -> Facts;
    /// Whether there is an entry in this slot: the only question that may be asked about any number.
    fn is_filled(&self, slot: u32) -> bool;
    /// The word that hits write.
    fn touch(&self, slot: u32) -> &Touch;
}

/// What an order knows of an entry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    /// What a miss would cost, on the scale of [`crate::cost`].
    pub(crate) cost: u8,
    /// The user's factor, in the same steps: 0 is 1.0.
    pub(crate) factor: i8,
    /// Bytes the entry occupies; at least 1.
    pub(crate) weight: u64,
    /// Bits of the key's hash: by them a ghost is told again.
    pub(crate) hash: u32,
}

impl Facts {
    /// What a miss would cost, in nanoseconds, times the user's factor.
    pub(crate) fn worth(&self) -> f64 {
        crate::cost::decode(self.cost) as f64 * crate::cost::factor(self.factor)
    }

    /// Nanoseconds of compute that a byte of the entry saves if it is used so often.
    pub(crate) fn density(&self, uses: u32) -> f64 {
        density(uses, self.worth(), self.weight)
    }
}

/// What an order depends on at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    /// The store's tick.
    pub(crate) tick: u64,
    /// Whether the order of eviction is exact, whatever that costs.
    pub(crate) exact: bool,
    /// The level from which credits count.
    pub(crate) inflation: f64,
    /// Whether more than a tenth of the room that the entries may take is free.
    pub(crate) filling: bool,
}

/// What an entry was, before it got another value or weight.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Replaced {
    pub(crate) slot: u32,
    pub(crate) weight: u64,
    /// Uses of it that the order has not taken yet.
    pub(crate) uses: u32,
}

/// Who stands in front.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Front {
    /// Of the shards of one cache the one whose front has the lowest rank gives way. Below `u64::MAX`.
    pub(crate) rank: u64,
    /// What the slot is worth, on the tenants' scale.
    pub(crate) credit: f64,
    /// Nanoseconds of compute that each byte of it saves.
    pub(crate) density: f64,
}

/// Where lists say nothing of ranks, the heaviest shard gives way: so shards stay balanced.
pub(super) fn heaviest_first(weight: u64) -> u64 {
    (u64::MAX - 1).saturating_sub(weight)
}

/// The weight that was made a rank by [`heaviest_first`].
pub(crate) fn load_of(rank: u64) -> u64 {
    (u64::MAX - 1).saturating_sub(rank)
}

/// One shard's order of eviction.
#[derive(Debug)]
pub(crate) enum Order {
    Ranked(Ranked),
    Random(Random),
    S3Fifo(S3Fifo),
    Hybrid(Hybrid),
    Custom(Custom),
}

/// The same for each order: they have the same methods.
macro_rules! each {
    ($self:expr, $order:ident => $do:expr) => {
        match $self {
            Order::Ranked($order) => $do,
            Order::Random($order) => $do,
            Order::S3Fifo($order) => $do,
            Order::Hybrid($order) => $do,
            Order::Custom($order) => $do,
        }
    };
}

impl Order {
    /// An order without slots; allocates nothing, unless the user's own does. `seed` tells shards apart.
    pub(crate) fn new(policy: Policy, own: Option<&Factory>, seed: u64) -> Self {
        match policy {
            Policy::Hybrid => Self::Hybrid(Hybrid::new()),
            Policy::S3Fifo => Self::S3Fifo(S3Fifo::new()),
            Policy::Random => Self::Random(Random::new(seed)),
            Policy::Lru => Self::Ranked(Ranked::new(By::Lru)),
            Policy::Lfu => Self::Ranked(Ranked::new(By::Lfu)),
            Policy::Fifo => Self::Ranked(Ranked::new(By::Fifo)),
            Policy::Utility => Self::Ranked(Ranked::new(By::Utility)),
            Policy::Custom => Self::Custom(Custom::new(own)),
        }
    }

    /// A new entry is in `slot`; room was made for it before.
    pub(crate) fn push(&mut self, slot: u32, slots: &mut dyn Slots, moment: Moment) {
        each!(self, order => order.push(slot, slots, moment));
    }

    /// The entry `old` has another value or weight from now on, and is in the slot `new`, which may be the same. That
    /// counts as a use.
    pub(crate) fn replaced(&mut self, old: Replaced, new: u32, slots: &mut dyn Slots, moment: Moment) {
        each!(self, order => order.replaced(old, new, slots, moment));
    }

    /// The entry moved, its node with it; nothing else changed.
    pub(crate) fn renamed(&mut self, from: u32, to: u32, slots: &mut dyn Slots) {
        each!(self, order => order.renamed(from, to, slots));
    }

    /// The entry leaves, for another reason than its order.
    pub(crate) fn remove(&mut self, slot: u32, slots: &mut dyn Slots) {
        each!(self, order => order.remove(slot, slots));
    }

    /// Settles what was used and came up, and names the next victim.
    pub(crate) fn victim(&mut self, slots: &mut dyn Slots, moment: Moment) -> Option<u32> {
        each!(self, order => order.victim(slots, moment))
    }

    /// The victim leaves.
    pub(crate) fn evict(&mut self, slot: u32, slots: &mut dyn Slots) {
        each!(self, order => order.evict(slot, slots));
    }

    /// The credit of a slot, where slots leave in the order of it.
    pub(crate) fn credit_of(&self, slot: u32, slots: &dyn Slots) -> Option<f64> {
        if let Self::Ranked(ranked) = self { ranked.credit_of(slot, slots) } else { None }
    }

    /// The bytes of all entries, where ranks mean nothing else: shards of such orders are only kept in balance.
    pub(crate) fn load(&self) -> Option<u64> {
        match self {
            Self::Ranked(_) => None,
            Self::Random(random) => Some(random.load()),
            Self::S3Fifo(s3fifo) => Some(s3fifo.load()),
            Self::Hybrid(hybrid) => Some(hybrid.load()),
            Self::Custom(custom) => Some(custom.load()),
        }
    }

    /// Who is likely to go next, as far as can be told without settling.
    pub(crate) fn front(&self, slots: &dyn Slots) -> Option<Front> {
        each!(self, order => order.front(slots))
    }

    /// How long a slot is likely to stay beside the others of its cache: the lowest goes first. Settles nothing, and so
    /// is only as good as what has been noted.
    pub(crate) fn stay(&self, slot: u32, slots: &dyn Slots, moment: Moment) -> u64 {
        each!(self, order => order.stay(slot, slots, moment))
    }

    /// Forgets all slots, and frees what it allocated.
    pub(crate) fn clear(&mut self) {
        each!(self, order => order.clear());
    }

    /// Bytes that it allocated beside its own size.
    pub(crate) fn allocated(&self) -> u64 {
        each!(self, order => order.allocated())
    }

    /// The same after [`try_reserve_one`](Self::try_reserve_one): never less than it will be.
    pub(crate) fn allocated_for_one_more(&self) -> u64 {
        each!(self, order => order.allocated_for_one_more())
    }

    /// Whether there is room for one more, so that [`try_reserve_one`](Self::try_reserve_one) would do nothing. May say
    /// `false` where there is.
    pub(crate) fn has_room(&self) -> bool {
        if let Self::Hybrid(hybrid) = self { hybrid.has_room() } else { false }
    }

    /// Makes room for one more; `false` when memory is exhausted.
    pub(crate) fn try_reserve_one(&mut self) -> bool {
        each!(self, order => order.try_reserve_one())
    }

    /// Gives back what is mostly empty.
    pub(crate) fn shrink(&mut self) {
        each!(self, order => order.shrink());
    }

    /// Checks the structure; these slots and no others must be in it.
    #[cfg(any(test, feature = "__validate"))]
    pub(crate) fn validate(&self, filled: &[u32], slots: &dyn Slots) {
        each!(self, order => order.validate(filled, slots));
    }
}
