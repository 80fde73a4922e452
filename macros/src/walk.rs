//! Every option with every value that makes no sense, on the wrong attribute, and under the names that other crates
//! have for it, and what is said of it, against a file that people can read.
//!
//! The file says which sentence each mistake gets; the test itself holds that each gets one of the catalogue, in which the
//! option, or what was written of it, is named. After an intended change:
//! `LARDER_UPDATE_EXPANSIONS=1 cargo test -p larder-macros`, and read the difference.

use std::fmt::Write as _;
use std::path::Path;

use proc_macro2::{TokenStream, TokenTree};
use quote::quote;

use crate::options::Vocabulary;

/// What the attribute says of an item, in its order.
fn said(expanded: TokenStream) -> Vec<String> {
    let mut said = Vec::new();
    let mut tokens = expanded.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Ident(ident) if ident == "compile_error" => {
                let text = tokens.nth(1).map(|group| group.to_string()).unwrap_or_default();
                let text = text.trim_start_matches(['{', '(', ' ']).trim_end_matches(['}', ')', ' ', ';']);
                let text: syn::LitStr = syn::parse_str(text).expect("a text");
                said.push(text.value());
            }
            TokenTree::Group(group) => said.extend(self::said(group.stream())),
            _ => {}
        }
    }
    said
}

/// What may stand behind an option's name and make no sense, whatever the option is.
const VALUES: &[&str] = &[
    "",
    " =",
    "()",
    " = [1]",
    " = true",
    " = \"\"",
    " = \"no such thing\"",
    " = 0",
    " = -1",
    " = 1.5",
    " = 1e400",
    " = 18446744073709551616",
    " = 99999999999999999999999999999999999999999",
    " = f64::NAN",
    " = -f64::INFINITY",
    " = \"0s\"",
    " = \"99999999999d\"",
    " = \"99999999999999TB\"",
    " = 5 5",
];

/// Options that make no sense beside each other.
const CACHED_TOGETHER: &[&str] = &[
    "max_mb = 1, max_bytes = 5",
    "max_bytes = 5, max_mb = 1",
    "max_mb = 1, min_mb = 2",
    "max_bytes = \"1KiB\", min_mb = 2",
    "pinned, min_mb = 2",
    "jitter = 10%",
    "jitter = 10%, tti = \"5m\"",
    "wait_at_most = \"2s\", single_flight = false",
    "detach, single_flight = false",
    "skip(a), key(b)",
    "skip(a), once",
    "key(a), once",
    "key_by = path, key(a)",
    "key_by = path, skip(a)",
    "key_by = path, once",
    "commutative(a, b), skip(a)",
    "commutative(a, b), key(a)",
    "commutative(a, b), once",
    "scope = \"thread\", within = a.caches",
    "handle = \"f\"",
    "utility = worth_of, policy = \"lru\"",
    "key_by = path, refresh",
    "within = a.caches, status",
    "within = a.caches, handle = \"g\"",
    "cache_none",
    "policy \"lru\"",
    "max_mb = 5 ttl = \"5m\"",
    "5, \"lru\"",
];

const POOLED_TOGETHER: &[&str] = &[
    "new = Self::new, try_new = Self::open",
    "trim_to = Self::trim",
    "jitter = 10%",
    "validate_on_acquire",
    "on_exhausted = fail",
    "max = 2, min_idle = 3",
    "max_idle = 2, min_idle = 3",
    "buffer, max = 5",
    "buffer, reset = Self::clear",
    "classes = [1]",
    "align = 8",
    "idle = \"1m\", idle_soft = \"2m\"",
    "max = 2, max_idle = 3",
];

fn walk(
    words: &Vocabulary,
    others: &Vocabulary,
    together: &[&str],
    expand: impl Fn(&str) -> Vec<String>,
) -> String {
    let mut table = String::new();
    let mut row = |named: Option<&str>, written: &str| {
        let said = expand(written);
        for sentence in &said {
            let quoted = named.is_none_or(|name| sentence.contains(&format!("`{name}")));
            let of_what_was_written =
                sentence.split('`').skip(1).step_by(2).any(|part| written.contains(part));
            assert!(quoted || of_what_was_written, "`{written}` is not spoken of: {sentence}");
        }
        let said = if said.is_empty() { "(nothing)".to_owned() } else { said.join("\n    ") };
        let _ = writeln!(table, "{}({written})\n    {said}", words.attribute);
    };
    for (name, example) in words.options.iter().filter(|(name, _)| !name.starts_with("__")) {
        for value in VALUES {
            row(Some(name), &format!("{name}{value}"));
        }
        row(Some(name), &format!("{example}, {example}"));
    }
    for (name, example) in others
        .options
        .iter()
        .filter(|(name, _)| !name.starts_with("__") && words.options.iter().all(|(own, _)| own != name))
    {
        row(Some(name), example);
    }
    for (theirs, _) in words.synonyms.iter().chain(words.reserved) {
        row(Some(theirs), &format!("{theirs} = 1"));
    }
    for written in together {
        row(None, written);
    }
    table
}

#[track_caller]
fn check(name: &str, on_file: &str, table: &str) {
    if std::env::var_os("LARDER_UPDATE_EXPANSIONS").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("expansions").join(name);
        std::fs::write(path, table).expect("a writable checkout");
        return;
    }
    for (now, then) in table.lines().zip(on_file.lines()) {
        assert_eq!(now, then, "something else is said; see the head of this file");
    }
    assert_eq!(table.lines().count(), on_file.lines().count());
}

#[test]
fn what_cached_says_of_every_option() {
    let item = quote!(
        async fn f(a: &str, b: &str) -> Result<u32, String> {
            Ok(1)
        }
    );
    let expand = |written: &str| match written.parse() {
        Ok(attribute) => {
            let mut said = said(crate::cached::cached(attribute, item.clone()));
            // Which features are on differs from build to build; the cases of `tests/ui` are of one each.
            said.retain(|sentence| !sentence.contains("needs a feature of larder that is off"));
            said
        }
        Err(error) => panic!("`{written}`: {error}"),
    };
    let table = walk(&crate::cached::WORDS, &crate::pooled::WORDS, CACHED_TOGETHER, expand);
    check("what_cached_says.txt", include_str!("../expansions/what_cached_says.txt"), &table);
}

#[test]
fn what_pooled_says_of_every_option() {
    let of_type = quote!(
        struct S;
    );
    let of_function = quote!(
        fn f(a: &str, b: &str) -> Pooled<String> {
            a.to_owned()
        }
    );
    let expand = |written: &str| {
        let of_functions = ["skip", "key", "assoc"].iter().any(|name| written.starts_with(name));
        let item = if of_functions { &of_function } else { &of_type };
        match written.parse() {
            Ok(attribute) => said(crate::pooled::pooled(attribute, item.clone())),
            Err(error) => panic!("`{written}`: {error}"),
        }
    };
    let table = walk(&crate::pooled::WORDS, &crate::cached::WORDS, POOLED_TOGETHER, expand);
    check("what_pooled_says.txt", include_str!("../expansions/what_pooled_says.txt"), &table);
}
