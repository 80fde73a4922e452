//! The domain's counter: a limit, a possibly lower allowance, and the bytes promised to tenants.

use crate::sync::{AtomicU64, Ordering};

/// Credit is taken in chunks of at most this many bytes.
const CHUNK: u64 = 64 * 1024;

/// One limit and one sum for all tenants of a domain.
#[derive(Debug)]
pub(crate) struct Ledger {
    /// What the user set.
    limit: AtomicU64,
    /// What may be used now: `limit`, or less while memory is short. Never above `limit` at rest.
    allowed: AtomicU64,
    /// The sum of all reservations. Only [`try_take`](Self::try_take) raises it, so `used <= allowed`
    /// holds at every moment at which `allowed` was not just lowered.
    used: AtomicU64,
    /// The highest `used` so far.
    peak: AtomicU64,
    /// Bytes given back that were never taken: always 0 unless accounting has a bug.
    over_released: AtomicU64,
    /// How much credit a tenant takes beyond its need.
    chunk: AtomicU64,
}

impl Ledger {
    pub(crate) fn new(limit: u64) -> Self {
        let ledger = Self {
            limit: AtomicU64::new(limit),
            allowed: AtomicU64::new(limit),
            used: AtomicU64::new(0),
            peak: AtomicU64::new(0),
            over_released: AtomicU64::new(0),
            chunk: AtomicU64::new(0),
        };
        ledger.divide(0);
        ledger
    }

    #[inline]
    pub(crate) fn limit(&self) -> u64 {
        self.limit.load(Ordering::Acquire)
    }

    pub(crate) fn allowed(&self) -> u64 {
        // A lower limit counts at once, whatever was allowed under the one before.
        self.allowed.load(Ordering::Acquire).min(self.limit())
    }

    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::SeqCst)
    }

    pub(crate) fn peak(&self) -> u64 {
        self.peak.load(Ordering::Relaxed)
    }

    pub(crate) fn over_released(&self) -> u64 {
        self.over_released.load(Ordering::Relaxed)
    }

    pub(crate) fn chunk(&self) -> u64 {
        self.chunk.load(Ordering::Relaxed)
    }

    /// Sets the limit and with it the allowance. Whoever lowers it makes the tenants shrink afterwards.
    pub(crate) fn set_limit(&self, bytes: u64) {
        self.limit.store(bytes, Ordering::SeqCst);
        self.allowed.store(bytes, Ordering::SeqCst);
    }

    /// Moves a limit that follows memory: what may be used goes with it, unless it is less because memory is short.
    /// Whoever lowers it makes the tenants shrink afterwards.
    pub(crate) fn move_limit(&self, bytes: u64) {
        let free = self.allowed() == self.limit();
        self.limit.store(bytes, Ordering::SeqCst);
        if free {
            self.allowed.store(bytes, Ordering::SeqCst);
        }
    }

    /// Lowers or restores what may be used now, within the limit.
    pub(crate) fn set_allowed(&self, bytes: u64) {
        self.allowed.store(bytes.min(self.limit()), Ordering::SeqCst);
    }

    /// Whether more is used than may be. Asked by who has made bytes evictable that were not when the limit was lowered.
    pub(crate) fn is_exceeded(&self) -> bool {
        // SeqCst: either we see that it was lowered, or who lowered it finds what we have to give.
        self.used() > self.allowed.load(Ordering::SeqCst)
    }

    /// Sizes the credit chunk for this many tenants: all unspent credit together stays below 1/64 of the
    /// limit, so that it never starves anybody.
    pub(crate) fn divide(&self, tenants: usize) {
        let share = self.limit() / (64 * (tenants as u64).max(1));
        self.chunk.store(share.min(CHUNK), Ordering::Relaxed);
    }

    /// Takes exactly `bytes`, or nothing.
    pub(crate) fn try_take(&self, bytes: u64) -> bool {
        let allowed = self.allowed();
        let taken = self.used.fetch_update(Ordering::SeqCst, Ordering::Acquire, |used| {
            used.checked_add(bytes).filter(|&sum| sum <= allowed)
        });
        match taken {
            // SeqCst, here and where the allowance is lowered: either we see here that it was, or who lowered it
            // sees what we took, and makes it fit.
            Ok(before) if before + bytes > self.allowed.load(Ordering::SeqCst) => {
                self.give(bytes);
                false
            }
            Ok(before) => {
                // `fetch_max` would write each time; nearly always the peak is already higher.
                if before + bytes > self.peak.load(Ordering::Relaxed) {
                    self.peak.fetch_max(before + bytes, Ordering::Relaxed);
                }
                true
            }
            Err(_) => false,
        }
    }

    /// Gives bytes back.
    ///
    /// # Panics
    ///
    /// In debug builds, when more comes back than was taken. In release builds the surplus is counted and
    /// the counter stops at 0: accounting never wraps and never hides a mistake.
    pub(crate) fn give(&self, bytes: u64) {
        let before = self
            .used
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |used| Some(used.saturating_sub(bytes)));
        let before = before.unwrap_or_default();
        if before < bytes {
            self.over_released.fetch_add(bytes - before, Ordering::Relaxed);
            debug_assert!(false, "{bytes} bytes released with only {before} in use");
        }
    }
}
