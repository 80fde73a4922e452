//! Who waits for an object: how long, behind which gate, and how what comes free gets to whoever waits longest.
//!
//! Not here: the queue itself, and how one that waits is woken.

use std::sync::Arc;

use super::{PoolCore, Refusal};
use crate::cost;
use crate::pool::magazine::Gate;
use crate::pool::node::Own;
use crate::pool::wait::{Gift, Ticket, Waiter};
use crate::stats::Count;
use crate::sync::Ordering;
use crate::time::{self, NEVER, Nanos};

impl<T> PoolCore<T> {
    pub(super) fn deadline(&self, most: Option<std::time::Duration>) -> Nanos {
        self.card.tally.add(Count::Waits, 1);
        most.map_or(NEVER, |most| self.domain.now().saturating_add(time::nanos(most)).min(NEVER - 1))
    }

    pub(super) fn wait(&self, most: Option<std::time::Duration>) -> Result<Own<T>, Refusal> {
        let deadline = self.deadline(most);
        loop {
            let gift = Ticket::new(self.me(), deadline).wait();
            if let Some(result) = self.unwrap(gift) {
                return result;
            }
        }
    }

    /// What became of a wait; `None` if the object it got is of no use, and there is no place for another.
    pub(super) fn unwrap(&self, gift: Option<Gift<T>>) -> Option<Result<Own<T>, Refusal>> {
        match gift {
            Some(Gift::Object(own)) if self.is_fit(&own) => {
                self.depths.lent(self.out());
                self.card.tally.hit(cost::decode(self.costs.current()));
                Some(Ok(own))
            }
            Some(Gift::Object(own)) => {
                self.card.tally.add(Count::Expirations, 1);
                drop(own);
                self.try_room().map(|room| self.make(Some(room)))
            }
            Some(Gift::Room(room)) => Some(self.make(Some(room))),
            Some(Gift::Nothing) => Some(Err(Refusal::Closed)),
            None => {
                self.card.tally.add(Count::Rejections, 1);
                Some(Err(Refusal::TimedOut))
            }
        }
    }

    /// Puts a waiter at the end of the queue, behind a gate through which everything that comes back has to pass.
    pub(in crate::pool) fn queue_up(&self, waiter: &Arc<Waiter<T>>) {
        let mut queue = self.queue.lock();
        queue.push(Arc::clone(waiter));
        // Opened only with the queue locked, so what is shut now stays so.
        if !self.gate.has(Gate::WAITED) {
            self.gate.shut(Gate::WAITED);
        }
        drop(queue);
        self.calm.store(0, Ordering::Relaxed);
        if !self.gate.has(Gate::SCARCE) && self.gate.shut(Gate::SCARCE) {
            self.gather();
        }
        if self.gate.has(Gate::CLOSED) {
            self.turn_away();
        }
        // Read after the queue was written: who returns something reads the queue after that.
        if self.depot.len_word().load(Ordering::SeqCst) > 0 || self.may_have_room() {
            self.serve();
        }
    }

    /// Gives an object that came back to who waits longest.
    ///
    /// # Errors
    ///
    /// Gives it back when nobody waits.
    pub(in crate::pool) fn hand_over(&self, own: Own<T>) -> Result<(), Own<T>> {
        let mut gift = Gift::Object(own);
        while !self.queue.is_empty()
            && let Some(waiter) = self.next_waiter()
        {
            match waiter.give(gift) {
                Ok(()) => return Ok(()),
                // It was gone; the next one gets it.
                Err(back) => gift = back,
            }
        }
        match gift {
            Gift::Object(own) => Err(own),
            Gift::Room(_) | Gift::Nothing => unreachable!("what is given comes back as it was"),
        }
    }

    /// Takes who waits longest out of the queue.
    fn next_waiter(&self) -> Option<Arc<Waiter<T>>> {
        let mut queue = self.queue.lock();
        let waiter = queue.pop();
        if queue.is_empty() {
            self.gate.open(Gate::WAITED);
        }
        waiter
    }

    /// Gives those who wait what there is for them.
    pub(in crate::pool) fn serve(&self) {
        while !self.queue.is_empty() || self.gate.has(Gate::WAITED) {
            let mut queue = self.queue.lock();
            if queue.is_empty() {
                self.gate.open(Gate::WAITED);
                return;
            }
            let gift = match self.depot.take(0, 0, |_| {}) {
                Some(own) => Gift::Object(own),
                None => match self.try_room() {
                    Some(room) => Gift::Room(room),
                    None => return,
                },
            };
            let waiter = queue.pop();
            if queue.is_empty() {
                self.gate.open(Gate::WAITED);
            }
            drop(queue);
            let kept = match waiter {
                Some(waiter) => waiter.give(gift),
                None => Err(gift),
            };
            match kept {
                // It was gone; the next one gets it.
                Err(Gift::Object(own)) => self.depot.put(0, own),
                Err(Gift::Room(mut room)) => {
                    room.0 = None;
                    self.members.fetch_sub(1, Ordering::SeqCst);
                }
                Ok(()) | Err(Gift::Nothing) => {}
            }
        }
        self.publish();
    }

    /// Tells all who wait that the pool is closed.
    pub(super) fn turn_away(&self) {
        loop {
            let waiter = self.queue.lock().pop();
            match waiter {
                Some(waiter) => drop(waiter.give(Gift::Nothing)),
                None => return,
            }
        }
    }
}
