//! What comes back: it is marked with the work that may still touch it, and waits.
//!
//! Not here: who takes it next.

use super::backend::DeviceBackend;
use super::core::{Held, PoolCore, Zero};
use super::ladder::mark;
use super::state::{Block, LoanId};
use super::stats::{Whereabouts, Why};

impl<B: DeviceBackend> PoolCore<B> {
    /// Takes a buffer back whose holder gave it to its home order and to these.
    pub(super) fn give_back(&self, block: Block<B>, loan: Option<LoanId>, others: Vec<B::Order>, keep: bool) {
        let backend = &self.device.backend;
        let mut held = Held::new(self, block, Whereabouts::InUse);
        held.loan = loan;
        let Some(block) = &mut held.block else { return };
        held.also = others;
        if block.size.beyond {
            block.doomed = Some(Why::Oversize);
        } else if !keep || self.is_bypassed() {
            block.doomed = Some(Why::Asked);
        }
        if self.options.zero == Zero::OnReturn && block.doomed.is_none() {
            // Behind the holder's work, if that is all in one order; else once it is done.
            block.dirty = true;
            if self.hands_on(block.usage) && held.also.is_empty() {
                if let Err(fault) = backend.zero(&block.buffer, &block.home) {
                    let _ = self.device.failed("zero a buffer", fault);
                    return;
                }
                block.dirty = false;
            }
        }
        backend.returned(&block.buffer);
        for order in std::iter::once(&block.home).chain(&held.also) {
            match backend.fence(order) {
                // A failure to tell is found again when it is settled.
                Ok(fence) if backend.done(&fence).unwrap_or(false) => {}
                Ok(fence) => block.touched.push(mark(order.clone(), fence)),
                Err(fault) => {
                    // Nothing tells when it may be used again: it goes.
                    let _ = self.device.failed("make a fence", fault);
                    return;
                }
            }
        }
        held.also.clear();
        block.credits = self.credits(block.size.bytes);
        block.since = self.domain().clock.recent();
        block.turn = self.device.next_turn();
        block.looks = 0;
        self.put_settled(held);
    }

    /// A buffer leaves the pool and the books: it is somebody's own.
    pub(super) fn part_with(&self, block: Block<B>, loan: LoanId) -> B::Buffer {
        if self.device.is_inherited() {
            return block.buffer;
        }
        let mut state = self.state.lock();
        state.end_loan(loan);
        state.leave(&block, Whereabouts::InUse);
        drop(state);
        drop(self.booking_of(&block));
        self.device.backend.returned(&block.buffer);
        block.buffer
    }
}
