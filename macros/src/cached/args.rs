//! The words of `#[cached(..)]`. Their meaning is in the model.

use proc_macro2::TokenStream;

use crate::errors::Errors;
use crate::options::{self, Vocabulary, Written};

/// Reads the options as they were written.
pub(crate) fn read(tokens: TokenStream, errors: &mut Errors) -> Vec<Written> {
    options::read(tokens, &WORDS, errors)
}

/// What we write ourselves: arguments that a `#[cfg]` took away, and that lists may go on naming.
pub(crate) const ABSENT: &str = "__absent";

pub(crate) const WORDS: Vocabulary = Vocabulary {
    attribute: "cached",
    options: &[
        ("policy", "policy = \"hybrid\""),
        ("max_mb", "max_mb = 64"),
        ("max_bytes", "max_bytes = \"512KiB\""),
        ("max_entries", "max_entries = 10_000"),
        ("min_mb", "min_mb = 2"),
        ("pinned", "pinned"),
        ("priority", "priority = 2.0"),
        ("ttl", "ttl = \"5m\""),
        ("tti", "tti = \"5m\""),
        ("ttl_by", "ttl_by = time_of"),
        ("jitter", "jitter = 10%"),
        ("skip", "skip(progress)"),
        ("key", "key(id, name.trim(): &str)"),
        ("key_by", "key_by = fingerprint: u64"),
        ("commutative", "commutative(a, b)"),
        ("once", "once"),
        ("within", "within = self.caches"),
        ("scope", "scope = \"thread\""),
        ("domain", "domain = \"gpu:0\""),
        ("cache_if", "cache_if = is_complete"),
        ("cache_err", "cache_err"),
        ("cache_none", "cache_none"),
        ("force_if", "force_if = reload"),
        ("cost", "cost = \"20ms\""),
        ("utility", "utility = worth_of"),
        ("weigh", "weigh = larder::weigh::shallow"),
        ("single_flight", "single_flight = false"),
        ("wait_at_most", "wait_at_most = \"2s\""),
        ("detach", "detach"),
        ("on_remove", "on_remove = was_removed"),
        ("tiers", "tiers(\"lz4\")"),
        ("name", "name = \"thumbnails\""),
        ("namespace", "namespace = \"billing\""),
        ("handle", "handle = \"pages\""),
        ("uncached", "uncached"),
        ("refresh", "refresh"),
        ("status", "status"),
        ("assoc", "assoc"),
        ("crate", "crate = path::to::larder"),
        (ABSENT, "__absent(progress)"),
    ],
    flags: &[
        "detach",
        "pinned",
        "once",
        "cache_err",
        "cache_none",
        "handle",
        "uncached",
        "refresh",
        "status",
        "assoc",
    ],
    lists: &["skip", "key", "commutative", "tiers", ABSENT],
    reserved: &[
        ("stale_for", ONE_TTL),
        ("stale_if_error", ONE_TTL),
        ("refresh_after", ONE_TTL),
        ("tags", BY_KEY),
        ("depends_on", BY_KEY),
        ("remote", IN_MEMORY),
        ("redis", IN_MEMORY),
        ("shards", "the number of shards follows from the machine"),
    ],
    synonyms: &[
        ("max", "max_entries"),
        ("size", "max_entries"),
        ("max_size", "max_entries"),
        ("limit", "max_entries"),
        ("capacity", "max_entries"),
        ("Capacity", "max_entries"),
        ("max_capacity", "max_entries"),
        ("entries", "max_entries"),
        ("maxsize", "max_entries"),
        ("initial_capacity", "tables grow by themselves: leave it out"),
        ("max_memory", "max_bytes"),
        ("memory", "max_mb"),
        ("mb", "max_mb"),
        ("bytes", "max_bytes"),
        ("min_bytes", "min_mb"),
        ("time", IN_SECONDS),
        ("ttl_secs", IN_SECONDS),
        ("ttl_seconds", IN_SECONDS),
        ("ttl_millis", "write it with its unit, as in `ttl = \"250ms\"`"),
        ("TimeToLive", IN_SECONDS),
        ("expire", "ttl"),
        ("expires", "ttl_by"),
        ("time_to_live", "ttl"),
        ("time_to_idle", "tti"),
        ("time_refresh", "tti"),
        ("idle", "tti"),
        ("max_age", "ttl"),
        ("expire_after", "ttl"),
        (
            "timeout",
            "`ttl` says how long a value lives, `wait_at_most` how long a caller waits for another's",
        ),
        ("convert", "key"),
        ("Ignore", "skip"),
        ("ignore", "skip"),
        ("force_refresh", "force_if"),
        ("with_cached_flag", "status"),
        (
            "in_impl",
            "methods need no option: leave it out; `skip(self)` leaves `self` out of the key, as it did",
        ),
        (
            "sync_writes",
            "callers wait for those of the same key, unless `single_flight = false` is given: leave it out",
        ),
        ("weight", "weigh"),
        ("weigher", "weigh"),
        ("eviction", "policy"),
        ("eviction_policy", "policy"),
        ("lru", "write `policy = \"lru\"`"),
        ("frequency_weight", TUNED),
        ("window_ratio", TUNED),
        ("sketch_width", TUNED),
        ("sketch_depth", TUNED),
        ("decay_interval", TUNED),
        (
            "enabled",
            "`larder::set_bypass` turns all caches off, and `force_if` runs the body for some arguments",
        ),
        ("thread_local", "write `scope = \"thread\"`"),
        ("strategy", "policy"),
        ("label", "name"),
        ("prefix", "namespace"),
        ("device", "domain"),
        ("gpu", "domain"),
        ("companions", "handle"),
        ("condition", "cache_if"),
        ("listener", "on_remove"),
        ("on_evict", "on_remove"),
        ("eviction_listener", "on_remove"),
        ("result", "an error is not kept, unless by `cache_err`: leave it out"),
        ("option", "a `None` is not kept, unless by `cache_none`: leave it out"),
        ("result_fallback", NO_FALLBACK),
        ("unbound", "what has no bound of its own is bounded by the budget: leave it out"),
        ("sync_lock", NO_LOCK),
        ("unsync_reads", NO_LOCK),
        ("sync_writes_buckets", "callers wait for those of the same key only: leave it out"),
        ("ty", OWN_TYPE),
        ("create", OWN_TYPE),
        ("companions_vis", "the handle is as visible as the function: leave it out"),
        ("warm", TIERS),
        ("cold", ON_DISK),
        ("disk", ON_DISK),
        ("codec", TIERS),
        ("compress", TIERS),
        ("disk_dir", ON_DISK),
        ("durable", ON_DISK),
        ("map_error", "a tier that fails is a miss, and nobody's error: leave it out"),
        ("cache_prefix_block", IN_MEMORY),
        ("key_prefix", IN_MEMORY),
        ("SharedCache", "all threads share one unless `scope = \"thread\"` is given: leave it out"),
        ("CustomHasher", OWN_HASHER),
        ("HasherInit", OWN_HASHER),
        ("hasher", OWN_HASHER),
        (
            "invalidate_on",
            "`force_if` says of arguments when to compute again, `ttl_by` how long a value lives",
        ),
        ("events", BY_KEY),
        ("dependencies", BY_KEY),
    ],
};

const TUNED: &str = "policies follow what is asked of them by themselves: leave it out";
const NO_FALLBACK: &str = "an error is returned as it is; for what was kept before, `larder::coming_from::cached` shows what `refresh` and the handle do";
const IN_SECONDS: &str = "write it with its unit, as in `ttl = \"60s\"`";
const NO_LOCK: &str = "a hit takes no lock: leave it out";
const OWN_TYPE: &str = "say `policy = \"lru\"` and the like, or build the cache by `larder::Cache::builder`";

const ONE_TTL: &str = "an expired value is computed again by who finds it; for an older one meanwhile, `larder::coming_from::cached` shows what `refresh` and the handle do";
const BY_KEY: &str = "`invalidate`, `invalidate_if` and `clear` on the function's `_cache()` handle remove what is outdated, `larder::namespace(..).clear()` all of a namespace";
const TIERS: &str = "`tiers(\"lz4\")` keeps what is evicted, compressed";
const ON_DISK: &str = "`tiers(disk(path = \"/var/cache/app\"))` has a tier on disk";
const IN_MEMORY: &str = "values stay on this machine, within the budget";
const OWN_HASHER: &str = "keys are hashed with a seed of the process's own: leave it out";
