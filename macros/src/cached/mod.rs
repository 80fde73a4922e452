//! `#[cached]`: from the tokens of a function to a function that remembers.

mod args;
mod expand;
mod model;
mod part;

use proc_macro2::TokenStream;
use quote::quote;

use crate::errors::{Errors, Mistake};
use crate::signature::{self, Function};
use model::{Model, Options};

/// The whole way. After mistakes in the options the function is cached without those; after mistakes in the
/// function it stays as it was written. Either way whoever calls it finds it, and sees our errors only.
pub(crate) fn cached(args: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let function = match syn::parse2::<Function>(item.clone()) {
        Ok(function) => function,
        Err(error) => {
            not_a_function(&item, error, &mut errors);
            return quote!(#item #errors);
        }
    };
    if let Some((with, without, condition)) = function.split_by_cfg() {
        let larder = crate::crate_path::larder(proc_macro2::Span::mixed_site());
        return quote! {
            #[cfg(#condition)] #[#larder::cached(#args)] #with
            #[cfg(not(#condition))] #[#larder::cached(#args)] #without
        };
    }
    let options = Options::of(&args::read(args, &mut errors), &mut errors);
    match Model::of(function, options, &mut errors) {
        Some(model) => {
            let expanded = expand::expand(&model);
            quote!(#expanded #errors)
        }
        None => quote!(#item #errors),
    }
}

fn not_a_function(item: &TokenStream, error: syn::Error, errors: &mut Errors) {
    let Some(found) = signature::kind_of(item.clone()) else { return errors.syntax(error) };
    let instead = match found {
        "a struct" | "an enum" => "for objects that are used again there is `#[pooled]`",
        "an `impl` block" => "put it on a free function that the methods call",
        "a function without a body" => "put it on the free function that does the work",
        "a module" => "put it on the functions in it",
        "a constant" | "a static" => "write a function that returns the value",
        _ => "put it on the function whose results are worth keeping",
    };
    errors.over(item, &Mistake::CachedOnItem { found: found.to_owned(), instead: instead.to_owned() });
}
