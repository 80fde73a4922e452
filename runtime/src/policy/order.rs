//! The contract between a shard and its order of eviction.
//!
//! The order sees the shard through [`Slots`].
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
//! All under the shard's exclusive lock; only [`Touch`](super::Touch) is written beside it.

use super::Policy;
use super::custom::Custom;
use super::evict::Factory;
use super::hybrid::Hybrid;
use super::random::Random;
use super::ranked::{By, Ranked};
use super::s3fifo::S3Fifo;
use super::slots::{Front, Moment, Replaced, Slots};

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

    /// Settles all that was used, where that must be now and then: see [`is_round`](super::is_round).
    pub(crate) fn settle_all(&mut self, slots: &mut dyn Slots, moment: Moment) {
        if let Self::Ranked(ranked) = self {
            ranked.settle_all(slots, moment);
        }
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

    /// Has the user's own made anew, where there is one: the next entry is the first.
    pub(crate) fn renew(&mut self, own: &Factory) {
        if let Self::Custom(custom) = self {
            custom.renew(own);
        }
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
