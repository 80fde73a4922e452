//! A pool on a device as tenants of two domains: that of the device, and that of the host where buffers take its memory.
//!
//! Only what is idle can be taken; what is pending is asked about first. Not here: how buffers are freed.

use std::sync::{Arc, Weak};

use super::backend::DeviceBackend;
use super::core::PoolCore;
use super::state::Side;
use super::stats::Why;
use crate::descriptor::Kind;
use crate::domain::DomainCore;
use crate::pressure::Level;
use crate::stats::{Count, TenantStats};
use crate::tenant::{Card, Claim, Given, ScopeId, Tenant, Terms};
use crate::time::{self, Nanos};

/// Under pressure half as many looks at an idle buffer are enough.
const HASTE: u8 = 2;

impl<B: DeviceBackend> PoolCore<B> {
    fn reclaim_for(&self, side: Side, domain: &DomainCore, card: &Card, claim: Claim) -> Given {
        if self.device.is_inherited() {
            // It gives nothing, and is not asked again.
            card.publish(f64::INFINITY);
            return Given::default();
        }
        let mut gone = self.take_cheapest(side, claim);
        if gone.is_empty() {
            self.settle(None);
            gone = self.take_cheapest(side, claim);
        }
        if gone.is_empty() && self.state.lock().is_pending(side) {
            self.device.backend.poll();
            self.settle(None);
            gone = self.take_cheapest(side, claim);
        }
        let mut state = self.state.lock();
        // Until something comes back, or the next tick.
        state.vain = gone.is_empty();
        self.publish(&state);
        drop(state);
        let entries = gone.len() as u64;
        if let Some(last) = gone.last() {
            let price = last.credits[side as usize] * self.card.scale();
            domain.raise_inflation(price.min(claim.level));
        }
        card.tally.add(Count::Reclaims, entries);
        Given { bytes: self.free(gone, Why::Reclaimed), entries, waiting: 0 }
    }

    fn take_cheapest(&self, side: Side, claim: Claim) -> Vec<super::state::Block<B>> {
        let mut state = self.state.lock();
        let (mut gone, mut bytes) = (Vec::new(), 0);
        while bytes < claim.bytes.max(1) {
            let upto = if gone.is_empty() { f64::INFINITY } else { claim.upto / self.card.scale() };
            let Some(block) = state.take_coldest(side, upto) else { break };
            bytes += block.size.bytes;
            gone.push(block);
        }
        gone
    }

    /// Frees what several ticks in a row found idle, and what is too old.
    fn let_age(&self, now: Nanos) -> u64 {
        let Some(idle) = self.options.idle.map(time::nanos) else { return 0 };
        let looks = match self.domain().level() {
            Level::Normal => self.options.looks,
            Level::High | Level::Emergency => self.options.looks / HASTE,
        };
        let mut state = self.state.lock();
        let gone = state.take_idle(|block| {
            block.looks = block.looks.saturating_add(1);
            block.looks >= looks && now.saturating_sub(block.since) >= idle
        });
        self.publish(&state);
        drop(state);
        self.card.tally.add(Count::Expirations, gone.len() as u64);
        self.free(gone, Why::Idle)
    }

    fn stats_for(&self, card: &Card) -> TenantStats {
        let mut stats = TenantStats::empty(card.name.to_string(), card.kind);
        if self.device.is_inherited() {
            return stats;
        }
        let state = self.state.lock();
        let [in_use, idle, pending] = [&state.gauges.in_use, &state.gauges.idle, &state.gauges.pending]
            .map(|gauge| gauge.current.count);
        stats.entries = in_use + idle + pending;
        stats.leased = in_use;
        stats
    }

    fn marginal_for(&self, side: Side) -> f64 {
        if self.device.is_inherited() {
            return 0.0;
        }
        let state = self.state.lock();
        let is_idle = state.coldest(side).is_some();
        let idle = state.gauges.idle.current;
        drop(state);
        if is_idle && idle.count > 0 {
            self.density_of(idle.bytes / idle.count) * self.card.scale()
        } else {
            0.0
        }
    }
}

impl<B: DeviceBackend> Tenant for PoolCore<B> {
    fn card(&self) -> &Card {
        &self.card
    }

    fn reclaim(&self, claim: Claim) -> Given {
        self.reclaim_for(Side::Device, &self.device.domain, &self.card, claim)
    }

    fn sweep(&self, now: Nanos) -> u64 {
        if self.device.is_inherited() {
            return 0;
        }
        self.device.backend.poll();
        self.settle(None);
        self.state.lock().vain = false;
        self.let_age(now)
    }

    fn drop_idle(&self) -> u64 {
        self.drop_all_idle(Some(Side::Device), Why::Reclaimed)
    }

    fn clear(&self) {
        self.settle(None);
        self.drop_all_idle(None, Why::Asked);
    }

    /// Read with each operation, which takes a lock anyway.
    fn follow_mode(&self) {}

    /// Scopes of tests do not reach devices: there is one memory.
    fn leave(&self, _scope: ScopeId) {}

    fn marginal(&self) -> f64 {
        self.marginal_for(Side::Device)
    }

    fn stats(&self) -> TenantStats {
        self.stats_for(&self.card)
    }
}

/// A pool on the books of the host.
pub(super) struct HostSide<B: DeviceBackend> {
    pub(super) card: Arc<Card>,
    pool: Weak<PoolCore<B>>,
}

impl<B: DeviceBackend> HostSide<B> {
    pub(super) fn new(pool: &PoolCore<B>) -> Arc<Self> {
        let host = &pool.device.host;
        let terms = Terms {
            name: format!("{}@{}", pool.card.name, pool.device.name),
            kind: Kind::Pool,
            ..pool.card.terms()
        };
        let card = host.enroll(terms);
        card.add_base(crate::tenant::arc::<Self>());
        let side = Arc::new(Self { card: Arc::clone(&card), pool: Weak::clone(&pool.me) });
        let tenant: Arc<dyn Tenant> = Arc::clone(&side) as _;
        host.admit(&card, Arc::downgrade(&tenant));
        side
    }
}

impl<B: DeviceBackend> Tenant for HostSide<B> {
    fn card(&self) -> &Card {
        &self.card
    }

    fn reclaim(&self, claim: Claim) -> Given {
        match self.pool.upgrade() {
            Some(pool) => pool.reclaim_for(Side::Host, &pool.device.host, &self.card, claim),
            None => Given::default(),
        }
    }

    /// The device's tick does that.
    fn sweep(&self, _now: Nanos) -> u64 {
        0
    }

    fn drop_idle(&self) -> u64 {
        self.pool.upgrade().map_or(0, |pool| pool.drop_all_idle(Some(Side::Host), Why::Reclaimed))
    }

    fn clear(&self) {
        if let Some(pool) = self.pool.upgrade() {
            pool.clear();
        }
    }

    fn follow_mode(&self) {}

    fn leave(&self, _scope: ScopeId) {}

    fn marginal(&self) -> f64 {
        self.pool.upgrade().map_or(0.0, |pool| pool.marginal_for(Side::Host))
    }

    fn stats(&self) -> TenantStats {
        match self.pool.upgrade() {
            Some(pool) => {
                let mut stats = pool.stats_for(&self.card);
                stats.uncharged = self.card.uncovered();
                stats
            }
            None => TenantStats::empty(self.card.name.to_string(), self.card.kind),
        }
    }
}

impl<B: DeviceBackend> Drop for HostSide<B> {
    fn drop(&mut self) {
        self.card.close();
    }
}
