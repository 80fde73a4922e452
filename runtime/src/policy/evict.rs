//! An order of eviction that a user writes.
//!
//! Not here: what the shard does with it, and with one that is wrong: [`Custom`](super::custom::Custom).

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::unwind::discard;

/// Whom a cache evicts, by a rule of your own: for [`Builder::policy_with`](crate::Builder::policy_with) and
/// `#[cached(policy = path)]`.
///
/// A cache is split into shards, and each has an order of its own, made with its first entry and dropped with its
/// last. Entries have numbers, their *slots*: small, used again when an entry has left, and different in each shard.
/// An order never sees keys or values. What is removed, expires or is replaced leaves without asking it; it only
/// hears of that.
///
/// Hits are not told: they only count uses in a word of the slot, up to 15. An order takes them
/// ([`Uses::take`]) when it looks for a victim, so that a hit costs what it costs under any policy.
///
/// # When it is wrong
///
/// An order cannot break the cache. Where [`victim`](Self::victim) names nobody, or a slot that has no entry, the
/// oldest entry of the shard goes. When a method panics, or the function that makes orders does, the panic is caught,
/// that order is dropped, and its shard evicts the oldest first from then on, until it has been empty.
///
/// # Locking
///
/// Every method runs under the shard's lock, also what an order does when it is made or dropped: it must not use the
/// cache, and everybody who wants the shard waits for it. Bytes that an order allocates are not charged.
///
/// # Examples
///
/// Second chance: the oldest goes, unless it was used since it was looked at last.
///
/// ```
/// use std::collections::VecDeque;
/// use larder_runtime::{Cache, Domain, EntryFacts, Evict, Uses};
///
/// #[derive(Default)]
/// struct SecondChance(VecDeque<u32>);
///
/// impl Evict for SecondChance {
///     fn insert(&mut self, slot: u32, _: &EntryFacts) {
///         self.0.push_back(slot);
///     }
///
///     fn remove(&mut self, slot: u32) {
///         self.0.retain(|other| *other != slot);
///     }
///
///     fn rename(&mut self, from: u32, to: u32) {
///         self.0.iter_mut().filter(|slot| **slot == from).for_each(|slot| *slot = to);
///     }
///
///     fn victim(&mut self, uses: &mut Uses<'_>) -> Option<u32> {
///         for _ in 0..self.0.len() {
///             let slot = *self.0.front()?;
///             if uses.take(slot) == 0 {
///                 break;
///             }
///             self.0.rotate_left(1);
///         }
///         self.0.front().copied()
///     }
/// }
///
/// let domain = Domain::builder().limit_bytes(1 << 20).manual().build();
/// let cache = Cache::<u32, u32>::builder("second chance")
///     .max_entries(2)
///     .policy_with(SecondChance::default)
///     .build_in(&domain)?;
/// cache.insert(1, 1);
/// cache.insert(2, 2);
/// cache.get(1);
/// cache.insert(3, 3);
/// assert_eq!((cache.contains(1), cache.contains(2)), (true, false));
/// # Ok::<(), larder_runtime::BuildError>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no order of eviction",
    label = "not an order of eviction",
    note = "implement `larder::Evict` for it, or name a policy of larder in quotes, as in \"lru\""
)]
pub trait Evict: Send + Sync + 'static {
    /// A new entry has come. It counts as not used yet.
    fn insert(&mut self, slot: u32, facts: &EntryFacts);

    /// The entry has another value, or another weight. Unless written otherwise, it counts as a new one.
    fn replace(&mut self, slot: u32, facts: &EntryFacts) {
        self.remove(slot);
        self.insert(slot, facts);
    }

    /// The entry has left: because `victim` named it, or for any other reason.
    fn remove(&mut self, slot: u32);

    /// The entry is in another slot from now on; nothing else changed. `to` has no other entry.
    fn rename(&mut self, from: u32, to: u32);

    /// Names the entry to evict; `None` leaves it to the cache. It stays until [`remove`](Self::remove) is called,
    /// which may not happen: an entry may be too large for what is to be given back.
    fn victim(&mut self, uses: &mut Uses<'_>) -> Option<u32>;
}

/// What an [`Evict`] learns of an entry.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct EntryFacts {
    /// What a miss would cost, in nanoseconds, within an eighth of an octave; at least 1,000.
    pub cost: u64,
    /// Bytes that the entry takes, its place in the cache included.
    pub weight: u64,
    /// The factor that [`Builder::utility`](crate::Builder::utility) gave; 1.0 without.
    pub utility: f64,
    /// Bits of the key's hash, the same when the key comes back in the life of the process: for orders that remember
    /// whom they let go. Another key may have the same.
    pub fingerprint: u32,
}

/// What hits have noted: see [`Evict`].
pub struct Uses<'a> {
    pub(super) take: &'a mut dyn FnMut(u32) -> u32,
}

impl Uses<'_> {
    /// How often the entry in this slot was used since this was asked last, or since it came; up to 15, and now and
    /// then one less than happened. 0 where there is no entry.
    pub fn take(&mut self, slot: u32) -> u32 {
        (self.take)(slot)
    }
}

impl fmt::Debug for Uses<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Uses").finish_non_exhaustive()
    }
}

/// Makes a user's order for each shard.
pub(crate) type Factory = dyn Fn() -> Box<dyn Evict> + Send + Sync;

/// Runs a user's code; `None` when it panicked.
pub(crate) fn guarded<R>(run: impl FnOnce() -> R) -> Option<R> {
    // Nobody sees what a panic leaves half done: the order is dropped.
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(said) => Some(said),
        Err(thrown) => {
            // The shard is locked.
            discard(thrown);
            None
        }
    }
}
