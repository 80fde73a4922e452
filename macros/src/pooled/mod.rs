//! `#[pooled]`: from the tokens of a type to a type with a pool.

mod args;
mod expand;
mod model;

use proc_macro2::TokenStream;
use quote::quote;

use crate::errors::Errors;
use model::{Model, Options};

/// The whole way. The type is always emitted as it was written; after mistakes in the options it gets a pool
/// without those.
pub(crate) fn pooled(args: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let options = Options::of(&args::read(args, &mut errors), &mut errors);
    let model = Model::of(&item, options, &mut errors);
    let expanded = model.map(|model| expand::expand(&model));
    quote!(#item #expanded #errors)
}
