//! The list of `tiers(..)`: what is below the values, from the top.
//!
//! A tier is the name of what makes its bytes fewer, in quotes, or that name with options of its own in parentheses.

use std::time::Duration;

use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use quote::quote;
use syn::LitStr;
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::{Token, parse::Parse, parse::ParseStream};

use super::disk::{self, Disk};
use crate::errors::{Errors, Mistake, show};
use crate::options::{self, Vocabulary, Written};
use crate::spelling::nearest;

/// The tiers of a cache.
pub(crate) struct Tiers {
    /// The one in memory.
    pub(crate) warm: Option<Warm>,
    /// The one below it, which outlives the process.
    pub(crate) disk: Option<Disk>,
}

/// A tier in memory.
pub(crate) struct Warm {
    pub(crate) packing: Packing,
    /// Where it was written.
    pub(crate) span: Span,
    pub(crate) max_bytes: Option<u64>,
    pub(crate) ttl: Option<Duration>,
    /// Bytes of a piece.
    pub(crate) chunk: Option<u64>,
    /// As written.
    pub(crate) level: Option<i32>,
}

/// What makes bytes fewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packing {
    Plain,
    Lz4,
    Zstd,
}

/// What a tier can be called, and the feature that it needs. Tests of what is said say the same with all of them.
const PACKINGS: &[(&str, Packing, &str, bool)] = &[
    ("plain", Packing::Plain, "tiers", cfg!(any(feature = "tiers", test))),
    ("lz4", Packing::Lz4, "lz4", cfg!(any(feature = "lz4", test))),
    ("zstd", Packing::Zstd, "zstd", cfg!(any(feature = "zstd", test))),
];

/// What the tier that outlives the process is called, and its feature.
const DISK: &str = "disk";

const WORDS: Vocabulary = Vocabulary {
    attribute: "cached(tiers(..))",
    options: &[
        ("max_mb", "max_mb = 64"),
        ("ttl", "ttl = \"5m\""),
        ("chunk", "chunk = \"256KiB\""),
        ("level", "level = 3"),
    ],
    flags: &[],
    lists: &[],
    reserved: &[],
    synonyms: &[("max_bytes", "max_mb"), ("capacity", "max_mb"), ("time_to_live", "ttl")],
};

/// One item of the list.
struct Item {
    name: String,
    /// The tokens of the name.
    at: TokenTree,
    options: Option<TokenStream>,
}

impl Parse for Item {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        if input.peek(LitStr) {
            let text: LitStr = input.parse()?;
            return Ok(Self { name: text.value(), at: TokenTree::Literal(text.token()), options: None });
        }
        let name: Ident = input.parse()?;
        let options: Option<Group> = if input.peek(syn::token::Paren) { Some(input.parse()?) } else { None };
        let options = options.map(|group| group.stream());
        Ok(Self { name: name.to_string(), at: TokenTree::Ident(name), options })
    }
}

/// What the list says; `None` where it says nothing that can be.
pub(crate) fn of(option: &Written, errors: &mut Errors) -> Option<Tiers> {
    let items = Punctuated::<Item, Token![,]>::parse_terminated.parse2(option.list.clone());
    let items = match items {
        Ok(items) => items,
        Err(error) => {
            errors.at(error.span(), &Mistake::NotATier {});
            return None;
        }
    };
    let (mut warm, mut disk) = (None, None);
    for item in &items {
        if disk.is_some() {
            errors.over(&item.at, &Mistake::BelowDisk { tier: item.name.clone() });
            return None;
        }
        if item.name == DISK {
            disk = Some(read_disk(item, errors)?);
            continue;
        }
        let tier = read(item, errors)?;
        if warm.is_some() {
            errors.over(&item.at, &Mistake::TwoTiers { tier: item.name.clone() });
            return None;
        }
        warm = Some(tier);
    }
    if items.is_empty() {
        errors.at(option.name.span(), &Mistake::NoTiers {});
    }
    (warm.is_some() || disk.is_some()).then_some(Tiers { warm, disk })
}

fn read_disk(Item { at, options, .. }: &Item, errors: &mut Errors) -> Option<Disk> {
    if !cfg!(any(feature = "disk", test)) {
        let (option, feature) = (format!("tiers({})", show(quote!(#at))), DISK.to_owned());
        errors.over(at, &Mistake::FeatureOff { option, feature });
        return None;
    }
    let written = options.clone().map_or_else(Vec::new, |list| options::read(list, &disk::WORDS, errors));
    Some(disk::of(at.span(), &written, errors))
}

fn read(item: &Item, errors: &mut Errors) -> Option<Warm> {
    let Item { name, at, options } = item;
    let Some((_, packing, feature, enabled)) = PACKINGS.iter().find(|(known, ..)| known == name) else {
        let known = PACKINGS.iter().map(|(known, ..)| *known).chain([DISK]);
        let hint = match nearest(name, known) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => "there are \"plain\", \"lz4\" and \"zstd\" in memory, and \"disk\"".to_owned(),
        };
        errors.over(at, &Mistake::UnknownTier { tier: name.clone(), hint });
        return None;
    };
    if !enabled {
        let (option, feature) = (format!("tiers({})", show(quote!(#at))), (*feature).to_owned());
        errors.over(at, &Mistake::FeatureOff { option, feature });
        return None;
    }
    let mut warm =
        Warm { packing: *packing, span: at.span(), max_bytes: None, ttl: None, chunk: None, level: None };
    let written = options.clone().map_or_else(Vec::new, |list| options::read(list, &WORDS, errors));
    for option in &written {
        let mut meaningless = |of: &str| {
            let (option_name, tier, of) = (option.name.to_string(), name.clone(), of.to_owned());
            errors.at(option.name.span(), &Mistake::TierOption { option: option_name, tier, instead: of });
        };
        match (option.name.to_string().as_str(), packing) {
            ("max_mb", _) => warm.max_bytes = option.megabytes(errors),
            ("ttl", _) => warm.ttl = option.duration(errors),
            ("chunk", Packing::Plain) => meaningless("only what is compressed goes in pieces"),
            ("chunk", _) => warm.chunk = option.bytes(errors),
            ("level", Packing::Zstd) => warm.level = option.level(errors),
            ("level", Packing::Lz4) => meaningless("it has one, and \"zstd\" has several"),
            ("level", Packing::Plain) => meaningless("nothing is compressed there"),
            // Nothing else comes out of the vocabulary.
            _ => {}
        }
    }
    Some(warm)
}
