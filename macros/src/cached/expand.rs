//! The tokens that a cached function becomes.
//!
//! Three functions: the user's, which looks into the cache and holds its body as a function of its own, so that
//! the runtime can call it again; the handle beside it; and the accessor that both use. What happens on a hit and
//! on a miss is the runtime's business.

use proc_macro2::{Delimiter, Group, Ident, Literal, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::{Attribute, FnArg, Pat, PatIdent, Signature, Token};

use super::model::{Model, Policy, Returns};
use crate::crate_path::{larder, private};
use crate::signature::{Function, place_of, turbofish, without_idle_lifetimes};

/// Everything for one function.
pub(crate) fn expand(model: &Model) -> TokenStream {
    let accessor = accessor_name(model);
    let (wrapper, handle, accessor) =
        (wrapper(model, &accessor), handle(model, &accessor), self::accessor(model, &accessor));
    quote!(#wrapper #handle #accessor)
}

/// The user's function. Its arguments keep their names and hygiene; ours are of another.
fn wrapper(model: &Model, accessor: &Ident) -> TokenStream {
    let span = Span::mixed_site();
    let p = private(span);
    let Function { attrs, vis, sig, body } = &model.function;
    // Not the user's `fn`: lints that would have the whole function written otherwise, as a `const fn`, keep away.
    let fn_token = Token![fn](span.located_at(sig.fn_token.span));
    let body_sig = Signature { fn_token, ident: Ident::new("__larder_body", span), ..sig.clone() };
    let outer_sig = outer_signature(model);
    let (query, value) = (model.query(), proof_of_value(model));
    let instance = turbofish(&sig.generics);
    let arguments = model.arguments.iter().map(|argument| &argument.ident);
    let hit = match model.returns {
        Returns::Plain { .. } => quote_spanned!(span=> value),
        Returns::Fallible { .. } => quote_spanned!(span=> #p::Fallible::from_value(value)),
    };
    let call = quote_spanned!(span=> __larder_body #instance(#(#arguments),*));
    let load = match (&model.returns, sig.asyncness) {
        (Returns::Plain { .. }, None) => quote_spanned!(span=> #p::load(cache, miss, move || #call)),
        (Returns::Fallible { .. }, None) => quote_spanned!(span=> #p::try_load(cache, miss, move || #call)),
        // Calling an `async fn` runs nothing yet: the leader's own future polls the body.
        (Returns::Plain { .. }, Some(_)) => quote_spanned!(span=> #p::load_async(cache, miss, #call).await),
        (Returns::Fallible { .. }, Some(_)) => {
            quote_spanned!(span=> #p::try_load_async(cache, miss, #call).await)
        }
    };
    let mut block = Group::new(
        Delimiter::Brace,
        quote_spanned! {span=>
            #body_sig #body
            let cache = #accessor #instance();
            let miss = match #p::probe(cache, &#query, #value) {
                ::core::result::Result::Ok(value) => return #hit,
                ::core::result::Result::Err(miss) => miss,
            };
            #load
        },
    );
    // With the user's braces the whole item is the user's: the compiler says when nobody calls it.
    block.set_span(body.span());
    quote!(#(#attrs)* #vis #outer_sig #block)
}

/// The signature with plain names in place of patterns. Attributes of arguments stay with the body, which is
/// where their lints look.
fn outer_signature(model: &Model) -> Signature {
    let mut sig = model.function.sig.clone();
    for (input, argument) in sig.inputs.iter_mut().zip(&model.arguments) {
        if let FnArg::Typed(typed) = input {
            typed.attrs.clear();
            *typed.pat = Pat::Ident(PatIdent {
                attrs: Vec::new(),
                by_ref: None,
                mutability: None,
                ident: argument.ident.clone(),
                subpat: None,
            });
        }
    }
    sig
}

/// `f_cache()`, which people call.
fn handle(model: &Model, accessor: &Ident) -> TokenStream {
    let span = Span::mixed_site();
    let Function { vis, sig, .. } = &model.function;
    let ident = format_ident!("{}_cache", model.name(), span = sig.ident.span());
    let docs = handle_docs(model);
    let attrs = shared_attributes(&model.function);
    let cache = cache_type(model);
    let generics = without_idle_lifetimes(&sig.generics);
    let (params, _, bounds) = generics.split_for_impl();
    let instance = turbofish(&generics);
    quote_spanned! {span=>
        #(#[doc = #docs])*
        #(#attrs)*
        #[allow(dead_code, unreachable_pub, reason = "not every cache is looked into by hand")]
        #[must_use]
        #[inline]
        #vis fn #ident #params() -> &'static #cache #bounds {
            #accessor #instance()
        }
    }
}

fn handle_docs(model: &Model) -> [String; 3] {
    let sig = &model.function.sig;
    let name = model.name();
    // A raw name can't be linked to.
    let link = if sig.ident == name {
        format!(" The cache behind [`{name}()`].")
    } else {
        format!(" The cache behind `{name}`.")
    };
    let parts: Vec<String> = model.arguments.iter().map(|argument| argument.label.clone()).collect();
    let key = match &*parts {
        [one] => format!(" A key is `{one}`, without a tuple around it."),
        parts => format!(" A key is `({})`.", parts.join(", ")),
    };
    [link, String::new(), key]
}

/// Finds the cache of this instance. Its name has the function's place in it, so that it can't be mistaken for
/// the accessor of a free function of the same name; where it can't be found, the name says why.
fn accessor(model: &Model, ident: &Ident) -> TokenStream {
    let span = Span::mixed_site();
    let p = private(span);
    let attrs = shared_attributes(&model.function);
    let cache = cache_type(model);
    let generics = without_idle_lifetimes(&model.function.sig.generics);
    let (params, _, bounds) = generics.split_for_impl();
    let (descriptor, keys) = (descriptor(model), model.key_proofs());
    let value = proof_of_value(model);
    let value = match &model.options.weigh {
        Some(weigh) => quote_spanned!(span=> #value.weigh_with(#weigh)),
        None => {
            let ty = model.returns.value();
            quote_spanned!(span=> #value.weighed(#p::weigher!(#ty)))
        }
    };
    quote_spanned! {span=>
        #(#attrs)*
        #[doc(hidden)]
        #[inline]
        fn #ident #params() -> &'static #cache #bounds {
            static __DESCRIPTOR: #p::Descriptor = #descriptor;
            static __SITE: #p::Site = #p::Site::new(&__DESCRIPTOR);
            #p::submit!(__DESCRIPTOR);
            __SITE.cache(#keys, #value, || ())
        }
    }
}

fn accessor_name(model: &Model) -> Ident {
    let ident = &model.function.sig.ident;
    format_ident!(
        "__larder_free_functions_only__{}_{}",
        model.name(),
        place_of(ident),
        span = Span::mixed_site()
    )
}

fn descriptor(model: &Model) -> TokenStream {
    let span = Span::mixed_site();
    let p = private(span);
    let ident = &model.function.sig.ident;
    let options = &model.options;
    let name = match &options.name {
        Some(name) => name.to_token_stream(),
        None => {
            let name = model.name();
            quote_spanned!(span=> ::core::concat!(::core::module_path!(), "::", #name))
        }
    };
    // At the function's own place, and not at the attribute's.
    let line = quote_spanned!(ident.span()=> ::core::line!());
    let policy = match options.policy {
        Policy::Hybrid => quote_spanned!(span=> Hybrid),
        Policy::Lru => quote_spanned!(span=> Lru),
    };
    let max_bytes = option(options.max_bytes.map(Literal::u64_unsuffixed));
    let max_entries = option(options.max_entries.map(Literal::u64_unsuffixed));
    let min_bytes = Literal::u64_unsuffixed(options.min_bytes);
    let priority = Literal::f64_unsuffixed(options.priority.unwrap_or(1.0));
    let ttl = option(options.ttl.map(|ttl| {
        let (secs, nanos) =
            (Literal::u64_unsuffixed(ttl.as_secs()), Literal::u32_unsuffixed(ttl.subsec_nanos()));
        quote_spanned!(span=> ::core::time::Duration::new(#secs, #nanos))
    }));
    quote_spanned! {span=>
        #p::Descriptor::cached(#name, ::core::file!(), #line, #p::CachedOptions {
            policy: #p::Policy::#policy,
            max_bytes: #max_bytes,
            max_entries: #max_entries,
            min_bytes: #min_bytes,
            priority: #priority,
            ttl: #ttl,
        })
    }
}

fn option(value: Option<impl ToTokens>) -> TokenStream {
    let span = Span::mixed_site();
    match value {
        Some(value) => quote_spanned!(span=> ::core::option::Option::Some(#value)),
        None => quote_spanned!(span=> ::core::option::Option::None),
    }
}

fn cache_type(model: &Model) -> TokenStream {
    let larder = larder(Span::mixed_site());
    let (key, value) = (model.key_type(), model.returns.value());
    quote_spanned!(Span::mixed_site()=> #larder::Cache<#key, #value>)
}

/// `value::<V>()`, at the type: where a missing bound is reported.
fn proof_of_value(model: &Model) -> TokenStream {
    let value = model.returns.value();
    let at = value.clone().into_iter().next().map_or_else(Span::mixed_site, |token| token.span());
    let span = Span::mixed_site().located_at(at);
    let p = private(span);
    quote_spanned!(span=> #p::value::<#value>())
}

/// The user's attributes that hold for what stands beside the function too.
fn shared_attributes(function: &Function) -> impl Iterator<Item = &Attribute> {
    function.attributes(&["cfg", "allow"]).chain(
        function
            .attributes(&["doc"])
            .filter(|attr| attr.meta.require_list().is_ok_and(|list| list.tokens.to_string() == "hidden")),
    )
}
