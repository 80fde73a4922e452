//! The static facts of an annotated item, and how they reach the list of everything declared.
//!
//! A descriptor says what the author wrote. What the tenant does at run time is in its report.

use std::time::Duration;

use crate::cost::Measure;
use crate::policy::Policy;

/// What kind of item a descriptor or a tenant is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub enum Kind {
    /// A cache: keys, values, a policy.
    Cache,
    /// A pool of objects to be lent.
    Pool,
    /// Memory of the user's own that is counted.
    Tracked,
}

impl Kind {
    /// `"cache"`, `"pool"` or `"tracked"`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cache => "cache",
            Self::Pool => "pool",
            Self::Tracked => "tracked",
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// The static facts of one annotated item, known at link time.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Descriptor {
    /// `crate::path::item`, or the `name = ".."` of the attribute.
    pub name: &'static str,
    /// Cache or pool.
    pub kind: Kind,
    /// Source file of the attribute, as the compiler was given it.
    pub file: &'static str,
    /// Line of the item in `file`, from 1.
    pub line: u32,
    /// Priority between tenants; 1.0 when the attribute says nothing.
    pub priority: f64,
    /// The item's own bound in bytes, if it has one.
    pub max_bytes: Option<u64>,
    /// The item's own bound in entries (caches) or objects (pools), if it has one.
    pub max_entries: Option<u64>,
    /// Bytes that other tenants may not take from it; [`u64::MAX`] when all of it is pinned.
    pub min_bytes: u64,
    /// How a cache picks victims; `None` for pools.
    pub policy: Option<Policy>,
    /// How long a cached value lives after it was written.
    pub ttl: Option<Duration>,
    /// How long a cached value lives after it was last used.
    pub tti: Option<Duration>,
    /// Which part of `ttl` is spread over the keys, 0 to 1.
    pub jitter: Option<f64>,
    /// Whether a function of the item's says how long each value lives.
    pub ttl_by: bool,
    /// Whether callers of one missing value share its computation.
    pub single_flight: bool,
    /// How long a caller waits for another's computation.
    pub wait_at_most: Option<Duration>,
    /// The device whose domain it is in, by the name that one is registered under; `None` for the process's own.
    pub domain: Option<&'static str>,
    /// What of a load is its cost.
    pub(crate) measure: Measure,
    /// The rules of a pool.
    pub(crate) pool: PooledOptions,
    /// The item belongs to a type that the macro can't name: its first call finds out the whole name.
    pub(crate) named_by_type: bool,
}

impl Descriptor {
    /// The facts of a `#[cached]` item. For generated code.
    #[doc(hidden)]
    #[must_use]
    pub const fn cached(name: &'static str, file: &'static str, line: u32, options: CachedOptions) -> Self {
        Self {
            name,
            kind: Kind::Cache,
            file,
            line,
            priority: options.priority,
            max_bytes: options.max_bytes,
            max_entries: options.max_entries,
            min_bytes: options.min_bytes,
            policy: Some(options.policy),
            ttl: options.ttl,
            tti: options.tti,
            jitter: options.jitter,
            ttl_by: options.ttl_by,
            single_flight: options.single_flight,
            wait_at_most: options.wait_at_most,
            domain: options.domain,
            measure: if options.cpu_cost { Measure::Computed } else { Measure::Elapsed },
            pool: PooledOptions::DEFAULT,
            named_by_type: options.named_by_type,
        }
    }

    /// The facts of a `#[pooled]` item. For generated code.
    #[doc(hidden)]
    #[must_use]
    pub const fn pooled(name: &'static str, file: &'static str, line: u32, options: PooledOptions) -> Self {
        Self {
            name,
            kind: Kind::Pool,
            file,
            line,
            priority: options.priority,
            max_bytes: options.max_bytes,
            max_entries: match options.max {
                Some(max) => Some(max as u64),
                None => None,
            },
            min_bytes: 0,
            policy: None,
            ttl: None,
            tti: None,
            jitter: None,
            ttl_by: false,
            single_flight: false,
            wait_at_most: None,
            domain: options.device,
            measure: Measure::Elapsed,
            pool: options,
            named_by_type: false,
        }
    }
}

/// What `#[cached(..)]` said, with the defaults filled in. For generated code.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub struct CachedOptions {
    pub policy: Policy,
    pub max_bytes: Option<u64>,
    pub max_entries: Option<u64>,
    pub min_bytes: u64,
    pub priority: f64,
    pub ttl: Option<Duration>,
    pub tti: Option<Duration>,
    pub jitter: Option<f64>,
    pub ttl_by: bool,
    pub single_flight: bool,
    pub wait_at_most: Option<Duration>,
    pub domain: Option<&'static str>,
    pub cpu_cost: bool,
    pub named_by_type: bool,
}

impl CachedOptions {
    /// What holds where the attribute says nothing: generated code names only what differs.
    pub const DEFAULT: Self = Self {
        policy: Policy::Hybrid,
        max_bytes: None,
        max_entries: None,
        min_bytes: 0,
        priority: 1.0,
        ttl: None,
        tti: None,
        jitter: None,
        ttl_by: false,
        single_flight: true,
        wait_at_most: None,
        domain: None,
        cpu_cost: false,
        named_by_type: false,
    };
}

/// What `#[pooled(..)]` said, with the defaults filled in. For generated code.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub struct PooledOptions {
    pub max: Option<usize>,
    pub max_idle: Option<usize>,
    pub min_idle: usize,
    pub max_bytes: Option<u64>,
    pub max_object_bytes: Option<u64>,
    pub priority: f64,
    pub idle: Option<Duration>,
    pub idle_soft: Option<Duration>,
    pub lifetime: Option<Duration>,
    pub jitter: Option<f64>,
    pub fifo: bool,
    pub exhausted: Exhausted,
    pub validate_on_acquire: bool,
    pub device: Option<&'static str>,
}

impl PooledOptions {
    /// What holds where the attribute says nothing: generated code names only what differs.
    pub const DEFAULT: Self = Self {
        max: None,
        max_idle: None,
        min_idle: 0,
        max_bytes: None,
        max_object_bytes: None,
        priority: 1.0,
        idle: None,
        idle_soft: None,
        lifetime: None,
        jitter: None,
        fifo: false,
        exhausted: Exhausted::Create,
        validate_on_acquire: false,
        device: None,
    };
}

/// What happens to who wants an object of a pool when all that there may be are lent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[doc(hidden)]
pub enum Exhausted {
    /// One more is made, which goes when its lease ends.
    #[default]
    Create,
    /// It waits, no longer than that.
    Wait(Option<Duration>),
    /// It is refused.
    Fail,
}

/// Makes a static [`Descriptor`] that is listed before its item's first call. For generated code.
///
/// Here statics of one section lie in a row, and the linker says where the row begins and ends: nothing runs for an item
/// when the program starts, and nothing is compiled for it but the static.
#[cfg(all(feature = "static-registry", any(target_os = "linux", target_os = "android")))]
#[doc(hidden)]
#[macro_export]
macro_rules! __declare {
    (static $name:ident: $($rest:tt)*) => {
        #[used]
        #[unsafe(link_section = "larder_items")]
        static $name: $($rest)*
    };
}

/// Here a function for each item runs when the program starts.
#[cfg(all(feature = "static-registry", not(any(target_os = "linux", target_os = "android"))))]
#[doc(hidden)]
#[macro_export]
macro_rules! __declare {
    (static $name:ident: $($rest:tt)*) => {
        static $name: $($rest)*
        $crate::__private::inventory::submit! { $crate::__private::Declared(&$name) }
    };
}

/// Without link-time registration an item is known from its first call on.
#[cfg(not(feature = "static-registry"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __declare {
    (static $name:ident: $($rest:tt)*) => {
        static $name: $($rest)*
    };
}

/// All that `__declare!` made.
#[cfg(all(feature = "static-registry", any(target_os = "linux", target_os = "android"), not(miri)))]
pub(crate) fn collected() -> Vec<&'static Descriptor> {
    // A section that nothing is in would have no beginning.
    #[used]
    #[unsafe(link_section = "larder_items")]
    static NONE: [Descriptor; 0] = [];

    #[expect(improper_ctypes, reason = "where they are is all that the linker says of them")]
    unsafe extern "C" {
        #[link_name = "__start_larder_items"]
        static START: Descriptor;
        #[link_name = "__stop_larder_items"]
        static STOP: Descriptor;
    }

    let (start, stop) = (&raw const START, &raw const STOP);
    // SAFETY: the section consists of `Descriptor`s, each a multiple of its alignment in size, so that there is nothing
    // between them; they are statics, and never written.
    let items = unsafe {
        let len = usize::try_from(stop.offset_from(start)).unwrap_or(0);
        std::slice::from_raw_parts(start, len)
    };
    items.iter().collect()
}

/// All that `__declare!` made.
#[cfg(all(feature = "static-registry", not(any(target_os = "linux", target_os = "android"))))]
pub(crate) fn collected() -> Vec<&'static Descriptor> {
    inventory::iter::<Declared>.into_iter().map(|declared| declared.0).collect()
}

/// Nothing is known before its first call.
#[cfg(any(not(feature = "static-registry"), all(miri, any(target_os = "linux", target_os = "android"))))]
pub(crate) fn collected() -> Vec<&'static Descriptor> {
    Vec::new()
}

/// What registration with functions collects: a pointer to each item's static facts.
#[cfg(all(feature = "static-registry", not(any(target_os = "linux", target_os = "android"))))]
#[doc(hidden)]
#[derive(Debug)]
pub struct Declared(pub &'static Descriptor);

#[cfg(all(feature = "static-registry", not(any(target_os = "linux", target_os = "android"))))]
inventory::collect!(Declared);
