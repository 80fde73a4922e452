//! What waits idle, and how it is let go: by bounds, by the price of the coldest, or all of it.

use super::PoolCore;
use crate::pool::magazine::Gate;
use crate::pool::node::{List, Node};
use crate::stats::Count;

/// What left the pool.
#[derive(Default)]
pub(crate) struct Dropped {
    pub(crate) count: u64,
    pub(crate) bytes: u64,
    /// What the last of them was worth.
    pub(crate) price: Option<f64>,
}

impl<T> PoolCore<T> {
    /// Objects that wait, here and there; exact while nobody acquires or returns.
    pub(in crate::pool) fn idle(&self) -> usize {
        let magazines: usize = self.magazines.lock().list.iter().map(|magazine| magazine.len()).sum();
        self.depot.len() + magazines
    }

    /// Takes out what is idle beyond the bounds, or came back when it was too late: to be dropped when all else is done,
    /// because its `Drop` may panic.
    #[must_use]
    pub(super) fn keep_bounds(&self) -> List<T> {
        if self.gate.has(Gate::CLOSED) {
            // Who closed it may have looked before this came.
            return self.depot.take_all(|_| true);
        }
        let mut beyond = List::new();
        if self.options.max_idle < u64::MAX {
            while self.idle() as u64 > self.options.max_idle
                && let Some(own) = self.depot.take_coldest(f64::INFINITY)
            {
                self.card.tally.add(Count::Evictions, 1);
                beyond.push_warm(own);
            }
        }
        beyond
    }

    /// Takes out idle objects, the coldest first, until about `bytes` went, or, after the first, one is worth more than
    /// `upto`.
    pub(in crate::pool) fn drop_coldest(&self, bytes: u64, upto: f64) -> Dropped {
        let mut dropped = Dropped::default();
        let mut list = List::new();
        let scale = self.card.scale();
        while dropped.bytes < bytes.max(1) {
            let upto = if dropped.count == 0 { f64::INFINITY } else { upto / scale };
            let Some(own) = self.depot.take_coldest(upto) else { break };
            dropped.price = Some(own.credit * scale);
            dropped.bytes += own.charged;
            dropped.count += 1;
            list.push_warm(own);
        }
        self.publish();
        drop(list);
        dropped
    }

    /// Drops the idle objects for which `goes` says so.
    pub(in crate::pool) fn drop_where(&self, goes: impl FnMut(&mut Node<T>) -> bool) -> Dropped {
        let list = self.depot.take_all(goes);
        let mut dropped = Dropped { count: list.len() as u64, ..Dropped::default() };
        list.for_each(|node| dropped.bytes += node.charged);
        self.publish();
        drop(list);
        dropped
    }

    /// Drops every idle object, wherever it waits.
    pub(in crate::pool) fn drop_all(&self) -> Dropped {
        self.gather();
        self.drop_where(|_| true)
    }
}
