//! The tokens of where the cache is: the handle that people call, the accessor behind it, the statics, and what they say
//! of the function. What the function does with the cache is not here.

use std::time::Duration;

use proc_macro2::{Delimiter, Group, Ident, Literal, Span, TokenStream};
use quote::{ToTokens, format_ident, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Expr, ExprPath, Generics, Token, Visibility, WherePredicate};

use super::{Access, Plan, elsewhere, link, path_to, returns_found, shared_attributes};
use crate::cached::model::{Home, Model, Returns};
use crate::cached::settings::{Cost, Place, Policy};
use crate::cached::tiers::{Packing, Tiers, Warm};
use crate::crate_path::{here, larder, private};
use crate::signature::{Function, place_of, turbofish, without_idle_lifetimes};

/// `f_cache()`, which people call.
pub(super) fn handle(model: &Model, plan: &Plan, ident: &Ident) -> TokenStream {
    let span = here();
    let Function { vis, sig, .. } = &model.function;
    let Access::Beside(accessor) = &plan.access else { return TokenStream::new() };
    let docs = handle_docs(model);
    let attrs = shared_attributes(&model.function);
    let generics = generics(model);
    let (params, _, bounds) = generics.split_for_impl();
    let instance = turbofish(&generics);
    let path = path_to(model, accessor);
    let (own, cache) = (accessor_arguments(model), accessor_type(model));
    let call = match &model.options.place {
        Place::Within(_) => {
            let own = sig.receiver().map(|receiver| receiver.self_token);
            quote_spanned!(span=> #path #instance(#own))
        }
        Place::Global if returns_found(model) => {
            let p = private(span);
            quote_spanned!(span=> #p::Found::forever(#path #instance()))
        }
        Place::Global | Place::Thread => quote_spanned!(span=> #path #instance()),
    };
    let elsewhere = elsewhere(model, &plan.access, None);
    let at = model.options.handle_at.map_or(span, |at| span.located_at(at));
    let (fn_token, block) = (Token![fn](at), block_at(at, quote_spanned!(span=> #elsewhere #call)));
    quote_spanned! {span=>
        #(#[doc = #docs])*
        #(#attrs)*
        #[allow(dead_code, unreachable_pub, non_snake_case, reason = "not every cache is looked into by hand")]
        #[must_use]
        #[inline]
        #vis #fn_token #ident #params(#own) -> #cache #bounds #block
    }
}

/// The generics of what stands beside the function and looks into its cache. What a trait may provide says there that `self`
/// has to be a key: so that it is none is one error, in the function itself, and not one more for each of them.
///
/// `for<'__any>` is there for the `impl` of a type that is no key: without it the compiler would say so of each of
/// these bounds, and with it, where the function calls what has them.
pub(super) fn generics(model: &Model) -> Generics {
    let mut generics = without_idle_lifetimes(&model.function.sig.generics);
    if may_be_a_traits(model) {
        generics.make_where_clause().predicates.push(is_a_key());
    }
    generics
}

/// A block at the option that asks for it: where nothing can stand beside the function, that is said there.
pub(super) fn block_at(at: Span, tokens: TokenStream) -> Group {
    let mut block = Group::new(Delimiter::Brace, tokens);
    block.set_span(at);
    block
}

/// `for<'__any> Self: ReceiverKey`
pub(super) fn is_a_key() -> WherePredicate {
    let span = here();
    let p = private(span);
    let own = Ident::new("Self", span);
    syn::parse_quote_spanned!(span=> for<'__any> #own: #p::ReceiverKey)
}

/// `for<'__any> Self: Sized`, which every key is. That a `Self` which is no key may have no size either, the compiler
/// says again where a task waits: it takes that for another place.
pub(super) fn is_sized() -> WherePredicate {
    let span = here();
    let own = Ident::new("Self", span);
    syn::parse_quote_spanned!(span=> for<'__any> #own: ::core::marker::Sized)
}

/// Whether it may be a method that a trait provides, with `self` in the key.
pub(super) fn may_be_a_traits(model: &Model) -> bool {
    model.home == Home::Associated
        && matches!(model.function.vis, Visibility::Inherited)
        && model.key.labels().iter().any(|label| label == "self")
}

fn accessor_arguments(model: &Model) -> Option<TokenStream> {
    match model.options.place {
        Place::Within(_) => {
            let own = model.function.sig.receiver()?.self_token;
            Some(quote_spanned!(here()=> &#own))
        }
        Place::Global | Place::Thread => None,
    }
}

fn accessor_type(model: &Model) -> TokenStream {
    let cache = cache_type(model);
    match model.options.place {
        Place::Global => quote_spanned!(here()=> &'static #cache),
        Place::Thread => cache,
        Place::Within(_) => quote_spanned!(here()=> &#cache),
    }
}

fn handle_docs(model: &Model) -> [String; 3] {
    let whose = match model.options.place {
        Place::Global => "",
        Place::Thread => ", this thread's own",
        Place::Within(_) => ", this object's own",
    };
    let link = format!(" The cache behind {}{whose}.", link(model));
    let key = match &*model.key.labels() {
        [one] => format!(" A key is `{one}`, without a tuple around it."),
        parts => format!(" A key is `({})`.", parts.join(", ")),
    };
    [link, String::new(), key]
}

/// Finds the cache of this instance. Its name has the function's place in it, so that it can't be mistaken for
/// the accessor of a free function of the same name; where it can't be found, the name says why.
pub(super) fn accessor(model: &Model, ident: &Ident) -> TokenStream {
    let span = here();
    let attrs = shared_attributes(&model.function);
    let generics = generics(model);
    let (params, _, bounds) = generics.split_for_impl();
    let (own, mut cache, mut site) = (accessor_arguments(model), accessor_type(model), site(model));
    if returns_found(model) {
        let p = private(span);
        let (key, value) = (model.key.ty(), model.returns.value());
        cache = quote_spanned!(span=> #p::Found<#key, #value>);
        site = quote_spanned!(span=> #p::Found::of({ #site }));
    }
    let at = model.options.beside().map_or(span, |at| span.located_at(at));
    let (fn_token, block) = (Token![fn](at), block_at(at, site));
    quote_spanned! {span=>
        #(#attrs)*
        #[doc(hidden)]
        #[inline]
        #fn_token #ident #params(#own) -> #cache #bounds #block
    }
}

/// Whether there is one instance only, whose types can be said in a static. An alias could: what is wrong with it would be
/// said once more.
fn is_single(model: &Model) -> bool {
    model.home == Home::Free
        && matches!(model.options.place, Place::Global)
        && model.key.ty().is_some()
        && !matches!(model.returns, Returns::Fallible { is_alias: true, .. })
        && model.function.sig.generics.params.is_empty()
}

/// The statics, and the look for the cache of the instance that they stand in.
pub(super) fn site(model: &Model) -> TokenStream {
    let span = here();
    let p = private(span);
    let (descriptor, keys) = (descriptor(model), model.key.proofs());
    let value = proof_of_value(model);
    let value = match &model.options.weigh {
        Some(weigh) => quote_spanned!(span=> #value.weigh_with(#weigh)),
        None => {
            let ty = model.returns.value();
            quote_spanned!(span=> #value.weighed(#p::Weighed::<#ty>::NEW.way()))
        }
    };
    let extras = extras(model);
    // Proofs alone take no time to make; what the user says is made once.
    let is_plain = extras.is_none() && model.options.weigh.is_none();
    let extras = match extras {
        Some(extras) => {
            let value = model.returns.value();
            quote_spanned!(span=> #p::extras::<_, #value>(&#keys, #extras))
        }
        None => quote_spanned!(span=> ()),
    };
    if is_single(model) {
        let (ty, value_ty) = (model.key.ty(), model.returns.value());
        let found = if is_plain {
            quote_spanned!(span=> __SITE.cache(#keys, #value))
        } else {
            quote_spanned! {span=>
                match __SITE.get() {
                    ::core::option::Option::Some(__cache) => __cache,
                    ::core::option::Option::None => __SITE.first(#keys, #value, #extras),
                }
            }
        };
        return quote_spanned! {span=>
            #p::declare! { static __DESCRIPTOR: #p::Descriptor = #descriptor; }
            static __SITE: #p::Single<#ty, #value_ty> = #p::Single::new(&__DESCRIPTOR);
            #found
        };
    }
    let made = match &model.options.place {
        Place::Global => quote_spanned!(span=> __SITE.cache(#keys, #value, #extras, || ())),
        Place::Thread => quote_spanned! {span=>
            ::std::thread_local! {
                static __LOCAL: #p::Local = const { #p::Local::new() };
            }
            __SITE.cache_of_thread(&__LOCAL, #keys, #value, #extras, || ())
        },
        Place::Within(local) => {
            let local = match local {
                Expr::Reference(_) => local.to_token_stream(),
                local => quote_spanned!(local.span()=> &#local),
            };
            quote_spanned!(span=> __SITE.cache_within(#local, #keys, #value, #extras, || ()))
        }
    };
    quote_spanned! {span=>
        #p::declare! { static __DESCRIPTOR: #p::Descriptor = #descriptor; }
        static __SITE: #p::Site = #p::Site::new(&__DESCRIPTOR);
        #made
    }
}

/// The user's functions that few caches have.
fn extras(model: &Model) -> Option<TokenStream> {
    let options = &model.options;
    let span = here();
    let p = private(span);
    let mut given = Vec::new();
    let mut give = |name: &str, function: Option<TokenStream>| {
        let name = Ident::new(name, span);
        let some = |function| quote_spanned!(span=> #name: ::core::option::Option::Some(#function));
        given.extend(function.map(some));
    };
    let cost = options.cost.as_ref().and_then(|cost| match cost {
        Cost::Cpu => None,
        Cost::By(function) => Some(function.to_token_stream()),
        Cost::Fixed(time) => {
            let time = duration(*time);
            Some(quote_spanned!(span=> |_, _| #time))
        }
    });
    give("cost", cost);
    give("ttl_by", options.ttl_by.as_ref().map(ToTokens::to_token_stream));
    give("utility", options.utility.as_ref().map(ToTokens::to_token_stream));
    give(
        "order",
        match &options.policy {
            Policy::Own(path) => Some(order(path)),
            Policy::Default | Policy::Named(_) => None,
        },
    );
    give("on_remove", options.on_remove.as_ref().map(ToTokens::to_token_stream));
    give("tiers", options.tiers.as_ref().map(|tiers| self::tiers(model, tiers)));
    (!given.is_empty()).then(|| quote_spanned!(span=> #p::Extras { #(#given,)* ..#p::Extras::NONE }))
}

/// Makes the tiers. Types are said where they are written, so that what a type lacks to go there is reported at it.
fn tiers(model: &Model, Tiers { warm, disk }: &Tiers) -> TokenStream {
    let at = warm.as_ref().map(|warm| warm.span).or(disk.as_ref().map(|disk| disk.span));
    let span = at.map_or_else(here, |at| Span::mixed_site().located_at(at));
    let p = private(span);
    let key = model.key.ty().unwrap_or_else(|| quote_spanned!(span=> _));
    let value = model.returns.value();
    let warm = warm.as_ref().map(self::warm);
    match disk {
        None => quote_spanned!(span=> || #p::tiers::<#key, #value>(#warm)),
        Some(disk) => {
            let disk = disk.tokens(duration);
            let warm = match warm {
                Some(warm) => quote_spanned!(span=> ::core::option::Option::Some(#warm)),
                None => quote_spanned!(span=> ::core::option::Option::None),
            };
            quote_spanned!(span=> || #p::tiers_on_disk::<#key, #value>(#warm, #disk))
        }
    }
}

/// Makes the tier in memory.
fn warm(warm: &Warm) -> TokenStream {
    let span = Span::mixed_site().located_at(warm.span);
    let p = private(span);
    let chunk = warm.chunk.map(|bytes| {
        let bytes = Literal::u64_unsuffixed(bytes);
        quote_spanned!(span=> .chunk(#bytes))
    });
    let level = warm.level.map(|level| {
        let level = Literal::i32_unsuffixed(level);
        quote_spanned!(span=> .level(#level))
    });
    let made = match warm.packing {
        Packing::Plain => quote_spanned!(span=> #p::Warm::plain()),
        Packing::Lz4 => {
            quote_spanned!(span=> #p::Warm::compressed(<#p::Lz4 as ::core::default::Default>::default()#chunk))
        }
        Packing::Zstd => quote_spanned! {span=>
            #p::Warm::compressed(<#p::Zstd as ::core::default::Default>::default()#level #chunk)
        },
    };
    let max_bytes = warm.max_bytes.map(|bytes| {
        let bytes = Literal::u64_unsuffixed(bytes);
        quote_spanned!(span=> .max_bytes(#bytes))
    });
    let ttl = warm.ttl.map(|time| {
        let time = duration(time);
        quote_spanned!(span=> .ttl(#time))
    });
    quote_spanned!(span=> #made #max_bytes #ttl)
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

/// `::core::time::Duration::new(5, 0)`
fn duration(time: Duration) -> TokenStream {
    let (secs, nanos) =
        (Literal::u64_unsuffixed(time.as_secs()), Literal::u32_unsuffixed(time.subsec_nanos()));
    quote_spanned!(here()=> ::core::time::Duration::new(#secs, #nanos))
}

/// Only this function can mean it. Where it is not found, the compiler's message has the name in it.
pub(super) fn accessor_name(model: &Model) -> Ident {
    match model.home {
        Home::Free => hidden_name(model, "in_an_impl_write_cached_assoc_"),
        Home::Associated => hidden_name(model, "not_in_an_impl_of_a_trait_"),
    }
}

/// What the body is called beside the function.
pub(super) fn body_name(model: &Model) -> Ident {
    match model.home {
        Home::Free => hidden_name(model, "body"),
        Home::Associated => hidden_name(model, "not_in_an_impl_of_a_trait__body_of"),
    }
}

fn hidden_name(model: &Model, what: &str) -> Ident {
    let place = place_of(&model.function.sig.ident);
    format_ident!("__{what}_{}_{place}", model.name(), span = here())
}

fn descriptor(model: &Model) -> TokenStream {
    let span = here();
    let p = private(span);
    let ident = &model.function.sig.ident;
    let options = &model.options;
    let own_name = model.name();
    let name = match (&options.namespace, &options.name) {
        (None, Some(name)) => name.to_token_stream(),
        (None, None) => quote_spanned!(span=> ::core::concat!(::core::module_path!(), "::", #own_name)),
        (Some(space), Some(name)) => quote_spanned!(span=> ::core::concat!(#space, "::", #name)),
        (Some(space), None) => quote_spanned!(span=> ::core::concat!(#space, "::", #own_name)),
    };
    // At the function's own place, and not at the attribute's.
    let line = quote_spanned!(ident.span()=> ::core::line!());
    let settings = settings(model);
    quote_spanned! {span=>
        #p::Descriptor::cached(#name, ::core::file!(), #line, #settings)
    }
}

/// What the attribute says, and nothing of what it leaves at its default: less to read, and less to compile.
fn settings(model: &Model) -> TokenStream {
    let options = &model.options;
    let span = here();
    let p = private(span);
    let mut said = Vec::new();
    let mut say = |name: &str, value: Option<TokenStream>| {
        let name = Ident::new(name, span);
        said.extend(value.map(|value| quote_spanned!(span=> #name: #value)));
    };
    let some = |value: TokenStream| quote_spanned!(span=> ::core::option::Option::Some(#value));
    let count = |count: u64| some(Literal::u64_unsuffixed(count).to_token_stream());
    let time = |time: Duration| some(duration(time));
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
    say("domain", options.domain.as_ref().map(|domain| some(domain.to_token_stream())));
    say("cpu_cost", matches!(options.cost, Some(Cost::Cpu)).then(|| quote_spanned!(span=> true)));
    let by_type = model.home == Home::Associated && options.name.is_none() && options.namespace.is_none();
    say("named_by_type", by_type.then(|| quote_spanned!(span=> true)));
    if said.is_empty() {
        return quote_spanned!(span=> #p::CachedOptions::DEFAULT);
    }
    // `single_flight` and `wait_at_most` exclude each other: something is always left at its default.
    quote_spanned!(span=> #p::CachedOptions { #(#said,)* ..#p::CachedOptions::DEFAULT })
}

fn cache_type(model: &Model) -> TokenStream {
    let larder = larder(here());
    let (key, value) = (model.key.ty(), model.returns.value());
    quote_spanned!(here()=> #larder::Cache<#key, #value>)
}

/// `value::<V, _>(..)`, at the type: where a missing bound is reported.
pub(super) fn proof_of_value(model: &Model) -> TokenStream {
    let value = model.returns.value();
    let at = value.clone().into_iter().next().map_or_else(here, |token| token.span());
    let span = Span::mixed_site().located_at(at);
    let p = private(span);
    let ops = ops_of_value(model);
    quote_spanned!(span=> #p::value::<#value, _>(#ops))
}

/// What a value can do: says nothing of a missing bound, which its proof does.
pub(super) fn ops_of_value(model: &Model) -> TokenStream {
    let (span, value) = (here(), model.returns.value());
    let p = private(span);
    quote_spanned!(span=> #p::Valued::<#value>::OF.ops())
}
