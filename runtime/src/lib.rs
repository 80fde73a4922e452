//! The engine, budget, coordinator and pools behind larder: the `larder` crate
//! adds the macros and is what people use.
//!
//! Modules by layer; a file uses lower layers, modules before it in its own layer, and its own children:
//!
//! | layer | modules |
//! |---|---|
//! | 0 | `sync` `arrange` `weight` `time` `key` `cost` `removal` `grace` |
//! | 1 | `policy` `budget` `expiry` `pressure` `descriptor` `stats` |
//! | 2 | `boundary` `tenant` `domain` `flight` `store` `tier` `worker` `settings` `testing` |
//! | 3 | `cache` `pool` |
//! | 4 | `monitor` `coordinator` `registry` |
//! | 5 | `global` `device` `local` `site` |
//!
//! # Features
//!
//! | feature | default | what it adds | cost |
//! |---|---|---|---|
//! | `static-registry` | yes | [`declared`] lists every annotated item before its first call | nothing on Linux, elsewhere a small crate |
//! | `leak-report` | no | [`Pool::leases`]: who holds what, since when, from where | a lock for each lease and return |
//! | `serde` | no | `Serialize` for [`Snapshot`] | serde with its derive |
//! | `tracing` | no | an event for each [`Decision`] about memory, target `larder` | tracing 0.1 with two dependencies |
//! | `tiers` | no | `Builder::tiers`: what a cache evicts goes on living below it as bytes | nothing |
//! | `device` | no | `device`: pools of buffers in the memory of GPUs, with a driver of your own or `testing::SimDevice` | nothing |
//! | `arrayvec` | no | [`Weigh`] for `ArrayVec`, `ArrayString` | arrayvec 0.7 |
//! | `bytes` | no | [`Weigh`] for `Bytes`, `BytesMut`; [`Buffer`] to `Bytes`, and `BufMut` for it | bytes 1 |
//! | `chrono` | no | [`Weigh`] for dates, times, `DateTime` | chrono 0.4 with one dependency |
//! | `hashbrown` | no | [`Weigh`] for `HashMap`, `HashSet`, `HashTable` of hashbrown 0.17 | hashbrown 0.17 |
//! | `indexmap` | no | [`Weigh`] for `IndexMap`, `IndexSet` | indexmap 2 with one dependency |
//! | `serde_json` | no | [`Weigh`] for `Value`, `Map`, `Number` | serde_json 1 with three dependencies |
//! | `smallvec` | no | [`Weigh`] for `SmallVec` of smallvec 1 | nothing: it is here anyway |
//! | `url` | no | [`Weigh`] for `Url`, `Host`, `Origin` | url 2 with about thirty crates for Unicode |
//! | `uuid` | no | [`Weigh`] for `Uuid`, `NonNilUuid` | uuid 1 |
//! | `get-size2` | no | `weigh::get_size`, `weigh::get_heap_size` | get-size2 0.11 |
//! | `jemalloc` | no | weights as jemalloc rounds blocks, for programs that allocate with it | nothing |
//! | `mimalloc` | no | weights as mimalloc rounds blocks, for programs that allocate with it | nothing |
//!
//! Without `jemalloc` and `mimalloc`, and with both, weights go by glibc's rounding. The three differ by a few
//! percent for most values, and by more for many small ones.

mod arrange;
mod boundary;
mod budget;
mod cache;
mod coordinator;
mod cost;
mod curve;
mod descriptor;
#[cfg(feature = "device")]
pub mod device;
mod domain;
mod expiry;
mod flight;
mod global;
mod grace;
mod instances;
mod key;
mod local;
#[cfg(all(test, larder_shuttle))]
mod models;
mod monitor;
mod policy;
mod pool;
mod pressure;
mod registry;
mod removal;
mod settings;
mod site;
mod stats;
mod store;
mod sync;
mod tenant;
pub mod testing;
#[cfg(feature = "tiers")]
mod tier;
mod time;
mod unwind;
mod weight;
mod worker;

pub use cache::{BuildError, Builder, Cache, Change, Entries, NoExpiry, Status};
pub use coordinator::DomainBuilder;
pub use descriptor::{Descriptor, Kind};
pub use domain::{Budget, Charge, Domain, Namespace, ShareError, Task, Tracked, Tracking, Trimmed};
pub use global::{
    TimedOut, budget, buffers, charge, cleanup, clear_all, explain, flush, init, namespace, set_bypass,
    set_executor, set_purge, shutdown, stats, tick, track, trim,
};
pub use key::{Bits32, Bits64, CacheKey, CacheValue, Lookup, Unordered};
pub use local::Local;
pub use policy::{EntryFacts, Evict, Policy, UnknownPolicy, Uses};
pub use pool::{
    AcquireError, Always, BoxError, Buffer, BufferPool, BufferPoolBuilder, BufferStats, ClassStats, Lease,
    Order, Pool, PoolBuilder, PoolError, Pooled, Refuses, SharedBuffer, Shelves, Sometimes,
};
#[cfg(unix)]
pub use pressure::Trigger;
pub use pressure::{Auto, Level, MemorySample, PressureSource, Watermarks, WatermarksError};
pub use registry::declared;
pub use removal::RemovalCause;
pub use settings::{SettingError, SettingsError};
pub use stats::{
    BudgetStats, Cause, CoordinatorStats, Decision, Explanation, NamespaceStats, PressureStats, Snapshot,
    Standing, TenantReport, TenantStats,
};
#[cfg(feature = "tiers")]
pub use tier::{
    Codec, CodecError, Cold, Compress, Envelope, IntoCold, Opened, Sealed, Store, StoreError, StoreWrite,
    TierState, TierStats, Tiers, Warm,
};
pub use time::Clock;
pub use weight::{Weigh, weigh};

/// What the macros ask of types, for generic code that has to say so.
pub mod bounds {
    pub use crate::key::{CacheKey, CacheValue, Copied, Fallible, PassedOn, ReceiverKey};
    pub use crate::pool::{DefaultMake, Poolable, ResetOutcome};
}

/// What generated code may name. No promises: it changes with any release.
#[doc(hidden)]
pub mod __private {
    #[cfg(feature = "__validate")]
    pub use crate::cache::validate;
    pub use crate::cache::{
        Ran, ReturnedWhole, Verdict, apart, begin, begin_async, begin_async_or_refresh, begin_or_refresh,
        end, forced, here, judge, judge_value, load, load_detached, load_detached_or_refresh, load_with,
        look, missed, never, polled, returned, try_end, try_load, try_load_detached,
        try_load_detached_or_refresh, try_load_with,
    };
    #[cfg(all(feature = "static-registry", not(any(target_os = "linux", target_os = "android"))))]
    pub use crate::descriptor::Declared;
    pub use crate::descriptor::{CachedOptions, Descriptor, Exhausted, PooledOptions};
    pub use crate::key::*;
    pub use crate::local::Local;
    pub use crate::policy::Policy;
    pub use crate::pool::{
        Always, BoxError, DefaultMake, Made, PoolProof, Poolable, Recipe, ResetOutcome, Sometimes,
        ThreadProof, Vacancy, default_of, heap_of, keep, look_on_shelf, made_by_function, poolable,
        poolable_on_thread,
    };
    #[cfg(feature = "device")]
    pub use crate::site::DeviceSite;
    pub use crate::site::{
        BufferSite, Extras, Found, MaybeExtras, Single, SinglePool, Site, ThreadPools, extras, order,
    };
    pub use crate::weight::{Deep, Shallow, Unweighed, Weighed, Weigher, Weighs};
    pub use crate::{__declare as declare, __weigher as weigher};
    #[cfg(all(feature = "static-registry", not(any(target_os = "linux", target_os = "android"))))]
    pub use inventory;
}

/// What can be read of a record of a curve, written anew. For fuzzing.
#[cfg(feature = "tiers")]
#[doc(hidden)]
#[must_use]
pub fn __curve(record: &[u8]) -> Option<Vec<u8>> {
    let mut reuse = curve::Reuse::new(curve::NO_DEADLINE, 0);
    if reuse.resume(record) { reuse.record() } else { None }
}
