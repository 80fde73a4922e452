//! `disk(..)` among the tiers: where it is, how much it may take, and whose its records are.

use std::time::Duration;

use proc_macro2::{Literal, Span, TokenStream};
use quote::quote_spanned;
use syn::LitStr;

use crate::crate_path::private;
use crate::errors::{Errors, Mistake};
use crate::options::{Vocabulary, Written};

/// The tier on disk.
pub(crate) struct Disk {
    /// Where it was written.
    pub(crate) span: Span,
    path: Option<LitStr>,
    env: Option<LitStr>,
    max_bytes: Option<u64>,
    ttl: Option<Duration>,
    /// As written.
    level: Option<i32>,
    version: Option<u64>,
    persist: bool,
}

pub(super) const WORDS: Vocabulary = Vocabulary {
    attribute: "cached(tiers(disk(..)))",
    options: &[
        ("path", "path = \"/var/cache/app\""),
        ("env", "env = \"APP_CACHE\""),
        ("max_mb", "max_mb = 1024"),
        ("ttl", "ttl = \"1d\""),
        ("level", "level = 3"),
        ("version", "version = 2"),
        ("persist", "persist"),
    ],
    flags: &["persist"],
    lists: &[],
    reserved: &[],
    synonyms: &[
        ("dir", "path"),
        ("directory", "path"),
        ("max_bytes", "max_mb"),
        ("capacity", "max_mb"),
        ("time_to_live", "ttl"),
    ],
};

/// What the options say.
pub(super) fn of(span: Span, written: &[Written], errors: &mut Errors) -> Disk {
    let mut disk = Disk {
        span,
        path: None,
        env: None,
        max_bytes: None,
        ttl: None,
        level: None,
        version: None,
        persist: false,
    };
    for option in written {
        match option.name.to_string().as_str() {
            "path" => disk.path = option.word("a directory in quotes", errors),
            "env" => disk.env = option.word("the name of a variable in quotes", errors),
            "max_mb" => disk.max_bytes = option.megabytes(errors),
            "ttl" => disk.ttl = option.duration(errors),
            "level" if cfg!(any(feature = "zstd", test)) => disk.level = option.level(errors),
            "level" => {
                let (option_name, feature) = ("level".to_owned(), "zstd".to_owned());
                errors.at(option.name.span(), &Mistake::FeatureOff { option: option_name, feature });
            }
            "version" => disk.version = option.count(errors),
            "persist" => disk.persist = option.switch(errors) == Some(true),
            // Nothing else comes out of the vocabulary.
            _ => {}
        }
    }
    disk
}

impl Disk {
    /// `::larder::__private::Disk::new()`, with what was said.
    pub(super) fn tokens(&self, duration: fn(Duration) -> TokenStream) -> TokenStream {
        let span = Span::mixed_site().located_at(self.span);
        let p = private(span);
        let Self { path, env, .. } = self;
        let path = path.as_ref().map(|path| quote_spanned!(span=> .or_at(#path)));
        let env = env.as_ref().map(|name| quote_spanned!(span=> .env(#name)));
        let number = Literal::u64_unsuffixed;
        let max_bytes = self.max_bytes.map(number).map(|bytes| quote_spanned!(span=> .max_bytes(#bytes)));
        let ttl = self.ttl.map(duration).map(|time| quote_spanned!(span=> .ttl(#time)));
        let level =
            self.level.map(Literal::i32_unsuffixed).map(|level| quote_spanned!(span=> .level(#level)));
        let version = self.version.map(number).map(|number| quote_spanned!(span=> .version(#number)));
        let persist = self.persist.then(|| quote_spanned!(span=> .persist()));
        quote_spanned!(span=> #p::Disk::new() #path #env #max_bytes #ttl #level #version #persist)
    }
}
