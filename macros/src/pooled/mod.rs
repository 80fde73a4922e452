//! `#[pooled]`: from the tokens of a type, or of a function that makes objects, to one with a pool.

mod args;
mod expand;
mod function;
mod gpu;
mod model;

pub(crate) use args::WORDS;

use proc_macro2::TokenStream;
use quote::quote;

use crate::cached::key::Wanted;
use crate::crate_path;
use crate::errors::Errors;
use crate::options::crate_path_of;
use crate::signature::Function;
use model::{Model, Options};

/// The whole way. The type is always emitted as it was written; after mistakes in the options it gets a pool
/// without those.
pub(crate) fn pooled(args: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let written = args::read(args, &mut errors);
    let path = crate_path_of(&written, &mut errors);
    crate_path::renamed(path.as_ref(), || {
        let options = Options::of(&written, &mut errors);
        if let Ok(function) = syn::parse2::<Function>(item.clone()) {
            let signature = function::without_body(&function);
            let wanted = Wanted::of(&written, &mut errors);
            return match function::Model::of(function, options, wanted, &mut errors) {
                Some(model) => {
                    let expanded = function::expand(&model);
                    quote!(#expanded #errors)
                }
                None => quote!(#signature #errors),
            };
        }
        let model = Model::of(&item, options, &written, &mut errors);
        let expanded = model.map(|model| expand::expand(&model));
        quote!(#item #expanded #errors)
    })
}
