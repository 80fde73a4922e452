//! The tokens that stand beside a pooled type: `acquire()` and `pool()`.

use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::parse_quote_spanned;
use syn::spanned::Spanned;

use super::model::{Model, Options};
use crate::crate_path::{larder, private};

/// The impl block.
pub(crate) fn expand(model: &Model) -> TokenStream {
    let span = Span::mixed_site();
    let (larder, p) = (larder(span), private(span));
    let Model { vis, ident, generics, options } = model;
    let at_type = span.located_at(ident.span());
    let proof = {
        let p = private(at_type);
        quote_spanned!(at_type=> #p::poolable::<Self>())
    };
    let mut generics = generics.clone();
    if !generics.params.is_empty() {
        // Only the user of the type knows whether this instance can be pooled.
        let bounds = &mut generics.make_where_clause().predicates;
        bounds.push(parse_quote_spanned!(at_type=> Self: #p::Poolable));
        if options.new.is_none() {
            bounds.push(parse_quote_spanned!(at_type=> Self: #p::DefaultMake));
        }
    }
    let (params, arguments, bounds) = generics.split_for_impl();
    let (descriptor, make, reset) =
        (descriptor(ident, options), make(model, at_type), reset(options, &quote!(Self)));
    let docs = format!(" The pool that [`acquire`](Self::acquire) takes a `{ident}` from.");
    let acquire_docs =
        format!(" Takes a `{ident}` from its pool, or makes one; it goes back when the lease is dropped.");
    quote_spanned! {span=>
        impl #params #ident #arguments #bounds {
            #[doc = #acquire_docs]
            #[allow(dead_code, unreachable_pub, reason = "a pool may be used through `pool()` only")]
            #[must_use]
            #vis fn acquire() -> #larder::Pooled<Self> {
                Self::pool().acquire()
            }

            #[doc = #docs]
            #[allow(dead_code, unreachable_pub, reason = "not every pool is looked into by hand")]
            #[must_use]
            #vis fn pool() -> &'static #larder::Pool<Self> {
                static __DESCRIPTOR: #p::Descriptor = #descriptor;
                static __SITE: #p::Site = #p::Site::new(&__DESCRIPTOR);
                #p::submit!(__DESCRIPTOR);
                let recipe = || #p::Recipe::<Self> { make: #make, reset: #reset };
                __SITE.pool(#proof.weighed(#p::weigher!(Self)), recipe, || ())
            }
        }
    }
}

/// The static facts of an item of this name.
pub(super) fn descriptor(ident: &Ident, options: &Options) -> TokenStream {
    let span = Span::mixed_site();
    let p = private(span);
    let name = match &options.name {
        Some(name) => name.to_token_stream(),
        None => {
            let name = ident.unraw().to_string();
            quote_spanned!(span=> ::core::concat!(::core::module_path!(), "::", #name))
        }
    };
    // At the type's own place, and not at the attribute's.
    let line = quote_spanned!(ident.span()=> ::core::line!());
    let bound = |bound: Option<u64>| match bound.map(Literal::u64_unsuffixed) {
        Some(bound) => quote_spanned!(span=> ::core::option::Option::Some(#bound)),
        None => quote_spanned!(span=> ::core::option::Option::None),
    };
    let (max, max_bytes) = (bound(options.max), bound(options.max_bytes));
    let priority = Literal::f64_unsuffixed(options.priority.unwrap_or(1.0));
    quote_spanned! {span=>
        #p::Descriptor::pooled(#name, ::core::file!(), #line, #p::PooledOptions {
            max: #max,
            max_bytes: #max_bytes,
            priority: #priority,
        })
    }
}

fn make(model: &Model, at_type: Span) -> TokenStream {
    match &model.options.new {
        Some(new) => new.to_token_stream(),
        None => {
            let p = private(at_type);
            quote_spanned!(at_type=> #p::default_of::<Self>)
        }
    }
}

/// The user's reset with its outcome as a bool. The annotation tells a closure the type of its argument.
pub(super) fn reset(options: &Options, object: &TokenStream) -> TokenStream {
    let span = Span::mixed_site();
    let p = private(span);
    match &options.reset {
        Some(reset) => {
            let at_reset = Span::mixed_site().located_at(reset.span());
            let keep = {
                let keep = Ident::new("keep", at_reset);
                quote_spanned!(at_reset=> #p::#keep(reset(object)))
            };
            quote_spanned! {span=>
                |object| {
                    let reset: fn(&mut #object) -> _ = #reset;
                    #keep
                }
            }
        }
        None => quote!(|_| true),
    }
}
