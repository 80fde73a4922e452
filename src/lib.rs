#![doc = include_str!("../README.md")]
//!
//! # Reference
//!
//! - [`macro@cached`] on a function, [`macro@pooled`] on a struct or a function that makes objects, [`derive@Weigh`] for the bytes of your types
//! - [`Cache::builder`] for a cache that is made at run time, [`Pool::builder`] for a pool;
//!   [`buffers`] for byte buffers of all sizes, [`BufferPool::builder`] for a pool of one's own
//! - `device`, with a feature of that name: pools of buffers in the memory of GPUs, each device with a limit of its own;
//!   with the features `gpu-wgpu` and `gpu-cuda` those of wgpu and CUDA; `testing::SimDevice` for tests without one
//! - [`track`], [`Tracked`], [`charge`]: memory that is no cache's, and counts all the same
//! - [`budget`], [`stats`], [`trim`], [`declared`]: the process as a whole
//! - [`namespace`]: the caches and pools of one path together, with a share of the budget
//! - [`explain()`]: who would give next, what a megabyte more would save, the last decisions with their reasons
//! - [`Budget::set_auto`]: a limit that follows what memory the rest of the process leaves; [`set_purge`]: how your allocator
//!   gives memory back
//! - [`set_executor`]: who runs the bodies of functions with the option `detach`
//! - [`Domain`]: a budget of its own, with a clock and a pressure source to choose; for tests
//! - [`testing::isolated`], [`testing::bypassed`]: a test apart from the caches of the others
//! - [`testing::audit`]: whether the weight of a type is what it really takes
//! - [`bounds`]: what the macros ask of types, for generic code
//! - [`coming_from`]: the way here from other crates
//!
//! # Features
//!
//! | feature | default | what it adds | cost |
//! |---|---|---|---|
//! | `static-registry` | yes | every annotated item is listed before its first call | nothing on Linux, elsewhere a small crate |
//! | `leak-report` | no | [`Pool::leases`]: who holds what, since when, from where | a lock for each lease and return |
//! | `serde` | no | `Serialize` for [`Snapshot`] and what it holds | serde with its derive |
//! | `tracing` | no | an event for each [`Decision`] about memory, target `larder` | tracing 0.1 with two dependencies |
//! | `device` | no | `larder::device`: pools of buffers in the memory of devices, with a driver of your own or `testing::SimDevice` | nothing but its own compiling |
//! | `gpu-wgpu` | no | `larder::wgpu`: pools of `device` with wgpu 30 | wgpu with some sixty crates; the program says which graphics interfaces |
//! | `gpu-cuda` | no | `larder::cuda`: pools of `device` with CUDA, whose driver is found when the program runs | libloading with one dependency |
//! | `tiers` | no | `Builder::tiers`: what a cache evicts goes on living below it as bytes | serde, postcard 1 with three dependencies |
//! | `lz4` | no | `tiers("lz4")`: compressed fast, for memory; brings `tiers` | lz4_flex 0.14 |
//! | `zstd` | no | `tiers("zstd")`: compressed well, slower; brings `tiers` | zstd 0.14 with the C library |
//! | `disk` | no | `tiers("disk")`, [`disk`]: a tier that survives a restart; brings `tiers` | crc32fast, rustix |
//! | `arrayvec` | no | [`trait@Weigh`] for `ArrayVec`, `ArrayString` | arrayvec 0.7 |
//! | `bytes` | no | [`trait@Weigh`] for `Bytes`, `BytesMut`; [`Buffer`] to `Bytes`, and `BufMut` for it | bytes 1 |
//! | `chrono` | no | [`trait@Weigh`] for dates, times, `DateTime` | chrono 0.4 with one dependency |
//! | `hashbrown` | no | [`trait@Weigh`] for `HashMap`, `HashSet`, `HashTable` of hashbrown 0.17 | hashbrown 0.17 |
//! | `indexmap` | no | [`trait@Weigh`] for `IndexMap`, `IndexSet` | indexmap 2 with one dependency |
//! | `serde_json` | no | [`trait@Weigh`] for `Value`, `Map`, `Number` | serde_json 1 with three dependencies |
//! | `smallvec` | no | [`trait@Weigh`] for `SmallVec` of smallvec 1 | nothing: it is here anyway |
//! | `url` | no | [`trait@Weigh`] for `Url`, `Host`, `Origin` | url 2 with about thirty crates for Unicode |
//! | `uuid` | no | [`trait@Weigh`] for `Uuid`, `NonNilUuid` | uuid 1 |
//! | `get-size2` | no | `weigh::get_size`, `weigh::get_heap_size` | get-size2 0.11 |
//! | `jemalloc` | no | weights as jemalloc rounds blocks, for programs that allocate with it | nothing |
//! | `mimalloc` | no | weights as mimalloc rounds blocks, for programs that allocate with it | nothing |
//!
//! Without `jemalloc` and `mimalloc`, and with both, weights go by glibc's rounding. The three differ by a few
//! percent for most values, and by more for many small ones.

// Generated code says `::larder`; so does the code in our own docs.
extern crate self as larder;

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;

#[cfg(feature = "gpu-cuda")]
pub use larder_cuda as cuda;
pub use larder_macros::{Weigh, cached, pooled};
#[cfg(unix)]
pub use larder_runtime::Trigger;
#[cfg(feature = "device")]
pub use larder_runtime::device;
pub use larder_runtime::{
    AcquireError, Always, Auto, Bits32, Bits64, BoxError, Budget, BudgetStats, Buffer, BufferPool,
    BufferPoolBuilder, BufferStats, BuildError, Builder, Cache, CacheKey, CacheValue, Cause, Change, Charge,
    ClassStats, Clock, CoordinatorStats, Decision, Descriptor, Domain, DomainBuilder, Entries, EntryFacts,
    Evict, Explanation, Kind, Lease, Level, Local, Lookup, MemorySample, Namespace, NamespaceStats, NoExpiry,
    Order, Policy, Pool, PoolBuilder, PoolError, Pooled, PressureSource, PressureStats, Refuses,
    RemovalCause, SettingError, SettingsError, ShareError, SharedBuffer, Shelves, Snapshot, Sometimes,
    Standing, Status, Task, TenantReport, TenantStats, TimedOut, Tracked, Tracking, Trimmed, UnknownPolicy,
    Unordered, Uses, Watermarks, WatermarksError, Weigh, budget, buffers, charge, cleanup, clear_all,
    declared, explain, flush, init, namespace, set_bypass, set_executor, set_purge, shutdown, stats, testing,
    tick, track, trim, weigh,
};
#[cfg(feature = "tiers")]
pub use larder_runtime::{
    Codec, CodecError, Cold, Compress, Envelope, IntoCold, Opened, Sealed, Store, StoreError, StoreWrite,
    TierState, TierStats, Tiers, Warm,
};
#[cfg(feature = "gpu-wgpu")]
pub use larder_wgpu as wgpu;

#[cfg(feature = "disk")]
pub use larder_disk as disk;

/// How keys and values become bytes for tiers, and how bytes become fewer.
#[cfg(feature = "tiers")]
pub mod codec {
    pub use larder_codec::*;
}

/// What the macros ask of types. Where types are known all of it holds without a word; in generic code the compiler
/// says which of these to ask for.
///
/// ```
/// use larder::bounds::ReceiverKey;
/// use larder::cached;
///
/// trait Load {
///     #[cached]
///     fn load(&self, name: &str) -> usize
///     where
///         Self: ReceiverKey,
///     {
///         name.len()
///     }
/// }
///
/// impl Load for u32 {}
///
/// assert_eq!(7.load("abc"), 3);
/// ```
pub mod bounds {
    pub use larder_runtime::bounds::*;
}

/// The way here from other caching crates: the same code before and after, and what each option and method is called.
pub mod coming_from {
    #[doc = include_str!("docs/from_cached.md")]
    pub mod cached {}

    #[doc = include_str!("docs/from_lru.md")]
    pub mod lru {}

    #[doc = include_str!("docs/from_memoize.md")]
    pub mod memoize {}

    #[doc = include_str!("docs/from_moka.md")]
    pub mod moka {}
}
