//! First in, first out: the rank is the tick of the insertion, and among equal ticks the order of coming.

/// Ranks for each tick: more than a shard gets entries between two ticks.
const PER_TICK: u64 = 1 << 16;

/// The rank of an entry that comes at this tick, after one of rank `last`.
pub(super) fn rank(tick: u64, last: u64) -> u64 {
    tick.saturating_mul(PER_TICK).max(last + 1)
}
