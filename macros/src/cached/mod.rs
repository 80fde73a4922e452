//! `#[cached]`: from the tokens of a function to a function that remembers.

mod args;
mod disk;
pub(crate) mod expand;
pub(crate) mod key;
pub(crate) mod model;
mod part;
pub(crate) mod settings;
mod tiers;

pub(crate) use args::WORDS;

use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::{FnArg, Pat};

use crate::crate_path;
use crate::errors::{Errors, Mistake};
use crate::options::crate_path_of;
use crate::signature::{self, Function};
use model::Model;
use settings::Options;

/// The whole way. After mistakes in the options the function is cached without those; after mistakes in the
/// function it stays as it was written. Either way whoever calls it finds it, and sees our errors only.
pub(crate) fn cached(args: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let mut function = match syn::parse2::<Function>(item.clone()) {
        Ok(function) => function,
        Err(error) => {
            not_a_function(&item, error, &mut errors);
            return quote!(#item #errors);
        }
    };
    keep_one(&mut function, &mut errors);
    let written = args::read(args.clone(), &mut errors);
    let path = crate_path_of(&written, &mut errors);
    crate_path::renamed(path.as_ref(), || {
        if let Some((with, without, condition)) = function.split_by_cfg() {
            let larder = crate_path::larder(Span::mixed_site());
            let fewer = without_argument(&args, &with, &without);
            return quote! {
                #[cfg(#condition)] #[#larder::cached(#args)] #with
                #[cfg(not(#condition))] #[#larder::cached(#fewer)] #without
            };
        }
        let options = Options::of(&written, &mut errors);
        let uncached = function.to_token_stream();
        match Model::of(function, options, &mut errors) {
            Some(model) => {
                let expanded = crate_path::located(model.place(), || expand::expand(&model));
                quote!(#expanded #errors)
            }
            None => quote!(#uncached #errors),
        }
    })
}

/// Takes away what would cache the function once more.
fn keep_one(function: &mut Function, errors: &mut Errors) {
    let name = function.sig.ident.unraw().to_string();
    function.attrs.retain(|attr| {
        let again = attr.path().segments.last().is_some_and(|segment| segment.ident == "cached");
        if again {
            errors.over(attr.path(), &Mistake::CachedTwice { name: name.clone() });
        }
        !again
    });
}

/// The options for the function without the argument that it has one of less: lists may name it all the same.
fn without_argument(args: &TokenStream, with: &Function, without: &Function) -> TokenStream {
    let names = |function: &Function| -> Vec<Ident> {
        let inputs = function.sig.inputs.iter();
        let name = |input: &FnArg| match input {
            FnArg::Typed(typed) => match &*typed.pat {
                Pat::Ident(pat) => Some(pat.ident.clone()),
                _ => None,
            },
            FnArg::Receiver(_) => None,
        };
        inputs.filter_map(name).collect()
    };
    let rest = names(without);
    let Some(gone) = names(with).into_iter().find(|name| !rest.contains(name)) else { return args.clone() };
    let ends = |token: TokenTree| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ',');
    let comma = args.clone().into_iter().last().is_some_and(|last| !ends(last)).then(|| quote!(,));
    let absent = Ident::new(args::ABSENT, Span::mixed_site());
    // Once for each: the next one is in the same list.
    match args.clone().into_iter().any(|token| matches!(&token, TokenTree::Ident(ident) if *ident == absent))
    {
        true => add_to_last_list(args, &gone),
        false => quote!(#args #comma #absent(#gone)),
    }
}

/// Our own list is the last option.
fn add_to_last_list(args: &TokenStream, name: &Ident) -> TokenStream {
    let mut tokens: Vec<TokenTree> = args.clone().into_iter().collect();
    if let Some(TokenTree::Group(group)) = tokens.last() {
        let inside = group.stream();
        let longer = Group::new(group.delimiter(), quote!(#inside, #name));
        tokens.pop();
        tokens.push(TokenTree::Group(longer));
    }
    tokens.into_iter().collect()
}

fn not_a_function(item: &TokenStream, error: syn::Error, errors: &mut Errors) {
    let Some(found) = signature::kind_of(item.clone()) else { return errors.syntax(error) };
    let instead = match found {
        "a struct" | "an enum" => "for objects that are used again there is `#[pooled]`",
        "an `impl` block" => "put it on the methods in it",
        "a function without a body" => {
            "put it on a function with a body; in a trait, on those of its `impl`s"
        }
        "a module" => "put it on the functions in it",
        "a `let`" | "a closure" => "write a function, which may stand inside another one",
        "a constant" | "a static" => "write a function that returns the value",
        _ => "put it on the function whose results are worth keeping",
    };
    errors.over(item, &Mistake::CachedOnItem { found: found.to_owned(), instead: instead.to_owned() });
}
