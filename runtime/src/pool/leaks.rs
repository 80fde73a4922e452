//! Who holds what, since when, and from where: a list of leases, kept only with the feature `leak-report`.
//!
//! It is for finding leases that are never returned, and costs a lock for each lease and each return. Its own memory is
//! not charged. Not here: what a lease is.

use std::fmt;
use std::panic::Location;
use std::time::Duration;

/// A lease that is out.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Lease {
    /// Where the object was acquired.
    pub place: &'static Location<'static>,
    /// The thread that acquired it: its name, or its number.
    pub thread: String,
    /// How long ago, by the domain's clock.
    pub held_for: Duration,
}

impl fmt::Display for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "acquired at {} by thread {}, {:?} ago", self.place, self.thread, self.held_for)
    }
}

#[cfg(feature = "leak-report")]
mod list {
    use std::collections::HashMap;
    use std::panic::Location;
    use std::thread;

    use super::Lease;
    use crate::sync::Mutex;
    use crate::time::Nanos;

    struct Out {
        place: &'static Location<'static>,
        thread: String,
        since: Nanos,
    }

    /// The leases of one pool, by the address of their object's block.
    pub(in crate::pool) struct Leases(Mutex<HashMap<usize, Out>>);

    impl Leases {
        pub(in crate::pool) fn new() -> Self {
            Self(Mutex::new(HashMap::new()))
        }

        pub(in crate::pool) fn lent(&self, block: usize, place: &'static Location<'static>, now: Nanos) {
            let thread = thread::current();
            let thread = thread.name().map_or_else(|| format!("{:?}", thread.id()), str::to_owned);
            self.0.lock().insert(block, Out { place, thread, since: now });
        }

        pub(in crate::pool) fn returned(&self, block: usize) {
            let out = self.0.lock().remove(&block);
            drop(out);
        }

        /// Those that are out, the longest first.
        pub(in crate::pool) fn list(&self, now: Nanos) -> Vec<Lease> {
            let lease = |out: &Out| Lease {
                place: out.place,
                thread: out.thread.clone(),
                held_for: std::time::Duration::from_nanos(now.saturating_sub(out.since)),
            };
            let mut leases: Vec<_> = self.0.lock().values().map(lease).collect();
            leases.sort_by(|a, b| b.held_for.cmp(&a.held_for).then(a.place.cmp(b.place)));
            leases
        }
    }
}
#[cfg(feature = "leak-report")]
pub(super) use list::Leases;
