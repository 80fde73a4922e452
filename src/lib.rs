#![doc = include_str!("../README.md")]
//!
//! # Reference
//!
//! - [`macro@cached`] on a function, [`macro@pooled`] on a struct, [`derive@Weigh`] for the bytes of your types
//! - [`Cache::builder`] for a cache that is made at run time
//! - [`budget`], [`stats`], [`trim`], [`declared`]: the process as a whole
//! - [`Domain`]: a budget of its own, with a clock and a pressure source to choose; for tests
//!
//! # Features
//!
//! | feature | default | what it adds | cost |
//! |---|---|---|---|
//! | `static-registry` | yes | every annotated item is listed before its first call | one small crate |
//! | `serde` | no | `Serialize` for [`Snapshot`] and what it holds | serde with its derive |

// Generated code says `::larder`; so does the code in our own docs.
extern crate self as larder;

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;

pub use larder_macros::{Weigh, cached, pooled};
pub use larder_runtime::{
    Bits32, Bits64, Budget, BudgetStats, BuildError, Builder, Cache, CacheKey, CacheValue, Clock, Descriptor,
    Domain, DomainBuilder, FixedPressure, Kind, Level, Lookup, ManualClock, MemorySample, Policy, Pool,
    Pooled, PressureSource, PressureStats, SettingError, SettingsError, Snapshot, TenantStats, TimedOut,
    Trimmed, UnknownPolicy, Watermarks, WatermarksError, Weigh, budget, clear_all, declared, flush, init,
    set_bypass, shutdown, stats, tick, trim, weigh,
};
