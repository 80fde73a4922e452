//! The words of `#[pooled(..)]`. Their meaning is in the model.

use proc_macro2::TokenStream;

use crate::errors::Errors;
use crate::options::{self, Vocabulary, Written};

/// Reads the options as they were written.
pub(crate) fn read(tokens: TokenStream, errors: &mut Errors) -> Vec<Written> {
    options::read(tokens, &WORDS, errors)
}

const WORDS: Vocabulary = Vocabulary {
    attribute: "pooled",
    options: &[
        ("max", "max = 64"),
        ("max_mb", "max_mb = 16"),
        ("priority", "priority = 0.5"),
        ("reset", "reset = Self::clear"),
        ("new", "new = Self::new"),
        ("skip", "skip(config)"),
        ("key", "key(dsn, options.tls: bool)"),
        ("name", "name = \"parsers\""),
        ("crate", "crate = path::to::larder"),
    ],
    flags: &[],
    lists: &["skip", "key"],
    reserved: &[
        ("acquire", "objects are taken with `acquire()`"),
        ("weigh", "derive `larder::Weigh` for the struct"),
        ("min_mb", "keep objects longer with a high `priority`"),
        ("max_bytes", "use `max_mb`, which takes fractions"),
        ("max_idle", KEPT),
        ("ttl", KEPT),
        ("tti", KEPT),
        ("validate", "return `false` from `reset` to drop a broken object"),
        ("wait_at_most", "`acquire()` waits while all objects are lent"),
        ("on_remove", "give the type a `Drop`, which runs when an object goes"),
        ("shards", "the number of shards follows from the machine"),
        ("scope", ONE_FOR_ALL),
        ("domain", ONE_FOR_ALL),
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
    ],
};

const KEPT: &str = "idle objects stay until their bytes are worth more elsewhere";
const ONE_FOR_ALL: &str = "one pool serves the whole process, under the global budget";
