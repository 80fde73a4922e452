//! The words of `#[cached(..)]`. Their meaning is in the model.

use proc_macro2::TokenStream;

use crate::errors::Errors;
use crate::options::{self, Vocabulary, Written};

/// Reads the options as they were written.
pub(crate) fn read(tokens: TokenStream, errors: &mut Errors) -> Vec<Written> {
    options::read(tokens, &WORDS, errors)
}

const WORDS: Vocabulary = Vocabulary {
    attribute: "cached",
    options: &[
        ("policy", "policy = \"hybrid\""),
        ("max_mb", "max_mb = 64"),
        ("max_bytes", "max_bytes = \"512KiB\""),
        ("max_entries", "max_entries = 10_000"),
        ("min_mb", "min_mb = 2"),
        ("priority", "priority = 2.0"),
        ("ttl", "ttl = \"5m\""),
        ("tti", "tti = \"5m\""),
        ("ttl_by", "ttl_by = time_of"),
        ("utility", "utility = worth_of"),
        ("jitter", "jitter = 10%"),
        ("single_flight", "single_flight = false"),
        ("wait_at_most", "wait_at_most = \"2s\""),
        ("detach", "detach"),
        ("weigh", "weigh = larder::weigh::shallow"),
        ("name", "name = \"thumbnails\""),
    ],
    flags: &["detach"],
    reserved: &[
        ("skip", TAKE_LESS),
        ("key", TAKE_LESS),
        ("key_by", TAKE_LESS),
        ("commutative", "put the arguments in order before the call, so that both orders are one key"),
        ("scope", ONE_FOR_ALL),
        ("within", ONE_FOR_ALL),
        ("once", "a function without arguments has one value anyway"),
        (
            "domain",
            "caches of functions share the global budget; `Cache::builder(..).build_in(&domain)` makes others",
        ),
        ("namespace", "give the whole name with `name`"),
        ("pinned", "keep entries longer with `min_mb` or a high `priority`"),
        ("cost", MEASURED),
        ("stale_for", ONE_TTL),
        ("stale_if_error", ONE_TTL),
        ("refresh_after", ONE_TTL),
        ("refresh", "call `invalidate` on the function's `_cache()` handle"),
        ("cache_if", NOT_GOOD),
        ("cache_err", "return a type of your own instead of `Result` to keep failures too"),
        ("cache_none", "return a type of your own instead of `Option` to keep `None` too"),
        ("force_if", "call `invalidate` on the function's `_cache()` handle first"),
        ("on_remove", "give the value's type a `Drop`, which runs when the last clone goes"),
        ("handle", "the handle is the function's name with `_cache` behind it"),
        ("crate", "name the dependency `larder` in Cargo.toml"),
        ("tags", BY_KEY),
        ("depends_on", BY_KEY),
        ("tiers", IN_MEMORY),
        ("warm", IN_MEMORY),
        ("cold", IN_MEMORY),
        ("disk", IN_MEMORY),
        ("remote", IN_MEMORY),
        ("codec", IN_MEMORY),
        ("compress", IN_MEMORY),
        ("shards", "the number of shards follows from the machine"),
    ],
    synonyms: &[
        ("size", "max_entries"),
        ("max_size", "max_entries"),
        ("limit", "max_entries"),
        ("capacity", "max_entries"),
        ("max_capacity", "max_entries"),
        ("entries", "max_entries"),
        ("max_memory", "max_mb"),
        ("memory", "max_mb"),
        ("mb", "max_mb"),
        ("bytes", "max_bytes"),
        ("min_bytes", "min_mb"),
        ("time", "ttl"),
        ("ttl_secs", "ttl"),
        ("ttl_millis", "ttl"),
        ("expire", "ttl"),
        ("expires", "ttl"),
        ("time_to_live", "ttl"),
        ("time_to_idle", "tti"),
        ("idle", "tti"),
        ("sync_writes", "single_flight"),
        ("weight", "weigh"),
        ("weigher", "weigh"),
        ("eviction", "policy"),
        ("strategy", "policy"),
        ("label", "name"),
    ],
};

const TAKE_LESS: &str = "let a smaller function take exactly what the result depends on, and cache that";
const ONE_FOR_ALL: &str =
    "one cache serves the whole process; for others, keep a `larder::Cache` where they belong";
const MEASURED: &str = "what a miss costs is measured; `Cache::builder(..).cost(..)` takes a formula";
const ONE_TTL: &str = "an expired value is computed again, by the caller that finds it so";
const NOT_GOOD: &str = "return a `Result` or an `Option`: only `Ok` and `Some` are stored";
const BY_KEY: &str = "`invalidate` and `clear` on the function's `_cache()` handle remove what is outdated";
const IN_MEMORY: &str = "values stay in memory, within the budget";
