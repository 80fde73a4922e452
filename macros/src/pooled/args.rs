//! The words of `#[pooled(..)]`. Their meaning is in the model.

use proc_macro2::TokenStream;

use crate::errors::Errors;
use crate::options::{self, Vocabulary, Written};

/// Reads the options as they were written.
pub(crate) fn read(tokens: TokenStream, errors: &mut Errors) -> Vec<Written> {
    options::read(tokens, &WORDS, errors)
}

pub(crate) const WORDS: Vocabulary = Vocabulary {
    attribute: "pooled",
    options: &[
        ("max", "max = 64"),
        ("max_idle", "max_idle = 16"),
        ("min_idle", "min_idle = 4"),
        ("max_mb", "max_mb = 16"),
        ("max_kb", "max_kb = 256"),
        ("trim_to", "trim_to = Self::shrink_to"),
        ("priority", "priority = 0.5"),
        ("reset", "reset = Self::clear"),
        ("validate", "validate = Self::is_fit"),
        ("validate_on_acquire", "validate_on_acquire = true"),
        ("new", "new = Self::new"),
        ("try_new", "try_new = Self::open"),
        ("idle", "idle = \"10m\""),
        ("idle_soft", "idle_soft = \"1m\""),
        ("lifetime", "lifetime = \"1h\""),
        ("jitter", "jitter = 0.1"),
        ("order", "order = \"fifo\""),
        ("on_exhausted", "on_exhausted = wait(\"50ms\")"),
        ("weigh", "weigh = Self::bytes"),
        ("scope", "scope = \"thread\""),
        ("buffer", "buffer"),
        ("classes", "classes = [4096, 65536]"),
        ("align", "align = 4096"),
        ("gpu", "gpu = \"wgpu\""),
        ("device", "device = \"gpu:0\""),
        ("usage", "usage = \"STORAGE | COPY_DST\""),
        ("skip", "skip(config)"),
        ("key", "key(dsn, options.tls: bool)"),
        ("name", "name = \"parsers\""),
        ("assoc", "assoc"),
        ("crate", "crate = path::to::larder"),
    ],
    flags: &["assoc", "validate_on_acquire", "buffer", "gpu"],
    lists: &["skip", "key"],
    reserved: &[
        ("acquire", "objects are taken with `acquire()`"),
        ("min_mb", "keep objects longer with a high `priority`"),
        ("max_bytes", "use `max_mb`, which takes fractions"),
        ("wait_at_most", "write `on_exhausted = wait(\"50ms\")`"),
        ("on_remove", "give the type a `Drop`, which runs when an object goes"),
        ("shards", "the number of shards follows from the machine"),
        (
            "domain",
            "a pool of a GPU's buffers says `gpu, device = \"gpu:0\"`; all others are under the global budget",
        ),
        ("within", ONE_FOR_ALL),
        ("namespace", "give the whole name with `name`"),
    ],
    synonyms: &[
        ("size", "max"),
        ("max_size", "max"),
        ("capacity", "max"),
        ("limit", "max"),
        ("max_entries", "max"),
        ("max_memory", "max_mb"),
        ("clear", "reset"),
        ("recycle", "reset"),
        ("create", "new"),
        ("make", "new"),
        ("init", "new"),
        ("default", "new"),
        ("prefill", "min_idle"),
        ("min", "min_idle"),
        ("min_size", "min_idle"),
        ("check", "validate"),
        ("is_valid", "validate"),
        ("test_on_borrow", "validate_on_acquire"),
        ("test_on_check_out", "validate_on_acquire"),
        ("ttl", "lifetime"),
        ("max_lifetime", "lifetime"),
        ("max_age", "lifetime"),
        ("tti", "idle"),
        ("idle_timeout", "idle"),
        ("timeout", "on_exhausted"),
        ("max_wait", "on_exhausted"),
        ("bytes", "weigh"),
        ("backend", "gpu"),
        ("cuda", "gpu"),
        ("wgpu", "gpu"),
    ],
};

const ONE_FOR_ALL: &str = "one pool serves the whole process, under the global budget";
