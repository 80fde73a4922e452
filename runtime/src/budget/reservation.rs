//! What one tenant was promised: bytes spent, and a little credit taken ahead of need.

use std::sync::Arc;

use super::Ledger;
use crate::sync::{AtomicU64, Ordering};

/// Why a reservation could not grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The tenant's own ceiling stands in the way; `over` bytes must leave the tenant first.
    Ceiling { over: u64 },
    /// The domain's budget is full; `short` bytes must leave somebody first.
    Budget { short: u64 },
}

/// The bytes one tenant holds of a [`Ledger`].
///
/// `spent + credit` is the reservation: the part of the ledger's `used` that is this tenant's. Both fields
/// move separately, so that their sum is exact only at rest; what is taken from the ledger is always taken
/// before it is spent here, and given back after.
#[derive(Debug)]
pub(crate) struct Reservation {
    ledger: Arc<Ledger>,
    /// Bytes that the tenant's data occupies.
    spent: AtomicU64,
    /// Bytes taken from the ledger and not spent yet; at most two chunks.
    credit: AtomicU64,
    /// Those of the spent bytes that nobody may take.
    pinned: AtomicU64,
}

impl Reservation {
    pub(crate) fn new(ledger: Arc<Ledger>) -> Self {
        Self { ledger, spent: AtomicU64::new(0), credit: AtomicU64::new(0), pinned: AtomicU64::new(0) }
    }

    /// Bytes that the tenant's data occupies.
    #[inline]
    pub(crate) fn spent(&self) -> u64 {
        self.spent.load(Ordering::Acquire)
    }

    /// All bytes promised: spent, and credit.
    pub(crate) fn held(&self) -> u64 {
        self.spent() + self.credit.load(Ordering::Acquire)
    }

    /// Bytes among the spent ones that nobody may take.
    pub(crate) fn pinned(&self) -> u64 {
        self.pinned.load(Ordering::Acquire)
    }

    /// Nobody may take `bytes` of what is spent from now on.
    pub(crate) fn pin(&self, bytes: u64) {
        self.pinned.fetch_add(bytes, Ordering::AcqRel);
    }

    /// Undoes [`pin`](Self::pin) for so many bytes.
    pub(crate) fn unpin(&self, bytes: u64) {
        let before = self.pinned.fetch_sub(bytes, Ordering::AcqRel);
        debug_assert!(before >= bytes, "more bytes unpinned than were pinned");
    }

    /// Spends `bytes` more, within the tenant's own ceiling and the domain's budget.
    ///
    /// # Errors
    ///
    /// Says which of the two is in the way, and by how much; nothing has changed then.
    pub(crate) fn try_grow(&self, bytes: u64, ceiling: u64) -> Result<(), Refused> {
        // Asked first, because most refusals are the ceiling's, and then nothing has to be put back.
        let over = self.over(bytes, ceiling);
        if over > 0 {
            return Err(Refused::Ceiling { over });
        }
        if bytes == 0 {
            return Ok(());
        }
        self.take(bytes)?;
        let spent = self.spent.fetch_update(Ordering::AcqRel, Ordering::Acquire, |spent| {
            spent.checked_add(bytes).filter(|&sum| sum <= ceiling)
        });
        if spent.is_ok() {
            return Ok(());
        }
        self.put_back(bytes);
        Err(Refused::Ceiling { over: self.over(bytes, ceiling).max(1) })
    }

    /// By how much `bytes` more would pass the ceiling.
    fn over(&self, bytes: u64, ceiling: u64) -> u64 {
        self.spent().saturating_add(bytes).saturating_sub(ceiling)
    }

    /// Takes `bytes` from the credit or from the ledger.
    fn take(&self, bytes: u64) -> Result<(), Refused> {
        if self.take_credit(bytes) {
            return Ok(());
        }
        let chunk = self.ledger.chunk();
        if chunk > 0 && self.ledger.try_take(bytes.saturating_add(chunk)) {
            self.credit.fetch_add(chunk, Ordering::AcqRel);
            return Ok(());
        }
        if self.ledger.try_take(bytes) {
            return Ok(());
        }
        let short = (self.ledger.used().saturating_add(bytes)).saturating_sub(self.ledger.allowed());
        Err(Refused::Budget { short: short.max(1) })
    }

    /// Gives back `bytes` that the tenant's data no longer occupies.
    ///
    /// # Panics
    ///
    /// In debug builds, when the tenant gives back more than it spent.
    pub(crate) fn shrink(&self, bytes: u64) {
        if bytes == 0 {
            return;
        }
        let before = self
            .spent
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |spent| Some(spent.saturating_sub(bytes)));
        let returned = before.unwrap_or_default().min(bytes);
        debug_assert_eq!(returned, bytes, "a tenant released more than it had spent");
        self.put_back(returned);
    }

    /// Turns bytes that were taken and are not spent into credit; what is too much of it goes to the ledger.
    fn put_back(&self, bytes: u64) {
        self.credit.fetch_add(bytes, Ordering::AcqRel);
        let chunk = self.ledger.chunk();
        if self.credit.load(Ordering::Relaxed) > 2 * chunk {
            self.settle(chunk);
        }
    }

    /// Gives all unspent credit back to the ledger.
    pub(crate) fn release_credit(&self) -> u64 {
        self.settle(0)
    }

    /// Gives everything back: the tenant is gone.
    pub(crate) fn close(&self) {
        let held = self.spent.swap(0, Ordering::AcqRel) + self.credit.swap(0, Ordering::AcqRel);
        if held > 0 {
            self.ledger.give(held);
        }
    }

    /// Keeps at most `keep` bytes of credit.
    fn settle(&self, keep: u64) -> u64 {
        let before = self
            .credit
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |credit| (credit > keep).then_some(keep));
        let surplus = before.map_or(0, |credit| credit - keep);
        if surplus > 0 {
            self.ledger.give(surplus);
        }
        surplus
    }

    fn take_credit(&self, bytes: u64) -> bool {
        self.credit
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |credit| credit.checked_sub(bytes))
            .is_ok()
    }
}

impl Drop for Reservation {
    /// A tenant that goes takes its bytes out of the budget.
    fn drop(&mut self) {
        self.close();
    }
}
