//! Tiers below a cache's values: where an entry that made room goes on living as bytes.
//!
//! ```text
//! hot    values, in shards; what a look-up finds first
//!  |  ^
//!  v  |  evicted entries go down, encoded; what is used again comes up
//! warm   records in memory: key and value as bytes, the value compressed; charged to the cache
//!  |     evicted records go down, and so do entries that are not worth their bytes in memory
//!  v
//! cold   records in a store that outlives the process; what is found there comes up and stays there
//! ```
//!
//! A chain knows bytes. How keys and values become bytes is a [`Codec`]'s to know, and how bytes become fewer a
//! [`Compress`]'s. Whoever goes between cache and chain is in `cache/tiers`.
//!
//! # Changes
//!
//! A record must not be found, or come back, once its key was written or removed; and it is found, encoded and stored
//! with no lock held. So whoever changes a key says so before and after. In between nothing is found under the key's
//! hash. Afterwards the record is gone, and the process's count of changes is noted beside it: an entry left the cache
//! when that count was at some number, and is refused if its key may have changed since.
//!
//! ```text
//! begin: nothing is found here  ->  loads are marked  ->  the entry is replaced or removed  ->  end: count, forget
//! ```
//!
//! Whoever looked before `begin` is in the table of flights, where the mark finds it. Whoever left the cache before the
//! third step left under an older count.
//!
//! Records are told apart by the lower half of the hash: of two keys that share it one has a place here. Whether a
//! record is of a key that was asked for says the key itself.

mod chain;
mod codec;
mod cold;
mod events;
mod settings;
mod sinking;
mod stats;
mod store;
mod stripe;
mod warm;

pub(crate) use chain::{Candidate, Chain, Changing, ChangingAll, Raised};
pub use codec::{Codec, CodecError, Compress};
pub(crate) use cold::{Blob, ColdTier, Ground, HashOf, KeyWays, Place, Ready, Sending, Workers};
pub use cold::{Cold, IntoCold};
pub use settings::{Tiers, Warm};
pub use stats::{TierState, TierStats};
pub use store::{Envelope, Opened, Sealed, Store, StoreError, StoreWrite};

use std::sync::atomic::{AtomicU64, Ordering};

/// Changes of keys in caches with tiers, over the whole process. Only counts, so no model needs to control it.
static CHANGES: AtomicU64 = AtomicU64::new(0);

/// How many changes of keys there have been.
pub(crate) fn changes() -> u64 {
    CHANGES.load(Ordering::Relaxed)
}

/// Counts one more; returns its number.
fn count_change() -> u64 {
    CHANGES.fetch_add(1, Ordering::AcqRel) + 1
}
