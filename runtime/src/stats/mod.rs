//! Plain numbers about a domain and its tenants at one moment, and the counters behind them.
//!
//! A snapshot takes no lock that a hit could wait for, so it is not one instant: each number is true, their
//! combination may be a few operations apart.

mod explain;
mod table;
mod tally;

pub use explain::{Cause, CoordinatorStats, Decision, Explanation, Standing, TenantReport};
pub(crate) use table::bytes as in_bytes;
pub(crate) use tally::{Count, Counters, Tally};

use std::time::Duration;

use crate::descriptor::Kind;
use crate::policy::Policy;
use crate::pressure::Level;

/// Everything a domain knows about itself at one moment; `Display` is a table.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Snapshot {
    /// The shared budget.
    pub budget: BudgetStats,
    /// How full memory is, and who says so.
    pub pressure: PressureStats,
    /// What was done about it so far.
    pub coordinator: CoordinatorStats,
    /// One entry for each tenant, most bytes first, then by name. In the global domain also every
    /// annotated item that was not called yet, with zeros.
    pub tenants: Vec<TenantStats>,
    /// Each namespace that was promised a share, in the order of the promises.
    pub namespaces: Vec<NamespaceStats>,
    /// Things a person should know: settings that were ignored, tenants whose weights are estimates.
    pub warnings: Vec<String>,
}

impl Snapshot {
    /// The tenant of that name.
    #[must_use]
    pub fn tenant(&self, name: &str) -> Option<&TenantStats> {
        self.tenants.iter().find(|tenant| tenant.name == name)
    }

    /// Compute time that hits saved, over all tenants.
    #[must_use]
    pub fn time_saved(&self) -> Duration {
        self.tenants.iter().map(|tenant| tenant.time_saved).sum()
    }
}

/// The budget of a domain, in bytes.
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct BudgetStats {
    /// What was set.
    pub limit: u64,
    /// What may be used now: less than `limit` while memory is short.
    pub allowed: u64,
    /// What tenants hold.
    pub used: u64,
    /// The highest `used` so far.
    pub peak: u64,
    /// Bytes released that were never reserved. Anything but 0 is a bug in larder.
    pub over_released: u64,
}

/// A namespace with a share of the budget.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct NamespaceStats {
    /// What its tenants' names begin with.
    pub name: String,
    /// The share it was promised, 0.0 to 1.0.
    pub share: f64,
    /// What that is of what may be used now, in bytes.
    pub promised: u64,
    /// What its tenants hold, in bytes.
    pub used: u64,
}

/// What the domain's pressure source said last.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct PressureStats {
    /// The level in force.
    pub level: Level,
    /// Memory used by the process, its container or the host, in bytes; 0 before the first sample.
    pub used: u64,
    /// What that is measured against, in bytes; 0 before the first sample.
    pub limit: u64,
    /// Which source says so; `"off"` without one.
    pub source: String,
}

/// One tenant: what it is, what it holds, what it did.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct TenantStats {
    /// `crate::path::item`, or the name it was given; a second tenant of the same name ends in `#2`.
    pub name: String,
    /// Cache or pool.
    pub kind: Kind,
    /// How a cache picks victims; `None` for pools.
    pub policy: Option<Policy>,
    /// `false` for an annotated item that was not called yet.
    pub live: bool,
    /// Entries of a cache; objects of a pool, idle and leased.
    pub entries: u64,
    /// Objects of a pool that are out on lease.
    pub leased: u64,
    /// Bytes charged: keys, values, tables, and bookkeeping.
    pub bytes: u64,
    /// Bytes promised by the budget: `bytes`, and a little unspent credit.
    pub reserved: u64,
    /// Bytes of a cache's entries that are pinned: nobody can take them.
    pub pinned: u64,
    /// Bytes of leases that the budget had no room for when they went out.
    pub uncharged: u64,
    /// `reserved` as a fraction of the budget's limit.
    pub share: f64,
    /// Bytes that other tenants may not take.
    pub min_bytes: u64,
    /// The tenant's own bound in bytes.
    pub max_bytes: Option<u64>,
    /// The tenant's own bound in entries or objects.
    pub max_entries: Option<u64>,
    /// Bytes that the plan gives it, while a plan moves bytes: who holds more gives first. `None` without one.
    pub target: Option<u64>,
    /// Multiplies what the tenant's bytes are worth.
    pub priority: f64,
    /// What the next victim is worth: nanoseconds of compute that each of its bytes saves at the frequency seen,
    /// times priority. 0.0 when there is nothing to evict. Between tenants recency counts as well: what was not
    /// used for long goes before what is cheaper and was used just now.
    pub price: f64,
    /// Some weights are lower bounds: a type owns heap that cannot be seen.
    pub estimated: bool,
    /// Look-ups that found a value; objects that were reused.
    pub hits: u64,
    /// Look-ups that found none; objects that had to be made.
    pub misses: u64,
    /// Compute time that hits saved: for each hit, what computing the value took.
    pub time_saved: Duration,
    /// Bodies or constructors that ran to the end.
    pub loads: u64,
    /// Time they took.
    pub load_time: Duration,
    /// Bodies or constructors that panicked, or returned what is not stored (`Err`, `None`).
    pub load_failures: u64,
    /// Callers that waited for another caller's load instead of running their own.
    pub waits: u64,
    /// Entries that went for the tenant's own bound.
    pub evictions: u64,
    /// Entries or idle objects that went for another tenant, a trim, or pressure.
    pub reclaims: u64,
    /// Entries that went because of their age.
    pub expirations: u64,
    /// Entries that the user removed.
    pub invalidations: u64,
    /// Values that were overwritten.
    pub replacements: u64,
    /// Values that were returned but not stored: too large, no room in time, or older than an invalidation.
    pub rejections: u64,
    /// Calls of a cache's removal listener that panicked; nobody else noticed.
    pub listener_panics: u64,
    /// The tiers below a cache's values, from the top.
    #[cfg(feature = "tiers")]
    pub tiers: Vec<crate::TierStats>,
}

impl TenantStats {
    /// Hits over look-ups, 0.0 to 1.0; 0.0 before the first look-up.
    #[must_use]
    pub fn hit_rate(&self) -> f64 {
        match self.hits + self.misses {
            0 => 0.0,
            lookups => self.hits as f64 / lookups as f64,
        }
    }

    /// All zeros, for a tenant of that name and kind.
    pub(crate) fn empty(name: String, kind: Kind) -> Self {
        Self {
            name,
            kind,
            policy: None,
            live: false,
            entries: 0,
            leased: 0,
            bytes: 0,
            reserved: 0,
            pinned: 0,
            uncharged: 0,
            share: 0.0,
            min_bytes: 0,
            max_bytes: None,
            max_entries: None,
            target: None,
            priority: 1.0,
            price: 0.0,
            estimated: false,
            hits: 0,
            misses: 0,
            time_saved: Duration::ZERO,
            loads: 0,
            load_time: Duration::ZERO,
            load_failures: 0,
            waits: 0,
            evictions: 0,
            reclaims: 0,
            expirations: 0,
            invalidations: 0,
            replacements: 0,
            rejections: 0,
            listener_panics: 0,
            #[cfg(feature = "tiers")]
            tiers: Vec::new(),
        }
    }
}
