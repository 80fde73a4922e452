//! The tokens that a cached function becomes.
//!
//! Three functions: the user's, which looks into the cache and holds its body as a function of its own, so that
//! the runtime can call it again; the handle beside it; and the accessor that both use. What happens on a hit and
//! on a miss is the runtime's business.

use std::time::Duration;

use proc_macro2::{Delimiter, Group, Ident, Literal, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Attribute, ExprPath, FnArg, Pat, PatIdent, Signature, Token};

use super::model::{Argument, Model, Options, Policy, Returns};
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
    let hit = match model.returns {
        Returns::Plain { .. } => quote_spanned!(span=> value),
        Returns::Fallible { .. } => quote_spanned!(span=> #p::Fallible::from_value(value)),
    };
    let arguments = model.arguments.iter().map(|argument| &argument.ident);
    let call = quote_spanned!(span=> __larder_body #instance(#(#arguments),*));
    let load = match (&model.returns, sig.asyncness, model.options.detach) {
        (Returns::Plain { .. }, None, _) => quote_spanned!(span=> #p::load(cache, miss, move || #call)),
        (Returns::Fallible { .. }, None, _) => {
            quote_spanned!(span=> #p::try_load(cache, miss, move || #call))
        }
        // Calling an `async fn` runs nothing yet: the leader's own future polls the body, or an executor does.
        (Returns::Plain { .. }, Some(_), None) => {
            quote_spanned!(span=> #p::load_async(cache, miss, #call).await)
        }
        (Returns::Fallible { .. }, Some(_), None) => {
            quote_spanned!(span=> #p::try_load_async(cache, miss, #call).await)
        }
        (Returns::Plain { .. }, Some(_), Some(_)) => {
            let (owned, body) = detached(model, &call);
            quote_spanned!(span=> #owned #p::load_detached(cache, miss, #body).await)
        }
        (Returns::Fallible { .. }, Some(_), Some(_)) => {
            let (owned, body) = detached(model, &call);
            quote_spanned!(span=> #owned #p::try_load_detached(cache, miss, #body).await)
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

/// A body that outlives the call: what it borrowed it owns, and what makes it so.
fn detached(model: &Model, call: &TokenStream) -> (TokenStream, TokenStream) {
    let span = Span::mixed_site();
    let references: Vec<_> = model.arguments.iter().filter(|argument| argument.is_reference).collect();
    if references.is_empty() {
        return (TokenStream::new(), call.clone());
    }
    let instance = turbofish(&model.function.sig.generics);
    let names = references.iter().map(|argument| &argument.ident);
    let owned = quote_spanned!(span=> #(let #names = ::std::borrow::ToOwned::to_owned(#names);)*);
    let arguments = model.arguments.iter().map(|Argument { ident, is_reference, .. }| match is_reference {
        true => quote_spanned!(span=> &#ident),
        false => ident.to_token_stream(),
    });
    let body = quote_spanned!(span=> async move { __larder_body #instance(#(#arguments),*).await });
    (owned, body)
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
    let made = match extras(&model.options) {
        Some(extras) => quote_spanned!(span=> __SITE.cache_with(#keys, #value, #extras, || ())),
        None => quote_spanned!(span=> __SITE.cache(#keys, #value, || ())),
    };
    quote_spanned! {span=>
        #(#attrs)*
        #[doc(hidden)]
        #[inline]
        fn #ident #params() -> &'static #cache #bounds {
            static __DESCRIPTOR: #p::Descriptor = #descriptor;
            static __SITE: #p::Site = #p::Site::new(&__DESCRIPTOR);
            #p::submit!(__DESCRIPTOR);
            #made
        }
    }
}

/// The user's functions that few caches have.
fn extras(options: &Options) -> Option<TokenStream> {
    let span = Span::mixed_site();
    let p = private(span);
    let mut given = Vec::new();
    let mut give = |name: &str, function: Option<TokenStream>| {
        let name = Ident::new(name, span);
        let some = |function| quote_spanned!(span=> #name: ::core::option::Option::Some(#function));
        given.extend(function.map(some));
    };
    give("ttl_by", options.ttl_by.as_ref().map(ToTokens::to_token_stream));
    give("utility", options.utility.as_ref().map(ToTokens::to_token_stream));
    give(
        "order",
        match &options.policy {
            Policy::Own(path) => Some(order(path)),
            Policy::Default | Policy::Named(_) => None,
        },
    );
    (!given.is_empty()).then(|| quote_spanned!(span=> #p::Extras { #(#given,)* ..#p::Extras::NONE }))
}

/// Makes an order of the user's: types are spelled in capitals, functions are not.
fn order(path: &ExprPath) -> TokenStream {
    // At the path, where the compiler says what is missing.
    let span = Span::mixed_site().located_at(path.span());
    let p = private(span);
    let last = path.path.segments.last().map(|segment| segment.ident.unraw().to_string());
    let is_type = last.is_some_and(|name| name.starts_with(char::is_uppercase));
    let made = if is_type {
        quote_spanned!(span=> <#path as ::core::default::Default>::default())
    } else {
        quote_spanned!(span=> #path())
    };
    quote_spanned!(span=> || #p::order(#made))
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
    let settings = settings(options);
    quote_spanned! {span=>
        #p::Descriptor::cached(#name, ::core::file!(), #line, #settings)
    }
}

/// What the attribute says, and nothing of what it leaves at its default: less to read, and less to compile.
fn settings(options: &Options) -> TokenStream {
    let span = Span::mixed_site();
    let p = private(span);
    let mut said = Vec::new();
    let mut say = |name: &str, value: Option<TokenStream>| {
        let name = Ident::new(name, span);
        said.extend(value.map(|value| quote_spanned!(span=> #name: #value)));
    };
    let some = |value: TokenStream| quote_spanned!(span=> ::core::option::Option::Some(#value));
    let count = |count: u64| some(Literal::u64_unsuffixed(count).to_token_stream());
    let time = |time: Duration| {
        let (secs, nanos) =
            (Literal::u64_unsuffixed(time.as_secs()), Literal::u32_unsuffixed(time.subsec_nanos()));
        some(quote_spanned!(span=> ::core::time::Duration::new(#secs, #nanos)))
    };
    let number = |number: f64| Literal::f64_unsuffixed(number).to_token_stream();
    let variant = match &options.policy {
        Policy::Default => None,
        Policy::Named(variant) => Some(*variant),
        Policy::Own(_) => Some("Custom"),
    };
    let policy = variant.map(|variant| {
        let variant = Ident::new(variant, span);
        quote_spanned!(span=> #p::Policy::#variant)
    });
    say("policy", policy);
    say("max_bytes", options.max_bytes.map(count));
    say("max_entries", options.max_entries.map(count));
    let floor = Some(options.min_bytes).filter(|bytes| *bytes > 0);
    say("min_bytes", floor.map(|bytes| Literal::u64_unsuffixed(bytes).to_token_stream()));
    say("priority", options.priority.map(number));
    say("ttl", options.ttl.map(time));
    say("tti", options.tti.map(time));
    say("jitter", options.jitter.map(|part| some(number(part))));
    say("ttl_by", options.ttl_by.as_ref().map(|_| quote_spanned!(span=> true)));
    say("single_flight", options.each_alone.then(|| quote_spanned!(span=> false)));
    say("wait_at_most", options.wait_at_most.map(time));
    if said.is_empty() {
        return quote_spanned!(span=> #p::CachedOptions::DEFAULT);
    }
    // `single_flight` and `wait_at_most` exclude each other: something is always left at its default.
    quote_spanned!(span=> #p::CachedOptions { #(#said,)* ..#p::CachedOptions::DEFAULT })
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
