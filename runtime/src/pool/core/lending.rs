//! How objects are lent: the thread's own first, then those of the depot, then a new one, by the pool's rule.
//!
//! The usual lease is [`PoolCore::lend_near`], which ends in the thread's magazine; everything else here is off that path.
//! Not here: how long somebody waits, and how an object is made.

use std::sync::Arc;

use super::{PoolCore, Room};
use crate::cost;
use crate::descriptor::Exhausted;
use crate::pool::magazine::{Gate, Pushed};
use crate::pool::node::Own;
use crate::pool::recipe::Failure;
use crate::pool::shelf::Label;
use crate::pool::wait::Ticket;
use crate::stats::Count;
use crate::sync::Ordering;
use crate::time;

/// So many objects go through the depot after some were wanted that lay with other threads.
const CALM: u32 = 512;

/// What a pool can do for who wants an object.
pub(super) enum Offer<T> {
    Object(Own<T>),
    Room(Room<T>),
    /// All are lent, or others were here before.
    Exhausted,
    Closed,
}

/// Why there is no object.
pub(in crate::pool) enum Refusal {
    Exhausted,
    TimedOut,
    Closed,
    Failed(Failure),
}

impl<T> PoolCore<T> {
    /// The object that came back last to this thread, if that is all there is to it.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(in crate::pool) fn lend_near(&self) -> Option<Own<T>> {
        self.magazine_to_lend()?.pop_near(&self.gate)
    }

    /// An idle object of this thread's, or of the depot.
    fn lend_idle(&self) -> Option<Own<T>> {
        loop {
            let own = self.next_idle()?;
            if self.is_fit(&own) {
                self.card.tally.hit(cost::decode(self.costs.current()));
                self.quieten();
                return Some(own);
            }
            // Too old, or broken: its `Drop` runs here.
            self.card.tally.add(Count::Expirations, 1);
            drop(own);
        }
    }

    fn next_idle(&self) -> Option<Own<T>> {
        if self.magazine().is_none() && self.most > 0 && self.gate.is_open() {
            (self.proof.enlist)(&self.me());
        }
        let Some(magazine) = self.magazine() else {
            let own = self.depot.take(0, 0, |_| {})?;
            self.depths.lent(self.out());
            return Some(own);
        };
        // Not looked into yet where the pool stands for another, or its objects are looked at first.
        if let Some(own) = magazine.pop(&self.gate) {
            return Some(own);
        }
        let batch = if self.gate.is_open() { self.most as usize / 4 } else { 0 };
        let mut others = 0;
        let own = self.depot.take(magazine.home, batch, |own| {
            others += 1;
            // SAFETY: the pool is borrowed.
            match unsafe { magazine.push(&self.gate, own) } {
                Pushed::Kept => {}
                Pushed::Spilled(list) => self.depot.put_all(magazine.home, list),
                Pushed::Refused(own) => self.depot.put(magazine.home, own),
            }
        })?;
        self.depths.lent_with(others, self.out());
        Some(own)
    }

    /// Whether an idle object may be lent.
    pub(super) fn is_fit(&self, own: &Own<T>) -> bool {
        if self.options.ages() {
            let now = self.domain.clock.recent();
            if now >= own.until
                || self.options.idle.is_some_and(|most| now >= own.since.saturating_add(time::nanos(most)))
            {
                return false;
            }
        }
        !self.options.validate_on_acquire || self.recipe.validates(&own.object)
    }

    /// So many leases without anybody in want, and magazines are used again.
    fn quieten(&self) {
        if self.gate.has(Gate::SCARCE) && self.calm.fetch_add(1, Ordering::Relaxed) >= CALM {
            self.calm.store(0, Ordering::Relaxed);
            self.gate.open(Gate::SCARCE);
        }
    }

    /// What there is for who wants an object.
    pub(super) fn offer(&self) -> Offer<T> {
        if self.gate.has(Gate::CLOSED) {
            return Offer::Closed;
        }
        if !self.filled.load(Ordering::Relaxed) && !self.filled.swap(true, Ordering::Relaxed) {
            self.fill_up();
        }
        if !self.queue.is_empty() {
            return Offer::Exhausted;
        }
        if let Some(own) = self.lend_idle() {
            return Offer::Object(own);
        }
        if let Some(room) = self.try_room() {
            return Offer::Room(room);
        }
        // All there may be are alive, and some may lie with other threads.
        self.calm.store(0, Ordering::Relaxed);
        if self.gate.shut(Gate::SCARCE) {
            self.gather();
        }
        if let Some(own) = self.lend_idle() {
            return Offer::Object(own);
        }
        if let Some(room) = self.try_room() {
            return Offer::Room(room);
        }
        // Where bytes are in the way, another instance may have some idle.
        if self.tenant.has_several() && self.tenant.make_way(self.typical()).count > 0 {
            return self.try_room().map_or(Offer::Exhausted, Offer::Room);
        }
        Offer::Exhausted
    }

    /// An object by the pool's rule: an idle one, a new one, or as it says for when all are lent.
    pub(in crate::pool) fn lend(&self) -> Result<Own<T>, Refusal> {
        if self.is_bypassed() {
            return self.make_outside();
        }
        match self.offer() {
            Offer::Object(own) => Ok(own),
            Offer::Room(room) => self.make(Some(room)),
            Offer::Closed if self.options.exhausted == Exhausted::Create => self.make_outside(),
            Offer::Closed => Err(Refusal::Closed),
            Offer::Exhausted => match self.options.exhausted {
                Exhausted::Create => self.make(None),
                Exhausted::Wait(most) => self.wait(most),
                Exhausted::Fail => {
                    self.card.tally.add(Count::Rejections, 1);
                    Err(Refusal::Exhausted)
                }
            },
        }
    }

    /// An object within the bound, waiting for one if all are lent.
    pub(in crate::pool) fn lend_within(&self, most: Option<std::time::Duration>) -> Result<Own<T>, Refusal> {
        if self.is_bypassed() {
            return self.make_outside();
        }
        match self.offer() {
            Offer::Object(own) => Ok(own),
            Offer::Room(room) => self.make(Some(room)),
            Offer::Closed => Err(Refusal::Closed),
            Offer::Exhausted => self.wait(most),
        }
    }

    /// [`lend_within`](Self::lend_within) for a task.
    pub(in crate::pool) async fn lend_async(
        self: Arc<Self>,
        most: Option<std::time::Duration>,
    ) -> Result<Own<T>, Refusal> {
        if self.is_bypassed() {
            return self.make_outside();
        }
        match self.offer() {
            Offer::Object(own) => return Ok(own),
            Offer::Room(room) => return self.make(Some(room)),
            Offer::Closed => return Err(Refusal::Closed),
            Offer::Exhausted => {}
        }
        let deadline = self.deadline(most);
        loop {
            let gift = Ticket::new(Arc::clone(&self), deadline).wait_async().await;
            if let Some(result) = self.unwrap(gift) {
                return result;
            }
        }
    }

    /// An idle object that was made for what is wanted; `hash` is that of it.
    pub(in crate::pool) fn lend_from_shelf(
        &self,
        hash: u64,
        wanted: impl Fn(&dyn Label) -> bool,
    ) -> Option<Own<T>> {
        loop {
            let own = self.depot.find(hash, &wanted)?;
            self.depths.lent(self.out());
            self.publish();
            if self.is_fit(&own) {
                self.card.tally.hit(cost::decode(self.costs.current()));
                return Some(own);
            }
            self.card.tally.add(Count::Expirations, 1);
            drop(own);
        }
    }
}
