//! What an order knows of the slots that it orders: the notes it keeps in each, the facts of an entry, and what it says of
//! whoever stands in front.
//!
//! Slots are numbers in 32 bits. A shard has them, and shows them as [`Slots`]: nothing of keys and values. Each has a
//! [`Node`] for the order: 16 bytes that only the order reads, so that an order of lists has no array of its own that would
//! have to grow in one piece.

use super::touch::Touch;

/// What an order keeps of a slot. Its meaning is the order's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Node(pub(super) [u32; 4]);

impl Node {
    /// Of a slot that no order has: its entry is pinned.
    pub(crate) const OUT: Self = Self([u32::MAX; 4]);
}

/// What a slot says of its entry that has left the order, in the place of the order's notes: when it left, as
/// [`tier`](crate::tier) counts changes, and its cost.
#[cfg(feature = "tiers")]
impl Node {
    pub(crate) fn parting(moment: u64, cost: u8) -> Self {
        Self([moment as u32, (moment >> 32) as u32, cost.into(), 0])
    }

    pub(crate) fn parted(&self) -> (u64, u8) {
        let [low, high, cost, _] = self.0;
        (u64::from(high) << 32 | u64::from(low), cost as u8)
    }
}

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

/// Nanoseconds of compute that a byte saves, at the frequency seen: of an entry of this weight which was used so often
/// and costs so much to make.
pub(crate) fn density(uses: u32, nanos: f64, weight: u64) -> f64 {
    f64::from(uses) * nanos / weight.max(1) as f64
}
